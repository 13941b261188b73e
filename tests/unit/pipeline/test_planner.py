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


def test_each_hypothesis_asks_for_the_blocks_of_its_own_grid() -> None:
    second = {
        "alp_3gamma": {
            "hypotheses": {
                "other": {
                    "sample": "belle2_mumu_zprime",
                    "grids": {"laptop": [{"axes": {"mass": {"values": [1.0, 2.0]}}}]},
                }
            }
        }
    }
    planner = Planner(
        load_campaign(
            "laptop", config_dir=ROOT / "config", overrides=[{"overrides": second, "execution": {"block": 10}}]
        )
    )
    w = {"search": "alp_3gamma", "dataset": "belle2_445pb"}
    paths = planner.selected_signals(w, "selected")
    assert [p.split("/selected/")[-1] for p in paths if "belle2_mumu_zprime" in p] == [
        p.replace("belle2_gamma_alp", "belle2_mumu_zprime").split("/selected/")[-1] for p in paths[:1]
    ]
    assert sum("belle2_gamma_alp" in p for p in paths) == len(planner.blocks(w)) > 1
    # a point is made for every hypothesis, on its grid or off it
    assert len(planner.selected_signals(w, "selected", ["m1p50000"])) == 2
