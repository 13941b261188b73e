"""Signal injection: does the fit return what was put in, with the error that it says?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from darkfactory.core.errors import RunError
from darkfactory.core.seeds import generator
from darkfactory.stats.bestfit import fit_many, lower_bounds
from darkfactory.stats.histfactory import compile_workspace
from darkfactory.stats.lint import signal_and_background
from darkfactory.stats.newton import Backend, fit
from darkfactory.stats.scan import base_fits
from darkfactory.stats.toys import sample_data

__all__ = ["Injection", "expected_error", "injection", "linear_response"]

_BLOCK = 512
_AT_BOUND = 0.05


@dataclass(frozen=True)
class Injection:
    """Fits of pseudo-experiments with a known signal.

    Attributes:
        injected: signal strength put in.
        strength: same in expected errors.
        fitted: mean of the fitted strengths; its error is ``fitted_error``.
        spread: their standard deviation.
        bias: mean of (fitted - injected); in expected errors ``bias_sigma``, with ``bias_error``.
        pull: mean of (fitted - injected) over each fit's own error; its error is ``pull_error``.
        pull_width: standard deviation of that; its error is ``pull_width_error``.
        toys: fits that converged.
        failed: fits that did not.
        at_bound: fraction of fits stopped where a bin expects nothing.
    """

    injected: float
    strength: float
    fitted: float
    fitted_error: float
    spread: float
    bias: float
    bias_sigma: float
    bias_error: float
    pull: float
    pull_error: float
    pull_width: float
    pull_width_error: float
    toys: int
    failed: int
    at_bound: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-like form: a number that does not exist is None."""
        return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in asdict(self).items()}


def expected_error(spec: Mapping[str, Any]) -> float:
    """Expected error of the signal strength without signal, at least one signal event.

    It is that of the Asimov set of the fit without signal. Where next to nothing is expected, a fraction of an event
    has a large curvature there, and no meaning.

    Example:
        >>> from darkfactory.stats.examples import counting_window
        >>> expected_error(counting_window(100, 100.0, signal=5.0))
        2.0
    """
    _, m = compile_workspace(spec)
    base = base_fits(m, m.observed)
    held = ~m.fixed
    held[:, m.structure.poi] = False
    at_null = fit(m, base.asimov, base.null.theta, held, max_iterations=20)
    curvature, slope = float(at_null.curvature[0]), float(at_null.slope[0])
    if not base.null.converged[0]:
        raise RunError("signal injection: the fit without signal does not converge; look at the lint warnings")
    event = 1 / max(float(signal_and_background(spec)[0].sum()), 1e-300)
    if curvature > 0:
        return max(1 / math.sqrt(curvature), event)
    if slope > 0:
        return max(1 / slope, event)
    raise RunError("signal injection: the workspace has no sensitivity to its signal")


def injection(
    spec: Mapping[str, Any],
    strengths: Sequence[float],
    *,
    toys: int,
    seed: int,
    path: Sequence[str | int] = ("stats", "injection"),
    backend: Backend = "numpy",
) -> list[Injection]:
    """Inject signals into pseudo-data of the background fit and fit them.

    Args:
        spec: complete workspace.
        strengths: injected signals in expected errors.
        toys: pseudo-experiments each.
        seed: campaign seed.
        path: place in the seed tree.
        backend: of the fits.

    Raises:
        UnsupportedModel: a workspace that the engine does not take.
        RunError: no fit without signal, or no sensitivity.

    Example:
        >>> from darkfactory.stats.examples import counting_window
        >>> [found] = injection(counting_window(400, 400.0), [2.0], toys=500, seed=1)
        >>> found.injected, abs(found.bias) < 4 * found.fitted_error
        (40.0, True)
    """
    _, m = compile_workspace(spec)
    unit = expected_error(spec)
    null = base_fits(m, m.observed).null
    poi = m.structure.poi
    lower = lower_bounds(m)
    result = []
    for strength in strengths:
        mu = strength * unit
        truth = null.theta.copy()
        truth[:, poi] = mu
        data = sample_data(m, truth, null.gammas, toys, generator(seed, *path, f"strength{float(strength)!r}"))
        parts = []
        for start in range(0, toys, _BLOCK):
            part = np.arange(start, min(start + _BLOCK, toys))
            zeros = np.zeros(len(part), dtype=np.intp)
            theta, _, sigma, ok, _ = fit_many(
                m.take(zeros),
                data.take(part),
                np.repeat(truth, len(part), axis=0),
                lower=lower[zeros],
                backend=backend,
            )
            parts.append(np.stack([theta[ok, poi], sigma[ok]], axis=1))
        fits = np.concatenate(parts)
        result.append(_summary(fits, mu, strength, unit, toys, float(lower[0, poi])))
    return result


