"""Three-body decays: mass of the second and third product from a tabulated spectrum, then two isotropic splittings."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from darkfactory.models.inelastic_dm import chi2_longitudinal_fraction, chi2_spectrum
from darkfactory.physics.kinematics import from_rest_frame, two_body, two_body_momentum

__all__ = ["draw_from_spectrum", "helicity_cosine", "phase_space_spectrum", "three_body"]

Array = NDArray[np.float64]
_POINTS = 4001


def phase_space_spectrum(q: Array, parent: float, m1: float, m2: float, m3: float) -> Array:
    """Density of the mass q of products 2 and 3 of a decay uniform in phase space, up to a constant: p_1(q) p_23(q).

    Example:
        >>> phase_space_spectrum(np.array([0.0, 0.5, 1.0]), 1.0, 0.0, 0.0, 0.0).round(4).tolist()
        [0.0, 0.0938, 0.0]
    """
    return np.asarray(two_body_momentum(parent, m1, q) * two_body_momentum(q, m2, m3))


def draw_from_spectrum(density: Callable[[Array], Array], low: float, high: float, u: Array) -> Array:
    """Masses between two ends, distributed as a density, by the inverse of its cumulative sum.

    Args:
        density: of arrays of masses, not negative.
        low: lower end.
        high: upper end.
        u: uniform in [0, 1), any shape.

    Example:
        >>> draw_from_spectrum(lambda q: q, 0.0, 2.0, np.array([0.25, 1.0])).round(4).tolist()
        [1.0, 2.0]
    """
    edges = np.linspace(low, high, _POINTS)
    middle = 0.5 * (edges[1:] + edges[:-1])
    cumulative = np.concatenate([[0.0], np.cumsum(density(middle))])
    return np.asarray(np.interp(u * cumulative[-1], cumulative, edges))


def helicity_cosine(u: Array, v: Array, longitudinal: NDArray[np.bool_], k: Array) -> Array:
    """Cosine of a fermion in the helicity frame of the vector that it comes from.

    Longitudinal: 1 - (1 - k) c^2; transverse, both helicities alike: 1 + k + (1 - k) c^2; k = 4 m^2/q^2. Both are
    mixtures of flat, c^2 and 1 - c^2.

    Args:
        u: uniform, picks the part of the mixture.
        v: uniform, picks the cosine.
        longitudinal: which vectors are.
        k: 4 m^2/q^2, at most 1.

    Example:
        >>> half = np.full(2, 0.5)
        >>> helicity_cosine(half, half, np.array([True, False]), np.zeros(2)).tolist()
        [0.0, 0.0]
    """
    flat = 2 * v - 1
    dip = np.cbrt(flat)
    bulge = 2 * np.sin(np.arcsin(np.clip(flat, -1.0, 1.0)) / 3)
    share_long = 2 * k / (2 * k + 4 / 3 * (1 - k))
    share_trans = 2 * (1 + k) / (2 * (1 + k) + 2 / 3 * (1 - k))
    return np.asarray(
        np.where(longitudinal, np.where(u < share_long, flat, bulge), np.where(u < share_trans, flat, dip))
    )


def three_body(
    parent: Array, masses: tuple[float, float, float, float], mediator: float | None, rng: np.random.Generator
) -> tuple[Array, Array, Array]:
    """Momenta of the three products.

    Args:
        parent: parents' momenta, (n, 4), GeV.
        masses: of the parent and of the products, GeV.
        mediator: mass of the vector that makes products 2 and 3 from the step of fermion masses; none: uniform in
            phase space.
        rng: random numbers.
    """
    m, m1, m2, m3 = masses
    n = len(parent)
    u = rng.random((7, n))
    if mediator is None:
        q = draw_from_spectrum(lambda x: phase_space_spectrum(x, m, m1, m2, m3), m2 + m3, m - m1, u[0])
        cosine = 2 * u[4] - 1
    else:
        q = draw_from_spectrum(lambda x: chi2_spectrum(x, m1, m, mediator, m2), m2 + m3, m - m1, u[0])
        longitudinal = u[6] < chi2_longitudinal_fraction(q, m1, m)
        cosine = helicity_cosine(u[4], u[5], longitudinal, np.minimum(4 * m2 * m2 / (q * q), 1.0))
    # never at the ends, where rounding could leave no room for the products
    q = np.clip(q, (m2 + m3) * (1 + 1e-12), (m - m1) * (1 - 1e-12))
    at_rest = np.zeros((n, 4))
    at_rest[:, 0] = m
    first, pair = two_body(at_rest, m1, q, 2 * u[1] - 1, 2 * np.pi * u[2])
    second, third = two_body(pair, m2, m3, cosine, 2 * np.pi * u[3])
    return from_rest_frame(first, parent), from_rest_frame(second, parent), from_rest_frame(third, parent)
