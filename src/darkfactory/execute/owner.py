"""The process that owns a run's cluster: started by the run, ends when the pipe to its run closes.

It holds the run's lease, keeps warm workers, and listens on a socket in a private folder for stage requests of job
processes, which thereby import nothing heavy. Run as ``python -m darkfactory.execute.owner FOLDER``, with settings in
``FOLDER/settings.json``; standard input is the pipe to the run.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import os
import shutil
import socket
import sys
import threading
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from darkfactory.core.errors import DarkfactoryError, UserError
from darkfactory.core.lease import LEASE, hold_lease
from darkfactory.execute.backends import DaskBackend, invoke
from darkfactory.execute.batch import WORKER_ENVIRONMENT
from darkfactory.execute.outcomes import Policy

__all__ = ["main"]

_CLOSING = 10.0
_SETTINGS = {
    # whose tasks die twice are run alone, see DaskBackend
    "distributed.scheduler.allowed-failures": 1,
    "distributed.scheduler.worker-ttl": "10 minutes",
    # dashboards of laptops are not looked at; a hundred looks a second at every worker's stack cost it some per cent
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "500 ms",
    "distributed.admin.system-monitor.interval": "5 s",
}


class _Owner:
    """What belongs to the run."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self.folder, self.settings = folder, settings
        self.shared = Path(settings["shared"])
        self.lease = self.shared / "lease"
        self.client: Any = None
        self.ended = threading.Event()
        self.lease_ended = hold_lease(self.lease)
        # of a cluster inside a batch job, the run that the job belongs to counts as well
        self.leases = os.pathsep.join(filter(None, (os.environ.get(LEASE), str(self.lease))))

    def end_with_the_run(self) -> None:
        """Wait for the end of the pipe, then end this process and with it its workers, whatever they do."""
        # not sys.stdin: its lock would be held when the interpreter ends
        with contextlib.suppress(OSError):
            while os.read(0, 1):
                pass
        # first of all: from now on nobody gives a file its final name for this run
        self.lease.unlink(missing_ok=True)
        self.lease_ended.set()
        self.ended.set()
        site = self.settings.get("site") or {}
        if site.get("system") not in (None, "local", "existing") and self.client is not None:
            closing = threading.Thread(target=self._close, daemon=True)
            closing.start()
            closing.join(_CLOSING)
        # keys and socket must not outlive the run either
        shutil.rmtree(self.shared, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        os.killpg(os.getpgrp(), 15)
        threading.Timer(3.0, lambda: os.killpg(os.getpgrp(), 9)).start()

    def _close(self) -> None:
        """Cancel batch jobs; those that this does not reach end by their death timeout."""
        with contextlib.suppress(Exception):
            self.client.cluster.close()

    def answer(self, connection: socket.socket, number: int) -> None:
        """Serve one request: a JSON line ``{"call": ..., "request": ...}`` in, JSON lines out, the last one final."""
        with connection, connection.makefile("rw") as stream:
            try:
                message = json.loads(stream.readline())

                def progress(text: str) -> None:
                    stream.write(json.dumps({"progress": text}) + "\n")
                    stream.flush()

                policy = Policy.from_dict((self.settings.get("site") or {}).get("task", {}))
                backend = DaskBackend(self.client, f"{message.get('label', 'stage')}-{number}", policy, self.leases)
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


def _serve(owner: _Owner) -> None:
    """Start the cluster, announce the socket, serve requests until the run ends."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(owner.folder / "socket"))
    server.listen(128)
    import dask
    from distributed import fire_and_forget

    from darkfactory.execute.connect import connect

    dask.config.set(_SETTINGS)
    owner.client = connect(owner.settings, owner.folder, owner.ended)
    for i, worker in enumerate(owner.client.scheduler_info(n_workers=-1)["workers"]):
        warm = owner.client.submit(_warm, owner.settings["preload"], workers=[worker], pure=False, key=f"warm-{i}")
        fire_and_forget(warm)
    (owner.folder / "ready").touch()
    number = 0
    while True:
        connection, _ = server.accept()
        number += 1
        threading.Thread(target=owner.answer, args=(connection, number), daemon=True).start()


def _close_clusters() -> None:
    """Close clusters that never got a client of the owner's; what hangs is left to its death timeout."""
    from distributed.deploy.spec import SpecCluster

    def close() -> None:
        for cluster in list(SpecCluster._instances):
            with contextlib.suppress(Exception):
                cluster.close()

    thread = threading.Thread(target=close, daemon=True)
    thread.start()
    thread.join(_CLOSING)


def main() -> None:
    """Own a run: its lease and, unless its jobs bring their own, its cluster."""
    folder = Path(sys.argv[1])
    settings = json.loads((folder / "settings.json").read_text())
    owner = _Owner(folder, settings)
    os.environ.update(WORKER_ENVIRONMENT)
    os.environ[LEASE] = owner.leases
    if (settings.get("site") or {}).get("mode") == "jobs":
        (folder / "ready").touch()
        owner.end_with_the_run()
        return
    threading.Thread(target=owner.end_with_the_run, daemon=True).start()
    try:
        _serve(owner)
    except DarkfactoryError as error:
        # jobs that wait in a queue are taken back
        if owner.client is None:
            _close_clusters()
        sys.stderr.write(f"{error}\n")
        sys.stderr.flush()
        os._exit(1)


if __name__ == "__main__":
    main()
