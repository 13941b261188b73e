"""Candidate ``photon_triplet``: the three hardest photons of an event, with each of the three pairings.

Candidate k of an event pairs the two photons other than the k-th hardest, which is the recoil. Observables are
after the axion-like-particle search, Phys. Rev. Lett. 125, 161806.
"""

from __future__ import annotations

from functools import partial

import awkward as ak
import numpy as np

from darkfactory.config.selection import ObjectsConfig
from darkfactory.events.schema import require_fields
from darkfactory.physics.beams import BeamFrame
from darkfactory.select.candidates import Candidates, Observable
from darkfactory.select.objects import (
    Array,
    cm_matrix,
    flatten,
    good_photons,
    good_tracks,
    photon_p4,
    transform,
)

__all__ = ["OBSERVABLES", "photon_triplet"]

_TRACK = ("px", "py", "pz", "d0", "z0")
_CLUSTER = ("e", "theta", "phi", "time", "dt99", "track", "photon_like")
# of candidate k: the paired photons, harder first, and the remaining one
_PAIRING = np.array([[1, 2, 0], [0, 2, 1], [0, 1, 2]])


def photon_triplet(events: ak.Array, objects: ObjectsConfig, frame: BeamFrame) -> Candidates:
    """Events with at least three photons: three candidates each, one per pairing of the three hardest."""
    require_fields(events, "tracks", "clusters")
    clusters = flatten(events["clusters"], _CLUSTER)
    photons = clusters.where(good_photons(clusters, objects.photons))
    tracks = flatten(events["tracks"], _TRACK)
    n_tracks = tracks.where(good_tracks(tracks, objects.tracks)).counts()
    energy = np.bincount(photons.event, weights=photons["e"], minlength=photons.n_events)

    counts = photons.counts()
    by_energy = np.lexsort((-photons["e"], photons.event))
    first = np.cumsum(counts) - counts
    event = np.flatnonzero(counts >= 3)
    top = by_energy[first[event][:, None] + np.arange(3)]
    index = top[:, _PAIRING].reshape(-1, 3)  # row: a, b, recoil photon
    rows = np.repeat(event, 3)

    p4 = photon_p4(photons)
    to_cm = cm_matrix(frame)
    cm = transform(p4, to_cm)
    basis = {
        "a": cm[index[:, 0]],
        "b": cm[index[:, 1]],
        "c": cm[index[:, 2]],
        "lab": p4[index],
        "theta": photons["theta"][index],
        "phi": photons["phi"][index],
        "time": photons["time"][index],
        "dt99": photons["dt99"][index],
        "photon_like": photons["photon_like"][index],
        "n_tracks": n_tracks[rows].astype(float),
        "n_photons": counts[rows].astype(float),
        "all_energy": energy[rows],
        "sqrts": np.full(len(rows), frame.sqrts),
    }
    return Candidates(rows, np.tile(np.arange(3), len(event)), basis)


def _dot(a: Array, b: Array) -> Array:
    return np.asarray(a[:, 0] * b[:, 0] - a[:, 1] * b[:, 1] - a[:, 2] * b[:, 2] - a[:, 3] * b[:, 3])


def _angle(a: Array, b: Array) -> Array:
    """Angle between photons from m^2 = 2 E_a E_b (1 - cos): exact for small angles."""
    half = np.sqrt(np.clip(_dot(a, b) / (2 * a[:, 0] * b[:, 0]), 0.0, 1.0))
    return np.asarray(2 * np.arcsin(half))


def _m2_pair(a: Array, b: Array) -> Array:
    # photons are massless: m^2 = 2 p_a.p_b has no cancellation of energies
    return np.asarray(2 * _dot(a, b))


def _m2_recoil(c: Array, sqrts: Array) -> Array:
    return np.asarray(sqrts * sqrts - 2 * sqrts * c[:, 0])


