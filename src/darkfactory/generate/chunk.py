"""A chunk of truth events: hard process, decays, radiation, beams, record."""

from __future__ import annotations

import dataclasses

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from darkfactory.core.errors import InputError
from darkfactory.generate.decays import TauPair, decay_legs
from darkfactory.generate.gridpack import Gridpack
from darkfactory.generate.process import Process
from darkfactory.generate.radiation import ToLab, make_to_lab
from darkfactory.generate.record import Particles, concatenate, to_events
from darkfactory.generate.roulette import keep_particles, survival
from darkfactory.generate.taus.dalitz import force_dalitz
from darkfactory.generate.taus.decay import TAU_MINUS, TauDecays, decay_tau_pair
from darkfactory.generate.unweight import unweighted
from darkfactory.physics.kinematics import mass2

__all__ = ["GeneratedChunk", "generate_chunk", "true_lepton_fraction"]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclasses.dataclass(frozen=True, eq=False)
class GeneratedChunk:
    """Truth events in the laboratory and what normalises them.

    Attributes:
        events: awkward records per :mod:`darkfactory.events.schema`.
        n_events: events that were made; the roulette may have kept fewer in ``events``, with their numbers among these.
        sumw: sum of weights, fb; over ``n_events`` it is the cross-section (with roulette: on average).
        sumw2: sum of squared weights.
        tries: attempts at the hard process.
    """

    events: ak.Array
    n_events: int
    sumw: float
    sumw2: float
    tries: int


def _row(n: int, pdg: int, status: int, mother: int, p: Array, vertex: Array | None = None) -> Particles:
    full = np.full(n, 1, dtype=np.int64)
    return Particles(
        np.arange(n, dtype=np.int64), pdg * full, status * full, mother * full, p,
        np.zeros((n, 3)) if vertex is None else vertex,
    )  # fmt: skip


def _tau_legs(process: Process, p: Array) -> tuple[TauPair, set[int]]:
    """The tau pair among the legs of the hard process, and its legs."""
    legs = process.amplitude.legs
    minus = next(i for i, leg in enumerate(legs) if leg.pdg == 15 and not leg.incoming)
    plus = next(i for i, leg in enumerate(legs) if leg.pdg == -15 and not leg.incoming)
    density = process.amplitude.spin_density(p, (minus, plus))
    taus = TauPair(p[:, minus], p[:, plus], (minus - 2, plus - 2), np.zeros((len(p), 3)), density)
    return taus, {minus, plus}


def _tau_decays(
    process: Process, taus: TauPair, lab: ToLab, base: Ints, rng: np.random.Generator
) -> tuple[Particles, Array, dict[str, Array]]:
    """Products of a tau pair, which follow the ``base`` particles of each event, a factor on its weight, columns."""
    if process.tau_modes is None:
        raise InputError(f"process {process.config.name} decays taus but was built without a table of tau decays")
    decays = decay_tau_pair(taus.density, taus.minus, taus.plus, process.tau_modes, rng)
    factor = np.ones(len(decays.counts))
    if process.config.taus is not None and process.config.taus.dalitz is not None:
        decays, factor = force_dalitz(decays, process.config.taus.dalitz, rng)
    event = np.repeat(np.arange(len(decays.counts), dtype=np.int64), decays.counts)
    parent = decays.parent.astype(np.int64)
    direct = np.where(parent == TAU_MINUS, *taus.places)
    mother = np.where(parent < 0, direct, parent + base[event])
    length = decays.proper_length[event, decays.side] / process.tau_modes.tau_mass
    p_lab = lab.legs(np.stack([taus.minus, taus.plus], axis=1))
    vertex = taus.vertex[event] + p_lab[event, decays.side, 1:] * length[:, None]
    made = Particles(
        event, decays.pdg.astype(np.int64), decays.status.astype(np.int64), mother, lab.flat(decays.momenta, event),
        vertex,
    )  # fmt: skip
    columns: dict[str, Array] = {}
    if process.config.taus is not None and process.config.taus.true_lepton:
        columns["true_x_lepton"] = true_lepton_fraction(decays, taus.minus, taus.plus)
    return made, factor, columns


