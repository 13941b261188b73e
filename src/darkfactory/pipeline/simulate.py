"""Stage: truth events to reconstructed objects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from darkfactory.config.detector import DetectorConfig, SimulateOptions
from darkfactory.config.load import validate
from darkfactory.core.seeds import generator
from darkfactory.detector.simulate import simulate
from darkfactory.execute.backends import Backend
from darkfactory.pipeline.parts import Progress, input_items, run_parts
from darkfactory.pipeline.request import Request
from darkfactory.store.arrays import read_arrays, write_arrays

__all__ = ["chunk", "run"]


def chunk(request: Request, item: dict[str, Any], path: Path) -> dict[str, Any]:
    """Simulate one chunk."""
    detector = validate(DetectorConfig, request.spec["detector"], where="detector")
    options = validate(SimulateOptions, request.spec["options"], where="simulate")
    rng = generator(request.spec["seed"], "simulate", request.spec["sample"], item["point"], item["chunk"])
    events = simulate(read_arrays(item["path"]), detector, options, rng)
    return {
        "digest": write_arrays(path, events),
        "n_generated": item["n_generated"],
        "events": len(events),
        "sumw": float(np.sum(np.asarray(events["weight"]))),
        "meta": item["meta"],
    }


def run(request: Request, backend: Backend, progress: Progress) -> None:
    """Simulate all chunks of a block."""
    items = input_items(request.input("truth"))
    run_parts(request, backend, progress, "darkfactory.pipeline.simulate:chunk", items)
