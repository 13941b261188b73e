"""Proper decay lengths: one sample for all lifetimes.

A sample's decay lengths are drawn from an equal mixture of exponentials over decades of c tau. Its density is known,
so that events stand for any single lifetime c tau with the weight f(t; c tau)/q(t).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from darkfactory.physics.constants import HBARC_GEV_CM

__all__ = [
    "ctau_from_width",
    "draw_proper_lengths",
    "effective_fraction",
    "expected_effective_fraction",
    "lifetime_weight",
    "mixture_components",
    "mixture_density",
]

Array = NDArray[np.float64]


def ctau_from_width(width: ArrayLike) -> Array:
    """Mean proper decay length hbar c / Gamma in cm of a width in GeV; infinite for no width.

    Example:
        >>> round(float(ctau_from_width(7.35e-15)), 2)
        2.68
    """
    w = np.asarray(width, float)
    return np.asarray(np.where(w > 0, HBARC_GEV_CM / np.where(w > 0, w, 1.0), np.inf))


def mixture_components(low: float, high: float, per_decade: int) -> Array:
    """Mean decay lengths of a mixture, in the unit of its ends, in equal ratios, both ends included.

    Args:
        low: shortest.
        high: longest.
        per_decade: components in a factor of ten.

    Example:
        >>> mixture_components(1e-3, 10.0, 1).round(6).tolist()
        [0.001, 0.01, 0.1, 1.0, 10.0]
    """
    steps = max(round(np.log10(high / low) * per_decade), 1)
    return np.asarray(low * (high / low) ** (np.arange(steps + 1) / steps))


def draw_proper_lengths(which: Array, fraction: Array, components: Array) -> Array:
    """Proper decay lengths from an equal mixture of exponentials.

    Args:
        which: uniform in [0, 1): picks the component, (n,).
        fraction: uniform in [0, 1): picks the length, (n,).
        components: mean lengths, cm.

    Example:
        >>> draw_proper_lengths(np.array([0.1, 0.9]), 1 - np.exp([-1.0, -2.0]), np.array([1.0, 10.0])).tolist()
        [1.0, 20.0]
    """
    index = np.minimum((which * len(components)).astype(np.int64), len(components) - 1)
    return np.asarray(-components[index] * np.log1p(-fraction))


def mixture_density(length: ArrayLike, components: Array) -> Array:
    """Density q(t) = (1/K) sum_k exp(-t/tau_k)/tau_k in 1/cm, shape of ``length``.

    Args:
        length: proper decay lengths t, cm.
        components: mean lengths tau_k, cm.

    Example:
        >>> float(mixture_density(0.0, np.array([1.0, 0.5])))
        1.5
    """
    t = np.asarray(length, float)
    total = np.zeros(t.shape)
    # component by component: the bits of a row do not depend on how many rows there are
    for tau in components:
        total = total + np.exp(-t / tau) / tau
    return np.asarray(total / len(components))


def lifetime_weight(length: ArrayLike, density: ArrayLike, ctau: float) -> Array:
    """Weight exp(-t/c tau)/(c tau q) that turns decay lengths of a known density into those of one lifetime.

    Args:
        length: proper decay lengths t, cm.
        density: q(t) that they were drawn from, 1/cm.
        ctau: mean proper decay length wanted, cm.

    Example:
        A sample that was made for this lifetime needs no weight:

        >>> t = np.array([0.5, 2.0])
        >>> lifetime_weight(t, np.exp(-t / 2.0) / 2.0, 2.0).tolist()
        [1.0, 1.0]
    """
    t, q = np.asarray(length, float), np.asarray(density, float)
    return np.asarray(np.exp(-t / ctau) / (ctau * q))


def effective_fraction(weight: ArrayLike) -> float:
    """Effective number of events (sum w)^2 / sum w^2 over their number; 0 without events.

    Example:
        >>> effective_fraction([1.0, 1.0, 0.0, 0.0])
        0.5
    """
    w = np.asarray(weight, float)
    square = float(np.sum(w * w))
    return float(np.sum(w)) ** 2 / square / len(w) if square > 0 else 0.0


def expected_effective_fraction(components: Array, ctaus: Sequence[float]) -> list[float]:
    """What :func:`effective_fraction` tends to for a mixture reweighted to single lifetimes, before any selection.

    1 / integral of f^2/q, by Simpson's rule in ln t.

    Args:
        components: mean lengths of the mixture, cm.
        ctaus: wanted lifetimes, cm.

    Example:
        A lone component serves its own lifetime fully, and others as 1 - (1 - 1/r)^2, r = tau_1/tau >= 1:

        >>> [round(x, 4) for x in expected_effective_fraction(np.array([2.0]), [2.0, 1.0])]
        [1.0, 0.75]
    """
    found = []
    for ctau in ctaus:
        u = np.linspace(np.log(1e-9 * ctau), np.log(60.0 * ctau), 4001)
        t = np.exp(u)
        f = np.exp(-t / ctau) / ctau
        y = f * f / mixture_density(t, components) * t
        step = u[1] - u[0]
        simpson = np.ones(len(u))
        simpson[1:-1:2], simpson[2:-1:2] = 4.0, 2.0
        found.append(float(1.0 / np.sum(y * simpson * step / 3.0)))
    return found
