"""Throughput against coffea, and against reading alone: one selection, one ROOT file, two workers each.

Run: ``python tests/benchmarks/bench_coffea.py [--rows N] [--coffea-python PATH]``, about two minutes on two free cores.
The file is a flat ntuple of muon pairs as basf2 writes them; the selection asks for two muons of opposite charge in the
acceptance and fills their recoil mass. All three do the same ranges of rows with the same NumPy function:

* reading alone: two processes read the columns with uproot and drop them, the limit that the format sets;
* coffea: ``Runner`` with a ``FuturesExecutor`` of two workers, BaseSchema, its pool included;
* ours: tasks on the run's Dask cluster (which is up, as in a run), the reader with its name map, a ledger entry
  for every chunk, sums by the fixed tree.

coffea is no requirement of the project: give the interpreter of an environment that has it.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
CHUNK, WORKERS, REPEAT = 100_000, 2, 3
P_BEAMS = (11.005, (0.4551, 0.0, 2.9987))
EDGES = np.linspace(0.0, 11.0, 111)
FIELDS = ("px", "py", "pz", "charge", "muonID")
BRANCHES = [f"mu{i}_{f}" for i in (0, 1) for f in FIELDS]
Columns = Mapping[str, Any]


def write_file(path: Path, rows: int) -> None:
    """Muon pairs, one candidate an event."""
    import uproot

    rng = np.random.default_rng(3)
    with uproot.recreate(path, compression=uproot.LZ4(1)) as file:
        tree = None
        for start in range(0, rows, 500_000):
            n = min(500_000, rows - start)
            columns: dict[str, Any] = {
                "__experiment__": np.full(n, 12, np.int32),
                "__run__": np.full(n, 3, np.int32),
                "__event__": np.arange(start, start + n, dtype=np.int32),
            }
            for i in (0, 1):
                columns |= {f"mu{i}_{name}": rng.normal(0, 1.5, n) for name in ("px", "py", "pz")}
                columns |= {f"mu{i}_charge": np.full(n, 1.0 - 2 * i), f"mu{i}_muonID": rng.uniform(0, 1, n)}
            if tree is None:
                tree = file.mktree("variables", {k: v.dtype for k, v in columns.items()})
            tree.extend(columns)


def select(c: Columns) -> np.ndarray:
    """The selection: counts by recoil mass."""
    keep = (c["mu0_charge"] * c["mu1_charge"] < 0) & (c["mu0_muonID"] > 0.2) & (c["mu1_muonID"] > 0.2)
    e = np.zeros(len(keep))
    p = []
    for axis in ("px", "py", "pz"):
        p.append(c[f"mu0_{axis}"] + c[f"mu1_{axis}"])
    for i in (0, 1):
        pt2 = c[f"mu{i}_px"] ** 2 + c[f"mu{i}_py"] ** 2
        p2 = pt2 + c[f"mu{i}_pz"] ** 2
        cosine = c[f"mu{i}_pz"] / np.sqrt(p2)
        keep &= (pt2 > 0.16) & (cosine > -0.86) & (cosine < 0.95)
        e += np.sqrt(p2 + 0.1056584**2)
    m2 = (P_BEAMS[0] - e) ** 2 - sum((a - b) ** 2 for a, b in zip(P_BEAMS[1], p, strict=True))
    return np.histogram(np.sqrt(np.maximum(m2[keep], 0.0)), EDGES)[0].astype(float)


def ranges(rows: int) -> list[tuple[int, int]]:
    """What one task does."""
    return [(a, min(a + CHUNK, rows)) for a in range(0, rows, CHUNK)]


# Reading alone ------------------------------------------------------------------------------------------------------


def read_range(path: str, start: int, stop: int) -> int:
    """Read the columns and drop them."""
    import uproot

    with uproot.open(path) as file:
        found = file["variables"].arrays(BRANCHES, entry_start=start, entry_stop=stop, library="np")
    return len(found[BRANCHES[0]])


def reading(path: str, rows: int) -> Callable[[], float]:
    """Two processes that are up, each with its libraries."""
    pool = ProcessPoolExecutor(WORKERS, mp_context=multiprocessing.get_context("spawn"))
    list(pool.map(read_range, [path] * WORKERS, [0] * WORKERS, [10] * WORKERS))

    def once() -> float:
        some = ranges(rows)
        start = time.perf_counter()
        done = sum(pool.map(read_range, [path] * len(some), [a for a, _ in some], [b for _, b in some]))
        assert done == rows
        return time.perf_counter() - start

    return once


# coffea -------------------------------------------------------------------------------------------------------------


def with_coffea(path: str, rows: int) -> None:
    """In the interpreter that has coffea: one line of JSON a time that this is asked for on standard input."""
    import warnings

    warnings.simplefilter("ignore")
    from coffea.nanoevents import BaseSchema
    from coffea.processor import FuturesExecutor, ProcessorABC, Runner

    class Recoil(ProcessorABC):
        def process(self, events: Any) -> Any:
            return {"recoil": select({b: np.asarray(events[b]) for b in BRANCHES})}

        def postprocess(self, accumulator: Any) -> Any:
            return accumulator

    # libraries talk on standard output
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    runner = Runner(
        FuturesExecutor(workers=WORKERS, status=False), schema=BaseSchema, chunksize=CHUNK, savemetrics=False
    )
    for _ in sys.stdin:
        start = time.perf_counter()
        out = runner({"data": {"files": {path: "variables"}}}, processor_instance=Recoil())
        took = time.perf_counter() - start
        answers.write(json.dumps({"took": took, "counts": np.asarray(out["recoil"]).tolist()}) + "\n")
        answers.flush()


# Ours ---------------------------------------------------------------------------------------------------------------


def chunk(request: Mapping[str, Any], start: int, stop: int) -> list[float]:
    """Counts of a range of rows; a task."""
    from darkfactory.config.load import read_yaml, validate
    from darkfactory.config.ntuples import NtupleMapConfig
    from darkfactory.store.ntuples import read_ntuple

    spec = request["spec"]
    names = validate(NtupleMapConfig, read_yaml(Path(spec["map"])))
    wanted = {f"mu{i}_{ours}": f"mu{i}_{f}" for i in (0, 1) for f, ours in zip(FIELDS, spec["fields"], strict=True)}
    found = read_ntuple(spec["path"], "variables", names, list(wanted), (start, stop))
    return [float(v) for v in select({theirs: found[ours] for ours, theirs in wanted.items()})]


def analyse(request: Mapping[str, Any], backend: Any, progress: Any) -> None:
    """The stage: a ledger entry for every chunk, one sum by the fixed tree."""
    from darkfactory.core.files import write_json
    from darkfactory.execute.backends import tree_reduce
    from darkfactory.pipeline.parts import recalled
    from darkfactory.pipeline.request import Request

    job = Request.from_dict(request)
    tasks = recalled(job, "bench_coffea:chunk", [[a, b] for a, b in ranges(job.spec["rows"])], "counts")
    counts = tree_reduce([np.array(c) for c in backend.map(tasks)], lambda a, b: a + b)
    write_json(job.output("counts"), counts.tolist())


def ours(path: str, rows: int, folder: Path) -> Callable[[], tuple[float, list[float]]]:
    """A stage request, as a job of a run sends it."""
    from darkfactory.core.files import read_json
    from darkfactory.execute.run import send

    number = 0

    def once() -> tuple[float, list[float]]:
        nonlocal number
        number += 1
        out = folder / f"counts{number}.json"
        spec = {
            "path": path, "rows": rows, "map": str(HERE.parents[1] / "config" / "ntuples" / "basf2.yaml"),
            "fields": ["px", "py", "pz", "charge", "id_mu"],
        }  # fmt: skip
        request = {"stage": "coffea", "inputs": {}, "outputs": {"counts": str(out)}, "spec": spec, "code": str(number)}
        start = time.perf_counter()
        assert send("bench_coffea:analyse", request)
        return time.perf_counter() - start, read_json(out)

    return once


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=3_000_000)
    parser.add_argument("--coffea-python", default=sys.executable)
    parser.add_argument("--child", default=None)
    told = parser.parse_args()
    if told.child is not None:
        with_coffea(told.child, told.rows)
        return
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["PYTHONPATH"] = os.pathsep.join((str(HERE), str(HERE.parents[1] / "src")))
    sys.path.insert(0, str(HERE))
    from darkfactory.execute.run import cluster

    with tempfile.TemporaryDirectory(prefix="darkfactory-coffea-") as name:
        path = Path(name) / "pairs.root"
        write_file(path, told.rows)
        child = [told.coffea_python, __file__, "--rows", str(told.rows), "--child", str(path)]
        peer = subprocess.Popen(child, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert peer.stdin is not None
        assert peer.stdout is not None
        times: dict[str, list[float]] = {"reading": [], "coffea": [], "ours": []}
        counts = {}
        with cluster(WORKERS, preload=["darkfactory.store.ntuples", "darkfactory.pipeline.parts"]):
            read, analysis = reading(str(path), told.rows), ours(str(path), told.rows, Path(name))
            for _ in range(REPEAT + 1):
                times["reading"].append(read())
                peer.stdin.write("go\n")
                peer.stdin.flush()
                answer = json.loads(peer.stdout.readline())
                times["coffea"].append(answer["took"])
                counts["coffea"] = answer["counts"]
                took, counts["ours"] = analysis()
                times["ours"].append(took)
        peer.terminate()
        peer.wait()
        assert counts["coffea"] == counts["ours"], "both must count the same"
        size = path.stat().st_size / 1e6
    # the first round warms caches and imports
    best = {k: min(v[1:]) for k, v in times.items()}
    print(f"{told.rows} rows, {len(BRANCHES)} columns, {size:.0f} MB, {WORKERS} workers, chunks of {CHUNK} rows")
    for k, v in best.items():
        every = ", ".join(f"{t:.2f}" for t in times[k][1:])
        print(f"{k:8s} {v:7.2f} s  {told.rows / v / 1e6:6.2f} M rows/s   all: {every}")
    ratios = {k: best[k] / best["ours"] for k in ("coffea", "reading")}
    print(f"ours over coffea {ratios['coffea']:.2f}, ours over reading {ratios['reading']:.2f}")


if __name__ == "__main__":
    main()
