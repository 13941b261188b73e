"""The Newton step behind pyhf's own optimiser interface."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pyhf
import pytest
from random_workspaces import random_workspace

from darkfactory.stats import NewtonOptimizer
from darkfactory.stats.certificate import PyhfWindow
from darkfactory.stats.channel_density import density_of
from darkfactory.stats.compiled_model import CompiledModel
from darkfactory.stats.examples import bump_window, template_window
from darkfactory.stats.histfactory import UnsupportedModel, compile_workspace, compile_workspaces
from darkfactory.stats.minima import LOST_STARTS, bends, undescribed
from darkfactory.stats.optimizer import pyhf_backend


def test_hypotest_agrees_with_a_tight_stock_minimiser() -> None:
    workspace = pyhf.Workspace(bump_window(4))
    model = workspace.model()
    data = workspace.data(model)
    answers = []
    for optimizer in (NewtonOptimizer(), pyhf.optimize.scipy_optimizer(tolerance=1e-12)):
        with pyhf_backend(optimizer):
            observed, band = pyhf.infer.hypotest(3.0, data, model, return_expected_set=True)
            answers.append([float(observed), *map(float, band)])
    np.testing.assert_allclose(answers[0], answers[1], rtol=1e-6)


def test_minimum_is_never_above_the_stock_one() -> None:
    workspace = pyhf.Workspace(template_window(2, bins=8))
    model = workspace.model()
    data = workspace.data(model)
    values = []
    for optimizer in (NewtonOptimizer(), pyhf.optimize.scipy_optimizer()):
        with pyhf_backend(optimizer):
            values.append(float(pyhf.infer.mle.fit(data, model, return_fitted_val=True)[1]))
    assert values[0] <= values[1] + 1e-9


def test_result_object_and_fixed_nuisance() -> None:
    model = pyhf.simplemodels.uncorrelated_background([12.0, 11.0], [50.0, 52.0], [3.0, 7.0])
    data = [51, 48, *model.config.auxdata]
    fixed = model.config.suggested_fixed()
    fixed[2] = True
    init = model.config.suggested_init()
    init[2] = 0.9
    with pyhf_backend(NewtonOptimizer()):
        pars, value, result = pyhf.infer.mle.fit(
            data, model, init, None, fixed, return_fitted_val=True, return_result_obj=True
        )
    assert pars[2] == 0.9
    assert result.success
    assert float(value) == pytest.approx(float(pyhf.infer.mle.twice_nll(pars, data, model)[0]), abs=0)


def test_backend_is_restored_even_after_an_error() -> None:
    before = pyhf.get_backend()
    with pytest.raises(RuntimeError, match="inside"), pyhf_backend(NewtonOptimizer()):
        raise RuntimeError("inside")
    assert pyhf.get_backend() == before


@pytest.mark.filterwarnings("ignore:the `interpolation=` argument:DeprecationWarning")
def test_toy_calculator_runs_on_it() -> None:
    model = pyhf.simplemodels.uncorrelated_background([6.0], [10.0], [2.0])
    data = [9, *model.config.auxdata]
    np.random.seed(1)  # noqa: NPY002 - pyhf's toys draw from the global stream
    with pyhf_backend(NewtonOptimizer()):
        value = float(pyhf.infer.hypotest(1.0, data, model, calctype="toybased", ntoys=200, track_progress=False))
    assert 0.1 < value < 0.7


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [
        ({"return_uncertainties": True}, "use pyhf.optimize.minuit_optimizer"),
        ({"method": "SLSQP"}, r"options \['method'\]"),
    ],
)
def test_what_it_does_not_do_is_said(kwargs: dict, match: str) -> None:
    model = pyhf.simplemodels.uncorrelated_background([6.0], [10.0], [2.0])
    with pyhf_backend(NewtonOptimizer()), pytest.raises(UnsupportedModel, match=match):
        pyhf.infer.mle.fit([9, *model.config.auxdata], model, **kwargs)


def test_other_interpolation_codes_are_refused() -> None:
    workspace = pyhf.Workspace(bump_window(1, bins=10))
    model = workspace.model(modifier_settings={"normsys": {"interpcode": "code1"}, "histosys": {"interpcode": "code0"}})
    with pyhf_backend(NewtonOptimizer()), pytest.raises(UnsupportedModel, match="not pyhf's defaults"):
        pyhf.infer.mle.fit(workspace.data(model), model)


def test_clipped_and_batched_models_are_refused() -> None:
    workspace = pyhf.Workspace(bump_window(1, bins=10))
    for settings, match in (({"clip_bin_data": 0.0}, "clipping"), ({"batch_size": 2}, "batch_size 2")):
        model = workspace.model(**settings)
        with pytest.raises(UnsupportedModel, match=match):
            NewtonOptimizer().compiled(model)


def broken(change: str) -> dict:
    spec = bump_window(1, bins=10)
    signal = spec["channels"][0]["samples"][0]
    if change == "type":
        signal["modifiers"].append({"name": "x", "type": "custom", "data": None})
    elif change == "twice":
        signal["modifiers"].append(signal["modifiers"][2])
    elif change == "bins":
        signal["data"] = signal["data"][:-1]
    elif change == "observed":
        spec["observations"][0]["data"].pop()
    elif change == "lumi":
        spec["measurements"][0]["config"]["parameters"] = []
    elif change == "poi":
        spec["measurements"][0]["config"]["poi"] = "efficiency"
    elif change == "mixed":
        signal["modifiers"].append({"name": "efficiency", "type": "normfactor", "data": None})
    elif change == "negative":
        signal["modifiers"][2]["data"]["lo"] = -0.1
    return spec


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ("type", "modifier type 'custom' is outside"),
        ("twice", "'efficiency' of type normsys appears twice"),
        ("bins", "bins"),
        ("observed", "observations.sr has 9 bins, the channel has 10"),
        ("lumi", "'lumi' has 0 values of init, 1 expected"),
        ("poi", "'efficiency' is no normfactor"),
        ("mixed", "names modifiers of types"),
        ("negative", "normsys factor -0.1 is not positive"),
    ],
)
def test_unsupported_workspaces_raise_and_are_reported(change: str, match: str) -> None:
    spec = broken(change)
    with pytest.raises(UnsupportedModel, match=match):
        compile_workspace(spec)
    groups, refused = compile_workspaces([bump_window(1, bins=10), spec])
    assert list(refused) == [1]
    assert groups[0].positions == (0,)


def test_fits_made_together_are_those_of_the_hypothesis_test() -> None:
    """Prepared fits are found, nothing is fitted again, and the answer is the same."""
    window = PyhfWindow(bump_window(3, injected=2.0), 20.0)
    mus = [0.7, 1.9, 3.2]
    plain, prepared = NewtonOptimizer(), NewtonOptimizer()
    with pyhf_backend(plain):
        wanted = [window.hypotest(mu)[:2] for mu in mus]
    with pyhf_backend(prepared):
        prepared.prepare(window.model, window.data, window.bounds, mus, density_of(window.model).values)
        # with the data: free, without signal and each strength; with what is expected: free and each strength
        assert len(prepared._fits) == 2 * len(mus) + 3
        known = set(prepared._fits)
        found = [window.hypotest(mu)[:2] for mu in mus]
        assert set(prepared._fits) == known
    for (cls, band), (cls_wanted, band_wanted) in zip(found, wanted, strict=True):
        assert cls == pytest.approx(cls_wanted, rel=1e-9)
        assert band == pytest.approx(band_wanted, rel=1e-9)


def test_the_direct_normal_distribution_has_the_same_bits() -> None:
    x = np.concatenate([np.linspace(-40, 40, 2001), [np.nan, np.inf, -np.inf, 0.0]])
    stock = pyhf.tensor.numpy_backend()
    with pyhf_backend(NewtonOptimizer()):
        assert pyhf.tensorlib.name == "numpy"
        assert np.array_equal(pyhf.tensorlib.normal_cdf(x), stock.normal_cdf(x), equal_nan=True)
        assert np.array_equal(
            pyhf.tensorlib.normal_cdf(x, 0.3, 2.0), stock.normal_cdf(x, 0.3, 2.0), equal_nan=True
        )  # fmt: skip
    with pyhf_backend(pyhf.optimize.scipy_optimizer()):
        assert type(pyhf.tensorlib) is type(stock)


def test_threads_take_turns_at_pyhfs_backend() -> None:
    seen: list[str] = []
    waiting = threading.Event()

    def other() -> None:
        waiting.set()
        with pyhf_backend(pyhf.optimize.scipy_optimizer()):
            seen.append(pyhf.get_backend()[1].name)

    thread = threading.Thread(target=other)
    with pyhf_backend(NewtonOptimizer()):
        thread.start()
        assert waiting.wait(5)
        thread.join(0.2)
        assert seen == []
        assert pyhf.get_backend()[1].name == "newton"
    thread.join(5)
    assert seen == ["scipy"]


def test_a_signal_far_above_its_limit_is_not_searched_like_data_that_nothing_describes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its fit describes no data, but the free fit does: many starts would take most of a limit's time."""
    counts: list[int] = []
    minima = CompiledModel.minima

    def counted(self: CompiledModel, values: Any, sets: Any, start: Any, *args: Any, **options: Any) -> Any:
        counts.append(len(start))
        return minima(self, values, sets, start, *args, **options)

    monkeypatch.setattr(CompiledModel, "minima", counted)
    for spec, strength, searched in ((bump_window(1), 25.0, False), (random_workspace(710), 1.0, True)):
        model = pyhf.Workspace(spec).model(validate=False)
        data = pyhf.Workspace(spec).data(model)
        bounds = model.config.suggested_bounds()
        bounds[model.config.poi_index] = (0, 40)
        counts.clear()
        with pyhf_backend(NewtonOptimizer()):
            _, value = pyhf.infer.mle.fixed_poi_fit(strength, data, model, par_bounds=bounds, return_fitted_val=True)
        assert bool(undescribed(CompiledModel(model).batch, np.array([0.5 * float(value)]))[0])
        assert (max(counts, default=0) >= LOST_STARTS) == searched


