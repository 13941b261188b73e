"""Limits searched in stock pyhf alone: slow, for what the engine refuses or its certificate does not confirm."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyhf
from scipy.optimize import brentq

from darkfactory.stats.certificate import STOCK_TOLERANCE, Claim, PyhfWindow, recipe, rescaled
from darkfactory.stats.histfactory import UnsupportedModel
from darkfactory.stats.lint import signal_and_background
from darkfactory.stats.optimizer import pyhf_backend

__all__ = ["StockLimits", "stock_limits"]

_POI_HIGH = 200.0


@dataclass(frozen=True)
class StockLimits:
    """What stock pyhf found, in units of the workspace's parameter of interest.

    Attributes:
        claims: limits at each level; empty unless status is ``ok``.
        status: ``ok``, ``no_sensitivity``, ``not_bracketed`` or ``fit_failed``.
        mu_hat: best fit.
        q0: discovery test statistic.
        certificate: recipe and closure.
    """

    claims: tuple[Claim, ...]
    status: str
    mu_hat: float | None
    q0: float | None
    certificate: Mapping[str, Any]


def _unit(spec: Mapping[str, Any]) -> float:
    """Analytic guess of the limit: two standard deviations of a weighted count, or three events without background."""
    s, b = signal_and_background(spec)
    s, b = np.maximum(s, 0.0), np.maximum(b, 0.0)
    if not s.sum() > 0:
        return math.nan
    floor = 1e-9 * max(1.0, float(b.sum()))
    information = float(np.sum(s**2 / np.maximum(b, floor)))
    return max(2 / math.sqrt(information), 3.0 / float(s.sum()) if b.sum() < 10 else 0.0)


def stock_limits(
    spec: Mapping[str, Any],
    cls: Sequence[float],
    *,
    max_parameters: int | None = None,
    evaluations: int | None = None,
) -> StockLimits:
    """Search observed and expected limits with pyhf's own ``hypotest`` and SLSQP at a tight tolerance.

    Args:
        spec: complete workspace.
        cls: confidence levels.
        max_parameters: models with more, per-bin factors included, are not tried (``fit_failed``).
        evaluations: of pyhf's density after which the search is given up (``fit_failed``).

    Returns:
        The limits with their status; never an edge of the search, never NaN.

    Example:
        >>> from darkfactory.stats.examples import counting_window
        >>> spec = counting_window(100, 100.0, signal=10.0)
        >>> round(stock_limits(spec, [0.95]).claims[0].observed, 3)
        2.09
    """
    unit = _unit(spec)
    if not math.isfinite(unit):
        return StockLimits((), "no_sensitivity", None, None, {})
    factor = unit
    try:
        scaled = rescaled(spec, factor)
    except UnsupportedModel:
        scaled, factor = dict(spec), 1.0
    window = PyhfWindow(scaled, max(_POI_HIGH, 100 * unit / factor), evaluations)
    certificate: dict[str, Any] = {
        "recipe": recipe(window.poi_high, factor),
        "confirmed_by": f"searched in stock pyhf, SLSQP tolerance {STOCK_TOLERANCE:g}",
    }
    npars = int(window.model.config.npars)
    if max_parameters is not None and npars > max_parameters:
        reason = f"not tried: {npars} parameters, certificate.stock_max_parameters is {max_parameters}"
        return StockLimits((), "fit_failed", None, None, {**certificate, "failed": reason})
    with pyhf_backend(pyhf.optimize.scipy_optimizer(tolerance=STOCK_TOLERANCE)):
        try:
            claims, mu_hat, q0, worst = _search(window, cls, unit / factor)
        except (pyhf.exceptions.FailedMinimization, ValueError) as error:
            return StockLimits((), "fit_failed", None, None, {**certificate, "failed": str(error)[:200]})
    if claims is None:
        return StockLimits((), "not_bracketed", mu_hat * factor, q0, certificate)
    scaled_back = tuple(Claim(c.cl, c.observed * factor, tuple(v * factor for v in c.expected)) for c in claims)
    certificate |= {"cls_deviation": worst, "passed": worst < 1e-6}
    return StockLimits(scaled_back, "ok", mu_hat * factor, q0, certificate)


def _search(window: PyhfWindow, cls: Sequence[float], start: float) -> tuple[list[Claim] | None, float, float, float]:
    known: dict[float, np.ndarray] = {}

    def evaluate(mu: float) -> np.ndarray:
        if mu not in known:
            observed, band, _ = window.hypotest(mu)
            known[mu] = np.array([observed, *band])
        return known[mu]

    _, _, calculator = window.hypotest(start)
    fits = calculator.fitted_pars
    poi = window.model.config.poi_index
    twice = [
        float(pyhf.infer.mle.twice_nll(np.asarray(p), window.data, window.model)[0])
        for p in (fits.asimov_pars, fits.free_fit_to_data)
    ]
    mu_hat, q0 = float(fits.free_fit_to_data[poi]), max(twice[0] - twice[1], 0.0)
    low, high = start, start
    while not np.all(evaluate(high) < 1 - max(cls)):
        high *= 2
        if high > window.poi_high:
            return None, mu_hat, q0, math.nan
    while not np.all(evaluate(low) > 1 - min(cls)):
        low /= 2
        if low < 1e-4 * start:
            return None, mu_hat, q0, math.nan
    claims = []
    worst = 0.0
    for cl in cls:
        values = []
        for k in range(6):
            alpha = 1 - cl
            inside = sorted(known)
            a = max(v for v in inside if known[v][k] > alpha)
            b = min(v for v in inside if known[v][k] <= alpha and v > a)
            root = float(
                brentq(lambda mu, k=k, alpha=alpha: math.log(evaluate(mu)[k] / alpha), a, b, xtol=1e-9 * b, rtol=1e-12)
            )
            worst = max(worst, abs(float(evaluate(root)[k]) / alpha - 1))
            values.append(root)
        claims.append(Claim(cl, values[0], tuple(values[1:])))
    return claims, mu_hat, q0, worst
