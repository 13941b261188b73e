"""Stage: the report page of a campaign and its manifest, from JSON and CSV only."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from darkfactory.core.files import atomic_path, read_json, write_json, write_text
from darkfactory.execute.backends import Backend
from darkfactory.pipeline.datasets import compare_section
from darkfactory.pipeline.landing import landing_section
from darkfactory.pipeline.parts import Progress
from darkfactory.pipeline.request import Request, provenance
from darkfactory.records.limits import ABOVE_MAXIMUM
from darkfactory.report.page import FigureEntry, Link, Section, render_page
from darkfactory.report.spectra import bars_figure
from darkfactory.report.style import DATA_LABELS, style
from darkfactory.store.tables import read_csv

__all__ = ["finish", "run"]

Row = Mapping[str, Any]

# a longer table is a file, not a page
_LONGEST_TABLE = 200
_MOST_CHANGES = 20
_FLAGS_NAMED = 5


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _coupling_table(rows: Sequence[Row]) -> list[dict[str, Any]]:
    keep = ("model", "point", "expected", "observed", "lower", "upper", "cl", "method", "status", "flag")
    return [{k: r.get(k) for k in keep} for r in rows[:_LONGEST_TABLE]]


def _flag_notes(limits: Sequence[Row]) -> list[str]:
    """What the page says of limits that constrain nothing."""
    above = [r["point"] for r in limits if r.get("flag") == ABOVE_MAXIMUM]
    if not above:
        return []
    names = list(dict.fromkeys(above))
    named = ", ".join(names[:_FLAGS_NAMED]) + (", ..." if len(names) > _FLAGS_NAMED else "")
    return [
        f"{len(above)} limits are above the largest value that their quantity can have and constrain nothing (flag "
        f"{ABOVE_MAXIMUM}): {named}."
    ]


def _background_table(stored: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "background": name,
            "generated": b["generated"],
            "cross-section [pb]": b["sigma_fb"] / 1e3,
            "selected candidates": b["candidates"],
            "expected events": b["selected_fb"] * stored["luminosity_fb"],
            "equivalent luminosity [/fb]": b["equivalent_luminosity_fb"],
        }
        for name, b in stored["backgrounds"].items()
    ]


def _diagnostics_table(stored: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the diagnostics found, one row each; its table's file beside the figures."""
    rows = []
    for entry in stored["diagnostics"]:
        said = "; ".join(
            f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in entry["summary"].items() if v is not None
        )
        rows.append(
            {
                "point": entry["point"],
                "diagnostic": entry["kind"],
                "result": entry.get("failed", said),
                "table": entry.get("table"),
            }
        )
    return rows


def _blinding_notes(blinding: Mapping[str, Any]) -> list[str]:
    """The state of recorded data, and what changed after they were opened."""
    if blinding["state"] == "blinded":
        return ["The recorded data are blinded: nobody has opened them."]
    signed = f"{blinding['time']} by {blinding['by']}: {blinding['reason']} (record {blinding['record'][:16]})"
    notes = [f"Unblinded on {signed}."]
    if blinding["changed"]:
        shown, more = blinding["changed"][:_MOST_CHANGES], len(blinding["changed"]) - _MOST_CHANGES
        rest = f"; and {more} more" if more > 0 else ""
        notes.append(f"Changed since the unblinding: {'; '.join(shown)}{rest}.")
    return notes


