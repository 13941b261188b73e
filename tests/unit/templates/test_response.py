"""Templates folded from a known spectrum and a response, against the integral that they estimate."""

from __future__ import annotations

import numpy as np
import pytest

from darkfactory.config.base import Tagged
from darkfactory.config.response import ResponseConfig
from darkfactory.config.templates import RegionConfig, TemplatesConfig
from darkfactory.core.errors import RunError
from darkfactory.records.histogram import Histogram
from darkfactory.templates.response import ResponseEvents, lepton_spectrum, response_template

MASS, TAU = 0.1056583755, 1.77693
CONFIG = ResponseConfig(
    truth="t", lepton_mass=Tagged(value=MASS, source="published"), tau_mass=Tagged(value=TAU, source="published")
)
EDGES = np.linspace(0.0, 2.0, 41)
LOW, HIGH = 2 * MASS / TAU, 1 + (MASS / TAU) ** 2


def efficiency(x: np.ndarray) -> np.ndarray:
    return np.asarray(0.2 + 0.5 * x - 0.2 * x**2)


def log_response(x: np.ndarray, g: np.ndarray) -> np.ndarray:
    """Skewed; mean and width depend on the truth."""
    return np.asarray(0.08 - 0.05 * x + (0.28 - 0.06 * x) * (g + 0.15 * (g * g - 1)))


def sample(n: int, seed: int) -> ResponseEvents:
    rng = np.random.default_rng(seed)
    x = rng.uniform(LOW, HIGH, 12 * n)
    x = x[rng.random(len(x)) * 2.0 < lepton_spectrum(x, MASS, TAU)][:n]
    kept = rng.random(len(x)) < efficiency(x)
    x = x[kept]
    y = x * np.exp(log_response(x, rng.normal(size=len(x))))
    return ResponseEvents(y, x, np.ones(len(x)), np.arange(len(x)) % CONFIG.groups)


def counted(e: ResponseEvents) -> Histogram:
    n = np.histogram(e.observable, EDGES, weights=e.weight)[0].astype(float)
    return Histogram((EDGES,), n, n.copy(), {"id_up": 1.1 * n}, 1.0)


def truth_template(n: int) -> np.ndarray:
    """The integral, by numbers that are no random ones."""
    x = np.linspace(LOW, HIGH, 2001)
    x, width = 0.5 * (x[1:] + x[:-1]), np.diff(x)
    g = np.linspace(-5, 5, 2001)
    p = np.exp(-0.5 * g * g)
    y = x[:, None] * np.exp(log_response(x[:, None], g[None, :]))
    w = (lepton_spectrum(x, MASS, TAU) * width * efficiency(x))[:, None] * (p / p.sum())[None, :]
    return n * np.asarray(np.histogram(y.ravel(), EDGES, weights=w.ravel())[0])


def test_the_spectrum_is_normalised_and_ends_where_kinematics_do() -> None:
    for mass in (0.0, MASS):
        low, high = 2 * mass / TAU, 1 + (mass / TAU) ** 2
        x = np.linspace(low, high, 20001)
        f = lepton_spectrum(x, mass, TAU)
        assert float(np.sum(0.5 * (f[1:] + f[:-1]) * np.diff(x))) == pytest.approx(1.0, abs=1e-6)
        assert lepton_spectrum([0.99 * low - 0.01, high + 1e-6], mass, TAU).tolist() == [0.0, 0.0]


def test_the_template_is_the_integral_within_its_covariance_and_knows_more_than_counts() -> None:
    n, expected = 40_000, truth_template(40_000)
    score = np.exp(-0.5 * ((0.5 * (EDGES[1:] + EDGES[:-1]) - 0.68) / 0.13) ** 2)
    score -= np.sum(score * expected) / np.sum(expected)
    pulls, gains = [], []
    for seed in range(10):
        events = sample(n, seed)
        made = response_template(counted(events), events, [], CONFIG)
        h = made.histogram
        shift = float(np.sum(score * (h.sumw - expected)))
        halves = [
            0.5 * (h.variations[f"template_{k}_up"] - h.variations[f"template_{k}_down"])
            for k in range(CONFIG.components)
        ]
        parts = [np.sum(score * half) for half in halves]
        sigma = np.sqrt(np.sum(np.square(parts)) + np.sum(score**2 * h.sumw2))
        pulls.append(shift / sigma)
        gains.append(np.sum(score**2 * counted(events).sumw2) / sigma**2)
        assert made.chi2 < 90
    assert np.std(pulls) == pytest.approx(1.0, abs=0.5)
    assert abs(np.mean(pulls)) < 1.0
    assert np.mean(gains) > 1.3


def test_bins_can_be_counted_as_they_are() -> None:
    events = sample(20_000, 4)
    made = response_template(counted(events), events, [], CONFIG.model_copy(update={"counted_below": 0.5}))
    raw, h = counted(events), made.histogram
    np.testing.assert_array_equal(h.sumw[:10], raw.sumw[:10])
    np.testing.assert_array_equal(h.sumw2[:10], raw.sumw2[:10])
    np.testing.assert_array_equal(h.variations["template_0_up"][:10], raw.sumw[:10])
    assert np.all(h.sumw[12:30] != raw.sumw[12:30])
    assert made.bins <= 30


def test_other_samples_with_the_same_response_help() -> None:
    events, others = sample(20_000, 1), [sample(60_000, 2)]
    alone = response_template(counted(events), events, [], CONFIG)
    helped = response_template(counted(events), events, others, CONFIG)
    assert helped.gain > 1.3 * alone.gain


def test_weight_variations_follow_and_the_closure_is_the_difference_to_counts() -> None:
    events = sample(20_000, 3)
    h = response_template(counted(events), events, [], CONFIG).histogram
    filled = counted(events).sumw > 0
    np.testing.assert_allclose(h.variations["id_up"][filled], 1.1 * h.sumw[filled])
    scaled = counted(events).sumw * h.sumw.sum() / counted(events).sumw.sum()
    np.testing.assert_allclose(h.variations["template_closure_up"], scaled, atol=1e-9)


def test_a_handful_of_events_is_refused() -> None:
    events = sample(300, 1)
    with pytest.raises(RunError, match="effective events tell no response"):
        response_template(counted(events), events, [], CONFIG, "region 'x'")


def test_a_response_needs_a_normalisation_and_known_regions() -> None:
    region = RegionConfig(name="r", observable="x", mass=(0, 1), observable_range=(0, 2), bins=40, response=CONFIG)
    common = {"signal": "simulation", "background": "simulation", "window": {"mode": "full"}}
    with pytest.raises(ValueError, match="response needs `normalisation` and `bins`"):
        TemplatesConfig.model_validate({**common, "regions": [region.model_dump()]})
    pooled = region.model_copy(
        update={"normalisation": "s", "response": CONFIG.model_copy(update={"pool": ("other",)})}
    )
    with pytest.raises(ValueError, match=r"response.pool \['other'\] are no regions"):
        TemplatesConfig.model_validate({**common, "regions": [pooled.model_dump()]})
