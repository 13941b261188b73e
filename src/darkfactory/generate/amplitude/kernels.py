"""Numba kernels: one vertex or propagator for one combination of helicities and eight events.

Values lie in one flat array: a complex component of eight events is 8 real parts and then 8 imaginary parts.
Loops run over n = 8 events; the compiler does not know n, and so vectorises what it otherwise unrolls. Indices are
unsigned, which spares Numba's check for negative ones.
Formulas and conventions are those of :mod:`darkfactory.generate.amplitude.interpreter`, the reference.
This module imports Numba; it is imported only where that is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit

__all__ = ["clear", "close", "kernel", "multiply", "propagate", "shift", "vertex"]

U = np.uint64
_8, _16, _32, _48 = U(8), U(16), U(32), U(48)
Function = TypeVar("Function", bound=Callable[..., Any])
# fused multiply-adds, and no care for signed zeros; infinities and order of sums stay as written
_OPTIONS: dict[str, Any] = {"cache": True, "fastmath": {"contract", "nsz", "arcp"}, "error_model": "numpy"}


def kernel(function: Function) -> Function:
    """Compile at the first call, and keep the machine code on disk."""
    return cast(Function, njit(**_OPTIONS)(function))


@kernel
def _get(w: Any, i: Any) -> Any:
    return complex(w[i], w[i + _8])


@kernel
def _put(w: Any, i: Any, z: Any) -> None:
    w[i] = z.real
    w[i + _8] = z.imag


@kernel
def _add(w: Any, i: Any, z: Any) -> None:
    w[i] += z.real
    w[i + _8] += z.imag


@kernel
def clear(w: Any, n: Any, o: Any, components: Any) -> None:
    """Set one current to zero."""
    for c in range(components):
        for b in range(n):
            w[o + c * _16 + b] = 0.0
            w[o + c * _16 + b + _8] = 0.0


@kernel
def _ff_v(w: Any, n: Any, o: Any, x: Any, y: Any, left: float, right: float) -> None:
    for b in range(n):
        x0, x1, x2, x3 = _get(w, x + b), _get(w, x + _16 + b), _get(w, x + _32 + b), _get(w, x + _48 + b)
        y0, y1, y2, y3 = _get(w, y + b), _get(w, y + _16 + b), _get(w, y + _32 + b), _get(w, y + _48 + b)
        y0, y1, y2, y3 = y0 * left, y1 * left, y2 * right, y3 * right
        _add(w, o + b, x0 * y2 + x3 * y1)
        _add(w, o + _16 + b, x1 * y3 + x2 * y0)
        _add(w, o + _32 + b, x0 * y3 - x2 * y1)
        _add(w, o + _48 + b, x1 * y2 - x3 * y0)


@kernel
def _v_col(w: Any, n: Any, o: Any, v: Any, s: Any, left: float, right: float) -> None:
    for b in range(n):
        v0, v1, v2, v3 = _get(w, v + b), _get(w, v + _16 + b), _get(w, v + _32 + b), _get(w, v + _48 + b)
        s0, s1, s2, s3 = _get(w, s + b), _get(w, s + _16 + b), _get(w, s + _32 + b), _get(w, s + _48 + b)
        s0, s1, s2, s3 = s0 * left, s1 * left, s2 * right, s3 * right
        _add(w, o + b, v1 * s2 - v3 * s3)
        _add(w, o + _16 + b, v0 * s3 - v2 * s2)
        _add(w, o + _32 + b, v0 * s0 + v3 * s1)
        _add(w, o + _48 + b, v2 * s0 + v1 * s1)


@kernel
def _row_v(w: Any, n: Any, o: Any, s: Any, v: Any, left: float, right: float) -> None:
    for b in range(n):
        v0, v1, v2, v3 = _get(w, v + b), _get(w, v + _16 + b), _get(w, v + _32 + b), _get(w, v + _48 + b)
        s0, s1, s2, s3 = _get(w, s + b), _get(w, s + _16 + b), _get(w, s + _32 + b), _get(w, s + _48 + b)
        s0, s1, s2, s3 = s0 * right, s1 * right, s2 * left, s3 * left
        _add(w, o + b, v0 * s2 + v2 * s3)
        _add(w, o + _16 + b, v3 * s2 + v1 * s3)
        _add(w, o + _32 + b, v1 * s0 - v2 * s1)
        _add(w, o + _48 + b, v0 * s1 - v3 * s0)


@kernel
def _ff_s(w: Any, n: Any, o: Any, x: Any, y: Any, left: float, right: float) -> None:
    for b in range(n):
        upper = _get(w, x + b) * _get(w, y + b) + _get(w, x + _16 + b) * _get(w, y + _16 + b)
        lower = _get(w, x + _32 + b) * _get(w, y + _32 + b) + _get(w, x + _48 + b) * _get(w, y + _48 + b)
        _add(w, o + b, upper * left + lower * right)


@kernel
def _scalar_times(w: Any, n: Any, o: Any, x: Any, s: Any, left: float, right: float) -> None:
    """Four components x times the scalar s; left for the first two, right for the others."""
    for b in range(n):
        z = _get(w, s + b)
        _add(w, o + b, _get(w, x + b) * z * left)
        _add(w, o + _16 + b, _get(w, x + _16 + b) * z * left)
        _add(w, o + _32 + b, _get(w, x + _32 + b) * z * right)
        _add(w, o + _48 + b, _get(w, x + _48 + b) * z * right)


@kernel
def _vv_s(w: Any, n: Any, o: Any, x: Any, y: Any, factor: float) -> None:
    for b in range(n):
        z = _get(w, x + b) * _get(w, y + _16 + b) + _get(w, x + _16 + b) * _get(w, y + b)
        z -= _get(w, x + _32 + b) * _get(w, y + _48 + b) + _get(w, x + _48 + b) * _get(w, y + _32 + b)
        _add(w, o + b, z * (0.5 * factor))


@kernel
def _momentum(q: Any, i: Any) -> Any:
    """Light-cone components of a momentum (E, px, py, pz of eight events each)."""
    e, x, y, z = q[i], q[i + _8], q[i + _16], q[i + U(24)]
    return complex(e + z, 0.0), complex(e - z, 0.0), complex(x, y), complex(x, -y)


@kernel
def _epsilon(w: Any, x: Any, q: Any, ka: Any, kb: Any, b: Any) -> Any:
    k0, k1, k2, k3 = _momentum(q, ka + b)
    q0, q1, q2, q3 = _momentum(q, kb + b)
    e0, e1, e2, e3 = _get(w, x + b), _get(w, x + _16 + b), _get(w, x + _32 + b), _get(w, x + _48 + b)
    pm, pt, pb = k0 * e1 - k1 * e0, k0 * e2 - k2 * e0, k0 * e3 - k3 * e0
    mt, mb, tb = k1 * e2 - k2 * e1, k1 * e3 - k3 * e1, k2 * e3 - k3 * e2
    return (
        (pt * q3 - pb * q2 + tb * q0) * -0.5j,
        (mt * q3 - mb * q2 + tb * q1) * 0.5j,
        (pm * q2 - pt * q1 + mt * q0) * 0.5j,
        (pm * q3 - pb * q1 + mb * q0) * -0.5j,
    )


@kernel
def _vv_p(w: Any, n: Any, o: Any, x: Any, y: Any, q: Any, ka: Any, kb: Any, factor: float) -> None:
    for b in range(n):
        j0, j1, j2, j3 = _epsilon(w, x, q, ka, kb, b)
        z = j0 * _get(w, y + _16 + b) + j1 * _get(w, y + b)
        z -= j2 * _get(w, y + _48 + b) + j3 * _get(w, y + _32 + b)
        _add(w, o + b, z * (0.5 * factor))


@kernel
def _vp_v(w: Any, n: Any, o: Any, x: Any, s: Any, q: Any, ka: Any, kb: Any, factor: float) -> None:
    for b in range(n):
        j0, j1, j2, j3 = _epsilon(w, x, q, ka, kb, b)
        z = _get(w, s + b) * -factor
        _add(w, o + b, j0 * z)
        _add(w, o + _16 + b, j1 * z)
        _add(w, o + _32 + b, j2 * z)
        _add(w, o + _48 + b, j3 * z)


@kernel
def shift(w: Any, n: Any, o: Any, q: Any, k: Any, d: Any, t2: Any) -> None:
    """J -> J - q J^z / q^z in place; t2 is the index of q^2 in d."""
    for b in range(n):
        e, x, y, z = q[k + b], q[k + b + _8], q[k + b + _16], q[k + b + U(24)]
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
def vertex(
    code: int, w: Any, n: Any, o: Any, x: Any, y: Any, q: Any, ka: Any, kb: Any, left: float, right: float
) -> None:
    """One vertex, by the numbers of ``Code``."""
    if code == 0:
        _ff_v(w, n, o, x, y, left, right)
    elif code == 1:
        _v_col(w, n, o, x, y, left, right)
    elif code == 2:
        _row_v(w, n, o, x, y, left, right)
    elif code == 3:
        _ff_s(w, n, o, x, y, left, right)
    elif code == 4:
        _scalar_times(w, n, o, y, x, left, right)
    elif code == 5 or code == 7:
        _scalar_times(w, n, o, x, y, left, right)
    elif code == 6:
        _vv_s(w, n, o, x, y, left)
    elif code == 8:
        _vv_p(w, n, o, x, y, q, ka, kb, left)
    else:
        _vp_v(w, n, o, x, y, q, ka, kb, left)


@kernel
def propagate(kind: int, w: Any, n: Any, o: Any, q: Any, k: Any, mass: float, f: Any, fi: Any) -> None:
    """Multiply one current by its propagator's numerator and the real factors f[fi:fi + 8]."""
    if kind == 3:
        for b in range(n):
            _put(w, o + b, _get(w, o + b) * f[fi + b])
        return
    for b in range(n):
        s0, s1, s2, s3 = _get(w, o + b), _get(w, o + _16 + b), _get(w, o + _32 + b), _get(w, o + _48 + b)
        d = f[fi + b]
        k0, k1, k2, k3 = _momentum(q, k + b)
        if kind == 2:
            if mass > 0:
                z = (k0 * s1 + k1 * s0 - k2 * s3 - k3 * s2) * (0.5 / (mass * mass))
                s0, s1, s2, s3 = s0 - z * k0, s1 - z * k1, s2 - z * k2, s3 - z * k3
            s0, s1, s2, s3 = s0 * -d, s1 * -d, s2 * -d, s3 * -d
        else:
            md = mass * d
            if kind == 0:
                p0, p1, p2, p3 = k0.real * d, k1.real * d, k2 * d, k3 * d
                s0, s1, s2, s3 = (
                    p0 * s2 + p2 * s3 + md * s0,
                    p3 * s2 + p1 * s3 + md * s1,
                    p1 * s0 - p2 * s1 + md * s2,
                    p0 * s1 - p3 * s0 + md * s3,
                )
            else:
                p0, p1, p2, p3 = k0.real * -d, k1.real * -d, k2 * -d, k3 * -d
                s0, s1, s2, s3 = (
                    p1 * s2 - p3 * s3 + md * s0,
                    p0 * s3 - p2 * s2 + md * s1,
                    p0 * s0 + p3 * s1 + md * s2,
                    p2 * s0 + p1 * s1 + md * s3,
                )
        _put(w, o + b, s0)
        _put(w, o + _16 + b, s1)
        _put(w, o + _32 + b, s2)
        _put(w, o + _48 + b, s3)


@kernel
def multiply(w: Any, n: Any, o: Any, components: int, fr: Any, fim: Any, fi: Any) -> None:
    """Multiply one current by complex factors."""
    for c in range(U(components)):
        for b in range(n):
            i = o + c * _16 + b
            _put(w, i, _get(w, i) * complex(fr[fi + b], fim[fi + b]))


@kernel
def close(w: Any, n: Any, o: Any, x: Any, y: Any, components: int) -> None:
    """Add the contraction of a current and a wave function to an amplitude."""
    if components == 1:
        for b in range(n):
            _add(w, o + b, _get(w, x + b) * _get(w, y + b))
        return
    for b in range(n):
        z = _get(w, x + b) * _get(w, y + _16 + b) + _get(w, x + _16 + b) * _get(w, y + b)
        z -= _get(w, x + _32 + b) * _get(w, y + _48 + b) + _get(w, x + _48 + b) * _get(w, y + _32 + b)
        _add(w, o + b, z)
