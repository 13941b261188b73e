"""Sections of the report pages: datasets, measurements, combinations, scenarios, rates, from JSON and CSV."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from darkfactory.config.load import validate
from darkfactory.config.scenario import ScenarioFile
from darkfactory.core.files import read_json
from darkfactory.pipeline.datasets import compare_section
from darkfactory.pipeline.request import Request
from darkfactory.pipeline.scenarios import read_scenarios, write
from darkfactory.records.limits import ABOVE_MAXIMUM
from darkfactory.report.files import save_figure
from darkfactory.report.page import FigureEntry, Link, Section
from darkfactory.report.plots import Plot, limit_plots, plain, region_plots
from darkfactory.report.spectra import bars_figure
from darkfactory.report.style import DATA_LABELS, style
from darkfactory.store.tables import read_csv

__all__ = [
    "combination_section",
    "comparison_section",
    "dataset_section",
    "measurement_section",
    "rates_section",
    "scenario_section",
]

Row = Mapping[str, Any]

# a longer table is a file, not a page
_LONGEST_TABLE = 200
_MOST_CHANGES = 20
_FLAGS_NAMED = 5


# where the numbers behind a figure are, by the start of its name
_NUMBERS = (
    ("limit", "limits.csv"), ("map", "limits.csv"), ("significance", "limits.csv"), ("coupling", "couplings.csv"),
    ("region", "couplings.csv"), ("spectrum", "templates/model.json"), ("plane", "efficiency.csv"),
    ("efficiency", "efficiency.csv"), ("resolution", "efficiency.csv"), ("trigger", "trigger.json"),
    ("network", "network.json"), ("cutflow", "cutflow.json"), ("best_fit", "scan.json"), ("pulls", "scan.json"),
)  # fmt: skip


def _files(base: Path, index: Path, folder: Path, tables: Mapping[str, str] | None = None) -> list[FigureEntry]:
    """Figures of an index file, with the files of their numbers and their vector versions where these are there."""
    found = []
    for f in read_json(index)["figures"]:
        image = index.parent / f["file"]
        name = (tables or {}).get(f["file"]) or next((n for start, n in _NUMBERS if f["file"].startswith(start)), "")
        numbers, vector = base / name, image.with_suffix(".pdf")
        found.append(
            FigureEntry(
                os.path.relpath(image, folder),
                f["caption"],
                os.path.relpath(numbers, folder) if name and numbers.exists() else "",
                os.path.relpath(vector, folder) if vector.exists() else "",
            )
        )
    return found


def _counted(status: Mapping[str, int]) -> str:
    """Numbers by status, in words.

    Example:
        >>> _counted({"ok": 38, "no_sensitivity": 2})
        '38 ok, 2 no sensitivity'
    """
    return ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in status.items()) or "none"


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


def dataset_section(job: Request, entry: Mapping[str, Any], folder: Path) -> Section:
    """One dataset of a search: plots, figures, backgrounds, scan, diagnostics, couplings."""
    base = job.output("manifest").parent / entry["search"] / entry["dataset"]

    def at(name: str) -> str:
        return os.path.relpath(base / name, folder)

    figures = _files(base, base / "figures" / "index.json", folder)
    close = read_json(base / "diagnostics" / "index.json")
    figures += _files(base / "diagnostics", base / "diagnostics" / "index.json", folder, _diagnostic_files(close))
    limits = read_csv(base / "limits.csv")
    status: dict[str, int] = {}
    for row in limits:
        status[row["status"]] = status.get(row["status"], 0) + 1
    scan = read_json(base / "scan.json")
    blinding = job.spec.get("blinding", {}).get(f"{entry['search']}/{entry['dataset']}")
    opened = blinding is not None and blinding["state"] == "unblinded"
    said = DATA_LABELS["real"] if opened else f"{DATA_LABELS[job.spec['data']]}; nothing here is a measurement"
    notes = [f"Data: {said}. Luminosity {entry['luminosity_fb']:g} /fb. Limits: {_counted(status)}."]
    if blinding is not None:
        notes += _blinding_notes(blinding)
    notes += _flag_notes(limits)
    if entry["reference"]:
        notes.append(f"Setting of {entry['reference']}.")
    numbers = [
        {"file": Link(name, at(name))}
        for name in ("limits.csv", "couplings.csv", "efficiency.csv", "scan.json", "cutflow.json", "trigger.json")
    ]
    tables: dict[str, Sequence[Row]] = {
        "Numbers": numbers,
        "Backgrounds": _background_table(read_json(base / "cutflow.json")),
        "Scan": [{k: v for k, v in scan.items() if not isinstance(v, dict | list)}],
        "Diagnostics": _diagnostics_table(close),
    }
    labels = entry.get("labels", {})
    plots = limit_plots(limits, f"limits-{entry['search']}-{entry['dataset']}", {}, at("limits.csv"))
    if couplings := read_csv(base / "couplings.csv"):
        stem, source = f"couplings-{entry['search']}-{entry['dataset']}", at("couplings.csv")
        one_sided = [r for r in couplings if r["expected"] is not None]
        plots = [*limit_plots(one_sided, stem, labels, source), *region_plots(couplings, stem, labels, source), *plots]
        tables["Couplings"] = _coupling_table(couplings)
        if len(couplings) > _LONGEST_TABLE:
            notes.append(f"The page shows {_LONGEST_TABLE} of {len(couplings)} rows of couplings.csv.")
    else:
        notes.append("No model is interpreted: the limits are on what the search counts.")
    return Section(
        f"{entry['search']}-{entry['dataset']}",
        f"{entry['search']} / {entry['dataset']}",
        notes,
        figures,
        tables,
        plots,
    )


def _diagnostic_files(stored: Mapping[str, Any]) -> dict[str, str]:
    """Figure to the table of the diagnostic that it shows."""
    stems = {Path(e["table"]).stem: str(e["table"]) for e in stored["diagnostics"] if e.get("table")}
    return {f["file"]: t for f in stored["figures"] for stem, t in stems.items() if Path(f["file"]).stem == stem}


def measurement_section(job: Request, entry: Mapping[str, Any], folder: Path) -> Section:
    """A number with its uncertainty."""
    base = job.output("manifest").parent / entry["search"] / entry["dataset"]
    stored = read_json(base / "measurement.json")
    figures = _files(base, base / "measurement" / "index.json", folder)
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


def combination_section(path: Path, folder: Path) -> Section:
    """Searches of one model together."""
    stored = read_json(path)
    figures = _files(path.parent, path, folder, {f["file"]: "couplings.csv" for f in stored["figures"]})
    rows = read_csv(path.parent / "couplings.csv")
    wanted = (
        "input",
        "point",
        "quantity",
        "lower",
        "upper",
        "expected",
        "observed",
        "cl",
        "method",
        "status",
        "certified",
        "toy_error",
    )
    keep = [k for k in wanted if rows and k in rows[0]]
    shared = "; ".join(f"{p} ({', '.join(t)})" for p, t in stored["correlated"].items()) or "none"
    notes = [
        f"Inputs: {', '.join(stored['inputs'])}. Shared nuisance parameters, by tag: {shared}. "
        f"Combined limits: {_counted(stored['status'])}."
    ]
    if stored["absent"]:
        notes.append(f"Not in this campaign, hence left out: {', '.join(stored['absent'])}.")
    tables = {"Combined and single limits": [{k: r[k] for k in keep} for r in rows]}
    plots: list[Plot] = []
    source = os.path.relpath(path.parent / "couplings.csv", folder)
    if rows and "lower" in rows[0]:
        plots = region_plots(rows, f"combination-{stored['name']}", {}, source)
    elif rows:
        named = [r | {"model": r["input"], "hypothesis": "", "quantity": r["coupling"]} for r in rows]
        plots = limit_plots(named, f"combination-{stored['name']}", {}, source)[:1]
    name = f"combination-{stored['name']}"
    return Section(name, f"Combination: {plain(stored['title'])}", notes, figures, tables, plots)


def rates_section(path: Path, folder: Path) -> Section:
    """Trigger rates of a period."""
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
            file = save_figure(figure, folder, f"rates_{stored['period']}_{level}", ("png",))[0]
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


def comparison_section(job: Request, search: str, folder: Path) -> Section | None:
    """The datasets of a search side by side, None where it has one."""
    names = {e["dataset"]: e["luminosity_fb"] for e in job.spec["searches"] if e["search"] == search}
    if len(names) < 2:
        return None
    return compare_section(job.output("manifest").parent, folder, search, names, job.spec["data"])


_SCATTER = (
    "Expected limits here are those of the scans, whose nuisance parameters are pulled by the pseudo-data of each "
    "dataset: they scatter by that. `darkfactory scenarios` compares limits on what is expected."
)


def scenario_section(job: Request, search: str, folder: Path) -> Section | None:
    """Trigger scenarios of a search, None where the campaign has none."""
    told = job.spec.get("scenarios", {}).get(search)
    if told is None:
        return None
    file = validate(ScenarioFile, told, where=f"scenarios.{search}")
    at = job.output("manifest").parent / "scenarios" / search
    summary = write(read_scenarios(job.spec["campaign"], file), file, at, job.spec["data"])
    figures = _files(
        at, at / "index.json", folder, {f["file"]: "scenarios.csv" for f in read_json(at / "index.json")["figures"]}
    )
    return Section(
        f"scenarios-{search}",
        plain(file.title),
        [_SCATTER, *([file.note] if file.note else [])],
        figures,
        {"Scenarios": summary},
    )
