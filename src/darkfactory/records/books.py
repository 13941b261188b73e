"""Books: what a stage received of a sample, handed on and left behind, in events and in sums of weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["Book", "make_book"]


@dataclass(frozen=True)
class Book:
    """One stage of one chunk; weights in fb times events, not divided by the generated number.

    Attributes:
        events_in: events received.
        events_out: events with at least one row in the output.
        rows_out: rows of the output; candidates of one event count each.
        events_rejected: events received that have no row in the output.
        sumw_in: sum of their weights.
        sumw_out: weights of the events in the output, each once, as the output has them.
        sumw_rejected: weights of the events left behind.
        sumw_changed: by how much the stage changed the weights of the events that it kept (efficiencies, prescales).
    """

    events_in: int
    events_out: int
    rows_out: int
    events_rejected: int
    sumw_in: float
    sumw_out: float
    sumw_rejected: float
    sumw_changed: float

    def __add__(self, other: Book) -> Book:
        """Two chunks together."""
        return Book(**{k: v + getattr(other, k) for k, v in asdict(self).items()})

    @staticmethod
    def total(books: Sequence[Book]) -> Book:
        """All chunks of a sample, in the order given.

        Example:
            >>> Book.total([Book(2, 1, 1, 1, 2.0, 1.0, 1.0, 0.0)] * 2).events_in
            4
        """
        result = books[0]
        for one in books[1:]:
            result = result + one
        return result

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Book:
        """Read the JSON-like form of :func:`dataclasses.asdict`."""
        return cls(**value)

    def open(self, tolerance: float = 1e-9) -> str:
        """Why the books do not close; empty where they do.

        Args:
            tolerance: of sums of weights, relative to what came in.

        Example:
            >>> Book(3, 1, 1, 1, 3.0, 1.0, 2.0, 0.0).open()
            '3 events came in, 1 went out and 1 were rejected'
        """
        if self.events_in != self.events_out + self.events_rejected:
            return (
                f"{self.events_in} events came in, {self.events_out} went out and {self.events_rejected} were rejected"
            )
        left = self.sumw_in - self.sumw_rejected + self.sumw_changed - self.sumw_out
        if not abs(left) <= tolerance * max(abs(self.sumw_in), abs(self.sumw_out)):
            return f"weights of {left:g} of {self.sumw_in:g} are neither in the output nor rejected"
        return ""


def make_book(ids: ArrayLike, weights: ArrayLike, kept_ids: ArrayLike, kept_weights: ArrayLike) -> Book:
    """The book of a stage that reads events and writes rows, each with the identifier of its event.

    Args:
        ids: of the events read, each once.
        weights: of these events.
        kept_ids: of the rows written.
        kept_weights: of these rows; rows of one event have one weight.

    Example:
        >>> book = make_book([1, 2, 3], [1.0, 2.0, 4.0], [1, 1, 3], [0.5, 0.5, 4.0])
        >>> book.events_rejected, book.sumw_rejected, book.sumw_changed, book.open()
        (1, 2.0, -0.5, '')
    """
    before, weight = np.asarray(ids), np.asarray(weights, dtype=float)
    rows, written = np.asarray(kept_ids), np.asarray(kept_weights, dtype=float)
    after, first = np.unique(rows, return_index=True)
    kept = np.isin(before, after)
    out = float(np.sum(written[first]))
    return Book(
        events_in=len(before),
        events_out=len(after),
        rows_out=len(rows),
        events_rejected=int(np.sum(~kept)),
        sumw_in=float(np.sum(weight)),
        sumw_out=out,
        sumw_rejected=float(np.sum(weight[~kept])),
        sumw_changed=out - float(np.sum(weight[kept])),
    )
