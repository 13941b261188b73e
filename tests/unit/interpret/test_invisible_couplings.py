"""Couplings of invisible particles of B decays from limits on branching fractions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from darkfactory.config.base import Tagged
from darkfactory.config.interpretation import FormFactor, InterpretationConfig, InvisibleRegion, MesogenesisRegion
from darkfactory.interpret.invisible import invisible_rows
from darkfactory.models.b_invisible import branching_fraction_invisible
from darkfactory.models.b_to_s import alp_w_coupling, branching_fraction_alp, branching_fraction_scalar
from darkfactory.models.examples import FLAVOUR
from darkfactory.models.mesogenesis import baryon_psi_branching_fraction, baryon_psi_width

KAON: dict[str, Any] = {
    "hypothesis": "kplus",
    "hadron": "K+",
    "ckm": FLAVOUR.v_tb_v_ts,
    "m_q": FLAVOUR.m_s,
    "form_factor": FLAVOUR.f0,
}
ALP = InvisibleRegion(**KAON, particle="alp_w", coupling="g_aw")
HIGGS = InvisibleRegion(**KAON, particle="dark_higgs", coupling="sin_theta")
PROTON = MesogenesisRegion(
    hypothesis="proton",
    baryon="p",
    f_r=Tagged(value=0.02, source="recalled"),
    f_l=Tagged(value=0.0, source="assumed"),
    tau_ps=Tagged(value=1.638, source="recalled"),
)


def test_kaons_have_the_rates_of_the_visible_searches() -> None:
    m = np.array([0.0, 1.0, 3.0, 4.7, 5.0])
    np.testing.assert_allclose(
        branching_fraction_invisible(m, ALP, FLAVOUR), branching_fraction_alp(m, "K+", FLAVOUR, alp_w_coupling(FLAVOUR))
    )
    np.testing.assert_allclose(
        branching_fraction_invisible(m, HIGGS, FLAVOUR), branching_fraction_scalar(m, "K+", FLAVOUR), rtol=1e-9
    )


def test_both_chiralities_interfere_as_in_spin_sums() -> None:
    """|ubar (F_R P_R + F_L P_L qslash/m) u|^2 summed over spins with explicit matrices."""
    m_b, m_n, m_psi, f_r, f_l = 5.0, 1.0, 2.0, 0.7, -0.4
    zero, one = np.zeros((2, 2)), np.eye(2)
    sigma = [np.array(s) for s in ([[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]])]
    gamma = [np.block([[zero, one], [one, zero]]), *(np.block([[zero, s], [-s, zero]]) for s in sigma)]
    five = np.diag([-1.0, -1, 1, 1])
    p = np.sqrt((m_b**2 - (m_n + m_psi) ** 2) * (m_b**2 - (m_n - m_psi) ** 2)) / (2 * m_b)

    def slash(v: list[float]) -> np.ndarray:
        return np.asarray(v[0] * gamma[0] - sum(x * g for x, g in zip(v[1:], gamma[1:], strict=True)))

    baryon = slash([np.hypot(p, m_n), 0, 0, p]) + m_n * np.eye(4)
    # the dark antibaryon: its momentum is q
    q = slash([np.hypot(p, m_psi), 0, 0, -p])
    vertex = f_r * (np.eye(4) + five) / 2 + f_l / m_n * (np.eye(4) - five) / 2 @ q
    bar = gamma[0] @ vertex.conj().T @ gamma[0]
    square = np.trace(baryon @ vertex @ (q + m_psi * np.eye(4)) @ bar).real
    # a two-body width of |M|^2
    wanted = square * p / (8 * np.pi * m_b**2)
    assert float(baryon_psi_width(m_psi, m_b, m_n, f_r, f_l)) == pytest.approx(wanted, rel=1e-9)


def test_rows_are_roots_of_limits_over_rates() -> None:
    config = InterpretationConfig(invisible={"alp": ALP}, mesogenesis={"dark": PROTON}, flavour=FLAVOUR)
    columns = ("observed", "expected_m2", "expected_m1", "expected", "expected_p1", "expected_p2")
    row = {"search": "s", "dataset": "d", "point": "m1p00000", "mass_gev": 1.0, "quantity": "branching_fraction"}
    limits = [row | {"hypothesis": h} | dict.fromkeys(columns, 1e-5) for h in ("kplus", "proton", "other")]
    limits[0]["observed"] = None
    alp, dark = invisible_rows(limits, config)
    assert (alp["model"], alp["observed"], alp["upper"]) == ("alp", None, None)
    assert float(branching_fraction_invisible(1.0, ALP, FLAVOUR)) * alp["expected"] ** 2 == pytest.approx(1e-5)
    assert float(baryon_psi_branching_fraction(1.0, PROTON, dark["upper"])) == pytest.approx(1e-5)
    assert (dark["quantity"], dark["unit"], dark["lower"]) == ("g_operator", "1/GeV^2", None)


def test_couplings_go_with_their_particle() -> None:
    with pytest.raises(ValueError, match="coupling: g_aw is not that of dark_higgs"):
        InvisibleRegion(**KAON, particle="dark_higgs", coupling="g_aw")
    with pytest.raises(ValueError, match="invisible need the inputs `flavour`"):
        InterpretationConfig(invisible={"alp": ALP})
    assert FormFactor(coefficients=(1.0,), pole=5.0, source="assumed").uncertainty == 0
