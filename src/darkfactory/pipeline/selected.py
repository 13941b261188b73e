"""Reading what the select stage left: candidates of a point, with what normalises them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from darkfactory.config.points import parse_point, project_point
from darkfactory.core.errors import InputError
from darkfactory.physics.lifetimes import lifetime_weight
from darkfactory.pipeline.ledger import read_table_part
from darkfactory.pipeline.parts import read_manifest
from darkfactory.records.cutflow import Cutflow
from darkfactory.records.manifest import Manifest, Part

__all__ = [
    "Located",
    "concatenate",
    "events_in_folds",
    "hypothesis_items",
    "locate",
    "point_items",
    "read_candidates",
    "read_folds",
    "reweighted",
    "sigma",
    "total_cutflow",
]

N_FOLDS = 4
# events many lifetimes away count as none: they are no efficiency, and their weights underflow
_NEGLIGIBLE = 1e-9


@dataclass(frozen=True)
class Located:
    """A manifest and the folder that its parts are relative to."""

    manifest: Manifest
    folder: Path


def locate(paths: Sequence[Path]) -> list[Located]:
    """Read manifests."""
    return [Located(read_manifest(p), p.parent) for p in paths]


def events_in_folds(n: int, folds: Sequence[int]) -> int:
    """Generated events of a chunk of ``n`` whose fold (index modulo 4) is in ``folds``.

    Example:
        >>> events_in_folds(10, (2, 3)), events_in_folds(10, (0, 1, 2, 3))
        (4, 10)
    """
    return sum((n - f + N_FOLDS - 1) // N_FOLDS for f in folds)


def read_folds(path: str | Path, folds: Sequence[int]) -> dict[str, np.ndarray]:
    """Candidates of one part in some folds."""
    columns = read_table_part(path)
    keep = np.isin(columns["fold"], np.asarray(folds))
    return {name: values[keep] for name, values in columns.items()}


def read_candidates(path: str | Path, item: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Candidates of one part in the item's folds, reweighted to the item's lifetimes.

    Args:
        path: the part.
        item: with ``folds`` and, for reweighted points, ``reweight`` (axis to c tau in cm) and ``lifetimes`` (axis to
            particle).

    Raises:
        InputError: an axis without the decay lengths of a particle.
    """
    return reweighted(read_folds(path, item["folds"]), item, str(path))


def reweighted(columns: Mapping[str, np.ndarray], item: Mapping[str, Any], where: str) -> dict[str, np.ndarray]:
    """Candidates with the weights of the item's lifetimes, see :func:`read_candidates`.

    Raises:
        InputError: an axis without the decay lengths of a particle.
    """
    columns = dict(columns)
    for axis, ctau in item.get("reweight", {}).items():
        particle = item.get("lifetimes", {}).get(axis)
        if particle is None or f"proper_{particle}" not in columns:
            raise InputError(
                f"{where}: events cannot be reweighted to {axis}: no column proper_{particle}; name the particle under "
                "`lifetimes` of the sample and give it a `mixture_cm` in its process"
            )
        factor = lifetime_weight(columns[f"proper_{particle}"], columns[f"density_{particle}"], ctau)
        factor = np.where(factor > _NEGLIGIBLE, factor, 0.0)
        for name in ("weight", "weight_untriggered"):
            columns[name] = columns[name] * factor
    return columns


def sigma(parts: Sequence[Part]) -> tuple[float, float]:
    """Cross-section and its error in fb, of the gridpack that all parts come from."""
    meta = parts[0].meta
    return float(meta["sigma_fb"]), float(meta["sigma_err_fb"])


def point_items(found: Sequence[Located], folds: Sequence[int]) -> list[dict[str, Any]]:
    """One JSON-like item per point: sample, paths, generated events in the folds, cross-section."""
    items = []
    for one in found:
        for point in one.manifest.points():
            parts = one.manifest.of(point)
            value, error = sigma(parts)
            items.append(
                {
                    "sample": one.manifest.sample,
                    "point": point,
                    "paths": [str(one.folder / p.path) for p in parts],
                    "counts": [events_in_folds(p.n_generated, folds) for p in parts],
                    "n_generated": sum(events_in_folds(p.n_generated, folds) for p in parts),
                    "n_all": sum(p.n_generated for p in parts),
                    "sigma_fb": value,
                    "sigma_err_fb": error,
                    "folds": list(folds),
                }
            )
    return items


def hypothesis_items(
    items: Sequence[Mapping[str, Any]], spec: Mapping[str, Any], wanted: Mapping[str, Sequence[str]]
) -> list[dict[str, Any]]:
    """One item per wanted point of each hypothesis, from the items of the simulated points that serve them.

    Args:
        items: of :func:`point_items`.
        spec: with ``signals`` (hypothesis to sample) and ``reweighted`` (hypothesis to axes).
        wanted: hypothesis to points.

    Returns:
        Items with ``hypothesis``, ``point`` (the wanted one), ``simulated`` (the sample's point), ``reweight`` (axes
        and values that its events are reweighted to) and ``lifetimes`` (axis to particle), in the order of ``items``.
    """
    served: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for hypothesis, sample in spec["signals"].items():
        axes = spec["reweighted"][hypothesis]
        for point in wanted.get(hypothesis, ()):
            target = {a: v for a, v in parse_point(point).items() if a in axes}
            simulated = project_point(point, axes)
            more = {"hypothesis": hypothesis, "point": point, "simulated": simulated, "reweight": target}
            more["lifetimes"] = spec.get("lifetimes", {}).get(hypothesis, {})
            served.setdefault((sample, simulated), []).append(more)
    return [{**item, **more} for item in items for more in served.get((item["sample"], item["point"]), [])]


def total_cutflow(parts: Sequence[Part], key: str = "cutflow") -> Cutflow:
    """Cutflow of all parts of a point."""
    return Cutflow.total([Cutflow.from_dict(p.meta[key]) for p in parts])


def concatenate(tables: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Join tables in order.

    Example:
        >>> concatenate([{"x": np.ones(1)}, {"x": np.zeros(1)}])["x"].tolist()
        [1.0, 0.0]
    """
    return {name: np.concatenate([t[name] for t in tables]) for name in tables[0]}
