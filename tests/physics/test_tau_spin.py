"""Spin correlations against a direct evaluation of |sum M D1 D2|^2 with Dirac spinors."""

from __future__ import annotations

import numpy as np
import pytest
from amplitude_points import make

from darkfactory.generate.taus.currents import polarimeter
from darkfactory.generate.taus.samplers import LeptonSampler, TwoBodySampler, random_rotations
from darkfactory.generate.taus.spin import (
    conditional,
    correlations,
    from_helicity_frame,
    helicity_axes,
    joint_weight,
    turn,
)
from darkfactory.physics.constants import M_MU, M_PIPLUS
from darkfactory.physics.dirac import GAMMA, METRIC, bar, u_spinor, v_spinor

M_TAU = 1.77693
SQRTS = 10.58
LOWER = np.einsum("mn,nij->mij", METRIC, GAMMA)
P_LEFT = np.diag([1, 1, 0, 0]).astype(complex)


def tau_pairs(cos: np.ndarray, phi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    k = np.sqrt(SQRTS**2 / 4 - M_TAU**2)
    s = np.sqrt(1 - cos**2)
    minus = np.stack([np.full(len(cos), SQRTS / 2), k * s * np.cos(phi), k * s * np.sin(phi), k * cos], axis=1)
    return minus, minus * [1, -1, -1, -1]


def amplitudes(minus: np.ndarray, plus: np.ndarray, m_tau: float = M_TAU) -> np.ndarray:
    """e-(+z) e+(-z) -> tau- tau+ by a photon: (n, h_e, h1, h2), helicities ordered (-1, +1), massless beams."""
    e = SQRTS / 2
    electron = np.tile([e, 0, 0, e], (len(minus), 1)).astype(float)
    positron = electron * [1, 1, 1, -1]
    out = np.zeros((len(minus), 2, 2, 2), dtype=complex)
    for a, h in enumerate((1, -1)):
        left = np.einsum("ni,mij,nj->nm", bar(v_spinor(positron, 0.0, -h)), GAMMA, u_spinor(electron, 0.0, h))
        for b, h1 in enumerate((-1, 1)):
            for c, h2 in enumerate((-1, 1)):
                u, v = u_spinor(minus, m_tau, h1), v_spinor(plus, m_tau, h2)
                out[:, a, b, c] = np.einsum("nm,ni,mij,nj->n", left, bar(u), LOWER, v)
    return out


def density(m: np.ndarray) -> np.ndarray:
    return np.einsum("nabc,nade->nbdce", m, m.conj())


def decay_minus(p: np.ndarray, nu: np.ndarray, j: np.ndarray) -> np.ndarray:
    """ubar(nu) gamma_mu P_L u(p, h) J^mu, (n, 2)."""
    left = np.einsum("ni,mij,jk,nm->nk", bar(u_spinor(nu, 0.0, -1)), LOWER, P_LEFT, j)
    return np.stack([(left * u_spinor(p, M_TAU, h)).sum(1) for h in (-1, 1)], axis=1)


def decay_plus(p: np.ndarray, nubar: np.ndarray, j: np.ndarray) -> np.ndarray:
    """vbar(p, h) gamma_mu P_L v(nubar) J^mu, (n, 2)."""
    right = np.einsum("mij,jk,nk,nm->ni", LOWER, P_LEFT, v_spinor(nubar, 0.0, 1), j)
    return np.stack([(bar(v_spinor(p, M_TAU, h)) * right).sum(1) for h in (-1, 1)], axis=1)


@pytest.fixture(scope="module")
def pairs() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    minus, plus = tau_pairs(2 * rng.random(500) - 1, 2 * np.pi * rng.random(500))
    return minus, plus, amplitudes(minus, plus)


def test_axes_are_rotations_that_bring_z_to_the_momentum() -> None:
    k = np.vstack([np.random.default_rng(1).normal(size=(50, 3)), [[0, 0, 2.0], [0, 0, -2.0], [0, 0, 0]]])
    p = np.column_stack([np.sqrt(M_TAU**2 + (k**2).sum(1)), k])
    a = helicity_axes(p)
    np.testing.assert_allclose(a @ a.transpose(0, 2, 1), np.broadcast_to(np.eye(3), a.shape), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(a), 1, atol=1e-12)
    np.testing.assert_allclose((a[:-1, :, 2] * np.linalg.norm(k[:-1], axis=1)[:, None]), k[:-1], atol=1e-12)


@pytest.mark.parametrize("hadron", ["pion", "complex current"])
def test_joint_weight_is_the_square_of_the_spinor_amplitude(
    pairs: tuple[np.ndarray, np.ndarray, np.ndarray], hadron: str
) -> None:
    minus, plus, m = pairs
    n = len(minus)
    rng = np.random.default_rng(5)
    p1, p2, c = correlations(density(m))
    h, d, traces = [], [], np.ones(n)
    for p, plus_side in ((minus, False), (plus, True)):
        m_had = np.full(n, M_PIPLUS if hadron == "pion" else 1.1)
        k = (M_TAU**2 - m_had**2) / (2 * M_TAU)
        rot = random_rotations(n, rng)
        nu = np.concatenate([k[:, None], -k[:, None] * rot[:, :, 2]], axis=1)
        total = np.concatenate([(M_TAU - k)[:, None], k[:, None] * rot[:, :, 2]], axis=1)
        if hadron == "pion":
            j, vec = total.astype(complex), rot[:, :, 2]
        else:
            # J in the hadronic frame, z along the hadrons' flight; boosted and turned by hand
            rest = rng.normal(size=(n, 3)) + 1j * rng.normal(size=(n, 3))
            g, b = (M_TAU - k) / m_had, k / m_had
            boosted = np.stack([b * rest[:, 2], rest[:, 0], rest[:, 1], g * rest[:, 2]], axis=1)
            j = np.concatenate([boosted[:, :1], np.einsum("nij,nj->ni", rot, boosted[:, 1:])], axis=1)
            vec = np.einsum("nij,nj->ni", rot, polarimeter(rest, M_TAU / m_had)[1])
        if plus_side:
            nu, j = nu * [1, -1, -1, -1], j * [1, -1, -1, -1]
        # to the CM frame; real and imaginary parts are four-vectors
        stack = from_helicity_frame(np.stack([nu, j.real, j.imag], axis=1), p)
        current = stack[:, 1] + 1j * stack[:, 2]
        amplitude = (decay_plus if plus_side else decay_minus)(p, stack[:, 0], current)
        traces = traces * (np.abs(amplitude) ** 2).sum(1)
        h.append(vec)
        d.append(amplitude)
    full = (np.abs(np.einsum("nabc,nb,nc->na", m, d[0], d[1])) ** 2).sum(1)
    direct = full / (traces * (np.abs(m) ** 2).sum((1, 2, 3)))
    np.testing.assert_allclose(direct, joint_weight(h[0], h[1], p1, p2, c), atol=1e-12)
    assert direct.max() < 0.5 + 1e-9
    assert direct.mean() == pytest.approx(0.25, abs=0.02)


def test_lepton_polarimeter_from_spinors() -> None:
    # |ubar(nu) gamma_mu P_L u(tau) ubar(l) gamma^mu P_L v(nubar)|^2 summed over the lepton's helicity
    p, h = LeptonSampler(M_TAU, 13, M_MU).sample(300, np.random.default_rng(7))
    tau = np.tile([M_TAU, 0, 0, 0], (300, 1)).astype(float)
    rows = []
    for hl in (1, -1):
        lepton = np.einsum(
            "ni,mij,jk,nk->nm", bar(u_spinor(p[:, 1], M_MU, hl)), GAMMA, P_LEFT, v_spinor(p[:, 2], 0.0, 1)
        )
        rows.append(decay_minus(tau, p[:, 0], lepton))
    # D_h = conj(a_h): the probability is a^dagger rho a and the polarimeter a^dagger sigma a
    dm = sum(np.einsum("nh,nk->nhk", a, a.conj()) for a in rows)
    # Pauli matrices for states ordered (down, up)
    pauli = np.array([[[0, 1], [1, 0]], [[0, 1j], [-1j, 0]], [[-1, 0], [0, 1]]])
    norm = np.einsum("nhh->n", dm).real
    vec = np.einsum("nhk,ahk->na", dm, pauli).real / norm[:, None]
    np.testing.assert_allclose(vec, h, atol=1e-9)
    # the squared amplitude is (p_tau.p_nubar)(p_l.p_nu) times a constant
    dot = (p[:, 1] * p[:, 0] * [1, -1, -1, -1]).sum(1) * M_TAU * p[:, 2, 0]
    np.testing.assert_allclose(norm / dot, np.full(300, (norm / dot)[0]), rtol=1e-8)


def test_pair_is_fully_correlated_at_high_energy(pairs: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    _, _, m = pairs
    p1, p2, c = correlations(density(m))
    np.testing.assert_allclose(p1, 0, atol=1e-12)
    np.testing.assert_allclose(p2, 0, atol=1e-12)
    # opposite helicities: C_zz = -(1 + cos^2 - sin^2/gamma^2)/(1 + cos^2 + sin^2/gamma^2)
    rng = np.random.default_rng(3)
    cos = 2 * rng.random(500) - 1
    g2 = (SQRTS / 2 / M_TAU) ** 2
    a, b = 1 + cos**2, (1 - cos**2) / g2
    np.testing.assert_allclose(c[:, 2, 2], -(a - b) / (a + b), atol=1e-12)


def test_turning_gives_the_spin_weighted_distribution() -> None:
    rng = np.random.default_rng(11)
    n = 200_000
    pol = np.tile([0.3, -0.4, 0.5], (n, 1))
    k, h = TwoBodySampler(M_TAU, (-211, 16), (M_PIPLUS, 0.0), 1.0).sample(n, rng)
    turned, h2 = turn(k, h, pol, rng.random(n))
    size = np.sqrt(0.5)
    c = (h2 * pol).sum(1) / size
    assert c.mean() == pytest.approx(size / 3, abs=5 * 0.6 / np.sqrt(n))
    assert (c**2).mean() == pytest.approx(1 / 3, abs=0.003)
    # rotations: momenta follow, and nothing but the direction along P is preferred
    axis = turned[:, 0, 1:] / np.linalg.norm(turned[:, 0, 1:], axis=1)[:, None]
    np.testing.assert_allclose(axis, h2, atol=1e-12)
    np.testing.assert_allclose(h2.mean(0), pol[0] / 3, atol=0.006)


def test_conditional_polarisation_reproduces_the_joint_weight(
    pairs: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    p1, p2, c = correlations(density(pairs[2]))
    h = random_rotations(2 * len(p1), np.random.default_rng(2))[:, :, 0]
    h1, h2 = h[: len(p1)], h[len(p1) :]
    q = conditional(h1, p1, p2, c)
    assert (q**2).sum(1).max() <= 1 + 1e-9
    product = 0.25 * (1 + (h1 * p1).sum(1)) * (1 + (h2 * q).sum(1))
    np.testing.assert_allclose(product, joint_weight(h1, h2, p1, p2, c), atol=1e-12)


def test_spin_density_of_the_amplitude_engine_has_these_conventions(
    pairs: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    amplitude = make(["tau-", "tau+"])
    m_tau = amplitude.legs[2].mass
    e = SQRTS / 2
    minus, _, _ = pairs
    n = len(minus)
    k, k_e = np.sqrt(e * e - m_tau**2), np.sqrt(e * e - amplitude.legs[0].mass ** 2)
    unit = minus[:, 1:] / np.linalg.norm(minus[:, 1:], axis=1)[:, None]
    tau = np.concatenate([np.full((n, 1), e), k * unit], axis=1)
    beam = np.tile([e, 0, 0, k_e], (n, 1))
    flip = np.array([1, -1, -1, -1])
    p = np.stack([beam, beam * flip, tau, tau * flip], axis=1)
    ours = correlations(density(amplitudes(tau, tau * flip, m_tau)))
    theirs = correlations(amplitude.spin_density(p, (2, 3)))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