def _dataset(job: Request, entry: Mapping[str, Any], folder: Path) -> Section:
    base = job.output("manifest").parent / entry["search"] / entry["dataset"]
    figures = [
        FigureEntry(os.path.relpath(base / "figures" / f["file"], folder), f["caption"])
        for f in read_json(base / "figures" / "index.json")["figures"]
    ]
    close = read_json(base / "diagnostics" / "index.json")
    figures += [
        FigureEntry(os.path.relpath(base / "diagnostics" / f["file"], folder), f["caption"]) for f in close["figures"]
    ]
    limits = read_csv(base / "limits.csv")
    status: dict[str, int] = {}
    for row in limits:
        status[row["status"]] = status.get(row["status"], 0) + 1
    scan = read_json(base / "scan.json")
    blinding = job.spec["blinding"].get(f"{entry['search']}/{entry['dataset']}")
    opened = blinding is not None and blinding["state"] == "unblinded"
    said = DATA_LABELS["real"] if opened else f"{DATA_LABELS[job.spec['data']]}; nothing here is a measurement"
    notes = [f"Data: {said}. Luminosity {entry['luminosity_fb']:g} /fb. Limits by status: {status}."]
    if blinding is not None:
        notes += _blinding_notes(blinding)
    notes += _flag_notes(limits)
    if entry["reference"]:
        notes.append(f"Setting of {entry['reference']}.")
    numbers = [
        {"file": Link(name, os.path.relpath(base / name, folder))}
        for name in ("limits.csv", "couplings.csv", "efficiency.csv", "scan.json", "cutflow.json", "trigger.json")
    ]
    tables: dict[str, Sequence[Row]] = {
        "Numbers": numbers,
        "Backgrounds": _background_table(read_json(base / "cutflow.json")),
        "Scan": [{k: v for k, v in scan.items() if not isinstance(v, dict | list)}],
        "Diagnostics": _diagnostics_table(close),
    }
    if couplings := read_csv(base / "couplings.csv"):
        tables["Couplings"] = _coupling_table(couplings)
        if len(couplings) > _LONGEST_TABLE:
            notes.append(f"The page shows {_LONGEST_TABLE} of {len(couplings)} rows of couplings.csv.")
    else:
        notes.append("No model is interpreted: the limits are on what the search counts.")
    return Section(
        f"{entry['search']}-{entry['dataset']}", f"{entry['search']} / {entry['dataset']}", notes, figures, tables
    )


def _measurement(job: Request, entry: Mapping[str, Any], folder: Path) -> Section:
    """A number with its uncertainty."""
    base = job.output("manifest").parent / entry["search"] / entry["dataset"]
    stored = read_json(base / "measurement.json")
    figures = [
        FigureEntry(os.path.relpath(base / "measurement" / f["file"], folder), f["caption"])
        for f in read_json(base / "measurement" / "index.json")["figures"]
    ]
    toys = stored["toys"]
    notes = [
        f"Data: {DATA_LABELS[stored['data']]}, simulated events of {stored['data_luminosity_fb']:.3g} /fb; nothing "
        f"here is a measurement. Generated {1e3 * stored['generated']:.2f} MeV, found {1e3 * stored['measured']:.2f} "
        f"+- {stored['error_mev']:.2f} MeV (statistics of these events, of calibration and control samples).",
        f"With {entry['luminosity_fb']:g} /fb the statistical error would be {toys['error_mev']:.3f} MeV; pulls of "
        f"{toys['converged']} pseudo-experiments: mean {toys['pull_mean']:.2f}, width {toys['pull_width']:.2f}. "
        f"Systematic error: {stored['systematic_mev']:.3f} MeV.",
    ]
    if entry["reference"]:
        notes.append(f"Setting of {entry['reference']}.")
    tables: dict[str, Sequence[Row]] = {
        "Systematic errors": [
            {"error": r["name"], "size [MeV]": r["mev"], "source": r["source"]} for r in stored["systematics"]
        ],
        "Corrections": [{"correction": name, **c} for name, c in stored["corrections"].items()],
    }
    name = f"{entry['search']}-{entry['dataset']}"
    return Section(name, f"{entry['search']} / {entry['dataset']}", notes, figures, tables)


def _combination(path: Path, folder: Path) -> Section:
    """Searches of one model together."""
    stored = read_json(path)
    figures = [FigureEntry(os.path.relpath(path.parent / f["file"], folder), f["caption"]) for f in stored["figures"]]
    rows = read_csv(path.parent / "couplings.csv")
    keep = ("input", "point", "expected", "observed", "cl", "method", "status", "certified")
    shared = "; ".join(f"{p} ({', '.join(t)})" for p, t in stored["correlated"].items()) or "none"
    notes = [
        f"Inputs: {', '.join(stored['inputs'])}. Shared nuisance parameters, by tag: {shared}. "
        f"Combined limits by status: {stored['status']}."
    ]
    if stored["absent"]:
        notes.append(f"Not in this campaign, hence left out: {', '.join(stored['absent'])}.")
    tables = {"Combined and single limits": [{k: r[k] for k in keep} for r in rows]}
    return Section(f"combination-{stored['name']}", f"Combination: {stored['name']}", notes, figures, tables)


