"""A cluster whose workers and owner are killed, whose tasks hang, and whose run goes away while they write."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from fault_stage import calls, items_for, request_for, run

from darkfactory.core.errors import RunError
from darkfactory.core.lease import LEASE
from darkfactory.execute.backends import SerialBackend
from darkfactory.execute.run import ClusterProcess, send, start_cluster
from darkfactory.pipeline.ledger import failed_parts
from darkfactory.pipeline.request import Request

TASK = {"retries": 0, "backoff": 0.0, "timeout": 4.0}
Stages = Callable[..., Any]


@pytest.fixture
def undisturbed(tmp_path: Path) -> bytes:
    request = request_for(tmp_path / "undisturbed")
    run(request, items_for(4), SerialBackend())
    return request.output("manifest").read_bytes()


@pytest.fixture
def handle(stages_here: Stages) -> Iterator[ClusterProcess]:
    """A cluster of two workers whose tasks may take four seconds."""
    handle = start_cluster(2, site={"system": "local", "task": TASK})
    for name, value in handle.environment().items():
        stages_here(name, value)
    yield handle
    handle.close()


def stage(request: Request, items: list[dict[str, Any]]) -> None:
    send("fault_stage:make", {"job": request.to_dict(), "items": items})


def test_killed_workers_and_hung_tasks(handle: ClusterProcess, tmp_path: Path, undisturbed: bytes) -> None:
    # killed once, and a neighbour that was on the same worker: nobody notices
    killed = request_for(tmp_path / "killed")
    stage(killed, items_for(4, {1: ("kill once", tmp_path / "flag")}))
    assert killed.output("manifest").read_bytes() == undisturbed
    # one that always dies: it alone fails, the others are kept, and the cluster lives on
    dying = request_for(tmp_path / "dying")
    with pytest.raises(RunError, match=r"its worker died each time: killed, or out of mem(?s:.*)1 of 4 chunks"):
        stage(dying, items_for(4, {2: ("kill", "")}))
    assert [f.chunk for f in failed_parts(tmp_path / "dying")] == [2]
    # one that hangs is ended, with the place where it was
    hung = request_for(tmp_path / "hung")
    with pytest.raises(RunError, match=r"ran longer than 4 s and was ended"):
        stage(hung, items_for(4, {0: ("hang", "")}))
    (failed,) = failed_parts(tmp_path / "hung")
    assert failed.failure.kind == "hung"
    assert "fault_stage.py" in failed.failure.trace
    # both go on from what they have, and end with the same bits
    for request in (dying, hung):
        before = len(calls(request))
        stage(request, items_for(4))
        assert len(calls(request)) == before + 1
        assert request.output("manifest").read_bytes() == undisturbed


def test_a_killed_owner_is_one_error_and_finished_chunks_are_kept(
    handle: ClusterProcess, tmp_path: Path, undisturbed: bytes
) -> None:
    request = request_for(tmp_path)
    errors: list[Exception] = []

    def ask() -> None:
        try:
            stage(request, items_for(4, {3: ("wait", tmp_path / "go")}))
        except RunError as error:
            errors.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    end = time.monotonic() + 30
    folder = request.output("manifest").with_suffix(".parts")
    while len(list(folder.glob("*.json"))) < 3 and time.monotonic() < end:
        time.sleep(0.02)
    workers = psutil.Process(handle.process.pid).children(recursive=True)
    os.kill(handle.process.pid, signal.SIGKILL)
    thread.join(20)
    assert "the cluster of this run ended while the stage was running; start the run again" in str(errors[0])
    (tmp_path / "go").touch()
    _, alive = psutil.wait_procs(workers, timeout=15)
    assert alive == []
    assert not request.output("manifest").exists()
    before = len(calls(request))
    run(request, items_for(4), SerialBackend())
    assert calls(request)[before:] == [3]
    assert request.output("manifest").read_bytes() == undisturbed


ORPHAN = """
import sys, time
from pathlib import Path
from darkfactory.core.files import write_text
Path(sys.argv[1] + ".began").touch()
while not Path(sys.argv[1] + ".go").exists():
    time.sleep(0.02)
write_text(sys.argv[1], "from an orphan")
"""


RUN = """
import sys
from pathlib import Path
from darkfactory.execute.run import start_cluster
handle = start_cluster(1, site={"system": "slurm", "mode": "jobs", "wait": 0}, project=Path(sys.argv[1]))
print(handle.environment()["DARKFACTORY_LEASE"], flush=True)
sys.stdin.read()
"""


def test_a_job_that_outlives_its_run_gives_nothing_its_name(stages_here: Stages, tmp_path: Path) -> None:
    run_ = subprocess.Popen(
        [sys.executable, "-c", RUN, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert run_.stdout is not None
    lease = run_.stdout.readline().strip()
    assert Path(lease).exists()
    target = tmp_path / "result.txt"
    target.write_text("of a later run")
    orphan = subprocess.Popen(
        [sys.executable, "-c", ORPHAN, str(target)], env={**os.environ, LEASE: lease}, stderr=subprocess.PIPE, text=True
    )
    end = time.monotonic() + 20
    while not Path(f"{target}.began").exists() and time.monotonic() < end:
        time.sleep(0.02)
    run_.kill()
    run_.communicate()
    # the lease goes first, then what lies beside it
    while Path(lease).parent.exists() and time.monotonic() < end:
        time.sleep(0.02)
    assert not Path(lease).parent.exists(), "keys of the run are gone with it"
    Path(f"{target}.go").touch()
    _, said = orphan.communicate(timeout=30)
    assert orphan.returncode != 0
    assert "result.txt: not done, since the run that asked for it is gone" in said
    assert target.read_text() == "of a later run"


@pytest.mark.long
def test_a_worker_out_of_memory_fails_its_chunk_only(
    stages_here: Stages, tmp_path: Path, undisturbed: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DARKFACTORY_WORKER_MEMORY", "600MB")
    handle = start_cluster(2, site={"system": "local", "task": {"retries": 0, "backoff": 0.0}})
    try:
        for name, value in handle.environment().items():
            stages_here(name, value)
        request = request_for(tmp_path)
        with pytest.raises(RunError, match="killed, or out of memory; give workers more memory"):
            stage(request, items_for(4, {1: ("memory", "")}))
        assert [f.chunk for f in failed_parts(tmp_path)] == [1]
        stage(request, items_for(4))
        assert request.output("manifest").read_bytes() == undisturbed
    finally:
        handle.close()
