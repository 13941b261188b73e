"""Variations by orders of magnitude and bins of few simulated events: every point gets a certified limit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from darkfactory.config.statistics import CertificateConfig, StatisticsConfig
from darkfactory.stats.limits import WorkspaceInput, compute_limits
from darkfactory.stats.pulls import nuisance_pulls
from darkfactory.stats.significance import single_scan
from darkfactory.stats.stock import stock_limits
from darkfactory.templates.variations import limited, varying_part

BINS = 12


def _normsys(name: str, low: float, high: float) -> dict[str, Any]:
    return {"name": name, "type": "normsys", "data": {"lo": low, "hi": high}}


def _spec(parts: list[dict[str, Any]]) -> dict[str, Any]:
    signal = [0.0] * BINS
    signal[5] = 1.0
    poi = {"name": "mu", "type": "normfactor", "data": None}
    observed = [0.0] * BINS
    observed[0] = 3.0
    return {
        "channels": [
            {"name": "sr", "samples": [{"name": "signal", "data": signal, "modifiers": [poi]}, *parts]},
        ],
        "observations": [{"name": "sr", "data": observed}],
        "measurements": [{"name": "m", "config": {"poi": "mu", "parameters": []}}],
        "version": "1.0.0",
    }


NOMINAL = np.array([3.0] + [0.05] * (BINS - 1))
UP = NOMINAL * np.array([1.0] + [300.0] * (BINS - 1))
DOWN = NOMINAL * np.array([1.0] + [0.1] * (BINS - 1))


def _limit(spec: dict[str, Any], **certificate: Any) -> Any:
    config = StatisticsConfig(cls=(0.9,), method="asymptotic", certificate=CertificateConfig(**certificate))
    return compute_limits([WorkspaceInput("m1p00000", "x", {"mass": 1.0}, spec, background=10.0)], config)[0]


def _staterror(values: np.ndarray) -> dict[str, Any]:
    return {"name": "staterror_sr", "type": "staterror", "data": (1.2 * values).tolist()}


def test_what_varies_is_told_from_what_does_not() -> None:
    mixed = NOMINAL.copy()
    mixed[1] = 0.1  # half of it varies
    up, down = UP.copy(), DOWN.copy()
    up[1], down[1] = 0.05 + 0.05 * 300, 0.05 + 0.05 * 0.1
    fraction = varying_part(mixed, down, up, 2.0)
    assert fraction is not None
    assert fraction[:3] == pytest.approx([0.0, 0.5, 1.0])


def test_the_part_that_varies_keeps_the_limit_certified() -> None:
    fraction = varying_part(NOMINAL, DOWN, UP, 2.0)
    assert fraction is not None
    parts = []
    for label, share in (("rest", 1 - fraction), ("lost", fraction)):
        data = NOMINAL * share
        modifiers = [_normsys("norm", 0.8, 1.25), _staterror(data)]
        if label == "lost":
            modifiers.append(_normsys("loss", 0.1, 10.0))
        parts.append({"name": label, "data": data.tolist(), "modifiers": modifiers})
    record = _limit(_spec(parts), fallback=False)
    assert record.status == "ok"
    assert record.certificate["passed"]


def test_as_one_shape_the_expectation_turns_negative() -> None:
    """What the template stage prevents: code 4p between the variations goes below zero."""
    half, quad = 0.5 * (UP - DOWN), 0.0625 * (UP + DOWN - 2 * NOMINAL)
    a = -0.3
    shift = a * half + a**2 * (a**2 * (3 * a**2 - 10) + 15) * quad
    assert (NOMINAL + shift)[1:].max() < 0
    kept = limited(NOMINAL, DOWN, UP, 10.0, 0.5)
    assert kept.changed
    for shape in kept.shapes:
        assert np.all(np.abs(shape / NOMINAL - 1) <= 0.5 + 1e-12)
    assert kept.factors[1] <= 10.0


def test_a_bin_factor_near_zero_does_not_fail_the_gradient() -> None:
    """The likelihood bends within 1e-4 of a factor of 1e-3; the difference has to be taken on that scale."""
    data = np.full(BINS, 1000.0)
    part = {"name": "b", "data": data.tolist(), "modifiers": [_staterror(data), _normsys("norm", 0.8, 1.25)]}
    record = _limit(_spec([part]), fallback=False)
    assert record.status == "ok"
    assert record.certificate["possible_gain"] < 1e-6


def test_stock_pyhf_is_bounded() -> None:
    part = {"name": "b", "data": NOMINAL.tolist(), "modifiers": [_staterror(NOMINAL)]}
    many = stock_limits(_spec([part]), [0.9], max_parameters=5)
    assert many.status == "fit_failed"
    assert "not tried" in many.certificate["failed"]
    spent = stock_limits(_spec([part]), [0.9], evaluations=200)
    assert spent.status == "fit_failed"
    assert "evaluations" in spent.certificate["failed"]


def test_pulls_follow_the_data() -> None:
    part = {"name": "b", "data": [100.0] * BINS, "modifiers": [_normsys("norm", 0.8, 1.2)]}
    spec = _spec([part])
    spec["observations"][0]["data"] = [120.0] * BINS
    pull, width = nuisance_pulls(spec)["norm"]
    # twelve hundred events measure a yield that is known to a fifth seven times better
    assert pull == pytest.approx(1.0, abs=0.05)
    assert 0.05 < width < 0.2


def test_no_excess_above_the_level_is_no_excess_at_all() -> None:
    found = single_scan([0.1, 0.9, 0.3])
    assert found["p_global"] == 1.0
    assert found["z_global"] == 0.0
