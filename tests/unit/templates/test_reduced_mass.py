"""Signals that peak at the squared mass less a threshold: widths, windows, masks, and backgrounds in the root."""

from __future__ import annotations

import numpy as np
import pytest

from darkfactory.config.templates import Curve, TemplatesConfig
from darkfactory.templates.bernstein import bernstein_templates, fit_templates
from darkfactory.templates.binning import build_binning, make_window
from darkfactory.templates.curves import SmoothCurve, fit_curve
from darkfactory.templates.dscb import core_width
from darkfactory.templates.shapes import ShapeModel, TemplatePoint, build_shape_model, measure_signal

THRESHOLD = 0.04465
SIGMA = 1.5e-3
"""Resolution of the reduced mass, GeV, the same at all masses."""


def config(**more: object) -> TemplatesConfig:
    tag = {"source": "assumed"}
    value = {
        "signal": "parametric", "background": "polynomial", "offset": {"value": THRESHOLD, **tag},
        "regions": [{"name": "low", "observable": "m2r", "mass": [0.2114, 1.0], "observable_range": [0.0, 1.2]}],
        "shape": {
            "wrong_pairings": {"per_event": 3, "total": {"value": 112.0, **tag}, "start": "core"},
            "width": {"order": 2, "variable": "log_observable"}, "mean": {"order": 0}, "tails": {"order": 0},
        },
        "masks": [{"name": "peak", "mass": [0.49, 0.51]}],
    }  # fmt: skip
    return TemplatesConfig.model_validate({**value, **more})


