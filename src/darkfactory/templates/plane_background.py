"""Backgrounds in the fine cells of a plane: simulated events, locally smoothed, with their statistical error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import qmc

from darkfactory.config.ellipses import PlaneSmoothing
from darkfactory.core.errors import RunError
from darkfactory.physics.resolution import Resolution
from darkfactory.templates.lattice import Cells, make_windows
from darkfactory.templates.plane import PlaneModel

__all__ = ["PlaneBackground", "fill_cells", "smooth_cells"]

Array = NDArray[np.float64]

_ROWS = 20_000


@dataclass(frozen=True, eq=False)
class PlaneBackground:
    """One background in the cells, per /fb.

    Attributes:
        expected: cross-section (fb) in each slot of the cells.
        variance: contribution of each slot to the squared error of any window that has it, fb^2.
        events: simulated candidates.
        sigma_error: relative error of the cross-section of the sample.
    """

    expected: Array
    variance: Array
    events: int
    sigma_error: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-like form: only cells that are not empty, seven digits."""
        some = np.flatnonzero(self.expected)
        return {
            "slots": some.tolist(),
            "expected": [float(f"{v:.7g}") for v in self.expected[some]],
            "variance": [float(f"{v:.7g}") for v in self.variance[some]],
            "size": len(self.expected),
            "events": self.events,
            "sigma_error": self.sigma_error,
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> PlaneBackground:
        """Read the form of :meth:`to_dict`."""
        arrays = {}
        for name in ("expected", "variance"):
            arrays[name] = np.zeros(value["size"])
            arrays[name][np.asarray(value["slots"], dtype=np.int64)] = value[name]
        return cls(arrays["expected"], arrays["variance"], value["events"], value["sigma_error"])


def fill_cells(cells: Cells, x: Array, y: Array, weight: Array) -> Array:
    """Sum of weights in each slot.

    Example:
        >>> cells = Cells(np.array([0.0, 1.0]), np.array([0.0]), np.array([0, 3]), np.array([0.0, 1.0, 2.0]))
        >>> fill_cells(cells, np.array([0.5, 0.5, 5.0]), np.array([0.5, 1.5, 0.5]), np.ones(3)).tolist()
        [1.0, 1.0, 0.0]
    """
    slot = cells.find(x, y)
    good = slot >= 0
    return np.bincount(slot[good], weights=weight[good], minlength=cells.size).astype(float)


def _offsets(points: int) -> Array:
    """Points of a standard normal distribution of two dimensions, (points, 2), with mean zero and unit covariance."""
    cube = (qmc.Sobol(2, scramble=False).random_base2(points.bit_length() - 1) + 0.5 / points) % 1.0
    z = ndtri(cube)
    z -= z.mean(axis=0)
    covariance = z.T @ z / len(z)
    if points < 4:
        return np.asarray(z)
    return np.asarray(z @ np.linalg.inv(np.linalg.cholesky(covariance)).T)


def smooth_cells(
    cells: Cells, model: PlaneModel, x: Array, y: Array, weight: Array, config: PlaneSmoothing, half_axes: float,
    *, sigma_error: float = 0.0,
) -> PlaneBackground:  # fmt: skip
    """Spread every event with a normal kernel of the local resolution's shape.

    The bandwidth grows with the number of effective events that an ellipse around the event lacks. An event that is
    spread contributes to the error of a window with the share of it that a window around it would hold.

    Args:
        cells: the cells.
        model: the resolution.
        x: first squared masses of the candidates, GeV^2.
        y: second squared masses, GeV^2.
        weight: fb per candidate: their sum is the selected cross-section.
        config: the smoothing.
        half_axes: of the windows.
        sigma_error: relative error of the sample's cross-section.

    Raises:
        RunError: the number of points is no power of two.
    """
    if config.points & (config.points - 1):
        raise RunError(f"smoothing.points is {config.points}; use a power of two, for example 16")
    near = cells.find(x, y) >= 0
    x, y, weight = x[near], y[near], weight[near]
    expected, variance = np.zeros(cells.size), np.zeros(cells.size)
    raw = np.stack([fill_cells(cells, x, y, weight), fill_cells(cells, x, y, weight**2)])
    z = _offsets(config.points)
    low, high = config.bandwidths
    for begin in range(0, len(x), _ROWS):
        part = slice(begin, begin + _ROWS)
        xs, ys, ws = x[part], y[part], weight[part]
        r = model.local(xs, ys)
        windows = make_windows(cells, Resolution(xs, ys, r.sigma_x, r.sigma_y, r.rho), half_axes)
        total, square = windows.sums(raw)
        effective = np.maximum(total**2 / np.maximum(square, 1e-300), 1.0)
        h = half_axes / np.sqrt(2) * np.sqrt(np.maximum(config.target_events / effective - 1.0, 0.0))
        h = np.clip(h, low, high)
        u = h[:, None] * z[:, 0]
        v = h[:, None] * z[:, 1]
        px = xs[:, None] + r.sigma_x[:, None] * u
        py = ys[:, None] + (r.slope * r.sigma_x)[:, None] * u + r.minor[:, None] * v
        share = ws[:, None] / config.points
        expected += fill_cells(cells, px.ravel(), py.ravel(), np.broadcast_to(share, px.shape).ravel())
        # the share of a kernel that an ellipse around the event holds
        held = -np.expm1(-0.5 * (half_axes / h) ** 2)
        own = (ws**2 * held)[:, None] / config.points
        variance += fill_cells(cells, px.ravel(), py.ravel(), np.broadcast_to(own, px.shape).ravel())
    return PlaneBackground(expected, variance, len(x), sigma_error)
