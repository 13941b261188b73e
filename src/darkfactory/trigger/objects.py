"""Trigger objects from reconstructed ones: trigger cells, clusters and tracks of L1; tracks and clusters of HLT."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from darkfactory.config.trigger import CalorimeterTrigger, HltObjects, L1Objects, Rings
from darkfactory.core.errors import InputError
from darkfactory.physics.beams import BeamFrame
from darkfactory.trigger.collections import Collection
from darkfactory.trigger.menu import CompiledRule
from darkfactory.trigger.noise import Noise

__all__ = ["EventScope", "hlt_scope", "l1_scope", "merge_cells", "ring_of"]

Array = NDArray[Any]
_M_PI = 0.13957039
_GEV_PER_TESLA_CM = 0.00299792458
# purposes of random numbers; a number is never used twice
_ENERGY, _FULL, _NEURO, _Z = 1, 2, 3, 4


class EventScope:
    """Base collections of a chunk, and what rules and expressions make of them (made once)."""

    def __init__(self, base: Mapping[str, Collection], rules: Mapping[str, CompiledRule], n_events: int) -> None:
        self._collections = dict(base)
        self._rules = rules
        self._values: dict[str, Array] = {}
        self.n_events = n_events

    def collection(self, name: str) -> Collection:
        """A base collection or a picked one."""
        if name not in self._collections:
            compiled = self._rules[name]
            result = self.collection(compiled.rule.from_)
            if compiled.condition is not None:
                result = result.where(np.broadcast_to(compiled.condition.run(self, result), result.mask.shape))
            if compiled.rule.leading_of_each_charge:
                result = result.leading_of_each_charge(compiled.rule.leading_of_each_charge)
            if compiled.rule.first is not None:
                result = result.first(compiled.rule.first)
            self._collections[name] = result
        return self._collections[name]

    def remembered(self, key: str, make: Callable[[], Array]) -> Array:
        """The value of a key, made at the first request."""
        if key not in self._values:
            self._values[key] = make()
        return self._values[key]


def ring_of(theta_deg: Array, rings: Rings) -> Array:
    """IDs 1, 2, ... of the rings at polar angles (degrees); 0 outside. A gap belongs to its nearer neighbour.

    Example:
        >>> rings = Rings(edges_deg=((12.4, 31.4), (32.2, 128.7)), cells=(32, 36), source="published")
        >>> ring_of(np.array([10.0, 20.0, 31.7, 31.9, 90.0, 150.0]), rings).tolist()
        [0, 1, 1, 2, 2, 0]
    """
    edges = rings.edges_deg
    bounds = [edges[0][0], *(0.5 * (a[1] + b[0]) for a, b in itertools.pairwise(edges)), edges[-1][1]]
    found = np.searchsorted(np.asarray(bounds), np.asarray(theta_deg), side="right")
    return np.where(found > len(edges), 0, found)


def _flat(events: ak.Array, field: str) -> tuple[ak.Array, Array, Array]:
    """Flattened objects of a field, their event's index and their place in the event."""
    if field not in events.fields:
        raise InputError(f"events lack {field!r}; they have {events.fields}; run simulate before the trigger")
    counts = ak.to_numpy(ak.num(events[field], axis=1))
    event = np.repeat(np.arange(len(counts)), counts)
    place = np.arange(len(event)) - np.repeat(np.cumsum(counts) - counts, counts)
    return ak.flatten(events[field], axis=1), event, place


def _get(objects: ak.Array, name: str) -> Array:
    column = np.asarray(ak.to_numpy(objects[name]))
    return column.astype(np.float64) if column.dtype.kind == "f" else column


def _to_cm(frame: BeamFrame, e: Array, x: Array, y: Array, z: Array) -> dict[str, Array]:
    """CM components and angles of flat four-vectors."""
    # the map is linear: a matrix once, instead of vector algebra for every object
    matrix = frame.to_cm(np.eye(4))
    e_cms, px, py, pz = (e * m[0] + x * m[1] + y * m[2] + z * m[3] for m in matrix.T)
    return {
        "e_cms": e_cms,
        "px_cms": px,
        "py_cms": py,
        "pz_cms": pz,
        "theta_cms": np.degrees(np.arctan2(np.hypot(px, py), pz)),
        "phi_cms": np.degrees(np.arctan2(py, px)),
    }


def _photon_to_cm(frame: BeamFrame, e: Array, theta_deg: Array, phi_deg: Array) -> dict[str, Array]:
    theta, phi = np.radians(theta_deg), np.radians(phi_deg)
    transverse = e * np.sin(theta)
    return _to_cm(frame, e, transverse * np.cos(phi), transverse * np.sin(phi), e * np.cos(theta))


