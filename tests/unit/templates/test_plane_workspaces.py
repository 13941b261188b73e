from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyhf
import pytest

from darkfactory.config.check import check_campaign
from darkfactory.config.ellipses import EllipsesConfig
from darkfactory.config.load import validate
from darkfactory.config.resolve import load_campaign
from darkfactory.core.errors import ConfigError
from darkfactory.pipeline.plan import Planner
from darkfactory.stats.counting_scan import window_limits, window_rates
from darkfactory.stats.histfactory import compile_workspaces
from darkfactory.templates.plane_workspace import window_workspaces

ROOT = Path(__file__).parents[3]
HIGGS = {"search": "dark_higgsstrahlung", "dataset": "belle2_8fb"}


def config(**more: Any) -> EllipsesConfig:
    """The section of the search."""
    section = load_campaign("tiny", config_dir=ROOT / "config").searches[tuple(HIGGS.values())].templates
    return validate(EllipsesConfig, {**section, **more})


def built(observed: list[float], norm: float = 0.0) -> dict[str, Any]:
    """Two windows, with 400 and with 0.5 events of one background and a negligible second one."""
    sizes = {"value": norm, "source": "assumed"}
    tau, ee = np.array([400.0, 0.5]), np.array([1e-4, 0.2])
    backgrounds = {"tau": (tau, 0.01 * tau, 0.0), "ee": (ee, 0.5 * ee, 0.0)}
    return {
        k: w.to_dict()
        for k, w in window_workspaces(
            "h", ["m6p00000_n2p00000", "m4p00000_n1p00000"], np.array([0.2, 0.1]), backgrounds, np.array(observed),
            config(default_normalisation=sizes, systematics={}), luminosity=10.0, luminosity_uncertainty=0.01,
            data="pseudo",
        ).items()
    }  # fmt: skip


def test_workspaces_are_pyhfs_and_hold_the_counts() -> None:
    points = built([390.0, 1.0])
    first, second = points.values()
    for w, n, b in ((first, 390.0, 400.0001), (second, 1.0, 0.7)):
        workspace = pyhf.Workspace(w["spec"])
        model = workspace.model()
        data = workspace.data(model)
        assert data[0] == n
        init = model.config.suggested_init()
        init[model.config.poi_index] = 0.0
        assert model.expected_actualdata(init)[0] == pytest.approx(b, rel=1e-6)
        init[model.config.poi_index] = 1.0
        # one unit of the signal is w["scale"] fb at 10 /fb and the window's efficiency
        signal = model.expected_actualdata(init)[0] - b
        assert signal == pytest.approx(w["scale"] * 10.0 * w["efficiency"], rel=1e-6)
    assert [s["name"] for s in first["spec"]["channels"][0]["samples"]] == ["signal", "tau"]
    assert [s["name"] for s in second["spec"]["channels"][0]["samples"]] == ["signal", "ee", "tau"]
    assert (first["axes"], first["hypothesis"]) == ({"mass": 6.0, "mass2": 2.0}, "h")


def test_limits_of_many_events_are_pyhfs() -> None:
    """With hundreds of events and a small background error, the exact limit is pyhf's asymptotic one."""
    (w, _) = built([405.0, 1.0]).values()
    (group,), _ = compile_workspaces([w["spec"]])
    exact = float(window_limits(np.array([405.0]), window_rates(group.batch, 1024), 0.9)[0])
    workspace = pyhf.Workspace(w["spec"])
    model = workspace.model()
    cls = float(pyhf.infer.hypotest(exact, workspace.data(model), model, test_stat="qtilde"))
    assert cls == pytest.approx(0.10, abs=0.006)


def test_windows_are_data_not_jobs() -> None:
    plan = Planner(load_campaign("full", config_dir=ROOT / "config"))
    assert plan.has_windows(HIGGS)
    assert plan.limit_blocks(HIGGS) == ["b000"]
    assert plan.workspace_signals({**HIGGS, "block": "b000"}) == []
    assert plan.block({**HIGGS, "block": "b000"}) == {"darkhiggs": []}
    assert plan.block({**HIGGS, "block": "m6p00000_n2p00000"}) == {"darkhiggs": ["m6p00000_n2p00000"]}
    # the simulated points are a coarse grid
    assert 100 < len(plan.grid(HIGGS)["darkhiggs"]) < 700


def test_the_section_is_checked_as_what_it_is() -> None:
    wrong = {"overrides": {"dark_higgsstrahlung": {"templates": {"half_axis": 3}}}}
    campaign = load_campaign("tiny", config_dir=ROOT / "config", overrides=[wrong])
    with pytest.raises(ConfigError, match=r"half_axis: unknown key; did you mean 'half_axes'"):
        check_campaign(campaign)
