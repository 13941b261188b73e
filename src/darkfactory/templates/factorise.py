"""Last cuts as factors: what a sample that is too small for all of them at once tells about a background.

The candidates that need not pass the cuts of any group have the shape; each group multiplies it by the share of them
that passes its cuts, if wanted in each range of the observable on its own. Cuts that go together belong into one
group; what is left of correlations between groups is measured on pairs of groups where the sample allows it.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkfactory.config.templates import FactorisedConfig, RegionConfig
from darkfactory.core.errors import ConfigError
from darkfactory.records.histogram import FloatArray, Histogram
from darkfactory.templates.fill import Columns, cut_mask, fill_region, region_mask

__all__ = ["Factorised", "factorise", "share", "share_by_range"]


@dataclass(frozen=True)
class Factorised:
    """A background as shape and factors.

    Attributes:
        histogram: the shape, scaled by the product of the factors of each range.
        factors: by group, over all ranges, with their relative errors.
        pairs: of two groups the share that passes both over the product of their shares, with its relative error; only
            where there are events enough.
        error: relative error of the product: the sample's size, pairs that do not multiply, and what the configuration
            says at least.
        events: effective number of candidates that the shape has.
        ranges: by group, the share in each range of the observable; empty without ranges.
        product: yield over that of the shape; of all factors, where they are the same everywhere.
    """

    histogram: Histogram
    factors: Mapping[str, tuple[float, float]]
    pairs: Mapping[str, tuple[float, float]]
    error: float
    events: float
    ranges: Mapping[str, tuple[float, ...]]
    product: float

    def summary(self) -> dict[str, Any]:
        """JSON-like numbers, for the record of the search."""
        return {
            "events": self.events,
            "factors": {k: list(v) for k, v in self.factors.items()},
            "pairs": {k: list(v) for k, v in self.pairs.items()},
            "product": self.product,
            "error": self.error,
            "ranges": {k: list(v) for k, v in self.ranges.items()},
        }


def share(weight: FloatArray, passed: NDArray[np.bool_]) -> tuple[float, float, float]:
    """Share of weighted candidates that pass, its relative error, and their effective number.

    The mean and the width of the posterior with Jeffreys' prior, (k + 1/2)/(n + 1): half a candidate where none passes.

    Example:
        >>> [round(x, 3) for x in share(np.ones(9), np.arange(9) < 2)]
        [0.25, 0.522, 9.0]
        >>> round(share(np.ones(99), np.zeros(99, dtype=bool))[0], 3)
        0.005
    """
    total, square = float(weight.sum()), float((weight**2).sum())
    n = total * total / square if square > 0 else 0.0
    k = float(weight[passed].sum()) / total * n if total > 0 else 0.0
    value = (k + 0.5) / (n + 1.0)
    return value, float(np.sqrt(value * (1 - value) / (n + 2.0))) / value, n


def share_by_range(
    weight: FloatArray, passed: NDArray[np.bool_], part: NDArray[np.int64], n_parts: int
) -> tuple[FloatArray, FloatArray]:
    """Share of weighted candidates that pass in each part, and relative errors.

    The mean and the width of the posterior with a prior of the share g of all parts and the weight of one candidate
    that passes: (k + 1)/(n + 1/g). A part with few candidates has the share of all.

    Example:
        >>> part = np.repeat([0, 1, 2], [100, 100, 1])
        >>> values, errors = share_by_range(np.ones(201), np.arange(201) % 100 < np.where(part == 1, 30, 10), part, 3)
        >>> values.round(2).tolist(), errors.round(2).tolist()
        ([0.1, 0.3, 0.34], [0.28, 0.15, 0.53])
    """
    total, _, _ = share(weight, passed)
    values, errors = np.empty(n_parts), np.empty(n_parts)
    for i in range(n_parts):
        w = weight[part == i]
        square = float((w**2).sum())
        n = float(w.sum()) ** 2 / square if square > 0 else 0.0
        k = float(w[passed[part == i]].sum()) / float(w.sum()) * n if n > 0 else 0.0
        size = n + 1 / total
        values[i] = (k + 1) / size
        errors[i] = np.sqrt(values[i] * (1 - values[i]) / (size + 1)) / values[i]
    return values, errors


def factorise(
    columns: Columns, region: RegionConfig, edges: tuple[FloatArray, ...], config: FactorisedConfig, n_generated: float
) -> Factorised:
    """Shape and factors of a background in one region.

    Args:
        columns: selected candidates of the whole sample.
        region: observable and last cuts.
        edges: of the region's axes.
        config: which cuts are factors.
        n_generated: events generated, in the folds used.

    Raises:
        ConfigError: a group without a cut in the region, or a column in two groups.
    """
    listed = [c for group in config.groups.values() for c in group]
    cut_on = {c.column for c in region.cuts}
    for name, group in config.groups.items():
        if not cut_on & set(group):
            raise ConfigError(
                f"group {name!r} of {list(group)}: region {region.name!r} cuts on none of them; it cuts on "
                f"{sorted(cut_on)}",
                where="templates.samples.*.factorised.groups",
            )
    if len(set(listed)) != len(listed):
        raise ConfigError(f"columns {listed} are in two groups", where="templates.samples.*.factorised.groups")
    base = region.model_copy(update={"cuts": tuple(c for c in region.cuts if c.column not in listed)})
    keep = region_mask(columns, base)
    values = np.asarray(columns[region.observable], dtype=float)[keep]
    weight = np.asarray(columns["weight"], dtype=float)[keep]
    inside = (values >= region.observable_range[0]) & (values < region.observable_range[1])
    passed = {
        name: cut_mask(columns, [c for c in region.cuts if c.column in group])[keep]
        for name, group in config.groups.items()
    }
    found = {name: share(weight[inside], mask[inside]) for name, mask in passed.items()}
    factors = {name: (value, error) for name, (value, error, _) in found.items()}
    events = next(iter(found.values()))[2]
    n_parts = len(config.ranges) + 1
    part = np.digitize(values, config.ranges)
    if config.ranges:
        parts = {k: share_by_range(weight[inside], mask[inside], part[inside], n_parts) for k, mask in passed.items()}
    else:
        parts = {name: (np.array([value]), np.array([error])) for name, (value, error) in factors.items()}
    sizes = np.bincount(part[inside], weights=weight[inside], minlength=n_parts)
    sizes = sizes / sizes.sum() if sizes.sum() > 0 else np.full(n_parts, 1 / n_parts)
    pairs: dict[str, tuple[float, float]] = {}
    for a, b in itertools.combinations(passed, 2):
        product = float(np.sum(sizes * parts[a][0] * parts[b][0]))
        if product * events < config.min_events:
            continue
        both, error, _ = share(weight[inside], passed[a][inside] & passed[b][inside])
        pairs[f"{a} x {b}"] = (both / product, error)
    # a ratio of pairs counts by what its statistics do not explain
    excess = sum(max((ratio - 1) ** 2 - error**2, 0.0) for ratio, error in pairs.values())
    scale = np.prod([shares for shares, _ in parts.values()], axis=0)
    product = float(np.sum(sizes * scale))
    variance = sum(error**2 for _, error in parts.values())
    statistical = float(np.sum((sizes * scale) ** 2 * variance)) / product**2
    total = float(np.sqrt(config.uncertainty.value**2 + excess + statistical))
    every = np.digitize(np.asarray(columns[region.observable], dtype=float), config.ranges)
    scaled = {**columns, "weight": np.asarray(columns["weight"], dtype=float) * scale[every]}
    histogram = fill_region(scaled, base, edges, n_generated=n_generated)
    ranges = {name: tuple(shares.tolist()) for name, (shares, _) in parts.items()} if config.ranges else {}
    return Factorised(histogram, factors, pairs, total, events, ranges, product)
