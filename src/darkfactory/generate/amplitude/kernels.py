"""Numba kernels: one vertex or propagator for one combination of helicities and eight events.

Values lie in one flat array: a complex component of eight events is 8 real parts and then 8 imaginary parts. Numba's
compiler does not vectorise loops with so many loads and stores, so the kernels are written as vector instructions:
the formulas of :mod:`darkfactory.generate.amplitude.formulas` are applied to values that emit code when added or
multiplied.
This module imports Numba; it is imported only where that is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]  # comes with Numba, without types
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from darkfactory.generate.amplitude.formulas import (
    contract,
    epsilon,
    minkowski,
    slash,
    spinor_product,
    vector_current,
)

__all__ = ["close", "kernel", "multiply", "propagate", "shift", "vertex"]

LANES = 8
U = np.uint64
_8, _16, _24, _32, _48 = U(8), U(16), U(24), U(32), U(48)
Function = TypeVar("Function", bound=Callable[..., Any])
# fused multiply-adds, and no care for signed zeros; infinities and the order of sums stay as written
_FAST = ("contract", "nsz", "arcp")
_VOID: Any = types.void
_IS_TRUE: Any = cgutils.is_true
_DOUBLE = ir.DoubleType()
_VECTOR = ir.VectorType(_DOUBLE, LANES)


def kernel(function: Function, cache: bool = False) -> Function:
    """Compile at the first call.

    ``cache`` keeps the machine code on disk. Numba does not notice when a callee in another file changes, so only the
    outermost function has it, and that one knows the callees' sources.
    """
    return cast(Function, njit(cache=cache, fastmath=set(_FAST), error_model="numpy")(function))


class _Real:
    """Eight real numbers under compilation."""

    def __init__(self, builder: Any, value: Any) -> None:
        self.builder, self.value = builder, value

    def _other(self, other: Any) -> Any:
        return other.value if isinstance(other, _Real) else ir.Constant(_VECTOR, [float(other)] * LANES)

    def __add__(self, other: Any) -> _Real:
        return _Real(self.builder, self.builder.fadd(self.value, self._other(other), flags=_FAST))

    def __sub__(self, other: Any) -> _Real:
        return _Real(self.builder, self.builder.fsub(self.value, self._other(other), flags=_FAST))

    def __mul__(self, other: Any) -> _Real:
        return _Real(self.builder, self.builder.fmul(self.value, self._other(other), flags=_FAST))

    def __neg__(self) -> _Real:
        return _Real(self.builder, self.builder.fneg(self.value))


class _Complex:
    """Eight complex numbers under compilation; times complex, real, or Python numbers."""

    def __init__(self, re: _Real, im: _Real) -> None:
        self.re, self.im = re, im

    def __add__(self, other: _Complex) -> _Complex:
        return _Complex(self.re + other.re, self.im + other.im)

    def __sub__(self, other: _Complex) -> _Complex:
        return _Complex(self.re - other.re, self.im - other.im)

    def __neg__(self) -> _Complex:
        return _Complex(-self.re, -self.im)

    def __mul__(self, other: Any) -> _Complex:
        if isinstance(other, complex):
            # only imaginary constants occur
            return _Complex(self.im * -other.imag, self.re * other.imag)
        if isinstance(other, _Complex):
            return _Complex(self.re * other.re - self.im * other.im, self.re * other.im + self.im * other.re)
        return _Complex(self.re * other, self.im * other)


class _Memory:
    """Loads and stores of the arguments of a kernel."""

    def __init__(self, context: Any, builder: Any) -> None:
        self.context, self.builder = context, builder

    def pointer(self, kind: Any, array: Any) -> Any:
        """First element of an array."""
        return self.context.make_array(kind)(self.context, self.builder, array).data

    def place(self, base: Any, index: Any, offset: int) -> Any:
        """Address of the vector at ``index + offset``."""
        at = self.builder.add(index, ir.Constant(index.type, offset))
        return self.builder.bitcast(self.builder.gep(base, [at]), _VECTOR.as_pointer())

    def real(self, base: Any, index: Any, offset: int = 0) -> _Real:
        """Eight numbers."""
        return _Real(self.builder, self.builder.load(self.place(base, index, offset), align=8))

    def number(self, base: Any, index: Any, offset: int = 0) -> _Complex:
        """Eight complex numbers."""
        return _Complex(self.real(base, index, offset), self.real(base, index, offset + LANES))

    def numbers(self, base: Any, index: Any, count: int = 4) -> list[_Complex]:
        """The components of a current."""
        return [self.number(base, index, 2 * LANES * c) for c in range(count)]

    def momentum(self, base: Any, index: Any) -> list[Any]:
        """Light-cone components of E, px, py, pz."""
        e, x, y, z = (self.real(base, index, LANES * c) for c in range(4))
        zero = e * 0.0
        return [_Complex(e + z, zero), _Complex(e - z, zero), _Complex(x, y), _Complex(x, -y)]

    def splat(self, value: Any) -> _Real:
        """One number eight times."""
        one = self.builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
        mask = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        return _Real(self.builder, self.builder.shuffle_vector(one, one, mask))

    def store(self, base: Any, index: Any, values: list[_Complex], first: Any = None) -> None:
        """Write a current, or add to it unless ``first``."""
        zero = ir.Constant(_VECTOR, [0.0] * LANES)
        for c, value in enumerate(values):
            for part, offset in ((value.re, 0), (value.im, LANES)):
                place = self.place(base, index, 2 * LANES * c + offset)
                new = part
                if first is not None:
                    old = self.builder.select(first, zero, self.builder.load(place, align=8))
                    new = _Real(self.builder, old) + part
                self.builder.store(new.value, place, align=8)


def _scaled(s: list[_Complex], upper: _Real, lower: _Real) -> list[_Complex]:
    return [s[0] * upper, s[1] * upper, s[2] * lower, s[3] * lower]


def _vertex_values(
    code: int, m: _Memory, w: Any, x: Any, y: Any, q: Any, ka: Any, kb: Any, left: Any, right: Any
) -> Any:
    """The current that a vertex makes, by the numbers of ``Code``."""
    scalar_x, scalar_y = code == 4, code in (5, 7, 9)
    a = m.numbers(w, x, 1 if scalar_x else 4)
    b = m.numbers(w, y, 1 if scalar_y else 4)
    match code:
        case 0:
            return vector_current(a, _scaled(b, left, right))
        case 1:
            return slash(a, _scaled(b, left, right), False)
        case 2:
            return slash(b, _scaled(a, right, left), True)
        case 3:
            return [spinor_product(a, b, left, right)]
        case 4:
            return [a[0] * c for c in _scaled(b, left, right)]
        case 5 | 7:
            return [b[0] * c for c in _scaled(a, left, right)]
        case 6:
            return [minkowski(a, b) * left]
    j = epsilon(m.momentum(q, ka), a, m.momentum(q, kb))
    if code == 8:
        return [minkowski(j, b) * left]
    z = b[0] * -left
    return [c * z for c in j]


def _make_vertex(code: int) -> Any:
    def typed(
        _: Any, w: Any, o: Any, x: Any, y: Any, q: Any, ka: Any, kb: Any, left: Any, right: Any, first: Any
    ) -> Any:
        def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            m = _Memory(context, builder)
            base, momenta = m.pointer(signature.args[0], args[0]), m.pointer(signature.args[4], args[4])
            sides = m.splat(args[7]), m.splat(args[8])
            values = _vertex_values(code, m, base, args[2], args[3], momenta, args[5], args[6], *sides)
            m.store(base, args[1], values, _IS_TRUE(builder, args[9]))
            return context.get_dummy_value()

        return _VOID(w, o, x, y, q, ka, kb, left, right, first), emit

    return intrinsic(typed)


def _propagated(kind: int, massive: bool, s: Any, k: Any, d: Any, mass: Any) -> Any:
    """Numerators of propagators, by the numbers of ``Kind``, times the real factor d."""
    if kind == 3:
        return [s[0] * d]
    if kind == 2:
        if massive:
            z = contract(k, s) * mass
            s = [c - z * kc for c, kc in zip(s, k, strict=True)]
        return [c * -d for c in s]
    sign = d if kind == 0 else -d
    # plus and minus components are real: a product with them costs half
    p = [k[0].re * sign, k[1].re * sign, k[2] * sign, k[3] * sign]
    s0, s1, s2, s3 = s
    md = mass * d
    if kind == 0:
        out = [s2 * p[0] + s3 * p[2], s2 * p[3] + s3 * p[1], s0 * p[1] - s1 * p[2], s1 * p[0] - s0 * p[3]]
    else:
        out = [s2 * p[1] - s3 * p[3], s3 * p[0] - s2 * p[2], s0 * p[0] + s1 * p[3], s0 * p[2] + s1 * p[1]]
    return [c + old * md for c, old in zip(out, s, strict=True)]


def _make_propagator(kind: int, massive: bool) -> Any:
    def typed(_: Any, w: Any, o: Any, q: Any, k: Any, mass: Any, f: Any) -> Any:
        def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            m = _Memory(context, builder)
            base, momenta = m.pointer(signature.args[0], args[0]), m.pointer(signature.args[2], args[2])
            d = m.real(m.pointer(signature.args[5], args[5]), ir.Constant(args[1].type, 0))
            s = m.numbers(base, args[1], 1 if kind == 3 else 4)
            values = _propagated(kind, massive, s, m.momentum(momenta, args[3]), d, m.splat(args[4]))
            m.store(base, args[1], values)
            return context.get_dummy_value()

        return _VOID(w, o, q, k, mass, f), emit

    return intrinsic(typed)


def _make_closure(count: int) -> Any:
    def typed(_: Any, w: Any, o: Any, x: Any, y: Any, first: Any) -> Any:
        def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            m = _Memory(context, builder)
            base = m.pointer(signature.args[0], args[0])
            a, b = m.numbers(base, args[2], count), m.numbers(base, args[3], count)
            m.store(base, args[1], [a[0] * b[0] if count == 1 else contract(a, b)], _IS_TRUE(builder, args[4]))
            return context.get_dummy_value()

        return _VOID(w, o, x, y, first), emit

    return intrinsic(typed)


_ff_v, _v_col, _row_v, _ff_s, _s_col, _row_s, _vv_s, _vs_v, _vv_p, _vp_v = map(_make_vertex, range(10))
_row, _col = _make_propagator(0, True), _make_propagator(1, True)
_massless, _massive, _scalar = _make_propagator(2, False), _make_propagator(2, True), _make_propagator(3, True)
_close_scalar, _close_vector = _make_closure(1), _make_closure(4)


@kernel
def vertex(
    code: int, w: Any, o: Any, x: Any, y: Any, q: Any, ka: Any, kb: Any, left: float, right: float, first: bool
) -> None:
    """One vertex, by the numbers of ``Code``; added to what is there unless it is the first."""
    if code == 0:
        _ff_v(w, o, x, y, q, ka, kb, left, right, first)
    elif code == 1:
        _v_col(w, o, x, y, q, ka, kb, left, right, first)
    elif code == 2:
        _row_v(w, o, x, y, q, ka, kb, left, right, first)
    elif code == 3:
        _ff_s(w, o, x, y, q, ka, kb, left, right, first)
    elif code == 4:
        _s_col(w, o, x, y, q, ka, kb, left, right, first)
    elif code == 5:
        _row_s(w, o, x, y, q, ka, kb, left, right, first)
    elif code == 6:
        _vv_s(w, o, x, y, q, ka, kb, left, right, first)
    elif code == 7:
        _vs_v(w, o, x, y, q, ka, kb, left, left, first)
    elif code == 8:
        _vv_p(w, o, x, y, q, ka, kb, left, right, first)
    else:
        _vp_v(w, o, x, y, q, ka, kb, left, right, first)


@kernel
def propagate(kind: int, w: Any, o: Any, q: Any, k: Any, mass: float, f: Any) -> None:
    """Multiply one current by its propagator's numerator and the eight real factors f."""
    if kind == 0:
        _row(w, o, q, k, mass, f)
    elif kind == 1:
        _col(w, o, q, k, mass, f)
    elif kind == 3:
        _scalar(w, o, q, k, mass, f)
    elif mass > 0:
        _massive(w, o, q, k, 0.5 / (mass * mass), f)
    else:
        _massless(w, o, q, k, mass, f)


