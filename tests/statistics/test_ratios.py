"""Data over simulation in bins: errors that cover."""

from __future__ import annotations

import numpy as np
import pytest

from darkfactory.stats.ratios import Binned, efficiencies, medians, ratio, yields

RNG = np.random.default_rng(5)
TOYS = 300


def test_errors_of_a_ratio_of_efficiencies_are_as_wide_as_its_spread() -> None:
    pulls = []
    index = np.repeat([0, 1], 500)
    truth = np.array([0.9 / 0.95, 0.6 / 0.8])
    for _ in range(TOYS):
        d = efficiencies(RNG.random(1000) < np.array([0.9, 0.6])[index], np.ones(1000), index, 2)
        s = efficiencies(RNG.random(1000) < np.array([0.95, 0.8])[index], np.full(1000, 3.0), index, 2)
        found = ratio(d, s, 25.0)
        pulls.append((found.value - truth) / found.error)
    assert np.std(pulls) == pytest.approx(1.0, abs=0.1)
    assert np.mean(pulls) == pytest.approx(0.0, abs=0.12)


def test_uneven_weights_count_as_fewer_events() -> None:
    index, passed = np.zeros(2000, dtype=int), RNG.random(2000) < 0.7
    even = efficiencies(passed, np.ones(2000), index, 1)
    uneven = efficiencies(passed, np.tile([9.0, 1.0], 1000), index, 1)
    # (9 + 1)^2 / 2 (81 + 1) of the information
    assert uneven.effective[0] == pytest.approx(2000 * 100 / 164)
    assert uneven.error[0] / even.error[0] == pytest.approx(np.sqrt(1.64), rel=0.05)


def test_all_that_pass_have_an_error() -> None:
    found = efficiencies(np.ones(99), np.ones(99), np.zeros(99, dtype=int), 1)
    assert found.value[0] == 1.0
    assert found.error[0] == pytest.approx(0.005)


def test_normalised_yields_know_of_their_reference() -> None:
    pulls = []
    for _ in range(TOYS):
        counts = RNG.poisson([4000, 2000, 500])
        index = np.repeat(np.arange(3), counts)
        found = yields(np.full(len(index), 2.5), index, 3, 0)
        pulls.append((found.value[1:3] - [0.5, 0.125]) / found.error[1:3])
        assert (found.value[0], found.error[0]) == (1.0, 0.0)
    assert np.std(pulls) == pytest.approx(1.0, abs=0.1)


def test_errors_of_medians_are_as_wide_as_their_spread() -> None:
    pulls = []
    for _ in range(TOYS):
        found = medians(RNG.normal(1.864, 0.005, 400), np.ones(400), np.zeros(400, dtype=int), 1)
        pulls.append((found.value[0] - 1.864) / found.error[0])
    assert np.std(pulls) == pytest.approx(1.0, abs=0.12)


def test_bins_with_nothing_take_what_all_have() -> None:
    nothing = np.array([0.9, np.nan, 0.9])
    data = Binned(nothing, np.array([0.01, np.nan, 0.01]), np.array([400.0, 0.0, 400.0]))
    simulation = Binned(np.array([0.9, 0.0, 0.9]), np.array([0.01, 0.1, 0.01]), np.array([400.0, 100.0, 400.0]))
    found = ratio(data, simulation, 25.0)
    assert found.value == pytest.approx([1.0, 1.0])
    assert found.own.tolist() == [True, False]
    # twenty times the error of four hundred times the events
    assert found.error[1] == pytest.approx(20 * found.error[0])
