"""Initial-state radiation in leading logarithms.

v is the lost share of the squared energy: s' = s (1 - v). gamma = (2 alpha/pi)(ln(s/m_e^2) - 1) is the exponent of
photons at all angles; where another matrix element has the photons with |cos| < c, only those outside remain.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gamma as gamma_function

from darkfactory.physics.constants import ALPHA, M_E

__all__ = ["exponent", "photon_cosine", "radiator"]

Array = NDArray[np.float64]
_EULER = 0.5772156649015329


def exponent(s: ArrayLike, inner_cos: float | None = None) -> Array:
    """Exponent of soft radiation from both beams.

    The eikonal factor gives, per unit of d ln(omega), (2 alpha/pi) times the integral over half the sphere of
    (1 + beta^2)/(2 (1 - beta^2 c^2)) - (1 - beta^2)/4 [1/(1 - beta c)^2 + 1/(1 + beta c)^2] (twice), which is
    (2 alpha/pi)(L - 1) over all angles. Photons with ``|cos| < inner_cos`` are left out by cutting that integral: the
    reduced exponent is the full one minus

        (2 alpha/pi) [(1 + beta^2)/(2 beta) ln((1 + beta c)/(1 - beta c)) - (1 - beta^2) c/(1 - beta^2 c^2)].

    (Yennie, Frautschi, Suura, Ann. Phys. 13 (1961) 379 for the eikonal factor; the cut is derived here.)

    Args:
        s: squared energy in GeV^2.
        inner_cos: photons with smaller |cos| are not counted.

    Example:
        >>> round(float(exponent(10.58**2)), 4), round(float(exponent(10.58**2, 0.95)), 4)
        (0.0877, 0.0707)
    """
    x = np.asarray(s, float)
    full = 2 * ALPHA / np.pi * (np.log(x / M_E**2) - 1)
    if inner_cos is None:
        return np.asarray(full)
    beta2 = 1 - 4 * M_E**2 / x
    beta, c = np.sqrt(beta2), inner_cos
    log = (1 + beta2) / (2 * beta) * np.log((1 + beta * c) / (1 - beta * c))
    return np.asarray(full - 2 * ALPHA / np.pi * (log - (1 - beta2) * c / (1 - beta2 * c * c)))


def radiator(v: ArrayLike, s: ArrayLike, gamma: ArrayLike) -> Array:
    """Radiator over gamma v^(gamma - 1): exponentiated, second order in leading logarithms.

    rho(v) = gamma v^(gamma-1) e^{gamma (3/4 - C)} / Gamma(1 + gamma) K { (1 + z^2)/2
    - (gamma/4) [ (1/2)(1 + 3 z^2) ln z + (1 - z)^2 ] }, z = 1 - v (Jadach, Skrzypek, Acta Phys. Pol. B 19 (1988) 1053,
    and Z. Phys. C 49 (1991) 577); K = 1 + (alpha/pi)(pi^2/3 - 1/2) is the rest of the first-order soft and virtual
    correction.

    Args:
        v: lost share of s.
        s: squared energy in GeV^2.
        gamma: the exponent.

    Example:
        >>> round(float(radiator(0.0, 111.9, 0.0877)), 4)
        1.0684
    """
    g, x = np.asarray(gamma, float), np.asarray(v, float)
    z = 1 - x
    front = np.exp(g * (0.75 - _EULER)) / gamma_function(1 + g) * (1 + ALPHA / np.pi * (np.pi**2 / 3 - 0.5))
    log = np.log(np.maximum(z, 1e-300))
    hard = (1 + z * z) / 2 - g / 4 * ((1 + 3 * z * z) / 2 * log + x * x)
    return np.asarray(front * hard + 0 * np.asarray(s, float))


def photon_cosine(v: Array, s: Array, r: Array, outside: float | None = None) -> Array:
    """Draw cosines of photons that carry the share v, symmetric in the sides.

    Density (1 - v + v^2/2)/(1 - beta^2 c^2) - v^2/4 - (1 - v)(1 - beta^2)/(1 - beta^2 c^2)^2 (Bonneau, Martin,
    Nucl. Phys. B 27 (1971) 381), from 1/(1 - beta^2 c^2) by rejection with the same number: the accepted share is above
    one half, and ``r`` gives the numbers of 12 tries.

    Args:
        v: shares of s, shape (n,).
        s: squared energies in GeV^2, shape (n,).
        r: uniform numbers, shape (12, 2, n).
        outside: photons with smaller |cos| are not made.

    Example:
        >>> rng = np.random.default_rng(1)
        >>> c = photon_cosine(np.full(10000, 0.1), np.full(10000, 112.0), rng.random((12, 2, 10000)))
        >>> round(float(np.mean(np.abs(c) > 0.9)), 2)
        0.84
    """
    beta2 = 1 - 4 * M_E**2 / s
    beta = np.sqrt(beta2)
    hard = 1 - v + v * v / 2
    # rapidity-like variable: d(atanh(beta c)) is flat in dc/(1 - beta^2 c^2)
    top = np.arctanh(beta)
    low = np.zeros_like(top) if outside is None else np.arctanh(beta * outside)
    out = np.zeros_like(v)
    todo = np.ones(len(v), dtype=bool)
    last = len(r) - 1
    for number, tries in enumerate(r):
        side = np.where(tries[0] < 0.5, -1.0, 1.0)
        share = np.abs(2 * tries[0] - 1)
        y = low + (top - low) * share
        bc = np.tanh(y)
        # 1 - beta^2 c^2 = 1/cosh^2 y, exact near the beam
        den = 1 / np.cosh(y) ** 2
        keep = 1 - (v * v / 4 * den + (1 - v) * (1 - beta2) / den) / hard
        take = todo & (tries[1] < keep)
        out = np.where(todo & (take | (number == last)), side * np.minimum(bc / beta, 1.0), out)
        todo &= ~take
    return out
