"""Flat trees for other people: TTrees that any ROOT, uproot or RDataFrame opens."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import uproot

from darkfactory.core.files import atomic_path

__all__ = ["write_trees"]


def write_trees(path: str | Path, trees: Mapping[str, Iterable[Mapping[str, np.ndarray]]]) -> dict[str, int]:
    """Write flat columns as TTrees; trees without rows are left out.

    Args:
        path: the file.
        trees: name of a tree to its pieces, which have the same columns; booleans become bytes.

    Returns:
        Rows of each tree.
    """
    rows: dict[str, int] = {}
    with atomic_path(path) as tmp, uproot.recreate(tmp, compression=uproot.ZLIB(4)) as file:
        for name, pieces in trees.items():
            for piece in pieces:
                columns = {k: _writable(np.asarray(v)) for k, v in piece.items()}
                n = len(next(iter(columns.values())))
                if n == 0:
                    continue
                if name not in rows:
                    file.mktree(name, {k: v.dtype for k, v in columns.items()})
                    rows[name] = 0
                file[name].extend(columns)
                rows[name] += n
    return rows


def _writable(values: np.ndarray) -> np.ndarray:
    return values.astype(np.int8) if values.dtype == np.bool_ else np.ascontiguousarray(values)
