"""Cuts that follow the mass: a threshold and a half plane, optimised with the Punzi figure of merit.

As in the first Z' search (Phys. Rev. Lett. 124, 141801), which cut linearly in the components of the recoil momentum
transverse to the two muons, with values for each recoil mass that were not published: here they are optimised on the
training fold.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from darkfactory.config.selection import LinearConfig
from darkfactory.core.errors import InputError
from darkfactory.select.checks import OvertrainingCheck
from darkfactory.select.folds import (
    FoldData,
    TrainingSample,
    compare_folds,
    find_windows,
    fold_data,
    hypotheses,
    require_columns,
)
from darkfactory.select.network import Hypothesis
from darkfactory.select.objects import Array
from darkfactory.select.punzi import Windows, sigma_min
from darkfactory.select.registry import OBSERVABLES
from darkfactory.select.selected import TEST_FOLD, TRAINING_FOLD

__all__ = ["LinearCuts", "linear_response", "optimise_cuts"]


@dataclass(frozen=True)
class LinearCuts:
    """A threshold and a half plane whose parameters are interpolated linearly in the window observable.

    A row passes if t >= threshold and x cos(phi) + y sin(phi) >= c.

    Attributes:
        window_observable: what the parameters depend on.
        threshold_observable: t.
        plane: x and y.
        nodes: values of the window observable, ascending.
        thresholds: threshold at each node.
        cos_phi: at each node.
        sin_phi: at each node.
        offsets: c at each node.
        hypotheses: windows and figures of merit.
        check: comparison of training and test fold.
        notes: hypotheses left out and the like.
    """

    window_observable: str
    threshold_observable: str
    plane: tuple[str, str]
    nodes: tuple[float, ...]
    thresholds: tuple[float, ...]
    cos_phi: tuple[float, ...]
    sin_phi: tuple[float, ...]
    offsets: tuple[float, ...]
    hypotheses: tuple[Hypothesis, ...]
    check: OvertrainingCheck
    notes: tuple[str, ...] = ()

    @property
    def cut(self) -> float:
        """Smallest response that is kept."""
        return 0.5

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that :meth:`apply` needs."""
        return (self.window_observable, self.threshold_observable, *self.plane)

    def apply(self, columns: Mapping[str, np.ndarray]) -> Array:
        """1 for rows that pass, 0 for the others."""
        return linear_response(self, columns)

    def to_dict(self) -> dict[str, Any]:
        """JSON form; floats survive exactly."""
        value = {n: getattr(self, n) for n in self.__dataclass_fields__}
        value = {k: list(v) if isinstance(v, tuple) else v for k, v in value.items()}
        value["hypotheses"] = [[getattr(h, n) for n in h.__dataclass_fields__] for h in self.hypotheses]
        return {"kind": "linear_cuts", **value, "check": self.check.to_dict()}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> LinearCuts:
        """Read the form of :meth:`to_dict`.

        Raises:
            InputError: not such a form.
        """
        if value.get("kind") != "linear_cuts":
            raise InputError(f"no linear cuts: kind is {value.get('kind')!r}, not 'linear_cuts'; optimise them again")
        fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in value.items() if k != "kind"}
        fields["hypotheses"] = tuple(Hypothesis(*h) for h in value["hypotheses"])
        fields["check"] = OvertrainingCheck.from_dict(value["check"])
        return cls(**fields)


def linear_response(cuts: LinearCuts, columns: Mapping[str, np.ndarray]) -> Array:
    """1 for rows that pass, 0 for the others; row by row.

    Raises:
        InputError: a column is missing.
    """
    missing = [c for c in cuts.columns if c not in columns]
    if missing:
        raise InputError(f"inputs {missing} of the linear cuts are missing among {sorted(columns)}; rerun select")
    at = np.ascontiguousarray(columns[cuts.window_observable], dtype=np.float64)
    t, cos, sin, c = (
        np.interp(at, cuts.nodes, values) for values in (cuts.thresholds, cuts.cos_phi, cuts.sin_phi, cuts.offsets)
    )
    x, y = (np.asarray(columns[name], dtype=np.float64) for name in cuts.plane)
    return np.asarray(((columns[cuts.threshold_observable] >= t) & (x * cos + y * sin >= c)).astype(np.float64))


def _tail_sums(t: Array, u: Array, w: Array, t_edges: Array, u_edges: Array) -> Array:
    """Sum of weights with t >= t_edges[i] and u >= u_edges[j], for all i, j."""
    i = np.searchsorted(t_edges, t, side="right") - 1
    j = np.searchsorted(u_edges, u, side="right") - 1
    keep = (i >= 0) & (j >= 0)
    shape = (len(t_edges), len(u_edges))
    flat = np.bincount(i[keep] * shape[1] + j[keep], weights=w[keep], minlength=shape[0] * shape[1])
    return np.asarray(flat.reshape(shape)[::-1, ::-1].cumsum(axis=0).cumsum(axis=1)[::-1, ::-1])


