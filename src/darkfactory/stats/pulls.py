"""Pulls of the constrained nuisance parameters at the best fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from darkfactory.stats.histfactory import compile_workspace
from darkfactory.stats.likelihood import evaluate, expected
from darkfactory.stats.newton import solve_damped
from darkfactory.stats.scan import base_fits

__all__ = ["fitted_counts", "nuisance_pulls"]


def nuisance_pulls(spec: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """Pull and width after the fit of every Gaussian nuisance, in units of its constraint, signal free.

    Per-bin factors are profiled; parameters at a bound do not move.

    Args:
        spec: complete workspace with its observation.

    Returns:
        By parameter: (best fit - nominal) / sigma and its error / sigma; empty where the fit fails.

    Raises:
        UnsupportedModel: a workspace that the engine does not take.

    Example:
        >>> spec = {"channels": [{"name": "sr", "samples": [
        ...     {"name": "s", "data": [1.0, 0.0], "modifiers": [{"name": "mu", "type": "normfactor", "data": None}]},
        ...     {"name": "b", "data": [9.0, 100.0], "modifiers": [
        ...         {"name": "n", "type": "normsys", "data": {"lo": 0.9, "hi": 1.1}}]}]}],
        ...     "observations": [{"name": "sr", "data": [9.0, 100.0]}], "version": "1.0.0",
        ...     "measurements": [{"name": "m", "config": {"poi": "mu", "parameters": []}}]}
        >>> pull, width = nuisance_pulls(spec)["n"]
        >>> abs(round(pull, 6)), round(width, 2)
        (0.0, 0.7)
    """
    _, m = compile_workspace(spec)
    best = base_fits(m, m.observed).free
    if not best.converged[0]:
        return {}
    s = m.structure
    e = evaluate(m, m.observed, best.theta)
    inside = (best.theta > m.lo) & (best.theta < m.hi)
    inside[:, s.poi] = best.theta[:, s.poi] > m.lo[:, s.poi]
    active = ~m.fixed & inside
    covariance = solve_damped(e.hessian, np.eye(len(s.names))[None], active, np.zeros(1))[0]
    found = {}
    for i, (name, kind) in enumerate(zip(s.names, s.kinds, strict=True)):
        if kind != "normal" or m.fixed[0, i]:
            continue
        width = float(m.width[0, i])
        pull = float(best.theta[0, i] - m.observed.aux[0, i]) / width
        found[name] = (pull, float(np.sqrt(max(covariance[i, i], 0.0))) / width)
    return found


def fitted_counts(spec: Mapping[str, Any]) -> dict[str, dict[str, list[float]]]:
    """Observed counts, the fit of data with the signal free, and its background part, by channel.

    Args:
        spec: complete workspace with its observation.

    Returns:
        By channel: ``observed``, ``fit`` and ``background`` (the fit with its signal taken away); empty where the fit
        fails.

    Raises:
        UnsupportedModel: a workspace that the engine does not take.

    Example:
        >>> from darkfactory.stats.examples import counting_window
        >>> spec = counting_window(9, 5.0, signal=2.0)
        >>> {k: [round(v, 6) for v in c] for k, c in fitted_counts(spec)["sr"].items()}
        {'observed': [9.0], 'fit': [9.0], 'background': [5.0]}
    """
    _, m = compile_workspace(spec)
    best = base_fits(m, m.observed).free
    if not best.converged[0]:
        return {}
    without = best.theta.copy()
    without[:, m.structure.poi] = 0.0
    fit, background = expected(m, best.theta, best.gammas), expected(m, without, best.gammas)
    return {
        block.name: {
            "observed": m.observed.blocks[i].counts[0].tolist(),
            "fit": fit[i][0].tolist(),
            "background": background[i][0].tolist(),
        }
        for i, block in enumerate(m.structure.blocks)
    }
