"""The Punzi figure of merit for many mass hypotheses at once, and its derivatives.

A hypothesis is a window in one observable (the squared recoil mass). Weights are expected events at the dataset's
luminosity: of the background as it is, of the signal for a cross section of 1 fb; sigma_min is then in fb.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from darkfactory.core.errors import RunError
from darkfactory.select.objects import Array

__all__ = [
    "Windows",
    "punzi_loss",
    "sigma_min",
    "sigma_min_derivative",
    "signal_window",
    "spread_over_windows",
    "window_sums",
]

_TINY = 1e-8  # events: keeps the square root differentiable in windows without background


def sigma_min(signal: Array, background: Array, a: float, b: float) -> Array:
    """Smallest cross section with discovery at a sigma or exclusion, in fb.

    (a^2/8 + 9 b^2/13 + a sqrt B + (b/2) sqrt(b^2 + 4 a sqrt B + 4 B)) / S; G. Punzi, physics/0308063.

    Args:
        signal: expected events at 1 fb.
        background: expected events.
        a: significance of a discovery.
        b: normal quantile of the exclusion's confidence.

    Example:
        >>> float(sigma_min(np.array([2.0]), np.array([0.0]), 3.0, 1.28155)[0])
        1.5419
        >>> float(sigma_min(np.array([2.0]), np.array([100.0]), 3.0, 1.28155)[0])
        23.4485
    """
    return _numerator(background, a, b) / signal


def _numerator(background: Array, a: float, b: float) -> Array:
    root = np.sqrt(background + _TINY)
    return np.asarray(
        a * a / 8 + 9 * b * b / 13 + a * root + 0.5 * b * np.sqrt(b * b + 4 * a * root + 4 * (background + _TINY))
    )


def sigma_min_derivative(background: Array, a: float, b: float) -> Array:
    """Derivative of the numerator of sigma_min with respect to the background."""
    root = np.sqrt(background + _TINY)
    second = np.sqrt(b * b + 4 * a * root + 4 * (background + _TINY))
    return np.asarray(a / (2 * root) + 0.5 * b * (a / root + 2) / second)


def signal_window(x: Array, weight: Array, n_sigma: float) -> tuple[float, float]:
    """Window of n_sigma core widths around a signal that may have long tails from initial-state radiation.

    Starts from the shortest interval with 38.29 % of the events (one sigma long for a normal distribution), then
    takes the median and half of the central 68.27 % of the events within three widths, five times.

    Example:
        >>> rng = np.random.default_rng(1)
        >>> x = np.concatenate([rng.normal(4.0, 0.3, 7000), 4.0 + rng.exponential(20.0, 3000)])
        >>> low, high = signal_window(x, np.ones(10000), 2.0)
        >>> round((low + high) / 2, 1), round((high - low) / 4, 1)
        (4.0, 0.3)
    """
    order = np.argsort(x, kind="stable")
    x, cumulative = x[order], np.cumsum(weight[order])
    if not len(x) or not cumulative[-1] > 0:
        raise RunError(f"no signal window from {len(x)} events; generate more signal events")
    before = np.concatenate([[0.0], cumulative])

    def quantile(first: int, last: int, q: float) -> float:
        at = before[first] + q * (before[last] - before[first])
        return float(x[min(int(np.searchsorted(cumulative, at)), last - 1)])

    end = np.searchsorted(cumulative, before[:-1] + 0.3829 * cumulative[-1])
    start = np.flatnonzero(end < len(x))
    lengths = x[end[start]] - x[start]
    best = int(np.argmin(lengths))
    centre, width = float(x[start[best]] + 0.5 * lengths[best]), float(lengths[best])
    for _ in range(5):
        first, last = np.searchsorted(x, [centre - 3 * width, centre + 3 * width])
        if last - first < 2:
            break
        low, centre, high = (quantile(first, last, q) for q in (0.15865, 0.5, 0.84135))
        width = 0.5 * (high - low)
    return centre - n_sigma * width, centre + n_sigma * width


@dataclass(frozen=True, eq=False)
class Windows:
    """Events arranged by hypothesis window.

    Attributes:
        signal_point: hypothesis of each signal event, ascending; only events inside their own window.
        signal_weight: expected events at 1 fb.
        first: index of the first background event of each window, in order of the observable.
        last: one past the last.
        background_weight: expected events, in order of the observable.
    """

    signal_point: NDArray[np.int64]
    signal_weight: Array
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    background_weight: Array

    @property
    def n_points(self) -> int:
        """Number of hypotheses."""
        return len(self.first)

    @staticmethod
    def arrange(
        windows: Sequence[tuple[float, float]],
        signal_x: Sequence[Array],
        signal_weight: Sequence[Array],
        background_x: Array,
        background_weight: Array,
    ) -> tuple[Windows, NDArray[np.int64], NDArray[np.int64]]:
        """Arrange events; also returns the indices of the signal (concatenated) and background events in use."""
        inside, points, weights, offset = [], [], [], 0
        for k, ((low, high), x, w) in enumerate(zip(windows, signal_x, signal_weight, strict=True)):
            index = np.flatnonzero((x >= low) & (x <= high))
            inside.append(index + offset)
            points.append(np.full(len(index), k))
            weights.append(w[index])
            offset += len(x)
        order = np.argsort(background_x, kind="stable")
        x = background_x[order]
        first = np.searchsorted(x, [w[0] for w in windows], side="left")
        last = np.searchsorted(x, [w[1] for w in windows], side="right")
        # events outside every window do not matter
        used = np.zeros(len(x) + 1)
        np.add.at(used, first, 1)
        np.add.at(used, last, -1)
        mask = np.cumsum(used[:-1]) > 0
        before = np.concatenate([[0], np.cumsum(mask)])
        arranged = Windows(
            np.concatenate(points), np.concatenate(weights), before[first], before[last],
            background_weight[order][mask],
        )  # fmt: skip
        return arranged, np.concatenate(inside), order[mask]


def window_sums(windows: Windows, signal: Array, background: Array) -> tuple[Array, Array, Array]:
    """Signal, background and variance of the simulated background of each hypothesis.

    Args:
        windows: the events.
        signal: response (or 0/1 decision) of each signal event.
        background: response (or 0/1 decision) of each background event.
    """
    s = np.bincount(windows.signal_point, weights=windows.signal_weight * signal, minlength=windows.n_points)
    counted = windows.background_weight * background
    return s.astype(np.float64), _window_total(windows, counted), _window_total(windows, counted * counted)


def _window_total(windows: Windows, values: Array) -> Array:
    running = np.concatenate([[0.0], np.cumsum(values)])
    # differences of a running sum may come out slightly below zero
    return np.asarray(np.maximum(running[windows.last] - running[windows.first], 0.0))


def spread_over_windows(windows: Windows, per_window: Array) -> Array:
    """Per background event the sum over the windows that hold it of a number per window."""
    steps = np.zeros(len(windows.background_weight) + 1)
    np.add.at(steps, windows.first, per_window)
    np.add.at(steps, windows.last, -per_window)
    return np.asarray(np.cumsum(steps[:-1]))


def punzi_loss(
    windows: Windows,
    signal: Array,
    background: Array,
    a: float,
    b: float,
    average: str,
    background_error: float = 0.0,
) -> tuple[float, Array, Array]:
    """Average over hypotheses of sigma_min or of its logarithm, with its gradient.

    The responses, between 0 and 1, take the place of a cut: every event counts by its response, so that the figure
    of merit is differentiable (F. Abudinen et al., Eur. Phys. J. C 82, 121).

    Args:
        windows: the events.
        signal: responses of the signal events.
        background: responses of the background events.
        a: significance of a discovery.
        b: normal quantile of the exclusion's confidence.
        average: ``log`` or ``linear``.
        background_error: standard deviations of the simulated background added to it, so that removing the last few
            heavy events of a window does not pay.

    Returns:
        the loss and its derivatives with respect to the responses of signal and background events.
    """
    s, bkg, variance = window_sums(windows, signal, background)
    s = s + 1e-12 * np.max(s, initial=1e-300)
    sd = np.sqrt(variance + _TINY * _TINY)
    raised = bkg + background_error * sd
    top, slope = _numerator(raised, a, b), sigma_min_derivative(raised, a, b)
    n = windows.n_points
    if average == "log":
        loss = float(np.sum(np.log(top / s))) / n
        d_s, d_b = -1.0 / (s * n), slope / (top * n)
    else:
        loss = float(np.sum(top / s)) / n
        d_s, d_b = -top / (s * s * n), slope / (s * n)
    w = windows.background_weight
    # a window without simulated background has an infinite slope, which no event feels: kept out of the running sums,
    # where it would drown the slopes of the others
    d_b = np.where(variance > 0, d_b, 0.0)
    grad_background = spread_over_windows(windows, d_b) * w
    if background_error:
        grad_background += spread_over_windows(windows, d_b * background_error / sd) * background * w * w
    grad_signal = d_s[windows.signal_point] * windows.signal_weight
    return loss, grad_signal, grad_background
