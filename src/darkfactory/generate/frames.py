"""Rotations and boosts of component arrays, shape (4, n), the layout of the phase-space kernels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["boost_from", "boost_to", "least_t", "mass_squared", "modulus", "momentum_of", "polar", "rotate"]

Array = NDArray[np.float64]


def modulus(p: Array) -> Array:
    """|p| of (4, n)."""
    return np.asarray(np.sqrt(p[1] * p[1] + p[2] * p[2] + p[3] * p[3]))


def mass_squared(p: Array) -> Array:
    """Invariant of (4, n)."""
    k = modulus(p)
    return np.asarray((p[0] - k) * (p[0] + k))


def momentum_of(m2: Array, a2: Array, b2: Array) -> Array:
    """Momentum of the products with squared masses a2, b2 >= 0 of a decay of squared mass m2.

    Example:
        >>> momentum_of(np.array([100.0]), np.array([36.0]), np.array([0.0])).tolist()
        [3.2]
    """
    a, b = np.sqrt(a2), np.sqrt(b2)
    lam = (m2 - (a + b) ** 2) * (m2 - (a - b) ** 2)
    return np.asarray(np.sqrt(np.maximum(lam, 0.0) / m2) / 2)


def polar(k: Array, m2: Array, one_minus_cos: Array, azimuth: Array) -> Array:
    """On-shell momenta (4, n) with respect to z; one_minus_cos keeps small angles exact."""
    s = k * np.sqrt(np.maximum(one_minus_cos * (2.0 - one_minus_cos), 0.0))
    return np.stack([np.sqrt(k * k + m2), s * np.cos(azimuth), s * np.sin(azimuth), k * (1.0 - one_minus_cos)])


def rotate(p: Array, axis: Array) -> Array:
    """Turn momenta given with respect to z to the axis (direction of a four-vector), R_z(phi) R_y(theta)."""
    tr = np.hypot(axis[1], axis[2])
    mod = np.hypot(tr, axis[3])
    flat = tr == 0
    safe = np.where(flat, 1.0, tr)
    cf, sf = np.where(flat, 1.0, axis[1] / safe), np.where(flat, 0.0, axis[2] / safe)
    rest = mod == 0
    mod = np.where(rest, 1.0, mod)
    ct, st = np.where(rest, 1.0, axis[3] / mod), tr / mod
    x = ct * p[1] + st * p[3]
    return np.stack([p[0], cf * x - sf * p[2], sf * x + cf * p[2], -st * p[1] + ct * p[3]])


def _boost(p: Array, frame: Array, m: Array, sign: float) -> Array:
    along = frame[1] * p[1] + frame[2] * p[2] + frame[3] * p[3]
    energy = (frame[0] * p[0] + sign * along) / m
    f = sign * (p[0] + energy) / (frame[0] + m)
    return np.stack([energy, p[1] + f * frame[1], p[2] + f * frame[2], p[3] + f * frame[3]])


def boost_from(p: Array, frame: Array, m: Array) -> Array:
    """From the rest frame of ``frame`` (mass m) to where ``frame`` is given."""
    return _boost(p, frame, m, 1.0)


def boost_to(p: Array, frame: Array, m: Array) -> Array:
    """To the rest frame of ``frame`` (mass m)."""
    return _boost(p, frame, m, -1.0)


def least_t(m2: float, q2: Array, a2: Array, e: Array, k: Array, ea: Array, ka: Array, difference: Array) -> Array:
    """Smallest m2 - t, t = (q - p_a)^2, at parallel momenta, without cancellation.

    Args:
        m2: squared mass of the t-channel line.
        q2: virtuality of q (negative if space-like).
        a2: squared mass of the product.
        e: energy of q.
        k: momentum of q.
        ea: energy of the product.
        ka: momentum of the product.
        difference: e - ea.

    Example:
        >>> e, k, m2 = 5.0, np.sqrt(25 - 1e-6), 1e-6
        >>> ka = 0.6
        >>> ea = np.sqrt(ka**2 + m2)
        >>> x = least_t(0.0, *(np.array([v]) for v in (m2, m2, e, k, ea, ka, e - ea)))
        >>> bool(np.isclose(x[0], -(2 * m2 - 2 * (e * ea - k * ka)), rtol=1e-6))
        True
    """
    product = e * ea + k * ka
    safe = np.where(product > 0, product, 1.0)
    # E E_a - p p_a = (E^2 a2 + E_a^2 q2 - q2 a2) / (E E_a + p p_a)
    small = np.where(product > 0, (e * e * a2 + ea * ea * q2 - q2 * a2) / safe, e * ea - k * ka)
    general = (m2 - q2 - a2) + 2 * small
    # equal masses: t_max = -2 m^2 (E - E_a)^2 (1 + m^2/(E E_a - m^2 + p p_a)) / (E E_a + p p_a)
    inner = product - q2
    equal = (q2 == a2) & (product > 0) & (inner > 0)
    exact = m2 + 2 * q2 * difference**2 * (1 + q2 / np.where(equal, inner, 1.0)) / safe
    return np.asarray(np.where(equal, exact, general))
