"""Pseudo-experiments of one signal strength and the tail fractions that they give together.

Those with and those without signal are used as one sample of their mixture: each counts in both tail fractions, with
the probability of having come from either hypothesis (multiple importance sampling with the balance heuristic, Veach
and Guibas 1995). A tail that one hypothesis hardly reaches is then known from the other one's pseudo-experiments: where
a window without background stays empty, CLs is exp(-s) with one toy, not with as many as have to fall there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from darkfactory.core.errors import RunError
from darkfactory.stats.asymptotics import BAND
from darkfactory.stats.histfactory import Batch, Data, FloatArray
from darkfactory.stats.likelihood import expected

__all__ = ["ToySample", "log_ratio"]

_FAR = 700.0


@dataclass(frozen=True)
class ToySample:
    """Test statistics of pseudo-experiments at one signal strength; samples of different chunks add up.

    Attributes:
        mu: tested signal strength.
        q_signal: qtilde of pseudo-experiments with signal of that strength.
        q_background: qtilde of pseudo-experiments without signal.
        ratio_signal: logarithm of the probability of each of the former with signal over that without.
        ratio_background: the same of each of the latter.
        failed: pseudo-experiments whose fits did not converge, left out of both.
    """

    mu: float
    q_signal: FloatArray
    q_background: FloatArray
    ratio_signal: FloatArray
    ratio_background: FloatArray
    failed: int = 0

    def __add__(self, other: ToySample) -> ToySample:
        """Merge two samples of one signal strength."""
        if self.mu != other.mu:
            raise RunError(f"toys at signal strengths {self.mu} and {other.mu} cannot be merged; keep them apart")
        return ToySample(
            self.mu,
            np.concatenate([self.q_signal, other.q_signal]),
            np.concatenate([self.q_background, other.q_background]),
            np.concatenate([self.ratio_signal, other.ratio_signal]),
            np.concatenate([self.ratio_background, other.ratio_background]),
            self.failed + other.failed,
        )

    def _mixture(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Test statistics of all pseudo-experiments and their weights with and without signal.

        Each weight adds up to about one. They are not normalised: the ratio of two tails is then exact
        where it is the same for every toy in them.
        """
        q = np.concatenate([self.q_signal, self.q_background])
        ratio = np.clip(np.concatenate([self.ratio_signal, self.ratio_background]), -_FAR, _FAR)
        n_s, n_b = len(self.q_signal), len(self.q_background)
        return q, 1 / (n_s + n_b * np.exp(-ratio)), 1 / (n_s * np.exp(ratio) + n_b)

    def cls(self, q: float) -> float:
        """CLs of an observed qtilde: the ratio of the tail fractions with and without signal.

        Example:
            Far apart hypotheses are counted one by one:

            >>> far = np.full(4, 50.0), np.full(2, -50.0)
            >>> round(ToySample(1.0, np.array([0.0, 1.0, 2.0, 3.0]), np.array([1.0, 3.0]), *far).cls(3.0), 12)
            0.5
        """
        return self.cls_and_error(q)[0]

    def cls_and_error(self, q: float) -> tuple[float, float]:
        """CLs of an observed qtilde and its statistical standard deviation.

        Example:
            3 events of signal on no background, none seen: every toy without signal has CLs = exp(-3)

            >>> s = ToySample(3.0, np.array([0.0, 0.0]), np.array([6.0, 6.0]), np.array([9.0, 9.0]), np.full(2, -3.0))
            >>> [round(v, 4) for v in s.cls_and_error(6.0)]
            [0.0498, 0.0]
        """
        values, with_signal, without = self._mixture()
        # the tolerance keeps toys that equal the observation inside the tail whatever the rounding
        tail = values >= q - 1e-9 * (1 + q)
        below = float(without[tail].sum())
        if below <= 0:
            return 0.0, 0.0
        cls = float(with_signal[tail].sum()) / below
        residual = np.where(tail, with_signal - cls * without, 0.0)
        variance = 0.0
        for part in np.split(residual, [len(self.q_signal)]):
            variance += len(part) * float(part.var()) if len(part) else 0.0
        return cls, float(np.sqrt(variance)) / below

    def cls_quantiles(self) -> FloatArray:
        """CLs at the -2 to +2 standard deviation quantiles of the background-only pseudo-experiments.

        Example:
            >>> same = np.zeros(4), np.zeros(4)
            >>> ToySample(1.0, np.arange(4.0), np.arange(4.0), *same).cls_quantiles().round(12).tolist()
            [1.0, 1.0, 1.0, 1.0, 1.0]
        """
        values, _, without = self._mixture()
        order = np.argsort(-values, kind="stable")
        # a downward fluctuation makes a large qtilde, hence a small CLs
        above = np.cumsum(without[order])
        at = np.minimum(np.searchsorted(above, ndtr(np.array(BAND, dtype=float)), side="right"), len(order) - 1)
        found = np.array([self.cls(float(q)) for q in values[order][at]])
        # an expectation further up is no smaller, whatever the noise of two tail fractions says: from the median, the
        # best known of them, outwards, so that one toy in a far tail moves no other expectation
        middle = len(BAND) // 2
        found[middle:] = np.maximum.accumulate(found[middle:])
        found[middle::-1] = np.minimum.accumulate(found[middle::-1])
        return found


