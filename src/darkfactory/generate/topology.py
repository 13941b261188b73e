"""From Feynman diagrams to phase-space topologies: chains of t-channel lines with trees of s-channel lines.

A topology is the ordered list of clusters that the line from leg 0 to leg 1 emits, each cluster a binary tree of
final legs. One cluster means a pure s-channel process.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Protocol

__all__ = ["DiagramLike", "LegLike", "Line", "Node", "PropagatorLike", "Topology", "permute", "topologies"]


class PropagatorLike(Protocol):
    """An internal line, see :class:`darkfactory.generate.amplitude.records.Propagator`."""

    @property
    def mask(self) -> int:
        """Final legs behind the line, as bits."""

    @property
    def mass(self) -> float:
        """Mass, GeV."""

    @property
    def width(self) -> float:
        """Width, GeV."""


class DiagramLike(Protocol):
    """A Feynman diagram."""

    @property
    def propagators(self) -> Sequence[PropagatorLike]:
        """Its internal lines."""


class LegLike(Protocol):
    """An external particle."""

    @property
    def name(self) -> str:
        """Name in the model."""

    @property
    def pdg(self) -> int:
        """PDG code."""

    @property
    def mass(self) -> float:
        """Mass, GeV."""

    @property
    def incoming(self) -> bool:
        """Whether it is one of the beams."""


@dataclasses.dataclass(frozen=True, order=True)
class Line:
    """Mass and width of a propagator, GeV."""

    mass: float
    width: float


@dataclasses.dataclass(frozen=True)
class Node:
    """A cluster: a final leg, or two clusters from a line (None where no propagator has this momentum)."""

    mask: int
    children: tuple[Node, ...] = ()
    line: Line | None = None


@dataclasses.dataclass(frozen=True)
class Topology:
    """Clusters from leg 0's end to leg 1's, and the t-channel lines between them."""

    clusters: tuple[Node, ...]
    lines: tuple[Line, ...]


def _tree(mask: int, s_lines: dict[int, Line]) -> Node:
    """Binary tree of the legs in ``mask`` with the nested s-channel masks as nodes."""
    if mask & (mask - 1) == 0:
        return Node(mask)
    inside = [m for m in s_lines if m != mask and m & mask == m]
    children = [m for m in inside if not any(m != o and m & o == m for o in inside)]
    covered = 0
    for m in children:
        covered |= m
    children += [1 << i for i in range(mask.bit_length()) if (mask & ~covered) >> i & 1]
    children.sort()
    nodes = [_tree(m, s_lines) for m in children]
    # vertices are cubic; anything longer is split without propagators
    while len(nodes) > 2:
        last, first = nodes.pop(), nodes.pop()
        nodes.append(Node(first.mask | last.mask, (first, last)))
    return Node(mask, tuple(nodes), s_lines.get(mask))


def topologies(diagrams: Sequence[DiagramLike], n_legs: int) -> tuple[Topology, ...]:
    """The different topologies of a set of diagrams.

    Args:
        diagrams: with propagators as bit masks of legs; those with leg 1 are t-channel.
        n_legs: number of legs, the two incoming ones included.

    Example:
        >>> from types import SimpleNamespace as N
        >>> d = N(propagators=(N(mask=0b1010, mass=0.1, width=0.0),))
        >>> [c.mask for c in topologies([d], 4)[0].clusters]
        [4, 8]
    """
    final = (1 << n_legs) - 4
    out: dict[Topology, None] = {}
    for diagram in diagrams:
        s_lines = {p.mask: Line(p.mass, p.width) for p in diagram.propagators if not p.mask & 2}
        chain = sorted((p for p in diagram.propagators if p.mask & 2), key=lambda p: -p.mask.bit_count())
        clusters, rest = [], final
        for p in chain:
            clusters.append(_tree(rest & ~p.mask, s_lines))
            rest &= p.mask
        clusters.append(_tree(rest, s_lines))
        out[Topology(tuple(clusters), tuple(Line(p.mass, p.width) for p in chain))] = None
    return tuple(out)


def _permute_mask(mask: int, where: dict[int, int]) -> int:
    return sum(1 << where.get(i, i) for i in range(mask.bit_length()) if mask >> i & 1)


def _permute_node(node: Node, where: dict[int, int]) -> Node:
    children = tuple(sorted((_permute_node(c, where) for c in node.children), key=lambda c: c.mask))
    return Node(_permute_mask(node.mask, where), children, node.line)


def permute(topology: Topology, legs: Sequence[LegLike]) -> Topology:
    """The representative of a topology under permutations of identical final legs.

    Topologies with the same representative have the same distributions and share grids and weights.
    """
    names: dict[str, list[int]] = {}
    for i, leg in enumerate(legs):
        if not leg.incoming:
            names.setdefault(leg.name, []).append(i)
    groups = [v for v in names.values() if len(v) > 1]
    images = []
    for choice in itertools.product(*(itertools.permutations(g) for g in groups)):
        where = {a: b for g, c in zip(groups, choice, strict=True) for a, b in zip(g, c, strict=True)}
        images.append(Topology(tuple(_permute_node(c, where) for c in topology.clusters), topology.lines))
    return min(images, key=repr)