def _rates(path: Path, folder: Path) -> Section:
    stored = read_json(path)
    figures = []
    with style():
        for level in ("l1", "hlt"):
            rates = {r["line"]: r["rate_hz"] for r in stored[level]["lines"] if r["rate_hz"] > 0}
            if not rates:
                continue
            limit = stored[level]["limit_hz"]
            title = f"{stored['menu']}, {level.upper()}: {stored[level]['total_hz']:.0f} Hz in all"
            if limit:
                title += f", limit {limit / 1e3:g} kHz"
            figure = bars_figure(rates, xlabel="rate after prescale [Hz]", title=title)
            file = folder / f"rates_{stored['period']}_{level}.png"
            with atomic_path(file) as tmp:
                figure.savefig(tmp, format="png")
            figures.append(FigureEntry(file.name, f"Rates of the {level.upper()} lines in {stored['period']}"))
    rows = [
        {"level": level, "process": p, "rate [Hz]": v}
        for level in ("l1", "hlt")
        for p, v in sorted(stored[level]["processes_hz"].items(), key=lambda i: -i[1])
    ]
    note = f"At {stored['luminosity_1e34']:g}e34 /cm2/s, from collisions only; beam background adds to this."
    return Section(
        f"rates-{stored['period']}", f"Trigger rates, {stored['period']}", [note], figures, {"By process": rows}
    )


def _comparisons(job: Request, folder: Path) -> list[Section]:
    """One section for each search with several datasets."""
    datasets: dict[str, dict[str, float]] = {}
    for entry in job.spec["searches"]:
        datasets.setdefault(entry["search"], {})[entry["dataset"]] = entry["luminosity_fb"]
    base = job.output("manifest").parent
    made = [
        compare_section(base, folder, search, names, job.spec["data"])
        for search, names in datasets.items()
        if len(names) > 1
    ]
    return [section for section in made if section is not None]


def finish(request: Mapping[str, Any]) -> None:
    """Write the page and the manifest, on one worker."""
    job = Request.from_dict(request)
    page = job.output("report")
    folder = page.parent
    folder.mkdir(parents=True, exist_ok=True)
    base, references = job.output("manifest").parent, Path(job.spec["references"])
    said = DATA_LABELS[job.spec["data"]]
    sections = [landing_section(base, job.spec["searches"], references, said, job.spec["measurements"])]
    sections += [_dataset(job, entry, folder) for entry in job.spec["searches"]]
    sections += [_measurement(job, entry, folder) for entry in job.spec["measurements"]]
    sections += _comparisons(job, folder)
    sections += [_combination(path, folder) for path in job.input_list("combinations")]
    sections += [_rates(path, folder) for path in job.input_list("rates")]
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
    title = f"darkfactory: campaign {job.spec['campaign']}"
    write_text(page, render_page(title, job.spec["description"], sections))
    results = {}
    for entry in job.spec["searches"]:
        base = job.output("manifest").parent / entry["search"] / entry["dataset"]
        for name in ("limits.csv", "couplings.csv", "scan.json", "cutflow.json", "efficiency.csv"):
            results[f"{entry['search']}/{entry['dataset']}/{name}"] = _digest(base / name)
    for entry in job.spec["measurements"]:
        base = job.output("manifest").parent / entry["search"] / entry["dataset"]
        results[f"{entry['search']}/{entry['dataset']}/measurement.json"] = _digest(base / "measurement.json")
    write_json(job.output("manifest"), {"results": results, "provenance": made})


def run(request: Request, backend: Backend, progress: Progress) -> None:
    """The page of the campaign."""
    backend.map([("darkfactory.pipeline.report:finish", (request.to_dict(),))])
    progress("report: done")
