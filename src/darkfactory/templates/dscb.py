"""The double-sided Crystal Ball: a Gaussian core with a power law on each side, and its weighted fit."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import erf

from darkfactory.core.errors import RunError
from darkfactory.records.histogram import FloatArray

__all__ = ["DscbFit", "DscbShape", "core_width", "dscb_integral", "dscb_pdf", "fit_dscb", "shape_sigma68", "sigma68"]

# Mild log-normal priors keep the tail parameters finite where a sample has no tail events: (mean, spread) of
# ln(alpha) and ln(n - 1). With many events the likelihood overrides them.
_PRIOR_ALPHA = (np.log(1.5), 0.5)
_PRIOR_N = (np.log(4.0), 0.8)
_N_MIN = 1.05


@dataclass(frozen=True)
class DscbShape:
    """Parameters of a double-sided Crystal Ball.

    Attributes:
        mean: peak position.
        sigma: core width.
        alpha_l, n_l: where the low tail starts (in widths) and its power.
        alpha_r, n_r: the same for the high tail.
    """

    mean: float
    sigma: float
    alpha_l: float
    n_l: float
    alpha_r: float
    n_r: float

    def moved(self, shift: float = 0.0, stretch: float = 1.0) -> DscbShape:
        """The shape with its mean shifted and its width multiplied.

        Example:
            >>> DscbShape(1.0, 0.1, 1.5, 3.0, 1.5, 3.0).moved(0.02, 1.1).sigma
            0.11
        """
        return DscbShape(self.mean + shift, self.sigma * stretch, self.alpha_l, self.n_l, self.alpha_r, self.n_r)


@dataclass(frozen=True)
class DscbFit:
    """A fitted shape with the figures needed to interpolate and to judge it.

    Attributes:
        shape: the parameters.
        errors: their one-sigma errors (mean, sigma, then of the logarithms of alpha_l, n_l - 1, alpha_r, n_r - 1).
        low, high: range of the fit, where the shape is normalised.
        sigma68: half of the central 68.27 % interval of all values in range.
        effective_events: (sum w)^2 / sum w^2.
        sumw: sum of weights of the peak in range.
        chi2, ndf: of the histogram against the shape.
        converged: whether the minimiser says so.
        flat_fraction: fraction of the candidates in range that a flat component took.
        covariance: of :meth:`parameters`, 36 numbers row by row.
    """

    shape: DscbShape
    errors: tuple[float, ...]
    low: float
    high: float
    sigma68: float
    effective_events: float
    sumw: float
    chi2: float
    ndf: int
    converged: bool
    flat_fraction: float = 0.0
    covariance: tuple[float, ...] = ()

    def parameters(self) -> FloatArray:
        """In the coordinates of the fit: mean, ln sigma, ln alpha_l, ln(n_l - 1.05), ln alpha_r, ln(n_r - 1.05)."""
        s = self.shape
        logs = np.log([s.sigma, s.alpha_l, s.n_l - _N_MIN, s.alpha_r, s.n_r - _N_MIN])
        return np.concatenate([[s.mean], logs])

    def to_dict(self) -> dict[str, Any]:
        """JSON-like form."""
        return asdict(self) | {"errors": list(self.errors), "covariance": list(self.covariance)}

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> DscbFit:
        """Read the form of :meth:`to_dict`."""
        return cls(
            **{
                **value,
                "shape": DscbShape(**value["shape"]),
                "errors": tuple(value["errors"]),
                "covariance": tuple(value["covariance"]),
            }
        )


def _tail_integral(t: FloatArray, alpha: float, n: float) -> FloatArray:
    """Integral of the low tail from -inf to t (<= -alpha), in units of the width, core height 1."""
    return np.asarray(np.exp(-0.5 * alpha**2) * (n / alpha) / (n - 1.0) * (1.0 + alpha * (-t - alpha) / n) ** (1.0 - n))


def _cumulative(t: FloatArray, alpha_l: float, n_l: float, alpha_r: float, n_r: float) -> FloatArray:
    """Integral from -inf to t, not normalised."""
    left = _tail_integral(np.minimum(t, -alpha_l), alpha_l, n_l)
    core = np.sqrt(0.5 * np.pi) * (erf(np.clip(t, -alpha_l, alpha_r) / np.sqrt(2.0)) + erf(alpha_l / np.sqrt(2.0)))
    full_right = _tail_integral(np.array(-alpha_r), alpha_r, n_r)
    right = full_right - _tail_integral(-np.maximum(t, alpha_r), alpha_r, n_r)
    return np.asarray(left + core + right)


def dscb_pdf(x: npt.ArrayLike, shape: DscbShape) -> FloatArray:
    """Density, normalised on the whole line.

    Example:
        >>> s = DscbShape(0.0, 1.0, 40.0, 3.0, 40.0, 3.0)
        >>> print(round(float(dscb_pdf(0.0, s)), 6))
        0.398942
    """
    t = (np.asarray(x, dtype=float) - shape.mean) / shape.sigma
    left = np.exp(-0.5 * shape.alpha_l**2) * (
        1.0 + shape.alpha_l * np.maximum(-t - shape.alpha_l, 0.0) / shape.n_l
    ) ** (-shape.n_l)
    right = np.exp(-0.5 * shape.alpha_r**2) * (
        1.0 + shape.alpha_r * np.maximum(t - shape.alpha_r, 0.0) / shape.n_r
    ) ** (-shape.n_r)
    height = np.where(t < -shape.alpha_l, left, np.where(t > shape.alpha_r, right, np.exp(-0.5 * t**2)))
    norm = _cumulative(np.array([np.inf]), shape.alpha_l, shape.n_l, shape.alpha_r, shape.n_r)[0]
    return np.asarray(height / (norm * shape.sigma))


def dscb_integral(edges: npt.ArrayLike, shape: DscbShape) -> FloatArray:
    """Probability in each bin; the whole line is 1.

    Args:
        edges: ascending bin edges (n + 1), infinite ones allowed.
        shape: the parameters.

    Example:
        >>> s = DscbShape(0.0, 1.0, 40.0, 3.0, 40.0, 3.0)
        >>> dscb_integral([-1.0, 1.0], s)
        array([0.6827])
    """
    t = (np.asarray(edges, dtype=float) - shape.mean) / shape.sigma
    args = (shape.alpha_l, shape.n_l, shape.alpha_r, shape.n_r)
    norm = _cumulative(np.array([np.inf]), *args)[0]
    return np.asarray(np.diff(_cumulative(t, *args)) / norm)


def _quantiles(values: FloatArray, weights: FloatArray, probabilities: list[float]) -> FloatArray:
    order = np.argsort(values, kind="stable")
    cumulative = np.cumsum(weights[order])
    centre = (cumulative - 0.5 * weights[order]) / cumulative[-1]
    return np.asarray(np.interp(probabilities, centre, values[order]))


def sigma68(values: FloatArray, weights: FloatArray) -> tuple[float, float]:
    """Median, and half of the central 68.27 % interval, of weighted values.

    Example:
        >>> print(*(round(v, 3) for v in sigma68(np.linspace(0.0, 1.0, 10001), np.ones(10001))))
        0.5 0.341
    """
    low, middle, high = _quantiles(values, weights, [0.158655, 0.5, 0.841345])
    return float(middle), float(0.5 * (high - low))


def core_width(values: FloatArray, weights: FloatArray) -> tuple[float, float]:
    """Median and width of the core of weighted values that may have long tails.

    Starts from the shortest interval with 38.29 % of the weight (one sigma long for a normal distribution), then takes
    median and half of the central 68.27 % of what lies within three widths, five times.

    Example:
        >>> rng = np.random.default_rng(1)
        >>> x = np.concatenate([rng.normal(4.0, 0.3, 6000), rng.uniform(0.0, 30.0, 4000)])
        >>> print(*(round(v, 1) for v in core_width(x, np.ones(10000))))
        4.0 0.3
    """
    order = np.argsort(values, kind="stable")
    x, cumulative = values[order], np.cumsum(weights[order])
    before = np.concatenate([[0.0], cumulative[:-1]])
    end = np.searchsorted(cumulative, before + 0.3829 * cumulative[-1])
    start = np.flatnonzero(end < len(x))
    lengths = x[end[start]] - x[start]
    best = int(np.argmin(lengths))
    centre, width = float(x[start[best]] + 0.5 * lengths[best]), float(lengths[best])
    for _ in range(5):
        inside = np.abs(x - centre) <= 3.0 * width
        if np.count_nonzero(inside) < 3 or width <= 0:
            break
        centre, width = sigma68(x[inside], weights[order][inside])
    return centre, width


def _unpack(p: FloatArray) -> DscbShape:
    return DscbShape(
        float(p[0]), float(np.exp(p[1])), float(np.exp(p[2])), float(_N_MIN + np.exp(p[3])),
        float(np.exp(p[4])), float(_N_MIN + np.exp(p[5])),
    )  # fmt: skip


def _hessian(f: Any, p: FloatArray, steps: FloatArray) -> FloatArray:
    n = len(p)
    h = np.zeros((n, n))
    for i in range(n):
        for j in range(i, n):
            total = 0.0
            for a, b in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
                q = p.copy()
                q[i] += a * steps[i]
                q[j] += b * steps[j]
                total += a * b * f(q)
            h[i, j] = h[j, i] = total / (4.0 * steps[i] * steps[j])
    return h


def fit_dscb(
    values: npt.ArrayLike,
    weights: npt.ArrayLike,
    *,
    half_range: float = 8.0,
    limits: tuple[float, float] = (-np.inf, np.inf),
    bins: int = 160,
    start: tuple[float, float] | None = None,
    flat: tuple[float, float, float] | None = None,
) -> DscbFit:
    """Fit a double-sided Crystal Ball to weighted values.

    The values are binned finely (the bin is a tenth of the width) and a Poisson likelihood with the effective
    number of events is maximised, so that neither the cost nor the starting point depends on the sample's size.
    Weak log-normal priors on the tails keep the fit finite where a sample has no tail.

    Args:
        values: the observable of each candidate.
        weights: their weights, not negative.
        half_range: range of the fit, in central widths to both sides of the median.
        limits: hard limits of that range (of the histogrammed observable).
        bins: bins of the fit.
        start: median and width that set the range, where the values hold more than the peak.
        flat: candidates of a flat component per one of the peak and per unit of the observable, and the range
            where it is flat; its fraction is fitted with a prior of a factor 1.5 around this.

    Raises:
        RunError: fewer than ten effective events, negative weights, or no spread.

    Example:
        >>> x = np.random.default_rng(1).normal(4.0, 0.2, 20000)
        >>> fit = fit_dscb(x, np.ones(20000))
        >>> print(f"{fit.shape.mean:.2f} {fit.sigma68:.2f}")
        4.00 0.20
    """
    v, w = np.asarray(values, dtype=float), np.asarray(weights, dtype=float)
    if np.any(w < 0):
        raise RunError("signal shape: negative weights cannot be fitted; check the sample's weights")
    keep = (v >= limits[0]) & (v <= limits[1]) & (w > 0)
    v, w = v[keep], w[keep]
    if w.sum() ** 2 < 10.0 * (w**2).sum() or len(v) < 10:
        raise RunError(
            f"signal shape: {len(v)} candidates in {limits} are too few for a fit (10 effective ones are needed); "
            "generate more signal events or loosen the selection"
        )
    median, width = sigma68(v, w) if start is None else start
    if width <= 0:
        raise RunError(f"signal shape: all values are {median}; a width cannot be fitted")
    low, high = max(limits[0], median - half_range * width), min(limits[1], median + half_range * width)
    keep = (v >= low) & (v <= high)
    v, w = v[keep], w[keep]
    if start is None:
        median, width = sigma68(v, w)
    sumw, effective = float(w.sum()), float(w.sum() ** 2 / (w**2).sum())
    edges = np.linspace(low, high, bins + 1)
    index = np.clip(np.searchsorted(edges, v, side="right") - 1, 0, bins - 1)
    content = np.asarray(np.bincount(index, weights=w, minlength=bins), dtype=float) * (effective / sumw)

    prior, uniform = 0.0, np.zeros(bins)
    if flat is not None:
        uniform = np.diff(np.clip(edges, flat[1], max(flat[2], flat[1])))
        prior = max(flat[0] * float(uniform.sum()), 1e-6)
        uniform = uniform / uniform.sum() if uniform.sum() > 0 else uniform

    def model(p: Any) -> FloatArray:
        probability = dscb_integral(edges, _unpack(p))
        peak = probability / max(float(probability.sum()), 1e-300)
        if not uniform.any():
            return np.asarray(peak)
        ratio = prior * np.exp(p[6])
        return np.asarray((peak + ratio * uniform) / (1.0 + ratio))

    def objective(p: Any) -> float:
        probability = model(p)
        if not np.isfinite(probability).all():
            return 1e30
        nll = -float(content @ np.log(np.maximum(probability, 1e-300))) + 0.5 * float(p[6] / np.log(1.5)) ** 2
        for i, (centre, spread) in ((2, _PRIOR_ALPHA), (3, _PRIOR_N), (4, _PRIOR_ALPHA), (5, _PRIOR_N)):
            nll += 0.5 * float((p[i] - centre) / spread) ** 2
        return nll

    # unit steps in scaled parameters: the peak moves by widths, the rest is logarithmic
    first = np.array([median, np.log(width), _PRIOR_ALPHA[0], _PRIOR_N[0], _PRIOR_ALPHA[0], _PRIOR_N[0], 0.0])
    scale = np.array([width, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    bounds = [(-3, 3), (-1.5, 1.0), (-1.2, 1.5), (-3, 3.0), (-1.2, 1.5), (-3, 3.0), (-2.0, 2.0)]

    def scaled(u: Any) -> float:
        return objective(first + u * scale) / effective

    result = minimize(
        scaled,
        np.zeros(7), method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-12, "gtol": 1e-7, "maxiter": 300},
    )  # fmt: skip
    best = first + result.x * scale
    hessian = _hessian(objective, best, np.array([0.02 * width, 0.02, 0.03, 0.05, 0.03, 0.05, 0.05]))
    # parameters at a bound or a flat direction get the prior's spread, never a zero error
    eigen, vectors = np.linalg.eigh(hessian * np.outer(scale, scale))
    covariance = (vectors / np.maximum(eigen, 1.0)) @ vectors.T * np.outer(scale, scale)
    shape = _unpack(best)
    errors = np.sqrt(np.maximum(np.diag(covariance), 1e-30))
    errors[1] *= shape.sigma
    expectation = effective * model(best)
    chi2, used = _grouped_chi2(content, expectation)
    ratio = prior * float(np.exp(best[6])) if uniform.any() else 0.0
    if flat is not None:
        width = shape_sigma68(shape, low, high)
    return DscbFit(
        shape, tuple(float(e) for e in errors[:6]), float(low), float(high), width, effective / (1.0 + ratio),
        sumw / (1.0 + ratio), chi2, max(used - 7, 1), bool(result.success), ratio / (1.0 + ratio),
        tuple(float(v) for v in covariance[:6, :6].ravel()),
    )  # fmt: skip


def shape_sigma68(shape: DscbShape, low: float, high: float) -> float:
    """Half of the central 68.27 % interval of a shape between two limits.

    Example:
        >>> print(round(shape_sigma68(DscbShape(0.0, 2.0, 40.0, 3.0, 40.0, 3.0), -20.0, 20.0), 3))
        2.0
    """
    x = np.linspace(low, high, 4001)
    cumulative = np.concatenate([[0.0], np.cumsum(dscb_integral(x, shape))])
    edges = np.interp([0.158655, 0.841345], cumulative / cumulative[-1], x)
    return float(0.5 * (edges[1] - edges[0]))


def _grouped_chi2(content: FloatArray, expectation: FloatArray, least: float = 10.0) -> tuple[float, int]:
    """chi^2 with neighbouring bins grouped until each group expects ``least`` events."""
    chi2, groups, c, e = 0.0, 0, 0.0, 0.0
    for ci, ei in zip(content, expectation, strict=True):
        c, e = c + ci, e + ei
        if e >= least:
            chi2, groups, c, e = chi2 + (c - e) ** 2 / e, groups + 1, 0.0, 0.0
    return float(chi2), groups
