"""Centres of windows and fine cells in the plane, both in units of the local resolution, and which window has which.

Columns of constant width in units of the first mass's resolution; rows within a column in units of the second mass's
width at a given first one. Cells are sheared along the correlation, so that their shape is that of the ellipses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkfactory.core.errors import RunError
from darkfactory.physics.resolution import Resolution
from darkfactory.templates.plane import PlaneModel

__all__ = ["Cells", "Windows", "make_cells", "make_centres", "make_windows"]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

_FINE = 400  # steps of the integrals that place columns and rows
_KEY = 1e4  # GeV^2: larger than any range of the second squared mass
_MARGIN = 6.0  # cells beyond the outermost centres, in units of the resolution


def _steps(low: float, high: float, width: Callable[[Array], Array], spacing: float) -> Array:
    """Places from ``low`` to ``high`` with distances of ``spacing`` local widths."""
    if high <= low:
        return np.array([low])
    fine = np.linspace(low, high, _FINE)
    density = 1.0 / width(fine)
    count = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]) * np.diff(fine))])
    return np.asarray(np.interp(np.arange(0.0, count[-1] + 1e-9, spacing), count, fine))


def _minor(model: PlaneModel, x: float, y: Array) -> Array:
    return model.local(np.full_like(y, x), y).minor


def make_centres(
    model: PlaneModel, mass: tuple[float, float], sqrts: float, spacing: float, keep: Callable[[Array, Array], Array]
) -> tuple[Array, Array]:
    """Masses (GeV) of the windows' centres.

    Args:
        model: the resolution.
        mass: range of the first mass, GeV.
        sqrts: CM energy, GeV.
        spacing: distance of centres, in units of the resolution in the decorrelated frame.
        keep: from both masses, which centres are wanted.

    Returns:
        First and second masses, by column and row.
    """
    first, second = [], []
    top = min(mass[1], sqrts)
    # of the middle of the allowed second masses
    columns = _steps(mass[0] ** 2, top**2, lambda x: model.local(x, 0.25 * (sqrts - np.sqrt(x)) ** 2).sigma_x, spacing)
    for x in columns:
        m1 = float(np.sqrt(x))
        y = _steps(0.0, max(sqrts - m1, 0.0) ** 2, partial(_minor, model, float(x)), spacing)
        m2 = np.sqrt(y)
        wanted = np.asarray(keep(np.full_like(m2, m1), m2), dtype=bool)
        first.append(np.full(int(wanted.sum()), m1))
        second.append(m2[wanted])
    return np.concatenate(first), np.concatenate(second)


@dataclass(frozen=True, eq=False)
class Cells:
    """Sheared cells in columns.

    Attributes:
        x_edges: of the columns, GeV^2.
        slopes: shear of each column.
        offsets: index of each column's first row edge in ``y_edges``; its last entry is their number.
        y_edges: row edges of all columns, one after the other, at the column's centre, GeV^2.
    """

    x_edges: Array
    slopes: Array
    offsets: Ints
    y_edges: Array

    @property
    def size(self) -> int:
        """Slots of an array with one entry per cell; the last row edge of each column begins none."""
        return len(self.y_edges)

    @property
    def centres(self) -> Array:
        """X of the columns' centres."""
        return np.asarray(0.5 * (self.x_edges[1:] + self.x_edges[:-1]))

    def column_of_slot(self) -> Ints:
        """Column of each slot."""
        return np.repeat(np.arange(len(self.slopes)), np.diff(self.offsets))

    def middle(self) -> tuple[Array, Array]:
        """Places of the cells' centres, one per slot; the last of each column repeats its upper edge."""
        column = self.column_of_slot()
        upper = np.append(self.y_edges[1:], self.y_edges[-1])
        last = np.append(column[1:] != column[:-1], True)
        y = np.where(last, self.y_edges, 0.5 * (self.y_edges + upper))
        return self.centres[column], y

    def find(self, x: Array, y: Array) -> Ints:
        """Slot of the cell of each place, -1 outside."""
        column = np.searchsorted(self.x_edges, x, side="right") - 1
        good = (column >= 0) & (column < len(self.slopes))
        column = np.where(good, column, 0)
        at = y - self.slopes[column] * (x - self.centres[column])
        keys = self.y_edges + _KEY * self.column_of_slot()
        slot = np.searchsorted(keys, at + _KEY * column, side="right") - 1
        good &= (slot >= self.offsets[column]) & (slot < self.offsets[column + 1] - 1)
        return np.where(good, slot, -1)

    def to_dict(self) -> dict[str, Any]:
        """JSON-like form."""
        return {k: v.tolist() for k, v in vars(self).items()}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Cells:
        """Read the form of :meth:`to_dict`."""
        return cls(
            np.asarray(value["x_edges"]), np.asarray(value["slopes"]),
            np.asarray(value["offsets"], dtype=np.int64), np.asarray(value["y_edges"]),
        )  # fmt: skip


