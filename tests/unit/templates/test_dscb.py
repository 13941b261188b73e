from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.integrate import quad

from darkfactory.core.errors import RunError
from darkfactory.templates.dscb import DscbFit, DscbShape, dscb_integral, dscb_pdf, fit_dscb, sigma68

SHAPE = DscbShape(4.0, 0.2, 1.2, 3.0, 1.6, 6.0)


def draw(shape: DscbShape, n: int, seed: int) -> np.ndarray:
    x = np.linspace(shape.mean - 60 * shape.sigma, shape.mean + 60 * shape.sigma, 40001)
    cumulative = np.concatenate([[0.0], np.cumsum(dscb_integral(x, shape))])
    return np.interp(np.random.default_rng(seed).random(n) * cumulative[-1], cumulative, x)


def test_integral_is_the_integral_of_the_density() -> None:
    edges = [3.0, 3.5, 3.76, 3.9, 4.1, 4.32, 4.6, 6.0]
    numeric = [
        quad(lambda x: float(dscb_pdf(x, SHAPE)), a, b, points=[3.76, 4.32], epsabs=1e-12)[0]
        for a, b in itertools.pairwise(edges)
    ]
    np.testing.assert_allclose(dscb_integral(edges, SHAPE), numeric, rtol=1e-7)


def test_whole_line_is_one_and_tails_follow_the_power() -> None:
    assert dscb_integral([-np.inf, np.inf], SHAPE)[0] == pytest.approx(1.0)
    far = dscb_pdf([4.0 - 200.0, 4.0 - 400.0], SHAPE)
    assert far[0] / far[1] == pytest.approx(2.0**SHAPE.n_l, rel=0.01)


def test_density_is_continuous_where_the_tails_start() -> None:
    for x in (4.0 - 1.2 * 0.2, 4.0 + 1.6 * 0.2):
        below, above = dscb_pdf([x - 1e-9, x + 1e-9], SHAPE)
        assert below == pytest.approx(above, rel=1e-6)


def test_fit_recovers_the_truth_within_errors() -> None:
    fit = fit_dscb(draw(SHAPE, 50000, 1), np.ones(50000))
    pulls = [
        (fit.shape.mean - 4.0) / fit.errors[0],
        (fit.shape.sigma - 0.2) / fit.errors[1],
        np.log(fit.shape.alpha_l / 1.2) / fit.errors[2],
        np.log(fit.shape.alpha_r / 1.6) / fit.errors[4],
    ]
    assert fit.converged
    assert np.abs(pulls).max() < 3.5
    assert fit.chi2 / fit.ndf < 1.5
    assert fit.errors[0] == pytest.approx(0.2 * 1.3 / np.sqrt(50000), rel=0.35)


def test_weights_change_the_effective_events_and_nothing_else() -> None:
    x = draw(SHAPE, 5000, 2)
    one, seven = fit_dscb(x, np.ones(5000)), fit_dscb(x, np.full(5000, 7.0))
    assert seven.shape.sigma == pytest.approx(one.shape.sigma, rel=1e-9)
    assert seven.sumw == pytest.approx(7.0 * one.sumw)
    mixed = fit_dscb(np.concatenate([x, x]), np.concatenate([np.full(5000, 0.5), np.full(5000, 1.5)]))
    assert mixed.effective_events == pytest.approx(one.effective_events * 1.6, rel=1e-6)


@pytest.mark.parametrize("n", [60, 300])
def test_few_events_give_a_sane_shape(n: int) -> None:
    for seed in range(5):
        fit = fit_dscb(draw(SHAPE, n, 10 + seed), np.ones(n))
        assert abs(fit.shape.mean - 4.0) < 5 * 0.26 / np.sqrt(n)
        assert 0.1 < fit.shape.sigma < 0.35


def test_flat_component_is_taken_out() -> None:
    rng = np.random.default_rng(4)
    x = np.concatenate([draw(SHAPE, 20000, 3), rng.uniform(0.0, 20.0, 40000)])
    fit = fit_dscb(x, np.ones(60000), start=(4.0, 0.25), flat=(2.0 / 20.0, 0.0, 20.0))
    pure = fit_dscb(draw(SHAPE, 20000, 3), np.ones(20000))
    assert fit.shape.sigma == pytest.approx(pure.shape.sigma, rel=0.03)
    assert fit.sumw == pytest.approx(pure.sumw, rel=0.02)
    assert fit.sigma68 == pytest.approx(pure.sigma68, rel=0.05)


def test_sigma68_of_a_gaussian_is_sigma() -> None:
    x = np.random.default_rng(5).normal(1.0, 0.3, 200000)
    median, width = sigma68(x, np.ones(len(x)))
    assert median == pytest.approx(1.0, abs=0.005)
    assert width == pytest.approx(0.3, rel=0.01)


def test_round_trip() -> None:
    fit = fit_dscb(draw(SHAPE, 500, 6), np.ones(500))
    assert DscbFit.from_dict(fit.to_dict()) == fit


def test_errors() -> None:
    with pytest.raises(RunError, match="too few for a fit"):
        fit_dscb([1.0, 2.0], [1.0, 1.0])
    with pytest.raises(RunError, match="negative weights"):
        fit_dscb(np.arange(20.0), -np.ones(20))
    with pytest.raises(RunError, match="all values are"):
        fit_dscb(np.ones(50), np.ones(50))
