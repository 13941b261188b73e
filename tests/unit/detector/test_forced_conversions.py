"""Conversions made common: weights leave every expectation value as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import awkward as ak
import numpy as np
import pytest

from darkfactory.config.detector import DetectorConfig, SimulateOptions
from darkfactory.core.seeds import generator
from darkfactory.detector.simulate import simulate

Shoot = Callable[..., ak.Array]
Quiet = Callable[..., DetectorConfig]


def run(events: ak.Array, detector: DetectorConfig, **options: Any) -> ak.Array:
    return simulate(events, detector, SimulateOptions(**options), generator(8, "conversions"))


def test_forced_conversions_keep_their_rate(quiet: Quiet, shoot: Shoot) -> None:
    n = 40_000
    events = shoot(n, [22, 22], [1.5, 0.2], 90.0)
    chance = 1 - np.exp(-7 / 9 * 0.04)
    forced = run(events, quiet(), force_conversion=0.3)
    weight = np.asarray(forced.weight)
    assert weight.mean() == pytest.approx(1.0, abs=0.01)
    # soft photons too; electrons of a conversion share the index of their photon
    converted = [
        np.asarray(ak.any((abs(forced.tracks.truth_pdg) == 11) & (forced.tracks.truth == i), axis=1)) for i in (0, 1)
    ]
    rate = float(np.mean(weight * converted[0]))
    plain = run(events, quiet())
    expected = float(
        np.mean(np.asarray(ak.any((abs(plain.tracks.truth_pdg) == 11) & (plain.tracks.truth == 0), axis=1)))
    )
    assert rate == pytest.approx(expected, abs=5 * np.sqrt(chance / n))
    assert np.mean(converted[0]) > 5 * expected
    assert np.mean(converted[1]) > 0.1
    ratios = {chance / 0.3, (1 - chance) / 0.7}
    possible = sorted({a * b for a in ratios for b in ratios})
    assert all(min(abs(w - p) for p in possible) < 1e-9 for w in np.unique(weight))


def test_without_the_option_nothing_changes(quiet: Quiet, shoot: Shoot) -> None:
    result = run(shoot(100, 22, 1.5, 90.0), quiet())
    assert set(np.asarray(result.weight)) == {1.0}
