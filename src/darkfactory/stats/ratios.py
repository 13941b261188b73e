"""Data over simulation in bins, with errors: efficiencies, numbers of candidates, places of peaks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Binned", "Ratio", "efficiencies", "medians", "ratio", "scales", "yields"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Binned:
    """A number with its error in every bin, and of all bins together.

    Attributes:
        value: in each bin; NaN where there is nothing.
        error: one standard deviation.
        effective: effective number of entries, (sum w)^2 / sum w^2.
    """

    value: FloatArray
    error: FloatArray
    effective: FloatArray


@dataclass(frozen=True, eq=False)
class Ratio:
    """Data over simulation.

    Attributes:
        value: in each bin.
        error: statistical, of data and simulation.
        own: whether a bin has its own value; the others have that of all bins together.
    """

    value: FloatArray
    error: FloatArray
    own: NDArray[np.bool_]


def _effective(w: FloatArray, index: NDArray[np.int64], n: int) -> tuple[FloatArray, FloatArray]:
    total = np.asarray(np.bincount(index, weights=w, minlength=n), dtype=np.float64)
    squares = np.bincount(index, weights=w * w, minlength=n)
    # weights of sidebands are negative: bins that they take below zero have no entries
    return total, np.divide(total * total, squares, out=np.zeros(n), where=(squares > 0) & (total > 0))


def efficiencies(
    passed: ArrayLike, weights: ArrayLike, index: ArrayLike, bins: int, event: ArrayLike | None = None
) -> Binned:
    """Weighted fraction that passes.

    The error is that of a weighted mean, sqrt(sum r^2) / sum w, at least 0.5 / (n + 1) of n effective entries: it does
    not vanish where all or none pass. r is w (p - e), of all entries of an event together: both muons of a pair are
    probes once, and three pions of a tau are found or not with one tag.

    Args:
        passed: probability to pass of each entry, shape (n,).
        weights: of the entries.
        index: bin of each entry.
        bins: number of bins; the last value is that of all bins together.
        event: of each entry; each entry is an event without.

    Returns:
        Arrays of ``bins + 1`` entries.

    Example:
        >>> found = efficiencies([1, 1, 1, 0], np.ones(4), np.zeros(4, int), 1)
        >>> found.value.tolist(), found.error.round(4).tolist()
        ([0.75, 0.75], [0.2165, 0.2165])

        The same of two events, one with two entries that pass:

        >>> efficiencies([1, 1, 1, 0], np.ones(4), np.zeros(4, int), 1, [7, 7, 8, 8]).error.round(4).tolist()
        [0.1768, 0.1768]
    """
    p, w = np.asarray(passed, dtype=float), np.asarray(weights, dtype=float)
    where = np.concatenate([np.asarray(index, dtype=np.int64), np.full(len(p), bins)])
    p, w = np.tile(p, 2), np.tile(w, 2)
    total, effective = _effective(w, where, bins + 1)
    value = np.divide(
        np.bincount(where, weights=w * p, minlength=bins + 1), total, out=np.full(bins + 1, np.nan), where=total > 0
    )
    rest = w * (p - value[where])
    if event is not None:
        _, number = np.unique(np.asarray(event), return_inverse=True)
        key, place = np.unique(np.tile(number, 2) * (bins + 1) + where, return_inverse=True)
        rest, where = np.bincount(place, weights=rest), key % (bins + 1)
    spread = np.bincount(where, weights=rest**2, minlength=bins + 1)
    error = np.divide(np.sqrt(spread), total, out=np.full(bins + 1, np.nan), where=total > 0)
    return Binned(value, np.maximum(error, 0.5 / (effective + 1)), effective)


def yields(weights: ArrayLike, index: ArrayLike, bins: int, reference: int) -> Binned:
    """Sums of weights over that of the reference bin; the error has both, and is zero there.

    Example:
        >>> found = yields(np.ones(5), [0, 0, 0, 0, 1], 2, 0)
        >>> found.value[:2].tolist(), found.error[:2].round(4).tolist()
        ([1.0, 0.25], [0.0, 0.2795])
    """
    w, where = np.asarray(weights, dtype=float), np.asarray(index, dtype=np.int64)
    total, effective = _effective(w, where, bins)
    base, n_base = total[reference], effective[reference]
    value = total / base if base > 0 else np.full(bins, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = value * np.sqrt(1 / effective + 1 / n_base)
    error[reference] = 0.0
    # nothing can be said of all bins together: it is the reference that counts
    return Binned(np.append(value, 1.0), np.append(error, 1 / np.sqrt(max(n_base, 1.0))), np.append(effective, n_base))


def medians(values: ArrayLike, weights: ArrayLike, index: ArrayLike, bins: int) -> Binned:
    """Weighted medians; the error is sqrt(pi / 2) of a normal core's width over the root of the effective number.

    The core's width is half the distance between the 16 and 84 % quantiles.

    Example:
        >>> found = medians([1.0, 2.0, 3.0], np.ones(3), np.zeros(3, int), 1)
        >>> found.value.tolist()
        [2.0, 2.0]
    """
    x, w = np.asarray(values, dtype=float), np.asarray(weights, dtype=float)
    where = np.asarray(index, dtype=np.int64)
    value, error, effective = (np.full(bins + 1, np.nan), np.full(bins + 1, np.nan), np.zeros(bins + 1))
    for i in range(bins + 1):
        mask = (where == i) if i < bins else np.ones(len(x), dtype=bool)
        if not np.sum(w[mask]) > 0:
            continue
        order = np.argsort(x[mask], kind="stable")
        xs, ws = x[mask][order], w[mask][order]
        level = (np.cumsum(ws) - 0.5 * ws) / np.sum(ws)
        low, value[i], high = np.interp([0.15866, 0.5, 0.84134], level, xs)
        effective[i] = np.sum(ws) ** 2 / np.sum(ws * ws)
        error[i] = np.sqrt(np.pi / 2 / effective[i]) * 0.5 * (high - low)
    return Binned(value, error, effective)


def ratio(data: Binned, simulation: Binned, min_events: float) -> Ratio:
    """Data over simulation in every bin.

    A bin with fewer than ``min_events`` effective entries in one of the two, or with nothing that passes, takes the
    ratio of all bins, with the error of as few entries as it has: that of all, times sqrt(n_all / n_bin).

    Args:
        data: with the number of all bins together last, as :func:`efficiencies` gives it.
        simulation: likewise.
        min_events: effective entries that a bin needs.

    Example:
        >>> d = Binned(np.array([0.9, 0.5, 0.9]), np.array([0.01, 0.3, 0.01]), np.array([900.0, 4.0, 900.0]))
        >>> s = Binned(np.array([1.0, 1.0, 1.0]), np.zeros(3), np.array([900.0, 900.0, 900.0]))
        >>> found = ratio(d, s, 25.0)
        >>> found.value.tolist(), found.error.round(4).tolist(), found.own.tolist()
        ([0.9, 0.9], [0.01, 0.15], [True, False])
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        value = data.value / simulation.value
        error = np.abs(value) * np.hypot(data.error / data.value, simulation.error / simulation.value)
    if not (np.isfinite(value[-1]) and value[-1] > 0):
        value[-1], error[-1] = 1.0, 1.0
    entries = np.minimum(data.effective, simulation.effective)
    own = (entries[:-1] >= min_events) & np.isfinite(value[:-1]) & (value[:-1] > 0) & np.isfinite(error[:-1])
    few = error[-1] * np.sqrt(max(entries[-1], 1.0) / np.maximum(entries[:-1], 1.0))
    return Ratio(np.where(own, value[:-1], value[-1]), np.where(own, error[:-1], few), own)


