from __future__ import annotations

import json

import numpy as np
import pytest
from templates_toys import ALP_EFFICIENCY, alp_config, alp_signal, alp_toy, alp_width, zprime_toy

from darkfactory.core.errors import ConfigError, RunError
from darkfactory.templates.binning import Binning, build_binning, make_window
from darkfactory.templates.dscb import fit_dscb, shape_sigma68
from darkfactory.templates.shapes import (
    ShapeModel,
    TemplatePoint,
    build_shape_model,
    interpolate_shape,
    measure_signal,
)
from darkfactory.templates.signal import morph

ALP, ZPRIME = alp_toy(), zprime_toy()


@pytest.mark.parametrize("mass", [0.75, 1.3, 2.75, 3.8])
def test_interpolated_shape_describes_a_sample_between_the_grid_masses(mass: float) -> None:
    columns = alp_signal(mass, 40000, np.random.default_rng(3))
    edges = mass**2 + float(alp_width(mass)) * np.linspace(-5, 5, 26)
    right = columns["m2_gg"][: len(columns["m2_gg"]) // 3]
    observed, _ = np.histogram(right, edges)
    expected = 40000 * ALP.shapes.at("alp", "gg").template(mass, edges)
    groups = expected > 10
    chi2 = ((observed - expected)[groups] ** 2 / expected[groups]).sum() / groups.sum()
    # the efficiencies of the neighbours have a per cent of statistical error
    assert chi2 < 2.0


def test_efficiency_counts_right_pairings_only() -> None:
    for row in ALP.shapes.closure():
        assert float(row["efficiency"]) == pytest.approx(ALP_EFFICIENCY, abs=4 * float(row["efficiency_error"]))


def test_smooth_widths_follow_the_truth() -> None:
    for mass in (0.6, 1.7, 3.3):
        # core and tail of the toy together are 10 to 12 % wider than its core, the fitted core is between
        assert ALP.shapes.at("alp", "gg").width(mass) / float(alp_width(mass)) == pytest.approx(1.11, abs=0.04)
        assert ALP.shapes.width("gg", mass) / float(alp_width(mass)) == pytest.approx(1.06, abs=0.04)


def test_smooth_parameters_belong_together() -> None:
    for row in ALP.shapes.closure():
        mass = float(row["mass"])
        shape = ALP.shapes.at("alp", "gg").shape(mass)
        half = 8 * float(row["sigma68"])
        width = shape_sigma68(shape, mass**2 - half, mass**2 + half)
        assert width == pytest.approx(float(row["sigma68"]), rel=0.05)


def test_interpolation_of_parameters_beats_none() -> None:
    rng = np.random.default_rng(8)
    fits = [(m, fit_dscb(rng.normal(m**2, 0.1 * m, 20000), np.ones(20000))) for m in (1.0, 2.0, 3.0, 4.0)]
    shape = interpolate_shape(fits, 2.5, alp_config().shape)
    assert shape.sigma == pytest.approx(0.25, rel=0.03)
    assert shape.mean == pytest.approx(6.25, abs=0.01)


def test_wide_points_do_not_enter_the_resolution() -> None:
    assert ZPRIME.shapes.width("recoil", 4.0) == pytest.approx(0.25, rel=0.03)
    assert "m4p00000_w0p10000" in {m.point for m in ZPRIME.shapes.measurements}


def test_a_sample_without_enough_events_is_left_out() -> None:
    config = alp_config()
    point = TemplatePoint("alp", "m2p00000")
    few = measure_signal(point, alp_signal(2.0, 60, np.random.default_rng(1)), config, n_generated=60, sigma_fb=1.0)
    assert few is not None
    assert few.fit is None
    with pytest.raises(RunError, match=r"region 'gg'.*has no signal sample"):
        build_shape_model([few], config)


def test_fine_bins_follow_the_resolution() -> None:
    edges = ALP.binning.regions["gg"].first
    centre, width = 0.5 * (edges[1:] + edges[:-1]), np.diff(edges)
    inside = (centre > 0.5) & (centre < 15)
    expected = np.array([ALP.shapes.width("gg", float(np.sqrt(c))) / 2 for c in centre[inside]])
    np.testing.assert_allclose(width[inside], expected, rtol=0.02)
    assert edges[0] == 0.0
    assert edges[-1] == 25.0


def test_windows_are_ranges_of_the_shared_bins() -> None:
    point = TemplatePoint("alp", "m2p00000")
    window = make_window(point, "gg", ALP.binning, ALP.shapes, ALP.config)
    edges = window.edges(ALP.binning.regions["gg"].first)
    width = ALP.shapes.width("gg", 2.0)
    assert window.last - window.first == 40
    assert set(edges) <= set(ALP.binning.regions["gg"].first)
    assert 4.0 - edges[0] == pytest.approx(10 * width, rel=0.2)
    assert edges[-1] - 4.0 == pytest.approx(10 * width, rel=0.2)
    core = ALP.binning.regions["gg"].first[list(window.core)]
    np.testing.assert_allclose(core, [4.0 - 2 * width, 4.0 + 2 * width], atol=0.6 * width)


def test_a_window_stops_at_the_end_of_the_range_and_holds_whole_merged_bins() -> None:
    config = alp_config(window={"half_width": 20, "merge": 3})
    window = make_window(TemplatePoint("alp", "m0p50000"), "gg", ALP.binning, ALP.shapes, config)
    assert (window.last - window.first) % 3 == 0
    assert window.first < 3
    assert len(window.keep) == (window.last - window.first) // 3


def test_wide_resonances_have_wider_windows_of_no_more_bins_than_allowed() -> None:
    narrow, wide = (
        make_window(TemplatePoint("zprime", n), "recoil", ZPRIME.binning, ZPRIME.shapes, ZPRIME.config)
        for n in ("m4p00000", "m4p00000_w0p10000")
    )
    assert wide.last - wide.first > 1.2 * (narrow.last - narrow.first)
    config = ZPRIME.config.model_copy(update={"window": ZPRIME.config.window.model_copy(update={"max_bins": 10})})
    point = TemplatePoint("zprime", "m4p00000_w0p10000")
    assert len(make_window(point, "recoil", ZPRIME.binning, ZPRIME.shapes, config).keep) <= 10


def test_masked_bins_are_not_fitted() -> None:
    config = alp_config(masks=[{"name": "eta prime", "mass": [0.93, 0.98]}])
    window = make_window(TemplatePoint("alp", "m1p10000"), "gg", ALP.binning, ALP.shapes, config)
    edges = window.edges(ALP.binning.regions["gg"].first)
    fitted = np.array(window.keep)
    assert not fitted[(edges[1:] > 0.93**2) & (edges[:-1] < 0.98**2)].any()
    assert fitted.sum() > 20
    fine = np.arange(len(ALP.binning.regions["gg"].first) - 1.0)
    assert len(window.reduce(fine)) == fitted.sum()
    covered = alp_config(masks=[{"name": "all", "mass": [0.0, 5.0]}])
    with pytest.raises(RunError, match="masks cover its whole window"):
        make_window(TemplatePoint("alp", "m2p00000"), "gg", ALP.binning, ALP.shapes, covered)


def test_morphing_moves_mean_and_width() -> None:
    edges = np.linspace(-6, 6, 121)
    centre = 0.5 * (edges[1:] + edges[:-1])
    content = np.exp(-0.5 * centre**2)[:, None] * np.array([1.0, 2.0])
    moved = morph(content, edges, 0.0, 0.3, 1.2)
    for k in range(2):
        mean = (moved[:, k] * centre).sum() / moved[:, k].sum()
        width = np.sqrt((moved[:, k] * (centre - mean) ** 2).sum() / moved[:, k].sum())
        assert mean == pytest.approx(0.3, abs=0.01)
        assert width == pytest.approx(1.2, abs=0.01)
    np.testing.assert_allclose(moved.sum(axis=0), content.sum(axis=0), rtol=1e-4)


def test_records_round_trip_through_json() -> None:
    shapes = ShapeModel.from_dict(json.loads(json.dumps(ALP.shapes.to_dict())))
    assert shapes == ALP.shapes
    binning = Binning.from_dict(json.loads(json.dumps(ZPRIME.binning.to_dict())))
    again = build_binning(ZPRIME.shapes, ZPRIME.config)
    for a, b in zip(binning.regions["recoil"].edges, again.regions["recoil"].edges, strict=True):
        np.testing.assert_array_equal(a, b)


def test_errors() -> None:
    with pytest.raises(ConfigError, match="no mass axis"):
        _ = TemplatePoint("alp", "t1p00000").mass
    columns = alp_signal(2.0, 1000, np.random.default_rng(1))
    point = TemplatePoint("alp", "m2p00000")
    with pytest.raises(RunError, match="give no normalisation"):
        measure_signal(point, columns, alp_config(), n_generated=0, sigma_fb=1.0)
    with pytest.raises(RunError, match="event_id"):
        measure_signal(
            point, {k: v for k, v in columns.items() if k != "event_id"}, alp_config(), n_generated=10, sigma_fb=1.0
        )
    record = ALP.shapes.to_dict()
    record["regions"]["alp/gg"]["curves"]["log_width"] |= {"numbers": [-9.0], "knots": []}
    with pytest.raises(RunError, match="fine bins"):
        build_binning(ShapeModel.from_dict(record), alp_config())
