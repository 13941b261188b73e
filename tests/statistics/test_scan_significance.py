"""Global significance against what independent windows must give."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from darkfactory.core.errors import InputError
from darkfactory.stats.examples import bump_window, counting_window
from darkfactory.stats.significance import gross_vitells, scan_significance, scan_toys

WINDOWS = 8


def test_independent_windows_multiply() -> None:
    specs = [counting_window(400, 400.0) for _ in range(WINDOWS)]
    bins = [[np.array([i])] for i in range(WINDOWS)]
    toys = scan_toys(specs, bins, np.full(WINDOWS, 400.0), 3000, seed=1)
    assert toys.failed == 0
    result = scan_significance(np.array([0.0, 2.0] + [0.5] * (WINDOWS - 2)), toys)
    assert result.point == 1
    assert result.p_global == pytest.approx(1 - norm.cdf(2.0) ** WINDOWS, abs=0.025)


def test_one_window_is_seen_eight_times() -> None:
    """All windows look at the same bin: no trials factor, however many there are."""
    specs = [counting_window(400, 400.0) for _ in range(WINDOWS)]
    toys = scan_toys(specs, [[np.array([0])]] * WINDOWS, np.array([400.0]), 3000, seed=1)
    assert scan_significance(np.full(WINDOWS, 2.0), toys).p_global == pytest.approx(norm.sf(2.0), abs=0.01)


def test_a_shared_nuisance_is_one_measurement() -> None:
    """The windows' data are disjoint, but one badly measured background moves them all together."""
    specs = [counting_window(400, 400.0, 0.2) for _ in range(4)]
    toys = scan_toys(specs, [[np.array([i])] for i in range(4)], np.full(4, 400.0), 3000, seed=4)
    independent = 1 - norm.cdf(1.5) ** 4
    assert scan_significance(np.full(4, 1.5), toys).p_global < 0.6 * independent


def test_gross_vitells_and_toys_of_a_sliding_window() -> None:
    centres = range(0, 40, 2)
    full = np.linspace(80.0, 60.0, 64)
    specs = []
    for c in centres:
        spec = bump_window(1, bins=24)
        for sample in spec["channels"][0]["samples"][1:]:
            sample["data"] = [v / 4 for v in full[c : c + 24]]
        specs.append(spec)
    bins = [[np.arange(c, c + 24)] for c in centres]
    first = scan_toys(specs, bins, full, 60, seed=2, path=("scan", 0))
    toys = first + scan_toys(specs, bins, full, 60, seed=2, path=("scan", 1))
    assert len(toys.z_max) == 120
    again = scan_toys(specs, bins, full, 60, seed=2, path=("scan", 0))
    assert np.array_equal(again.z_max, toys.z_max[:60])
    result = scan_significance(np.array([2.5]), toys)
    local = float(norm.sf(2.5))
    # at most twenty independent windows, within the error of the toys
    most = 1 - (1 - local) ** len(specs)
    assert local < result.p_global < most + 3 * result.p_global_error
    assert result.p_gross_vitells == pytest.approx(result.p_global, abs=0.12)


def test_gross_vitells_saturates_below_one() -> None:
    assert gross_vitells(1.0, 1e4, 0.5) <= 1.0
    assert gross_vitells(6.0, 0.0, 0.5) == pytest.approx(norm.sf(6.0), rel=1e-6)


def test_bins_must_fit() -> None:
    with pytest.raises(InputError, match=r"channels of \[1\] bins, \[2\] were given"):
        scan_toys([counting_window(1, 1.0)], [[np.array([0, 1])]], np.ones(2), 10, seed=1)
    bad = counting_window(1, 1.0)
    bad["channels"][0]["samples"][0]["modifiers"].append({"name": "x", "type": "odd", "data": None})
    with pytest.raises(InputError, match="no batched fit"):
        scan_toys([bad], [[np.array([0])]], np.ones(1), 10, seed=1)
