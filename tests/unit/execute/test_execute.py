from __future__ import annotations

import math
import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from darkfactory.core.errors import RunError, UserError
from darkfactory.execute.backends import ProcessBackend, SerialBackend, invoke, tree_reduce
from darkfactory.execute.run import ENVIRONMENT, cluster, send, start_cluster

TASKS = [("math:pow", (float(i), 2.0)) for i in range(7)]
EXPECTED = [float(i * i) for i in range(7)]


def test_modules_are_imported_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    inside, most = [0], [0]

    def slow(name: str) -> object:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        time.sleep(0.01)
        inside[0] -= 1
        return math

    monkeypatch.setattr("darkfactory.execute.backends.importlib.import_module", slow)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda x: invoke("math:sqrt", (x,)), [4.0] * 16)) == [2.0] * 16
    assert most == [1]


def squares(request: dict, backend: object, progress: object) -> None:
    """A stage for these tests: maps, reports, writes."""
    results = backend.map([("math:pow", (float(i), 2.0)) for i in request["numbers"]])
    progress(f"{len(results)} done")
    with open(request["path"], "w") as file:
        file.write(repr(results))


def refuses(request: dict, backend: object, progress: object) -> None:
    raise UserError("this input is wrong")


def breaks(request: dict, backend: object, progress: object) -> None:
    backend.map([("math:sqrt", (-1.0,))])


def test_backends_agree_and_keep_the_order() -> None:
    seen: list[int] = []
    assert SerialBackend().map(TASKS, seen.append) == EXPECTED
    assert seen == list(range(1, 8))
    assert ProcessBackend(2).map(TASKS) == EXPECTED


def test_the_reduction_tree_is_fixed_and_never_empty() -> None:
    trace: list[tuple[str, str]] = []

    def add(a: str, b: str) -> str:
        trace.append((a, b))
        return f"({a}{b})"

    assert tree_reduce(list("abcde"), add, fan_in=2) == "(((ab)(cd))e)"
    with pytest.raises(RunError, match="nothing to reduce"):
        tree_reduce([], add)


def test_without_a_cluster_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ENVIRONMENT, raising=False)
    assert send("x:y", {}) is False


def test_a_cluster_serves_stages_and_their_errors(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((os.path.dirname(__file__), os.environ.get("PYTHONPATH", ""))))
    monkeypatch.delenv(ENVIRONMENT, raising=False)
    messages: list[str] = []
    name = "test_execute"
    with cluster(2):
        path = tmp_path / "out.txt"
        assert send(f"{name}:squares", {"numbers": [1, 2, 3], "path": str(path)}, progress=messages.append)
        assert path.read_text() == "[1.0, 4.0, 9.0]"
        assert messages == ["3 done"]
        with pytest.raises(UserError, match="this input is wrong"):
            send(f"{name}:refuses", {})
        with pytest.raises(RunError, match="task math:sqrt failed after 3 tries: ValueError: math domain error"):
            send(f"{name}:breaks", {})
    assert ENVIRONMENT not in os.environ


def test_a_cluster_ends_when_the_pipe_of_its_run_closes(monkeypatch: pytest.MonkeyPatch) -> None:
    handle = start_cluster(1)
    folder = handle.folder
    assert (folder / "scheduler.json").exists()
    assert oct(folder.stat().st_mode)[-3:] == "700"
    assert (folder / "lease").exists()
    assert handle.environment() == {ENVIRONMENT: str(folder), "DARKFACTORY_LEASE": str(folder / "lease")}
    handle.process.stdin.close()
    end = time.monotonic() + 20
    while handle.process.poll() is None and time.monotonic() < end:
        time.sleep(0.1)
    assert handle.process.poll() is not None
    monkeypatch.setenv(ENVIRONMENT, str(folder))
    with pytest.raises(RunError, match="the cluster of this run is gone"):
        send("x:y", {})
    # the owner took everything with it, lease first
    assert not folder.exists()
    handle.close()
