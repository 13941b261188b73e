from __future__ import annotations

import numpy as np
import pytest

from darkfactory.config.templates import Curve
from darkfactory.core.errors import RunError
from darkfactory.templates.curves import SmoothCurve, fit_curve


def test_one_bad_fit_does_not_bend_the_curve() -> None:
    m = np.arange(1.0, 10.0)
    y = 0.1 * m**2
    y[4] += 20.0
    curve = fit_curve(m, y, np.full(9, 0.05), Curve(order=2))
    assert np.abs(curve(m) - 0.1 * m**2)[np.arange(9) != 4].max() < 0.15


def test_logarithmic_variable_makes_power_laws_straight() -> None:
    m = np.array([0.2, 0.5, 1.0, 3.0, 7.0])
    curve = fit_curve(m, np.log(m**1.5), np.full(5, 0.01), Curve(order=1, variable="log_mass"))
    assert float(np.exp(curve(2.0))) == pytest.approx(2.0**1.5)


def test_pchip_goes_through_the_values_and_does_not_overshoot() -> None:
    m, y = [1.0, 2.0, 3.0, 4.0], [0.1, 0.1, 0.3, 0.3]
    curve = fit_curve(m, y, [1.0] * 4, Curve(kind="pchip"))
    np.testing.assert_allclose(curve(m), y)
    fine = curve(np.linspace(1, 4, 200))
    assert fine.min() >= 0.1 - 1e-12
    assert fine.max() <= 0.3 + 1e-12


def test_outside_the_masses_the_end_value_is_kept() -> None:
    curve = fit_curve([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [0.1] * 3, Curve(order=1))
    np.testing.assert_allclose(curve([0.0, 5.0]), [1.0, 3.0])


@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_masses_lower_the_order(n: int) -> None:
    m = [1.0, 2.0, 3.0][:n]
    curve = fit_curve(m, [2.0] * n, [0.1] * n, Curve(order=4))
    assert float(curve(1.5)) == pytest.approx(2.0)


def test_order_of_masses_does_not_matter_and_records_round_trip() -> None:
    a = fit_curve([1.0, 2.0, 4.0, 3.0], [1.0, 3.0, 2.0, 5.0], [0.1, 0.2, 0.3, 0.1], Curve(order=2))
    b = fit_curve([4.0, 3.0, 2.0, 1.0], [2.0, 5.0, 3.0, 1.0], [0.3, 0.1, 0.2, 0.1], Curve(order=2))
    assert a == b == SmoothCurve.from_dict(a.to_dict())


def test_no_values_is_an_error() -> None:
    with pytest.raises(RunError, match="no mass has enough events"):
        fit_curve([], [], [], Curve())
