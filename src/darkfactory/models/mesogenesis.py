"""B decays to a baryon and a dark antibaryon psi, by an operator of three quarks and psi.

A heavy colour triplet Y makes H = -G O_(q q' q'') psi with G = y^2/M_Y^2 (G. Elor, M. Escudero, A. Nelson, PRD 99,
035031). Of the matrix element <baryon|O|B> psi = ubar [F_R P_R + F_L P_L (qslash/m)] psi two form factors are left.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from darkfactory.config.interpretation import MesogenesisRegion
from darkfactory.physics.constants import HBAR_GEV_PS, M_B0, M_BPLUS, M_LAMBDA, M_PROTON
from darkfactory.physics.kinematics import kallen

__all__ = ["baryon_psi_branching_fraction", "baryon_psi_width"]

Array = NDArray[np.float64]
_DECAYS = {"p": (M_BPLUS, M_PROTON), "Lambda": (M_B0, M_LAMBDA)}


def baryon_psi_width(mass: ArrayLike, m_b: float, m_baryon: float, f_r: float, f_l: float, g: float = 1.0) -> Array:
    """Width of B -> baryon psi in GeV; 0 above the threshold.

    |G|^2 {[F_R^2 + (m_psi/m_N)^2 F_L^2] (m_B^2 - m_N^2 - m_psi^2) + 4 m_psi^2 F_R F_L} lambda^(1/2) / (16 pi m_B^3).

    Args:
        mass: of psi, GeV.
        m_b: mass of the B, GeV.
        m_baryon: m_N, GeV.
        f_r: F_R, GeV^2.
        f_l: F_L, GeV^2, with the sign of its convention.
        g: coupling G, 1/GeV^2.

    Example:
        F_R^2 (m_B^2 - m_N^2)^2 / (16 pi m_B^3) for a massless psi, nothing at the threshold:

        >>> print(f"{float(baryon_psi_width(0.0, 4.0, 0.5, 1.0, 0.0)):.5f}")
        0.07711
        >>> float(baryon_psi_width(4.0, 4.0, 0.5, 1.0, 0.0))
        0.0
    """
    m = np.asarray(mass, float)
    inside = m < m_b - m_baryon
    m = np.where(inside, m, 0.0)
    square = (f_r**2 + (m / m_baryon) ** 2 * f_l**2) * (m_b**2 - m_baryon**2 - m * m) + 4 * m * m * f_r * f_l
    root = np.sqrt(kallen(m_b**2, m_baryon**2, m * m))
    return np.where(inside, g * g * square * root / (16 * np.pi * m_b**3), 0.0)


def baryon_psi_branching_fraction(mass: ArrayLike, region: MesogenesisRegion, g: float = 1.0) -> Array:
    """Branching fraction of B+ -> p psi or B0 -> Lambda psi; it goes as G^2.

    Args:
        mass: of psi, GeV.
        region: baryon, form factors, lifetime of the B.
        g: coupling G, 1/GeV^2.

    Example:
        With F_R = 0.02 GeV^2 and G = 1/(1.5 TeV)^2, in 1e-5, at 1, 2, 3 and 4 GeV:

        >>> from darkfactory.config.base import Tagged
        >>> region = MesogenesisRegion(hypothesis="proton", baryon="p", f_r=Tagged(value=0.02, source="recalled"),
        ...     f_l=Tagged(value=0.0, source="assumed"), tau_ps=Tagged(value=1.638, source="recalled"))
        >>> (baryon_psi_branching_fraction(np.arange(1.0, 5.0), region, 1 / 1500.0**2) * 1e5).round(2).tolist()
        [1.79, 1.39, 0.82, 0.23]
    """
    m_b, m_baryon = _DECAYS[region.baryon]
    width = baryon_psi_width(mass, m_b, m_baryon, region.f_r.value, region.f_l.value, g)
    return np.asarray(width * region.tau_ps.value / HBAR_GEV_PS)
