from __future__ import annotations

from pathlib import Path

import pytest

from darkfactory.config.resolve import load_campaign
from darkfactory.core.errors import ConfigError
from darkfactory.pipeline.plan import Planner

ROOT = Path(__file__).parents[3]


def test_a_dataset_of_another_search_is_refused_with_those_that_there_are() -> None:
    planner = Planner(load_campaign("laptop", config_dir=ROOT / "config"))
    with pytest.raises(ConfigError, match=r"'belle2_80fb' is no dataset of alp_3gamma in campaign laptop; it has"):
        planner.signals({"search": "alp_3gamma", "dataset": "belle2_80fb"})
