"""Flat ROOT ntuples with several candidates per event, as written by basf2's VariablesToNtuple.

Files are opened for reading only. Whatever is wrong with one is an :class:`InputError` that names the file and the
tree, says what is there and what to do.
"""

from __future__ import annotations

import dataclasses
import difflib
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import uproot
from numpy.typing import NDArray

from darkfactory.core.errors import InputError
from darkfactory.store.branches import NameMap, match_branches
from darkfactory.store.grouping import candidates_to_events, event_numbers, split_points
from darkfactory.store.remote import is_remote, open_remote

__all__ = [
    "NtupleInfo",
    "candidates_to_events",
    "event_columns",
    "event_ranges",
    "is_simulation",
    "open_ntuple",
    "read_ntuple",
    "tree_columns",
    "tree_names",
]

log = logging.getLogger(__name__)
_PROBE = 20_000


@dataclasses.dataclass(frozen=True)
class NtupleInfo:
    """What a tree contains.

    Attributes:
        path: the file.
        tree: name of the tree.
        entries: number of rows.
        columns: our column to branch name, for every branch that can be read, mapped or not.
        unmapped: columns that the name map does not know; they keep the variable's name.
        missing: columns of the name map that no branch provides.
        duplicates: branches that repeat an earlier one; the first occurrence is read.
        all_nan: columns without any finite or infinite value.
        event_based: one row per event: there is no candidate counter.
    """

    path: str
    tree: str
    entries: int
    columns: dict[str, str]
    unmapped: tuple[str, ...]
    missing: tuple[str, ...]
    duplicates: tuple[str, ...]
    all_nan: tuple[str, ...]
    event_based: bool


def _check_header(path: Path) -> None:
    """Size and magic of a ROOT file; the header says where the file ends."""
    if not path.is_file():
        what = "is a directory" if path.is_dir() else "does not exist"
        raise InputError(f"{path} {what}; give the path of a ROOT file")
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(64)
    if head[:4] != b"root":
        raise InputError(f"{path} is not a ROOT file ({size} bytes, it does not begin with 'root'); give a ROOT file")
    if len(head) < 64:
        raise InputError(f"{path} is truncated: {size} bytes are not even a header; copy or produce it again")
    large = int.from_bytes(head[4:8], "big") >= 1_000_000
    end = int.from_bytes(head[12:20] if large else head[12:16], "big")
    if end > size:
        raise InputError(
            f"{path} is truncated: it has {size} bytes of {end}; copy it again, or run the job that wrote it again"
        )


def _trees(file: Any) -> dict[str, str]:
    """Trees and other containers of a file, latest cycle, by name."""
    return {k.split(";")[0]: c for k, c in file.classnames().items()}


@contextmanager
def _open_local(path: Path) -> Iterator[Any]:
    _check_header(path)
    try:
        file = uproot.open(path)
    except Exception as error:  # any decoder may stumble over a damaged file
        raise InputError(
            f"{path} cannot be opened as a ROOT file: {_short(error)}; it may have been closed badly: copy it again, "
            "or recover it in ROOT (TFile::Recover)"
        ) from error
    with file:
        yield file


@contextmanager
def _open_file(path: str | Path) -> Iterator[tuple[Any, dict[str, str]]]:
    """An open file and its objects by name."""
    with open_remote(path) if isinstance(path, str) and is_remote(path) else _open_local(Path(path)) as file:
        try:
            found = _trees(file)
        except Exception as error:
            raise InputError(f"{path}: its list of objects is damaged: {_short(error)}; copy it again") from error
        if not found:
            raise InputError(
                f"{path} has no objects: it was not closed by the job that wrote it; recover it in ROOT "
                "(TFile::Recover) or run the job again"
            )
        yield file, found


def _flat_trees(found: Mapping[str, str]) -> list[str]:
    return sorted(n for n, c in found.items() if c in ("TTree", "TNtuple", "TNtupleD"))


def tree_names(path: str | Path) -> list[str]:
    """Names of the trees of a file, sorted.

    Raises:
        InputError: missing, foreign, truncated or badly closed file; no trees in it.
    """
    with _open_file(path) as (_, found):
        names = _flat_trees(found)
        if not names:
            raise InputError(f"{path} has no trees, only {sorted(found)}; write the rows as a TTree")
        return names


