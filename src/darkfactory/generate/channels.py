"""Phase-space channels: one invertible map of the unit cube to final states per topology.

Clusters are peeled from the t-channel chain alternately at leg 0's and at leg 1's end; their masses, momentum
transfers and helicity angles are mapped (:mod:`darkfactory.generate.mappings`), azimuths are flat. Byckling, Kajantie,
Particle Kinematics (1973), ch. V; Kleiss, Pittau, Comput. Phys. Commun. 83 (1994) 141.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from darkfactory.generate.frames import (
    boost_from,
    boost_to,
    least_t,
    mass_squared,
    modulus,
    momentum_of,
    polar,
    rotate,
)
from darkfactory.generate.mappings import Map
from darkfactory.generate.regions import Region
from darkfactory.generate.topology import LegLike, Line, Node, Topology

__all__ = ["Channel", "Kinematics", "Step", "make_channels"]

Array = NDArray[np.float64]
_EDGE = 1e-7


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
        return np.minimum(limit, largest) if np.isfinite(largest) else limit


@dataclasses.dataclass(frozen=True)
class Channel:
    """One map; ``dims`` gridded numbers and one azimuth per step.

    Attributes:
        steps: splittings, parents before children.
        group: channels of one group share grid and weight (permutations of identical legs).
        dims: gridded dimensions.
    """

    steps: tuple[Step, ...]
    group: int
    dims: int

    def generate(self, kin: Kinematics, u: Array, azimuths: Array) -> tuple[list[Array | None], NDArray[np.bool_]]:
        """Final momenta.

        Args:
            kin: batch without momenta.
            u: gridded numbers, (dims, n).
            azimuths: uniform numbers, (steps, n).

        Returns:
            Momenta of the legs, (4, n) each, None for incoming legs; events that are inside the limits.
        """
        n = len(kin.s)
        zero = np.zeros(n)
        p: dict[int, Array] = {kin.full: np.stack([kin.root, zero, zero, zero])}
        inv: dict[int, Array] = {kin.full: kin.s, **{1 << i: m for i, m in enumerate(kin.m2)}}
        virt = {0: kin.m2[0], -1: kin.m2[1]}
        ok = np.ones(n, dtype=bool)
        d = 0
        for step, az in zip(self.steps, azimuths, strict=True):
            s_par = inv[step.parent]
            for mask, other, mapping in ((step.a, step.b, step.map_a), (step.b, step.a, step.map_b)):
                if mapping is not None:
                    lo, hi, good = self._limits(kin, step, mask, other, inv)
                    ok &= good
                    inv[mask] = mapping.draw(u[d], lo, hi, s_par)
                    d += 1
            sa, sb = inv[step.a], inv[step.b]
            m = np.sqrt(s_par)
            ka = momentum_of(s_par, sa, sb)
            phi = 2 * np.pi * az
            if step.side == 0:
                lo, hi, scale, offset, good = self._decay_range(kin, step, p[step.parent], s_par, sa, sb, ka)
                ok &= good
                x = step.angle.draw(u[d], lo, hi, s_par)
                omc = np.clip(1.0 - (x - offset) / scale, 0.0, 2.0)
                vec = rotate(polar(ka, sa, omc, phi), p[step.parent])
            else:
                ql, qr = virt[0], virt[-1]
                lo, hi, k, least, good = self._t_range(kin, step, s_par, sa, sb, ka, ql, qr)
                ok &= good
                y = step.angle.draw(u[d], lo, hi, s_par)
                omc = np.clip((y - least) / (2 * k * np.where(ka > 0, ka, 1.0)), 0.0, 2.0)
                vec = polar(ka, sa, omc, phi)
                if step.parent == kin.full:
                    if step.side == 2:
                        vec = vec * np.array([[1.0], [1.0], [-1.0], [-1.0]])
                else:
                    sign = 1.0 if step.side == 1 else -1.0
                    beam = np.stack([kin.beam_e, zero, zero, sign * kin.beam_k])
                    gone = step.left if step.side == 1 else step.right
                    if gone:
                        beam = beam - p[gone]
                    vec = rotate(vec, boost_to(beam, p[step.parent], m))
                virt[0 if step.side == 1 else -1] = step.line2 - y
            d += 1
            if step.parent == kin.full:
                p[step.a] = vec
                p[step.b] = np.stack([m - vec[0], -vec[1], -vec[2], -vec[3]])
            else:
                p[step.a] = boost_from(vec, p[step.parent], m)
                p[step.b] = p[step.parent] - p[step.a]
            if step.side == 1 and step.left:
                p[step.left | step.a] = p[step.left] + p[step.a]
            if step.side == 2 and step.right:
                p[step.right | step.a] = p[step.right] + p[step.a]
        out: list[Array | None] = [None, None]
        for i in range(2, len(kin.legs)):
            q = p[1 << i]
            # exactly on shell: differences of large vectors are not
            q = np.stack([np.sqrt(q[1] ** 2 + q[2] ** 2 + q[3] ** 2 + kin.m2[i]), q[1], q[2], q[3]])
            out.append(q)
        return out, ok

    def invert(self, kin: Kinematics) -> tuple[Array, Array]:
        """The cube's numbers that make these momenta, (dims, n), and the volume element dPhi/du, 0 outside the map.

        The volume is that of dPhi_n = (2 pi)^4 delta^4 prod d^3p / ((2 pi)^3 2E).
        """
        n = len(kin.s)
        u = np.empty((self.dims, n))
        jac = np.ones(n)
        ok = np.ones(n, dtype=bool)
        inv = {kin.full: kin.s}
        virt = {0: kin.m2[0], -1: kin.m2[1]}
        d = 0
        for step in self.steps:
            s_par = kin.mass2(step.parent)
            inv[step.parent], inv[step.a], inv[step.b] = s_par, kin.mass2(step.a), kin.mass2(step.b)
            for mask, other, mapping in ((step.a, step.b, step.map_a), (step.b, step.a, step.map_b)):
                if mapping is not None:
                    known = {step.parent: s_par}
                    # b is drawn after a
                    if mask == step.b or kin.single(other) is not None:
                        known[other] = inv[other]
                    lo, hi, good = self._limits(kin, step, mask, other, known)
                    ok &= good
                    x = np.clip(inv[mask], lo * (1 - _EDGE), None)
                    u[d], slope = mapping.invert(np.clip(x, lo, hi), lo, hi, s_par)
                    ok &= (x >= lo * (1 - _EDGE)) & (x <= hi * (1 + _EDGE))
                    jac *= slope / (2 * np.pi)
                    d += 1
            sa, sb = inv[step.a], inv[step.b]
            ka = momentum_of(s_par, sa, sb)
            m = np.sqrt(s_par)
            if step.side == 0:
                lo, hi, scale, offset, good = self._decay_range(kin, step, self._par(kin, step), s_par, sa, sb, ka)
                ok &= good
                x = self._decay_value(kin, step, scale, offset, s_par, sa, sb, ka)
                width = hi - lo
                ok &= (x >= lo - _EDGE * width) & (x <= hi + _EDGE * width)
                u[d], slope = step.angle.invert(np.clip(x, lo, hi), lo, hi, s_par)
                jac *= ka / (8 * np.pi * m) * slope / np.abs(scale)
            else:
                lo, hi, k, _, good = self._t_range(kin, step, s_par, sa, sb, ka, virt[0], virt[-1])
                y = self._t_value(kin, step)
                ok &= good & (y >= lo * (1 - _EDGE)) & (y <= hi * (1 + _EDGE))
                u[d], slope = step.angle.invert(np.clip(y, lo, hi), lo, hi, s_par)
                jac *= slope / (16 * np.pi * k * m)
                virt[0 if step.side == 1 else -1] = step.line2 - y
            d += 1
        return u, np.where(ok, jac, 0.0)

    @staticmethod
    def _par(kin: Kinematics, step: Step) -> Array:
        if step.parent == kin.full:
            zero = np.zeros_like(kin.s)
            return np.stack([kin.root, zero, zero, zero])
        return kin.p(step.parent)

    @staticmethod
    def _limits(
        kin: Kinematics, step: Step, mask: int, other: int, inv: dict[int, Array]
    ) -> tuple[Array, Array, NDArray[np.bool_]]:
        least = inv[other] if other in inv else kin.low(other)
        lo = kin.low(mask)
        hi = kin.high(step.parent, inv[step.parent], mask, other, least)
        good = hi > lo * (1 + 1e-12)
        return lo, np.where(good, hi, lo * (1 + 1e-9)), good

    @staticmethod
    def _decay_range(
        kin: Kinematics, step: Step, parent: Array, s_par: Array, sa: Array, sb: Array, ka: Array
    ) -> tuple[Array, Array, Array, Array, NDArray[np.bool_]]:
        """Limits of the angular variable x = offset + scale cos: the cosine, or a soft leg's energy."""
        n = len(s_par)
        one, zero = np.ones(n), np.zeros(n)
        la, lb = kin.single(step.a), kin.single(step.b)
        lo, hi = -one, one.copy()
        if step.parent == kin.full:
            if la is not None:
                c = kin.region.legs[la].cos
                lo, hi = np.maximum(lo, c[0]), np.minimum(hi, c[1])
            if lb is not None:
                c = kin.region.legs[lb].cos
                lo, hi = np.maximum(lo, -c[1]), np.minimum(hi, -c[0])
            return lo, hi, one, zero, np.ones(n, dtype=bool)
        k = modulus(parent)
        m = np.sqrt(s_par)
        ea, eb = (s_par + sa - sb) / (2 * m), (s_par + sb - sa) / (2 * m)
        slope = np.maximum(k * ka / m, 1e-300)
        # E_a = (E E_a* + k k_a cos)/M and the same with -cos for b
        if la is not None and (cut := kin.region.legs[la].e_min) > 0:
            lo = np.maximum(lo, (cut - parent[0] * ea / m) / slope)
        if lb is not None and (cut := kin.region.legs[lb].e_min) > 0:
            hi = np.minimum(hi, (parent[0] * eb / m - cut) / slope)
        good = hi > lo + 1e-12
        lo, hi = np.where(good, lo, -1.0), np.where(good, hi, 1.0)
        if step.soft == 0:
            return lo, hi, one, zero, good
        # logarithmic in the energy of the soft leg
        if step.soft == 1:
            offset = parent[0] * ea / m
            return offset + slope * lo, offset + slope * hi, slope, offset, good
        offset = parent[0] * eb / m
        return offset - slope * hi, offset - slope * lo, -slope, offset, good

    @staticmethod
    def _decay_value(
        kin: Kinematics, step: Step, scale: Array, offset: Array, s_par: Array, sa: Array, sb: Array, ka: Array
    ) -> Array:
        pa = kin.p(step.a)
        if step.parent == kin.full:
            return np.asarray(pa[3] / kin.k(step.a))
        m = np.sqrt(s_par)
        if step.soft:
            return pa[0] if step.soft == 1 else kin.p(step.b)[0]
        slope = np.maximum(kin.k(step.parent) * ka, 1e-300)
        return np.asarray((m * pa[0] - kin.p(step.parent)[0] * (s_par + sa - sb) / (2 * m)) / slope)

    @staticmethod
    def _t_range(
        kin: Kinematics, step: Step, s_par: Array, sa: Array, sb: Array, ka: Array, ql: Array, qr: Array
    ) -> tuple[Array, Array, Array, Array, NDArray[np.bool_]]:
        """Limits of y = m2 - t, momentum of the incoming line, y at zero angle."""
        m = np.sqrt(s_par)
        q2, o2 = (ql, qr) if step.side == 1 else (qr, ql)
        k = np.sqrt(np.maximum((s_par - ql - qr) ** 2 - 4 * ql * qr, 0.0)) / (2 * m)
        e = (s_par + q2 - o2) / (2 * m)
        ea = (s_par + sa - sb) / (2 * m)
        if step.parent == kin.full and _other_side(kin, step):
            least = least_t(step.line2, o2, sb, m - e, k, m - ea, ka, (o2 - sb + sa - q2) / (2 * m))
        else:
            least = least_t(step.line2, q2, sa, e, k, ea, ka, (q2 - sa + sb - o2) / (2 * m))
        span = 2 * k * ka
        lo, hi = least, least + 2 * span
        la, lb = kin.single(step.a), kin.single(step.b)
        if step.parent == kin.full:
            c_lo, c_hi = -1.0, 1.0
            if la is not None:
                c_lo, c_hi = max(c_lo, kin.region.legs[la].cos[0]), min(c_hi, kin.region.legs[la].cos[1])
            if lb is not None:
                c_lo, c_hi = max(c_lo, -kin.region.legs[lb].cos[1]), min(c_hi, -kin.region.legs[lb].cos[0])
            lo, hi = least + span * (1 - c_hi), least + span * (1 - c_lo)
        elif step.side == 2 and step.right == 0 and la is not None and not kin.region.legs[la].open:
            cut = kin.region.legs[la]
            c, mass2 = -cut.cos[0], kin.m2[la]
            e_least = np.maximum(cut.e_min, np.sqrt(mass2))
            if c > 0:
                e_least = np.maximum(e_least, np.sqrt(mass2 / max(1 - c * c, 1e-12)))
            p_least = np.sqrt(np.maximum(e_least**2 - mass2, 0.0))
            t_cut = kin.m2[1] + mass2 - 2 * (kin.beam_e * e_least - kin.beam_k * p_least * c)
            lo = np.maximum(lo, step.line2 - t_cut)
        if step.floor > 0:
            lo = np.maximum(lo, step.floor)
        good = (hi > lo * (1 + 1e-12)) & (lo > 0)
        return np.where(good, lo, 1.0), np.where(good, hi, 2.0), np.maximum(k, 1e-300), least, good

    @staticmethod
    def _t_value(kin: Kinematics, step: Step) -> Array:
        pa = kin.p(step.a)
        gone = step.left if step.side == 1 else step.right
        sign = 1.0 if step.side == 1 else -1.0
        if gone:
            zero = np.zeros_like(kin.s)
            q = np.stack([kin.beam_e, zero, zero, sign * kin.beam_k]) - kin.p(gone) - pa
            return np.asarray(step.line2 - (q[0] ** 2 - q[1] ** 2 - q[2] ** 2 - q[3] ** 2))
        mask = step.a
        if step.parent == kin.full and _other_side(kin, step):
            mask, sign = step.b, -sign
            pa = kin.p(mask)
        ka, pz = kin.k(mask), sign * pa[3]
        pt2 = pa[1] ** 2 + pa[2] ** 2
        omc = np.where(pz > 0, pt2 / (ka * (ka + np.abs(pz))), 1 - pz / ka)
        q2 = kin.m2[0 if step.side == 1 else 1]
        least = least_t(step.line2, q2, kin.mass2(mask), kin.beam_e, kin.beam_k, pa[0], ka, kin.beam_e - pa[0])
        return np.asarray(least + 2 * kin.beam_k * ka * omc)


