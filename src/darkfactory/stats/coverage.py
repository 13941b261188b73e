"""Coverage of upper limits: how often pseudo-data with a known signal leave that signal allowed.

Main and auxiliary data are drawn at the workspace's nominal parameters with a signal of known strength. A limit is
above the true strength exactly where CLs of that strength is above 1 - cl, since CLs falls with the strength: one test
at the truth replaces a search for the limit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from darkfactory.config.statistics import StatisticsConfig
from darkfactory.core.errors import InputError
from darkfactory.core.seeds import generator
from darkfactory.stats.asymptotics import log_cls
from darkfactory.stats.counting import CountingRates, cdf, counting_rates, is_counting
from darkfactory.stats.histfactory import Batch, Data, FloatArray, compile_workspace
from darkfactory.stats.likelihood import expected
from darkfactory.stats.limits import choose_method, fit_backend
from darkfactory.stats.lint import effective_background
from darkfactory.stats.newton import Backend, fit
from darkfactory.stats.scan import base_fits
from darkfactory.stats.toys import observed_qtilde, sample_data, toy_sample

__all__ = ["Coverage", "asymptotic_cls", "coverage", "coverage_at", "coverage_of"]

BoolArray = npt.NDArray[np.bool_]
_BLOCK = 512
_SPENT = "the coverage of {method} limits is not simulated; allowed are asymptotic, toys and exact"


@dataclass(frozen=True)
class Coverage:
    """How often a true signal was below its upper limit.

    Attributes:
        mu: true signal strength.
        signal: its events over all bins.
        background: expected background events in the signal region.
        method: how the limits were made.
        cl: nominal level.
        toys: pseudo-data sets with a limit.
        covered: those whose limit is at or above the truth.
        failed: pseudo-data sets without a limit, left out.
    """

    mu: float
    signal: float
    background: float
    method: str
    cl: float
    toys: int
    covered: int
    failed: int

    @property
    def fraction(self) -> float:
        """Covered fraction.

        Example:
            >>> Coverage(1.0, 3.0, 2.0, "exact", 0.9, 200, 182, 0).fraction
            0.91
        """
        return self.covered / self.toys if self.toys else math.nan

    @property
    def error(self) -> float:
        """Binomial standard deviation of the fraction if the coverage were the nominal one.

        Example:
            >>> round(Coverage(1.0, 3.0, 2.0, "exact", 0.9, 900, 182, 0).error, 6)
            0.01
        """
        return math.sqrt(self.cl * (1 - self.cl) / self.toys) if self.toys else math.nan

    def to_dict(self) -> dict[str, Any]:
        """JSON-like form."""
        return {
            "mu": self.mu,
            "signal_events": self.signal,
            "background_events": self.background,
            "method": self.method,
            "cl": self.cl,
            "toys": self.toys,
            "covered": self.covered,
            "failed": self.failed,
            "coverage": self.fraction if self.toys else None,
            "error": self.error if self.toys else None,
        }


def _held(m: Batch) -> BoolArray:
    free = ~m.fixed
    free[:, m.structure.poi] = False
    return free


def asymptotic_cls(m: Batch, data: Data, mu: float, backend: Backend = "numpy") -> tuple[FloatArray, BoolArray]:
    """Asymptotic CLs of one signal strength for many data sets of a stack of equal windows.

    Args:
        m: n windows.
        data: their data.
        mu: tested strength.
        backend: of the fits.

    Returns:
        CLs (n,) and where all fits converged.

    Example:
        >>> from darkfactory.stats.histfactory import compile_workspace
        >>> from darkfactory.stats.examples import counting_window
        >>> from darkfactory.stats.scan import asymptotic_limits
        >>> _, m = compile_workspace(counting_window(8, 9.0, 0.1))
        >>> limit = asymptotic_limits(m, [0.9]).observed[0, 0]
        >>> round(float(asymptotic_cls(m, m.observed, float(limit))[0][0]), 6)
        0.1
    """
    poi = m.structure.poi
    base = base_fits(m, data, backend=backend)
    held = _held(m)
    if mu == 0:
        # without a signal nothing is ever excluded
        return np.ones(len(m)), base.ok

    def at(which: Data, theta: FloatArray, tangent: FloatArray, where: FloatArray) -> tuple[FloatArray, BoolArray]:
        start = theta + (mu - where)[:, None] * tangent
        start = np.where(np.isfinite(start), start, m.init)
        start[:, poi] = mu
        found = fit(m, which, start, held, tolerance=1e-9, backend=backend)
        lost = np.flatnonzero(~found.converged)
        value, ok = found.value.copy(), found.converged.copy()
        if len(lost):
            again = m.init[lost]
            again[:, poi] = mu
            second = fit(m.take(lost), which.take(lost), again, held[lost], tolerance=1e-9, backend=backend)
            value[lost], ok[lost] = second.value, second.converged
        return value, ok

    best = base.free.theta[:, poi]
    seen, ok_seen = at(data, base.free.theta, base.free.tangent, best)
    asimov, ok_asimov = at(base.asimov, base.null.theta, base.null.tangent, np.zeros(len(m)))
    with np.errstate(all="ignore"):
        q = np.where(best > mu, 0.0, np.maximum(2 * (seen - base.free.value), 0.0))
        zero = np.zeros(len(m))
        value, _ = log_cls(q, zero, np.maximum(2 * asimov, 0.0), zero)
    return np.exp(value), base.ok & ok_seen & ok_asimov & np.isfinite(value)


def _counting_cls(m: Batch, mu: float, points: int) -> float:
    """CLs of exact counting for one window with its own data and auxiliary data."""
    rates: CountingRates = counting_rates(m, points)
    n = float(m.observed.blocks[0].counts[0, 0])
    bottom = cdf(n, rates.background)
    return cdf(n, mu * rates.signal + rates.background) / bottom if bottom > 0 else 0.0


def _one(m: Batch, data: Data, i: int) -> Batch:
    """The window with the i-th of some data sets as its observation."""
    return Batch(**{**m.__dict__, "observed": data.take(np.array([i]))})


def coverage(
    m: Batch,
    mu: float,
    cl: float,
    *,
    method: str,
    toys: int,
    seed: int,
    path: Sequence[str | int] = (),
    background: float = math.nan,
    inner_toys: int = 300,
    quadrature: int = 512,
    chunk: int = 2048,
    backend: Backend = "numpy",
) -> Coverage:
    """Coverage of one method's limits at one true signal strength.

    Args:
        m: one compiled window.
        mu: true signal strength.
        cl: level.
        method: ``asymptotic``, ``exact`` or ``toys``.
        toys: pseudo-data sets.
        seed: campaign seed.
        path: place in the seed tree.
        background: expected background in the signal region, for the record.
        inner_toys: pseudo-experiments per hypothesis behind each toy limit.
        quadrature: points over the nuisance parameters behind each exact limit.
        chunk: pseudo-data sets of one random stream.
        backend: of the fits.

    Raises:
        InputError: another method, or exact limits of a window that is no counting.

    Example:
        >>> from darkfactory.stats.examples import counting_window
        >>> _, m = compile_workspace(counting_window(0, 100.0, 0.05))
        >>> found = coverage(m, 60.0, 0.9, method="asymptotic", toys=400, seed=1)
        >>> abs(found.fraction - 0.9) < 4 * found.error
        True
    """
    if method not in ("asymptotic", "exact", "toys"):
        raise InputError(_SPENT.format(method=method))
    if method == "exact" and not is_counting(m):
        raise InputError("exact limits need one bin with constrained parameters only; use asymptotic or toys")
    truth = m.init.copy()
    truth[:, m.structure.poi] = mu
    gammas = tuple(b.g_init for b in m.blocks)
    covered = failed = done = 0
    for first in range(0, toys, chunk):
        count = min(chunk, toys - first)
        rng = generator(seed, *path, f"coverage{mu!r}", first // chunk)
        data = sample_data(m, truth, gammas, count, rng)
        cls = np.empty(count)
        good = np.ones(count, dtype=bool)
        if method == "asymptotic":
            for start in range(0, count, _BLOCK):
                part = np.arange(start, min(start + _BLOCK, count))
                many = m.take(np.zeros(len(part), dtype=np.intp))
                cls[part], good[part] = asymptotic_cls(many, data.take(part), mu, backend)
        else:
            for i in range(count):
                one = _one(m, data, i)
                if method == "exact":
                    cls[i] = _counting_cls(one, mu, quadrature)
                else:
                    inner = (*path, f"inner{mu!r}", first + i)
                    sample = toy_sample(one, mu, inner_toys, seed=seed, path=inner, backend=backend)
                    cls[i] = sample.cls(observed_qtilde(one, mu, backend))
                    good[i] = len(sample.q_signal) > 0 and len(sample.q_background) > 0
        # rounding must not decide whether a limit that equals the truth covers it
        covered += int((good & (cls > (1 - cl) * (1 - 1e-9))).sum())
        failed += int((~good).sum())
        done += int(good.sum())
    unit = _signal_events(m)
    return Coverage(mu, mu * unit, background, method, cl, done, covered, failed)


def _signal_events(m: Batch) -> float:
    """Events of one unit of signal over all bins, at nominal parameters."""
    without, one = m.init.copy(), m.init.copy()
    without[:, m.structure.poi], one[:, m.structure.poi] = 0.0, 1.0
    gammas = tuple(b.g_init for b in m.blocks)
    total = [sum(float(r.sum()) for r in expected(m, theta, gammas)) for theta in (one, without)]
    return total[0] - total[1]


def coverage_at(
    m: Batch,
    mus: Sequence[float],
    config: StatisticsConfig,
    *,
    method: str,
    background: float,
    toys: int,
    seed: int,
    path: Sequence[str | int] = (),
    inner_toys: int | None = None,
    progress: Callable[[Coverage], None] | None = None,
) -> list[Coverage]:
    """Coverage at several true signal strengths and at all levels of a configuration.

    Args:
        m: one compiled window.
        mus: true signal strengths.
        config: levels, and toys behind a toy limit.
        method: ``asymptotic``, ``exact`` or ``toys``.
        background: expected background in the signal region, for the record.
        toys: pseudo-data sets at each signal.
        seed: campaign seed.
        path: place in the seed tree.
        inner_toys: pseudo-experiments behind each toy limit, default those of the configuration.
        progress: called with each finished point.
    """
    result = []
    for cl in config.cls:
        for mu in mus:
            found = coverage(
                m, mu, cl, method=method, toys=toys, seed=seed, path=(*path, f"cl{cl}"), background=background,
                inner_toys=inner_toys or config.toys.toys, backend=fit_backend(config),
            )  # fmt: skip
            result.append(found)
            if progress is not None:
                progress(found)
    return result


def coverage_of(
    spec: Mapping[str, Any],
    signals: Sequence[float],
    config: StatisticsConfig,
    *,
    toys: int,
    seed: int,
    path: Sequence[str | int] = (),
    inner_toys: int | None = None,
    progress: Callable[[Coverage], None] | None = None,
) -> list[Coverage]:
    """Coverage of the limits that the engine sets on a workspace, by the method that its configuration chooses.

    Args:
        spec: complete workspace.
        signals: true signals in events over all bins.
        config: levels and methods; ``auto`` chooses as for a limit.
        toys: pseudo-data sets at each signal.
        seed: campaign seed.
        path: place in the seed tree.
        inner_toys: pseudo-experiments behind each toy limit, default those of the configuration.
        progress: called with each finished point.

    Example:
        >>> from darkfactory.stats.examples import counting_window
        >>> found = coverage_of(counting_window(0, 0.0), [2.0, 3.0], StatisticsConfig(cls=(0.9,)), toys=50, seed=1)
        >>> [(c.method, c.fraction > 0.8) for c in found]
        [('exact', True), ('exact', True)]
    """
    _, m = compile_workspace(spec)
    background = effective_background(spec)
    method = choose_method(m, background, config)
    unit = _signal_events(m)
    if not unit > 0:
        raise InputError("the workspace has no signal events; coverage needs a signal to inject")
    return coverage_at(
        m, [events / unit for events in signals], config, method=method, background=background, toys=toys, seed=seed,
        path=path, inner_toys=inner_toys, progress=progress,
    )  # fmt: skip