def make_cells(model: PlaneModel, m1: Array, m2: Array, sqrts: float, size: float) -> Cells:
    """Cells around all windows.

    Args:
        model: the resolution.
        m1: first masses of the centres, GeV.
        m2: second masses of the centres, GeV.
        sqrts: CM energy, GeV.
        size: of a cell, in units of the resolution.
    """
    ends = [model.at(float(m), 0.0) for m in (m1.min(), m1.max())]
    low = float(ends[0].x - _MARGIN * ends[0].sigma_x)
    high = float(ends[1].x + _MARGIN * ends[1].sigma_x)

    def typical(x: Array) -> Array:
        a = np.sqrt(np.maximum(x, 0.0))
        return np.asarray(model.local(x, 0.25 * np.maximum(sqrts - a, 0.0) ** 2).sigma_x)

    edges = _steps(low, high, typical, size)
    edges = np.append(edges, edges[-1] + size * float(typical(edges[-1:])[0]))
    slopes, rows = [], []
    for x in 0.5 * (edges[1:] + edges[:-1]):
        near = np.abs(m1 - np.sqrt(max(x, 0.0))) < 0.5
        top = float(m2[near].max()) ** 2 if near.any() else 0.0
        ends = [model.local(x, v) for v in (0.0, top)]
        y_low, y_high = -_MARGIN * float(ends[0].sigma_y), top + _MARGIN * float(ends[1].sigma_y)
        rows.append(_steps(y_low, y_high, partial(_minor, model, float(x)), size))
        slopes.append(float(model.local(x, 0.5 * top).slope))
    offsets = np.concatenate([[0], np.cumsum([len(r) for r in rows])]).astype(np.int64)
    return Cells(edges, np.array(slopes), offsets, np.concatenate(rows))


@dataclass(frozen=True, eq=False)
class Windows:
    """Which cells make up which window: runs of cells, one for each column that the ellipse touches.

    Attributes:
        count: number of windows.
        window: of each run, ascending.
        start: first slot of each run.
        stop: one past its last slot.
    """

    count: int
    window: Ints
    start: Ints
    stop: Ints

    def sums(self, values: Array) -> Array:
        """Sum over each window of arrays with one entry per slot (..., slots) to (..., windows)."""
        running = np.concatenate([np.zeros((*values.shape[:-1], 1)), np.cumsum(values, axis=-1)], axis=-1)
        runs = running[..., self.stop] - running[..., self.start]
        bounds = np.searchsorted(self.window, np.arange(self.count))
        # a window without cells must not take its neighbour's first run
        padded = np.concatenate([runs, np.zeros((*runs.shape[:-1], 1))], axis=-1)
        total = np.add.reduceat(padded, bounds, axis=-1)
        empty = np.diff(np.append(bounds, len(self.window))) == 0
        return np.where(empty, 0.0, total)


def _area(u: Array, k: float) -> Array:
    """Integral of the half circle sqrt(k^2 - u^2)."""
    return np.asarray(0.5 * (u * np.sqrt(np.maximum(k * k - u * u, 0.0)) + k * k * np.arcsin(u / k)))


def make_windows(cells: Cells, r: Resolution, half_axes: float) -> Windows:
    """Windows as sets of cells: in each column as many rows as the ellipse has height there on average.

    Args:
        cells: the cells.
        r: centres and resolutions of the windows.
        half_axes: of the ellipses, in units of the resolution.

    Raises:
        RunError: a window without any cell: it lies outside of the plane.
    """
    centres = cells.centres
    first = np.maximum(np.searchsorted(cells.x_edges, r.x - half_axes * r.sigma_x) - 1, 0)
    last = np.minimum(np.searchsorted(cells.x_edges, r.x + half_axes * r.sigma_x), len(centres))
    window = np.repeat(np.arange(len(r.x)), last - first)
    if len(window) == 0:
        raise RunError("no window has a cell: the centres are outside of the plane; check the masses")
    inner = np.arange(len(window)) - np.repeat(np.cumsum(last - first) - (last - first), last - first)
    column = np.repeat(first, last - first) + inner
    ends = [(cells.x_edges[column + i] - r.x[window]) / r.sigma_x[window] for i in (0, 1)]
    below = [_area(np.clip(u, -half_axes, half_axes), half_axes) for u in ends]
    half = r.minor[window] * (below[1] - below[0]) / (ends[1] - ends[0])
    middle = r.y[window] + r.slope[window] * (centres[column] - r.x[window])
    _, y = cells.middle()
    keys = y + _KEY * cells.column_of_slot()
    start = np.searchsorted(keys, middle - half + _KEY * column)
    stop = np.searchsorted(keys, middle + half + _KEY * column)
    bottom, top = cells.offsets[column], cells.offsets[column + 1] - 1
    start, stop = np.clip(start, bottom, top), np.clip(stop, bottom, top)
    some = stop > start
    return Windows(len(r.x), window[some].astype(np.int64), start[some], stop[some])
