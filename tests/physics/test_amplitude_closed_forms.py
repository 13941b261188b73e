"""Squared amplitudes against formulas of the literature."""

from __future__ import annotations

import numpy as np
import pytest
from amplitude_points import SQRT_S, make, points, product

from darkfactory.generate.amplitude.engine import Amplitude

S = SQRT_S**2
ALPHA = 1 / 137.036
E2 = 4 * np.pi * ALPHA
# light enough to compare with massless formulas; corrections are of order m^2 / s
MASSLESS = {"m_e": 1e-7, "m_mu": 1e-7}


def _berends_kleiss(p: np.ndarray, bhabha: bool) -> np.ndarray:
    pm, pp, qm, qp, k = (p[:, i] for i in range(5))
    s, t, u = (product(v, v) for v in (pm + pp, pm - qm, pm - qp))
    s1, t1, u1 = (product(v, v) for v in (qm + qp, pp - qp, pp - qm))
    j = sum(sign * v / product(v, k)[:, None] for sign, v in ((1, pm), (-1, pp), (-1, qm), (1, qp)))
    w = -product(j, j)
    if bhabha:
        poly = s * s1 * (s**2 + s1**2) + t * t1 * (t**2 + t1**2) + u * u1 * (u**2 + u1**2)
        return E2**3 * poly / (s * s1 * t * t1) * w
    return E2**3 * (t**2 + t1**2 + u**2 + u1**2) / (s * s1) * w


def _dsigma_dcos(amplitude: Amplitude, p: np.ndarray, m1: float, m2: float) -> tuple[np.ndarray, np.ndarray]:
    """cos theta of the first particle and d sigma / d cos, GeV^-2, for massless beams."""
    c = p[:, 2, 3] / np.sqrt((p[:, 2, 1:] ** 2).sum(1))
    root = np.sqrt((S - (m1 + m2) ** 2) * (S - (m1 - m2) ** 2)) / S
    return c, amplitude.squared(p, "numpy") * root / (32 * np.pi * S)


def test_muon_pairs_with_masses() -> None:
    a = make(["mu-", "mu+"])
    p = points(a, 200)
    x, y = (4 * leg.mass**2 / S for leg in (a.legs[0], a.legs[2]))
    c = p[:, 2, 3] / np.sqrt((p[:, 2, 1:] ** 2).sum(1))
    np.testing.assert_allclose(a.squared(p, "numpy"), E2**2 * (1 + x + y + (1 - x) * (1 - y) * c**2), rtol=1e-13)


@pytest.mark.parametrize(("lepton", "bhabha"), [("mu", False), ("e", True)])
def test_radiative_pairs_follow_berends_and_kleiss(lepton: str, bhabha: bool) -> None:
    a = make([f"{lepton}-", f"{lepton}+", "gamma"], parameters=MASSLESS)
    p = points(a, 1000)
    np.testing.assert_allclose(a.squared(p, "numpy"), _berends_kleiss(p, bhabha), rtol=1e-9)


def test_three_photons() -> None:
    a = make(["gamma"] * 3, parameters=MASSLESS)
    p = points(a, 1000)
    ab = [(product(p[:, 0], p[:, i]), product(p[:, 1], p[:, i])) for i in (2, 3, 4)]
    total = sum(x * y * (x * x + y * y) for x, y in ab)
    reference = E2**3 * S * total / np.prod([x * y for x, y in ab], axis=0)
    np.testing.assert_allclose(a.squared(p, "numpy"), reference, rtol=1e-9)
    assert a.symmetry_factor == pytest.approx(1 / 6)


def test_photon_pairs() -> None:
    a = make(["gamma", "gamma"], parameters=MASSLESS)
    c, d = _dsigma_dcos(a, points(a, 500), 0, 0)
    np.testing.assert_allclose(d, np.pi * ALPHA**2 / S * 2 * (1 + c * c) / (1 - c * c), rtol=1e-9)


def test_photon_and_alp() -> None:
    a = make(["gamma", "a"], parameters={**MASSLESS, "m_a": 1.0, "g_agg": 0.3})
    c, d = _dsigma_dcos(a, points(a, 500), 0, 1.0)
    np.testing.assert_allclose(d, ALPHA * 0.3**2 / 24 * (1 - 1 / S) ** 3 * 3 / 8 * (1 + c * c), rtol=1e-10)