def _m_all(a: Array, b: Array, c: Array) -> Array:
    return np.asarray(np.sqrt(np.maximum(2 * (_dot(a, b) + _dot(a, c) + _dot(b, c)), 0.0)))


def _root(m2: Array) -> Array:
    return np.asarray(np.sign(m2) * np.sqrt(np.abs(m2)))


def _cos_helicity(a: Array, b: Array) -> Array:
    """|cos| of the decay angle in the pair's rest frame: |E_a - E_b| / |p_a + p_b| for massless daughters."""
    q = a[:, 1:] + b[:, 1:]
    p = np.sqrt(q[:, 0] ** 2 + q[:, 1] ** 2 + q[:, 2] ** 2)
    return np.asarray(np.minimum(np.abs(a[:, 0] - b[:, 0]) / np.maximum(p, 1e-12), 1.0))


def _pairs(lab: Array) -> Array:
    """Angles of the pairs (ab, ac, bc), shape (n, 3)."""
    return np.stack([_angle(lab[:, i], lab[:, j]) for i, j in ((0, 1), (0, 2), (1, 2))], axis=-1)


def _energy(lab: np.ndarray, place: int) -> Array:
    return np.asarray(lab[:, place, 0])


def _entry(values: np.ndarray, place: int) -> Array:
    return np.asarray(values[:, place])


def _row_min(x: np.ndarray) -> Array:
    return np.asarray(np.minimum(np.minimum(x[:, 0], x[:, 1]), x[:, 2]))


def _row_max(x: np.ndarray) -> Array:
    return np.asarray(np.maximum(np.maximum(x[:, 0], x[:, 1]), x[:, 2]))


def _close_pairs(theta: Array, phi: Array, dtheta: float, dphi: float) -> Array:
    """Pairs that look like a conversion: close in both angles (the field bends in azimuth)."""
    count = np.zeros(len(theta))
    for i, j in ((0, 1), (0, 2), (1, 2)):
        gap = np.abs(phi[:, i] - phi[:, j])
        gap = np.minimum(gap, 2 * np.pi - gap)
        count += (np.abs(theta[:, i] - theta[:, j]) <= dtheta) & (gap <= dphi)
    return count


def _time_spread(time: Array, dt99: Array) -> Array:
    """Largest |t_i - t| / dt99_i, t the mean weighted with 1 / dt99^2."""
    w = 1.0 / (dt99 * dt99)
    total = w[:, 0] + w[:, 1] + w[:, 2]
    mean = (w[:, 0] * time[:, 0] + w[:, 1] * time[:, 1] + w[:, 2] * time[:, 2]) / total
    return _row_max(np.abs(time - mean[:, None]) / dt99)


def _shape_isolated(lab: Array, photon_like: np.ndarray) -> Array:
    """Shower-shape decision of the more isolated of the two softer photons, the same for all pairings."""
    order = np.argsort(-lab[:, :, 0], axis=1, kind="stable")
    rows = np.arange(len(lab))
    hard, mid, soft = (lab[rows, order[:, i]] for i in range(3))
    # the distance between the two is common: the farther from the hardest is the more isolated,
    # unless both are nearest to each other; then the tie goes to the farther from the hardest too
    pick = np.where(_angle(hard, mid) >= _angle(hard, soft), order[:, 1], order[:, 2])
    return np.asarray(photon_like[rows, pick].astype(float))


