"""Numba: wave functions of external legs and propagators' denominators of eight events.

The same formulas as in :mod:`darkfactory.generate.amplitude.waves` and ``interpreter``; see there.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from darkfactory.generate.amplitude.kernels import kernel

__all__ = ["momenta", "pair_denominator", "spinor_leg", "sum_denominator", "vector_leg"]

U = np.uint64
_8, _16, _24, _32, _48, _64 = U(8), U(16), U(24), U(32), U(48), U(64)


@kernel
def momenta(p: Any, start: int, count: int, signs: Any, sums: Any, raw: Any, q: Any) -> None:
    """Physical momenta of all legs to ``raw`` and sums of outgoing ones to ``q``, 32 numbers each.

    Missing events of the last batch repeat the last one.
    """
    legs = p.shape[1]
    for i in range(legs):
        for c in range(4):
            for b in range(8):
                raw[i * 32 + c * 8 + b] = p[start + min(b, count - 1), i, c]
    for m in range(sums.shape[0]):
        for c in range(32):
            q[m * 32 + c] = 0.0
        for i in range(legs):
            if sums[m] >> i & 1:
                for c in range(32):
                    q[m * 32 + c] += signs[i] * raw[i * 32 + c]


@kernel
def _square(raw: Any, i: Any, b: Any, mass: float, variable: bool) -> float:
    if not variable:
        return mass * mass
    e, x, y, z = raw[i + b], raw[i + b + _8], raw[i + b + _16], raw[i + b + _24]
    return max(e * e - x * x - y * y - z * z, 0.0)  # type: ignore[no-any-return]  # a compiled float


@kernel
def pair_denominator(
    raw: Any,
    n: Any,
    i: Any,
    j: Any,
    mi: float,
    mj: float,
    vi: bool,
    vj: bool,
    opposite: bool,
    mass2: float,
    d: Any,
    o: Any,
) -> None:
    """(sum of two outgoing momenta)^2 - mass2, ``opposite`` if just one of the two is incoming."""
    for b in range(n):
        ei, ax, ay, az = raw[i + b], raw[i + b + _8], raw[i + b + _16], raw[i + b + _24]
        ej, bx, by, bz = raw[j + b], raw[j + b + _8], raw[j + b + _16], raw[j + b + _24]
        a2 = ax * ax + ay * ay + az * az
        mod = np.sqrt(a2 * (bx * bx + by * by + bz * bz))
        dot = ax * bx + ay * by + az * bz
        cx, cy, cz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
        cross = cx * cx + cy * cy + cz * cz
        denominator = mod + dot if dot > 0 else 1.0
        angular = cross / denominator if dot > 0 else mod - dot
        si, sj = _square(raw, i, b, mi, vi), _square(raw, j, b, mj, vj)
        if opposite and mi == mj and not vi and not vj:
            below = si * (ei - ej) ** 2 / (ei * ej - si + mod) if mi > 0 else 0.0
            d[o + b] = -2.0 * (below + angular) - mass2
        else:
            twice = 2.0 * ((si * ej * ej + sj * a2) / (ei * ej + mod) + angular)
            d[o + b] = (si - mass2) + sj + (-twice if opposite else twice)


@kernel
def sum_denominator(q: Any, n: Any, k: Any, mass2: float, d: Any, o: Any) -> None:
    """P^2 - mass2 of a sum of momenta."""
    for b in range(n):
        x, y, z = q[k + b + _8], q[k + b + _16], q[k + b + _24]
        mod = np.sqrt(x * x + y * y + z * z)
        d[o + b] = (q[k + b] - mod) * (q[k + b] + mod) - mass2


@kernel
def spinor_leg(
    raw: Any, n: Any, i: Any, mass: float, variable: bool, anti: bool, barred: bool, w: Any, o: Any, both: bool
) -> None:
    """u, v, ubar or vbar: helicities -1 and +1, or +1 alone."""
    for b in range(n):
        e, x, y, z = raw[i + b], raw[i + b + _8], raw[i + b + _16], raw[i + b + _24]
        pt2 = x * x + y * y
        mod = np.sqrt(pt2 + z * z)
        difference = mod - z if mod - z > 0 else 1.0
        plus = mod + z if z >= 0 else pt2 / difference
        safe = plus > 0
        norm2 = 2.0 * mod * plus if safe else 1.0
        inverse = 1.0 / np.sqrt(norm2)
        pole = 1.0 if mod > 0 else 0.0
        up = plus * inverse if safe else 1.0 - pole
        real = x * inverse if safe else pole
        imag = y * inverse if safe else 0.0
        m = np.sqrt(_square(raw, i, b, mass, variable))
        high = np.sqrt(e + mod)
        low = m / high
        # complex conjugation of a barred spinor
        turn = -imag if barred else imag
        for k in range(U(2)):
            if k == U(0) and not both:
                continue
            h = 1.0 if k == U(1) else -1.0
            forward = (h > 0) != anti
            if anti and h < 0:
                a, c = -low, high
            elif anti:
                a, c = -high, low
            elif h > 0:
                a, c = low, high
            else:
                a, c = high, low
            if barred:
                a, c = c, a
            base = o + (k * _64 if both else U(0)) + b
            first, second = (up, real) if forward else (-real, up)
            first_i, second_i = (0.0, turn) if forward else (turn, 0.0)
            w[base], w[base + _8] = a * first, a * first_i
            w[base + _16], w[base + _24] = a * second, a * second_i
            w[base + _32], w[base + U(40)] = c * first, c * first_i
            w[base + _48], w[base + U(56)] = c * second, c * second_i


@kernel
def _put_vector(w: Any, o: Any, e: float, xr: float, xi: float, yr: float, yi: float, z: float) -> None:
    w[o], w[o + _8] = e + z, 0.0
    w[o + _16], w[o + _24] = e - z, 0.0
    w[o + _32], w[o + U(40)] = xr - yi, xi + yr
    w[o + _48], w[o + U(56)] = xr + yi, xi - yr


@kernel
def vector_leg(raw: Any, n: Any, i: Any, massive: bool, incoming: bool, w: Any, o: Any, both: bool) -> None:
    """Polarisation vectors: helicities -1, [0,] +1, or +1 alone."""
    root = np.sqrt(0.5)
    sign = 1.0 if incoming else -1.0
    for b in range(n):
        e, x, y, z = raw[i + b], raw[i + b + _8], raw[i + b + _16], raw[i + b + _24]
        pt = np.sqrt(x * x + y * y)
        mod = np.sqrt(pt * pt + z * z)
        cphi = x / pt if pt > 0 else 1.0
        sphi = y / pt if pt > 0 else 0.0
        ct = z / mod if mod > 0 else 1.0
        st = pt / mod if mod > 0 else 0.0
        base = o + b
        if both:
            _put_vector(
                w, base, 0.0, ct * cphi * root, sign * sphi * root, ct * sphi * root, -sign * cphi * root, -st * root
            )
            base += _64
        if massive:
            mass = np.sqrt(max((e - mod) * (e + mod), 1e-300))
            _put_vector(w, base, mod / mass, e * st * cphi / mass, 0.0, e * st * sphi / mass, 0.0, e * ct / mass)
            base += _64
        _put_vector(
            w, base, 0.0, -ct * cphi * root, sign * sphi * root, -ct * sphi * root, -sign * cphi * root, st * root
        )
