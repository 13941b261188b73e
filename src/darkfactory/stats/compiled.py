"""The exact-Newton minimisation compiled by Numba, one window after the other.

The algorithm is that of :mod:`darkfactory.stats.newton`, which stays the reference.
This module imports Numba; it is imported only where that is asked for.
"""

from __future__ import annotations

import hashlib
import inspect
import math
import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from numba import njit

from darkfactory.stats import compiled_likelihood
from darkfactory.stats.compiled_likelihood import dot, evaluate, kernel, minus
from darkfactory.stats.flat import tables
from darkfactory.stats.structure import Batch, Data, FloatArray

__all__ = ["minimise"]

_PIVOT = 1e-13
FLAT = 1e-12


@kernel
def _solve(hess: Any, rhs: Any, on: Any, count: int, damping: Any, a: Any, scale: Any, column: Any, x: Any) -> None:
    """Solve (H + damping diag H) x = rhs on the variables ``on`` by L D L^T with pivots kept positive."""
    for i in range(count):
        scale[i] = 1 / math.sqrt(abs(hess[on[i], on[i]]))
    for i in range(count):
        for j in range(i):
            a[i, j] = hess[on[i], on[j]] * scale[i] * scale[j]
        a[i, i] = hess[on[i], on[i]] * scale[i] * scale[i] + damping
        x[i] = rhs[on[i]] * scale[i]
    for j in range(count):
        pivot = abs(a[j, j])
        if pivot < _PIVOT:
            pivot = _PIVOT
        for i in range(j + 1, count):
            column[i] = a[i, j]
        for i in range(j + 1, count):
            ratio = column[i] / pivot
            if ratio != 0:
                minus(a[i, j + 1 :], column[j + 1 :], ratio, i - j)
            x[i] -= ratio * x[j]
            a[i, j] = ratio
        x[j] /= pivot
    for j in range(count - 1, 0, -1):
        minus(x, a[j], x[j], j)
    for i in range(count):
        x[i] *= scale[i]


@kernel
def _direction(
    theta: Any, grad: Any, hess: Any, low: Any, high: Any, free: Any, damping: Any, work: Any, step: Any, rhs: Any
) -> None:
    """Newton step on the active variables; variables without curvature get one that leads to their bound."""
    a, scale, column, x, saved, on = work
    npar = len(theta)
    count = 0
    for i in range(npar):
        step[i] = 0.0
        g = grad[i]
        active = free[i] and not (theta[i] <= low[i] and g > 0) and not (theta[i] >= high[i] and g < 0)
        rhs[i] = -g if active else 0.0
        saved[i] = hess[i, i]
        if not active:
            continue
        size = max(1.0, abs(theta[i]))
        if g != 0 and abs(g) > 1e9 * size * abs(hess[i, i]):
            room = theta[i] - low[i] if g > 0 else high[i] - theta[i]
            if not (math.isfinite(room) and room > 0):
                room = 10 * size
            hess[i, i] = abs(g) / room
        if abs(hess[i, i]) > 0 or math.isnan(hess[i, i]):
            on[count] = i
            count += 1
    _solve(hess, rhs, on, count, damping, a, scale, column, x)
    for i in range(count):
        step[on[i]] = x[i]
    for i in range(npar):
        hess[i, i] = saved[i]


@kernel
def _profile(
    grad: Any, hess: Any, theta: Any, low: Any, high: Any, free: Any, poi: int, work: Any, tangent: Any
) -> Any:
    """Curvature of the profile along the parameter of interest; the tangent of the minimum into ``tangent``."""
    a, scale, column, x, cross, on = work
    npar = len(theta)
    count = 0
    for i in range(npar):
        tangent[i] = 0.0
        cross[i] = hess[i, poi]
        active = free[i] and not (theta[i] <= low[i] and grad[i] > 0) and not (theta[i] >= high[i] and grad[i] < 0)
        if i != poi and active and abs(hess[i, i]) > 0:
            on[count] = i
            count += 1
    _solve(hess, cross, on, count, 0.0, a, scale, column, x)
    stiffness = hess[poi, poi]
    curvature = stiffness
    for i in range(count):
        tangent[on[i]] = -x[i]
        curvature -= cross[on[i]] * x[i]
    tangent[poi] = 1.0
    # what rounding leaves where the others undo everything
    return 0.0 if abs(curvature) <= FLAT * abs(stiffness) else curvature