def true_lepton_fraction(decays: TauDecays, minus: Array, plus: Array) -> Array:
    """Fraction 2 E/m of the first charged lepton among the products of taus, in its tau's rest frame, (n,).

    Args:
        decays: of n pairs.
        minus: momenta of the tau- in the frame of the products, (n, 4).
        plus: of the tau+.
    """
    out = np.full(len(decays.counts), np.nan)
    event = np.repeat(np.arange(len(decays.counts)), decays.counts)
    rows = np.flatnonzero((decays.parent < 0) & np.isin(np.abs(decays.pdg), (11, 13)))
    # the last assignment stays
    rows = rows[::-1]
    tau = np.where((decays.side[rows] == 0)[:, None], minus[event[rows]], plus[event[rows]])
    p = decays.momenta[rows]
    product = tau[:, 0] * p[:, 0] - tau[:, 1] * p[:, 1] - tau[:, 2] * p[:, 2] - tau[:, 3] * p[:, 3]
    out[event[rows]] = 2 * product / mass2(tau)
    return out


def generate_chunk(
    process: Process, gridpack: Gridpack, n_events: int, rng: np.random.Generator, chunk: int
) -> GeneratedChunk:
    """Truth events of one chunk, a function of its arguments alone.

    Order in an event: the products of the hard process, those of their decays, the radiated photon, the products of
    taus.

    Args:
        process: what to generate.
        gridpack: its frozen adaptation.
        n_events: number of events, before the roulette.
        rng: random stream of the chunk.
        chunk: its number, for the events' identifiers.

    Raises:
        InputError: the gridpack belongs to another process.
    """
    if gridpack.process != process.digest:
        raise InputError(
            f"gridpack of {gridpack.name} ({gridpack.process}) does not fit process {process.config.name} "
            f"({process.digest}): the configuration or the code has changed; adapt it again"
        )
    hard = unweighted(process, gridpack, n_events, rng)
    n, legs = n_events, process.amplitude.legs
    lab = hard.lab
    if lab is None:
        lab = make_to_lab(hard.e_her, hard.e_ler, process.beams.half_crossing, hard.v, process.config.isr, rng)
    p_lab = lab.legs(hard.p)
    second = decay_legs(process, hard.p, p_lab, lab, rng)
    decayed = set(second.legs)
    radiated = np.flatnonzero(hard.v > 0)
    base = len(legs) - 2 + second.counts
    base[radiated] += 1
    last: list[Particles] = []
    more: dict[str, Array] = {}
    weight = hard.weight
    if process.config.taus is not None:
        taus = second.taus
        if taus is None:
            taus, gone = _tau_legs(process, hard.p)
            decayed |= gone
        products, factor, more = _tau_decays(process, taus, lab, base, rng)
        last.append(products)
        weight = weight * factor
    first = [
        _row(n, leg.pdg, 2 if i in decayed else 1, -1, p_lab[:, i]) for i, leg in enumerate(legs) if not leg.incoming
    ]
    ones = np.ones(len(radiated), dtype=np.int64)
    photon = Particles(
        radiated.astype(np.int64), 22 * ones, ones, -ones, lab.photon[radiated], np.zeros((len(radiated), 3))
    )
    particles, number = concatenate([*first, *second.particles, photon, *last]), None
    columns = second.columns | more
    if process.config.roulette:
        chance = survival(process.config.roulette, particles, n, process.beams.frame)
        keep = rng.random(n) < chance
        particles, number = keep_particles(particles, keep), np.flatnonzero(keep)
        weight = weight[keep] / chance[keep]
        columns = {name: values[keep] for name, values in columns.items()}
    events = to_events(particles, weight, chunk, number, columns)
    return GeneratedChunk(events, n, float(weight.sum()), float((weight**2).sum()), hard.tries)
