from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.stats import norm

from darkfactory.config.selection import RegionalConfig
from darkfactory.core.digest import canonical_json
from darkfactory.core.errors import ConfigError, InputError, RunError
from darkfactory.select.folds import TrainingSample
from darkfactory.select.multivariate import check_multivariate, judge, multivariate_from_dict, train_multivariate
from darkfactory.select.punzi import sigma_min
from darkfactory.select.regional import RegionalNetworks, part_edges, train_regional

MASSES = (1.0, 1.5, 2.5, 3.5)
WIDTH = 0.02


def config(**more):
    values = {
        "kind": "regional_networks", "window_observable": "m_recoil",
        "inputs": [{"observable": "a", "range": [-3, 3]}, {"observable": "b", "range": [-3, 3]}],
        "ranges": {"edges": [0.5, 2.0, 4.0], "source": "assumed"}, "steps": 400, "batch": 512, **more,
    }  # fmt: skip
    return RegionalConfig.model_validate(values)


def sample(name, rng, m, a, b, total, mass=None):
    n = len(m)
    columns = {"m_recoil": m, "a": a, "b": b, "fold": (np.arange(n) % 4).astype(np.int8)}
    return TrainingSample(name, columns, np.full(n, total / n), mass)


def toy(n_signal=2000, n_background=60000, shift=2.4, seed=5):
    """Below 2 GeV signal lies at high a, above at high b; three wrong candidates for each right one."""
    rng = np.random.default_rng(seed)
    signal = []
    for mass in MASSES:
        wrong = rng.uniform(0.3, 4.5, 3 * n_signal)
        m = np.concatenate([rng.normal(mass, WIDTH, n_signal), wrong])
        low, high = (rng.normal(shift * first, 1, n_signal) for first in (mass < 2, mass >= 2))
        a, b = (np.concatenate([x, rng.normal(0, 1, 3 * n_signal)]) for x in (low, high))
        signal.append(sample(f"m{mass}", rng, m, a, b, 40.0, mass))
    n = n_background
    flat = sample("flat", rng, rng.uniform(0.3, 4.5, n), rng.normal(0, 1, n), rng.normal(0, 1, n), 20000.0)
    return signal, [flat]


@pytest.fixture(scope="module")
def trained():
    signal, background = toy()
    return train_regional(signal, background, config(), np.random.default_rng(3)), signal, background


def test_each_range_learns_its_own_separation(trained):
    networks, *_ = trained
    low, high = networks.networks
    assert low.inputs[0].importance > 1.3 > 1.2 > low.inputs[1].importance
    assert high.inputs[1].importance > 1.3 > 1.2 > high.inputs[0].importance
    assert networks.check.passed
    assert all(h.test < 0.6 * h.no_cut for n in networks.networks for h in n.hypotheses)


def test_merit_is_that_of_a_window_counted_in_closed_form(trained):
    networks, *_ = trained
    merit = networks.networks[0].hypotheses[0]
    # one right candidate per event, 95.45 % of it in +- 2 widths, with wrong ones flat over 4.2 GeV; the same for the
    # background; both at 10 and 20000 expected events of a sample
    window = 4 * WIDTH
    s = 10 * 0.9545 + 30 * window / 4.2
    b = 20000 * window / 4.2
    expected = float(sigma_min(np.array([s]), np.array([b]), 3.0, 1.28155)[0])
    assert merit.no_cut == pytest.approx(expected, rel=0.05)
    assert (merit.low, merit.high) == (0.5, pytest.approx(1.25, abs=0.01))


def test_cut_is_near_the_optimum_of_the_likelihood_ratio(trained):
    # for two unit normals shifted by d the likelihood ratio is monotone in a: the best cut on a itself is the bound
    networks, signal, background = trained
    rows = {k: v[background[0].columns["fold"] >= 2] for k, v in background[0].columns.items()}
    inside = (rows["m_recoil"] > 0.5) & (rows["m_recoil"] < 2)
    kept_b = float(np.mean(networks.responses(rows)["mva_r0"][inside] >= 0.5))
    one = signal[0].columns
    peak = (np.abs(one["m_recoil"] - 1.0) < 2 * WIDTH) & (one["fold"] >= 2)
    kept_s = float(np.mean(networks.responses({k: v[peak] for k, v in one.items()})["mva_r0"] >= 0.5))
    cuts = np.linspace(-1, 4, 101)
    s, b = 10 * norm.sf(cuts - 2.4), 20000 * 4 * WIDTH / 4.2 * norm.sf(cuts)
    best = float(np.min(sigma_min(s, b, 3.0, 1.28155)))
    reached = float(sigma_min(np.array([10 * kept_s]), np.array([20000 * 4 * WIDTH / 4.2 * kept_b]), 3.0, 1.28155)[0])
    assert best * 0.9 < reached < best * 1.15


