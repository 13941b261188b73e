"""Truth events to reconstructed events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import awkward as ak
import numpy as np
import numpy.typing as npt

from darkfactory.config.detector import DetectorConfig, SimulateOptions, VertexConfig
from darkfactory.core.errors import ConfigError
from darkfactory.detector.clusters import Clusters, cluster
from darkfactory.detector.deposits import (
    Deposits,
    KlmHits,
    background_deposits,
    klm_veto_factors,
    neutral_hadrons,
    parametric_deposits,
    photon_deposits,
)
from darkfactory.detector.flat import (
    NEUTRAL_HADRONS,
    Particles,
    final_particles,
    jagged,
    local_index,
    species_of,
)
from darkfactory.detector.photons import Loss, aim, convert, detect
from darkfactory.detector.tags import emulate_tags
from darkfactory.detector.tracks import (
    FLAGS,
    FoundTracks,
    background_tracks,
    brem,
    charged_deposits,
    find,
    reconstruct,
)
from darkfactory.detector.vertices import Vertices, fit_vertices
from darkfactory.events.schema import CLUSTER, DEPOSIT, KLM_CLUSTER, TRACK, VERTEX, require_fields

__all__ = ["NUISANCES", "simulate"]

Floats: TypeAlias = npt.NDArray[np.float64]

NUISANCES = ("photon_loss", "photon_gap", "photon_efficiency", "tracking", "muon_id", "electron_id")
"""Nuisances with columns ``var_<name>_up`` and ``var_<name>_down``, factors on the event's weight; ``klm_veto`` comes
on top for samples that set ``klm_photon_veto``."""
_DEPOSIT_COLUMNS = ("deposit_time", "deposit_like")


def simulate(
    events: ak.Array, detector: DetectorConfig, options: SimulateOptions, rng: np.random.Generator
) -> ak.Array:
    """Parametric response of a detector.

    Photons that convert before the drift chamber become a collinear electron pair, so that they are lost as
    photons but not to the event. The same generator state gives the same bits.

    Args:
        events: truth events (``darkfactory.events.schema``) in the laboratory frame.
        detector: the detector.
        options: forcing, background level, resolution factors.
        rng: random numbers of this chunk.

    Returns:
        ``weight``, ``event_id``, ``tracks``, ``clusters``, ``klm_clusters``, the columns ``var_*``, ``vertices`` and
        the columns of a tag if the options ask for them, and every other column of the truth events but ``particles``
        and what belongs to parametric showers.

    Raises:
        InputError: a column is missing, or a final particle is unknown.
        ConfigError: the background level is unknown.
    """
    require_fields(events, "weight", "event_id", "particles")
    if options.tag is not None:
        events = emulate_tags(events, detector, options, rng)
    n = len(events)
    level = _background_level(detector, options)
    particles, aim_weight = aim(final_particles(events, detector.invisible), n, detector, options, rng)
    species, _ = species_of(particles.pdg)
    photons, electrons, conversion_weight = convert(particles.take(particles.pdg == 22), n, detector, options, rng)
    charged = Particles.concatenate([particles.take(species >= 0), electrons])
    hits, loss = detect(photons, n, detector, options, rng)
    of_photons, klm_photons = photon_deposits(photons, hits, detector, options, rng)
    of_hadrons, klm_hadrons = neutral_hadrons(
        particles.take(np.isin(np.abs(particles.pdg), NEUTRAL_HADRONS)), detector, rng
    )
    radiated = brem(charged, species_of(charged.pdg)[0], detector, rng)
    of_charged, recovered, in_ecl = charged_deposits(charged, radiated, detector, rng)
    of_beams = background_deposits(n, level, detector, rng)
    parts = [of_charged, of_photons, of_hadrons, of_beams]
    showers = particles.take(particles.pdg == DEPOSIT)
    if len(showers) > 0:
        require_fields(events, *_DEPOSIT_COLUMNS)
        parts.append(parametric_deposits(showers, *(np.asarray(events[c], dtype=np.float64) for c in _DEPOSIT_COLUMNS)))
    deposits = Deposits.concatenate(parts)
    clusters, cluster_e = cluster(deposits, len(charged), detector, options, rng)
    beams = detector.beams
    spot = 1e-4 * np.array([beams.ip_sigma_x_um.value, beams.ip_sigma_y_um.value, beams.ip_sigma_z_um.value])
    ip = rng.normal(size=(n, 3)) * spot
    is_found, track_weight = find(charged, n, detector, options, rng)
    rows = np.flatnonzero(is_found)
    found, fake_weight = reconstruct(charged, rows, radiated, recovered, in_ecl, ip, detector, options, rng)
    tracks = FoundTracks.concatenate([found, background_tracks(n, detector, rng)])
    klm = KlmHits.concatenate([klm_photons, klm_hadrons])
    dropped = ("particles", *_DEPOSIT_COLUMNS)
    columns: dict[str, Any] = {name: events[name] for name in events.fields if name not in dropped}
    columns["weight"] = np.asarray(events["weight"], dtype=np.float64) * loss.weight * track_weight * fake_weight
    columns["weight"] = columns["weight"] * conversion_weight * aim_weight
    columns["event_id"] = np.asarray(events["event_id"], dtype=np.int64)
    columns |= _objects(tracks, clusters, klm, cluster_e, n)
    if options.vertices:
        # last of all random numbers: the other objects do not depend on the option
        columns["vertices"] = _vertices(fit_vertices(tracks, charged, ip, detector, _setting(detector), rng), n)
    columns |= _variations(tracks, clusters, loss, detector, n)
    if options.klm_photon_veto is not None:
        up, down = klm_veto_factors(photons, hits, klm_photons, n, detector, options)
        columns |= {"var_klm_veto_up": up.astype(np.float32), "var_klm_veto_down": down.astype(np.float32)}
    return ak.zip(columns, depth_limit=1)


def _background_level(detector: DetectorConfig, options: SimulateOptions) -> float:
    levels = detector.beam_background.clusters_per_event
    name = options.beam_background if options.beam_background is not None else next(iter(levels))
    if name not in levels:
        raise ConfigError(
            f"beam background level {name!r} is unknown to {detector.name}; choose one of {sorted(levels)}",
            where="beam_background",
        )
    return levels[name].value


def _objects(tracks: FoundTracks, clusters: Clusters, klm: KlmHits, cluster_e: Floats, n: int) -> dict[str, ak.Array]:
    real = tracks.owner >= 0
    energy = np.zeros(len(tracks))
    energy[real] = cluster_e[tracks.owner[real]]
    # place in its event of the track of each charged candidate, -1 if that was not found
    place = np.full(len(cluster_e) + 1, -1, dtype=np.int64)
    place[tracks.owner[real]] = local_index(tracks.event, n)[real]
    columns: Mapping[str, npt.ArrayLike] = {
        "charge": tracks.charge,
        "px": tracks.p[:, 0],
        "py": tracks.p[:, 1],
        "pz": tracks.p[:, 2],
        "d0": tracks.d0,
        "z0": tracks.z0,
        "cluster_e": energy,
        **{name: tracks.flags[:, i] for i, name in enumerate(FLAGS)},
        "truth": tracks.truth,
        "truth_pdg": tracks.truth_pdg,
    }
    showers: Mapping[str, npt.ArrayLike] = {
        "e": clusters.e,
        "theta": clusters.theta,
        "phi": clusters.phi,
        "time": clusters.time,
        "dt99": clusters.dt99,
        "region": clusters.region,
        # owner -1 reads the spare last place
        "track": place[clusters.owner],
        "photon_like": clusters.photon_like,
        "truth": clusters.truth,
        "truth_pdg": clusters.truth_pdg,
    }
    muon_system: Mapping[str, npt.ArrayLike] = {"theta": klm.theta, "phi": klm.phi, "truth": klm.truth}
    return {
        "tracks": jagged(columns, TRACK, tracks.event, n),
        "clusters": jagged(showers, CLUSTER, clusters.event, n),
        "klm_clusters": jagged(muon_system, KLM_CLUSTER, klm.event, n),
    }


def _setting(detector: DetectorConfig) -> VertexConfig:
    if detector.vertices is None:
        raise ConfigError(
            f"detector {detector.name} has no section `vertices`, which the sample asks for; add one", where="vertices"
        )
    return detector.vertices


def _vertices(found: Vertices, n: int) -> ak.Array:
    x, y, z = found.position.T
    columns: Mapping[str, npt.ArrayLike] = {
        "track_minus": found.tracks[:, 0],
        "track_plus": found.tracks[:, 1],
        "x": x,
        "y": y,
        "z": z,
        "r_xy": np.hypot(x, y),
        "distance": np.sqrt(x * x + y * y + z * z),
        "sigma_r": found.sigma_r,
        "sigma_distance": found.sigma_distance,
        "probability": found.probability,
        "cos_pointing": found.cos_pointing,
        "same": found.same,
    }
    return jagged(columns, VERTEX, found.event, n)


def _variations(
    tracks: FoundTracks, clusters: Clusters, loss: Loss, detector: DetectorConfig, n: int
) -> dict[str, npt.NDArray[np.float32]]:
    """Event factors of one standard deviation (or the ends of the plausible range) of each nuisance."""
    size = np.abs(tracks.truth_pdg)
    is_mu, is_e = tracks.flags[:, FLAGS.index("is_mu")], tracks.flags[:, FLAGS.index("is_e")]
    photon = (clusters.truth_pdg == 22) & (clusters.owner < 0) & clusters.photon_like
    photon &= clusters.e > detector.ecl.efficiency_above_gev.value
    per_object = {
        "photon_efficiency": (clusters.event[photon], detector.ecl.efficiency_uncertainty.value),
        "tracking": (tracks.event[tracks.owner >= 0], detector.tracks.efficiency_uncertainty.value),
        "muon_id": (tracks.event[is_mu & (size == 13)], detector.pid.muon_uncertainty.value),
        "electron_id": (tracks.event[is_e & (size == 11)], detector.pid.electron_uncertainty.value),
    }
    factors: dict[str, tuple[Floats, Floats]] = {
        "photon_loss": (loss.loss_up, loss.loss_down),
        "photon_gap": (loss.gap_up, loss.gap_down),
    }
    for name, (event, error) in per_object.items():
        count = np.bincount(event, minlength=n)
        factors[name] = (np.power(1.0 + error, count), np.power(1.0 - error, count))
    return {
        f"var_{name}_{side}": factors[name][i].astype(np.float32)
        for name in NUISANCES
        for i, side in enumerate(("up", "down"))
    }
