"""Templates from responses: which samples they are of, and their events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from darkfactory.config.templates import RegionConfig, TemplatesConfig
from darkfactory.core.errors import InputError
from darkfactory.pipeline.selected import concatenate, read_candidates
from darkfactory.templates.binning import Binning
from darkfactory.templates.fill import fill_region, region_mask, with_slopes
from darkfactory.templates.response import Response, ResponseEvents, response_template

__all__ = ["response_histograms"]

# of event identifiers: the remainder by four is the fold
_FOLDS = 4


def _events(columns: Mapping[str, np.ndarray], region: RegionConfig, truth: str, groups: int) -> ResponseEvents:
    if truth not in columns:
        raise InputError(
            f"region {region.name!r}: no column {truth!r} among the candidates of {region.normalisation!r}; set "
            "`taus: {true_lepton: true}` in its process"
        )
    keep = region_mask(columns, region) & np.isfinite(columns[truth]) & (columns[region.observable] > 0)
    observable, value, weight = (np.asarray(columns[n], float)[keep] for n in (region.observable, truth, "weight"))
    return ResponseEvents(observable, value, weight, columns["event_id"][keep].astype(np.int64) // _FOLDS % groups)


def response_histograms(
    config: TemplatesConfig, binning: Binning, items: Sequence[Mapping[str, Any]]
) -> dict[tuple[str, str], Response]:
    """Templates of all regions that ask for them, by region and sample.

    Args:
        config: the section.
        binning: the search's.
        items: of the backgrounds.

    Raises:
        InputError: candidates without the truth.
    """
    wanted = {r.name: r for r in config.regions if r.response is not None}
    names = {r.normalisation for r in config.regions if r.name in {p for w in wanted.values() for p in _with_pool(w)}}
    tables = {
        item["sample"]: (concatenate([read_candidates(path, item) for path in item["paths"]]), item["n_generated"])
        for item in items
        if wanted and item["sample"] in names
    }
    found: dict[tuple[str, str], Response] = {}
    regions = {r.name: r for r in config.regions}
    for name, region in wanted.items():
        settings = region.response
        if settings is None or region.normalisation not in tables:
            continue
        columns, generated = tables[region.normalisation]
        columns = with_slopes(columns, config.systematics.slopes, region.normalisation)
        counted = fill_region(columns, region, binning.regions[name].edges, n_generated=generated)
        pooled = [
            _events(tables[regions[p].normalisation][0], regions[p], settings.truth, settings.groups)
            for p in settings.pool
            if regions[p].normalisation in tables
        ]
        own = _events(columns, region, settings.truth, settings.groups)
        where = f"region {name!r}, {region.normalisation}"
        found[name, region.normalisation] = response_template(counted, own, pooled, settings, where)
    return found


def _with_pool(region: RegionConfig) -> tuple[str, ...]:
    return (region.name, *(region.response.pool if region.response is not None else ()))
