"""Where plain pyhf fails or says NaN, there is an answer or a status."""

from __future__ import annotations

import copy
import json
import math
from typing import Any

import numpy as np
import pytest

from darkfactory.config.statistics import CertificateConfig, LintConfig, StatisticsConfig
from darkfactory.core.errors import InputError
from darkfactory.records.limits import LimitRecord
from darkfactory.stats.examples import bump_window, counting_window, template_window
from darkfactory.stats.limits import WorkspaceInput, compute_limits
from darkfactory.stats.lint import effective_background, lint_workspace


def record_of(spec: dict, **settings: object) -> LimitRecord:
    config = StatisticsConfig(cls=(0.95,), **settings)  # type: ignore[arg-type]
    return compute_limits([WorkspaceInput("m1p00000", "zprime", {"mass_gev": 1.0}, spec)], config)[0]


@pytest.mark.parametrize("signal", [0.05, 1.0, 5e4, 5e7])
def test_signals_of_any_size(signal: float) -> None:
    """s = 0.05 on b = 50 and s far above b: the limit in events is one and the same."""
    usual = record_of(counting_window(50, 50.0, 0.1, signal=7.0)).observed
    assert usual is not None
    record = record_of(counting_window(50, 50.0, 0.1, signal=signal))
    assert record.status == "ok"
    assert record.observed is not None
    assert record.observed * signal == pytest.approx(7.0 * usual, rel=1e-6)


def test_no_event_seen() -> None:
    record = record_of(counting_window(0, 0.1, 0.5), method="asymptotic")
    assert record.status == "ok"
    # what pyhf's asymptotic formula says, a third too strong (STACK: 2.02)
    assert record.observed == pytest.approx(2.02, rel=0.01)
    assert record_of(counting_window(0, 0.1, 0.5)).observed == pytest.approx(2.996, rel=1e-3)


def test_no_signal_no_sensitivity() -> None:
    record = record_of(counting_window(5, 4.0, signal=0.0))
    assert record.status == "no_sensitivity"
    assert record.observed is None
    assert "no sample with parameter of interest 'mu' has any event" in record.lint[0]


def test_data_where_nothing_is_expected_has_a_status_and_no_nan() -> None:
    spec = bump_window(1, bins=10)
    for sample in spec["channels"][0]["samples"]:
        sample["data"][3] = 0.0
        for mod in sample["modifiers"]:
            if mod["type"] == "histosys":
                mod["data"]["hi_data"][3] = mod["data"]["lo_data"][3] = 0.0
    record = record_of(spec)
    assert record.status == "fit_failed"
    json.dumps(record.to_dict(), allow_nan=False)


def test_extreme_yields_never_give_nan() -> None:
    statuses = []
    for events in (0.3, 2.0, 1e3, 1e6):
        for injected in (0.0, 5.0):
            spec = bump_window(int(events) % 97, events=events, injected=injected, bins=25)
            record = record_of(spec, method="asymptotic", certificate=CertificateConfig(stock_significance=100.0))
            statuses.append(record.status)
            json.dumps(record.to_dict(), allow_nan=False)
    assert statuses == ["ok"] * 8


def test_a_record_cannot_lie() -> None:
    good = record_of(counting_window(5, 4.0))
    for change, match in (
        ({"observed": math.nan}, "an ok limit is finite"),
        ({"status": "fit_failed"}, "only an ok limit has a value"),
        ({"colour": "red"}, r"unknown keys \['colour'\]"),
    ):
        with pytest.raises(InputError, match=match):
            LimitRecord.from_dict({**good.to_dict(), **change})
    short = good.to_dict()
    del short["cl"]
    with pytest.raises(InputError, match="limit record is incomplete"):
        LimitRecord.from_dict(short)
    assert LimitRecord.from_dict(json.loads(json.dumps(good.to_dict()))) == good
    row = good.csv_row("zprime_invisible", "belle2_276pb")
    assert row["expected"] == good.expected[2]  # type: ignore[index]


def test_lint_finds_what_is_planted() -> None:
    clean = template_window(1, bins=10)
    assert lint_workspace(clean) == []
    negative = template_window(1, bins=10)
    negative["channels"][0]["samples"][1]["data"][2] = -1.0
    assert any("background0: 1 negative bins (worst: bin 2 with -1)" in w for w in lint_workspace(negative))
    varied = template_window(1, bins=10)
    varied["channels"][0]["samples"][1]["modifiers"][3]["data"]["lo_data"][0] = -2.0
    assert any("variation 'tilt' goes down to -2" in w for w in lint_workspace(varied))
    poor = lint_workspace(clean, LintConfig(effective_over_expected=100.0))
    assert any("fewer effective MC events than 100 times" in w for w in poor)
    strong = counting_window(5, 4.0, signal=1e4)
    assert any("2.5e+03 times the background" in w for w in lint_workspace(strong))
    broken = counting_window(5, 4.0)
    broken["channels"][0]["samples"][1]["data"] = [math.inf]
    assert any("no finite numbers" in w for w in lint_workspace(broken))


def test_effective_background_is_that_of_a_counting_as_good() -> None:
    # a Gaussian peak of width sigma on a flat density: 2 sqrt(pi) sigma times the density, if that is large
    x = np.arange(-12.0, 12.01, 0.25)
    signal = np.exp(-0.5 * x * x)
    poi = [{"name": "mu", "type": "normfactor", "data": None}]

    def window(background: np.ndarray) -> dict[str, Any]:
        return {
            "channels": [{"name": "c", "samples": [
                {"name": "s", "data": signal.tolist(), "modifiers": poi},
                {"name": "b", "data": background.tolist(), "modifiers": []},
            ]}],
            "observations": [{"name": "c", "data": background.tolist()}],
            "measurements": [{"name": "m", "config": {"poi": "mu", "parameters": []}}], "version": "1.0.0",
        }  # fmt: skip

    flat = np.full(len(x), 1e5)
    assert effective_background(window(flat)) == pytest.approx(2 * math.sqrt(math.pi) * 1e5 / 0.25, rel=1e-4)
    # the whole background on one side, where half of the signal is: the other half is a count without background
    half = np.where(x > 0, 1e5, 0.0)
    clean = signal[x <= 0].sum() / signal.sum()
    assert effective_background(window(half)) == pytest.approx(3.0 / clean - 3.0, rel=1e-3)


def test_clean_bins_are_few_events_however_much_background_the_window_holds() -> None:
    spec = counting_window(0, 0.01, signal=2.0)
    noisy = copy.deepcopy(spec["channels"][0])
    noisy["name"] = "noisy"
    for sample in noisy["samples"]:
        sample["data"] = [0.1] if sample["name"] == "signal" else [500.0]
    two = copy.deepcopy(spec)
    two["channels"].append(noisy)
    two["observations"].append({"name": "noisy", "data": [500.0]})
    record = compute_limits([WorkspaceInput("p", "h", {}, two)], StatisticsConfig(cls=(0.9,)))[0]
    assert record.method == "toys"
    assert record.extra["background"] < 1.0
    # no limit on a mean can be below ln(10) events, whatever the other bin does
    assert record.observed is not None
    assert record.observed * 2.1 == pytest.approx(math.log(10), rel=0.1)
