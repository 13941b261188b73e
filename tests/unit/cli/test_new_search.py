from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from darkfactory.config.check import check_campaign
from darkfactory.config.library import Library
from darkfactory.config.resolve import load_campaign
from darkfactory.config.skeleton import campaign_entries, search_skeleton

Call = Callable[..., Any]
LIBRARY = Library(Path(__file__).parents[3] / "config")


@pytest.mark.parametrize("like", LIBRARY.names("searches"))
def test_a_skeleton_is_the_search_that_it_is_like_under_another_name(like: str) -> None:
    text = search_skeleton(LIBRARY, "mine", like)
    made, original = yaml.safe_load(text), LIBRARY.get("searches", like)
    assert made.pop("name") == "mine"
    del original["name"]
    for dataset in original["datasets"].values():
        for claim in ("reference", "reference_csv", "projection"):
            dataset.pop(claim, None)
    for dataset in made["datasets"].values():
        assert dataset.pop("projection") is True
    assert made == original
    comments = [line for line in text.splitlines() if line.lstrip().startswith("#")]
    assert len(comments) >= len(made)


def test_it_is_written_and_checked_as_the_command_says(project: Path, call: Call) -> None:
    done = call("new-search", "my_search", "--like", "alp_3gamma")
    assert done.code == 0
    line = next(s for s in done.out.splitlines() if s.strip().startswith("darkfactory config check"))
    setting = line.split("--set ")[1].strip("'")
    checked = call("config", "check", "-c", "tiny", "--set", setting)
    assert checked.code == 0
    assert "search my_search/belle2_445pb: " in checked.out
    again = call("new-search", "my_search")
    assert (again.code, "exists and is not overwritten" in again.err) == (2, True)


def test_entries_that_the_command_shows_make_a_campaign_with_the_search(project: Path, call: Call) -> None:
    campaign = project / "config" / "campaigns" / "tiny.yaml"
    value = yaml.safe_load(campaign.read_text())
    value["overrides"] = {"alp_3gamma": {"templates": {"window": {"half_width": 9.0}}}}
    campaign.write_text(yaml.safe_dump(value))
    done = call("new-search", "my_search", "--like", "alp_3gamma")
    entries = yaml.safe_load("searches:" + done.out.split("\nsearches:")[1].split("\nSamples")[0])
    assert entries == campaign_entries(Library(project / "config"), "my_search", "alp_3gamma", "tiny")
    campaign.write_text(yaml.safe_dump({**value, **entries}))
    config = load_campaign("tiny", config_dir=project / "config")
    assert check_campaign(config)
    assert config.searches["my_search", "belle2_445pb"].templates["window"]["half_width"] == 9.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["alp_3gamma"], "alp_3gamma.yaml exists and is not overwritten; choose another name"),
        (["My-Search.yaml"], "small letters, digits and underscores, a letter first; for instance 'my_search'"),
        (["3photons"], "'3photons' is no name of a search"),
        (["mine", "--like", "alp_3gama"], "'alp_3gama' is unknown; did you mean 'alp_3gamma'?"),
        (["mine", "-c", "tini"], "'tini' is unknown; did you mean 'tiny'?"),
        (["mine", "--config-dir", "nowhere"], "no such folder; run from the project's top level or give --config-dir"),
        ([], "Missing argument 'NAME'"),
    ],
)
def test_mistakes_with_new_searches(project: Path, call: Call, arguments: list[str], message: str) -> None:
    before = sorted(p.name for p in (project / "config" / "searches").iterdir())
    done = call("new-search", *arguments)
    assert done.code == 2
    assert message in done.err
    assert "Traceback" not in done.out + done.err
    assert sorted(p.name for p in (project / "config" / "searches").iterdir()) == before
