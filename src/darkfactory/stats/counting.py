"""Exact CLs limits of one-bin counting, nuisance parameters integrated over by quadrature.

CLs is P(N <= n | s + b) / P(N <= n | b) (Read, J. Phys. G 28 (2002) 2693; Zech, NIM A 277 (1989) 608), both averaged
over the constraints of the nuisance parameters (Cousins and Highland, NIM A 320 (1992) 331).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import gammaincc, gammaincinv, ndtr, ndtri
from scipy.stats import qmc

from darkfactory.stats.asymptotics import BAND
from darkfactory.stats.histfactory import Batch, FloatArray
from darkfactory.stats.likelihood import expected

__all__ = [
    "CountingRates",
    "cdf",
    "counting_limit",
    "counting_limits",
    "counting_p0",
    "counting_rates",
    "expected_counts",
    "is_counting",
]


@dataclass(frozen=True)
class CountingRates:
    """Signal and background counts at the quadrature points of the nuisance parameters, with equal weights."""

    signal: FloatArray
    background: FloatArray


def is_counting(m: Batch) -> bool:
    """Whether a workspace is one bin in which only constrained parameters float beside the signal strength.

    Example:
        >>> from darkfactory.stats.histfactory import compile_workspace
        >>> from darkfactory.stats.examples import counting_window
        >>> spec = counting_window(8, 9.0, signal=3.0)
        >>> is_counting(compile_workspace(spec)[1])
        True
    """
    s = m.structure
    loose = [k == "free" and i != s.poi and not bool(m.fixed[:, i].all()) for i, k in enumerate(s.kinds)]
    return len(s.blocks) == 1 and s.blocks[0].nbins == 1 and not any(loose)


@functools.cache
def _quantiles(points: int, dimension: int) -> FloatArray:
    """Equally weighted points of the unit cube, (points, dimension): midpoints in one dimension, Sobol' beyond."""
    if dimension == 0:
        return np.zeros((1, 0))
    if dimension == 1:
        return ((np.arange(points) + 0.5) / points)[:, None]
    power = points.bit_length() - 1
    cube = qmc.Sobol(dimension, scramble=False).random_base2(power)
    found = np.asarray((cube + 0.5 / points) % 1.0)
    found.flags.writeable = False
    return found


def counting_rates(m: Batch, points: int = 4096) -> CountingRates:
    """Rates of a one-bin workspace at the quadrature points of its nuisance parameters.

    Gaussian constraints are truncated at the parameters' bounds; Poisson constraints become gamma distributions of
    mean one and of the relative width that the workspace gives.

    Args:
        m: one compiled counting workspace.
        points: quadrature points, a power of two.

    Example:
        >>> from darkfactory.stats.histfactory import compile_workspace
        >>> spec = {"channels": [{"name": "sr", "samples": [
        ...     {"name": "s", "data": [2.0], "modifiers": [{"name": "mu", "type": "normfactor", "data": None}]},
        ...     {"name": "b", "data": [9.0], "modifiers": [
        ...         {"name": "k", "type": "normsys", "data": {"hi": 1.1, "lo": 0.9}}]}]}],
        ...     "observations": [{"name": "sr", "data": [8.0]}], "version": "1.0.0",
        ...     "measurements": [{"name": "m", "config": {"poi": "mu", "parameters": []}}]}
        >>> r = counting_rates(compile_workspace(spec)[1])
        >>> round(float(r.background.mean()), 2), round(float(r.background.std()), 2), float(r.signal[0])
        (9.0, 0.9, 2.0)
    """
    s = m.structure
    block, numbers, data = s.blocks[0], m.blocks[0], m.observed
    float_gamma = block.gamma != "none" and bool(numbers.g_hi[0, 0] > numbers.g_lo[0, 0])
    moving = [i for i, k in enumerate(s.kinds) if k != "free" and not m.fixed[0, i]]
    u = _quantiles(points, len(moving) + int(float_gamma))
    n = len(u)
    theta = np.repeat(m.init, n, axis=0)

    def draw(kind: str, x: FloatArray, aux: float, width: float, lo: float, hi: float) -> FloatArray:
        if kind == "normal":
            a, b = ndtr((lo - aux) / width), ndtr((hi - aux) / width)
            return np.asarray(aux + width * ndtri(a + x * (b - a)))
        return np.asarray(np.clip(gammaincinv(max(aux, 1e-3), x) / width, lo, hi))

    for column, i in enumerate(moving):
        theta[:, i] = draw(s.kinds[i], u[:, column], *(float(v[0, i]) for v in (data.aux, m.width, m.lo, m.hi)))
    gamma = np.repeat(numbers.g_init, n, axis=0)
    if float_gamma:
        gamma[:, 0] = draw(
            block.gamma, u[:, -1],
            *(float(v[0, 0]) for v in (data.blocks[0].g_aux, numbers.g_width, numbers.g_lo, numbers.g_hi)),
        )  # fmt: skip
    many = m.take(np.zeros(n, dtype=np.intp))
    theta[:, s.poi] = 0.0
    background = np.maximum(expected(many, theta, (gamma,))[0][:, 0], 0.0)
    theta[:, s.poi] = 1.0
    signal = expected(many, theta, (gamma,))[0][:, 0] - background
    return CountingRates(np.maximum(signal, 0.0), background)


