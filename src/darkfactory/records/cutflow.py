"""The cutflow: what each named cut kept, mergeable over chunks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from darkfactory.core.errors import RunError

__all__ = ["Cutflow"]


@dataclass(frozen=True)
class Cutflow:
    """Events and weights after each named cut, applied in order.

    Attributes:
        names: cut names, in order; the first is ``all``.
        events: unweighted counts after each cut.
        sumw: sums of weights (fb times events, not yet divided by the generated number).
        sumw2: sums of squared weights.

    Example:
        >>> a = Cutflow(("all", "two_tracks"), (10, 4), (5.0, 2.0), (2.5, 1.0))
        >>> (a + a).events
        (20, 8)
    """

    names: tuple[str, ...]
    events: tuple[int, ...]
    sumw: tuple[float, ...]
    sumw2: tuple[float, ...]

    def __add__(self, other: Cutflow) -> Cutflow:
        """Merge the cutflows of two chunks; the cuts must be the same."""
        if self.names != other.names:
            raise RunError(f"cutflows of different cuts cannot be added: {self.names} and {other.names}")
        return Cutflow(
            self.names,
            tuple(a + b for a, b in zip(self.events, other.events, strict=True)),
            tuple(a + b for a, b in zip(self.sumw, other.sumw, strict=True)),
            tuple(a + b for a, b in zip(self.sumw2, other.sumw2, strict=True)),
        )

    @staticmethod
    def total(parts: Sequence[Cutflow]) -> Cutflow:
        """Sum in the order given (the order is part of the bits).

        Example:
            >>> Cutflow.total([Cutflow(("all",), (1,), (1.0,), (1.0,))] * 2).sumw
            (2.0,)
        """
        result = parts[0]
        for part in parts[1:]:
            result = result + part
        return result

    def to_dict(self) -> dict[str, Any]:
        """JSON-like form.

        Example:
            >>> Cutflow(("all",), (1,), (1.0,), (1.0,)).to_dict()["names"]
            ['all']
        """
        return {k: list(getattr(self, k)) for k in ("names", "events", "sumw", "sumw2")}

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Cutflow:
        """Read the form of :meth:`to_dict`.

        Example:
            >>> Cutflow.from_dict({"names": ["all"], "events": [1], "sumw": [1.0], "sumw2": [1.0]}).events
            (1,)
        """
        return cls(*(tuple(value[k]) for k in ("names", "events", "sumw", "sumw2")))
