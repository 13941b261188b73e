"""The roulette at the edge of the pseudomass."""

from __future__ import annotations

import numpy as np
import pytest

from darkfactory.config.process import RouletteConfig
from darkfactory.generate.record import Particles
from darkfactory.generate.roulette import survival
from darkfactory.physics.beams import beam_frame

FRAME = beam_frame(5.29, 5.29, 0.0)
CONFIG = RouletteConfig(observable="pseudomass", pair=(15, 211), points=((0.6, 0.01), (1.5, 1.0)))


def event(number: int, mother_pdg: int, pions: int, scale: float) -> Particles:
    """A pair, and pions of its second particle."""
    p = scale * np.array([[0.0, 1.0, 0.1, 0.3], [0.0, 1.2, -0.2, 0.4], [0.0, 0.8, 0.1, 0.2]])[:pions]
    p[:, 0] = np.sqrt((p[:, 1:] ** 2).sum(1) + 0.13957**2)
    legs = np.array([[5.29, 0, 0, 5.0], [5.29, 0, 0, -5.0]])
    n = 2 + pions
    return Particles(
        np.full(n, number),
        np.array([15, mother_pdg, 211, 211, -211][:n]),
        np.array([2, 2, 1, 1, 1][:n]),
        np.array([-1, -1, 1, 1, 1][:n]),
        np.concatenate([legs, p]),
        np.zeros((n, 3)),
    )


def joined(*parts: Particles) -> Particles:
    names = ("event", "pdg", "status", "mother", "p", "vertex")
    return Particles(*(np.concatenate([getattr(x, n) for x in parts]) for n in names))


def by_hand(pions: np.ndarray) -> float:
    total = pions.sum(0)
    k = float(np.linalg.norm(total[1:]))
    m2 = total[0] ** 2 - k * k + 2 * (FRAME.sqrts / 2 - total[0]) * (total[0] - k)
    return float(np.sqrt(m2))


def test_probability_follows_the_pseudomass_of_three_pions_of_one_tau() -> None:
    events = [event(0, -15, 3, 1.0), event(1, -15, 3, 1.3), event(2, -15, 2, 1.0), event(3, -521, 3, 1.0)]
    got = survival([CONFIG], joined(*events), 4, FRAME)
    masses = [by_hand(e.p[2:]) for e in events[:2]]
    assert 0.6 < masses[0] < masses[1] < 1.5
    expected = [np.exp(np.interp(m, [0.6, 1.5], np.log([0.01, 1.0]))) for m in masses]
    # two pions, and pions of another parent, go on
    assert got == pytest.approx([*expected, 1.0, 1.0], rel=1e-9)


def test_an_event_does_not_see_its_neighbours() -> None:
    one, two = event(0, -15, 3, 1.0), event(1, -15, 3, 1.3)
    alone = survival([CONFIG], event(0, -15, 3, 1.3), 1, FRAME)
    assert survival([CONFIG], joined(one, two), 2, FRAME)[1] == alone[0]
