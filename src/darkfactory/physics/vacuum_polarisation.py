"""Vacuum polarisation of the photon at time-like momenta.

Leptons exactly at one loop; hadrons by a smooth parametrisation without resonances, good to a few per cent away
from them.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from darkfactory.config.base import Tagged
from darkfactory.physics.constants import ALPHA, M_E, M_MU, M_TAU

__all__ = ["HADRONIC", "delta_alpha_hadronic", "delta_alpha_leptonic", "vacuum_polarisation_factor"]

Array = NDArray[np.float64]

_NOTE = "Burkhardt, Pietrzyk, PLB 513 (2001) 46: Re Delta alpha_had = A + B ln(1 + C |s|)"


def _tag(value: float) -> Tagged:
    return Tagged(value=value, source="recalled", note=_NOTE)


HADRONIC: tuple[tuple[float, Tagged, Tagged, Tagged], ...] = (
    (0.7, _tag(0.0), _tag(0.0023092), _tag(3.9925370)),
    (2.0, _tag(0.0), _tag(0.0022333), _tag(4.2191779)),
    (4.0, _tag(0.0), _tag(0.0024402), _tag(3.2496684)),
    (10.0, _tag(0.0), _tag(0.0027340), _tag(2.0995092)),
    (math.inf, _tag(0.0010485), _tag(0.0029431), _tag(1.0)),
)
"""Upper end of the range of sqrt|s| in GeV, then A, B and C (1/GeV^2)."""


def delta_alpha_leptonic(s: ArrayLike, mass: float) -> NDArray[np.complex128]:
    """One lepton's contribution to Delta alpha(s) at one loop, complex above threshold.

    Delta alpha = -(alpha / 3 pi) [5/3 + 4 m^2/s - (1 + 2 m^2/s) B], with B = beta ln((1 + beta)/(1 - beta)) - i pi
    beta above threshold and 2 sqrt(4 m^2/s - 1) arctan(1/sqrt(4 m^2/s - 1)) below (for example Jegerlehner,
    arXiv:hep-ph/9606484, eq. 4).

    Args:
        s: momentum squared in GeV^2, positive.
        mass: the lepton's mass in GeV.

    Example:
        >>> round(float(sum(delta_alpha_leptonic(91.1876**2, m) for m in (M_E, M_MU, M_TAU)).real), 4)
        0.0314
    """
    x = 4 * mass * mass / np.asarray(s, float)
    above = x < 1
    beta = np.sqrt(np.where(above, 1 - x, 0.0))
    # 1 - beta = x / (1 + beta)
    log = np.log(np.where(above, (1 + beta) ** 2 / x, 1.0))
    root = np.sqrt(np.where(above, 1.0, np.maximum(x - 1, 1e-300)))
    b = np.where(above, beta * (log - 1j * np.pi), 2 * root * np.arctan(1 / root))
    return np.asarray(-ALPHA / (3 * np.pi) * (5 / 3 + x - (1 + x / 2) * b))


def delta_alpha_hadronic(s: ArrayLike) -> Array:
    """Real part of the hadronic contribution, A + B ln(1 + C s).

    Args:
        s: momentum squared in GeV^2, positive.

    Example:
        >>> round(float(delta_alpha_hadronic(10.58**2)), 4)
        0.015
    """
    x = np.asarray(s, float)
    root = np.sqrt(x)
    out = np.zeros_like(x)
    lower = 0.0
    for upper, a, b, c in HADRONIC:
        here = (root >= lower) & (root < upper)
        out = np.where(here, a.value + b.value * np.log(1 + c.value * x), out)
        lower = upper
    return np.asarray(out)


def vacuum_polarisation_factor(s: ArrayLike) -> Array:
    """|1/(1 - Delta alpha(s))|^2, the factor of a cross-section with one s-channel photon.

    Args:
        s: momentum squared in GeV^2, positive.

    Example:
        >>> round(float(vacuum_polarisation_factor(10.58**2)), 3)
        1.076
    """
    x = np.asarray(s, float)
    delta = delta_alpha_hadronic(x) + sum(delta_alpha_leptonic(x, m) for m in (M_E, M_MU, M_TAU))
    return np.asarray(1 / np.abs(1 - delta) ** 2)
