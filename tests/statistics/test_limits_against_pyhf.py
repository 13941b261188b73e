"""The engine's limits are roots of plain pyhf's CLs: stock minimiser, stock start values."""

from __future__ import annotations

import numpy as np
import pyhf
import pytest

from darkfactory.stats.certificate import PyhfWindow, rescaled
from darkfactory.stats.compiled_model import CompiledModel
from darkfactory.stats.examples import bump_window, counting_window, plane_window, template_window
from darkfactory.stats.histfactory import compile_workspace
from darkfactory.stats.likelihood import evaluate
from darkfactory.stats.optimizer import pyhf_backend
from darkfactory.stats.scan import asymptotic_limits

LEVELS = (0.90, 0.95)


def two_channels() -> dict:
    """Every modifier that pyhf has, over a signal and a control region."""
    norm = {"name": "mu", "type": "normfactor", "data": None}
    factor = {"name": "sf", "type": "shapefactor", "data": None}
    signal = {"name": "sig", "data": [1.0, 5.0, 2.0], "modifiers": [norm]}
    main = {
        "name": "bkg",
        "data": [50.0, 60.0, 40.0],
        "modifiers": [
            factor,
            {"name": "uncorrelated", "type": "shapesys", "data": [5.0, 4.0, 6.0]},
            {"name": "k", "type": "normsys", "data": {"hi": 1.1, "lo": 0.8}},
        ],
    }
    other = {
        "name": "other",
        "data": [5.0, 6.0, 4.0],
        "modifiers": [
            {"name": "second", "type": "shapesys", "data": [1.0, 1.0, 1.0]},
            {"name": "k", "type": "histosys", "data": {"hi_data": [5.5, 6.4, 4.3], "lo_data": [4.0, 5.5, 4.1]}},
        ],
    }
    control = {
        "name": "bkg",
        "data": [55.0, 63.0, 44.0],
        "modifiers": [factor, {"name": "mc", "type": "staterror", "data": [3.0, 3.0, 2.0]}],
    }
    return {
        "channels": [{"name": "sr", "samples": [signal, main, other]}, {"name": "cr", "samples": [control]}],
        "observations": [{"name": "sr", "data": [53.0, 70.0, 40.0]}, {"name": "cr", "data": [60.0, 55.0, 40.0]}],
        "measurements": [{"name": "m", "config": {"poi": "mu", "parameters": []}}],
        "version": "1.0.0",
    }


WORKSPACES = {
    "A": bump_window(1, bins=25),
    "A with signal": bump_window(2, injected=2.0, bins=20),
    "A at 30 events": bump_window(3, events=30.0, bins=16),
    "B": template_window(1, bins=6),
    "C": plane_window(1, shape=(6, 4)),
    "D": counting_window(12, 10.0, 0.1, signal_error=0.05),
    "all modifiers": two_channels(),
}


@pytest.mark.parametrize("kind", WORKSPACES)
def test_limits_are_roots_of_stock_pyhf(kind: str) -> None:
    spec = WORKSPACES[kind]
    _, batch = compile_workspace(spec)
    result = asymptotic_limits(batch, LEVELS)
    assert result.status[0] == ("ok", "ok")
    high = 4 * float(result.expected.max())
    window = PyhfWindow(spec, high)
    with pyhf_backend(pyhf.optimize.scipy_optimizer(tolerance=1e-12)):
        for j, cl in enumerate(LEVELS):
            observed, _, _ = window.hypotest(float(result.observed[0, j]))
            assert observed / (1 - cl) == pytest.approx(1, abs=1e-6)
            for k in (0, 3) if j == 0 else (2,):
                _, band, _ = window.hypotest(float(result.expected[0, j, k]))
                assert band[k] / (1 - cl) == pytest.approx(1, abs=1e-6)


def test_q0_and_best_fit_are_pyhf_s() -> None:
    spec = WORKSPACES["A with signal"]
    base = asymptotic_limits(compile_workspace(spec)[1], [0.95]).base
    window = PyhfWindow(spec, 50.0)
    config = window.model.config
    with pyhf_backend(pyhf.optimize.scipy_optimizer(tolerance=1e-12)):
        q0, (_, best) = pyhf.infer.test_statistics.q0(
            0.0, window.data, window.model, config.suggested_init(), window.bounds, config.suggested_fixed(),
            return_fitted_pars=True,
        )  # fmt: skip
    assert float(base.q0[0]) == pytest.approx(float(q0), rel=1e-7)
    assert float(base.free.theta[0, compile_workspace(spec)[0].poi]) == pytest.approx(
        float(best[config.poi_index]), rel=1e-4
    )


