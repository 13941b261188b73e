"""Unblinding that is interrupted: the data are blinded as before, or opened and signed; never in between."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from unblinding_project import CODE, W, make_project, planner, write_results

from darkfactory.core.errors import UserError
from darkfactory.pipeline.blinding import chain_path, read_records
from darkfactory.pipeline.unblind import blinding_of, unblind

CHAIN = chain_path("tiny", **W)


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    make_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def killed_at(call: int, work: Callable[[], object]) -> bool:
    """Do something in a child that is killed when it touches the disk for the ``call``-th time; True if it was."""
    pid = os.fork()
    if pid == 0:
        seen = 0

        def counted(original: Any) -> Any:
            def before(*args: Any, **kwargs: Any) -> Any:
                nonlocal seen
                seen += 1
                if seen == call:
                    os.kill(os.getpid(), signal.SIGKILL)
                return original(*args, **kwargs)

            return before

        for owner, name in ((os, "fsync"), (Path, "replace"), (Path, "write_text"), (Path, "chmod"), (Path, "mkdir")):
            setattr(owner, name, counted(getattr(owner, name)))
        try:
            work()
        finally:
            os._exit(0)
    _, status = os.waitpid(pid, 0)
    return os.WIFSIGNALED(status)


def test_an_unblinding_killed_anywhere_leaves_the_data_blinded_or_signed(project: Path) -> None:
    plan = planner()
    write_results(plan)
    before = plan.model(W)
    blinded = opened = 0
    for call in range(1, 100):
        if not killed_at(call, lambda: unblind(plan, W, by="me", reason="frozen", code=CODE)):
            break
        state = blinding_of(plan, W)
        assert state is not None
        if state.record is None:
            blinded += 1
            assert plan.model(W) == before
            assert plan.recorded(W) == []
            assert not CHAIN.exists()
        else:
            # the name was given, the process was killed after it
            opened += 1
            assert len(read_records(CHAIN)) == 1
            CHAIN.unlink()
    assert blinded >= 6
    assert opened >= 1
    # what the killed ones left is in nobody's way
    assert len(read_records(CHAIN)) == 1
    with pytest.raises(UserError, match="has not changed since"):
        unblind(plan, W, by="me", reason="frozen", code=CODE)


def test_a_second_signature_killed_anywhere_keeps_the_first(project: Path) -> None:
    plan = planner()
    write_results(plan)
    unblind(plan, W, by="me", reason="frozen", code=CODE)
    first = CHAIN.read_bytes()
    later = planner({"seed": 99})
    write_results(later)
    for call in range(1, 100):
        if not killed_at(call, lambda: unblind(later, W, by="you", reason="another seed", code=CODE)):
            break
        assert CHAIN.read_bytes().startswith(first)
        assert len(read_records(CHAIN)) in (1, 2)
        CHAIN.write_bytes(first)
    assert [r.by for r in read_records(CHAIN)] == ["me", "you"]


def test_a_full_disk_leaves_the_data_blinded(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = planner()
    write_results(plan)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device"):
        unblind(plan, W, by="me", reason="frozen", code=CODE)
    assert not CHAIN.exists()
    assert not list(CHAIN.parent.glob(".*.part*"))
    assert plan.model(W)["data"] == "pseudo"


def test_two_at_once(project: Path) -> None:
    import fcntl

    plan = planner()
    write_results(plan)
    CHAIN.parent.mkdir(parents=True)
    with (CHAIN.parent / ".lock").open("a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="another unblinding is under way"):
            unblind(plan, W, by="me", reason="frozen", code=CODE)
    unblind(plan, W, by="me", reason="frozen", code=CODE)
