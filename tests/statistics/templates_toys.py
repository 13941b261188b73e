"""Toy searches with known truth for the tests of templates and workspaces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from darkfactory.config.templates import TemplatesConfig
from darkfactory.records.histogram import Histogram
from darkfactory.templates.background import BackgroundModel, build_background
from darkfactory.templates.binning import Binning, build_binning
from darkfactory.templates.fill import fill_region
from darkfactory.templates.shapes import ShapeModel, TemplatePoint, build_shape_model, measure_signal
from darkfactory.templates.signal import SignalSample

S = 111.9
ALP_EFFICIENCY = 0.3
TAG = {"source": "assumed"}


@dataclass(frozen=True)
class Toy:
    config: TemplatesConfig
    shapes: ShapeModel
    binning: Binning
    background: BackgroundModel
    samples: dict[str, SignalSample]
    points: list[TemplatePoint]


def alp_width(mass: np.ndarray | float) -> np.ndarray:
    """Resolution of the squared mass, GeV^2."""
    return 2.0 * np.asarray(mass) * (0.009 + 0.009 * np.asarray(mass))


def alp_config(**changes: object) -> TemplatesConfig:
    value = {
        "signal": "parametric",
        "background": "polynomial",
        "switch_mass": {"value": 4.0, **TAG},
        "regions": [
            {"name": "gg", "observable": "m2_gg", "mass": [0.5, "switch"], "observable_range": [0.0, 25.0]},
        ],
        "shape": {
            "wrong_pairings": {"per_event": 2, "total": {"value": S, **TAG}},
            "width": {"order": 3, "variable": "log_mass"},
        },
        "default_sample": {"role": "continuum", "smoothing": {"method": "spline"}},
        "samples": {"eta_gamma": {"role": "peaking", "normalisation": {"value": 0.1, **TAG}}},
        "window": {"half_width": 10},
        "systematics": {
            "signal": {"trigger": {"value": 0.02, **TAG}, "photon_efficiency": {"value": 0.05, **TAG}},
            "signal_width": {"value": 0.1, **TAG},
            "signal_mean": {"value": 0.1, **TAG},
        },
    }
    return TemplatesConfig.model_validate({**value, **changes})


def alp_signal(mass: float, n: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """n generated events of 1 fb: a fraction is selected; one right and two wrong pairings each."""
    kept = rng.binomial(n, ALP_EFFICIENCY)
    core = rng.standard_normal(kept)
    tail = rng.random(kept) < 0.15
    right = mass**2 + alp_width(mass) * np.where(tail, 1.8 * core - 0.8, core)
    wrong = rng.uniform(0.0, S - mass**2, (2, kept))
    event = np.tile(np.arange(kept), 3)
    loss = np.full(3 * kept, 1.02)
    return {
        "weight": np.ones(3 * kept), "event_id": event, "m2_gg": np.concatenate([right, *wrong]),
        "var_photon_loss_up": loss, "var_photon_loss_down": 2.0 - loss,
    }  # fmt: skip


def alp_background(n: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """A falling continuum with weight 20 fb an event."""
    x = 30.0 * rng.beta(0.9, 2.5, n)
    return {
        "weight": np.full(n, 200.0 * 1e3), "m2_gg": x,
        "var_photon_loss_up": np.full(n, 1.02), "var_photon_loss_down": np.full(n, 0.98),
    }  # fmt: skip


def peaking(n: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    x = rng.normal(0.9178, float(alp_width(0.958)), n)
    ones = np.ones(n)
    return {"weight": np.full(n, 500.0), "m2_gg": x, "var_photon_loss_up": ones, "var_photon_loss_down": ones}


def alp_toy(n_background: int = 200000, masses: tuple[float, ...] = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0)) -> Toy:
    config = alp_config()
    rng = np.random.default_rng(11)
    points = [TemplatePoint("alp", f"m{m:.5f}".replace(".", "p")) for m in masses]
    measured = [
        measure_signal(p, alp_signal(p.mass, 20000, rng), config, n_generated=20000, sigma_fb=1.0) for p in points
    ]
    shapes = build_shape_model([m for m in measured if m is not None], config)
    binning = build_binning(shapes, config)
    region, edges = config.regions[0], binning.regions["gg"].edges
    histograms: dict[str, dict[str, Histogram]] = {
        "gg": {
            "three_gamma": fill_region(alp_background(n_background, rng), region, edges, n_generated=n_background),
            "eta_gamma": fill_region(peaking(5000, rng), region, edges, n_generated=5000),
        }
    }
    background = build_background(histograms, binning, config)
    return Toy(config, shapes, binning, background, {}, points)


def zprime_config(**changes: object) -> TemplatesConfig:
    value = {
        "signal": "simulation",
        "background": "simulation",
        "regions": [
            {
                "name": "recoil", "observable": "m2_recoil", "mass": [0.0, 6.0], "observable_range": [-3.0, 40.0],
                "second_axis": {"observable": "theta_recoil_cms", "edges": [0.0, 1.0, 2.1416, 3.1416]},
            }
        ],
        "width_hypothesis": "zprime",
        "window": {"half_width": 8, "merge": 2},
        "systematics": {
            "signal": {"trigger": {"value": 0.03, **TAG}},
            "background": {"trigger": {"value": 0.03, **TAG}},
            "signal_width": {"value": 0.07, **TAG},
        },
    }  # fmt: skip
    return TemplatesConfig.model_validate({**value, **changes})


def zprime_signal(mass: float, n: int, rng: np.random.Generator, width: float = 0.0) -> dict[str, np.ndarray]:
    kept = rng.binomial(n, 0.2)
    m2 = mass**2 * (1.0 + width * np.clip(np.tan(np.pi * (rng.random(kept) - 0.5)), -5, 5) * 0.5)
    x = m2 + 0.25 * rng.standard_normal(kept)
    return {
        "weight": np.full(kept, 4.0), "event_id": np.arange(kept), "m2_recoil": x,
        "theta_recoil_cms": np.arccos(rng.uniform(-1, 1, kept)),
        "var_photon_loss_up": np.ones(kept), "var_photon_loss_down": np.ones(kept),
    }  # fmt: skip


def zprime_backgrounds(n: int, rng: np.random.Generator) -> dict[str, dict[str, np.ndarray]]:
    def table(x: np.ndarray, sigma: float, loss: float) -> dict[str, np.ndarray]:
        k = len(x)
        return {
            "weight": np.full(k, sigma), "m2_recoil": x, "theta_recoil_cms": np.arccos(rng.uniform(-1, 1, k)),
            "var_photon_loss_up": np.full(k, 1.0 + loss), "var_photon_loss_down": np.full(k, 1.0 - loss),
        }  # fmt: skip

    return {
        "mumu": table(np.concatenate([0.25 * rng.standard_normal(n), rng.exponential(3.0, n // 4)]), 50.0, 0.3),
        "tautau": table(40.0 * rng.beta(2.0, 2.0, n), 80.0, 0.0),
    }


def zprime_toy(n: int = 40000, config: TemplatesConfig | None = None) -> Toy:
    config = config or zprime_config()
    rng = np.random.default_rng(5)
    names = ["m1p00000", "m2p00000", "m3p00000", "m4p00000", "m5p00000", "m4p00000_w0p10000"]
    points = [TemplatePoint("zprime", name) for name in names]
    tables = {p.key: zprime_signal(p.mass, 10000, rng, p.width_ratio) for p in points}
    measured = [measure_signal(p, tables[p.key], config, n_generated=10000, sigma_fb=4.0) for p in points]
    shapes = build_shape_model([m for m in measured if m is not None], config)
    binning = build_binning(shapes, config)
    region = config.regions[0]
    edges = binning.regions["recoil"].edges
    histograms = {
        "recoil": {k: fill_region(t, region, edges, n_generated=n) for k, t in zprime_backgrounds(n, rng).items()}
    }
    samples = {k: SignalSample(fill_region(t, region, edges, n_generated=10000), 4.0) for k, t in tables.items()}
    return Toy(config, shapes, binning, build_background(histograms, binning, config), samples, points)
