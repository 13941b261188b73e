from __future__ import annotations

import json

import numpy as np
import pytest
from pydantic import ValidationError

from darkfactory.config.selection import NetworkConfig
from darkfactory.core.digest import canonical_json
from darkfactory.core.errors import ConfigError, InputError, RunError
from darkfactory.select.backprop import backward, forward, initialise
from darkfactory.select.checks import weighted_ks
from darkfactory.select.folds import TrainingSample, find_windows, fold_data
from darkfactory.select.multivariate import check_multivariate, multivariate_from_dict, train_multivariate
from darkfactory.select.network import TrainedNetwork, network_response
from darkfactory.select.training import train_network

MASSES = (1.0, 2.0, 3.0, 4.0)


def config(**more):
    values = {
        "inputs": [{"observable": "a", "range": [-3, 3]}, {"observable": "b", "range": [-3, 3]}],
        "pretrain_epochs": 8, "pretrain_batch": 512, "punzi_steps": 60, "punzi_rate": 0.03, **more,
    }  # fmt: skip
    return NetworkConfig.model_validate(values)


def sample(name, rng, m2, a, b, total):
    n = len(m2)
    columns = {"m2_recoil": m2, "a": a, "b": b, "noise": rng.normal(size=n), "fold": (np.arange(n) % 4).astype(np.int8)}
    return TrainingSample(name, columns, np.full(n, total / n))


def toy(separation=2.0, n_signal=2000, n_background=20000, seed=11):
    """Signal displaced from background along a; b and noise say nothing."""
    rng = np.random.default_rng(seed)
    signal = [
        sample(f"m{m}", rng, rng.normal(m * m, 0.3, n_signal), rng.normal(separation / 2, 1, n_signal),
               rng.normal(0, 1, n_signal), 10.0)
        for m in MASSES
    ]  # fmt: skip
    n = n_background
    background = [
        sample("flat", rng, rng.uniform(-2, 20, n), rng.normal(-separation / 2, 1, n), rng.normal(0, 1, n), 5000.0)
    ]
    return signal, background


def area_under_curve(signal, background):
    values = np.concatenate([signal, background])
    rank = np.argsort(np.argsort(values, kind="stable"), kind="stable") + 1.0
    n, m = len(signal), len(background)
    return (rank[:n].sum() - n * (n + 1) / 2) / (n * m)


@pytest.fixture(scope="module")
def trained():
    signal, background = toy(separation=2.8)
    return train_network(signal, background, config(), np.random.default_rng(3)), signal, background


def test_learns_a_separable_toy(trained):
    network, signal, background = trained
    responses = [network_response(network, {k: v[x.columns["fold"] >= 2] for k, v in x.columns.items()})
                 for x in (*signal, *background)]  # fmt: skip
    assert area_under_curve(np.concatenate(responses[:-1]), responses[-1]) > 0.95
    assert network.check.passed
    # better than no cut at every mass, in events that it has not seen
    assert all(h.test < 0.5 * h.no_cut for h in network.hypotheses)
    # the input that separates is the one that counts
    assert network.inputs[0].importance > 1.5
    assert network.inputs[1].importance < 1.1


def test_punzi_steps_improve_on_cross_entropy(trained):
    network, *_ = trained
    punzi = [h for h in network.history if h[0] == "punzi"]
    assert punzi[-1][2] < punzi[0][2]
    assert punzi[-1][3] < punzi[0][3]


def test_hypotheses_have_their_windows(trained):
    network, *_ = trained
    for h, m in zip(network.hypotheses, MASSES, strict=True):
        assert (h.low + h.high) / 2 == pytest.approx(m * m, abs=0.05)
        assert h.high - h.low == pytest.approx(4 * 0.3, rel=0.1)


def test_exact_round_trip(trained):
    network, signal, _ = trained
    text = canonical_json(network.to_dict())  # neither NaN nor infinity
    back = TrainedNetwork.from_dict(json.loads(text))
    assert back == network
    assert back.apply(signal[0].columns).tobytes() == network.apply(signal[0].columns).tobytes()
    assert multivariate_from_dict(json.loads(text)) == network


def test_response_of_a_row_has_the_same_bits_in_any_chunk(trained):
    network, _, background = trained
    columns = background[0].columns
    whole = network_response(network, columns)
    for size in (1, 3, 64, 1000):
        starts = range(0, 1000, size)
        parts = [network_response(network, {k: v[i : i + size] for k, v in columns.items()}) for i in starts]
        assert np.concatenate(parts)[:1000].tobytes() == whole[:1000].tobytes(), size
    strided = network_response(network, {k: v[::-3] for k, v in columns.items()})
    assert strided.tobytes() == np.ascontiguousarray(whole[::-3]).tobytes()


def test_same_seed_same_network(trained):
    network, signal, background = trained
    again = train_multivariate(signal, background, config(), "dimuon_recoil", np.random.default_rng(3))
    assert again == network
    assert train_network(signal, background, config(), np.random.default_rng(4)) != network


def test_other_folds_do_not_matter(trained):
    network, signal, background = trained
    rng = np.random.default_rng(0)
    scrambled = []
    for x in (*signal, *background):
        late = x.columns["fold"] >= 2
        columns = {k: np.where(late, rng.permutation(v), v) for k, v in x.columns.items() if k != "fold"}
        scrambled.append(TrainingSample(x.name, {**columns, "fold": x.columns["fold"]}, x.weight))
    assert train_network(scrambled[:-1], scrambled[-1:], config(), np.random.default_rng(3)) == network


