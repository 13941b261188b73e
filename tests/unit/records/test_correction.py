"""Corrections as files that other software reads."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from darkfactory.core.errors import InputError
from darkfactory.records.correction import (
    Correction,
    corrections_from_dict,
    corrections_from_table,
    corrections_to_dict,
)

EDGES = (np.array([0.0, 1.0, 3.0]), np.array([0.0, 0.5, 1.0, 2.0]))
FACTORS = np.arange(6, dtype=float).reshape(2, 3) / 10 + 0.7
ONE = Correction("id", "muons", ("p", "theta"), EDGES, {"nominal": FACTORS, "up": FACTORS + 0.1, "down": FACTORS - 0.1})


def written() -> dict[str, Any]:
    stored: dict[str, Any] = json.loads(json.dumps(corrections_to_dict([ONE], "of a test")))
    return stored


def test_the_file_has_the_keys_of_schema_2_and_nothing_else() -> None:
    stored = written()
    assert set(stored) == {"schema_version", "description", "corrections"}
    (one,) = stored["corrections"]
    assert set(one) == {"name", "description", "version", "inputs", "output", "data"}
    assert [(i["name"], i["type"]) for i in one["inputs"]] == [
        ("variation", "string"),
        ("p", "real"),
        ("theta", "real"),
    ]
    content = one["data"]["content"][0]
    # row-major: the last input runs fastest
    assert content["key"] == "nominal"
    assert content["value"]["content"] == pytest.approx(FACTORS.ravel())
    assert set(content["value"]) == {"nodetype", "inputs", "edges", "content", "flow"}


def test_what_is_written_is_read_back() -> None:
    back = corrections_from_dict(written(), "file")["id"]
    p, theta = np.array([-1.0, 0.5, 1.0, 2.9, 99.0]), np.array([0.1, 0.5, 1.9, -3.0, 7.0])
    expected = [FACTORS[0, 0], FACTORS[0, 1], FACTORS[1, 2], FACTORS[1, 0], FACTORS[1, 2]]
    assert back([p, theta]) == pytest.approx(expected)
    assert back([p, theta], "up") == pytest.approx(np.array(expected) + 0.1)


def test_factors_without_variations_are_read() -> None:
    stored = written()
    node = {"nodetype": "binning", "input": "p", "edges": [0.0, 1.0, 2.0], "content": [0.9, 1.1], "flow": "clamp"}
    stored["corrections"][0]["data"] = node
    back = corrections_from_dict(stored, "file")["id"]
    assert back.inputs == ("p",)
    assert back([np.array([1.5])]) == pytest.approx([1.1])


def _node(stored: dict[str, Any], i: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = stored["corrections"][0]["data"]["content"][i]["value"]
    return found


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.update(schema_version=1), "file: schema_version 1; give a file of correctionlib's schema 2"),
        (lambda s: _node(s).update(nodetype="formula"), "formula is not read here; give binning, multibinning"),
        (lambda s: _node(s).update(flow="error"), "flow 'error'; only 'clamp' is read here"),
        (lambda s: _node(s).update(content=[1.0]), "'nominal' needs 6 finite factors"),
        (lambda s: _node(s, 1).update(edges=[[0, 1, 4], [0, 0.5, 1, 2]]), "'up' and 'nominal' are binned differently"),
        (lambda s: _node(s).update(edges=[[0, 1, 1], [0, 0.5, 1, 2]]), "must be rising numbers"),
        (lambda s: s["corrections"][0]["data"]["content"].pop(0), "no factors `nominal`; there are"),
    ],
)
def test_files_that_are_not_read_are_told(change: Any, message: str) -> None:
    stored = written()
    change(stored)
    with pytest.raises(InputError, match=message):
        corrections_from_dict(stored, "file")


def test_wrong_questions_are_told() -> None:
    with pytest.raises(InputError, match="no variation 'left'; it has"):
        ONE([np.ones(1), np.ones(1)], "left")
    with pytest.raises(InputError, match="p is no number for 1 entries"):
        ONE([np.array([np.nan]), np.ones(1)])


def table() -> list[dict[str, Any]]:
    """The correction as rows, the last bin first."""
    rows = []
    for i, j in np.ndindex(FACTORS.shape):
        bins = {
            "p_low": EDGES[0][i],
            "p_high": EDGES[0][i + 1],
            "theta_low": EDGES[1][j],
            "theta_high": EDGES[1][j + 1],
        }
        rows.append({**{k: float(v) for k, v in bins.items()}, "factor": float(FACTORS[i, j]), "error": 0.1})
    return rows[::-1]


def test_a_table_is_the_same_correction() -> None:
    (found,) = corrections_from_table(table(), "id", "id.csv")
    assert (found.name, found.inputs) == ("id", ("p", "theta"))
    p, theta = np.array([0.2, 2.0, 9.0]), np.array([0.1, 0.7, 1.5])
    for side in ("nominal", "up", "down"):
        np.testing.assert_allclose(found([p, theta], side), ONE([p, theta], side), rtol=1e-12)
    both = corrections_from_table([{**r, "correction": n} for n in "ab" for r in table()], "x", "x.csv")
    assert [c.name for c in both] == ["a", "b"]
    (plain,) = corrections_from_table([{k: v for k, v in r.items() if k != "error"} for r in table()], "id", "id.csv")
    assert set(plain.factors) == {"nominal"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ([], r"id\.csv: a table of corrections has columns <input>_low"),
        ([{"p_low": 0.0, "factor": 1.0}], r"<input>_low and <input>_high .* it has \['p_low', 'factor'\]"),
        (table()[:-1], "1 bins of its grid are missing and 0 are there twice"),
        ([*table(), table()[0]], "0 bins of its grid are missing and 1 are there twice"),
        ([{**table()[0], "p_low": 0.0}, *table()[1:]], r"the bin .* is empty or overlaps others"),
        ([{**table()[0], "factor": "high"}, *table()[1:]], "factor is 'high' in row 1 of the table"),
    ],
)
def test_tables_that_are_no_corrections(change: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        corrections_from_table(change, "id", "id.csv")