def sample(mass: float, n: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Half of the events have their right pair, with a tail of radiation; all have three wrong ones."""
    reduced = np.sqrt(mass**2 - THRESHOLD)
    right = (reduced + SIGMA * rng.standard_normal(n)) ** 2
    right = np.where(rng.random(n) < 0.05, right + rng.exponential(40 * reduced * SIGMA, n), right)
    right[n // 2 :] = np.nan
    m2 = np.concatenate([right, *rng.uniform(0.0, 112.0, (3, n))])
    event = np.tile(np.arange(n), 4)
    keep = np.isfinite(m2)
    return {"weight": np.ones(int(keep.sum())), "event_id": event[keep], "m2r": m2[keep]}


@pytest.fixture(scope="module")
def shapes() -> ShapeModel:
    found = []
    for i, mass in enumerate((0.22, 0.25, 0.3, 0.4, 0.55, 0.75, 0.95)):
        point = TemplatePoint("x", f"m{mass:.5f}".replace(".", "p"))
        found.append(
            measure_signal(point, sample(mass, 8000, np.random.default_rng(i)), config(), n_generated=8000, sigma_fb=1)
        )
    return build_shape_model([m for m in found if m is not None], config())


@pytest.mark.parametrize("mass", [0.22, 0.235, 0.35, 0.9])
def test_width_follows_the_threshold(shapes: ShapeModel, mass: float) -> None:
    reduced = np.sqrt(mass**2 - THRESHOLD)
    shape = shapes.regions["x/low"].shape(mass)
    assert shape.sigma == pytest.approx(2 * reduced * SIGMA, rel=0.08)
    assert shape.mean == pytest.approx(reduced**2, abs=0.15 * shape.sigma)
    # half of the events have no right pair
    assert shapes.regions["x/low"].efficiency(mass) == pytest.approx(0.5, rel=0.06)


def test_windows_and_masks_are_where_the_signal_peaks(shapes: ShapeModel) -> None:
    binning = build_binning(shapes, config())
    edges = binning.regions["low"].first
    window = make_window(TemplatePoint("x", "m0p50000"), "low", binning, shapes, config())
    fitted = window.edges(edges)
    middle = 0.5**2 - THRESHOLD
    half = 10 * shapes.width("low", 0.5)
    assert [fitted[0], fitted[-1]] == pytest.approx([middle - half, middle + half], abs=0.1 * half)
    out = np.flatnonzero(~np.array(window.keep))
    bins = half / 20
    assert fitted[out[0]] == pytest.approx(0.49**2 - THRESHOLD, abs=1.1 * bins)
    assert fitted[out[-1] + 1] == pytest.approx(0.51**2 - THRESHOLD, abs=1.1 * bins)
    with_none = make_window(TemplatePoint("x", "m0p70000"), "low", binning, shapes, config())
    assert all(with_none.keep)
    # equally wide in the reduced mass
    root = np.sqrt(edges[(edges > 0.05) & (edges < 0.8)])
    assert np.diff(root) == pytest.approx(np.full(len(root) - 1, SIGMA / 2), rel=0.15)


def test_shapes_survive_json(shapes: ShapeModel) -> None:
    again = ShapeModel.from_dict(shapes.to_dict())
    assert again.regions["x/low"].shape(0.33) == shapes.regions["x/low"].shape(0.33)
    assert again.width("low", 0.33) == shapes.width("low", 0.33)


def test_logarithm_of_the_observable_makes_a_threshold_straight() -> None:
    m = np.array([0.2114, 0.213, 0.22, 0.3, 1.0])
    y = 0.7 * 0.5 * np.log(m**2 - THRESHOLD) + 0.1
    curve = fit_curve(m, y, np.full(5, 0.01), Curve(order=1, variable="log_observable"), THRESHOLD)
    assert float(curve(0.2125)) == pytest.approx(0.35 * np.log(0.2125**2 - THRESHOLD) + 0.1, abs=1e-9)
    assert SmoothCurve.from_dict(curve.to_dict()) == curve


def test_a_spectrum_that_starts_at_a_threshold_is_a_polynomial_in_the_root() -> None:
    # pairs near threshold: dN/dM_R goes as M_R^2, so dN/dM_R^2 as M_R
    root = np.linspace(0.0, 0.3, 41)
    expectation = 4e7 * np.diff(root**3) / 3
    assert fit_templates(expectation, bernstein_templates(root, 2))[1] < 1e-6
    assert fit_templates(expectation, bernstein_templates(root**2, 2))[1] > 100.0


def test_core_ignores_tails_and_missing_candidates() -> None:
    rng = np.random.default_rng(2)
    x = np.concatenate([rng.normal(1.0, 0.01, 3000), 1.0 + rng.exponential(0.3, 1500), rng.uniform(0, 3, 500)])
    middle, width = core_width(x, np.ones(len(x)))
    assert middle == pytest.approx(1.0, abs=0.004)
    assert width == pytest.approx(0.01, rel=0.3)


def test_wrong_pairings_alone_give_no_shape() -> None:
    """All candidates of the events lie below the region's range: nothing is left to fit, and the point says so."""
    rng = np.random.default_rng(3)
    n = 400
    columns = {
        "weight": np.ones(2 * n), "event_id": np.tile(np.arange(n), 2),
        # the nearest of each event is far below the range; some further ones are inside
        "m2r": np.concatenate([0.1 + 0.01 * rng.standard_normal(n), rng.uniform(2.9, 3.0, n)]),
    }  # fmt: skip
    regions = [{"name": "low", "observable": "m2r", "mass": [0.2114, 2.0], "observable_range": [0.8, 4.0]}]
    point = TemplatePoint("x", "m1p20000")
    found = measure_signal(point, columns, config(regions=regions), n_generated=n, sigma_fb=1.0)
    assert found is not None
    assert found.fit is None


def test_a_region_with_windows_of_its_own(shapes: ShapeModel) -> None:
    region = config().regions[0].model_dump()
    own = {**region, "window": {"half_width": 3.0, "merge": 3, "bins_per_width": 4, "max_bins": 8}}
    changed = config(regions=[own])
    plain, fine = build_binning(shapes, config()), build_binning(shapes, changed)
    # twice as many bins in a width
    assert len(fine.regions["low"].first) == pytest.approx(2 * len(plain.regions["low"].first), abs=2)
    window = make_window(TemplatePoint("x", "m0p75000"), "low", fine, shapes, changed)
    assert (window.last - window.first, window.merge, len(window.keep)) == (24, 3, 8)
