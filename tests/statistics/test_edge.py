"""The edge of a pseudomass spectrum: closed forms, toys, and an independent minimiser."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from darkfactory.stats.edge import edge_shape, fit_edges

EDGES = np.linspace(1.70, 1.85, 151)
M = 0.5 * (EDGES[1:] + EDGES[:-1])
TRUTH = np.array([[800.0, 1.7775, 0.005, 0.55, -1.5, 8.0]])


def test_derivatives_give_the_information() -> None:
    fit = fit_edges(edge_shape(M, TRUTH), EDGES, start=1.775)
    assert fit.converged.all()
    expected = edge_shape(M, TRUTH)[0]
    slopes = []
    for k, h in enumerate((1e-3, 1e-7, 1e-7, 1e-6, 1e-5, 1e-4)):
        moved = [TRUTH + s * h * np.eye(6)[k] for s in (1, -1)]
        slopes.append((edge_shape(M, moved[0]) - edge_shape(M, moved[1]))[0] / (2 * h))
    information = (np.array(slopes) / expected) @ np.array(slopes).T
    np.testing.assert_allclose(fit.covariance[0], np.linalg.inv(information), rtol=1e-4)


def test_pulls_of_toys_are_normal() -> None:
    counts = np.random.default_rng(3).poisson(edge_shape(M, TRUTH)[0], (400, len(M))).astype(float)
    fit = fit_edges(counts, EDGES, start=1.78)
    assert fit.converged.all()
    pull = (fit.edge - TRUTH[0, 1]) / fit.error
    assert np.mean(pull) == pytest.approx(0.0, abs=4 / np.sqrt(400))
    assert np.std(pull) == pytest.approx(1.0, abs=4 / np.sqrt(800))
    # 150 bins less six parameters
    assert np.mean(fit.deviance) == pytest.approx(144, abs=4 * np.sqrt(2 * 144 / 400))


def test_an_independent_minimiser_finds_the_same() -> None:
    counts = np.random.default_rng(8).poisson(edge_shape(M, TRUTH)[0]).astype(float)
    fit = fit_edges(counts[None], EDGES, start=1.77, quadratic=False)
    assert fit.parameters[0, 5] == 0.0
    assert fit.covariance[0, 5, 5] == 0.0
    scale = np.array([100.0, 1e-3, 1e-3, 0.1, 1.0])

    def cost(x: np.ndarray) -> float:
        expected = edge_shape(M, np.append(x * scale, 0.0)[None])[0]
        return float(np.sum(expected - counts * np.log(np.maximum(expected, 1e-9))))

    found = minimize(cost, TRUTH[0, :5] / scale, method="Nelder-Mead", options={"maxiter": 6000, "maxfev": 6000})
    assert found.x[1] * scale[1] == pytest.approx(fit.edge[0], abs=0.05 * fit.error[0])


def test_fits_do_not_depend_on_their_neighbours() -> None:
    counts = np.random.default_rng(1).poisson(edge_shape(M, TRUTH)[0], (5, len(M))).astype(float)
    together = fit_edges(counts, EDGES, start=1.78)
    for i, one in enumerate(counts):
        assert fit_edges(one[None], EDGES, start=1.78).edge[0] == pytest.approx(together.edge[i], abs=1e-12)
