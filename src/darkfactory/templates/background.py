"""Background expectations of a search: merged histograms, normalised once and smoothed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from darkfactory.config.templates import ExpectedBackground, SmoothingConfig, TemplatesConfig
from darkfactory.core.errors import RunError
from darkfactory.records.histogram import FloatArray, Histogram
from darkfactory.templates.binning import Binning, RegionBinning
from darkfactory.templates.smoothing import kernel_smooth, spline_smooth

__all__ = ["BackgroundModel", "SampleExpectation", "build_background", "counted_background"]


@dataclass(frozen=True)
class SampleExpectation:
    """One background in one region, on the fine bins, in events for one 1/fb.

    Attributes:
        nominal: smoothed expectation.
        variance: of the nominal, from the simulation's statistics.
        variations: smoothed expectations under ``<nuisance>_up`` and ``_down``.
        raw: expectation before smoothing.
        raw_variance: its variance.
        sigma_error: relative error of the generated cross section and, where it is one, of the product of factors.
    """

    nominal: FloatArray
    variance: FloatArray
    variations: Mapping[str, FloatArray]
    raw: FloatArray
    raw_variance: FloatArray
    sigma_error: float = 0.0


@dataclass(frozen=True)
class BackgroundModel:
    """Expectations of all backgrounds, by region and sample; made once per search and dataset."""

    regions: Mapping[str, Mapping[str, SampleExpectation]]

    def total(self, region: str, luminosity: float) -> FloatArray:
        """Expected events on the fine bins."""
        parts = [s.nominal for _, s in sorted(self.regions[region].items())]
        return np.asarray(sum(parts[1:], parts[0]) * luminosity)

    def to_dict(self) -> dict[str, Any]:
        """JSON-like form."""
        return {
            region: {
                sample: {
                    "nominal": s.nominal.tolist(),
                    "variance": s.variance.tolist(),
                    "variations": {k: v.tolist() for k, v in s.variations.items()},
                    "raw": s.raw.tolist(),
                    "raw_variance": s.raw_variance.tolist(),
                    "sigma_error": s.sigma_error,
                }
                for sample, s in samples.items()
            }
            for region, samples in self.regions.items()
        }

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> BackgroundModel:
        """Read the form of :meth:`to_dict`."""
        return cls(
            {
                region: {
                    sample: SampleExpectation(
                        np.asarray(s["nominal"], dtype=float),
                        np.asarray(s["variance"], dtype=float),
                        {k: np.asarray(v, dtype=float) for k, v in s["variations"].items()},
                        np.asarray(s["raw"], dtype=float),
                        np.asarray(s["raw_variance"], dtype=float),
                        float(s["sigma_error"]),
                    )
                    for sample, s in samples.items()
                }
                for region, samples in value.items()
            }
        )


def build_background(
    histograms: Mapping[str, Mapping[str, Histogram]],
    binning: Binning,
    config: TemplatesConfig,
    *,
    sigma_errors: Mapping[str, float] | None = None,
    factor_errors: Mapping[str, Mapping[str, float]] | None = None,
) -> BackgroundModel:
    """Normalise and smooth the merged histograms.

    Args:
        histograms: region to sample to merged histogram.
        binning: the search's.
        config: the section.
        sigma_errors: relative errors of the samples' generated cross sections.
        factor_errors: relative errors of yields that are products of factors, by region and sample.

    Raises:
        RunError: a region is missing, or a histogram was filled with other bins.
    """
    missing = sorted(set(binning.regions) - set(histograms) - {e.region for e in config.expected.values()})
    if missing:
        raise RunError(f"backgrounds: no histograms for regions {missing}; there are {sorted(histograms)}")
    regions: dict[str, dict[str, SampleExpectation]] = {}
    for region, fine in binning.regions.items():
        counted = {name: e for name, e in sorted(config.expected.items()) if e.region == region}
        if not histograms.get(region) and not counted:
            raise RunError(f"backgrounds: region {region!r} has no sample; list backgrounds in the search")
        regions[region] = {name: counted_background(e, fine) for name, e in counted.items()}
        for sample in sorted(histograms.get(region, {})):
            h = histograms[region][sample]
            if any(not np.array_equal(a, b) for a, b in zip(h.edges, fine.edges, strict=True)):
                raise RunError(f"backgrounds: {sample!r} in {region!r} was filled with other bins than the search's")
            own = next((r.smoothing for r in config.regions if r.name == region), None)
            smoothing = own or config.sample(sample).smoothing or config.smoothing
            error = (sigma_errors or {}).get(sample, 0.0)
            error = float(np.hypot(error, (factor_errors or {}).get(region, {}).get(sample, 0.0)))
            per = config.window_of(region).bins_per_width
            regions[region][sample] = _expectation(h, config, smoothing, per, error)
    return BackgroundModel(regions)


def counted_background(config: ExpectedBackground, fine: RegionBinning) -> SampleExpectation:
    """A background that is uniform in mass, from its count, on fine bins of the squared mass.

    Example:
        >>> from darkfactory.config.base import Tagged
        >>> four = Tagged(value=4.0, source="assumed")
        >>> e = ExpectedBackground(region="r", events=four, luminosity=2.0, mass=(0.0, 2.0))
        >>> counted_background(e, RegionBinning("m2", np.array([0.0, 1.0, 4.0, 9.0]))).nominal.tolist()
        [1.0, 1.0, 0.0]
    """
    roots = np.clip(np.sqrt(np.maximum(fine.first, 0.0)), *config.mass)
    nominal = np.diff(roots) / (config.mass[1] - config.mass[0]) * config.events.value / config.luminosity
    return SampleExpectation(nominal, np.zeros_like(nominal), {}, nominal, np.zeros_like(nominal))


def _expectation(
    h: Histogram, config: TemplatesConfig, smoothing: SmoothingConfig, per: int, sigma_error: float
) -> SampleExpectation:
    norm = 1.0 / h.n_generated if h.n_generated > 0 else 0.0
    if norm == 0.0:
        raise RunError("backgrounds: a histogram has no generated events recorded, so it has no normalisation")
    raw, raw_variance = h.sumw * norm, h.sumw2 * norm**2
    used = [k for k in h.variations if config.uses_column(k.removesuffix("_up").removesuffix("_down"))]
    variations = {k: h.variations[k] * norm for k in used}
    widths = np.diff(h.edges[0])
    nominal, variance = raw, raw_variance
    if smoothing.method == "kernel":
        nominal, variance, variations = kernel_smooth(
            raw,
            raw_variance,
            variations,
            widths=widths,
            bandwidths=[b * per for b in smoothing.bandwidths],
            target_events=smoothing.target_events,
            core_bins=2.0 * per,
            breaks=[int(np.argmin(np.abs(h.edges[0] - x))) for x in smoothing.breaks],
        )
    elif smoothing.method == "spline":
        knots = smoothing.knot_spacing * per
        columns = [np.atleast_2d(a.T).T for a in (raw, raw_variance)]
        nominal = np.stack(
            [
                spline_smooth(w, v, widths=widths, knot_spacing=knots)
                for w, v in zip(columns[0].T, columns[1].T, strict=True)
            ],
            axis=1,
        ).reshape(raw.shape)
        variations = {k: nominal * _ratio(v, raw, knots) for k, v in variations.items()}
    return SampleExpectation(nominal, variance, variations, raw, raw_variance, sigma_error)


def _ratio(varied: FloatArray, nominal: FloatArray, bandwidth: float) -> FloatArray:
    """Smooth ratio of a variation to the nominal: local sums over the knots' distance."""
    n = len(nominal)
    half = max(round(bandwidth / 2.0), 1)
    lows, highs = np.maximum(np.arange(n) - half, 0), np.minimum(np.arange(n) + half + 1, n)

    def local(a: FloatArray) -> FloatArray:
        cumulative = np.concatenate([np.zeros((1, *a.shape[1:])), np.cumsum(a, axis=0)])
        return np.asarray(cumulative[highs] - cumulative[lows])

    below = local(nominal)
    return np.where(below > 0, local(varied) / np.where(below > 0, below, 1.0), 1.0)
