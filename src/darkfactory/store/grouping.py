"""From rows to events: which rows of a flat ntuple belong to one event.

A row carries the numbers of its experiment, run and event and mostly a candidate counter. Numbers alone do
not do: run-independent simulation that was merged repeats them for different events, and merging can tear an event
apart. A block is a run of adjacent rows with the same numbers and a rising candidate counter. A block that has all
the candidates it announces is an event. Incomplete blocks of the same numbers are put together as long as no
candidate occurs twice and no more candidates come together than announced.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from darkfactory.core.errors import InputError

__all__ = ["EVENT_COLUMNS", "candidates_to_events", "event_numbers", "split_points"]

EVENT_COLUMNS = ("experiment", "run", "event", "production", "weight", "n_candidates")
"""Columns with one value per event."""
_KEY = ("experiment", "run", "event", "production")


def event_numbers(columns: Mapping[str, NDArray[Any]]) -> NDArray[np.int64]:
    """Number of each row's event, 0, 1, ... in the order of first rows.

    Args:
        columns: ``experiment``, ``run``, ``event``, maybe ``production``, ``candidate``, ``n_candidates``. Without
            ``candidate`` every row is an event.

    Example:
        >>> event_numbers({"experiment": np.ones(4), "run": np.ones(4), "event": np.array([7, 7, 8, 7]),
        ...                "candidate": np.array([0, 1, 0, 0])}).tolist()
        [0, 0, 1, 2]
    """
    missing = [c for c in _KEY[:3] if c not in columns]
    if missing:
        raise InputError(f"columns {missing} are needed to group rows into events; got {sorted(columns)}")
    key = np.stack([np.asarray(columns[c]) for c in _KEY if c in columns], axis=1)
    n = len(key)
    if n == 0 or "candidate" not in columns:
        return np.arange(n, dtype=np.int64)
    candidate = np.asarray(columns["candidate"])
    new = np.ones(n, dtype=bool)
    new[1:] = (key[1:] != key[:-1]).any(axis=1) | (candidate[1:] <= candidate[:-1])
    block = np.cumsum(new) - 1
    first = np.flatnonzero(new)
    size = np.diff(np.append(first, n))
    announced = np.asarray(columns["n_candidates"])[first] if "n_candidates" in columns else np.full(len(first), n)
    event = np.arange(len(first))
    _, label = np.unique(key[first], axis=0, return_inverse=True)
    label = label.reshape(-1)
    open_ = np.flatnonzero(size < announced)
    times = np.bincount(label[open_], minlength=label.max() + 1)
    torn = open_[times[label[open_]] > 1]
    _merge(event, torn, label, first, size, announced, candidate)
    # renumber by first appearance: a merged block has the number of its earliest part
    _, dense = np.unique(event, return_inverse=True)
    return np.asarray(dense.reshape(-1)[block], dtype=np.int64)


def _merge(
    event: NDArray[np.int64],
    torn: NDArray[np.int64],
    label: NDArray[np.int64],
    first: NDArray[np.int64],
    size: NDArray[np.int64],
    announced: NDArray[Any],
    candidate: NDArray[Any],
) -> None:
    """Put incomplete blocks of the same numbers together, in place."""
    waiting: dict[tuple[int, float], tuple[int, set[float]]] = {}
    blocks: list[int] = torn.tolist()
    for b in blocks:
        where = (int(label[b]), float(announced[b]))
        mine = {float(c) for c in candidate[first[b] : first[b] + size[b]]}
        if where in waiting:
            head, have = waiting[where]
            if not (have & mine) and len(have) + len(mine) <= announced[b]:
                event[b] = head
                have |= mine
                continue
        waiting[where] = (b, mine)


def split_points(events: NDArray[np.int64], chunk_entries: int) -> list[tuple[int, int]]:
    """Ranges of rows, about ``chunk_entries`` long, with whole events only.

    Example:
        >>> split_points(np.array([0, 0, 0, 1, 2, 2]), 2)
        [(0, 3), (3, 6)]
    """
    n = len(events)
    if n == 0:
        return []
    last = np.zeros(int(events.max()) + 1, dtype=np.int64)
    np.maximum.at(last, events, np.arange(n))
    # a cut after row i is fair if no event of rows 0..i has a later row
    fair = np.flatnonzero(np.maximum.accumulate(last[events]) == np.arange(n)) + 1
    ranges, start = [], 0
    while start < n:
        stop = int(fair[min(int(np.searchsorted(fair, start + chunk_entries)), len(fair) - 1)])
        ranges.append((start, stop))
        start = stop
    return ranges


def candidates_to_events(columns: Mapping[str, NDArray[Any]], event_columns: Sequence[str] = EVENT_COLUMNS) -> ak.Array:
    """Group rows into events.

    Args:
        columns: arrays of one length; the numbers of :func:`event_numbers` among them.
        event_columns: columns that have one value per event (those that are there); the others become fields of
            the jagged ``candidates``.

    Returns:
        One record per event, in the order of first rows; candidates in the order of rows.

    Raises:
        InputError: columns of different lengths, an event column that differs within an event.

    Example:
        >>> e = candidates_to_events({"experiment": np.ones(3, int), "run": np.ones(3, int),
        ...     "event": np.array([5, 5, 6]), "candidate": np.array([0, 1, 0]), "mbc": np.array([5.27, 5.28, 5.2])})
        >>> e.event.to_list(), e.candidates.mbc.to_list()
        ([5, 6], [[5.27, 5.28], [5.2]])
    """
    lengths = {c: len(v) for c, v in columns.items()}
    if len(set(lengths.values())) > 1:
        raise InputError(f"columns of different lengths: {lengths}; read them from the same range of rows")
    numbers = event_numbers(columns)
    order = np.argsort(numbers, kind="stable")
    counts = np.bincount(numbers) if len(numbers) else np.zeros(0, dtype=np.int64)
    start = np.cumsum(counts) - counts
    fields: dict[str, Any] = {}
    inner: dict[str, Any] = {}
    for column, values in columns.items():
        sorted_ = np.asarray(values)[order]
        if column in event_columns:
            one = sorted_[start]
            same = (sorted_ == np.repeat(one, counts)) | (sorted_ != sorted_)
            if not same.all():
                row = int(np.flatnonzero(~same)[0])
                raise InputError(
                    f"column {column} differs within event {int(np.asarray(columns['event'])[order][row])}: "
                    f"{np.repeat(one, counts)[row]} and {sorted_[row]}; it is not a column of the event"
                )
            fields[column] = one
        else:
            inner[column] = ak.unflatten(sorted_, counts)
    fields["candidates"] = ak.zip(inner) if inner else ak.unflatten(np.zeros(len(order), dtype=np.int8), counts)
    return ak.zip(fields, depth_limit=1)
