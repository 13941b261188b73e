"""Asymptotic limits, best fits and local significances of a stack of windows, in lock-step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from darkfactory.stats.asymptotics import band_targets, log_cls, p_value_q0, sigma_limit
from darkfactory.stats.histfactory import Batch, Data, FloatArray
from darkfactory.stats.likelihood import asimov
from darkfactory.stats.newton import Backend, Fit, fit

__all__ = ["BaseFits", "ScanResult", "asymptotic_limits", "base_fits", "discovery", "gather", "join_data"]

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.intp]

_ROOT_STEPS = 60
_FEW, _MANY = 200, 800
# a Newton step from this near lands a hundred thousand times nearer
_CLOSE = 1e-5
# the last Newton step is taken, so that a decrement of this size leaves its square
_TOLERANCE = 1e-9
# in standard deviations per standard deviation: what rounding leaves of a slope at a minimum
_NO_SLOPE = 1e-6
# part of a value that two searches for one minimum may differ by
_ROUNDING = 1e-7


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


@dataclass(frozen=True)
class ScanResult:
    """Limits of n windows, in units of the workspaces' parameter of interest.

    Attributes:
        base: fits without a limit.
        sigma_asimov: expected error of the signal strength (n,).
        observed: (n, levels); NaN where ``status`` says so.
        expected: (n, levels, 5).
        observed_fit: parameters of the data fit at the observed limit, (n, levels, parameters).
        observed_asimov: same of the Asimov fit.
        expected_fit: parameters of the Asimov fit at the expected limits, (n, levels, 5, parameters).
        status: per window and level.
    """

    base: BaseFits
    sigma_asimov: FloatArray
    observed: FloatArray
    expected: FloatArray
    observed_fit: FloatArray
    observed_asimov: FloatArray
    expected_fit: FloatArray
    status: tuple[tuple[str, ...], ...]


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


def _free(m: Batch, with_poi: bool) -> BoolArray:
    free = ~m.fixed
    free[:, m.structure.poi] = with_poi
    return free


def _bounds(m: Batch) -> FloatArray:
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
        >>> spec = {"channels": [{"name": "sr", "samples": [
        ...     {"name": "s", "data": [4.0], "modifiers": [{"name": "mu", "type": "normfactor", "data": None}]},
        ...     {"name": "b", "data": [5.0], "modifiers": []}]}],
        ...     "observations": [{"name": "sr", "data": [9.0]}], "version": "1.0.0",
        ...     "measurements": [{"name": "m", "config": {"poi": "mu", "parameters": []}}]}
        >>> _, batch = compile_workspace(spec)
        >>> base = base_fits(batch, batch.observed)
        >>> round(float(base.free.theta[0, 0]), 6), round(float(base.q0[0]), 6), round(float(base.sigma[0]), 6)
        (1.0, 2.58016, 0.75)
    """
    poi = m.structure.poi
    begin = (m.init if start is None else start).copy()
    begin[:, poi] = 0.0
    null = _minima(m, data, begin, _free(m, False), backend)
    with np.errstate(all="ignore"):
        good = null.curvature > 0
        sigma0 = np.where(good, 1 / np.sqrt(np.where(good, null.curvature, 1.0)), np.inf)
        estimate = np.where(good, -null.slope * sigma0 * sigma0, np.nan)
        jump = np.where(np.isfinite(estimate), np.maximum(estimate, 0.0), 0.0)
    begin = null.theta + jump[:, None] * null.tangent
    begin[:, poi] = jump
    # an impossible null (data where nothing is expected without signal) leaves the free fit a start with signal
    begin = np.where(null.converged[:, None], begin, m.init)
    free = _minima(m, data, begin, _free(m, True), backend, _bounds(m))
    # a start far off can miss where the null is the better point
    worse = null.converged & (~free.converged | (free.value > null.value + 1e-9))
    if worse.any():
        again = np.flatnonzero(worse)
        second = fit(
            m, data, null.theta[again], _free(m, True)[again], hi=_bounds(m)[again], windows=again, sets=again,
            backend=backend,
        )  # fmt: skip
        free = free.put(again, second)
    with np.errstate(all="ignore"):
        # a best fit at the bound is no excess, whatever the last digits of two minima say
        excess = free.theta[:, poi] > 0
        q0 = np.where(excess, np.maximum(2 * (null.value - free.value), 0.0), 0.0)
        sigma = np.where(free.curvature > 0, 1 / np.sqrt(np.maximum(free.curvature, 1e-300)), np.inf)
    ok = null.converged & free.converged
    return BaseFits(null, free, q0, sigma, estimate, asimov(m, null.theta, null.gammas), ok)


