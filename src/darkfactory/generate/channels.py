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

from darkfactory.generate.frames import boost_from, boost_to, least_t, modulus, momentum_of, polar, rotate
from darkfactory.generate.invariants import Kinematics
from darkfactory.generate.regions import Region
from darkfactory.generate.steps import Step, chain_steps, hard_variants
from darkfactory.generate.topology import LegLike, Topology

__all__ = ["Channel", "make_channels"]

Array = NDArray[np.float64]
_EDGE = 1e-7


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
            return np.asarray(pa[0] if step.soft == 1 else kin.p(step.b)[0])
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


def make_channels(
    found: Sequence[Topology], representatives: Sequence[Topology], legs: Sequence[LegLike], region: Region
) -> tuple[Channel, ...]:
    """Channels of a process's topologies; those with one representative are of one group."""
    groups: dict[tuple[Topology, int], int] = {}
    out: dict[tuple[Step, ...], Channel] = {}
    for topology, representative in zip(found, representatives, strict=True):
        for variant, steps in enumerate(hard_variants(chain_steps(topology, legs, region), topology, region)):
            dims = sum(1 + (s.map_a is not None) + (s.map_b is not None) for s in steps)
            key = tuple(steps)
            if key not in out:
                group = groups.setdefault((representative, variant), len(groups))
                out[key] = Channel(key, group, dims)
    return tuple(out.values())
