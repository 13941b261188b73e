from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import poisson

from darkfactory.core.errors import InputError
from darkfactory.stats.bayes import bayes_counting_limit
from darkfactory.stats.counting import CountingRates, counting_limits, counting_p0, counting_rates
from darkfactory.stats.counting_scan import (
    ScanCounts,
    WindowRates,
    expected_counts,
    window_limits,
    window_p0,
    window_rates,
    window_toys,
)
from darkfactory.stats.histfactory import compile_workspace, compile_workspaces


def workspace(n: float, b: float, error: float = 0.1, norm: float = 0.15, signal: float = 2.0) -> dict[str, Any]:
    def size(name: str, relative: float) -> dict[str, Any]:
        return {"name": name, "type": "normsys", "data": {"lo": 1 / (1 + relative), "hi": 1 + relative}}

    mu = {"name": "mu", "type": "normfactor", "data": None}
    stat = {"name": "staterror_w", "type": "staterror", "data": [error * b]}
    samples = [
        {"name": "signal", "data": [signal], "modifiers": [mu, size("efficiency", 0.05)]},
        {"name": "b", "data": [b], "modifiers": [size("norm", norm), stat]},
    ]
    return {
        "channels": [{"name": "w", "samples": samples}],
        "observations": [{"name": "w", "data": [n]}],
        "measurements": [{"name": "m", "config": {"poi": "mu", "parameters": []}}],
        "version": "1.0.0",
    }


CASES = [(0.0, 0.02), (0.0, 1.3), (2.0, 0.5), (4.0, 3.0), (12.0, 10.0), (31.0, 40.0), (260.0, 250.0)]


def posterior(limit: float, n: float, rates: CountingRates) -> float:
    """Probability of signals below a limit, integrated on a grid."""
    mu = np.linspace(0.0, 6 * limit + 10, 20001)
    density = poisson.pmf(n, mu[:, None] * rates.signal[::1] + rates.background).mean(axis=1)
    total = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]))])
    return float(np.interp(limit, mu, total / total[-1]))


def test_batches_give_the_limits_of_single_windows() -> None:
    """Against the scalar search and quadrature, window by window."""
    (group,), refused = compile_workspaces([workspace(n, b) for n, b in CASES])
    assert not refused
    rates = window_rates(group.batch, 256)
    n = np.array([c[0] for c in CASES])
    exact, bayes = window_limits(n, rates, 0.9), window_limits(n, rates, 0.9, "bayes")
    counts = expected_counts(rates)
    medians = window_limits(counts[:, 2].astype(float), rates, 0.9)
    p0 = window_p0(n, rates)
    for i, (k, b) in enumerate(CASES):
        _, one = compile_workspace(workspace(k, b))
        single = counting_rates(one, 256)
        assert np.allclose(single.background, rates.background[i], rtol=1e-12)
        wanted = counting_limits(k, single, 0.9)
        assert wanted is not None
        assert exact[i] == pytest.approx(wanted[0], rel=1e-9)
        assert medians[i] == pytest.approx(wanted[1][2], rel=1e-9)
        assert p0[i] == pytest.approx(counting_p0(k, single), rel=1e-6)
        assert bayes[i] == bayes_counting_limit(k, single, 0.9)
        assert posterior(bayes[i], k, single) == pytest.approx(0.9, abs=1e-4)


def test_windows_do_not_depend_on_their_neighbours() -> None:
    (group,), _ = compile_workspaces([workspace(n, b) for n, b in CASES])
    rates = window_rates(group.batch, 128)
    n = np.array([c[0] for c in CASES])
    every = window_limits(n, rates, 0.9)
    for i in range(len(CASES)):
        alone = window_rates(group.batch.take(np.array([i])), 128)
        assert window_limits(n[i : i + 1], alone, 0.9)[0] == every[i]


def test_zero_events_without_background_and_windows_without_signal() -> None:
    none = WindowRates(np.array([[1.0], [0.0]]), np.array([[0.0], [1.0]]))
    for method in ("exact", "bayes"):
        found = window_limits(np.zeros(2), none, 0.9, method)  # type: ignore[arg-type]
        assert found[0] == pytest.approx(np.log(10.0), rel=1e-10)
        assert np.isnan(found[1])


def test_exact_limits_cover() -> None:
    """Frequency of limits below a true signal of 4 on a background of 3."""
    rates = CountingRates(np.array([1.0]), np.array([3.0]))
    scan = WindowRates(np.ones((30, 1)), np.full((30, 1), 3.0))
    limits = window_limits(np.arange(30.0), scan, 0.9)
    assert limits[7] == pytest.approx(counting_limits(7, rates, 0.9)[0])  # type: ignore[index]
    missed = sum(poisson.pmf(k, 7.0) for k in range(30) if limits[k] < 4.0)
    assert missed <= 0.10


def test_only_counting_workspaces_are_taken() -> None:
    spec = workspace(3.0, 3.0)
    spec["channels"][0]["samples"][1]["modifiers"].append({"name": "free", "type": "normfactor", "data": None})
    with pytest.raises(InputError, match="only constrained parameters float"):
        window_rates(compile_workspace(spec)[1])


def plane(windows: int, expected: float) -> ScanCounts:
    """Windows of one cell each."""
    return ScanCounts({"b": np.full(windows, expected)}, {}, lambda values: values)


def test_toys_of_independent_windows_have_the_probability_of_the_largest() -> None:
    """P(largest z >= that of 9 events) = 1 - (1 - p)^windows for disjoint windows without nuisances."""
    windows, b = 200, 2.0
    rates = WindowRates(np.ones((windows, 1)), np.full((windows, 1), b))
    z = window_toys(plane(windows, b), rates, 4000, seed=1, path=("t",))
    p = poisson.sf(8, b)
    level = float(-np.sqrt(2) * _erfcinv(p))
    wanted = 1 - (1 - p) ** windows
    assert (z >= level - 1e-9).mean() == pytest.approx(wanted, abs=4 * np.sqrt(wanted / 4000))


def _erfcinv(p: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(p) / np.sqrt(2))


def test_toys_are_seeded_and_share_their_events() -> None:
    rates = WindowRates(np.ones((3, 1)), np.full((3, 1), 4.0))
    # three windows that see the same cell: one window, as far as the largest is concerned
    same = ScanCounts({"b": np.array([4.0])}, {}, lambda values: np.repeat(values, 3, axis=-1))
    one = WindowRates(np.ones((1, 1)), np.full((1, 1), 4.0))
    first = window_toys(same, rates, 300, seed=5, path=("a",))
    assert np.array_equal(first, window_toys(plane(1, 4.0), one, 300, seed=5, path=("a",)))
    assert not np.array_equal(first, window_toys(same, rates, 300, seed=5, path=("b",)))


def test_uncertain_yields_are_thrown_with_the_toys() -> None:
    """Without its nuisance in the toys, the significance of windows that average over it is too small."""
    expected = 100.0
    rng = np.random.default_rng(2)
    spread = (1 + 0.3) ** rng.normal(size=(1, 2048)) * expected
    rates = WindowRates(np.ones((1, 2048)), spread)
    scan = ScanCounts({"b": np.array([expected])}, {"norm": {"b": 0.3}}, lambda values: values)
    z = window_toys(scan, rates, 4000, seed=3, path=("c",))
    assert (z > 1.2816).mean() == pytest.approx(0.10, abs=0.02)