def cdf(n: float, rate: FloatArray) -> float:
    """P(N <= n) of a Poisson variable averaged over rates, continuous in n.

    Example:
        >>> round(cdf(0, np.array([1.0])), 6)
        0.367879
    """
    return float(np.mean(gammaincc(n + 1.0, rate)))


def _root(f: Callable[[float], float], start: float) -> float | None:
    """Zero of a decreasing function that is positive at zero, from an upward bracket."""
    high = start
    for _ in range(200):
        if f(high) < 0:
            return float(brentq(f, 0.0, high, xtol=1e-12 * high, rtol=1e-13))
        high *= 2
    return None


def counting_limit(n: float, rates: CountingRates, cl: float) -> float | None:
    """Upper limit on the signal strength for n observed events.

    Args:
        n: observed events.
        rates: signal and background at the quadrature points.
        cl: confidence level.

    Returns:
        The limit in units of the parameter of interest, None without signal.

    Example:
        >>> none = CountingRates(np.array([1.0]), np.array([0.0]))
        >>> round(counting_limit(0, none, 0.95), 4), round(counting_limit(0, none, 0.90), 4)
        (2.9957, 2.3026)
    """
    top = float(rates.signal.mean())
    if not top > 0:
        return None
    bottom = cdf(n, rates.background)
    return _root(lambda mu: cdf(n, mu * rates.signal + rates.background) - (1 - cl) * bottom, (n + 4) / top)


def counting_limits(
    n: float, rates: CountingRates, cl: float
) -> tuple[float, tuple[float, float, float, float, float]] | None:
    """Observed and five expected exact limits, or None without signal.

    The expected limits are those of the quantiles of N without signal (-2 to +2 standard deviations).

    Example:
        >>> result = counting_limits(3, CountingRates(np.array([1.0]), np.array([3.0])), 0.95)
        >>> round(result[0], 3), [round(v, 3) for v in result[1]]
        (5.395, [2.996, 3.643, 5.395, 7.663, 10.171])
    """
    observed = counting_limit(n, rates, cl)
    if observed is None:
        return None
    band: list[float] = []
    for k in expected_counts(rates, [float(v) for v in ndtr(np.array(BAND, dtype=float))]):
        value = counting_limit(k, rates, cl)
        if value is None:
            return None
        band.append(value)
    return observed, (band[0], band[1], band[2], band[3], band[4])


def counting_p0(n: float, rates: CountingRates) -> float:
    """Probability of at least n events without signal.

    Example:
        >>> round(counting_p0(3, CountingRates(np.array([1.0]), np.array([1.0]))), 4)
        0.0803
    """
    return 1.0 if n <= 0 else float(np.mean(1 - gammaincc(n, rates.background)))


def expected_counts(rates: CountingRates, levels: Sequence[float]) -> list[int]:
    """Smallest counts whose cumulative probability without signal reaches the levels.

    Example:
        >>> expected_counts(CountingRates(np.array([1.0]), np.array([3.0])), [0.5])
        [3]
    """
    result = []
    for level in levels:
        k = 0
        while cdf(k, rates.background) < level:
            k += 1
        result.append(k)
    return result
