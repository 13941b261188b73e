"""Whatever workspace comes: a status, no silent number, and pyhf's own minimum wherever pyhf finds one."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest
from random_workspaces import resumed, survey

from darkfactory.stats.newton import Backend

BACKENDS: tuple[Backend, ...] = ("numpy", "numba") if importlib.util.find_spec("numba") else ("numpy",)


def test_random_workspaces() -> None:
    found = survey(range(50), BACKENDS, certificates=False, stock_every=10)
    assert found.problems == []
    assert found.status.total() == 50
    assert found.status["ok"] > 35
    assert found.pyhf["equal"] > 2


def test_workspaces_that_once_went_wrong() -> None:
    """A free fit that needed more steps; a profile with two minima; one where plain pyhf ends below zero."""
    found = survey([590, 875, 35], BACKENDS[-1:], certificates=False, stock_every=1)
    assert found.pyhf == {"equal": 2, "lower, below zero": 1}
    assert found.problems == []


def test_a_survey_is_resumed(tmp_path: Path) -> None:
    made = resumed(tmp_path, 1, ("numpy",), size=4, step=2, stock_every=50)
    assert sorted(p.name[:5] for p in tmp_path.iterdir()) == ["00004", "00006"]
    for path in tmp_path.iterdir():
        stored = json.loads(path.read_text())
        stored["status"] = {"ok": 7}
        path.write_text(json.dumps(stored))
    assert resumed(tmp_path, 1, ("numpy",), size=4, step=2, stock_every=50).status == {"ok": 14}
    assert made.status.total() == 4
    assert made.closure < 1e-6


@pytest.mark.long
@pytest.mark.parametrize("part", range(20))
def test_ten_thousand_random_workspaces(part: int, request: pytest.FixtureRequest) -> None:
    """Resumable: finished fifties are kept in pytest's cache as long as the sources are the same."""
    found = resumed(request.config.cache.mkdir("random_workspaces"), part, BACKENDS)
    sys.stdout.write(f"{json.dumps(found.to_dict())}\n")
    assert found.problems == []
    assert found.status.total() == 500
    # the others go to stock pyhf, and have no number if it cannot confirm one either
    assert found.certificate["passed"] > 0.8 * found.certificate.total()
    assert found.pyhf["equal"] > 0.5 * found.pyhf.total()
    assert found.limits["lower minimum"] == 0
    assert found.closure < 1e-6
    assert found.largest < 1e-3
