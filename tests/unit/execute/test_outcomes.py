from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from darkfactory.core.errors import ConfigError, DamagedError, InputError, RunError
from darkfactory.execute.backends import ProcessBackend, SerialBackend
from darkfactory.execute.outcomes import Failure, Policy, guarded, lost, watchdog

QUICK = Policy(retries=2, backoff=0.0)
NAME = "test_outcomes"


def flaky(log: str, failures: int) -> str:
    """Fails a number of times, then works."""
    with open(log, "a") as file:
        file.write("x")
    if len(Path(log).read_text()) <= failures:
        raise OSError(28, "No space left on device")
    return "done"


def wrong(kind: str) -> None:
    raise {"config": ConfigError, "input": InputError, "run": RunError}[kind](f"this is {kind}")


def damaged() -> None:
    raise DamagedError("part x is damaged", "a/x.root")


def dies() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def hangs() -> None:
    time.sleep(60)


def square(x: int) -> int:
    return x * x


def test_a_failure_that_passes_leaves_no_trace(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert SerialBackend(QUICK).map([(f"{NAME}:flaky", (str(log), 2))]) == ["done"]
    assert log.read_text() == "xxx"


def test_one_that_stays_is_told_after_all_tasks_were_tried(tmp_path: Path) -> None:
    log = tmp_path / "log"
    tasks = [("math:sqrt", (4.0,)), (f"{NAME}:flaky", (str(log), 9)), ("math:sqrt", (9.0,))]
    outcomes = SerialBackend(QUICK).attempt(tasks)
    assert (outcomes[0], outcomes[2]) == (2.0, 3.0)
    assert outcomes[1].kind == "OSError"
    assert outcomes[1].attempts == 3
    assert "No space left on device" in outcomes[1].text
    assert "flaky" in outcomes[1].trace
    with pytest.raises(RunError, match=r"task test_outcomes:flaky failed after 3 tries: OSError: .Errno 28. No space"):
        SerialBackend(QUICK).map(tasks)


@pytest.mark.parametrize(("kind", "error"), [("config", ConfigError), ("input", InputError), ("run", RunError)])
def test_what_we_say_ourselves_is_not_tried_again_and_keeps_its_words(kind: str, error: type[Exception]) -> None:
    (outcome,) = SerialBackend(Policy(retries=5, backoff=100.0)).attempt([(f"{NAME}:wrong", (kind,))])
    assert outcome.attempts == 1
    with pytest.raises(error, match=f"^this is {kind}$"):
        raise outcome.error("stage x")


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (outcome,) = SerialBackend(QUICK).attempt([(f"{NAME}:damaged", ())])
    assert outcome.damaged == "a/x.root"
    again = Failure.from_dict(outcome.to_dict() | {"chunk": 3})
    assert again == outcome
    with pytest.raises(DamagedError, match="part x is damaged") as caught:
        raise again.error()
    assert caught.value.damaged == "a/x.root"


def test_waits_double(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr("darkfactory.execute.outcomes.time.sleep", waited.append)
    good, failure = guarded(lambda: 1 / 0, Policy(retries=3, backoff=0.5))
    assert not good
    assert failure.attempts == 4
    assert waited == [0.5, 1.0, 2.0]


def test_a_pool_whose_workers_die_or_hang_keeps_what_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((os.path.dirname(__file__), os.environ.get("PYTHONPATH", ""))))
    tasks = [(f"{NAME}:square", (2,)), (f"{NAME}:dies", ()), (f"{NAME}:hangs", ()), (f"{NAME}:square", (3,))]
    policy = Policy(retries=0, backoff=0.0, timeout=0.5)
    outcomes = ProcessBackend(2, policy).attempt(tasks)
    assert (outcomes[0], outcomes[3]) == (4, 9)
    assert outcomes[1].kind == "died"
    assert "its worker died each time: killed, or out of memory" in outcomes[1].text
    assert outcomes[2].kind == "hung"
    assert "ran longer than 0.5 s and was ended" in outcomes[2].text
    assert "hangs" in outcomes[2].trace


def test_a_watchdog_that_was_not_needed_leaves_nothing(tmp_path: Path) -> None:
    note = tmp_path / "note"
    with watchdog(30.0, str(note)):
        assert note.exists()
    assert not note.exists()
    with pytest.raises(KeyError), watchdog(30.0, str(note)):
        raise KeyError
    assert not note.exists()
    assert lost(str(note), 30.0, 1).kind == "died"
