"""The signal of one point on the fine bins, with its uncertainties."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

from darkfactory.config.templates import TemplatesConfig
from darkfactory.core.errors import RunError
from darkfactory.records.histogram import FloatArray, Histogram
from darkfactory.templates.binning import RegionBinning
from darkfactory.templates.shapes import ShapeModel, TemplatePoint

__all__ = ["FineSignal", "SignalSample", "fine_signal", "morph"]


@dataclass(frozen=True)
class SignalSample:
    """The merged histogram of a point's own sample.

    Attributes:
        histogram: on the region's fine bins.
        sigma_fb: generated cross section, in fb.
        sigma_err: its error, in fb.
    """

    histogram: Histogram
    sigma_fb: float
    sigma_err: float = 0.0


@dataclass(frozen=True)
class FineSignal:
    """Events per fb of signal cross section and per 1/fb, on the fine bins.

    Attributes:
        nominal: expectation.
        shapes: (down, up) templates by nuisance.
        norms: (down, up) factors by nuisance.
        statistical: relative error of the efficiency from the sample's size.
    """

    nominal: FloatArray
    shapes: Mapping[str, tuple[FloatArray, FloatArray]]
    norms: Mapping[str, tuple[float, float]]
    statistical: float


def morph(content: FloatArray, edges: FloatArray, centre: float, shift: float, stretch: float) -> FloatArray:
    """Shift and stretch a histogram about a centre, along its first axis.

    The cumulative sum is interpolated monotonically, so contents stay positive and the norm is kept up to what
    leaves the range.

    Args:
        content: shape (n,) or (n, k).
        edges: n + 1.
        centre: fixed point of the stretch.
        shift: in the unit of the edges.
        stretch: factor on distances to the centre.

    Example:
        >>> x = np.linspace(-5, 5, 101)
        >>> h = np.diff(0.5 * (1 + np.tanh(x)))
        >>> moved = morph(h, x, 0.0, 1.0, 1.0)
        >>> print(round(float((moved * 0.5 * (x[1:] + x[:-1])).sum()), 1))
        1.0
    """
    cumulative = np.concatenate([np.zeros((1, *content.shape[1:])), np.cumsum(content, axis=0)])
    source = np.clip(centre + (edges - centre - shift) / stretch, edges[0], edges[-1])
    return np.asarray(np.maximum(np.diff(PchipInterpolator(edges, cumulative, axis=0)(source), axis=0), 0.0))


def _unit(content: FloatArray) -> FloatArray:
    total = float(content.sum())
    return content / total if total > 0 else content


def fine_signal(
    point: TemplatePoint,
    region: str,
    fine: RegionBinning,
    shapes: ShapeModel,
    sample: SignalSample | None,
    config: TemplatesConfig,
    unit_efficiency: bool = False,
) -> FineSignal:
    """Template of a point and its shape uncertainties.

    ``parametric``: the interpolated Crystal Ball times the interpolated efficiency; the point's own sample is
    not looked at, so that neighbours on a dense grid do not jump against each other. Wrong pairings of signal
    events are left out: they spread over the whole range, add a smooth component of a few per cent of the
    signal to a window, and the free background polynomial takes it.

    ``simulation``: the histogram of the point's own sample.

    With ``unit_efficiency`` one event is selected per produced one: the limit is then on efficiency times cross
    section, and only shapes are uncertain.
    """
    systematics = config.systematics
    width = shapes.width(region, point.mass) if region in shapes.resolution else 0.0
    # only the detector's part of a wide resonance's width is uncertain
    natural = point.mass**2 * point.width_ratio
    peak2 = width**2 + natural**2
    stretch = (systematics.signal_width.value if systematics.signal_width else 0.0) * (width**2 / peak2 if peak2 else 0)
    shift = (systematics.signal_mean.value if systematics.signal_mean else 0.0) * width
    varied: dict[str, tuple[FloatArray, FloatArray]] = {}
    norms: dict[str, tuple[float, float]] = {}
    if config.signal_of(region) == "parametric":
        model = shapes.at(point.hypothesis, region)

        def template(move: float, widen: float) -> FloatArray:
            return model.template(point.mass, fine.first, move, widen)

        nominal = template(0.0, 1.0)
        if systematics.columns is not False:
            factors = model.factors(point.mass)
            norms = {
                n[:-3]: (max(factors[f"{n[:-3]}_down"], 1e-3), max(factors[n], 1e-3))
                for n in factors
                if n.endswith("_up") and config.uses_column(n[:-3])
            }
        near = min(
            (m for m in shapes.measurements if m.region == region and m.effective_events > 0),
            key=lambda m: (abs(m.mass - point.mass), m.mass, m.point),
        )
        statistical = 1.0 / np.sqrt(near.effective_events)
    else:
        if sample is None:
            raise RunError(f"signal {point.key}: no histogram of its own sample was given; run its templates first")
        h = sample.histogram
        if any(not np.array_equal(a, b) for a, b in zip(h.edges, fine.edges, strict=True)):
            raise RunError(f"signal {point.key}: its histogram was filled with other bins than the search's")
        norm = 1.0 / (h.n_generated * sample.sigma_fb)
        nominal = h.sumw * norm

        def template(move: float, widen: float) -> FloatArray:
            return morph(nominal, fine.first, config.peak(point.mass, region), move, widen)

        for name in sorted(n[:-3] for n in h.variations if n.endswith("_up")):
            if config.uses_column(name):
                varied[name] = (h.variations[f"{name}_down"] * norm, h.variations[f"{name}_up"] * norm)
        total, total2 = float(h.sumw.sum()), float(h.sumw2.sum())
        statistical = float(np.hypot(np.sqrt(total2) / total if total > 0 else 1.0, sample.sigma_err / sample.sigma_fb))
    if stretch > 0:
        varied["signal_width"] = (template(0.0, 1.0 / (1.0 + stretch)), template(0.0, 1.0 + stretch))
    if shift > 0:
        varied["signal_mean"] = (template(-shift, 1.0), template(shift, 1.0))
    if unit_efficiency:
        nominal, norms, statistical = _unit(nominal), {}, 0.0
        varied = {n: (_unit(down), _unit(up)) for n, (down, up) in varied.items()}
    return FineSignal(nominal, varied, norms, float(statistical))
