"""Dark Higgsstrahlung e+ e- -> A' h' with a dark Higgs of unit charge: rate, angular distribution, helicity.

m_A' = e_D v_D, kinetic mixing eps, alpha_D = e_D^2 / 4 pi (Batell, Pospelov, Ritz, Phys. Rev. D 79, 115008).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from darkfactory.physics.constants import ALPHA, GEV2_FB
from darkfactory.physics.kinematics import kallen

__all__ = ["dark_higgsstrahlung", "longitudinal_fraction"]

Array = NDArray[np.float64]


def dark_higgsstrahlung(m_ap: ArrayLike, m_hp: ArrayLike, sqrts: float) -> Array:
    """Born cross-section in fb over eps^2 alpha_D, zero above the threshold.

    (pi alpha/3 s) (1 - m_A'^2/s)^-2 lambda^(1/2) (lambda + 12 m_A'^2/s), lambda = lambda(1, m_A'^2/s, m_h'^2/s).

    Args:
        m_ap: masses of the dark photon in GeV, any shape.
        m_hp: masses of the dark Higgs in GeV, of a shape that broadcasts.
        sqrts: CM energy in GeV.

    Example:
        >>> [float(f"{dark_higgsstrahlung(m, h, 10.58):.3g}") for m, h in ((2, 1), (4, 1), (6, 4), (9.7, 0.1))]
        [36600000.0, 74300000.0, 73400000.0, 1680000000.0]
        >>> float(dark_higgsstrahlung(8.0, 3.0, 10.58))
        0.0
    """
    a, h = np.broadcast_arrays(np.asarray(m_ap, dtype=float), np.asarray(m_hp, dtype=float))
    s = sqrts * sqrts
    inside = a + h < sqrts
    r = np.where(inside, a * a / s, 0.0)
    lam = np.where(inside, kallen(1.0, r, np.where(inside, h * h / s, 0.0)), 0.0)
    return np.asarray(np.pi * ALPHA / (3 * s) / (1 - r) ** 2 * np.sqrt(lam) * (lam + 12 * r) * GEV2_FB)


def longitudinal_fraction(m_ap: ArrayLike, m_hp: ArrayLike, sqrts: float) -> Array:
    """Share of longitudinal dark photons, g^2/(g^2 + 2) with g = E_A'/m_A'.

    The muons of A' -> mu mu have W(cos) = f_L (3/4) sin^2 + (1 - f_L) (3/8) (1 + cos^2) against its direction.

    Example:
        >>> [round(float(longitudinal_fraction(m, 1.0, 10.58)), 2) for m in (4.0, 8.0)]
        [0.53, 0.35]
    """
    a, h = np.asarray(m_ap, dtype=float), np.asarray(m_hp, dtype=float)
    energy = (sqrts * sqrts + a * a - h * h) / (2 * sqrts)
    g2 = (energy / a) ** 2
    return np.asarray(g2 / (g2 + 2))
