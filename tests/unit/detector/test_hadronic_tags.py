"""Emulated hadronic tags: chances, what they take out of an event, how well they are measured."""

from __future__ import annotations

from pathlib import Path

import awkward as ak
import numpy as np
import pytest

from darkfactory.config.detector import DetectorConfig, SimulateOptions
from darkfactory.config.load import read_yaml, validate
from darkfactory.core.errors import ConfigError
from darkfactory.detector.simulate import simulate
from darkfactory.detector.tags import argus_quantile, best_half, emulate_tags
from darkfactory.events.schema import TAG, TAKEN
from darkfactory.physics.beams import BeamFrame, beam_frame
from darkfactory.physics.constants import M_BPLUS, M_KPLUS, M_PIPLUS

CONFIG = Path(__file__).parents[3] / "config"
BELLE = validate(DetectorConfig, read_yaml(CONFIG / "detectors" / "belle.yaml"))
TAGS = BELLE.tags["hadronic"]


@pytest.fixture(scope="module")
def frame() -> BeamFrame:
    b = BELLE.beams
    return beam_frame(b.e_her_gev.value, b.e_ler_gev.value, b.half_crossing_mrad.value * 1e-3)


def pairs(frame: BeamFrame, n: int, kaons: int = 1) -> ak.Array:
    """A B- that is the tag, with a pion from it, and a B+ with kaons, which fly along the axes."""
    k = np.sqrt(frame.sqrts**2 / 4 - M_BPLUS**2)
    rng = np.random.default_rng(5)
    direction = rng.normal(size=(n, 3))
    direction /= np.linalg.norm(direction, axis=1)[:, None]
    energy = np.full((n, 1), frame.sqrts / 2)
    p = [np.concatenate([energy, s * k * direction], axis=1) for s in (1.0, -1.0)]
    light = [(-211, 0, M_PIPLUS)] + [(321, 1, M_KPLUS)] * kaons
    for place, (_, _, m) in enumerate(light):
        three = np.zeros((n, 3))
        three[:, place % 3] = 1.0
        p.append(np.concatenate([np.sqrt(np.full((n, 1), 1 + m * m)), three], axis=1))
    lab = frame.to_lab(np.stack(p, axis=1))
    codes = [-521, 521, *(c for c, _, _ in light)]
    columns = {
        "pdg": np.tile(codes, (n, 1)),
        "status": np.tile([2, 2] + [1] * len(light), (n, 1)),
        "mother": np.tile([-1, -1, *(m for _, m, _ in light)], (n, 1)),
        **{c: lab[:, :, i] for i, c in enumerate(("e", "px", "py", "pz"))},
        **{c: np.zeros((n, len(codes))) for c in ("vx", "vy", "vz")},
    }
    particles = ak.zip({name: ak.from_regular(ak.Array(v)) for name, v in columns.items()})
    return ak.zip({"weight": np.ones(n), "event_id": np.arange(n), "particles": particles}, depth_limit=1)


def options(**more: object) -> SimulateOptions:
    return SimulateOptions(tag="hadronic", **more)  # type: ignore[arg-type]


def test_a_right_tag_is_the_first_b_smeared(frame: BeamFrame) -> None:
    n = 4000
    truth = pairs(frame, n)
    out = emulate_tags(truth, BELLE, options(), np.random.default_rng(1))
    assert set(TAG) <= set(out.fields)
    assert ak.all(out.tag_right)
    assert ak.all(out.tag_charge == -1)
    # the tag's pion is gone, the other B's kaon is not, and nothing is left of either B
    assert out.particles.status[0].to_list() == [2, 2, TAKEN, 1]
    p = np.stack([ak.to_numpy(out[f"tag_p{c}"]) for c in "xyz"], axis=1)
    np.testing.assert_allclose(np.linalg.norm(p, axis=1), np.sqrt(frame.sqrts**2 / 4 - M_BPLUS**2), rtol=1e-9)
    lab = np.stack([ak.to_numpy(truth.particles[c][:, 0]) for c in ("e", "px", "py", "pz")], axis=1)
    true = frame.to_cm(lab)[:, 1:]
    # only what is across the momentum is left of the resolution
    away = np.linalg.norm(p - true, axis=1)
    assert np.sqrt((away**2).mean() / 2) == pytest.approx(TAGS.momentum_gev.value, rel=0.04)
    # one charged particle beside the tag
    wanted = TAGS.efficiency_charged.value * TAGS.few_tracks_factor.value
    np.testing.assert_allclose(out.weight, wanted, rtol=1e-12)
    assert ak.mean(out.tag_extra == 0) == pytest.approx(TAGS.extra.none.value, abs=0.03)


