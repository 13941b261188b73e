"""Peak memory of a worker against the size of the sample, stage by stage, from generation to selection.

Run: ``python tests/benchmarks/bench_memory.py [EVENTS ...] [--chunk N]``, by default 100000 and 1000000 events, chunks
of 10000. Each size has a process of its own that does all chunks of a stage one after the other, as a worker does; the
kernel's high-water mark of its resident memory is set back before every stage. Files of a stage are removed once the
next one has read them. 10^7 events take about an hour of one core and 15 GB of disk.
"""

from __future__ import annotations

import argparse
import importlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
W = {"sample": "belle2_pi0_gamma", "block": "all", "search": "alp_3gamma", "dataset": "belle2_445pb"}
# stage, name of its input, whose output that is
CHAIN = (
    ("integrate", "", ""), ("generate", "gridpacks", "integrate"), ("simulate", "truth", "generate"),
    ("skim", "reco", "simulate"), ("trigger", "skim", "skim"), ("preselect", "triggered", "trigger"),
    ("select", "preselected", "preselect"),
)  # fmt: skip


def high_water() -> float:
    """Largest resident memory since it was last set back, in MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise OSError("/proc/self/status does not tell VmHWM; this needs Linux")


def set_back() -> None:
    """Start the high-water mark from what is resident now."""
    Path("/proc/self/clear_refs").write_text("5")


def peaks(folder: Path, events: int, chunk: int) -> dict[str, dict[str, float]]:
    """Peak memory (MiB) and CPU seconds of every stage in this process."""
    from darkfactory.config.resolve import load_campaign
    from darkfactory.execute.backends import SerialBackend
    from darkfactory.pipeline.plan import Planner
    from darkfactory.pipeline.request import Request

    chosen: dict[str, Any] = {
        "searches": {W["search"]: [W["dataset"]]},
        "combinations": [],
        "events": {"samples": {W["sample"]: events}},
        "execution": {"chunk": chunk},
        # no training: all events reach the selection
        "overrides": {W["search"]: {"datasets": {W["dataset"]: {"network": None}}, "network": None}},
    }
    plan = Planner(load_campaign("tiny", config_dir=ROOT / "config", overrides=[chosen]))
    found: dict[str, dict[str, float]] = {}
    for stage, name, source in CHAIN:
        # the chain is that of one sample: no control samples beside it
        spec = getattr(plan, stage)(W | {"period": plan.period(W)}) | {"corrections": None}
        inputs = {name: str(folder / f"{source}.json")} if name else {}
        request = Request(stage, inputs, {"manifest": str(folder / f"{stage}.json")}, spec, "code")
        module = importlib.import_module(f"darkfactory.pipeline.{stage}")
        set_back()
        start = time.process_time()
        module.run(request, SerialBackend(), lambda text: None)
        found[stage] = {"peak_mib": high_water(), "cpu_s": time.process_time() - start}
        if source:
            shutil.rmtree((folder / f"{source}.json").with_suffix(".parts"))
    return found


def measure(events: Sequence[int], chunk: int) -> list[dict[str, dict[str, float]]]:
    """The same for several sizes, one after the other, in a process of their own."""
    with tempfile.TemporaryDirectory(prefix="darkfactory-memory-") as folder:
        command = [sys.executable, __file__, "--child", folder, "--chunk", str(chunk), *map(str, events)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    value: list[dict[str, dict[str, float]]] = json.loads(done.stdout.splitlines()[-1])
    return value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("events", nargs="*", type=int, default=[100_000, 1_000_000])
    parser.add_argument("--chunk", type=int, default=10_000)
    parser.add_argument("--child", type=Path, default=None)
    told = parser.parse_args()
    if told.child is not None:
        print(json.dumps([peaks(told.child / str(n), n, told.chunk) for n in told.events]))
        return
    measured = {n: measure([n], told.chunk)[0] for n in told.events}
    first = measured[told.events[0]]
    print(f"peak resident memory in MiB, chunks of {told.chunk} events; CPU seconds of the largest sample")
    print(f"{'stage':10s}" + "".join(f"{n:>12,d}" for n in measured) + f"{'ratio':>8s}{'CPU / s':>9s}")
    for stage in first:
        values = [m[stage]["peak_mib"] for m in measured.values()]
        cpu = measured[told.events[-1]][stage]["cpu_s"]
        print(f"{stage:10s}" + "".join(f"{v:12.0f}" for v in values) + f"{values[-1] / values[0]:8.2f}{cpu:9.1f}")


if __name__ == "__main__":
    main()
