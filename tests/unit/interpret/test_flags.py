"""Limits above the largest value that a quantity can have are flagged, not hidden."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from darkfactory.config.interpretation import InterpretationConfig, ModelInterpretation
from darkfactory.config.search import Hypothesis
from darkfactory.interpret.couplings import coupling_rows
from darkfactory.pipeline.limits import csv_columns, row
from darkfactory.pipeline.pages import _coupling_table, _flag_notes

COLUMNS = ("observed", "expected_m2", "expected_m1", "expected", "expected_p1", "expected_p2")


def record(point: str, value: float | None) -> dict[str, Any]:
    band = None if value is None else [value * f for f in (0.5, 0.7, 1.0, 1.4, 2.0)]
    return {
        "hypothesis": "electron", "point": point, "quantity": "branching_fraction", "unit": "", "observed": value,
        "expected": band, "cl": 0.9, "method": "exact", "scale": 1.0, "p0_local": 0.4, "z_local": 0.2,
        "status": "ok" if value is not None else "no_sensitivity", "data": "pseudo",
    }  # fmt: skip


def hypothesis(**more: Any) -> Hypothesis:
    return Hypothesis(sample="s", grids={}, **more)


def test_a_branching_fraction_is_at_most_one_unless_said_otherwise() -> None:
    assert hypothesis(quantity="branching_fraction", unit="").largest == 1.0
    assert hypothesis(quantity="branching_fraction", unit="", maximum=0.2).largest == 0.2
    assert hypothesis().largest is None
    assert hypothesis(maximum=7.0).largest == 7.0
    with pytest.raises(ValidationError, match="greater than 0"):
        hypothesis(maximum=0.0)


def test_rows_of_limits_are_flagged_and_keep_their_numbers() -> None:
    made = [row(record(f"m{i}p00000", v), "s", "d", 1.0) for i, v in enumerate((84.6, 0.999, None), start=1)]
    assert [r["flag"] for r in made] == ["above_maximum", "", ""]
    assert made[0]["observed"] == 84.6
    assert made[0]["status"] == "ok"
    assert row(record("m1p00000", 84.6), "s", "d")["flag"] == ""
    columns = csv_columns(["m1p00000"])
    assert columns.index("flag") == columns.index("status") + 1


def test_couplings_have_the_flag_of_their_limit_or_their_own() -> None:
    limits = [row(record(f"m{i}p00000", v), "s", "d", 1.0) for i, v in enumerate((3.0, 0.5), start=1)]
    models = {
        "fraction": ModelInterpretation(hypothesis="electron", coupling="b", power=1.0, maximum=1.0),
        # a ratio to another decay of a sixth: above one from a fraction of a sixth on
        "ratio": ModelInterpretation(
            hypothesis="electron", coupling="r", power=1.0, reference_coupling=6.0, maximum=1.0
        ),
        "scale": ModelInterpretation(hypothesis="electron", coupling="f"),
    }
    rates = {("electron", f"m{i}p00000"): 5.0 for i in (1, 2)}
    made = coupling_rows(limits, rates, InterpretationConfig(models=models))
    flags = {(r["model"], r["point"]): r["flag"] for r in made}
    assert flags == {
        ("fraction", "m1p00000"): "above_maximum",
        ("fraction", "m2p00000"): "",
        ("ratio", "m1p00000"): "above_maximum",
        ("ratio", "m2p00000"): "above_maximum",
        # the rate is no constraint, so neither is what follows from it
        ("scale", "m1p00000"): "above_maximum",
        ("scale", "m2p00000"): "",
    }


def test_the_page_says_so() -> None:
    limits = [row(record(f"m{i}p00000", 2.0 + i), "s", "d", 1.0) for i in range(1, 8)]
    [note] = _flag_notes([*limits, row(record("m9p00000", 0.1), "s", "d", 1.0)])
    assert note.startswith("7 limits are above the largest value")
    assert "m5p00000, ..." in note
    assert "m6p00000" not in note
    assert _flag_notes([row(record("m9p00000", 0.1), "s", "d", 1.0)]) == []
    shown = {"model": "m", "lower": None, "upper": 3.0, **limits[0]}
    assert _coupling_table([shown])[0]["flag"] == "above_maximum"
