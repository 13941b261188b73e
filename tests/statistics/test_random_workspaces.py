"""Whatever workspace comes: a status, no silent number, and pyhf's own minimum wherever pyhf finds one."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest
from random_survey import WORKSPACES, resumed, survey

from darkfactory.stats.newton import Backend

BACKENDS: tuple[Backend, ...] = ("numpy", "numba") if importlib.util.find_spec("numba") else ("numpy",)


def test_random_workspaces() -> None:
    found = survey(range(16), BACKENDS, certificates=False, stock_every=10)
    assert found.problems == []
    assert found.status.total() == 16
    assert found.status["ok"] > 9
    assert found.pyhf["equal"] > 0


def test_workspaces_that_once_went_wrong() -> None:
    """A free fit that needed more steps; a profile with two minima; one where plain pyhf ends below zero."""
    found = survey([590, 875, 35], BACKENDS[-1:], certificates=False, stock_every=1)
    assert found.pyhf == {"equal": 2, "lower, below zero": 1}
    assert found.problems == []


def test_a_survey_is_resumed(tmp_path: Path) -> None:
    record = tmp_path / "record.jsonl"
    made = resumed(record, range(4, 8), ("numpy",), stock_every=50)
    rows = [json.loads(line) for line in record.read_text().splitlines()]
    assert [row["seed"] for row in rows] == [4, 5, 6, 7]
    # read and not made: the rows are believed; those of other sources are not
    changed = [{**row, "status": "seen"} for row in rows[:2]] + [{**row, "key": "other"} for row in rows[2:]]
    record.write_text("".join(json.dumps(row) + "\n" for row in changed))
    assert resumed(record, range(4, 8), ("numpy",), stock_every=50, until=0.0).status == {"seen": 2}
    assert resumed(record, range(4, 8), ("numpy",), stock_every=50).status.total() == 4
    assert len(record.read_text().splitlines()) == 6
    assert made.status.total() == 4
    assert made.closure < 1e-6


@pytest.mark.long
@pytest.mark.parametrize("part", range(20))
def test_ten_thousand_random_workspaces(part: int, request: pytest.FixtureRequest) -> None:
    """Resumable: what is finished is kept in pytest's cache as long as the sources are the same."""
    record = request.config.cache.mkdir("random_workspaces") / f"{part}.jsonl"
    size = WORKSPACES // 20
    found = resumed(record, range(size * part, size * (part + 1)), BACKENDS)
    sys.stdout.write(f"{found}\n")
    assert found.problems == []
    assert found.status.total() == size
    # the others go to stock pyhf, and have no number if it cannot confirm one either
    assert found.certificate["passed"] > 0.8 * found.certificate.total()
    assert found.pyhf["equal"] > 0.5 * found.pyhf.total()
    assert found.limits["lower minimum"] == 0
    assert found.closure < 1e-6
    assert found.largest < 1e-3
