"""Batched exact-Newton minimisation with bounds: damped, active set, in lock-step over a stack of windows.

Every window's arithmetic is its own (element-wise operations and small per-window products), so that a window gives
the same bits alone and in any batch.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.linalg.lapack import dpotrf, dpotrs

from darkfactory.stats.histfactory import Batch, Data, FloatArray
from darkfactory.stats.likelihood import Evaluation, evaluate

__all__ = ["Backend", "Fit", "fastest", "fit", "profile_curvature", "solve_damped"]

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.intp]

Backend = Literal["numpy", "numba"]

_PIVOT = 1e-13
# expected counts of an empty bin below which a physical fit does not go: rounding around zero
_FLOOR = -1e-9
FLAT = 1e-12
"""Part of the curvature with all others held that is left by rounding where the others undo everything."""


def fastest() -> Backend:
    """The compiled kernels where Numba is installed, NumPy elsewhere.

    Example:
        >>> fastest() in ("numpy", "numba")
        True
    """
    return "numba" if importlib.util.find_spec("numba") else "numpy"


@dataclass(frozen=True)
class Fit:
    """Minima of a stack of windows.

    Attributes:
        theta: explicit parameters (n, parameters).
        value: negative log-likelihood, corrected by the last Newton decrement, (n,).
        gammas: profiled per-bin factors per channel.
        slope: derivative of the minimum with respect to the parameter of interest (envelope theorem), (n,).
        tangent: derivative of the minimising parameters with respect to it, (n, parameters).
        curvature: second derivative of the minimum with respect to it, exactly zero where it is no more than rounding
            (the other parameters undo what it does), (n,).
        stiffness: the same with all other parameters held, (n,).
        converged: (n,).
        decrement: half the squared Newton step at the end: what one more step would gain, (n,).
        iterations: evaluations used, (n,).
    """

    theta: FloatArray
    value: FloatArray
    gammas: tuple[FloatArray, ...]
    slope: FloatArray
    tangent: FloatArray
    curvature: FloatArray
    stiffness: FloatArray
    converged: BoolArray
    decrement: FloatArray
    iterations: npt.NDArray[np.int64]

    def put(self, where: IntArray, new: Fit) -> Fit:
        """These minima with those at some places replaced."""

        def merged(old: Any, other: Any) -> Any:
            if isinstance(old, tuple):
                return tuple(merged(a, b) for a, b in zip(old, other, strict=True))
            both = old.copy()
            both[where] = other
            return both

        return Fit(**{f.name: merged(getattr(self, f.name), getattr(new, f.name)) for f in fields(self)})

    def take(self, index: IntArray) -> Fit:
        """The minima ``index``."""

        def taken(value: Any) -> Any:
            return tuple(v[index] for v in value) if isinstance(value, tuple) else value[index]

        return Fit(**{f.name: taken(getattr(self, f.name)) for f in fields(self)})


def solve_damped(h: FloatArray, rhs: FloatArray, active: BoolArray, damping: FloatArray) -> FloatArray:
    """Solve (H + damping * diag H) x = rhs on the active variables, as a descent direction even if H is indefinite.

    The matrix is scaled to a unit diagonal and factorised as L D L^T; pivots are made positive and kept away from
    zero (Gill and Murray's idea), which leaves a positive definite H untouched.

    Args:
        h: symmetric matrices (n, p, p), of which the lower triangles are read.
        rhs: (n, p, k).
        active: variables that may move, (n, p); the others get zero.
        damping: Levenberg parameter (n,).

    Returns:
        (n, p, k).

    Example:
        >>> solve_damped(np.array([[[4.0]]]), np.array([[[2.0]]]), np.array([[True]]), np.zeros(1))
        array([[[0.5]]])
    """
    p = h.shape[1]
    at = np.arange(p)
    # the window is the last axis here, so that every operation runs along it
    a = np.array(h.transpose(1, 2, 0), order="C", copy=True)
    diagonal = np.abs(a[at, at])
    on = active.T & (diagonal > 0)
    scale = np.where(on, 1 / np.sqrt(np.where(on, diagonal, 1.0)), 0.0)
    a *= scale[:, None, :]
    a *= scale[None, :, :]
    a[at, at] = np.where(on, a[at, at] + damping, 1.0)
    x = np.ascontiguousarray(rhs.transpose(1, 2, 0)) * scale[:, None, :]
    for j in range(p):
        pivot = np.maximum(np.abs(a[j, j]), _PIVOT)
        below = a[j + 1 :, j]
        ratio = below / pivot
        a[j + 1 :, j + 1 :] -= ratio[:, None] * below[None, :]
        x[j + 1 :] -= ratio[:, None] * x[j]
        a[j + 1 :, j] = ratio
        x[j] /= pivot
    for j in range(p - 1, 0, -1):
        # column-oriented back substitution: element-wise, hence the same bits for any batch
        x[:j] -= a[j, :j, None] * x[j]
    return np.ascontiguousarray((x * scale[:, None, :]).transpose(2, 0, 1))


def _solve_lapack(h: FloatArray, rhs: FloatArray, active: BoolArray, damping: FloatArray) -> FloatArray:
    """The same for one positive definite matrix by LAPACK's Cholesky; anything else goes to :func:`solve_damped`."""
    on = np.flatnonzero(active[0])
    if len(h) == 1 and damping[0] == 0 and len(on):
        factor, info = dpotrf(h[0][np.ix_(on, on)], lower=1)
        if info == 0:
            x = np.zeros_like(rhs)
            x[0, on] = dpotrs(factor, rhs[0, on], lower=1)[0]
            return x
    return solve_damped(h, rhs, active, damping)


def _dot(a: FloatArray, b: FloatArray) -> FloatArray:
    """Row-wise scalar products, added up in one order whatever the memory layout of the batch."""
    total = np.zeros(len(a))
    for j in range(a.shape[1]):
        total = total + a[:, j] * b[:, j]
    return total


def profile_curvature(h: FloatArray, active: BoolArray, poi: int) -> tuple[FloatArray, FloatArray]:
    """Second derivative of the profile along the parameter of interest, and the tangent of the minimum.

    Args:
        h: Hessians (n, p, p).
        active: free nuisance parameters (n, p).
        poi: index of the parameter of interest.

    Returns:
        Curvature (n,) and tangent (n, p); the tangent's own component is one.

    Example:
        >>> c, t = profile_curvature(np.array([[[2.0, 1.0], [1.0, 1.0]]]), np.array([[True, True]]), 0)
        >>> float(c[0]), t[0].tolist()
        (1.0, [1.0, -1.0])
    """
    others = active.copy()
    others[:, poi] = False
    cross = h[:, :, poi : poi + 1]
    tangent = -solve_damped(h, np.where(others[:, :, None], cross, 0.0), others, np.zeros(len(h)))[:, :, 0]
    curvature = h[:, poi, poi] + _dot(np.where(others, h[:, :, poi], 0.0), tangent)
    curvature = np.where(np.abs(curvature) <= FLAT * np.abs(h[:, poi, poi]), 0.0, curvature)
    tangent[:, poi] = 1.0
    return curvature, tangent


@dataclass
class _State:
    theta: FloatArray
    evaluation: Evaluation
    damping: FloatArray
    fraction: FloatArray
    rejected: npt.NDArray[np.int64]


def _subset(e: Evaluation, index: IntArray | BoolArray) -> Evaluation:
    return Evaluation(
        e.value[index],
        e.gradient[index],
        e.hessian[index],
        tuple(g[index] for g in e.gammas),
        tuple(r[index] for r in e.rates),
    )


def _merge(keep: BoolArray, new: Evaluation, old: Evaluation) -> Evaluation:
    def pick(a: FloatArray, b: FloatArray) -> FloatArray:
        return np.where(keep.reshape(-1, *([1] * (a.ndim - 1))), a, b)

    return Evaluation(
        pick(new.value, old.value),
        pick(new.gradient, old.gradient),
        pick(new.hessian, old.hessian),
        tuple(pick(a, b) for a, b in zip(new.gammas, old.gammas, strict=True)),
        tuple(pick(a, b) for a, b in zip(new.rates, old.rates, strict=True)),
    )


def _active(theta: FloatArray, gradient: FloatArray, lo: FloatArray, hi: FloatArray, free: BoolArray) -> BoolArray:
    return free & ~((theta <= lo) & (gradient > 0)) & ~((theta >= hi) & (gradient < 0))


def _with_flat_directions(
    h: FloatArray, g: FloatArray, theta: FloatArray, lo: FloatArray, hi: FloatArray, active: BoolArray
) -> FloatArray:
    """Give a variable without curvature (no events where it acts) one that leads to its bound, or ten times further."""
    p = h.shape[1]
    at = np.arange(p)
    diagonal = h[:, at, at]
    flat = active & (g != 0) & (np.abs(g) > 1e9 * np.maximum(1.0, np.abs(theta)) * np.abs(diagonal))
    if not flat.any():
        return h
    room = np.where(g > 0, theta - lo, hi - theta)
    room = np.where(np.isfinite(room) & (room > 0), room, 10 * np.maximum(1.0, np.abs(theta)))
    curved = h.copy()
    curved[:, at, at] = np.where(flat, np.abs(g) / room, diagonal)
    return curved


def fit(
    m: Batch,
    data: Data,
    start: FloatArray,
    free: BoolArray,
    *,
    lo: FloatArray | None = None,
    hi: FloatArray | None = None,
    tolerance: float = 1e-14,
    max_iterations: int = 200,
    lapack: bool = False,
    windows: IntArray | None = None,
    sets: IntArray | None = None,
    backend: Backend = "numpy",
    physical: bool = False,
) -> Fit:
    """Minimise the negative log-likelihood of every window of a stack.

    Args:
        m: n windows.
        data: their data.
        start: start values (n, parameters), moved into the bounds where free.
        free: parameters that float, (n, parameters); the others stay at their start values.
        lo: lower bounds, default the workspaces' own.
        hi: upper bounds, likewise.
        tolerance: the Newton decrement (expected gain in -log L) at which a window is done.
        max_iterations: evaluations before a window is given up (``converged`` false).
        lapack: for a single window: let LAPACK solve (faster, other last bits) and leave out the derivatives with
            respect to the parameter of interest.
        windows: fit these windows of ``m`` (with repetition if wanted); start, free and bounds are theirs.
        sets: to these data sets of ``data``.
        backend: ``numpy``, or ``numba`` for compiled kernels: the same minima to rounding.
        physical: take no step to where a bin expects less than nothing: an empty bin has no wall at zero, in pyhf
            neither, and a long first step can end far behind it. A window that starts there is given up.

    Returns:
        The minima, in the order of the stack.

    Example:
        >>> from darkfactory.stats.histfactory import compile_workspace
        >>> from darkfactory.stats.examples import counting_window
        >>> spec = counting_window(11, 5.0, signal=4.0)
        >>> _, batch = compile_workspace(spec)
        >>> result = fit(batch, batch.observed, batch.init, np.array([[True]]))
        >>> round(float(result.theta[0, 0]), 6)
        1.5
    """
    n = len(start)
    if lo is None:
        lo = m.lo if windows is None else m.lo[windows]
    if hi is None:
        hi = m.hi if windows is None else m.hi[windows]
    theta = np.where(free, np.minimum(np.maximum(start, lo), hi), start)
    floor = _FLOOR if physical else -np.inf
    if backend == "numba":
        return _fit_compiled(m, data, theta, free, lo, hi, tolerance, max_iterations, windows, sets, floor)
    m = m if windows is None else m.take(windows)
    data = data if sets is None else data.take(sets)
    out: dict[str, FloatArray] = {
        "theta": theta.copy(),
        "value": np.full(n, np.inf),
        "slope": np.zeros(n),
        "tangent": np.zeros_like(theta),
        "curvature": np.zeros(n),
        "stiffness": np.zeros(n),
        "decrement": np.full(n, np.inf),
    }
    gammas = tuple(np.ones_like(b.g_init) for b in m.blocks)
    converged = np.zeros(n, dtype=bool)
    iterations = np.zeros(n, dtype=np.int64)
    index: IntArray = np.arange(n)
    sub, sub_data = m, data
    lo_s, hi_s, free_s = lo, hi, free
    state = _State(theta, evaluate(sub, sub_data, theta, floor), np.zeros(n), np.ones(n), np.zeros(n, dtype=np.int64))
    best_decrement = np.full(n, np.inf)
    for count in range(1, max_iterations + 1):
        e = state.evaluation
        with np.errstate(all="ignore"):
            active = _active(state.theta, e.gradient, lo_s, hi_s, free_s)
            rhs = np.where(active, -e.gradient, 0.0)
            plain = state.damping == 0
            curved = _with_flat_directions(e.hessian, e.gradient, state.theta, lo_s, hi_s, active)
            solve = _solve_lapack if lapack else solve_damped
            step = solve(curved, rhs[:, :, None], active, state.damping)[:, :, 0]
            decrement = 0.5 * _dot(rhs, step)
            whole = np.where(active, state.theta + step, state.theta)
            part = np.where(active, state.theta + state.fraction[:, None] * step, state.theta)
            proposal = np.where(active, np.minimum(np.maximum(part, lo_s), hi_s), state.theta)
            inside = (proposal == whole).all(axis=-1)
            gain = _dot(rhs, proposal - state.theta)
        # done when a full step would gain nothing; numbers at the edge of rounding stall at a tiny decrement
        stalled = plain & (decrement < 1e-10) & (decrement >= 0.25 * best_decrement)
        done = np.isfinite(e.value) & plain & ((decrement <= tolerance) | stalled)
        impossible = ~np.isfinite(e.value) & (count == 1)
        leave = done | impossible | (count == max_iterations)
        if leave.any():
            where = index[leave]
            final = _subset(e, leave)
            if not lapack:
                out["curvature"][where], out["tangent"][where] = _finish(m, final, active[leave], free_s[leave])
            # the last step is known: taking it squares the remaining distance at no cost
            last = (done & inside)[leave]
            out["theta"][where] = np.where(last[:, None], proposal[leave], state.theta[leave])
            out["value"][where] = final.value - np.where(last, decrement[leave], 0.0)
            out["decrement"][where] = decrement[leave]
            if m.structure.poi >= 0:
                poi = m.structure.poi
                out["stiffness"][where] = final.hessian[:, poi, poi]
                # envelope theorem, carried along the last step
                moved = np.where(last[:, None], (proposal - state.theta)[leave], 0.0)
                bend = _dot(final.hessian[:, poi], moved)
                out["slope"][where] = final.gradient[:, poi] + bend
            for target, source in zip(gammas, final.gammas, strict=True):
                target[where] = source
            converged[where] = done[leave]
            iterations[where] = count
            stay = ~leave
            if not stay.any():
                break
            index = index[stay]
            keep: IntArray = np.flatnonzero(stay)
            sub, sub_data = sub.take(keep), sub_data.take(keep)
            lo_s, hi_s, free_s = lo_s[stay], hi_s[stay], free_s[stay]
            state = _State(
                state.theta[stay], _subset(e, stay), state.damping[stay], state.fraction[stay], state.rejected[stay]
            )
            proposal, gain, decrement = proposal[stay], gain[stay], decrement[stay]
            best_decrement, plain = best_decrement[stay], plain[stay]
            e = state.evaluation
        trial = evaluate(sub, sub_data, proposal, floor)
        with np.errstate(all="ignore"):
            drop = e.value - trial.value
            noise = 1e-13 * (1 + np.abs(e.value))
            possible = np.isfinite(trial.value)
            good = possible & ((drop >= 1e-4 * gain) | ((gain < 1e-9) & (drop > -1e-9 - noise)))
            excellent = good & (drop >= 0.25 * gain)
        best_decrement = np.where(good & plain, np.minimum(best_decrement, decrement), best_decrement)
        with np.errstate(all="ignore"):
            # the minimum of the parabola through value, slope and trial
            ideal = np.where(possible, 0.5 * gain / (gain - drop), 0.25)
        # first a shorter step in the same direction (valleys bend), then another direction
        shorten = ~good & (state.rejected < 3)
        turn = ~good & ~shorten
        fraction = np.where(shorten, state.fraction * np.minimum(np.maximum(ideal, 0.1), 0.5), 1.0)
        grown = np.maximum(10 * state.damping, 1e-2)
        shrunk = np.where(state.damping > 1e-6, state.damping * 0.1, 0.0)
        eased = np.where(state.damping > 1e-2, shrunk, 0.0)
        damping = np.where(good, np.where(excellent, eased, shrunk), np.where(turn, grown, state.damping))
        state = _State(
            np.where(good[:, None], proposal, state.theta),
            _merge(good, trial, e),
            damping,
            fraction,
            np.where(shorten, state.rejected + 1, 0),
        )
    return Fit(
        gammas=gammas,
        converged=converged,
        iterations=iterations,
        **out,
    )


def _fit_compiled(
    m: Batch,
    data: Data,
    theta: FloatArray,
    free: BoolArray,
    lo: FloatArray,
    hi: FloatArray,
    tolerance: float,
    max_iterations: int,
    windows: IntArray | None,
    sets: IntArray | None,
    floor: float,
) -> Fit:
    # here, since importing Numba takes time and it is optional
    from darkfactory.stats.compiled import minimise

    everything: IntArray = np.arange(len(theta))
    free, lo, hi = np.ascontiguousarray(free), np.ascontiguousarray(lo), np.ascontiguousarray(hi)
    value, gammas, slope, tangent, curvature, stiffness, converged, decrement, iterations = minimise(
        m, data, theta, free, lo, hi, tolerance=tolerance, max_iterations=max_iterations,
        windows=everything if windows is None else windows, sets=everything if sets is None else sets, floor=floor,
    )  # fmt: skip
    ends = np.cumsum([block.nbins for block in m.structure.blocks])[:-1]
    return Fit(
        theta=theta,
        value=value,
        gammas=tuple(np.split(gammas, ends, axis=1)),
        slope=slope,
        tangent=tangent,
        curvature=curvature,
        stiffness=stiffness,
        converged=converged,
        decrement=decrement,
        iterations=iterations,
    )


def _finish(m: Batch, e: Evaluation, active: BoolArray, free: BoolArray) -> tuple[FloatArray, FloatArray]:
    poi = m.structure.poi
    if poi < 0:
        return np.zeros(len(active)), np.zeros(active.shape)
    with np.errstate(all="ignore"):
        return profile_curvature(e.hessian, active & free, poi)
