"""Searches of one long-lived particle together, from small counting workspaces."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from darkfactory.config.combination import CombinationConfig
from darkfactory.config.library import Library
from darkfactory.config.load import validate
from darkfactory.config.resolve import load_campaign
from darkfactory.core.errors import ConfigError
from darkfactory.pipeline.combine_lifetimes import by_mass, channels_of, combine_mass, strength_at
from darkfactory.pipeline.interpretations import of_model
from darkfactory.pipeline.plan import Planner
from darkfactory.stats.counting import counting_limit, counting_rates
from darkfactory.stats.examples import counting_window
from darkfactory.stats.histfactory import compile_workspace

CONFIG = Path(__file__).parents[3] / "config"
CAMPAIGN = load_campaign("tiny", config_dir=CONFIG)
LIFETIMES = (0.01, 0.1, 1.0, 10.0, 100.0)
TOYS = 10000
# of the sample: workspaces count in fb, limits in branching fractions
SIGMA_FB = 0.4e6


def entries(final: str, scale: float, search: str = "b_to_k_longlived") -> list[dict[str, Any]]:
    """One channel at 0.5 GeV: nothing seen, nothing expected, an efficiency that falls off 1 cm."""
    config = next(c for (s, _), c in CAMPAIGN.searches.items() if s == "b_to_k_longlived")
    from darkfactory.config.interpretation import InterpretationConfig

    section = validate(InterpretationConfig, config.interpretation, where="interpretation")
    made = []
    for t in LIFETIMES:
        spec = counting_window(0, 1e-3, 0.0, signal=1.0)
        # one unit of mu is `scale` in branching fraction and one event at 1 cm
        own = scale * (1 + abs(np.log10(t))) ** 2
        limit = counting_limit(0, counting_rates(compile_workspace(spec)[1], 64), 0.95)
        assert limit is not None
        expected = limit * own
        made.append(
            {"search": search, "dataset": "d", "tags": ["belle2"], "model": "dark_higgs", "hypothesis": final,
             "interpretation": of_model(section, "dark_higgs", "lifetimes"),
             "point": f"m0p50000_t{t:.5f}".replace(".", "p"), "record": {"spec": spec, "scale": own * SIGMA_FB},
             "sigma_fb": SIGMA_FB, "limits": [{"cl": 0.95, "expected": expected, "scale": own}]}
        )  # fmt: skip
    return made


def request(**more: Any) -> dict[str, Any]:
    combination = {
        "name": "t", "model": "dark_higgs", "coupling": "sin_theta", "unit": "", "scan": [1e-5, 0.1], "steps": 21,
        "toys": TOYS, "correlated": {}, "statistics": {"cls": [0.95]},
    }  # fmt: skip
    return {"spec": {"combination": combination | more, "seed": 3, "data": "asimov"}}


def edges(rows: list[dict[str, Any]], name: str) -> tuple[float, float]:
    (one,) = [r for r in rows if r["input"] == name and r["quantity"] == "sin_theta"]
    return one["lower"], one["upper"]


def test_one_channel_alone_excludes_where_its_rate_is_above_its_limit() -> None:
    own = entries("kplus_mumu", 2e-8)
    (channel,) = channels_of(own, 0.5, 0.95)
    found = combine_mass(request(), "m0p50000", own)
    low, high = edges(found["rows"], "combined")
    assert 1e-5 < low < high < 0.1
    told = channel.predict(low)
    assert told.rate / channel.surface(told.ctau, told.ctau2) == pytest.approx(1.0, rel=0.05)
    # up to the shortest lifetime that was scanned, within a step
    assert LIFETIMES[0] <= channel.predict(high).ctau < 3 * LIFETIMES[0]
    assert {r["status"] for r in found["rows"]} == {"not_bracketed"}
    assert found["workspace"] is not None


def test_strengths_between_lifetimes_follow_the_interpolated_limit() -> None:
    (channel,) = channels_of(entries("kplus_mumu", 2e-8), 0.5, 0.95)
    for coupling in np.geomspace(1e-4, 5e-3, 9):
        told = channel.predict(float(coupling))
        limit = channel.surface(told.ctau, told.ctau2)
        at, strength = strength_at(channel, float(coupling))
        if not np.isfinite(limit):
            assert strength == 0.0
            continue
        _, own, scale = channel.records[at]
        # in units of the limit of the workspace that counts, the signal is that of the interpolated limit
        assert strength * scale / own == pytest.approx(told.rate / limit)


def test_two_channels_exclude_more_than_either() -> None:
    both = entries("kplus_mumu", 2e-8) + entries("kplus_pipi", 2e-7, "other")
    rows = combine_mass(request(), "m0p50000", both)["rows"]
    together, first = edges(rows, "combined"), edges(rows, "b_to_k_longlived/d")
    assert together[0] < first[0]
    assert together[1] >= first[1] * 0.99
    assert {r["input"]: r["channels"] for r in rows}["combined"] == 2


def test_points_are_collected_by_mass() -> None:
    found = by_mass({"m0p50000_t1p00000": [{"a": 1}], "m0p50000_t2p00000": [{"a": 2}], "m1p00000": []})
    assert {k: len(v) for k, v in found.items()} == {"m0p50000": 2, "m1p00000": 0}


def test_the_plan_reads_all_lifetimes_of_the_masses() -> None:
    plan = Planner(CAMPAIGN)
    found = plan.combination_sources({"combination": "dark_higgs_theta"})
    assert {s["point"].split("_")[0] for s in found} == {"m0p50000"}
    assert {s["search"] for s in found} == {"b_to_k_longlived", "inelastic_dm_dark_higgs"}
    assert sum(s["hypothesis"] == "kplus_mumu" for s in found) == 3


def test_what_does_not_fit_is_told() -> None:
    value = Library(CONFIG).get("combinations", "dark_higgs_theta")
    with pytest.raises(ConfigError, match="takes what the scans have; leave it out"):
        validate(CombinationConfig, value | {"make_points": True})
    with pytest.raises(ConfigError, match="must rise from above 0"):
        validate(CombinationConfig, value | {"scan": [1.0, 0.1]})
    other = {"dark_higgs_theta": {"inputs": [{**value["inputs"][0], "model": "alp_fermions"}]}}
    with pytest.raises(ConfigError, match="'alp_fermions' limits inverse_f, the combination sin_theta"):
        load_campaign("tiny", config_dir=CONFIG, overrides=[{"overrides": other}])
