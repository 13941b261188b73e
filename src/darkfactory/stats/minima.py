"""The lowest of several minima: which likelihoods may have some, and searches from several starts.

A HistFactory likelihood is convex for a common yield and moderate variations. With per-bin factors as uncertain as they
are large (bins of one simulated event), factors of two, shapes that change by a third, or variations whose two
directions change the bins alike by more than their errors, it may have several minima, and a search that begins at the
nominal values finds one of them. Windows that may, and those that no parameters describe, are searched from a fixed
list of starts, always where no bin expects less than nothing: an empty bin has no wall at zero, in pyhf neither, and
behind it a shape extrapolated by five standard deviations gains without end. That is no description of data.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from darkfactory.stats.histfactory import Batch, Data, FloatArray
from darkfactory.stats.likelihood import expected
from darkfactory.stats.newton import Backend, Fit, fit

__all__ = [
    "BASE_STARTS",
    "LIMIT_STARTS",
    "LOST_STARTS",
    "ROUNDING",
    "Searched",
    "bends",
    "bends_at",
    "may_have_several",
    "offsets",
    "search",
    "spread_starts",
    "undescribed",
]

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.intp]

BASE_STARTS = 12
"""Starts of the fits to the data with and without signal."""
LIMIT_STARTS = 6
"""Starts at each limit that is found."""
LOST_STARTS = 48
"""Starts of the fits to data that no parameters describe."""

ROUNDING = 1e-7
"""Part of a value that two searches for one minimum may differ by."""

# per-bin errors and shapes from which a likelihood may bend the other way, and factors as logarithms
_LOOSE, _STRONG, _FACTOR = 0.5, 0.3, 0.69
# standard deviations that data are off at a limit
_RESIDUAL = 4.0
# between what the data at a fit do and what they might, with the other parameters elsewhere
_MARGIN = 2.0
# standard deviations of the deviance from which a fit describes nothing
_POOR = 10.0
# pairs of starts reach this far in turn, in standard deviations; free factors by as many factors of two
_REACH = (2.0, 4.0)
# in -log L: minima as deep as each other for any purpose, none of which is *the* minimum
_SAME_DEPTH = 1e-3
# part of its expectation that a bin may differ by and still be the same description
_SAME_RATES = 1e-2


def may_have_several(m: Batch) -> BoolArray:
    """Windows whose likelihood has what several minima come from: loose per-bin factors, strong or bent variations.

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
    return found | _turned(m)


def _with_signal(m: Batch, strength: FloatArray) -> Batch:
    """The windows with signals of some strengths, (n,), as their unit."""
    s = m.structure
    blocks = []
    for i, (block, b) in enumerate(zip(s.blocks, m.blocks, strict=True)):
        rows = {r for c, r, p in s.linear if (c, p) == (i, s.poi)}
        factor = np.ones((len(m), len(block.rows), 1))
        factor[:, sorted(rows), 0] = strength[:, None]
        slots = [r for r, _ in block.histo]
        changed = {"nominal": b.nominal * factor, "up": b.up * factor[:, slots], "dn": b.dn * factor[:, slots]}
        blocks.append(replace(b, **changed))
    return replace(m, blocks=tuple(blocks))


def _turned(m: Batch) -> BoolArray:
    """Windows with a nuisance parameter that leads expectations back to where they came from.

    Beyond one standard deviation on either side, the interpolation goes on as its ``up`` and ``dn`` do, and the pull as
    one. In errors of the bins, the angle between both ends is small for opposite directions and for what the data do
    not see; beyond a right angle there are data that are as near to one end as to the other.
    """
    found = np.zeros(len(m), dtype=bool)
    for _, up, dn in _variations(m):
        found |= 1 + (up * dn).sum(axis=1) < 0
    return found


