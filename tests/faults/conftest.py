from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent


@pytest.fixture
def stages_here(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Workers import the stages of these tests."""
    path = os.pathsep.join((str(HERE), str(HERE.parents[1] / "src"), os.environ.get("PYTHONPATH", "")))
    monkeypatch.setenv("PYTHONPATH", path)
    for name in ("DARKFACTORY_RUN", "DARKFACTORY_LEASE"):
        monkeypatch.delenv(name, raising=False)
    return lambda name, value: monkeypatch.setenv(name, value)
