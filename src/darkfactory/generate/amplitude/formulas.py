"""Products of currents, for whatever adds and multiplies: arrays, or values under compilation.

Vectors are in light-cone components (V0 + V3, V0 - V3, V1 + i V2, V1 - i V2), spinors in the chiral representation;
see :mod:`darkfactory.generate.amplitude.waves`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["contract", "epsilon", "minkowski", "slash", "spinor_product", "vector_current"]

Components = Sequence[Any]


def vector_current(x: Components, y: Components) -> list[Any]:
    """Half of psibar gamma^mu psi in light-cone components.

    Example:
        >>> vector_current([1, 0, 0, 0], [0, 0, 1, 0])
        [1, 0, 0, 0]
    """
    return [
        x[0] * y[2] + x[3] * y[1],
        x[1] * y[3] + x[2] * y[0],
        x[0] * y[3] - x[2] * y[1],
        x[1] * y[2] - x[3] * y[0],
    ]


def spinor_product(x: Components, y: Components, left: Any, right: Any) -> Any:
    """Psibar (left P_L + right P_R) psi.

    Example:
        >>> spinor_product([1, 2, 3, 4], [1, 1, 1, 1], 1, 10)
        73
    """
    return (x[0] * y[0] + x[1] * y[1]) * left + (x[2] * y[2] + x[3] * y[3]) * right


def slash(v: Components, s: Components, row: bool) -> list[Any]:
    """V-slash psi, or psibar V-slash.

    Example:
        >>> slash([2, 2, 0, 0], [1, 0, 0, 0], False)
        [0, 0, 2, 0]
    """
    plus, minus, t, b = v
    if row:
        return [
            plus * s[2] + t * s[3],
            b * s[2] + minus * s[3],
            minus * s[0] - t * s[1],
            plus * s[1] - b * s[0],
        ]
    return [
        minus * s[2] - b * s[3],
        plus * s[3] - t * s[2],
        plus * s[0] + b * s[1],
        t * s[0] + minus * s[1],
    ]


def contract(a: Components, b: Components) -> Any:
    """Twice the Minkowski product.

    Example:
        >>> contract([5, 3, 0, 0], [5, 3, 0, 0])
        30
    """
    return (a[0] * b[1] + a[1] * b[0]) - (a[2] * b[3] + a[3] * b[2])


def minkowski(a: Components, b: Components) -> Any:
    """The Minkowski product."""
    return contract(a, b) * 0.5


def epsilon(k: Components, e: Components, q: Components) -> list[Any]:
    """Vector J with J.d = epsilon_{0123...}(k, e, q, d), in light-cone components (determinant of these: 4i).

    Example:
        >>> t, x, y = [1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1j, -1j]
        >>> [complex(c).real for c in epsilon(t, x, y)[:2]]
        [-1.0, 1.0]
    """

    def minor(i: int, j: int) -> Any:
        return k[i] * e[j] - k[j] * e[i]

    pm, pt, pb, mt, mb, tb = minor(0, 1), minor(0, 2), minor(0, 3), minor(1, 2), minor(1, 3), minor(2, 3)
    return [
        (pt * q[3] - pb * q[2] + tb * q[0]) * -0.5j,
        (mt * q[3] - mb * q[2] + tb * q[1]) * 0.5j,
        (pm * q[2] - pt * q[1] + mt * q[0]) * 0.5j,
        (pm * q[3] - pb * q[1] + mb * q[0]) * -0.5j,
    ]