def _summary(fits: np.ndarray, mu: float, strength: float, unit: float, toys: int, wall: float) -> Injection:
    n = len(fits)
    nan = math.nan
    if n < 2:
        return Injection(mu, strength, nan, nan, nan, nan, nan, nan, nan, nan, nan, nan, n, toys - n, nan)
    best = fits[:, 0]
    spread = float(best.std(ddof=1))
    bias = float(best.mean()) - mu
    stopped = best <= wall + 1e-9 * abs(wall)
    own = fits[:, 1]
    usable = np.isfinite(own) & ~stopped
    pulls = (best[usable] - mu) / own[usable]
    k = len(pulls)
    return Injection(
        injected=mu,
        strength=float(strength),
        fitted=float(best.mean()),
        fitted_error=spread / math.sqrt(n),
        spread=spread,
        bias=bias,
        bias_sigma=bias / unit,
        bias_error=spread / math.sqrt(n) / unit,
        pull=float(pulls.mean()) if k else nan,
        pull_error=float(pulls.std(ddof=1)) / math.sqrt(k) if k > 1 else nan,
        pull_width=float(pulls.std(ddof=1)) if k > 1 else nan,
        pull_width_error=float(pulls.std(ddof=1)) / math.sqrt(2 * (k - 1)) if k > 1 else nan,
        toys=n,
        failed=toys - n,
        at_bound=float(stopped.mean()),
    )


def linear_response(points: Sequence[Injection]) -> tuple[float, float, float, float]:
    """Weighted straight line of fitted against injected strength: slope, its error, offset, its error.

    Points where more than one fit in twenty stopped at the wall are left out while two others remain: a fit that may
    not go below zero is not linear there.

    Example:
        >>> point = Injection(0, 0, 0.1, 0.1, 1, 0, 0, 0, 0, 0, 1, 0, 10, 0, 0)
        >>> more = Injection(2, 2, 2.1, 0.1, 1, 0, 0, 0, 0, 0, 1, 0, 10, 0, 0)
        >>> [round(v, 3) for v in linear_response([point, more])]
        [1.0, 0.071, 0.1, 0.1]
    """
    good = [p for p in points if math.isfinite(p.fitted) and p.fitted_error > 0]
    inside = [p for p in good if p.at_bound <= _AT_BOUND]
    good = inside if len({p.injected for p in inside}) >= 2 else good
    if len({p.injected for p in good}) < 2:
        return math.nan, math.nan, math.nan, math.nan
    x, y = np.array([p.injected for p in good]), np.array([p.fitted for p in good])
    w = 1 / np.array([p.fitted_error for p in good]) ** 2
    s, sx, sy, sxx, sxy = w.sum(), (w * x).sum(), (w * y).sum(), (w * x * x).sum(), (w * x * y).sum()
    d = s * sxx - sx * sx
    return float((s * sxy - sx * sy) / d), math.sqrt(s / d), float((sxx * sy - sx * sxy) / d), math.sqrt(sxx / d)
