"""Checks of a trained network: over-training, and responses to look at."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import kstwobign

from darkfactory.select.objects import Array

__all__ = ["OvertrainingCheck", "ResponseHistogram", "jackknife_error", "weighted_ks"]


@dataclass(frozen=True)
class OvertrainingCheck:
    """Comparison of the training fold with the test fold.

    Attributes:
        ks_signal: largest distance of the cumulative responses of signal.
        p_signal: its probability.
        ks_background: the same of background.
        p_background: its probability.
        fom_train: geometric mean over hypotheses of sigma_min in fb, training fold.
        fom_test: the same of the test fold.
        ratio_error: statistical uncertainty of fom_test / fom_train (jackknife over tenths of the events).
        passed: probabilities and ratio are within the configured bounds.
    """

    ks_signal: float
    p_signal: float
    ks_background: float
    p_background: float
    fom_train: float
    fom_test: float
    ratio_error: float
    passed: bool

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> OvertrainingCheck:
        """Read the form of :meth:`to_dict`."""
        return cls(**value)


@dataclass(frozen=True)
class ResponseHistogram:
    """Response of one class in one fold, normalised to one.

    Attributes:
        label: ``signal`` or ``background``.
        fold: ``train`` or ``test``.
        edges: bin edges.
        density: fraction of the weight per bin.
        error: its statistical uncertainty.
    """

    label: str
    fold: str
    edges: tuple[float, ...]
    density: tuple[float, ...]
    error: tuple[float, ...]

    @staticmethod
    def fill(label: str, fold: str, response: Array, weight: Array, n_bins: int = 40) -> ResponseHistogram:
        """Histogram of responses between 0 and 1.

        Example:
            >>> ResponseHistogram.fill("signal", "train", np.array([0.1, 0.9, 1.0]), np.ones(3), 2).density
            (0.333, 0.667)
        """
        edges = np.linspace(0.0, 1.0, n_bins + 1)
        index = np.minimum((response * n_bins).astype(np.int64), n_bins - 1)
        total = max(float(np.sum(weight)), 1e-300)
        sumw = np.bincount(index, weights=weight, minlength=n_bins) / total
        error = np.sqrt(np.bincount(index, weights=weight * weight, minlength=n_bins)) / total
        return ResponseHistogram(label, fold, tuple(edges.tolist()), tuple(sumw.tolist()), tuple(error.tolist()))

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in dataclasses.asdict(self).items()}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> ResponseHistogram:
        """Read the form of :meth:`to_dict`."""
        return cls(value["label"], value["fold"], *(tuple(value[k]) for k in ("edges", "density", "error")))


def weighted_ks(x: Array, wx: Array, y: Array, wy: Array) -> tuple[float, float]:
    """Two-sample Kolmogorov-Smirnov distance of weighted samples and its asymptotic probability.

    Sample sizes are the effective ones, (sum w)^2 / sum w^2, so the probability is approximate for strongly varying
    weights.

    Example:
        >>> d, p = weighted_ks(np.array([0.1, 0.2]), np.ones(2), np.array([0.3, 0.4]), np.ones(2))
        >>> d, round(p, 2)
        (1.0, 0.27)
    """
    if not len(x) or not len(y):
        return 0.0, 1.0
    values = np.concatenate([x, y])
    order = np.argsort(values, kind="stable")
    steps = np.concatenate([wx / np.sum(wx), -wy / np.sum(wy)])[order]
    distance = np.abs(np.cumsum(steps))
    last_of_ties = np.append(values[order][1:] != values[order][:-1], True)
    d = float(np.max(distance[last_of_ties]))
    n, m = (float(np.sum(w)) ** 2 / float(np.sum(w * w)) for w in (wx, wy))
    return d, float(kstwobign.sf(d * np.sqrt(n * m / (n + m))))


def jackknife_error(leave_one_out: Array) -> float:
    """Standard error of an estimate from its values with one block left out each.

    Example:
        >>> x = np.array([1.0, 2.0, 3.0, 6.0])
        >>> round(jackknife_error((np.sum(x) - x) / 3), 4) == round(float(np.std(x, ddof=1) / 2), 4)
        True
    """
    n = len(leave_one_out)
    return float(np.sqrt((n - 1) / n * np.sum((leave_one_out - np.mean(leave_one_out)) ** 2)))
