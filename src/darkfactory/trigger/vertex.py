"""Where two helices cross in the transverse plane: the two-track vertex of a trigger."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Crossing", "Helix", "crossing"]

Array = NDArray[Any]


class Helix(NamedTuple):
    """Tracks at their points of closest approach: cm, degrees, and the signed curvature in 1/cm."""

    d0: Array
    z0: Array
    phi: Array
    theta: Array
    curvature: Array


class Crossing(NamedTuple):
    """Crossing point: transverse radius in cm, polar angle in degrees, distance along z in cm (inf: none)."""

    r: Array
    theta: Array
    gap: Array


_LONGEST = 200.0  # cm; arcs longer than this leave the tracker


def _circle(helix: Helix) -> tuple[Array, Array, Array]:
    d0, _, phi, _, curvature = (np.asarray(v, dtype=float) for v in helix)
    # a straight track is a very large circle: 1e6 cm bends 1e-3 cm over the tracker's metre
    rho = 1.0 / np.where(np.abs(curvature) < 1e-6, 1e-6, curvature)
    s, c = np.sin(np.radians(phi)), np.cos(np.radians(phi))
    return (d0 + rho) * s, -(d0 + rho) * c, rho


def _arc(helix: Helix, x: Array, y: Array, centre: tuple[Array, Array, Array]) -> Array:
    """Signed path length in the transverse plane from the point of closest approach, in cm."""
    phi = np.radians(np.asarray(helix.phi, dtype=float))
    cx, cy, rho = centre
    # the direction of flight at (x, y) is perpendicular to the radius
    turned = np.arctan2((cx - x) / rho, (y - cy) / rho)
    bend = np.mod(phi - turned + np.pi, 2 * np.pi) - np.pi
    return np.asarray(bend * rho)


def crossing(one: Helix, two: Helix, valid: Array | None = None) -> Crossing:
    """Cross two helices in the transverse plane; of the two solutions the one of the smaller gap along z.

    The parameters are Belle II's: the point of closest approach to the z axis is (d0 sin phi, -d0 cos phi,
    z0); a positive charge turns clockwise seen from +z, with centre at the right hand. Circles that miss each
    other by less than 0.5 cm count as touching.

    Args:
        one: helix parameters of the first tracks, any shape.
        two: the same of the second tracks.
        valid: where to look; elsewhere the gap is infinite.

    Example:
        Two straight tracks from (x, y, z) = (10, 0, 5) cm at phi = 30 and -30 degrees:

        >>> half = 10 * np.sin(np.radians(30.0))
        >>> along = 10 * np.cos(np.radians(30.0)) / np.tan(np.radians(60.0))
        >>> up = Helix(*(np.array([v]) for v in (half, 5.0 - along, 30.0, 60.0, 0.0)))
        >>> down = Helix(*(np.array([v]) for v in (-half, 5.0 - along, -30.0, 60.0, 0.0)))
        >>> v = crossing(up, down)
        >>> round(float(v.r[0]), 2), round(float(v.gap[0]), 2), round(float(v.theta[0]), 1)
        (10.00, 0.00, 63.4)
    """
    a, b = _circle(one), _circle(two)
    dx, dy = b[0] - a[0], b[1] - a[1]
    distance = np.maximum(np.hypot(dx, dy), 1e-9)
    ra, rb = np.abs(a[2]), np.abs(b[2])
    apart = np.maximum(distance - ra - rb, np.abs(ra - rb) - distance)
    ux, uy = dx / distance, dy / distance
    # distance of the common chord from centre a; written so that large circles lose no digits
    along = 0.5 * (distance + (ra - rb) * (ra + rb) / distance)
    half = np.sqrt(np.maximum((ra - along) * (ra + along), 0.0))
    best = [np.full(distance.shape, np.inf) for _ in range(4)]
    for sign in (-1.0, 1.0):
        x = a[0] + along * ux - sign * half * uy
        y = a[1] + along * uy + sign * half * ux
        arcs = [_arc(h, x, y, c) for h, c in ((one, a), (two, b))]
        z1, z2 = (
            np.asarray(h.z0, dtype=float) + s / np.tan(np.radians(np.clip(h.theta, 1.0, 179.0)))
            for h, s in zip((one, two), arcs, strict=True)
        )
        gap = np.abs(z1 - z2)
        allowed = (apart < 0.5) & (np.abs(arcs[0]) < _LONGEST) & (np.abs(arcs[1]) < _LONGEST)
        if valid is not None:
            allowed = allowed & valid
        better = allowed & (gap < best[3])
        for i, new in enumerate((x, y, 0.5 * (z1 + z2), gap)):
            best[i] = np.where(better, new, best[i])
    r = np.hypot(best[0], best[1])
    found = np.isfinite(best[3])
    theta = np.degrees(np.arctan2(np.where(found, r, 0.0), np.where(found, best[2], 1.0)))
    return Crossing(r, theta, best[3])
