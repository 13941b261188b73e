"""Variations in the form that the fit can follow: expectations stay positive wherever a nuisance goes.

HistFactory's polynomials between one standard deviation down and up are only good for moderate variations: a shape
that grows by a hundred turns negative in between, and so does a factor above about twenty. A negative expectation
where nothing was observed has no lowest likelihood. So strong variations are taken apart: the part of a sample that
varies becomes a sample of its own with an exponential factor, which is what such a variation means (events that pass
only because a photon was lost scale with the loss probability, the others do not).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from darkfactory.records.histogram import FloatArray

__all__ = ["Limited", "limited", "varying_part"]


@dataclass(frozen=True)
class Limited:
    """A variation as a factor and a shape.

    Attributes:
        factors: (down, up).
        shapes: (down, up), of about the nominal's norm.
        changed: whether something had to be limited.
    """

    factors: tuple[float, float]
    shapes: tuple[FloatArray, FloatArray]
    changed: bool


def limited(nominal: FloatArray, low: FloatArray, high: FloatArray, max_factor: float, max_shape: float) -> Limited:
    """A variation with its factor within ``max_factor`` and its shape within ``max_shape`` of the nominal.

    Args:
        nominal: expectation.
        low: at one standard deviation down.
        high: at one up.
        max_factor: largest factor (its inverse is the smallest).
        max_shape: largest relative change of a bin beyond the factor.

    Example:
        >>> found = limited(np.array([1.0, 1.0]), np.array([0.9, 0.9]), np.array([1.0, 300.0]), 10.0, 0.5)
        >>> found.factors[1], found.shapes[1].tolist(), found.changed
        (10.0, [0.5, 1.5], True)
    """
    total = float(nominal.sum())
    factors, shapes, changed = [], [], False
    for varied in (low, high):
        raw = float(varied.sum()) / total if total > 0 else 1.0
        factor = min(max(raw, 1.0 / max_factor), max_factor)
        shape = varied / raw if raw > 0 else nominal
        kept = np.clip(shape, nominal * (1.0 - max_shape), nominal * (1.0 + max_shape))
        # what rounding does to an unchanged shape is no limit
        changed |= factor != raw or bool(np.any(np.abs(kept - shape) > 1e-9 * total))
        factors.append(factor)
        shapes.append(kept)
    return Limited((factors[0], factors[1]), (shapes[0], shapes[1]), changed)


def varying_part(nominal: FloatArray, low: FloatArray, high: FloatArray, strong: float) -> FloatArray | None:
    """Fraction of each bin that varies, for a variation by more than a factor ``strong`` somewhere.

    Bins are mixtures of events that vary by one common factor, which the bin of the largest ratio shows, and of
    events that do not vary.

    Args:
        nominal: expectation.
        low: at one standard deviation down.
        high: at one up.
        strong: ratio in a bin above which the sample is taken apart.

    Returns:
        Fractions, or None where the variation is moderate or the same everywhere.

    Example:
        >>> one = np.ones(3)
        >>> varying_part(one, np.array([0.1, 0.55, 1.0]), np.array([301.0, 151.0, 1.0]), 2.0).tolist()
        [1.0, 0.5, 0.0]
        >>> varying_part(one, 0.9 * one, 1.5 * one, 2.0) is None
        True
    """
    some = nominal > 0
    if not some.any():
        return None
    ratios = [np.where(some, v / np.where(some, nominal, 1.0), 1.0) for v in (low, high)]
    up = ratios[int(ratios[1].max() < ratios[0].max()) ^ 1]
    top = float(up.max())
    if top <= strong:
        return None
    fraction = np.clip((up - 1.0) / (top - 1.0), 0.0, 1.0)
    if fraction[some].min() > 0.5:
        return None
    # a trace of varying events would be a sample without weight in most bins: it stays with the others
    return np.where(fraction > 1e-3, fraction, 0.0)