def test_many_tracks_have_no_bonus_and_can_be_left_out(frame: BeamFrame) -> None:
    truth = pairs(frame, 50, kaons=4)
    out = emulate_tags(truth, BELLE, options(), np.random.default_rng(1))
    np.testing.assert_allclose(out.weight, TAGS.efficiency_charged.value, rtol=1e-12)
    assert len(emulate_tags(truth, BELLE, options(charged=(0, 3)), np.random.default_rng(1))) == 0
    assert len(emulate_tags(truth, BELLE, options(charged=(4, 4)), np.random.default_rng(1))) == 50


@pytest.mark.parametrize("share", [0.3, 0.7])
def test_purity_is_that_of_tags_above_the_mass_whatever_share_is_made(frame: BeamFrame, share: float) -> None:
    out = emulate_tags(pairs(frame, 20_000, kaons=4), BELLE, options(wrong_tags=share), np.random.default_rng(2))
    above = ak.to_numpy(out.tag_m_bc) > TAGS.purity_above_gev.value
    weight, right = ak.to_numpy(out.weight), ak.to_numpy(out.tag_right)
    assert weight[right & above].sum() / weight[above].sum() == pytest.approx(TAGS.purity.value, abs=0.015)
    assert weight[right].sum() / len(out) == pytest.approx(TAGS.efficiency_charged.value, rel=0.03)
    # a wrong tag takes a share of the kaons along
    taken = ak.to_numpy(ak.sum(out.particles.status == TAKEN, axis=1)) - 1
    assert taken[~right].mean() / 4 == pytest.approx(TAGS.wrong.taken.value, abs=0.01)
    assert taken[right].max() == 0


def test_argus_has_its_density() -> None:
    end, shape = 5.29, -30.0
    m = argus_quantile(np.random.default_rng(3).random(200_000), shape, 5.24, end)
    counts, edges = np.histogram(m, bins=10, range=(5.24, end))
    x = np.linspace(5.24, end, 100_001)
    z = 1 - (x / end) ** 2
    density = x * np.sqrt(np.maximum(z, 0)) * np.exp(shape * z)
    wanted = np.add.reduceat(density[:-1], np.arange(0, 100_000, 10_000))
    wanted *= len(m) / wanted.sum()
    assert np.sum((counts - wanted) ** 2 / wanted) < 30
    assert edges[0] == 5.24


def test_a_half_of_a_continuum_event_balances_energy_and_charge(frame: BeamFrame) -> None:
    rng = np.random.default_rng(4)
    n, per = 300, 12
    three = rng.normal(size=(n, per, 3))
    three -= three.mean(axis=1, keepdims=True)
    energy = np.linalg.norm(three, axis=2)
    scale = frame.sqrts / energy.sum(axis=1)
    p = np.concatenate([energy[..., None], three], axis=2) * scale[:, None, None]
    event, charge = np.repeat(np.arange(n), per), np.tile([1, -1], n * per // 2)
    half = best_half(event, p.reshape(-1, 4), charge, n, frame.sqrts / 2, TAGS.wrong, rng)
    taken = np.bincount(event[half], weights=p.reshape(-1, 4)[half, 0], minlength=n)
    one = TAGS.wrong.model_copy(update={"halves": 1})
    random = best_half(event, p.reshape(-1, 4), charge, n, frame.sqrts / 2, one, rng)
    first = np.bincount(event[random], weights=p.reshape(-1, 4)[random, 0], minlength=n)
    middle = frame.sqrts / 2
    assert np.abs(taken - middle).mean() < 0.6 * np.abs(first - middle).mean()
    assert np.abs(np.bincount(event[half], weights=charge[half], minlength=n)).max() <= 1


def test_the_detector_sees_only_the_signal_side(frame: BeamFrame) -> None:
    seen = simulate(pairs(frame, 300), BELLE, options(), np.random.default_rng(1))
    codes = set(np.abs(ak.to_numpy(ak.flatten(seen.tracks.truth_pdg))).tolist())
    assert 321 in codes
    assert 211 not in codes
    assert seen.tag_m_bc.ndim == 1


def test_a_tag_that_the_detector_does_not_have_is_an_error(frame: BeamFrame) -> None:
    with pytest.raises(ConfigError, match=r"has no tag 'semileptonic'; it has \['full_reconstruction', 'hadronic'\]"):
        emulate_tags(pairs(frame, 1), BELLE, SimulateOptions(tag="semileptonic"), np.random.default_rng(1))


@pytest.mark.parametrize(("key", "value", "message"), [("purity", 0.0, "purity: 0 must be above 0")])
def test_impossible_tags_are_errors(key: str, value: float, message: str) -> None:
    text = read_yaml(CONFIG / "detectors" / "belle.yaml")
    text["tags"]["hadronic"][key] = {"value": value, "source": "assumed"}
    with pytest.raises(ConfigError, match=message):
        validate(DetectorConfig, text)
