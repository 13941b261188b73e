"""Stage: candidates of a search, with the probability that its trigger lines keep them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from darkfactory.config.load import validate
from darkfactory.config.search import TriggerChoice
from darkfactory.config.selection import SelectionConfig
from darkfactory.config.trigger import TriggerMenu
from darkfactory.execute.backends import Backend
from darkfactory.pipeline.beams import nominal_frame
from darkfactory.pipeline.ledger import read_part
from darkfactory.pipeline.parts import Progress, input_items, missing_of, run_parts
from darkfactory.pipeline.request import Request
from darkfactory.records.books import make_book
from darkfactory.select.preselect import preselect
from darkfactory.select.registry import find_observable
from darkfactory.store.arrays import write_table
from darkfactory.trigger.emulate import line_weight
from darkfactory.trigger.menu import Level

__all__ = ["chunk", "run", "trigger_profile"]

_PROFILE_BINS = 20


def chunk(request: Request, item: dict[str, Any], path: Path) -> dict[str, Any]:
    """Select the candidates of one chunk; ``weight`` has the trigger folded in, ``weight_untriggered`` not."""
    selection = validate(SelectionConfig, request.spec["selection"], where="selection")
    choice = validate(TriggerChoice, request.spec["trigger"], where="trigger")
    menu = validate(TriggerMenu, request.spec["menu"], where="menu")
    events = read_part(item["path"])
    selected = preselect(events, selection, nominal_frame(request.spec["beams"]))
    columns = dict(selected.columns)
    kept = line_weight(columns["l1"], menu, "l1", choice.l1) * line_weight(columns["hlt"], menu, "hlt", choice.hlt)
    if choice.plateau is not None:
        kept = kept * choice.plateau.value
    if item["meta"].get("data") == "real":
        # recorded events were triggered: they count as they are
        kept = np.ones_like(kept)
    columns["weight_untriggered"] = columns["weight"]
    columns["weight"] = columns["weight"] * kept
    lines = {
        name: float(np.sum(columns["weight_untriggered"] * line_weight(columns[level], menu, level, [name])))
        for level, names in _levels(choice)
        for name in names
    }
    lines |= {"all": float(np.sum(columns["weight_untriggered"])), "any": float(np.sum(columns["weight"]))}
    profiles = {
        n: trigger_profile(columns, n, find_observable(selection.candidate, n).range)
        for n in selection.trigger_profiles
    }
    n_minus_1 = [
        {"cut": h.cut, "observable": h.observable, "edges": h.edges.tolist(), "sumw": h.sumw.tolist()}
        for h in selected.n_minus_1
    ]
    return {
        "digest": write_table(path, columns),
        "n_generated": item["n_generated"],
        "events": len(columns["weight"]),
        "sumw": float(np.sum(columns["weight"])),
        "meta": item["meta"]
        | {"cutflow": selected.cutflow.to_dict(), "n_minus_1": n_minus_1, "trigger": lines}
        | ({"trigger_profiles": profiles} if profiles else {}),
        "book": asdict(make_book(events["event_id"], events["weight"], columns["event_id"], columns["weight"])),
    }


def trigger_profile(columns: Mapping[str, np.ndarray], name: str, span: tuple[float, float]) -> dict[str, list[float]]:
    """Weight by an observable in equal bins, all of it and what the trigger keeps; beyond the range is left out.

    Example:
        >>> columns = {"x": np.array([0.06, 0.11, 0.92]), "weight_untriggered": np.ones(3), "weight": np.full(3, 0.5)}
        >>> told = trigger_profile(columns, "x", (0.0, 1.0))
        >>> (told["all"][1:5], told["kept"][18])
        ([1.0, 1.0, 0.0, 0.0], 0.5)
    """
    edges = np.linspace(*span, _PROFILE_BINS + 1)
    all_, kept = (np.histogram(columns[name], edges, weights=columns[w])[0] for w in ("weight_untriggered", "weight"))
    return {"edges": edges.tolist(), "all": all_.tolist(), "kept": kept.tolist()}


def _levels(choice: TriggerChoice) -> list[tuple[Level, tuple[str, ...]]]:
    return [("l1", choice.l1), ("hlt", choice.hlt)]


def run(request: Request, backend: Backend, progress: Progress) -> None:
    """Select the candidates of all chunks of a block."""
    source = request.input("triggered")
    call = "darkfactory.pipeline.preselect:chunk"
    run_parts(request, backend, progress, call, input_items(source), missing=missing_of(source))
