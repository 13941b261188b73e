"""Many counting windows at once: exact CLs and Bayesian limits, local p-values, toys of the whole scan.

One-bin counting with nuisance parameters integrated over by quadrature. For a flat prior in the signal the credible
limit solves the same equation as CLs, with other weights of the quadrature points: with Q(n, r) = P(N <= n | r),

    sum_q w_q Q(n, mu s_q + b_q) = (1 - cl) sum_q w_q Q(n, b_q),    w_q = 1 (CLs) or 1/s_q (flat prior).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import gammainc, gammaincc, gammaincinv, gammaln, ndtr, ndtri
from scipy.stats import qmc

from darkfactory.core.errors import InputError, RunError
from darkfactory.core.seeds import generator
from darkfactory.stats.asymptotics import BAND
from darkfactory.stats.histfactory import Batch, FloatArray
from darkfactory.stats.likelihood import expected

__all__ = [
    "ScanCounts",
    "WindowRates",
    "expected_counts",
    "window_limits",
    "window_p0",
    "window_rates",
    "window_toys",
]

IntArray = npt.NDArray[np.int64]
_ROWS = 64


@dataclass(frozen=True, eq=False)
class WindowRates:
    """Signal (for mu = 1) and background counts of windows at quadrature points of equal weight, (windows, points)."""

    signal: FloatArray
    background: FloatArray

    def take(self, rows: IntArray) -> WindowRates:
        """Some of the windows."""
        return WindowRates(self.signal[rows], self.background[rows])


def window_rates(m: Batch, points: int = 256) -> WindowRates:
    """Rates of one-bin workspaces of one structure at the quadrature points of their nuisance parameters.

    As :func:`darkfactory.stats.counting.counting_rates`, for many workspaces.

    Args:
        m: compiled counting workspaces.
        points: quadrature points, a power of two.

    Raises:
        InputError: a workspace with several bins, or a parameter without constraint beside the signal's.

    Example:
        >>> from darkfactory.stats.histfactory import compile_workspace
        >>> spec = {"channels": [{"name": "sr", "samples": [
        ...     {"name": "s", "data": [2.0], "modifiers": [{"name": "mu", "type": "normfactor", "data": None}]},
        ...     {"name": "b", "data": [9.0], "modifiers": [
        ...         {"name": "k", "type": "normsys", "data": {"hi": 1.1, "lo": 0.9}}]}]}],
        ...     "observations": [{"name": "sr", "data": [8.0]}], "version": "1.0.0",
        ...     "measurements": [{"name": "m", "config": {"poi": "mu", "parameters": []}}]}
        >>> r = window_rates(compile_workspace(spec)[1])
        >>> r.background.shape, round(float(r.background.std()), 2), float(r.signal[0, 0])
        ((1, 256), 0.9, 2.0)
    """
    s = m.structure
    moving = [i for i, kind in enumerate(s.kinds) if kind != "free" and not bool(m.fixed[:, i].all())]
    loose = [kind == "free" and i != s.poi and not bool(m.fixed[:, i].all()) for i, kind in enumerate(s.kinds)]
    if len(s.blocks) != 1 or s.blocks[0].nbins != 1 or any(loose):
        raise InputError("a counting scan takes one-bin workspaces in which only constrained parameters float")
    block, numbers, data = s.blocks[0], m.blocks[0], m.observed
    n = len(m.init)
    floats = block.gamma != "none" and bool((numbers.g_hi > numbers.g_lo).any())
    dimension = len(moving) + int(floats)
    cube = np.zeros((1, 0))
    if dimension:
        cube = (qmc.Sobol(dimension, scramble=False).random_base2(points.bit_length() - 1) + 0.5 / points) % 1.0
    q = len(cube)

    def draw(
        kind: str, u: FloatArray, aux: FloatArray, width: FloatArray, lo: FloatArray, hi: FloatArray
    ) -> FloatArray:
        if kind == "normal":
            w = np.maximum(width, 1e-300)
            a, b = ndtr((lo - aux) / w)[:, None], ndtr((hi - aux) / w)[:, None]
            return np.asarray(aux[:, None] + w[:, None] * ndtri(a + u * (b - a)))
        value = gammaincinv(np.maximum(aux, 1e-3)[:, None], u) / np.maximum(width, 1e-300)[:, None]
        return np.asarray(np.clip(value, lo[:, None], hi[:, None]))

    signal, background = np.empty((n, q)), np.empty((n, q))
    for begin in range(0, n, _ROWS):
        rows = np.arange(begin, min(begin + _ROWS, n))
        many = m.take(np.repeat(rows, q))
        theta, gamma = many.init.copy(), many.blocks[0].g_init.copy()
        for column, i in enumerate(moving):
            drawn = draw(s.kinds[i], cube[:, column], *(v[rows, i] for v in (data.aux, m.width, m.lo, m.hi)))
            theta[:, i] = np.where(many.fixed[:, i], theta[:, i], drawn.ravel())
        if floats:
            g = (data.blocks[0].g_aux, numbers.g_width, numbers.g_lo, numbers.g_hi)
            drawn = draw(block.gamma, cube[:, -1], *(v[rows, 0] for v in g))
            free = np.repeat(numbers.g_hi[rows, 0] > numbers.g_lo[rows, 0], q)
            gamma[:, 0] = np.where(free, drawn.ravel(), gamma[:, 0])
        theta[:, s.poi] = 0.0
        b = np.maximum(expected(many, theta, (gamma,))[0][:, 0], 0.0)
        theta[:, s.poi] = 1.0
        background[rows] = b.reshape(-1, q)
        signal[rows] = np.maximum(expected(many, theta, (gamma,))[0][:, 0] - b, 0.0).reshape(-1, q)
    return WindowRates(signal, background)


def window_limits(
    n: FloatArray, rates: WindowRates, cl: float, method: Literal["exact", "bayes"] = "exact"
) -> FloatArray:
    """Upper limits on the signal strength of many windows.

    Args:
        n: observed events (windows,).
        rates: of the windows.
        cl: confidence level or credibility.
        method: ``exact`` (CLs) or ``bayes`` (flat prior).

    Returns:
        Limits in units of the parameter of interest; NaN without signal.

    Raises:
        RunError: no limit found, which an increasing rate excludes.

    Example:
        >>> r = WindowRates(np.ones((2, 1)), np.array([[0.0], [3.0]]))
        >>> window_limits(np.array([0.0, 3.0]), r, 0.95).round(3).tolist()
        [2.996, 5.395]
        >>> window_limits(np.array([0.0, 3.0]), r, 0.95, "bayes").round(3).tolist()
        [2.996, 5.395]
    """
    result = np.full(len(n), np.nan)
    some = np.flatnonzero(rates.signal.mean(axis=1) > 0)
    for begin in range(0, len(some), _ROWS):
        rows = some[begin : begin + _ROWS]
        result[rows] = _solve(np.asarray(n, dtype=float)[rows], rates.take(rows), cl, method)
    return result


def _solve(n: FloatArray, rates: WindowRates, cl: float, method: str) -> FloatArray:
    """Newton's method on the logarithm, within a bracket."""
    s, b = rates.signal, rates.background
    weight = np.ones_like(s) if method == "exact" else 1.0 / np.maximum(s, 1e-300)
    weight = weight / weight.sum(axis=1, keepdims=True)
    a = n[:, None] + 1.0
    target = np.log(1.0 - cl) + np.log((weight * gammaincc(a, b)).sum(axis=1))
    mean = s.mean(axis=1)
    low, high = np.zeros(len(n)), np.full(len(n), np.inf)
    mu = (np.maximum(n - b.mean(axis=1), 0.0) + 2.0 * np.sqrt(n + 1.0) + 1.0) / mean
    log_norm = gammaln(a)
    done = np.zeros(len(n), dtype=bool)
    for _ in range(200):
        rate = mu[:, None] * s + b
        tail = (weight * gammaincc(a, rate)).sum(axis=1)
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            g = np.log(tail) - target
            density = weight * s * np.exp(n[:, None] * np.log(np.maximum(rate, 1e-300)) - rate - log_norm)
            step = g * tail / density.sum(axis=1)
        # a window that is done stays as it is: its bits do not depend on the others
        last = ~done & (np.abs(step) <= 1e-10 * mu)
        low, high = np.where(g > 0, mu, low), np.where(g > 0, high, mu)
        new = mu + step
        middle = np.where(np.isfinite(high), 0.5 * (low + high), 2.0 * mu)
        good = last | (np.isfinite(new) & (new >= low) & (new <= high))
        mu = np.where(done, mu, np.where(good, new, middle))
        done = done | last
        if bool(done.all()):
            return np.asarray(mu)
    raise RunError(f"counting limits did not converge for {int((~done).sum())} windows; check their workspaces")


