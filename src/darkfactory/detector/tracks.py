"""Charged particles: finding, smearing, calorimeter deposits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from darkfactory.config.detector import DetectorConfig, SimulateOptions
from darkfactory.detector.deposits import Deposits, seen_in_gap, wrap
from darkfactory.detector.flat import MU, Columns, Particles, species_of
from darkfactory.detector.flat import E as ELECTRON
from darkfactory.detector.geometry import (
    calorimeter_hit_charged,
    ecl_region,
    impact_parameters,
    lever_factor,
    theta_phi,
    within,
)
from darkfactory.detector.pid import identify

__all__ = ["FoundTracks", "background_tracks", "brem", "charged_deposits", "find", "impact_resolution", "reconstruct"]

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]
Bools: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class FoundTracks(Columns):
    """Reconstructed tracks.

    Attributes:
        charge: reconstructed sign.
        p: momenta at the production point, (n, 3), GeV.
        d0: transverse impact parameter in cm.
        z0: longitudinal one.
        flags: decisions in the order of ``FLAGS``, (n, 7).
        owner: row of the charged candidate, -1 for background.
        truth: index of the particle.
        truth_pdg: its code.
    """

    charge: Ints
    p: Floats
    d0: Floats
    z0: Floats
    flags: Bools
    owner: Ints
    truth: Ints
    truth_pdg: Ints


FLAGS = ("klm", "is_mu", "is_mu_tight", "is_e", "is_pi", "is_k", "is_p")


def brem(charged: Particles, species: Ints, detector: DetectorConfig, rng: np.random.Generator) -> Floats:
    """Energy that electrons radiate before the drift chamber, 0 for all others, in GeV.

    The remaining fraction z has -ln z distributed as Gamma(t/ln 2) after t radiation lengths
    (Bethe and Heitler 1934).
    """
    radiated = np.zeros(len(charged))
    which = np.flatnonzero(species == ELECTRON)
    momentum = np.linalg.norm(charged.p[which], axis=1)
    sine = np.maximum(np.hypot(charged.p[which, 0], charged.p[which, 1]) / np.maximum(momentum, 1e-12), 0.05)
    lost = rng.gamma(detector.material.radiator_x0.value / sine / np.log(2), 1.0)
    radiated[which] = momentum * -np.expm1(-lost)
    return radiated


def find(
    charged: Particles, n_events: int, detector: DetectorConfig, options: SimulateOptions, rng: np.random.Generator
) -> tuple[Bools, Floats]:
    """Which charged particles are found: polar acceptance, edges, pt, radius and z of production.

    With ``force_track_loss`` f, a particle above ``force_above_gev`` that the tracker accepts and whose true chance
    to be missed is p < f is missed with probability f instead; the event's weight is multiplied by p/f if it is
    missed and by (1-p)/(1-f) if not, which leaves every expectation value unchanged.

    Returns:
        Whether each particle is found, (n,), and the factor on the weight of each event, (n events,).
    """
    setting = detector.tracks
    pt = np.hypot(charged.p[:, 0], charged.p[:, 1])
    momentum = np.hypot(pt, charged.p[:, 2])
    theta = np.arctan2(pt, charged.p[:, 2])
    radius = np.hypot(charged.vertex[:, 0], charged.vertex[:, 1])
    z = charged.vertex[:, 2]
    chance = setting.efficiency(pt=pt, p=momentum, beta=momentum / charged.e, theta=theta, lever=np.ones(len(pt)))
    chance = chance * detector.displaced.efficiency_vs_r_cm(radius)
    for edge in setting.edge_deg:
        chance = np.where(within(theta, edge), chance * setting.edge_factor.value, chance)
    chance = np.where(within(theta, detector.acceptance.tracker_deg), chance, 0.0)
    chance = np.where((z >= detector.displaced.z_cm.low) & (z <= detector.displaced.z_cm.high), chance, 0.0)
    drawn = chance
    if options.force_track_loss is not None:
        forced = (chance > 0) & (charged.e > options.force_above_gev)
        drawn = np.where(forced, np.minimum(chance, 1 - options.force_track_loss), chance)
    found = np.asarray(rng.random(len(pt)) < drawn)
    weight = np.ones(n_events)
    changed = drawn != chance
    ratio = np.where(found, chance, 1 - chance)[changed] / np.where(found, drawn, 1 - drawn)[changed]
    np.multiply.at(weight, charged.event[changed], ratio)
    return found, weight


def reconstruct(
    charged: Particles,
    rows: Ints,
    radiated: Floats,
    recovered: Bools,
    in_ecl: Bools,
    ip: Floats,
    detector: DetectorConfig,
    options: SimulateOptions,
    rng: np.random.Generator,
) -> tuple[FoundTracks, Floats]:
    """Smear the found tracks.

    Args:
        charged: all charged particles.
        rows: which of them were found.
        radiated: bremsstrahlung of all, GeV.
        recovered: whether it is added back.
        in_ecl: whether they reach the calorimeter's active region.
        ip: where each event's collision was, (n events, 3), cm.
        detector: the detector.
        options: resolution and scale factors.
        rng: random numbers.

    Returns:
        The tracks, and the factor on the weight of each event from forced decisions, (n events,).
    """
    found, setting = charged.take(rows), detector.tracks
    n = len(found)
    species, charge = species_of(found.pdg)
    true_p = np.linalg.norm(found.p, axis=1)
    # what is left after radiation is what bends in the chamber
    p = np.maximum(true_p - radiated[rows], 1e-3 * true_p)
    theta, phi = theta_phi(found.p)
    pt = p * np.sin(theta)
    mass2 = np.maximum(found.e**2 - true_p**2, 0.0)
    radius = np.hypot(found.vertex[:, 0], found.vertex[:, 1])
    names = {
        "pt": pt, "p": p, "beta": p / np.sqrt(p**2 + mass2), "theta": theta,
        "lever": lever_factor(radius, detector.geometry),
    }  # fmt: skip
    tail = rng.random(n) < setting.tail_fraction.value
    scale = options.track_resolution_scale * np.where(tail, setting.tail_scale.value, 1.0)
    g = rng.normal(size=(6, n)) * scale
    new_pt = pt * np.maximum(1 + setting.pt_resolution(**names) * g[0], 0.1) * options.track_momentum_scale
    if setting.momentum_scale is not None:
        new_pt = new_pt * setting.momentum_scale(**names)
    new_phi = phi + 1e-3 * setting.phi_mrad(**names) * g[1]
    dip = 1 / np.tan(theta) + setting.tanlambda(**names) * g[2]
    # recovered photons carry the calorimeter's resolution
    gamma = radiated[rows]
    gamma = np.where(recovered[rows] & (gamma > 0), gamma, 0.0)
    error = detector.ecl.energy_resolution(E=np.maximum(gamma, 1e-3)) * options.photon_resolution_scale
    gamma = gamma * np.maximum(1 + error * g[5] / scale, 0.0) * options.photon_energy_scale
    new_pt = new_pt + gamma * np.sin(theta)
    d0, z0 = impact_parameters(found.p, charge, found.vertex + ip[found.event], detector.geometry.field_t.value)
    extra = detector.displaced.impact_sigma_cm(r=radius)
    d0 = d0 + np.hypot(1e-4 * setting.d0_um(**names), extra) * g[3]
    z0 = z0 + np.hypot(1e-4 * setting.z0_um(**names), extra) * g[4]
    flip = rng.random(n) < setting.charge_flip.value
    flags, factor = identify(species, p, theta, in_ecl[rows], detector, rng, options.force_muon_fakes)
    weight = np.ones(len(ip))
    np.multiply.at(weight, found.event, factor)
    tracks = FoundTracks(
        event=found.event,
        charge=np.where(flip, -charge, charge),
        p=np.stack([new_pt * np.cos(new_phi), new_pt * np.sin(new_phi), new_pt * dip], axis=1),
        d0=d0,
        z0=z0,
        flags=np.stack([flags[name] for name in FLAGS], axis=1),
        owner=rows,
        truth=found.index,
        truth_pdg=found.pdg,
    )
    return tracks, weight


def impact_resolution(found: Particles, detector: DetectorConfig) -> tuple[Floats, Floats]:
    """Resolutions in cm of the impact parameters of tracks in the core, transverse and longitudinal."""
    theta, _ = theta_phi(found.p)
    p = np.linalg.norm(found.p, axis=1)
    radius = np.hypot(found.vertex[:, 0], found.vertex[:, 1])
    names = {
        "pt": p * np.sin(theta), "p": p, "beta": p / found.e, "theta": theta,
        "lever": lever_factor(radius, detector.geometry),
    }  # fmt: skip
    extra = detector.displaced.impact_sigma_cm(r=radius)
    setting = detector.tracks
    return np.hypot(1e-4 * setting.d0_um(**names), extra), np.hypot(1e-4 * setting.z0_um(**names), extra)


def background_tracks(n_events: int, detector: DetectorConfig, rng: np.random.Generator) -> FoundTracks:
    """Fake and off-centre tracks, without calorimeter cluster or identification."""
    setting = detector.beam_background
    event = np.repeat(np.arange(n_events), rng.poisson(setting.tracks_per_event.value, size=n_events))
    n = len(event)
    pt = setting.track_pt_min_gev.value + rng.exponential(setting.track_pt_slope_gev.value, size=n)
    edges = detector.acceptance.tracker_deg
    theta, phi = np.radians(rng.uniform(edges.low, edges.high, size=n)), rng.uniform(-np.pi, np.pi, size=n)
    nobody = np.full(n, -1, dtype=np.int64)
    return FoundTracks(
        event=event,
        charge=np.where(rng.random(n) < 0.5, 1, -1),
        p=np.stack([pt * np.cos(phi), pt * np.sin(phi), pt / np.tan(theta)], axis=1),
        d0=rng.normal(size=n) * setting.track_d0_cm.value,
        z0=rng.normal(size=n) * setting.track_z0_cm.value,
        flags=np.zeros((n, len(FLAGS)), dtype=np.bool_),
        owner=nobody,
        truth=nobody,
        truth_pdg=np.zeros(n, dtype=np.int64),
    )


def charged_deposits(
    charged: Particles, radiated: Floats, detector: DetectorConfig, rng: np.random.Generator
) -> tuple[Deposits, Bools, Bools]:
    """Calorimeter deposits of charged particles.

    Electrons leave all their energy, with the bremsstrahlung where it is recovered (otherwise a photon the
    calorimeter sees is a deposit of its own); muons a Moyal-distributed minimum-ionising deposit; hadrons
    either that or a Beta-distributed fraction of p.

    Returns:
        Deposits (``owner`` is the row in ``charged``), whether the bremsstrahlung is recovered, and whether
        each particle reaches the calorimeter's active region.
    """
    ecl, n = detector.ecl, len(charged)
    species, charge = species_of(charged.pdg)
    theta, phi, hits = calorimeter_hit_charged(charged.p, charge, charged.vertex, detector.geometry)
    region = np.where(hits, ecl_region(theta, detector.acceptance), 0)
    seen = seen_in_gap(region, detector, rng)
    p = np.linalg.norm(charged.p, axis=1)
    # Moyal variate: -ln z^2 of a standard normal z, mode at 0
    moyal = -np.log(np.maximum(rng.normal(size=n) ** 2, 1e-300))
    mip = np.clip(ecl.mip_mode_gev.value + ecl.mip_width_gev.value * moyal, 0.0, p)
    shower = p * rng.beta(ecl.shower_alpha.value, ecl.shower_beta.value, size=n)
    showering = (species > MU) & (rng.random(n) > ecl.hadron_mip_fraction.value)
    found = rng.random(n) < ecl.turn_on(E=radiated)
    recovered = found & (rng.random(n) < detector.material.brem_recovery.value)
    energy = np.where(showering, shower, mip)
    energy = np.where(species == ELECTRON, p - np.where(recovered, 0.0, radiated), energy)
    like = np.full(n, ecl.photon_like.charged.value)
    main = Deposits(
        event=charged.event,
        e=energy,
        theta=theta,
        phi=phi,
        late=np.zeros(n),
        like=np.where(species == ELECTRON, ecl.photon_like.photon.value, like),
        owner=np.arange(n),
        truth=charged.index,
        truth_pdg=charged.pdg,
    ).take(seen)
    straight_theta, straight_phi = theta_phi(charged.p)
    alone = found & ~recovered & (ecl_region(straight_theta, detector.acceptance) > 0)
    photon = Deposits(
        event=charged.event,
        e=radiated,
        theta=straight_theta,
        phi=wrap(straight_phi),
        late=np.zeros(n),
        like=np.full(n, ecl.photon_like.photon.value),
        owner=np.full(n, -1, dtype=np.int64),
        truth=charged.index,
        truth_pdg=np.full(n, 22, dtype=np.int64),
    ).take(alone)
    return Deposits.concatenate([main, photon]), recovered, region > 0
