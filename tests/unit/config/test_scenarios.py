from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from darkfactory.config.load import validate
from darkfactory.config.resolve import load_campaign
from darkfactory.config.scenario import ScenarioFile, scenario_datasets
from darkfactory.core.errors import ConfigError

CONFIG = Path(__file__).parents[3] / "config"


def file(**scenario: Any) -> ScenarioFile:
    value = {
        "search": "s",
        "title": "t",
        "baseline": "b",
        "scenarios": {"x": {"title": "X", "source": "assumed", **scenario}},
    }
    return validate(ScenarioFile, value, file="s.yaml")


def test_a_scenario_is_a_copy_with_what_it_changes() -> None:
    search = {
        "datasets": {"b": {"period": "p", "luminosity": "1 /fb", "trigger": {"l1": ["a", "b"]}, "reference": "PRL"}}
    }
    made = scenario_datasets(file(trigger={"l1": ["a"]}, luminosity="2 /fb"), search, "s.yaml")
    assert made == {
        "b_x": {
            "period": "p", "luminosity": "2 /fb", "trigger": {"l1": ["a"]}, "reference": "what-if: X",
            "projection": True, "reference_csv": "",
        }
    }  # fmt: skip
    assert search["datasets"]["b"]["trigger"] == {"l1": ["a", "b"]}


def test_impossible_ones_and_datasets_are_not_made() -> None:
    search: dict[str, Any] = {"datasets": {"b": {}, "c": {}}}
    assert scenario_datasets(file(impossible="no line"), search, "") == {}
    assert file(impossible="no line").datasets() == {"b": "as published"}
    assert scenario_datasets(file(dataset="c"), search, "") == {}
    assert file(dataset="c").datasets() == {"b": "as published", "c": "X"}


def test_an_unknown_dataset_is_told() -> None:
    with pytest.raises(ConfigError, match=r"scenarios\.x\.like.*unknown dataset 'z' of s; it has \['b'\]"):
        scenario_datasets(file(like="z"), {"datasets": {"b": {}}}, "s.yaml")


@pytest.mark.parametrize("wrong", [{}, {"dataset": "c", "period": "p"}, {"impossible": "x", "like": "b"}])
def test_a_scenario_is_of_one_kind(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="give either dataset, or some of like"):
        file(**wrong)


def test_every_scenario_of_the_project_is_a_dataset_of_the_campaign() -> None:
    names = [p.stem for p in (CONFIG / "scenarios").glob("*.yaml")]
    resolved = load_campaign("tiny", config_dir=CONFIG, overrides=[{"scenarios": names}])
    plain = load_campaign("tiny", config_dir=CONFIG)
    for name, told in resolved.scenarios.items():
        for dataset in told.datasets():
            assert (name, dataset) in resolved.searches
    # jobs of shared samples stay what they are
    assert {s: resolved.sample_points(s) for s in plain.samples} == {s: plain.sample_points(s) for s in plain.samples}
    lines = resolved.searches["single_photon", "belle2_20fb_no_single_photon"].trigger
    assert (lines.l1, lines.hlt) == (("lml1",), ("neut_2gev_barrel",))
    belle = resolved.searches["zprime_invisible", "belle2_80fb_belle"]
    assert (belle.data.luminosity, belle.data.period) == (79.7, "belle_full")


def test_scenarios_need_their_search_in_the_campaign() -> None:
    with pytest.raises(ConfigError, match="unknown 'nothing'"):
        load_campaign("tiny", config_dir=CONFIG, overrides=[{"scenarios": ["nothing"]}])
