"""Decay chains attached to a hard process: modes, two- and three-body decays, vertices from proper decay lengths."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from darkfactory.config.process import DecayLengthConfig, DecayMode
from darkfactory.core.errors import ConfigError
from darkfactory.generate.process import Process
from darkfactory.generate.radiation import ToLab
from darkfactory.generate.record import Particles
from darkfactory.generate.resonance import decay_directions, pair_density
from darkfactory.generate.three_body import three_body
from darkfactory.physics.kinematics import two_body
from darkfactory.physics.lifetimes import draw_proper_lengths, mixture_components, mixture_density

__all__ = ["Decayed", "TauPair", "decay_legs", "decay_lengths"]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclasses.dataclass(frozen=True, eq=False)
class TauPair:
    """A tau pair that is to decay.

    Attributes:
        minus: momenta of the tau- in the hard frame, (n, 4).
        plus: of the tau+.
        places: of both in their event's particles.
        vertex: where they are made, laboratory, (n, 3), cm.
        density: their spin density, as of :meth:`Amplitude.spin_density`.
    """

    minus: Array
    plus: Array
    places: tuple[int, int]
    vertex: Array
    density: NDArray[np.complex128]


@dataclasses.dataclass(frozen=True, eq=False)
class Decayed:
    """Products of all decays of many events.

    Attributes:
        particles: products in the order of the decays; in an event they follow the legs.
        legs: numbers of the legs that decayed.
        counts: products per event, (n,).
        columns: per event, ``proper_<particle>`` (cm) and ``density_<particle>`` (1/cm) of decay lengths that can be
            reweighted.
        taus: a pair from a correlated decay, where the process decays taus.
    """

    particles: list[Particles]
    legs: set[int]
    counts: Ints
    columns: dict[str, Array]
    taus: TauPair | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class _Parents:
    """Particles of one name: leg (-1: none), events, places in them, momenta in both frames, vertices."""

    name: str
    leg: int
    event: Ints
    place: Ints
    p: Array
    p_lab: Array
    vertex: Array


def decay_lengths(config: DecayLengthConfig, n: int, rng: np.random.Generator) -> tuple[Array, Array | None]:
    """Proper decay lengths in cm and, of mixtures, their densities in 1/cm, (n,)."""
    if config.mixture_cm is None:
        mean = config.ctau_cm.value if config.ctau_cm is not None else 0.0
        return -mean * np.log1p(-rng.random(n)), None
    components = mixture_components(*config.mixture_cm, config.per_decade)
    u = rng.random((2, n))
    length = draw_proper_lengths(u[0], u[1], components)
    return length, mixture_density(length, components)


def _choose(process: Process, modes: tuple[DecayMode, ...], n: int, rng: np.random.Generator) -> list[Ints]:
    """Rows of each mode."""
    if len(modes) == 1:
        return [np.arange(n)]
    chance = np.cumsum([process.mode_fraction(mode) for mode in modes])
    choice = np.minimum(np.searchsorted(chance / chance[-1], rng.random(n), side="right"), len(modes) - 1)
    return [np.flatnonzero(choice == i) for i in range(len(modes))]


def _products(process: Process, name: str, mode: DecayMode, p: Array, rng: np.random.Generator) -> tuple[Array, ...]:
    masses = [process.product(product).mass for product in mode.products]
    if len(masses) == 3:
        mediator = process.product(mode.mediator).mass if mode.mediator is not None else None
        return three_body(p, (process.product(name).mass, masses[0], masses[1], masses[2]), mediator, rng)
    u = rng.random((2, len(p)))
    return two_body(p, masses[0], masses[1], 2 * u[0] - 1, 2 * np.pi * u[1])


def decay_legs(process: Process, p: Array, p_lab: Array, lab: ToLab, rng: np.random.Generator) -> Decayed:
    """Decay the legs of a hard process and their products, first those of all legs, then those of the products.

    Args:
        process: with its decays.
        p: momenta of the legs in the hard frame, (n, legs, 4).
        p_lab: the same in the laboratory.
        lab: from the hard frame to the laboratory.
        rng: random numbers.

    Raises:
        ConfigError: decay lengths to be reweighted of a particle that occurs more than once in an event.
    """
    n, decays = len(p), process.config.decays
    counts = np.zeros(n, dtype=np.int64)
    first = len(process.amplitude.legs) - 2
    particles: list[Particles] = []
    legs: set[int] = set()
    columns: dict[str, Array] = {}
    waiting: list[_Parents] = []
    taus: TauPair | None = None
    every = np.arange(n, dtype=np.int64)
    for i, leg in enumerate(process.amplitude.legs):
        if not leg.incoming and leg.name in decays:
            legs.add(i)
            waiting.append(_Parents(leg.name, i, every, np.full(n, i - 2), p[:, i], p_lab[:, i], np.zeros((n, 3))))
    while waiting:
        parents = waiting.pop(0)
        decay = decays[parents.name]
        vertex = parents.vertex
        if decay.lifetime is not None:
            length, density = decay_lengths(decay.lifetime, len(parents.event), rng)
            vertex = vertex + parents.p_lab[:, 1:] * (length / process.product(parents.name).mass)[:, None]
            if density is not None:
                _record(process, parents, length, density, columns, n)
        for mode, rows in zip(
            decay.alternatives, _choose(process, decay.alternatives, len(parents.event), rng), strict=True
        ):
            event, at = parents.event[rows], vertex[rows]
            into = lab if len(event) == n else lab.take(event)
            resonance = next((r for r in process.resonances if r.leg == parents.leg), None)
            if resonance is not None:
                # of a leg, in its only mode: these are all events
                pair = decay_directions(resonance, process.amplitude, p, rng)
                if resonance.taus is not None and process.config.taus is not None:
                    spins = pair_density(resonance, p, pair)
                    taus = _tau_pair(process, mode, pair, first + int(counts[0]), at, spins)
            momenta = pair if resonance is not None else _products(process, parents.name, mode, parents.p[rows], rng)
            for product, momentum in zip(mode.products, momenta, strict=True):
                in_lab = into.legs(momentum[:, None])[:, 0]
                status = 2 if product in decays or (resonance is not None and taus is not None) else 1
                pdg = np.full(len(event), process.product(product).pdg)
                particles.append(Particles(event, pdg, np.full(len(event), status), parents.place[rows], in_lab, at))
                if product in decays:
                    waiting.append(_Parents(product, -1, event, first + counts[event], momentum, in_lab, at))
                counts[event] += 1
    return Decayed(particles, legs, counts, columns, taus)


def _tau_pair(
    process: Process,
    mode: DecayMode,
    pair: tuple[Array, Array],
    first: int,
    vertex: Array,
    density: NDArray[np.complex128],
) -> TauPair:
    """A pair of products with the tau- first."""
    minus, plus = (0, 1) if process.product(mode.products[0]).pdg == 15 else (1, 0)
    return TauPair(pair[minus], pair[plus], (first + minus, first + plus), vertex, density)


def _record(
    process: Process, parents: _Parents, length: Array, density: Array, columns: dict[str, Array], n: int
) -> None:
    """Write decay lengths and densities of one particle to the events' columns; events without it have weight 1."""
    name = parents.name
    if f"proper_{name}" in columns or len(parents.event) != n:
        raise ConfigError(
            f"{name} does not occur exactly once in every event, so that one column of decay lengths cannot be "
            "reweighted; give it ctau_cm instead of mixture_cm",
            where=f"processes/{process.config.name}.decays.{name}.lifetime",
        )
    columns[f"proper_{name}"], columns[f"density_{name}"] = length, density
