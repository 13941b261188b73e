"""Selected candidates of a dataset as trees that a collaborator opens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from darkfactory.core.errors import UserError
from darkfactory.pipeline.ledger import read_table_part
from darkfactory.pipeline.parts import read_manifest
from darkfactory.records.manifest import Part
from darkfactory.store.trees import write_trees

__all__ = ["export_candidates"]


def _pieces(
    manifest: Path, parts: Sequence[Part], luminosity_fb: float, generated: int
) -> Iterator[dict[str, np.ndarray]]:
    for part in parts:
        columns = read_table_part(manifest.parent / part.path)
        n = len(columns["weight"])
        real = part.meta.get("data") == "real"
        scale = 1.0 if real else luminosity_fb / generated
        yield {**columns, "expected_events": columns["weight"] * scale, "chunk": np.full(n, part.chunk, dtype=np.int32)}


def export_candidates(path: Path, manifests: Mapping[str, Sequence[Path]], luminosity_fb: float) -> dict[str, int]:
    """Write what a selection left to one file.

    A tree for each sample, and for each point of a signal (``sample_m0p50000``), one row a candidate: the observables
    that the search keeps, ``weight`` in fb times generated events, and ``expected_events``, the weight at the
    dataset's luminosity (1 for recorded data).

    Args:
        path: the ROOT file.
        manifests: sample to its manifests of the stage ``select``.
        luminosity_fb: of the dataset.

    Returns:
        Rows of each tree.

    Raises:
        UserError: nothing was selected yet, or no candidate is left.
    """
    trees: dict[str, Iterator[dict[str, np.ndarray]]] = {}
    for sample, files in manifests.items():
        for file in files:
            if not file.exists():
                raise UserError(f"{file}: no such file; run the search first: darkfactory run --search SEARCH")
            by_point: dict[str, list[Part]] = {}
            for part in read_manifest(file).parts:
                by_point.setdefault(part.point, []).append(part)
            for point, parts in by_point.items():
                generated = sum(p.n_generated for p in parts)
                name = sample if point == "all" else f"{sample}_{point}"
                trees[name] = _pieces(file, parts, luminosity_fb, max(generated, 1))
    rows = write_trees(path, trees)
    if not rows:
        path.unlink(missing_ok=True)
        raise UserError(f"no candidate is left in {len(trees)} samples; loosen the selection or take more events")
    return rows
