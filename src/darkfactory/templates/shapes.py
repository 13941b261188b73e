"""Signal shapes: measured on samples at the masses of the grid, made smooth in mass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from darkfactory.config.points import parse_point
from darkfactory.config.templates import ShapeConfig, TemplatesConfig, WrongPairings
from darkfactory.core.errors import ConfigError, RunError
from darkfactory.records.histogram import FloatArray
from darkfactory.templates.curves import SmoothCurve, fit_curve
from darkfactory.templates.dscb import DscbFit, DscbShape, core_width, dscb_integral, fit_dscb, sigma68
from darkfactory.templates.fill import Columns, nuisances, region_mask

__all__ = [
    "RegionShape",
    "ShapeModel",
    "SignalMeasurement",
    "TemplatePoint",
    "build_shape_model",
    "interpolate_shape",
    "measure_signal",
]

_TAILS = ("alpha_l", "n_l", "alpha_r", "n_r")


@dataclass(frozen=True)
class TemplatePoint:
    """A hypothesis at a point of its axes.

    Example:
        >>> TemplatePoint("zprime", "m3p00000_w0p10000").width_ratio
        0.1
    """

    hypothesis: str
    name: str

    @property
    def key(self) -> str:
        """Name across hypotheses."""
        return f"{self.hypothesis}/{self.name}"

    @property
    def axes(self) -> dict[str, float]:
        """Values of the axes."""
        return parse_point(self.name)

    @property
    def mass(self) -> float:
        """In GeV."""
        axes = self.axes
        if "mass" not in axes:
            raise ConfigError(f"point {self.name!r} has no mass axis; bump hunts need one", where="grids")
        return axes["mass"]

    @property
    def width_ratio(self) -> float:
        """Natural width over mass (0 if narrow)."""
        return self.axes.get("width", 0.0)


@dataclass(frozen=True)
class SignalMeasurement:
    """What one signal sample says about shape and efficiency.

    Attributes:
        hypothesis, point: the hypothesis.
        region: where it is fitted.
        mass: in GeV.
        fit: of the right candidates' observable; None when too few.
        efficiency, efficiency_error: candidates per produced event (in the fit's range, where there is a fit).
        effective_events: of the candidates.
        factors: efficiency under each variation relative to nominal.
    """

    hypothesis: str
    point: str
    region: str
    mass: float
    fit: DscbFit | None
    efficiency: float
    efficiency_error: float
    effective_events: float
    factors: Mapping[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """JSON-like form."""
        return {
            **self.__dict__,
            "fit": None if self.fit is None else self.fit.to_dict(),
            "factors": dict(self.factors),
        }

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> SignalMeasurement:
        """Read the form of :meth:`to_dict`."""
        return cls(**{**value, "fit": None if value["fit"] is None else DscbFit.from_dict(value["fit"])})


@dataclass(frozen=True)
class RegionShape:
    """Smooth parameters of one hypothesis in one region.

    Attributes:
        fit_range: half range of normalisation, in widths.
        limits: hard limits of the observable.
        offset: a signal peaks at its squared mass less this, in GeV^2.
        curves: log_width (core), log_sigma68, mean (offset in core widths), the four tails, efficiency, and
            ``factor:<variation>``.
    """

    fit_range: float
    limits: tuple[float, float]
    curves: Mapping[str, SmoothCurve]
    offset: float = 0.0

    def width(self, mass: float) -> float:
        """Half of the central 68 % interval of the observable, in GeV^2."""
        return float(np.exp(self.curves["log_sigma68"](mass)))

    def resolution(self, mass: npt.ArrayLike, kind: str) -> FloatArray:
        """Width that sets the binning, in GeV^2: ``core`` or ``sigma68``."""
        return np.asarray(np.exp(self.curves["log_width" if kind == "core" else "log_sigma68"](mass)))

    def shape(self, mass: float) -> DscbShape:
        """The interpolated Crystal Ball."""
        c = {k: float(v(mass)) for k, v in self.curves.items()}
        sigma = float(np.exp(c["log_width"]))
        tails = {t: float(np.exp(c[t])) + (1.05 if t.startswith("n") else 0.0) for t in _TAILS}
        return DscbShape(mass**2 - self.offset + c["mean"] * sigma, sigma, **tails)

    def efficiency(self, mass: float) -> float:
        """Candidates in the range of normalisation per produced event."""
        return max(float(self.curves["efficiency"](mass)), 0.0)

    def template(self, mass: float, edges: FloatArray, shift: float = 0.0, stretch: float = 1.0) -> FloatArray:
        """Candidates per produced event in bins of the observable, for a shape moved by a systematic."""
        shape = self.shape(mass)
        half = self.fit_range * self.width(mass)
        span = [max(shape.mean - half, self.limits[0]), min(shape.mean + half, self.limits[1])]
        norm = float(dscb_integral(span, shape)[0])
        return self.efficiency(mass) * dscb_integral(edges, shape.moved(shift, stretch)) / norm

    def factors(self, mass: float) -> dict[str, float]:
        """Efficiency factors of the variations."""
        return {k[7:]: float(v(mass)) for k, v in sorted(self.curves.items()) if k.startswith("factor:")}


@dataclass(frozen=True)
class ShapeModel:
    """All signal shapes of a search, made on its grid once; a point on or off the grid only reads it.

    Attributes:
        regions: by ``hypothesis/region``.
        resolution: region name to the key whose width sets the binning.
        measurements: what the curves were made from.
        kind: of width (:class:`ShapeConfig`).
    """

    regions: Mapping[str, RegionShape]
    resolution: Mapping[str, str]
    measurements: tuple[SignalMeasurement, ...]
    kind: str = "core"

    def at(self, hypothesis: str, region: str) -> RegionShape:
        """Shapes of a hypothesis in a region; hypotheses without curves of their own take the resolution's."""
        key = f"{hypothesis}/{region}"
        return self.regions[key if key in self.regions else self.resolution[region]]

    def width(self, region: str, mass: float) -> float:
        """Resolution of the observable at a mass, in GeV^2."""
        return float(self.regions[self.resolution[region]].resolution(mass, self.kind))

    def closure(self) -> list[dict[str, float | str]]:
        """Measured and smooth widths, and chi^2 of each fit, for figures and tests."""
        rows: list[dict[str, float | str]] = []
        for m in self.measurements:
            if m.fit is None or f"{m.hypothesis}/{m.region}" not in self.regions:
                continue
            smooth = self.regions[f"{m.hypothesis}/{m.region}"]
            rows.append(
                {
                    "point": m.point, "region": m.region, "mass": m.mass, "sigma68": m.fit.sigma68,
                    "sigma68_smooth": smooth.width(m.mass), "sigma_core": m.fit.shape.sigma,
                    "sigma_core_smooth": smooth.shape(m.mass).sigma,
                    "sigma68_mass": m.fit.sigma68 / (2.0 * m.mass), "mean": m.fit.shape.mean,
                    "efficiency": m.efficiency, "efficiency_smooth": smooth.efficiency(m.mass),
                    "efficiency_error": m.efficiency_error, "chi2": m.fit.chi2, "ndf": float(m.fit.ndf),
                }
            )  # fmt: skip
        return rows

    def to_dict(self) -> dict[str, Any]:
        """JSON-like form."""
        return {
            "regions": {
                k: {
                    "fit_range": r.fit_range,
                    "limits": list(r.limits),
                    "curves": {n: c.to_dict() for n, c in r.curves.items()},
                    "offset": r.offset,
                }
                for k, r in self.regions.items()
            },
            "resolution": dict(self.resolution),
            "measurements": [m.to_dict() for m in self.measurements],
            "kind": self.kind,
        }

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> ShapeModel:
        """Read the form of :meth:`to_dict`."""
        regions = {
            k: RegionShape(
                float(r["fit_range"]),
                (float(r["limits"][0]), float(r["limits"][1])),
                {n: SmoothCurve.from_dict(c) for n, c in r["curves"].items()},
                float(r["offset"]),
            )
            for k, r in value["regions"].items()
        }
        return cls(
            regions,
            dict(value["resolution"]),
            tuple(SignalMeasurement.from_dict(m) for m in value["measurements"]),
            value["kind"],
        )


def measure_signal(
    point: TemplatePoint,
    columns: Columns,
    config: TemplatesConfig,
    *,
    n_generated: float,
    sigma_fb: float,
    shape: bool = True,
) -> SignalMeasurement | None:
    """Fit the shape and the efficiency of one signal sample.

    Args:
        point: the hypothesis.
        columns: selected candidates (``weight`` in fb, observables, ``var_*`` factors).
        config: the section.
        n_generated: events generated in the folds used.
        sigma_fb: the sample's cross section, in fb.
        shape: fit the shape; without, only the efficiency is measured.

    Returns:
        The measurement, or None when no region covers the mass.
    """
    region = config.region_of(point.mass, point.hypothesis)
    if region is None:
        return None
    if n_generated <= 0 or sigma_fb <= 0:
        raise RunError(
            f"signal {point.key}: {n_generated:g} generated events and {sigma_fb:g} fb give no normalisation; "
            "check the sample's record"
        )
    parametric = config.signal_of(region.name) == "parametric"
    keep = region_mask(columns, region)
    values = np.asarray(columns[region.observable], dtype=float)[keep]
    weights = np.asarray(columns["weight"], dtype=float)[keep]
    fit: DscbFit | None = None
    squares = float((weights**2).sum())
    shape = shape and region.bins is None
    candidates = 1 + (config.shape.wrong_pairings.per_event if config.shape.wrong_pairings is not None else 0)
    if shape and squares > 0 and float(weights.sum()) ** 2 / squares >= config.shape.min_events * candidates:
        options: dict[str, Any] = {"half_range": config.shape.fit_range, "limits": region.observable_range}
        if config.shape.wrong_pairings is not None:
            peak = config.peak(point.mass, region.name)
            options |= _wrong_pairings(peak, point, columns, keep, values, weights, config.shape.wrong_pairings)
        if _events_in_range(values, weights, options) >= config.shape.min_events:
            fit = fit_dscb(values, weights, **options)
    low, high = (fit.low, fit.high) if fit is not None and parametric else region.observable_range
    inside = (values >= low) & (values <= high)
    sumw, sumw2 = float(weights[inside].sum()), float((weights[inside] ** 2).sum())
    factors = {}
    for name in filter(config.uses_column, nuisances(columns)):
        for side in ("up", "down"):
            factor = np.asarray(columns[f"var_{name}_{side}"], dtype=float)[keep][inside]
            factors[f"{name}_{side}"] = float((weights[inside] * factor).sum()) / sumw if sumw > 0 else 1.0
    if fit is not None and parametric:
        # wrong pairings in the range are not signal
        sumw2 *= fit.sumw / sumw
        sumw = fit.sumw
    norm = n_generated * sigma_fb
    return SignalMeasurement(
        point.hypothesis, point.name, region.name, point.mass, fit, sumw / norm, float(np.sqrt(sumw2)) / norm,
        sumw**2 / sumw2 if sumw2 > 0 else 0.0, factors,
    )  # fmt: skip


def _events_in_range(values: FloatArray, weights: FloatArray, options: Mapping[str, Any]) -> float:
    """Effective events in the range of a fit that starts at a median and a width; all of them without a start.

    Wrong pairings may be many where hardly any right one is left, and then give the start.
    """
    near = np.ones(len(values), dtype=bool)
    if "start" in options:
        (median, width), (low, high) = options["start"], options["limits"]
        near = (np.abs(values - median) <= options["half_range"] * width) & (values >= low) & (values <= high)
    squares = float((weights[near] ** 2).sum())
    return float(weights[near].sum()) ** 2 / squares if squares > 0 else 0.0


def _wrong_pairings(
    peak: float,
    point: TemplatePoint,
    columns: Columns,
    keep: npt.NDArray[np.bool_],
    values: FloatArray,
    weights: FloatArray,
    wrong: WrongPairings,
) -> dict[str, Any]:
    """Starting point and flat component of a fit to all candidates of signal events.

    The candidate nearest to the mass of each event is nearly always the right one: it gives median and width.
    """
    if "event_id" not in columns:
        raise RunError(f"signal {point.key}: pairings need the column 'event_id'; columns are {sorted(columns)}")
    event = np.asarray(columns["event_id"])[keep]
    order = np.lexsort((np.abs(values - peak), event))
    _, first = np.unique(event[order], return_index=True)
    nearest = order[first]
    top = wrong.total.value - peak
    return {
        "start": (core_width if wrong.start == "core" else sigma68)(values[nearest], weights[nearest]),
        "flat": (wrong.per_event / max(top, 1e-3), 0.0, top),
    }


def interpolate_shape(fits: Sequence[tuple[float, DscbFit]], mass: float, config: ShapeConfig) -> DscbShape:
    """The Crystal Ball at a mass, from fits at other masses: parameters are interpolated, never histograms.

    Args:
        fits: (mass in GeV, fit of the squared mass in GeV^2) each.
        mass: in GeV.
        config: curves to use.
    """
    return RegionShape(config.fit_range, (-np.inf, np.inf), _shape_curves(fits, config, 0.0)).shape(mass)


# no fitted parameter is better known than this: the misfit of a curve
_FLOOR = {"log_width": 0.003, "mean": 0.003, "tail": 0.02}


def _shape_curves(fits: Sequence[tuple[float, DscbFit]], config: ShapeConfig, shift: float) -> dict[str, SmoothCurve]:
    """Curves of all shape parameters.

    The parameters of one fit are correlated, tails most of all, and made smooth one by one they would no longer
    belong together. So the powers are made smooth first, each fit is moved along its covariance to where it is
    best with these powers, then the tails' starts, then mean and width.
    """
    masses = [m for m, _ in fits]
    values = np.array([f.parameters() for _, f in fits])
    covariances = [np.array(f.covariance).reshape(6, 6).copy() for _, f in fits]
    curves: dict[str, SmoothCurve] = {}
    for i, tail in ((3, "n_l"), (5, "n_r"), (2, "alpha_l"), (4, "alpha_r")):
        errors = [float(np.hypot(np.sqrt(c[i, i]), _FLOOR["tail"])) for c in covariances]
        curves[tail] = fit_curve(masses, values[:, i].tolist(), errors, config.tails, shift)
        target = curves[tail](masses)
        for row, c, wanted in zip(values, covariances, target, strict=True):
            error = np.sqrt(c[i, i])
            # the covariance holds near the best fit only
            step = float(np.clip(wanted - row[i], -3.0 * error, 3.0 * error))
            slope = c[:, i] / c[i, i]
            row += slope * step
            row[i] = wanted
            c -= np.outer(slope, slope) * c[i, i]
            c[i, i] = 1e-12
    sigma = np.exp(values[:, 1])
    width_errors = [float(np.hypot(np.sqrt(max(c[1, 1], 0.0)), _FLOOR["log_width"])) for c in covariances]
    curves["log_width"] = fit_curve(masses, values[:, 1].tolist(), width_errors, config.width, shift)
    offsets = (values[:, 0] - np.square(masses) + shift) / sigma
    offset_errors = [
        float(np.hypot(np.sqrt(max(c[0, 0], 0.0)) / s, _FLOOR["mean"])) for c, s in zip(covariances, sigma, strict=True)
    ]
    curves["mean"] = fit_curve(masses, offsets.tolist(), offset_errors, config.mean, shift)
    curves["log_sigma68"] = fit_curve(
        masses,
        [float(np.log(f.sigma68)) for _, f in fits],
        [float(np.hypot(1.1 / np.sqrt(f.effective_events), _FLOOR["log_width"])) for _, f in fits],
        config.width,
        shift,
    )
    return curves


def build_shape_model(measurements: Sequence[SignalMeasurement], config: TemplatesConfig) -> ShapeModel:
    """Make the measurements of a grid smooth in mass.

    Points with a width axis do not enter the resolution; their shapes come from their own samples.

    Regions with bins of their own have no shape.

    Raises:
        RunError: a region has no measured shape.
    """
    ordered = sorted(measurements, key=lambda m: (m.hypothesis, m.region, m.mass, m.point))
    regions: dict[str, RegionShape] = {}
    resolution: dict[str, str] = {}
    for region in config.regions:
        if region.bins is not None:
            continue
        for hypothesis in sorted({m.hypothesis for m in ordered}):
            found = [
                m
                for m in ordered
                if m.hypothesis == hypothesis
                and m.region == region.name
                and m.fit is not None
                and "width" not in parse_point(m.point)
            ]
            if not found:
                continue
            shift = config.shift(region.name)
            curves = _shape_curves([(m.mass, m.fit) for m in found if m.fit is not None], config.shape, shift)
            masses = [m.mass for m in found]
            curves["efficiency"] = fit_curve(
                masses,
                [m.efficiency for m in found],
                [max(m.efficiency_error, 1e-9) for m in found],
                config.shape.efficiency,
                shift,
            )
            for name in sorted(found[0].factors):
                curves[f"factor:{name}"] = fit_curve(
                    masses,
                    [m.factors.get(name, 1.0) for m in found],
                    [1.0 / np.sqrt(m.effective_events) for m in found],
                    config.shape.mean,
                    shift,
                )
            key = f"{hypothesis}/{region.name}"
            regions[key] = RegionShape(config.shape.fit_range, region.observable_range, curves, shift)
            if region.name not in resolution or hypothesis == config.width_hypothesis:
                resolution[region.name] = key
        if region.name not in resolution:
            low, high = config.mass_range(region.name)
            raise RunError(
                f"signal shape: region {region.name!r} ({low:g} to {high:g} GeV) has no signal sample with "
                f"{config.shape.min_events:g} effective events; add grid masses there or generate more"
            )
    return ShapeModel(regions, resolution, tuple(ordered), config.shape.resolution)
