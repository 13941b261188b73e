from __future__ import annotations

import os
import socket
import stat
from pathlib import Path
from typing import Any

import pytest

from darkfactory.config.load import validate
from darkfactory.config.site import SiteConfig, check_executor, load_site, site_names
from darkfactory.core.errors import ConfigError, UserError
from darkfactory.execute.batch import free_port, job_script
from darkfactory.execute.connect import compare_facts, facts
from darkfactory.execute.security import check_private, own_security, private_folder

ROOT = Path(__file__).parents[3]
BASE: dict[str, Any] = {
    "jobs": 3, "cores": 4, "memory": "8 GB", "walltime": "02:00:00", "queue": "long", "account": "belle",
    "python": "/sw/bin/python", "scratch": "$TMPDIR", "prologue": ["source /sw/setup.sh"],
    "network": {"interface": "lo", "worker_ports": [41000, 41009], "nanny_ports": [41010, 41019]},
}  # fmt: skip


def script(system: str, **more: Any) -> list[str]:
    site = validate(SiteConfig, BASE | {"system": system} | more)
    return job_script(site.model_dump(mode="json")).splitlines()


def worker(lines: list[str]) -> str:
    return next(line for line in lines if "distributed.cli.dask_worker" in line)


def check_worker(text: str) -> None:
    """What every worker of every system is told."""
    for words in (
        "/sw/bin/python -m distributed.cli.dask_worker tls://scheduler:40000",
        "--nthreads 1",
        "--nworkers 4",
        "--nanny",
        "--memory-limit 1.86GiB",
        "--death-timeout 60",
        "--local-directory $TMPDIR",
        # walltime less margin and stagger
        "--lifetime 6660s",
        "--lifetime-stagger 240s",
        "--dashboard-address 127.0.0.1:0",
        "--worker-port 41000:41009",
        "--nanny-port 41010:41019",
        "--interface lo",
        "--protocol tls://",
        "--tls-ca-file ca.pem",
        "--tls-cert cert.pem",
        "--tls-key key.pem",
    ):
        assert words in text, words


def test_script_of_slurm() -> None:
    lines = script("slurm", directives=["--constraint=avx2"])
    assert lines[0] == "#!/usr/bin/env bash"
    for line in (
        "#SBATCH -J darkfactory-worker", "#SBATCH -p long", "#SBATCH -A belle", "#SBATCH -n 1",
        "#SBATCH --cpus-per-task=4", "#SBATCH --mem=8G", "#SBATCH -t 02:00:00", "#SBATCH --constraint=avx2",
        "export OMP_NUM_THREADS=1", "export MALLOC_TRIM_THRESHOLD_=65536", "source /sw/setup.sh",
    ):  # fmt: skip
        assert line in lines, (line, lines)
    assert lines.index("export OMP_NUM_THREADS=1") < lines.index("source /sw/setup.sh")
    check_worker(worker(lines))


def test_script_of_htcondor() -> None:
    lines = script("htcondor", directives=["getenv = True"], disk="3 GB")
    for line in (
        "MY.DaskWorkerCores = 4", "MY.DaskWorkerMemory = 8000000000", "MY.DaskWorkerDisk = 3000000000",
        "getenv = True", '+JobFlavour = "long"', "accounting_group = belle", "Executable = /bin/sh",
        "periodic_remove = JobStatus == 2 && time() - JobStartDate > 7200", "Queue",
    ):  # fmt: skip
        assert line in lines, (line, lines)
    arguments = next(line for line in lines if line.startswith("Arguments"))
    assert "export OMP_NUM_THREADS=1; " in arguments
    assert "source /sw/setup.sh; /sw/bin/python" in arguments
    check_worker(arguments)


@pytest.mark.parametrize(("unit", "limit"), [("kb", "8000000"), ("mb", "8000"), ("gb", "8")])
def test_script_of_lsf_asks_for_memory_in_the_units_of_the_site(unit: str, limit: str) -> None:
    lines = script("lsf", lsf_units=unit, walltime="02:00:01", margin=301)
    for line in (
        "#BSUB -J darkfactory-worker", "#BSUB -q long", '#BSUB -P "belle"', "#BSUB -n 4",
        '#BSUB -R "span[hosts=1]"', f"#BSUB -M {limit}", "#BSUB -W 02:01", "source /sw/setup.sh",
    ):  # fmt: skip
        assert line in lines, (line, lines)
    check_worker(worker(lines))


def test_script_of_pbs() -> None:
    lines = script("pbs", directives=["-l place=pack"])
    for line in (
        "#PBS -N darkfactory-worker", "#PBS -q long", "#PBS -A belle", "#PBS -l select=1:ncpus=4:mem=7630MB",
        "#PBS -l walltime=02:00:00", "#PBS -l place=pack", "export OMP_NUM_THREADS=1",
    ):  # fmt: skip
        assert line in lines, (line, lines)
    check_worker(worker(lines))