def discovery(base: BaseFits) -> FloatArray:
    """Local p-values of the background-only hypothesis."""
    return p_value_q0(base.q0)


def _next_step(mu: FloatArray, lo: FloatArray, hi: FloatArray, newton: FloatArray, ceiling: FloatArray) -> FloatArray:
    """A Newton proposal kept inside its bracket; bisection, or a bounded stride while there is no upper end."""
    with np.errstate(all="ignore"):
        inside = np.isfinite(newton) & (newton > lo) & (newton < hi) & (newton < ceiling)
        outward = np.minimum(4 * mu, ceiling)
        fallback = np.where(np.isfinite(hi), 0.5 * (lo + np.where(np.isfinite(hi), hi, 0.0)), outward)
    return np.where(inside, newton, fallback)


@dataclass(frozen=True)
class _Problem:
    """Windows of a stack and data sets, picked by index so that nothing is copied while roots are searched."""

    m: Batch
    data: Data
    backend: Backend

    def fit_at(self, mu: FloatArray, guesses: Sequence[FloatArray], windows: IntArray, sets: IntArray) -> Fit:
        """Fit at given signal strengths from the first of several starts that works."""
        result: Fit | None = None
        held = _free(self.m, False)
        for guess in (*guesses, None):
            start = (self.m.init[windows] if guess is None else guess).copy()
            start[:, self.m.structure.poi] = mu
            again: IntArray = np.arange(len(mu)) if result is None else np.flatnonzero(~result.converged)
            begin = np.where(np.isfinite(start), start, self.m.init[windows])[again]
            found = fit(
                self.m, self.data, begin, held[windows[again]], tolerance=_TOLERANCE, windows=windows[again],
                sets=sets[again], backend=self.backend,
            )  # fmt: skip
            result = found if result is None else result.put(again, found)
            if result.converged.all():
                return result
        if result is None:
            raise ValueError("no start value")
        # narrow bent valleys take many small steps; where the last search stopped is further along
        again = np.flatnonzero(~result.converged)
        found = fit(
            self.m, self.data, result.theta[again], held[windows[again]], tolerance=_TOLERANCE, windows=windows[again],
            sets=sets[again], backend=self.backend, max_iterations=_MANY,
        )  # fmt: skip
        return result.put(again, found)


