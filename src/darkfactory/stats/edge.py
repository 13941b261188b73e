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
_TOLERANCE = 1e-9
_SMALLEST = 1e-6


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


def fit_edges(counts: Array, edges: Array, *, start: float, quadratic: bool = True) -> EdgeFit:
    """Largest Poisson likelihood of each spectrum, by damped scoring steps.

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
    free = np.array([True, True, True, True, True, quadratic])
    value = _start(counts, m, free, start)
    best = _deviance(counts, edge_shape(m, value))
    damping, converged = np.full(len(counts), 1e-3), np.zeros(len(counts), dtype=bool)
    identity = np.diag(np.where(free, 0.0, 1.0))
    for _ in range(_STEPS):
        open_ = np.flatnonzero(~converged)
        if not len(open_):
            break
        expected, slopes = _derivatives(m, value[open_])
        slopes = slopes * free
        residual = (counts[open_] - expected) / expected
        gradient = np.einsum("nb,nbk->nk", residual, slopes)
        information = np.einsum("nbk,nb,nbl->nkl", slopes, 1 / expected, slopes) + identity
        diagonal = np.einsum("nkk->nk", information)
        damped = information + np.einsum("n,nk,kl->nkl", damping[open_], diagonal, np.eye(6))
        step = np.linalg.solve(damped, gradient[..., None])[..., 0]
        trial = value[open_] + step
        # an edge of no width has no derivative; the width keeps its sign
        trial[:, 2] = np.maximum(trial[:, 2], 0.2 * value[open_, 2])
        new = _deviance(counts[open_], edge_shape(m, trial))
        # within rounding counts as better: at the minimum nothing else is left
        better = new <= best[open_] + 1e-10 * (1 + np.abs(best[open_]))
        gain = np.where(better, best[open_] - new, np.inf)
        rows = open_[better]
        value[rows], best[rows] = trial[better], new[better]
        # a step that gains nothing, neither forced small by the damping, ends the fit
        converged[open_] = better & (gain < _TOLERANCE * (1 + new)) & (damping[open_] < 1)
        damping[open_] = np.where(better, 0.1 * damping[open_], np.minimum(10 * damping[open_], 1e8))
    expected, slopes = _derivatives(m, value)
    slopes = slopes * free
    information = np.einsum("nbk,nb,nbl->nkl", slopes, 1 / expected, slopes) + identity
    covariance = np.linalg.inv(information)
    covariance[:, ~free, :] = covariance[:, :, ~free] = 0.0
    return EdgeFit(value, covariance, best, converged)
