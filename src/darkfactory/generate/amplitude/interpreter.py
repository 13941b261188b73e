"""NumPy interpreter of a compiled program: the reference, in any complex type.

A current is a list of components, each of shape (d_0, ..., d_legs-1, n) with d_i the number of helicities of leg i
where it belongs to the current and 1 elsewhere: merging is broadcasting.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkfactory.generate.amplitude.formulas import (
    contract,
    epsilon,
    minkowski,
    slash,
    spinor_product,
    vector_current,
)
from darkfactory.generate.amplitude.records import Closure, Code, Current, Kind, Operation, Program
from darkfactory.generate.amplitude.waves import external_wave, light_cone

__all__ = ["amplitudes", "denominators"]

Array = NDArray[Any]
Components = list[Array]


def _pair_denominator(program: Program, p: Array, i: int, j: int, mass2: Any) -> Array:
    """(sum of two external momenta)^2 - mass2 without cancellations, from momenta (legs, 4, n)."""
    legs = program.legs
    square = []
    for k in (i, j):
        if legs[k].variable_mass:
            square.append(p[k, 0] ** 2 - p[k, 1] ** 2 - p[k, 2] ** 2 - p[k, 3] ** 2)
        else:
            square.append(p.dtype.type(legs[k].mass) ** 2)
    (ei, *a), (ej, *b) = p[i], p[j]
    mi2 = a[0] * a[0] + a[1] * a[1] + a[2] * a[2]
    mod = np.sqrt(mi2 * (b[0] * b[0] + b[1] * b[1] + b[2] * b[2]))
    dot = a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
    cross = (a[1] * b[2] - a[2] * b[1]) ** 2 + (a[2] * b[0] - a[0] * b[2]) ** 2 + (a[0] * b[1] - a[1] * b[0]) ** 2
    # |a||b| - a.b
    forward = dot > 0
    angular = np.where(forward, cross / np.where(forward, mod + dot, 1), mod - dot)
    same_mass = not (legs[i].variable_mass or legs[j].variable_mass) and legs[i].mass == legs[j].mass
    if legs[i].incoming != legs[j].incoming and same_mass:
        m2 = square[0]
        below = m2 * (ei - ej) ** 2 / (ei * ej - m2 + mod) if legs[i].mass else 0
        return np.asarray(-2 * (below + angular) - mass2)
    product = (square[0] * ej * ej + square[1] * mi2) / (ei * ej + mod) + angular
    sign = 2 if legs[i].incoming == legs[j].incoming else -2
    return np.asarray((square[0] - mass2) + square[1] + sign * product)


def denominators(program: Program, p: Array, outgoing: Mapping[int, Array]) -> dict[tuple[int, float, float], Array]:
    """Inverse propagators P^2 - m^2 + i m Gamma by (mask, mass, width)."""
    whole = (1 << len(program.legs)) - 1
    result: dict[tuple[int, float, float], Array] = {}
    for current in program.currents:
        key = (current.mask, current.mass, current.width)
        if current.external or key in result:
            continue
        mass2 = p.dtype.type(current.mass) ** 2
        pair = next((m for m in (current.mask, whole ^ current.mask) if m.bit_count() == 2), None)
        if pair is not None:
            i, j = (k for k in range(len(program.legs)) if pair >> k & 1)
            d = _pair_denominator(program, p, i, j, mass2)
        else:
            q = outgoing[current.mask]
            mod = np.sqrt(q[1] * q[1] + q[2] * q[2] + q[3] * q[3])
            d = (q[0] - mod) * (q[0] + mod) - mass2
        result[key] = d + 1j * p.dtype.type(current.mass * current.width) if current.width else d
    return result


def _scaled(s: Components, upper: complex, lower: complex) -> Components:
    """Multiply left-handed (upper) and right-handed (lower) components, leaving factors of 1 out."""
    out = list(s)
    for factor, which in ((upper, (0, 1)), (lower, (2, 3))):
        if factor != 1:
            value = factor.real if factor.imag == 0 else factor
            for k in which:
                out[k] = s[k] * value
    return out


def _shift(j: Components, q: Array, t2: Array) -> Components:
    """J -> J - q J^z / q^z for a conserved current of nearly collinear fermions, with outgoing momentum q (4, n).

    ``t2`` is the square of q, without the cancellations of its components.
    """
    qt = np.hypot(q[1], q[2])
    steep = np.abs(q[3]) > qt
    z = (j[0] - j[1]) * np.where(steep, 0.5 / np.where(steep, q[3], 1), 0)
    t, b = j[2] - z * (q[1] + 1j * q[2]), j[3] - z * (q[1] - 1j * q[2])
    plus, minus = j[0] - z * (q[0] + q[3]), j[1] - z * (q[0] - q[3])
    # J.q = 0 before the shift gives the time component without the cancellation
    conserved = steep & (np.abs(q[0]) > qt)
    time = ((t * (q[1] - 1j * q[2]) + b * (q[1] + 1j * q[2])) * 0.5 - z * t2) / np.where(conserved, q[0], 1)
    return [np.where(conserved, time, plus), np.where(conserved, time, minus), t, b]


class _Run:
    """One evaluation: momenta of subsets, denominators, currents."""

    def __init__(self, program: Program, p: Array, waves: Mapping[int, Array], fixed: int | None) -> None:
        self.program, self.p = program, p
        self.ctype = np.result_type(p.dtype, np.complex64)
        self.signed = [p[i] * (-1 if leg.incoming else 1) for i, leg in enumerate(program.legs)]
        self.q: dict[int, Array] = {}
        self.cone: dict[int, Components] = {}
        for current in program.currents:
            self.momentum(current.mask)
        self.inverse = denominators(program, p, self.q)
        self.values: list[Components] = []
        for i, current in enumerate(program.currents):
            self.values.append(self.external(i, current, waves, fixed) if current.external else [])

    def momentum(self, mask: int) -> Array:
        """Outgoing momentum of a subset, (4, n)."""
        if mask not in self.q:
            total = sum(s for i, s in enumerate(self.signed) if mask >> i & 1)
            self.q[mask] = np.asarray(total)
        return self.q[mask]

    def light(self, mask: int) -> Components:
        """The same in light-cone components."""
        if mask not in self.cone:
            self.cone[mask] = list(light_cone(self.momentum(mask)))
        return self.cone[mask]

    def square(self, photon: Current) -> Array:
        """P^2 of a photon line."""
        return self.inverse[photon.mask, photon.mass, photon.width]

    def external(self, i: int, current: Current, waves: Mapping[int, Array], fixed: int | None) -> Components:
        """Wave function of leg i on the helicity grid; only the last helicity of the fixed leg."""
        wave = waves.get(i)
        if wave is None:
            wave = external_wave(self.program.legs[i], current.kind, self.p[i], self.ctype)
        if i == fixed:
            wave = wave[:, -1:]
        shape = [1] * len(self.program.legs)
        shape[i] = wave.shape[1]
        return [w.reshape(*shape, w.shape[-1]) for w in wave]

    def vertex(self, code: Code, a: int, b: int, left: complex, right: complex, shift: Array | None) -> Components:
        """The amputated current that two currents make; ``shift`` is the square of a t-channel photon's momentum."""
        x, y = self.values[a], self.values[b]
        masks = self.program.currents[a].mask, self.program.currents[b].mask
        match code:
            case Code.FF_V:
                y = _scaled(y, left, right)
                j = vector_current(x, y)
                return j if shift is None else _shift(j, self.momentum(masks[0] | masks[1]), shift)
            case Code.V_COL:
                return slash(x, _scaled(y, left, right), False)
            case Code.ROW_V:
                return slash(y, _scaled(x, right, left), True)
            case Code.FF_S:
                return [spinor_product(x, y, left, right)]
            case Code.S_COL:
                return [x[0] * c for c in _scaled(y, left, right)]
            case Code.ROW_S:
                return [y[0] * c for c in _scaled(x, left, right)]
            case Code.VV_S:
                return [minkowski(x, y) * left]
            case Code.VS_V:
                return [c * (y[0] * left) for c in x]
            case Code.VV_P:
                return [minkowski(epsilon(self.light(masks[0]), x, self.light(masks[1])), y) * left]
            case Code.VP_V:
                # momentum of the result: minus the sum of both
                j = epsilon(self.light(masks[0]), x, self.light(masks[1]))
                return [c * (y[0] * -left) for c in j]

    def propagate(self, current: Current, j: Components) -> Components:
        """Multiply by the propagator (and the common coupling)."""
        scale = current.scale.real if current.scale.imag == 0 else current.scale
        d = scale / self.inverse[current.mask, current.mass, current.width]
        if current.kind is Kind.SCA:
            return [c * d for c in j]
        k = self.light(current.mask)
        if current.kind is Kind.VEC:
            if current.mass == 0:
                return [c * -d for c in j]
            z = minkowski(k, j) * (1 / current.mass**2)
            return [(z * kc - c) * d for kc, c in zip(k, j, strict=True)]
        row = current.kind is Kind.ROW
        # fermion number flows out along a row and in along a column
        sign = d if row else -d
        kd = [c * sign for c in k]
        out = slash(kd, j, row)
        if current.mass:
            md = current.mass * d
            out = [o + md * c for o, c in zip(out, j, strict=True)]
        return out

    def amplitude(self) -> Array:
        """All helicity amplitudes, shape (d_0, ..., d_legs-1, n)."""
        position = 0
        operations = self.program.operations
        for i, current in enumerate(self.program.currents):
            if current.external:
                continue
            total: Components = []
            while position < len(operations) and operations[position].out == i:
                total = self.accumulate(total, operations[position], self.square(current) if current.shift else None)
                position += 1
            self.values[i] = self.propagate(current, total)
        result: Array | None = None
        for closure in self.program.closures:
            result = self.close(result, closure)
        scale = self.program.scale
        return np.asarray(result) * (scale.real if scale.imag == 0 else scale)

    def accumulate(self, total: Components, o: Operation, shift: Array | None) -> Components:
        """Add one operation; a coupling of -1 is a subtraction."""
        negative = o.left == o.right == -1
        factors = (1.0 + 0j, 1.0 + 0j) if negative else (o.left, o.right)
        new = self.vertex(o.code, o.a, o.b, *factors, shift)
        if not total:
            return [-c for c in new] if negative else new
        for t, c in zip(total, new, strict=True):
            (np.subtract if negative else np.add)(t, c, out=t)
        return total

    def close(self, result: Array | None, c: Closure) -> Array:
        """Add one closure."""
        negative = c.left == c.right == -1
        factors = (1.0 + 0j, 1.0 + 0j) if negative else (c.left, c.right)
        shift = self.square(self.program.currents[c.c]) if c.shift else None
        j, v = self.vertex(c.code, c.a, c.b, *factors, shift), self.values[c.c]
        # twice the product of vectors: the compiler halves the couplings of such closures
        term = j[0] * v[0] if len(j) == 1 else contract(j, v)
        if result is None:
            return np.asarray(-term if negative else term)
        return np.asarray(result - term if negative else result + term)


def amplitudes(program: Program, p: Array, waves: Mapping[int, Array] | None = None, fixed: int | None = None) -> Array:
    """Helicity amplitudes of one block of events.

    Args:
        program: the compiled amplitude.
        p: physical momenta, shape (legs, 4, n), GeV; the real type decides on the precision.
        waves: wave functions of legs to be used instead of the helicity states, shape (4, k, n).
        fixed: a leg of which only the last helicity is computed.

    Returns:
        Shape (d_0, ..., d_legs-1, n), d_i helicities of leg i in the order of :attr:`Leg.helicities`.
    """
    return _Run(program, p, waves or {}, fixed).amplitude()
