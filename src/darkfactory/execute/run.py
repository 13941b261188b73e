"""Starting a run's cluster and sending stage requests to it; light to import."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from darkfactory.core.errors import RunError, UserError

__all__ = ["ENVIRONMENT", "ClusterProcess", "cluster", "send", "start_cluster"]

ENVIRONMENT = "DARKFACTORY_RUN"
"""Environment variable that names the private folder of the running cluster."""


class ClusterProcess:
    """Handle of the process that owns the cluster; closing the pipe ends it."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        self.process, self.folder = process, folder

    def close(self) -> None:
        """End the cluster and remove its private folder."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(5)
        shutil.rmtree(self.folder, ignore_errors=True)


def start_cluster(workers: int, preload: Sequence[str] = (), timeout: float = 90.0) -> ClusterProcess:
    """Start the owner process with ``workers`` worker processes and wait until it answers.

    Args:
        workers: number of worker processes, one thread each.
        preload: modules that the workers import at once.
        timeout: seconds to wait.

    Raises:
        RunError: the cluster does not come up.
    """
    folder = Path(tempfile.mkdtemp(prefix="darkfactory-"))
    log = (folder / "owner.log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "darkfactory.execute.owner", str(folder), str(workers), *preload],
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    log.close()
    handle = ClusterProcess(process, folder)
    end = time.monotonic() + timeout
    while not (folder / "ready").exists():
        if process.poll() is not None or time.monotonic() > end:
            text = (folder / "owner.log").read_text(errors="replace").strip().splitlines()
            handle.close()
            reason = text[-1] if text else "no message"
            raise RunError(
                f"the cluster of {workers} workers did not start: {reason}; run `darkfactory doctor`, or work "
                "without a cluster: `darkfactory run --backend serial`"
            )
        time.sleep(0.05)
    return handle


@contextlib.contextmanager
def cluster(workers: int, preload: Sequence[str] = ()) -> Iterator[None]:
    """A cluster for the duration of a block; jobs of this process and its children find it."""
    handle = start_cluster(workers, preload)
    before = os.environ.get(ENVIRONMENT)
    os.environ[ENVIRONMENT] = str(handle.folder)
    try:
        yield
    finally:
        handle.close()
        if before is None:
            os.environ.pop(ENVIRONMENT, None)
        else:
            os.environ[ENVIRONMENT] = before


def send(
    call: str, request: Mapping[str, Any], label: str = "stage", progress: Callable[[str], None] | None = None
) -> bool:
    """Have the run's cluster execute ``call(request, backend, progress)``; False where there is no cluster.

    Raises:
        UserError, RunError: what the stage raised.
    """
    folder = os.environ.get(ENVIRONMENT)
    if not folder:
        return False
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(str(Path(folder) / "socket"))
    except OSError as error:
        connection.close()
        raise RunError(f"the cluster of this run is gone ({error}); start the run again") from error
    with connection, connection.makefile("rw") as stream:
        stream.write(json.dumps({"call": call, "request": request, "label": label}) + "\n")
        stream.flush()
        for line in stream:
            message = json.loads(line)
            if "progress" in message:
                if progress is not None:
                    progress(message["progress"])
                continue
            if message["ok"]:
                return True
            if message["user"]:
                raise UserError(message["error"])
            raise RunError(message["error"] + ("\n" + message["traceback"] if "traceback" in message else ""))
    raise RunError("the cluster of this run ended while the stage was running; start the run again")