OBSERVABLES: tuple[Observable, ...] = (
    Observable("m2_gg", "GeV^2", ("a", "b"), _m2_pair, (0.0, 115.0), "squared mass of the photon pair"),
    Observable("m_gg", "GeV", ("a", "b"), lambda a, b: _root(_m2_pair(a, b)), (0.0, 11.0),
               "mass of the photon pair"),
    Observable("m2_recoil", "GeV^2", ("c", "sqrts"), _m2_recoil, (-20.0, 115.0),
               "squared mass recoiling against the remaining photon"),
    Observable("m_recoil", "GeV", ("c", "sqrts"), lambda c, q: _root(_m2_recoil(c, q)), (-5.0, 11.0),
               "mass recoiling against the remaining photon, negative where its square is"),
    Observable("m_3g", "GeV", ("a", "b", "c"), _m_all, (0.0, 12.0), "mass of the three photons"),
    Observable("m_3g_over_sqrts", "1", ("a", "b", "c", "sqrts"), lambda a, b, c, q: _m_all(a, b, c) / q, (0.5, 1.1),
               "mass of the three photons over the CM energy"),
    Observable("e_min", "GeV", ("lab",), lambda p: _row_min(p[:, :, 0]), (0.0, 6.0),
               "laboratory energy of the softest photon"),
    Observable("e_max", "GeV", ("lab",), lambda p: _row_max(p[:, :, 0]), (0.0, 8.0),
               "laboratory energy of the hardest photon"),
    Observable("e_recoil_cms", "GeV", ("c",), lambda c: c[:, 0], (0.0, 5.5), "CM energy of the remaining photon"),
    *(
        Observable(f"e_photon_{name}", "GeV", ("lab",), partial(_energy, place=i), (0.0, 8.0),
                   f"laboratory energy of photon {name}; a and b are the pair")
        for i, name in enumerate("abc")
    ),
    *(
        Observable(f"theta_photon_{name}", "rad", ("theta",), partial(_entry, place=i), (0.0, np.pi),
                   f"laboratory polar angle of photon {name}; a and b are the pair")
        for i, name in enumerate("abc")
    ),
    Observable("theta_min", "rad", ("theta",), _row_min, (0.0, np.pi), "smallest laboratory polar angle"),
    Observable("theta_max", "rad", ("theta",), _row_max, (0.0, np.pi), "largest laboratory polar angle"),
    Observable("theta_recoil", "rad", ("theta",), lambda t: t[:, 2], (0.0, np.pi),
               "laboratory polar angle of the remaining photon"),
    Observable("cos_theta_recoil_cms", "1", ("c",), lambda c: c[:, 3] / c[:, 0], (-1.0, 1.0),
               "CM polar angle of the remaining photon"),
    Observable("opening_angle", "rad", ("lab",), lambda p: _angle(p[:, 0], p[:, 1]), (0.0, np.pi),
               "laboratory angle of the pair"),
    Observable("opening_angle_min", "rad", ("lab",), lambda p: _row_min(_pairs(p)), (0.0, np.pi),
               "smallest laboratory angle of two photons"),
    Observable("n_close_pairs", "1", ("theta", "phi"), _close_pairs, (-0.5, 3.5),
               "pairs closer than dtheta and dphi, as from a conversion",
               {"dtheta": ("rad", 0.014), "dphi": ("rad", 0.400)}),
    Observable("cos_helicity", "1", ("a", "b"), _cos_helicity, (0.0, 1.0), "|cos| of the pair's decay angle"),
    Observable("time_spread", "1", ("time", "dt99"), _time_spread, (0.0, 10.0),
               "largest distance from the mean time, in units of the 99 % resolution"),
    Observable("shape_isolated", "1", ("lab", "photon_like"), _shape_isolated, (-0.5, 1.5),
               "photon-like shower of the more isolated of the two softer photons"),
    Observable("n_tracks", "1", ("n_tracks",), lambda n: n, (-0.5, 4.5), "tracks from the interaction point"),
    Observable("n_photons", "1", ("n_photons",), lambda n: n, (2.5, 9.5), "number of photons"),
    Observable("extra_energy", "GeV", ("all_energy", "lab"),
               lambda e, p: np.maximum(e - (p[:, 0, 0] + p[:, 1, 0] + p[:, 2, 0]), 0.0), (0.0, 2.0),
               "energy of photons beyond the three"),
)  # fmt: skip
"""All observables of this candidate."""
