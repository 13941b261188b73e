"""Dirac spinors and matrices in the chiral representation, vectorised over events.

Conventions: metric (+,-,-,-), four-vectors ordered (E, px, py, pz) in GeV, gamma5 = diag(-1,-1,1,1),
P_L = (1 - gamma5)/2, helicity h = +1 or -1 (twice the spin projection on the momentum).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["GAMMA", "GAMMA0", "GAMMA5", "METRIC", "bar", "slash", "u_spinor", "v_spinor"]

_S = np.array([[[1, 0], [0, 1]], [[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]], dtype=complex)


def _gamma() -> NDArray[np.complex128]:
    g = np.zeros((4, 4, 4), dtype=complex)
    for mu in range(4):
        g[mu, :2, 2:] = _S[mu]
        g[mu, 2:, :2] = _S[mu] if mu == 0 else -_S[mu]
    return g


GAMMA: NDArray[np.complex128] = _gamma()
"""gamma^mu with upper index, shape (4, 4, 4)."""
GAMMA0: NDArray[np.complex128] = GAMMA[0]
GAMMA5: NDArray[np.complex128] = np.diag([-1, -1, 1, 1]).astype(complex)
METRIC: NDArray[np.float64] = np.diag([1.0, -1.0, -1.0, -1.0])


def _helicity_spinor(p: NDArray[np.float64], h: int) -> NDArray[np.complex128]:
    """Two-spinor with (sigma.p) chi = h |p| chi, shape (n, 2); stable for momenta along -z."""
    px, py, pz = p[:, 1], p[:, 2], p[:, 3]
    mod = np.sqrt(px * px + py * py + pz * pz)
    pt2 = px * px + py * py
    # |p| + pz without cancellation for backward momenta
    plus = np.where(pz >= 0, mod + pz, pt2 / np.where(mod - pz > 0, mod - pz, 1.0))
    safe = plus > 0
    norm = np.sqrt(2 * mod * np.where(safe, plus, 1.0))
    norm = np.where(norm > 0, norm, 1.0)
    up = np.where(safe, plus / norm, np.where(mod > 0, 0.0, 1.0))
    down = np.where(safe, (px + 1j * py) / norm, np.where(mod > 0, 1.0, 0.0))
    if h > 0:
        return np.stack([up.astype(complex), down], axis=1)
    return np.stack([-np.conj(down), up.astype(complex)], axis=1)


def _roots(p: NDArray[np.float64], m: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """sqrt(E - |p|) and sqrt(E + |p|), the first as m / sqrt(E + |p|) to avoid cancellation."""
    mod = np.sqrt(np.sum(p[:, 1:] ** 2, axis=1))
    plus = np.sqrt(p[:, 0] + mod)
    return m / plus, plus


def u_spinor(p: NDArray[np.float64], mass: float | NDArray[np.float64], h: int) -> NDArray[np.complex128]:
    """Particle spinor u(p, h), normalised to ubar u = 2m.

    Args:
        p: on-shell momenta, shape (n, 4), GeV.
        mass: mass in GeV, a number or shape (n,).
        h: helicity, +1 or -1.

    Returns:
        Spinors, shape (n, 4).

    Example:
        >>> p = np.array([[5.0, 0.0, 3.0, 4.0 * (1 - 1e-12) ** 0.5]])
        >>> u = u_spinor(np.array([[5.0, 0.0, 0.0, 4.0]]), 3.0, 1)
        >>> float((bar(u) * u).sum().real)
        6.0
    """
    low, high = _roots(p, np.broadcast_to(np.asarray(mass, dtype=float), (len(p),)))
    chi = _helicity_spinor(p, h)
    a, b = (low, high) if h > 0 else (high, low)
    return np.concatenate([a[:, None] * chi, b[:, None] * chi], axis=1)


def v_spinor(p: NDArray[np.float64], mass: float | NDArray[np.float64], h: int) -> NDArray[np.complex128]:
    """Antiparticle spinor v(p, h), normalised to vbar v = -2m; arguments as in :func:`u_spinor`.

    Example:
        >>> v = v_spinor(np.array([[5.0, 0.0, 0.0, 4.0]]), 3.0, 1)
        >>> float((bar(v) * v).sum().real)
        -6.0
    """
    low, high = _roots(p, np.broadcast_to(np.asarray(mass, dtype=float), (len(p),)))
    chi = _helicity_spinor(p, -h)
    a, b = (-high, low) if h > 0 else (low, -high)
    return h * np.concatenate([a[:, None] * chi, b[:, None] * chi], axis=1)


def bar(spinor: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Dirac adjoint, psi^dagger gamma^0.

    Example:
        >>> bool(bar(np.array([[1j, 0, 0, 0]]))[0, 2] == -1j)
        True
    """
    c = np.conj(spinor)
    return np.concatenate([c[:, 2:], c[:, :2]], axis=1)


def slash(p: NDArray[np.float64] | NDArray[np.complex128]) -> NDArray[np.complex128]:
    """gamma.p for momenta of shape (n, 4) with upper index; shape (n, 4, 4).

    Example:
        >>> bool(np.allclose(slash(np.array([[2.0, 0, 0, 0]]))[0], 2 * GAMMA0))
        True
    """
    return np.asarray(np.einsum("nm,mij->nij", p * np.diag(METRIC), GAMMA), dtype=complex)
