"""Kinematics of arrays of four-vectors ordered (E, px, py, pz), shape (..., 4), GeV."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "azimuth_from_planes",
    "boost",
    "cos_angle",
    "cos_theta",
    "dot",
    "four_vector",
    "from_rest_frame",
    "kallen",
    "mass",
    "mass2",
    "momentum",
    "phi",
    "pt",
    "rotate_from_z",
    "rotation_to_z",
    "to_rest_frame",
    "two_body",
    "two_body_momentum",
]

Array = NDArray[np.float64]


def dot(a: Array, b: Array) -> Array:
    """Minkowski product, metric (+,-,-,-).

    Example:
        >>> float(dot(np.array([2.0, 0, 0, 1]), np.array([3.0, 0, 0, 1])))
        5.0
    """
    return np.asarray(a[..., 0] * b[..., 0] - a[..., 1] * b[..., 1] - a[..., 2] * b[..., 2] - a[..., 3] * b[..., 3])


def momentum(p: Array) -> Array:
    """Length of the three-momentum in GeV, shape (...).

    Example:
        >>> float(momentum(np.array([6.0, 1.0, 2.0, 2.0])))
        3.0
    """
    return np.asarray(np.sqrt(p[..., 1] ** 2 + p[..., 2] ** 2 + p[..., 3] ** 2))


def mass2(p: Array) -> Array:
    """Invariant mass squared in GeV^2, as (E-|p|)(E+|p|); may be slightly negative for light-like vectors.

    Example:
        >>> float(mass2(np.array([5.0, 0, 0, 4])))
        9.0
    """
    mod = momentum(p)
    return np.asarray((p[..., 0] - mod) * (p[..., 0] + mod))


def mass(p: Array) -> Array:
    """Invariant mass in GeV, zero for space-like vectors.

    Example:
        >>> float(mass(np.array([5.0, 0, 0, 4])))
        3.0
    """
    return np.asarray(np.sqrt(np.maximum(mass2(p), 0.0)))


def pt(p: Array) -> Array:
    """Momentum transverse to z in GeV.

    Example:
        >>> float(pt(np.array([9.0, 3, 4, 2])))
        5.0
    """
    return np.asarray(np.hypot(p[..., 1], p[..., 2]))


def phi(p: Array) -> Array:
    """Azimuth in (-pi, pi].

    Example:
        >>> round(float(phi(np.array([1.0, 0, 1, 0]))), 6)
        1.570796
    """
    return np.asarray(np.arctan2(p[..., 2], p[..., 1]))


def azimuth_from_planes(phi: ArrayLike, number: float) -> Array:
    """Azimuth in rad to the nearest of a number of half-planes through the z axis at equal distances, one of them at 0.

    Example:
        >>> azimuth_from_planes([0.0, 0.02, 2 * np.pi / 120 - 0.01], 120).round(6).tolist()
        [0.0, 0.02, 0.01]
    """
    turns = np.asarray(phi, dtype=float) * number / (2 * np.pi)
    return np.asarray(np.abs(turns - np.rint(turns)) * 2 * np.pi / number)


def cos_theta(p: Array) -> Array:
    """Cosine of the polar angle, 0 for a vector at rest.

    Example:
        >>> float(cos_theta(np.array([5.0, 3, 0, 4])))
        0.8
    """
    mod = momentum(p)
    return np.asarray(p[..., 3] / np.where(mod > 0, mod, 1.0))


def cos_angle(a: Array, b: Array) -> Array:
    """Cosine of the angle between the three-momenta of two four-vectors.

    Example:
        >>> float(cos_angle(np.array([1.0, 1, 0, 0]), np.array([2.0, 0, 2, 0])))
        0.0
    """
    scalar = a[..., 1] * b[..., 1] + a[..., 2] * b[..., 2] + a[..., 3] * b[..., 3]
    norm = momentum(a) * momentum(b)
    return np.asarray(np.clip(scalar / np.where(norm > 0, norm, 1.0), -1.0, 1.0))


def kallen(a: ArrayLike, b: ArrayLike, c: ArrayLike) -> Array:
    """Kallen's triangle function of three squared masses, as a product of factors without cancellation.

    Example:
        >>> float(kallen(100.0, 1.0, 4.0))
        9009.0
    """
    x, y, z = np.asarray(a, float), np.asarray(b, float), np.asarray(c, float)
    ry, rz = np.sqrt(np.maximum(y, 0.0)), np.sqrt(np.maximum(z, 0.0))
    positive = (x - (ry + rz) ** 2) * (x - (ry - rz) ** 2)
    return np.asarray(np.where((y >= 0) & (z >= 0), positive, (x - y - z) ** 2 - 4 * y * z))


def two_body_momentum(m: ArrayLike, m1: ArrayLike, m2: ArrayLike) -> Array:
    """Momentum in GeV of the products in a two-body decay, zero below threshold.

    Example:
        >>> float(two_body_momentum(10.0, 6.0, 0.0))
        3.2
    """
    a, b, c = np.asarray(m, float), np.asarray(m1, float), np.asarray(m2, float)
    lam = (a - b - c) * (a + b + c) * (a - b + c) * (a + b - c)
    return np.asarray(np.sqrt(np.maximum(lam, 0.0)) / (2 * np.where(a > 0, a, 1.0)))


def four_vector(mom: ArrayLike, cos_th: ArrayLike, azimuth: ArrayLike, m: ArrayLike) -> Array:
    """On-shell four-vector from momentum, polar cosine, azimuth and mass; shape broadcast + (4,).

    Example:
        >>> four_vector(3.0, 0.0, 0.0, 4.0).tolist()
        [5.0, 3.0, 0.0, 0.0]
    """
    k, c, f, mm = np.broadcast_arrays(*(np.asarray(x, float) for x in (mom, cos_th, azimuth, m)))
    s = np.sqrt(np.maximum((1 - c) * (1 + c), 0.0))
    return np.stack([np.sqrt(k * k + mm * mm), k * s * np.cos(f), k * s * np.sin(f), k * c], axis=-1)


def boost(p: Array, beta: Array) -> Array:
    """Active boost by a velocity: a vector at rest leaves with velocity ``beta``.

    Args:
        p: four-vectors, shape (..., 4).
        beta: velocities in units of c, shape (..., 3), broadcast against ``p``.

    Example:
        >>> boost(np.array([3.0, 0, 0, 0]), np.array([0.0, 0, 0.8])).round(9).tolist()
        [5.0, 0.0, 0.0, 4.0]
    """
    b2 = beta[..., 0] ** 2 + beta[..., 1] ** 2 + beta[..., 2] ** 2
    gamma = 1.0 / np.sqrt(1.0 - b2)
    bp = beta[..., 0] * p[..., 1] + beta[..., 1] * p[..., 2] + beta[..., 2] * p[..., 3]
    # (gamma - 1)/beta^2 = gamma^2/(gamma + 1): regular for beta -> 0
    factor = gamma * gamma / (gamma + 1.0) * bp + gamma * p[..., 0]
    energy = gamma * (p[..., 0] + bp)
    space = p[..., 1:] + factor[..., None] * beta
    return np.concatenate([np.broadcast_to(energy[..., None], (*space.shape[:-1], 1)), space], axis=-1)


def _signed_boost(p: Array, frame: Array, sign: float) -> Array:
    """Boost by +-frame/M with q'0 = (E q0 +- P.q)/M, stable for fast frames."""
    m = np.sqrt(mass2(frame))
    pq = frame[..., 1] * p[..., 1] + frame[..., 2] * p[..., 2] + frame[..., 3] * p[..., 3]
    energy = (frame[..., 0] * p[..., 0] + sign * pq) / m
    factor = sign * (p[..., 0] + energy) / (frame[..., 0] + m)
    space = p[..., 1:] + factor[..., None] * frame[..., 1:]
    return np.concatenate([energy[..., None], space], axis=-1)


