"""Axion-like particles that couple to photons or to charged leptons."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from darkfactory.models.widths import scalar_fermions_width
from darkfactory.physics.constants import ALPHA, GEV2_FB, M_E, M_MU, M_TAU

__all__ = ["alp_strahlung_cross_section", "lepton_branching_fraction", "lepton_coupling", "lepton_width"]

Array = NDArray[np.float64]
_LEPTONS = {"ee": M_E, "mumu": M_MU, "tautau": M_TAU}


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


def lepton_coupling(m_lepton: float, c_over_lambda: float) -> float:
    """Pseudoscalar coupling g = C m_l / Lambda, L = -i g a lbar g5 l, of L = (C/2) (d_mu a/Lambda) lbar g^mu g5 l.

    M. Bauer, M. Neubert, A. Thamm, JHEP 12 (2017) 044, with one C for all leptons.

    Args:
        m_lepton: mass of the lepton in GeV.
        c_over_lambda: C/Lambda in 1/GeV.

    Example:
        >>> round(lepton_coupling(0.1056583755, 1e-3) * 1e4, 3)
        1.057
    """
    return m_lepton * c_over_lambda


def lepton_width(mass: ArrayLike, final: str, c_over_lambda: float = 1.0) -> Array:
    """Width into a lepton pair, C^2 m_l^2 m_a / (8 pi Lambda^2) sqrt(1 - 4 m_l^2/m_a^2), in GeV.

    M. Bauer, M. Neubert, A. Thamm, JHEP 12 (2017) 044, eq. (3.6).

    Args:
        mass: mass of the ALP in GeV.
        final: ``ee``, ``mumu`` or ``tautau``.
        c_over_lambda: C/Lambda in 1/GeV.

    Raises:
        ValueError: unknown final state.

    Example:
        >>> float(lepton_width(4.0, "mumu", 1e-3) * 1e9)
        1.774
    """
    if final not in _LEPTONS:
        raise ValueError(f"final state {final!r} is unknown; allowed are {sorted(_LEPTONS)}")
    m = _LEPTONS[final]
    return scalar_fermions_width(mass, lepton_coupling(m, c_over_lambda), m, pseudoscalar=True)


def lepton_branching_fraction(mass: ArrayLike, final: str) -> Array:
    """Branching fraction into ``ee``, ``mumu`` or ``tautau`` of an ALP that couples to all charged leptons alike.

    Loop-induced decays to photons are left out.

    Example:
        >>> [round(float(lepton_branching_fraction(m, "tautau")), 3) for m in (3.6, 4.0, 5.0)]
        [0.978, 0.992, 0.995]
    """
    return lepton_width(mass, final) / sum(lepton_width(mass, k) for k in _LEPTONS)
