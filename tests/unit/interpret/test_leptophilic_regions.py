"""Couplings of a scalar whose lifetime and rate both follow from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from darkfactory.config.interpretation import InterpretationConfig, LeptophilicRegion
from darkfactory.config.load import read_yaml, validate
from darkfactory.config.points import point_name
from darkfactory.core.errors import ConfigError, InputError
from darkfactory.interpret.regions import leptophilic_expectation, leptophilic_rows
from darkfactory.models.leptophilic_scalar import branching_fraction, ctau_cm

REGION = LeptophilicRegion(hypotheses={"light": "ee", "heavy": "mumu"}, scan=(0.01, 100.0), steps=2001)
LIFETIMES = np.geomspace(1e-3, 1e3, 25)


def rows_of(hypothesis: str, mass: float, limit: Any, lifetimes: Any = LIFETIMES) -> list[dict[str, Any]]:
    common = {"search": "s", "dataset": "d", "hypothesis": hypothesis, "cl": 0.9, "method": "exact", "data": "pseudo"}
    return [
        common
        | {"point": point_name({"mass": mass, "lifetime": float(t)}), "observed": limit(t), "expected": 2 * limit(t)}
        for t in lifetimes
    ]


def excluded(hypothesis: str, mass: float, limit: Any, rate: float, lifetimes: Any = LIFETIMES) -> dict[str, Any]:
    limits = rows_of(hypothesis, mass, limit, lifetimes)
    rates = {(hypothesis, r["point"]): rate for r in limits}
    return {r["quantity"]: r for r in leptophilic_rows(limits, rates, "leptophilic_scalar", REGION)}


@pytest.mark.parametrize("mass", [0.05, 0.1, 0.2])
def test_the_edge_solves_rate_and_limit_together(mass: float) -> None:
    """limit = a (1 + ctau/b) and rate = c xi^2 with ctau = d/xi^2: a quadratic equation of xi^2."""
    a, b, c, d = 2.0, 0.5, 5.0, float(ctau_cm(mass))
    found = excluded("light", mass, lambda t: a * (1 + t / b), c, np.geomspace(1e-3, 1e3, 601))
    for quantity, scale in (("xi", 1.0), ("xi_expected", 2.0)):
        k = a * scale
        expected = np.sqrt((k + np.sqrt(k * k + 4 * c * k * d / b)) / (2 * c))
        assert found[quantity]["lower"] == pytest.approx(expected, rel=2e-3)
        # the other end is where the lifetimes of the scan end
        assert found[quantity]["upper"] == pytest.approx(np.sqrt(d / 1e-3), rel=0.01)
        assert found[quantity]["status"] == "not_bracketed"


def test_a_lifetime_that_hides_the_scalar_ends_the_region_below() -> None:
    found = excluded("light", 0.1, lambda t: 1.0 if t < 0.1 else 1e9, 10.0, [1e-3, 0.09, 0.11, 1e3])
    # c tau of 0.09 cm and more is invisible
    assert np.sqrt(ctau_cm(0.1) / 0.11) < found["xi"]["lower"] < np.sqrt(ctau_cm(0.1) / 0.09) * 1.01


def test_branching_fractions_multiply_the_rate() -> None:
    found = leptophilic_expectation("mumu", 5.0, 7.0)(2.0)
    assert found.rate == pytest.approx(28.0 * float(branching_fraction(5.0, "mumu")))
    assert found.ctau == pytest.approx(float(ctau_cm(5.0)) / 4)


def test_nothing_is_excluded_where_limits_are_weak() -> None:
    found = excluded("light", 0.1, lambda t: 1e12, 1.0)
    assert found["xi"]["status"] == "no_sensitivity"
    assert found["xi"]["lower"] is None


def test_points_without_a_lifetime_are_left_to_models() -> None:
    limits = [r | {"point": "m1p00000"} for r in rows_of("heavy", 1.0, lambda t: 1.0, [1.0])]
    assert leptophilic_rows(limits, {}, "x", REGION) == []


def test_a_point_without_a_rate() -> None:
    with pytest.raises(InputError, match=r"no cross-section for .*rerun the stage `templates`"):
        leptophilic_rows(rows_of("light", 0.1, lambda t: 1.0), {}, "x", REGION)


def test_a_scan_must_rise() -> None:
    bad = {"leptophilic": {"x": {"hypotheses": {"light": "ee"}, "scan": [1.0, 0.1]}}}
    with pytest.raises(ConfigError, match="must rise from above 0"):
        validate(InterpretationConfig, bad)


def test_a_name_serves_one_model() -> None:
    dark = read_yaml(Path(__file__).parents[3] / "config" / "searches" / "inelastic_dm_dark_higgs.yaml")
    section = dark["interpretation"]
    section["leptophilic"] = {"inelastic_dm_theta": {"hypotheses": {"light": "ee"}, "scan": [0.1, 1.0]}}
    with pytest.raises(ConfigError, match=r"\['inelastic_dm_theta'\] are both in regions and in leptophilic"):
        validate(InterpretationConfig, section)
