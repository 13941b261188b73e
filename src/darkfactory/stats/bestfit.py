"""The best fit of one workspace with its covariance, for diagnostics.

The signal strength may go below zero here, as far as no bin's expectation does: a diagnostic that stops at zero hides
half of what the nuisance parameters do to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from darkfactory.core.errors import RunError
from darkfactory.stats.histfactory import Batch, Data, FloatArray, compile_workspace
from darkfactory.stats.likelihood import asimov, evaluate, expected
from darkfactory.stats.newton import Backend, fit, solve_damped

__all__ = ["BestFit", "best_fit", "correlations", "fit_many", "lower_bounds"]

_MARGIN = 1.0 - 1e-6


@dataclass(frozen=True)
class BestFit:
    """One workspace fitted to its own data.

    Attributes:
        batch: the compiled window.
        theta: best-fit parameters (1, parameters).
        gammas: best-fit per-bin factors of each channel.
        value: half the saturated test statistic at the best fit.
        covariance: of the explicit parameters (parameters, parameters), zero where a parameter does not move.
        moves: parameters that float and are at no bound (parameters,).
        lower: lower bounds used (1, parameters).
    """

    batch: Batch
    theta: FloatArray
    gammas: tuple[FloatArray, ...]
    value: float
    covariance: FloatArray
    moves: np.ndarray
    lower: FloatArray

    @property
    def mu(self) -> float:
        """Best-fit signal strength."""
        return float(self.theta[0, self.batch.structure.poi])

    @property
    def sigma(self) -> float:
        """Its error from the curvature."""
        poi = self.batch.structure.poi
        return float(np.sqrt(max(self.covariance[poi, poi], 0.0)))


def lower_bounds(m: Batch) -> FloatArray:
    """Lower bounds with the signal strength free down to where the first bin of the signal expects nothing.

    Bins with less than a thousandth of the fullest signal bin are not asked.

    Example:
        >>> from darkfactory.stats.examples import counting_window
        >>> _, m = compile_workspace(counting_window(3, 2.0, signal=4.0))
        >>> round(float(lower_bounds(m)[0, 0]), 5)
        -0.5
    """
    poi = m.structure.poi
    without, one = m.init.copy(), m.init.copy()
    without[:, poi], one[:, poi] = 0.0, 1.0
    gammas = tuple(b.g_init for b in m.blocks)
    background = np.concatenate(expected(m, without, gammas), axis=1)
    signal = np.concatenate(expected(m, one, gammas), axis=1) - background
    asked = signal > 1e-3 * signal.max(axis=1, keepdims=True)
    with np.errstate(all="ignore"):
        wall = np.where(asked, -np.maximum(background, 0.0) / np.where(asked, signal, 1.0), -np.inf).max(axis=1)
    lo = m.lo.copy()
    lo[:, poi] = np.where(np.isfinite(wall), np.minimum(_MARGIN * wall, lo[:, poi]), lo[:, poi])
    return lo


def fit_many(
    m: Batch,
    data: Data,
    start: FloatArray,
    *,
    signal: bool = True,
    lower: FloatArray | None = None,
    backend: Backend = "numpy",
) -> tuple[FloatArray, FloatArray, FloatArray, np.ndarray, tuple[FloatArray, ...]]:
    """Fit a stack with the signal strength loose on both sides, or at zero.

    Returns:
        Parameters, values, errors of the signal strength from the curvature, converged, per-bin factors.
    """
    poi = m.structure.poi
    free = ~m.fixed
    free[:, poi] = signal
    begin = start.copy()
    if not signal:
        begin[:, poi] = 0.0
    lo = lower_bounds(m) if lower is None else lower
    hi = m.hi.copy()
    hi[:, poi] = np.inf
    found = fit(m, data, begin, free, lo=lo, hi=hi, tolerance=1e-10, backend=backend, physical=True)
    lost = np.flatnonzero(~found.converged)
    if len(lost):
        again = m.init[lost]
        again[:, poi] = 0.0
        second = fit(
            m.take(lost), data.take(lost), again, free[lost], lo=lo[lost], hi=hi[lost], tolerance=1e-10, backend=backend
        )
        found = found.put(lost, second)
    curvature = found.curvature
    with np.errstate(all="ignore"):
        sigma = np.where(curvature > 0, 1 / np.sqrt(np.where(curvature > 0, curvature, 1.0)), np.nan)
    return found.theta, found.value, sigma, found.converged, found.gammas


def best_fit(spec: Mapping[str, Any], *, expected_mu: float | None = None) -> BestFit:
    """Fit a workspace to its observation, or to what it expects.

    Args:
        spec: complete workspace.
        expected_mu: instead of the observation, fit what the model of the fit without signal expects with a signal of
            this strength.

    Raises:
        UnsupportedModel: a workspace that the engine does not take.
        RunError: the fit does not converge.

    Example:
        >>> from darkfactory.stats.examples import counting_window
        >>> found = best_fit(counting_window(3, 9.0, signal=2.0))
        >>> round(found.mu, 6), round(found.sigma, 6)
        (-3.0, 0.866025)
    """
    _, m = compile_workspace(spec)
    lo = lower_bounds(m)
    if expected_mu is not None:
        null, _, _, ok, factors = fit_many(m, m.observed, m.init, signal=False)
        if not ok[0]:
            raise RunError("the fit without signal does not converge; look at the workspace's lint warnings")
        null[:, m.structure.poi] = expected_mu
        m = replace(m, observed=asimov(m, null, factors))
    theta, value, _, converged, gammas = fit_many(m, m.observed, m.init, lower=lo)
    if not converged[0]:
        raise RunError("the best fit does not converge; look at the workspace's lint warnings")
    s = m.structure
    e = evaluate(m, m.observed, theta)
    hi = m.hi.copy()
    hi[:, s.poi] = np.inf
    moves = ~m.fixed & (theta > lo) & (theta < hi)
    covariance = solve_damped(e.hessian, np.eye(len(s.names))[None], moves, np.zeros(1))[0]
    covariance = np.where(moves[0][:, None] & moves[0][None, :], 0.5 * (covariance + covariance.T), 0.0)
    return BestFit(m, theta, gammas, float(value[0]), covariance, moves[0], lo)


def correlations(found: BestFit) -> tuple[list[str], FloatArray]:
    """Names and correlation matrix of the parameters that move, the signal strength first.

    Example:
        >>> from darkfactory.stats.examples import counting_window
        >>> names, matrix = correlations(best_fit(counting_window(100, 100.0, 0.1)))
        >>> names, round(float(matrix[0, 1]), 3)
        (['mu', 'background_norm'], -0.69)
    """
    s = found.batch.structure
    order = [i for i in [s.poi, *(j for j in range(len(s.names)) if j != s.poi)] if found.moves[i]]
    part = found.covariance[np.ix_(order, order)]
    width = np.sqrt(np.maximum(np.diag(part), 1e-300))
    matrix = np.clip(part / width[:, None] / width[None, :], -1.0, 1.0)
    return [s.names[i] for i in order], matrix
