from __future__ import annotations

import numpy as np
import pytest

from darkfactory.core.errors import RunError
from darkfactory.select.punzi import Windows, punzi_loss, sigma_min, sigma_min_derivative, signal_window, window_sums


@pytest.fixture
def arranged():
    rng = np.random.default_rng(1)
    windows = [(0.0, 2.0), (1.0, 4.0), (3.5, 9.0), (20.0, 30.0)]
    xs = [rng.uniform(low - 1, high + 1, 30) for low, high in windows]
    ws = [rng.uniform(0.1, 1, 30) for _ in windows]
    xb, wb = rng.uniform(-2, 15, 200), rng.uniform(0.1, 5, 200)
    return windows, xs, ws, xb, wb, Windows.arrange(windows, xs, ws, xb, wb)


def test_sums_are_those_of_plain_masks(arranged):
    windows, xs, ws, xb, wb, (w, s_index, b_index) = arranged
    rng = np.random.default_rng(2)
    out_s, out_b = rng.random(sum(map(len, xs))), rng.random(len(xb))
    s, b, v = window_sums(w, out_s[s_index], out_b[b_index])
    for k, (low, high) in enumerate(windows):
        inside = (xs[k] >= low) & (xs[k] <= high)
        assert s[k] == pytest.approx(np.sum((ws[k] * out_s[30 * k : 30 * k + 30])[inside]))
        mask = (xb >= low) & (xb <= high)
        assert b[k] == pytest.approx(np.sum((wb * out_b)[mask]), abs=1e-9)
        assert v[k] == pytest.approx(np.sum((wb * out_b)[mask] ** 2), abs=1e-9)
    # the last window is empty of background; events outside all windows are not carried along
    assert b[3] == 0
    assert np.all((xb[b_index] >= 0) & (xb[b_index] <= 9))


@pytest.mark.parametrize("average", ["log", "linear"])
@pytest.mark.parametrize("error", [0.0, 1.5])
def test_gradient_against_finite_differences(arranged, average, error):
    w, s_index, b_index = arranged[-1]
    rng = np.random.default_rng(3)
    s, b = rng.uniform(0.2, 0.9, len(s_index)), rng.uniform(0.2, 0.9, len(b_index))

    def loss(ds=0.0, db=0.0):
        return punzi_loss(w, s + ds, b + db, 3.0, 1.28155, average, error)[0]

    _, grad_s, grad_b = punzi_loss(w, s, b, 3.0, 1.28155, average, error)
    h = 1e-5
    for i in range(0, len(s), 9):
        step = h * np.eye(len(s))[i]
        assert grad_s[i] == pytest.approx((loss(ds=step) - loss(ds=-step)) / (2 * h), rel=1e-5, abs=1e-10)
    for i in range(0, len(b), 9):
        step = h * np.eye(len(b))[i]
        assert grad_b[i] == pytest.approx((loss(db=step) - loss(db=-step)) / (2 * h), rel=1e-5, abs=1e-10)


def test_a_window_without_background_does_not_drown_the_slopes_of_the_others():
    rng = np.random.default_rng(4)
    # the first window ends before the first background event, where the second begins
    x = rng.uniform(2.0, 9.0, 40)
    signal = [rng.uniform(0.0, 1.0, 20), rng.uniform(2.0, 5.0, 20), rng.uniform(4.0, 9.0, 20)]
    w, s_index, b_index = Windows.arrange(
        [(0.0, 1.0), (2.0, 5.0), (4.0, 9.0)], signal, [np.full(20, 0.3)] * 3, x, rng.uniform(100.0, 5000.0, 40)
    )
    assert w.first[0] == w.last[0] == w.first[1]
    s, b = rng.uniform(0.2, 0.9, len(s_index)), rng.uniform(0.2, 0.9, len(b_index))
    _, _, grad = punzi_loss(w, s, b, 3.0, 1.28155, "log", 1.0)
    h = 1e-5
    for i in range(len(b)):
        step = h * np.eye(len(b))[i]
        up, down = (punzi_loss(w, s, b + sign * step, 3.0, 1.28155, "log", 1.0)[0] for sign in (1, -1))
        assert grad[i] == pytest.approx((up - down) / (2 * h), rel=1e-5, abs=1e-10)


def test_loss_is_the_average_figure_of_merit(arranged):
    w, s_index, b_index = arranged[-1]
    ones = np.ones(len(s_index)), np.ones(len(b_index))
    s, b, _ = window_sums(w, *ones)
    values = sigma_min(s, b, 3.0, 1.28155)
    assert punzi_loss(w, *ones, 3.0, 1.28155, "linear")[0] == pytest.approx(values.mean())
    assert punzi_loss(w, *ones, 3.0, 1.28155, "log")[0] == pytest.approx(np.log(values).mean())


def test_figure_of_merit_limits():
    # no background: a^2/8 + 9 b^2/13 + b^2/2
    a, b = 3.0, 1.28155
    expected = a * a / 8 + 9 * b * b / 13 + b * b / 2
    assert sigma_min(np.ones(1), np.zeros(1), a, b)[0] == pytest.approx(expected, abs=0.01)
    # much background: (a + b) sqrt(B)
    assert sigma_min(np.ones(1), np.full(1, 1e10), a, b)[0] == pytest.approx((a + b) * 1e5, rel=1e-4)
    x, h = np.array([0.5, 7.0, 300.0]), 1e-4
    numeric = (sigma_min(np.ones(3), x + h, a, b) - sigma_min(np.ones(3), x - h, a, b)) / (2 * h)
    assert sigma_min_derivative(x, a, b) == pytest.approx(numeric, rel=1e-6)


def test_window_is_robust_against_a_tail():
    rng = np.random.default_rng(5)
    x = np.concatenate([rng.normal(4.0, 0.3, 20000), rng.uniform(4, 60, 1000)])
    low, high = signal_window(x, np.ones(len(x)), 2.0)
    assert (low, high) == pytest.approx((3.4, 4.6), abs=0.1)
    with pytest.raises(RunError, match="no signal window from 0 events"):
        signal_window(np.zeros(0), np.zeros(0), 2.0)
