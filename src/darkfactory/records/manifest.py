"""Manifests: what a stage made of a sample, part by part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["Manifest", "Missing", "Part"]


@dataclass(frozen=True)
class Part:
    """One chunk of one point, in one file.

    Attributes:
        point: name of the point, ``all`` for backgrounds.
        chunk: number of the chunk; the same chunk keeps its number through all stages.
        path: file name, relative to the manifest's folder.
        digest: digest of the content.
        n_generated: events generated for this chunk (what normalisation divides by).
        events: rows in the file.
        sumw: sum of the weights of these rows, fb times events.
        meta: what the stage adds: cross section, cutflow, ...
        book: what came in, went out and was rejected (:class:`darkfactory.records.books.Book`).
    """

    point: str
    chunk: int
    path: str
    digest: str
    n_generated: int
    events: int
    sumw: float
    meta: Mapping[str, Any] = field(default_factory=dict)
    book: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Missing:
    """A chunk that failed for good and that the campaign allows to fail: nothing of it counts anywhere.

    Attributes:
        point: name of the point.
        chunk: number of the chunk.
        stage: the stage that lost it; later stages repeat it.
        reason: one line.
    """

    point: str
    chunk: int
    stage: str
    reason: str


@dataclass(frozen=True)
class Manifest:
    """All parts of a block of a sample after a stage.

    Attributes:
        stage: name of the stage.
        sample: name of the sample.
        block: name of the block.
        parts: in the order of points and chunks.
        provenance: key of the request, code digest, versions, seed.
        missing: chunks that are not among the parts, since they failed here or in an earlier stage.
    """

    stage: str
    sample: str
    block: str
    parts: tuple[Part, ...]
    provenance: Mapping[str, Any] = field(default_factory=dict)
    missing: tuple[Missing, ...] = ()

    def points(self) -> list[str]:
        """Points in their order.

        Example:
            >>> Manifest("s", "x", "b", (Part("p", 0, "f", "d", 1, 1, 1.0),)).points()
            ['p']
        """
        return list(dict.fromkeys(p.point for p in self.parts))

    def of(self, point: str) -> list[Part]:
        """Parts of one point, by chunk."""
        return [p for p in self.parts if p.point == point]

    def to_dict(self) -> dict[str, Any]:
        """JSON-like form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Manifest:
        """Read the form of :meth:`to_dict`."""
        parts = tuple(Part(**p) for p in value["parts"])
        missing = tuple(Missing(**m) for m in value.get("missing", ()))
        return cls(value["stage"], value["sample"], value["block"], parts, value["provenance"], missing)
