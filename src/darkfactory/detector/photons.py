"""Photons before the calorimeter: conversions, and whether anything at all is left in the calorimeter."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from darkfactory.config.detector import DetectorConfig, EclConfig, SimulateOptions
from darkfactory.core.errors import ConfigError
from darkfactory.detector.flat import Particles
from darkfactory.detector.geometry import calorimeter_hit_neutral, ecl_region
from darkfactory.events.schema import ECL_GAP_BWD, ECL_GAP_FWD
from darkfactory.physics.kinematics import azimuth_from_planes

__all__ = ["Loss", "PhotonHits", "aim", "convert", "detect", "holes"]

Floats: TypeAlias = npt.NDArray[np.float64]
Bools: TypeAlias = npt.NDArray[np.bool_]

_M_E = 0.00051099895


@dataclass(frozen=True, eq=False)
class Loss:
    """Event factors from photon loss: of the forcing, and of the nuisances relative to nominal."""

    weight: Floats
    loss_up: Floats
    loss_down: Floats
    gap_up: Floats
    gap_down: Floats


@dataclass(frozen=True, eq=False)
class PhotonHits:
    """What photons do at the calorimeter: direction from the origin, and their fate."""

    theta: Floats
    phi: Floats
    seen: Bools
    lost: Bools
    """Pointed at the calorimeter and left nothing."""


def convert(
    photons: Particles,
    n_events: int,
    detector: DetectorConfig,
    options: SimulateOptions,
    rng: np.random.Generator,
) -> tuple[Particles, Particles, Floats]:
    """Convert photons in the material before the drift chamber.

    The pair is collinear, shares the energy uniformly and starts at one of the material's radii; the
    electrons keep their photon's ``index``. With ``force_conversion`` f, photons whose true chance is p < f convert
    with probability f instead; the event's weight is multiplied by p/f if one does and by (1-p)/(1-f) if not.

    Returns:
        The photons that did not convert, the electrons, and the factor on each event's weight, (n events,).
    """
    material = detector.material
    pt = np.hypot(photons.p[:, 0], photons.p[:, 1])
    sine = np.maximum(pt / np.maximum(photons.e, 1e-12), 0.05)
    radius = rng.choice(np.asarray(material.conversion_radii_cm), size=len(photons))
    start = np.hypot(photons.vertex[:, 0], photons.vertex[:, 1])
    # 7/9 per radiation length: high-energy pair production (PDG review, passage of particles, eq. 34.31)
    chance = 1 - np.exp(-7 / 9 * material.conversion_x0.value / sine)
    chance = np.where((radius > start) & (photons.e > 20 * _M_E), chance, 0.0)
    drawn = chance
    if options.force_conversion is not None:
        drawn = np.where(chance > 0, np.maximum(chance, options.force_conversion), 0.0)
    converts = rng.random(len(photons)) < drawn
    weight = np.ones(n_events)
    changed = drawn != chance
    ratio = np.where(converts, chance, 1 - chance)[changed] / np.where(converts, drawn, 1 - drawn)[changed]
    np.multiply.at(weight, photons.event[changed], ratio)
    parents = photons.take(converts)
    share = rng.uniform(0.02, 0.98, size=len(parents))
    direction = parents.p / np.maximum(np.linalg.norm(parents.p, axis=1), 1e-12)[:, None]
    flight = (radius[converts] - start[converts]) / sine[converts]
    vertex = parents.vertex + direction * flight[:, None]
    legs = [
        Particles(
            parents.event,
            parents.index,
            np.full(len(parents), pdg, dtype=np.int64),
            parents.p * part[:, None],
            parents.e * part,
            vertex,
        )
        for pdg, part in ((11, share), (-11, 1 - share))
    ]
    return photons.take(~converts), Particles.concatenate(legs), weight


def aim(
    particles: Particles,
    n_events: int,
    detector: DetectorConfig,
    options: SimulateOptions,
    rng: np.random.Generator,
) -> tuple[Particles, Floats]:
    """Turn events about the z axis so that more photons than by chance fly into cracks.

    With ``aim_at_cracks`` q, one of the energetic photons of an event is chosen and, with probability q, the event is
    turned by the least angle that brings it to a uniform place in a crack. Events have no preferred azimuth, so the
    density of what comes out is (1 - q) + q s / coverage times that of before, s the share of the energetic photons
    that are in cracks; the weight is one over that.

    Returns:
        The particles, and the factor on each event's weight, (n events,).

    Raises:
        ConfigError: a detector without cracks, or beams that cross, which have a preferred azimuth.
    """
    q, cracks = options.aim_at_cracks, detector.ecl.cracks
    if q is None:
        return particles, np.ones(n_events)
    if cracks is None or detector.beams.half_crossing_mrad.value != 0:
        raise ConfigError(
            f"detector {detector.name} has no cracks or beams that cross; aiming needs `ecl.cracks` and beams head on",
            where="simulate.aim_at_cracks",
        )
    width, pitch = 1e-3 * cracks.width_mrad.value, 2 * np.pi / cracks.number.value
    energetic = np.flatnonzero((particles.pdg == 22) & (particles.e > options.force_above_gev))
    event, phi = particles.event[energetic], np.arctan2(particles.p[energetic, 1], particles.p[energetic, 0])
    count = np.bincount(event, minlength=n_events)
    first = np.cumsum(count) - count
    u = rng.random((n_events, 3))
    turned = (count > 0) & (u[:, 0] < q)
    chosen = np.minimum(first + (u[:, 1] * count).astype(np.int64), max(len(energetic) - 1, 0))
    angle = np.zeros(n_events)
    if len(energetic) > 0:
        at = phi[chosen]
        angle = np.where(turned, np.rint(at / pitch) * pitch + (u[:, 2] - 0.5) * width - at, 0.0)
    inside = azimuth_from_planes(phi + angle[event], cracks.number.value) < width / 2
    share = np.bincount(event, weights=inside, minlength=n_events) / np.maximum(count, 1)
    density = np.where(count > 0, (1 - q) + q * share * pitch / width, 1.0)
    cosine, sine = np.cos(angle)[particles.event], np.sin(angle)[particles.event]

    def turn(v: Floats) -> Floats:
        return np.stack([cosine * v[:, 0] - sine * v[:, 1], sine * v[:, 0] + cosine * v[:, 1], v[:, 2]], axis=1)

    return replace(particles, p=turn(particles.p), vertex=turn(particles.vertex)), 1 / density


def holes(phi: Floats, ecl: EclConfig) -> tuple[Floats, Floats, Floats]:
    """Probability that photons at azimuths in rad leave nothing in the active region, and the ends of its range.

    With cracks, what the mean over azimuth has beyond the loss elsewhere is in them: (mean - elsewhere) / coverage
    more than elsewhere.

    Returns:
        Nominal, upper and lower end.
    """
    hole = ecl.hole_inefficiency
    low, high = hole.range or (hole.value, hole.value)
    means = (hole.value, high, low)
    cracks = ecl.cracks
    if cracks is None:
        nominal, up, down = (np.full(np.shape(phi), mean) for mean in means)
        return nominal, up, down
    width = 1e-3 * cracks.width_mrad.value
    inside = azimuth_from_planes(phi, cracks.number.value) < width / 2
    coverage = cracks.number.value * width / (2 * np.pi)
    least, most = cracks.elsewhere.range or (cracks.elsewhere.value, cracks.elsewhere.value)
    between = (cracks.elsewhere.value, most, least)
    nominal, up, down = (
        np.where(inside, np.clip(floor + (mean - floor) / coverage, floor, 1.0), floor)
        for mean, floor in zip(means, between, strict=True)
    )
    return nominal, up, down


def detect(
    photons: Particles,
    n_events: int,
    detector: DetectorConfig,
    options: SimulateOptions,
    rng: np.random.Generator,
) -> tuple[PhotonHits, Loss]:
    """Decide which photons leave something in the calorimeter.

    With ``force_photon_loss`` f, a photon above ``force_above_gev`` whose true loss probability is p < f is
    lost with probability f instead; the event's weight is multiplied by p/f if it is lost and by
    (1-p)/(1-f) if not, which leaves every expectation value unchanged.
    """
    ecl = detector.ecl
    theta, phi, inside = calorimeter_hit_neutral(photons.p, photons.vertex, detector.geometry)
    region = np.where(inside, ecl_region(theta, detector.acceptance), 0)
    gap = (region == ECL_GAP_FWD) | (region == ECL_GAP_BWD)
    turn_on = ecl.turn_on(E=photons.e)

    def loss(hole: Floats, gap_efficiency: float) -> Floats:
        seen = turn_on * np.where(gap, gap_efficiency, 1 - hole)
        return np.where(region == 0, 1.0, 1 - seen)

    gap_eff = ecl.gap_efficiency
    gap_range = gap_eff.range or (gap_eff.value,) * 2
    hole, hole_up, hole_down = holes(phi, ecl)
    true = loss(hole, gap_eff.value)
    drawn = true
    if options.force_photon_loss is not None:
        forced = (region > 0) & (photons.e > options.force_above_gev)
        drawn = np.where(forced, np.maximum(true, options.force_photon_loss), true)
    lost = rng.random(len(photons)) < drawn

    def factor(numerator: Floats, denominator: Floats) -> Floats:
        """Product over each event of the ratio of the probabilities of what happened."""
        above = np.where(lost, numerator, 1 - numerator)
        below = np.where(lost, denominator, 1 - denominator)
        ratio = above / np.where(below > 0, below, 1.0)
        result = np.ones(n_events)
        changed = (ratio != 1) & (below > 0)
        np.multiply.at(result, photons.event[changed], ratio[changed])
        return result

    return PhotonHits(theta, phi, ~lost, lost & (region > 0)), Loss(
        weight=factor(true, drawn),
        loss_up=factor(loss(hole_up, gap_eff.value), true),
        loss_down=factor(loss(hole_down, gap_eff.value), true),
        # up means more loss
        gap_up=factor(loss(hole, gap_range[0]), true),
        gap_down=factor(loss(hole, gap_range[1]), true),
    )
