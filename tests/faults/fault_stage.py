"""A stage for the tests of faults: parts of a few numbers; what a chunk does besides is in its item."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np

from darkfactory.pipeline.ledger import read_part
from darkfactory.pipeline.parts import run_parts
from darkfactory.pipeline.request import Request
from darkfactory.records.manifest import Manifest
from darkfactory.store.arrays import write_arrays

CALL = "fault_stage:chunk"


def once(path: str) -> bool:
    """True the first time that it is asked, whoever asks."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


def chunk(request: Request, item: dict[str, Any], path: Path) -> dict[str, Any]:
    """Write a part of numbers that depend on the chunk only, or break as the item says."""
    what, flag = item.get("path_fault", ""), item.get("path_flag", "")
    with path.with_name("calls.log").open("a") as log:
        log.write(f"{item['chunk']} ")
    if what == "kill" or (what == "kill once" and once(flag)):
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "memory":
        time.sleep(len(np.ones(int(2e9))) * 1e-9)
    if what == "hang":
        time.sleep(600)
    if what == "slow":
        time.sleep(float(flag))
    if what == "full" or (what == "full once" and once(flag)):
        raise OSError(28, "No space left on device", str(path))
    if what == "wait":
        # until the test says go on
        while not Path(flag).exists():
            time.sleep(0.02)
    rng = np.random.default_rng(item["chunk"])
    events = ak.Array({"x": rng.normal(size=50), "weight": np.ones(50)})
    source = item.get("path")
    if source:
        events = ak.with_field(read_part(source), rng.normal(size=50), "y")
    return {"digest": write_arrays(path, events), "n_generated": 50, "events": 50, "sumw": 50.0, "meta": item["meta"]}


def request_for(folder: Path, stage: str = "skim", **spec: Any) -> Request:
    """A request of this stage."""
    base = {"sample": "s", "block": "all", "points": ["all"], "seed": 7}
    return Request(stage, {}, {"manifest": str(folder / f"{stage}.json")}, base | spec, "code")


def items_for(n: int, faults: Mapping[int, Sequence[str]] | None = None, **meta: Any) -> list[dict[str, Any]]:
    """Items of chunks; a fault is a kind and a path."""
    found = []
    for i in range(n):
        kind, flag = (faults or {}).get(i, ("", ""))
        found.append({"point": "all", "chunk": i, "path_fault": kind, "path_flag": str(flag), "meta": dict(meta)})
    return found


def make(request: Mapping[str, Any], backend: Any, progress: Any) -> None:
    """The stage, as a door calls it."""
    job = Request.from_dict(request["job"])
    run_parts(job, backend, progress, CALL, request["items"])


def run(request: Request, items: Sequence[Mapping[str, Any]], backend: Any) -> Manifest:
    """The stage in this process."""
    return run_parts(request, backend, lambda text: None, CALL, items)


def calls(request: Request) -> list[int]:
    """Chunks that were worked on, in order, in all runs so far."""
    log = request.output("manifest").with_suffix(".parts") / "calls.log"
    return [int(n) for n in log.read_text().split()] if log.exists() else []
