"""One of the neutral pions from a tau pair decays to a photon and an electron pair."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from darkfactory.config.process import DalitzConfig
from darkfactory.core.errors import InputError
from darkfactory.generate.taus.decay import TauDecays
from darkfactory.generate.three_body import draw_from_spectrum, helicity_cosine
from darkfactory.physics.constants import M_E, M_PI0
from darkfactory.physics.dalitz import dalitz_fraction, dalitz_spectrum
from darkfactory.physics.kinematics import from_rest_frame, two_body

__all__ = ["dalitz_momenta", "force_dalitz"]

Array = NDArray[np.float64]


def dalitz_momenta(pi0: Array, config: DalitzConfig, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Momenta of photon, electron and positron: the pair's mass after Kroll and Wada, its photon transverse.

    Args:
        pi0: momenta of the pions, (n, 4), GeV.
        config: least mass and form factor.
        rng: random numbers.
    """
    n = len(pi0)
    u = rng.random((6, n))
    low = max(config.mass_min, 2 * M_E * (1 + 1e-9))
    q = np.exp(
        draw_from_spectrum(
            lambda x: np.exp(x) * dalitz_spectrum(np.exp(x), config.slope.value), np.log(low), np.log(M_PI0), u[0]
        )
    )
    q = np.clip(q, 2 * M_E * (1 + 1e-9), M_PI0 * (1 - 1e-9))
    at_rest = np.zeros((n, 4))
    at_rest[:, 0] = M_PI0
    photon, pair = two_body(at_rest, 0.0, q, 2 * u[1] - 1, 2 * np.pi * u[2])
    cosine = helicity_cosine(u[3], u[4], np.zeros(n, dtype=np.bool_), 4 * (M_E / q) ** 2)
    minus, plus = two_body(pair, M_E, M_E, cosine, 2 * np.pi * u[5])
    return from_rest_frame(photon, pi0), from_rest_frame(minus, pi0), from_rest_frame(plus, pi0)


def force_dalitz(decays: TauDecays, config: DalitzConfig, rng: np.random.Generator) -> tuple[TauDecays, Array]:
    """Let one neutral pion of every event, each with the same chance, decay to e e gamma.

    Returns:
        The products, where the two photons of the chosen pion have become electron and positron, with a photon after
        all others of the event; and the factor on each event's weight: number of pions times branching fraction.

    Raises:
        InputError: an event without neutral pions.
    """
    counts, offsets = decays.counts, decays.offsets
    n = len(counts)
    event = np.repeat(np.arange(n), counts)
    at = np.flatnonzero(decays.pdg == 111)
    number = np.bincount(event[at], minlength=n)
    if n and not number.all():
        raise InputError(
            f"{int(np.sum(number == 0))} of {n} events have no neutral pion; let one tau decay to modes with one"
        )
    first = np.cumsum(number) - number
    chosen = at[first + np.minimum((rng.random(n) * number).astype(np.int64), number - 1)]
    place = chosen - offsets[:-1]
    # the two photons of each chosen pion, in their order
    legs = np.flatnonzero(decays.parent == place[event]).reshape(n, 2)
    photon, minus, plus = dalitz_momenta(decays.momenta[chosen], config, rng)
    pdg, momenta = decays.pdg.copy(), decays.momenta.copy()
    for column, code, p in ((0, 11, minus), (1, -11, plus)):
        pdg[legs[:, column]], momenta[legs[:, column]] = code, p
    end = offsets[1:]
    made = dataclasses.replace(
        decays,
        counts=counts + 1,
        pdg=np.insert(pdg, end, 22).astype(pdg.dtype),
        momenta=np.insert(momenta, end, photon, axis=0),
        parent=np.insert(decays.parent, end, place).astype(decays.parent.dtype),
        status=np.insert(decays.status, end, 1).astype(decays.status.dtype),
        side=np.insert(decays.side, end, decays.side[chosen]).astype(decays.side.dtype),
    )
    rate = config.branching_fraction.value * dalitz_fraction(config.mass_min, config.slope.value)
    return made, np.asarray(number * rate, dtype=np.float64)
