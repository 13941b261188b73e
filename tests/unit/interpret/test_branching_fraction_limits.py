"""Limits on branching fractions, and the scale of an ALP's lepton-flavour violating couplings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from darkfactory.config.interpretation import InterpretationConfig, ModelInterpretation
from darkfactory.interpret.comparison import compare_rows
from darkfactory.interpret.couplings import coupling_rows
from darkfactory.models.lfv_alp import branching_fraction, width
from darkfactory.physics.constants import M_MU, M_TAU


def row(quantity: str) -> dict[str, Any]:
    columns = ("observed", "expected_m2", "expected_m1", "expected", "expected_p1", "expected_p2")
    values = dict.fromkeys(columns, 1.78e-4)
    return {"hypothesis": "e", "point": "m1p00000", "mass_gev": 1.0, **values, "quantity": quantity, "cl": 0.9}


def test_limits_on_branching_fractions_do_not_ask_for_the_rate() -> None:
    ratio = ModelInterpretation(hypothesis="e", coupling="ratio", reference_coupling=1 / 0.178, power=1.0)
    scale = ModelInterpretation(hypothesis="e", coupling="inverse", branching_fraction="lfv_alp_e")
    config = InterpretationConfig(models={"ratio": ratio, "lfv_alp_e": scale})
    found = coupling_rows([row("branching_fraction")], {("e", "m1p00000"): 2.6e5}, config)
    assert found[0]["expected"] == pytest.approx(1e-3)
    # F = 1.14e7 GeV for a ratio of 1e-3 and 1 GeV
    assert 1 / found[1]["expected"] == pytest.approx(1.14e7, rel=5e-3)
    fb = coupling_rows([row("cross_section")], {("e", "m1p00000"): 2.6e5}, config)
    assert fb[0]["expected"] == pytest.approx(1e-3 / 2.6e5)


def test_the_width_is_the_squared_amplitude_over_phase_space() -> None:
    # <|M|^2> of (q_mu / 2f) lbar gamma^mu (c_V + c_A g5) tau, from the equations of motion, by hand
    f, c_v, c_a, m = 3.0, 0.7, 1.1, 0.9
    s, p = (M_TAU - M_MU) * c_v / (2 * f), (M_TAU + M_MU) * c_a / (2 * f)
    e_l = (M_TAU**2 + M_MU**2 - m**2) / (2 * M_TAU)
    k = np.sqrt(e_l**2 - M_MU**2)
    squared = 0.5 * 4 * ((s * s + p * p) * M_TAU * e_l + (s * s - p * p) * M_TAU * M_MU)
    assert float(width(m, "mu", f, c_v, c_a)) == pytest.approx(squared * k / (8 * np.pi * M_TAU**2), rel=1e-9)


def test_a_closed_channel_has_no_width() -> None:
    assert branching_fraction([1.68, 1.9], "mu").tolist() == [0.0, 0.0]
    with pytest.raises(ValueError, match="lepton 'tau' is unknown"):
        width(1.0, "tau")


def test_a_massless_particle_is_compared_where_the_table_has_it() -> None:
    table = [{"mass_GeV": m, "limit": x} for m, x in ((0.0, 2.0), (1.0, 1.0), (2.0, 4.0))]
    rows = [{"mass_gev": m, "expected": 4.0} for m in (0.0, 0.5, 1.0)]
    found = compare_rows(rows, table)
    assert [(r["mass_gev"], r["expected/published"]) for r in found] == [(0.0, 2.0), (1.0, 4.0)]
    assert [r["mass_gev"] for r in compare_rows(rows, table[1:])] == [1.0]
