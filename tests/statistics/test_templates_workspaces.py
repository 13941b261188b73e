from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pyhf
import pytest
from templates_toys import TAG, Toy, alp_config, alp_signal, alp_toy, zprime_config, zprime_toy

from darkfactory.core.errors import RunError
from darkfactory.records.histogram import Histogram
from darkfactory.templates.background import BackgroundModel, build_background
from darkfactory.templates.build import Templates, build_templates
from darkfactory.templates.patchset import patch_sets
from darkfactory.templates.pseudodata import Observed, draw_observed, observed_from_histograms
from darkfactory.templates.shapes import TemplatePoint
from darkfactory.templates.signal import SignalSample
from darkfactory.templates.workspace import POI, PointWorkspace, WorkspaceSet, build_workspaces

ALP, ZPRIME = alp_toy(), zprime_toy()
L_ALP, L_ZPRIME = 0.445, 79.7


def workspaces(
    toy: Toy,
    luminosity: float,
    *,
    observed: Observed | None = None,
    points: list[TemplatePoint] | None = None,
    config: Any = None,
) -> WorkspaceSet:
    config = config or toy.config
    templates = build_templates(
        points or toy.points, toy.shapes, toy.binning, toy.background, config, luminosity, samples=toy.samples
    )
    data = observed or draw_observed(toy.background, luminosity, rng=np.random.default_rng(1), seed="1/test")
    return build_workspaces(templates, data, points or toy.points, config, luminosity, luminosity_uncertainty=0.01)


def spec(point: PointWorkspace) -> dict[str, Any]:
    assert point.spec is not None
    return point.spec


def sample(point: PointWorkspace, name: str) -> dict[str, Any]:
    return next(s for s in spec(point)["channels"][0]["samples"] if s["name"] == name)


def modifiers(point: PointWorkspace, name: str) -> dict[str, Any]:
    return {m["name"]: m for m in sample(point, name)["modifiers"]}


@pytest.mark.parametrize("which", ["alp", "zprime"])
def test_every_workspace_is_valid_and_builds_a_model(which: str) -> None:
    toy, luminosity = (ALP, L_ALP) if which == "alp" else (ZPRIME, L_ZPRIME)
    for point in workspaces(toy, luminosity).points.values():
        model = pyhf.Workspace(spec(point)).model()
        data = pyhf.Workspace(spec(point)).data(model)
        assert model.config.poi_name == "mu"
        assert np.isfinite(model.logpdf(model.config.suggested_init(), data)[0])
        start = np.array(model.config.suggested_init())
        expected = model.expected_data(start, include_auxdata=False)
        assert np.min(expected) > 0
        assert point.status == "ok"
        assert point.data == "pseudo"


def test_start_values_reproduce_the_background_expectation() -> None:
    built = workspaces(ALP, L_ALP)
    for point in built.points.values():
        model = pyhf.Workspace(spec(point)).model()
        start = np.array(model.config.suggested_init())
        start[model.config.poi_index] = 0.0
        total = float(np.sum(model.expected_data(start, include_auxdata=False)))
        observed = sum(spec(point)["observations"][0]["data"])
        assert total == pytest.approx(observed, abs=4 * np.sqrt(total))


def test_signal_is_scaled_to_the_root_of_the_background_and_back() -> None:
    for point in workspaces(ALP, L_ALP).points.values():
        events = sum(sample(point, "signal")["data"])
        assert events == pytest.approx(np.sqrt(point.expected_background))
        # what one unit of mu means: that cross section, this luminosity and efficiency
        assert events == pytest.approx(point.scale * L_ALP * point.efficiency)
        assert point.signal_events == pytest.approx(events)


def test_few_background_events_scale_to_one_signal_event() -> None:
    point = workspaces(ALP, 1e-5, points=ALP.points[2:3]).points["alp/m1p50000"]
    assert point.expected_background < 1
    assert point.signal_events == 1.0


def test_a_point_alone_has_the_bits_of_its_block() -> None:
    for toy, luminosity in ((ALP, L_ALP), (ZPRIME, L_ZPRIME)):
        whole = workspaces(toy, luminosity)
        for point in toy.points[1:3]:
            alone = workspaces(toy, luminosity, points=[point]).points[point.key]
            assert json.dumps(alone.to_dict()) == json.dumps(whole.points[point.key].to_dict())


