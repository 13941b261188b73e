"""Inelastic dark matter with a dark Higgs: A' -> chi1 chi2, chi2 -> chi1 l+ l-, rates of e+ e- -> A' h'.

A Dirac fermion of unit charge under a broken U(1) is split by the dark Higgs into Majorana fermions chi1 and chi2; the
dark photon couples them off-diagonally, L = i g_D A'_mu chi1bar gamma^mu chi2 (Duerr et al., JHEP 02 (2020) 039 and
JHEP 04 (2021) 146). alpha_D = g_D^2 / 4 pi; eps is the kinetic mixing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from darkfactory.physics.constants import ALPHA, GEV2_FB, M_E, M_MU, M_PIPLUS, M_RHO, W_RHO
from darkfactory.physics.kinematics import kallen

__all__ = [
    "aprime_width",
    "chi2_longitudinal_fraction",
    "chi2_spectrum",
    "chi2_total_width",
    "chi2_width",
    "higgsstrahlung_cross_section",
    "pion_ratio",
]

Array = NDArray[np.float64]


def aprime_width(m_ap: float, m1: float, m2: float, alpha_d: float) -> float:
    """Width of A' -> chi1 chi2 in GeV, 0 below threshold.

    (alpha_D M/3) lambda^(1/2)(1, r1, r2) [1 - (r1 + r2)/2 - (r1 - r2)^2/2 + 3 sqrt(r1 r2)], r = m^2/M^2; for equal
    masses that of a Dirac pair.

    Example:
        >>> print(round(aprime_width(3.0, 1.0, 1.0, 0.1), 5), aprime_width(2.0, 1.0, 1.2, 0.1))
        0.0911 0.0
    """
    if m1 + m2 >= m_ap:
        return 0.0
    r1, r2 = (m1 / m_ap) ** 2, (m2 / m_ap) ** 2
    bracket = 1 - (r1 + r2) / 2 - (r1 - r2) ** 2 / 2 + 3 * np.sqrt(r1 * r2)
    return float(alpha_d * m_ap / 3 * np.sqrt(kallen(1.0, r1, r2)) * bracket)


def chi2_spectrum(q: ArrayLike, m1: float, m2: float, m_ap: float, m_lepton: float) -> Array:
    """Spectrum d Gamma/d q of chi2 -> chi1 l+ l- against the pair's mass q in GeV, for eps = alpha_D = 1.

    (2 q^2/pi) Gamma_21(q) Gamma_ll(q)/(q^2 - M^2)^2 with the widths of a virtual vector of mass q (in GeV, for unit
    couplings): Gamma_21 = (|p|/m2^2) [(m1^2 + m2^2)/2 - q^2 + (m2^2 - m1^2)^2/2 q^2 - 3 m1 m2] and
    Gamma_ll = (alpha q/3) (1 + 2 m_l^2/q^2) beta_l.

    Args:
        q: masses, any shape; 0 outside 2 m_l to m2 - m1.
        m1: mass of chi1.
        m2: mass of chi2.
        m_ap: mass of the dark photon, above m2 - m1.
        m_lepton: mass of the lepton.

    Example:
        The integral tends to 4 alpha (m2 - m1)^5/(15 pi M^4) for a small splitting:

        >>> q = np.linspace(0.0, 0.01, 20001)
        >>> total = np.sum(chi2_spectrum(q, 1.0, 1.01, 3.0, 0.0)) * (q[1] - q[0])
        >>> print(round(total / (4 * ALPHA * 0.01**5 / (15 * np.pi * 3.0**4)), 2))
        0.99
    """
    q = np.asarray(q, float)
    inside = (q > 2 * m_lepton) & (q > 0) & (q < m2 - m1)
    safe = np.where(inside, q, 0.5 * (2 * m_lepton + m2 - m1))
    q2 = safe * safe
    momentum = np.sqrt(kallen(m2 * m2, m1 * m1, q2)) / (2 * m2)
    bracket = (m1 * m1 + m2 * m2) / 2 - q2 + (m2 * m2 - m1 * m1) ** 2 / (2 * q2) - 3 * m1 * m2
    gamma_21 = momentum / (m2 * m2) * bracket
    gamma_ll = ALPHA * safe / 3 * (1 + 2 * m_lepton**2 / q2) * np.sqrt(1 - 4 * m_lepton**2 / q2)
    density = 2 * q2 / np.pi * gamma_21 * gamma_ll / (q2 - m_ap * m_ap) ** 2
    return np.asarray(np.where(inside, density, 0.0))


def chi2_longitudinal_fraction(q: ArrayLike, m1: float, m2: float) -> Array:
    """Share of longitudinal virtual vectors of mass q in chi2 -> chi1 V*: (m1 + m2)^2/((m1 + m2)^2 + 2 q^2).

    From the helicity amplitudes of a vector current between fermions, sqrt(2 s_-) and sqrt(s_-/q^2) (m1 + m2) with
    s_- = (m2 - m1)^2 - q^2.

    Example:
        >>> chi2_longitudinal_fraction([0.0, 1.0], 1.0, 1.0).round(3).tolist()
        [1.0, 0.667]
    """
    total = (m1 + m2) ** 2
    return np.asarray(total / (total + 2 * np.asarray(q, float) ** 2))


def pion_ratio(q: ArrayLike) -> Array:
    """Rate of a virtual photon of mass q in GeV to pi pi over that to massless muons, by the rho alone.

    (beta^3/4) M^4/((q^2 - M^2)^2 + M^2 Gamma^2): good to some 20 % below 1 GeV, nothing above.

    Example:
        >>> pion_ratio([0.2, 0.77526]).round(2).tolist()
        [0.0, 5.49]
    """
    q2 = np.asarray(q, float) ** 2
    beta2 = np.clip(1 - 4 * M_PIPLUS**2 / np.maximum(q2, 1e-12), 0.0, None)
    pole = M_RHO**4 / ((q2 - M_RHO**2) ** 2 + (M_RHO * W_RHO) ** 2)
    return np.asarray(beta2**1.5 / 4 * pole)


def chi2_total_width(m1: float, m2: float, m_ap: float, eps: float, alpha_d: float) -> tuple[float, float]:
    """Total width of chi2 -> chi1 e e, mu mu, pi pi in GeV, and the branching fraction of e e; for m2 - m1 up to 1 GeV.

    Example:
        >>> width, electrons = chi2_total_width(2.5, 3.0, 7.5, 1e-3, 0.1)
        >>> print(f"{electrons:.2f}")
        0.65
    """
    electrons = chi2_width(m1, m2, m_ap, M_E, eps, alpha_d)
    muons = chi2_width(m1, m2, m_ap, M_MU, eps, alpha_d)
    q = np.linspace(2 * M_PIPLUS, max(m2 - m1, 2 * M_PIPLUS), 2001)
    y = chi2_spectrum(q, m1, m2, m_ap, 0.0) * pion_ratio(q)
    pions = eps**2 * alpha_d * float(np.sum(0.5 * (y[1:] + y[:-1]))) * float(q[1] - q[0])
    total = electrons + muons + pions
    return total, electrons / total


def chi2_width(m1: float, m2: float, m_ap: float, m_lepton: float, eps: float, alpha_d: float) -> float:
    """Partial width of chi2 -> chi1 l+ l- in GeV, by Simpson's rule over the pair's mass.

    Example:
        c tau with electrons alone at m1 = 1 GeV, m2 = 1.4, m_A' = 3, eps = 1e-3, alpha_D = 0.1, in cm:

        >>> from darkfactory.physics.lifetimes import ctau_from_width
        >>> print(round(float(ctau_from_width(chi2_width(1.0, 1.4, 3.0, 0.511e-3, 1e-3, 0.1))), 1))
        3.9
    """
    low, high = 2 * m_lepton, m2 - m1
    if high <= low:
        return 0.0
    # the square of a uniform variable: points crowd at the threshold
    x = np.linspace(0.0, 1.0, 2001)
    q = low + (high - low) * x * x
    y = chi2_spectrum(q, m1, m2, m_ap, m_lepton) * 2 * x * (high - low)
    simpson = np.ones(len(x))
    simpson[1:-1:2], simpson[2:-1:2] = 4.0, 2.0
    return float(eps**2 * alpha_d * np.sum(y * simpson) * (x[1] - x[0]) / 3)


def higgsstrahlung_cross_section(
    sqrts: float, m_ap: float, m_hp: float, eps: float, alpha_d: float, charge: float = 2.0
) -> float:
    """Cross-section of e+ e- -> A' h' in fb, lowest order, without radiation.

    q^2 (pi alpha alpha_D eps^2/3 s) (1 - m_A'^2/s)^-2 lambda^(1/2) (lambda + 12 m_A'^2/s) with the dark Higgs's charge
    q, 2 where it gives chi1 and chi2 their splitting (Batell, Pospelov, Ritz, Phys. Rev. D 79, 115008).

    Example:
        >>> print(round(higgsstrahlung_cross_section(10.58, 3.0, 1.0, 1e-3, 0.1), 1))
        20.5
    """
    if m_ap + m_hp >= sqrts:
        return 0.0
    s = sqrts * sqrts
    r = m_ap * m_ap / s
    lam = float(kallen(1.0, r, m_hp * m_hp / s))
    value = np.pi * ALPHA * alpha_d * eps**2 / (3 * s) / (1 - r) ** 2 * np.sqrt(lam) * (lam + 12 * r)
    return float(charge**2 * value * GEV2_FB)
