"""The first table of the report page: every dataset in one row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from darkfactory.core.files import read_json
from darkfactory.interpret.comparison import compare_rows, ratio_summary
from darkfactory.report.page import Link, Section
from darkfactory.report.plots import plain
from darkfactory.store.tables import read_csv, read_reference

__all__ = ["landing_row", "landing_section", "measurement_row"]

Row = Mapping[str, Any]


def _named(row: Row, labels: Mapping[str, str]) -> str:
    """What a limit is on: the symbol of a coupling where the model has one, with its unit and confidence level."""
    quantity = str(row["quantity"]).removesuffix("_expected").replace("_", " ")
    named = plain(labels.get(str(row.get("model")), "")) or (f"{quantity} [{row['unit']}]" if row["unit"] else quantity)
    return f"{named}, {row['cl']:.0%} CL"


def _region(rows: Sequence[Row], labels: Mapping[str, str]) -> dict[str, Any] | None:
    """Of couplings with two edges: the expected excluded interval that begins lowest, at the first level."""
    expected = [r for r in rows if str(r["quantity"]).endswith("_expected")]
    own = [r for r in expected if (r.get("model"), r["cl"]) == (expected[0].get("model"), expected[0]["cl"])]
    excluded = [r for r in own if r.get("lower") is not None]
    if not own:
        return None
    if not excluded:
        return {"limit on": _named(own[0], labels), "best expected": "nothing excluded", "at [GeV]": None}
    best = min(excluded, key=lambda r: float(r["lower"]))
    interval = f"excluded {float(best['lower']):.3g} to {float(best['upper']):.3g}"
    return {"limit on": _named(best, labels), "best expected": interval, "at [GeV]": best["mass_gev"]}


def _best(couplings: Sequence[Row], limits: Sequence[Row], labels: Mapping[str, str]) -> dict[str, Any]:
    """Where the first model's expected limit is lowest, at the first confidence level.

    Models without one limit have an excluded interval; searches without models limit a rate.
    """
    for rows in (couplings, limits):
        good = [r for r in rows if r["status"] == "ok" and r.get("expected") is not None]
        own = [r for r in good if (r.get("model"), r["cl"]) == (good[0].get("model"), good[0]["cl"])]
        if own:
            best = min(own, key=lambda r: float(r["expected"]))
            return {
                "limit on": _named(best, labels),
                "best expected": best["expected"],
                "at [GeV]": best["mass_gev"],
            }
        region = _region(rows, labels)
        if region is not None:
            return region
    return {"limit on": None, "best expected": None, "at [GeV]": None}


def _compared(rows: Sequence[Row], entry: Mapping[str, Any], references: Path) -> dict[str, Any]:
    """Median of expected over published limits, where the published table is at hand."""
    file = references / entry["reference_csv"] if entry["reference_csv"] else None
    if file is None or not file.exists() or not rows:
        return {"expected / published": None}
    own = [r for r in rows if (r.get("model"), r["cl"]) == (rows[0].get("model"), rows[0]["cl"])]
    summary = ratio_summary(compare_rows(own, read_reference(file)[1]))
    if summary is None:
        return {"expected / published": None}
    return {"expected / published": f"{summary[0]:.3g} (median), {summary[1]:.0%} within 2"}


def landing_row(base: Path, entry: Mapping[str, Any], references: Path) -> dict[str, Any]:
    """One dataset: points, status, best limit, comparison, largest excess.

    Args:
        base: folder of the dataset's results.
        entry: ``search``, ``dataset``, ``title``, ``luminosity_fb``, ``reference_csv``, ``labels`` of models.
        references: folder of published tables.
    """
    limits, scan = read_csv(base / "limits.csv"), read_json(base / "scan.json")
    couplings = read_csv(base / "couplings.csv")
    good = sum(r["status"] == "ok" for r in limits)
    largest = scan.get("largest") or {}
    return {
        "search": Link(plain(entry["title"]), f"{entry['search']}.html#{entry['search']}-{entry['dataset']}"),
        "dataset": entry["dataset"],
        "luminosity [/fb]": entry["luminosity_fb"],
        "points": scan["points"],
        "limits": f"{good} of {len(limits)} ok",
        **_best(couplings, limits, entry.get("labels", {})),
        **_compared(couplings, entry, references),
        "largest local z": largest.get("z_local"),
        "global p": largest.get("p_global"),
        "numbers": Link("limits.csv", f"../{entry['search']}/{entry['dataset']}/limits.csv"),
    }


def measurement_row(base: Path, entry: Mapping[str, Any]) -> dict[str, Any]:
    """One measurement: what was put in and what came out, in MeV.

    Args:
        base: folder of the dataset's results.
        entry: ``search``, ``dataset``, ``luminosity_fb``.
    """
    stored = read_json(base / "measurement.json")
    return {
        "measurement": Link(entry["search"], f"{entry['search']}.html#{entry['search']}-{entry['dataset']}"),
        "dataset": entry["dataset"],
        "luminosity [/fb]": entry["luminosity_fb"],
        "generated [MeV]": f"{1e3 * stored['generated']:.2f}",
        "found [MeV]": f"{1e3 * stored['measured']:.2f} +- {stored['error_mev']:.2f}",
        "statistical error at this luminosity [MeV]": stored["toys"]["error_mev"],
        "systematic error [MeV]": stored["systematic_mev"],
        "numbers": Link("measurement.json", f"../{entry['search']}/{entry['dataset']}/measurement.json"),
    }


def landing_section(
    base: Path, entries: Sequence[Mapping[str, Any]], references: Path, said: str,
    measurements: Sequence[Mapping[str, Any]] = (),
) -> Section:  # fmt: skip
    """The table of all datasets.

    Args:
        base: folder of the campaign's results.
        entries: searches of the report's request.
        references: folder of published tables.
        said: what stands for data.
        measurements: of the report's request.
    """
    rows = [landing_row(base / e["search"] / e["dataset"], e, references) for e in entries]
    note = (
        f"Data: {said}. Where a coupling sets a lifetime, intervals are excluded: shown is the one that begins lowest, "
        "the search's page has the region. Largest excesses are those of the scans."
    )
    if rows and all(r["expected / published"] is None for r in rows):
        note += f" Published tables are not at hand: the folder {references} has none of those that searches name."
    tables: dict[str, Sequence[Row]] = {"Searches": rows} if rows else {}
    if measurements:
        tables["Measurements"] = [measurement_row(base / m["search"] / m["dataset"], m) for m in measurements]
    return Section("summary", "Summary", [note], (), tables)
