"""The limits of a search are the same bits, whatever works on it, in whatever order, however often it is killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from search_tools import results, run_search
from workflow_tools import environment

from darkfactory.execute.backends import DaskBackend, ProcessBackend, SerialBackend

pytestmark = pytest.mark.long
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], float]:
    """What one process makes, chunk after chunk, and how long it takes."""
    folder = tmp_path_factory.mktemp("undisturbed")
    start = time.monotonic()
    run_search(folder, SerialBackend())
    return results(folder), time.monotonic() - start


def same(folder: Path, undisturbed: tuple[dict[str, Any], float]) -> None:
    found = results(folder)
    assert set(found) == set(undisturbed[0])
    assert {n for n, value in undisturbed[0].items() if found[n] != value} == set()


@pytest.mark.parametrize("workers", [2, 4])
def test_processes(tmp_path: Path, undisturbed: tuple[dict[str, Any], float], workers: int) -> None:
    run_search(tmp_path, ProcessBackend(workers))
    same(tmp_path, undisturbed)


@pytest.mark.parametrize(("workers", "threads"), [(1, 1), (4, 1), (1, 2), (2, 2)])
def test_a_cluster_of_threads(
    tmp_path: Path, undisturbed: tuple[dict[str, Any], float], workers: int, threads: int
) -> None:
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=workers, threads_per_worker=threads, processes=False, dashboard_address=None, protocol="inproc://"
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        run_search(tmp_path, DaskBackend(client))
    same(tmp_path, undisturbed)


@pytest.mark.parametrize("seed", [1, 2])
def test_shuffled_chunks(tmp_path: Path, undisturbed: tuple[dict[str, Any], float], seed: int) -> None:
    chooser = random.Random(seed)

    class Shuffled(SerialBackend):
        def attempt(self, tasks: Sequence[Any], done: Any = None) -> list[Any]:
            order = list(range(len(tasks)))
            chooser.shuffle(order)
            made = dict(zip(order, super().attempt([tasks[i] for i in order], done), strict=True))
            return [made[i] for i in range(len(tasks))]

    run_search(tmp_path, Shuffled())
    same(tmp_path, undisturbed)


def test_five_random_kills(tmp_path: Path, undisturbed: tuple[dict[str, Any], float]) -> None:
    chooser = random.Random(5)
    command = [sys.executable, str(HERE / "search_tools.py"), str(tmp_path), "2"]
    own = environment()
    own["PYTHONPATH"] = os.pathsep.join((str(HERE), own["PYTHONPATH"]))

    def files() -> int:
        return sum(1 for _ in tmp_path.rglob("*.json"))

    kills = 0
    while True:
        before, more = files(), chooser.randint(5, 60)
        run = subprocess.Popen(command, env=own, start_new_session=True, stdout=subprocess.DEVNULL)
        while kills < 5 and run.poll() is None and files() < before + more:
            time.sleep(0.02)
        if kills < 5 and run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
            run.wait()
            kills += 1
            continue
        assert run.wait() == 0
        break
    assert kills == 5
    same(tmp_path, undisturbed)
