"""Impacts: how far the signal strength moves with each nuisance parameter, and what its error is made of."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from darkfactory.stats.bestfit import BestFit
from darkfactory.stats.histfactory import FloatArray
from darkfactory.stats.newton import fit

__all__ = ["ErrorParts", "Impact", "error_parts", "impacts"]


@dataclass(frozen=True)
class Impact:
    """What one parameter does to the signal strength.

    Attributes:
        name: parameter.
        pull: (best fit - nominal) over the constraint's width; None for a free parameter.
        constraint: error after the fit over the constraint's width; None for a free parameter.
        prefit: changes of the signal strength when the parameter is moved down and up by its width before the fit.
        postfit: same by its error after the fit.
    """

    name: str
    pull: float | None
    constraint: float | None
    prefit: tuple[float, float] | None
    postfit: tuple[float, float]

    @property
    def size(self) -> float:
        """Larger of the two changes after the fit."""
        return max(abs(v) for v in self.postfit)


@dataclass(frozen=True)
class ErrorParts:
    """The error of the signal strength and what it is made of, in quadrature.

    Attributes:
        total: from the curvature, all parameters free.
        statistical: constrained parameters held at the best fit.
        per_bin: from the per-bin factors alone (statistics of simulation).
        nuisances: from all other constrained parameters.
    """

    total: float
    statistical: float
    per_bin: float
    nuisances: float


def _widths(found: BestFit) -> FloatArray:
    """Width of each constraint; NaN where there is none."""
    m = found.batch
    kinds = np.array(m.structure.kinds)
    width = m.width[0]
    with np.errstate(all="ignore"):
        # a Poisson constraint of factor tau is as wide as 1 / sqrt(tau)
        result = np.where(kinds == "normal", width, np.where(kinds == "poisson", 1 / np.sqrt(width), np.nan))
    return np.asarray(result)


def impacts(found: BestFit) -> list[Impact]:
    """Impacts of all parameters beside the signal strength, the largest first.

    Each parameter is held at its best fit plus and minus its width before and after the fit (inside its bounds), and
    everything else is fitted again.

    Example:
        >>> from darkfactory.stats.bestfit import best_fit
        >>> from darkfactory.stats.examples import counting_window
        >>> ranked = impacts(best_fit(counting_window(120, 100.0, 0.1, signal_error=0.05)))
        >>> [i.name for i in ranked], [round(v, 2) for v in ranked[0].prefit]
        (['background_norm', 'signal_norm'], [9.09, -10.00])
    """
    m, s = found.batch, found.batch.structure
    wanted = [i for i in range(len(s.names)) if i != s.poi and found.moves[i]]
    if not wanted:
        return []
    width = _widths(found)
    after = np.sqrt(np.maximum(np.diag(found.covariance), 0.0))
    steps: list[tuple[int, float]] = []
    for i in wanted:
        steps += [(i, -after[i]), (i, after[i])]
        steps += [(i, -width[i]), (i, width[i])] if math.isfinite(width[i]) else []
    n = len(steps)
    many = m.take(np.zeros(n, dtype=np.intp))
    data = m.observed.take(np.zeros(n, dtype=np.intp))
    start = np.repeat(found.theta, n, axis=0)
    lo, hi = np.repeat(found.lower, n, axis=0), many.hi.copy()
    hi[:, s.poi] = np.inf
    free = ~many.fixed
    for row, (i, step) in enumerate(steps):
        start[row, i] = min(max(start[row, i] + step, float(m.lo[0, i])), float(m.hi[0, i]))
        free[row, i] = False
    moved = fit(many, data, start, free, lo=lo, hi=hi, tolerance=1e-12)
    change = np.where(moved.converged, moved.theta[:, s.poi] - found.mu, np.nan)
    result, row = [], 0
    for i in wanted:
        post = (float(change[row]), float(change[row + 1]))
        row += 2
        pre = pull = constraint = None
        if math.isfinite(width[i]):
            pre = (float(change[row]), float(change[row + 1]))
            row += 2
            nominal = m.observed.aux[0, i] / (m.width[0, i] if s.kinds[i] == "poisson" else 1.0)
            pull = float((found.theta[0, i] - nominal) / width[i])
            constraint = float(after[i] / width[i])
        result.append(Impact(s.names[i], pull, constraint, pre, post))
    return sorted(result, key=lambda r: (-r.size if math.isfinite(r.size) else 0.0, r.name))


def _sigma(found: BestFit, *, hold_nuisances: bool, hold_per_bin: bool) -> float:
    m, s = found.batch, found.batch.structure
    free = ~m.fixed
    if hold_nuisances:
        free[0] &= np.array([k == "free" for k in s.kinds])
    if hold_per_bin:
        blocks = tuple(replace(b, g_lo=g, g_hi=g) for b, g in zip(m.blocks, found.gammas, strict=True))
        m = replace(m, blocks=blocks)
        # a per-bin factor among the explicit parameters is one too
        free[0] &= np.array(["[" not in name or k == "free" for name, k in zip(s.names, s.kinds, strict=True)])
    hi = m.hi.copy()
    hi[:, s.poi] = np.inf
    result = fit(m, m.observed, found.theta, free, lo=found.lower, hi=hi, tolerance=1e-12)
    curvature = float(result.curvature[0])
    return 1 / math.sqrt(curvature) if curvature > 0 else math.nan


def error_parts(found: BestFit) -> ErrorParts:
    """Error of the signal strength: statistical, from the per-bin factors, from the other nuisance parameters.

    Example:
        >>> from darkfactory.stats.bestfit import best_fit
        >>> from darkfactory.stats.examples import counting_window
        >>> parts = error_parts(best_fit(counting_window(100, 100.0, 0.1)))
        >>> round(parts.total, 2), round(parts.statistical, 2), round(parts.nuisances, 1)
        (13.81, 10.0, 9.5)
    """
    total = _sigma(found, hold_nuisances=False, hold_per_bin=False)
    statistical = _sigma(found, hold_nuisances=True, hold_per_bin=True)
    without = _sigma(found, hold_nuisances=False, hold_per_bin=True)

    def root(square: float) -> float:
        return math.sqrt(max(square, 0.0)) if math.isfinite(square) else math.nan

    return ErrorParts(total, statistical, root(total**2 - without**2), root(without**2 - statistical**2))