@contextmanager
def _open_tree(path: str | Path, tree: str) -> Iterator[Any]:
    with _open_file(path) as (file, found):
        names = _flat_trees(found)
        if tree not in names:
            if "RNTuple" in found.get(tree, ""):
                raise InputError(f"{path}: {tree} is an RNTuple; write it as a TTree, trees here: {names}")
            raise InputError(f"{path} has no tree {tree!r}; trees in it: {names}; give one of them (tree: ...)")
        yield file[tree]


def _short(error: Exception) -> str:
    text = (str(error) or type(error).__name__).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:160] if text else ''}"


def _array(branch: Any, where: str, start: int | None = None, stop: int | None = None) -> NDArray[Any]:
    """Values of a branch in native byte order."""
    try:
        values = branch.array(entry_start=start, entry_stop=stop, library="np")
    except Exception as error:  # any decoder may stumble over a damaged basket
        raise InputError(
            f"{where}: branch {branch.name} cannot be read: {_short(error)}; the file is damaged: copy it again or "
            "run the job that wrote it again"
        ) from error
    if values.dtype.kind not in "iufb":
        raise InputError(f"{where}: branch {branch.name} holds {branch.typename}, not one number per row; leave it out")
    return np.asarray(values, dtype=values.dtype.newbyteorder("="))


def _all_nan(branch: Any, where: str, entries: int) -> bool:
    """Whether a floating-point column has nothing but NaN; stops at the first block with a value."""
    if entries == 0 or not any(t in branch.typename for t in ("double", "float", "Double", "Float")):
        return False
    for start in range(0, entries, _PROBE):
        values = _array(branch, where, start, min(start + _PROBE, entries))
        if values.dtype.kind != "f" or not np.isnan(values).all():
            return False
    return True


def open_ntuple(path: str | Path, tree: str, name_map: NameMap) -> NtupleInfo:
    """Look at a tree: which columns it offers, and what is odd about it.

    Args:
        path: a ROOT file.
        tree: name of the tree.
        name_map: names of variables and columns.

    Raises:
        InputError: missing, foreign, truncated or badly closed file; no such tree; a required column is missing.
    """
    where = f"{path}: {tree}"
    with _open_tree(path, tree) as t:
        branches = list(t.branches)
        names = [b.name for b in branches]
        position, base, repeated = match_branches(names, name_map)
        absent = [c for c in name_map.required if c not in position]
        if absent:
            raise InputError(
                f"{where}: required columns {absent} are missing; branches: {_list(names)}; "
                "write the ntuple with them, or correct the name map"
            )
        entries = int(t.num_entries)
        empty = tuple(c for c, i in position.items() if _all_nan(branches[i], where, entries))
    info = NtupleInfo(
        path=str(path),
        tree=tree,
        entries=entries,
        columns={c: names[i] for c, i in position.items()},
        unmapped=tuple(c for c, b in base.items() if b is None),
        missing=tuple(sorted(set(name_map.names.values()) - {b for b in base.values() if b is not None})),
        duplicates=tuple(dict.fromkeys(repeated)),
        all_nan=empty,
        event_based="candidate" not in position,
    )
    if info.duplicates:
        log.warning("%s: branches %s occur more than once, the first is read", where, _list(info.duplicates))
    if info.all_nan:
        log.warning("%s: columns %s have no value in any row", where, _list(info.all_nan))
    return info


def tree_columns(path: str | Path, tree: str, name_map: NameMap) -> tuple[dict[str, str | None], int]:
    """Columns of a tree, each with the column of the map that it is an instance of, and the number of rows.

    Values are not looked at: for files that were examined, or of which there are many.

    Raises:
        InputError: missing, foreign, truncated or badly closed file; no such tree.
    """
    with _open_tree(path, tree) as t:
        return match_branches([b.name for b in t.branches], name_map)[1], int(t.num_entries)


def _list(names: Sequence[str], most: int = 40) -> str:
    text = ", ".join(names[:most])
    return text + (f", ... ({len(names)} in all)" if len(names) > most else "")


def _to_integer(values: NDArray[Any], missing: int, where: str, branch: str) -> NDArray[np.int64]:
    if values.dtype.kind in "iub":
        return values.astype(np.int64)
    bad = np.isnan(values)
    filled = np.where(bad, missing, values)
    wrong = np.flatnonzero((filled != np.round(filled)) | (np.abs(filled) > 2**53))
    if len(wrong):
        raise InputError(
            f"{where}: branch {branch} holds {values[wrong[0]]} in row {int(wrong[0])}, the name map says it holds "
            "integers; take it out of integers in the name map"
        )
    return filled.astype(np.int64)


