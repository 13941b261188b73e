"""Neutral pions to a photon and an electron pair."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from darkfactory.physics.constants import ALPHA, M_E, M_PI0

__all__ = ["dalitz_fraction", "dalitz_spectrum"]

Array = NDArray[np.float64]
_NODES = 400


def dalitz_spectrum(q: ArrayLike, slope: float = 0.0) -> Array:
    """Rate of pi0 -> e e gamma over that of two photons, per pair mass, in 1/GeV.

    N. Kroll, W. Wada, Phys. Rev. 98, 1355 (1955), eq. (9): 4 alpha/(3 pi q) (1 - x)^3 (1 + 2 r) (1 - 4 r)^(1/2)
    |1 + a x|^2 with x = q^2/m_pi0^2 and r = m_e^2/q^2.

    Args:
        q: mass of the pair in GeV, between 2 m_e and m_pi0; zero outside.
        slope: the a of the form factor.

    Example:
        >>> dalitz_spectrum([0.0, 0.02, 0.1, 0.2]).round(4).tolist()
        [0.0, 0.1449, 0.0028, 0.0]
    """
    q = np.asarray(q, dtype=np.float64)
    inside = (q > 2 * M_E) & (q < M_PI0)
    safe = np.where(inside, q, 0.5 * M_PI0)
    x, r = (safe / M_PI0) ** 2, (M_E / safe) ** 2
    rate = 4 * ALPHA / (3 * np.pi) / safe * (1 - x) ** 3 * (1 + 2 * r) * np.sqrt(1 - 4 * r) * (1 + slope * x) ** 2
    return np.where(inside, rate, 0.0)


def dalitz_fraction(q_min: float, slope: float = 0.0) -> float:
    """Share of the decays to e e gamma whose pair is heavier than ``q_min`` GeV.

    Example:
        >>> round(dalitz_fraction(0.0), 6), round(dalitz_fraction(0.03), 3)
        (1.0, 0.172)
    """
    points, weights = np.polynomial.legendre.leggauss(_NODES)

    def above(low: float) -> float:
        if low >= M_PI0:
            return 0.0
        # the logarithm takes the pole, the square the root at the threshold
        reach = np.sqrt(np.log(M_PI0 / low))
        t = 0.5 * reach * (points + 1)
        q = low * np.exp(t * t)
        return float(np.sum(0.5 * reach * weights * 2 * t * q * dalitz_spectrum(q, slope)))

    return above(max(q_min, 2 * M_E)) / above(2 * M_E)
