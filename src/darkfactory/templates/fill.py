"""From flat candidate columns to histograms with variances and systematic variations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from darkfactory.config.templates import ColumnCut, RegionConfig, Slope
from darkfactory.core.errors import RunError
from darkfactory.records.histogram import FloatArray, Histogram

__all__ = ["Columns", "cut_mask", "fill", "fill_region", "nuisances", "region_mask", "with_slopes"]

Columns: TypeAlias = Mapping[str, npt.NDArray[Any]]
"""Selected candidates, one entry each: ``weight`` (fb), observables, ``var_<nuisance>_up`` and ``_down``."""


def nuisances(columns: Columns) -> list[str]:
    """Names of the nuisances that have both variation columns, sorted.

    Example:
        >>> nuisances({"weight": np.ones(1), "var_photon_up": np.ones(1), "var_photon_down": np.ones(1)})
        ['photon']
    """
    ups = {k[4:-3] for k in columns if k.startswith("var_") and k.endswith("_up")}
    downs = {k[4:-5] for k in columns if k.startswith("var_") and k.endswith("_down")}
    if ups != downs:
        raise RunError(
            f"variation columns need both sides; only one of var_<name>_up and var_<name>_down exists for "
            f"{sorted(ups ^ downs)}"
        )
    return sorted(ups)


def _column(columns: Columns, name: str) -> npt.NDArray[Any]:
    if name not in columns:
        raise RunError(
            f"templates: no column {name!r} among the selected candidates; columns are {sorted(columns)}; "
            "list it in the selection's outputs"
        )
    return columns[name]


def region_mask(columns: Columns, region: RegionConfig) -> npt.NDArray[np.bool_]:
    """Candidates that pass a region's last cuts.

    Example:
        >>> from darkfactory.config.templates import ColumnCut
        >>> region = RegionConfig(name="gg", observable="m2", mass=(0, 1), observable_range=(0, 1),
        ...                       cuts=(ColumnCut(column="e", min=1.0),))
        >>> region_mask({"m2": np.array([0.5, 0.5]), "e": np.array([0.9, 1.1]), "weight": np.ones(2)}, region)
        array([False,  True])
    """
    finite = np.isfinite(np.asarray(_column(columns, region.observable), dtype=float))
    return np.asarray(finite & cut_mask(columns, region.cuts))


def cut_mask(columns: Columns, cuts: Sequence[ColumnCut]) -> npt.NDArray[np.bool_]:
    """Candidates that pass some cuts.

    Example:
        >>> cut_mask({"weight": np.ones(2), "e": np.array([0.9, 1.1])}, [ColumnCut(column="e", min=1.0)])
        array([False,  True])
    """
    keep = np.ones(len(_column(columns, "weight")), dtype=bool)
    for cut in cuts:
        value = _column(columns, cut.column)
        if cut.min is not None:
            keep &= value >= cut.min
        if cut.max is not None:
            keep &= value < cut.max
    return np.asarray(keep)


def with_slopes(columns: Columns, slopes: Mapping[str, Slope], sample: str) -> dict[str, npt.NDArray[Any]]:
    """The columns with ``var_<nuisance>_up`` and ``_down`` of variations that are linear in a column.

    Args:
        columns: of the candidates.
        slopes: by nuisance.
        sample: whose candidates these are.

    Example:
        >>> from darkfactory.config.base import Tagged
        >>> slope = Slope(column="p", range=(1.0, 3.0), size=Tagged(value=0.02, source="assumed"))
        >>> with_slopes({"p": np.array([0.0, 2.0, 3.0])}, {"id": slope}, "s")["var_id_up"].round(3).tolist()
        [0.98, 1.0, 1.02]
    """
    found = dict(columns)
    for name, slope in slopes.items():
        low, high = slope.range
        value = np.asarray(_column(columns, slope.column), dtype=float)
        change = slope.size.value * np.clip((2 * value - low - high) / (high - low), -1.0, 1.0)
        if slope.samples and sample not in slope.samples:
            change = np.zeros_like(change)
        found |= {f"var_{name}_up": 1.0 + change, f"var_{name}_down": 1.0 - change}
    return found


def fill(
    observables: Sequence[npt.ArrayLike],
    edges: Sequence[FloatArray],
    weights: npt.ArrayLike,
    *,
    n_generated: float,
    variations: Mapping[str, npt.ArrayLike] | None = None,
    onto: Histogram | None = None,
) -> Histogram:
    """Histogram values; entries outside the edges are dropped (bins are closed below, open above).

    Args:
        observables: values on each axis.
        edges: bin edges of each axis.
        weights: in fb.
        n_generated: events generated for these candidates (before any cut).
        variations: factors on the weights, by variation name.
        onto: of the entries before: these go on top one by one, with the bits of all entries at once.

    Example:
        >>> h = fill([[0.5, 1.5, 1.7]], [np.array([0.0, 1.0, 2.0])], [1.0, 2.0, 2.0], n_generated=10,
        ...          variations={"loss_up": [1.0, 1.5, 1.0]})
        >>> h.sumw, h.variations["loss_up"]
        (array([1., 4.]), array([1., 5.]))
    """
    w = np.asarray(weights, dtype=float)
    shape = tuple(len(e) - 1 for e in edges)
    inside = np.ones(len(w), dtype=bool)
    index = np.zeros(len(w), dtype=np.int64)
    for values, e in zip(observables, edges, strict=True):
        i = np.searchsorted(e, np.asarray(values, dtype=float), side="right") - 1
        inside &= (i >= 0) & (i < len(e) - 1)
        index = index * (len(e) - 1) + i
    index, w = index[inside], w[inside]
    size = int(np.prod(shape))

    if onto is not None:
        index = np.concatenate([np.arange(size), index])

    def sums(entries: FloatArray, before: FloatArray | None) -> FloatArray:
        if before is not None:
            entries = np.concatenate([before.ravel(), entries])
        return np.asarray(np.bincount(index, weights=entries, minlength=size), dtype=float).reshape(shape)

    varied = {
        name: sums(w * np.asarray(f, dtype=float)[inside], None if onto is None else onto.variations[name])
        for name, f in sorted((variations or {}).items())
    }
    total, squares = (None, None) if onto is None else (onto.sumw, onto.sumw2)
    return Histogram(tuple(edges), sums(w, total), sums(w**2, squares), varied, float(n_generated))


def fill_region(
    columns: Columns,
    region: RegionConfig,
    edges: Sequence[FloatArray],
    *,
    n_generated: float,
    onto: Histogram | None = None,
) -> Histogram:
    """Histogram of one chunk of candidates in one region, with all its variation columns.

    Args:
        columns: selected candidates.
        region: observables and last cuts.
        edges: of the region's axes (:attr:`RegionBinning.edges`).
        n_generated: events generated for this chunk, in the folds used.
        onto: of the chunks before, see :func:`fill`.
    """
    keep = region_mask(columns, region)
    names = [region.observable] + ([region.second_axis.observable] if region.second_axis else [])
    factors = {
        f"{name}_{side}": np.asarray(columns[f"var_{name}_{side}"], dtype=float)[keep]
        for name in nuisances(columns)
        for side in ("up", "down")
    }
    return fill(
        [np.asarray(_column(columns, n), dtype=float)[keep] for n in names],
        edges,
        np.asarray(_column(columns, "weight"), dtype=float)[keep],
        n_generated=n_generated,
        variations=factors,
        onto=onto,
    )
