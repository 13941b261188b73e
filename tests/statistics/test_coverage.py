"""Coverage of the engine's own limits, with nuisance parameters, by whatever method `auto` chooses."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import poisson

from darkfactory.config.statistics import StatisticsConfig, ToysConfig
from darkfactory.core.errors import InputError
from darkfactory.stats.counting import CountingRates, counting_limit
from darkfactory.stats.coverage import asymptotic_cls, coverage, coverage_of
from darkfactory.stats.examples import bump_window, counting_window
from darkfactory.stats.histfactory import compile_workspace
from darkfactory.stats.lint import effective_background
from darkfactory.stats.scan import asymptotic_limits

LEVEL = StatisticsConfig(cls=(0.9,), toys=ToysConfig(toys=300))
ERRORS = {0.5: 0.2, 3.0: 0.2, 10.0: 0.15, 100.0: 0.05}
SIGNALS = [0.0, 0.5, 1.0, 1.5, 2.0, 2.2, 2.4, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 15.0]


def bump(background: float) -> dict:
    """A peak on 50 bins whose window is worth a number of background events."""
    low, high = 0.1, 2000.0
    for _ in range(60):
        events = np.sqrt(low * high)
        low, high = (
            (events, high) if effective_background(bump_window(1, events=events)) < background else (low, events)
        )
    return bump_window(1, events=float(events))


@pytest.mark.parametrize("s", [0.3, 2.25, 2.35, 7.0])
def test_exact_coverage_without_nuisances_is_that_of_the_poisson_sum(s: float) -> None:
    b = 1.2
    rates = CountingRates(np.array([1.0]), np.array([b]))
    n = np.arange(60)
    limits = np.array([counting_limit(int(k), rates, 0.9) for k in n])
    by_hand = float(poisson.pmf(n, s + b)[limits > s].sum())
    found = coverage(
        compile_workspace(counting_window(0, b))[1], s, 0.9, method="exact", toys=1000, seed=3, quadrature=64
    )
    assert found.fraction == pytest.approx(by_hand, abs=4 * np.sqrt(0.25 / 1000) if by_hand < 1 else 1e-12)
    assert (found.signal, found.failed) == (pytest.approx(s), 0)


def test_a_test_at_the_truth_is_the_limit_above_it() -> None:
    """For data of their own, CLs at a strength is above 1 - cl exactly where the limit is above the strength."""
    _, m = compile_workspace(bump_window(4, events=300.0, bins=10))
    many = m.take(np.zeros(12, dtype=np.intp))
    rng = np.random.default_rng(2)
    counts = rng.poisson(many.observed.blocks[0].counts + 1.0).astype(float)
    data = many.observed.take(np.arange(12))
    data.blocks[0].counts[:] = counts
    limits = asymptotic_limits(many, [0.9], data=data).observed[:, 0]
    for mu in (0.8 * limits.min(), float(np.median(limits)) * 1.001, 1.2 * limits.max()):
        cls, ok = asymptotic_cls(many, data, float(mu))
        assert ok.all()
        assert ((cls > 0.1) == (limits > mu)).all()


@pytest.mark.parametrize(("background", "signal"), [(0.5, 2.5), (3.0, 12.0), (10.0, 15.0), (100.0, 15.0)])
def test_counting_limits_cover(background: float, signal: float) -> None:
    spec = counting_window(round(background), background, ERRORS[background], signal_error=0.08)
    [found] = coverage_of(spec, [signal], LEVEL, toys=300, seed=11)
    assert found.method == "exact"
    assert found.failed == 0
    assert found.fraction > 0.9 - 3 * found.error


@pytest.mark.parametrize("signal", [8.0, 15.0])
def test_asymptotic_limits_of_shapes_cover_where_they_are_used(signal: float) -> None:
    spec = bump(12.5)
    [found] = coverage_of(spec, [signal], LEVEL, toys=500, seed=11)
    assert found.method == "asymptotic"
    assert found.fraction > 0.9 - 3 * found.error


def test_toy_limits_cover() -> None:
    [found] = coverage_of(bump(0.5), [4.0], LEVEL, toys=50, seed=11, inner_toys=100)
    assert found.method == "toys"
    assert found.fraction > 0.9 - 3 * found.error


def test_coverage_is_refused_for_what_is_not_simulated() -> None:
    _, m = compile_workspace(bump_window(1, bins=5))
    with pytest.raises(InputError, match="coverage of bayes limits is not simulated; allowed are asymptotic"):
        coverage(m, 1.0, 0.9, method="bayes", toys=20, seed=1)
    with pytest.raises(InputError, match="exact limits need one bin"):
        coverage(m, 1.0, 0.9, method="exact", toys=20, seed=1)
    with pytest.raises(InputError, match="no signal events"):
        coverage_of(counting_window(1, 1.0, signal=0.0), [1.0], LEVEL, toys=20, seed=1)


@pytest.mark.long
@pytest.mark.parametrize("background", ERRORS)
def test_counting_limits_cover_at_all_signals(background: float) -> None:
    spec = counting_window(round(background), background, ERRORS[background], signal_error=0.08)
    for found in coverage_of(spec, SIGNALS, LEVEL, toys=4000, seed=11):
        assert found.fraction > 0.9 - 3 * found.error, found


@pytest.mark.long
@pytest.mark.parametrize("background", [12.01, 100.0])
def test_asymptotic_limits_of_shapes_cover_at_all_signals(background: float) -> None:
    for found in coverage_of(bump(background), SIGNALS, LEVEL, toys=4000, seed=11):
        assert found.fraction > 0.9 - 3 * found.error, found


@pytest.mark.long
@pytest.mark.parametrize("background", [0.5, 3.0, 10.0])
def test_toy_limits_of_shapes_cover(background: float) -> None:
    for found in coverage_of(bump(background), [2.4, 4.0, 8.0, 15.0], LEVEL, toys=600, seed=11):
        assert found.method == "toys"
        assert found.fraction > 0.9 - 3 * found.error, found
