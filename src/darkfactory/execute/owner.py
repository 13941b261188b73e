"""The process that owns a run's cluster: started by the run, ends when the pipe to its run closes.

It keeps warm workers, and listens on a socket in a private folder for stage requests of job processes, which
thereby import nothing heavy. Run as ``python -m darkfactory.execute.owner FOLDER WORKERS``; standard input is the
pipe to the run.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import socket
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

from darkfactory.core.errors import DarkfactoryError, UserError
from darkfactory.execute.backends import DaskBackend, invoke

__all__ = ["main"]

_WORKER_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "MALLOC_TRIM_THRESHOLD_": "65536",
    "MPLBACKEND": "Agg",
}


def _end_with_the_run() -> None:
    """Wait for the end of the pipe, then end this process and with it its workers, whatever they do."""
    # not sys.stdin: its lock would be held when the interpreter ends
    while os.read(0, 1):
        pass
    os.killpg(os.getpgrp(), 15)
    threading.Timer(3.0, lambda: os.killpg(os.getpgrp(), 9)).start()


def _answer(connection: socket.socket, client: Any, number: int) -> None:
    """Serve one request: a JSON line ``{"call": ..., "request": ...}`` in, JSON lines out, the last one final."""
    with connection, connection.makefile("rw") as stream:
        try:
            message = json.loads(stream.readline())

            def progress(text: str) -> None:
                stream.write(json.dumps({"progress": text}) + "\n")
                stream.flush()

            backend = DaskBackend(client, prefix=f"{message.get('label', 'stage')}-{number}")
            invoke(message["call"], (message["request"], backend, progress))
            answer: dict[str, Any] = {"ok": True}
        except DarkfactoryError as error:
            answer = {"ok": False, "user": isinstance(error, UserError), "error": str(error)}
        except Exception as error:
            answer = {"ok": False, "user": False, "error": repr(error), "traceback": traceback.format_exc()}
        try:
            stream.write(json.dumps(answer) + "\n")
        except (BrokenPipeError, ValueError):
            logging.getLogger("darkfactory").warning("a job left before its answer")


def _warm(modules: list[str]) -> None:
    """Import on a worker what its first tasks will need."""
    for name in modules:
        importlib.import_module(name)


def _connect(folder: Path, workers: int) -> Any:
    """A client of the cluster named in the environment, or of a new local one."""
    from distributed import Client, LocalCluster

    outside = os.environ.get("DARKFACTORY_SCHEDULER_FILE")
    if outside:
        return Client(scheduler_file=outside, timeout=30, set_as_default=False)
    cluster = LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        local_directory=str(folder / "scratch"),
        silence_logs=logging.CRITICAL,
        memory_limit="auto",
    )
    client = Client(cluster, set_as_default=False)
    client.wait_for_workers(workers, timeout=60)
    client.write_scheduler_file(str(folder / "scheduler.json"))
    return client


def main() -> None:
    """Start the cluster, announce the socket, serve requests until the run ends."""
    folder, workers = Path(sys.argv[1]), int(sys.argv[2])
    preload = sys.argv[3:]
    os.environ.update(_WORKER_ENVIRONMENT)
    threading.Thread(target=_end_with_the_run, daemon=True).start()
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(folder / "socket"))
    server.listen(128)
    from distributed import fire_and_forget

    client = _connect(folder, workers)
    for i, worker in enumerate(client.scheduler_info(n_workers=-1)["workers"]):
        fire_and_forget(client.submit(_warm, preload, workers=[worker], pure=False, key=f"warm-{i}"))
    (folder / "ready").touch()
    number = 0
    while True:
        connection, _ = server.accept()
        number += 1
        threading.Thread(target=_answer, args=(connection, client, number), daemon=True).start()


if __name__ == "__main__":
    main()
