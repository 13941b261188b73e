"""Stage: loose preselections shared by searches; keeps the objects that a trigger sees."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from darkfactory.config.load import validate
from darkfactory.config.skim import SkimConfig
from darkfactory.execute.backends import Backend
from darkfactory.pipeline.beams import nominal_frame
from darkfactory.pipeline.parts import Progress, input_items, run_parts
from darkfactory.pipeline.request import Request
from darkfactory.skim.skim import skim_any
from darkfactory.store.arrays import read_arrays, write_arrays

__all__ = ["chunk", "run"]


def chunk(request: Request, item: dict[str, Any], path: Path) -> dict[str, Any]:
    """Skim one chunk."""
    configs = {n: validate(SkimConfig, s, where=f"skims.{n}") for n, s in request.spec["skims"].items()}
    kept, flows = skim_any(read_arrays(item["path"]), configs, nominal_frame(request.spec["beams"]))
    return {
        "digest": write_arrays(path, kept),
        "n_generated": item["n_generated"],
        "events": len(kept),
        "sumw": float(np.sum(np.asarray(kept["weight"]))),
        "meta": item["meta"] | {"skim": {name: flow.to_dict() for name, flow in flows.items()}},
    }


def run(request: Request, backend: Backend, progress: Progress) -> None:
    """Skim all chunks of a block."""
    items = input_items(request.input("reco"))
    run_parts(request, backend, progress, "darkfactory.pipeline.skim:chunk", items)
