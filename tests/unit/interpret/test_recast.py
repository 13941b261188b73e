from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from darkfactory.config.load import validate
from darkfactory.config.recast import RecastModel
from darkfactory.core.errors import ConfigError, InputError
from darkfactory.interpret.recast import recast_rows

RATE = {"formula": "1000 / mass"}
LENGTH = {"value": 3.0, "source": "assumed"}


def model(**more: Any) -> RecastModel:
    return validate(RecastModel, {"name": "mine", "coupling": "g", "rate_fb": RATE, **more}, file="mine.yaml")


def test_a_limit_and_its_band_scale_with_the_power_of_the_coupling() -> None:
    row = {"mass_gev": 2.0, "observed": 5.0, "expected_m1": 2.5, "expected": 20.0, "cl": 0.9, "status": "ok"}
    [made] = recast_rows([row], model(power=4, reference_coupling=0.1, branching_fraction={"formula": "0.5"}))
    assert made["observed"] == pytest.approx(0.1 * (5.0 / 250.0) ** 0.25)
    assert made["expected_m1"] == pytest.approx(0.1 * (2.5 / 250.0) ** 0.25)
    assert made["upper"] == made["observed"]
    assert made["expected_p1"] is None


def test_a_window_of_decay_lengths_excludes_between_two_couplings() -> None:
    mine = model(
        ctau_cm={"formula": "1e-8"}, scan=[1e-6, 1.0], steps=2001,
        window={"length_cm": LENGTH, "boost": {"formula": "5 / mass"}, "inside": False},
    )  # fmt: skip
    rows = recast_rows([{"mass_gev": 1.0, "observed": 1e-6, "expected": None, "cl": 0.9}], mine)
    [found] = [r for r in rows if r["quantity"] == "g"]
    # seen where 1000 g^2 exp(-L / (boost c tau)) is above the limit
    g = np.geomspace(1e-6, 1, 200001)
    excluded = g[1000 * g**2 * np.exp(-3 * g**2 / 5e-8) > 1e-6]
    assert (found["lower"], found["upper"]) == pytest.approx((excluded[0], excluded[-1]), rel=1e-3)
    assert found["status"] == "ok"
    assert [r["status"] for r in rows if r["quantity"] == "g_expected"] == ["no_sensitivity"]


def test_limits_by_lifetime_are_read_at_the_models_own_lifetime() -> None:
    limits = [{"mass_gev": 1.0, "observed": 2.0, "expected": 2.0, "ctau_cm": t, "cl": 0.9} for t in (0.01, 100.0)]
    mine = model(ctau_cm={"formula": "1e-2"}, scan=[1e-4, 10.0], steps=4001, lifetime_power=2)
    rows = recast_rows(limits, mine)
    [found] = [r for r in rows if r["quantity"] == "g"]
    # the rate reaches the limit at g = sqrt(2 / 1000); the shortest lifetime of the limits is that of g = 1
    assert found["lower"] == pytest.approx(np.sqrt(2 / 1000), rel=1e-3)
    assert found["upper"] == pytest.approx(1.0, rel=1e-2)
    assert found["status"] == "not_bracketed"
    assert [r["lower"] for r in rows if r["quantity"] == "g_expected"] == [found["lower"]]


def test_a_point_name_tells_the_lifetime() -> None:
    limits = [
        {"mass_gev": 1.0, "point": f"m1p00000_t{t}", "observed": 2.0, "expected": 2.0, "cl": 0.9}
        for t in ("0p01000", "100p00000")
    ]
    rows = recast_rows(limits, model(ctau_cm={"formula": "1e-2"}, scan=[1e-4, 10.0]))
    assert rows[0]["lower"] == pytest.approx(np.sqrt(2 / 1000), rel=1e-2)


@pytest.mark.parametrize(
    ("limits", "more", "message"),
    [
        ([{"mass_gev": 1.0, "observed": 1.0, "ctau_cm": 1.0}], {}, "depend on a lifetime and mine has none; give"),
        (
            [{"mass_gev": 1.0, "observed": 1.0}], {"ctau_cm": {"formula": "1"}, "scan": [0.1, 1.0]},
            "mine has a lifetime and the limits have none; give window",
        ),
        ([{"mass_gev": 1.0, "observed": 1.0}], {"rate_fb": {"formula": "mass - 3"}}, r"rate_fb is -2\.0 at 1 GeV"),
    ],
)  # fmt: skip
def test_limits_that_do_not_fit_the_model(limits: list[dict[str, Any]], more: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        recast_rows(limits, model(**more))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rate_fb": None}, "give one of rate_fb .* and vertices"),
        ({"ctau_cm": {"formula": "1"}}, "scan: a model with a lifetime needs the couplings"),
        ({"scan": [1.0, 0.1]}, r"scan: \[1\.0, 0\.1\] must rise"),
        ({"window": {"length_cm": LENGTH, "boost": {"formula": "1"}}}, "window: needs ctau_cm"),
        ({"rate_fb": {"formula": "1 / m"}}, "m'. are neither constants nor variables"),
        ({"vertices": {"process": {"final": ["X"]}, "mass": "m_X"}, "rate_fb": None}, "two or more products"),
    ],
)
def test_models_are_checked(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        model(**change)