def test_test_fold_does_not_train(trained):
    network, signal, background = trained
    moved = [TrainingSample(x.name, {**x.columns, "a": np.where(x.columns["fold"] == 1, -x.columns["a"],
                                                                x.columns["a"])}, x.weight)
             for x in (*signal, *background)]  # fmt: skip
    other = train_network(moved[:-1], moved[-1:], config(), np.random.default_rng(3))
    assert other.layers == network.layers
    assert not other.check.passed


def test_check_triggers_on_memorising():
    # nothing to learn, few events, many weights: what is learned is the training fold
    signal, background = toy(separation=0.0, n_signal=160, n_background=600)
    inputs = [{"observable": n, "range": [-3, 3]} for n in ("a", "b", "noise")]
    greedy = config(hidden=[32, 16], pretrain_epochs=600, pretrain_rate=0.03, pretrain_batch=64, inputs=inputs,
                    min_signal_events=10, punzi_steps=100)  # fmt: skip
    network = train_network(signal, background, greedy, np.random.default_rng(1))
    assert not network.check.passed
    assert network.check.fom_test > 1.25 * network.check.fom_train


def test_weights_are_scaled_for_folds_and_thinning():
    signal, background = toy()
    c = config(max_events=2000)
    kept, windows, _ = find_windows(signal, c)
    inputs = [(i.observable, *i.range) for i in c.inputs]
    data = fold_data(kept, background, windows, c, inputs, 0)
    assert data.n_signal <= 1000
    assert data.x.shape[1] <= 2001
    full = fold_data(kept, background, windows, config(), inputs, 0)
    assert full.x.shape[1] > 2 * data.x.shape[1]
    # 95 % of ten events per fb inside two sigma, for each mass
    for d in (data, full):
        per_point = np.bincount(d.windows.signal_point, weights=d.windows.signal_weight)
        assert per_point == pytest.approx(np.full(4, 9.5), abs=0.5)
        assert d.windows.background_weight.sum() == pytest.approx(5000 * 4 * 1.2 / 22, rel=0.15)


def test_cut_can_be_optimised(trained):
    _, signal, background = trained
    network = train_network(signal, background, config(cut="optimise"), np.random.default_rng(3))
    fixed = train_network(signal, background, config(cut=0.9), np.random.default_rng(3))
    assert network.layers == fixed.layers
    assert network.check.fom_train < fixed.check.fom_train


@pytest.mark.parametrize("which", range(6))
def test_backward_is_the_gradient(which):
    rng = np.random.default_rng(2)
    parameters = initialise((3, 5, 4, 1), rng)
    x, c = rng.normal(size=(3, 50)), rng.normal(size=50)

    def value():
        return float(np.sum(c * forward(parameters, x)[-1][0] ** 2))

    activations = forward(parameters, x)
    gradient = backward(parameters, activations, 2 * c * activations[-1][0])[which]
    flat = parameters[which].reshape(-1)
    for i in range(0, len(flat), max(len(flat) // 4, 1)):
        start, h = flat[i], 1e-6
        flat[i] = start + h
        up = value()
        flat[i] = start - h
        down = value()
        flat[i] = start
        assert gradient.reshape(-1)[i] == pytest.approx((up - down) / (2 * h), rel=1e-6, abs=1e-8)


def test_weighted_ks_is_the_plain_one_for_equal_weights():
    from scipy.stats import ks_2samp

    rng = np.random.default_rng(4)
    x, y = rng.normal(0, 1, 400), rng.normal(0.1, 1, 300).round(1)
    d, p = weighted_ks(x, np.full(400, 2.5), y, np.full(300, 0.1))
    reference = ks_2samp(x, y, method="asymp")
    assert d == pytest.approx(reference.statistic)
    assert p == pytest.approx(reference.pvalue, rel=0.2)


def test_errors():
    signal, background = toy(n_signal=100, n_background=1000)
    with pytest.raises(RunError, match="no signal point has 100 events in the training fold; generate more"):
        train_network(signal, background, config(), np.random.default_rng(1))
    missing = config(inputs=[{"observable": "x"}])
    with pytest.raises(InputError, match=r"sample 'm1.0' lacks \['x'\]"):
        train_network(signal, background, missing, np.random.default_rng(1))
    signal[0].columns["a"][:] = np.nan
    with pytest.raises(RunError, match="'a' is not finite in"):
        train_network(signal, background, config(min_signal_events=10), np.random.default_rng(1))
    with pytest.raises(InputError, match="kind is None"):
        multivariate_from_dict({})
    with pytest.raises(InputError, match="not 'punzi_net'"):
        TrainedNetwork.from_dict({"kind": "x"})


def test_response_needs_its_columns(trained):
    with pytest.raises(InputError, match=r"inputs \['b'\] are missing"):
        network_response(trained[0], {"a": np.zeros(1)})


def test_configuration_errors():
    with pytest.raises(ConfigError, match=r"network.inputs\[0\].observable: unknown observable 'a'"):
        check_multivariate(config(), "dimuon_recoil")
    with pytest.raises(ValidationError, match="is not increasing"):
        config(inputs=[{"observable": "a", "range": [1, 1]}])
    with pytest.raises(ValidationError, match="name an observable twice"):
        config(inputs=[{"observable": "a"}, {"observable": "a"}])
    with pytest.raises(ValidationError, match="need at least one node"):
        config(hidden=[0])
