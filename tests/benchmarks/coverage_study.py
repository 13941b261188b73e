"""Coverage at 90 % CL with nuisances: counting and a peak on a spectrum, by the method that the engine chooses.

Run: ``OMP_NUM_THREADS=1 python tests/benchmarks/coverage_study.py FOLDER [passes [kind ...]]``. Each pass adds data
sets to every entry of the kinds asked for (all if none is named): 500 to ``exact`` and ``asymptotic``, 100 to ``toys``
with 300 toys behind each. What is finished is kept in FOLDER and not made again. After each pass the maps are drawn and
the lowest entries printed.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from darkfactory.pipeline.coverage import map_entry, save_map

SIGNALS = (0.0, 0.5, 1.0, 2.0, 2.4, 3.0, 4.0, 6.0, 8.0, 12.0, 15.0)
# relative errors of the background of a counting, and of the signal
ERRORS = {0.5: 0.2, 3.0: 0.2, 10.0: 0.15, 100.0: 0.05}
SIGNAL_ERROR = 0.08
# limits of shapes are by toys below this many effective events
FEW = 12.0
SHAPES = (0.5, 3.0, 10.0, 12.0, 100.0)
CL = 0.9


def kind(shape: str, background: float) -> str:
    """How the limits of an entry are made."""
    if shape == "counting":
        return "exact"
    return "toys" if background < FEW else "asymptotic"


def settings(shape: str, background: float, part: int) -> dict[str, Any]:
    """Of one entry in one pass: its own random numbers."""
    return {
        "shape": shape, "cl": CL, "method": "auto", "toys": 100 if kind(shape, background) == "toys" else 500,
        "inner_toys": 300,
        "background_error": ERRORS.get(background, 0.0), "signal_error": SIGNAL_ERROR, "seed": 1000 + part,
    }  # fmt: skip


def together(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """One entry from its passes."""
    covered, toys = sum(p["covered"] for p in parts), sum(p["toys"] for p in parts)
    failed = sum(p["failed"] for p in parts)
    fraction, error = covered / toys, (CL * (1 - CL) / toys) ** 0.5
    return {**parts[0], "covered": covered, "toys": toys, "failed": failed, "coverage": fraction, "error": error}


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    passes = int(sys.argv[2]) if len(sys.argv) > 2 else 8
    entries = [("counting", b, s) for b in ERRORS for s in SIGNALS]
    kinds = sys.argv[3:] or ["exact", "asymptotic", "toys"]
    # by toys last: they take longest
    entries += [("bump", b, s) for b in sorted(SHAPES, reverse=True) for s in SIGNALS]
    known: dict[tuple[str, float, float], list[dict[str, Any]]] = {}
    for part in range(passes):
        for shape, background, signal in entries:
            if kind(shape, background) not in kinds:
                continue
            path = folder / f"{shape}_{background}_{signal}_{part:03d}.json"
            if not path.exists():
                made = map_entry(settings(shape, background, part), background, signal)
                path.write_text(json.dumps(made))
            known.setdefault((shape, background, signal), []).append(json.loads(path.read_text()))
        for shape in ("counting", "bump"):
            rows = [together(v) for (of, *_), v in known.items() if of == shape]
            if not rows:
                continue
            low, high = min(r["toys"] for r in rows), max(r["toys"] for r in rows)
            save_map(rows, {"shape": shape, "toys": f"{low} to {high}", "cl": CL}, folder)
            print(f"pass {part}, {shape}: {len(rows)} entries of {low} to {high} data sets, "
                  f"{sum(r['failed'] for r in rows)} failed, CPU {time.process_time():.0f} s")  # fmt: skip
            for r in sorted(rows, key=lambda r: (r["coverage"] - CL) / r["error"])[:4]:
                print(f"  b {r['background_events']:5.1f} s {r['signal_events']:4.1f} {r['method']:10s} "
                      f"{r['coverage']:.4f} +- {r['error']:.4f} of {r['toys']}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
