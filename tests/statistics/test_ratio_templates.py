"""A signal that is no peak, fitted in bins of its own, relative to a background whose yield floats."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyhf
import pytest
from templates_toys import TAG

from darkfactory.config.statistics import StatisticsConfig
from darkfactory.config.templates import TemplatesConfig
from darkfactory.core.errors import RunError
from darkfactory.stats.limits import WorkspaceInput, compute_limits
from darkfactory.templates.background import BackgroundModel, build_background
from darkfactory.templates.binning import Binning, build_binning
from darkfactory.templates.build import build_templates
from darkfactory.templates.fill import fill_region, with_slopes
from darkfactory.templates.pseudodata import Observed, draw_observed
from darkfactory.templates.shapes import ShapeModel, TemplatePoint, build_shape_model, measure_signal
from darkfactory.templates.signal import SignalSample
from darkfactory.templates.workspace import PointWorkspace, build_workspaces

POINT = TemplatePoint("electron", "m0p00000")
SIGMA = 5e4
LUMINOSITY = 2.0


def config(**changes: Any) -> TemplatesConfig:
    value = {
        "signal": "simulation",
        "background": "simulation",
        "regions": [
            {"name": "e", "observable": "x", "mass": [0.0, 1.7], "observable_range": [0.0, 2.0], "bins": 20,
             "normalisation": "lnunu", "label": "$x_e$"},
        ],
        "window": {"mode": "full"},
        "smoothing": {"method": "none"},
        "systematics": {
            "columns": ["identification"],
            "slopes": {"slope": {"column": "p", "range": [0.0, 2.0], "size": {"value": 0.02, **TAG}}},
        },
    }  # fmt: skip
    return TemplatesConfig.model_validate({**value, **changes})


def table(x: np.ndarray, weight: float) -> dict[str, np.ndarray]:
    n = len(x)
    return {
        "weight": np.full(n, weight), "event_id": np.arange(n), "x": x, "p": x,
        "var_identification_up": np.full(n, 1.02), "var_identification_down": np.full(n, 0.98),
    }  # fmt: skip


class Toy:
    """Samples, their templates and workspaces."""

    def __init__(self, settings: TemplatesConfig, n: int = 100_000) -> None:
        rng = np.random.default_rng(2)
        self.config = settings
        signal = table(rng.normal(1.1, 0.25, 8000), SIGMA)
        measured = measure_signal(POINT, signal, settings, n_generated=40_000, sigma_fb=SIGMA)
        assert measured is not None
        assert measured.fit is None
        self.shapes: ShapeModel = build_shape_model([measured], settings)
        self.binning: Binning = build_binning(self.shapes, settings)
        region, edges = settings.regions[0], self.binning.regions["e"].edges
        slopes = settings.systematics.slopes

        def histogram(columns: dict[str, np.ndarray], sample: str, generated: int) -> Any:
            return fill_region(with_slopes(columns, slopes, sample), region, edges, n_generated=generated)

        backgrounds = {
            "lnunu": histogram(table(2 * rng.beta(2.5, 3.0, n), SIGMA), "lnunu", 4 * n),
            "hadron": histogram(table(2 * rng.random(n // 10), SIGMA), "hadron", 4 * n),
        }
        self.background: BackgroundModel = build_background({"e": backgrounds}, self.binning, settings)
        self.samples = {POINT.key: SignalSample(histogram(signal, "signal", 40_000), SIGMA)}

    def workspace(self, observed: Observed | None = None, uncertainty: float = 0.01) -> PointWorkspace:
        templates = build_templates(
            [POINT], self.shapes, self.binning, self.background, self.config, LUMINOSITY, samples=self.samples
        )
        data = observed or draw_observed(self.background, LUMINOSITY)
        made = build_workspaces(templates, data, [POINT], self.config, LUMINOSITY, luminosity_uncertainty=uncertainty)
        return made.points[POINT.key]


TOY = Toy(config())


def counts(signal: float, scale: float) -> Observed:
    """Data with a signal of that many times the sample's rate, signal and free background times ``scale``."""
    parts = {k: v.nominal * LUMINOSITY for k, v in TOY.background.regions["e"].items()}
    h = TOY.samples[POINT.key].histogram
    extra = signal * h.sumw / h.n_generated * LUMINOSITY
    return Observed("asimov", LUMINOSITY, {"e": parts["hadron"] + scale * (parts["lnunu"] + extra)})


def limit(point: PointWorkspace) -> float:
    assert point.spec is not None
    made = compute_limits(
        [WorkspaceInput(point.point, point.hypothesis, point.axes, point.spec, scale=point.scale / SIGMA)],
        StatisticsConfig(cls=(0.9,), method="asymptotic"),
        seed=1,
    )
    assert made[0].status == "ok"
    assert made[0].expected is not None
    return float(made[0].expected[2])


