"""Partial widths that several dark-sector models share."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["axial_photons_width", "scalar_fermions_width", "vector_fermions_width", "vector_neutrinos_width"]

Array = NDArray[np.float64]


def _beta(mass: Array, daughter: float) -> Array:
    """Velocity of two equal daughters in the rest frame, zero below threshold."""
    return np.sqrt(np.clip(1 - 4 * daughter**2 / mass**2, 0, None))


def vector_fermions_width(mass: ArrayLike, coupling: float, m_f: float) -> Array:
    """Width of a vector into a pair of Dirac fermions with coupling ``g fbar gamma^mu f V_mu``, in GeV.

    Gamma = g^2 M / (12 pi) (1 + 2 m^2/M^2) sqrt(1 - 4 m^2/M^2), e.g. W. Altmannshofer et al., JHEP 12 (2016)
    106, eq. (5).

    Args:
        mass: mass of the vector in GeV.
        coupling: g, dimensionless.
        m_f: mass of the fermion in GeV.

    Example:
        >>> round(float(vector_fermions_width(1.0, 1.0, 0.1056583755)), 5)
        0.02650
    """
    m = np.asarray(mass, dtype=float)
    return coupling**2 * m / (12 * np.pi) * (1 + 2 * m_f**2 / m**2) * _beta(m, m_f)


def vector_neutrinos_width(mass: ArrayLike, coupling: float, flavours: int) -> Array:
    """Width of a vector into left-handed neutrinos of some flavours, g^2 M / (24 pi) each, in GeV.

    Example:
        >>> round(float(vector_neutrinos_width(1.0, 1.0, 2)), 5)
        0.02653
    """
    m = np.asarray(mass, dtype=float)
    return flavours * coupling**2 * m / (24 * np.pi)


def scalar_fermions_width(mass: ArrayLike, coupling: float, m_f: float, *, pseudoscalar: bool = False) -> Array:
    """Width of a scalar (or pseudoscalar) into a pair of Dirac fermions, g^2 M / (8 pi) beta^3 (beta), in GeV.

    Example:
        >>> round(float(scalar_fermions_width(1.0, 1.0, 0.0)), 5)
        0.03979
    """
    m = np.asarray(mass, dtype=float)
    return coupling**2 * m / (8 * np.pi) * _beta(m, m_f) ** (1 if pseudoscalar else 3)


def axial_photons_width(mass: ArrayLike, coupling: float) -> Array:
    """Width of an axion-like particle into two photons, g^2 m^3 / (64 pi) for L = -(g/4) a F Fdual, in GeV.

    Args:
        mass: mass in GeV.
        coupling: g in 1/GeV.

    Example:
        >>> float(axial_photons_width(0.2, 1e-3))
        3.98e-11
    """
    m = np.asarray(mass, dtype=float)
    return coupling**2 * m**3 / (64 * np.pi)
