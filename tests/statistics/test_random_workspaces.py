"""Whatever workspace comes: a status, no silent number, and pyhf's own minimum wherever pyhf finds one."""

from __future__ import annotations

import importlib.util

import pytest
from random_workspaces import survey

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
    # pyhf's lower minimum at a signal of its own: no limit of ours
    assert found.pyhf == {"equal": 1, "lower, no limit": 1, "lower, below zero": 1}
    assert found.problems == []


@pytest.mark.long
@pytest.mark.parametrize("part", range(20))
def test_ten_thousand_random_workspaces(part: int) -> None:
    found = survey(range(500 * part, 500 * (part + 1)), BACKENDS, stock_every=5)
    assert found.problems == []
    assert found.status.total() == 500
    # the others go to stock pyhf, and have no number if it cannot confirm one either
    assert found.certificate["passed"] > 0.8 * found.certificate.total()
    assert found.pyhf["equal"] > 0.5 * found.pyhf.total()