def test_bins_are_those_that_were_asked_for() -> None:
    np.testing.assert_allclose(TOY.binning.regions["e"].first, np.linspace(0.0, 2.0, 21))
    assert Binning.from_dict(TOY.binning.to_dict()).regions["e"].label == "$x_e$"
    point = TOY.workspace()
    assert len(point.edges[0]) == 21
    assert point.expected_background == pytest.approx(TOY.background.total("e", LUMINOSITY).sum())


def test_the_free_yield_multiplies_the_signal() -> None:
    spec = TOY.workspace().spec
    assert spec is not None
    samples = {s["name"]: {m["name"]: m["type"] for m in s["modifiers"]} for s in spec["channels"][0]["samples"]}
    assert samples["signal"]["norm_lnunu"] == samples["lnunu"]["norm_lnunu"] == "normfactor"
    assert samples["hadron"]["norm_hadron"] == "normsys"
    assert "norm_lnunu" not in samples["hadron"]
    # shapes of the slope, factors of what scales all momenta alike
    assert samples["lnunu"]["slope"] == "histosys"


@pytest.mark.parametrize("scale", [0.7, 1.0, 1.4])
def test_the_signal_is_found_as_a_ratio_whatever_the_yield(scale: float) -> None:
    point = TOY.workspace(counts(2e-3, scale))
    assert point.spec is not None
    w = pyhf.Workspace(point.spec)
    model = w.model()
    fit = pyhf.infer.mle.fit(w.data(model), model)
    found = dict(zip(model.config.par_names, fit, strict=True))
    assert found["mu"] * point.scale / SIGMA == pytest.approx(2e-3, rel=0.01)


def test_luminosity_cancels_in_the_ratio() -> None:
    certain, uncertain = (limit(TOY.workspace(uncertainty=u)) for u in (1e-3, 0.05))
    assert uncertain == pytest.approx(certain, rel=5e-3)


def test_the_limit_is_that_of_counting_weighted_bins() -> None:
    # with neither systematics nor simulation errors: the Fisher information of a signal beside a free yield
    plain = Toy(config(systematics={"columns": False, "luminosity": False}, staterror=False))
    h = plain.samples[POINT.key].histogram
    s = h.sumw / h.n_generated * LUMINOSITY
    parts = {k: v.nominal * LUMINOSITY for k, v in plain.background.regions["e"].items()}
    b = sum(parts.values())
    floating = parts["lnunu"]
    hadrons = np.log(1.2) * parts["hadron"]
    columns = np.stack([s, floating, hadrons])
    information = (columns / b) @ columns.T + np.diag([0.0, 0.0, 1.0])
    error = float(np.sqrt(np.linalg.inv(information)[0, 0]))
    # signal uncertainty from the sample's size: 8000 of 40000 events; median limit at 90 % is 1.645 standard deviations
    assert limit(plain.workspace()) == pytest.approx(1.645 * error, rel=0.02)


def test_a_wide_slope_costs_sensitivity_and_samples_can_be_left_out() -> None:
    columns = {"p": np.array([0.0, 1.0, 2.0])}
    slopes = config().systematics.slopes
    assert with_slopes(columns, slopes, "lnunu")["var_slope_down"] == pytest.approx([1.02, 1.0, 0.98])
    only = {"slope": slopes["slope"].model_copy(update={"samples": ("other",)})}
    assert with_slopes(columns, only, "lnunu")["var_slope_up"].tolist() == [1.0, 1.0, 1.0]
    with pytest.raises(RunError, match="no column 'momentum'"):
        with_slopes(columns, {"s": slopes["slope"].model_copy(update={"column": "momentum"})}, "lnunu")


def test_a_ratio_needs_its_denominator() -> None:
    missing = config(regions=[{**config().regions[0].model_dump(), "normalisation": "other"}])
    with pytest.raises(RunError, match=r"relative to 'other', of which nothing is selected in region 'e'"):
        Toy(missing, 1000).workspace()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"signal": "parametric"}, "bins need `signal: simulation`"),
        ({"window": {"mode": "sliding"}}, "bins need `window: {mode: full}`"),
        ({"systematics": {"signal_width": {"value": 0.1, **TAG}}}, "no signal_width or signal_mean"),
        ({"background": "polynomial"}, "normalisation needs `background: simulation`"),
        (
            {"systematics": {"slopes": {"s": {"column": "p", "range": [1, 1], "size": {"value": 0.1, **TAG}}}}},
            "must rise",
        ),
        (
            {"systematics": {"slopes": {"s": {"column": "p", "range": [0, 1], "size": {"value": 1.1, **TAG}}}}},
            "between 0 and 1",
        ),
    ],
)
def test_errors_of_the_configuration(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        config(**change)
