"""What running costs besides the work, and what a second worker brings.

Run: ``python tests/benchmarks/bench_overheads.py [cluster] [jobs] [campaign] [speedup] [--campaign NAME]``, by
default all of it on a small campaign: below four minutes on two free cores.

* cluster: start and end of a run's cluster of two workers, its answer to one request, and each task of a request;
* jobs: a job of the workflow engine that does nothing but ask the cluster, from the slope between 2 and 22 of them;
* campaign: a whole run, with the CPU of all its processes by kind, and a second run that has nothing to do;
* speedup: from generation to skim of one background, on one worker and on two.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "workflow"))

from workflow_tools import environment, make_project, python  # noqa: E402 - found by the line above

WARM = [
    f"darkfactory.pipeline.{s}" for s in ("generate", "simulate", "skim", "trigger", "preselect", "model", "limits")
]
KINDS = (
    ("multiprocessing.spawn", "workers"),
    ("execute.owner", "scheduler"),
    ("stage.py", "jobs"),
    ("snakemake", "engine"),
)
SAMPLE, EVENTS = "belle2_mumu_gamma", 200_000
ENGINE = """
rule all:
    input: expand("out/{i}", i=range(config["jobs"]))
rule one:
    output: "out/{i}"
    script: "one.py"
"""
# what a job of the project does: the adapter's imports, one request, one output
JOB = """
from pathlib import Path
from darkfactory.pipeline.adapter import run_rule
from darkfactory.execute.run import send
send("bench_overheads:nothing", {"tasks": 1})
Path(snakemake.output[0]).write_text("")
"""


def nothing(request: Mapping[str, Any], backend: Any, progress: Any) -> None:
    """A stage of tasks that do nothing."""
    backend.map([("math:sqrt", (float(i),)) for i in range(request["tasks"])])


def timed(call: Any) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def cluster_costs() -> None:
    from darkfactory.execute.run import cluster, send, start_cluster

    start = time.perf_counter()
    handle = start_cluster(2, WARM)
    up = time.perf_counter() - start
    down = timed(handle.close)
    print(f"cluster of two workers: start {up:.2f} s, end {down:.2f} s")
    with cluster(2):
        send("bench_overheads:nothing", {"tasks": 100})
        one = min(timed(lambda: send("bench_overheads:nothing", {"tasks": 1})) for _ in range(10))
        many = min(timed(lambda: send("bench_overheads:nothing", {"tasks": 1000})) for _ in range(3))
    print(f"request of one task {1e3 * one:.1f} ms, each further task {(many - one) / 999 * 1e3:.2f} ms")


def job_costs() -> None:
    from darkfactory.execute.run import cluster

    with tempfile.TemporaryDirectory(prefix="darkfactory-jobs-") as name, cluster(2):
        folder = Path(name)
        (folder / "Snakefile").write_text(ENGINE)
        (folder / "one.py").write_text(JOB)
        own = {k: v for k, v in os.environ.items() if k.startswith("DARKFACTORY_")}
        took = {}
        for jobs in (2, 22):
            command = [sys.executable, "-m", "snakemake", "--cores", "1", "--scheduler", "greedy", "--quiet", "all"]
            command += ["--config", f"jobs={jobs}"]
            took[jobs] = timed(lambda command=command: subprocess.run(
                command, cwd=folder, env=environment(**own), check=True, capture_output=True
            ))  # fmt: skip
            for file in (folder / "out").iterdir():
                file.unlink()
    print(f"job of the workflow engine: {(took[22] - took[2]) / 20 * 1e3:.0f} ms; two jobs {took[2]:.2f} s")


class Accounts:
    """CPU seconds of a process and all that come from it, by kind, as last seen."""

    def __init__(self, pid: int) -> None:
        self.seen: dict[tuple[int, float], tuple[str, float]] = {}
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._watch, args=(pid,), daemon=True)
        self.thread.start()

    def _watch(self, pid: int) -> None:
        while not self.ended.wait(0.1):
            try:
                root = psutil.Process(pid)
                every = [root, *root.children(recursive=True)]
            except psutil.Error:
                return
            for process in every:
                try:
                    with process.oneshot():
                        command, cpu = " ".join(process.cmdline()), process.cpu_times()
                        kind = next((k for word, k in KINDS if word in command), "others")
                        self.seen[process.pid, process.create_time()] = (kind, cpu.user + cpu.system)
                except psutil.Error:
                    continue

    def close(self) -> dict[str, float]:
        self.ended.set()
        self.thread.join()
        found: dict[str, float] = {}
        for kind, seconds in self.seen.values():
            found[kind] = found.get(kind, 0.0) + seconds
        return found


def campaign_costs(name: str) -> None:
    with tempfile.TemporaryDirectory(prefix="darkfactory-campaign-") as folder:
        project = make_project(Path(folder) / "project")
        command = [sys.executable, "-m", "darkfactory.cli.main", "run", "-c", name, "--cores", "2"]
        start = time.perf_counter()
        with (project / "run.log").open("wb") as log:
            run = subprocess.Popen(command, cwd=project, env=environment(), stdout=log, stderr=log)
            accounts = Accounts(run.pid)
            code = run.wait()
        took, spent = time.perf_counter() - start, accounts.close()
        if code != 0:
            raise SystemExit((project / "run.log").read_text()[-3000:])
        # starting and importing is no work: what the same workers spend on a request of nothing
        idle = idle_workers()
        useful, total = max(spent.get("workers", 0.0) - idle, 0.0), sum(spent.values())
        print(
            f"campaign {name}: {took:.1f} s, CPU {total:.1f} s: " + ", ".join(f"{k} {v:.1f}" for k, v in spent.items())
        )
        print(f"starting workers {idle:.1f} s; useful share {useful / total:.0%} of the CPU")
        again = timed(lambda: python(project, *command[2:]))
        print(f"a second run, nothing to do: {again:.1f} s")


def idle_workers() -> float:
    """CPU seconds of two workers that import the stages and do nothing."""
    from darkfactory.execute.run import cluster, send

    with cluster(2, WARM):
        send("bench_overheads:nothing", {"tasks": 2})
        workers = [
            p for p in psutil.Process().children(recursive=True) if "multiprocessing.spawn" in " ".join(p.cmdline())
        ]
        return sum(sum(p.cpu_times()[:2]) for p in workers)


def speedup() -> None:
    from darkfactory.config.resolve import load_campaign
    from darkfactory.execute.run import cluster
    from darkfactory.pipeline.door import run_job
    from darkfactory.pipeline.plan import Planner

    chosen = {"events": {"samples": {SAMPLE: EVENTS}}, "execution": {"chunk": 10_000}, "combinations": []}
    plan = Planner(load_campaign("tiny", config_dir=HERE.parents[1] / "config", overrides=[chosen]))
    w = {"sample": SAMPLE, "block": "all"}
    chain = (("generate", "gridpacks"), ("simulate", "truth"), ("skim", "reco"))
    took: dict[int, float] = {}
    with tempfile.TemporaryDirectory(prefix="darkfactory-speedup-") as name:
        for workers in (1, 2):
            folder = Path(name) / str(workers)
            with cluster(workers, WARM):
                # numbers of workers differ, gridpacks and compiled kernels do not
                run_job("integrate", {}, {"manifest": str(folder / "integrate.json")}, plan.integrate(w), "code")
                before = folder / "integrate.json"
                warm = plan.generate(w) | {"events": 2 * workers * 1000, "chunk": 1000}
                run_job("generate", {"gridpacks": str(before)}, {"manifest": str(folder / "w.json")}, warm, "code")
                start = time.perf_counter()
                for stage, source in chain:
                    out = folder / f"{stage}.json"
                    run_job(stage, {source: str(before)}, {"manifest": str(out)}, getattr(plan, stage)(w), "code")
                    before = out
                took[workers] = time.perf_counter() - start
        same = len({(Path(name) / str(n) / "skim.json").read_bytes() for n in took}) == 1
    print(f"{SAMPLE}, {EVENTS} events from generation to skim: {took[1]:.1f} s on one worker, {took[2]:.1f} s on two")
    print(f"speed-up {took[1] / took[2]:.2f}; manifests {'equal' if same else 'DIFFER'}")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", choices=["cluster", "jobs", "campaign", "speedup", []])
    parser.add_argument("--campaign", default="tiny", help="of the project's folder; tiny: the tests' own")
    told = parser.parse_args(arguments)
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["PYTHONPATH"] = os.pathsep.join((str(HERE), str(HERE.parents[1] / "src")))
    what = told.what or ["cluster", "jobs", "campaign", "speedup"]
    if "cluster" in what:
        cluster_costs()
    if "jobs" in what:
        job_costs()
    if "campaign" in what:
        campaign_costs(told.campaign)
    if "speedup" in what:
        speedup()


if __name__ == "__main__":
    main()
