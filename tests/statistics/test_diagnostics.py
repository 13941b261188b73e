"""Diagnostics against closed forms, independent fits and each other."""

from __future__ import annotations

import numpy as np
import pyhf
import pytest
from scipy.stats import chi2

from darkfactory.core.errors import RunError
from darkfactory.stats.bestfit import best_fit, correlations
from darkfactory.stats.examples import bump_window, counting_window, template_window, workspace
from darkfactory.stats.goodness import goodness_of_fit
from darkfactory.stats.impacts import error_parts, impacts
from darkfactory.stats.injection import injection, linear_response
from darkfactory.stats.pulls import nuisance_pulls


def linear_window(n: float, aux: tuple[float, float]) -> dict:
    """One bin, signal 10, backgrounds 100 and 40 with histosys of 10 and 8 events: linear near the nominal."""

    def sample(name: str, value: float, error: float) -> dict:
        data = {"hi_data": [value + error], "lo_data": [value - error]}
        return {"name": name, "data": [value], "modifiers": [{"name": f"n_{name}", "type": "histosys", "data": data}]}

    signal = {"name": "s", "data": [10.0], "modifiers": [{"name": "mu", "type": "normfactor", "data": None}]}
    return workspace({"sr": [signal, sample("a", 100.0, aux[0]), sample("b", 40.0, aux[1])]}, {"sr": np.array([n])})


def test_impacts_of_a_linear_window_are_those_of_error_propagation() -> None:
    found = best_fit(linear_window(170.0, (10.0, 8.0)))
    ranked = {i.name: i for i in impacts(found)}
    assert list(ranked) == ["n_a", "n_b"]
    assert found.mu == pytest.approx(3.0)
    assert ranked["n_a"].prefit == pytest.approx((1.0, -1.0), abs=1e-6)
    assert ranked["n_b"].postfit == pytest.approx((0.8, -0.8), abs=1e-3)
    assert ranked["n_a"].pull == pytest.approx(0.0, abs=1e-9)
    assert ranked["n_a"].constraint == pytest.approx(1.0, abs=1e-3)
    parts = error_parts(found)
    assert parts.statistical == pytest.approx(np.sqrt(170.0) / 10)
    assert parts.nuisances == pytest.approx(np.hypot(1.0, 0.8), rel=1e-3)
    assert parts.total == pytest.approx(np.sqrt(1.70 + 1.64), rel=1e-3)
    assert parts.per_bin == 0.0


def test_impacts_are_the_refits_of_pyhf() -> None:
    spec = template_window(3, bins=6, staterror=False)
    found = best_fit(spec)
    ranked = impacts(found)
    worst = next(i for i in ranked if i.prefit is not None)
    model = pyhf.Workspace(spec).model()
    data = pyhf.Workspace(spec).data(model)
    index = model.config.par_map[worst.name]["slice"].start
    init = model.config.suggested_init()
    fixed = model.config.suggested_fixed()
    bounds = model.config.suggested_bounds()
    bounds[model.config.poi_index] = (-10.0, 10.0)
    pyhf.set_backend("numpy", pyhf.optimize.scipy_optimizer(tolerance=1e-12))
    free = pyhf.infer.mle.fit(data, model, init, bounds, fixed)
    assert free[model.config.poi_index] == pytest.approx(found.mu, abs=1e-4)
    width = worst.constraint
    assert width is not None
    for k, sign in enumerate((-1, 1)):
        init[index], fixed[index] = free[index] + sign * width * _sigma(spec, worst.name), True
        moved = pyhf.infer.mle.fit(data, model, init, bounds, fixed)
        change = moved[model.config.poi_index] - free[model.config.poi_index]
        assert worst.postfit[k] == pytest.approx(change, abs=2e-4)


def _sigma(spec: dict, name: str) -> float:
    return 0.01 if name == "lumi" else 1.0


