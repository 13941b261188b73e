"""Scales, sidebands and shared nuisances of control samples, and the measurement that reads a scale."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from darkfactory.config.base import Tagged
from darkfactory.config.check import check_campaign
from darkfactory.config.control import AppliedCorrection, ControlCorrection, Sideband
from darkfactory.config.formula import Formula
from darkfactory.config.measurement import CorrectionConfig, MeasurementConfig
from darkfactory.config.resolve import load_campaign
from darkfactory.core.errors import ConfigError, InputError, RunError
from darkfactory.pipeline.control import compare, correction_of, counted
from darkfactory.pipeline.distortions import drawn, found_in, slope_at
from darkfactory.pipeline.measure import _variations, spectrum
from darkfactory.pipeline.plan import Planner
from darkfactory.records.correction import Correction
from darkfactory.select.weights import Applied, with_corrections

TAG = {"value": 1e-4, "source": "assumed"}
SCALE: dict[str, Any] = {
    "description": "momenta", "method": "scale", "peak": "m", "scaled": {"column": "m_scaled", "step": 1e-3},
    "axes": {"theta": {"observable": "theta", "edges": [0.0, 1.0, 2.0]}}, "systematic": TAG,
    "cuts": [{"column": "m", "min": 1.84, "max": 1.89}],
}  # fmt: skip


def d0_like(n: int, seed: int, scale: tuple[float, float] = (0.0, 0.0)) -> dict[str, np.ndarray]:
    """A peak at 1.865 GeV that moves by 1.6 GeV times the scale, on 20 % of flat background."""
    rng = np.random.default_rng(seed)
    theta = rng.uniform(0, 2, n)
    shift = 1.6 * np.where(theta < 1, *scale)
    background = rng.random(n) < 0.2
    m = np.where(background, rng.uniform(1.80, 1.93, n), rng.normal(1.865, 0.005, n) + shift)
    return {"weight": np.ones(n), "theta": theta, "m": m, "m_scaled": m + 1.6e-3}


def test_a_scale_is_found_in_its_bin_in_spite_of_background() -> None:
    config = ControlCorrection.model_validate(SCALE)
    injected = (-8e-4, 5e-4)
    data, simulation = d0_like(60_000, 1, injected), d0_like(60_000, 2)
    found = compare(data, simulation, config, (None, None))[2]  # type: ignore[arg-type]  # no lines are asked for
    assert np.all(found.error < 6e-5)
    assert np.all(np.abs(found.value - 1 - injected) < 4 * found.error + 0.1 * np.abs(injected))
    assert np.all(np.abs(found.value - 1) > 5 * found.error)
    # the relative error of the configuration is one of the scale
    made = correction_of("scale", config, found)
    assert made.factors["syst_up"] - made.factors["nominal"] == pytest.approx([1e-4] * 2, rel=1e-2)


def test_background_below_a_peak_is_taken_off() -> None:
    rng = np.random.default_rng(7)
    n, m0 = 100_000, 0.1396
    peak = rng.random(n) < 0.5
    x = np.where(peak, rng.normal(0.1454, 0.0004, n), m0 + 0.0204 * rng.random(n) ** (2 / 3))
    passed = rng.random(n) < np.where(peak, 0.9, 0.3)
    columns = {"weight": np.ones(n), "x": x, "theta": np.full(n, 0.5), "passed": passed.astype(float)}
    section = {
        "description": "id", "axes": SCALE["axes"], "systematic": TAG, "passing": [{"column": "passed", "min": 0.5}],
    }  # fmt: skip
    side = {
        "column": "x", "signal": [0.1440, 0.1469], "side": [0.150, 0.156],
        "threshold": {"value": m0, "source": "published"},
    }  # fmt: skip
    plain = {**section, "cuts": [{"column": "x", "min": 0.1440, "max": 0.1469}]}
    with_background = counted(columns, ControlCorrection.model_validate(plain), None)
    found = counted(columns, ControlCorrection.model_validate({**section, "sideband": side}), None)
    assert with_background.value[0] < 0.86
    assert abs(found.value[0] - 0.9) < 3 * found.error[0]
    assert found.error[0] < 0.004
    # of what is left some 50 000 are the peak's
    assert 35_000 < found.effective[0] < 50_000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "ratio", "peak": ""}, "`scaled` is of method scale"),
        (
            {"sideband": {"column": "x", "signal": [1, 2], "side": [3, 4], "threshold": TAG}},
            "`sideband` is of the methods",
        ),
    ],
)
def test_errors_of_scales(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ControlCorrection.model_validate({**SCALE, **change})


def test_a_sideband_is_apart_from_its_peak() -> None:
    with pytest.raises(ValueError, match=r"must be ranges apart, above the threshold 0\.0001"):
        Sideband.model_validate({"column": "x", "signal": [1, 2], "side": [1.5, 4], "threshold": TAG})


# Nuisances that entries share, and factors that are no weights --------------------------------------------------------


def kaons() -> Correction:
    factors = {"nominal": np.array([0.9, 0.8]), "up": np.array([0.99, 0.84]), "down": np.array([0.81, 0.76])}
    more = {"stat_up": np.array([0.95, 0.83]), "syst_up": np.array([0.93, 0.81])}
    return Correction("id", "", ("p",), (np.array([0.0, 1.0, 2.0]),), factors | more)


def test_entries_of_one_nuisance_are_one_error() -> None:
    columns = {"weight": np.ones(2), "a": np.array([0.5, 1.5]), "b": np.array([0.5, 0.5]), "var_id_up": np.full(2, 9.0)}
    applied = {"id": Applied(kaons(), ({"p": "a"},)), "more": Applied(kaons(), ({"p": "b"},), nuisance="id")}
    found = with_corrections(columns, applied)
    assert found["weight"] == pytest.approx([0.81, 0.72])
    assert found["var_id_up"] == pytest.approx([1.1**2, 1.1 * 1.05])
    assert found["var_id_down"] == pytest.approx([0.9**2, 0.9 * 0.95])
    assert "var_more_up" not in found


def test_a_factor_that_is_no_weight_becomes_columns() -> None:
    columns = {"weight": np.ones(2), "a": np.array([0.5, 1.5])}
    found = with_corrections(columns, {"scale": Applied(kaons(), ({"p": "a"},), weight=False)})
    assert found["weight"].tolist() == [1.0, 1.0]
    assert found["factor_scale"].tolist() == [0.9, 0.8]
    assert found["stat_scale"] == pytest.approx([0.05, 0.03])
    assert found["syst_scale"] == pytest.approx([0.03, 0.01])
    assert found["bin_scale"].tolist() == [0, 1]
    bare = Correction("id", "", ("p",), (np.array([0.0, 1.0]),), {"nominal": np.ones(1)})
    with pytest.raises(InputError, match=r"no variations \['stat_up', 'syst_up'\]; a factor that is no weight needs"):
        with_corrections(columns, {"scale": Applied(bare, ({"p": "a"},), weight=False)})
    one = {"correction": "id", "file": "x.json", "inputs": [{"p": "a"}, {"p": "b"}], "weight": False}
    with pytest.raises(ValueError, match="weight: false goes with the inputs of one object, not of 2"):
        AppliedCorrection.model_validate(one)


# What the measurement makes of it ---------------------------------------------------------------------------------


APPLIED = CorrectionConfig(column="m_scaled", step=1e-3, applied=True, injected="tracks.momentum_scale")


def test_errors_of_bins_add_in_quadrature_and_the_common_one_does_not() -> None:
    n = 1000
    low = np.arange(n) < 400
    table = {
        "m": np.full(n, 1.777), "m_scaled": np.full(n, 1.777 + 6e-4), "weight": np.ones(n),
        "theta": np.where(low, 0.5, 1.5), "factor_scale": np.where(low, 0.9995, 1.0),
        "stat_scale": np.where(low, 1e-4, 2e-4), "syst_scale": np.full(n, 3e-5), "bin_scale": np.where(low, 0.0, 1.0),
    }  # fmt: skip
    formula = Formula(formula="1+a*theta", constants={"a": Tagged(value=-4e-4, source="assumed")})
    moves = slope_at(table, "m", APPLIED, np.ones(n, dtype=bool))
    found = found_in("scale", table, (formula, {"theta": "theta"}), table, moves)
    assert found.record["slope"] == pytest.approx(0.6)
    assert found.record["statistical"] == pytest.approx(np.hypot(0.4 * 1e-4, 0.6 * 2e-4))
    assert found.record["residual"] == pytest.approx(3e-5)
    assert found.record["true"] == pytest.approx(-4e-4 * (0.4 * 0.5 + 0.6 * 1.5))
    assert np.asarray(found.left)[[0, -1]] == pytest.approx([-2e-4 + 5e-4, -6e-4])
    with pytest.raises(RunError, match=r"no columns \['factor_other', .* `corrections.other` of the search makes them"):
        found_in("other", table, (formula, {"theta": "theta"}), table, moves)
    with pytest.raises(RunError, match="drawn from its `size` and measured by its `control`; give both"):
        drawn(APPLIED, 0.6, np.random.default_rng(1))


def test_a_nuisance_of_weights_moves_the_edge() -> None:
    section = {
        "hypothesis": "tau", "reference": 1.777, "observable": "m", "window": [1.70, 1.85], "bin_width": 0.001,
        "variations": ["tracking"],
    }  # fmt: skip
    config = MeasurementConfig.model_validate(section)
    rng = np.random.default_rng(3)
    n = 40_000
    m = np.where(rng.random(n) < 0.85, 1.777 - 0.2 * rng.random(n), 1.777 + 0.1 * rng.random(n) ** 2)
    table = {"m": m + rng.normal(0.0, 0.004, n), "weight": np.full(n, 30.0)}
    even = {"var_tracking_up": np.full(n, 1.01), "var_tracking_down": np.full(n, 0.99)}
    edge = spectrum(table, config).edge
    assert _variations({**table, **even}, config, edge)["tracking"] < 1e-8
    tilt = 1 + 2.0 * (table["m"] - 1.777)
    moved = _variations({**table, "var_tracking_up": tilt, "var_tracking_down": 2 - tilt}, config, edge)
    assert 1e-6 < moved["tracking"] < 1e-3
    with pytest.raises(RunError, match=r"no columns \['var_tracking_up', 'var_tracking_down'\]"):
        _variations(table, config, edge)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"injected": ""}, "`applied: true` and `injected` go together"),
        ({"size": TAG, "control": None}, "give `size` and `control`, or `applied: true` and `injected`, one of both"),
        ({"applied": False, "injected": ""}, "give `size` and `control`, or"),
    ],
)
def test_a_distortion_has_one_origin(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CorrectionConfig.model_validate({**APPLIED.model_dump(), **change})


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ({"tau_mass": {"measurement": {"corrections": {"momentum_scale": {"injected": "tracks.other"}}}}},
         "'tracks.other': nothing of that name in the detector part of the response 'belle2_pseudodata'"),
        ({"tau_mass": {"corrections": {"momentum_scale": {"weight": True}}}},
         r"no entry 'momentum_scale' in `corrections` that is of a control sample and has `weight: false`; it has"),
        ({"tau_mass": {"measurement": {"corrections": {"momentum_scale": {"injected": "tracks.efficiency"}}}}},
         "momentum_scale.injected.formula: this key is required"),
        ({"b_to_k_longlived": {"corrections": {"displaced": {"weight": False}}}},
         "kind search takes corrections as weights; `weight: false` is for measurements"),
    ],
)  # fmt: skip
def test_wrong_uses_of_scales_are_told(override: dict[str, Any], message: str) -> None:
    campaign = load_campaign("tiny", overrides=[{"overrides": override}])
    with pytest.raises(ConfigError, match=message):
        check_campaign(campaign)


def test_the_scale_depends_on_inputs_of_the_correction(monkeypatch: pytest.MonkeyPatch) -> None:
    campaign = load_campaign("tiny")
    get = type(campaign.library).get

    def other(self: Any, kind: str, name: str, *rest: Any, **more: Any) -> dict[str, Any]:
        found = get(self, kind, name, *rest, **more)
        if kind != "responses":
            return found
        scale = {"momentum_scale": {"formula": "1+1e-3*pt"}}
        return {**found, "detector": {**found["detector"], "tracks": {**found["detector"]["tracks"], **scale}}}

    monkeypatch.setattr(type(campaign.library), "get", other)
    with pytest.raises(ConfigError, match=r"depends on \['pt'\], and the correction has the inputs \['theta'\]"):
        check_campaign(campaign)


def test_the_measurement_knows_what_its_pseudo_data_have() -> None:
    planner = Planner(load_campaign("tiny"))
    w = {"search": "tau_mass", "dataset": "belle2_190fb"}
    injected = planner.measure(w)["injected"]["momentum_scale"]
    assert injected["inputs"] == {"theta": "theta_three_tracks"}
    formula = Formula.model_validate(injected["formula"])
    assert abs(float(formula(theta=np.array([1.0]))[0]) - 1) > 1e-4
    applied = planner.select(w | {"sample": "belle2_tautau_3pi", "block": "all"})["corrections"]
    assert (applied["tracking"]["weight"], applied["momentum_scale"]["weight"]) == (True, False)
