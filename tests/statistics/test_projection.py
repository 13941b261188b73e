from __future__ import annotations

import math

import numpy as np
import pytest

from darkfactory.config.projection import SystematicsRule
from darkfactory.config.statistics import StatisticsConfig
from darkfactory.core.errors import InputError
from darkfactory.stats.examples import bump_window, counting_window, template_window
from darkfactory.stats.limits import WorkspaceInput, compute_limits
from darkfactory.stats.projection import discovery_reach, expected_counts, projected_workspace

ALONE = SystematicsRule(drop=True, simulation="unlimited", source="assumed")
SAME = SystematicsRule(power=0, floor=1, simulation="kept", source="assumed")
SHRINK = SystematicsRule(power=0.5, floor=0.25, source="assumed")


def approx(data: object) -> object:
    """What rounding leaves of the data of a modifier."""
    if isinstance(data, dict):
        return {k: pytest.approx(v, rel=1e-12, abs=1e-300) for k, v in data.items()}
    return pytest.approx(data, rel=1e-12)


def expected(spec: dict[str, object], method: str = "auto") -> float:
    config = StatisticsConfig(cls=(0.90,), method=method, certificate={"stock_fraction": 0.0})  # type: ignore[arg-type]  # words
    [record] = compute_limits([WorkspaceInput("m1p00000", "x", {}, spec)], config)
    assert record.expected is not None
    return record.expected[2]


def test_the_projection_of_counting_is_counting_with_more_background() -> None:
    there = projected_workspace(counting_window(1, 2.0, 0.2, signal=0.5), 4.0, ALONE)
    assert expected(there) == pytest.approx(expected(counting_window(8, 8.0, signal=2.0)), rel=1e-12)


def test_limits_of_statistics_alone_go_as_the_root_of_the_luminosity() -> None:
    spec = bump_window(3)
    near, far = (expected(projected_workspace(spec, r, ALONE), "asymptotic") for r in (1e3, 1e5))
    assert near / far == pytest.approx(10.0, rel=1e-3)


def test_what_does_not_shrink_stops_the_gain() -> None:
    spec = counting_window(100, 100.0, 0.1, signal=10.0)
    kept = [expected(projected_workspace(spec, r, SAME), "asymptotic") for r in (1e3, 1e4)]
    # ten per cent of the background: b and its error grow alike, the limit stays
    assert kept[0] / kept[1] == pytest.approx(1.0, abs=0.02)
    less = expected(projected_workspace(spec, 1e4, SHRINK), "asymptotic")
    assert kept[1] / less == pytest.approx(4.0, rel=0.1)


def test_at_todays_luminosity_nothing_changes() -> None:
    spec = template_window(5)
    there = projected_workspace(spec, 1.0, SAME)
    for ours, theirs in zip(there["channels"], spec["channels"], strict=True):
        for one, other in zip(ours["samples"], theirs["samples"], strict=True):
            assert one["data"] == other["data"]
            assert [m["name"] for m in one["modifiers"]] == [m["name"] for m in other["modifiers"]]
            for a, b in zip(one["modifiers"], other["modifiers"], strict=True):
                assert str(a["data"]) == str(b["data"]) or a["data"] == approx(b["data"])
    for channel in there["observations"]:
        total = expected_counts(spec, 0.0)[channel["name"]]
        assert channel["data"] == total


def test_simulated_statistics_follow_the_rule() -> None:
    spec = template_window(5)

    def relative(ratio: float, how: str) -> list[float]:
        rule = SystematicsRule(simulation=how, source="assumed")  # type: ignore[arg-type]  # a word of the list
        there = projected_workspace(spec, ratio, rule)
        found = []
        for channel in there["channels"]:
            for sample in channel["samples"]:
                for m in sample["modifiers"]:
                    if m["type"] == "staterror":
                        found += list(np.array(m["data"]) / np.array(sample["data"]))
        return found

    kept, grows = relative(1.0, "kept"), relative(9.0, "grows")
    assert kept
    assert grows == pytest.approx([v / 3 for v in kept])
    assert relative(9.0, "kept") == pytest.approx(kept)
    assert relative(9.0, "unlimited") == []


def test_a_fixed_uncertainty_stays() -> None:
    spec = counting_window(100, 100.0, 0.1, signal=10.0)
    rule = SystematicsRule(power=0.5, floor=0.0, fixed=("background_norm",), source="assumed")
    assert (
        projected_workspace(spec, 1e4, rule)["channels"][0]["samples"][1]["modifiers"]
        == spec["channels"][0]["samples"][1]["modifiers"]
    )


@pytest.mark.parametrize(("background", "z"), [(0.5, 5.0), (10.0, 3.0), (1000.0, 5.0)])
def test_the_reach_is_that_of_the_closed_form(background: float, z: float) -> None:
    [mu] = discovery_reach(counting_window(0, background), [z], 1.0)
    assert mu is not None
    q0 = 2 * ((mu + background) * math.log1p(mu / background) - mu)
    assert math.sqrt(q0) == pytest.approx(z, rel=2e-4)


def test_a_luminosity_is_positive() -> None:
    with pytest.raises(InputError, match=r"ratio of luminosities is -1\.0; it must be above 0"):
        projected_workspace(counting_window(1, 1.0), -1.0, SAME)
