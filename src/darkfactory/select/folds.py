"""Training and test events arranged by mass hypothesis, and what is computed on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from darkfactory.config.selection import TrainingConfig
from darkfactory.core.errors import InputError, RunError
from darkfactory.select.checks import OvertrainingCheck, jackknife_error, weighted_ks
from darkfactory.select.network import Hypothesis, scale_input
from darkfactory.select.objects import Array
from darkfactory.select.punzi import Windows, sigma_min, signal_window, window_sums
from darkfactory.select.selected import N_FOLDS, TRAINING_FOLD

__all__ = [
    "FoldData",
    "TrainingSample",
    "compare_folds",
    "find_windows",
    "fold_data",
    "fold_rows",
    "hypotheses",
    "log_merit",
    "merit_at",
    "require_columns",
    "thin",
]

_BLOCKS = 10


@dataclass(frozen=True, eq=False)
class TrainingSample:
    """Candidates of one signal point or background process, all folds.

    Attributes:
        name: point or process.
        columns: as of ``Selected``; needs ``fold``, the inputs and the window observable.
        weight: expected events of the whole sample at the dataset's luminosity L: w L / n_generated with the weights w
            in fb; of a signal for 1 fb: w L / (n_generated sigma_fb).
        mass: of a signal, in GeV.
    """

    name: str
    columns: Mapping[str, np.ndarray]
    weight: Array
    mass: float | None = None


@dataclass(frozen=True, eq=False)
class FoldData:
    """Events of one fold in the windows of the hypotheses, signal first.

    Attributes:
        windows: arrangement of the events.
        x: scaled inputs (inputs, events).
        n_signal: number of signal events.
    """

    windows: Windows
    x: Array
    n_signal: int

    @property
    def weight(self) -> Array:
        """Expected events, signal first."""
        return np.concatenate([self.windows.signal_weight, self.windows.background_weight])


def thin(index: NDArray[np.int64], limit: int) -> tuple[NDArray[np.int64], float]:
    """Evenly spaced subset of at most ``limit`` and the factor that its weights need.

    Example:
        >>> index, factor = thin(np.arange(10), 4)
        >>> index.tolist(), factor
        ([0, 2, 5, 7], 2.5)
    """
    if len(index) <= limit:
        return index, 1.0
    keep = index[(np.arange(limit) * len(index)) // limit]
    return keep, len(index) / limit


def fold_rows(sample: TrainingSample, fold: int, limit: int) -> tuple[NDArray[np.int64], Array]:
    """At most ``limit`` rows of a fold, and their weights scaled so that they stand for the whole sample."""
    index, factor = thin(np.flatnonzero(sample.columns["fold"] == fold), limit)
    # one fold stands for all
    return index, sample.weight[index] * (factor * N_FOLDS)


def require_columns(samples: Sequence[TrainingSample], names: Sequence[str]) -> None:
    """Check that samples have the columns.

    Raises:
        InputError: one is missing.
    """
    for sample in samples:
        missing = [n for n in (*names, "fold") if n not in sample.columns]
        if missing:
            raise InputError(
                f"sample {sample.name!r} lacks {missing}, which the network needs; it has {sorted(sample.columns)}"
            )


def find_windows(
    signal: Sequence[TrainingSample], config: TrainingConfig
) -> tuple[list[TrainingSample], list[tuple[float, float]], list[str]]:
    """Hypotheses with enough training events, their windows, and notes on those left out.

    Raises:
        RunError: none has enough.
    """
    kept, windows, notes = [], [], []
    for sample in signal:
        index, weight = fold_rows(sample, TRAINING_FOLD, len(sample.weight))
        x = sample.columns[config.window_observable][index]
        if len(index) < config.min_signal_events:
            notes.append(f"{sample.name}: left out, {len(index)} training events of {config.min_signal_events}")
            continue
        kept.append(sample)
        windows.append(signal_window(x, weight, config.window_sigma))
    if not kept:
        raise RunError(
            f"no signal point has {config.min_signal_events} events in the training fold; generate more signal "
            "events or lower network.min_signal_events"
        )
    return kept, windows, notes


def fold_data(
    signal: Sequence[TrainingSample],
    background: Sequence[TrainingSample],
    windows: Sequence[tuple[float, float]],
    config: TrainingConfig,
    inputs: Sequence[tuple[str, float, float]],
    fold: int,
    *,
    clip: bool = True,
) -> FoldData:
    """Arrange one fold's events by window, thinned to the configured number; inputs scaled, outliers clipped."""
    half = config.max_events // 2
    s_rows = [fold_rows(s, fold, max(half // len(signal), 1)) for s in signal]
    total = sum(int(np.sum(s.columns["fold"] == fold)) for s in background)
    share = [int(np.sum(s.columns["fold"] == fold)) * half // max(total, half) + 1 for s in background]
    b_rows = [fold_rows(s, fold, n) for s, n in zip(background, share, strict=True)]
    name = config.window_observable

    def gather(
        column: str, samples: Sequence[TrainingSample], rows: Sequence[tuple[NDArray[np.int64], Array]]
    ) -> Array:
        parts = [s.columns[column][i] for s, (i, _) in zip(samples, rows, strict=True)]
        return np.asarray(np.concatenate(parts), dtype=np.float64) if parts else np.zeros(0)

    b_weight = np.concatenate([w for _, w in b_rows]) if b_rows else np.zeros(0)
    arranged, s_index, b_index = Windows.arrange(
        windows,
        [s.columns[name][i] for s, (i, _) in zip(signal, s_rows, strict=True)],
        [w for _, w in s_rows],
        gather(name, background, b_rows),
        b_weight,
    )
    x = np.empty((len(inputs), len(s_index) + len(b_index)))
    for row, (column, low, high) in enumerate(inputs):
        raw = np.concatenate([gather(column, signal, s_rows)[s_index], gather(column, background, b_rows)[b_index]])
        if not np.all(np.isfinite(raw)):
            raise RunError(f"network input {column!r} is not finite in {np.sum(~np.isfinite(raw))} training events")
        x[row] = scale_input(raw, low, high) if clip else (raw - low) / (high - low)
    return FoldData(arranged, x, len(s_index))


def log_merit(windows: Windows, signal: Array, background: Array, config: TrainingConfig, raised: float = 0.0) -> Array:
    """Logarithm of sigma_min (fb) of each hypothesis for responses or decisions of the events.

    A hypothesis that loses all signal counts as if 1e-3 of it were left. The background may be ``raised`` by so many
    standard deviations of its simulation.
    """
    s, b, variance = window_sums(windows, signal, background)
    floor, _, _ = window_sums(windows, np.full(len(signal), 1e-3), background)
    b = b + raised * np.sqrt(variance)
    return np.log(sigma_min(np.maximum(s, np.maximum(floor, 1e-300)), b, config.punzi_a, config.punzi_b))


def merit_at(data: FoldData, response: Array, cut: float, config: TrainingConfig, raised: float = 0.0) -> Array:
    """As :func:`log_merit`, for events with at least this response."""
    keep = (response >= cut).astype(np.float64)
    return log_merit(data.windows, keep[: data.n_signal], keep[data.n_signal :], config, raised)


def _leave_out(data: FoldData, response: Array, cut: float, config: TrainingConfig) -> Array:
    """Mean log merit with each tenth of the events left out, the others scaled up."""
    keep = (response >= cut).astype(np.float64)
    block_s = np.arange(data.n_signal) % _BLOCKS
    block_b = np.arange(len(response) - data.n_signal) % _BLOCKS
    scale = _BLOCKS / (_BLOCKS - 1)
    values = []
    for i in range(_BLOCKS):
        s = keep[: data.n_signal] * (block_s != i) * scale
        b = keep[data.n_signal :] * (block_b != i) * scale
        values.append(float(np.mean(log_merit(data.windows, s, b, config))))
    return np.asarray(values)


def compare_folds(
    train: FoldData, test: FoldData, r_train: Array, r_test: Array, cut: float, config: TrainingConfig
) -> OvertrainingCheck:
    """Over-training check from the responses of both folds."""
    s, t = slice(None, train.n_signal), slice(None, test.n_signal)
    ks_s, p_s = weighted_ks(r_train[s], train.windows.signal_weight, r_test[t], test.windows.signal_weight)
    ks_b, p_b = weighted_ks(
        r_train[train.n_signal :], train.windows.background_weight,
        r_test[test.n_signal :], test.windows.background_weight,
    )  # fmt: skip
    merits = [float(np.mean(merit_at(d, r, cut, config))) for d, r in ((train, r_train), (test, r_test))]
    errors = [jackknife_error(_leave_out(d, r, cut, config)) for d, r in ((train, r_train), (test, r_test))]
    ratio = float(np.exp(merits[1] - merits[0]))
    error = ratio * float(np.hypot(errors[0], errors[1]))
    # the ratio must be above its bound beyond doubt: small test folds fluctuate
    passed = min(p_s, p_b) >= config.min_ks_probability and ratio - 2 * error <= config.max_fom_ratio
    return OvertrainingCheck(ks_s, p_s, ks_b, p_b, float(np.exp(merits[0])), float(np.exp(merits[1])), error, passed)


def hypotheses(
    kept: Sequence[TrainingSample],
    windows: Sequence[tuple[float, float]],
    train: FoldData,
    test: FoldData,
    r_train: Array,
    r_test: Array,
    cut: float,
    config: TrainingConfig,
) -> tuple[Hypothesis, ...]:
    """Figures of merit of each hypothesis: without a cut, training fold, test fold."""
    columns = (
        merit_at(train, r_train, -np.inf, config),
        merit_at(train, r_train, cut, config),
        merit_at(test, r_test, cut, config),
    )
    rows = np.exp(np.stack(columns, axis=-1)).tolist()
    return tuple(Hypothesis(s.name, *w, *row) for s, w, row in zip(kept, windows, rows, strict=True))
