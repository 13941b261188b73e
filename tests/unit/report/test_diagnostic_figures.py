from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from darkfactory.report.diagnostics import (
    correlation_figure,
    coverage_figure,
    coverage_map_figure,
    goodness_figure,
    impacts_figure,
    injection_figure,
)


def drawn(fig: Figure) -> bytes:
    out = io.BytesIO()
    fig.savefig(out, format="png")
    return out.getvalue()


def impact(name: str, pull: float | None) -> dict[str, Any]:
    half = None if pull is None else 0.5
    return {
        "name": name, "pull": pull, "constraint": half, "prefit_down": half, "prefit_up": half,
        "postfit_down": -0.2, "postfit_up": 0.2,
    }  # fmt: skip


@pytest.mark.parametrize("count", [1, 30])
def test_impacts_are_drawn_with_free_parameters_and_without_too_many(count: int) -> None:
    rows = [impact("free", None), *(impact(f"n{i}", 0.1) for i in range(count))]
    fig = impacts_figure(rows, 2.0, title="t")
    assert drawn(fig)
    assert len(fig.axes[0].get_yticklabels()) == min(count + 1, 20)
    assert ("11 smaller ones left out" in fig.get_suptitle()) == (count == 30)


@pytest.mark.parametrize("count", [2, 10, 60])
def test_correlations_show_numbers_where_there_is_room(count: int) -> None:
    matrix = np.eye(count) + 0.1 * (1 - np.eye(count))
    fig = correlation_figure([f"p{i}" for i in range(count)], matrix.tolist(), title="t")
    assert drawn(fig)
    assert len(fig.axes[0].texts) == (count**2 if count <= 16 else 0)
    assert len(fig.axes[0].get_xticklabels()) == min(count, 40)


def test_the_other_diagnostics_are_drawn() -> None:
    rng = np.random.default_rng(1)
    goodness = [
        {"signal": s, "statistic": 9.0, "degrees": d, "p_toys": 0.4, "p_chi2": 0.5, "toys": rng.chisquare(8, 50)}
        for s, d in ((False, 8), (True, 0))
    ]
    names = (
        "fitted", "fitted_error", "spread", "bias_sigma", "bias_error", "pull", "pull_error", "pull_width",
        "pull_width_error",
    )  # fmt: skip
    injected = [{"injected": 2.0 * s, "strength": s, **dict.fromkeys(names, 0.5)} for s in (0.0, 1.0)]
    injected[0]["pull"] = None
    coverage = [
        {"signal_events": s, "background_events": b, "method": "exact", "cl": 0.9, "coverage": c, "error": 0.01}
        for s, b, c in ((0.0, 1.0, 1.0), (1.0, 1.0, None), (0.0, 3.0, 0.95), (1.0, 3.0, 0.88))
    ]
    for fig in (
        goodness_figure(goodness, title="t"),
        injection_figure(injected, title="t"),
        coverage_figure(coverage, title="t"),
        coverage_map_figure(coverage, title="t"),
    ):
        assert drawn(fig).startswith(b"\x89PNG")
    assert [t.get_text() for t in coverage_map_figure(coverage, title="t").axes[0].texts] == ["100.0", "95.0", "88.0"]
