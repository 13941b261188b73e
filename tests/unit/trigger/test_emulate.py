"""Bits to weights: prescales, ORs, dead time; determinism; a skim before or after the trigger."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
from trigger_events import FRAME, cluster, events, menu, shipped, track

from darkfactory.core.errors import ConfigError
from darkfactory.trigger.emulate import emulate, fired, line_weight, passes, trigger_variation, trigger_weight
from darkfactory.trigger.noise import Noise

T = {"value": 1.0, "source": "assumed"}
LINES = {
    "a": {"expr": "ncl >= 1", "eff": T | {"value": 0.8}},
    "b": {"expr": "ncl >= 2", "prescale": T | {"value": 4}},
    "c": {"expr": "ncl >= 1", "eff": T | {"value": 0.5}, "injection_veto": False},
}
TOY = {"l1": {"lines": LINES, "only": ["a", "b", "c"]}}


def busy(n: int, seed: int = 3) -> ak.Array:
    rng = np.random.default_rng(seed)
    content = [
        {
            "tracks": [
                track(
                    rng.uniform(0.2, 3), rng.uniform(15, 150), rng.uniform(0, 360), int(rng.choice([-1, 1])), klm=True
                )
                for _ in range(rng.poisson(2))
            ],
            "clusters": [
                cluster(rng.uniform(0.05, 3), rng.uniform(12, 155), rng.uniform(0, 360)) for _ in range(rng.poisson(3))
            ],
            "klm": [{"theta": 1.0, "phi": rng.uniform(-3, 3), "truth": -1} for _ in range(rng.poisson(0.5))],
        }
        for _ in range(n)
    ]
    return events(*content)


def test_weights_of_single_lines_and_of_their_or() -> None:
    m = menu(**TOY)
    near, far = cluster(1, 60, 0), cluster(1, 90, 100)
    out = emulate(events({}, {"clusters": [near]}, {"clusters": [near, far]}), m, FRAME, np.random.default_rng(0))
    bits = ak.to_numpy(out["l1"])
    assert m.l1_names == ("a", "b", "c")
    assert bits.tolist() == [0, 0b101, 0b111]
    np.testing.assert_allclose(line_weight(bits, m, "l1", ["a"]), [0, 0.8, 0.8])
    np.testing.assert_allclose(line_weight(bits, m, "l1", ["b"]), [0, 0, 0.25])
    np.testing.assert_allclose(line_weight(bits, m, "l1", ["a", "b"]), [0, 0.8, 1 - 0.2 * 0.75])
    np.testing.assert_allclose(line_weight(bits, m, "l1"), [0, 0.9, 1 - 0.2 * 0.75 * 0.5])
    np.testing.assert_allclose(line_weight(bits, m, "l1", []), [1, 1, 1])
    assert passes(bits, m, "l1", ["b"]).tolist() == [False, False, True]
    assert passes(bits, m, "l1").tolist() == [False, True, True]
    assert passes(bits, m, "l1", []).tolist() == [True, True, True]
    assert fired(bits, m, "l1", "b").tolist() == [False, False, True]
    with pytest.raises(ConfigError, match=r"line 'd' does not exist"):
        line_weight(bits, m, "l1", ["d"])


def test_injection_veto_is_a_weight_only_outside_the_luminosity() -> None:
    inside, outside = menu(**TOY), menu(**TOY, injection_veto={"in_luminosity": False})
    bits = np.array([0b101, 0b001, 0], dtype=np.uint64)
    np.testing.assert_allclose(line_weight(bits, inside, "l1", ["a"]), [0.8, 0.8, 0])
    np.testing.assert_allclose(line_weight(bits, outside, "l1", ["a"]), [0.76, 0.76, 0])
    # line c sees freshly injected bunches, too
    np.testing.assert_allclose(line_weight(bits, outside, "l1", ["a", "c"]), [0.95 * 0.9 + 0.05 * 0.5, 0.76, 0])
    np.testing.assert_allclose(line_weight(bits, inside, "l1", ["a"], live=True), [0.76, 0.76, 0])
    np.testing.assert_allclose(line_weight(bits, outside, "hlt", ["tracks_ge3"]), [1, 1, 0])


def test_both_levels_multiply() -> None:
    m = menu(**TOY, hlt={"lines": {"half": {"expr": "true", "eff": T | {"value": 0.5}}}})
    out = emulate(events({"clusters": [cluster(1, 60, 0)]}), m, FRAME, np.random.default_rng(0))
    np.testing.assert_allclose(trigger_weight(out, m, ["a"], ["half"]), [0.4])
    np.testing.assert_allclose(trigger_weight(out, m, ["a"], []), [0.8])


def test_variation_moves_line_efficiencies_to_the_ends_of_their_ranges() -> None:
    m = menu(
        l1={
            "lines": {
                "a": LINES["a"] | {"eff": T | {"value": 0.8, "range": [0.6, 0.95]}},
                "b": LINES["b"],
                "c": LINES["c"] | {"eff": T | {"value": 0.5, "uncertainty": 0.1}},
            },
            "only": ["a", "b", "c"],
        }
    )
    sample = ak.zip({"l1": np.array([0b001, 0b100, 0b101, 0b010, 0], dtype=np.uint64), "hlt": np.zeros(5, np.uint64)})
    up, down = trigger_variation(sample, m, None, [])
    np.testing.assert_allclose(up, [0.95 / 0.8, 0.6 / 0.5, (1 - 0.05 * 0.4) / 0.9, 1, 1])
    np.testing.assert_allclose(down, [0.6 / 0.8, 0.4 / 0.5, (1 - 0.4 * 0.6) / 0.9, 1, 1])


def test_prescale_weights_average_to_what_random_prescales_keep() -> None:
    m = menu(**TOY)
    bits = np.full(200_000, 0b111, dtype=np.uint64)
    rng = np.random.default_rng(4)
    kept = (rng.random(len(bits)) < 0.8) | (rng.random(len(bits)) < 0.25)
    weight = line_weight(bits, m, "l1", ["a", "b"])
    assert weight.mean() == pytest.approx(kept.mean(), abs=4 * kept.std() / np.sqrt(len(bits)))


def test_same_generator_same_bits_and_other_generator_other_bits() -> None:
    m, sample = shipped("belle2_run2"), busy(400)
    first = emulate(sample, m, FRAME, np.random.default_rng(11))
    again = emulate(sample, m, FRAME, np.random.default_rng(11))
    other = emulate(sample, m, FRAME, np.random.default_rng(12))
    assert ak.to_list(first["l1"]) == ak.to_list(again["l1"])
    assert ak.to_list(first["hlt"]) == ak.to_list(again["hlt"])
    assert ak.to_list(first["l1"]) != ak.to_list(other["l1"])
    assert ak.to_list(first["hlt"]) == ak.to_list(other["hlt"])
    assert first.fields == [*sample.fields, "l1", "hlt"]


def test_a_skim_before_the_trigger_changes_no_decision() -> None:
    m, sample = shipped("belle2_run2"), busy(600)
    keep = np.asarray(ak.num(sample["tracks"], axis=1) >= 2)
    assert 0.2 < keep.mean() < 0.8
    after = emulate(sample, m, FRAME, np.random.default_rng(5))[keep]
    before = emulate(sample[keep], m, FRAME, np.random.default_rng(5))
    for level in ("l1", "hlt"):
        assert ak.to_list(after[level]) == ak.to_list(before[level])
    order = np.random.default_rng(0).permutation(len(sample))
    shuffled = emulate(sample[order], m, FRAME, np.random.default_rng(5))
    assert ak.to_list(shuffled["l1"]) == ak.to_list(emulate(sample, m, FRAME, np.random.default_rng(5))["l1"][order])


def test_track_efficiency_is_that_of_the_menu() -> None:
    number = {"value": 0.7, "source": "assumed"}
    m = menu(
        l1_objects={"tracks": {"efficiency": number, "short_efficiency": {"value": 0.0, "source": "assumed"}}},
        l1={"lines": {"one": {"expr": "n2d == 1"}}},
    )
    single = events(*[{"tracks": [track(1, 60, 0, 1)]}] * 4000)
    share = fired(emulate(single, m, FRAME, np.random.default_rng(1))["l1"], m, "l1", "one").mean()
    assert share == pytest.approx(0.7, abs=0.03)


def test_noise_is_uniform_normal_and_uncorrelated() -> None:
    noise = Noise(np.random.default_rng(2))
    ids, item = np.arange(40_000), np.zeros(40_000, dtype=int)
    u, v, w = noise.uniform(ids, item, 1), noise.uniform(ids, item + 1, 1), noise.uniform(ids, item, 2)
    counts = np.histogram(u, bins=20, range=(0, 1))[0]
    assert ((counts - 2000) ** 2 / 2000).sum() < 45  # chi2 of 19 degrees, probability 1e-3
    assert np.abs(np.corrcoef([u, v, w, np.roll(u, 1)]) - np.eye(4)).max() < 0.02
    z = noise.normal(ids, item, 3)
    assert z.mean() == pytest.approx(0, abs=0.02)
    assert z.std() == pytest.approx(1, abs=0.02)
