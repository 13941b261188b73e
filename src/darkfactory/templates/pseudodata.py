"""One pseudo-dataset per search and dataset, on the fine bins, shared by all points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from darkfactory.core.errors import RunError
from darkfactory.records.histogram import FloatArray, Histogram
from darkfactory.templates.background import BackgroundModel

__all__ = ["Observed", "draw_observed", "observed_from_histograms"]


@dataclass(frozen=True)
class Observed:
    """Counts on the fine bins.

    Attributes:
        data: ``pseudo``, ``asimov`` or ``real``.
        luminosity: in 1/fb.
        counts: by region.
        seed: text that names the random stream (empty if none was used).
        blinded: whether these counts stand in for recorded data that nobody has opened.
    """

    data: str
    luminosity: float
    counts: Mapping[str, FloatArray]
    seed: str = ""
    blinded: bool = False

    def to_dict(self) -> dict[str, Any]:
        """JSON-like form."""
        return {
            "data": self.data,
            "luminosity": self.luminosity,
            "counts": {k: v.tolist() for k, v in self.counts.items()},
            "seed": self.seed,
            "blinded": self.blinded,
        }

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Observed:
        """Read the form of :meth:`to_dict`."""
        counts = {k: np.asarray(v, dtype=float) for k, v in value["counts"].items()}
        return cls(value["data"], float(value["luminosity"]), counts, value["seed"], value.get("blinded", False))


def draw_observed(
    background: BackgroundModel,
    luminosity: float,
    *,
    rng: np.random.Generator | None = None,
    injected: Mapping[str, FloatArray] | None = None,
    seed: str = "",
) -> Observed:
    """Poisson counts of the smoothed expectations, or the expectations themselves (Asimov).

    Regions are drawn one after the other in the order of their names. Where two regions see the same events
    (two observables, or two photon thresholds) their counts are drawn independently: each limit uses one
    region only, so only correlations across the region boundary are lost.

    Args:
        background: the model.
        luminosity: in 1/fb.
        rng: None for Asimov.
        injected: signal events added to the expectation, by region.
        seed: name of the stream, for the record.
    """
    counts: dict[str, FloatArray] = {}
    for region in sorted(background.regions):
        mean = np.maximum(background.total(region, luminosity), 0.0)
        if injected and region in injected:
            mean = mean + injected[region]
        counts[region] = mean if rng is None else rng.poisson(mean).astype(float)
    return Observed("asimov" if rng is None else "pseudo", luminosity, counts, seed)


def observed_from_histograms(histograms: Mapping[str, Histogram], luminosity: float) -> Observed:
    """Counts of real data, filled with weight one.

    Raises:
        RunError: a bin holds no whole number.
    """
    for region, h in histograms.items():
        if not np.array_equal(h.sumw, np.round(h.sumw)):
            raise RunError(f"observed data in region {region!r} have fractional counts; fill data with weight 1")
    return Observed("real", luminosity, {k: h.sumw for k, h in sorted(histograms.items())})