def _cells(events: ak.Array, config: CalorimeterTrigger, frame: BeamFrame, noise: Noise, ids: Array) -> Collection:
    clusters, event, place = _flat(events, "clusters")
    energy, theta, phi, time = (_get(clusters, n) for n in ("e", "theta", "phi", "time"))
    spread = np.hypot(
        config.sigma_e_constant.value, config.sigma_e_stochastic.value / np.sqrt(np.maximum(energy, 1e-3))
    )
    energy = energy * np.maximum(1.0 + spread * noise.normal(ids[event], place, _ENERGY), 0.0)
    theta, phi = np.degrees(theta), np.mod(np.degrees(phi), 360.0)
    ring = ring_of(theta, config.rings)
    seen = (energy >= config.cell_threshold_gev.value) & (ring > 0)
    if config.time_window_ns.value > 0:
        seen &= np.abs(time) < 0.5 * config.time_window_ns.value
    energy, theta, phi, time, ring, event = (v[seen] for v in (energy, theta, phi, time, ring, event))
    if config.quantise:
        edges, cells = np.asarray(config.rings.edges_deg), np.asarray(config.rings.cells)
        width = 360.0 / cells[ring - 1]
        theta = edges.mean(axis=1)[ring - 1]
        phi = (np.floor(phi / width) + 0.5) * width
    columns = {
        "e": energy,
        "theta": theta,
        "phi": phi,
        "time": time,
        "id": ring,
        "matched": _get(clusters, "track")[seen] >= 0,
        **_photon_to_cm(frame, energy, theta, phi),
    }
    return Collection.from_flat(event, len(events), energy, columns, config.max_cells)


def merge_cells(cells: Collection, rings: Rings) -> Collection:
    """Clusters of touching cells: a cell takes in the weaker ones next to it; ordered by falling energy.

    Args:
        cells: cells by falling energy.
        rings: the rings, for the width of cells.
    """
    mask = cells.mask.copy()
    energy = np.where(mask, cells.column("e"), 0.0)
    ring, phi = cells.column("id"), cells.column("phi")
    reach = 1.01 * 360.0 / np.asarray(rings.cells)[ring - 1]
    for i in range(mask.shape[0]):
        for j in range(i + 1, mask.shape[0]):
            if not mask[j].any():
                continue
            apart = np.abs(phi[i] - phi[j])
            near = np.minimum(apart, 360.0 - apart) <= np.maximum(reach[i], reach[j])
            near &= (np.abs(ring[i] - ring[j]) <= 1) & mask[i] & mask[j]
            energy[i] += np.where(near, energy[j], 0.0)
            mask[j] &= ~near
    scale = energy / np.where(cells.column("e") > 0, cells.column("e"), 1.0)

    def column(name: str) -> Array:
        values = cells.column(name)
        return values * scale if name in ("e", "e_cms", "px_cms", "py_cms", "pz_cms") else values

    clusters = Collection(mask, column)
    if not (scale > 1.0).any():
        return cells
    # those that took others in may have overtaken a neighbour in rank
    order = np.argsort(np.where(mask, -energy, np.inf), axis=0, kind="stable")
    return clusters.take(order, packed=True)


def _helix(tracks: ak.Array, field_t: float) -> tuple[dict[str, Array], tuple[Array, Array, Array]]:
    px, py, pz = (_get(tracks, n) for n in ("px", "py", "pz"))
    pt = np.maximum(np.hypot(px, py), 1e-6)
    charge = _get(tracks, "charge").astype(np.int64)
    columns = {
        "charge": charge,
        "p": np.hypot(pt, pz),
        "pt": pt,
        "theta": np.degrees(np.arctan2(pt, pz)),
        "phi": np.mod(np.degrees(np.arctan2(py, px)), 360.0),
        "d0": _get(tracks, "d0"),
        "z0": _get(tracks, "z0"),
        "curvature": charge * _GEV_PER_TESLA_CM * field_t / pt,
    }
    return columns, (px, py, pz)


def _cdc(events: ak.Array, config: L1Objects, noise: Noise, ids: Array) -> Collection:
    tracks, event, place = _flat(events, "tracks")
    columns, _ = _helix(tracks, config.field_t.value)
    rule = config.tracks
    theta, key = columns["theta"], ids[event]
    reach = columns["pt"] > rule.pt_min_gev.value
    inside = (theta > rule.theta_deg[0]) & (theta < rule.theta_deg[1])
    chance = noise.uniform(key, place, _FULL)
    full = reach & inside & (chance < rule.efficiency.value)
    wide = (theta > rule.short_theta_deg[0]) & (theta < rule.short_theta_deg[1])
    short = reach & wide & ~full & (chance < rule.short_efficiency.value)
    free = full
    if rule.max_d0_cm is not None:
        near = np.abs(columns["d0"]) < rule.max_d0_cm.value
        full, short = full & near, short & near
    columns |= {
        "bin": np.floor(columns["phi"] / 10.0).astype(np.int64),
        "sector": _sector(columns["phi"]),
        "free": free,
        "full": full,
        "short": short,
        "neuro": full & (noise.uniform(key, place, _NEURO) < rule.neuro_efficiency.value),
        "z": columns["z0"] + rule.neuro_sigma_z_cm.value * noise.normal(key, place, _Z),
        "klm": _get(tracks, "klm"),
        "ecl": _get(tracks, "cluster_e") >= config.calorimeter.cell_threshold_gev.value,
    }
    found = full | short | free
    columns = {name: values[found] for name, values in columns.items()}
    return Collection.from_flat(event[found], len(events), columns["pt"], columns, rule.max_tracks)