@pytest.mark.parametrize("name", site_names(ROOT))
def test_every_site_of_the_project_is_valid_and_has_a_profile_that_names_it(name: str) -> None:
    site = load_site(name, ROOT)
    profile = (ROOT / "workflow" / "profiles" / name / "config.yaml").read_text()
    assert f"  site: {name}\n" in profile
    assert "rerun-incomplete: true" in profile
    check_executor(site, local="executor:" not in profile)
    if site.mode == "workers":
        text = "\n".join(job_script(site.model_dump(mode="json")).splitlines())
        assert "--tls-key" in text
        assert "--death-timeout 60" in text
        assert 0 < site.lifetime < site.walltime


def test_the_sites_of_the_design_are_there() -> None:
    assert {"slurm", "htcondor", "lsf", "pbs", "slurm_jobs"} <= set(site_names(ROOT))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"system": "slurm", "walltime": "08:00"}, "walltime 480 s leaves nothing after a margin of 300 s"),
        ({"system": "slurm", "walltime": "8 h"}, "'8 h' is no duration; write \"HH:MM:SS\""),
        ({"system": "lsf"}, "system: lsf needs `lsf_units`"),
        ({"system": "existing"}, "system: existing needs `scheduler`"),
        ({"system": "existing", "scheduler": "tcp://10.0.0.1:8786"}, "without TLS runs code as you; use tls://"),
        ({"system": "local", "mode": "jobs"}, "mode: jobs needs one of"),
        ({"system": "slurm", "scheduler": "tls://h:1"}, "`scheduler` is for system: existing; the system is slurm"),
        ({"system": "htcondor", "directives": ["getenv"]}, "directives of htcondor are written `name = value`"),
        ({"network": {"worker_ports": [5000, 4000]}}, "first must be at most last, both within 1024 to 65535"),
        ({"network": {"scheduler_host": "a", "scheduler_interface": "b"}}, "give scheduler_host or scheduler_inter"),
    ],
)
def test_mistakes_in_a_site_are_told(value: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace("(", r"\(")):
        validate(SiteConfig, value, file="site.yaml")


def test_a_site_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(ConfigError, match=r"there is no site 'slrum'.*'slurm'"):
        load_site("slrum", ROOT)


def test_exactly_one_scheduler_submits() -> None:
    workers = validate(SiteConfig, BASE | {"system": "slurm"})
    jobs = validate(SiteConfig, {"system": "slurm", "mode": "jobs"})
    check_executor(workers, local=True)
    check_executor(jobs, local=False)
    for site, local, text in (
        (workers, False, "a site of mode: workers: exactly one of the two may submit"),
        (None, False, "no site of mode: jobs: exactly one of the two may submit"),
        (jobs, True, "the workflow engine must submit them: name its executor"),
    ):
        with pytest.raises(ConfigError, match=text):
            check_executor(site, local)


def test_keys_are_for_their_owner_only(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    with pytest.raises(UserError, match="no such key"):
        check_private(key)
    key.write_text("secret")
    key.chmod(0o600)
    check_private(key)
    for mode in (0o640, 0o604, 0o620):
        key.chmod(mode)
        with pytest.raises(UserError, match=f"others may use this key .mode {mode:o}.; run `chmod 600"):
            own_security({"ca_file": "ca", "cert": "cert", "key": str(key)})
    before = os.umask(0)
    try:
        assert stat.S_IMODE(private_folder(tmp_path / "a" / "keys").stat().st_mode) == 0o700
    finally:
        os.umask(before)


def test_keys_of_a_run_are_written_for_its_owner_only(tmp_path: Path) -> None:
    from darkfactory.execute.batch import make_batch_cluster
    from darkfactory.execute.security import run_security

    value = BASE | {"system": "slurm", "network": {"scheduler_host": "127.0.0.1"}}
    site = validate(SiteConfig, value).model_dump(mode="json")
    folder = private_folder(tmp_path / "run")
    cluster = make_batch_cluster(site, folder, run_security(None, folder), tmp_path / "logs")
    try:
        # not one job was asked for: nothing was submitted
        files = [f for f in folder.iterdir() if f.is_file()]
        assert len(files) == 3
        assert {stat.S_IMODE(f.stat().st_mode) for f in files} == {0o600}
        assert cluster.scheduler_address.startswith("tls://127.0.0.1:40")
        text = cluster.job_script()
        assert all(str(f) in text for f in files)
    finally:
        cluster.close()


def test_the_first_free_port_of_the_range_is_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port((port, port + 20), "127.0.0.1") > port
        with pytest.raises(UserError, match=f"no free port within {port} to {port}"):
            free_port((port, port), "127.0.0.1")


def test_workers_that_would_give_other_bits_are_refused(tmp_path: Path) -> None:
    here = facts(str(tmp_path))
    compare_facts(here, here, str(tmp_path))
    with pytest.raises(UserError, match=r"does not see .*run from a folder that the batch nodes share"):
        compare_facts(here, facts("/no/such"), "/no/such")
    other = here | {"versions": here["versions"] | {"numpy": "1.0", "darkfactory": "0"}}
    with pytest.raises(UserError, match=r"numpy 1\.0 there, .* here; darkfactory 0 there"):
        compare_facts(here, other, str(tmp_path))