def _expected_roots(
    m: Batch, base: BaseFits, sigma: FloatArray, targets: FloatArray, usable: BoolArray, backend: Backend
) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Signal strengths at which sqrt(q_A) equals each target: (n, targets), parameters there, and success."""
    n, t = len(m), len(targets)
    npar = m.init.shape[1]
    mu_out = np.full((n, t), np.nan)
    theta_out = np.full((n, t, npar), np.nan)
    good = np.zeros((n, t), dtype=bool)
    window, which = (v.ravel() for v in np.meshgrid(np.arange(n), np.arange(t), indexing="ij"))
    keep = usable[window]
    window, which = window[keep], which[keep]
    if not len(window):
        return mu_out, theta_out, good
    target = targets[which]
    mu = target * sigma[window]
    lo, hi = np.zeros(len(mu)), np.full(len(mu), np.inf)
    problem = _Problem(m, base.asimov, backend)
    theta, tangent = base.null.theta[window], base.null.tangent[window]
    at = np.zeros(len(mu))
    for _ in range(_ROOT_STEPS):
        result = problem.fit_at(mu, (theta + (mu - at)[:, None] * tangent, theta), window, window)
        with np.errstate(all="ignore"):
            q = np.maximum(2 * result.value, 0.0)
            r = np.sqrt(q)
            slope = result.slope / r
            newton = mu + (target - r) / slope
            # far from the root the curve bends: sqrt(q) of a few-event window is no straight line
            high = r > target
        failed = ~result.converged
        hi = np.where(high & ~failed, mu, hi)
        lo = np.where(~high & ~failed, mu, lo)
        with np.errstate(all="ignore"):
            close = (np.abs(r - target) < _CLOSE * target) & np.isfinite(newton) & ~failed
            pinned = np.isfinite(hi) & ((hi - lo) < 1e-14 * hi)
        done = close | pinned | failed
        if done.any():
            final = np.where(close, newton, mu)
            rows, cols = window[done], which[done]
            mu_out[rows, cols] = final[done]
            theta_out[rows, cols] = (result.theta + (final - mu)[:, None] * result.tangent)[done]
            theta_out[rows, cols, m.structure.poi] = final[done]
            good[rows, cols] = close[done]
        at, theta, tangent = mu, result.theta, result.tangent
        mu = _next_step(mu, lo, hi, newton, np.maximum(10 * mu, 10 * target * sigma[window]))
        stay = np.flatnonzero(~done)
        if not len(stay):
            break
        if len(stay) < len(done):
            window, which, target = window[stay], which[stay], target[stay]
            mu, lo, hi, at, theta, tangent = (v[stay] for v in (mu, lo, hi, at, theta, tangent))
    return mu_out, theta_out, good


def _observed_roots(
    m: Batch,
    data: Data,
    base: BaseFits,
    sigma: FloatArray,
    cls: Sequence[float],
    usable: BoolArray,
    backend: Backend,
) -> tuple[FloatArray, FloatArray, FloatArray, BoolArray]:
    """Signal strengths at which the observed CLs is 1 - cl: (n, levels), both parameter sets there, and success."""
    n, t = len(m), len(cls)
    npar = m.init.shape[1]
    mu_out = np.full((n, t), np.nan)
    theta_out = np.full((n, t, 2, npar), np.nan)
    good = np.zeros((n, t), dtype=bool)
    window, which = (v.ravel() for v in np.meshgrid(np.arange(n), np.arange(t), indexing="ij"))
    keep = usable[window]
    window, which = window[keep], which[keep]
    if not len(window):
        return mu_out, theta_out[:, :, 0], theta_out[:, :, 1], good
    level = np.log(1 - np.array(cls))[which]
    with np.errstate(all="ignore"):
        # a flat or bent profile has no second-order estimate; the data fit itself says where to begin
        estimate = np.where(np.isfinite(base.estimate), base.estimate, base.free.theta[:, m.structure.poi])
        estimate = sigma * np.minimum(np.maximum(estimate / sigma, -6.0), 1e3)
        guess = np.stack([sigma_limit(estimate, sigma, cl) for cl in cls], axis=1)
    best = base.free.theta[:, m.structure.poi][window]
    mu = np.maximum(guess[window, which], best + 0.1 * sigma[window])
    lo, hi = np.maximum(best, 0.0), np.full(len(mu), np.inf)
    k = len(window)
    problem = _Problem(m, join_data([data, base.asimov]), backend)
    theta = np.concatenate([base.free.theta[window], base.null.theta[window]])
    tangent = np.concatenate([base.free.tangent[window], base.null.tangent[window]])
    at = np.concatenate([best, np.zeros(k)])
    floor = base.free.value[window]
    for _ in range(_ROOT_STEPS):
        k = len(window)
        double = np.concatenate([mu, mu])
        both, sets = np.concatenate([window, window]), np.concatenate([window, window + n])
        result = problem.fit_at(double, (theta + (double - at)[:, None] * tangent, theta), both, sets)
        q, q1 = 2 * (result.value[:k] - floor), 2 * result.slope[:k]
        # a lower minimum than the best fit: the profile has several, and the best fit is none
        several = result.converged[:k] & (result.value[:k] < floor - _ROUNDING * (1 + np.abs(floor)))
        above = mu < best
        q, q1 = np.where(above, 0.0, np.maximum(q, 0.0)), np.where(above, 0.0, q1)
        value, slope = log_cls(q, q1, np.maximum(2 * result.value[k:], 0.0), 2 * result.slope[k:])
        with np.errstate(all="ignore"):
            newton = mu + (level - value) / slope
            high = value < level
        failed = ~(result.converged[:k] & result.converged[k:]) | ~np.isfinite(value) | several
        hi = np.where(high & ~failed, mu, hi)
        lo = np.where(~high & ~failed, mu, lo)
        with np.errstate(all="ignore"):
            close = (np.abs(value - level) < _CLOSE) & np.isfinite(newton) & ~failed
            pinned = np.isfinite(hi) & ((hi - lo) < 1e-14 * hi)
        done = close | pinned | failed
        if done.any():
            final = np.where(close, newton, mu)
            moved = result.theta + (np.concatenate([final, final]) - double)[:, None] * result.tangent
            moved[:, m.structure.poi] = np.concatenate([final, final])
            rows, cols = window[done], which[done]
            mu_out[rows, cols] = final[done]
            theta_out[rows, cols, 0] = moved[:k][done]
            theta_out[rows, cols, 1] = moved[k:][done]
            good[rows, cols] = close[done]
        at, theta, tangent = double, result.theta, result.tangent
        mu = _next_step(mu, lo, hi, newton, np.maximum(10 * mu, best + 10 * sigma[window]))
        stay = np.flatnonzero(~done)
        if not len(stay):
            break
        if len(stay) < k:
            two = np.concatenate([stay, stay + k])
            window, which, level, floor, best = (v[stay] for v in (window, which, level, floor, best))
            mu, lo, hi = mu[stay], lo[stay], hi[stay]
            at, theta, tangent = at[two], theta[two], tangent[two]
    return mu_out, theta_out[:, :, 0], theta_out[:, :, 1], good


def asymptotic_limits(
    m: Batch, cls: Sequence[float], *, data: Data | None = None, backend: Backend = "numpy"
) -> ScanResult:
    """Observed and expected CLs upper limits of a stack of windows at several confidence levels.

    The limits are roots of pyhf's own asymptotic CLs (qtilde, normal base distribution, Asimov set from the fit
    without signal to the observed data).

    Args:
        m: n windows.
        cls: confidence levels.
        data: data sets, default the workspaces' own observations.
        backend: of the fits.

    Returns:
        Limits in units of the parameter of interest with a status for each: ``ok``, ``no_sensitivity`` (the signal
        changes nothing), ``not_bracketed`` (no root found, or a profile with several minima) or ``fit_failed``.

    Example:
        >>> from darkfactory.stats.histfactory import compile_workspace
        >>> spec = {"channels": [{"name": "sr", "samples": [
        ...     {"name": "s", "data": [10.0], "modifiers": [{"name": "mu", "type": "normfactor", "data": None}]},
        ...     {"name": "b", "data": [100.0], "modifiers": []}]}],
        ...     "observations": [{"name": "sr", "data": [100.0]}], "version": "1.0.0",
        ...     "measurements": [{"name": "m", "config": {"poi": "mu", "parameters": []}}]}
        >>> _, batch = compile_workspace(spec)
        >>> result = asymptotic_limits(batch, [0.95])
        >>> round(float(result.observed[0, 0]), 4), round(float(result.expected[0, 0, 2]), 4)
        (2.0901, 2.0901)
    """
    observed = m.observed if data is None else data
    base = base_fits(m, observed, backend=backend)
    at_null = fit(m, base.asimov, base.null.theta, _free(m, False), max_iterations=20, backend=backend)
    with np.errstate(all="ignore"):
        sensitive = (at_null.curvature > 0) & np.isfinite(at_null.curvature)
        sigma = np.where(sensitive, 1 / np.sqrt(np.where(sensitive, at_null.curvature, 1.0)), np.nan)
        # no background at all: the curvature of the Asimov set says nothing, but every signal event counts
        slope, stiffness = at_null.slope, np.maximum(at_null.stiffness, 0.0)
        countable = ~sensitive & (slope > 0) & (slope > _NO_SLOPE * np.sqrt(stiffness))
        sigma = np.where(countable, 1 / np.where(countable, slope, 1.0), sigma)
        # other parameters undo a small signal: a limit is where they reach their bounds, and the search starts nearby
        degenerate = ~sensitive & ~countable & (stiffness > 0)
        sigma = np.where(degenerate, 1 / np.sqrt(np.where(degenerate, stiffness, 1.0)), sigma)
    sensitive = sensitive | countable | degenerate
    usable = base.ok & sensitive
    flat = np.concatenate([band_targets(cl) for cl in cls])
    expected, expected_fit, ok_expected = _expected_roots(m, base, sigma, flat, usable, backend)
    mu, fit_data, fit_asimov, ok_observed = _observed_roots(m, observed, base, sigma, cls, usable, backend)
    n, t = len(m), len(cls)
    band = expected.reshape(n, t, 5)
    with np.errstate(all="ignore"):
        # roots out of order are roots of a curve with several: none of them is the limit
        ordered = (np.diff(band, axis=2) > 0).all(axis=2)
    ok = ok_observed & ok_expected.reshape(n, t, 5).all(axis=2) & ordered

    def status(i: int, j: int) -> str:
        if not base.ok[i]:
            return "fit_failed"
        if not sensitive[i]:
            return "no_sensitivity"
        return "ok" if ok[i, j] else "not_bracketed"

    return ScanResult(
        base=base,
        sigma_asimov=sigma,
        observed=np.where(ok, mu, np.nan),
        expected=np.where(ok[:, :, None], band, np.nan),
        observed_fit=fit_data,
        observed_asimov=fit_asimov,
        expected_fit=expected_fit.reshape(n, t, 5, -1),
        status=tuple(tuple(status(i, j) for j in range(t)) for i in range(n)),
    )