def _sector(phi_deg: Array) -> Array:
    """Octant of the muon system's barrel, 0 to 7; the first is centred on phi = 0."""
    return np.floor(np.mod(phi_deg + 22.5, 360.0) / 45.0).astype(np.int64)


def _klm(events: ak.Array, config: L1Objects) -> Collection:
    tracks, event, _ = _flat(events, "tracks")
    columns, _ = _helix(tracks, config.field_t.value)
    hit = _get(tracks, "klm").astype(bool)
    theta, phi, index = [columns["theta"][hit]], [columns["phi"][hit]], [event[hit]]
    track = [np.ones(int(hit.sum()), dtype=bool)]
    if "klm_clusters" in events.fields:
        neutral, event, _ = _flat(events, "klm_clusters")
        theta.append(np.degrees(_get(neutral, "theta")))
        phi.append(np.mod(np.degrees(_get(neutral, "phi")), 360.0))
        index.append(event)
        track.append(np.zeros(len(event), dtype=bool))
    angles, azimuth, where = np.concatenate(theta), np.concatenate(phi), np.concatenate(index)
    low, high = config.klm_barrel_deg
    made = {
        "theta": angles,
        "phi": azimuth,
        "sector": _sector(azimuth),
        "barrel": (angles > low) & (angles < high),
        "track": np.concatenate(track),
    }
    order = np.argsort(where, kind="stable")
    made = {name: values[order] for name, values in made.items()}
    return Collection.from_flat(where[order], len(events), made["track"].astype(float), made, config.tracks.max_tracks)


def l1_scope(
    events: ak.Array, config: L1Objects, rules: Mapping[str, CompiledRule], frame: BeamFrame, noise: Noise
) -> EventScope:
    """Objects of the first level.

    Args:
        events: reconstructed events with ``event_id``, ``tracks``, ``clusters`` and, if any, ``klm_clusters``.
        config: thresholds, resolutions and efficiencies.
        rules: the menu's picked collections.
        frame: the centre of mass.
        noise: random numbers by event and object.
    """
    if "event_id" not in events.fields:
        raise InputError(f"events lack 'event_id'; they have {events.fields}; run simulate before the trigger")
    ids = np.asarray(ak.to_numpy(events["event_id"]))
    cells = _cells(events, config.calorimeter, frame, noise, ids)
    clusters = merge_cells(cells, config.calorimeter.rings) if config.calorimeter.merge_neighbours else cells
    base = {"cell": cells, "ecl": clusters, "cdc": _cdc(events, config, noise, ids), "klm": _klm(events, config)}
    return EventScope(base, rules, len(events))


def hlt_scope(events: ak.Array, config: HltObjects, rules: Mapping[str, CompiledRule], frame: BeamFrame) -> EventScope:
    """Objects of the high-level trigger.

    Args:
        events: reconstructed events with ``tracks`` and ``clusters``.
        config: how many objects to look at.
        rules: the menu's picked collections.
        frame: the centre of mass.
    """
    tracks, event, _ = _flat(events, "tracks")
    columns, (px, py, pz) = _helix(tracks, config.field_t.value)
    columns |= _to_cm(frame, np.sqrt(columns["p"] ** 2 + _M_PI**2), px, py, pz)
    p_cms = np.sqrt(columns["px_cms"] ** 2 + columns["py_cms"] ** 2 + columns["pz_cms"] ** 2)
    cluster_e = _get(tracks, "cluster_e")
    columns |= {
        "p_cms": p_cms,
        "cluster_e": cluster_e,
        "cluster_e_cms": cluster_e * p_cms / columns["p"],
        "klm": _get(tracks, "klm"),
    }
    base = {"reco_track": Collection.from_flat(event, len(events), p_cms, columns, config.max_tracks)}
    clusters, event, _ = _flat(events, "clusters")
    theta, phi = np.degrees(_get(clusters, "theta")), np.mod(np.degrees(_get(clusters, "phi")), 360.0)
    made = {name: _get(clusters, name) for name in ("e", "time", "dt99", "photon_like")}
    made |= {"theta": theta, "phi": phi, "matched": _get(clusters, "track") >= 0}
    made |= _photon_to_cm(frame, made["e"], theta, phi)
    base["reco_cluster"] = Collection.from_flat(event, len(events), made["e_cms"], made, config.max_clusters)
    return EventScope(base, rules, len(events))
