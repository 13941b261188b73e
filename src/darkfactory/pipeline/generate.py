"""Stage: weighted truth events."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from darkfactory.core.errors import InputError
from darkfactory.core.seeds import generator
from darkfactory.execute.backends import Backend
from darkfactory.generate.chunk import GeneratedChunk, generate_chunk
from darkfactory.generate.parametric import generate_parametric_chunk
from darkfactory.pipeline.beams import nominal_frame
from darkfactory.pipeline.integrate import read_gridpack
from darkfactory.pipeline.parts import Progress, read_manifest, run_parts
from darkfactory.pipeline.processes import beams_of, point_process, process_config
from darkfactory.pipeline.request import Request
from darkfactory.pipeline.signal_sides import forced_lines, pair_spectrum, signal_side
from darkfactory.records.books import Book
from darkfactory.store.arrays import write_arrays

__all__ = ["chunk", "chunk_plan", "run"]


def chunk_plan(events: int, size: int) -> list[int]:
    """Events of each chunk; part of the plan, never of the machine.

    Example:
        >>> chunk_plan(45, 20)
        [20, 20, 5]
    """
    full, rest = divmod(events, size)
    return [size] * full + ([rest] if rest else [])


def _make(request: Request, item: dict[str, Any]) -> GeneratedChunk:
    spec = request.spec
    config = process_config(spec)
    rng = generator(spec["seed"], "generate", spec["sample"], item["point"], item["chunk"])
    if config.engine == "pythia":
        # the optional engine is imported only where a process asks for it
        from darkfactory.generate.pythia_engine import generate_pythia_chunk

        return generate_pythia_chunk(
            config.pythia,
            item["sigma"]["sigma_fb"],
            nominal_frame(spec["beams"]),
            item["n_events"],
            rng,
            item["chunk"],
            beams=beams_of(spec),
            signal=signal_side(spec, item["point"]),
            keep=config.filter,
            forced=forced_lines(spec, item["point"]),
            spectrum=pair_spectrum(spec),
        )
    if config.parametric is not None:
        return generate_parametric_chunk(config.parametric, item["n_events"], rng, item["chunk"])
    process = point_process(spec, item["point"])
    return generate_chunk(process, read_gridpack(item["path"]), item["n_events"], rng, item["chunk"])


def chunk(request: Request, item: dict[str, Any], path: Path) -> dict[str, Any]:
    """Generate one chunk."""
    made = _make(request, item)
    sumw = float(np.sum(np.asarray(made.events["weight"])))
    n = len(made.events)
    book = Book(made.n_events, n, n, made.n_events - n, sumw, sumw, 0.0, 0.0)
    return {
        "digest": write_arrays(path, made.events),
        "n_generated": made.n_events,
        "events": len(made.events),
        "sumw": made.sumw,
        "meta": {
            "tries": made.tries,
            "sigma_fb": item["sigma"]["sigma_fb"],
            "sigma_err_fb": item["sigma"]["sigma_err_fb"],
        },
        "book": asdict(book),
    }


def run(request: Request, backend: Backend, progress: Progress) -> None:
    """Generate all chunks of a block."""
    spec = request.spec
    source = request.input("gridpacks")
    packs = {p.point: p for p in read_manifest(source).parts}
    items = []
    for point in spec["points"]:
        if point not in packs:
            raise InputError(f"{source}: no gridpack of point {point}; delete the file and run again")
        pack = packs[point]
        for number, n in enumerate(chunk_plan(spec["events"], spec["chunk"])):
            items.append(
                {
                    "point": point,
                    "chunk": number,
                    "n_events": n,
                    "path": str(source.parent / pack.path),
                    "digest": pack.digest,
                    "sigma": {k: pack.meta[k] for k in ("sigma_fb", "sigma_err_fb")},
                }
            )
    run_parts(request, backend, progress, "darkfactory.pipeline.generate:chunk", items)
