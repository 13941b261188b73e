"""Templates of points: signal and backgrounds in each point's window."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from darkfactory.config.templates import TemplatesConfig
from darkfactory.core.errors import RunError
from darkfactory.records.histogram import FloatArray
from darkfactory.templates.background import BackgroundModel, SampleExpectation
from darkfactory.templates.bernstein import BernsteinChoice, bernstein_templates, choose_order
from darkfactory.templates.binning import Binning, Window, make_window
from darkfactory.templates.shapes import ShapeModel, TemplatePoint
from darkfactory.templates.signal import SignalSample, fine_signal

__all__ = ["BackgroundTemplate", "PointTemplate", "Templates", "build_templates"]

_Pair = tuple[list[float], list[float]]


@dataclass(frozen=True)
class BackgroundTemplate:
    """One background in the fitted bins, in events.

    Attributes:
        data: expectation.
        errors: statistical errors of the simulation (empty for polynomials).
        variations: (down, up) by nuisance.
        start: starting value of a free norm.
        sigma_error: relative error of the generated cross section.
    """

    data: tuple[float, ...]
    errors: tuple[float, ...]
    variations: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]]
    start: float = 1.0
    sigma_error: float = 0.0


@dataclass(frozen=True)
class PointTemplate:
    """Everything that a point's workspace is made of.

    Attributes:
        hypothesis, point, region: names.
        window: fine bins used.
        edges: of the fitted bins on the mass axis (before masks).
        signal: events for a cross section of 1 fb, in the fitted bins.
        signal_shapes: (down, up) by nuisance.
        signal_norms: (down, up) factors by nuisance.
        efficiency: signal candidates in the window per produced event.
        backgrounds: by sample; polynomials are ``bernstein_<k>``.
        polynomial: how the order was chosen.
        core_background: expected background within two widths.
        effective_ratio: least effective simulated events over expected background of the fitted bins.
        flagged_bins: fitted bins below the configured ratio.
        signal_error: relative statistical error of the simulated signal.
    """

    hypothesis: str
    point: str
    region: str
    window: Window
    edges: tuple[float, ...]
    signal: tuple[float, ...]
    signal_shapes: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]]
    signal_norms: Mapping[str, tuple[float, float]]
    efficiency: float
    backgrounds: Mapping[str, BackgroundTemplate]
    polynomial: BernsteinChoice | None
    core_background: float
    effective_ratio: float
    flagged_bins: tuple[int, ...]
    signal_error: float = 0.0

    @property
    def key(self) -> str:
        """``hypothesis/point``."""
        return f"{self.hypothesis}/{self.point}"

    def to_dict(self) -> dict[str, Any]:
        """JSON-like form."""
        value: dict[str, Any] = _plain(asdict(self))
        return value

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> PointTemplate:
        """Read the form of :meth:`to_dict`."""

        def pairs(d: dict[str, Any]) -> dict[str, tuple[tuple[float, ...], tuple[float, ...]]]:
            return {k: (tuple(v[0]), tuple(v[1])) for k, v in d.items()}

        w, p = value["window"], value["polynomial"]
        return cls(
            value["hypothesis"], value["point"], value["region"],
            Window(w["region"], w["first"], w["last"], w["merge"], tuple(w["keep"]), (w["core"][0], w["core"][1])),
            tuple(value["edges"]), tuple(value["signal"]), pairs(value["signal_shapes"]),
            {k: (v[0], v[1]) for k, v in value["signal_norms"].items()}, value["efficiency"],
            {
                k: BackgroundTemplate(
                    tuple(b["data"]), tuple(b["errors"]), pairs(b["variations"]), b["start"], b["sigma_error"]
                )
                for k, b in value["backgrounds"].items()
            },
            None if p is None else BernsteinChoice(
                p["order"], tuple(p["yields"]), tuple(p["chi2"]), tuple(p["bias"]), p["signal_error"],
                p["satisfied"], p["systematic"],
            ),
            value["core_background"], value["effective_ratio"], tuple(value["flagged_bins"]),
            value["signal_error"],
        )  # fmt: skip


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value


@dataclass(frozen=True)
class Templates:
    """Templates of the points of a block, at a luminosity in 1/fb; ``excluded`` tells why others are absent."""

    luminosity: float
    points: Mapping[str, PointTemplate]
    excluded: Mapping[str, str]

    def __add__(self, other: Templates) -> Templates:
        """Join two blocks."""
        if self.luminosity != other.luminosity:
            raise RunError(f"templates at {self.luminosity} and {other.luminosity} /fb cannot be joined")
        return Templates(self.luminosity, {**self.points, **other.points}, {**self.excluded, **other.excluded})

    def to_dict(self) -> dict[str, Any]:
        """JSON-like form."""
        return {
            "luminosity": self.luminosity,
            "points": {k: p.to_dict() for k, p in self.points.items()},
            "excluded": dict(self.excluded),
        }

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Templates:
        """Read the form of :meth:`to_dict`."""
        return cls(
            value["luminosity"],
            {k: PointTemplate.from_dict(p) for k, p in value["points"].items()},
            dict(value["excluded"]),
        )


def build_templates(
    points: Sequence[TemplatePoint],
    shapes: ShapeModel,
    binning: Binning,
    background: BackgroundModel,
    config: TemplatesConfig,
    luminosity: float,
    *,
    samples: Mapping[str, SignalSample] | None = None,
    unit_efficiency: Collection[str] = (),
) -> Templates:
    """Templates of points, from records of the whole search: a point alone and in its block gives equal bits.

    Args:
        points: of a block.
        shapes: made on the search's grid.
        binning: the same.
        background: the same.
        config: the section.
        luminosity: in 1/fb.
        samples: histograms of the points' own samples, by ``hypothesis/point`` (for ``signal: simulation``).
        unit_efficiency: hypotheses whose limit is on efficiency times cross section.
    """
    built: dict[str, PointTemplate] = {}
    excluded: dict[str, str] = {}
    for point in points:
        region = config.region_of(point.mass, point.hypothesis)
        if region is None:
            excluded[point.key] = f"no region covers {point.mass:g} GeV"
            continue
        mask = next((m for m in config.masks if m.mass[0] <= point.mass <= m.mass[1]), None)
        if mask is not None:
            excluded[point.key] = f"masked: {mask.name}"
            continue
        sample = (samples or {}).get(point.key)
        built[point.key] = _point(
            point,
            region.name,
            shapes,
            binning,
            background,
            config,
            luminosity,
            sample,
            point.hypothesis in unit_efficiency,
        )
    return Templates(luminosity, built, excluded)


def _tuple(array: FloatArray) -> tuple[float, ...]:
    return tuple(float(v) for v in array)


def _point(
    point: TemplatePoint,
    region: str,
    shapes: ShapeModel,
    binning: Binning,
    background: BackgroundModel,
    config: TemplatesConfig,
    luminosity: float,
    sample: SignalSample | None,
    unit_efficiency: bool,
) -> PointTemplate:
    fine = binning.regions[region]
    window = make_window(point, region, binning, shapes, config)
    signal = fine_signal(point, region, fine, shapes, sample, config, unit_efficiency)
    events = window.reduce(signal.nominal) * luminosity
    samples = background.regions[region]
    mode = config.background_of(region)
    templates = {
        name: _simulated(window, samples[name], luminosity)
        for name in sorted(samples)
        if mode == "simulation" or config.sample(name).role == "peaking"
    }
    edges = window.edges(fine.first)
    choice: BernsteinChoice | None = None
    if mode == "polynomial":
        parts = [samples[n].nominal for n in sorted(samples) if config.sample(n).role != "peaking"]
        expectation = window.reduce(sum(parts, np.zeros_like(signal.nominal))) * luminosity
        axis = np.sign(edges) * np.sqrt(np.abs(edges)) if config.polynomial.variable == "root" else edges
        choice = choose_order(expectation, axis, np.array(window.keep), events, config.polynomial)
        templates |= _polynomial(choice, axis, window, expectation, events)
    templates = _floored(templates, len(events))
    total = window.reduce(background.total(region, luminosity))
    variance = sum((window.reduce(s.variance) for _, s in sorted(samples.items())), np.zeros_like(total))
    # effective events b^2 / var, over b
    ratio = np.where(variance > 0, total / np.where(variance > 0, variance * luminosity**2, 1.0), 0.0)
    ratio = np.where((variance <= 0) & (total <= 0), 0.0, ratio)
    core = background.total(region, luminosity)[window.core[0] : window.core[1]]
    norms = dict(signal.norms)
    if signal.statistical > 0:
        norms["signal_statistics"] = _factor(signal.statistical)
    efficiency = float(window.reduce(signal.nominal).sum())
    return PointTemplate(
        point.hypothesis, point.name, region, window, _tuple(edges), _tuple(events),
        {
            n: (_tuple(window.reduce(d) * luminosity), _tuple(window.reduce(u) * luminosity))
            for n, (d, u) in sorted(signal.shapes.items())
        },
        norms, efficiency, templates, choice, float(core.sum()), float(ratio.min()),
        tuple(int(i) for i in np.flatnonzero(ratio < config.min_effective_ratio)), signal.statistical,
    )  # fmt: skip


def _factor(relative: float) -> tuple[float, float]:
    """Log-normal: (1 + v)^alpha."""
    v = min(relative, 1.0)
    return 1.0 / (1.0 + v), 1.0 + v


def _simulated(window: Window, sample: SampleExpectation, luminosity: float) -> BackgroundTemplate:
    nominal = np.maximum(window.reduce(sample.nominal) * luminosity, 0.0)
    variations = {}
    for name in sorted(n[:-3] for n in sample.variations if n.endswith("_up")):
        pair = [np.maximum(window.reduce(sample.variations[f"{name}_{s}"]) * luminosity, 0.0) for s in ("down", "up")]
        variations[name] = (_tuple(pair[0]), _tuple(pair[1]))
    errors = np.sqrt(window.reduce(sample.variance)) * luminosity
    return BackgroundTemplate(_tuple(nominal), _tuple(errors), variations, 1.0, sample.sigma_error)


def _polynomial(
    choice: BernsteinChoice, edges: FloatArray, window: Window, expectation: FloatArray, signal: FloatArray
) -> dict[str, BackgroundTemplate]:
    """One template per coefficient; the bias of the order is a signal-shaped variation of their sum.

    Each template takes the part of the variation that it has of the background, so all stay positive.
    """
    basis = bernstein_templates(edges, choice.order)[:, np.array(window.keep)]
    total = max(float(expectation.sum()), 1.0)
    # a template that the expectation does not need keeps a scale that data could need
    scales = [max(y, 0.05 * total / len(choice.yields)) for y in choice.yields]
    starts = [max(y / s, 0.01) for y, s in zip(choice.yields, scales, strict=True)]
    background = np.array([a * b for a, b in zip(scales, starts, strict=True)]) @ basis
    relative = np.zeros(len(background))
    if choice.systematic > 0 and signal.sum() > 0:
        relative = np.minimum(choice.systematic * signal / signal.sum() / background, 0.9)
    out = {}
    for k, (scale, start) in enumerate(zip(scales, starts, strict=True)):
        data = basis[k] * scale
        pair = (_tuple(data * (1.0 - relative)), _tuple(data * (1.0 + relative)))
        variations = {"background_order": pair} if relative.any() else {}
        out[f"bernstein_{k}"] = BackgroundTemplate(_tuple(data), (), variations, start)
    return out


def _floored(templates: dict[str, BackgroundTemplate], n: int) -> dict[str, BackgroundTemplate]:
    """Drop empty samples; lift empty bins, where one observed event would have probability zero."""
    kept = {k: t for k, t in templates.items() if any(t.data)}
    if not kept:
        name = sorted(templates)[0] if templates else "background"
        kept[name] = BackgroundTemplate((1e-3,) * n, (1e-3,) * n, {})
        return kept
    total = np.sum([t.data for t in kept.values()], axis=0)
    least = max(1e-3 * float(total.mean()), 1e-4)
    lift = np.maximum(least - total, 0.0)
    if not lift.any():
        return kept
    name = max(sorted(kept), key=lambda k: sum(kept[k].data))
    t = kept[name]
    kept[name] = BackgroundTemplate(
        _tuple(np.array(t.data) + lift),
        _tuple(np.hypot(t.errors, lift)) if t.errors else (),
        {k: (_tuple(np.array(d) + lift), _tuple(np.array(u) + lift)) for k, (d, u) in t.variations.items()},
        t.start,
        t.sigma_error,
    )
    return kept
