"""Two-track vertices: opposite charges from one point, or whose helices happen to cross."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from darkfactory.config.detector import DetectorConfig, VertexConfig
from darkfactory.detector.flat import Columns, Particles, local_index
from darkfactory.detector.geometry import circle
from darkfactory.detector.tracks import FoundTracks, impact_resolution

__all__ = ["Vertices", "fit_vertices", "helix_crossing", "opposite_pairs", "vertex_resolution"]

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]
Bools: TypeAlias = npt.NDArray[np.bool_]

_SAME_CM = 1e-4  # true production points closer than this are one vertex


@dataclass(frozen=True, eq=False)
class Vertices(Columns):
    """Reconstructed vertices, ordered by event.

    Attributes:
        tracks: places of the negative and of the positive track in the event, (n, 2).
        position: cm from the nominal interaction point, (n, 3).
        sigma_along: resolution along the pair's momentum, cm.
        sigma_across: resolution across it, cm.
        sigma_r: resolution of the transverse radius, cm.
        sigma_distance: resolution of the distance, cm.
        probability: of the fit.
        cos_pointing: cosine between the position and the pair's momentum.
        same: both tracks are of one true vertex.
    """

    tracks: Ints
    position: Floats
    sigma_along: Floats
    sigma_across: Floats
    sigma_r: Floats
    sigma_distance: Floats
    probability: Floats
    cos_pointing: Floats
    same: Bools


def opposite_pairs(event: Ints, charge: Ints) -> tuple[Ints, Ints]:
    """Rows of the negative and of the positive track of all pairs of opposite charge, ordered by event.

    Example:
        >>> [v.tolist() for v in opposite_pairs(np.array([0, 0, 0, 1]), np.array([1, -1, 1, -1]))]
        [[1, 1], [0, 2]]
    """
    first, second = [], []
    most = int(np.bincount(event).max()) if len(event) else 0
    for step in range(1, most):
        a = np.flatnonzero((event[step:] == event[:-step]) & (charge[step:] != charge[:-step]))
        first.append(a)
        second.append(a + step)
    if not first:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    one, two = np.concatenate(first), np.concatenate(second)
    order = np.lexsort((two, one))
    one, two = one[order], two[order]
    negative = charge[one] < 0
    return np.where(negative, one, two), np.where(negative, two, one)


def vertex_resolution(
    one: Floats, two: Floats, p_one: Floats, p_two: Floats, elongation: float
) -> tuple[Floats, Floats]:
    """Resolutions along and across the momentum of a pair, from those of the tracks' impact parameters.

    Lines that miss the vertex by a common sigma and open by alpha fix it within sigma/sqrt(2)/sin(alpha/2) along the
    bisector and sigma/sqrt(2)/cos(alpha/2) across.

    Args:
        one: resolution of the first track, cm.
        two: of the second.
        p_one: momenta of the first, (n, 3).
        p_two: of the second.
        elongation: largest ratio of both.

    Example:
        At right angles both are alike:

        >>> x, y = np.array([[1.0, 0, 0]]), np.array([[0, 1.0, 0]])
        >>> [v.round(6).tolist() for v in vertex_resolution(np.ones(1), np.ones(1), x, y, 50.0)]
        [[1.0], [1.0]]
    """
    norm = np.linalg.norm(p_one, axis=1) * np.linalg.norm(p_two, axis=1)
    cosine = np.clip(np.sum(p_one * p_two, axis=1) / np.maximum(norm, 1e-12), -1.0, 1.0)
    single = one * two / np.hypot(one, two)
    half_sine, half_cosine = np.sqrt((1 - cosine) / 2), np.sqrt((1 + cosine) / 2)
    along = single / np.maximum(half_sine, 1 / elongation)
    return along, single / np.maximum(half_cosine, 1 / elongation)


def _at(
    point: Floats, start: Floats, centre: Floats, charge: Ints, radius: Floats, slope: Floats
) -> tuple[Floats, Floats]:
    """Path along the motion from a helix's start to a point of its circle, and z there; paths within half a turn."""
    here = np.arctan2(start[:, 1] - centre[:, 1], start[:, 0] - centre[:, 0])
    there = np.arctan2(point[:, 1] - centre[:, 1], point[:, 0] - centre[:, 0])
    # positive charges turn clockwise
    turned = charge * (here - there)
    path = np.arctan2(np.sin(turned), np.cos(turned)) * radius
    return path, start[:, 2] + path * slope