def to_rest_frame(p: Array, frame: Array) -> Array:
    """Components of ``p`` in the rest frame of the time-like ``frame``, axes unrotated.

    Example:
        >>> q = np.array([5.0, 0, 0, 4.0])
        >>> to_rest_frame(q, q).tolist()
        [3.0, 0.0, 0.0, 0.0]
    """
    return _signed_boost(p, frame, -1.0)


def from_rest_frame(p: Array, frame: Array) -> Array:
    """Inverse of :func:`to_rest_frame`.

    Example:
        >>> from_rest_frame(np.array([3.0, 0, 0, 0]), np.array([5.0, 0, 0, 4.0])).tolist()
        [5.0, 0.0, 0.0, 4.0]
    """
    return _signed_boost(p, frame, 1.0)


def rotation_to_z(axis: ArrayLike) -> Array:
    """Rotation matrix (3, 3) that takes a direction to +z by the shortest way (about axis x z).

    Example:
        >>> bool(np.allclose(rotation_to_z([1.0, 0.0, 0.0]) @ [2.0, 0.0, 0.0], [0, 0, 2.0]))
        True
    """
    n = np.asarray(axis, float)
    n = n / np.sqrt(np.sum(n * n))
    x, y, c = n[0], n[1], n[2]
    if c < -1 + 1e-14:
        return np.diag([1.0, -1.0, -1.0])
    k = 1.0 / (1.0 + c)
    return np.array([[1 - k * x * x, -k * x * y, -x], [-k * x * y, 1 - k * y * y, -y], [x, y, c]])


