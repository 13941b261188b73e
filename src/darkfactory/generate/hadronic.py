"""Hadronic events after Pythia: energies of B pairs, and which events are worth simulating."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from darkfactory.config.process import HadronicFilter
from darkfactory.generate.record import Particles
from darkfactory.physics.kinematics import mass, momentum

__all__ = ["boost_along", "passes", "roots", "spread_pairs"]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
_CHARGED = (11, 13, 211, 321, 2212)


def roots(mother: Ints, first: Ints) -> Ints:
    """Place in its event of the particle without a mother that each particle descends from.

    Args:
        mother: place of the mother in the event, -1 for none, (m,).
        first: row of the first particle of the event of each particle, (m,).

    Example:
        >>> roots(np.array([-1, -1, 0, 2, 1]), np.zeros(5, int)).tolist()
        [0, 1, 0, 0, 1]
    """
    row = np.where(mother < 0, np.arange(len(mother)), first + mother)
    while not np.array_equal(row[row], row):
        row = row[row]
    return np.asarray(row - first)


def boost_along(p: Array, direction: Array, rapidity: Array) -> Array:
    """Boost four-vectors (m, 4) along unit vectors (m, 3).

    Example:
        >>> boost_along(np.array([[1.0, 0, 0, 0]]), np.array([[0.0, 0, 1]]), np.array([np.log(2.0)])).tolist()
        [[1.25, 0.0, 0.0, 0.75]]
    """
    cosh, sinh = np.cosh(rapidity), np.sinh(rapidity)
    along = p[:, 1] * direction[:, 0] + p[:, 2] * direction[:, 1] + p[:, 3] * direction[:, 2]
    step = along * (cosh - 1) + p[:, 0] * sinh
    return np.concatenate([(p[:, 0] * cosh + along * sinh)[:, None], p[:, 1:] + step[:, None] * direction], axis=1)


def spread_pairs(found: Particles, p: Array, vertex: Array, counts: Ints, sqrts: Array) -> tuple[Array, Array]:
    """Give pairs of B mesons, made at one energy, that of their own event.

    Args:
        found: particles; the first two of each event are the pair.
        p: momenta in the CM, (m, 4).
        vertex: times and places of production in the CM, (m, 4).
        counts: particles per event.
        sqrts: wanted CM energies, (n,), GeV; below the threshold the pair is made at rest.

    Returns:
        Momenta, times and places: all that descends from a B is boosted with it along its direction.
    """
    first = np.repeat(np.cumsum(counts) - counts, counts)
    b = p[first + roots(found.mother, first)]
    m, k = mass(b), momentum(b)
    wanted = np.sqrt(np.maximum((sqrts[found.event] / 2) ** 2 - m * m, 0.0))
    rapidity = np.arcsinh(wanted / m) - np.arcsinh(k / m)
    direction = b[:, 1:] / np.maximum(k, 1e-12)[:, None]
    return boost_along(p, direction, rapidity), boost_along(vertex, direction, rapidity)


def passes(found: Particles, n_events: int, config: HadronicFilter) -> NDArray[np.bool_]:
    """Which events have enough charged tracks, and enough of them that start away from the beams.

    Args:
        found: particles of all events, in the laboratory.
        n_events: number of events.
        config: the filter.

    Example:
        >>> two = Particles(np.array([0, 1]), np.array([211, 211]), np.ones(2, int), -np.ones(2, int),
        ...                 np.array([[1.0, 0.9, 0, 0.2]] * 2), np.array([[1.0, 0, 0], [0.0, 0, 0]]))
        >>> passes(two, 2, HadronicFilter(tracks=1, displaced=1, radius_cm=(0.1, 60.0))).tolist()
        [True, False]
    """
    charged = (found.status == 1) & np.isin(np.abs(found.pdg), _CHARGED)
    charged &= np.hypot(found.p[:, 1], found.p[:, 2]) > config.min_pt
    radius = np.hypot(found.vertex[:, 0], found.vertex[:, 1])
    away = charged & (radius > config.radius_cm[0]) & (radius < config.radius_cm[1])
    enough = np.bincount(found.event[charged], minlength=n_events) >= config.tracks
    return np.asarray(enough & (np.bincount(found.event[away], minlength=n_events) >= config.displaced))
