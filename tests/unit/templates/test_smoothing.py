from __future__ import annotations

import numpy as np

from darkfactory.templates.smoothing import kernel_smooth, spline_smooth

OPTIONS = {"bandwidths": [1.0, 2.0, 4.0, 8.0], "target_events": 100.0, "core_bins": 4.0}


def test_the_norm_of_each_second_bin_is_kept() -> None:
    rng = np.random.default_rng(1)
    w = rng.poisson(2.0, (80, 3)) * 5.0
    up = 1.2 * w
    content, _, varied = kernel_smooth(w, 5.0 * w, {"up": up}, widths=np.linspace(1, 2, 80), **OPTIONS)
    np.testing.assert_allclose(content.sum(axis=0), w.sum(axis=0))
    np.testing.assert_allclose(varied["up"], 1.2 * content)
    assert content.min() > 0


def test_many_events_are_not_smoothed() -> None:
    w = np.full(50, 1000.0)
    w[20] = 5000.0
    content, variance, _ = kernel_smooth(w, w, {}, widths=np.ones(50), **OPTIONS)
    np.testing.assert_array_equal(content, w)
    np.testing.assert_array_equal(variance, w)


def test_smoothing_follows_the_density_where_bin_widths_change() -> None:
    widths = np.concatenate([np.full(40, 1.0), np.full(40, 2.0)])
    w = 3.0 * widths
    content, *_ = kernel_smooth(w, w, {}, widths=widths, **OPTIONS)
    # the norm of the density is kept too, up to the change of the kernel's reach across the step
    assert np.abs(content / w - 1.0).max() < 0.25
    assert content[39] / content[40] < 0.75


def test_a_step_of_the_selection_stays_a_step() -> None:
    rng = np.random.default_rng(7)
    w = np.concatenate([rng.poisson(3.0, (30, 2)) * 1.0, np.zeros((30, 2))])
    for breaks, beyond in (([30], 0.0), ([0, 60], 1.0)):
        content, variance, _ = kernel_smooth(w, w, {"up": w}, widths=np.ones(60), breaks=breaks, **OPTIONS)
        assert content[30:].sum() >= beyond
        assert (content[30:].sum() == 0.0) == (beyond == 0.0)
        assert content.shape == variance.shape == (60, 2)
        np.testing.assert_allclose(content.sum(axis=0), w.sum(axis=0))


def test_variance_covers_the_scatter_of_the_signal_core() -> None:
    rng = np.random.default_rng(2)
    sums, predicted = [], []
    for _ in range(400):
        w = rng.poisson(4.0, 120) * 1.0
        content, variance, _ = kernel_smooth(w, w, {}, widths=np.ones(120), **OPTIONS)
        sums.append(content[58:62].sum())
        predicted.append(variance[58:62].sum())
    ratio = np.mean(predicted) / np.var(sums)
    assert 0.8 < ratio < 1.6


def test_spline_pull_distribution_is_unbiased() -> None:
    x = np.arange(300.0)
    truth = 30.0 * np.exp(-x / 150.0) * (1.0 + 0.3 * np.sin(x / 60.0))
    rng = np.random.default_rng(3)
    mean = np.mean(
        [
            spline_smooth(w := rng.poisson(truth) * 2.0, 2.0 * w, widths=np.ones(300), knot_spacing=40.0)
            for _ in range(60)
        ],
        axis=0,
    )
    assert np.abs(mean / (2.0 * truth) - 1.0)[10:-10].max() < 0.05


def test_spline_ignores_structures_of_the_size_of_a_signal() -> None:
    x = np.arange(300.0)
    flat = np.full(300, 50.0)
    bump = 200.0 * np.exp(-0.5 * ((x - 150.0) / 2.0) ** 2) / np.sqrt(8.0 * np.pi)
    smooth = spline_smooth(flat + bump, flat + bump, widths=np.ones(300), knot_spacing=24.0)
    assert (smooth - flat).max() < 0.3 * bump.max()


def test_spline_density_has_no_kink_where_widths_change() -> None:
    widths = np.concatenate([np.linspace(1, 3, 150), np.full(150, 3.0)])
    truth = 20.0 * widths
    smooth = spline_smooth(truth, truth, widths=widths, knot_spacing=30.0)
    np.testing.assert_allclose(smooth, truth, rtol=1e-3)


def test_empty_histograms_stay_empty() -> None:
    assert not spline_smooth(np.zeros(30), np.zeros(30), widths=np.ones(30), knot_spacing=10.0).any()
    content, variance, _ = kernel_smooth(np.zeros(30), np.zeros(30), {}, widths=np.ones(30), **OPTIONS)
    assert not content.any()
    assert not variance.any()