def window_p0(n: FloatArray, rates: WindowRates) -> FloatArray:
    """Probability of at least n events without signal, per window.

    Example:
        >>> round(float(window_p0(np.array([3.0]), WindowRates(np.ones((1, 1)), np.ones((1, 1))))[0]), 4)
        0.0803
    """
    n = np.asarray(n, dtype=float)
    p = gammainc(np.maximum(n, 1e-300)[:, None], rates.background).mean(axis=1)
    return np.asarray(np.where(n > 0, p, 1.0))


def _cumulative(rates: WindowRates) -> list[tuple[IntArray, FloatArray]]:
    """P(N <= k) without signal for k = 0, 1, ... of windows with like backgrounds: rows and tables."""
    order = np.argsort(rates.background.max(axis=1), kind="stable")
    found = []
    for begin in range(0, len(order), _ROWS):
        rows = order[begin : begin + _ROWS]
        b = rates.background[rows]
        top = float(b.max())
        k = np.arange(int(top + 10 * np.sqrt(top) + 15))
        log_b = np.log(np.maximum(b, 1e-300))
        pmf = np.stack([np.exp(i * log_b - b - gammaln(i + 1)).mean(axis=1) for i in k], axis=1)
        found.append((rows, np.minimum(np.cumsum(pmf, axis=1), 1.0)))
    return found


