"""Trying a site before a run does: every hop from this machine to a worker and back, and the first that fails."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from darkfactory.core.errors import DarkfactoryError, UserError
from darkfactory.execute.batch import free_port, job_script
from darkfactory.execute.connect import compare_facts, connect, facts
from darkfactory.execute.security import check_private, private_folder, run_security

__all__ = ["Hop", "lsf_unit", "try_site"]

_SUBMIT = {"slurm": "sbatch", "htcondor": "condor_submit", "lsf": "bsub", "pbs": "qsub"}
_NETWORKS = ("nfs", "gpfs", "lustre", "beegfs", "cephfs", "afs", "fuse")
_UNIT = re.compile(r"^\s*LSF_UNIT_FOR_LIMITS\s*=\s*(\w\w?)", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True)
class Hop:
    """One step on the way to a worker.

    Attributes:
        name: what is tried.
        good: whether it works.
        text: what was found, or what is wrong and what to do.
    """

    name: str
    good: bool
    text: str


def lsf_unit(text: str) -> str:
    r"""Unit of memory limits that an lsf.conf sets; LSF counts in kb without it.

    Example:
        >>> lsf_unit("LSF_UNIT_FOR_LIMITS=MB\n"), lsf_unit("")
        ('mb', 'kb')
    """
    found = _UNIT.findall(text)
    return f"{found[-1][0].lower()}b" if found else "kb"


def _submission(site: Mapping[str, Any]) -> str:
    command = _SUBMIT[site["system"]]
    where = shutil.which(command)
    if where is None:
        raise UserError(f"{command} is not on the path; run on a machine that may submit, or load the site's module")
    return where


def _memory(site: Mapping[str, Any]) -> str:
    per_worker = site["memory"] / site["cores"] / 2**30
    if per_worker < 0.9:
        raise UserError(
            f"{per_worker:.2f} GiB for each of {site['cores']} workers; a stage needs 1: raise memory or lower cores"
        )
    said = f"{per_worker:.1f} GiB a worker"
    if site["system"] == "lsf":
        folder = os.environ.get("LSF_ENVDIR", "/etc")
        file = Path(folder) / "lsf.conf"
        if not file.exists():
            return f"{said}; {file} is not there to compare lsf_units: {site['lsf_units']} with"
        unit = lsf_unit(file.read_text(errors="replace"))
        if unit != site["lsf_units"]:
            raise UserError(f"lsf_units is {site['lsf_units']}, {file} says {unit}: limits would be wrong by thousands")
    if site["system"] == "slurm":
        script = job_script(site)
        asked = next((line for line in script.splitlines() if "--mem=" in line), "no --mem")
        said += f", {asked.removeprefix('#SBATCH ')}"
    return said


def _filesystem(path: str) -> str:
    """Type of the file system that a path is on, from the kernel's table."""
    best, kind = "", "unknown"
    for line in Path("/proc/mounts").read_text().splitlines() if Path("/proc/mounts").exists() else ():
        words = line.split()
        if len(words) > 2 and (path + "/").startswith(words[1].rstrip("/") + "/") and len(words[1]) >= len(best):
            best, kind = words[1], words[2]
    return kind


def _scratch(where: str) -> str:
    """Whether a folder is fit for workers' temporary files."""
    with tempfile.NamedTemporaryFile(dir=where) as file:
        file.write(b"0" * 4096)
    free = shutil.disk_usage(where).free / 2**30
    kind = _filesystem(os.path.realpath(where))
    if free < 1:
        raise UserError(f"{where}: {free:.1f} GiB free; workers need 1: give another scratch")
    if any(name in kind for name in _NETWORKS):
        raise UserError(f"{where} is on {kind}, a network file system: give a node-local scratch such as $TMPDIR")
    return f"{where}: {free:.0f} GiB free on {kind}"


def _ports(site: Mapping[str, Any]) -> str:
    network = site["network"]
    known = [name for _, name in socket.if_nameindex()]
    ours = network["scheduler_interface"] or network["interface"]
    if ours is not None and network["scheduler_host"] is None and ours not in known:
        raise UserError(f"this machine has no interface {ours}, it has {known}: name its own as scheduler_interface")
    host = network["scheduler_host"] or ""
    first, last = network["scheduler_ports"]
    return f"port {free_port((first, last), host)} of {first} to {last} is free for the scheduler"


def _keys(site: Mapping[str, Any]) -> str:
    if site["tls"] is not None:
        check_private(site["tls"]["key"])
        return "the site's own key is readable by its owner only"
    with tempfile.TemporaryDirectory() as folder:
        run_security(None, Path(folder))
    return "each run makes its own, in a folder for its owner only"


def _worker(site: Mapping[str, Any], project: Path) -> Iterator[Hop]:
    """Start one worker and let it do a task."""
    one = {**site, "jobs": 1, "cores": 1, "memory": site["memory"] / site["cores"]}
    with tempfile.TemporaryDirectory(prefix="trial-", dir=_runs(project)) as name:
        shared = private_folder(Path(name))
        settings = {"site": one, "workers": 1, "shared": str(shared), "logs": str(project / "logs" / "workers")}
        try:
            client = connect(settings, shared, threading.Event())
        except DarkfactoryError as error:
            hops = {"refuses": "submission", "other software": "software", "does not see": "files"}
            yield Hop(next((h for word, h in hops.items() if word in str(error)), "worker"), False, str(error))
            return
        try:
            there = client.submit(facts, str(project), pure=False).result(timeout=120)
            yield Hop("worker", True, f"a worker started, does a task, on {there['host']}")
            try:
                compare_facts(facts(str(project)), there, str(project))
                yield Hop("software", True, "same versions, same code, same files as here")
            except UserError as error:
                yield Hop("software", False, str(error))
            free = there["scratch_free"] / 2**30
            yield Hop("node scratch", free > 1, f"{there['scratch']} there: {free:.0f} GiB free")
        finally:
            cluster = client.cluster
            client.close()
            if cluster is not None:
                cluster.close()


def _runs(project: Path) -> Path:
    return private_folder(project / ".darkfactory" / "runs")


def try_site(site: Mapping[str, Any], project: Path) -> Iterator[Hop]:
    """Try all hops of a site, up to the first that fails.

    Args:
        site: JSON-like form.
        project: the run's folder, which batch nodes see.
    """
    batch = site["system"] in _SUBMIT
    steps: list[tuple[str, Callable[[], str]]] = [("scratch here", lambda: _scratch(tempfile.gettempdir()))]
    if batch:
        steps.append(("submission", lambda: _submission(site)))
        if site["mode"] == "workers":
            steps += [("memory", lambda: _memory(site)), ("ports", lambda: _ports(site)), ("keys", lambda: _keys(site))]
            steps.append(("script", lambda: f"{len(job_script(site).splitlines())} lines"))
    for name, step in steps:
        try:
            yield Hop(name, True, step())
        except (DarkfactoryError, OSError, subprocess.SubprocessError) as error:
            yield Hop(name, False, str(error))
            return
    if site["mode"] == "workers":
        yield from _worker(site, project)
