"""Invariants of a batch of events and their limits inside the generation cuts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from darkfactory.generate.frames import mass_squared, modulus
from darkfactory.generate.regions import Region
from darkfactory.generate.topology import LegLike

__all__ = ["Kinematics"]

Array = NDArray[np.float64]


class Kinematics:
    """Invariants of a batch of events, computed once for all channels.

    Args:
        region: generation cuts.
        legs: external particles.
        s: squared masses of the hard process, shape (n,).
        m2: squared masses of the legs, numbers or shape (n,).
        p: momenta of the legs, (4, n) each, once they are known.
    """

    def __init__(
        self,
        region: Region,
        legs: Sequence[LegLike],
        s: Array,
        m2: Sequence[float | Array],
        p: Sequence[Array | None] | None = None,
    ) -> None:
        self.region, self.legs, self.s, self.m2 = region, legs, s, [np.broadcast_to(np.asarray(m), s.shape) for m in m2]
        self.masses = [np.sqrt(m) for m in self.m2]
        self.root = np.sqrt(s)
        self.full = (1 << len(legs)) - 4
        self.beam_e = self.root / 2
        self.beam_k = np.sqrt(s / 4 - self.m2[0])
        self._p: dict[int, Array] = {}
        self._s: dict[int, Array] = {self.full: s}
        self._k: dict[int, Array] = {}
        self._low: dict[int, Array] = {}
        if p is not None:
            for i, x in enumerate(p):
                if x is not None:
                    self._p[1 << i] = x
        for i, m in enumerate(self.m2):
            self._s[1 << i] = m

    def single(self, mask: int) -> int | None:
        """Number of the leg if the mask has one only."""
        return mask.bit_length() - 1 if mask & (mask - 1) == 0 else None

    def p(self, mask: int) -> Array:
        """Momentum (4, n)."""
        if mask not in self._p:
            last = 1 << (mask.bit_length() - 1)
            self._p[mask] = self.p(mask ^ last) + self._p[last]
        return self._p[mask]

    def mass2(self, mask: int) -> Array:
        """Invariant (n,)."""
        if mask not in self._s:
            self._s[mask] = mass_squared(self.p(mask))
        return self._s[mask]

    def k(self, mask: int) -> Array:
        """Momentum's modulus (n,)."""
        if mask not in self._k:
            self._k[mask] = modulus(self.p(mask))
        return self._k[mask]

    def low(self, mask: int) -> Array:
        """Least invariant of a cluster inside the cuts."""
        if mask not in self._low:
            least = np.broadcast_to(np.asarray(self.region.least_mass(mask, self.masses)), self.s.shape) ** 2
            if mask.bit_count() == 2:
                i, j = (mask & -mask).bit_length() - 1, mask.bit_length() - 1
                for soft, other in ((i, j), (j, i)):
                    cut = self.region.legs[soft].e_min
                    if self.legs[soft].mass == 0 and cut > 0:
                        # 2 E_soft (E - p) with E - p >= m^2 / sqrt(s)
                        least = np.maximum(least, self.m2[other] * (1 + 2 * cut / self.root))
            self._low[mask] = np.maximum(least, 1e-14 * self.s)
        return self._low[mask]

    def high(self, parent: int, s_parent: Array, a: int, b: int, least_b: Array) -> Array:
        """Largest invariant of ``a`` in the splitting of ``parent`` to a and b."""
        limit = (np.sqrt(s_parent) - np.sqrt(least_b)) ** 2
        leg = self.single(b)
        if leg is not None and (cut := self.region.legs[leg].e_min) > 0:
            if parent == self.full:
                limit = np.minimum(limit, s_parent + self.m2[leg] - 2 * self.root * cut)
            elif self.legs[leg].mass == 0:
                # E_lab <= E* sqrt(s)/M
                limit = np.minimum(limit, s_parent * (1 - 2 * cut / self.root))
        limit = np.minimum(limit, s_parent * (1 - 1e-12))
        largest = self.region.largest_mass2(a)
        return np.asarray(np.minimum(limit, largest) if np.isfinite(largest) else limit)
