"""Wave functions of external legs in any real type, with the phases of :mod:`darkfactory.physics.dirac`.

Components come first, events last. Vectors are in light-cone components (V0 + V3, V0 - V3, V1 + i V2, V1 - i V2),
in which sigma.V needs no additions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkfactory.generate.amplitude.records import Kind, Leg

__all__ = ["external_wave", "light_cone", "polarisation_vectors", "spinors"]

Real = NDArray[np.floating[Any]]
Complex = NDArray[np.complexfloating[Any, Any]]


def light_cone(v: Complex | Real) -> list[Complex | Real]:
    """Light-cone components of vectors with their components first.

    Example:
        >>> light_cone(np.array([[3.0], [1.0], [2.0], [1.0]]))
        [array([4.]), array([2.]), array([1.+2.j]), array([1.-2.j])]
    """
    return [v[0] + v[3], v[0] - v[3], v[1] + 1j * v[2], v[1] - 1j * v[2]]


def _two_spinors(p: Real, ctype: Any) -> tuple[tuple[Complex, Complex], tuple[Complex, Complex], Real]:
    """Helicity two-spinors of h = -1 and h = +1, and |p|; stable for momenta along -z."""
    px, py, pz = p[1], p[2], p[3]
    pt2 = px * px + py * py
    mod = np.sqrt(pt2 + pz * pz)
    plus = np.where(pz >= 0, mod + pz, pt2 / np.where(mod - pz > 0, mod - pz, 1))
    safe = plus > 0
    norm = np.sqrt(2 * mod * np.where(safe, plus, 1))
    norm = np.where(norm > 0, norm, 1)
    up = np.where(safe, plus / norm, np.where(mod > 0, 0, 1)).astype(ctype)
    down = np.empty_like(up)
    down.real = np.where(safe, px / norm, np.where(mod > 0, 1, 0))
    down.imag = np.where(safe, py / norm, 0)
    return (-np.conj(down), up), (up, down), mod


def spinors(p: Real, mass: float | Real, antiparticle: bool, barred: bool, ctype: Any = complex) -> Complex:
    """u, v, ubar or vbar of both helicities.

    Args:
        p: on-shell momenta, components first, shape (4, n), GeV.
        mass: GeV.
        antiparticle: v rather than u.
        barred: the Dirac adjoint.
        ctype: complex type of the result.

    Returns:
        Shape (4, 2, n): components, helicity (-1, +1), events.

    Example:
        >>> u = spinors(np.array([[5.0], [0.0], [0.0], [4.0]]), 3.0, False, False)
        >>> ubar = spinors(np.array([[5.0], [0.0], [0.0], [4.0]]), 3.0, False, True)
        >>> (ubar * u).sum(axis=0).real.ravel().tolist()
        [6.0, 6.0]
    """
    minus, plus, mod = _two_spinors(p, ctype)
    high = np.sqrt(p[0] + mod)
    low = mass / high
    out = np.empty((4, 2, p.shape[1]), dtype=ctype)
    for i, h in enumerate((-1, 1)):
        if antiparticle:
            chi = minus if h > 0 else plus
            a, b = (-high, low) if h > 0 else (-low, high)
        else:
            chi = plus if h > 0 else minus
            a, b = (low, high) if h > 0 else (high, low)
        if barred:
            a, b, chi = b, a, (np.conj(chi[0]), np.conj(chi[1]))
        out[0, i], out[1, i], out[2, i], out[3, i] = a * chi[0], a * chi[1], b * chi[0], b * chi[1]
    return out


def polarisation_vectors(p: Real, massive: bool, ctype: Any = complex) -> Complex:
    """Polarisation vectors of an incoming vector, in light-cone components.

    Massive ones take the mass from the momentum itself. Helicity +-: (-+ e_theta - i e_phi) / sqrt(2).

    Returns:
        Shape (4, 2 or 3, n): components, helicity (-1, [0,] +1), events.

    Example:
        >>> e = polarisation_vectors(np.array([[5.0], [0.0], [0.0], [4.0]]), True)
        >>> (e[0, 1] * e[1, 1]).real.tolist(), (e[3, 2] * np.conj(e[3, 2])).real.tolist()
        ([-1.0], [2.0])
    """
    px, py, pz = p[1], p[2], p[3]
    pt = np.hypot(px, py)
    mod = np.hypot(pt, pz)
    away = pt > 0
    cphi, sphi = np.where(away, px / np.where(away, pt, 1), 1), np.where(away, py / np.where(away, pt, 1), 0)
    moving = mod > 0
    ct, st = np.where(moving, pz / np.where(moving, mod, 1), 1), pt / np.where(moving, mod, 1)
    root = np.sqrt(p.dtype.type(2))
    out = np.empty((4, 3 if massive else 2, p.shape[1]), dtype=ctype)
    for i, h in ((0, -1), (-1, 1)):
        v = np.zeros((4, p.shape[1]), dtype=ctype)
        v[1].real, v[1].imag = -h * ct * cphi / root, sphi / root
        v[2].real, v[2].imag = -h * ct * sphi / root, -cphi / root
        v[3].real = h * st / root
        for k, component in enumerate(light_cone(v)):
            out[k, i] = component
    if massive:
        mass = np.sqrt(np.maximum((p[0] - mod) * (p[0] + mod), np.finfo(p.dtype).tiny))
        v = np.stack([mod, p[0] * st * cphi, p[0] * st * sphi, p[0] * ct]) / mass
        for k, component in enumerate(light_cone(v)):
            out[k, 1] = component
    return out


def external_wave(leg: Leg, kind: Kind, p: Real, ctype: Any) -> Complex:
    """Wave function of an external leg at its physical momenta (4, n), shape (components, helicities, n)."""
    if kind is Kind.SCA:
        return np.ones((1, 1, p.shape[1]), dtype=ctype)
    if kind is Kind.VEC:
        e = polarisation_vectors(p, len(leg.helicities) == 3, ctype)
        # an outgoing vector is the complex conjugate; conjugation swaps the transverse light-cone components
        return e if leg.incoming else np.conj(e[[0, 1, 3, 2]])
    mass: Any = leg.mass
    if leg.variable_mass:
        mass = np.sqrt(np.maximum(p[0] ** 2 - p[1] ** 2 - p[2] ** 2 - p[3] ** 2, 0))
    barred = kind is Kind.ROW
    return spinors(p, mass, leg.incoming == barred, barred, ctype)