def test_error_of_the_best_fit_is_minuit_s() -> None:
    pytest.importorskip("iminuit")
    spec = WORKSPACES["A with signal"]
    base = asymptotic_limits(compile_workspace(spec)[1], [0.95]).base
    window = PyhfWindow(spec, 50.0)
    with pyhf_backend(pyhf.optimize.minuit_optimizer(tolerance=1e-4)):
        fitted = pyhf.infer.mle.fit(window.data, window.model, par_bounds=window.bounds, return_uncertainties=True)
    assert float(base.sigma[0]) == pytest.approx(float(fitted[window.model.config.poi_index][1]), rel=0.02)


@pytest.mark.parametrize("kind", WORKSPACES)
@pytest.mark.parametrize("at_zero", [False, True])
def test_derivatives_and_pyhf_density(kind: str, at_zero: bool) -> None:
    spec = WORKSPACES[kind]
    structure, batch = compile_workspace(spec)
    rng = np.random.default_rng(7)
    theta = batch.init + rng.uniform(-0.25, 0.25, batch.init.shape)
    # beyond one standard deviation the interpolation is another function
    for i, name in enumerate(structure.names):
        if name in ("efficiency", "tilt", "k"):
            theta[:, i] = 1.7
    if at_zero:
        theta[:, structure.poi] = 0.0
    here = evaluate(batch, batch.observed, theta)
    window = PyhfWindow(spec, 50.0)
    compiled = CompiledModel(window.model)

    def minus_log(point: np.ndarray) -> float:
        value = evaluate(batch, batch.observed, point)
        pars = np.array(window.model.config.suggested_init())
        pars[compiled.explicit] = point[0]
        for place, gamma in zip(compiled.gammas, value.gammas, strict=True):
            if place is not None:
                pars[place[0] : place[1]] = gamma[0]
        return -float(window.model.logpdf(pars, window.data)[0])

    start = evaluate(batch, batch.observed, batch.init)
    assert here.value[0] - start.value[0] == pytest.approx(
        minus_log(theta) - minus_log(batch.init), rel=1e-10, abs=1e-9
    )
    step = 1e-5
    for i in range(theta.shape[1]):
        up, down = theta.copy(), theta.copy()
        up[0, i] += step
        down[0, i] -= step
        if not at_zero:
            slope = (minus_log(up) - minus_log(down)) / (2 * step)
            assert here.gradient[0, i] == pytest.approx(slope, rel=1e-5, abs=1e-5 * np.abs(here.gradient).max())
        row = (evaluate(batch, batch.observed, up).gradient[0] - evaluate(batch, batch.observed, down).gradient[0]) / (
            2 * step
        )
        np.testing.assert_allclose(here.hessian[0, i], row, atol=1e-7 * np.abs(here.hessian).max())


def test_a_limit_does_not_depend_on_the_signal_s_normalisation() -> None:
    spec = bump_window(5)
    plain = asymptotic_limits(compile_workspace(spec)[1], [0.95])
    for factor in (1e-6, 1e-3, 1e3, 1e6):
        scaled = asymptotic_limits(compile_workspace(rescaled(spec, factor))[1], [0.95])
        assert scaled.status[0] == ("ok",)
        np.testing.assert_allclose(scaled.expected * factor, plain.expected, rtol=1e-7)
        np.testing.assert_allclose(scaled.observed * factor, plain.observed, rtol=1e-7)


def test_bands_are_ordered_and_levels_too() -> None:
    from darkfactory.stats.histfactory import compile_workspaces

    groups, _ = compile_workspaces([bump_window(s, events=e) for s in range(10) for e in (3.0, 100.0, 1e5)])
    assert len(groups) == 1
    result = asymptotic_limits(groups[0].batch, LEVELS)
    assert {s for row in result.status for s in row} == {"ok"}
    assert (np.diff(result.expected, axis=2) > 0).all()
    assert (np.diff(result.observed, axis=1) > 0).all()
