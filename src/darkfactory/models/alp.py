"""Axion-like particles that couple to photons."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from darkfactory.physics.constants import ALPHA, GEV2_FB

__all__ = ["alp_strahlung_cross_section"]

Array = NDArray[np.float64]


def alp_strahlung_cross_section(mass: ArrayLike, coupling: float, sqrts: float) -> Array:
    """Born cross-section of e+e- -> gamma a, alpha g^2 / 24 (1 - m^2/s)^3, in fb.

    M. J. Dolan et al., JHEP 12 (2017) 094, eq. (2.7).

    Args:
        mass: mass in GeV.
        coupling: g_agammagamma in 1/GeV.
        sqrts: CM energy in GeV.

    Example:
        >>> round(float(alp_strahlung_cross_section(1.0, 1e-3, 10.58)), 1)
        115.2
    """
    r = np.asarray(mass, dtype=float) ** 2 / sqrts**2
    return ALPHA * coupling**2 / 24 * np.clip(1 - r, 0, None) ** 3 * GEV2_FB
