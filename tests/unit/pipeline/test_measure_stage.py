"""The stage of measurements on spectra whose edge is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from darkfactory.config.check import check_campaign
from darkfactory.config.measurement import MeasurementConfig
from darkfactory.config.resolve import load_campaign
from darkfactory.config.search import SearchFile
from darkfactory.core.errors import ConfigError, RunError
from darkfactory.pipeline.measure import calibrate, spectrum, systematics
from darkfactory.pipeline.plan import Planner

TAG = {"source": "assumed"}
CONTROL = {
    "events": {"value": 1e6, **TAG}, "width": {"value": 0.005, **TAG}, "slope": {"value": 1.6, **TAG},
    "residual": {"value": 1e-4, **TAG},
}  # fmt: skip
SECTION: dict[str, Any] = {
    "hypothesis": "tau", "reference": 1.777, "observable": "m", "window": [1.70, 1.85], "bin_width": 0.001,
    "corrections": {
        "scale": {"column": "m_scaled", "step": 1e-3, "size": {"value": 5e-4, **TAG}, "control": CONTROL},
    },
    "systematics": {"fit_function": {"value": 2e-5, **TAG}},
}  # fmt: skip
CONFIG = MeasurementConfig.model_validate(SECTION)


def columns(mass: float, seed: int, n: int = 40_000) -> Mapping[str, np.ndarray]:
    """Uniform up to the edge, smeared, on a tail."""
    rng = np.random.default_rng(seed)
    m = np.where(rng.random(n) < 0.85, mass - 0.2 * rng.random(n), mass + 0.1 * rng.random(n) ** 2)
    m = m + rng.normal(0.0, 0.004, n)
    return {"m": m, "m_scaled": m + 6e-4, "weight": np.full(n, 30.0)}


def test_generated_masses_come_back() -> None:
    masses = [1.767, 1.777, 1.787]
    fits = [spectrum(columns(m, i), CONFIG) for i, m in enumerate(masses)]
    line, covariance = calibrate(masses, fits, CONFIG.reference)
    assert line[1] == pytest.approx(1.0, abs=4 * np.sqrt(covariance[1, 1]))
    data = spectrum(columns(1.780, 9), CONFIG)
    found = CONFIG.reference + (data.edge - CONFIG.reference - line[0]) / line[1]
    error = np.sqrt(data.error**2 + covariance[0, 0])
    assert 1e-5 < error < 7e-4
    assert abs(found - 1.780) < 4 * error


def test_a_distortion_moves_the_edge_and_its_correction_moves_it_back() -> None:
    table = columns(1.777, 3)
    plain, moved = spectrum(table, CONFIG), spectrum(table, CONFIG, {"scale": 5e-4})
    # events that cross from bin to bin: up to a part of the error of 0.4 MeV
    assert moved.edge - plain.edge == pytest.approx(3e-4, abs=1.5e-4)
    back = {**table, "m": table["m"] + 3e-4, "m_scaled": table["m_scaled"] + 3e-4}
    assert spectrum(back, CONFIG, {"scale": -5e-4}).edge == pytest.approx(plain.edge, abs=1e-9)


def test_weights_count_as_effective_events() -> None:
    table = dict(columns(1.777, 3))
    heavy = {**table, "weight": np.where(np.arange(len(table["m"])) % 2, 90.0, 10.0)}
    plain, uneven = spectrum(table, CONFIG), spectrum(heavy, CONFIG)
    # weights of 9 and 1: 2 x 100 / 82 less information
    assert uneven.error / plain.error == pytest.approx(np.sqrt(0.5 * (81 + 1) / 25), rel=0.15)


def test_the_table_of_errors() -> None:
    found = {"scale": {"statistical": 3.125e-6, "residual": 1e-4, "slope": 0.6}}
    rows = systematics(CONFIG, np.array([1e-3, 1.0]), np.diag([4e-8, 1e-4]), found, 5e-5)
    sizes = {r["name"]: r["mev"] for r in rows}
    assert sizes == pytest.approx(
        {
            "bias of the edge, from simulated events": 0.2, "range of the fit": 0.05, "scale, statistical": 1.875e-3,
            "scale, residual": 0.06, "fit function": 0.02,
        }
    )  # fmt: skip


def test_few_events_are_told() -> None:
    with pytest.raises(RunError, match=r"effective events between 1.7 and 1.85 GeV are too few .*; generate more"):
        spectrum(columns(1.777, 1, 60), CONFIG)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"window": [1.70, 1.76]}, "does not hold the reference mass"),
        ({"bin_width": 0.01}, "fewer than 20 bins"),
        ({"corrections": {"s": {**SECTION["corrections"]["scale"], "step": 0.0}}}, "step is 0"),
    ],
)
def test_errors_of_the_section(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MeasurementConfig.model_validate({**SECTION, **change})


def test_a_measurement_is_no_search_for_limits() -> None:
    planner = Planner(load_campaign("tiny"))
    assert ("tau_mass", "belle2_190fb") in planner.campaign.measured
    assert ("tau_mass", "belle2_190fb") not in planner.campaign.limited
    spec = planner.report({})
    assert [m["search"] for m in spec["measurements"]] == ["tau_mass"]
    assert "tau_mass" not in {s["search"] for s in spec["searches"]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hypothesis": "muon"}, "'muon' is no hypothesis; there are"),
        ({"reference": 1.78}, "it needs the reference 1.78 and another"),
    ],
)
def test_the_reference_is_on_the_grid(change: dict[str, Any], message: str) -> None:
    campaign = load_campaign("tiny", overrides=[{"overrides": {"tau_mass": {"measurement": change}}}])
    with pytest.raises(ConfigError, match=message):
        check_campaign(campaign)


def test_the_section_goes_with_the_kind() -> None:
    data = {"period": "p", "luminosity": 1.0, "luminosity_uncertainty": {"value": 0.1, **TAG}}
    base: dict[str, Any] = {
        "name": "x", "title": "x", "hypotheses": {"h": {"sample": "s", "grids": {}}}, "backgrounds": [],
        "datasets": {"d": data},
    }  # fmt: skip
    with pytest.raises(ValueError, match="kind `measurement` has the section `measurement`, others have not"):
        SearchFile.model_validate({**base, "kind": "measurement"})
    with pytest.raises(ValueError, match="kind search"):
        SearchFile.model_validate({**base, "measurement": {"window": [1, 2]}})
