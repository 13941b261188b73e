"""HistFactory workspaces (schema 1.0.0 of pyhf) from templates: one per point."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from darkfactory.config.templates import TemplatesConfig
from darkfactory.core.errors import RunError
from darkfactory.records.histogram import FloatArray
from darkfactory.templates.build import BackgroundTemplate, PointTemplate, Templates
from darkfactory.templates.pseudodata import Observed
from darkfactory.templates.shapes import TemplatePoint
from darkfactory.templates.variations import limited, varying_part

__all__ = ["MEASUREMENT", "NO_SIGNAL", "POI", "PointWorkspace", "WorkspaceSet", "build_workspaces"]

POI = "mu"
MEASUREMENT = "limit"
NO_SIGNAL = "no signal is expected in the window"


@dataclass(frozen=True)
class PointWorkspace:
    """The statistical model of one point.

    Attributes:
        hypothesis, point, axes, region: what and where.
        status: ``ok``, or ``no_sensitivity`` when no signal is expected in the window or too few simulated events
            stand behind it (then ``spec`` is None).
        spec: the complete workspace, plain JSON.
        scale: cross section in fb of one unit of ``mu``.
        signal_events: signal events of one unit of ``mu``.
        expected_background: background events within two widths of the mass.
        efficiency: signal candidates in the window per produced event.
        edges: of the fitted bins: mass axis, then second axis if there is one; masked ones included.
        keep: bins of the mass axis that are fitted.
        effective_ratio, flagged_bins: simulation's statistics (:class:`PointTemplate`).
        order, order_satisfied: of the polynomial, None for simulation.
        data: ``pseudo``, ``asimov`` or ``real``.
        limited: variations (``sample: nuisance``) too strong for the fit, limited to what it can follow.
        reason: why there is no workspace.
        blinded: whether the data stand in for recorded ones that nobody has opened.
    """

    hypothesis: str
    point: str
    axes: Mapping[str, float]
    region: str
    status: str
    spec: dict[str, Any] | None
    scale: float
    signal_events: float
    expected_background: float
    efficiency: float
    edges: tuple[tuple[float, ...], ...]
    keep: tuple[bool, ...]
    effective_ratio: float
    flagged_bins: tuple[int, ...]
    order: int | None
    order_satisfied: bool | None
    data: str
    limited: tuple[str, ...] = ()
    reason: str = ""
    blinded: bool = False

    @property
    def key(self) -> str:
        """``hypothesis/point``."""
        return f"{self.hypothesis}/{self.point}"

    def to_dict(self) -> dict[str, Any]:
        """JSON-like form."""
        value: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return value

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> PointWorkspace:
        """Read the form of :meth:`to_dict`."""
        fixed = {
            "edges": tuple(tuple(e) for e in value["edges"]),
            "keep": tuple(value["keep"]),
            "flagged_bins": tuple(value["flagged_bins"]),
            "limited": tuple(value.get("limited", ())),
        }
        return cls(**{**value, **fixed})


@dataclass(frozen=True)
class WorkspaceSet:
    """The workspaces of a search on a dataset.

    Attributes:
        points: by ``hypothesis/point``.
        excluded: why points are absent.
    """

    points: Mapping[str, PointWorkspace]
    excluded: Mapping[str, str]


def build_workspaces(
    templates: Templates,
    observed: Observed,
    points: Sequence[TemplatePoint],
    config: TemplatesConfig,
    luminosity: float,
    *,
    luminosity_uncertainty: float,
    second_edges: Mapping[str, Sequence[float]] | None = None,
) -> WorkspaceSet:
    """Workspaces of points.

    Args:
        templates: of these points (and possibly others).
        observed: counts on the search's fine bins.
        points: to build.
        config: the section.
        luminosity: in 1/fb; must be the templates' and the data's.
        luminosity_uncertainty: relative.
        second_edges: edges of the second axis by region, for the record.

    Raises:
        RunError: a point has no template, or luminosities differ.
    """
    if not templates.luminosity == observed.luminosity == luminosity:
        raise RunError(
            f"workspace: templates are for {templates.luminosity} /fb, data for {observed.luminosity} /fb, asked "
            f"for {luminosity} /fb; make them with one luminosity"
        )
    seconds = second_edges or {r.name: r.second_axis.edges for r in config.regions if r.second_axis is not None}
    built: dict[str, PointWorkspace] = {}
    excluded: dict[str, str] = {}
    for point in points:
        if point.key in templates.excluded:
            excluded[point.key] = templates.excluded[point.key]
            continue
        if point.key not in templates.points:
            raise RunError(f"workspace: no templates for {point.key}; run the templates of its block first")
        built[point.key] = _workspace(templates.points[point.key], observed, config, luminosity_uncertainty, seconds)
    return WorkspaceSet(built, excluded)


def _normsys(name: str, low: float, high: float) -> dict[str, Any]:
    return {"name": name, "type": "normsys", "data": {"lo": low, "hi": high}}


def _log_normal(name: str, relative: float) -> dict[str, Any]:
    return _normsys(name, 1.0 / (1.0 + relative), 1.0 + relative)


def _histosys(name: str, low: Sequence[float], high: Sequence[float]) -> dict[str, Any]:
    return {"name": name, "type": "histosys", "data": {"lo_data": list(low), "hi_data": list(high)}}


def _norm_and_shape(
    name: str, nominal: Sequence[float], low: Sequence[float], high: Sequence[float], config: TemplatesConfig
) -> tuple[list[dict[str, Any]], bool]:
    """A variation as a factor and a shape of unchanged norm under one parameter, and whether it was limited.

    The factor is interpolated exponentially, so that it never makes an expectation negative; both are limited to
    what HistFactory's interpolation between the variations can follow.
    """
    found = limited(
        np.array(nominal), np.array(low), np.array(high), config.max_factor.value, config.max_shape_variation
    )
    modifiers = []
    if any(abs(f - 1.0) > 1e-12 for f in found.factors):
        modifiers.append(_normsys(name, *found.factors))
    modifiers.append(_histosys(name, [float(v) for v in found.shapes[0]], [float(v) for v in found.shapes[1]]))
    return modifiers, found.changed


_LUMI = {"name": "lumi", "type": "lumi", "data": None}


def _signal_sample(t: PointTemplate, factor: float, config: TemplatesConfig, notes: set[str]) -> dict[str, Any]:
    systematics, sizes = config.systematics, config.signal_sizes(t.region)
    modifiers: list[dict[str, Any]] = [{"name": POI, "type": "normfactor", "data": None}]
    if shared := config.normalisation_of(t.region):
        # the free yield of a background scales the signal, too: the limit is on a ratio of rates
        modifiers.append({"name": f"norm_{shared}", "type": "normfactor", "data": None})
    if systematics.luminosity:
        modifiers.append(dict(_LUMI))
    modifiers += [_log_normal(n, v) for n, v in sizes.items()]
    # a size given in the configuration stands for the nuisance's variation columns
    modifiers += [_normsys(n, low, high) for n, (low, high) in sorted(t.signal_norms.items()) if n not in sizes]
    nominal = [v * factor for v in t.signal]
    for n, (low, high) in sorted(t.signal_shapes.items()):
        if n not in sizes:
            made, changed = _norm_and_shape(n, nominal, [v * factor for v in low], [v * factor for v in high], config)
            modifiers += made
            notes |= {f"signal: {n}"} if changed else set()
    return {"name": "signal", "data": nominal, "modifiers": modifiers}


def _background_samples(
    name: str, t: BackgroundTemplate, channel: str, config: TemplatesConfig, notes: set[str]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The samples that a background is written as, and the parameters that they bring."""
    if name.startswith("bernstein_"):
        top = 20.0 * max(1.0, t.start)
        parameter = {"name": name, "inits": [t.start], "bounds": [[0.0, max(top, 100.0)]]}
        modifiers: list[dict[str, Any]] = [{"name": name, "type": "normfactor", "data": None}]
        modifiers += [_histosys(n, low, high) for n, (low, high) in sorted(t.variations.items())]
        return [{"name": name, "data": list(t.data), "modifiers": modifiers}], [parameter]
    settings, systematics = config.sample(name), config.systematics
    modifiers, parameters = [], []
    if systematics.luminosity:
        modifiers.append(dict(_LUMI))
    if settings.free or name == config.normalisation_of(channel):
        modifiers.append({"name": f"norm_{name}", "type": "normfactor", "data": None})
        parameters.append({"name": f"norm_{name}", "inits": [1.0], "bounds": [[0.0, 10.0]]})
    else:
        relative = float(np.hypot(settings.normalisation.value, t.sigma_error))
        modifiers.append(_log_normal(f"norm_{name}", relative))
    sizes = {**systematics.background, **settings.systematics}
    modifiers += [_log_normal(n, v.value) for n, v in sorted(sizes.items())]
    used = {n: v for n, v in sorted(t.variations.items()) if config.uses_column(n) and n not in sizes}
    nominal, errors = np.array(t.data), np.array(t.errors)
    samples = []
    for part, fraction, own in _parts(nominal, used, config):
        extra: list[dict[str, Any]] = []
        data = nominal * fraction
        total = float(data.sum())
        for n, (low, high) in used.items():
            if n in own:
                kept = nominal - data
                # the rest of the sample does not vary
                factors = [float((np.array(v) - kept).sum()) / total for v in (low, high)] if part else [1.0, 1.0]
                top = config.max_factor.value
                inside = [min(max(f, 1.0 / top), top) for f in factors]
                extra += [_normsys(n, *inside)] if part else []
                changed = inside != factors
            else:
                made, changed = _norm_and_shape(
                    n, data.tolist(), [float(v) for v in np.array(low) * fraction],
                    [float(v) for v in np.array(high) * fraction], config,
                )  # fmt: skip
                extra += made
            notes |= {f"{name}: {n}"} if changed else set()
        if config.staterror and errors.any():
            # parts of one simulated sample: their errors add up to the sample's in quadrature
            error = errors * np.sqrt(fraction)
            extra.append({"name": f"staterror_{channel}", "type": "staterror", "data": error.tolist()})
        label = f"{name}_{part}" if part else name
        samples.append({"name": label, "data": data.tolist(), "modifiers": json.loads(json.dumps(modifiers + extra))})
    return samples, parameters


