"""A signal over the plane of two squared masses: resolution, efficiency and rate, smooth between simulated points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from darkfactory.physics.resolution import Core, Resolution, Surface, fit_surface

__all__ = ["PlaneModel", "make_resolution"]

Array = NDArray[np.float64]

_SURFACES = ("log_sigma_x", "log_sigma_y", "atanh_rho", "offset_x", "offset_y", "log_efficiency", "log_rate")


@dataclass(frozen=True)
class PlaneModel:
    """Smooth functions of the two masses: resolution, efficiency inside the ellipse, correction of the rate.

    Attributes:
        surfaces: by name, see ``_SURFACES``; the last two may be absent while they are made.
    """

    surfaces: Mapping[str, Surface]

    def at(self, m1: ArrayLike, m2: ArrayLike) -> Resolution:
        """Centre and resolution of a signal of these masses (GeV)."""
        a, b = np.broadcast_arrays(np.asarray(m1, dtype=float), np.asarray(m2, dtype=float))
        s = {name: surface(a, b) for name, surface in self.surfaces.items() if name in _SURFACES[:5]}
        sx, sy = np.exp(s["log_sigma_x"]), np.exp(s["log_sigma_y"])
        return Resolution(
            a * a + s["offset_x"] * sx, b * b + s["offset_y"] * sy, sx, sy, np.asarray(np.tanh(s["atanh_rho"]))
        )

    def local(self, x: ArrayLike, y: ArrayLike) -> Resolution:
        """Resolution at a place of the plane (GeV^2); negative squares have that of mass zero."""
        a, b = (np.sqrt(np.maximum(np.asarray(v, dtype=float), 0.0)) for v in (x, y))
        found = self.at(a, b)
        return Resolution(
            np.asarray(x, dtype=float), np.asarray(y, dtype=float), found.sigma_x, found.sigma_y, found.rho
        )

    def efficiency(self, m1: ArrayLike, m2: ArrayLike) -> Array:
        """Efficiency of selection and ellipse."""
        return np.asarray(np.exp(self.surfaces["log_efficiency"](m1, m2)))

    def rate_correction(self, m1: ArrayLike, m2: ArrayLike) -> Array:
        """Cross-section with radiation over that without."""
        return np.asarray(np.exp(self.surfaces["log_rate"](m1, m2)))

    def to_dict(self) -> dict[str, Any]:
        """JSON-like form."""
        return {name: s.to_dict() for name, s in self.surfaces.items()}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> PlaneModel:
        """Read the form of :meth:`to_dict`."""
        return cls({name: Surface.from_dict(s) for name, s in value.items()})


def make_resolution(
    masses: Sequence[tuple[float, float]], cores: Sequence[Core], orders: Mapping[str, int], scale: float
) -> PlaneModel:
    """Surfaces of the resolution from the cores of simulated points.

    Args:
        masses: both masses of each point, GeV.
        cores: as measured.
        orders: degrees of ``resolution``, ``correlation``, ``offset``.
        scale: CM energy, GeV.
    """
    m1, m2 = (np.array([m[i] for m in masses]) for i in (0, 1))
    w = np.array([c.n_effective for c in cores])
    sx, sy = np.array([c.sigma_x for c in cores]), np.array([c.sigma_y for c in cores])
    rho = np.array([c.rho for c in cores])
    values = {
        "log_sigma_x": (np.log(sx), w, orders["resolution"]),
        "log_sigma_y": (np.log(sy), w, orders["resolution"]),
        "atanh_rho": (np.arctanh(rho), w, orders["correlation"]),
        "offset_x": ((np.array([c.x for c in cores]) - m1 * m1) / sx, w, orders["offset"]),
        "offset_y": ((np.array([c.y for c in cores]) - m2 * m2) / sy, w, orders["offset"]),
    }
    return PlaneModel({n: fit_surface(m1, m2, v, u, order=o, scale=scale) for n, (v, u, o) in values.items()})
