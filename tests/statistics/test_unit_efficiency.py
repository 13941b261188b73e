"""Limits on efficiency times cross-section: the shape of the signal counts, its efficiency does not."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from templates_toys import ALP_EFFICIENCY, alp_toy, zprime_toy

from darkfactory.templates.build import PointTemplate, build_templates
from darkfactory.templates.signal import SignalSample, fine_signal

TOY = zprime_toy(4000)
POINT = TOY.points[1]
FINE = TOY.binning.regions["recoil"]


def template(samples: dict[str, SignalSample], hypotheses: tuple[str, ...]) -> PointTemplate:
    built = build_templates(
        [POINT], TOY.shapes, TOY.binning, TOY.background, TOY.config, 10.0,
        samples=samples, unit_efficiency=hypotheses,
    )  # fmt: skip
    return built.points[POINT.key]


def scaled(factor: int) -> dict[str, SignalSample]:
    """The same candidates from ``factor`` as many generated events: another efficiency, the same shape."""
    h = TOY.samples[POINT.key].histogram
    return {POINT.key: SignalSample(dataclasses.replace(h, n_generated=h.n_generated * factor), 4.0)}


def test_the_template_does_not_depend_on_the_efficiency_of_the_sample() -> None:
    whole, tenth = (template(scaled(f), ("zprime",)) for f in (1, 10))
    assert tenth.signal == pytest.approx(whole.signal, rel=1e-12)
    # with an efficiency, ten times as many generated events are a tenth of the template
    with_efficiency = [template(scaled(f), ()) for f in (1, 10)]
    assert np.sum(with_efficiency[1].signal) == pytest.approx(np.sum(with_efficiency[0].signal) / 10)
    # 1 fb of efficiency times cross-section at 10 /fb are ten events, less what lies outside the window
    assert 9.5 < np.sum(whole.signal) <= 10.0
    assert whole.efficiency == pytest.approx(np.sum(whole.signal) / 10.0)
    shape = np.array(with_efficiency[0].signal)
    assert np.array(whole.signal) / np.sum(whole.signal) == pytest.approx(shape / shape.sum())


def test_only_shapes_are_uncertain() -> None:
    point = template(TOY.samples, ("zprime",))
    assert point.signal_norms == {}
    assert "signal_statistics" in template(TOY.samples, ()).signal_norms
    signal = fine_signal(POINT, "recoil", FINE, TOY.shapes, TOY.samples[POINT.key], TOY.config, True)
    assert "signal_width" in signal.shapes
    for name, pair in signal.shapes.items():
        for varied in pair:
            assert varied.sum() == pytest.approx(1.0), name
    down, up = signal.shapes["signal_width"]
    # wider is lower at the peak
    assert up.max() < signal.nominal.max() < down.max()


def test_parametric_shapes_too() -> None:
    toy = alp_toy(20000, (1.0, 2.0, 3.0))
    fine, point = toy.binning.regions["gg"], toy.points[1]
    plain, unit = (fine_signal(point, "gg", fine, toy.shapes, None, toy.config, u) for u in (False, True))
    assert plain.nominal.sum() == pytest.approx(ALP_EFFICIENCY, rel=0.1)
    assert unit.nominal.sum() == pytest.approx(1.0)
    assert (unit.norms, unit.statistical) == ({}, 0.0)
    assert plain.norms
    assert unit.nominal / unit.nominal.max() == pytest.approx(plain.nominal / plain.nominal.max())
