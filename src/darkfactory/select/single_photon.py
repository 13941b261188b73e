"""Candidate ``single_photon``: the photon of the largest CM energy, and what recoils against it unseen."""

from __future__ import annotations

import awkward as ak
import numpy as np

from darkfactory.config.selection import ObjectsConfig
from darkfactory.events.schema import ECL_BARREL, require_fields
from darkfactory.physics.beams import BeamFrame
from darkfactory.physics.kinematics import azimuth_from_planes
from darkfactory.select.candidates import Candidates, Observable
from darkfactory.select.objects import (
    Array,
    Flat,
    cm_matrix,
    flatten,
    good_photons,
    good_tracks,
    photon_p4,
    transform,
)

__all__ = ["OBSERVABLES", "single_photon"]

_TRACK = ("px", "py", "pz", "d0", "z0")
_CLUSTER = ("e", "theta", "phi", "time", "dt99", "region", "track", "photon_like")
_KLM = ("theta", "phi")


def single_photon(events: ak.Array, objects: ObjectsConfig, frame: BeamFrame) -> Candidates:
    """One candidate in every event with a photon.

    ``objects.photons`` defines the candidate, ``objects.veto_photons`` the clusters of the extra energy, those with
    tracks included.
    """
    require_fields(events, "tracks", "clusters", "klm_clusters")
    clusters = flatten(events["clusters"], _CLUSTER)
    photons = clusters.where(good_photons(clusters, objects.photons))
    tracks = flatten(events["tracks"], _TRACK)
    n_tracks = tracks.where(good_tracks(tracks, objects.tracks)).counts()

    p4 = photon_p4(photons)
    cm = transform(p4, cm_matrix(frame))
    # the last of each event in this order is the hardest; equal energies: the last in the event
    order = np.lexsort((cm[:, 0], photons.event))
    counts = photons.counts()
    event = np.flatnonzero(counts > 0)
    lead = order[np.cumsum(counts)[event] - 1]

    # a cluster with a track counts, too: of a converted photon whose tracks fail the cuts nothing else may be left
    alone = np.full(len(clusters.event), -1)
    everything = Flat(clusters.n_events, clusters.event, {**clusters.columns, "track": alone})
    others = clusters.where(good_photons(everything, objects.veto_photons or objects.photons))
    extra, second = _others(others, photons.where(_chosen(lead, len(photons.event))), clusters.n_events)
    unseen = frame.p4[None, :] - p4[lead]
    klm = flatten(events["klm_clusters"], _KLM)
    basis = {
        "lab": p4[lead],
        "cm": cm[lead],
        "theta": photons["theta"][lead],
        "phi": photons["phi"][lead],
        "time": photons["time"][lead],
        "dt99": photons["dt99"][lead],
        "region": photons["region"][lead],
        "photon_like": photons["photon_like"][lead],
        "unseen": unseen,
        "extra": extra[event],
        "second": second[event],
        "n_tracks": n_tracks[event].astype(float),
        "n_photons": counts[event].astype(float),
        "n_klm": klm.counts()[event].astype(float),
        "klm_angle": _nearest(klm, unseen, event),
        "sqrts": np.full(len(event), frame.sqrts),
        "partner": np.stack([_partner(cm[lead], side, frame) for side in (1.0, -1.0)], axis=-1),
    }
    return Candidates(event, np.zeros(len(event), dtype=np.int64), basis)


def _chosen(rows: np.ndarray, n: int) -> np.ndarray:
    mask = np.zeros(n, dtype=bool)
    mask[rows] = True
    return mask


def _others(others: Flat, lead: Flat, n: int) -> tuple[Array, Array]:
    """Sum and largest of the energies of other clusters, per event; the candidate itself does not count."""
    e, theta, phi = (np.full(n, np.nan) for _ in range(3))
    e[lead.event], theta[lead.event], phi[lead.event] = lead["e"], lead["theta"], lead["phi"]
    # a cluster is told by its three numbers: both lists were copied from the same one
    at = others.event
    other = (others["e"] != e[at]) | (others["theta"] != theta[at]) | (others["phi"] != phi[at])
    energy = np.where(other, others["e"], 0.0)
    largest = np.zeros(n)
    np.maximum.at(largest, at, energy)
    return np.bincount(at, weights=energy, minlength=n).astype(float), largest


def _nearest(klm: Flat, unseen: Array, event: np.ndarray) -> Array:
    """Smallest laboratory angle between a neutral muon-system cluster and the missing momentum, pi without one."""
    place = np.full(klm.n_events, -1)
    place[event] = np.arange(len(event))
    row = place[klm.event]
    known = row >= 0
    row, theta, phi = row[known], klm["theta"][known], klm["phi"][known]
    x, y, z = (np.ascontiguousarray(unseen[row, i]) for i in (1, 2, 3))
    size = np.maximum(np.sqrt(x * x + y * y + z * z), 1e-12)
    cosine = (np.sin(theta) * (x * np.cos(phi) + y * np.sin(phi)) + z * np.cos(theta)) / size
    angle = np.full(len(event), np.pi)
    np.minimum.at(angle, row, np.arccos(np.clip(cosine, -1.0, 1.0)))
    return angle


