"""Templates from responses: which samples they are of, and their events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from darkfactory.config.templates import RegionConfig, TemplatesConfig
from darkfactory.core.errors import InputError
from darkfactory.pipeline.selected import read_candidates
from darkfactory.records.histogram import Histogram
from darkfactory.templates.binning import Binning
from darkfactory.templates.fill import fill_region, region_mask, with_slopes
from darkfactory.templates.response import Response, ResponseEvents, response_template

__all__ = ["response_histograms"]

# of event identifiers: the remainder by four is the fold
_FOLDS = 4


@dataclass
class _Kept:
    """What the folding needs of a sample's candidates in one region: four numbers of each, and the counts."""

    region: RegionConfig
    truth: str
    groups: int
    events: list[ResponseEvents]
    counted: Histogram | None = None

    def add(self, columns: Mapping[str, np.ndarray]) -> None:
        """Candidates of one more part."""
        if self.truth not in columns:
            raise InputError(
                f"region {self.region.name!r}: no column {self.truth!r} among the candidates of "
                f"{self.region.normalisation!r}; set `taus: {{true_lepton: true}}` in its process"
            )
        region, truth = self.region, self.truth
        keep = region_mask(columns, region) & np.isfinite(columns[truth]) & (columns[region.observable] > 0)
        observable, value, weight = (np.asarray(columns[n], float)[keep] for n in (region.observable, truth, "weight"))
        group = columns["event_id"][keep].astype(np.int64) // _FOLDS % self.groups
        self.events.append(ResponseEvents(observable, value, weight, group.astype(np.int16)))

    def total(self) -> ResponseEvents:
        """Of all parts."""
        return ResponseEvents(
            *(np.concatenate([getattr(e, n) for e in self.events]) for n in ("observable", "truth", "weight", "group"))
        )


def response_histograms(
    config: TemplatesConfig, binning: Binning, items: Sequence[Mapping[str, Any]]
) -> dict[tuple[str, str], Response]:
    """Templates of all regions that ask for them, by region and sample.

    Parts are read one by one, and 26 bytes of each candidate are kept: one part has all its columns in memory, a sample
    has not. The bits are those of all candidates together.

    Args:
        config: the section.
        binning: the search's.
        items: of the backgrounds.

    Raises:
        InputError: candidates without the truth.
    """
    wanted = {r.name: r for r in config.regions if r.response is not None}
    regions = {r.name: r for r in config.regions}
    by_sample = {item["sample"]: item for item in items}
    kept: dict[tuple[str, str], _Kept] = {}
    for name, region in wanted.items():
        settings = region.response
        for one in (name, *(settings.pool if settings is not None else ())):
            if settings is not None and regions[one].normalisation in by_sample:
                kept[name, one] = _Kept(regions[one], settings.truth, settings.groups, [])
    for sample, item in by_sample.items():
        filled = [(key, part) for key, part in kept.items() if part.region.normalisation == sample]
        for path in item["paths"] if filled else ():
            columns = read_candidates(path, item)
            for (name, place), part in filled:
                part.add(columns)
                if place == name:
                    varied = with_slopes(columns, config.systematics.slopes, sample)
                    edges = binning.regions[name].edges
                    part.counted = fill_region(
                        varied, part.region, edges, n_generated=item["n_generated"], onto=part.counted
                    )
    found: dict[tuple[str, str], Response] = {}
    for name, region in wanted.items():
        settings, own = region.response, kept.get((name, name))
        if settings is None or own is None or own.counted is None:
            continue
        pooled = [kept[name, p].total() for p in settings.pool if (name, p) in kept]
        where = f"region {name!r}, {region.normalisation}"
        sample = region.normalisation
        found[name, sample] = response_template(own.counted, own.total(), pooled, settings, where)
    return found