def test_correlations_and_errors_are_those_of_a_numerical_hessian() -> None:
    spec = template_window(5, bins=5)
    found = best_fit(spec)
    names, matrix = correlations(found)
    assert names[0] == "mu"
    assert np.allclose(np.diag(matrix), 1.0)
    assert np.allclose(matrix, matrix.T)
    # minos-like: the profile rises by half at one curvature error, to second order
    model = pyhf.Workspace(spec).model()
    data = np.array(pyhf.Workspace(spec).data(model))
    pars = np.array(model.config.suggested_init())
    for n, value in zip(found.batch.structure.names, found.theta[0], strict=True):
        pars[model.config.par_map[n]["slice"]] = value
    for block, g in zip(found.batch.structure.blocks, found.gammas, strict=True):
        pars[model.config.par_map[block.gamma_name[0]]["slice"]] = g[0]
    n = len(pars)
    free = [i for i in range(n) if not model.config.suggested_fixed()[i]]
    h = 1e-4
    hessian = np.zeros((n, n))

    def f(x: np.ndarray) -> float:
        return float(-model.logpdf(x, data)[0])

    for i in free:
        for j in free:
            total = 0.0
            for a, b in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
                x = pars.copy()
                x[i] += a * h
                x[j] += b * h
                total += a * b * f(x)
            hessian[i, j] = total / (4 * h * h)
    covariance = np.linalg.inv(hessian[np.ix_(free, free)])
    at = [free.index(model.config.par_map[name]["slice"].start) for name in names]
    expected = covariance[np.ix_(at, at)]
    assert found.sigma == pytest.approx(np.sqrt(expected[0, 0]), rel=1e-3)
    width = np.sqrt(np.diag(expected))
    assert matrix == pytest.approx(expected / width[:, None] / width[None, :], abs=2e-3)


def test_pulls_are_those_of_the_impacts_where_the_best_fit_is_positive() -> None:
    spec = bump_window(2, injected=3.0)
    pulls = nuisance_pulls(spec)
    for i in impacts(best_fit(spec)):
        if i.pull is not None:
            assert (i.pull, i.constraint) == pytest.approx(pulls[i.name], abs=1e-6)


def test_the_signal_may_be_negative_down_to_the_first_empty_expectation() -> None:
    assert best_fit(counting_window(40, 50.0, signal=5.0)).mu == pytest.approx(-2.0)
    empty = best_fit(counting_window(0, 3.0, signal=2.0))
    assert empty.mu == pytest.approx(-1.5, abs=1e-4)
    assert not empty.moves[empty.batch.structure.poi]


def test_saturated_statistic_is_chi_square_at_many_events() -> None:
    alone, both = goodness_of_fit(bump_window(7, events=50_000.0, bins=20), toys=300, seed=3)
    toys = np.array(both.toys)
    assert both.failed == 0
    assert toys.mean() == pytest.approx(both.degrees, abs=4 * np.sqrt(2 * both.degrees / 300))
    assert both.p_toys == pytest.approx(chi2.sf(both.statistic, both.degrees), abs=0.1)
    assert (alone.degrees, both.degrees) == (16, 15)


def test_a_bad_description_is_told_and_only_the_signal_mends_it() -> None:
    spec = bump_window(7, events=5000.0, injected=6.0)
    alone, both = goodness_of_fit(spec, toys=200, seed=3)
    assert alone.p_toys < 0.05
    assert both.p_toys > 0.05
    assert alone.statistic > both.statistic + 20


@pytest.mark.parametrize("events", [50.0, 2000.0])
def test_injected_signals_come_back(events: float) -> None:
    points = injection(bump_window(1, events=events), [0.0, 2.0, 5.0], toys=300, seed=5)
    slope, slope_error, _, _ = linear_response(points)
    assert slope == pytest.approx(1.0, abs=4 * slope_error)
    for p in points:
        assert p.failed == 0
        if events > 1000:
            assert p.bias == pytest.approx(0.0, abs=4 * p.fitted_error)
            assert p.pull_width == pytest.approx(1.0, abs=4 * p.pull_width_error + 0.02)


def test_diagnostics_do_not_depend_on_the_seed_of_others() -> None:
    spec = bump_window(1, bins=20)
    one = injection(spec, [0.0, 2.0], toys=60, seed=5)[1]
    alone = injection(spec, [2.0], toys=60, seed=5)[0]
    assert one == alone


def test_no_sensitivity_is_told() -> None:
    spec = counting_window(3, 3.0, signal=0.0)
    with pytest.raises(RunError, match="no sensitivity"):
        injection(spec, [1.0], toys=20, seed=1)