def bends(m: Batch, strength: FloatArray) -> BoolArray:
    """Windows in which a signal of some strength makes data from which a variation has two minima.

    The interpolation's second derivative at its centre is 15/4 of its even part. Data that lie as far off as a signal
    at its limit does, and just there where the even part leads, turn the likelihood's curvature if that outweighs the
    curvature of the pull and of the odd part.

    Args:
        m: n windows.
        strength: of the signal, (n,), whose own variations count as much.

    Example:
        >>> from darkfactory.stats.examples import bump_window, two_minima_window
        >>> from darkfactory.stats.histfactory import compile_workspace
        >>> [bool(bends(compile_workspace(s)[1], np.ones(1))[0]) for s in (bump_window(1), two_minima_window())]
        [False, True]
    """
    found = np.zeros(len(m), dtype=bool)
    for _, up, dn in _variations(_with_signal(m, strength)):
        even, odd = 0.5 * (up - dn), 0.5 * (up + dn)
        turning = _RESIDUAL * 3.75 * np.sqrt((even * even).sum(axis=1))
        found |= turning > 1 + (odd * odd).sum(axis=1)
    return found


def bends_at(m: Batch, data: Data, theta: FloatArray, windows: IntArray, sets: IntArray) -> BoolArray:
    """Fits whose data turn the curvature of a variation, or nearly so: there may be another minimum.

    As :func:`bends`, with the data as they are instead of the worst that lie as far off. What is left of them where
    the variation is at its centre is that at the fit and what the pull of the fit makes of it.

    Args:
        m: windows.
        data: data sets.
        theta: parameters at the fits, (rows, parameters).
        windows: row to window.
        sets: row to data set.

    Example:
        >>> from darkfactory.stats.examples import bump_window, two_minima_window
        >>> from darkfactory.stats.histfactory import compile_workspace
        >>> one = np.zeros(1, dtype=np.intp)
        >>> batches = [compile_workspace(s)[1] for s in (bump_window(1), two_minima_window())]
        >>> [bool(bends_at(b, b.observed, b.init, one, one)[0]) for b in batches]
        [False, True]
    """
    here = m.take(windows)
    poi = m.structure.poi
    strong = _with_signal(here, theta[:, poi] if poi >= 0 else np.ones(len(theta)))
    nominal = tuple(np.ones((len(theta), block.nbins)) for block in m.structure.blocks)
    left = np.concatenate(
        [
            (b.counts - rate) / _errors(strong, i)
            for i, (b, rate) in enumerate(zip(data.take(sets).blocks, expected(here, theta, nominal), strict=True))
        ],
        axis=1,
    )
    found = np.zeros(len(theta), dtype=bool)
    for p, up, dn in _variations(strong):
        even, odd = 0.5 * (up - dn), 0.5 * (up + dn)
        pull = ((theta[:, p] - here.init[:, p]) / here.width[:, p])[:, None]
        inside = pull * pull * (15 - pull * pull * (10 - 3 * pull * pull)) / 8
        centre = left + pull * odd + np.where(np.abs(pull) < 1, inside, np.abs(pull)) * even
        turning = _MARGIN * 3.75 * (centre * even).sum(axis=1)
        found |= turning > 1 + (odd * odd).sum(axis=1)
    return found


def _variations(m: Batch) -> Iterator[tuple[int, FloatArray, FloatArray]]:
    """Each nuisance parameter, and what it does to all bins on either side, (n, bins) in errors of the bins.

    Then the same with changes of overall yields taken out, which a free yield undoes.
    """
    s = m.structure
    for p in sorted({p for block in s.blocks for _, p in block.histo} | {p for _, _, p in s.normsys}):
        up, dn = (_change(m, p, upward) for upward in (True, False))
        yield p, up, dn
        along = _affected(m, p)
        norm = np.maximum((along * along).sum(axis=1, keepdims=True), 1e-300)
        yield (
            p,
            up - (up * along).sum(axis=1, keepdims=True) / norm * along,
            dn - (dn * along).sum(axis=1, keepdims=True) / norm * along,
        )