def test_a_point_off_the_grid_has_a_workspace() -> None:
    point = TemplatePoint("alp", "m1p23456")
    built = workspaces(ALP, L_ALP, points=[point]).points[point.key]
    low, high = (workspaces(ALP, L_ALP).points[k].scale for k in ("alp/m1p00000", "alp/m1p50000"))
    assert low < built.scale < high


def fitted_cross_section(observed: Observed, point: TemplatePoint) -> tuple[float, float]:
    """Best fit and error in fb."""
    built = workspaces(ALP, L_ALP, observed=observed, points=[point]).points[point.key]
    workspace = pyhf.Workspace(spec(built))
    model = workspace.model()
    pyhf.set_backend("numpy", pyhf.optimize.minuit_optimizer())
    try:
        fit = pyhf.infer.mle.fit(workspace.data(model), model, return_uncertainties=True)
    finally:
        pyhf.set_backend("numpy", pyhf.optimize.scipy_optimizer())
    value, error = fit[model.config.poi_index]
    return float(value * built.scale), float(error * built.scale)


def test_injected_signal_is_recovered() -> None:
    point, cross_section, n = TemplatePoint("alp", "m2p00000"), 2000.0, 400000
    edges = ALP.binning.regions["gg"].first
    # an independent sample, with the wrong pairings that data would have
    values = alp_signal(2.0, n, np.random.default_rng(21))["m2_gg"]
    both, right = (
        np.histogram(v, edges)[0] * (cross_section * L_ALP / n) for v in (values, values[: len(values) // 3])
    )
    asimov, error = fitted_cross_section(draw_observed(ALP.background, L_ALP, injected={"gg": both}), point)
    alone, _ = fitted_cross_section(draw_observed(ALP.background, L_ALP, injected={"gg": right}), point)
    drawn = draw_observed(ALP.background, L_ALP, rng=np.random.default_rng(31), injected={"gg": both})
    pseudo, _ = fitted_cross_section(drawn, point)
    # 1.3 % is the statistical error of the efficiency at this mass
    assert asimov == pytest.approx(cross_section, rel=0.05)
    # wrong pairings are no signal: the polynomial takes them
    assert asimov == pytest.approx(alone, rel=0.002)
    assert 0.2 * cross_section < error < 0.4 * cross_section
    assert abs(pseudo - cross_section) < 3 * error


def test_bias_of_the_order_is_a_signal_shaped_variation_of_the_background() -> None:
    point = workspaces(ALP, L_ALP).points["alp/m2p00000"]
    templates = build_templates(ALP.points, ALP.shapes, ALP.binning, ALP.background, ALP.config, L_ALP)
    choice = templates.points["alp/m2p00000"].polynomial
    assert choice is not None
    model = pyhf.Workspace(spec(point)).model()
    start = np.array(model.config.suggested_init())
    start[model.config.poi_index] = 0.0
    varied = start.copy()
    varied[model.config.par_slice("background_order")] = 1.0
    moved = model.expected_data(varied, include_auxdata=False) - model.expected_data(start, include_auxdata=False)
    signal = np.array(sample(point, "signal")["data"])
    np.testing.assert_allclose(moved, choice.systematic * signal / signal.sum(), atol=1e-6 * choice.systematic)
    for k in range(choice.order + 1):
        assert min(modifiers(point, f"bernstein_{k}")["background_order"]["data"]["lo_data"]) > 0


def test_modifiers_of_the_signal() -> None:
    point = workspaces(ALP, L_ALP).points["alp/m2p00000"]
    found = modifiers(point, "signal")
    assert {k: m["type"] for k, m in found.items()} == {
        "mu": "normfactor", "lumi": "lumi", "trigger": "normsys", "photon_efficiency": "normsys",
        "photon_loss": "normsys", "signal_statistics": "normsys", "signal_width": "histosys",
        "signal_mean": "histosys",
    }  # fmt: skip
    assert found["trigger"]["data"] == {"lo": 1 / 1.02, "hi": 1.02}
    assert found["photon_loss"]["data"]["hi"] == pytest.approx(1.02, abs=1e-6)
    wide = np.array(found["signal_width"]["data"]["hi_data"])
    nominal = np.array(sample(point, "signal")["data"])
    assert wide.max() / nominal.max() == pytest.approx(1 / 1.1, abs=0.02)
    assert wide.sum() == pytest.approx(nominal.sum(), rel=0.01)


def test_a_size_in_the_configuration_stands_for_the_columns() -> None:
    systematics = {
        "signal": {"photon_loss": {"value": 0.5, **TAG}},
        "background": {"photon_loss": {"value": 0.5, **TAG}},
    }
    point = workspaces(ZPRIME, L_ZPRIME, config=zprime_config(systematics=systematics)).points["zprime/m2p00000"]
    for name in ("signal", "mumu"):
        found = [m for m in sample(point, name)["modifiers"] if m["name"] == "photon_loss"]
        assert [m["type"] for m in found] == ["normsys"]


def test_two_dimensional_templates_follow_their_samples() -> None:
    point = workspaces(ZPRIME, L_ZPRIME).points["zprime/m2p00000"]
    n = len(point.edges[0]) - 1
    assert len(point.edges[1]) == 4
    data = np.array(sample(point, "signal")["data"]).reshape(n, 3)
    # flat in cos(theta): the bins 0..1, 1..2.1416, 2.1416..pi of theta hold 23, 54 and 23 %
    np.testing.assert_allclose(data.sum(axis=0) / data.sum(), [0.2298, 0.5403, 0.2298], atol=0.03)
    assert data.sum(axis=1).argmax() in (n // 2 - 1, n // 2)
    factor, shape = (m for m in sample(point, "mumu")["modifiers"] if m["name"] == "photon_loss")
    # a flat variation is all factor, and its shape is the nominal one
    assert (factor["type"], factor["data"]["hi"]) == ("normsys", pytest.approx(1.3))
    np.testing.assert_allclose(shape["data"]["hi_data"], sample(point, "mumu")["data"], rtol=1e-9)
    assert modifiers(point, "mumu")["staterror_recoil"]["type"] == "staterror"
    assert modifiers(point, "tautau")["norm_tautau"]["data"]["hi"] == pytest.approx(1.2)


def test_yields_are_luminosity_times_cross_section() -> None:
    templates = build_templates(
        ZPRIME.points, ZPRIME.shapes, ZPRIME.binning, ZPRIME.background, ZPRIME.config, 10.0, samples=ZPRIME.samples
    )
    # signal: 1 fb * 10 /fb * the toy's efficiency of 0.2, and hardly anything outside the window
    assert sum(templates.points["zprime/m3p00000"].signal) == pytest.approx(2.0, rel=0.05)
    raw = ZPRIME.background.regions["recoil"]["tautau"].nominal.sum() * 10.0
    assert raw == pytest.approx(80.0 * 10.0, rel=0.01)


def test_too_few_simulated_events_are_flagged() -> None:
    rich = workspaces(ZPRIME, 1.0).points["zprime/m3p00000"]
    poor_toy = zprime_toy(n=2000)
    poor = workspaces(poor_toy, L_ZPRIME).points["zprime/m3p00000"]
    assert rich.effective_ratio > 5.0
    assert not rich.flagged_bins
    assert poor.effective_ratio < 5.0
    assert poor.flagged_bins
    # weight w per event: effective events over expectation is 1 / (w L / n), here 40000 / 80 fb
    unsmoothed = zprime_toy(config=zprime_config(smoothing={"method": "none"}))
    ratio = workspaces(unsmoothed, 1.0).points["zprime/m4p00000"].effective_ratio
    assert ratio == pytest.approx(40000 / 80.0, rel=0.01)


def test_effective_ratio_scales_with_luminosity() -> None:
    one, ten = (workspaces(ZPRIME, lumi).points["zprime/m4p00000"].effective_ratio for lumi in (1.0, 10.0))
    assert one / ten == pytest.approx(10.0)


def test_background_only_and_patches_make_the_complete_workspaces() -> None:
    config = zprime_config(window={"mode": "full", "merge": 8})
    points = [p for p in ZPRIME.points if p.width_ratio == 0]
    built = workspaces(ZPRIME, L_ZPRIME, points=points, config=config)
    (shared,) = patch_sets(tuple(built.points.values()), hepdata="ins1234567", label="zprime/toy")
    background = pyhf.Workspace(shared.background)
    patches = pyhf.PatchSet(shared.patchset)
    patches.verify(background)
    assert len(patches) == len(shared.points) == 5
    for point in points:
        complete = patches.apply(background, f"zprime_{point.name}")
        assert dict(complete) == spec(built.points[point.key])
        pyhf.Workspace(complete).model()
    assert patches["zprime_m2p00000"].metadata["scale"] == built.points["zprime/m2p00000"].scale
    assert patches["zprime_m2p00000"].values == ("zprime", 2.0)
    assert shared.patchset["metadata"]["references"] == {"hepdata": "ins1234567"}


def test_sliding_windows_have_a_background_each() -> None:
    built = workspaces(ALP, L_ALP)
    groups = patch_sets(tuple(built.points.values()), hepdata="ins0000000")
    assert [g.points for g in groups] == [(k,) for k, p in built.points.items() if p.spec is not None]
    for group in groups:
        patches = pyhf.PatchSet(group.patchset)
        background = pyhf.Workspace(group.background)
        patches.verify(background)
        assert POI not in background.modifiers
        complete = patches.apply(background, group.points[0].replace("/", "_"))
        assert dict(complete) == spec(built.points[group.points[0]])


def test_counting_window_has_one_bin() -> None:
    config = zprime_config(window={"half_width": 2, "merge": 8, "max_bins": 1}, regions=[
        {"name": "recoil", "observable": "m2_recoil", "mass": [0, 6], "observable_range": [-3, 40]},
    ])  # fmt: skip
    toy = zprime_toy(config=config)
    for point in workspaces(toy, 0.276).points.values():
        assert len(spec(point)["observations"][0]["data"]) == 1
        pyhf.Workspace(spec(point)).model()


def test_masked_and_uncovered_points_are_named() -> None:
    config = alp_config(masks=[{"name": "a peak", "mass": [1.9, 2.1]}])
    points = [TemplatePoint("alp", n) for n in ("m2p00000", "m9p00000", "m3p00000")]
    built = workspaces(ALP, L_ALP, points=points, config=config)
    assert built.excluded == {"alp/m2p00000": "masked: a peak", "alp/m9p00000": "no region covers 9 GeV"}
    assert list(built.points) == ["alp/m3p00000"]


def test_a_point_without_signal_says_so() -> None:
    key = "zprime/m2p00000"
    h = ZPRIME.samples[key].histogram
    empty = SignalSample(Histogram(h.edges, 0 * h.sumw, 0 * h.sumw2, {}, 100.0), 4.0)
    toy = replace(ZPRIME, samples={**ZPRIME.samples, key: empty})
    point = workspaces(toy, L_ZPRIME).points[key]
    assert point.status == "no_sensitivity"
    assert point.spec is None
    assert point.reason == "no signal is expected in the window"
    assert PointWorkspace.from_dict(json.loads(json.dumps(point.to_dict()))) == point


def test_a_signal_of_a_handful_of_simulated_events_has_no_limit_and_says_why() -> None:
    key = "zprime/m2p00000"
    h = ZPRIME.samples[key].histogram
    total = float(h.sumw.sum())
    # all weights alike: n effective events have the relative error 1 / sqrt(n)
    for effective, status in ((5.0, "no_sensitivity"), (8.0, "ok")):
        sumw2 = h.sumw / total * total**2 / effective
        thin = SignalSample(Histogram(h.edges, h.sumw, sumw2, {}, h.n_generated), ZPRIME.samples[key].sigma_fb)
        point = workspaces(replace(ZPRIME, samples={**ZPRIME.samples, key: thin}), L_ZPRIME).points[key]
        assert point.status == status
        if status != "ok":
            assert point.spec is None
            assert "relative error of 0.45, worse than max_signal_error 0.4: generate more events" in point.reason
        else:
            assert point.reason == ""


def test_pseudo_data_are_drawn_once_and_shared_by_the_windows() -> None:
    one, same, other = (
        draw_observed(ALP.background, L_ALP, rng=np.random.default_rng(s)).counts["gg"] for s in (5, 5, 6)
    )
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
    mean = ALP.background.total("gg", L_ALP)
    used = mean > 5
    chi2 = ((one - mean)[used] ** 2 / mean[used]).sum()
    assert abs(chi2 - used.sum()) < 4 * np.sqrt(2 * used.sum())
    built = workspaces(ALP, L_ALP, points=[TemplatePoint("alp", n) for n in ("m2p00000", "m2p05000")])
    a, b = (set(spec(p)["observations"][0]["data"]) for p in built.points.values())
    assert len(a & b) > 20


def test_asimov_is_the_expectation() -> None:
    asimov = draw_observed(ALP.background, L_ALP)
    assert asimov.data == "asimov"
    np.testing.assert_array_equal(asimov.counts["gg"], ALP.background.total("gg", L_ALP))
    assert workspaces(ALP, L_ALP, observed=asimov).points["alp/m2p00000"].data == "asimov"


def test_real_data_are_counts() -> None:
    edges = (np.array([0.0, 1.0, 2.0]),)
    h = Histogram(edges, np.array([3.0, 0.0]), np.array([3.0, 0.0]))
    assert observed_from_histograms({"gg": h}, 1.0).data == "real"
    with pytest.raises(RunError, match="fractional counts"):
        observed_from_histograms({"gg": Histogram(edges, np.array([0.5, 0.0]), np.ones(2))}, 1.0)


def test_records_round_trip_through_json() -> None:
    def again(value: Any) -> Any:
        return json.loads(json.dumps(value))

    background = BackgroundModel.from_dict(again(ZPRIME.background.to_dict()))
    observed = draw_observed(background, L_ZPRIME, rng=np.random.default_rng(1), seed="1/test")
    observed = Observed.from_dict(again(observed.to_dict()))
    toy = replace(ZPRIME, background=background)
    templates = build_templates(
        toy.points, toy.shapes, toy.binning, background, toy.config, L_ZPRIME, samples=toy.samples
    )
    templates = Templates.from_dict(again(templates.to_dict()))
    built = build_workspaces(templates, observed, toy.points, toy.config, L_ZPRIME, luminosity_uncertainty=0.01)
    assert {k: p.to_dict() for k, p in built.points.items()} == {
        k: p.to_dict() for k, p in workspaces(ZPRIME, L_ZPRIME).points.items()
    }
    alp = build_templates(ALP.points, ALP.shapes, ALP.binning, ALP.background, ALP.config, L_ALP)
    assert Templates.from_dict(again(alp.to_dict())) == alp


def test_blocks_join() -> None:
    one, two = (
        build_templates([p], ALP.shapes, ALP.binning, ALP.background, ALP.config, L_ALP) for p in ALP.points[:2]
    )
    assert list((one + two).points) == [p.key for p in ALP.points[:2]]
    with pytest.raises(RunError, match="cannot be joined"):
        one + build_templates(ALP.points[:1], ALP.shapes, ALP.binning, ALP.background, ALP.config, 1.0)


def test_errors() -> None:
    templates = build_templates(ALP.points[:1], ALP.shapes, ALP.binning, ALP.background, ALP.config, L_ALP)
    data = draw_observed(ALP.background, L_ALP)
    with pytest.raises(RunError, match="one luminosity"):
        build_workspaces(templates, data, ALP.points[:1], ALP.config, 1.0, luminosity_uncertainty=0.01)
    with pytest.raises(RunError, match="no templates for alp/m1p00000"):
        build_workspaces(templates, data, ALP.points[:2], ALP.config, L_ALP, luminosity_uncertainty=0.01)
    with pytest.raises(RunError, match="no histogram of its own sample"):
        build_templates(ZPRIME.points, ZPRIME.shapes, ZPRIME.binning, ZPRIME.background, ZPRIME.config, 1.0)
    with pytest.raises(RunError, match="no histograms for regions"):
        build_background({}, ALP.binning, ALP.config)
    with pytest.raises(RunError, match="has no sample"):
        build_background({"gg": {}}, ALP.binning, ALP.config)
    other = Histogram((np.array([0.0, 1.0]),), np.ones(1), np.ones(1), {}, 1.0)
    with pytest.raises(RunError, match="other bins"):
        build_background({"gg": {"x": other}}, ALP.binning, ALP.config)
    with pytest.raises(RunError, match="no data in region"):
        build_workspaces(
            templates, Observed("pseudo", L_ALP, {}), ALP.points[:1], ALP.config, L_ALP, luminosity_uncertainty=0.01
        )
