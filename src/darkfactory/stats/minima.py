"""The lowest of several minima: which likelihoods may have some, and searches from several starts.

A HistFactory likelihood is convex for a common yield and moderate variations. With per-bin factors as uncertain as they
are large (bins of one simulated event), factors of two, or shapes that change by a third, it may have several minima,
and a search that begins at the nominal values finds one of them. Windows that may are searched from a fixed list of
starts, always where no bin expects less than nothing: an empty bin has no wall at zero, in pyhf neither, and behind it
a shape extrapolated by five standard deviations gains without end. That is no description of data.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from darkfactory.stats.histfactory import Batch, Data, FloatArray
from darkfactory.stats.likelihood import expected
from darkfactory.stats.newton import Backend, Fit, fit

__all__ = [
    "BASE_STARTS",
    "LIMIT_STARTS",
    "ROUNDING",
    "Searched",
    "may_have_several",
    "offsets",
    "search",
    "spread_starts",
]

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.intp]

BASE_STARTS = 12
"""Starts of the fits to the data with and without signal."""
LIMIT_STARTS = 6
"""Starts at each limit that is found."""

ROUNDING = 1e-7
"""Part of a value that two searches for one minimum may differ by."""

# per-bin errors and shapes from which a likelihood may bend the other way, and factors as logarithms
_LOOSE, _STRONG, _FACTOR = 0.5, 0.3, 0.69
# starts reach this far, in standard deviations; free factors by as many factors of two
_REACH = 2.0
# in -log L: minima as deep as each other for any purpose, none of which is *the* minimum
_SAME_DEPTH = 1e-3
# part of its expectation that a bin may differ by and still be the same description
_SAME_RATES = 1e-2


def may_have_several(m: Batch) -> BoolArray:
    """Windows whose likelihood has what several minima come from: loose per-bin factors, strong variations.

    Example:
        >>> from darkfactory.stats.examples import counting_window
        >>> from darkfactory.stats.histfactory import compile_workspace
        >>> [bool(may_have_several(compile_workspace(counting_window(3, 2.0, error))[1])[0]) for error in (0.1, 2.0)]
        [False, True]
    """
    found = np.zeros(len(m), dtype=bool)
    for block, b in zip(m.structure.blocks, m.blocks, strict=True):
        moves = b.g_hi > b.g_lo
        if block.gamma == "normal":
            found |= (moves & (b.g_width > _LOOSE)).any(axis=1)
        elif block.gamma == "poisson":
            found |= (moves & (b.g_width * _LOOSE**2 < 1)).any(axis=1)
        # against all that the bin expects: a signal's tail may move as it likes
        total = np.abs(b.nominal).sum(axis=1)
        some = total > 1e-9 * total.max(axis=1, keepdims=True)
        for q in range(len(block.histo)):
            for shift in (b.up[:, q], b.dn[:, q]):
                found |= (some & (np.abs(shift) > _STRONG * total)).any(axis=1)
    for log in (m.log_hi, m.log_lo):
        found |= (np.abs(log) > _FACTOR).any(axis=1)
    return found


def offsets(count: int, parameters: int) -> FloatArray:
    """Starts in standard deviations, (count, parameters): the nominal values, then well-spread normal numbers.

    Each start is the mirror image of the one before it; a fixed sequence (multiples of irrational numbers), so that a
    limit never depends on a seed.

    Example:
        >>> offsets(3, 2).round(2).tolist()
        [[0.0, 0.0], [-0.88, -1.97], [0.88, 1.97]]
    """
    # additive recurrences with powers of the generalised golden ratio fill a cube evenly
    ratio = 2.0
    for _ in range(60):
        ratio = (1 + ratio) ** (1 / (parameters + 1))
    steps = ratio ** -np.arange(1.0, parameters + 1)
    half = np.arange(1, count // 2 + 1)[:, None]
    uniform = (0.5 + half * steps) % 1.0
    spread = np.clip(_REACH / 1.5 * ndtri(np.clip(uniform, 1e-6, 1 - 1e-6)), -_REACH, _REACH)
    both = np.stack([spread, -spread], axis=1).reshape(-1, parameters)
    return np.concatenate([np.zeros((1, parameters)), both])[:count]


@dataclass(frozen=True)
class Searched:
    """What a search from several starts found.

    Attributes:
        fit: the lowest minima.
        lower: where they are below those that were known.
        same: where another minimum with other expectations is as deep.
    """

    fit: Fit
    lower: BoolArray
    same: BoolArray


def spread_starts(
    m: Batch, windows: IntArray, base: FloatArray, count: int, strengths: FloatArray | None = None
) -> FloatArray:
    """Starts of each window, (windows, count, parameters): around its nominal values, at strengths of the signal.

    Example:
        >>> from darkfactory.stats.examples import counting_window
        >>> from darkfactory.stats.histfactory import compile_workspace
        >>> _, m = compile_workspace(counting_window(3, 2.0, 0.1))
        >>> spread_starts(m, np.zeros(1, dtype=np.intp), np.array([[0.0, 4.0]]), 2).round(2).tolist()
        [[[0.0, 4.0], [-0.88, 4.0]]]
    """
    kinds = np.array(m.structure.kinds)
    shift = offsets(count, base.shape[1])
    init, width = m.init[windows], m.width[windows]
    gaussian = init[:, None, :] + shift * width[:, None, :]
    factor = init[:, None, :] * np.exp(np.log(2.0) * shift)
    starts = np.where((kinds == "normal")[None, None, :], gaussian, factor)
    if m.structure.poi >= 0:
        starts[:, :, m.structure.poi] = base[:, None, m.structure.poi]
    if strengths is not None:
        starts[:, :, m.structure.poi] = strengths
    return starts


def search(
    m: Batch,
    data: Data,
    known: Fit,
    windows: IntArray,
    sets: IntArray,
    free: BoolArray,
    *,
    count: int,
    hi: FloatArray | None = None,
    strengths: FloatArray | None = None,
    tolerance: float = 1e-14,
    backend: Backend = "numpy",
) -> Searched:
    """Look for minima below those that are known, from several starts, where no bin expects less than nothing.

    Args:
        m: windows.
        data: data sets.
        known: minima known, of windows ``windows`` with data ``sets``.
        windows: row to window.
        sets: row to data set.
        free: parameters that float, a row each; a held parameter of interest keeps the value of ``known``.
        count: starts.
        hi: upper bounds, a row each.
        strengths: start values of a floating parameter of interest, (rows, count).
        tolerance: of the fits.
        backend: of the fits.

    Example:
        A bin that both directions of a nuisance raise describes too many events on either side

        >>> from darkfactory.stats.examples import two_minima_window
        >>> from darkfactory.stats.histfactory import compile_workspace
        >>> _, m = compile_workspace(two_minima_window(tilt=0.0, slope=0.0))
        >>> free, one = np.array([[False, True]]), np.zeros(1, dtype=np.intp)
        >>> first = fit(m, m.observed, np.array([[0.0, 0.5]]), free)
        >>> found = search(m, m.observed, first, one, one, free, count=6)
        >>> found.lower.tolist(), found.same.tolist()
        ([False], [True])
    """
    rows = len(windows)
    starts = spread_starts(m, windows, known.theta, count, strengths)
    starts = np.where(free[:, None, :], starts, known.theta[:, None, :])
    many = np.repeat(np.arange(rows), count)
    found = fit(
        m, data, starts.reshape(rows * count, -1), free[many], hi=None if hi is None else hi[many],
        tolerance=tolerance, windows=windows[many], sets=sets[many], backend=backend, physical=True,
    )  # fmt: skip
    value = np.where(found.converged, found.value, np.inf).reshape(rows, count)
    best = value.argmin(axis=1)
    place = np.arange(rows) * count + best
    least = value[np.arange(rows), best]
    with np.errstate(all="ignore"):
        before = np.where(known.converged, known.value, np.inf)
        lower = np.isfinite(least) & ~(before <= least + ROUNDING * (1 + np.abs(least)))
    where = np.flatnonzero(lower)
    result = known.put(where, found.take(place[where])) if len(where) else known
    deep = value <= result.value[:, None] + _SAME_DEPTH
    return Searched(result, lower, _differ(m, windows, result, found, deep, count))


def _differ(m: Batch, windows: IntArray, best: Fit, found: Fit, deep: BoolArray, count: int) -> BoolArray:
    """Rows where a minimum as deep as the best expects something else in some bin."""
    some = np.flatnonzero(deep.ravel())
    result = np.zeros(len(windows), dtype=bool)
    if not len(some):
        return result
    row = some // count
    taken = m.take(windows[row])
    here = expected(taken, found.theta[some], tuple(g[some] for g in found.gammas))
    there = expected(taken, best.theta[row], tuple(g[row] for g in best.gammas))
    other = np.zeros(len(some), dtype=bool)
    for a, b in zip(here, there, strict=True):
        other |= (np.abs(a - b) > _SAME_RATES * (1 + np.abs(b))).any(axis=1)
    np.logical_or.at(result, row, other)
    return result
