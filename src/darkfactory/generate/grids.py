"""Adaptive grids: piecewise constant densities on the unit interval, one per gridded dimension (VEGAS).

Grids are arrays of edges, shape (dimensions, bins + 1). Azimuths are never gridded: the channels do not invert
them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["accumulate", "density", "refine", "stretch", "uniform"]

Array = NDArray[np.float64]


def uniform(dimensions: int, bins: int) -> Array:
    """Flat grids.

    Example:
        >>> uniform(1, 2).tolist()
        [[0.0, 0.5, 1.0]]
    """
    return np.tile(np.linspace(0.0, 1.0, bins + 1), (dimensions, 1))


def stretch(edges: Array, r: Array) -> Array:
    """Uniform numbers (n,) to the grid's density, for one dimension with ``edges`` (bins + 1,).

    Example:
        >>> stretch(np.array([0.0, 0.1, 1.0]), np.array([0.25, 0.75])).round(3).tolist()
        [0.05, 0.55]
    """
    x = r * (len(edges) - 1)
    k = np.minimum(x.astype(np.int64), len(edges) - 2)
    return np.asarray(edges[k] + (x - k) * (edges[k + 1] - edges[k]))


def density(edges: Array, u: Array) -> tuple[Array, NDArray[np.int64]]:
    """Density of one dimension's grid at u, and the bins of u.

    Example:
        >>> density(np.array([0.0, 0.1, 1.0]), np.array([0.05, 0.5]))[0].round(4).tolist()
        [5.0, 0.5556]
    """
    bins = len(edges) - 1
    k = np.clip(np.searchsorted(edges, u, side="right") - 1, 0, bins - 1)
    per_bin = 1.0 / (bins * np.diff(edges))
    return per_bin[k], k


def accumulate(k: NDArray[np.int64], weight: Array, bins: int) -> Array:
    """Sum of weights per bin.

    Example:
        >>> accumulate(np.array([0, 0, 1]), np.array([1.0, 2.0, 3.0]), 2).tolist()
        [3.0, 3.0]
    """
    return np.asarray(np.bincount(k, weights=weight, minlength=bins), dtype=np.float64)


def refine(edges: Array, contents: Array, damping: float = 1.0) -> Array:
    """New edges such that each bin holds the same damped share of ``contents`` (sums of squared weights).

    Lepage, J. Comput. Phys. 27 (1978) 192: neighbours are averaged, shares r become
    ((r - 1) / ln r)^damping.

    Example:
        >>> new = refine(np.linspace(0, 1, 5), np.array([1.0, 1.0, 1.0, 1.0]))
        >>> bool(np.allclose(new, np.linspace(0, 1, 5)))
        True
    """
    total = contents.sum()
    if not total > 0:
        return edges
    smooth = contents.astype(float).copy()
    smooth[1:-1] = (contents[:-2] + 6 * contents[1:-1] + contents[2:]) / 8
    smooth[0] = (7 * contents[0] + contents[1]) / 8
    smooth[-1] = (7 * contents[-1] + contents[-2]) / 8
    share = np.clip(smooth / smooth.sum(), 1e-8, 1 - 1e-12)
    importance = ((share - 1) / np.log(share)) ** damping
    # a floor: no bin may grow to where nothing is ever tried
    importance += 0.02 * importance.mean()
    cumulative = np.concatenate([[0.0], np.cumsum(importance)])
    new = np.interp(np.linspace(0.0, cumulative[-1], len(edges)), cumulative, edges)
    new[0], new[-1] = 0.0, 1.0
    return new
