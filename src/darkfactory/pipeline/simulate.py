"""Stage: truth events to reconstructed objects."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from darkfactory.config.detector import DetectorConfig, SimulateOptions
from darkfactory.config.load import validate
from darkfactory.core.seeds import generator
from darkfactory.detector.simulate import simulate
from darkfactory.execute.backends import Backend
from darkfactory.pipeline.ledger import read_part
from darkfactory.pipeline.parts import Progress, input_items, missing_of, run_parts
from darkfactory.pipeline.request import Request
from darkfactory.records.books import make_book
from darkfactory.store.arrays import write_arrays

__all__ = ["chunk", "run"]


def chunk(request: Request, item: dict[str, Any], path: Path) -> dict[str, Any]:
    """Simulate one chunk."""
    detector = validate(DetectorConfig, request.spec["detector"], where="detector")
    options = validate(SimulateOptions, request.spec["options"], where="simulate")
    rng = generator(request.spec["seed"], "simulate", request.spec["sample"], item["point"], item["chunk"])
    truth = read_part(item["path"])
    events = simulate(truth, detector, options, rng)
    return {
        "digest": write_arrays(path, events),
        "n_generated": item["n_generated"],
        "events": len(events),
        "sumw": float(np.sum(np.asarray(events["weight"]))),
        "meta": item["meta"],
        "book": asdict(make_book(truth["event_id"], truth["weight"], events["event_id"], events["weight"])),
    }


def run(request: Request, backend: Backend, progress: Progress) -> None:
    """Simulate all chunks of a block."""
    source = request.input("truth")
    call = "darkfactory.pipeline.simulate:chunk"
    run_parts(request, backend, progress, call, input_items(source), missing=missing_of(source))