@kernel
def _run(
    windows: Any,
    sets: Any,
    theta_out: Any,
    free: Any,
    low: Any,
    high: Any,
    tolerance: float,
    most: int,
    model: Any,
    data: Any,
    tables: Any,
    results: Any,
    floor: float,
) -> None:
    """Minimise window ``windows[i]`` for data set ``sets[i]``, from the start in ``theta_out[i]``."""
    (
        value_out,
        gammas_out,
        slope_out,
        tangent_out,
        curvature_out,
        stiffness_out,
        converged,
        decrement_out,
        iterations,
    ) = results
    sizes = tables[7]
    poi, most_basis, most_bins, most_entries = sizes[1], sizes[2], sizes[3], sizes[4]
    npar, nslots = theta_out.shape[1], max(1, len(tables[6]))
    nbins = gammas_out.shape[1]
    work = (
        np.empty(nslots),
        np.empty(nslots),
        np.empty(nslots),
        np.empty((most_basis, most_bins)),
        np.empty((most_basis, most_bins)),
        np.empty((most_basis, most_bins)),
        np.empty((most_basis, most_bins)),
        np.empty(most_bins),
        np.empty((6, most_bins)),
        np.empty((3, max(most_basis, most_entries, 1))),
        np.empty((most_basis, most_basis)),
        np.empty((max(most_entries, 1), 2), dtype=np.int64),
    )
    solver = (
        np.empty((npar, npar)), np.empty(npar), np.empty(npar), np.empty(npar), np.empty(npar),
        np.empty(npar, dtype=np.int64),
    )  # fmt: skip
    now = (np.empty(npar), np.empty((npar, npar)), np.empty(nbins))
    new = (np.empty(npar), np.empty((npar, npar)), np.empty(nbins))
    step, rhs, proposal, theta = np.empty(npar), np.empty(npar), np.empty(npar), np.empty(npar)
    for n in range(len(windows)):
        w, d = windows[n], sets[n]
        lo, hi, loose = low[n], high[n], free[n]
        for i in range(npar):
            theta[i] = theta_out[n, i]
        value = evaluate(theta, w, d, model, data, tables, work, now, floor)
        damping, fraction, rejected, best_decrement = 0.0, 1.0, 0, np.inf
        for count in range(1, most + 1):
            grad, hess = now[0], now[1]
            _direction(theta, grad, hess, lo, hi, loose, damping, solver, step, rhs)
            decrement, gain = 0.0, 0.0
            inside = True
            for i in range(npar):
                decrement += 0.5 * rhs[i] * step[i]
                whole = theta[i] + step[i]
                x = theta[i]
                if step[i] != 0:
                    x = theta[i] + fraction * step[i]
                    if x < lo[i]:
                        x = lo[i]
                    if x > hi[i]:
                        x = hi[i]
                proposal[i] = x
                inside = inside and x == whole
                gain += rhs[i] * (x - theta[i])
            plain = damping == 0
            stalled = plain and decrement < 1e-10 and decrement >= 0.25 * best_decrement
            possible = math.isfinite(value)
            done = possible and plain and (decrement <= tolerance or stalled)
            if done or (not possible and count == 1) or count == most:
                # the last step is known: taking it squares the remaining distance at no cost
                last = done and inside
                if poi >= 0:
                    # envelope theorem, carried along the last step
                    slope = grad[poi]
                    if last:
                        slope += dot(hess[poi], step, npar)
                    slope_out[n] = slope
                    stiffness_out[n] = hess[poi, poi]
                    curvature_out[n] = _profile(grad, hess, theta, lo, hi, loose, poi, solver, tangent_out[n])
                for i in range(npar):
                    theta_out[n, i] = proposal[i] if last else theta[i]
                for i in range(nbins):
                    gammas_out[n, i] = now[2][i]
                value_out[n] = value - (decrement if last else 0.0)
                decrement_out[n] = decrement
                converged[n] = done
                iterations[n] = count
                break
            trial = evaluate(proposal, w, d, model, data, tables, work, new, floor)
            drop = value - trial
            noise = 1e-13 * (1 + abs(value))
            finite = math.isfinite(trial)
            good = finite and (drop >= 1e-4 * gain or (gain < 1e-9 and drop > -1e-9 - noise))
            if good:
                if plain and decrement < best_decrement:
                    best_decrement = decrement
                shrunk = damping * 0.1 if damping > 1e-6 else 0.0
                # near the minimum of a parabola the damping goes at once
                damping = (shrunk if damping > 1e-2 else 0.0) if drop >= 0.25 * gain else shrunk
                fraction, rejected, value = 1.0, 0, trial
                now, new = new, now
                for i in range(npar):
                    theta[i] = proposal[i]
            elif rejected < 3:
                # first a shorter step in the same direction (valleys bend), then another direction
                ideal = 0.5 * gain / (gain - drop) if finite else 0.25
                fraction *= min(max(ideal, 0.1), 0.5)
                rejected += 1
            else:
                damping = max(10 * damping, 1e-2)
                fraction, rejected = 1.0, 0


