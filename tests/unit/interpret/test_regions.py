"""Two-sided regions of couplings from limits against lifetimes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from darkfactory.config.interpretation import InelasticRegion, InterpretationConfig, ScalarTable
from darkfactory.config.load import read_yaml, validate
from darkfactory.config.points import point_name
from darkfactory.core.errors import ConfigError, InputError
from darkfactory.interpret.regions import LimitSurface, excluded_intervals, inelastic_expectation, region_rows
from darkfactory.models.dark_scalar import interpolate_log, muon_width
from darkfactory.models.inelastic_dm import chi2_total_width, higgsstrahlung_cross_section
from darkfactory.physics.lifetimes import ctau_from_width

SEARCH = read_yaml(Path(__file__).parents[3] / "config" / "searches" / "inelastic_dm_dark_higgs.yaml")
CONFIG = validate(InterpretationConfig, SEARCH["interpretation"])
THETA, EPSILON = CONFIG.regions["inelastic_dm_theta"], CONFIG.regions["inelastic_dm_epsilon"]


def table() -> ScalarTable:
    assert CONFIG.dark_scalar is not None
    return CONFIG.dark_scalar


def test_the_table_agrees_with_the_closed_form_of_muons() -> None:
    known = table()
    for mass, ctau, fraction in zip(known.mass, known.ctau_cm, known.mumu, strict=True):
        partial = float(ctau_from_width(muon_width(mass))) * fraction
        # 10 MeV above threshold the published table is interpolated
        assert partial == pytest.approx(ctau, rel=0.1 if mass > 0.23 else 0.2), mass


def test_a_limit_surface_is_exact_for_power_laws_and_ends_where_the_scan_does() -> None:
    nodes = (0.01, 0.1, 1.0, 10.0)
    surface = LimitSurface({(a, b): a**0.5 * b**-0.3 for a in nodes for b in nodes})
    assert surface(0.37, 2.2) == pytest.approx(0.37**0.5 * 2.2**-0.3)
    assert np.isinf(surface(0.009, 1.0))
    assert np.isinf(surface(1.0, 11.0))
    hole = LimitSurface({(1.0, 1.0): 1.0, (10.0, 1.0): 1.0, (10.0, 10.0): 1.0})
    assert hole(10.0, 5.0) == pytest.approx(1.0)
    assert np.isinf(hole(2.0, 5.0))


def test_intervals_are_where_a_power_law_crosses_one() -> None:
    x = np.geomspace(1e-3, 1e3, 61)
    # above one between 0.1 and 10
    strength = 10 ** (1 - np.abs(np.log10(x)))
    ((low, high, closed),) = excluded_intervals(x, strength)
    assert (low, high, closed) == (pytest.approx(0.1), pytest.approx(10.0), True)
    two = np.where(np.abs(np.log10(x)) < 0.45, 0.5, strength)
    assert len(excluded_intervals(x, two)) == 2
    # an end of the scan, and limits that end, are no crossings
    assert excluded_intervals(x, x) == [(pytest.approx(1.0), pytest.approx(1e3), False)]
    cut = np.where(x > 2.0, 0.0, strength)
    ((_, high, closed),) = excluded_intervals(x, cut)
    assert not closed
    assert high <= 2.0
    assert excluded_intervals(x, 0.1 * strength / strength.max()) == []


def test_rates_and_lifetimes_of_the_model() -> None:
    sample = higgsstrahlung_cross_section(10.58, 7.5, 0.5, 1.0, 1 / (4 * np.pi), charge=1.0)
    predict = inelastic_expectation(THETA, table(), "mumu", 0.5, sample)
    one = predict(1e-4)
    assert one.ctau == pytest.approx(8.10e-7 / 1e-8)
    width, electrons = chi2_total_width(2.5, 3.5, 7.5, 1e-3, 0.1)
    assert one.ctau2 == pytest.approx(float(ctau_from_width(width)))
    expected = higgsstrahlung_cross_section(10.58, 7.5, 0.5, 1e-3, 0.1, charge=2.0) * electrons * 0.110
    assert one.rate == pytest.approx(expected)
    # theta changes the lifetime alone; epsilon the rate and that of chi2
    assert predict(2e-4).rate == one.rate
    assert predict(2e-4).ctau == pytest.approx(one.ctau / 4)
    by_epsilon = inelastic_expectation(EPSILON, table(), "pipi", 0.5, sample)
    a, b = by_epsilon(1e-3), by_epsilon(3e-3)
    assert (b.rate / a.rate, b.ctau2 / a.ctau2, b.ctau) == (pytest.approx(9), pytest.approx(1 / 9), a.ctau)
    assert a.rate / one.rate == pytest.approx(2 / 3 * 0.889 / 0.110)


def limit_rows(limit: Any) -> list[dict[str, Any]]:
    """Rows of limits.csv with a limit that is a function of both lifetimes."""
    rows = []
    for t in np.geomspace(1e-3, 100.0, 21):
        for u in (0.1, 100.0):
            point = point_name({"mass": 0.5, "lifetime": round(float(t), 5), "lifetime2": u})
            value = limit(float(t))
            rows.append(
                {
                    "search": "s", "dataset": "d", "hypothesis": "mumu", "point": point, "mass_gev": 0.5, "cl": 0.9,
                    "method": "exact", "data": "pseudo", "observed": value, "expected": 2 * value,
                }
            )  # fmt: skip
    return rows


def test_a_region_of_theta_is_where_the_limit_is_below_the_rate() -> None:
    sample = 1e7
    rate = inelastic_expectation(THETA, table(), "mumu", 0.5, sample)(1e-4).rate
    # limits rise to both sides of 0.3 cm and reach the rate after a factor of ten
    rows = limit_rows(lambda t: rate * 10 ** (abs(np.log10(t / 0.3)) - 1))
    rates = {("mumu", r["point"]): sample for r in rows}
    found = region_rows(rows, rates, "inelastic_dm", THETA, table())
    observed, expected = ([r for r in found if r["quantity"] == q] for q in ("sin_theta", "sin_theta_expected"))
    unit = interpolate_log(0.5, table().mass, table().ctau_cm)
    assert observed[0]["lower"] == pytest.approx(np.sqrt(unit / 3.0), rel=0.05)
    assert observed[0]["upper"] == pytest.approx(np.sqrt(unit / 0.03), rel=0.05)
    assert (observed[0]["status"], observed[0]["point"]) == ("ok", "m0p50000")
    assert expected[0]["lower"] > observed[0]["lower"]
    weak = region_rows(limit_rows(lambda t: 10 * rate), rates, "inelastic_dm", THETA, table())
    assert {(r["status"], r["lower"]) for r in weak} == {("no_sensitivity", None)}
    with pytest.raises(InputError, match="no cross-section for"):
        region_rows(rows, {}, "inelastic_dm", THETA, table())


def test_regions_need_a_table_of_equal_columns() -> None:
    with pytest.raises(ConfigError, match="regions need the table `dark_scalar`"):
        validate(InterpretationConfig, {"regions": {"x": THETA.model_dump(mode="json")}})
    with pytest.raises(ConfigError, match="columns have different lengths"):
        validate(ScalarTable, {**table().model_dump(mode="json"), "kk": [0.0]})
    with pytest.raises(ConfigError, match="mass must rise"):
        validate(ScalarTable, {**table().model_dump(mode="json"), "mass": list(reversed(table().mass))})
    assert InelasticRegion.model_validate(THETA.model_dump()) == THETA
