"""Energy deposits in the calorimeter, before showers are merged and smeared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from darkfactory.config.detector import DetectorConfig, SimulateOptions
from darkfactory.detector.flat import Columns, Particles
from darkfactory.detector.geometry import calorimeter_hit_neutral, ecl_region, theta_phi, within
from darkfactory.detector.photons import PhotonHits
from darkfactory.events.schema import ECL_GAP_BWD, ECL_GAP_FWD

__all__ = [
    "Deposits",
    "KlmHits",
    "background_deposits",
    "klm_veto_factors",
    "neutral_hadrons",
    "parametric_deposits",
    "photon_deposits",
    "seen_in_gap",
]

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]
Bools: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Deposits(Columns):
    """Deposits.

    Attributes:
        e: deposited energy in GeV.
        theta: polar angle seen from the origin.
        phi: azimuth.
        late: time offset of beam background in ns.
        like: probability of a photon's shower shape.
        owner: row of the charged candidate that left it, -1 if neutral.
        truth: index of the particle, -1 for background.
        truth_pdg: its code.
    """

    e: Floats
    theta: Floats
    phi: Floats
    late: Floats
    like: Floats
    owner: Ints
    truth: Ints
    truth_pdg: Ints


@dataclass(frozen=True, eq=False)
class KlmHits(Columns):
    """Neutral clusters in the muon system."""

    theta: Floats
    phi: Floats
    truth: Ints


def seen_in_gap(region: Ints, detector: DetectorConfig, rng: np.random.Generator) -> Bools:
    """Whether a deposit is found: always in active regions, sometimes in a gap, never outside."""
    gap = (region == ECL_GAP_FWD) | (region == ECL_GAP_BWD)
    found = rng.random(len(region)) < detector.ecl.gap_efficiency.value
    return np.asarray((region > 0) & (~gap | found))


def photon_deposits(
    photons: Particles,
    hits: PhotonHits,
    detector: DetectorConfig,
    options: SimulateOptions,
    rng: np.random.Generator,
) -> tuple[Deposits, KlmHits]:
    """Deposits of the photons that were seen; muon-system clusters of those that were lost."""
    ecl = detector.ecl
    n = len(photons)
    good = rng.random(n) < ecl.good_fraction.value
    part = rng.uniform(ecl.degraded_fraction.low, ecl.degraded_fraction.high, size=n)
    chance = (options.klm_photon_veto or detector.klm.photon_veto).value
    veto = (rng.random(n) < chance) & hits.lost & within(hits.theta, detector.acceptance.klm_deg)
    like = np.where(good, ecl.photon_like.photon.value, ecl.photon_like.degraded.value)
    deposits = Deposits(
        event=photons.event,
        e=photons.e * np.where(good, 1.0, part),
        theta=hits.theta,
        phi=hits.phi,
        late=np.zeros(n),
        like=like,
        owner=np.full(n, -1, dtype=np.int64),
        truth=photons.index,
        truth_pdg=photons.pdg,
    )
    klm = KlmHits(photons.event, hits.theta, hits.phi, photons.index)
    return deposits.take(hits.seen), klm.take(veto)


def klm_veto_factors(
    photons: Particles,
    hits: PhotonHits,
    klm: KlmHits,
    n_events: int,
    detector: DetectorConfig,
    options: SimulateOptions,
) -> tuple[Floats, Floats]:
    """Factors of the event weights at the ends of the plausible range of the muon system's photon efficiency.

    A lost photon with a muon-system cluster is p' / p times as likely with p' in place of p, one without it
    (1 - p') / (1 - p) times: with p = 0 the factors are right for events that are kept because there is no cluster.

    Args:
        photons: all photons.
        hits: their fate.
        klm: muon-system clusters of lost photons.
        n_events: number of events.
        detector: acceptance of the muon system, and its efficiency where the sample has none.
        options: efficiency of the sample, with its range.

    Returns:
        Factors for the upper and the lower end, (n,) each.
    """
    setting = options.klm_photon_veto or detector.klm.photon_veto
    chance = setting.value
    inside = hits.lost & within(hits.theta, detector.acceptance.klm_deg)
    lost = np.bincount(photons.event[inside], minlength=n_events)
    seen = np.bincount(klm.event, minlength=n_events)

    def factor(other: float) -> Floats:
        hit = other / chance if chance > 0 else 1.0
        missed = (1 - other) / (1 - chance) if chance < 1 else 1.0
        return np.asarray(np.power(hit, seen) * np.power(missed, lost - seen))

    low, high = setting.range or (chance, chance)
    return factor(high), factor(low)


def parametric_deposits(showers: Particles, time: Floats, like: Floats) -> Deposits:
    """Showers of parametric samples, as they are.

    Args:
        showers: of code ``DEPOSIT``.
        time: per event, ns.
        like: per event, probability of a photon's shower shape.
    """
    theta, phi = theta_phi(showers.p)
    return Deposits(
        event=showers.event,
        e=showers.e,
        theta=theta,
        phi=phi,
        late=time[showers.event],
        like=like[showers.event],
        owner=np.full(len(showers), -1, dtype=np.int64),
        truth=showers.index,
        truth_pdg=showers.pdg,
    )


def neutral_hadrons(hadrons: Particles, detector: DetectorConfig, rng: np.random.Generator) -> tuple[Deposits, KlmHits]:
    """Showers of K_L and neutrons in the calorimeter and the muon system, independent of each other."""
    ecl, klm, n = detector.ecl, detector.klm, len(hadrons)
    theta, phi, inside = calorimeter_hit_neutral(hadrons.p, hadrons.vertex, detector.geometry)
    region = np.where(inside, ecl_region(theta, detector.acceptance), 0)
    in_klm = inside & within(theta, detector.acceptance.klm_deg) & (rng.random(n) < klm.kl_klm.value)
    # independent detectors: 1 - P(any) = (1 - P(KLM)) (1 - P(ECL))
    alone = 1 - (1 - klm.kl_any.value) / (1 - klm.kl_klm.value)
    showers = seen_in_gap(region, detector, rng) & (rng.random(n) < alone)
    fraction = rng.beta(ecl.shower_alpha.value, ecl.shower_beta.value, size=n)
    momentum2 = np.sum(hadrons.p**2, axis=1)
    mass = np.sqrt(np.maximum(hadrons.e**2 - momentum2, 0.0))
    # baryons leave their kinetic energy, antibaryons annihilate
    baryon = np.abs(hadrons.pdg) > 1000
    available = hadrons.e + np.where(baryon, -np.sign(hadrons.pdg) * mass, 0.0)
    deposits = Deposits(
        event=hadrons.event,
        e=available * fraction,
        theta=theta,
        phi=phi,
        late=np.zeros(n),
        like=np.full(n, ecl.photon_like.neutral_hadron.value),
        owner=np.full(n, -1, dtype=np.int64),
        truth=hadrons.index,
        truth_pdg=hadrons.pdg,
    )
    smear = rng.normal(size=(2, n)) * klm.kl_angle_mrad.value * 1e-3
    hits = KlmHits(
        hadrons.event,
        np.clip(theta + smear[0], 0.0, np.pi),
        wrap(phi + smear[1] / np.maximum(np.sin(theta), 0.05)),
        hadrons.index,
    )
    return deposits.take(showers), hits.take(in_klm)


def background_deposits(n_events: int, mean: float, detector: DetectorConfig, rng: np.random.Generator) -> Deposits:
    """Beam-background clusters: Poisson in number, exponential in energy, uniform in time and polar angle."""
    setting, acceptance = detector.beam_background, detector.acceptance
    counts = rng.poisson(mean, size=n_events)
    event = np.repeat(np.arange(n_events), counts)
    n = len(event)
    # inverse of the truncated exponential's distribution function
    span = (setting.energy_max_gev.value - setting.energy_min_gev.value) / setting.energy_slope_gev.value
    energy = setting.energy_min_gev.value - setting.energy_slope_gev.value * np.log1p(-rng.random(n) * -np.expm1(-span))
    first = acceptance.ecl_fwd_deg or acceptance.ecl_barrel_deg
    last = acceptance.ecl_bwd_deg or acceptance.ecl_barrel_deg
    theta = np.radians(rng.uniform(first.low, last.high, size=n))
    window = setting.time_window_ns.value
    return Deposits(
        event=event,
        e=energy,
        theta=theta,
        phi=rng.uniform(-np.pi, np.pi, size=n),
        late=rng.uniform(-window, window, size=n),
        like=np.full(n, detector.ecl.photon_like.background.value),
        owner=np.full(n, -1, dtype=np.int64),
        truth=np.full(n, -1, dtype=np.int64),
        truth_pdg=np.zeros(n, dtype=np.int64),
    )


def wrap(phi: Floats) -> Floats:
    """Azimuth in (-pi, pi]."""
    return np.asarray(np.pi - np.mod(np.pi - phi, 2 * np.pi))
