"""Bayesian upper limits with a flat prior in the signal, nuisance parameters marginalised.

For one-bin counting the nuisance parameters are integrated by quadrature; for anything else each point of the profile
gets the Laplace factor of its nuisance parameters (Tierney and Kadane, JASA 81 (1986) 82).
"""

from __future__ import annotations

import numpy as np

from darkfactory.stats.counting import CountingRates
from darkfactory.stats.counting_scan import WindowRates, window_limits
from darkfactory.stats.histfactory import Batch, Data, FloatArray
from darkfactory.stats.likelihood import evaluate
from darkfactory.stats.newton import fit

__all__ = ["bayes_counting_limit", "bayes_limit"]

_GRID = 400


def _credible(mu: FloatArray, log_posterior: FloatArray, cl: float) -> float | None:
    """Upper end of a one-sided credible interval from a posterior on a grid, None if the grid ends too early."""
    p = np.exp(log_posterior - log_posterior.max())
    if p[-1] > 1e-5:
        return None
    cumulative = np.concatenate([[0.0], np.cumsum(0.5 * (p[1:] + p[:-1]) * np.diff(mu))])
    return float(np.interp(cl * cumulative[-1], cumulative, mu))


def bayes_counting_limit(n: float, rates: CountingRates, cl: float) -> float | None:
    """Flat-prior upper limit on the signal strength of a counting experiment.

    Args:
        n: observed events.
        rates: signal and background at the quadrature points of the nuisance parameters.
        cl: credibility.

    Returns:
        The limit in units of the parameter of interest, None without signal.

    Example:
        >>> round(bayes_counting_limit(0, CountingRates(np.array([1.0]), np.array([2.0])), 0.9), 3)
        2.303
    """
    found = window_limits(np.array([n]), WindowRates(rates.signal[None], rates.background[None]), cl, "bayes")
    return float(found[0]) if np.isfinite(found[0]) else None


def bayes_limit(m: Batch, cl: float, sigma: float, *, data: Data | None = None) -> float | None:
    """Flat-prior upper limit of one window, nuisance parameters marginalised in Laplace's approximation.

    Args:
        m: one compiled window.
        cl: credibility.
        sigma: expected error of the signal strength, sets the grid.
        data: data set, default the observation.

    Returns:
        The limit in units of the parameter of interest, None if the posterior does not end.

    Example:
        >>> from darkfactory.stats.histfactory import compile_workspace
        >>> from darkfactory.stats.examples import counting_window
        >>> spec = counting_window(0, 1.0)
        >>> round(bayes_limit(compile_workspace(spec)[1], 0.9, 1.0), 2)
        2.3
    """
    observed = m.observed if data is None else data
    poi = m.structure.poi
    free = ~m.fixed
    free[:, poi] = True
    best = fit(m, observed, m.init, free, hi=np.where(np.arange(m.init.shape[1]) == poi, np.inf, m.hi))
    if not bool(best.converged[0]):
        return None
    top = float(best.theta[0, poi]) + 8 * sigma
    for _ in range(12):
        mu = np.linspace(0.0, top, _GRID)
        many, some = m.take(np.zeros(_GRID, dtype=np.intp)), observed.take(np.zeros(_GRID, dtype=np.intp))
        start = best.theta + (mu - best.theta[0, poi])[:, None] * best.tangent
        start[:, poi] = mu
        held = np.repeat(~m.fixed, _GRID, axis=0)
        held[:, poi] = False
        start = np.where(held, np.clip(start, many.lo, many.hi), start)
        profile = fit(many, some, start, held)
        h = evaluate(many, some, profile.theta).hessian
        # nuisance parameters at a bound or fixed do not contribute a width
        inside = held & (profile.theta > many.lo) & (profile.theta < many.hi)
        both = inside[:, :, None] & inside[:, None, :]
        eye = np.eye(h.shape[1])
        _, logdet = np.linalg.slogdet(np.where(both, h, eye))
        log_posterior = np.where(profile.converged, -profile.value - 0.5 * logdet, -np.inf)
        value = _credible(mu, log_posterior, cl)
        if value is not None:
            return value
        top *= 2
    return None
