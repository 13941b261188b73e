"""Where two helices cross in the transverse plane: the two-track vertex of a trigger."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Crossing", "Helix", "crossing"]

Array = NDArray[Any]


class Helix(NamedTuple):
    """Tracks: impact parameters in cm, direction at the vertex in degrees, signed curvature in 1/cm."""

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


def _radii(helix: Helix) -> tuple[Array, Array, Array, Array]:
    """Vector from the vertex to the helix's centre, its signed radius, and the centre's distance from the axis."""
    d0, curvature = np.asarray(helix.d0, dtype=float), np.asarray(helix.curvature, dtype=float)
    # a straight track is a very large circle: 1e6 cm bends 1e-3 cm over the tracker's metre
    rho = 1.0 / np.where(np.abs(curvature) < 1e-6, 1e-6, curvature)
    phi = np.radians(np.asarray(helix.phi, dtype=float))
    return rho * np.sin(phi), -rho * np.cos(phi), rho, np.abs(d0 + rho)


def _z_at(helix: Helix, x: Array, y: Array, to_centre: tuple[Array, Array, Array, Array]) -> tuple[Array, Array]:
    """Where along z a track is at the vertex (x, y), and the path length there from the point of closest approach."""
    ax, ay, rho, _ = to_centre
    # direction of flight at the closest approach: at right angles to the line from the axis to the centre
    start = np.arctan2((x + ax) / rho, -(y + ay) / rho)
    turned = start - np.radians(np.asarray(helix.phi, dtype=float))
    path = (np.mod(turned + np.pi, 2 * np.pi) - np.pi) * rho
    theta = np.radians(np.clip(np.asarray(helix.theta, dtype=float), 1.0, 179.0))
    return np.asarray(helix.z0, dtype=float) + path / np.tan(theta), path


def crossing(one: Helix, two: Helix, valid: Array | None = None) -> Crossing:
    """The common point of two helices whose directions are known there; of two solutions the one closer in z.

    Each track's impact parameter d0 and its direction at the vertex put the vertex on a circle, since the
    helix's centre lies at a known distance from the axis and at a known vector from the vertex. Two circles
    cross in the vertex. Signs are Belle II's: a positive charge turns clockwise seen from +z, with the centre
    at its right hand, and d0 is positive where the axis is farther from the centre than the track (for
    positive charges; the other way for negative ones). Circles that miss each other by less than 0.5 cm count
    as touching.

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
    a, b = _radii(one), _radii(two)
    # circles about minus the vectors to the centres
    dx, dy = a[0] - b[0], a[1] - b[1]
    distance = np.maximum(np.hypot(dx, dy), 1e-9)
    ra, rb = a[3], b[3]
    apart = np.maximum(distance - ra - rb, np.abs(ra - rb) - distance)
    ux, uy = dx / distance, dy / distance
    # distance of the common chord from the first centre; written so that large circles lose no digits
    along = 0.5 * (distance + (ra - rb) * (ra + rb) / distance)
    half = np.sqrt(np.maximum((ra - along) * (ra + along), 0.0))
    best = [np.full(distance.shape, np.inf) for _ in range(4)]
    for sign in (-1.0, 1.0):
        x = -a[0] + along * ux - sign * half * uy
        y = -a[1] + along * uy + sign * half * ux
        (z1, s1), (z2, s2) = _z_at(one, x, y, a), _z_at(two, x, y, b)
        gap = np.abs(z1 - z2)
        allowed = (apart < 0.5) & (np.abs(s1) < _LONGEST) & (np.abs(s2) < _LONGEST)
        if valid is not None:
            allowed = allowed & valid
        better = allowed & (gap < best[3])
        for i, new in enumerate((x, y, 0.5 * (z1 + z2), gap)):
            best[i] = np.where(better, new, best[i])
    found = np.isfinite(best[3])
    r = np.hypot(best[0], best[1])
    theta = np.degrees(np.arctan2(np.where(found, r, 0.0), np.where(found, best[2], 1.0)))
    return Crossing(r, theta, best[3])
