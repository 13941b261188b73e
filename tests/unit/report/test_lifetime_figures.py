"""Figures of limits by lifetime and of two-sided regions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from darkfactory.report.lifetimes import lifetime_figure, region_figure

COMMON: dict[str, Any] = {"dataset": "d", "luminosity_fb": 365.0, "data": "pseudo", "ylabel": "y", "xlabel": "x"}


def test_limits_by_lifetime_leave_out_what_is_no_limit_and_show_four_decades() -> None:
    rows = [
        {"status": "ok", "observed": o, "expected": o, "ctau_cm": t}
        for o, t in ((0.5, 10.0), (1e7, 1e-3), (1.0, 0.1), (0.1, 1.0))
    ]
    none = [{"status": "no_sensitivity", "observed": None, "expected": None, "ctau_cm": 1.0}]
    ax = lifetime_figure({"1 GeV": rows, "2 GeV": none}, **COMMON, column="ctau_cm").axes[0]
    assert ax.get_ylim() == (pytest.approx(0.05), pytest.approx(1e3))
    drawn = next(line for line in ax.lines if line.get_label() == "1 GeV")
    np.testing.assert_array_equal(drawn.get_xdata(), [1e-3, 0.1, 1.0, 10.0])
    assert lifetime_figure({"2 GeV": none}, **COMMON, column="ctau_cm").axes[0].get_yscale() == "log"


def test_regions_mark_edges_that_are_ends_of_the_scan() -> None:
    rows = [
        {"mass_gev": 0.5, "lower": 1e-4, "upper": 1e-2, "status": "ok"},
        {"mass_gev": 1.0, "lower": 1e-5, "upper": 1e-3, "status": "not_bracketed"},
        {"mass_gev": 2.0, "lower": None, "upper": None, "status": "no_sensitivity"},
    ]
    ax = region_figure({"mumu": (rows, rows[:1])}, **COMMON).axes[0]
    squares = [line for line in ax.lines if line.get_marker() == "s" and len(line.get_xdata())]
    assert [list(line.get_ydata()) for line in squares] == [[1e-5, 1e-3]]
    assert not any("nothing" in text.get_text() for text in ax.texts)


def test_a_figure_without_a_region_says_so() -> None:
    rows = [{"mass_gev": m, "lower": None, "upper": None, "status": "no_sensitivity"} for m in (0.5, 2.0)]
    ax = region_figure({"mumu": (rows, rows)}, **COMMON).axes[0]
    assert "nothing is excluded" in [text.get_text() for text in ax.texts]
    assert ax.get_xlim() == (0.5, 2.0)
