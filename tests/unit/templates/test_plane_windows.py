from __future__ import annotations

import numpy as np
import pytest
from plane_toys import ORDERS, SQRTS, toy_plane

from darkfactory.config.ellipses import PlaneSmoothing
from darkfactory.core.errors import RunError
from darkfactory.physics.resolution import Core, Resolution, fit_surface, inside, measure_core
from darkfactory.templates.lattice import Cells, make_cells, make_centres, make_windows
from darkfactory.templates.plane import PlaneModel, make_resolution
from darkfactory.templates.plane_background import PlaneBackground, fill_cells, smooth_cells

MODEL = toy_plane()


def lattice(spacing: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    return make_centres(MODEL, (1.65, 10.4), SQRTS, spacing, lambda a, b: (b < a) & (a + b < 10.5))


M1, M2 = lattice()
CELLS = make_cells(MODEL, M1, M2, SQRTS, 0.4)


def test_the_core_is_found_under_a_radiative_tail() -> None:
    rng = np.random.default_rng(3)
    n = 30000
    u, v = rng.normal(size=(2, n))
    x = 16 + 0.1 * u
    y = 1 - 0.36 * u + 0.4 * np.sqrt(1 - 0.81) * v + np.where(rng.random(n) < 0.3, rng.exponential(6.0, n), 0.0)
    core = measure_core(x, y, rng.uniform(0.5, 1.5, n))
    assert core.sigma_x == pytest.approx(0.1, rel=0.03)
    assert core.sigma_y == pytest.approx(0.4, rel=0.05)
    assert core.rho == pytest.approx(-0.9, abs=0.01)
    with pytest.raises(RunError, match="no resolution from 3 events; generate more signal events"):
        measure_core(x[:3], y[:3], np.ones(3))


def test_an_ellipse_of_two_widths_holds_the_share_of_a_normal_distribution() -> None:
    rng = np.random.default_rng(4)
    u, v = rng.normal(size=(2, 100_000))
    r = Resolution(*(np.asarray(a) for a in (4.0, 1.0, 0.1, 0.3, -0.9)))
    held = inside(4 + 0.1 * u, 1 + 0.3 * (-0.9 * u + np.sqrt(0.19) * v), r, 2.0)
    assert held.mean() == pytest.approx(1 - np.exp(-2.0), abs=0.004)


def test_surfaces_pass_between_their_points_and_do_not_run_away() -> None:
    rng = np.random.default_rng(5)
    m1, m2 = rng.uniform(2, 9, 60), rng.uniform(0, 4, 60)
    surface = fit_surface(m1, m2, 0.3 * m1 + rng.normal(0, 0.05, 60), np.ones(60), order=3, scale=SQRTS)
    assert float(surface(5.0, 2.0)) == pytest.approx(1.5, abs=0.05)
    assert surface.spread == pytest.approx(0.05, rel=0.3)
    assert float(surface(100.0, 0.0)) <= surface.high
    assert fit_surface(m1[:4], m2[:4], m1[:4], np.ones(4), order=3, scale=SQRTS).order == 0
    with pytest.raises(RunError, match="no simulated point to make a surface from"):
        fit_surface(m1[:0], m2[:0], m1[:0], m1[:0], order=1, scale=SQRTS)


def test_the_number_of_windows_is_the_area_over_that_of_one() -> None:
    """Integral of dx dy / (sigma_x sigma_y sqrt(1 - rho^2)) over the allowed masses, over the spacing squared."""
    a, b = np.meshgrid(np.linspace(1.65, 10.4, 900), np.linspace(0.0, 5.3, 600), indexing="ij")
    r = MODEL.at(a, b)
    density = 4 * a * b / (r.sigma_x * r.minor)
    allowed = (b < a) & (a + b < 10.5)
    area = float(np.sum(density * allowed)) * (a[1, 0] - a[0, 0]) * (b[0, 1] - b[0, 0])
    assert len(M1) == pytest.approx(area / 4.0, rel=0.15)
    assert len(lattice(4.0)[0]) == pytest.approx(area / 16.0, rel=0.2)


def test_every_place_is_in_some_window_and_neighbours_share_events() -> None:
    rng = np.random.default_rng(6)
    a, b = rng.uniform(2.0, 9.5, 4000), rng.uniform(0.2, 4.0, 4000)
    good = (b < a - 0.5) & (a + b < 10.0)
    r = MODEL.at(M1, M2)
    counts = []
    for x, y in zip(a[good] ** 2, b[good] ** 2, strict=True):
        counts.append(int(inside(np.asarray(x), np.asarray(y), r, 2.0).sum()))
    assert min(counts) >= 1
    # area of an ellipse over the area of one centre
    assert np.mean(counts) == pytest.approx(np.pi, rel=0.15)


def test_cells_make_up_the_ellipses() -> None:
    """Points inside a window by its cells, against the ellipse itself."""
    rng = np.random.default_rng(7)
    ratios = []
    for i in range(0, len(M1), 251):
        r = MODEL.at(M1[i : i + 1], M2[i : i + 1])
        u, v = rng.uniform(-2.5, 2.5, (2, 4000))
        x, y = r.x + r.sigma_x * u, r.y + r.slope * r.sigma_x * u + r.minor * v
        counts = make_windows(CELLS, r, 2.0).sums(fill_cells(CELLS, x, y, np.ones(len(x))))
        ratios.append(counts[0] / inside(x, y, r, 2.0).sum())
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.01)
    assert np.std(ratios) < 0.05


