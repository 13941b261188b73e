"""Exact counting and toys against closed forms and independent sums."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import norm, poisson

from darkfactory.config.statistics import StatisticsConfig, ToysConfig
from darkfactory.core.errors import InputError, RunError
from darkfactory.stats.counting import CountingRates, counting_limit, counting_limits, counting_p0, counting_rates
from darkfactory.stats.examples import bump_window, counting_window
from darkfactory.stats.histfactory import compile_workspace
from darkfactory.stats.limits import WorkspaceInput, compute_limits
from darkfactory.stats.scan import asymptotic_limits
from darkfactory.stats.toys import toy_limits, toy_sample


def item(spec: dict, **rest: object) -> WorkspaceInput:
    return WorkspaceInput("m1p00000", "zprime", {"mass_gev": 1.0}, spec, **rest)  # type: ignore[arg-type]


@pytest.mark.parametrize(("cl", "events"), [(0.90, 2.302585), (0.95, 2.995732)])
def test_nothing_seen_nothing_expected(cl: float, events: float) -> None:
    record = compute_limits([item(counting_window(0, 0.0), scale=2.0)], StatisticsConfig(cls=(cl,)))[0]
    assert record.method == "exact"
    assert record.observed == pytest.approx(2 * events, rel=1e-6)
    assert record.expected == pytest.approx([2 * events] * 5, rel=1e-6)


@pytest.mark.parametrize("b", [1.0, 3.0, 10.0])
@pytest.mark.parametrize("n", [0, 1, 5, 12])
def test_exact_counting_against_poisson_sums(b: float, n: int) -> None:
    rates = CountingRates(np.array([1.0]), np.array([b]))
    for cl in (0.9, 0.95):
        by_hand = brentq(lambda s, cl=cl: poisson.cdf(n, s + b) - (1 - cl) * poisson.cdf(n, b), 0, 60)
        assert counting_limit(n, rates, cl) == pytest.approx(by_hand, rel=1e-9)
    assert counting_p0(n, rates) == pytest.approx(poisson.sf(n - 1, b), rel=1e-12)


def test_expected_counting_limits_are_those_of_the_quantiles() -> None:
    rates = CountingRates(np.array([1.0]), np.array([3.0]))
    result = counting_limits(2, rates, 0.9)
    assert result is not None
    counts = [int(poisson.ppf(norm.cdf(k), 3.0)) for k in (-2, -1, 0, 1, 2)]
    assert result[1] == pytest.approx([counting_limit(k, rates, 0.9) for k in counts])


def test_nuisances_are_integrated_over() -> None:
    """Against the same integral by direct numerical integration over one nuisance parameter."""
    spec = counting_window(1, 2.0, 0.3)
    rates = counting_rates(compile_workspace(spec)[1], 4096)
    x = np.linspace(-5, 5, 20001)
    weight = norm.pdf(x) / norm.pdf(x).sum()
    factor = _code4(x, 1.3, 1 / 1.3)

    def cdf(s: float) -> float:
        return float(np.sum(weight * poisson.cdf(1, s + 2.0 * factor)))

    by_hand = brentq(lambda s: cdf(s) - 0.05 * cdf(0.0), 0, 40)
    assert counting_limit(1, rates, 0.95) == pytest.approx(by_hand, rel=1e-4)


def _code4(a: np.ndarray, hi: float, lo: float) -> np.ndarray:
    """Interpolation code 4 from pyhf itself."""
    from pyhf.interpolators import code4

    return np.asarray(code4([[[[lo], [1.0], [hi]]]])(np.array([a])))[0, 0, :, 0]


# STATISTICS of the design study: count b = 0.5 +- 0.1 and so on, asymptotic limits at 95 %
@pytest.mark.parametrize(
    ("b", "error", "n", "asymptotic"),
    [(0.5, 0.1, 0, 2.22), (0.5, 0.1, 3, 6.45), (3.0, 0.6, 0, 2.57), (3.0, 0.6, 7, 9.57), (8.0, 1.6, 4, 4.51)],
)
def test_asymptotic_counting_limits_of_the_study(b: float, error: float, n: int, asymptotic: float) -> None:
    result = asymptotic_limits(compile_workspace(counting_window(n, b, error / b))[1], [0.95])
    assert result.observed[0, 0] == pytest.approx(asymptotic, rel=0.02)


def test_toy_limit_of_a_counting_experiment() -> None:
    """No event on 0.5 +- 0.1: the study's toys give 2.93, where the asymptotic formula says 2.22."""
    _, batch = compile_workspace(counting_window(0, 0.5, 0.2))
    (limit,) = toy_limits(batch, [0.95], (1.8, 5.0), toys=4000, steps=6, seed=3, path=("test",))
    assert limit.observed == pytest.approx(2.95, rel=0.06)
    exact = counting_limits(0, counting_rates(batch), 0.95)
    assert exact is not None
    assert exact[0] == pytest.approx(2.996, rel=1e-3)
    assert limit.error is not None
    assert abs(limit.observed - exact[0]) < 5 * limit.error + 1e-9


