"""Observables of a pair of particles that biases and the roulette share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["PAIR_OBSERVABLES", "pair_value"]

Array = NDArray[np.float64]
PAIR_OBSERVABLES = frozenset({"cos_missing", "delta_phi", "m2_recoil", "mass_pair", "pt_pair", "x_pt_pair"})


def pair_value(observable: str, first: Array, second: Array, root: Array) -> Array:
    """One of :data:`PAIR_OBSERVABLES`, in GeV, GeV^2, degrees or 1.

    ``x_pt_pair`` is the transverse momentum over the largest momentum at this recoil mass m,
    (root^2 - m^2) / (2 root): that against a massless pair.

    Args:
        observable: its name.
        first: momenta, (4, n), in the rest frame of a system with the beams along z.
        second: those of the other particle.
        root: mass of that system, (n,), GeV.

    Example:
        >>> one, two = np.array([[3.0], [3.0], [0.0], [0.0]]), np.array([[1.0], [0.0], [0.0], [1.0]])
        >>> [float(pair_value(k, one, two, np.array([10.0]))[0]) for k in ("pt_pair", "m2_recoil", "mass_pair")]
        [3.0, 26.0, 2.449489742783178]
        >>> round(float(pair_value("x_pt_pair", one, two, np.array([10.0]))[0]), 4)
        0.8108
    """
    total = first + second
    pt = np.hypot(total[1], total[2])
    if observable == "pt_pair":
        return np.asarray(pt)
    if observable == "delta_phi":
        cross = first[1] * second[2] - first[2] * second[1]
        return np.asarray(np.degrees(np.arctan2(np.abs(cross), first[1] * second[1] + first[2] * second[2])))
    k2 = total[1] ** 2 + total[2] ** 2 + total[3] ** 2
    if observable == "mass_pair":
        return np.asarray(np.sqrt(np.maximum(total[0] ** 2 - k2, 0.0)))
    if observable == "cos_missing":
        return np.asarray(-total[3] / np.sqrt(np.maximum(k2, 1e-300)))
    m2 = (root - total[0]) ** 2 - k2
    if observable == "m2_recoil":
        return np.asarray(m2)
    return np.asarray(pt * 2 * root / np.maximum(root * root - m2, 1e-3))
