from __future__ import annotations

import numpy as np
import pytest
from numpy.polynomial import Polynomial
from scipy.integrate import quad
from scipy.special import comb

from darkfactory.config.templates import PolynomialConfig
from darkfactory.templates.bernstein import bernstein_templates, choose_order, fit_templates

EDGES = np.concatenate([np.linspace(2.0, 3.0, 11), np.linspace(3.2, 6.0, 15)])


@pytest.mark.parametrize("order", [0, 1, 3, 5])
def test_templates_are_positive_integrals_of_the_basis(order: int) -> None:
    templates = bernstein_templates(EDGES, order)
    assert templates.shape == (order + 1, len(EDGES) - 1)
    assert templates.min() > 0
    np.testing.assert_allclose(templates.sum(axis=1), 1.0)
    t = (EDGES - EDGES[0]) / (EDGES[-1] - EDGES[0])
    for k in range(order + 1):
        value = quad(lambda u, k=k: comb(order, k) * u**k * (1 - u) ** (order - k), t[3], t[4])[0]
        assert templates[k, 3] == pytest.approx((order + 1) * value)


def test_equal_yields_are_a_flat_background() -> None:
    np.testing.assert_allclose(bernstein_templates(EDGES, 4).sum(axis=0), 5.0 * np.diff(EDGES) / 4.0)


def _expectation(polynomial: Polynomial) -> np.ndarray:
    return np.diff(polynomial.integ()(EDGES))


def test_fit_reproduces_a_polynomial_of_its_order() -> None:
    expectation = _expectation(Polynomial([900.0, -200.0, 15.0]))
    yields, chi2 = fit_templates(expectation, bernstein_templates(EDGES, 2))
    assert chi2 < 1e-12
    np.testing.assert_allclose(yields @ bernstein_templates(EDGES, 2), expectation)


def _signal() -> np.ndarray:
    centre = 0.5 * (EDGES[1:] + EDGES[:-1])
    return np.exp(-0.5 * ((centre - 3.8) / 0.15) ** 2) * np.diff(EDGES)


def test_order_follows_the_statistics_of_the_data() -> None:
    keep = np.ones(len(EDGES) - 1, dtype=bool)
    shape = _expectation(Polynomial([9.0, -2.0, 0.15]) + 0.5 * Polynomial([0, 1]) ** 0) * (
        1.0 + 0.03 * np.sin(2.0 * 0.5 * (EDGES[1:] + EDGES[:-1]))
    )
    few = choose_order(10.0 * shape, EDGES, keep, _signal(), PolynomialConfig())
    many = choose_order(30000.0 * shape, EDGES, keep, _signal(), PolynomialConfig())
    assert few.order == 2
    assert few.satisfied
    assert many.order > few.order
    assert few.systematic < 0.5 * few.signal_error


def test_a_polynomial_needs_no_more_than_its_order_and_has_no_bias() -> None:
    keep = np.ones(len(EDGES) - 1, dtype=bool)
    choice = choose_order(
        _expectation(Polynomial([9e5, -2e5, 1.5e4])), EDGES, keep, _signal(), PolynomialConfig(orders=(1, 5))
    )
    assert choice.order == 2
    assert abs(choice.bias[1]) < 1e-3 * choice.signal_error


def test_what_the_highest_order_cannot_do_is_said() -> None:
    keep = np.ones(len(EDGES) - 1, dtype=bool)
    expectation = 1e4 * np.diff(EDGES) + 2e3 * _signal() / _signal().sum()
    choice = choose_order(expectation, EDGES, keep, _signal(), PolynomialConfig())
    assert choice.order == 5
    assert not choice.satisfied
    assert choice.systematic == pytest.approx(2e3, rel=0.3)


def test_masked_bins_do_not_count() -> None:
    keep = np.ones(len(EDGES) - 1, dtype=bool)
    keep[5:8] = False
    expectation = _expectation(Polynomial([900.0, -200.0, 15.0]))
    expectation[5:8] += 1e5
    choice = choose_order(expectation[keep], EDGES, keep, _signal()[keep], PolynomialConfig())
    assert choice.order == 2
    assert max(choice.chi2) < 1e-9