def test_exact_round_trip_and_determinism(trained):
    networks, signal, background = trained
    text = canonical_json(networks.to_dict())
    back = multivariate_from_dict(json.loads(text))
    assert back == networks
    again = train_multivariate(signal, background, config(), "dimuon_recoil", np.random.default_rng(3))
    assert again == networks
    with pytest.raises(InputError, match="not 'regional_networks'"):
        RegionalNetworks.from_dict({"kind": "x"})


def test_only_the_training_fold_shapes_the_networks(trained):
    networks, signal, background = trained
    rng = np.random.default_rng(8)

    def disturbed(s):
        late = s.columns["fold"] >= 2
        return dataclasses.replace(s, columns={k: np.where(late & (k in "ab"), rng.normal(size=len(v)), v)
                                               for k, v in s.columns.items()})  # fmt: skip

    other = train_regional(
        [disturbed(s) for s in signal], [disturbed(s) for s in background], config(), np.random.default_rng(3)
    )
    assert other == networks


def test_rows_are_judged_by_their_own_range_and_its_neighbours(trained):
    networks, *_ = trained
    columns = {
        "m_recoil": np.array([0.1, 1.0, 1.0, 3.0, 3.0, 9.0]),
        "a": np.array([2.5, 2.5, -2.5, 2.5, 0.0, 0.0]),
        "b": np.array([0.0, 0.0, 0.0, 0.0, 2.5, 2.5]),
    }
    keep, extra = judge(networks, columns)
    assert set(extra) == {"mva", "mva_r0", "mva_r1"}
    # two ranges are neighbours: either may keep
    assert keep.tolist() == [True, True, False, True, True, True]
    assert (extra["mva"] >= 0.5).tolist() == [True, True, False, False, True, True]
    three = dataclasses.replace(
        networks, edges=(0.5, 2.0, 2.5, 4.0), networks=(*networks.networks, networks.networks[1])
    )
    keep, _ = judge(three, columns)
    # 3 GeV is in the third range now: the first has no say
    assert keep.tolist() == [True, True, False, False, True, True]


def test_bits_of_a_row_do_not_depend_on_its_neighbours(trained):
    networks, _, background = trained
    columns = background[0].columns
    whole = networks.apply(columns)
    parts = [networks.apply({k: v[i : i + 7] for k, v in columns.items()}) for i in range(0, 700, 7)]
    assert np.concatenate(parts).tobytes() == whole[:700].tobytes()


def test_parts_hold_neighbouring_masses():
    edges, part = part_edges([3.0, 1.0, 1.0, 2.0], 0.5, 4.0, 10)
    assert edges.tolist() == [0.5, 1.5, 2.5, 4.0]
    assert part.tolist() == [2, 0, 0, 1]
    # nothing inside: one part
    edges, part = part_edges([7.0], 0.5, 4.0, 10)
    assert edges.tolist() == [0.5, 4.0]
    assert part.tolist() == [0]


def test_a_range_without_masses_takes_the_nearest(trained):
    _, signal, background = trained
    networks = train_regional(signal[:2], background, config(), np.random.default_rng(3))
    assert "trained on the nearest, 1.5 GeV" in networks.networks[1].notes[-1]
    # the window of 1.5 GeV is used with the background of the range
    assert networks.networks[1].hypotheses[0].low == 2.0


def test_errors_name_what_is_wrong(trained):
    _, signal, background = trained
    rng = np.random.default_rng(1)
    with pytest.raises(InputError, match="has no mass"):
        train_regional([dataclasses.replace(signal[0], mass=None)], background, config(), rng)
    with pytest.raises(RunError, match=r"within 0.3 GeV of its mass; generate more signal events"):
        train_regional(signal, background, config(min_signal_events=10**6), rng)
    bad = dataclasses.replace(background[0], columns=background[0].columns | {"a": np.full(60000, np.nan)})
    with pytest.raises(RunError, match="'a' is not finite"):
        train_regional(signal, [bad], config(), rng)
    columns = {k: v for k, v in signal[0].columns.items() if k != "b"}
    with pytest.raises(InputError, match=r"lacks \['b'\]"):
        train_regional([dataclasses.replace(signal[0], columns=columns)], background, config(), rng)
    with pytest.raises(InputError, match="rerun select"):
        trained[0].responses({"m_recoil": np.ones(1)})
    with pytest.raises(ConfigError, match="unknown observable 'a'"):
        check_multivariate(config(), "dimuon_recoil")


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"ranges": {"edges": [1.0, 1.0]}}, "must ascend"),
        ({"inputs": [{"observable": "a"}, {"observable": "a"}]}, "twice"),
        ({"hidden": [0]}, "at least one node"),
    ],
)
def test_configuration_is_checked(more, text):
    with pytest.raises(ValidationError, match=text):
        config(**more)
