"""A whole search, broken while it runs: afterwards the same bits, or one clear error and nothing lost."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil
import pytest
from workflow_tools import contents, environment, make_project, python

from darkfactory.pipeline.layout import path

pytestmark = pytest.mark.long

ALP = {"search": "alp_3gamma", "dataset": "belle2_445pb"}
TARGETS = [path("couplings", campaign="tiny", **ALP), path("cutflow", campaign="tiny", **ALP)]
RUN = [sys.executable, "-m", "darkfactory.cli.main", "run", "-c", "tiny", "--cores", "2", *TARGETS]
LIMIT = 900.0


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """Digests of a run in which nothing happened."""
    folder = make_project(tmp_path_factory.mktemp("undisturbed") / "project")
    finish(folder)
    return contents(folder / "results")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path / "project").resolve()


def start(folder: Path) -> subprocess.Popen[bytes]:
    with (folder / "run.log").open("ab") as log:
        return subprocess.Popen(
            RUN, cwd=folder, env=environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )


def finish(folder: Path) -> str:
    done = python(folder, *RUN[2:])
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def family(run: subprocess.Popen[bytes], word: str) -> list[psutil.Process]:
    """Living processes of a run whose command has a word in it."""
    found = []
    for process in psutil.Process(run.pid).children(recursive=True):
        try:
            if word in " ".join(process.cmdline()) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def living(folder: Path) -> list[str]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(folder) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline())[:120])
        except psutil.Error:
            continue
    return found


def until(condition: Callable[[], object], run: subprocess.Popen[bytes] | None = None, limit: float = LIMIT) -> bool:
    """Wait; False when the run ended before."""
    end = time.monotonic() + limit
    while not condition():
        if run is not None and run.poll() is not None:
            return False
        assert time.monotonic() < end, "the condition never came"
        time.sleep(0.05)
    return True


def workers(run: subprocess.Popen[bytes]) -> list[psutil.Process]:
    return family(run, "multiprocessing.spawn")


def some(folder: Path, name: str) -> Callable[[], object]:
    return lambda: next((folder / "results").rglob(name), None)


def test_a_worker_killed_in_every_stage_changes_nothing(undisturbed: Mapping[str, str], project: Path) -> None:
    run = start(project)
    chooser = random.Random(3)
    killed = []
    # what the stage before leaves says that the next one works
    names = ("gridpacks.json", "truth.json", "reco.json", "skim.json", "triggered.*.json", "preselected.json",
             "selected.json", "model.json", "workspace/b000.json", "limits/b000.json")  # fmt: skip
    for name in names:
        if not until(some(project, name), run):
            break
        alive = workers(run)
        if alive:
            chooser.choice(alive).kill()
            killed.append(name)
    assert run.wait(LIMIT) == 0, (project / "run.log").read_text()[-3000:]
    assert len(killed) >= 7
    assert contents(project / "results") == undisturbed


def test_five_kills_in_one_campaign_leave_the_same_bits(undisturbed: Mapping[str, str], project: Path) -> None:
    chooser = random.Random(11)

    def engine(run: subprocess.Popen[bytes]) -> None:
        family(run, "snakemake")[0].kill()

    def group(run: subprocess.Popen[bytes]) -> None:
        os.killpg(run.pid, signal.SIGKILL)

    def owner(run: subprocess.Popen[bytes]) -> None:
        family(run, "darkfactory.execute.owner")[0].kill()

    def worker(run: subprocess.Popen[bytes]) -> None:
        chooser.choice(workers(run)).kill()

    def command(run: subprocess.Popen[bytes]) -> None:
        os.kill(run.pid, signal.SIGKILL)
        for process in engines:
            process.kill()

    engines: list[psutil.Process] = []
    plan = [("truth.json", engine), ("reco.json", group), ("skim.json", owner), ("selected.json", worker),
            ("model.json", command)]  # fmt: skip
    lost: list[float] = []
    for name, kill in plan:
        run = start(project)
        if not until(some(project, name), run):
            break
        engines[:] = family(run, "snakemake")
        if kill is worker:
            until(lambda run=run: workers(run), run)
        kill(run)
        if kill is worker:
            assert run.wait(LIMIT) == 0, (project / "run.log").read_text()[-3000:]
            continue
        stopped = time.monotonic()
        run.wait(120)
        until(lambda: not living(project), limit=60)
        lost.append(time.monotonic() - stopped)
    assert max(lost) < 60
    finish(project)
    assert contents(project / "results") == undisturbed


def test_a_second_run_in_the_same_folder_is_refused(undisturbed: Mapping[str, str], project: Path) -> None:
    run = start(project)
    assert until(some(project, "gridpacks.json"), run)
    # it must not end before it was asked about
    engine = family(run, "snakemake")[0]
    engine.suspend()
    second = python(project, *RUN[2:])
    assert second.returncode == 2, second.stdout + second.stderr
    assert "runs the workflow in this folder; wait until it ends" in second.stderr
    retry = python(project, "darkfactory.cli.main", "retry", "--failed", "-c", "tiny")
    assert retry.returncode == 2
    status = python(project, "darkfactory.cli.main", "status", "-c", "tiny")
    assert "runs the workflow here" in status.stdout
    engine.resume()
    assert run.wait(LIMIT) == 0
    assert contents(project / "results") == undisturbed


def test_clocks_that_are_wrong_by_a_day_are_told_or_change_nothing(
    undisturbed: Mapping[str, str], project: Path
) -> None:
    finish(project)
    now = time.time()
    files = sorted((project / "results").rglob("*.json"))
    for shift, code in ((-86400.0, 0), (86400.0, None)):
        for file in files[::2]:
            os.utime(file, (now + shift, now + shift))
        done = python(project, *RUN[2:])
        if code is not None or done.returncode == 0:
            assert done.returncode == 0, done.stdout + done.stderr
        else:
            # what is younger than its output is told by the engine, finished chunks are kept
            assert "clock skew" in done.stdout + done.stderr
    for file in (project / "results").rglob("*.json"):
        os.utime(file)
    finish(project)
    assert contents(project / "results") == undisturbed


def test_a_damaged_part_is_told_and_made_anew(undisturbed: Mapping[str, str], project: Path) -> None:
    finish(project)
    manifest = project / path("reco", campaign="tiny", sample="belle2_pi0_gamma", block="all")
    part = sorted(manifest.with_suffix(".parts").glob("*.root"))[0]
    whole = part.read_bytes()
    middle = len(whole) // 2
    part.write_bytes(whole[:middle] + bytes([whole[middle] ^ 0xFF]) + whole[middle + 1 :])
    skim = project / path("skim", campaign="tiny", sample="belle2_pi0_gamma", block="all")
    for file in (skim, *skim.with_suffix(".parts").iterdir()):
        file.unlink()
    target = str(skim.relative_to(project))
    done = python(project, "darkfactory.cli.main", "run", "-c", "tiny", "--cores", "2", target)
    assert done.returncode == 1
    assert "`darkfactory retry --failed` makes it anew" in done.stdout + done.stderr
    status = python(project, "darkfactory.cli.main", "status", "-c", "tiny")
    assert "DamagedError after 1 tries" in status.stdout
    # other searches of the campaign are left alone
    again = python(project, "darkfactory.cli.main", "retry", "--failed", "-c", "tiny", "--cores", "2",
                   "--set", "searches={alp_3gamma: [belle2_445pb]}", "--set", "trigger_rates={}")  # fmt: skip
    assert again.returncode == 0, again.stdout + again.stderr
    ours = contents(project / "results")
    assert {n for n in undisturbed if ours.get(n) != undisturbed[n]} == set()


def test_a_file_system_that_fills_up(undisturbed: Mapping[str, str], project: Path) -> None:
    results = project / "results"
    results.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(results)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("needs the right to mount a small file system")
    try:
        done = python(project, *RUN[2:])
        assert done.returncode == 1
        assert "No space left on device" in done.stdout + done.stderr
        assert not list(results.rglob(".*.part*")), "no temporary file is left"
        subprocess.run(["mount", "-o", "remount,size=300m", str(results)], check=True)
        finish(project)
        assert contents(results) == undisturbed
    finally:
        subprocess.run(["umount", "-l", str(results)], check=True)