@kernel
def close(w: Any, o: Any, x: Any, y: Any, components: int, first: bool) -> None:
    """Add the contraction of a current and a wave function to an amplitude."""
    if components == 1:
        _close_scalar(w, o, x, y, first)
    else:
        _close_vector(w, o, x, y, first)


@kernel
def _get(w: Any, i: Any) -> Any:
    return complex(w[i], w[i + _8])


@kernel
def _put(w: Any, i: Any, z: Any) -> None:
    w[i] = z.real
    w[i + _8] = z.imag


@kernel
def shift(w: Any, o: Any, q: Any, k: Any, d: Any, t2: Any) -> None:
    """J -> J - q J^z / q^z of a t-channel photon's current, in place; t2 is the index of q^2 in d."""
    for b in range(_8):
        e, x, y, z = q[k + b], q[k + b + _8], q[k + b + _16], q[k + b + _24]
        qt = np.sqrt(x * x + y * y)
        steep = abs(z) > qt
        factor = 0.5 / z if steep else 0.0
        j0, j1, j2, j3 = _get(w, o + b), _get(w, o + _16 + b), _get(w, o + _32 + b), _get(w, o + _48 + b)
        c = (j0 - j1) * factor
        j2, j3 = j2 - c * complex(x, y), j3 - c * complex(x, -y)
        conserved = steep and abs(e) > qt
        inverse = 1.0 / e if conserved else 0.0
        time = ((j2 * complex(x, -y) + j3 * complex(x, y)) * 0.5 - c * d[t2 + b]) * inverse
        j0 = time if conserved else j0 - c * (e + z)
        j1 = time if conserved else j1 - c * (e - z)
        _put(w, o + b, j0)
        _put(w, o + _16 + b, j1)
        _put(w, o + _32 + b, j2)
        _put(w, o + _48 + b, j3)


@kernel
def multiply(w: Any, o: Any, components: int, f: Any) -> None:
    """Multiply one current by eight complex factors, real parts first."""
    for c in range(U(components)):
        for b in range(_8):
            i = o + c * _16 + b
            _put(w, i, _get(w, i) * complex(f[b], f[b + _8]))
