"""What the data of a stack of windows say before any limit: fits without and with signal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from darkfactory.stats.asymptotics import p_value_q0
from darkfactory.stats.histfactory import Batch, Data, FloatArray
from darkfactory.stats.likelihood import asimov
from darkfactory.stats.minima import BASE_STARTS, search
from darkfactory.stats.newton import Backend, Fit, fit

__all__ = [
    "BaseFits",
    "base_fits",
    "discovery",
    "floating",
    "gather",
    "join_data",
    "lowest_base",
    "unbounded",
]

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.intp]

_FEW, _MANY = 200, 800
# signal strengths, in standard deviations, at which searches for a lower minimum begin
_STRENGTHS = (1.0, 0.0, 3.0, 10.0)


@dataclass(frozen=True)
class BaseFits:
    """What the data say before any limit.

    Attributes:
        null: fit with no signal.
        free: fit with the signal free above its lower bound.
        q0: discovery test statistic (n,).
        sigma: error of the best fit's signal strength from the curvature of the profile, (n,).
        estimate: best fit without a bound, to second order (a start value, no result), (n,).
        asimov: the data set that the null fit expects.
        ok: both fits converged.
    """

    null: Fit
    free: Fit
    q0: FloatArray
    sigma: FloatArray
    estimate: FloatArray
    asimov: Data
    ok: BoolArray


def gather(m: Batch, index: IntArray) -> Batch:
    """Windows ``index`` of a stack (the stack itself if that is what is asked for)."""
    return m if len(index) == len(m) and bool((index == np.arange(len(m))).all()) else m.take(index)


def join_data(parts: Sequence[Data]) -> Data:
    """Data sets of several stacks of one structure, one after the other."""
    first = parts[0]
    blocks = tuple(
        type(first.blocks[0])(
            np.concatenate([p.blocks[i].counts for p in parts]),
            np.concatenate([p.blocks[i].g_aux for p in parts]),
        )
        for i in range(len(first.blocks))
    )
    return Data(blocks, np.concatenate([p.aux for p in parts]))


def floating(m: Batch, with_poi: bool) -> BoolArray:
    """Parameters that float (n, parameters), the parameter of interest among them or not.

    Example:
        >>> from darkfactory.stats.examples import counting_window
        >>> from darkfactory.stats.histfactory import compile_workspace
        >>> floating(compile_workspace(counting_window(3, 2.0, 0.1))[1], False).tolist()
        [[True, False]]
    """
    free = ~m.fixed
    free[:, m.structure.poi] = with_poi
    return free


def unbounded(m: Batch) -> FloatArray:
    """Upper bounds with the signal strength unbounded above: a limit beyond the bound is a limit all the same."""
    hi = m.hi.copy()
    hi[:, m.structure.poi] = np.inf
    return hi


def _minima(
    m: Batch, data: Data, begin: FloatArray, free: BoolArray, backend: Backend, hi: FloatArray | None = None
) -> Fit:
    """Fits of a stack, first where no bin expects less than nothing, then anywhere, then with many more steps."""
    found = fit(m, data, begin, free, hi=hi, backend=backend, physical=True)
    for most in (_FEW, _MANY):
        lost = np.flatnonzero(~found.converged)
        if not len(lost):
            break
        # narrow bent valleys take many small steps; where the last search stopped is further along
        start = begin[lost] if most == _FEW else found.theta[lost]
        second = fit(
            m, data, start, free[lost], hi=None if hi is None else hi[lost], windows=lost, sets=lost, backend=backend,
            max_iterations=most,
        )  # fmt: skip
        found = found.put(lost, second)
    return found


def base_fits(m: Batch, data: Data, *, start: FloatArray | None = None, backend: Backend = "numpy") -> BaseFits:
    """Fit a stack of windows without and with signal.

    Args:
        m: n windows.
        data: their data.
        start: start parameters, default the workspaces' own.
        backend: of the fits.

    Returns:
        Fits, q0 and the Asimov data set.

    Example:
        >>> from darkfactory.stats.histfactory import compile_workspace
        >>> from darkfactory.stats.examples import counting_window
        >>> spec = counting_window(9, 5.0, signal=4.0)
        >>> _, batch = compile_workspace(spec)
        >>> base = base_fits(batch, batch.observed)
        >>> round(float(base.free.theta[0, 0]), 6), round(float(base.q0[0]), 6), round(float(base.sigma[0]), 6)
        (1.0, 2.58016, 0.75)
    """
    poi = m.structure.poi
    begin = (m.init if start is None else start).copy()
    begin[:, poi] = 0.0
    null = _minima(m, data, begin, floating(m, False), backend)
    estimate = _estimate(null)
    jump = np.where(np.isfinite(estimate), np.maximum(estimate, 0.0), 0.0)
    begin = null.theta + jump[:, None] * null.tangent
    begin[:, poi] = jump
    # an impossible null (data where nothing is expected without signal) leaves the free fit a start with signal
    begin = np.where(null.converged[:, None], begin, m.init)
    free = _minima(m, data, begin, floating(m, True), backend, unbounded(m))
    return _settled(m, data, null, free, backend)


def _estimate(null: Fit) -> FloatArray:
    """Best fit without a bound, to second order around the fit without signal."""
    with np.errstate(all="ignore"):
        good = null.curvature > 0
        sigma = np.where(good, 1 / np.sqrt(np.where(good, null.curvature, 1.0)), np.inf)
        return np.where(good, -null.slope * sigma * sigma, np.nan)


def _settled(m: Batch, data: Data, null: Fit, free: Fit, backend: Backend) -> BaseFits:
    """What follows from both fits, after the free one was given the chance to begin where the other ended."""
    poi = m.structure.poi
    # a start far off can miss where the null is the better point
    worse = null.converged & (~free.converged | (free.value > null.value + 1e-9))
    if worse.any():
        again = np.flatnonzero(worse)
        second = fit(
            m, data, null.theta[again], floating(m, True)[again], hi=unbounded(m)[again], windows=again, sets=again,
            backend=backend,
        )  # fmt: skip
        free = free.put(again, second)
    with np.errstate(all="ignore"):
        # a best fit at the bound is no excess, whatever the last digits of two minima say
        excess = free.theta[:, poi] > 0
        q0 = np.where(excess, np.maximum(2 * (null.value - free.value), 0.0), 0.0)
        sigma = np.where(free.curvature > 0, 1 / np.sqrt(np.maximum(free.curvature, 1e-300)), np.inf)
    ok = null.converged & free.converged
    return BaseFits(null, free, q0, sigma, _estimate(null), asimov(m, null.theta, null.gammas), ok)


def lowest_base(
    m: Batch, data: Data, base: BaseFits, windows: IntArray, backend: Backend = "numpy", count: int = BASE_STARTS
) -> tuple[BaseFits, BoolArray]:
    """Fits of some windows searched from several starts.

    Args:
        m: n windows.
        data: their data.
        base: fits from one start.
        windows: to search.
        backend: of the fits.
        count: starts of each fit.

    Returns:
        The fits with the lowest minima that were found, and the windows of the stack (n,) where another description of
        the data is as good, so that there is no lowest.

    Example:
        >>> from darkfactory.stats.examples import two_minima_window
        >>> from darkfactory.stats.histfactory import compile_workspace
        >>> _, m = compile_workspace(two_minima_window())
        >>> one, first = np.zeros(1, dtype=np.intp), base_fits(m, m.observed)
        >>> best, several = lowest_base(m, m.observed, first, one)
        >>> first.null.theta[0].round(2).tolist(), best.null.theta[0].round(2).tolist(), several.tolist()
        ([0.0, 0.42], [0.0, -0.49], [False])
    """
    without = search(
        m, data, base.null.take(windows), windows, windows, floating(m, False)[windows], count=count,
        backend=backend,
    )  # fmt: skip
    null = base.null.put(windows, without.fit)
    scale = np.where(np.isfinite(base.sigma), base.sigma, 1.0)[windows]
    strengths = scale[:, None] * np.resize(_STRENGTHS, count)[None, :]
    with_signal = search(
        m, data, base.free.take(windows), windows, windows, floating(m, True)[windows], count=count,
        hi=unbounded(m)[windows], strengths=strengths, backend=backend,
    )  # fmt: skip
    several = np.zeros(len(m), dtype=bool)
    several[windows] = without.same | with_signal.same
    if not (without.lower | with_signal.lower).any():
        return base, several
    return _settled(m, data, null, base.free.put(windows, with_signal.fit), backend), several


def discovery(base: BaseFits) -> FloatArray:
    """Local p-values of the background-only hypothesis."""
    return p_value_q0(base.q0)
