from __future__ import annotations

import json
from pathlib import Path

import pytest

from darkfactory.config.diagnostics import DiagnosticsConfig
from darkfactory.config.statistics import StatisticsConfig
from darkfactory.core.errors import InputError
from darkfactory.core.files import read_json
from darkfactory.pipeline.diagnosis import KINDS, Subject, diagnose, save, settings_note
from darkfactory.pipeline.diagnostics import choose_points
from darkfactory.stats.examples import bump_window, counting_window
from darkfactory.store.tables import read_csv

FEW = DiagnosticsConfig(
    gof_toys=20, injection_toys=20, injections=(0.0, 2.0), coverage_toys=20, coverage_signals=(2.0,)
)  # fmt: skip


def subject(spec: dict) -> Subject:
    return Subject("a window", spec, StatisticsConfig(cls=(0.9,)), FEW, 1, ("test",))


@pytest.mark.parametrize("kind", KINDS)
def test_every_diagnostic_writes_table_record_and_figure(kind: str, tmp_path: Path) -> None:
    one = subject(bump_window(1, events=500.0, bins=12))
    found = diagnose(kind, one)
    entries = save(found, tmp_path, "x", settings_note(one))
    assert [e["file"] for e in entries] == ["x.png"]
    assert (tmp_path / "x.png").stat().st_size > 5000
    assert (tmp_path / "x.pdf").read_bytes().startswith(b"%PDF")
    assert len(read_csv(tmp_path / "x.csv")) == len(found.rows) > 0
    assert read_json(tmp_path / "x.json")["seed"] == 1


@pytest.mark.parametrize("kind", KINDS)
def test_windows_in_which_nothing_was_seen_have_no_nan(kind: str, tmp_path: Path) -> None:
    one = subject(counting_window(0, 0.5, 0.2, signal=2.0, signal_error=0.05))
    found = diagnose(kind, one)
    save(found, tmp_path, "x", settings_note(one))
    assert "NaN" not in (tmp_path / "x.json").read_text()
    if kind == "impacts":
        assert found.summary["data"] == "expected, with a signal"
        assert json.dumps(found.rows).count("null") == 0
    if kind == "coverage":
        assert "made by exact" in str(found.summary["left out"])


def test_an_unknown_diagnostic_is_refused() -> None:
    with pytest.raises(InputError, match="'moods' is unknown; allowed are pulls, impacts"):
        diagnose("moods", subject(counting_window(1, 1.0)))


def test_points_are_the_largest_excess_and_others_in_between() -> None:
    keys = [f"h/m{i}p00000" for i in range(7)]
    assert choose_points(keys, None, 2, ()) == ["h/m1p00000", "h/m5p00000"]
    assert choose_points(keys, keys[3], 1, ()) == [keys[3]]
    assert choose_points(keys, "h/gone", 0, ["m2p00000"]) == ["h/m2p00000"]
    assert choose_points([], None, 3, ()) == []
    assert choose_points(keys[:2], keys[0], 5, ()) == keys[:2]