@pytest.mark.parametrize("mass", [0.1, 3.0, 9.0])
def test_photon_and_dark_photon(mass: float) -> None:
    a = make(["gamma", "Ap"], parameters={**MASSLESS, "m_Ap": mass, "eps": 0.1})
    c, d = _dsigma_dcos(a, points(a, 500), 0, mass)
    r = mass**2 / S
    reference = 2 * np.pi * ALPHA**2 * 0.01 / S * (1 - r) * ((1 + c * c) + 4 * r / (1 - r) ** 2) / (1 - c * c)
    np.testing.assert_allclose(d, reference, rtol=1e-9)


@pytest.mark.parametrize(("m_ap", "m_hp"), [(1.0, 0.5), (4.0, 1.0), (7.0, 2.0)])
def test_dark_higgsstrahlung(m_ap: float, m_hp: float) -> None:
    a = make(["Ap", "hp"], ["Ap"], parameters={**MASSLESS, "m_Ap": m_ap, "m_hp": m_hp, "eps": 0.2, "g_D": 0.7})
    c, d = _dsigma_dcos(a, points(a, 500), m_ap, m_hp)
    r = m_ap**2 / S
    lam = (1 - (m_ap + m_hp) ** 2 / S) * (1 - (m_ap - m_hp) ** 2 / S)
    alpha_d = 0.7**2 / (4 * np.pi)
    sigma = np.pi * ALPHA * alpha_d * 0.2**2 / (3 * S) / (1 - r) ** 2 * np.sqrt(lam) * (lam + 12 * r)
    shape = (8 * r + lam * (1 - c * c)) / (16 * r + 4 / 3 * lam)
    np.testing.assert_allclose(d, sigma * shape, rtol=1e-10)


def _line_t(kind: str, u: np.ndarray, v: np.ndarray, a: float, r: float) -> np.ndarray:
    """T of f fbar X, s = 1: minus the trace of the hadronic tensor over orientations."""
    uv, u2 = u * v, u * u + v * v
    q = u2 / uv**2
    p = (u + v) / uv
    if kind == "Zp":
        top = 8 * u2 / uv + (16 + 32 * r + 16 * r * r - 64 * a * a) / uv
        return top - 8 * q * (r + 2 * a + 2 * a * r + 4 * a * a) - 16 * p * (1 + r + 2 * a)
    first = 4 * (u + v) ** 2 / uv
    if kind == "S":
        second = (8 * r * r + 32 * a - 48 * a * r + 64 * a * a) / uv
        return first + second + q * (16 * a - 4 * r - 8 * a * r + 32 * a * a) + p * (32 * a - 8 * r)
    return first + (8 * r * r - 16 * a * r) / uv - q * (4 * r + 8 * a * r) - 8 * r * p


@pytest.mark.parametrize(
    ("lepton", "boson", "parameters"),
    [
        ("mu", "Zp", {"m_Zp": 0.3}),
        ("mu", "Zp", {"m_Zp": 5.0}),
        ("tau", "Zp", {"m_Zp": 3.6}),
        ("mu", "S", {"m_S": 1.0}),
        ("mu", "a", {"m_a": 2.0, "c_all_f": 0.5 / 0.1056583755, "g_agg": 0.0}),
    ],
)
def test_lepton_pair_and_boson_averaged_over_orientations(lepton: str, boson: str, parameters: dict) -> None:
    """The lepton tensor averaged over rotations is (e^4 g^2 / 4 s^2) (4/3) s T (dossier 1.7, massless beams)."""
    a = make([f"{lepton}-", f"{lepton}+", boson], parameters={**parameters, "m_e": 1e-7})
    p = points(a, 40)
    # designs that integrate polynomials of second degree in the beam's direction exactly: the six axes
    total = np.zeros(len(p))
    for axis in (1, 2, 3):
        q = p.copy()
        q[:, :2] = p[:, :2]
        # exchange z with the axis in the final state, the beams stay
        q[:, 2:, [axis, 3]] = p[:, 2:, [3, axis]]
        total += a.squared(q, "numpy") / 3
    energies = 2 * p[:, 2:4, 0] / SQRT_S
    t = _line_t(boson, 1 - energies[:, 0], 1 - energies[:, 1], a.legs[2].mass ** 2 / S, a.legs[4].mass ** 2 / S)
    np.testing.assert_allclose(total, E2**2 / (3 * S) * t, rtol=1e-8)
