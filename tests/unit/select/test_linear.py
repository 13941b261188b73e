from __future__ import annotations

import json

import numpy as np
import pytest

from darkfactory.config.selection import LinearConfig
from darkfactory.core.digest import canonical_json
from darkfactory.core.errors import ConfigError, InputError
from darkfactory.select.folds import TrainingSample
from darkfactory.select.linear import LinearCuts, linear_response, optimise_cuts
from darkfactory.select.multivariate import check_multivariate, multivariate_from_dict

CONFIG = LinearConfig(threshold="x_pt_pair", plane=("x_pt_lmax", "x_pt_lmin"), min_signal_events=50)
NAMES = ("x_pt_pair", "x_pt_lmax", "x_pt_lmin")


def sample(name, rng, m2, values, total):
    columns = {"m2_recoil": m2, "fold": np.arange(len(m2)) % 4, **dict(zip(NAMES, values, strict=True))}
    return TrainingSample(name, columns, np.full(len(m2), total / len(m2)))


@pytest.fixture(scope="module")
def toy():
    """Signal everywhere; at low mass background below a threshold, at high mass below the plane x + y = 0.8."""
    rng = np.random.default_rng(6)
    signal = [
        sample(f"m{m}", rng, rng.normal(m * m, 0.3, 4000), rng.uniform(0, 1, (3, 4000)), 10.0) for m in (1, 2, 7, 8)
    ]
    n = 40000
    low = rng.uniform(0, 1, (3, n))
    low[0] *= 0.4
    high = rng.uniform(0, 1, (3, n))
    high[1:] *= 0.8 / np.maximum(high[1] + high[2], 0.8)
    background = [
        sample("low", rng, rng.uniform(-1, 6, n), low, 5000.0),
        sample("high", rng, rng.uniform(45, 68, n), high, 5000.0),
    ]
    return signal, background


@pytest.fixture(scope="module")
def cuts(toy):
    return optimise_cuts(*toy, CONFIG, "dimuon_recoil")


def test_finds_threshold_and_plane(cuts):
    assert cuts.thresholds[0] == pytest.approx(0.4, abs=0.05)
    assert cuts.offsets[0] < 0.1
    # the plane's normal is the diagonal: x cos + y sin >= 0.8 / sqrt 2
    assert cuts.thresholds[-1] < 0.1
    assert cuts.cos_phi[-1] == pytest.approx(np.sqrt(0.5), abs=0.01)
    assert cuts.offsets[-1] == pytest.approx(0.8 / np.sqrt(2), abs=0.06)
    assert all(h.test < 0.2 * h.no_cut for h in cuts.hypotheses)
    assert cuts.check.passed


def test_parameters_are_interpolated(cuts):
    at = np.array([cuts.nodes[0] - 5, cuts.nodes[0], 0.5 * (cuts.nodes[0] + cuts.nodes[1])])
    middle = 0.5 * (cuts.thresholds[0] + cuts.thresholds[1])
    columns = {"m2_recoil": at, "x_pt_lmax": np.full(3, 0.9), "x_pt_lmin": np.full(3, 0.9)}
    edges = np.array([cuts.thresholds[0], cuts.thresholds[0], middle])
    assert linear_response(cuts, {**columns, "x_pt_pair": edges + 1e-6}).tolist() == [1, 1, 1]
    assert linear_response(cuts, {**columns, "x_pt_pair": edges - 1e-6}).tolist() == [0, 0, 0]


def test_rows_do_not_depend_on_the_chunk(cuts, toy):
    columns = toy[1][0].columns
    whole = cuts.apply(columns)
    ones = [cuts.apply({k: v[i : i + 1] for k, v in columns.items()}) for i in range(300)]
    assert np.concatenate(ones).tobytes() == whole[:300].tobytes()


def test_round_trip_and_determinism(cuts, toy):
    text = canonical_json(cuts.to_dict())
    assert LinearCuts.from_dict(json.loads(text)) == cuts
    assert multivariate_from_dict(json.loads(text)) == cuts
    assert optimise_cuts(*toy, CONFIG, "dimuon_recoil") == cuts


def test_errors(cuts):
    with pytest.raises(InputError, match="not 'linear_cuts'"):
        LinearCuts.from_dict({"kind": "punzi_net"})
    with pytest.raises(InputError, match=r"inputs \['x_pt_pair'"):
        linear_response(cuts, {"m2_recoil": np.zeros(1)})
    with pytest.raises(ConfigError, match=r"network.plane\[1\]: unknown observable 'y'"):
        check_multivariate(CONFIG.model_copy(update={"plane": ("x_pt_lmax", "y")}), "dimuon_recoil")
    with pytest.raises(ConfigError, match=r"network\.threshold: unknown observable 't'"):
        check_multivariate(CONFIG.model_copy(update={"threshold": "t"}), "dimuon_recoil")
