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
from darkfactory.core.lease import LEASE, STALE, lease_age

__all__ = ["ENVIRONMENT", "RUNS", "ClusterProcess", "cluster", "send", "start_cluster"]

RUNS = Path(".darkfactory") / "runs"
"""Folders of runs on sites, below the project's top level: leases, keys."""

ENVIRONMENT = "DARKFACTORY_RUN"
"""Environment variable that names the private folder of the running cluster."""


class ClusterProcess:
    """Handle of the process that owns the run's lease and cluster; closing the pipe ends it.

    Attributes:
        process: the owner.
        folder: private folder on this machine.
        shared: private folder that all machines of the run see, with the lease.
    """

    def __init__(self, process: subprocess.Popen[bytes], folder: Path, shared: Path) -> None:
        self.process, self.folder, self.shared = process, folder, shared

    def environment(self) -> dict[str, str]:
        """What jobs of the run need to find it."""
        found = {LEASE: os.pathsep.join(filter(None, (os.environ.get(LEASE), str(self.shared / "lease"))))}
        if (self.folder / "socket").exists():
            found[ENVIRONMENT] = str(self.folder)
        return found

    def close(self) -> None:
        """End the cluster and remove its private folders."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(20)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(5)
        for folder in (self.folder, self.shared):
            shutil.rmtree(folder, ignore_errors=True)


def _sweep(runs: Path) -> None:
    """Remove what runs left behind whose owner was killed: their leases are old, and with them lie keys."""
    for folder in runs.glob("*"):
        age = lease_age(folder / "lease")
        if age is None or age > STALE:
            shutil.rmtree(folder, ignore_errors=True)


def start_cluster(
    workers: int,
    preload: Sequence[str] = (),
    timeout: float = 90.0,
    site: Mapping[str, Any] | None = None,
    project: Path | None = None,
) -> ClusterProcess:
    """Start the owner process and wait until its cluster answers.

    Args:
        workers: number of local worker processes, one thread each, where no site is given.
        preload: modules that the workers import at once.
        timeout: seconds to wait, besides what the site waits for its first worker.
        site: JSON-like form of a site, see :class:`darkfactory.config.site.SiteConfig`.
        project: the run's folder, which batch nodes see.

    Raises:
        RunError: the cluster does not come up.
    """
    folder = Path(tempfile.mkdtemp(prefix="darkfactory-"))
    shared = folder
    if site is not None and site["system"] not in ("local", "existing"):
        runs = (project or Path()).resolve() / RUNS
        _sweep(runs)
        shared = runs / folder.name.removeprefix("darkfactory-")
        shared.mkdir(parents=True, mode=0o700)
        timeout += float(site["wait"])
    logs = (project or Path()).resolve() / "logs" / "workers"
    settings = {
        "workers": workers, "preload": list(preload), "site": site, "shared": str(shared), "logs": str(logs)
    }  # fmt: skip
    (folder / "settings.json").write_text(json.dumps(settings))
    log = (folder / "owner.log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "darkfactory.execute.owner", str(folder)],
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    log.close()
    handle = ClusterProcess(process, folder, shared)
    end = time.monotonic() + timeout
    while not (folder / "ready").exists():
        if process.poll() is not None or time.monotonic() > end:
            text = (folder / "owner.log").read_text(errors="replace").strip().splitlines()
            handle.close()
            reason = text[-1] if text else "no message"
            raise RunError(f"the cluster of this run did not start: {reason}; run `darkfactory doctor`")
        time.sleep(0.05)
    return handle


@contextlib.contextmanager
def cluster(workers: int, preload: Sequence[str] = (), site: Mapping[str, Any] | None = None) -> Iterator[None]:
    """A cluster for the duration of a block; jobs of this process and its children find it."""
    handle = start_cluster(workers, preload, site=site)
    before = {name: os.environ.get(name) for name in (ENVIRONMENT, LEASE)}
    os.environ.update(handle.environment())
    try:
        yield
    finally:
        handle.close()
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


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
