"""Sites that are tried before a run, up to the hop that fails; and clusters that somebody else started."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from darkfactory.config.load import validate
from darkfactory.config.site import SiteConfig
from darkfactory.core.errors import RunError
from darkfactory.execute.run import send, start_cluster
from darkfactory.execute.trial import Hop, try_site

SITE: dict[str, Any] = {"system": "slurm", "cores": 2, "memory": "4 GB", "network": {"scheduler_host": "127.0.0.1"}}


def last(project: Path, **changes: Any) -> Hop:
    """The first hop that fails, or the last one."""
    site = validate(SiteConfig, SITE | changes).model_dump(mode="json")
    hops = list(try_site(site, project))
    assert all(hop.good for hop in hops[:-1])
    return hops[-1]


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of submit commands that refuse everything."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("sbatch", "bsub", "qsub", "condor_submit"):
        (folder / name).write_text("#!/bin/sh\necho no such queue >&2\nexit 1\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def test_a_machine_that_may_not_submit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    hop = last(tmp_path)
    assert (hop.name, hop.good) == ("submission", False)
    assert "sbatch is not on the path; run on a machine that may submit" in hop.text


@pytest.mark.parametrize(
    ("changes", "name", "text"),
    [
        ({"memory": "1 GB"}, "memory", "0.47 GiB for each of 2 workers; a stage needs 1"),
        ({"network": {"interface": "no0"}}, "ports", "this machine has no interface no0, it has"),
        ({"tls": {"ca_file": "a", "cert": "b", "key": "nowhere.pem"}}, "keys", "nowhere.pem: no such key"),
        ({"system": "lsf", "lsf_units": "mb"}, "memory", "lsf_units is mb, "),
    ],
)
def test_the_hop_that_fails_is_named(
    commands: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], name: str, text: str
) -> None:
    monkeypatch.setenv("LSF_ENVDIR", str(tmp_path))
    (tmp_path / "lsf.conf").write_text("LSF_UNIT_FOR_LIMITS = GB\n")
    hop = last(tmp_path, **changes)
    assert (hop.name, hop.good) == (name, False)
    assert text in hop.text


@pytest.mark.parametrize("system", ["slurm", "htcondor", "pbs"])
def test_a_batch_system_that_refuses_is_quoted(commands: Path, tmp_path: Path, system: str) -> None:
    hop = last(tmp_path, system=system)
    assert (hop.name, hop.good) == ("submission", False)
    assert "the batch system refuses the workers' job" in hop.text
    assert "no such queue" in hop.text


def test_jobs_of_the_workflow_engine_need_no_worker(commands: Path, tmp_path: Path) -> None:
    assert last(tmp_path, mode="jobs").name == "submission"
    assert last(tmp_path, mode="jobs").good


def test_a_cluster_of_somebody_else_is_used_and_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((os.path.dirname(__file__), os.environ.get("PYTHONPATH", ""))))
    theirs = start_cluster(1)
    ours = None
    try:
        site = {"system": "existing", "scheduler": str(theirs.folder / "scheduler.json"), "wait": 30, "tls": None}
        ours = start_cluster(7, site=site)
        for name, value in ours.environment().items():
            monkeypatch.setenv(name, value)
        assert send("test_execute:squares", {"numbers": [5], "path": str(tmp_path / "out.txt")})
        assert (tmp_path / "out.txt").read_text() == "[25.0]"
        ours.close()
        assert theirs.process.poll() is None
    finally:
        if ours is not None:
            ours.close()
        theirs.close()
    with pytest.raises(RunError, match=r"did not start: scheduler .*no answer, or no workers"):
        start_cluster(1, site=site | {"wait": 1, "scheduler": "tcp://127.0.0.1:1"})