def _other_side(kin: Kinematics, step: Step) -> bool:
    """Whether t is more exact as (p_1 - p_b)^2: b is a leg, a is not."""
    return kin.single(step.a) is None and kin.single(step.b) is not None


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


def _chain(topology: Topology, legs: Sequence[LegLike], region: Region) -> list[Step]:
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
                a.mask | b_mask, a.mask, b_mask, side, left, right,
                _invariant_map(a.mask, a.line, b_mask, legs), _invariant_map(b_mask, b_line, a.mask, legs),
                Map("log"), line2=line.mass**2,
            )  # fmt: skip
        )
        left, right = (left | a.mask, right) if side == 1 else (left, right | a.mask)
        side = 3 - side
    top = len(topology.clusters) == 1
    for cluster in topology.clusters:
        steps += _decays(cluster, legs, region, top)
    return steps


def _floors(steps: list[Step], topology: Topology, region: Region) -> list[list[Step]]:
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


def make_channels(
    found: Sequence[Topology], representatives: Sequence[Topology], legs: Sequence[LegLike], region: Region
) -> tuple[Channel, ...]:
    """Channels of a process's topologies; those with one representative are of one group."""
    groups: dict[tuple[Topology, int], int] = {}
    out: dict[tuple[Step, ...], Channel] = {}
    for topology, representative in zip(found, representatives, strict=True):
        for variant, steps in enumerate(_floors(_chain(topology, legs, region), topology, region)):
            dims = sum(1 + (s.map_a is not None) + (s.map_b is not None) for s in steps)
            key = tuple(steps)
            if key not in out:
                group = groups.setdefault((representative, variant), len(groups))
                out[key] = Channel(key, group, dims)
    return tuple(out.values())
