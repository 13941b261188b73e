"""Stage: loose preselections shared by searches; keeps the objects that a trigger sees."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from darkfactory.config.load import validate
from darkfactory.config.skim import SkimConfig
from darkfactory.execute.backends import Backend
from darkfactory.pipeline.beams import nominal_frame
from darkfactory.pipeline.ledger import read_part
from darkfactory.pipeline.parts import Progress, input_items, missing_of, run_parts
from darkfactory.pipeline.request import Request
from darkfactory.records.books import make_book
from darkfactory.skim.skim import skim_any
from darkfactory.store.arrays import write_arrays

__all__ = ["chunk", "run"]


def chunk(request: Request, item: dict[str, Any], path: Path) -> dict[str, Any]:
    """Skim one chunk."""
    configs = {n: validate(SkimConfig, s, where=f"skims.{n}") for n, s in request.spec["skims"].items()}
    events = read_part(item["path"])
    kept, flows = skim_any(events, configs, nominal_frame(request.spec["beams"]))
    return {
        "digest": write_arrays(path, kept),
        "n_generated": item["n_generated"],
        "events": len(kept),
        "sumw": float(np.sum(np.asarray(kept["weight"]))),
        "meta": item["meta"] | {"skim": {name: flow.to_dict() for name, flow in flows.items()}},
        "book": asdict(make_book(events["event_id"], events["weight"], kept["event_id"], kept["weight"])),
    }


def run(request: Request, backend: Backend, progress: Progress) -> None:
    """Skim all chunks of a block."""
    source = request.input("reco")
    call = "darkfactory.pipeline.skim:chunk"
    run_parts(request, backend, progress, call, input_items(source), missing=missing_of(source))
