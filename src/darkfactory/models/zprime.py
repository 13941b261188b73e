"""The Z' of L_mu - L_tau: widths, branching fractions, and what it does to the muon's magnetic moment."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import quad

from darkfactory.models.widths import vector_fermions_width, vector_neutrinos_width
from darkfactory.physics.constants import M_MU, M_TAU

__all__ = ["branching_fraction", "delta_a_mu", "g_minus_2_coupling", "total_width"]

Array = NDArray[np.float64]


def total_width(mass: ArrayLike, g_prime: float = 1.0) -> Array:
    """Total width without dark matter: mu mu, tau tau and two flavours of neutrinos, in GeV.

    L = -g' Z'_a (mubar g^a mu - taubar g^a tau + nubar_mu g^a P_L nu_mu - nubar_tau g^a P_L nu_tau).

    Args:
        mass: mass in GeV.
        g_prime: coupling, dimensionless.

    Example:
        >>> round(float(total_width(0.5)), 4)
        0.0264
    """
    leptons = vector_fermions_width(mass, g_prime, M_MU) + vector_fermions_width(mass, g_prime, M_TAU)
    return leptons + vector_neutrinos_width(mass, g_prime, 2)


def branching_fraction(mass: ArrayLike, final: str) -> Array:
    """Branching fraction of the vanilla Z' into ``invisible``, ``mumu`` or ``tautau``.

    Args:
        mass: mass in GeV.
        final: name of the final state.

    Raises:
        ValueError: unknown final state.

    Example:
        >>> [round(float(branching_fraction(m, "invisible")), 3) for m in (0.1, 0.25, 0.5, 4.0, 8.0)]
        [1.0, 0.58, 0.503, 0.379, 0.335]
    """
    partial = {
        "invisible": lambda: vector_neutrinos_width(mass, 1.0, 2),
        "mumu": lambda: vector_fermions_width(mass, 1.0, M_MU),
        "tautau": lambda: vector_fermions_width(mass, 1.0, M_TAU),
    }
    if final not in partial:
        raise ValueError(f"final state {final!r} is unknown; allowed are {sorted(partial)}")
    return partial[final]() / total_width(mass)


def delta_a_mu(mass: float, g_prime: float = 1.0) -> float:
    """One-loop contribution to a_mu of a vector with muon coupling g', dimensionless.

    g'^2 / (8 pi^2) Int_0^1 dx 2 m^2 x^2 (1-x) / (x^2 m^2 + (1-x) M^2), S. Baek et al., PRD 64, 055006 (2001).

    Example:
        >>> ratio = delta_a_mu(10.0) / (M_MU**2 / (12 * np.pi**2 * 100.0))
        >>> round(ratio, 2)
        1.0
    """

    def integrand(x: float) -> float:
        return float(2 * M_MU**2 * x**2 * (1 - x) / (x**2 * M_MU**2 + (1 - x) * mass**2))

    value, _ = quad(integrand, 0, 1, epsabs=1e-14, limit=200)
    return float(g_prime**2 / (8 * np.pi**2) * value)


def g_minus_2_coupling(mass: float, delta_a: float) -> float:
    """The g' at which the contribution equals ``delta_a``; 0 where that is not positive.

    Example:
        >>> round(g_minus_2_coupling(1.0, 251e-11), 4)
        0.0054
    """
    return float(np.sqrt(max(delta_a, 0.0) / delta_a_mu(mass)))
