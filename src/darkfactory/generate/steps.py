"""The sequence of two-body splittings that a topology stands for, and the maps of their variables."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from darkfactory.generate.mappings import Map
from darkfactory.generate.regions import Region
from darkfactory.generate.topology import LegLike, Line, Node, Topology

__all__ = ["Step", "chain_steps", "hard_variants"]


@dataclasses.dataclass(frozen=True)
class Step:
    """Splitting of a cluster or of the rest of the chain into ``a`` and ``b``."""

    parent: int
    a: int
    b: int
    side: int
    """0: decay; 1: a leaves the line from leg 0; 2: a leaves the line from leg 1."""
    left: int
    """Legs that have left the line of leg 0 before."""
    right: int
    map_a: Map | None
    map_b: Map | None
    angle: Map
    floor: float = 0.0
    """Least -t, where another channel covers smaller ones."""
    line2: float = 0.0
    """Squared mass m2 of the t-channel line; the variable is m2 - t."""
    soft: int = 0
    """Leg whose energy, logarithmically, stands for the helicity angle: 1 for a, 2 for b, 0 for none."""


def _invariant_map(node_mask: int, line: Line | None, sibling: int, legs: Sequence[LegLike]) -> Map | None:
    if node_mask & (node_mask - 1) == 0:
        return None
    soft = sibling & (sibling - 1) == 0 and legs[sibling.bit_length() - 1].pdg == 22
    if line is not None and line.width > 0:
        return Map("bw", line.mass**2, line.mass * line.width)
    if soft and line is None:
        return Map("soft")
    if soft and line is not None and line.mass == 0:
        return Map("logit")
    return Map("log", line.mass**2 if line is not None else 0.0)


def _decays(node: Node, legs: Sequence[LegLike], region: Region, top: bool) -> list[Step]:
    if not node.children:
        return []
    a, b = node.children
    soft = 0
    if not top:
        for number, child in enumerate((a, b), start=1):
            leg = child.mask.bit_length() - 1
            if not child.children and legs[leg].pdg == 22 and region.legs[leg].e_min > 0:
                soft = number
    step = Step(
        node.mask, a.mask, b.mask, 0, 0, 0,
        _invariant_map(a.mask, a.line, b.mask, legs), _invariant_map(b.mask, b.line, a.mask, legs),
        Map("log" if soft else "flat"), soft=soft,
    )  # fmt: skip
    return [step, *_decays(a, legs, region, False), *_decays(b, legs, region, False)]


def chain_steps(topology: Topology, legs: Sequence[LegLike], region: Region) -> list[Step]:
    """Splittings of a topology: the chain from both its ends inwards, then the clusters' trees."""
    clusters, lines = list(topology.clusters), list(topology.lines)
    steps: list[Step] = []
    left = right = 0
    side = 1
    while len(clusters) > 1:
        a = clusters.pop(0) if side == 1 else clusters.pop()
        line = lines.pop(0) if side == 1 else lines.pop()
        b_mask = sum(c.mask for c in clusters)
        b_line = clusters[0].line if len(clusters) == 1 else None
        steps.append(
            Step(
                a.mask | b_mask,
                a.mask,
                b_mask,
                side,
                left,
                right,
                _invariant_map(a.mask, a.line, b_mask, legs),
                _invariant_map(b_mask, b_line, a.mask, legs),
                Map("log"),
                line2=line.mass**2,
            )
        )
        left, right = (left | a.mask, right) if side == 1 else (left, right | a.mask)
        side = 3 - side
    top = len(topology.clusters) == 1
    for cluster in topology.clusters:
        steps += _decays(cluster, legs, region, top)
    return steps


def hard_variants(steps: list[Step], topology: Topology, region: Region) -> list[list[Step]]:
    """Variants for a pair between two photon lines that must have transverse momentum: one of them is hard.

    With q = p - p', -q^2 >= q_T^2, and the pair's momentum is the sum of both, so that one -t is at least
    (pt_min/2)^2.
    """
    middle = sum(c.mask for c in topology.clusters[1:-1])
    pt = max((p.pt_min for p in region.pairs if p.mask == middle), default=0.0)
    photons = len(topology.lines) >= 2 and topology.lines[0].mass == 0 and topology.lines[-1].mass == 0
    if not pt > 0 or not photons:
        return [steps]
    out = []
    for hard in (0, 1):
        floors = [dataclasses.replace(s, floor=pt * pt / 4) if i == hard else s for i, s in enumerate(steps)]
        out.append(floors)
    return out
