"""Generation cuts as masks on events and as bounds on the variables of the phase-space maps."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from darkfactory.config.process import ProcessCuts
from darkfactory.generate.topology import LegLike

__all__ = ["LegRegion", "PairRegion", "Region", "make_region"]

Array = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class LegRegion:
    """Cuts on one leg in the rest frame of the hard process."""

    e_min: float = 0.0
    cos: tuple[float, float] = (-1.0, 1.0)

    @property
    def open(self) -> bool:
        """Whether nothing is cut."""
        return self.e_min <= 0 and self.cos == (-1.0, 1.0)


@dataclasses.dataclass(frozen=True)
class PairRegion:
    """Cuts on the sum of the legs in ``mask``."""

    mask: int
    mass_min: float
    mass_max: float | None
    pt_min: float


@dataclasses.dataclass(frozen=True)
class Region:
    """All generation cuts of a process, by leg number and mask."""

    legs: tuple[LegRegion, ...]
    pairs: tuple[PairRegion, ...]

    def passes(self, p: Sequence[Array | None]) -> NDArray[np.bool_]:
        """Events inside; ``p[i]`` is leg i of shape (4, n), None for incoming legs."""
        first = next(x for x in p if x is not None)
        ok = np.ones(first.shape[1], dtype=bool)
        for leg, cut in zip(p, self.legs, strict=True):
            if leg is None or cut.open:
                continue
            ok &= leg[0] >= cut.e_min
            if cut.cos != (-1.0, 1.0):
                k = np.sqrt(leg[1] ** 2 + leg[2] ** 2 + leg[3] ** 2)
                ok &= (leg[3] >= cut.cos[0] * k) & (leg[3] <= cut.cos[1] * k)
        for pair in self.pairs:
            members = [x for i, x in enumerate(p) if x is not None and pair.mask >> i & 1]
            total = members[0] + members[1]
            m2 = total[0] ** 2 - total[1] ** 2 - total[2] ** 2 - total[3] ** 2
            ok &= m2 >= pair.mass_min**2
            if pair.mass_max is not None:
                ok &= m2 <= pair.mass_max**2
            if pair.pt_min > 0:
                ok &= total[1] ** 2 + total[2] ** 2 >= pair.pt_min**2
        return ok

    def least_mass(self, mask: int, masses: Sequence[float | Array]) -> float | Array:
        """Least invariant mass of the legs in ``mask``."""
        inside = [i for i in range(mask.bit_length()) if mask >> i & 1]
        total: float | Array = sum((masses[i] for i in inside), start=0.0)
        for pair in self.pairs:
            if pair.mass_min > 0 and pair.mask & mask == pair.mask:
                rest = sum((masses[i] for i in inside if not pair.mask >> i & 1), start=0.0)
                total = np.maximum(total, pair.mass_min + rest)
        return total

    def largest_mass2(self, mask: int) -> float:
        """Largest invariant mass squared of exactly the legs in ``mask``."""
        limits = [p.mass_max**2 for p in self.pairs if p.mask == mask and p.mass_max is not None]
        return min(limits, default=np.inf)


def make_region(cuts: ProcessCuts, legs: Sequence[LegLike]) -> Region:
    """Resolve names of legs.

    Example:
        >>> from types import SimpleNamespace as N
        >>> legs = [N(name=n, incoming=i < 2) for i, n in enumerate(["e-", "e+", "gamma", "gamma"])]
        >>> cut = ProcessCuts.model_validate({"legs": [{"leg": "gamma", "cos_cms": [-0.9, 0.9]}]})
        >>> make_region(cut, legs).legs[3].cos
        (-0.9, 0.9)
    """
    out = []
    for leg in legs:
        here = [c for c in cuts.legs if c.leg == leg.name and not leg.incoming]
        lo = max((c.cos_cms[0] for c in here), default=-1.0)
        hi = min((c.cos_cms[1] for c in here), default=1.0)
        out.append(LegRegion(max((c.e_cms_min for c in here), default=0.0), (lo, hi)))
    pairs = []
    for c in cuts.pairs:
        groups = [[i for i, leg in enumerate(legs) if leg.name == n and not leg.incoming] for n in c.legs]
        for i, j in itertools.product(*groups):
            if i != j and (c.legs[0] != c.legs[1] or i < j):
                pairs.append(PairRegion(1 << i | 1 << j, c.mass_min, c.mass_max, c.pt_min))
    return Region(tuple(out), tuple(pairs))
