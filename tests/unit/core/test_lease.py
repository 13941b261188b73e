from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from darkfactory.core.errors import RunError
from darkfactory.core.files import atomic_path, write_text
from darkfactory.core.lease import LEASE, STALE, check_lease, hold_lease, lease_age, under_lease


def test_a_lease_is_touched_until_its_run_ends(tmp_path: Path) -> None:
    lease = tmp_path / "lease"
    ended = hold_lease(lease, beat=0.05)
    assert oct(lease.stat().st_mode)[-3:] == "600"
    os.utime(lease, (0, 0))
    end = time.monotonic() + 5
    while (lease_age(lease) or 0) > 60 and time.monotonic() < end:
        time.sleep(0.02)
    assert 0 <= (lease_age(lease) or -1) < 5
    ended.set()
    while lease.exists() and time.monotonic() < end:
        time.sleep(0.02)
    assert lease_age(lease) is None


def test_a_lease_that_was_taken_away_stays_away(tmp_path: Path) -> None:
    lease = tmp_path / "lease"
    ended = hold_lease(lease, beat=0.02)
    lease.unlink()
    time.sleep(0.1)
    assert not lease.exists()
    ended.set()


def test_nothing_gets_its_name_once_the_run_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lease, out = tmp_path / "lease", tmp_path / "out.txt"
    lease.touch()
    with under_lease(str(lease)):
        write_text(out, "first")
        lease.unlink()
        with pytest.raises(RunError, match=r"out\.txt: not done, since the run that asked for it is gone"):
            write_text(out, "second")
    assert out.read_text() == "first"
    assert [f.name for f in tmp_path.iterdir()] == ["out.txt"], "the temporary file is removed"
    assert LEASE not in os.environ
    write_text(out, "without a run")


def test_an_old_lease_is_of_a_run_that_is_gone_whatever_the_clock_here_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = tmp_path / "lease"
    lease.touch()
    monkeypatch.setenv(LEASE, str(lease))
    # ages are differences of the file system's times: a clock that is wrong by a day changes nothing
    monkeypatch.setattr(time, "time", lambda: 1e9)
    check_lease("x", patience=0.0)
    old = lease.stat().st_mtime - STALE - 5
    os.utime(lease, (old, old))
    with pytest.raises(RunError, match="the run that asked for it is gone"):
        check_lease("x", patience=0.0)


def test_a_machine_that_slept_waits_for_the_next_touch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lease = tmp_path / "lease"
    ended = hold_lease(lease, beat=0.3)
    os.utime(lease, (0, 0))
    monkeypatch.setenv(LEASE, str(lease))
    check_lease("x", patience=5.0)
    ended.set()


def test_a_job_inside_a_run_needs_both_leases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outer, inner = tmp_path / "outer", tmp_path / "inner"
    for lease in (outer, inner):
        lease.touch()
    monkeypatch.setenv(LEASE, f"{outer}{os.pathsep}{inner}")
    with atomic_path(tmp_path / "a.txt") as tmp:
        tmp.write_text("1")
    outer.unlink()
    with pytest.raises(RunError, match="gone"), atomic_path(tmp_path / "b.txt") as tmp:
        tmp.write_text("1")
    assert not (tmp_path / "b.txt").exists()