def _parts(
    nominal: FloatArray,
    used: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    config: TemplatesConfig,
) -> list[tuple[str, FloatArray, tuple[str, ...]]]:
    """Parts of a sample: name, fraction of each bin, nuisances that only the named part follows.

    The strongest variation, if it is too strong for a shape, gets a part of its own.
    """
    found: list[tuple[float, str, FloatArray]] = []
    for n, (low, high) in used.items():
        fraction = varying_part(nominal, np.array(low), np.array(high), 1.0 + 2.0 * config.max_shape_variation)
        if fraction is not None and 0 < float((fraction * nominal).sum()) < float(nominal.sum()):
            ratio = np.where(nominal > 0, np.array(high) / np.where(nominal > 0, nominal, 1.0), 1.0)
            found.append((float(ratio.max()), n, fraction))
    if not found:
        return [("", np.ones_like(nominal), ())]
    _, n, fraction = max(found, key=lambda f: f[:2])
    return [("", 1.0 - fraction, (n,)), (n, fraction, (n,))]


def _without_signal(t: PointTemplate, config: TemplatesConfig) -> str:
    """Why a point can have no limit, or nothing."""
    if not sum(t.signal) > 0:
        return NO_SIGNAL
    if t.signal_error > config.max_signal_error:
        return (
            f"the simulated signal is known to a relative error of {t.signal_error:.2g}, worse than max_signal_error "
            f"{config.max_signal_error:g}: generate more events, or lifetimes nearer to this one"
        )
    return ""


