from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from darkfactory.stats.examples import bump_window, counting_window


@pytest.mark.parametrize("kind", ["impacts", "gof"])
def test_a_plain_workspace_is_diagnosed(kind: str, call: Callable[..., Any], tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(bump_window(1, events=400.0, bins=10)))
    extra = ["--toys", "20"] if kind == "gof" else []
    done = call("diagnose", kind, "--workspace", str(file), "-o", str(tmp_path / "out"), *extra)
    assert done.code == 0, done.err
    assert {p.name for p in (tmp_path / "out").iterdir()} == {f"mine_{kind}.{s}" for s in ("csv", "json", "png", "pdf")}
    assert "mine:" in done.out


def test_a_small_coverage_map(call: Callable[..., Any], tmp_path: Path) -> None:
    done = call(
        "diagnose", "coverage-map", "--backgrounds", "0.5", "--signals", "0,6", "--toys", "40", "--cores", "1", "-o",
        str(tmp_path),
    )  # fmt: skip
    assert done.code == 0, done.err
    stored = json.loads((tmp_path / "coverage_map_counting.json").read_text())
    assert stored["rows"][0]["coverage"] == 1.0
    assert stored["rows"][1]["coverage"] > 0.8
    assert "2 of 2 entries" in done.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give either SEARCH DATASET POINT or --workspace FILE"),
        (["-w", "missing.json"], "missing.json: no such file"),
        (["-w", "text.json"], "text.json: no JSON"),
        (["-w", "part.json"], "channels, observations and measurements; .'observations', 'measurements'. missing"),
        (["alp_3gamma"], "SEARCH, DATASET and POINT are needed"),
        (["-w", "good.json", "--strengths", "a,b"], "is no list of numbers"),
    ],
)
def test_mistakes_are_one_message(
    arguments: list[str], message: str, call: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "text.json").write_text("no")
    (tmp_path / "part.json").write_text(json.dumps({"channels": []}))
    (tmp_path / "good.json").write_text(json.dumps(counting_window(1, 1.0)))
    folder = str(Path(__file__).parents[3] / "config")
    monkeypatch.chdir(tmp_path)
    done = call("diagnose", "injection", *arguments, "--config-dir", folder)
    assert done.code == 2
    assert re.search(message, done.err), done.err
