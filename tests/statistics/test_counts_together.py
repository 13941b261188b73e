"""Counts of several channels together against closed forms and against the count of one channel."""

from __future__ import annotations

import numpy as np
import pytest

from darkfactory.core.errors import InputError
from darkfactory.stats.combine import WorkspacePart, combine_workspaces
from darkfactory.stats.counting import counting_limit, counting_rates
from darkfactory.stats.counting_combined import CountRates, combined_cls, count_rates
from darkfactory.stats.examples import counting_window
from darkfactory.stats.histfactory import compile_workspace


@pytest.mark.parametrize(("n", "background", "error"), [(0, 0.5, 0.3), (3, 2.0, 0.1), (1, 0.02, 0.5)])
def test_one_channel_is_the_exact_count(n: int, background: float, error: float) -> None:
    spec = counting_window(n, background, error, signal=2.0)
    batch = compile_workspace(spec)[1]
    limit = counting_limit(n, counting_rates(batch, 4096), 0.95)
    assert limit is not None
    rates = count_rates(batch, np.random.default_rng(5), 8192)
    found = combined_cls(np.array([float(n)]), rates, np.array([limit]), np.random.default_rng(6), 200_000)
    assert found.observed == pytest.approx(0.05, rel=0.04)


def test_equal_channels_are_one_channel_of_their_sum() -> None:
    parts = [WorkspacePart(name, counting_window(1, 0.5, 0.0, signal=1.0), 1.0) for name in "abc"]
    rates = count_rates(compile_workspace(combine_workspaces(parts))[1], np.random.default_rng(1))
    together = combined_cls(np.ones(3), rates, np.full(3, 1.2), np.random.default_rng(2), 200_000)
    one = CountRates(np.full((10, 1), 3.0), np.full((10, 1), 1.5))
    alone = combined_cls(np.array([3.0]), one, np.array([1.2]), np.random.default_rng(3), 200_000)
    assert together.observed == pytest.approx(alone.observed, rel=0.05)
    assert together.expected[2] == pytest.approx(alone.expected[2], rel=0.05)


def test_a_channel_without_signal_changes_nothing_and_a_clean_one_helps() -> None:
    signal, background = np.array([[2.0, 0.0]]), np.array([[1.0, 50.0]])
    strengths, rng = np.ones(2), np.random.default_rng
    alone = combined_cls(np.array([1.0]), CountRates(signal[:, :1], background[:, :1]), np.ones(1), rng(1), 100_000)
    both = combined_cls(np.array([1.0, 77.0]), CountRates(signal, background), strengths, rng(1), 100_000)
    assert both.observed == pytest.approx(alone.observed, rel=0.05)
    clean = CountRates(np.array([[2.0, 2.0]]), np.array([[1.0, 1e-3]]))
    assert combined_cls(np.array([1.0, 0.0]), clean, strengths, rng(1), 100_000).observed < 0.25 * alone.observed


def test_shared_errors_move_channels_together() -> None:
    parts = [WorkspacePart(name, counting_window(9, 9.0, 0.5, signal=1.0), 1.0, ("x",)) for name in "ab"]
    shared = combine_workspaces(parts, {"background_norm": ["x"]})
    rates = count_rates(compile_workspace(shared)[1], np.random.default_rng(1))
    assert np.corrcoef(rates.background.T)[0, 1] == pytest.approx(1.0)
    apart = count_rates(compile_workspace(combine_workspaces(parts))[1], np.random.default_rng(1))
    assert abs(np.corrcoef(apart.background.T)[0, 1]) < 0.06


def test_free_parameters_are_refused() -> None:
    spec = counting_window(3, 3.0, 0.0, signal=1.0)
    spec["channels"][0]["samples"][1]["modifiers"].append({"name": "free", "type": "normfactor", "data": None})
    with pytest.raises(InputError, match="floats beside the signal; fit this workspace"):
        count_rates(compile_workspace(spec)[1], np.random.default_rng(1))
