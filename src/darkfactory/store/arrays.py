"""Event arrays on disk: RNTuple in ROOT files, written atomically, digested by content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import uproot

from darkfactory.core.digest import digest_arrays
from darkfactory.core.errors import InputError
from darkfactory.core.files import atomic_path

__all__ = ["content_digest", "read_arrays", "read_table", "write_arrays", "write_table"]

_TREE = "events"


def content_digest(events: ak.Array) -> str:
    """Digest of the content of an event array, independent of files and of how it was chunked in memory.

    Example:
        >>> content_digest(ak.Array({"x": [1.0]})) == content_digest(ak.Array({"x": [1.0]}))
        True
    """
    packed = ak.to_packed(events)
    form, length, buffers = ak.to_buffers(packed)
    arrays = {name: np.asarray(buffer) for name, buffer in buffers.items()}
    arrays["form"] = np.frombuffer(form.to_json().encode(), dtype=np.uint8)
    arrays["length"] = np.asarray([length])
    return digest_arrays(arrays)


def write_arrays(path: str | Path, events: ak.Array) -> str:
    """Write an event array as RNTuple ``events`` and return the digest of its content.

    Memory layout is normalised first, so that the digest of what is read back is the same.
    """
    packed = ak.to_packed(events)
    with atomic_path(path) as tmp, uproot.recreate(tmp, compression=uproot.ZSTD(1)) as file:
        writer = file.mkrntuple(_TREE, packed.layout.form)
        if len(packed) > 0:
            writer.extend(packed)
    return content_digest(packed)


def read_arrays(path: str | Path, fields: Sequence[str] | None = None) -> ak.Array:
    """Read an event array that :func:`write_arrays` wrote.

    Args:
        path: the file.
        fields: top-level columns to read; all by default.

    Raises:
        InputError: missing, truncated or badly closed file, missing columns.
    """
    try:
        # a part is read once: what caches hold, with the files they refer to, only waits for the garbage collector
        with uproot.open(path, object_cache=None, array_cache=None) as file:
            if _TREE not in file.keys(cycle=False):
                raise InputError(f"{path}: no event table in this file; it was not closed properly: delete it")
            source = file[_TREE]
            names = list(source.keys(recursive=False)) if hasattr(source, "keys") else []
            if fields is not None:
                missing = [f for f in fields if f not in names]
                if missing:
                    raise InputError(f"{path}: columns {missing} are missing; there are {names}")
            return source.arrays(filter_name=None if fields is None else [*fields, *(f"{f}.*" for f in fields)])
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; run the stage that makes it first") from error
    except InputError:
        raise
    except Exception as error:  # uproot raises many kinds for damaged files
        raise InputError(
            f"{path}: cannot be read ({type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''});"
            " the file is damaged or truncated: delete it and run again"
        ) from error


def write_table(path: str | Path, columns: Mapping[str, np.ndarray]) -> str:
    """Write a flat table (equal-length columns) and return the digest of its content."""
    lengths = {name: len(c) for name, c in columns.items()}
    if len(set(lengths.values())) > 1:
        raise InputError(f"{path}: columns of different lengths {lengths}")
    names = sorted(columns)
    table: Any = ak.Array({name: np.ascontiguousarray(columns[name]) for name in names})
    return write_arrays(path, table)


def read_table(path: str | Path, fields: Sequence[str] | None = None) -> dict[str, np.ndarray]:
    """Read a flat table that :func:`write_table` wrote."""
    table = read_arrays(path, fields)
    return {name: ak.to_numpy(table[name]) for name in table.fields}