def rotate_from_z(p: Array, axis: Array) -> Array:
    """Rotate four-vectors so that their z axis points along ``axis``: polar angles become relative to it.

    Args:
        p: four-vectors given with respect to the axis, shape (..., 4).
        axis: four-vectors (only the direction counts) or three-vectors, shape (..., 3 or 4). The rotation is
            R_z(phi) R_y(theta).

    Example:
        >>> rotate_from_z(np.array([1.0, 0, 0, 1]), np.array([2.0, 0, 0])).round(9).tolist()
        [1.0, 1.0, 0.0, 0.0]
    """
    n = axis[..., -3:]
    mod = np.sqrt(np.sum(n * n, axis=-1))
    mod = np.where(mod > 0, mod, 1.0)
    tr = np.hypot(n[..., 0], n[..., 1])
    safe = np.where(tr > 0, tr, 1.0)
    cf, sf = np.where(tr > 0, n[..., 0] / safe, 1.0), np.where(tr > 0, n[..., 1] / safe, 0.0)
    # at rest or along +z: identity
    ct = np.where(np.sum(n * n, axis=-1) > 0, n[..., 2] / mod, 1.0)
    st = tr / mod
    x1 = ct * p[..., 1] + st * p[..., 3]
    z1 = -st * p[..., 1] + ct * p[..., 3]
    return np.stack([p[..., 0] + 0 * x1, cf * x1 - sf * p[..., 2], sf * x1 + cf * p[..., 2], z1], axis=-1)


def two_body(parent: Array, m1: ArrayLike, m2: ArrayLike, cos_th: ArrayLike, azimuth: ArrayLike) -> tuple[Array, Array]:
    """Two-body decay with helicity angles: the polar angle is relative to the parent's flight direction.

    Args:
        parent: parents' four-vectors, shape (n, 4).
        m1: mass of the first product, GeV.
        m2: mass of the second product, GeV.
        cos_th: cosine of the first product's helicity angle.
        azimuth: its azimuth about the parent's direction.

    Returns:
        Four-vectors of both products, shapes (n, 4), in the parent's frame of reference.

    Example:
        >>> a, b = two_body(np.array([[10.0, 0, 0, 6.0]]), 0.0, 0.0, 1.0, 0.0)
        >>> a.round(9).tolist(), (a + b).round(9).tolist()
        ([[8.0, 0.0, 0.0, 8.0]], [[10.0, 0.0, 0.0, 6.0]])
    """
    n = parent.shape[:-1]
    k = two_body_momentum(mass(parent), m1, m2)
    k, c, f = (np.broadcast_to(np.asarray(x, float), n) for x in (k, cos_th, azimuth))
    first = rotate_from_z(four_vector(k, c, f, m1), parent)
    back = np.concatenate([np.sqrt(k * k + np.asarray(m2, float) ** 2)[..., None], -first[..., 1:]], axis=-1)
    return from_rest_frame(first, parent), from_rest_frame(back, parent)
