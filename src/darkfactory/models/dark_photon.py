"""The dark photon: production with a photon, and how it decays unseen."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from darkfactory.models.widths import vector_fermions_width
from darkfactory.physics.constants import ALPHA, GEV2_FB

__all__ = ["invisible_width", "radiative_cross_section"]

Array = NDArray[np.float64]


def radiative_cross_section(mass: ArrayLike, epsilon: float, sqrts: float, cos_max: float) -> Array:
    """Born cross-section of e+e- -> gamma A' with the photon within |cos theta*| < c, in fb.

    dsigma/dc = (2 pi alpha^2 eps^2 / s) (1 - r) [1 + c^2 + 4 r / (1 - r)^2] / (1 - c^2), r = m^2/s
    (R. Essig, P. Schuster, N. Toro, Phys. Rev. D 80 (2009) 015003, integrated; electron mass neglected), hence
    (4 pi alpha^2 eps^2 / s) [(1 + r^2) / (1 - r) ln((1 + c) / (1 - c)) - (1 - r) c].

    Args:
        mass: mass in GeV; 0 above the CM energy.
        epsilon: kinetic mixing.
        sqrts: CM energy in GeV.
        cos_max: largest |cos| of the photon's polar angle in the CM frame.

    Example:
        >>> [f"{float(radiative_cross_section(m, 1.0, 10.58, 0.6)):.3g}" for m in (0.1, 3.0, 7.0)]
        ['1.83e+06', '2.25e+06', '6.05e+06']
    """
    s = sqrts * sqrts
    r = np.asarray(mass, dtype=float) ** 2 / s
    below = np.where(r < 1, 1 - r, 1.0)
    shape = (1 + r * r) / below * np.log((1 + cos_max) / (1 - cos_max)) - below * cos_max
    return np.where(r < 1, 4 * np.pi * ALPHA**2 * epsilon**2 / s * shape * GEV2_FB, 0.0)


def invisible_width(mass: ArrayLike, alpha_d: float, m_chi: float) -> Array:
    """Width into a pair of Dirac dark-matter particles of unit dark charge, in GeV.

    Gamma = (alpha_D m / 3) (1 + 2 m_chi^2 / m^2) sqrt(1 - 4 m_chi^2 / m^2): decays are invisible and the line narrow
    for eps^2 alpha << alpha_D << 1 (E. Izaguirre et al., Phys. Rev. D 88 (2013) 114015).

    Args:
        mass: mass of the dark photon in GeV.
        alpha_d: g_D^2 / (4 pi).
        m_chi: mass of the dark matter in GeV.

    Example:
        >>> round(float(invisible_width(3.0, 0.1, 1.0)), 4)
        0.0911
    """
    return vector_fermions_width(mass, float(np.sqrt(4 * np.pi * alpha_d)), m_chi)
