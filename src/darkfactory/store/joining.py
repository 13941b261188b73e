"""Events of one tree or of several: chunks that split none, and which event a row belongs to.

Rows of one tree are grouped as :mod:`darkfactory.store.grouping` says. Trees of several particle lists are joined by
the numbers of experiment, run and event (and of the production, where all have it); there equal numbers must mean one
event.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkfactory.core.errors import InputError
from darkfactory.store.grouping import event_numbers, split_points

__all__ = ["INDEX", "INDEX_OPTIONAL", "ChunkPlan", "Joined", "join_rows", "plan_chunks"]

INDEX = ("experiment", "run", "event")
"""Columns that every tree must have."""
INDEX_OPTIONAL = ("production", "candidate", "n_candidates")
"""Columns that are used where a tree has them."""

Array = NDArray[Any]
Columns = Mapping[str, Array]


@dataclass(frozen=True)
class ChunkPlan:
    """Rows of a chunk.

    Attributes:
        rows: tree to its first row and the row after its last.
        first: numbers of the first event, of joined trees; empty for a single tree.
        last: numbers of the last event.
        events: how many events there are.
    """

    rows: Mapping[str, tuple[int, int]]
    first: tuple[int, ...]
    last: tuple[int, ...]
    events: int


@dataclass(frozen=True, eq=False)
class Joined:
    """Events of a chunk.

    Attributes:
        keys: numbers of experiment, run and event, shape (events, 3 or 4).
        rows: tree to the rows that belong to the chunk.
        event: tree to the number of the event (0, 1, ...) of each of these rows.
    """

    keys: NDArray[np.int64]
    rows: Mapping[str, NDArray[np.int64]]
    event: Mapping[str, NDArray[np.int64]]


def _key_names(trees: Mapping[str, Columns]) -> tuple[str, ...]:
    return (*INDEX, "production") if all("production" in t for t in trees.values()) else INDEX


def _keys(columns: Columns, names: Sequence[str]) -> NDArray[np.int64]:
    return np.stack([np.asarray(columns[c], dtype=np.int64) for c in names], axis=1)


def _numbers(columns: Columns) -> NDArray[np.int64]:
    """Events of one tree; without a counter of candidates, equal numbers are one event."""
    if "candidate" in columns:
        return event_numbers(columns)
    keys = _keys(columns, _key_names({"": columns}))
    if not len(keys):
        return np.zeros(0, dtype=np.int64)
    _, first, inverse = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse.reshape(-1)]


def _check_unique(tree: str, columns: Columns, names: Sequence[str]) -> None:
    if "candidate" not in columns or not len(columns["event"]):
        return
    numbers, keys = event_numbers(columns), _keys(columns, names)
    first = np.unique(numbers, return_index=True)[1]
    values, counts = np.unique(keys[first], axis=0, return_counts=True)
    if (counts > 1).any():
        which = values[np.argmax(counts > 1)].tolist()
        raise InputError(
            f"tree {tree}: several events have the numbers {dict(zip(names, which, strict=True))}, so trees cannot be "
            "joined; keep the files of different jobs apart, or write all objects into one tree"
        )


def plan_chunks(trees: Mapping[str, Columns], size: int) -> list[ChunkPlan]:
    """Chunks of whole events.

    Args:
        trees: tree to its index columns.
        size: rows of a chunk, of a single tree; events of a chunk, of several.

    Raises:
        InputError: numbers that several events share, where trees must be joined by them.

    Example:
        >>> one = {"experiment": np.ones(3, int), "run": np.ones(3, int), "event": np.array([4, 4, 5])}
        >>> two = {"experiment": np.ones(2, int), "run": np.ones(2, int), "event": np.array([5, 6])}
        >>> [(c.rows, c.events) for c in plan_chunks({"a": one, "b": two}, 2)]
        [({'a': (0, 3), 'b': (0, 1)}, 2), ({'a': (0, 0), 'b': (1, 2)}, 1)]
    """
    if len(trees) == 1:
        ((tree, columns),) = trees.items()
        numbers = _numbers(columns)
        return [ChunkPlan({tree: (a, b)}, (), (), len(np.unique(numbers[a:b]))) for a, b in split_points(numbers, size)]
    names = _key_names(trees)
    for tree, columns in trees.items():
        _check_unique(tree, columns, names)
    keys = {tree: _keys(columns, names) for tree, columns in trees.items()}
    every = np.concatenate(list(keys.values()))
    if not len(every):
        return []
    events, label = np.unique(every, axis=0, return_inverse=True)
    block = label.reshape(-1) // size
    n_blocks = int(block.max()) + 1
    rows: dict[str, tuple[Array, Array]] = {}
    at = 0
    for tree, values in keys.items():
        mine = block[at : at + len(values)]
        at += len(values)
        # rows of a chunk are a range also where the events of a tree are not in order; others are left out on reading
        low, high = np.full(n_blocks, len(values), dtype=np.int64), np.zeros(n_blocks, dtype=np.int64)
        np.minimum.at(low, mine, np.arange(len(values)))
        np.maximum.at(high, mine, np.arange(len(values)) + 1)
        rows[tree] = (np.where(high == 0, 0, low), high)
    plans = []
    for b in range(n_blocks):
        inside = events[b * size : (b + 1) * size]
        ranges = {tree: (int(low[b]), int(high[b])) for tree, (low, high) in rows.items()}
        plans.append(ChunkPlan(ranges, tuple(inside[0].tolist()), tuple(inside[-1].tolist()), len(inside)))
    return plans


def _not_before(keys: NDArray[np.int64], limit: Sequence[int]) -> NDArray[np.bool_]:
    """Whether keys are at or after a limit, compared number by number."""
    after = np.zeros(len(keys), dtype=bool)
    equal = np.ones(len(keys), dtype=bool)
    for i, value in enumerate(limit):
        after |= equal & (keys[:, i] > value)
        equal &= keys[:, i] == value
    return np.asarray(after | equal)


def join_rows(trees: Mapping[str, Columns], plan: ChunkPlan) -> Joined:
    """Events of a chunk and their rows.

    Args:
        trees: tree to its index columns in the rows of the plan.
        plan: the chunk.

    Example:
        >>> one = {"experiment": np.ones(3, int), "run": np.ones(3, int), "event": np.array([4, 4, 5])}
        >>> two = {"experiment": np.ones(2, int), "run": np.ones(2, int), "event": np.array([5, 6])}
        >>> plan, = plan_chunks({"a": one, "b": two}, 10)
        >>> joined = join_rows({"a": one, "b": two}, plan)
        >>> joined.keys[:, 2].tolist(), joined.event["a"].tolist(), joined.event["b"].tolist()
        ([4, 5, 6], [0, 0, 1], [1, 2])
    """
    names = _key_names(trees)
    if len(trees) == 1:
        ((tree, columns),) = trees.items()
        numbers = _numbers(columns)
        first = np.unique(numbers, return_index=True)[1]
        return Joined(_keys(columns, names)[first], {tree: np.arange(len(numbers))}, {tree: numbers})
    rows, keys = {}, {}
    for tree, columns in trees.items():
        mine = _keys(columns, names)
        backwards = [-v for v in plan.last]
        inside = _not_before(mine, plan.first) & _not_before(-mine, backwards)
        rows[tree] = np.flatnonzero(inside)
        keys[tree] = mine[rows[tree]]
    events, label = np.unique(np.concatenate(list(keys.values())), axis=0, return_inverse=True)
    ends = np.cumsum([len(k) for k in keys.values()])[:-1]
    return Joined(events, rows, dict(zip(keys, np.split(label.reshape(-1), ends), strict=True)))
