"""Parametric showers: laws against closed forms, one shower an event, rate over luminosity as cross-section."""

from __future__ import annotations

import itertools
from typing import Any

import awkward as ak
import numpy as np
import pytest
from pydantic import ValidationError
from scipy.integrate import quad
from scipy.stats import kstest

from darkfactory.config.process import DepositLaw, ParametricConfig, ProcessConfig
from darkfactory.events.schema import DEPOSIT
from darkfactory.generate.parametric import draw, generate_parametric_chunk


def law(kind: str, low: float, high: float, a: float | None = None) -> DepositLaw:
    value: dict[str, Any] = {"law": kind, "low": low, "high": high, "source": "assumed"}
    return DepositLaw.model_validate(value if a is None else value | {"parameter": {"value": a, "source": "assumed"}})


def config(**changes: Any) -> dict[str, Any]:
    def tagged(value: float) -> dict[str, Any]:
        return {"value": value, "source": "assumed"}

    flat = {"law": "uniform", "source": "assumed"}
    return {
        "rate_hz": tagged(0.02),
        "luminosity_1e34": tagged(2.0),
        "energy": {"law": "power", "low": 0.5, "high": 8.0, "parameter": tagged(2.7), "source": "assumed"},
        "azimuth": {**flat, "low": -3.0, "high": 3.0},
        "z": {**flat, "low": -100.0, "high": 200.0},
        "radius_cm": tagged(125.0),
        "time": {**flat, "low": -200.0, "high": 200.0},
        "photon_like": tagged(0.3),
        **changes,
    }


@pytest.mark.parametrize(
    ("one", "density"),
    [
        (law("power", 0.5, 8.0, 2.7), lambda x: x**-2.7),
        (law("power", 0.5, 8.0, 1.0), lambda x: 1 / x),
        (law("exponential", 0.5, 8.0, 0.2), lambda x: np.exp(-x / 0.2)),
        (law("uniform", -3.0, 1.0), lambda x: 1.0),
        (law("sine_power", -np.pi, np.pi, 3.0), lambda x: abs(np.sin(x)) ** 3),
    ],
)
def test_laws_are_drawn_as_written(one: DepositLaw, density: Any) -> None:
    x = draw(one, np.random.default_rng(5).random(20_000))
    grid = np.linspace(one.low, one.high, 400)
    steps = [quad(density, a, b)[0] for a, b in itertools.pairwise(grid)]
    total = np.concatenate([[0.0], np.cumsum(steps)]) / np.sum(steps)
    assert kstest(x, lambda v: np.interp(v, grid, total)).pvalue > 1e-3
    assert one.low <= x.min()
    assert x.max() <= one.high


def test_an_event_is_one_shower_at_its_place_on_the_cylinder() -> None:
    parametric = ParametricConfig.model_validate(config())
    made = generate_parametric_chunk(parametric, 500, np.random.default_rng(3), 7)
    p = made.events.particles
    assert ak.all(ak.num(p, axis=1) == 1)
    assert ak.all(p.pdg == DEPOSIT)
    assert ak.all(p.status == 1)
    # the direction from the origin is that of a point on the barrel
    z = 125.0 * ak.to_numpy(ak.flatten(p.pz / np.hypot(p.px, p.py)))
    assert -100 <= z.min() < -80
    assert 180 < z.max() <= 200
    momentum = np.sqrt(p.px**2 + p.py**2 + p.pz**2)
    assert ak.all(abs(momentum - p.e) < 1e-9 * p.e)
    assert int(made.events.event_id[3]) == 7 * 2**32 + 3


def test_the_rate_over_the_luminosity_is_the_cross_section() -> None:
    # 0.02 Hz at 2e34/cm^2/s: 20/fb take 1e6 s, so 20 000 showers
    parametric = ParametricConfig.model_validate(config())
    made = generate_parametric_chunk(parametric, 100, np.random.default_rng(3), 0)
    assert made.sumw / made.n_events * 20.0 == pytest.approx(20_000)
    assert made.sumw == pytest.approx(float(np.sum(made.events.weight)))


UP_SIDE_DOWN = {"law": "uniform", "low": 1, "high": 0, "source": "assumed"}
NO_PARAMETER = {"law": "power", "low": 1, "high": 2, "source": "assumed"}
TWO_LEGS = {"observable": "mass_pair", "legs": ["gamma", "gamma"], "number": 2, "points": [[0, 1], [1, 2]]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"engine": "tree", "final": ["gamma", "gamma"], "parametric": config()}, "laws of `engine: parametric`"),
        ({"engine": "parametric"}, "laws of `engine: parametric`, which needs them"),
        (
            {"engine": "parametric", "parametric": config(z=UP_SIDE_DOWN)},
            "low 1 must be below high 0",
        ),
        (
            {
                "engine": "parametric",
                "parametric": config(z={"law": "power", "low": 0, "high": 1, "source": "assumed",
                                        "parameter": {"value": 1.0, "source": "assumed"}}),
            },
            "a power law starts above 0",
        ),
        (
            {"engine": "parametric", "parametric": config(z=NO_PARAMETER)},
            "`uniform` has no parameter, the others need one",
        ),
        (
            {
                "final": ["gamma", "gamma"],
                "bias": [{"observable": "cos_leg", "legs": ["gamma"], "number": 3, "points": [[0, 1], [1, 2]]}],
            },
            "there is no gamma number 3 in final",
        ),
        (
            {
                "final": ["gamma", "gamma"],
                "bias": [TWO_LEGS],
            },
            "number: mass_pair is of two legs",
        ),
    ],
)  # fmt: skip
def test_mistakes_are_told(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ProcessConfig.model_validate({"name": "x", **changes})
