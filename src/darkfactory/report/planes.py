"""Figures of quantities over two axes of points: maps of limits, efficiencies, significances."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.collections import Collection
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from darkfactory.report.style import COLOURS, figure, stamp

__all__ = ["cell_edges", "plane_figure", "toys_figure"]


def cell_edges(values: Sequence[float], *, log: bool = False) -> np.ndarray:
    """Edges of cells around sorted values: half way between neighbours, mirrored at the ends.

    Args:
        values: ascending and distinct, one at least.
        log: half way of the logarithms.

    Returns:
        One more than there are values.

    Example:
        >>> cell_edges([1.0, 2.0, 4.0]).tolist()
        [0.5, 1.5, 3.0, 5.0]
        >>> cell_edges([3.0]).tolist()
        [2.5, 3.5]
    """
    x = np.log(np.asarray(values, dtype=float)) if log else np.asarray(values, dtype=float)
    if len(x) == 1:
        edges = np.array([x[0] - 0.5, x[0] + 0.5])
    else:
        middle = 0.5 * (x[1:] + x[:-1])
        edges = np.concatenate([[2 * x[0] - middle[0]], middle, [2 * x[-1] - middle[-1]]])
    return np.exp(edges) if log else edges


def plane_figure(
    x: Sequence[float], y: Sequence[float], z: Sequence[float], *, dataset: str, luminosity_fb: float, data: str,
    xlabel: str, ylabel: str, label: str, log: bool = True, logy: bool = False,
) -> Figure:  # fmt: skip
    """A map of ``z`` at points (``x``, ``y``): cells where the points are on a grid, dots where they are scattered.

    Args:
        x: values of the first axis.
        y: values of the second axis.
        z: what is shown, one per point.
        dataset: name of the dataset, for the label.
        luminosity_fb: luminosity in /fb.
        data: kind of data.
        xlabel: text of the x axis.
        ylabel: text of the y axis.
        label: text of the colour bar.
        log: logarithmic colours, where all values are positive.
        logy: logarithmic second axis.
    """
    fig, ax = figure(6.4, 4.8)
    xs, ys, zs = (np.asarray(v, dtype=float) for v in (x, y, z))
    spread = bool(np.all(zs > 0)) and float(zs.max()) > float(zs.min())
    scale = LogNorm() if log and spread else Normalize()
    columns, i = np.unique(xs, return_inverse=True)
    rows, j = np.unique(ys, return_inverse=True)
    # a triangle of a grid fills half of its cells
    if len(xs) >= 0.3 * len(columns) * len(rows):
        cells = np.full((len(rows), len(columns)), np.nan)
        cells[j, i] = zs
        drawn: Collection = ax.pcolormesh(
            cell_edges(columns.tolist()), cell_edges(rows.tolist(), log=logy), cells, norm=scale
        )
    else:
        drawn = ax.scatter(xs, ys, c=zs, s=max(1.0, min(20.0, 3e4 / len(xs))), norm=scale, linewidths=0)
    drawn.set_rasterized(True)
    fig.colorbar(drawn, ax=ax, label=label)
    ax.set(xlabel=xlabel, ylabel=ylabel, yscale="log" if logy else "linear")
    stamp(ax, dataset, luminosity_fb, data)
    return fig


def toys_figure(z: Sequence[float], observed: float, *, dataset: str, luminosity_fb: float, data: str) -> Figure:
    """Largest local significances of background-only scans, and that of the data.

    Args:
        z: one per toy.
        observed: of the data.
        dataset: name of the dataset, for the label.
        luminosity_fb: luminosity in /fb.
        data: kind of data.
    """
    fig, ax = figure(6.4, 3.6)
    top = max(*z, observed) + 0.3
    ax.hist(z, bins=np.linspace(min(z) - 0.1, top, 41).tolist(), color=COLOURS[0], alpha=0.7, label=f"{len(z)} toys")
    ax.axvline(observed, color="k", lw=1.4, label=f"data: {observed:.2f}")
    ax.set(xlabel=r"largest local significance [$\sigma$]", ylabel="toys")
    stamp(ax, dataset, luminosity_fb, data)
    ax.legend()
    return fig
