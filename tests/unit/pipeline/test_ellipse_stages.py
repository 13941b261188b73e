"""From selected candidates to limits and look-elsewhere of a plane, through the stages' own functions."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from darkfactory.config.load import deep_merge
from darkfactory.config.resolve import load_campaign
from darkfactory.core.files import read_json, write_json
from darkfactory.execute.backends import SerialBackend
from darkfactory.models.dark_higgs import dark_higgsstrahlung
from darkfactory.pipeline import ellipses, limits, model, scan, workspace
from darkfactory.pipeline.plan import Planner
from darkfactory.pipeline.request import Request
from darkfactory.records.cutflow import Cutflow
from darkfactory.records.manifest import Manifest, Part
from darkfactory.store.arrays import write_table

ROOT = Path(__file__).parents[3]
W = {"search": "dark_higgsstrahlung", "dataset": "belle2_8fb"}
SIGNAL, EFFICIENCY, RHO = "belle2_mumu_darkhiggs", 0.5, -0.9
N = 2000
Array = NDArray[np.float64]


def widths(m1: float, m2: float) -> tuple[float, float]:
    return 0.04 + 0.006 * m1 * m1, 0.4 - 0.03 * m1


def write(
    folder: Path, sample: str, parts: dict[str, tuple[Array, Array, Array, int, float]], triggered: float = 1.0
) -> Path:
    """A manifest with candidates of each point: both squared masses, weights, generated events, cross-section."""
    made = []
    for point, (x, y, weight, generated, sigma) in parts.items():
        columns = {
            "m2_pair": x, "m2_recoil": y, "weight": triggered * weight, "weight_untriggered": weight,
            "fold": np.arange(len(x)) % 4,
        }  # fmt: skip
        name = f"{sample}-{point}.root"
        digest = write_table(folder / name, columns)
        flow = Cutflow(("all",), (len(x),), (float(weight.sum()),), (float((weight**2).sum()),))
        meta = {"sigma_fb": sigma, "sigma_err_fb": 1e-3 * sigma, "cutflow": flow.to_dict(), "trigger": {"all": 1.0}}
        made.append(Part(point, 0, name, digest, generated, len(x), float(weight.sum()), meta))
    path = folder / f"{sample}.json"
    write_json(path, Manifest("select", sample, "b000", tuple(made)).to_dict())
    return path


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """All stages on ten signal points with known resolution and a flat background."""
    folder = tmp_path_factory.mktemp("plane")
    grid = [{"axes": {"mass": {"values": [4.0, 5.0, 6.0, 7.0, 8.0]}, "mass2": {"values": [0.5, 2.0]}}}]
    section = {"spacing": 4.0, "cells": 0.6, "mass": [4.5, 7.5], "smoothing": {"points": 16}}
    override = {
        "hypotheses": {"darkhiggs": {"grids": {"tiny": grid}}},
        "templates": deep_merge(section, {"where": ["mass2 < 2.5"]}),
    }
    change = {"overrides": {W["search"]: override}, "look_elsewhere_toys": 40}
    plan = Planner(load_campaign("tiny", config_dir=ROOT / "config", overrides=[change]))
    rng = np.random.default_rng(11)
    parts = {}
    for point in plan.grid(W)["darkhiggs"]:
        m1, m2 = (float(t[1:].replace("p", ".")) for t in point.split("_"))
        sx, sy = widths(m1, m2)
        u, v = rng.normal(size=(2, int(N * EFFICIENCY)))
        sigma = 1e-4 * float(dark_higgsstrahlung(m1, m2, 10.58))
        x, y = m1 * m1 + sx * u, m2 * m2 + sy * (RHO * u + np.sqrt(1 - RHO**2) * v)
        parts[point] = (x, y, np.full(len(x), sigma), N, sigma)
    signal = write(folder, SIGNAL, parts)
    n = 20_000
    flat = (rng.uniform(12.0, 70.0, n), rng.uniform(-2.5, 9.0, n), np.full(n, 100.0), n, 100.0)
    background = write(folder, "belle2_tautau_mumu", {"all": flat})
    names = ("model", "observed", "cutflow", "efficiency", "trigger", "workspace", "limits", "limits_csv", "scan")
    out = {k: str(folder / f"{k}.{'csv' if k in ('efficiency', 'limits_csv') else 'json'}") for k in names}
    spec = plan.model(W) | {"trained": False, "backgrounds": ["belle2_tautau_mumu"]}

    def run(stage: Any, name: str, spec: dict[str, Any], inputs: dict[str, Any], outputs: list[str]) -> None:
        request = Request(name, inputs, {k: out[k] for k in outputs}, spec, "x")
        stage.run(request, SerialBackend(), lambda text: None)

    inputs = {"signals": [str(signal)], "backgrounds": [str(background)]}
    run(model, "model", spec, inputs, ["model", "observed", "cutflow", "efficiency", "trigger"])
    made = {"model": out["model"], "observed": out["observed"]}
    run(workspace, "workspace", spec | {"block": {"darkhiggs": []}}, {"signals": [], **made}, ["workspace"])
    run(limits, "limits", plan.limits({**W, "block": "b000"}), {"workspace": out["workspace"]}, ["limits"])
    blocks = {"limits": [out["limits"]], "workspaces": [out["workspace"]]}
    run(scan, "scan", plan.scan(W), {**made, **blocks}, ["limits_csv", "scan"])
    return folder, spec


def rows(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / name).open() as file:
        return list(csv.DictReader(file))


def test_resolutions_and_efficiencies_between_points_are_those_of_the_simulation(results: Any) -> None:
    folder, _ = results
    windows = [r for r in rows(folder, "efficiency.csv") if r["simulated"] == "0"]
    assert len(windows) > 50
    for r in windows:
        sx, sy = widths(float(r["mass_gev"]), float(r["mass2_gev"]))
        assert float(r["sigma_x"]) == pytest.approx(sx, rel=0.15)
        assert float(r["sigma_y"]) == pytest.approx(sy, rel=0.25)
        assert float(r["correlation"]) == pytest.approx(RHO, abs=0.03)
        assert float(r["efficiency_window"]) == pytest.approx(EFFICIENCY * (1 - np.exp(-2.0)), rel=0.12)
        born = 1e-4 * float(dark_higgsstrahlung(float(r["mass_gev"]), float(r["mass2_gev"]), 10.58))
        assert float(r["sigma_fb"]) == pytest.approx(born, rel=0.02)


def test_windows_expect_the_density_times_their_area(results: Any) -> None:
    folder, spec = results
    stored = read_json(folder / "workspace.json")["points"]
    shape = {r["point"]: r for r in rows(folder, "efficiency.csv")}
    ratios = []
    for w in stored.values():
        r = {k: float(shape[w["point"]][k]) for k in ("sigma_x", "sigma_y", "correlation")}
        area = 4 * np.pi * r["sigma_x"] * r["sigma_y"] * np.sqrt(1 - r["correlation"] ** 2)
        expected = 100.0 * spec["luminosity_fb"] * area / (58.0 * 11.5)
        ratios.append(w["expected_background"] / expected)
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.05)
    assert np.std(ratios) < 0.25


def test_every_window_has_a_limit_by_each_method_and_the_plane_a_global_significance(results: Any) -> None:
    folder, _ = results
    found = rows(folder, "limits_csv.csv")
    points = {r["point"] for r in found}
    assert {r["method"] for r in found} == {"exact", "bayes"}
    assert len(found) == 2 * len(points)
    assert {r["status"] for r in found} == {"ok"}
    assert all(float(r["expected_m2"]) <= float(r["expected"]) <= float(r["expected_p2"]) for r in found)
    by = {(r["point"], r["method"]): float(r["observed"]) for r in found}
    assert all(by[p, "bayes"] == pytest.approx(by[p, "exact"], rel=0.03) for p in points)
    stored = read_json(folder / "scan.json")
    largest = stored["largest"]
    assert largest["z_local"] == pytest.approx(max(float(r["z_local"]) for r in found))
    assert (largest["toys"], len(largest["z_max_toys"]), stored["points"]) == (40, 40, len(points))
    assert 0 <= largest["p_global"] <= 1


def test_a_window_alone_is_the_window_in_the_plane(results: Any, tmp_path: Path) -> None:
    folder, spec = results
    stored = read_json(folder / "workspace.json")["points"]
    key = sorted(stored)[len(stored) // 2]
    inputs = {"signals": [], "model": str(folder / "model.json"), "observed": str(folder / "observed.json")}
    own = spec | {"block": {"darkhiggs": [key.partition("/")[2]]}}
    request = Request("workspace", inputs, {"workspace": str(tmp_path / "w.json")}, own, "x")
    workspace.run(request, SerialBackend(), lambda text: None)
    (alone,) = read_json(tmp_path / "w.json")["points"].values()
    assert alone == stored[key]


def test_a_point_that_the_trigger_never_takes_has_the_resolution_before_it(results: Any, tmp_path: Path) -> None:
    _, spec = results
    rng = np.random.default_rng(5)
    u, v = rng.normal(size=(2, 1000))
    parts = {"m5p00000_n0p50000": (25.0 + 0.2 * u, 0.25 + 0.3 * v, np.ones(1000), 2000, 1.0)}
    manifest = write(tmp_path, SIGNAL, parts, triggered=0.0)
    path = read_json(manifest)["parts"][0]["path"]
    found = ellipses.measure({"spec": spec}, {"paths": [str(tmp_path / path)], "folds": [0, 1, 2, 3]})
    assert found["core"]["sigma_x"] == pytest.approx(0.2, rel=0.1)
    assert found["selected_sumw"] == 0.0
    assert found["trigger"] == 0.0
