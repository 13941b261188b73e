"""The skim's cuts: each gives one mask per event."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import awkward as ak
import numpy as np
import numpy.typing as npt

from darkfactory.config.skim import (
    NeutralEnergyCut,
    PhotonCountCut,
    PhotonObject,
    PhotonTripletCut,
    TotalChargeCut,
    TrackCountCut,
    TrackObject,
    TrackPairCut,
    VertexCountCut,
    VertexObject,
)
from darkfactory.events.schema import require_fields
from darkfactory.physics.beams import BeamFrame

__all__ = ["CUTS", "photon_mask", "track_mask", "vertex_mask"]

Bools: TypeAlias = npt.NDArray[np.bool_]
Floats: TypeAlias = npt.NDArray[np.float64]


def track_mask(tracks: ak.Array, wanted: TrackObject) -> ak.Array:
    """Which tracks count (jagged)."""
    pt = np.hypot(tracks.px, tracks.py)
    mask = pt >= wanted.pt_min_gev
    if wanted.abs_d0_cm is not None:
        mask = mask & (np.abs(tracks.d0) < wanted.abs_d0_cm)
    if wanted.abs_z0_cm is not None:
        mask = mask & (np.abs(tracks.z0) < wanted.abs_z0_cm)
    if wanted.theta_deg is not None:
        theta = np.degrees(np.arctan2(pt, tracks.pz))
        mask = mask & (theta > wanted.theta_deg[0]) & (theta < wanted.theta_deg[1])
    if wanted.any_of:
        passed = tracks[wanted.any_of[0]]
        for name in wanted.any_of[1:]:
            passed = passed | tracks[name]
        mask = mask & passed
    return mask


def photon_mask(clusters: ak.Array, wanted: PhotonObject, frame: BeamFrame) -> ak.Array:
    """Which clusters count (jagged): neutral ones within the limits."""
    mask = (clusters.track < 0) & (clusters.e >= wanted.e_min_gev)
    if wanted.e_cm_min_gev > 0:
        boost = frame.p4 / frame.sqrts
        sine = np.sin(clusters.theta)
        along = sine * (np.cos(clusters.phi) * boost[1] + np.sin(clusters.phi) * boost[2])
        along = along + np.cos(clusters.theta) * boost[3]
        mask = mask & (clusters.e * (boost[0] - along) >= wanted.e_cm_min_gev)
    if wanted.theta_deg is not None:
        theta = np.degrees(clusters.theta)
        mask = mask & (theta > wanted.theta_deg[0]) & (theta < wanted.theta_deg[1])
    if wanted.abs_time_ns is not None:
        mask = mask & (np.abs(clusters.time) < wanted.abs_time_ns)
    if wanted.photon_like:
        mask = mask & clusters.photon_like
    return mask


def vertex_mask(vertices: ak.Array, wanted: VertexObject) -> ak.Array:
    """Which two-track vertices count (jagged)."""
    mask = (vertices.distance >= wanted.distance_min_cm) & (vertices.probability >= wanted.probability_min)
    if wanted.r_xy_cm is not None:
        mask = mask & (vertices.r_xy > wanted.r_xy_cm[0]) & (vertices.r_xy < wanted.r_xy_cm[1])
    return mask & (vertices.cos_pointing >= wanted.pointing_min)


def _numpy(per_event: Any) -> npt.NDArray[Any]:
    return np.asarray(ak.to_numpy(per_event))


def _counted(mask: ak.Array, cut: TrackCountCut | PhotonCountCut | VertexCountCut) -> Bools:
    number = _numpy(ak.sum(mask, axis=1))
    passed = number >= cut.min
    return passed if cut.max is None else passed & (number <= cut.max)


def _track_count(events: ak.Array, cut: TrackCountCut, frame: BeamFrame) -> Bools:
    return _counted(track_mask(events.tracks, cut.tracks), cut)


def _photon_count(events: ak.Array, cut: PhotonCountCut, frame: BeamFrame) -> Bools:
    return _counted(photon_mask(events.clusters, cut.photons, frame), cut)


def _vertex_count(events: ak.Array, cut: VertexCountCut, frame: BeamFrame) -> Bools:
    require_fields(events, "vertices")
    return _counted(vertex_mask(events.vertices, cut.vertices), cut)


def _total_charge(events: ak.Array, cut: TotalChargeCut, frame: BeamFrame) -> Bools:
    charge = ak.values_astype(events.tracks.charge, np.int64)
    total = ak.sum(charge[track_mask(events.tracks, cut.tracks)], axis=1)
    return _numpy(np.abs(total) <= cut.abs_max)


def _neutral_energy(events: ak.Array, cut: NeutralEnergyCut, frame: BeamFrame) -> Bools:
    total = _numpy(ak.sum(events.clusters.e[photon_mask(events.clusters, cut.photons, frame)], axis=1))
    passed = total >= cut.min_gev
    return passed if cut.max_gev is None else passed & (total <= cut.max_gev)


def _rows(jagged: ak.Array) -> tuple[npt.NDArray[np.int64], ak.Array]:
    """Event of each object, and the objects flat."""
    counts = _numpy(ak.num(jagged, axis=1))
    return np.repeat(np.arange(len(counts)), counts), ak.flatten(jagged, axis=1)


def _p4(tracks: ak.Array, mass: float) -> Floats:
    p = np.stack([_numpy(tracks.px), _numpy(tracks.py), _numpy(tracks.pz)], axis=1)
    return np.concatenate([np.sqrt(np.sum(p * p, axis=1) + mass**2)[:, None], p], axis=1)


def _track_pair(events: ak.Array, cut: TrackPairCut, frame: BeamFrame) -> Bools:
    tracks = events.tracks[["charge", "px", "py", "pz"]]
    first = track_mask(events.tracks, cut.first)
    if cut.second is None:
        pairs = ak.combinations(tracks[first], 2, fields=["a", "b"])
    else:
        place = ak.local_index(tracks, axis=1)
        second = track_mask(events.tracks, cut.second)
        indexed = ak.with_field(tracks, place, "place")
        pairs = ak.cartesian({"a": indexed[first], "b": indexed[second]})
        pairs = pairs[pairs.a.place != pairs.b.place]
    event, flat = _rows(pairs)
    good = np.ones(len(event), dtype=np.bool_)
    if cut.opposite_charge:
        good &= _numpy(flat.a.charge) * _numpy(flat.b.charge) < 0
    total = _p4(flat.a, cut.masses_gev[0]) + _p4(flat.b, cut.masses_gev[1])
    if cut.pt_cm_min_gev > 0:
        star = frame.to_cm(total)
        good &= np.hypot(star[:, 1], star[:, 2]) > cut.pt_cm_min_gev
    if cut.mass_gev is not None:
        mass = np.sqrt(np.maximum(total[:, 0] ** 2 - np.sum(total[:, 1:] ** 2, axis=1), 0.0))
        good &= (mass >= cut.mass_gev[0]) & (mass <= cut.mass_gev[1])
    return np.bincount(event[good], minlength=len(events)) > 0


def _photon_triplet(events: ak.Array, cut: PhotonTripletCut, frame: BeamFrame) -> Bools:
    low, high = (limit * frame.sqrts for limit in cut.mass_over_sqrts)
    photons = events.clusters[["e", "theta", "phi", "time", "dt99"]]
    photons = photons[photon_mask(events.clusters, cut.photons, frame)]
    # a triplet's mass cannot exceed its laboratory energy: most busy events need no combinations
    leading = ak.sort(photons.e, axis=1, ascending=False)[:, :3]
    candidate = np.flatnonzero(_numpy((ak.sum(leading, axis=1) >= low) & (ak.num(leading, axis=1) == 3)))
    result = np.zeros(len(events), dtype=np.bool_)
    event, flat = _rows(ak.combinations(photons[candidate], 3, fields=["a", "b", "c"]))
    legs = [flat[name] for name in "abc"]
    e = np.stack([_numpy(leg.e) for leg in legs])
    theta = np.stack([_numpy(leg.theta) for leg in legs])
    phi = np.stack([_numpy(leg.phi) for leg in legs])
    px = (e * np.sin(theta) * np.cos(phi)).sum(axis=0)
    py = (e * np.sin(theta) * np.sin(phi)).sum(axis=0)
    pz = (e * np.cos(theta)).sum(axis=0)
    mass = np.sqrt(np.maximum(e.sum(axis=0) ** 2 - px**2 - py**2 - pz**2, 0.0))
    good = (mass >= low) & (mass <= high)
    if cut.pair_theta_deg is not None:
        inside = (np.degrees(theta) > cut.pair_theta_deg[0]) & (np.degrees(theta) < cut.pair_theta_deg[1])
        good &= inside.sum(axis=0) >= 2
    if cut.max_time_distance is not None:
        time = np.stack([_numpy(leg.time) for leg in legs]).astype(np.float64)
        width = np.stack([_numpy(leg.dt99) for leg in legs]).astype(np.float64)
        mean = (time / width**2).sum(axis=0) / (1 / width**2).sum(axis=0)
        good &= (np.abs(time - mean) / width).max(axis=0, initial=0.0) <= cut.max_time_distance
    result[candidate] = np.bincount(event[good], minlength=len(candidate)) > 0
    return result


CUTS: Mapping[str, Callable[[ak.Array, Any, BeamFrame], Bools]] = {
    "track_count": _track_count,
    "photon_count": _photon_count,
    "vertex_count": _vertex_count,
    "total_charge": _total_charge,
    "neutral_energy": _neutral_energy,
    "track_pair": _track_pair,
    "photon_triplet": _photon_triplet,
}
"""Every kind of cut of ``config.skim``."""