def log_ratio(
    m: Batch,
    data: Data,
    with_signal: tuple[FloatArray, tuple[FloatArray, ...]],
    without: tuple[FloatArray, tuple[FloatArray, ...]],
) -> FloatArray:
    """Logarithm of the ratio of two probabilities of pseudo-data, auxiliary data included.

    Args:
        m: one compiled window.
        data: n pseudo-experiments.
        with_signal: parameters (1, parameters) and per-bin factors of the numerator.
        without: of the denominator.

    Returns:
        (n,); infinite where the denominator cannot give the data.

    Example:
        >>> from darkfactory.stats.histfactory import compile_workspace
        >>> from darkfactory.stats.examples import counting_window
        >>> spec = counting_window(0, 1.0, signal=3.0)
        >>> _, batch = compile_workspace(spec)
        >>> one = (np.ones((1, 1)),)
        >>> float(log_ratio(batch, batch.observed, (np.array([[1.0]]), one), (np.array([[0.0]]), one))[0])
        -3.0
    """
    s = m.structure
    (theta_1, gammas_1), (theta_0, gammas_0) = with_signal, without
    total = np.zeros(len(data.aux))
    rates = zip(expected(m, theta_1, gammas_1), expected(m, theta_0, gammas_0), strict=True)
    for i, (nu_1, nu_0) in enumerate(rates):
        block, b, d = s.blocks[i], m.blocks[i], data.blocks[i]
        total += _poisson(d.counts, np.maximum(nu_1[0], 0.0), np.maximum(nu_0[0], 0.0)).sum(axis=1)
        moving = b.g_hi[0] > b.g_lo[0]
        g_1, g_0, width = gammas_1[i][0], gammas_0[i][0], b.g_width[0]
        if block.gamma == "normal":
            term = _normal(d.g_aux, g_1, g_0, np.where(moving, width, 1.0))
        elif block.gamma == "poisson":
            term = _poisson(d.g_aux, g_1 * width, g_0 * width)
        else:
            continue
        total += np.where(moving, term, 0.0).sum(axis=1)
    for i, kind in enumerate(s.kinds):
        if m.fixed[0, i]:
            continue
        a, t_1, t_0, width = data.aux[:, i], theta_1[0, i], theta_0[0, i], m.width[0, i]
        if kind == "normal":
            total += _normal(a, t_1, t_0, width)
        elif kind == "poisson":
            total += _poisson(a, t_1 * width, t_0 * width)
    return total


def _poisson(n: FloatArray, one: FloatArray, zero: FloatArray) -> FloatArray:
    """Logarithm of the ratio of two Poisson probabilities; infinite where only one rate is zero and n is not."""
    with np.errstate(divide="ignore", invalid="ignore"):
        change = np.where(n > 0, n * (np.log(one) - np.log(zero)), 0.0)
    # neither can give the data: no preference
    return np.asarray(np.where(np.isnan(change), 0.0, change) - (one - zero))


def _normal(a: FloatArray, one: FloatArray, zero: FloatArray, width: FloatArray) -> FloatArray:
    """Logarithm of the ratio of two Gaussian densities of one width."""
    return np.asarray((one - zero) * (a - 0.5 * (one + zero)) / width**2)
