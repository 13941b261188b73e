from __future__ import annotations

import json

import numpy as np
import pytest

from darkfactory.config.load import validate
from darkfactory.config.selection import SurfaceConfig
from darkfactory.core.errors import ConfigError, InputError, RunError
from darkfactory.pipeline.network import multivariate_config
from darkfactory.select.folds import TrainingSample
from darkfactory.select.multivariate import check_multivariate, judge, multivariate_from_dict, train_multivariate

CONFIG = SurfaceConfig(
    observable="abs_cos_helicity", first="m2_pair", order=1, min_signal_events=20, background_error=0.0, tolerance=0.01
)
POINTS = [(m, n) for m in (4.0, 6.0, 8.0) for n in (0.5, 1.5)]
RNG = np.random.default_rng


def signal(seed: int, m: float, n: float, events: int = 4000) -> TrainingSample:
    """A flat helicity angle."""
    rng = RNG(seed)
    u, v = rng.normal(size=(2, events))
    columns = {
        "m2_pair": m * m + 0.2 * u, "m2_recoil": n * n - 0.24 * u + 0.18 * v,
        "abs_cos_helicity": rng.random(events), "fold": np.arange(events) % 4,
    }  # fmt: skip
    return TrainingSample(f"m{m:.5f}_n{n:.5f}".replace(".", "p"), columns, np.full(events, 1.0 / events))


def background(seed: int, events: int = 400_000) -> TrainingSample:
    """Ten times denser above 0.7: cutting there pays; flat below."""
    rng = RNG(seed)
    t = np.where(rng.random(events) < 0.3, rng.random(events), 0.7 + 0.3 * rng.random(events))
    columns = {
        "m2_pair": rng.uniform(10.0, 70.0, events), "m2_recoil": rng.uniform(-2.0, 5.0, events),
        "abs_cos_helicity": t, "fold": np.arange(events) % 4,
    }  # fmt: skip
    return TrainingSample("b", columns, np.full(events, 200_000.0 / events))


def test_the_threshold_is_where_the_background_rises() -> None:
    step = train_multivariate(
        [signal(i, *p) for i, p in enumerate(POINTS)], [background(99)], CONFIG, "dimuon_recoil", RNG(1)
    )
    assert step.check.passed
    plane = {"m2_pair": np.full(4, 25.0), "m2_recoil": np.full(4, 1.0)}
    keep, extra = judge(step, {**plane, "abs_cos_helicity": np.array([0.1, 0.6, 0.78, 0.99])})
    assert keep.tolist() == [True, True, False, False]
    assert set(extra) == {"mva"}
    again = multivariate_from_dict(json.loads(json.dumps(step.to_dict())))
    assert again.to_dict() == step.to_dict()


def test_the_threshold_follows_the_masses() -> None:
    """A background that rises above 0.5 at low masses and above 0.9 at high ones."""
    b = background(5)
    low = b.columns["m2_pair"] < 40.0
    t = np.where(b.columns["abs_cos_helicity"] > 0.7, (b.columns["abs_cos_helicity"] - 0.7) / 0.3, -1.0)
    edge = np.where(low, 0.5, 0.9)
    moved = np.where(t >= 0, edge + (1 - edge) * t, b.columns["abs_cos_helicity"] * edge / 0.7)
    changed = TrainingSample("b", {**b.columns, "abs_cos_helicity": moved}, b.weight)
    step = train_multivariate([signal(i, *p) for i, p in enumerate(POINTS)], [changed], CONFIG, "dimuon_recoil", RNG(1))
    at = {"m2_pair": np.array([16.0, 64.0]), "m2_recoil": np.ones(2), "abs_cos_helicity": np.full(2, 0.7)}
    assert judge(step, at)[0].tolist() == [False, True]


def test_points_without_events_are_left_out_and_told() -> None:
    some = [signal(i, *p) for i, p in enumerate(POINTS)] + [signal(9, 2.0, 0.5, events=40)]
    step = train_multivariate(some, [background(99)], CONFIG, "dimuon_recoil", RNG(1))
    assert step.to_dict()["notes"] == ["m2p00000_n0p50000: 10 training events, fewer than 20"]
    with pytest.raises(RunError, match="no simulated point has enough events for a threshold"):
        train_multivariate(some[-1:], [background(99)], CONFIG, "dimuon_recoil", RNG(1))
    with pytest.raises(InputError, match=r"inputs \['m2_recoil'\] of the threshold are missing"):
        step.apply({"abs_cos_helicity": np.ones(1), "m2_pair": np.ones(1)})


def test_its_section_is_checked() -> None:
    value = {"kind": "threshold_surface", "observable": "abs_cos_helicity", "first": "m2_pair"}
    config = multivariate_config(value)
    assert check_multivariate(config, "dimuon_recoil") == ("m2_recoil", "m2_pair", "abs_cos_helicity")
    with pytest.raises(ConfigError, match=r"network\.first: unknown observable 'mass'"):
        check_multivariate(multivariate_config({**value, "first": "mass"}), "dimuon_recoil")
    with pytest.raises(ConfigError, match="unknown key"):
        validate(SurfaceConfig, {**value, "hidden": [8]})
