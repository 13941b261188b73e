"""Batch jobs that are Dask workers: what they ask for, and the text of their scripts, on every batch system."""

from __future__ import annotations

import importlib
import math
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from darkfactory.core.errors import UserError

__all__ = ["WORKER_ENVIRONMENT", "BatchSite", "free_port", "job_script", "make_batch_cluster"]

BatchSite = Mapping[str, Any]
"""JSON-like form of a site, see :class:`darkfactory.config.site.SiteConfig`."""

WORKER_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "MALLOC_TRIM_THRESHOLD_": "65536",
    "MPLBACKEND": "Agg",
}
"""Of every worker: one thread, memory given back early, no display."""

_CLASSES = {"slurm": "SLURM", "htcondor": "HTCondor", "lsf": "LSF", "pbs": "PBS"}


def _clock(seconds: int, with_seconds: bool = True) -> str:
    """A walltime as batch systems write it; without seconds it is rounded up.

    Example:
        >>> _clock(5400), _clock(5401, with_seconds=False)
        ('01:30:00', '01:31')
    """
    if not with_seconds:
        minutes = math.ceil(seconds / 60)
        return f"{minutes // 60:02d}:{minutes % 60:02d}"
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def _worker_arguments(site: BatchSite) -> list[str]:
    network = site["network"]
    lifetime = site["walltime"] - site["margin"] - site["stagger"]
    first, last = ("{}:{}".format(*network[name]) for name in ("worker_ports", "nanny_ports"))
    return [
        "--lifetime", f"{lifetime}s",
        "--lifetime-stagger", f"{site['stagger']}s",
        # the page of a worker would listen on all interfaces
        "--dashboard-address", "127.0.0.1:0",
        "--worker-port", first,
        "--nanny-port", last,
    ]  # fmt: skip


def job_arguments(site: BatchSite, log_directory: Path) -> dict[str, Any]:
    """What a batch job of a site is made of, as keywords of dask-jobqueue's classes."""
    system = site["system"]
    exports = [f"export {name}={value}" for name, value in WORKER_ENVIRONMENT.items()]
    found: dict[str, Any] = {
        "job_name": "darkfactory-worker",
        "cores": site["cores"],
        "processes": site["cores"],
        "memory": f"{int(site['memory'])}B",
        "python": site["python"] or sys.executable,
        "interface": site["network"]["interface"],
        "death_timeout": site["death_timeout"],
        "local_directory": site["scratch"],
        "log_directory": str(log_directory),
        "job_script_prologue": [*exports, *site["prologue"]],
        "worker_extra_args": _worker_arguments(site),
        "job_extra_directives": list(site["directives"]),
    }
    if system == "htcondor":
        pairs = (d.partition("=") for d in site["directives"])
        found["job_extra_directives"] = {name.strip(): value.strip() for name, _, value in pairs}
        found["disk"] = f"{int(site['disk'])}B"
        # HTCondor has no walltime: the job removes itself
        found["job_extra_directives"] |= {
            "periodic_remove": f"JobStatus == 2 && time() - JobStartDate > {site['walltime']}"
        }
        if site["queue"] is not None:
            found["job_extra_directives"] |= {"+JobFlavour": f'"{site["queue"]}"'}
        if site["account"] is not None:
            found["job_extra_directives"] |= {"accounting_group": site["account"]}
        return found
    found["queue"] = site["queue"]
    found["walltime"] = _clock(site["walltime"], with_seconds=system != "lsf")
    if system == "lsf":
        found |= {"project": site["account"], "lsf_units": site["lsf_units"], "use_stdin": True}
    else:
        found["account"] = site["account"]
    return found


def _classes(system: str) -> tuple[Any, Any]:
    """Cluster and job class of a batch system."""
    try:
        module = importlib.import_module("dask_jobqueue")
    except ImportError as error:
        raise UserError(f"system: {system} needs dask-jobqueue; install the extra `cluster` of darkfactory") from error
    cluster = getattr(module, f"{_CLASSES[system]}Cluster")
    return cluster, cluster.job_cls


def job_script(site: BatchSite, scheduler: str = "tls://scheduler:40000", keys: Mapping[str, str] | None = None) -> str:
    """Text of the script that a site's batch jobs run.

    Args:
        site: JSON-like form.
        scheduler: address for the text.
        keys: paths of the TLS files (``ca_file``, ``cert``, ``key``).
    """
    from distributed import Security

    _, job = _classes(site["system"])
    files = keys or {"ca_file": "ca.pem", "cert": "cert.pem", "key": "key.pem"}
    security = Security(
        require_encryption=True,
        tls_ca_file=files["ca_file"], tls_worker_cert=files["cert"], tls_worker_key=files["key"],
    )  # fmt: skip
    arguments = job_arguments(site, Path("logs"))
    # not made for a text: dask-jobqueue makes the folder of logs
    arguments["log_directory"] = None
    return str(job(scheduler, name="darkfactory", protocol="tls://", security=security, **arguments).job_script())


def free_port(ports: tuple[int, int], host: str = "") -> int:
    """The first port of a range that nobody listens on.

    Raises:
        UserError: all are taken.
    """
    for port in range(ports[0], ports[1] + 1):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return port
    raise UserError(
        f"no free port within {ports[0]} to {ports[1]}; end what listens there or give other network.scheduler_ports"
    )


def _scheduler_options(site: BatchSite) -> dict[str, Any]:
    network = site["network"]
    ports = network["scheduler_ports"]
    options: dict[str, Any] = {
        "dashboard_address": "127.0.0.1:0",
        "port": free_port((ports[0], ports[1]), network["scheduler_host"] or ""),
    }
    if network["scheduler_host"] is not None:
        options["host"] = network["scheduler_host"]
    elif network["scheduler_interface"] or network["interface"]:
        options["interface"] = network["scheduler_interface"] or network["interface"]
    else:
        # workers of other machines must be able to reach it, and nobody without the run's key does
        options["host"] = socket.gethostname()
    return options


def _telling(job: Any, refused: list[str]) -> Any:
    """A class of jobs that notes why the batch system refused one: dask-jobqueue only logs it."""

    class TellingJob(job):  # type: ignore[misc]  # chosen when called
        async def start(self) -> None:
            try:
                await super().start()
            except Exception as error:
                refused.append(str(error))
                raise

    return TellingJob


def make_batch_cluster(
    site: BatchSite, folder: Path, security: Any, logs: Path, refused: list[str] | None = None
) -> Any:
    """A cluster whose workers are batch jobs; no job is submitted yet.

    Args:
        site: JSON-like form.
        folder: private folder that the batch nodes see, for keys.
        security: of the scheduler and its workers.
        logs: folder for what workers say.
        refused: gets what the batch system says when it refuses a job.
    """
    cluster, job = _classes(site["system"])
    return cluster(
        job_cls=_telling(job, [] if refused is None else refused),
        security=security,
        protocol="tls://",
        shared_temp_directory=str(folder),
        scheduler_options=_scheduler_options(site),
        silence_logs="critical",
        **job_arguments(site, logs),
    )
