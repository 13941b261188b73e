"""Where particles go: helices in a solenoid, the calorimeter's face, its regions."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from darkfactory.config.detector import AcceptanceConfig, GeometryConfig, Interval
from darkfactory.events.schema import ECL_BARREL, ECL_BWD, ECL_FWD, ECL_GAP_BWD, ECL_GAP_FWD

__all__ = [
    "calorimeter_hit_charged",
    "calorimeter_hit_neutral",
    "circle",
    "ecl_region",
    "impact_parameters",
    "lever_factor",
    "theta_phi",
    "within",
]

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]
Bools: TypeAlias = npt.NDArray[np.bool_]

_GEV_PER_TESLA_CM = 0.00299792458


def within(theta: Floats, interval: Interval) -> Bools:
    """Polar angles in rad inside an interval in degrees, both edges included.

    Example:
        >>> within(np.radians([16.9, 17.1]), Interval(low=17, high=150, source="published")).tolist()
        [False, True]
    """
    return np.asarray((theta >= np.radians(interval.low)) & (theta <= np.radians(interval.high)))


def theta_phi(vector: Floats) -> tuple[Floats, Floats]:
    """Polar and azimuthal angle of vectors (n, 3)."""
    x, y, z = vector[:, 0], vector[:, 1], vector[:, 2]
    return np.arctan2(np.hypot(x, y), z), np.arctan2(y, x)


def ecl_region(theta: Floats, acceptance: AcceptanceConfig) -> Ints:
    """Calorimeter region of polar angles in rad; 0 outside."""
    region = np.zeros(np.shape(theta), dtype=np.int64)
    for code, interval in (
        (ECL_FWD, acceptance.ecl_fwd_deg),
        (ECL_GAP_FWD, acceptance.ecl_gap_fwd_deg),
        (ECL_GAP_BWD, acceptance.ecl_gap_bwd_deg),
        (ECL_BWD, acceptance.ecl_bwd_deg),
        (ECL_BARREL, acceptance.ecl_barrel_deg),
    ):
        if interval is not None:
            region[within(theta, interval)] = code
    return region


def lever_factor(radius: Floats, geometry: GeometryConfig) -> Floats:
    """Growth of the curvature resolution of a track that starts at a radius in cm (Gluckstern scaling).

    (L0/L)^2 sqrt((N0 + 4)/(N + 4)), NIM 24 (1963) 381, with the chamber's lever arm L and N layers in it.
    """
    inner, outer = geometry.tracker_inner_cm.value, geometry.tracker_outer_cm.value
    full, layers = outer - inner, geometry.tracker_layers.value
    # the last tenth of the chamber gives no tracks; the floor keeps the factor finite there
    fraction = np.maximum((outer - np.maximum(radius, inner)) / full, 0.1)
    return np.asarray(fraction**-2 * np.sqrt((layers + 4) / (layers * fraction + 4)))


def circle(p: Floats, charge: Ints, vertex: Floats, field: float) -> tuple[Floats, Floats, Floats]:
    """Radius of curvature and centre of helices in the transverse plane, cm; positive charges turn clockwise.

    Args:
        p: momenta at the vertex, (n, 3), GeV.
        charge: +1 or -1.
        vertex: production points, (n, 3), cm.
        field: tesla.
    """
    pt = np.hypot(p[:, 0], p[:, 1])
    radius = np.maximum(pt, 1e-6) / (_GEV_PER_TESLA_CM * field)
    unit = p[:, :2] / np.maximum(pt, 1e-12)[:, None]
    return (
        radius,
        vertex[:, 0] + charge * radius * unit[:, 1],
        vertex[:, 1] - charge * radius * unit[:, 0],
    )


def impact_parameters(p: Floats, charge: Ints, vertex: Floats, field: float) -> tuple[Floats, Floats]:
    """d0 and z0 in cm of helices at their closest approach to the z axis.

    Args:
        p: momenta at the vertex, (n, 3), GeV.
        charge: +1 or -1.
        vertex: production points relative to the origin, (n, 3), cm.
        field: tesla.

    Returns:
        d0, positive where the origin is outside the circle of a positive charge or inside that of a
        negative one, and z0.

    Example:
        >>> d0, z0 = impact_parameters(np.array([[1.0, 0.0, 1.0]]), np.array([1]),
        ...                            np.array([[0.0, 0.3, 1.0]]), 1.5)
        >>> round(abs(float(d0[0])), 6), round(float(z0[0]), 6)
        (0.3, 1.0)
    """
    radius, cx, cy = circle(p, charge, vertex, field)
    centre = np.hypot(cx, cy)
    d0 = charge * (centre - radius)
    # turning angle from the point of closest approach to the vertex, along the motion
    start = np.arctan2(-cy, -cx)
    here = np.arctan2(vertex[:, 1] - cy, vertex[:, 0] - cx)
    turned = charge * (start - here)
    turned = np.arctan2(np.sin(turned), np.cos(turned))
    pt = np.maximum(np.hypot(p[:, 0], p[:, 1]), 1e-9)
    return d0, vertex[:, 2] - turned * radius * p[:, 2] / pt


def calorimeter_hit_neutral(p: Floats, vertex: Floats, geometry: GeometryConfig) -> tuple[Floats, Floats, Bools]:
    """Polar angle and azimuth, seen from the origin, where straight lines meet the calorimeter's face.

    Returns:
        theta, phi and whether the line starts inside the calorimeter.
    """
    theta, phi = theta_phi(p)
    inside = np.ones(len(p), dtype=np.bool_)
    far = np.flatnonzero(np.sum(vertex**2, axis=1) > 0.01)
    if len(far) == 0:
        return theta, phi, inside
    v, u = vertex[far], p[far] / np.maximum(np.linalg.norm(p[far], axis=1), 1e-12)[:, None]
    rho, ahead, behind = (
        geometry.ecl_radius_cm.value,
        geometry.ecl_z_fwd_cm.value,
        geometry.ecl_z_bwd_cm.value,
    )
    inside[far] = (np.hypot(v[:, 0], v[:, 1]) < rho) & (v[:, 2] < ahead) & (v[:, 2] > behind)
    a = np.maximum(u[:, 0] ** 2 + u[:, 1] ** 2, 1e-18)
    b = u[:, 0] * v[:, 0] + u[:, 1] * v[:, 1]
    c = v[:, 0] ** 2 + v[:, 1] ** 2 - rho**2
    barrel = (-b + np.sqrt(np.maximum(b * b - a * c, 0.0))) / a
    face = np.where(u[:, 2] > 0, ahead, behind) - v[:, 2]
    cap = np.where(np.abs(u[:, 2]) > 1e-9, face / np.where(np.abs(u[:, 2]) > 1e-9, u[:, 2], 1.0), np.inf)
    theta[far], phi[far] = theta_phi(v + np.minimum(barrel, cap)[:, None] * u)
    return theta, phi, inside


def calorimeter_hit_charged(
    p: Floats, charge: Ints, vertex: Floats, geometry: GeometryConfig
) -> tuple[Floats, Floats, Bools]:
    """As :func:`calorimeter_hit_neutral`, along helices; False also for tracks that curl up before."""
    radius, cx, cy = circle(p, charge, vertex, geometry.field_t.value)
    rho = geometry.ecl_radius_cm.value
    centre = np.maximum(np.hypot(cx, cy), 1e-9)
    here = np.arctan2(vertex[:, 1] - cy, vertex[:, 0] - cx)
    to_centre = np.arctan2(cy, cx)
    cosine = (rho**2 - centre**2 - radius**2) / (2 * centre * radius)
    reaches = np.abs(cosine) <= 1
    opening = np.arccos(np.clip(cosine, -1, 1))
    turns = [np.mod(charge * (here - (to_centre + s * opening)), 2 * np.pi) for s in (1, -1)]
    barrel = np.where(reaches, np.minimum(*turns), np.inf)
    slope = p[:, 2] / np.maximum(np.hypot(p[:, 0], p[:, 1]), 1e-9)
    face = np.where(slope > 0, geometry.ecl_z_fwd_cm.value, geometry.ecl_z_bwd_cm.value) - vertex[:, 2]
    cap = face / np.where(np.abs(slope) > 1e-9, slope, 1e-9) / radius
    cap = np.where(cap >= 0, cap, np.inf)
    turned = np.minimum(barrel, cap)
    # after half a turn the particle is stopped by the material rather than followed further
    hits = (turned < np.pi) & (np.hypot(vertex[:, 0], vertex[:, 1]) < rho)
    turned = np.where(hits, turned, 0.0)
    angle = here - charge * turned
    point = np.stack(
        [
            cx + radius * np.cos(angle),
            cy + radius * np.sin(angle),
            vertex[:, 2] + turned * radius * slope,
        ],
        axis=1,
    )
    theta, phi = theta_phi(point)
    return theta, phi, hits