def helix_crossing(
    p: tuple[Floats, Floats], charge: tuple[Ints, Ints], start: tuple[Floats, Floats], field: float, downstream: float
) -> tuple[Floats, Floats, Floats]:
    """Where two helices cross in the transverse plane; of two places that with the smaller step in z.

    Args:
        p: momenta at the starts, (n, 3) each, GeV.
        charge: signs.
        start: production points, (n, 3) each, cm.
        field: tesla.
        downstream: how far behind its start a track may have a vertex, cm: farther, it would have hits before it.

    Returns:
        Points (n, 3), by how much the circles miss each other and the step in z, cm; the step is infinite without an
        allowed crossing.

    Example:
        >>> p = np.array([[1.0, 0.2, 0.5]]), np.array([[1.0, -0.2, 0.5]])
        >>> start = np.array([[5.0, 1.0, 2.5]]), np.array([[5.0, -1.0, 2.5]])
        >>> point, miss, gap = helix_crossing(p, (np.array([1]), np.array([-1])), start, 1e-3, 0.5)
        >>> bool(np.allclose(point, 0.0, atol=1e-3)), float(miss[0]), round(float(gap[0]), 3)
        (True, 0.0, 0.0)
    """
    circles = [circle(p[i], charge[i], start[i], field) for i in (0, 1)]
    radii = [c[0] for c in circles]
    centres = [np.stack(c[1:], axis=1) for c in circles]
    slopes = [p[i][:, 2] / np.maximum(np.hypot(p[i][:, 0], p[i][:, 1]), 1e-9) for i in (0, 1)]
    between = centres[1] - centres[0]
    distance = np.maximum(np.hypot(between[:, 0], between[:, 1]), 1e-9)
    unit = between / distance[:, None]
    miss = np.maximum(np.maximum(distance - radii[0] - radii[1], np.abs(radii[0] - radii[1]) - distance), 0.0)
    # written so that large circles lose no digits
    along = 0.5 * (distance + (radii[0] - radii[1]) * (radii[0] + radii[1]) / distance)
    half = np.sqrt(np.maximum((radii[0] - along) * (radii[0] + along), 0.0))
    best, point = np.full(len(distance), np.inf), np.zeros((len(distance), 3))
    for sign in (-1.0, 1.0):
        x = centres[0][:, 0] + along * unit[:, 0] - sign * half * unit[:, 1]
        y = centres[0][:, 1] + along * unit[:, 1] + sign * half * unit[:, 0]
        xy = np.stack([x, y], axis=1)
        (s1, z1), (s2, z2) = (_at(xy, start[i], centres[i], charge[i], radii[i], slopes[i]) for i in (0, 1))
        gap = np.where((s1 <= downstream) & (s2 <= downstream), np.abs(z1 - z2), np.inf)
        better = gap < best
        best = np.where(better, gap, best)
        point = np.where(better[:, None], np.stack([x, y, 0.5 * (z1 + z2)], axis=1), point)
    return point, miss, best


def fit_vertices(
    tracks: FoundTracks,
    charged: Particles,
    ip: Floats,
    detector: DetectorConfig,
    setting: VertexConfig,
    rng: np.random.Generator,
) -> Vertices:
    """Vertices of all pairs of found tracks of opposite charge that a fit accepts.

    Pairs of one true production point are smeared about it; others are where their helices cross, with the
    probability that crossing helices miss each other as they do. Tracks of the beam background have no vertex.

    Args:
        tracks: all found tracks, ordered by event.
        charged: the charged candidates that they belong to.
        ip: where each event's collision was, (n events, 3), cm.
        detector: the detector.
        setting: its vertex section.
        rng: random numbers.
    """
    place = local_index(tracks.event, len(ip))
    real = np.flatnonzero(tracks.owner >= 0)
    pairs = opposite_pairs(tracks.event[real], tracks.charge[real])
    a, b = real[pairs[0]], real[pairs[1]]
    one, two = charged.take(tracks.owner[a]), charged.take(tracks.owner[b])
    n = len(a)
    u, g = rng.random((2, n)), rng.normal(size=(5, n))
    sigma = [impact_resolution(particles, detector) for particles in (one, two)]
    same = np.sum((one.vertex - two.vertex) ** 2, axis=1) < _SAME_CM**2
    position, probability = one.vertex.copy(), u[0]
    other = np.flatnonzero(~same)
    if len(other):
        apart = [part.take(other) for part in (one, two)]
        point, miss, gap = helix_crossing(
            (apart[0].p, apart[1].p), (tracks.charge[a][other], tracks.charge[b][other]),
            (apart[0].vertex, apart[1].vertex), detector.geometry.field_t.value, setting.downstream_cm.value,
        )  # fmt: skip
        spread_d, spread_z = (np.hypot(sigma[0][i][other], sigma[1][i][other]) for i in (0, 1))
        chi2 = (miss / spread_d + np.abs(g[3][other])) ** 2 + (gap / spread_z + np.abs(g[4][other])) ** 2
        position[other], probability[other] = point, np.exp(-0.5 * chi2)
    p_one, p_two = tracks.p[a], tracks.p[b]
    total = p_one + p_two
    unit = total / np.maximum(np.linalg.norm(total, axis=1), 1e-12)[:, None]
    along, across = vertex_resolution(sigma[0][0], sigma[1][0], p_one, p_two, setting.max_elongation.value)
    noise = across[:, None] * g[:3].T
    noise = noise + (along - across)[:, None] * np.sum(g[:3].T * unit, axis=1)[:, None] * unit
    position = position + ip[tracks.event[a]] + noise
    found = (u[1] < setting.fit_efficiency.value) & (probability > setting.probability_min.value)
    found &= np.hypot(position[:, 0], position[:, 1]) < setting.max_radius_cm.value
    distance = np.linalg.norm(position, axis=1)
    radial = position * [1.0, 1.0, 0.0]
    made = Vertices(
        event=tracks.event[a],
        tracks=np.stack([place[a], place[b]], axis=1),
        position=position,
        sigma_along=along,
        sigma_across=across,
        sigma_r=_projected(along, across, unit, radial),
        sigma_distance=_projected(along, across, unit, position),
        probability=probability,
        cos_pointing=np.clip(np.sum(position * unit, axis=1) / np.maximum(distance, 1e-12), -1.0, 1.0),
        same=same,
    )
    return made.take(found)


def _projected(along: Floats, across: Floats, unit: Floats, direction: Floats) -> Floats:
    """Resolution in a direction of a Gaussian with two widths along and across a unit vector."""
    length = np.maximum(np.linalg.norm(direction, axis=1), 1e-12)
    cosine2 = np.minimum((np.sum(direction * unit, axis=1) / length) ** 2, 1.0)
    return np.asarray(np.sqrt(along**2 * cosine2 + across**2 * (1 - cosine2)))
