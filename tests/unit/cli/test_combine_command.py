"""`darkfactory combine`: what is run, what is shown, what is told."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from darkfactory.cli import combine as command
from darkfactory.config.resolve import load_campaign
from darkfactory.execute.backends import SerialBackend
from darkfactory.pipeline import combine as stage
from darkfactory.pipeline.layout import path
from darkfactory.pipeline.plan import Planner
from darkfactory.pipeline.request import Request
from darkfactory.stats.examples import counting_window

SETTING = "combinations=[lmutau_gprime]"
WHERE = {"campaign": "tiny", "combination": "lmutau_gprime"}
LEVELS = ("observed", "expected_m2", "expected_m1", "expected", "expected_p1", "expected_p2")


@pytest.fixture
def engine(project: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """In place of the workflow: the stage itself, with the plan's own request, on one dataset's count at 3 GeV."""
    asked: list[Any] = []

    def run(targets: Sequence[str], campaign: str | None, config_dir: str, settings: Sequence[str], cores: int) -> None:
        asked.append((list(targets), campaign, list(settings), cores))
        plan = Planner(load_campaign("tiny", config_dir=config_dir, overrides=[{"combinations": ["lmutau_gprime"]}]))
        spec = plan.combine({"combination": "lmutau_gprime"})
        known = {"hypothesis": "zprime", "point": "m3p00000"}
        record = {**known, "spec": counting_window(4, 4.0, 0.1, signal=2.0), "scale": 1.5}
        row = {**known, "cl": 0.9, "method": "exact", "p0_local": 0.5, "z_local": 0.0, "status": "ok"}
        row |= {"certificate": {"passed": True}, **dict.fromkeys(LEVELS, 3.0)}
        stored = {"points": {"zprime/m3p00000": record}, "sigma_fb": {"zprime/m3p00000": 20.0}}
        Path("w.json").write_text(json.dumps(stored))
        Path("l.json").write_text(json.dumps({"limits": [row]}))
        spec["sources"] = [{"search": "zprime_invisible", "dataset": "belle2_80fb", **known, "block": "b0", "file": 0}]
        names = {"couplings": "combined_couplings", "workspaces": "combined_workspaces", "combination": "combination"}
        outputs = {k: path(v, **WHERE) for k, v in names.items()}
        Path(outputs["combination"]).parent.mkdir(parents=True, exist_ok=True)
        job = Request("combine", {"workspaces": ["w.json"], "limits": ["l.json"]}, outputs, spec, "code")
        stage.run(job, SerialBackend(), lambda text: None)

    monkeypatch.setattr(command, "snakemake", run)
    return asked


def test_limits_are_made_and_shown(engine: list[Any], call: Callable[..., Any]) -> None:
    done = call("combine", "lmutau_gprime", "--set", SETTING, "--cores", "1")
    assert done.code == 0, done.err
    assert engine == [([path("combination", **WHERE)], None, [SETTING], 1)]
    lines = done.out.splitlines()
    assert lines[0].split()[:2] == ["input", "mass_gev"]
    shown = [line.split()[:2] for line in lines if line.split()[1:2] == ["3"]]
    assert shown == [["combined", "3"], ["zprime_invisible/belle2_80fb", "3"]]
    assert "combined limits by status: {'ok': 1}" in done.out
    assert "left out, since the campaign does not have them: zprime_invisible/belle2_276pb" in done.out


def test_the_workspace_of_a_point_is_printed(engine: list[Any], call: Callable[..., Any]) -> None:
    done = call("combine", "lmutau_gprime", "--set", SETTING, "--point", "m3p00000")
    spec = json.loads(done.out)
    assert [c["name"] for c in spec["channels"]] == ["zprime_invisible_belle2_80fb_sr"]
    assert spec["measurements"][0]["config"]["poi"] == "mu"
    other = call("combine", "lmutau_gprime", "--set", SETTING, "--point", "m4p00000")
    assert other.code == 2
    assert "no combined workspace of m4p00000; there are ['m3p00000']" in other.err


def test_an_unknown_combination_is_told(engine: list[Any], call: Callable[..., Any]) -> None:
    done = call("combine", "nothing", "--set", SETTING)
    assert done.code == 2
    assert "combination 'nothing' is not in campaign tiny; it has ['lmutau_gprime']" in done.err
    assert engine == []