def scales(data: Binned, simulation: Binned, shifted: Binned, step: float, min_events: float) -> Ratio:
    """Factor on a scale that puts the peak of simulation where that of data is.

    1 + step (data - simulation) / (shifted - simulation): what the peak does when the scale changes is found from the
    same simulated events, so that background below the peak and cuts on it count on both sides.

    Args:
        data: places of the peak, as :func:`medians` gives them.
        simulation: likewise.
        shifted: of simulation with a scale that is larger by ``step``.
        step: relative.
        min_events: effective entries that a bin needs; others take the factor of all bins, see :func:`ratio`.

    Example:
        >>> d, s, m = (Binned(np.full(2, v), np.full(2, 3e-4), np.full(2, 100.0)) for v in (1.8651, 1.8648, 1.8664))
        >>> found = scales(d, s, m, 0.001, 25.0)
        >>> found.value.round(7).tolist(), found.error.round(7).tolist()
        ([1.0001875], [0.0002652])
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = (shifted.value - simulation.value) / step
        value = 1 + (data.value - simulation.value) / slope
        error = np.hypot(data.error, simulation.error) / np.abs(slope)
    # the ratio of these has that value and that error
    one = np.zeros_like(value)
    return ratio(Binned(value, error, data.effective), Binned(one + 1, one, simulation.effective), min_events)
