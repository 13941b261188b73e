"""Stage: rates of a period's menu, from simulated events before any skim."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from darkfactory.config.load import validate
from darkfactory.config.trigger import TriggerMenu
from darkfactory.core.files import read_json, write_json
from darkfactory.core.seeds import generator
from darkfactory.execute.backends import Backend, tree_reduce
from darkfactory.pipeline.beams import nominal_frame
from darkfactory.pipeline.ledger import read_part
from darkfactory.pipeline.parts import Progress, input_items
from darkfactory.pipeline.request import Request, provenance
from darkfactory.trigger.emulate import emulate
from darkfactory.trigger.rates import Accepted, LevelRates, accepted, rates

__all__ = ["chunk", "run"]


def chunk(request: Mapping[str, Any], item: Mapping[str, Any]) -> dict[str, Any]:
    """What the menu keeps of one chunk."""
    job = Request.from_dict(request)
    menu = validate(TriggerMenu, job.spec["menu"], where="menu")
    rng = generator(job.spec["seed"], "rates", item["sample"], item["chunk"])
    events = emulate(read_part(item["path"]), menu, nominal_frame(job.spec["beams"]), rng)
    return accepted(events, menu, generated=item["n_generated"]).to_dict()


def _level(level: LevelRates) -> dict[str, Any]:
    lines = [
        {
            "line": r.line,
            "prescale": r.prescale,
            "rate_hz": r.rate,
            "error_hz": r.error,
            "unique_hz": r.unique,
            "cumulative_hz": r.cumulative,
            "processes_hz": dict(r.processes),
        }
        for r in level.lines
    ]
    return {
        "lines": lines,
        "total_hz": level.total,
        "error_hz": level.error,
        "limit_hz": level.limit,
        "processes_hz": dict(level.processes),
    }


def run(request: Request, backend: Backend, progress: Progress) -> None:
    """Rates of all lines of both levels, by process."""
    sums: dict[str, Accepted] = {}
    for path in request.input_list("reco"):
        sample = str(read_json(path)["sample"])
        items = [item | {"sample": sample} for item in input_items(Path(path))]
        tasks = [("darkfactory.pipeline.rates:chunk", (request.to_dict(), item)) for item in items]
        progress(f"rates: {sample}")
        done = backend.map(tasks)
        sums[sample] = tree_reduce([Accepted.from_dict(d) for d in done], lambda a, b: a + b)
    menu = validate(TriggerMenu, request.spec["menu"], where="menu")
    result = rates(sums, menu, request.spec["luminosity_1e34"])
    value = {
        "period": request.spec["period"],
        "menu": result.menu,
        "luminosity_1e34": result.luminosity,
        "l1": _level(result.l1),
        "hlt": _level(result.hlt),
        "sums": {name: a.to_dict() for name, a in sums.items()},
        "provenance": provenance(request),
    }
    write_json(request.output("rates"), value)