def test_toys_merge_and_do_not_depend_on_their_number_of_chunks_before() -> None:
    _, batch = compile_workspace(bump_window(1, events=5.0, bins=10))
    first = toy_sample(batch, 2.0, 100, seed=1, path=("p",), chunk=100)
    both = toy_sample(batch, 2.0, 200, seed=1, path=("p",), chunk=100)
    assert np.array_equal(both.q_signal[:100], first.q_signal)
    merged = first + first
    assert len(merged.q_background) == 200
    with pytest.raises(RunError, match="cannot be merged"):
        first + replace(first, mu=3.0)


@pytest.mark.parametrize(("n", "b", "s"), [(0, 0.5, 3.0), (1, 0.5, 4.0), (6, 3.0, 8.0)])
def test_few_toys_give_a_precise_cls(n: int, b: float, s: float) -> None:
    _, batch = compile_workspace(counting_window(n, b))
    sample = toy_sample(batch, s, 400, seed=5)
    # qtilde falls with the count up to the best fit: its tail is that of the count
    exact = poisson.cdf(n, s + b) / poisson.cdf(n, b)
    q = 2 * (s + b - n + (n * np.log(n / (s + b)) if n > 0 else 0.0))
    if n <= b:
        q = 2 * (s - n * np.log1p(s / b))
    value, error = sample.cls_and_error(q)
    assert abs(value - exact) < 4 * error + 1e-12
    # as many plain toys have a standard deviation almost twice as large or more in the numerator alone
    tail = poisson.cdf(n, s + b)
    assert error < 0.6 * exact * np.sqrt((1 - tail) / tail / 400)


def test_expected_limits_are_known_in_the_far_band() -> None:
    """Without background the -2 sigma limit is the median one: nothing can be seen less than no event."""
    _, batch = compile_workspace(counting_window(0, 0.02))
    (limit,) = toy_limits(batch, [0.9], (1.0, 5.0), toys=500, steps=5, seed=1, path=("far",))
    assert limit.expected is not None
    assert limit.expected[:3] == pytest.approx((np.log(10.0),) * 3, rel=0.01)


def test_toys_agree_with_asymptotics_where_events_are_many() -> None:
    _, batch = compile_workspace(bump_window(1, events=3000.0, bins=20))
    asymptotic = asymptotic_limits(batch, [0.9])
    (toys,) = toy_limits(
        batch, [0.9], (float(asymptotic.expected.min()), float(asymptotic.expected.max())), toys=600, steps=5, seed=2,
        path=("many",),
    )  # fmt: skip
    assert toys.observed == pytest.approx(float(asymptotic.observed[0, 0]), rel=0.15)
    assert toys.expected is not None
    assert toys.expected[2] == pytest.approx(float(asymptotic.expected[0, 0, 2]), rel=0.15)


def test_the_method_follows_the_expectation() -> None:
    config = StatisticsConfig(cls=(0.9,), toys=ToysConfig(toys=100, steps=4))
    bump = bump_window(1, events=4.0, bins=10)
    records = compute_limits(
        [item(bump), item(bump, background=12.0), item(counting_window(4, 3.5)), item(counting_window(1, 2.0))], config
    )
    assert [r.method for r in records] == ["toys", "asymptotic", "exact", "exact"]
    assert all(r.status == "ok" for r in records)
    assert records[0].extra["asymptotic"]["certificate"]["passed"]
    assert records[0].extra["toys_seed"] == [0, "stats", "toys", "zprime", "m1p00000"]


def test_toys_check_a_sample_of_the_points_in_between() -> None:
    config = StatisticsConfig(cls=(0.9,), check_fraction=1.0)
    record = compute_limits([item(bump_window(1, events=60.0, bins=10), background=12.0)], config)[0]
    assert record.method == "asymptotic"
    assert 0.8 < record.extra["check"]["ratio"] < 1.3


def test_exact_is_refused_for_shapes() -> None:
    with pytest.raises(InputError, match="no one-bin counting with constrained"):
        compute_limits([item(bump_window(1, bins=10))], StatisticsConfig(method="exact"))


def test_bayesian_limits() -> None:
    config = StatisticsConfig(method="bayes", cls=(0.9,))
    zero = compute_limits([item(counting_window(0, 2.0))], config)[0]
    # no event: the flat-prior limit does not know the background
    assert zero.observed == pytest.approx(2.302585, rel=1e-3)
    assert zero.expected is None
    many = compute_limits([item(bump_window(1))], config)[0]
    assert many.observed == pytest.approx(many.extra["asymptotic"]["observed"], rel=0.15)


def test_counting_coverage_is_never_too_low() -> None:
    """P(limit covers) of the exact method, summed over all outcomes instead of thrown."""
    for b in (0.5, 3.0):
        rates = CountingRates(np.array([1.0]), np.array([b]))
        limits = np.array([counting_limit(n, rates, 0.9) for n in range(40)])
        for s in (0.0, 1.0, 3.0, 8.0):
            covered = float(poisson.pmf(np.arange(40), s + b)[limits >= s].sum())
            assert covered >= 0.9