def read_ntuple(
    path: str | Path,
    tree: str,
    name_map: NameMap,
    columns: Sequence[str],
    entry_range: tuple[int, int] | None = None,
    optional: Sequence[str] = (),
) -> dict[str, NDArray[Any]]:
    """Read columns of a range of rows.

    Args:
        path: a ROOT file.
        tree: name of the tree.
        name_map: names of variables and columns.
        columns: our columns (or names of variables that are not in the map).
        entry_range: first row and the row after the last; all by default.
        optional: further columns that may be missing: they come as NaN, integers as ``integer_missing``.

    Returns:
        Arrays in native byte order, integer columns as int64, in the order asked for.

    Raises:
        InputError: as :func:`open_ntuple`, and for missing columns, wrong ranges and unreadable branches.
    """
    where = f"{path}: {tree}"
    with _open_tree(path, tree) as t:
        branches = list(t.branches)
        position, base, _ = match_branches([b.name for b in branches], name_map)
        entries = int(t.num_entries)
        start, stop = entry_range or (0, entries)
        if not 0 <= start <= stop <= entries:
            raise InputError(f"{where}: rows {start} to {stop} are not within its {entries} rows")
        absent = [c for c in columns if c not in position]
        if absent:
            close = {c: difflib.get_close_matches(c, list(position), 3, 0.5) for c in absent}
            raise InputError(
                f"{where}: columns {absent} are missing; similar: {close}; it has: {_list(list(position), 80)}; "
                "ask for one of these, or write the ntuple again with the branch"
            )
        out: dict[str, NDArray[Any]] = {}
        for column in dict.fromkeys([*columns, *optional]):
            if column not in position:
                kind = column in name_map.integers
                out[column] = np.full(stop - start, name_map.integer_missing if kind else np.nan)
                out[column] = out[column].astype(np.int64) if kind else out[column]
                continue
            branch = branches[position[column]]
            values = _array(branch, where, start, stop)
            if len(values) != stop - start:
                raise InputError(
                    f"{where}: branch {branch.name} has {len(values)} rows where {stop - start} are needed; "
                    "the file was closed badly: run the job that wrote it again"
                )
            if base[column] in name_map.integers:
                values = _to_integer(values, name_map.integer_missing, where, branch.name)
            out[column] = values
        return out


def event_ranges(path: str | Path, tree: str, chunk_entries: int, name_map: NameMap) -> list[tuple[int, int]]:
    """Ranges of rows of about ``chunk_entries`` that do not split an event.

    Ranges are longer where an event is, or where rows of several events are interleaved.

    Args:
        path: a ROOT file.
        tree: name of the tree.
        chunk_entries: rows per range.
        name_map: names of variables and columns.

    Raises:
        InputError: as :func:`read_ntuple`; a chunk size below one.
    """
    if chunk_entries < 1:
        raise InputError(f"chunks of {chunk_entries} rows; at least 1 is needed (chunk_entries)")
    index = ["experiment", "run", "event"]
    more = ["production", "candidate", "n_candidates"]
    with _open_tree(path, tree) as t:
        here = match_branches([b.name for b in t.branches], name_map)[0]
    columns = read_ntuple(path, tree, name_map, [*index, *(c for c in more if c in here)])
    ranges = split_points(event_numbers(columns), chunk_entries)
    longest = max((b - a for a, b in ranges), default=0)
    if longest > 4 * chunk_entries and longest > 1000:
        log.warning(
            "%s: %s: events are interleaved over %d rows, which are read at once; sort the tree to need less memory",
            path, tree, longest,
        )  # fmt: skip
    return ranges


def is_simulation(experiment: NDArray[Any], experiments: Sequence[int]) -> NDArray[np.bool_]:
    """Which rows are simulation, by experiment number.

    Example:
        >>> is_simulation(np.array([1003, 20]), (0, 1003)).tolist()
        [True, False]
    """
    return np.isin(experiment, list(experiments))


def event_columns(events: ak.Array) -> Mapping[str, NDArray[Any]]:
    """The columns of an event array that have one value per event.

    Example:
        >>> sorted(event_columns(ak.Array({"event": [1, 2], "candidates": [[1], []]})))
        ['event']
    """
    return {f: ak.to_numpy(events[f]) for f in events.fields if events[f].ndim == 1}
