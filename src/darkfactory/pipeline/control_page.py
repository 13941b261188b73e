"""The section of a control sample on the report's pages."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from darkfactory.core.files import read_json
from darkfactory.pipeline.request import Request
from darkfactory.report.page import FigureEntry, Link, Section
from darkfactory.report.style import DATA_LABELS

__all__ = ["control_section"]

Row = Mapping[str, Any]


def control_section(job: Request, entry: Mapping[str, Any], folder: Path) -> Section:
    """Corrections from a control sample."""
    base = job.output("manifest").parent / entry["search"] / entry["dataset"]
    stored = read_json(base / "control.json")
    figures = [
        FigureEntry(os.path.relpath(base / "control" / f["file"], folder), f["caption"])
        for f in read_json(base / "control" / "index.json")["figures"]
    ]
    response = f", simulated with the response {stored['response']}" if stored["response"] else ""
    notes = [
        f"{entry['title']}. Data: {DATA_LABELS[stored['data']]}, sample {stored['sample']}{response}. Errors are those "
        "of the events that there are, in data and simulation.",
        f"Used by {', '.join(entry['used_by']) or 'no search of this campaign'}.",
    ]
    tables: dict[str, Sequence[Row]] = {
        "Numbers": [{"file": Link(n, os.path.relpath(base / n, folder))} for n in ("corrections.json", "control.json")]
    }
    for name, one in stored["corrections"].items():
        tables[f"Correction {name}: {one['description']}"] = [
            {axis: f"{low:g} to {high:g}" for axis, (low, high) in b["bin"].items()}
            | {k: b[k] for k in ("data", "simulation", "factor", "statistical", "systematic")}
            | {"own events": "yes" if b["own"] else "no: of all bins"}
            for b in one["bins"]
        ]
    name = f"{entry['search']}-{entry['dataset']}"
    return Section(name, f"{entry['search']} / {entry['dataset']}", notes, figures, tables)