def _errors(m: Batch, block: int) -> FloatArray:
    """Standard deviations of the counts of a channel, with those of its per-bin factors, (n, bins)."""
    b, kind = m.blocks[block], m.structure.blocks[block]
    variance = np.abs(b.nominal.sum(axis=1))
    scaled = b.nominal[:, list(kind.gamma_rows)].sum(axis=1)
    if kind.gamma == "normal":
        variance = variance + (b.g_width * scaled) ** 2
    elif kind.gamma == "poisson":
        variance = variance + scaled**2 / b.g_width
    return np.asarray(np.sqrt(np.where(variance > 0, variance, 1.0)))


def _change(m: Batch, parameter: int, upward: bool) -> FloatArray:
    """What one standard deviation of a parameter does to all bins, in their errors; from down to nominal for down."""
    parts = []
    for i, (block, b) in enumerate(zip(m.structure.blocks, m.blocks, strict=True)):
        shift = np.zeros((len(m), block.nbins))
        for q, (_, p) in enumerate(block.histo):
            if p == parameter:
                shift += (b.up if upward else b.dn)[:, q]
        for x, (c, r, p) in enumerate(m.structure.normsys):
            if (c, p) == (i, parameter):
                factor = np.expm1(m.log_hi[:, x]) if upward else -np.expm1(m.log_lo[:, x])
                shift += factor[:, None] * b.nominal[:, r]
        parts.append(shift / _errors(m, i))
    return np.concatenate(parts, axis=1)


def _affected(m: Batch, parameter: int) -> FloatArray:
    """The samples that a parameter acts on, in errors of the bins."""
    parts = []
    for i, (block, b) in enumerate(zip(m.structure.blocks, m.blocks, strict=True)):
        rows = {r for r, p in block.histo if p == parameter}
        rows |= {r for c, r, p in m.structure.normsys if (c, p) == (i, parameter)}
        parts.append(b.nominal[:, sorted(rows)].sum(axis=1) / _errors(m, i))
    return np.concatenate(parts, axis=1)


def undescribed(m: Batch, value: FloatArray) -> BoolArray:
    """Fits of -log L ``value`` that describe nothing: far from their data, or expecting negative counts.

    Another minimum may be better, and stock pyhf looks at their limits.

    Example:
        >>> from darkfactory.stats.examples import counting_window
        >>> from darkfactory.stats.histfactory import compile_workspace
        >>> undescribed(compile_workspace(counting_window(3, 2.0))[1], np.array([0.3, 9.0])).tolist()
        [False, True]
    """
    bins = sum(block.nbins for block in m.structure.blocks)
    deviance = 2 * value
    return np.asarray((deviance > bins + _POOR * math.sqrt(2 * bins)) | (deviance < -1e-6))


def offsets(count: int, parameters: int) -> FloatArray:
    """Starts in standard deviations, (count, parameters): the nominal values, then well-spread normal numbers.

    Each start is the mirror image of the one before it, and every other pair reaches twice as far; a fixed sequence
    (multiples of irrational numbers), so that a limit never depends on a seed.

    Example:
        >>> offsets(4, 2).round(2).tolist()
        [[0.0, 0.0], [-0.88, -1.97], [0.88, 1.97], [-4.0, 0.95]]
    """
    # additive recurrences with powers of the generalised golden ratio fill a cube evenly
    ratio = 2.0
    for _ in range(60):
        ratio = (1 + ratio) ** (1 / (parameters + 1))
    steps = ratio ** -np.arange(1.0, parameters + 1)
    half = np.arange(1, count // 2 + 1)[:, None]
    uniform = (0.5 + half * steps) % 1.0
    reach = np.resize(_REACH, len(half))[:, None]
    spread = np.clip(reach / 1.5 * ndtri(np.clip(uniform, 1e-6, 1 - 1e-6)), -reach, reach)
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
