"""Several networks in ranges of mass: trained with cross-entropy, cut with the Punzi figure of merit.

Each range has parts of neighbouring masses. Signal and background weigh the same in each part, so that the mass of a
candidate separates nothing, and the background of a fit window is that of its part scaled to the window's width:
windows are far narrower than what the simulated events resolve.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkfactory.config.selection import RegionalConfig
from darkfactory.core.errors import InputError, RunError
from darkfactory.select.backprop import forward, initialise
from darkfactory.select.checks import OvertrainingCheck
from darkfactory.select.folds import FoldData, TrainingSample, compare_folds, fold_rows, merit_at, require_columns, thin
from darkfactory.select.network import Hypothesis, Input, TrainedNetwork, scale_input
from darkfactory.select.objects import Array
from darkfactory.select.punzi import Windows, signal_window
from darkfactory.select.selected import N_FOLDS, TEST_FOLD, TRAINING_FOLD
from darkfactory.select.training import (
    best_cut,
    export_layers,
    rank_inputs,
    response_histograms,
    train_cross_entropy,
)

__all__ = ["RegionalNetworks", "part_edges", "train_regional"]


@dataclass(frozen=True)
class RegionalNetworks:
    """One network per range of a mass.

    Attributes:
        window_observable: mass in GeV that decides which network is a candidate's own.
        edges: of the ranges.
        networks: one per range.
    """

    window_observable: str
    edges: tuple[float, ...]
    networks: tuple[TrainedNetwork, ...]

    @property
    def cut(self) -> float:
        """Smallest mapped response that is kept."""
        return 0.5

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that the responses need."""
        return (self.window_observable, *self.networks[0].columns)

    @property
    def check(self) -> OvertrainingCheck:
        """Over-training check of the range that does worst: a failed one, or the largest ratio of merits."""
        checks = [n.check for n in self.networks]
        return max(checks, key=lambda c: (not c.passed, c.fom_test / c.fom_train))

    def own(self, columns: Mapping[str, np.ndarray]) -> NDArray[np.int64]:
        """The range of each row; below the first and above the last edge, the nearest."""
        at = np.searchsorted(self.edges, columns[self.window_observable], side="right") - 1
        return np.asarray(np.clip(at, 0, len(self.networks) - 1), dtype=np.int64)

    def responses(self, columns: Mapping[str, np.ndarray]) -> dict[str, Array]:
        """``mva_r<k>`` of each network, mapped so that its cut is at 0.5, and ``mva`` of a row's own.

        Raises:
            InputError: a column is missing.
        """
        missing = [c for c in self.columns if c not in columns]
        if missing:
            raise InputError(f"network inputs {missing} are missing among the columns {sorted(columns)}; rerun select")
        found = {f"mva_r{k}": _mapped(n.apply(columns), n.cut) for k, n in enumerate(self.networks)}
        own = self.own(columns)
        return found | {"mva": np.choose(own, list(found.values()))}

    def apply(self, columns: Mapping[str, np.ndarray]) -> Array:
        """Largest mapped response of a row's own network and of the two beside it.

        A fit window may cross an edge: what a neighbour keeps is needed there.
        """
        found, own = self.responses(columns), self.own(columns)
        best = np.zeros(len(own))
        for k in range(len(self.networks)):
            best = np.where(np.abs(own - k) <= 1, np.maximum(best, found[f"mva_r{k}"]), best)
        return best

    def to_dict(self) -> dict[str, Any]:
        """JSON form; floats survive exactly."""
        return {
            "kind": "regional_networks",
            "window_observable": self.window_observable,
            "edges": list(self.edges),
            "networks": [n.to_dict() for n in self.networks],
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> RegionalNetworks:
        """Read the form of :meth:`to_dict`.

        Raises:
            InputError: not such a form.
        """
        if value.get("kind") != "regional_networks":
            raise InputError(
                f"kind of the networks is {value.get('kind')!r}, not 'regional_networks'; train them again"
            )
        networks = tuple(TrainedNetwork.from_dict(n) for n in value["networks"])
        return cls(value["window_observable"], tuple(value["edges"]), networks)


def _mapped(response: Array, cut: float) -> Array:
    """Monotone map of [0, 1] onto itself that brings the cut to 0.5."""
    return np.interp(response, [0.0, cut, 1.0], [0.0, 0.5, 1.0])


def part_edges(centres: Sequence[float], low: float, high: float, most: int) -> tuple[Array, NDArray[np.int64]]:
    """Parts of a range: edges half-way between neighbouring groups of centres, and the part of each centre.

    Args:
        centres: where the signals peak, any order; equal masses come several times.
        low: lower end of the range.
        high: upper end.
        most: largest number of parts.

    Example:
        >>> edges, part = part_edges([1.0, 1.2, 2.0, 3.0], 0.5, 4.0, 2)
        >>> edges.tolist(), part.tolist()
        ([0.5, 1.6, 4.0], [0, 0, 1, 1])
    """
    x = np.asarray(centres, dtype=np.float64)
    inside = np.unique(x[(x >= low) & (x <= high)])
    groups = [g for g in np.array_split(inside, most) if len(g)]
    between = [0.5 * (float(a[-1]) + float(b[0])) for a, b in pairwise(groups)]
    edges = np.asarray([low, *between, high])
    return edges, np.clip(np.searchsorted(edges, x, side="right") - 1, 0, len(edges) - 2)


@dataclass(frozen=True, eq=False)
class _Signal:
    """A signal with the window of its peak."""

    sample: TrainingSample
    mass: float
    window: tuple[float, float]

    @property
    def centre(self) -> float:
        return 0.5 * (self.window[0] + self.window[1])


def _find_signals(signal: Sequence[TrainingSample], config: RegionalConfig) -> tuple[list[_Signal], list[str]]:
    kept, notes = [], []
    for sample in signal:
        if sample.mass is None:
            raise InputError(f"signal {sample.name!r} has no mass; networks in ranges of mass need one")
        index, weight = fold_rows(sample, TRAINING_FOLD, len(sample.weight))
        x = np.asarray(sample.columns[config.window_observable][index], dtype=np.float64)
        near = np.abs(x - sample.mass) <= config.search_width
        if int(np.sum(near)) < config.min_signal_events:
            notes.append(f"{sample.name}: left out, {int(np.sum(near))} training events of {config.min_signal_events}")
            continue
        kept.append(_Signal(sample, sample.mass, signal_window(x[near], weight[near], config.window_sigma)))
    if not kept:
        raise RunError(
            f"no signal point has {config.min_signal_events} events in the training fold within "
            f"{config.search_width:g} GeV of its mass; generate more signal events or lower network.min_signal_events"
        )
    return kept, notes


def _of_range(signals: Sequence[_Signal], low: float, high: float) -> tuple[list[_Signal], list[str]]:
    inside = [s for s in signals if low <= s.mass < high]
    if inside:
        return inside, []
    distance = [max(low - s.mass, s.mass - high) for s in signals]
    nearest = [s for s, d in zip(signals, distance, strict=True) if d <= min(distance) + 1e-9]
    return nearest, [f"no mass between {low:g} and {high:g} GeV: trained on the nearest, {nearest[0].mass:g} GeV"]


def _fold(
    signals: Sequence[_Signal],
    background: Sequence[TrainingSample],
    edges: Array,
    part: NDArray[np.int64],
    config: RegionalConfig,
    fold: int,
) -> FoldData:
    """One fold's events arranged by part: every part is a hypothesis of its own."""
    name, half, n_parts = config.window_observable, config.max_events // 2, len(edges) - 1
    chosen: list[tuple[TrainingSample, NDArray[np.int64]]] = []
    points, weights, widths = [], [], np.zeros(n_parts)
    sharing = np.maximum(np.bincount(part, minlength=n_parts), 1)
    for k in np.argsort(part, kind="stable"):
        one, at = signals[k], part[k]
        x = one.sample.columns[name]
        inside = (one.sample.columns["fold"] == fold) & (x >= one.window[0]) & (x <= one.window[1])
        index, factor = thin(np.flatnonzero(inside), max(half // len(signals), 1))
        chosen.append((one.sample, index))
        points.append(np.full(len(index), at))
        # the mean of the signals that share a part
        weights.append(one.sample.weight[index] * (factor * N_FOLDS / sharing[at]))
        widths[at] += (one.window[1] - one.window[0]) / sharing[at]
    n_signal = sum(len(p) for p in points)

    rows = []
    for sample in background:
        x = sample.columns[name]
        rows.append(np.flatnonzero((sample.columns["fold"] == fold) & (x >= edges[0]) & (x <= edges[-1])))
    total = sum(len(r) for r in rows)
    at_background, w_background = [np.zeros(0, dtype=np.int64)], [np.zeros(0)]
    for sample, found in zip(background, rows, strict=True):
        index, factor = thin(found, len(found) * half // max(total, half) + 1)
        inside = np.clip(np.searchsorted(edges, sample.columns[name][index], side="right") - 1, 0, n_parts - 1)
        chosen.append((sample, index))
        at_background.append(inside)
        # from the part to the window: the spectrum is smooth within a part
        scale = np.minimum(widths / np.diff(edges), 1.0)
        w_background.append(sample.weight[index] * (factor * N_FOLDS) * scale[inside])
    at = np.concatenate(at_background)
    order = np.argsort(at, kind="stable")
    windows = Windows(
        np.concatenate(points),
        np.concatenate(weights),
        np.searchsorted(at[order], np.arange(n_parts), side="left"),
        np.searchsorted(at[order], np.arange(n_parts), side="right"),
        np.concatenate(w_background)[order],
    )
    x = np.empty((len(config.inputs), n_signal + len(at)))
    for row, entry in enumerate(config.inputs):
        raw = np.concatenate([np.asarray(s.columns[entry.observable][i], dtype=np.float64) for s, i in chosen])
        if not np.all(np.isfinite(raw)):
            bad = int(np.sum(~np.isfinite(raw)))
            raise RunError(f"network input {entry.observable!r} is not finite in {bad} training events")
        x[row] = scale_input(raw, *entry.range)
    x[:, n_signal:] = x[:, n_signal:][:, order]
    return FoldData(windows, x, n_signal)


def _train_range(
    signals: Sequence[_Signal],
    background: Sequence[TrainingSample],
    limits: tuple[float, float],
    config: RegionalConfig,
    notes: Sequence[str],
    rng: np.random.Generator,
) -> TrainedNetwork:
    edges, part = part_edges([s.centre for s in signals], *limits, config.parts)
    train, test = (_fold(signals, background, edges, part, config, f) for f in (TRAINING_FOLD, TEST_FOLD))
    parameters = initialise((len(config.inputs), *config.hidden, 1), rng)
    per_pass = -(-train.x.shape[1] // config.batch)
    epochs = max(round(config.steps / per_pass), 1)
    losses = train_cross_entropy(parameters, train, epochs, config.batch, config.rate, rng, config.rate_decay)

    def respond(x: Array) -> Array:
        return np.asarray(forward(parameters, x)[-1][0])

    r_train, r_test = respond(train.x), respond(test.x)
    cut = best_cut(train, r_train, config) if config.cut == "optimise" else float(config.cut)
    importance = rank_inputs(respond, test, cut, config, rng)
    merits = [merit_at(d, r, c, config) for d, r, c in ((train, r_train, -np.inf), (train, r_train, cut),
                                                        (test, r_test, cut))]  # fmt: skip
    rows = np.exp(np.stack(merits, axis=-1)).tolist()
    names = []
    for k in range(len(edges) - 1):
        inside = [s.sample.name for s, p in zip(signals, part, strict=True) if p == k]
        names.append(inside[0] if len(inside) == 1 else f"{inside[0]} to {inside[-1]}")
    return TrainedNetwork(
        tuple(
            Input(i.observable, *i.range, importance=value) for i, value in zip(config.inputs, importance, strict=True)
        ),
        export_layers(parameters),
        cut,
        tuple(Hypothesis(n, *limit, *row) for n, limit, row in zip(names, pairwise(edges.tolist()), rows, strict=True)),
        tuple(("cross_entropy", step, loss, None) for step, loss in enumerate(losses)),
        compare_folds(train, test, r_train, r_test, cut, config),
        response_histograms(train, test, r_train, r_test),
        tuple(notes),
    )


def train_regional(
    signal: Sequence[TrainingSample],
    background: Sequence[TrainingSample],
    config: RegionalConfig,
    rng: np.random.Generator,
) -> RegionalNetworks:
    """Train a network for each range.

    Args:
        signal: one sample per narrow hypothesis, with its mass.
        background: one sample per process.
        config: the ``network`` section of kind ``regional_networks``.
        rng: decides initial weights, batches and the permutations of the ranking.

    Raises:
        InputError: a column or a mass is missing.
        RunError: too few signal events, or inputs that are not finite.
    """
    require_columns([*signal, *background], [config.window_observable, *(i.observable for i in config.inputs)])
    signals, notes = _find_signals(signal, config)
    networks = []
    for low, high in pairwise(config.ranges.edges):
        chosen, more = _of_range(signals, low, high)
        networks.append(_train_range(chosen, background, (low, high), config, [*notes, *more], rng))
    return RegionalNetworks(config.window_observable, config.ranges.edges, tuple(networks))
