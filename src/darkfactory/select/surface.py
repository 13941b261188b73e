"""An upper threshold that is a smooth surface over a plane of two squared masses, optimised by Punzi's figure of merit.

As the helicity cut of the dark Higgsstrahlung search (Phys. Rev. Lett. 130, 071804), whose values are not published.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from darkfactory.config.points import parse_point
from darkfactory.config.selection import SurfaceConfig
from darkfactory.core.errors import InputError, RunError
from darkfactory.physics.resolution import Resolution, Surface, fit_surface, inside, measure_core
from darkfactory.select.checks import OvertrainingCheck
from darkfactory.select.folds import TrainingSample, require_columns
from darkfactory.select.objects import Array
from darkfactory.select.punzi import sigma_min
from darkfactory.select.registry import OBSERVABLES
from darkfactory.select.selected import N_FOLDS, TEST_FOLD, TRAINING_FOLD

__all__ = ["ThresholdSurface", "optimise_surface"]

_SCALE = 10.0  # GeV: unit of the masses in the polynomial


@dataclass(frozen=True)
class ThresholdSurface:
    """Rows pass where the observable is at or below the threshold at their place in the plane.

    Attributes:
        observable: what is cut on.
        first: column with the first squared mass.
        second: column with the second squared mass.
        surface: threshold by both masses.
        points: name, best threshold, threshold of the surface, and sigma_min in fb without cut, in the training and in
            the test fold.
        check: comparison of training and test fold.
        notes: points left out.
    """

    observable: str
    first: str
    second: str
    surface: Surface
    points: tuple[tuple[str, float, float, float, float, float], ...]
    check: OvertrainingCheck
    notes: tuple[str, ...] = ()

    @property
    def cut(self) -> float:
        """Smallest response that is kept."""
        return 0.5

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that :meth:`apply` needs."""
        return (self.observable, self.first, self.second)

    def apply(self, columns: Mapping[str, np.ndarray]) -> Array:
        """1 for rows that pass, 0 for the others.

        Raises:
            InputError: a column is missing.
        """
        missing = [c for c in self.columns if c not in columns]
        if missing:
            raise InputError(f"inputs {missing} of the threshold are missing among {sorted(columns)}; rerun select")
        m1, m2 = (np.sqrt(np.maximum(np.asarray(columns[c], dtype=float), 0.0)) for c in (self.first, self.second))
        return np.asarray((np.asarray(columns[self.observable]) <= self.surface(m1, m2)).astype(np.float64))

    def to_dict(self) -> dict[str, Any]:
        """JSON form; floats survive exactly."""
        return {
            "kind": "threshold_surface",
            **{k: getattr(self, k) for k in ("observable", "first", "second")},
            "surface": self.surface.to_dict(),
            "points": [list(p) for p in self.points],
            "check": self.check.to_dict(),
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> ThresholdSurface:
        """Read the form of :meth:`to_dict`.

        Raises:
            InputError: not such a form.
        """
        if value.get("kind") != "threshold_surface":
            raise InputError(f"no threshold surface: kind is {value.get('kind')!r}; optimise it again")
        return cls(
            value["observable"], value["first"], value["second"], Surface.from_dict(value["surface"]),
            tuple((str(p[0]), *(float(v) for v in p[1:])) for p in value["points"]),  # type: ignore[misc]  # pairs as read
            OvertrainingCheck.from_dict(value["check"]), tuple(value["notes"]),
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Fold:
    """Columns of all backgrounds in one fold, weighted to all events."""

    x: Array
    y: Array
    t: Array
    weight: Array


def _fold(sample: TrainingSample, config: SurfaceConfig, fold: int) -> _Fold:
    keep = sample.columns["fold"] == fold
    names = (config.first, config.window_observable, config.observable)
    x, y, t = (np.asarray(sample.columns[n], dtype=float)[keep] for n in names)
    return _Fold(x, y, t, np.asarray(sample.weight, dtype=float)[keep] * N_FOLDS)


def _below(t: Array, weight: Array, thresholds: Array) -> Array:
    """Sum of the weights at or below each threshold."""
    order = np.argsort(t, kind="stable")
    total = np.concatenate([[0.0], np.cumsum(weight[order])])
    return np.asarray(total[np.searchsorted(t[order], thresholds, side="right")])


def _merits(signal: _Fold, background: _Fold, r: Resolution, config: SurfaceConfig, thresholds: Array) -> Array:
    """Log sigma_min of one point at each threshold; background raised by its simulation error."""
    near = inside(signal.x, signal.y, r, config.window_sigma)
    s = _below(signal.t[near], signal.weight[near], thresholds)
    factor = 1.0
    while True:
        near = inside(background.x, background.y, r, config.window_sigma * factor)
        w = background.weight[near] / factor**2
        if factor >= config.largest or w.sum() ** 2 >= config.target_events * (w**2).sum() > 0:
            break
        factor = min(factor * 1.5, config.largest)
    b = _below(background.t[near], w, thresholds)
    error = np.sqrt(_below(background.t[near], w * w, thresholds))
    floor = 1e-3 * max(float(s[-1]), 1e-300)
    raised = b + config.background_error * error
    return np.log(sigma_min(np.maximum(s, floor), raised, config.punzi_a, config.punzi_b))


def optimise_surface(
    signal: Sequence[TrainingSample], background: Sequence[TrainingSample], config: SurfaceConfig, candidate: str
) -> ThresholdSurface:
    """Best threshold of every simulated point in the training fold, and a polynomial through them.

    Args:
        signal: one sample per point, named by it.
        background: one sample per process.
        config: the ``network`` section of kind ``threshold_surface``.
        candidate: name of the candidate, for the range of the observable.

    Raises:
        InputError: a column is missing.
        RunError: no point has enough signal events.
    """
    require_columns([*signal, *background], [config.first, config.window_observable, config.observable])
    low, high = OBSERVABLES[candidate][config.observable].range
    thresholds = np.linspace(low, high, config.steps + 1)[1:]
    folds = [TRAINING_FOLD, TEST_FOLD]
    everything = []
    for fold in folds:
        parts = [_fold(s, config, fold) for s in background]
        everything.append(_Fold(*(np.concatenate([getattr(p, k) for p in parts]) for k in ("x", "y", "t", "weight"))))
    rows, notes = [], []
    for sample in signal:
        own = [_fold(sample, config, fold) for fold in folds]
        some = int(np.count_nonzero(own[0].weight > 0))
        if some < config.min_signal_events:
            notes.append(f"{sample.name}: {some} training events, fewer than {config.min_signal_events}")
            continue
        c = measure_core(*(np.concatenate([getattr(f, k) for f in own]) for k in ("x", "y", "weight")))
        r = Resolution(*(np.asarray(v) for v in (c.x, c.y, c.sigma_x, c.sigma_y, c.rho)))
        merits = [_merits(f, b, r, config, thresholds) for f, b in zip(own, everything, strict=True)]
        # thresholds about as good as the best one count alike: the figure of merit is flat
        share = np.exp(-(merits[0] - merits[0].min()) / config.tolerance)
        share /= share.sum()
        mean = float(np.sum(share * thresholds))
        spread = float(np.sqrt(np.sum(share * (thresholds - mean) ** 2)))
        rows.append((sample.name, mean, spread + (high - low) / config.steps, merits))
    if not rows:
        raise RunError("no simulated point has enough events for a threshold; generate more signal events")
    axes = [parse_point(name.rpartition("/")[2]) for name, *_ in rows]
    m1, m2 = np.array([a["mass"] for a in axes]), np.array([a["mass2"] for a in axes])
    best = np.array([row[1] for row in rows])
    surface = fit_surface(m1, m2, best, np.array([row[2] for row in rows]) ** -2.0, order=config.order, scale=_SCALE)
    points, logs = [], []
    for (name, wanted, _, merits), a in zip(rows, axes, strict=True):
        at = float(surface(a["mass"], a["mass2"]))
        i = min(int(np.searchsorted(thresholds, at)), len(thresholds) - 1)
        values = (float(merits[0][-1]), float(merits[0][i]), float(merits[1][i]))
        none, train, test = (float(np.exp(v)) for v in values)
        points.append((name, wanted, at, none, train, test))
        logs.append(values[1:])
    mean_train, mean_test = (float(v) for v in np.mean(np.array(logs), axis=0))
    differences = np.diff(np.array(logs), axis=1)[:, 0]
    ratio = float(np.exp(mean_test - mean_train))
    error = ratio * float(np.std(differences) / np.sqrt(len(differences)))
    passed = bool(ratio - 2 * error <= config.max_fom_ratio)
    check = OvertrainingCheck(0.0, 1.0, 0.0, 1.0, float(np.exp(mean_train)), float(np.exp(mean_test)), error, passed)
    return ThresholdSurface(
        config.observable, config.first, config.window_observable, surface, tuple(points), check, tuple(notes)
    )
