"""Stage: the report pages of a campaign and its manifest, from JSON and CSV only."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from darkfactory.core.files import write_json, write_text
from darkfactory.execute.backends import Backend
from darkfactory.pipeline.control_page import control_section
from darkfactory.pipeline.landing import landing_section
from darkfactory.pipeline.pages import (
    combination_section,
    comparison_section,
    dataset_section,
    measurement_section,
    rates_section,
    scenario_section,
)
from darkfactory.pipeline.parts import Progress
from darkfactory.pipeline.request import Request, provenance
from darkfactory.report.page import Link, Section, render_page
from darkfactory.report.plots import plain
from darkfactory.report.style import DATA_LABELS

__all__ = ["finish", "run"]


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _search_pages(job: Request, folder: Path) -> dict[str, list[Section]]:
    """Search to the sections of its page."""
    pages: dict[str, list[Section]] = {}
    for entry in job.spec["searches"]:
        pages.setdefault(entry["search"], []).append(dataset_section(job, entry, folder))
    for entry in job.spec["measurements"]:
        pages.setdefault(entry["search"], []).append(measurement_section(job, entry, folder))
    for entry in job.spec.get("controls", []):
        pages.setdefault(entry["search"], []).append(control_section(job, entry, folder))
    for search, sections in pages.items():
        more = comparison_section(job, search, folder), scenario_section(job, search, folder)
        sections += [s for s in more if s is not None]
    return pages


def finish(request: Mapping[str, Any]) -> None:
    """Write the pages and the manifest, on one worker."""
    job = Request.from_dict(request)
    page = job.output("report")
    folder = page.parent
    folder.mkdir(parents=True, exist_ok=True)
    base, references = job.output("manifest").parent, Path(job.spec["references"])
    said = DATA_LABELS[job.spec["data"]]
    sections = [landing_section(base, job.spec["searches"], references, said, job.spec["measurements"])]
    sections += [combination_section(path, folder) for path in job.input_list("combinations")]
    sections += [rates_section(path, folder) for path in job.input_list("rates")]
    made = provenance(job)
    sections.append(
        Section(
            "assumed",
            "Numbers that are assumed",
            ["What these results rest on without a published or measured value."],
            tables=dict(job.spec["assumed"]),
        )
    )
    versions = [{"package": k, "version": v} for k, v in made["versions"].items()]
    seeds = [{"campaign": job.spec["campaign"], "seed": job.spec["seed"], "configuration": made["key"]}]
    sections.append(Section("provenance", "Seeds and versions", tables={"Seed": seeds, "Versions": versions}))
    name = f"campaign {job.spec['campaign']}"
    pages = _search_pages(job, folder)
    links = [Link(name, page.name), *(Link(search, f"{search}.html") for search in pages)]
    entries = [*job.spec["searches"], *job.spec["measurements"], *job.spec.get("controls", [])]
    titles = {e["search"]: plain(e.get("title", e["search"])) for e in entries}
    for search, own in pages.items():
        lead = f"{search}, {name}"
        write_text(folder / f"{search}.html", render_page(titles[search], lead, own, links))
    write_text(page, render_page(f"darkfactory: {name}", job.spec["description"], sections, links))
    results = {}
    for entry in job.spec["searches"]:
        base = job.output("manifest").parent / entry["search"] / entry["dataset"]
        for name in ("limits.csv", "couplings.csv", "scan.json", "cutflow.json", "efficiency.csv"):
            results[f"{entry['search']}/{entry['dataset']}/{name}"] = _digest(base / name)
    for entry in job.spec["measurements"]:
        base = job.output("manifest").parent / entry["search"] / entry["dataset"]
        results[f"{entry['search']}/{entry['dataset']}/measurement.json"] = _digest(base / "measurement.json")
    for entry in job.spec.get("controls", []):
        base = job.output("manifest").parent / entry["search"] / entry["dataset"]
        results[f"{entry['search']}/{entry['dataset']}/corrections.json"] = _digest(base / "corrections.json")
    write_json(job.output("manifest"), {"results": results, "provenance": made})


def run(request: Request, backend: Backend, progress: Progress) -> None:
    """The page of the campaign."""
    backend.map([("darkfactory.pipeline.report:finish", (request.to_dict(),))])
    progress("report: done")
