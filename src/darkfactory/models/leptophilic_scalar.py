"""A scalar that couples to charged leptons in proportion to their masses."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from darkfactory.models.widths import scalar_fermions_width
from darkfactory.physics.constants import ALPHA, GEV2_FB, M_E, M_MU, M_TAU, VEV
from darkfactory.physics.lifetimes import ctau_from_width

__all__ = [
    "branching_fraction",
    "ctau_cm",
    "lepton_width",
    "muon_coupling",
    "tautau_cross_section",
    "total_width",
]

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

        Electrons below twice the muon's mass, muons above it and, once taus are open, next to nothing:

        >>> [round(float(branching_fraction(m, "ee")), 3) for m in (0.04, 0.1, 0.2, 0.25)]
        [1.0, 1.0, 1.0, 0.0]
        >>> [round(float(branching_fraction(m, "mumu")), 4) for m in (0.25, 1.0, 3.5, 4.0, 5.0, 6.0, 6.5)]
        [0.9998, 1.0, 1.0, 0.0351, 0.01, 0.0067, 0.006]
    """
    return lepton_width(mass, final) / total_width(mass)


def ctau_cm(mass: ArrayLike, xi: float = 1.0) -> Array:
    """Mean proper decay length in cm; goes as 1/xi^2.

    Example:
        Electrons only, displaced for couplings of a Higgs boson's; muons, prompt:

        >>> [round(float(ctau_cm(m)), 2) for m in (0.04, 0.1, 0.2)]
        [2.88, 1.15, 0.58]
        >>> [f"{float(ctau_cm(m)):.1e}" for m in (0.25, 0.5, 1.0, 2.0, 3.5, 4.0)]
        ['7.1e-05', '7.2e-06', '2.9e-06', '1.4e-06', '7.7e-07', '2.4e-08']
        >>> round(float(ctau_cm(0.1, 0.1) / ctau_cm(0.1)), 6)
        100.0
    """
    return ctau_from_width(total_width(mass, xi))


def tautau_cross_section(mass: float, xi: float = 1.0, sqrts: float = 10.58, nodes: int = 300) -> float:
    """Cross-section of e+e- -> tau tau S, the scalar radiated by the taus, in fb, without radiation from the beams.

    The squared amplitude of both diagrams, contracted over the virtual photon, in x_i = 2 E_i / sqrt(s) of the taus
    with u = 1 - x_1 and v = 1 - x_2; integrated over the Dalitz region in their logarithms.

    Args:
        mass: of the scalar in GeV, below sqrt(s) - 2 m_tau.
        xi: coupling over that of the Higgs boson.
        sqrts: CM energy in GeV.
        nodes: of Gauss and Legendre, in both directions.

    Raises:
        ValueError: the final state is too heavy.

    Example:
        >>> [float(f"{tautau_cross_section(m):.3g}") for m in (0.04, 0.1, 0.2, 0.25, 0.5, 1.0)]
        [7.83, 5.72, 4.21, 3.76, 2.46, 1.38]
        >>> [float(f"{tautau_cross_section(m):.3g}") for m in (2.0, 3.5, 4.0, 5.0, 6.0, 6.5)]
        [0.571, 0.155, 0.095, 0.0291, 0.005, 0.00106]
    """
    if mass + 2 * M_TAU >= sqrts:
        raise ValueError(f"tau tau S of {mass:g} GeV is too heavy for sqrt(s) = {sqrts:g} GeV")
    s = sqrts * sqrts
    a, r = M_TAU**2 / s, mass**2 / s
    points, weights = np.polynomial.legendre.leggauss(nodes)

    def between(low: Array, high: Array) -> tuple[Array, Array]:
        """Nodes and weights in a logarithm; the sine removes square roots at both ends."""
        middle, half = np.log(low * high) / 2, np.log(high / low) / 2
        x = np.exp(middle + half * np.sin(np.pi / 2 * points))
        return x, x * half * np.pi / 2 * np.cos(np.pi / 2 * points) * weights

    u, wu = between(np.asarray(r + 2 * np.sqrt(a * r)), np.asarray(1 - 2 * np.sqrt(a)))
    # the other tau and the scalar have the squared mass u + a
    system = u + a
    difference = np.sqrt((1 - u) ** 2 - 4 * a) * np.sqrt(np.maximum((system - a - r) ** 2 - 4 * a * r, 0.0))
    centre = (1 + u) * (system + a - r)
    v, wv = between(
        1 - ((centre + difference) / (2 * system))[:, None], 1 - ((centre - difference) / (2 * system))[:, None]
    )
    u, uv = u[:, None], u[:, None] * v
    squared = (
        4 * (u + v) ** 2 / uv
        + (8 * r * r + 32 * a - 48 * a * r + 64 * a * a) / uv
        + (u * u + v * v) / uv**2 * (16 * a - 4 * r - 8 * a * r + 32 * a * a)
        + (u + v) / uv * (32 * a - 8 * r)
    )
    integral = float(np.sum(wu[:, None] * wv * squared))
    return ALPHA**2 * (xi * M_TAU / VEV) ** 2 / (48 * np.pi * s) * integral * GEV2_FB