def expected_counts(rates: WindowRates) -> IntArray:
    """Counts at -2 to +2 standard deviations without signal, (windows, 5): the smallest that reach the quantiles.

    Example:
        >>> expected_counts(WindowRates(np.ones((1, 1)), np.array([[3.0]]))).tolist()
        [[0, 1, 3, 5, 7]]
    """
    levels = ndtr(np.array(BAND, dtype=float))
    result = np.zeros((len(rates.background), len(levels)), dtype=np.int64)
    for rows, table in _cumulative(rates):
        for j, level in enumerate(levels):
            result[rows, j] = (table < level).sum(axis=1)
    return result


@dataclass(frozen=True, eq=False)
class ScanCounts:
    """Expectation of the plane in fine cells, and how its cells make windows.

    Attributes:
        expected: events by background, one entry per cell.
        sizes: nuisance to the relative size by background (absent: not affected), thrown once per toy.
        sums: from arrays (..., cells) to arrays (..., windows).
    """

    expected: Mapping[str, FloatArray]
    sizes: Mapping[str, Mapping[str, float]]
    sums: Callable[[FloatArray], FloatArray]


def window_toys(
    scan: ScanCounts, rates: WindowRates, toys: int, *, seed: int, path: tuple[str | int, ...] = ()
) -> FloatArray:
    """Largest local significance of background-only scans: each toy is thrown once, in fine cells.

    Uncertain yields are thrown with each toy, as the windows' p-values average over them.

    Args:
        scan: the plane.
        rates: of the windows.
        toys: number of scans.
        seed: campaign seed.
        path: place in the seed tree; different chunks have different paths.
    """
    rng = generator(seed, *path)
    names = sorted(scan.expected)
    totals = {name: np.cumsum(scan.expected[name]) for name in names}
    nuisances = sorted(scan.sizes)
    cells = len(next(iter(totals.values())))
    counts = np.empty((toys, len(rates.background)), dtype=np.int64)
    for toy in range(toys):
        pulls = dict(zip(nuisances, rng.normal(size=len(nuisances)), strict=True))
        event = np.zeros(cells)
        for name in names:
            top = float(totals[name][-1])
            factor = float(np.prod([(1 + scan.sizes[n].get(name, 0.0)) ** pulls[n] for n in nuisances]))
            thrown = rng.random(rng.poisson(top * factor)) * top
            where = np.minimum(np.searchsorted(totals[name], thrown, side="right"), cells - 1)
            event += np.bincount(where, minlength=cells)
        counts[toy] = np.rint(scan.sums(event)).astype(np.int64)
    best = np.zeros(toys)
    for rows, table in _cumulative(rates):
        upper = np.concatenate([np.ones((len(rows), 1)), 1.0 - table], axis=1)
        z = np.where(upper < 0.5, -ndtri(np.maximum(upper, 1e-15)), 0.0)
        found = np.minimum(counts[:, rows], z.shape[1] - 1)
        best = np.maximum(best, np.take_along_axis(z.T, found, axis=0).max(axis=1))
    return best
