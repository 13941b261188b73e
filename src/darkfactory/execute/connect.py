"""From a site to a client of its cluster: local processes, batch jobs, or a scheduler that is there already."""

from __future__ import annotations

import hashlib
import importlib.metadata
import logging
import os
import platform
import shutil
import socket
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from darkfactory.core.errors import RunError, UserError
from darkfactory.execute.batch import make_batch_cluster
from darkfactory.execute.security import own_security, run_security

__all__ = ["SAME", "compare_facts", "connect", "facts"]

SAME = ("python", "numpy", "scipy", "awkward", "uproot", "pyhf", "dask", "distributed", "darkfactory")
"""What must be the same on workers as in the run: the bits of results rest on it."""
_LOOK = 20.0


def facts(folder: str = "") -> dict[str, Any]:
    """What a worker is: versions, digest of the code, machine, and whether it sees a folder of the run.

    Example:
        >>> facts()["versions"]["darkfactory"] == facts()["versions"]["darkfactory"]
        True
    """
    h = hashlib.sha256()
    for file in sorted(Path(__file__).parents[1].rglob("*.py")):
        h.update(file.read_bytes())
    versions = {name: importlib.metadata.version(name) for name in SAME if name not in ("python", "darkfactory")}
    scratch = os.environ.get("TMPDIR", "/tmp")
    return {
        "host": socket.gethostname(),
        "versions": {**versions, "python": platform.python_version(), "darkfactory": h.hexdigest()[:16]},
        "sees": bool(folder) and Path(folder).exists(),
        "scratch": scratch,
        "scratch_free": shutil.disk_usage(scratch).free,
    }


def compare_facts(here: Mapping[str, Any], there: Mapping[str, Any], folder: str) -> None:
    """Refuse a worker that would give other bits, or that cannot write results.

    Raises:
        UserError: versions or code differ, or the worker does not see the run's folder.
    """
    if not there["sees"]:
        raise UserError(
            f"the worker on {there['host']} does not see {folder}; run from a folder that the batch nodes share"
        )
    mine, theirs = here["versions"], there["versions"]
    differ = [f"{n} {theirs.get(n)} there, {mine[n]} here" for n in SAME if theirs.get(n) != mine[n]]
    if differ:
        raise UserError(
            f"the worker on {there['host']} has other software ({'; '.join(differ)}): results would depend on where "
            "they were made; set `python` or `prologue` of the site so that workers have the same"
        )


def _local(folder: Path, workers: int) -> Any:
    from distributed import Client, LocalCluster

    cluster = LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        local_directory=str(folder / "scratch"),
        silence_logs=logging.CRITICAL,
        memory_limit=os.environ.get("DARKFACTORY_WORKER_MEMORY", "auto"),
    )
    client = Client(cluster, set_as_default=False)
    client.wait_for_workers(workers, timeout=60)
    client.write_scheduler_file(str(folder / "scheduler.json"))
    return client


def _existing(site: Mapping[str, Any]) -> Any:
    from distributed import Client

    where = str(site["scheduler"])
    security = None if site.get("tls") is None else own_security(site["tls"])
    how = {"address": where} if "://" in where else {"scheduler_file": where}
    try:
        client = Client(**how, security=security, timeout=30, set_as_default=False)
        client.wait_for_workers(1, timeout=site.get("wait", 60))
    except (OSError, TimeoutError, ValueError) as error:
        raise RunError(f"scheduler {where}: no answer, or no workers ({type(error).__name__}: {error})") from error
    return client


def _keep_jobs(cluster: Any, jobs: int, ended: threading.Event) -> None:
    """Replace batch jobs that ended, by walltime or by hand: a fixed number is not kept by asking for it once."""
    seen: set[str] = set()
    while not ended.wait(_LOOK):
        present = {str(worker.name) for worker in list(cluster.scheduler.workers.values())}
        gone = []
        for name, spec in list(cluster.worker_spec.items()):
            members = {f"{name}{suffix}" for suffix in spec.get("group", ("",))}
            if members & present:
                seen.add(str(name))
            elif str(name) in seen:
                gone.append(name)
        if gone:
            for name in gone:
                cluster.worker_spec.pop(name, None)
            # closes the jobs that are no longer wanted, in case the batch system still has them
            cluster.sync(cluster._correct_state)
            cluster.scale(jobs=jobs)


def _batch(site: Mapping[str, Any], shared: Path, logs: Path, ended: threading.Event) -> Any:
    from distributed import Client

    refused: list[str] = []
    cluster = make_batch_cluster(site, shared, run_security(site.get("tls"), shared), logs, refused)
    cluster.scale(jobs=site["jobs"])
    client = Client(cluster, set_as_default=False)
    end = time.monotonic() + float(site["wait"])
    while not cluster.scheduler.workers:
        if refused:
            said = " ".join(line for line in refused[0].splitlines() if line.strip())
            raise RunError(f"the batch system refuses the workers' job: {said}")
        if time.monotonic() > end:
            raise RunError(
                f"no worker of {site['jobs']} batch jobs came up within {site['wait']} s; they may wait in the queue, "
                f"or not reach {cluster.scheduler_address} (see {logs}); ask `darkfactory doctor --site`"
            )
        time.sleep(0.2)
    compare_facts(facts(str(shared)), client.submit(facts, str(shared), pure=False).result(), str(shared))
    threading.Thread(target=_keep_jobs, args=(cluster, site["jobs"], ended), daemon=True).start()
    return client


def connect(settings: Mapping[str, Any], folder: Path, ended: threading.Event) -> Any:
    """A client of the cluster that the settings of a run ask for.

    Args:
        settings: ``workers`` (local processes), ``site`` (JSON-like form, or None), ``shared`` (private folder
            that all machines of the run see) and ``logs`` (folder for what batch jobs say).
        folder: private folder on this machine.
        ended: set when the run ends.
    """
    site = settings.get("site")
    outside = os.environ.get("DARKFACTORY_SCHEDULER_FILE")
    if outside:
        site = {"system": "existing", "scheduler": outside}
    if site is None or site["system"] == "local":
        return _local(folder, settings["workers"])
    if site["system"] == "existing":
        return _existing(site)
    return _batch(site, Path(settings["shared"]), Path(settings["logs"]), ended)
