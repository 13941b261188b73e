"""Where a spectrum has its edge: the empirical function of pseudomass measurements, fitted to binned counts.

F(M) = 1 - P3 arctan((M - P1) / P2) + P4 (M - P1) + P5 (M - P1)^2: P1 is the edge, P2 its width, P3 its height, P4 and
P5 what the spectrum does besides. Belle, Phys. Rev. Lett. 99 (2007) 011801; Belle II, Phys. Rev. D 108 (2023) 032006.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["EdgeFit", "edge_shape", "fit_edges"]

Array = NDArray[np.float64]

_STEPS = 200
# the edge is then within half a per cent of its error of the best place
_DISTANCE = 1e-5
# few events: steps of the expected information may circle around the best place
_SLACK = 1e-3
_PATIENCE = 25
# relative distance at which a parameter counts as being at its bound
_NEAR = 1e-3
_SMALLEST, _LARGE = 1e-6, 1e12
# 1 - P3 arctan stays positive up to 2 / pi
_HEIGHT = (0.02, 0.6366)


@dataclass(frozen=True)
class EdgeFit:
    """Fits of several spectra.

    Attributes:
        parameters: yield per bin at the edge, then P1 to P5, (n, 6).
        covariance: their covariance from the expected information, (n, 6, 6).
        deviance: twice the log of the likelihood ratio to a perfect fit, (n,).
        converged: (n,).
    """

    parameters: Array
    covariance: Array
    deviance: Array
    converged: NDArray[np.bool_]

    @property
    def edge(self) -> Array:
        """P1."""
        return self.parameters[:, 1]

    @property
    def error(self) -> Array:
        """Of P1."""
        return np.asarray(np.sqrt(self.covariance[:, 1, 1]))


def edge_shape(m: Array, parameters: Array) -> Array:
    """Expected counts, (n, bins), at the middles of bins, (bins,).

    Args:
        m: masses.
        parameters: (n, 6): yield at the edge, P1 to P5.

    Example:
        >>> edge_shape(np.array([1.7, 1.777]), np.array([[100.0, 1.777, 0.002, 0.5, 1.0, 0.0]])).round(1).tolist()
        [[169.5, 100.0]]
    """
    n, p1, p2, p3, p4, p5 = (c[:, None] for c in parameters.T)
    d = m - p1
    return np.asarray(n * (1 - p3 * np.arctan(d / p2) + p4 * d + p5 * d * d))


def _derivatives(m: Array, parameters: Array) -> tuple[Array, Array]:
    """Expected counts and their derivatives, (n, bins) and (n, bins, 6)."""
    n, p1, p2, p3, p4, p5 = (c[:, None] for c in parameters.T)
    d = m - p1
    u = d / p2
    shape = 1 - p3 * np.arctan(u) + p4 * d + p5 * d * d
    slope = p3 / (p2 * (1 + u * u))
    columns = (shape, n * (slope - p4 - 2 * p5 * d), n * slope * u, -n * np.arctan(u), n * d, n * d * d)
    return np.asarray(n * shape), np.stack([np.broadcast_to(c, shape.shape) for c in columns], axis=-1)


def _deviance(counts: Array, expected: Array) -> Array:
    """Of Poisson counts, (n,); infinite where an expectation is not positive."""
    good = (expected > 0).all(axis=1)
    safe = np.where(expected > 0, expected, 1.0)
    ratio = np.where(counts > 0, counts / safe, 1.0)
    total = 2 * (safe - counts + counts * np.log(ratio)).sum(axis=1)
    return np.where(good, total, np.inf)


def _start(counts: Array, m: Array, free: NDArray[np.bool_], at: float) -> Array:
    """Levels below and above the edge give its height; the width is a few per cent of the range."""
    below, above = counts[:, m < at].mean(axis=1), counts[:, m > at + 0.1 * (m[-1] - m[0])].mean(axis=1)
    half = np.maximum(0.5 * (below + above), _SMALLEST)
    n = len(counts)
    height = np.clip((below - above) / (np.pi * half), 0.05, 0.6)
    width = np.full(n, 0.02 * (m[-1] - m[0]))
    start = np.stack([half, np.full(n, at), width, height, np.zeros(n), np.zeros(n)], axis=1)
    return np.where(free, start, 0.0)


def _scores(
    counts: Array, m: Array, value: Array, free: NDArray[np.bool_], low: Array, high: Array
) -> tuple[Array, Array]:
    """Gradient and expected information; parameters that are held, or pushed against a bound, have none and one."""
    expected, slopes = _derivatives(m, value)
    gradient = np.einsum("nb,nbk->nk", (counts - expected) / expected, slopes)
    at_low, at_high = value <= low + _NEAR * np.abs(low), value >= high - _NEAR * np.abs(high)
    used = free & ~(at_low & (gradient < 0)) & ~(at_high & (gradient > 0))
    slopes = slopes * used[:, None, :]
    information = np.einsum("nbk,nb,nbl->nkl", slopes, 1 / expected, slopes)
    return gradient * used, information + np.eye(6) * ~used[:, None, :]


def _solve(information: Array, gradient: Array, damping: Array) -> Array:
    """Steps for relative damping; in units of each parameter's own information, since their sizes differ widely."""
    scale = np.sqrt(np.maximum(np.einsum("nkk->nk", information), 1e-300))
    unit = information / (scale[:, :, None] * scale[:, None, :]) + damping[:, None, None] * np.eye(6)
    return np.asarray(np.linalg.solve(unit, (gradient / scale)[..., None])[..., 0] / scale)