def test_cells_are_found_by_place_and_survive_json() -> None:
    x, y = CELLS.middle()
    inner = np.append(CELLS.column_of_slot()[1:] == CELLS.column_of_slot()[:-1], False)
    assert np.array_equal(CELLS.find(x, y)[inner], np.flatnonzero(inner))
    assert CELLS.find(np.array([0.0, 5.0]), np.array([1.0, 500.0])).tolist() == [-1, -1]
    again = Cells.from_dict(CELLS.to_dict())
    assert np.array_equal(again.y_edges, CELLS.y_edges)
    assert PlaneModel.from_dict(MODEL.to_dict()).at(4.0, 1.0).sigma_x == MODEL.at(4.0, 1.0).sigma_x


def test_windows_outside_the_plane_are_an_error() -> None:
    far = Resolution(*(np.array([v]) for v in (500.0, 1.0, 0.1, 0.1, 0.0)))
    with pytest.raises(RunError, match="no window has a cell: the centres are outside of the plane"):
        make_windows(CELLS, far, 2.0)


def test_smoothing_keeps_yields_and_lowers_errors_without_moving_windows() -> None:
    """A flat background: smoothed counts of windows are those of the density, within the stated errors."""
    rng = np.random.default_rng(8)
    n = 20_000
    x, y = rng.uniform(9.0, 60.0, n), rng.uniform(-1.0, 12.0, n)
    weight = np.full(n, 0.5)
    config = PlaneSmoothing(target_events=100.0, bandwidths=(0.5, 6.0), points=64)
    found = smooth_cells(CELLS, MODEL, x, y, weight, config, 2.0)
    assert found.expected.sum() == pytest.approx(fill_cells(CELLS, x, y, weight).sum(), rel=0.02)
    inner = np.flatnonzero((M1 > 4.0) & (M1 < 7.0) & (M2 > 0.8) & (M2 < 3.0))[::7]
    r = MODEL.at(M1[inner], M2[inner])
    windows = make_windows(CELLS, r, 2.0)
    truth = 0.5 * n / (51.0 * 13.0) * np.pi * 4 * r.sigma_x * r.minor
    value, error = windows.sums(found.expected), np.sqrt(windows.sums(found.variance))
    raw = windows.sums(fill_cells(CELLS, x, y, weight))
    assert np.std(value / truth - 1) < 0.6 * np.std(raw / truth - 1)
    assert np.mean(value / truth) == pytest.approx(1.0, abs=0.05)
    pull = (value - truth) / error
    assert 0.5 < np.sqrt(np.mean(pull**2)) < 1.35
    again = PlaneBackground.from_dict(found.to_dict())
    assert np.allclose(again.expected, found.expected, rtol=1e-6)
    with pytest.raises(RunError, match=r"smoothing\.points is 12; use a power of two"):
        smooth_cells(CELLS, MODEL, x, y, weight, config.model_copy(update={"points": 12}), 2.0)


def test_a_window_alone_has_the_cells_that_it_has_among_others() -> None:
    r = MODEL.at(M1, M2)
    values = np.random.default_rng(9).random(CELLS.size)
    every = make_windows(CELLS, r, 2.0).sums(values)
    i = len(M1) // 3
    one = Resolution(*(v[i : i + 1] for v in (r.x, r.y, r.sigma_x, r.sigma_y, r.rho)))
    assert make_windows(CELLS, one, 2.0).sums(values)[0] == every[i]


def test_too_few_points_lower_the_orders() -> None:
    cores = [Core(a * a, 1.0, 0.1, 0.3, -0.9, 100.0) for a in (3.0, 4.0)]
    assert make_resolution([(3.0, 1.0), (4.0, 1.0)], cores, ORDERS, SQRTS).surfaces["log_sigma_x"].order == 0
