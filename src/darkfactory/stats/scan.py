"""Asymptotic limits, best fits and local significances of a stack of windows, in lock-step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from darkfactory.stats.asymptotics import band_targets
from darkfactory.stats.base_fits import BaseFits, base_fits, discovery, floating, gather, join_data, lowest_base
from darkfactory.stats.histfactory import Batch, Data, FloatArray
from darkfactory.stats.minima import (
    BASE_STARTS,
    LIMIT_STARTS,
    LOST_STARTS,
    bends,
    bends_at,
    may_have_several,
    search,
    undescribed,
)
from darkfactory.stats.newton import Backend, fit
from darkfactory.stats.roots import expected_roots, observed_roots

__all__ = ["BaseFits", "ScanResult", "asymptotic_limits", "base_fits", "discovery", "gather", "join_data"]

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.intp]

# in standard deviations per standard deviation: what rounding leaves of a slope at a minimum
_NO_SLOPE = 1e-6
# windows whose limits are searched for lower minima together: memory, no number
_TOGETHER = 16


@dataclass(frozen=True)
class ScanResult:
    """Limits of n windows, in units of the workspaces' parameter of interest.

    Attributes:
        base: fits without a limit.
        sigma_asimov: expected error of the signal strength (n,).
        observed: (n, levels); NaN where ``status`` says so.
        expected: (n, levels, 5).
        observed_fit: parameters of the data fit at the observed limit, (n, levels, parameters).
        observed_asimov: same of the Asimov fit.
        expected_fit: parameters of the Asimov fit at the expected limits, (n, levels, 5, parameters).
        status: per window and level.
    """

    base: BaseFits
    sigma_asimov: FloatArray
    observed: FloatArray
    expected: FloatArray
    observed_fit: FloatArray
    observed_asimov: FloatArray
    expected_fit: FloatArray
    status: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class _Roots:
    """Roots of n windows: strengths, parameters there, success, and windows that met a minimum below the best fit."""

    expected: FloatArray
    expected_fit: FloatArray
    ok_expected: BoolArray
    observed: FloatArray
    observed_fit: FloatArray
    observed_asimov: FloatArray
    ok_observed: BoolArray
    crossed: BoolArray

    def put(self, where: BoolArray, new: _Roots) -> _Roots:
        """These roots with those of some windows replaced."""

        def merged(old: np.ndarray, other: np.ndarray) -> np.ndarray:
            return np.where(where.reshape(-1, *([1] * (old.ndim - 1))), other, old)

        return _Roots(**{f.name: merged(getattr(self, f.name), getattr(new, f.name)) for f in fields(self)})


def _roots(
    m: Batch, data: Data, base: BaseFits, sigma: FloatArray, cls: Sequence[float], usable: BoolArray, backend: Backend,
    starts: int = 0,
) -> _Roots:  # fmt: skip
    flat = np.concatenate([band_targets(cl) for cl in cls])
    expected, expected_fit, ok_expected = expected_roots(m, base, sigma, flat, usable, backend, starts)
    observed, fit_data, fit_asimov, ok_observed, crossed = observed_roots(
        m, data, base, sigma, cls, usable, backend, starts
    )
    return _Roots(expected, expected_fit, ok_expected, observed, fit_data, fit_asimov, ok_observed, crossed)


def _strongest(roots: _Roots) -> FloatArray:
    """The largest limit of each window, one without any."""
    found = np.concatenate(
        [np.where(roots.ok_observed, roots.observed, 0.0), np.where(roots.ok_expected, roots.expected, 0.0)], axis=1
    ).max(axis=1)
    return np.where(found > 0, found, 1.0)


def _at_limits(roots: _Roots, some: IntArray) -> tuple[FloatArray, IntArray, IntArray]:
    """Fits at all limits of some windows: parameters, windows, and data sets (observed, then Asimov) of the rows."""
    n = len(roots.crossed)
    kinds = (
        (roots.observed_fit, roots.ok_observed, 0),
        (roots.observed_asimov, roots.ok_observed, n),
        (roots.expected_fit, roots.ok_expected, n),
    )
    theta, row, sets = [], [], []
    for values, good, shift in kinds:
        at, column = np.nonzero(good[some])
        theta.append(values[some[at], column])
        row.append(some[at])
        sets.append(some[at] + shift)
    return np.concatenate(theta), np.concatenate(row), np.concatenate(sets)


def _bent(m: Batch, data: Data, base: BaseFits, roots: _Roots, where: BoolArray) -> BoolArray:
    """Windows (n,) of some with a limit at which the data may turn the curvature of a variation, or without a limit."""
    # the worst data at the largest limit first, for which no fit is looked at
    worst = where & bends(m, _strongest(roots))
    found = worst & ~(roots.ok_observed.all(axis=1) & roots.ok_expected.all(axis=1))
    windows = np.flatnonzero(worst & ~found)
    both = join_data([data, base.asimov])
    for first in range(0, len(windows), _TOGETHER):
        theta, at, placed = _at_limits(roots, windows[first : first + _TOGETHER])
        found[at[bends_at(m, both, theta, at, placed)]] = True
    return found


def _higher(
    m: Batch, data: Data, base: BaseFits, roots: _Roots, where: BoolArray, backend: Backend, count: int
) -> BoolArray:  # fmt: skip
    """Windows (n,) of some with a limit at which ``count`` starts find a lower minimum than that it was found on."""
    found = np.zeros(len(m), dtype=bool)
    windows = np.flatnonzero(where)
    both = join_data([data, base.asimov])
    held = floating(m, False)
    for first in range(0, len(windows), _TOGETHER):
        theta, at, placed = _at_limits(roots, windows[first : first + _TOGETHER])
        if not len(at):
            continue
        known = fit(m, both, theta, held[at], windows=at, sets=placed, backend=backend)
        better = search(m, both, known, at, placed, held[at], count=count, backend=backend).lower
        found[at[better]] = True
    return found


def _expected_error(m: Batch, base: BaseFits, backend: Backend) -> tuple[FloatArray, BoolArray]:
    """Error of the signal strength that the Asimov set expects, NaN without, and where the signal changes anything."""
    at_null = fit(m, base.asimov, base.null.theta, floating(m, False), max_iterations=20, backend=backend)
    with np.errstate(all="ignore"):
        sensitive = (at_null.curvature > 0) & np.isfinite(at_null.curvature)
        sigma = np.where(sensitive, 1 / np.sqrt(np.where(sensitive, at_null.curvature, 1.0)), np.nan)
        # no background at all: the curvature of the Asimov set says nothing, but every signal event counts
        slope, stiffness = at_null.slope, np.maximum(at_null.stiffness, 0.0)
        countable = ~sensitive & (slope > 0) & (slope > _NO_SLOPE * np.sqrt(stiffness))
        sigma = np.where(countable, 1 / np.where(countable, slope, 1.0), sigma)
        # other parameters undo a small signal: a limit is where they reach their bounds, and the search starts nearby
        degenerate = ~sensitive & ~countable & (stiffness > 0)
        sigma = np.where(degenerate, 1 / np.sqrt(np.where(degenerate, stiffness, 1.0)), sigma)
    return sigma, sensitive | countable | degenerate


def asymptotic_limits(
    m: Batch, cls: Sequence[float], *, data: Data | None = None, backend: Backend = "numpy"
) -> ScanResult:
    """Observed and expected CLs upper limits of a stack of windows at several confidence levels.

    The limits are roots of pyhf's own asymptotic CLs (qtilde, normal base distribution, Asimov set from the fit
    without signal to the observed data). Windows that may have several minima (:mod:`darkfactory.stats.minima`) are
    searched from several starts, before limits and again at each of them; where a lower minimum turns up the limits are
    searched once more with all starts in every fit.

    Args:
        m: n windows.
        cls: confidence levels.
        data: data sets, default the workspaces' own observations.
        backend: of the fits.

    Returns:
        Limits in units of the parameter of interest with a status for each: ``ok``, ``no_sensitivity`` (the signal
        changes nothing), ``not_bracketed`` (no root found), ``several_minima`` (no lowest minimum, or another one at
        another strength) or ``fit_failed``.

    Example:
        >>> from darkfactory.stats.histfactory import compile_workspace
        >>> from darkfactory.stats.examples import counting_window
        >>> spec = counting_window(100, 100.0, signal=10.0)
        >>> _, batch = compile_workspace(spec)
        >>> result = asymptotic_limits(batch, [0.95])
        >>> round(float(result.observed[0, 0]), 4), round(float(result.expected[0, 0, 2]), 4)
        (2.0901, 2.0901)
    """
    observed = m.observed if data is None else data
    base = base_fits(m, observed, backend=backend)
    lost = undescribed(m, base.free.value) & base.ok
    loose = may_have_several(m) & base.ok
    several = np.zeros(len(m), dtype=bool)
    for where, count in ((lost, LOST_STARTS), (loose & ~lost, BASE_STARTS)):
        if where.any():
            base, more = lowest_base(m, observed, base, np.flatnonzero(where), backend, count)
            several |= more
    loose |= lost
    sigma, sensitive = _expected_error(m, base, backend)
    usable = base.ok & sensitive & ~several
    roots = _roots(m, observed, base, sigma, cls, usable, backend)
    # a signal as strong as its limits may bend what it is added to, and a lower minimum may have been met on the way
    bent = _bent(m, observed, base, roots, usable & ~loose)
    met = usable & ~loose & (roots.crossed | bent)
    moved = np.zeros(len(m), dtype=bool)
    if met.any():
        before = base
        base, more = lowest_base(m, observed, base, np.flatnonzero(met), backend)
        several |= more
        moved = (base.null.value != before.null.value) | (base.free.value != before.free.value)
        sigma, _ = _expected_error(m, base, backend)
    known_low = roots.crossed | moved
    look = usable & (loose | bent) & ~known_low
    for where, count in ((~lost, LIMIT_STARTS), (lost, LOST_STARTS // 2)):
        low = known_low | _higher(m, observed, base, roots, look & where, backend, count)
        again = usable & ~several & where & low
        if again.any():
            roots = roots.put(again, _roots(m, observed, base, sigma, cls, again, backend, count))
            several |= again & (roots.crossed | _higher(m, observed, base, roots, again, backend, count))
    n, t = len(m), len(cls)
    band = roots.expected.reshape(n, t, 5)
    with np.errstate(all="ignore"):
        # roots out of order are roots of a curve with several: none of them is the limit
        ordered = (np.diff(band, axis=2) > 0).all(axis=2)
    ok = roots.ok_observed & roots.ok_expected.reshape(n, t, 5).all(axis=2) & ordered & ~several[:, None]

    def status(i: int, j: int) -> str:
        if not base.ok[i]:
            return "fit_failed"
        if not sensitive[i]:
            return "no_sensitivity"
        if several[i]:
            return "several_minima"
        return "ok" if ok[i, j] else "not_bracketed"

    return ScanResult(
        base=base,
        sigma_asimov=sigma,
        observed=np.where(ok, roots.observed, np.nan),
        expected=np.where(ok[:, :, None], band, np.nan),
        observed_fit=roots.observed_fit,
        observed_asimov=roots.observed_asimov,
        expected_fit=roots.expected_fit.reshape(n, t, 5, -1),
        status=tuple(tuple(status(i, j) for j in range(t)) for i in range(n)),
    )
