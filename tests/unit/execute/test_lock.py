from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from darkfactory.cli.run import free_lock
from darkfactory.core.errors import RunError, UserError
from darkfactory.execute.lock import LOCKS, RECORD, lock_state, record_run


@pytest.fixture
def locked(tmp_path: Path) -> Path:
    (tmp_path / LOCKS).mkdir(parents=True)
    (tmp_path / LOCKS / "0.output.lock").write_text("results/a\n")
    return tmp_path


def test_without_a_lock_there_is_nothing_to_free(tmp_path: Path) -> None:
    assert lock_state(tmp_path) == ("free", None)
    (tmp_path / LOCKS).mkdir(parents=True)
    assert lock_state(tmp_path) == ("free", None)
    free_lock(tmp_path, [sys.executable, "-c", "raise SystemExit('never called')"])


def test_the_lock_of_a_living_run_is_left(locked: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        holder = record_run(locked, process.pid)
        assert lock_state(locked) == ("held", holder)
        with pytest.raises(UserError, match=f"process {process.pid} runs the workflow in this folder"):
            free_lock(locked, [])
    finally:
        process.communicate(b"\n")
    assert lock_state(locked)[0] == "abandoned"


def test_a_process_number_that_was_used_again_is_another_run(locked: Path) -> None:
    record_run(locked)
    value = json.loads((locked / RECORD).read_text())
    (locked / RECORD).write_text(json.dumps(value | {"started": value["started"] - 100.0}))
    assert lock_state(locked)[0] == "abandoned"


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"host": "elsewhere", "pid": 1, "started": 0.0}'])
def test_a_run_that_may_live_elsewhere_is_asked_about(locked: Path, text: str) -> None:
    (locked / RECORD).parent.mkdir()
    (locked / RECORD).write_text(text)
    assert lock_state(locked)[0] == "unknown"
    with pytest.raises(UserError, match="holds the lock of this folder; if it is gone, remove the lock with"):
        free_lock(locked, [])


def test_the_lock_of_a_killed_run_is_removed(locked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    record_run(locked, process.pid)
    process.kill()
    process.communicate()
    lock = locked / LOCKS / "0.output.lock"
    with pytest.raises(RunError, match="could not be removed: no such thing"):
        free_lock(locked, [sys.executable, "-c", "raise SystemExit('no such thing')"])
    assert lock.exists()
    free_lock(locked, [sys.executable, "-c", f"import os; os.unlink({str(lock)!r})"])
    assert lock_state(locked)[0] == "free"
    assert "the lock of a run that was killed is removed" in capsys.readouterr().err
