"""Resolution in a plane of two squared masses: measured cores, smooth surfaces over both masses, ellipses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from darkfactory.core.errors import RunError

__all__ = ["Core", "Resolution", "Surface", "fit_surface", "inside", "measure_core"]

Array = NDArray[np.float64]

_CORE = 2.5  # Mahalanobis distance within which the core is measured: radiative tails stay outside
_ITERATIONS = 20


@dataclass(frozen=True)
class Core:
    """The Gaussian core of a signal in the plane.

    Attributes:
        x, y: centre, GeV^2.
        sigma_x, sigma_y: widths, GeV^2.
        rho: correlation.
        n_effective: effective events that it was measured on.
    """

    x: float
    y: float
    sigma_x: float
    sigma_y: float
    rho: float
    n_effective: float


def _peak(values: Array, weights: Array) -> tuple[float, float]:
    """Centre and length of the shortest interval with 38.3 % of the weight: one width of a normal distribution.

    Tails, however long, do not move it.
    """
    order = np.argsort(values, kind="stable")
    x, total = values[order], np.cumsum(weights[order])
    before = total - weights[order]
    end = np.searchsorted(total, before + 0.3829 * total[-1])
    start = np.flatnonzero(end < len(x))
    length = x[end[start]] - x[start]
    best = int(np.argmin(length))
    return float(x[start[best]] + 0.5 * length[best]), float(length[best])


def _truncated(k: float) -> float:
    """Variance per axis of a two-dimensional normal distribution cut at distance k, over that without the cut."""
    t = 0.5 * k * k
    return float(1 - t * np.exp(-t) / -np.expm1(-t))


def measure_core(x: Array, y: Array, weight: Array) -> Core:
    """Centre and covariance of the core: moments inside an ellipse, corrected for its cut, iterated.

    Args:
        x: first squared mass, GeV^2.
        y: second squared mass, GeV^2.
        weight: of the events; those without weight do not count.

    Raises:
        RunError: too few events for a covariance.

    Example:
        >>> rng = np.random.default_rng(1)
        >>> u, v = rng.normal(size=(2, 20000))
        >>> tail = np.where(rng.random(20000) < 0.2, rng.exponential(5.0, 20000), 0.0)
        >>> core = measure_core(9 + 0.1 * u, 1 - 0.3 * 0.8 * u + 0.3 * 0.6 * v + tail, np.ones(20000))
        >>> round(core.sigma_x, 2), round(core.sigma_y, 1), round(core.rho, 1)
        (0.1, 0.3, -0.8)
    """
    some = weight > 0
    x, y, weight = x[some], y[some], weight[some]
    if len(x) < 5 or not float(np.sum(weight)) > 0:
        raise RunError(f"no resolution from {len(x)} events; generate more signal events or check the selection")
    peaks = [_peak(v, weight) for v in (x, y)]
    centre = np.array([p[0] for p in peaks])
    v = np.diag([max(p[1], 1e-6) ** 2 for p in peaks])
    points = np.stack([x, y], axis=-1)
    keep = np.ones(len(x), dtype=bool)
    for _ in range(_ITERATIONS):
        d = points - centre
        distance = np.einsum("ni,ij,nj->n", d, np.linalg.inv(v), d)
        keep = distance < _CORE**2
        w = weight * keep
        if np.count_nonzero(keep) < 5:
            raise RunError(f"only {np.count_nonzero(keep)} of {len(x)} events in the core; generate more signal events")
        centre = np.sum(w[:, None] * points, axis=0) / np.sum(w)
        d = points - centre
        v = np.einsum("n,ni,nj->ij", w, d, d) / np.sum(w) / _truncated(_CORE) + 1e-12 * np.eye(2)
    sx, sy = float(np.sqrt(v[0, 0])), float(np.sqrt(v[1, 1]))
    w = weight[keep]
    return Core(
        float(centre[0]), float(centre[1]), sx, sy, float(v[0, 1] / (sx * sy)), float(np.sum(w) ** 2 / np.sum(w * w))
    )


@dataclass(frozen=True)
class Surface:
    """A polynomial of two scaled masses.

    Attributes:
        order: total degree.
        scale: unit of the masses, GeV.
        coefficients: of :func:`_terms`.
        spread: weighted root mean square of the residuals at the simulated points.
        low, high: range of the values at the simulated points; values outside are not extrapolated to.
    """

    order: int
    scale: float
    coefficients: tuple[float, ...]
    spread: float
    low: float
    high: float

    def __call__(self, m1: ArrayLike, m2: ArrayLike) -> Array:
        """Value at masses in GeV."""
        terms = _terms(np.asarray(m1, dtype=float), np.asarray(m2, dtype=float), self.scale, self.order)
        value = sum(c * t for c, t in zip(self.coefficients, terms, strict=True))
        return np.clip(np.asarray(value, dtype=float), self.low, self.high)

    def to_dict(self) -> dict[str, Any]:
        """JSON-like form."""
        return {**vars(self), "coefficients": list(self.coefficients)}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Surface:
        """Read the form of :meth:`to_dict`."""
        return cls(**{**value, "coefficients": tuple(value["coefficients"])})


def _terms(m1: Array, m2: Array, scale: float, order: int) -> list[Array]:
    """Products of Legendre polynomials of the scaled masses up to a total degree."""
    u, v = np.broadcast_arrays(2 * m1 / scale - 1, 2 * m2 / scale - 1)
    legendre = [np.polynomial.legendre.Legendre.basis(n) for n in range(order + 1)]
    return [np.asarray(legendre[i](u) * legendre[j](v)) for i in range(order + 1) for j in range(order + 1 - i)]


def fit_surface(m1: Array, m2: Array, value: Array, weight: Array, *, order: int, scale: float) -> Surface:
    """Weighted least squares; the order is lowered where there are few points.

    Args:
        m1: first masses of the simulated points, GeV.
        m2: second masses, GeV.
        value: measured values.
        weight: inverse variances, up to a factor.
        order: total degree.
        scale: unit of the masses, GeV.

    Raises:
        RunError: no point.

    Example:
        >>> m1, m2 = (a.ravel() for a in np.meshgrid(np.arange(1.0, 6.0), np.arange(1.0, 6.0)))
        >>> s = fit_surface(m1, m2, 1 + 0.1 * m1 * m2, np.ones(25), order=2, scale=10.0)
        >>> round(float(s(2.5, 3.5)), 6), s.spread < 1e-12
        (1.875, True)
    """
    if not len(value):
        raise RunError("no simulated point to make a surface from; generate more signal events")
    # two points for each coefficient
    while order > 0 and (order + 1) * (order + 2) > len(value):
        order -= 1
    matrix = np.stack(_terms(m1, m2, scale, order), axis=-1)
    root = np.sqrt(weight / np.mean(weight))
    found, *_ = np.linalg.lstsq(matrix * root[:, None], value * root, rcond=1e-10)
    residual = (matrix @ found - value) * root
    spread = float(np.sqrt(np.mean(residual**2)))
    margin = 0.1 * float(value.max() - value.min())
    return Surface(
        order, scale, tuple(float(c) for c in found), spread, float(value.min()) - margin, float(value.max()) + margin
    )


@dataclass(frozen=True, eq=False)
class Resolution:
    """Resolution at some places: arrays of one shape; GeV^2 but for ``rho``."""

    x: Array
    y: Array
    sigma_x: Array
    sigma_y: Array
    rho: Array

    @property
    def minor(self) -> Array:
        """Width of the second mass at a given first one."""
        return np.asarray(self.sigma_y * np.sqrt(1 - self.rho**2))

    @property
    def slope(self) -> Array:
        """Change of the mean second squared mass with the first."""
        return np.asarray(self.rho * self.sigma_y / self.sigma_x)


def inside(x: Array, y: Array, r: Resolution, half_axes: float) -> NDArray[np.bool_]:
    """Which points lie in the ellipse d^T V^-1 d < k^2 of one resolution.

    Example:
        >>> one = Resolution(*(np.array(v) for v in (4.0, 1.0, 0.1, 0.2, -0.9)))
        >>> inside(np.array([4.0, 4.1, 4.1]), np.array([1.0, 0.82, 1.2]), one, 2.0).tolist()
        [True, True, False]
    """
    u = (x - r.x) / r.sigma_x
    v = (y - r.y - r.slope * (x - r.x)) / r.minor
    return np.asarray(u * u + v * v < half_axes**2)