def _workspace(
    t: PointTemplate,
    observed: Observed,
    config: TemplatesConfig,
    luminosity_uncertainty: float,
    seconds: Mapping[str, Sequence[float]],
) -> PointWorkspace:
    if t.region not in observed.counts:
        raise RunError(f"workspace {t.key}: no data in region {t.region!r}; there are {sorted(observed.counts)}")
    reason = _without_signal(t, config)
    total = 0.0 if reason else float(sum(t.signal))
    # one unit of mu is about one standard deviation of the background under the peak
    events = float(np.sqrt(max(t.core_background, 1.0)))
    scale = events / total if total > 0 else 0.0
    shared = config.normalisation_of(t.region)
    if shared and shared not in t.backgrounds:
        raise RunError(
            f"workspace {t.key}: the limit is relative to {shared!r}, of which nothing is selected in region "
            f"{t.region!r}; there are {sorted(t.backgrounds)}; generate more events or name another sample"
        )
    spec: dict[str, Any] | None = None
    notes: set[str] = set()
    if total > 0:
        parameters: list[dict[str, Any]] = [
            {"name": POI, "inits": [1.0], "bounds": [[float(b) for b in config.poi_bounds]]}
        ]
        if config.systematics.luminosity:
            u = float(luminosity_uncertainty)
            parameters.append(
                {
                    "name": "lumi", "auxdata": [1.0], "sigmas": [u], "inits": [1.0],
                    "bounds": [[max(1.0 - 8.0 * u, 0.01), 1.0 + 8.0 * u]],
                }
            )  # fmt: skip
        samples = [_signal_sample(t, scale, config, notes)]
        for name in sorted(t.backgrounds):
            some, extra = _background_samples(name, t.backgrounds[name], t.region, config, notes)
            samples += some
            parameters += extra
        spec = {
            "channels": [{"name": t.region, "samples": samples}],
            "observations": [
                {"name": t.region, "data": [float(v) for v in t.window.reduce(observed.counts[t.region])]}
            ],
            "measurements": [{"name": MEASUREMENT, "config": {"poi": POI, "parameters": parameters}}],
            "version": "1.0.0",
        }
    axes = TemplatePoint(t.hypothesis, t.point).axes
    edges: tuple[tuple[float, ...], ...] = (t.edges,)
    if t.region in seconds:
        edges += (tuple(float(e) for e in seconds[t.region]),)
    return PointWorkspace(
        t.hypothesis, t.point, axes, t.region, "ok" if spec is not None else "no_sensitivity", spec, scale,
        events if total > 0 else 0.0, t.core_background, t.efficiency, edges, t.window.keep, t.effective_ratio,
        t.flagged_bins, t.polynomial.order if t.polynomial else None,
        t.polynomial.satisfied if t.polynomial else None, observed.data, tuple(sorted(notes)),
        reason, observed.blinded,
    )  # fmt: skip
