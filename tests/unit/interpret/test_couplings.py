from __future__ import annotations

from typing import Any

import pytest

from darkfactory.config.interpretation import InterpretationConfig, ModelInterpretation
from darkfactory.config.load import validate
from darkfactory.core.errors import ConfigError, InputError
from darkfactory.interpret.couplings import coupling_from_rate, coupling_rows, g_minus_2_band
from darkfactory.models.zprime import branching_fraction, delta_a_mu

MODEL = ModelInterpretation(hypothesis="zprime", coupling="g_prime")


def row(point: str, mass: float, **more: Any) -> dict[str, Any]:
    columns = ("observed", "expected_m2", "expected_m1", "expected", "expected_p1", "expected_p2")
    numbers = dict(zip(columns, (4.0, 1.0, 2.0, 4.0, 9.0, 16.0), strict=True))
    return {"hypothesis": "zprime", "point": point, "mass_gev": mass, **numbers, "cl": 0.9, "status": "ok", **more}


def config(**models: Any) -> InterpretationConfig:
    return InterpretationConfig(models=models)


def test_a_coupling_reproduces_the_limit_it_came_from() -> None:
    model = ModelInterpretation(
        hypothesis="h", coupling="g", reference_coupling=2e-3, power=2.0, branching_fraction="zprime_mumu"
    )
    coupling = coupling_from_rate(7.0, 3.0, model, 0.5)
    assert coupling is not None
    fraction = float(branching_fraction(0.5, "mumu"))
    assert 3.0 * (coupling / 2e-3) ** 2 * fraction == pytest.approx(7.0)


def test_other_powers() -> None:
    model = ModelInterpretation(hypothesis="h", coupling="g", power=4.0)
    assert coupling_from_rate(16.0, 1.0, model, 1.0) == pytest.approx(2.0)


@pytest.mark.parametrize(("limit", "rate", "mass"), [(None, 1.0, 1.0), (1.0, 0.0, 1.0), (1.0, 1.0, 0.1)])
def test_no_limit_no_rate_or_a_closed_channel_give_none(limit: float | None, rate: float, mass: float) -> None:
    closed = MODEL.model_copy(update={"branching_fraction": "zprime_mumu"})
    assert coupling_from_rate(limit, rate, closed, mass) is None


def test_rows_are_made_for_each_model_and_its_axes_only() -> None:
    rows = [row("m1p00000", 1.0), row("m1p00000_w0p10000", 1.0, width=0.1), row("m1p00000", 1.0, hypothesis="other")]
    rates = {("zprime", "m1p00000"): 1.0, ("zprime", "m1p00000_w0p10000"): 4.0}
    wide = MODEL.model_copy(update={"axes": ("mass", "width")})
    found = coupling_rows(rows, rates, config(narrow=MODEL, wide=wide))
    assert [(r["model"], r["point"]) for r in found] == [("narrow", "m1p00000"), ("wide", "m1p00000_w0p10000")]
    assert [r["observed"] for r in found] == [2.0, 1.0]
    assert [found[0][k] for k in ("expected_m2", "expected", "expected_p2")] == [1.0, 2.0, 4.0]
    assert found[0]["quantity"] == "g_prime"
    assert (found[0]["lower"], found[0]["upper"]) == (None, 2.0)


def test_a_point_without_a_limit_keeps_its_status_and_has_no_number() -> None:
    failed = row("m1p00000", 1.0, observed=None, expected=None, status="not_bracketed")
    (found,) = coupling_rows([failed], {("zprime", "m1p00000"): 1.0}, config(a=MODEL))
    assert found["status"] == "not_bracketed"
    assert found["observed"] is None
    assert found["upper"] is None


def test_a_missing_cross_section_is_an_error() -> None:
    with pytest.raises(InputError, match=r"no cross-section for \('zprime', 'm1p00000'\); rerun the stage"):
        coupling_rows([row("m1p00000", 1.0)], {}, config(a=MODEL))


def test_bands_hold_the_couplings_of_their_edges() -> None:
    band = g_minus_2_band([0.1, 1.0], "x", 251e-11, 59e-11, 2.0, "note")
    for m, low, high in zip(band.mass, band.low, band.high, strict=True):
        assert delta_a_mu(m, low) == pytest.approx(133e-11)
        assert delta_a_mu(m, high) == pytest.approx(369e-11)
    assert g_minus_2_band([1.0], "y", 38e-11, 63e-11, 2.0, "").low == (0.0,)


def test_a_band_needs_an_uncertainty() -> None:
    band = {"label": "b", "delta_a_mu": {"value": 1e-9, "source": "published"}, "hypothesis": "zprime"}
    models = {"a": {"hypothesis": "zprime", "coupling": "g"}}
    with pytest.raises(ConfigError, match=r"band 'b' needs delta_a_mu\.uncertainty"):
        validate(InterpretationConfig, {"models": models, "bands": [band]})