def _partner(cm: Array, side: float, frame: BeamFrame) -> Array:
    """Laboratory polar angle of a second photon, if a third one went along the electrons (+1) or the positrons (-1).

    Momentum and energy fix the third one's energy: k = M^2 / (2 (W + side p_z)), W = sqrt(s) - E.
    """
    e, x, y, z = (np.ascontiguousarray(cm[:, i]) for i in range(4))
    rest = frame.sqrts - e
    k = np.maximum(frame.sqrts * (frame.sqrts - 2 * e), 0.0) / np.maximum(2 * (rest + side * z), 1e-9)
    second = np.stack([rest - k, -x, -y, -z - side * k], axis=-1)
    return _polar(transform(second, np.ascontiguousarray(frame.to_lab(np.eye(4)))))


def _uncovered(partner: Array, edge_fwd: float, gap_fwd: float, gap_bwd: float, edge_bwd: float) -> Array:
    """Least distance of a second photon to where the calorimeter sees none, over both directions of a third one."""
    distance = np.minimum(partner - edge_fwd, edge_bwd - partner)
    distance = np.minimum(distance, np.minimum(np.abs(partner - gap_fwd), np.abs(partner - gap_bwd)))
    return np.asarray(np.minimum(distance[:, 0], distance[:, 1]))


def _crack(unseen: Array, cracks: float) -> Array:
    """Azimuth between the missing momentum and the nearest crack of the calorimeter; pi where it has none."""
    if cracks == 0:
        return np.full(len(unseen), np.pi)
    return azimuth_from_planes(np.arctan2(unseen[:, 2], unseen[:, 1]), cracks)


def _m2_recoil(cm: Array, sqrts: Array) -> Array:
    return np.asarray(sqrts * sqrts - 2 * sqrts * cm[:, 0])


def _root(m2: Array) -> Array:
    return np.asarray(np.sign(m2) * np.sqrt(np.abs(m2)))


def _polar(p: Array) -> Array:
    return np.asarray(np.arctan2(np.sqrt(p[:, 1] ** 2 + p[:, 2] ** 2), p[:, 3]))


OBSERVABLES: tuple[Observable, ...] = (
    Observable("m2_recoil", "GeV^2", ("cm", "sqrts"), _m2_recoil, (-20.0, 100.0),
               "squared mass recoiling against the photon"),
    Observable("m_recoil", "GeV", ("cm", "sqrts"), lambda c, q: _root(_m2_recoil(c, q)), (-4.5, 10.0),
               "mass recoiling against the photon, negative where its square is"),
    Observable("e_cms", "GeV", ("cm",), lambda c: c[:, 0], (0.0, 6.0), "CM energy"),
    Observable("e_lab", "GeV", ("lab",), lambda p: p[:, 0], (0.0, 8.0), "laboratory energy"),
    Observable("theta", "rad", ("theta",), lambda t: t, (0.0, np.pi), "laboratory polar angle"),
    Observable("phi", "rad", ("phi",), lambda t: t, (-np.pi, np.pi), "laboratory azimuth"),
    Observable("cos_theta_cms", "1", ("cm",), lambda c: c[:, 3] / np.maximum(c[:, 0], 1e-12), (-1.0, 1.0),
               "CM polar angle"),
    Observable("theta_missing", "rad", ("unseen",), _polar, (0.0, np.pi),
               "laboratory polar angle of the missing momentum"),
    Observable("uncovered_distance", "rad", ("partner",), _uncovered, (-0.5, 1.0),
               "least polar angle between a second photon and the ends and gaps of the calorimeter, if a third one "
               "went along either beam; negative beyond the ends",
               {"edge_fwd": ("rad", 0.0), "gap_fwd": ("rad", 0.0), "gap_bwd": ("rad", np.pi),
                "edge_bwd": ("rad", np.pi)}),
    Observable("crack_distance", "rad", ("unseen",), _crack, (0.0, 0.1),
               "azimuth between the missing momentum and the nearest crack between crystals that points to the "
               "interaction point, pi for a calorimeter without such cracks", {"cracks": ("1", 0.0)}),
    Observable("in_barrel", "1", ("region",), lambda r: (r == ECL_BARREL).astype(float), (-0.5, 1.5),
               "cluster in the barrel"),
    Observable("photon_like", "1", ("photon_like",), lambda p: p.astype(float), (-0.5, 1.5),
               "shower shape as of a photon"),
    Observable("time_over_dt99", "1", ("time", "dt99"), lambda t, d: np.abs(t) / d, (0.0, 20.0),
               "distance from the collision's time, in units of the 99 % resolution"),
    Observable("extra_energy", "GeV", ("extra",), lambda e: e, (0.0, 2.0), "laboratory energy of other clusters"),
    Observable("second_energy", "GeV", ("second",), lambda e: e, (0.0, 2.0),
               "laboratory energy of the hardest other cluster"),
    Observable("n_tracks", "1", ("n_tracks",), lambda n: n, (-0.5, 4.5), "tracks from the interaction point"),
    Observable("n_photons", "1", ("n_photons",), lambda n: n, (0.5, 6.5), "photons that could be the candidate"),
    Observable("n_klm", "1", ("n_klm",), lambda n: n, (-0.5, 4.5), "neutral clusters in the muon system"),
    Observable("klm_angle", "rad", ("klm_angle",), lambda a: a, (0.0, np.pi),
               "angle of the nearest neutral cluster in the muon system to the missing momentum, pi without one"),
)  # fmt: skip
"""All observables of this candidate."""