@pytest.mark.parametrize("strength", [0.0, 1.0, 3.0, 4.9, 9.0, 30.0, 1e12])
def test_bends_between_known_strengths_are_those_of_the_next_ones(strength: float) -> None:
    compiled = CompiledModel(pyhf.Workspace(template_window(1)).model())
    if bool(bends(compiled.batch, np.array([max(strength, 1.0)]))[0]):
        assert compiled.several(strength)


def test_per_bin_factors_that_are_held_stay_so_in_searches_from_several_starts() -> None:
    errors = {"name": "mc", "type": "staterror", "data": [0.0, 0.9, 1.8]}
    background = {"name": "background", "data": [5.0, 1.0, 2.0], "modifiers": [errors]}
    signal = {
        "name": "signal", "data": [1.0, 2.0, 1.0], "modifiers": [{"name": "mu", "type": "normfactor", "data": None}],
    }  # fmt: skip
    spec = {
        "channels": [{"name": "one", "samples": [signal, background]}],
        "observations": [{"name": "one", "data": [0, 1, 3]}],
        "measurements": [{"name": "m", "config": {"poi": "mu", "parameters": []}}],
        "version": "1.0.0",
    }
    model = pyhf.Workspace(spec).model()
    data = pyhf.Workspace(spec).data(model)
    assert CompiledModel(model).several(1.0)
    assert any(model.config.suggested_fixed())
    found = []
    for optimizer in (NewtonOptimizer(), pyhf.optimize.scipy_optimizer(tolerance=1e-12)):
        with pyhf_backend(optimizer):
            pars, value = pyhf.infer.mle.fixed_poi_fit(0.5, data, model, return_fitted_val=True)
        found.append(float(value))
        assert np.asarray(pars)[model.config.suggested_fixed()] == pytest.approx(1.0)
    assert found[0] == pytest.approx(found[1], rel=1e-6)
