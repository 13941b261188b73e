"""Three- and four-vector arithmetic of candidates, row by row: arrays (n, 4) ordered (E, px, py, pz), GeV."""

from __future__ import annotations

import numpy as np

from darkfactory.select.objects import Array

__all__ = ["angle", "dot3", "longitudinal_to", "mass2", "modulus", "polar_angle", "signed_root", "transverse_to"]


def dot3(a: Array, b: Array) -> Array:
    """Scalar product of three-momenta."""
    return np.asarray(a[:, 1] * b[:, 1] + a[:, 2] * b[:, 2] + a[:, 3] * b[:, 3])


def modulus(a: Array) -> Array:
    """Length of three-momenta."""
    return np.asarray(np.sqrt(dot3(a, a)))


def angle(a: Array, b: Array) -> Array:
    """Angle between three-momenta; atan2 of cross and dot products is exact for small angles too."""
    cross = np.sqrt(
        (a[:, 2] * b[:, 3] - a[:, 3] * b[:, 2]) ** 2
        + (a[:, 3] * b[:, 1] - a[:, 1] * b[:, 3]) ** 2
        + (a[:, 1] * b[:, 2] - a[:, 2] * b[:, 1]) ** 2
    )
    return np.asarray(np.arctan2(cross, dot3(a, b)))


def polar_angle(a: Array) -> Array:
    """Polar angle."""
    return np.asarray(np.arctan2(np.sqrt(a[:, 1] ** 2 + a[:, 2] ** 2), np.ascontiguousarray(a[:, 3])))


def mass2(a: Array) -> Array:
    """Squared mass, (E - p)(E + p)."""
    p = modulus(a)
    return np.asarray((a[:, 0] - p) * (a[:, 0] + p))


def signed_root(m2: Array) -> Array:
    """Root of the modulus with the sign of the argument.

    Example:
        >>> signed_root(np.array([4.0, -9.0])).tolist()
        [2.0, -3.0]
    """
    return np.asarray(np.sign(m2) * np.sqrt(np.abs(m2)))


def longitudinal_to(recoil: Array, lepton: Array) -> Array:
    """Component of the recoil momentum along a lepton's direction, GeV.

    Example:
        >>> longitudinal_to(np.array([[9.0, 3.0, 0.0, 4.0]]), np.array([[2.0, 0.0, 0.0, 2.0]])).tolist()
        [4.0]
    """
    return np.asarray(dot3(recoil, lepton) / modulus(lepton))


def transverse_to(recoil: Array, lepton: Array) -> Array:
    """Component of the recoil momentum transverse to a lepton's direction, GeV.

    Example:
        >>> transverse_to(np.array([[9.0, 3.0, 0.0, 4.0]]), np.array([[2.0, 0.0, 0.0, 2.0]])).tolist()
        [3.0]
    """
    return np.asarray(modulus(recoil) * np.sin(angle(recoil, lepton)))
