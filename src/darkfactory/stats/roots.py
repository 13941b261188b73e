"""Where CLs crosses a level: roots of the observed CLs and of the Asimov set's sqrt(q), in lock-step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from darkfactory.stats.asymptotics import log_cls, sigma_limit
from darkfactory.stats.base_fits import BaseFits, floating, join_data
from darkfactory.stats.histfactory import Batch, Data, FloatArray
from darkfactory.stats.minima import ROUNDING, search
from darkfactory.stats.newton import Backend, Fit, fit

__all__ = ["expected_roots", "observed_roots"]

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.intp]

_ROOT_STEPS = 60
_MANY = 800
# a Newton step from this near lands a hundred thousand times nearer
_CLOSE = 1e-5
# the last Newton step is taken, so that a decrement of this size leaves its square
_TOLERANCE = 1e-9


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
    starts: int = 0

    def fit_at(self, mu: FloatArray, guesses: Sequence[FloatArray], windows: IntArray, sets: IntArray) -> Fit:
        """Fit at given signal strengths from the first of several starts that works, or from all for the lowest."""
        result: Fit | None = None
        held = floating(self.m, False)
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
                break
        if result is None:
            raise ValueError("no start value")
        if self.starts:
            result = search(
                self.m, self.data, result, windows, sets, held[windows], count=self.starts, tolerance=_TOLERANCE,
                backend=self.backend,
            ).fit  # fmt: skip
        again = np.flatnonzero(~result.converged)
        if not len(again):
            return result
        # narrow bent valleys take many small steps; where the last search stopped is further along
        found = fit(
            self.m, self.data, result.theta[again], held[windows[again]], tolerance=_TOLERANCE, windows=windows[again],
            sets=sets[again], backend=self.backend, max_iterations=_MANY,
        )  # fmt: skip
        return result.put(again, found)


def expected_roots(
    m: Batch,
    base: BaseFits,
    sigma: FloatArray,
    targets: FloatArray,
    usable: BoolArray,
    backend: Backend,
    starts: int = 0,
) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Signal strengths at which sqrt(q) of the Asimov set equals each target.

    Args:
        m: n windows.
        base: fits to their data.
        sigma: expected errors of the signal strength (n,).
        targets: values of sqrt(q).
        usable: windows to search (n,).
        backend: of the fits.
        starts: of each fit, beside the tangent of the last; zero for the tangent alone.

    Returns:
        (n, targets), parameters there, and success.

    Example:
        >>> from darkfactory.stats.base_fits import base_fits
        >>> from darkfactory.stats.examples import counting_window
        >>> from darkfactory.stats.histfactory import compile_workspace
        >>> _, m = compile_workspace(counting_window(100, 100.0))
        >>> base, every = base_fits(m, m.observed), np.array([True])
        >>> mu, _, ok = expected_roots(m, base, np.array([10.0]), np.array([1.0]), every, "numpy")
        >>> q = 2 * (mu[0, 0] - 100 * np.log(1 + mu[0, 0] / 100))
        >>> round(float(q), 9), ok.tolist()
        (1.0, [[True]])
    """
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
    problem = _Problem(m, base.asimov, backend, starts)
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


def observed_roots(
    m: Batch,
    data: Data,
    base: BaseFits,
    sigma: FloatArray,
    cls: Sequence[float],
    usable: BoolArray,
    backend: Backend,
    starts: int = 0,
) -> tuple[FloatArray, FloatArray, FloatArray, BoolArray, BoolArray]:
    """Signal strengths at which the observed CLs is 1 - cl.

    Args:
        m: n windows.
        data: their data.
        base: fits to them.
        sigma: expected errors of the signal strength (n,).
        cls: levels.
        usable: windows to search (n,).
        backend: of the fits.
        starts: of each fit, beside the tangent of the last; zero for the tangent alone.

    Returns:
        (n, levels), parameters of the data fit and of the Asimov fit there, success, and windows (n,) where a minimum
        below that of the best fit was met on the way.

    Example:
        >>> from darkfactory.stats.base_fits import base_fits
        >>> from darkfactory.stats.examples import counting_window
        >>> from darkfactory.stats.histfactory import compile_workspace
        >>> _, m = compile_workspace(counting_window(100, 100.0))
        >>> found = observed_roots(m, m.observed, base_fits(m, m.observed), np.array([10.0]), [0.95], np.array([True]),
        ...     "numpy")
        >>> found[0].round(3).tolist(), found[4].tolist()
        ([[20.901]], [False])
    """
    n, t = len(m), len(cls)
    npar = m.init.shape[1]
    mu_out = np.full((n, t), np.nan)
    theta_out = np.full((n, t, 2, npar), np.nan)
    good, crossed = np.zeros((n, t), dtype=bool), np.zeros(n, dtype=bool)
    window, which = (v.ravel() for v in np.meshgrid(np.arange(n), np.arange(t), indexing="ij"))
    keep = usable[window]
    window, which = window[keep], which[keep]
    if not len(window):
        return mu_out, theta_out[:, :, 0], theta_out[:, :, 1], good, crossed
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
    problem = _Problem(m, join_data([data, base.asimov]), backend, starts)
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
        several = result.converged[:k] & (result.value[:k] < floor - ROUNDING * (1 + np.abs(floor)))
        crossed[window[several]] = True
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
    return mu_out, theta_out[:, :, 0], theta_out[:, :, 1], good, crossed
