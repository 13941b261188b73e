from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from darkfactory.cli.plan import Load, jobs_of_campaign, stage_loads
from darkfactory.config.base import Tagged
from darkfactory.config.costs import CostsConfig, StageCost, load_costs
from darkfactory.config.resolve import load_campaign
from darkfactory.core.errors import ConfigError
from darkfactory.pipeline.plan import Planner


def number(value: float) -> Tagged:
    return Tagged(value=value, source="measured")


COSTS = CostsConfig(
    stages={
        "generate": StageCost(
            seconds_per_event=number(1e-3), processes={"gamma_alp": number(1e-4)}, bytes_per_event=number(100)
        ),
        "skim": StageCost(kept=number(0.5), bytes_per_event=number(10)),
        "limits": StageCost(seconds_per_job=number(1.0), seconds_per_point=number(0.1)),
    }
)


@pytest.fixture
def loads(project: Path) -> dict[str, Load]:
    planner = Planner(load_campaign("tiny"))
    return {load.stage: load for load in stage_loads(jobs_of_campaign(planner, COSTS))}


def test_jobs_points_and_events_are_those_of_the_campaign(project: Path, loads: dict[str, Load]) -> None:
    campaign = load_campaign("tiny")
    alp = len(campaign.points("alp_3gamma", "belle2_445pb", "alp"))
    zprime = len(campaign.points("zprime_invisible", "belle2_80fb", "zprime"))
    backgrounds = len({b for config in campaign.searches.values() for b in config.shared_samples})
    assert loads["generate"].jobs == backgrounds + 2
    assert loads["generate"].events == 100 * (alp + zprime) + 1000 * backgrounds
    assert loads["limits"] == Load("limits", 2, alp + zprime, 0.0, "", loads["limits"].seconds)
    assert loads["train_network"].jobs == 1
    assert "trigger_rates" not in loads
    assert loads["report"].jobs == 1
    assert loads["total"].jobs == sum(load.jobs for stage, load in loads.items() if stage != "total")


def test_costs_scale_with_what_a_stage_reads(project: Path, loads: dict[str, Load]) -> None:
    alp = len(load_campaign("tiny").points("alp_3gamma", "belle2_445pb", "alp"))
    slow = loads["generate"].events - 100 * alp
    assert loads["generate"].seconds == pytest.approx(1e-4 * 100 * alp + 1e-3 * slow)
    assert loads["generate"].bytes == pytest.approx(100 * loads["generate"].events)
    assert loads["skim"].bytes == pytest.approx(10 * 0.5 * loads["generate"].events)
    # control samples of muons and a photon are looked at in the periods of two searches
    assert loads["trigger"].events == pytest.approx(0.5 * (loads["generate"].events + 2 * 1000))
    assert loads["limits"].seconds == pytest.approx(2 + 0.1 * loads["limits"].points)


def test_the_command_prints_stages_and_a_total(project: Path, call: Callable[..., Any]) -> None:
    done = call("plan")
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[1].split()[:2] == ["stage", "jobs"]
    assert [line.split()[0] for line in lines if line.startswith(("generate", "limits", "total"))] == [
        "generate",
        "limits",
        "total",
    ]
    more = call("plan", "--set", "events.background=100000").out
    assert more != done.out
    missing = call("plan", "-c", "none")
    assert missing.code == 2


def test_costs_are_checked(project: Path) -> None:
    assert load_costs("config").sources()["measured"] > 0
    (project / "config" / "costs.yaml").write_text("stages: {skim: {seconds_per_evnt: 1}}\n")
    with pytest.raises(ConfigError, match=r"stages\.skim\.seconds_per_evnt: unknown key"):
        load_costs("config")
