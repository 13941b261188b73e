"""A scalar that couples to charged leptons in proportion to their masses."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from darkfactory.models.widths import scalar_fermions_width
from darkfactory.physics.constants import M_E, M_MU, M_TAU, VEV

__all__ = ["branching_fraction", "lepton_width", "muon_coupling", "total_width"]

Array = NDArray[np.float64]
_LEPTONS = {"ee": M_E, "mumu": M_MU, "tautau": M_TAU}


def muon_coupling(xi: float) -> float:
    """The coupling to muons, g = xi m_mu / v, of L = -xi sum_l (m_l/v) S lbar l.

    B. Batell et al., PRD 95, 075003 (2017), eq. (1).

    Example:
        >>> round(muon_coupling(1.0) * 1e4, 3)
        4.291
    """
    return xi * M_MU / VEV


def lepton_width(mass: ArrayLike, final: str, xi: float = 1.0) -> Array:
    """Width into a lepton pair, xi^2 m_l^2 M / (8 pi v^2) (1 - 4 m_l^2/M^2)^(3/2), in GeV; M in GeV.

    Args:
        mass: mass of the scalar in GeV.
        final: ``ee``, ``mumu`` or ``tautau``.
        xi: coupling over that of the Higgs boson.

    Raises:
        ValueError: unknown final state.

    Example:
        >>> float(lepton_width(1.0, "mumu") * 1e9)
        6.8417
    """
    if final not in _LEPTONS:
        raise ValueError(f"final state {final!r} is unknown; allowed are {sorted(_LEPTONS)}")
    m = _LEPTONS[final]
    return scalar_fermions_width(mass, xi * m / VEV, m)


def total_width(mass: ArrayLike, xi: float = 1.0) -> Array:
    """Width into all charged leptons, in GeV; loop-induced decays to photons are left out.

    Example:
        >>> bool(total_width(5.0) > lepton_width(5.0, "tautau"))
        True
    """
    return sum((lepton_width(mass, final, xi) for final in _LEPTONS), start=np.zeros(np.shape(mass)))


def branching_fraction(mass: ArrayLike, final: str) -> Array:
    """Branching fraction into ``ee``, ``mumu`` or ``tautau``.

    Example:
        >>> [round(float(branching_fraction(m, "tautau")), 3) for m in (3.6, 4.0, 5.0)]
        [0.536, 0.965, 0.99]
    """
    return lepton_width(mass, final) / total_width(mass)
