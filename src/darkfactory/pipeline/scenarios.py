"""Trigger scenarios of a search side by side: efficiencies, backgrounds and expected limits, from CSV and JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from darkfactory.config.points import further_axes, parse_point, point_order
from darkfactory.config.scenario import ScenarioFile
from darkfactory.core.files import read_json, write_json
from darkfactory.pipeline.datasets import background_per_fb
from darkfactory.pipeline.layout import path
from darkfactory.report.datasets import datasets_figure
from darkfactory.report.files import save_figure
from darkfactory.report.limits import Curve
from darkfactory.report.style import style
from darkfactory.store.tables import read_csv, write_csv

__all__ = ["ScenarioRow", "draw", "read_scenarios", "scenario_rows", "summary_rows", "write"]

Expected = tuple[list[dict[str, Any]], list[dict[str, Any]]]

_FIGURES = (
    ("trigger", "trigger efficiency of what is selected", False),
    ("efficiency", "total efficiency", False),
    ("background", "background within two widths [events per /fb]", True),
    ("expected", "expected limit [{unit}]", True),
    ("ratio", "expected limit over that of the baseline", False),
)


@dataclass(frozen=True)
class ScenarioRow:
    """What a scenario makes of one point.

    Attributes:
        scenario, dataset, hypothesis, point: names; ``scenario`` is the title.
        mass: in GeV.
        lifetime: c tau in cm, None where points have none.
        trigger: fraction of the selected signal that the trigger keeps.
        efficiency: selected candidates per produced event, trigger included.
        background: expected within two widths of the mass, in events per 1/fb.
        expected: median expected limit at the first confidence level, None where there is none.
        unit: of the limit.
        status: of the limit.
        ratio: expected limit over that of the baseline: above 1 where the scenario is worse.
        coupling_ratio: the same of the coupling of the first model that has one.
    """

    scenario: str
    dataset: str
    hypothesis: str
    point: str
    mass: float
    lifetime: float | None
    trigger: float | None
    efficiency: float
    background: float | None
    expected: float | None
    unit: str
    status: str
    ratio: float | None = None
    coupling_ratio: float | None = None


def _first_level(rows: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], Mapping[str, Any]]:
    """Row of the first confidence level (and model) of each point."""
    found: dict[tuple[str, str], Mapping[str, Any]] = {}
    for r in rows:
        found.setdefault((r["hypothesis"], r["point"]), r)
    return found


def scenario_rows(
    title: str,
    dataset: str,
    efficiencies: Sequence[Mapping[str, Any]],
    limits: Sequence[Mapping[str, Any]],
    couplings: Sequence[Mapping[str, Any]],
    model: Mapping[str, Any],
    baseline: Mapping[tuple[str, str], tuple[float | None, float | None]],
) -> list[ScenarioRow]:
    """Rows of one scenario.

    Args:
        title: of the scenario.
        dataset: its dataset.
        efficiencies: rows of efficiency.csv.
        limits: rows of limits.csv.
        couplings: rows of couplings.csv.
        model: record of the stage ``templates``.
        baseline: (hypothesis, point) to the baseline's expected limits on rate and coupling; empty for itself.
    """
    limit_of = _first_level(limits)
    coupling_of = _first_level([r for r in couplings if r["expected"] is not None])
    rows = []
    for r in efficiencies:
        key = (r["hypothesis"], r["point"])
        axes, limit, coupling = parse_point(r["point"]), limit_of.get(key), coupling_of.get(key)
        background = None
        if r["region"] and r["resolution"] and r["region"] in model["background"]:
            found = background_per_fb(model, r["region"], axes["mass"], float(r["resolution"]))
            background = sum(found.values())
        expected = None if limit is None else limit["expected"]
        before, coupling_before = baseline.get(key, (None, None))
        ratio = expected / before if expected is not None and before else None
        strength = coupling["expected"] if coupling is not None else None
        rows.append(
            ScenarioRow(
                title, dataset, r["hypothesis"], r["point"], axes["mass"], axes.get("lifetime"),
                r["trigger_efficiency"], float(r["efficiency"]), background, expected,
                "" if limit is None else limit["unit"] or "", "" if limit is None else limit["status"], ratio,
                strength / coupling_before if strength is not None and coupling_before else None,
            )
        )  # fmt: skip
    return sorted(rows, key=lambda r: (r.hypothesis, point_order(r.point)))


def read_scenarios(
    campaign: str, file: ScenarioFile, only: Sequence[str] = (), expected: Mapping[str, Expected] | None = None
) -> list[ScenarioRow]:
    """Rows of the baseline and of all possible scenarios of a finished campaign, the baseline first.

    Args:
        campaign: its name.
        file: the scenarios.
        only: datasets to read; by default all.
        expected: dataset to rows of limits and of couplings that take the place of limits.csv and couplings.csv.
    """
    rows: list[ScenarioRow] = []
    baseline: dict[tuple[str, str], tuple[float | None, float | None]] = {}
    for dataset, title in file.datasets().items():
        if only and dataset not in only:
            continue
        w = {"campaign": campaign, "search": file.search, "dataset": dataset}
        if expected is None:
            limits, couplings = read_csv(path("limits_csv", **w)), read_csv(path("couplings", **w))
        else:
            limits, couplings = expected[dataset]
        if dataset == file.baseline:
            strengths = _first_level([r for r in couplings if r["expected"] is not None])
            for key, r in _first_level(limits).items():
                baseline[key] = r["expected"], strengths.get(key, {}).get("expected")
        model = read_json(path("model", **w))
        rows += scenario_rows(title, dataset, read_csv(path("efficiency", **w)), limits, couplings, model, baseline)
    return rows


def _median(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return float(np.median(known)) if known else None


def summary_rows(rows: Sequence[ScenarioRow], impossible: Mapping[str, str]) -> list[dict[str, Any]]:
    """One line for each scenario and hypothesis: medians over the points, and where the scenario loses most.

    Args:
        rows: of :func:`read_scenarios`.
        impossible: titles of scenarios that record nothing, to the reason.
    """
    made: list[dict[str, Any]] = []
    for title, hypothesis in dict.fromkeys((r.scenario, r.hypothesis) for r in rows):
        own = [r for r in rows if (r.scenario, r.hypothesis) == (title, hypothesis)]
        known = [r for r in own if r.ratio is not None]
        worst = max(known, key=lambda r: r.ratio or 0.0, default=None)
        made.append(
            {
                "scenario": title,
                "hypothesis": hypothesis,
                "points": len(own),
                "without limit": sum(r.expected is None for r in own),
                "trigger efficiency": _median([r.trigger for r in own]),
                "efficiency": _median([r.efficiency for r in own]),
                "background per /fb": _median([r.background for r in own]),
                "limit / baseline": _median([r.ratio for r in own]),
                "coupling / baseline": _median([r.coupling_ratio for r in own]),
                "largest": None if worst is None else worst.ratio,
                "at": None if worst is None else worst.point,
            }
        )
    made += [{"scenario": title, "hypothesis": None, "impossible": reason} for title, reason in impossible.items()]
    return made


def _shown(rows: Sequence[ScenarioRow]) -> dict[str, tuple[str, list[ScenarioRow]]]:
    """Hypothesis to the axis of its figures and the rows shown: by mass, or by lifetime at the middle of other axes."""
    found: dict[str, tuple[str, list[ScenarioRow]]] = {}
    for hypothesis in dict.fromkeys(r.hypothesis for r in rows):
        own = [r for r in rows if r.hypothesis == hypothesis]
        narrow = [r for r in own if not further_axes(r.point, ("mass",))]
        if narrow:
            found[hypothesis] = "mass", narrow
            continue
        live = [r for r in own if r.lifetime is not None]
        for axis in ("mass", "lifetime2"):
            values = sorted({v for r in live if (v := parse_point(r.point).get(axis)) is not None})
            if values:
                live = [r for r in live if parse_point(r.point).get(axis) == values[len(values) // 2]]
        if live:
            found[hypothesis] = "lifetime", live
    return found


def draw(rows: Sequence[ScenarioRow], file: ScenarioFile, folder: Path, data: str) -> list[dict[str, str]]:
    """Figures by hypothesis; entries for the report page.

    Args:
        rows: of :func:`read_scenarios`.
        file: the scenarios.
        folder: where.
        data: kind of data.
    """
    entries = []
    with style():
        for hypothesis, (axis, shown) in _shown(rows).items():
            at = "" if axis == "mass" else f" at {shown[0].mass:g} GeV"
            unit = next((r.unit for r in shown if r.unit), "")
            for name, label, log in _FIGURES:
                curves = []
                for title in dict.fromkeys(r.scenario for r in shown):
                    points = [
                        (float(getattr(r, axis)), float(v))
                        for r in shown
                        if r.scenario == title and (v := getattr(r, name)) is not None and (v > 0 or not log)
                    ]
                    if points:
                        curves.append(Curve(title, tuple(x for x, _ in points), tuple(y for _, y in points)))
                if not curves:
                    continue
                text = label.format(unit=unit).replace(" []", "")
                figure = datasets_figure(
                    curves, title=f"{file.search}, {hypothesis}{at}", data=data, ylabel=text, log=log,
                    xlabel="mass [GeV]" if axis == "mass" else r"$c\tau$ [cm]", logx=axis != "mass",
                )  # fmt: skip
                stem = f"{hypothesis}_{name}"
                save_figure(figure, folder, stem)
                entries.append({"file": f"{stem}.png", "caption": f"{text[0].upper()}{text[1:]}, {hypothesis}{at}"})
    return entries


def write(rows: Sequence[ScenarioRow], file: ScenarioFile, folder: Path, data: str) -> list[dict[str, Any]]:
    """Table, figures and index of a comparison below ``folder``; its summary."""
    impossible = {s.title: s.impossible for s in file.scenarios.values() if s.impossible}
    summary = summary_rows(rows, impossible)
    folder.mkdir(parents=True, exist_ok=True)
    write_csv(folder / "scenarios.csv", [asdict(r) for r in rows])
    write_csv(folder / "summary.csv", summary, list(dict.fromkeys(k for r in summary for k in r)))
    about = {"search": file.search, "title": file.title, "note": file.note, "baseline": file.baseline}
    index = about | {"summary": summary, "figures": draw(rows, file, folder, data)}
    write_json(folder / "index.json", index)
    return summary