def _merit_grid(data: FoldData, point: int, edges: tuple[Array, Array, Array], config: LinearConfig) -> Array:
    """Log sigma_min of one hypothesis for every (phi, threshold, c); background raised by its simulation error."""
    w: Windows = data.windows
    signal = np.flatnonzero(w.signal_point == point)
    background = np.arange(w.first[point], w.last[point])
    xs, xb = data.x[:, signal], data.x[:, data.n_signal + background]
    ws, wb = w.signal_weight[signal], w.background_weight[background]
    floor = 1e-3 * float(np.sum(ws))
    grids = []
    for phi in edges[0]:
        us, ub = (x[1] * np.cos(phi) + x[2] * np.sin(phi) for x in (xs, xb))
        s = _tail_sums(xs[0], us, ws, edges[1], edges[2])
        b = _tail_sums(xb[0], ub, wb, edges[1], edges[2])
        variance = _tail_sums(xb[0], ub, wb * wb, edges[1], edges[2])
        raised = b + config.background_error * np.sqrt(variance)
        grids.append(np.log(sigma_min(np.maximum(s, floor), raised, config.punzi_a, config.punzi_b)))
    return np.stack(grids)


def optimise_cuts(
    signal: Sequence[TrainingSample], background: Sequence[TrainingSample], config: LinearConfig, candidate: str
) -> LinearCuts:
    """Optimise the cuts for each hypothesis on the training fold; neighbours in mass are averaged.

    Args:
        signal: one sample per hypothesis, in order of mass.
        background: one sample per process.
        config: the ``network`` section of kind ``linear_cuts``.
        candidate: name of the candidate, for the ranges of the observables.

    Raises:
        InputError: a column is missing.
        RunError: too few signal events.
    """
    names = (config.threshold, *config.plane)
    ranges = [OBSERVABLES[candidate][n].range for n in names]
    inputs = [(n, *r) for n, r in zip(names, ranges, strict=True)]
    require_columns([*signal, *background], [config.window_observable, *names])
    kept, windows, notes = find_windows(signal, config)
    train = fold_data(kept, background, windows, config, inputs, TRAINING_FOLD)
    test = fold_data(kept, background, windows, config, inputs, TEST_FOLD)
    # in scaled units: 0 and 1 are the ends of the observables' ranges
    edges = (
        np.linspace(0.0, np.pi / 2, config.angles) if config.angles > 1 else np.asarray([np.pi / 4]),
        np.linspace(0.0, 0.9, config.steps),
        np.linspace(0.0, 1.2, config.steps),
    )
    grids = [_merit_grid(train, k, edges, config) for k in range(len(kept))]
    n = len(grids)
    best = []
    for k in range(n):
        smooth = 0.5 * grids[k] + 0.25 * (grids[max(k - 1, 0)] + grids[min(k + 1, n - 1)])
        best.append(np.unravel_index(int(np.argmin(smooth)), smooth.shape))
    centres = [0.5 * (low + high) for low, high in windows]
    order = np.argsort(centres, kind="stable")
    phi, t, c = (np.asarray([edges[i][b[i]] for b in best])[order] for i in range(3))
    (t_low, t_high), (x_low, x_high), (y_low, y_high) = ranges
    # back from scaled to natural units
    cos, sin = np.cos(phi) / (x_high - x_low), np.sin(phi) / (y_high - y_low)
    cuts = LinearCuts(
        config.window_observable,
        config.threshold,
        config.plane,
        tuple(np.asarray(centres)[order].tolist()),
        tuple((t_low + t * (t_high - t_low)).tolist()),
        tuple(cos.tolist()),
        tuple(sin.tolist()),
        tuple((c + cos * x_low + sin * y_low).tolist()),
        (),
        OvertrainingCheck(0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, True),
        tuple(notes),
    )
    return _with_checks(cuts, kept, background, windows, config, train, test)


def _with_checks(
    cuts: LinearCuts,
    kept: Sequence[TrainingSample],
    background: Sequence[TrainingSample],
    windows: Sequence[tuple[float, float]],
    config: LinearConfig,
    train: FoldData,
    test: FoldData,
) -> LinearCuts:
    """Figures of merit of the interpolated cuts, from the same events in natural units."""
    natural = [(n, 0.0, 1.0) for n in cuts.columns]
    responses = []
    for fold in (TRAINING_FOLD, TEST_FOLD):
        data = fold_data(kept, background, windows, config, natural, fold, clip=False)
        responses.append(linear_response(cuts, dict(zip(cuts.columns, data.x, strict=True))))
    return dataclasses.replace(
        cuts,
        hypotheses=hypotheses(kept, windows, train, test, responses[0], responses[1], cuts.cut, config),
        check=compare_folds(train, test, responses[0], responses[1], cuts.cut, config),
    )
