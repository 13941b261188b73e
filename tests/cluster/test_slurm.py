"""The workflow on a real batch system: a Slurm of one node."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from workflow_tools import contents, environment, make_project, python

from darkfactory.pipeline.layout import path

pytestmark = pytest.mark.cluster

SAMPLE = "belle2_pi0_gamma"
TARGETS = [path(name, campaign="tiny", sample=SAMPLE, block="all") for name in ("truth", "skim")]
SITE = {
    "system": "slurm",
    "jobs": 2,
    "cores": 1,
    "memory": "1500 MB",
    "walltime": "00:20:00",
    "queue": "main",
    "wait": 120,
    "network": {"interface": "lo", "scheduler_host": "127.0.0.1"},
    "task": {"backoff": 0.1},
}


def make_site(folder: Path, site: dict, engine: dict) -> str:
    folder.mkdir()
    prologue = [f"export PYTHONPATH={environment()['PYTHONPATH']}"]
    (folder / "site.yaml").write_text(yaml.safe_dump({**site, "prologue": prologue}))
    (folder / "config.yaml").write_text(yaml.safe_dump({"rerun-incomplete": True, **engine}))
    return str(folder)


def queue() -> list[str]:
    done = subprocess.run(["squeue", "-h", "-o", "%j %T"], capture_output=True, text=True, check=True)
    return [line for line in done.stdout.splitlines() if "COMPLET" not in line]


def until(condition, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.3)
    return True


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same results, made on this machine."""
    folder = make_project(tmp_path_factory.mktemp("local") / "project")
    done = python(folder, "darkfactory.cli.main", "run", "-c", "tiny", "--cores", "1", *TARGETS)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_batch_workers_give_the_same_bits_and_leave_nothing(slurm: Path, local: Path, tmp_path: Path) -> None:
    folder = make_project(tmp_path / "project")
    site = make_site(tmp_path / "site", SITE, {"cores": 2})
    done = python(folder, "darkfactory.cli.main", "run", "-c", "tiny", "--site", site, *TARGETS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert contents(folder / "results") == contents(local / "results")
    assert until(lambda: not queue(), 20), queue()
    assert not list((folder / ".darkfactory" / "runs").iterdir()), "keys and lease are gone"
    said = "".join(f.read_text() for f in (folder / "logs" / "workers").iterdir())
    assert "tls://127.0.0.1" in said


def test_a_killed_run_takes_its_batch_jobs_with_it(slurm: Path, local: Path, tmp_path: Path) -> None:
    folder = make_project(tmp_path / "project")
    site = make_site(tmp_path / "site", SITE, {"cores": 2})
    command = [sys.executable, "-m", "darkfactory.cli.main", "run", "-c", "tiny", "--site", site, *TARGETS]
    run = subprocess.Popen(
        command, cwd=folder, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    assert until(lambda: any("RUNNING" in line for line in queue()), 60)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    assert until(lambda: not queue(), 70), queue()
    assert until(lambda: not list((folder / ".darkfactory" / "runs").iterdir()), 20)
    again = python(folder, "darkfactory.cli.main", "run", "-c", "tiny", "--site", site, *TARGETS)
    assert again.returncode == 0, again.stdout + again.stderr
    assert contents(folder / "results") == contents(local / "results")


def test_a_job_that_the_batch_system_refuses_is_told_at_once(slurm: Path, tmp_path: Path) -> None:
    folder = make_project(tmp_path / "project")
    site = make_site(tmp_path / "site", {**SITE, "queue": "no_such_queue"}, {"cores": 2})
    start = time.monotonic()
    done = python(folder, "darkfactory.cli.main", "run", "-c", "tiny", "--site", site, *TARGETS)
    assert done.returncode == 1
    assert "the batch system refuses the workers' job" in done.stdout + done.stderr
    assert "invalid partition specified: no_such_queue" in done.stdout + done.stderr
    assert time.monotonic() - start < 100


def test_doctor_starts_one_worker_and_names_every_hop(slurm: Path, tmp_path: Path) -> None:
    folder = make_project(tmp_path / "project")
    site = make_site(tmp_path / "site", SITE, {"cores": 2})
    done = python(folder, "darkfactory.cli.main", "doctor", "--site", site)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "a worker started, does a task" in done.stdout
    wrong = make_site(tmp_path / "wrong", {**SITE, "queue": "no_such_queue"}, {"cores": 2})
    done = python(folder, "darkfactory.cli.main", "doctor", "--site", wrong)
    assert done.returncode == 1
    assert "WRONG submission: the batch system refuses the workers' job" in done.stdout


@pytest.mark.skipif(
    importlib.util.find_spec("snakemake_executor_plugin_slurm") is None, reason="needs the extra `slurm`"
)
def test_jobs_of_the_workflow_engine_give_the_same_bits(slurm: Path, local: Path, tmp_path: Path) -> None:
    folder = make_project(tmp_path / "project")
    engine = {
        "executor": "slurm", "jobs": 2, "latency-wait": 10, "slurm-status-command": "squeue",
        "slurm-init-seconds-before-status-checks": 2, "seconds-between-status-checks": 2,
        "default-resources": ["slurm_partition=main", "mem_mb=1500", "runtime=10", "slurm_account=none"],
        "set-threads": ["generate=2"],
    }  # fmt: skip
    site = make_site(tmp_path / "jobs", {"system": "slurm", "mode": "jobs"}, engine)
    done = python(folder, "darkfactory.cli.main", "run", "-c", "tiny", "--site", site, *TARGETS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert contents(folder / "results") == contents(local / "results")