@lru_cache(maxsize=1)
def _compiled() -> Callable[..., None]:
    """The minimiser, with a digest of its sources in the key of its cached code: Numba notices one file only."""
    sources = "".join(inspect.getsource(module) for module in (compiled_likelihood, sys.modules[__name__]))
    stamp = int(hashlib.sha256(sources.encode()).hexdigest()[:15], 16)

    def outermost(*arguments: Any) -> None:
        if stamp >= 0:
            _run(*arguments)

    try:
        return cast(Callable[..., None], njit(error_model="numpy", nogil=True, cache=True)(outermost))
    except RuntimeError:
        # no directory that Numba may write to: compile once per process
        return _run


def minimise(
    m: Batch,
    data: Data,
    theta: FloatArray,
    free: npt.NDArray[np.bool_],
    lo: FloatArray,
    hi: FloatArray,
    *,
    tolerance: float,
    max_iterations: int,
    windows: npt.NDArray[np.intp],
    sets: npt.NDArray[np.intp],
    floor: float = -math.inf,
) -> tuple[Any, ...]:
    """Minima of the windows ``windows[i]`` of a stack for the data sets ``sets[i]`` of another.

    Args:
        m: windows.
        data: data sets.
        theta: start values, inside the bounds where free, (n, parameters); replaced by the minima.
        free: parameters that float.
        lo: lower bounds (n, parameters).
        hi: upper bounds.
        tolerance: Newton decrement at which a window is done.
        max_iterations: evaluations before it is given up.
        windows: (n,).
        sets: (n,).
        floor: least count that an empty bin may expect.

    Returns:
        Values, per-bin factors of all channels side by side, slopes, tangents, curvatures, stiffnesses, converged,
        decrements and iterations, as in :class:`darkfactory.stats.newton.Fit`.
    """
    n, npar = theta.shape
    results = (
        np.full(n, np.inf), np.ones((n, data.flat[0].shape[1])), np.zeros(n), np.zeros((n, npar)), np.zeros(n),
        np.zeros(n), np.zeros(n, dtype=bool), np.full(n, np.inf), np.zeros(n, dtype=np.int64),
    )  # fmt: skip
    t = tables(m.structure)
    numbers = (t.blocks, t.slots, t.histo, t.perbin, t.in_gamma, t.kinds, t.parameters, t.sizes)
    _compiled()(
        windows, sets, theta, free, lo, hi, tolerance, max_iterations, m.flat, data.flat, numbers, results, floor
    )
    return results
