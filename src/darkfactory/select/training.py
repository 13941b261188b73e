"""Training of the mass-aware network: cross-entropy first, then the Punzi figure of merit for all masses at once.

After F. Abudinen et al., Eur. Phys. J. C 82, 121 ("Punzi-net"). Training events are those of fold 0, the
over-training check uses fold 1; templates are made of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from darkfactory.config.selection import NetworkConfig, TrainingConfig
from darkfactory.select.backprop import Adam, Parameters, backward, forward, initialise
from darkfactory.select.checks import ResponseHistogram
from darkfactory.select.folds import (
    FoldData,
    TrainingSample,
    compare_folds,
    find_windows,
    fold_data,
    hypotheses,
    merit_at,
    require_columns,
)
from darkfactory.select.network import Input, Layer, TrainedNetwork
from darkfactory.select.objects import Array
from darkfactory.select.punzi import punzi_loss, spread_over_windows, window_sums
from darkfactory.select.selected import TEST_FOLD, TRAINING_FOLD

__all__ = ["best_cut", "export_layers", "rank_inputs", "response_histograms", "train_cross_entropy", "train_network"]


def _balanced_weights(data: FoldData) -> Array:
    """Weights of the cross-entropy: every hypothesis the same, signal and background in each window alike.

    A background event in several windows gets the sum of its shares.
    """
    w = data.windows
    s, b, _ = window_sums(w, np.ones(data.n_signal), np.ones(len(w.background_weight)))
    signal = w.signal_weight / np.maximum(s, 1e-300)[w.signal_point]
    share = np.where(b > 0, 1.0 / np.maximum(b, 1e-300), 0.0)
    background = np.maximum(spread_over_windows(w, share), 0.0) * w.background_weight
    both: Array = np.concatenate([signal, background])
    return both / w.n_points


def train_cross_entropy(
    parameters: Parameters,
    data: FoldData,
    epochs: int,
    batch: int,
    rate: float,
    rng: np.random.Generator,
    decay: float = 1.0,
) -> list[float]:
    """Minibatch binary cross-entropy in place; returns the loss of each epoch.

    Args:
        parameters: of the network, changed.
        data: training events; every hypothesis weighs the same, signal and background in each window alike.
        epochs: passes over the events.
        batch: events per step.
        rate: learning rate (Adam).
        rng: order of the events.
        decay: learning rate of the last epoch over that of the first.
    """
    weight = _balanced_weights(data)
    target = np.zeros(data.x.shape[1])
    target[: data.n_signal] = 1.0
    adam, losses = Adam.start(parameters, rate), []
    n = len(target)
    for epoch in range(epochs):
        scale = decay ** (epoch / max(epochs - 1, 1))
        order = rng.permutation(n)
        total = 0.0
        for start in range(0, n, batch):
            chosen = order[start : start + batch]
            w = weight[chosen] * (n / len(chosen))
            activations = forward(parameters, data.x[:, chosen])
            out = np.clip(activations[-1][0], 1e-9, 1 - 1e-9)
            y = target[chosen]
            total += float(-np.sum(w * (y * np.log(out) + (1 - y) * np.log1p(-out)))) * len(chosen) / n
            adam.update(parameters, backward(parameters, activations, w * (out - y) / (out * (1 - out))), scale)
        losses.append(total)
    return losses


def best_cut(data: FoldData, response: Array, config: TrainingConfig) -> float:
    """The response, among 49 from 0.02 to 0.98, with the best mean log figure of merit."""
    cuts = np.linspace(0.02, 0.98, 49)
    raised = config.background_error
    merits = [float(np.mean(merit_at(data, response, c, config, raised))) for c in cuts]
    return float(cuts[int(np.argmin(merits))])


def rank_inputs(
    respond: Callable[[Array], Array], test: FoldData, cut: float, config: TrainingConfig, rng: np.random.Generator
) -> list[float]:
    """Ratio of sigma_min with each input permuted among signal and among background events to that without."""
    base = float(np.mean(merit_at(test, respond(test.x), cut, config)))
    result = []
    for i in range(len(test.x)):
        x = test.x.copy()
        # among all events: an input permuted within its class would keep its separation
        x[i] = x[i][rng.permutation(x.shape[1])]
        result.append(float(np.exp(np.mean(merit_at(test, respond(x), cut, config)) - base)))
    return result


def export_layers(parameters: Parameters) -> tuple[Layer, ...]:
    """Parameters as plain numbers.

    Example:
        >>> export_layers([np.array([[1.0, 2.0]]), np.array([[3.0]])])
        (Layer(weights=((1.0, 2.0),), biases=(3.0,)),)
    """
    return tuple(
        Layer(tuple(tuple(row) for row in w.tolist()), tuple(b[:, 0].tolist()))
        for w, b in zip(parameters[::2], parameters[1::2], strict=True)
    )


def train_network(
    signal: Sequence[TrainingSample],
    background: Sequence[TrainingSample],
    config: NetworkConfig,
    rng: np.random.Generator,
) -> TrainedNetwork:
    """Train one network for all masses.

    Args:
        signal: one sample per narrow hypothesis, in order of mass (windows of wide ones would be no windows).
        background: one sample per process.
        config: the ``network`` section.
        rng: decides initial weights, batches and the permutations of the ranking.

    Raises:
        InputError: a column is missing.
        RunError: too few signal events, or inputs that are not finite.
    """
    inputs = [(i.observable, *i.range) for i in config.inputs]
    require_columns([*signal, *background], [config.window_observable, *(i[0] for i in inputs)])
    kept, windows, notes = find_windows(signal, config)
    train = fold_data(kept, background, windows, config, inputs, TRAINING_FOLD)
    test = fold_data(kept, background, windows, config, inputs, TEST_FOLD)
    parameters = initialise((len(inputs), *config.hidden, 1), rng)

    def respond(x: Array) -> Array:
        return np.asarray(forward(parameters, x)[-1][0])

    def soft_loss(data: FoldData, response: Array) -> tuple[float, Array]:
        n = data.n_signal
        loss, d_s, d_b = punzi_loss(
            data.windows,
            response[:n],
            response[n:],
            config.punzi_a,
            config.punzi_b,
            config.average,
            config.background_error,
        )
        return loss, np.concatenate([d_s, d_b])

    history: list[tuple[str, int, float, float | None]] = []
    losses = train_cross_entropy(
        parameters, train, config.pretrain_epochs, config.pretrain_batch, config.pretrain_rate, rng
    )
    for step, loss in enumerate(losses):
        history.append(("cross_entropy", step, loss, None))
    adam = Adam.start(parameters, config.punzi_rate)
    for step in range(config.punzi_steps):
        activations = forward(parameters, train.x)
        loss, gradient = soft_loss(train, activations[-1][0])
        if step % 10 == 0 or step + 1 == config.punzi_steps:
            history.append(("punzi", step, loss, soft_loss(test, respond(test.x))[0]))
        # the rate falls to a tenth, so that the last steps settle
        scale = 0.1 ** (step / config.punzi_steps)
        adam.update(parameters, backward(parameters, activations, gradient), scale)

    r_train, r_test = respond(train.x), respond(test.x)
    cut = best_cut(train, r_train, config) if config.cut == "optimise" else float(config.cut)
    return TrainedNetwork(
        tuple(
            Input(*i, importance=value)
            for i, value in zip(inputs, rank_inputs(respond, test, cut, config, rng), strict=True)
        ),
        export_layers(parameters),
        cut,
        hypotheses(kept, windows, train, test, r_train, r_test, cut, config),
        tuple(history),
        compare_folds(train, test, r_train, r_test, cut, config),
        response_histograms(train, test, r_train, r_test),
        tuple(notes),
    )


def response_histograms(
    train: FoldData, test: FoldData, r_train: Array, r_test: Array
) -> tuple[ResponseHistogram, ...]:
    """Responses of signal and background in both folds."""
    result = []
    for fold, data, r in (("train", train, r_train), ("test", test, r_test)):
        n = data.n_signal
        result.append(ResponseHistogram.fill("signal", fold, r[:n], data.windows.signal_weight))
        result.append(ResponseHistogram.fill("background", fold, r[n:], data.windows.background_weight))
    return tuple(result)
