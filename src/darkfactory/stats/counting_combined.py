"""CLs of several counts together, nuisance parameters drawn from their constraints, for few events.

The counts n_i are ordered by Q = sum_i n_i ln(1 + s_i/b_i), the likelihood ratio of Poisson counts (T. Junk, Nucl.
Instrum. Meth. A 434 (1999) 435); CLs = P(Q <= Q_obs | s + b) / P(Q <= Q_obs | b), rates averaged over the nuisance
parameters (Cousins and Highland, Nucl. Instrum. Meth. A 320 (1992) 331). With one bin it is the CLs of a count.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaincinv, ndtr, ndtri

from darkfactory.core.errors import InputError
from darkfactory.stats.asymptotics import BAND
from darkfactory.stats.histfactory import Batch, FloatArray
from darkfactory.stats.likelihood import expected

__all__ = ["CombinedCls", "CountRates", "combined_cls", "count_rates"]

# a bin without background: what one event there weighs stays finite
_LEAST_BACKGROUND = 1e-4


@dataclass(frozen=True, eq=False)
class CountRates:
    """Signal (of unit strength) and background counts of bins at drawn nuisance parameters, (draws, bins)."""

    signal: FloatArray
    background: FloatArray


@dataclass(frozen=True)
class CombinedCls:
    """CLs of a signal of unit strength: observed, and for the five expected counts of Q (-2 to +2 sigma)."""

    observed: float
    expected: tuple[float, float, float, float, float]


def count_rates(m: Batch, rng: np.random.Generator, draws: int = 4096) -> CountRates:
    """Rates of all bins of one compiled workspace at nuisance parameters drawn from their constraints.

    Gaussian constraints are truncated at the parameters' bounds; Poisson constraints become gamma distributions.

    Args:
        m: one compiled workspace.
        rng: of the draws.
        draws: how many.

    Raises:
        InputError: a parameter without constraint floats beside the signal's.

    Example:
        >>> from darkfactory.stats.examples import counting_window
        >>> from darkfactory.stats.histfactory import compile_workspace
        >>> batch = compile_workspace(counting_window(3, 2.0, 0.1, signal=4.0))[1]
        >>> rates = count_rates(batch, np.random.default_rng(1))
        >>> rates.signal.shape, round(float(rates.background.mean()), 1), round(float(rates.background.std()), 1)
        ((4096, 1), 2.0, 0.2)
    """
    s = m.structure
    moving = [i for i, k in enumerate(s.kinds) if k != "free" and not m.fixed[0, i]]
    loose = [i for i, k in enumerate(s.kinds) if k == "free" and i != s.poi and not m.fixed[0, i]]
    if loose:
        raise InputError("counts together: a parameter without constraint floats beside the signal; fit this workspace")

    def draw(kind: str, aux: float, width: float, lo: float, hi: float) -> FloatArray:
        u = rng.random(draws)
        if kind == "normal":
            a, b = ndtr((lo - aux) / width), ndtr((hi - aux) / width)
            return np.asarray(aux + width * ndtri(a + u * (b - a)))
        return np.asarray(np.clip(gammaincinv(max(aux, 1e-3), u) / width, lo, hi))

    theta = np.repeat(m.init, draws, axis=0)
    for i in moving:
        theta[:, i] = draw(s.kinds[i], *(float(v[0, i]) for v in (m.observed.aux, m.width, m.lo, m.hi)))
    gammas = []
    for block, numbers, data in zip(s.blocks, m.blocks, m.observed.blocks, strict=True):
        gamma = np.repeat(numbers.g_init, draws, axis=0)
        if block.gamma != "none":
            for j in range(block.nbins):
                if numbers.g_hi[0, j] > numbers.g_lo[0, j]:
                    constraint = (data.g_aux, numbers.g_width, numbers.g_lo, numbers.g_hi)
                    gamma[:, j] = draw(block.gamma, *(float(v[0, j]) for v in constraint))
        gammas.append(gamma)
    many = m.take(np.zeros(draws, dtype=np.intp))
    theta[:, s.poi] = 0.0
    background = np.maximum(np.concatenate(expected(many, theta, tuple(gammas)), axis=1), 0.0)
    theta[:, s.poi] = 1.0
    signal = np.concatenate(expected(many, theta, tuple(gammas)), axis=1) - background
    return CountRates(np.maximum(signal, 0.0), background)


def combined_cls(
    observed: FloatArray, rates: CountRates, strength: FloatArray, rng: np.random.Generator, toys: int = 20000
) -> CombinedCls:
    """CLs of a signal whose bins are scaled by ``strength``.

    Pseudo-counts with the signal are those of the background and the signal's own added, so that the noise of both
    is common; ties in Q count as below.

    Args:
        observed: counts of the bins, (bins,).
        rates: of :func:`count_rates`.
        strength: of each bin, (bins,).
        rng: of the pseudo-counts.
        toys: pseudo-experiments of either hypothesis.

    Example:
        Nothing seen, nothing expected: CLs is exp(-s), 0.05 at three events.

        >>> rates = CountRates(np.full((100, 2), 1.5), np.zeros((100, 2)))
        >>> found = combined_cls(np.zeros(2), rates, np.ones(2), np.random.default_rng(2), 100000)
        >>> round(found.observed, 2), round(found.expected[2], 2)
        (0.05, 0.05)
    """
    mean_s, mean_b = rates.signal.mean(axis=0) * strength, rates.background.mean(axis=0)
    weight = np.log1p(mean_s / np.maximum(mean_b, _LEAST_BACKGROUND))
    which = np.arange(toys) % len(rates.signal)
    below = rng.poisson(rates.background[which])
    above = rng.poisson(rates.signal[which] * strength)
    # rounded, so that equal counts are ties whatever the order of the sum
    q_b = np.sort(np.round(below @ weight, 9))
    q_sb = np.sort(np.round((below + above) @ weight, 9))

    def cls(q: float) -> float:
        b = np.searchsorted(q_b, q, side="right") / toys
        return float(np.searchsorted(q_sb, q, side="right") / toys / max(b, 1 / toys))

    levels = ndtr(np.asarray(BAND, dtype=float))
    quantiles = [float(q_b[min(int(np.ceil(level * toys)) - 1, toys - 1)]) for level in levels]
    band = [cls(q) for q in quantiles]
    return CombinedCls(cls(float(np.round(observed @ weight, 9))), (band[0], band[1], band[2], band[3], band[4]))
