"""pyhf confirms what is right and refuses what is wrong."""

from __future__ import annotations

import copy

import numpy as np
import pyhf
import pytest

from darkfactory.config.statistics import CertificateConfig, StatisticsConfig
from darkfactory.stats import compiled_model, histfactory
from darkfactory.stats.certificate import Claim, certify, rescaled
from darkfactory.stats.examples import bump_window, counting_window, template_window
from darkfactory.stats.histfactory import UnsupportedModel, compile_workspace
from darkfactory.stats.limits import WorkspaceInput, compute_limits
from darkfactory.stats.scan import asymptotic_limits
from darkfactory.stats.stock import stock_limits


def claims_of(spec: dict, levels: tuple[float, ...] = (0.95,)) -> list[Claim]:
    result = asymptotic_limits(compile_workspace(spec)[1], levels)
    return [
        Claim(cl, float(result.observed[0, j]), tuple(float(v) for v in result.expected[0, j]))
        for j, cl in enumerate(levels)
    ]


def test_good_limits_pass_with_room() -> None:
    for spec in (bump_window(1), template_window(1, bins=12)):
        certificate = certify(spec, claims_of(spec, (0.9, 0.95)), [], CertificateConfig())
        assert certificate["passed"]
        assert certificate["cls_deviation"] < 1e-8
        assert certificate["possible_gain"] < 1e-10
        assert certificate["recipe"]["pyhf"] == pyhf.__version__


def test_stock_pyhf_joins_when_there_is_a_reason() -> None:
    spec = rescaled(bump_window(1), 1e-4)
    stock = certify(spec, claims_of(spec), [], CertificateConfig(), stock_reason="random")["stock"]
    assert stock["reason"] == "random"
    assert stock["deviation"] < 1e-6
    assert stock["signal_rescale"] == pytest.approx(claims_of(spec)[0].expected[2])


@pytest.mark.parametrize("which", ["observed", "expected"])
def test_a_limit_that_is_off_by_a_permille_fails(which: str) -> None:
    spec = bump_window(1, bins=20)
    (good,) = claims_of(spec)
    band = list(good.expected)
    band[3] *= 1.001 if which == "expected" else 1.0
    bad = Claim(good.cl, good.observed * (1.001 if which == "observed" else 1.0), tuple(band))
    certificate = certify(spec, [bad], [], CertificateConfig())
    assert not certificate["passed"]
    assert certificate["cls_deviation"] > 1e-4


def leak(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bug that the design study fell into: a normsys reaches a sample that it does not belong to."""
    right = histfactory._compile_model

    def wrong(channels: list, *rest: object) -> object:
        channels = copy.deepcopy(list(channels))
        signal, background = channels[0]["samples"][:2]
        background["modifiers"] += [m for m in signal["modifiers"] if m["type"] == "normsys"]
        return right(channels, *rest)

    monkeypatch.setattr(histfactory, "_compile_model", wrong)
    monkeypatch.setattr(compiled_model, "_compile_model", wrong)


def test_a_compiler_bug_is_caught_by_pyhf_s_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both the engine and the optimiser in the certificate are wrong the same way: values alone could agree."""
    spec = counting_window(15, 10.0, 0.3, signal=3.0, signal_error=0.1)
    honest = claims_of(spec)[0]
    leak(monkeypatch)
    wrong = claims_of(spec)[0]
    assert wrong.observed != pytest.approx(honest.observed, rel=1e-4)
    certificate = certify(spec, [wrong], [], CertificateConfig())
    assert not certificate["passed"]
    assert certificate["possible_gain"] > 1e-6
    # and the number that is written is stock pyhf's, which knows nothing of our compiler
    item = WorkspaceInput("m0p50000", "alp", {"mass_gev": 0.5}, spec)
    record = compute_limits([item], StatisticsConfig(cls=(0.95,), method="asymptotic"))[0]
    assert record.status == "ok"
    assert record.observed == pytest.approx(honest.observed, rel=1e-6)
    assert "stock pyhf" in record.certificate["confirmed_by"]
    assert record.certificate["engine"]["passed"] is False


def test_without_fallback_a_failed_certificate_publishes_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = counting_window(15, 10.0, 0.3, signal=3.0, signal_error=0.1)
    leak(monkeypatch)
    config = StatisticsConfig(cls=(0.95,), method="asymptotic", certificate=CertificateConfig(fallback=False))
    record = compute_limits([WorkspaceInput("m0p50000", "alp", {"mass_gev": 0.5}, spec)], config)[0]
    assert record.status == "fit_failed"
    assert record.observed is None


def test_a_model_for_stock_pyhf_alone_gets_its_limit_there() -> None:
    spec = counting_window(9, 8.0, 0.2)
    reference = claims_of(spec)[0]
    # two per-bin factors of one name in two samples of one bin: pyhf takes it, the engine does not
    spec["channels"][0]["samples"][1]["modifiers"][0]["data"]["lo"] = 1 / 1.2
    found = stock_limits(spec, [0.95])
    assert found.status == "ok"
    np.testing.assert_allclose(found.claims[0].expected, reference.expected, rtol=2e-6)
    assert found.claims[0].observed == pytest.approx(reference.observed, rel=2e-6)


def test_rescaling_refuses_what_it_would_change() -> None:
    spec = counting_window(9, 8.0)
    spec["channels"][0]["samples"][0]["modifiers"].append({"name": "mc", "type": "staterror", "data": [0.1]})
    with pytest.raises(UnsupportedModel, match="relative widths would change"):
        rescaled(spec, 2.0)
