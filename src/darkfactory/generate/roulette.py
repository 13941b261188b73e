"""Russian roulette: events that a search does not look at are rarely passed on, with a weight for those that are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from darkfactory.config.process import RouletteConfig
from darkfactory.generate.pairs import pair_value
from darkfactory.generate.record import Particles
from darkfactory.physics.beams import BeamFrame

__all__ = ["keep_particles", "survival"]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
_FINAL = 1


def _first(particles: Particles, wanted: NDArray[np.bool_], n: int) -> NDArray[np.int64]:
    """Row of the first wanted final particle of each event, -1 without one."""
    rows = np.flatnonzero(wanted & (particles.status == _FINAL))
    out = np.full(n, -1, dtype=np.int64)
    # the last assignment stays
    out[particles.event[rows[::-1]]] = rows[::-1]
    return out


def _pseudomass(config: RouletteConfig, particles: Particles, n: int, frame: BeamFrame) -> tuple[Ints, Array]:
    """Events with a parent of exactly three such products, and the pseudomass of the (last) parent's, GeV."""
    parent, product = config.pair
    start = np.searchsorted(particles.event, np.arange(n))
    rows = np.flatnonzero((np.abs(particles.pdg) == product) & (particles.status == _FINAL) & (particles.mother >= 0))
    mother = start[particles.event[rows]] + particles.mother[rows]
    rows, mother = (x[np.abs(particles.pdg[mother]) == parent] for x in (rows, mother))
    number = np.bincount(mother, minlength=len(particles.pdg))
    total = np.stack([np.bincount(mother, weights=q, minlength=len(number)) for q in particles.p[rows].T], axis=-1)
    three = np.flatnonzero(number == 3)
    cm = frame.to_cm(np.asarray(total[three], dtype=np.float64))
    k = np.sqrt(cm[:, 1] ** 2 + cm[:, 2] ** 2 + cm[:, 3] ** 2)
    m2 = cm[:, 0] ** 2 - k * k + 2 * (0.5 * frame.sqrts - cm[:, 0]) * (cm[:, 0] - k)
    value = np.full(n, np.nan)
    value[particles.event[three]] = np.sqrt(np.maximum(m2, 0.0))
    where = np.flatnonzero(np.isfinite(value))
    return where, value[where]


def survival(configs: Sequence[RouletteConfig], particles: Particles, n: int, frame: BeamFrame) -> Array:
    """Probability that each of ``n`` events goes on.

    Args:
        configs: factors of the probability.
        particles: all particles, in the laboratory.
        n: number of events.
        frame: nominal CM frame.

    Example:
        >>> from darkfactory.physics.beams import beam_frame
        >>> config = RouletteConfig(observable="pt_pair", pair=(13, 13), points=((0.0, 0.01), (2.0, 1.0)))
        >>> p = np.array([[3.0, 1.0, 0.0, 2.0], [2.0, 0.0, 0.0, -1.0], [2.0, 0.0, 0.0, -1.0]])
        >>> both = Particles(np.array([0, 0, 1]), np.array([13, -13, 13]), np.ones(3, int), -np.ones(3, int), p,
        ...                  np.zeros((3, 3)))
        >>> survival([config], both, 2, beam_frame(5.29, 5.29, 0.0)).round(6).tolist()
        [0.1, 1.0]
    """
    out = np.ones(n)
    for config in configs:
        points = np.asarray(config.points, float)
        if config.observable == "pseudomass":
            where, value = _pseudomass(config, particles, n, frame)
            out[where] *= np.exp(np.interp(value, points[:, 0], np.log(points[:, 1])))
            continue
        a, b = config.pair
        if a == b:
            members = [_first(particles, particles.pdg == code, n) for code in (a, -a)]
        else:
            members = [_first(particles, np.abs(particles.pdg) == code, n) for code in (a, b)]
        where = np.flatnonzero((members[0] >= 0) & (members[1] >= 0))
        one, two = (np.ascontiguousarray(frame.to_cm(particles.p[rows[where]]).T) for rows in members)
        value = pair_value(config.observable, one, two, np.full(len(where), frame.sqrts))
        out[where] *= np.exp(np.interp(value, points[:, 0], np.log(points[:, 1])))
    return out


def keep_particles(particles: Particles, keep: NDArray[np.bool_]) -> Particles:
    """The particles of some events, which are counted anew.

    Example:
        >>> one = Particles(np.arange(3), np.array([11, 12, 13]), np.ones(3, int), -np.ones(3, int),
        ...                 np.zeros((3, 4)), np.zeros((3, 3)))
        >>> kept = keep_particles(one, np.array([False, True, True]))
        >>> kept.event.tolist(), kept.pdg.tolist()
        ([0, 1], [12, 13])
    """
    rows = keep[particles.event]
    number = np.cumsum(keep) - 1
    return Particles(
        number[particles.event[rows]], particles.pdg[rows], particles.status[rows], particles.mother[rows],
        particles.p[rows], particles.vertex[rows],
    )  # fmt: skip