def fit_edges(counts: Array, edges: Array, *, start: float, quadratic: bool = True) -> EdgeFit:
    """Largest Poisson likelihood of each spectrum, by damped scoring steps.

    The width of the edge is between one bin and a fifth of the range.

    Args:
        counts: (n, bins); of weighted events, divided by their mean weight.
        edges: of the bins.
        start: where the edge is looked for first.
        quadratic: fit P5, otherwise it is zero.

    Example:
        >>> edges = np.linspace(1.70, 1.85, 301)
        >>> truth = np.array([[500.0, 1.777, 0.004, 0.55, -1.0, 5.0]])
        >>> fit = fit_edges(edge_shape(0.5 * (edges[1:] + edges[:-1]), truth), edges, start=1.78)
        >>> fit.parameters.round(4).tolist()
        [[500.0, 1.777, 0.004, 0.55, -1.0, 5.0]]
        >>> print(f"{1e3 * fit.error[0]:.2f} MeV")
        0.11 MeV
    """
    m = 0.5 * (edges[1:] + edges[:-1])
    bin_width, span = edges[1] - edges[0], edges[-1] - edges[0]
    free = np.array([True, True, True, True, True, quadratic])
    # few events like a step between two bins: the width stays above one bin, the height that of an edge
    low = np.array([_SMALLEST, m[0], bin_width, _HEIGHT[0], -_LARGE, -_LARGE])
    high = np.array([_LARGE, m[-1], 0.2 * span, _HEIGHT[1], _LARGE, _LARGE])
    value = _start(counts, m, free, start)
    best = _deviance(counts, edge_shape(m, value))
    damping, converged = np.full(len(counts), 1e-3), np.zeros(len(counts), dtype=bool)
    earlier = best.copy()
    for step_number in range(1, _STEPS + 1):
        if step_number % _PATIENCE == 0:
            # the best place may lie where the last bin expects nothing: steps end there, gains die out
            converged |= earlier - best < _SLACK
            earlier = best.copy()
        open_ = np.flatnonzero(~converged)
        if not len(open_):
            break
        gradient, information = _scores(counts[open_], m, value[open_], free, low, high)
        # expected distance to the minimum, in units of the log-likelihood
        newton = _solve(information, gradient, np.full(len(open_), 1e-10))
        converged[open_] = 0.5 * np.einsum("nk,nk->n", gradient, newton) < _DISTANCE
        step = _solve(information, gradient, damping[open_])
        trial = np.clip(value[open_] + step, low, high)
        new = _deviance(counts[open_], edge_shape(m, trial))
        # within rounding counts as better: at the minimum nothing else is left
        better = new <= best[open_] + 1e-10 * (1 + np.abs(best[open_]))
        rows = open_[better]
        value[rows], best[rows] = trial[better], new[better]
        damping[open_] = np.where(better, 0.1 * damping[open_], np.minimum(10 * damping[open_], 1e8))
    gradient, information = _scores(counts, m, value, free, low, high)
    last = np.einsum("nk,nk->n", gradient, _solve(information, gradient, np.full(len(counts), 1e-10)))
    converged |= 0.5 * last < _SLACK
    used = np.einsum("nkk->nk", information) != 1.0
    covariance = np.linalg.pinv(information, hermitian=True) * used[:, :, None] * used[:, None, :]
    return EdgeFit(value, covariance, best, converged)
