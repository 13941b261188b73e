"""Stage: L1 and HLT bits of a period's menu."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from darkfactory.config.load import validate
from darkfactory.config.trigger import TriggerMenu
from darkfactory.core.seeds import generator
from darkfactory.execute.backends import Backend
from darkfactory.pipeline.beams import nominal_frame
from darkfactory.pipeline.ledger import read_part
from darkfactory.pipeline.parts import Progress, input_items, missing_of, run_parts
from darkfactory.pipeline.request import Request
from darkfactory.records.books import make_book
from darkfactory.store.arrays import write_arrays
from darkfactory.trigger.emulate import emulate

__all__ = ["chunk", "run"]


def chunk(request: Request, item: dict[str, Any], path: Path) -> dict[str, Any]:
    """Emulate the trigger for one chunk."""
    menu = validate(TriggerMenu, request.spec["menu"], where="menu")
    frame = nominal_frame(request.spec["beams"])
    # one stream for all periods: scenarios that share lines share their decisions
    rng = generator(request.spec["seed"], "trigger", request.spec["sample"], item["point"], item["chunk"])
    skimmed = read_part(item["path"])
    events = emulate(skimmed, menu, frame, rng)
    return {
        "digest": write_arrays(path, events),
        "n_generated": item["n_generated"],
        "events": len(events),
        "sumw": float(np.sum(np.asarray(events["weight"]))),
        "meta": item["meta"],
        "book": asdict(make_book(skimmed["event_id"], skimmed["weight"], events["event_id"], events["weight"])),
    }


def run(request: Request, backend: Backend, progress: Progress) -> None:
    """Emulate the trigger for all chunks of a block."""
    source = request.input("skim")
    call = "darkfactory.pipeline.trigger:chunk"
    run_parts(request, backend, progress, call, input_items(source), missing=missing_of(source))
