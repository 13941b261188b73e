"""The datasets of one search side by side: efficiencies, backgrounds and expected limits by mass, from CSV and JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import ndtri

from darkfactory.config.points import further_axes
from darkfactory.core.files import read_json
from darkfactory.report.datasets import datasets_figure, profile_curve
from darkfactory.report.files import save_figure
from darkfactory.report.limits import Curve
from darkfactory.report.page import FigureEntry, Section
from darkfactory.report.style import style
from darkfactory.store.tables import read_csv

__all__ = ["MassRow", "background_per_fb", "compare_section", "counting_limit", "mass_rows", "table_rows"]

_TABLE_MASSES = 10
_WIDTHS = 2.0


@dataclass(frozen=True)
class MassRow:
    """What a dataset makes of one mass.

    Attributes:
        dataset, hypothesis: names.
        mass: in GeV.
        before_trigger: selected candidates per produced event, if the trigger kept all of them.
        trigger: fraction of them that the trigger keeps.
        trigger_preselected: the same before the multivariate step.
        efficiency: product of both.
        background: expected background within two widths of the mass, in fb (events per 1/fb).
        leading: sample with the largest part of it.
        counting: what a mere count within these two widths would limit, in fb (:func:`counting_limit`).
        limit: expected limit, None where there is none.
        unit: of the limit.
    """

    dataset: str
    hypothesis: str
    mass: float
    before_trigger: float | None
    trigger: float | None
    trigger_preselected: float | None
    efficiency: float
    background: float | None
    leading: str
    counting: float | None
    limit: float | None
    unit: str


def background_per_fb(
    model: Mapping[str, Any], region: str, mass: float, resolution: float, widths: float = _WIDTHS
) -> dict[str, float]:
    """Expected background by sample, in fb, with the squared mass within some resolutions of the signal's.

    Args:
        model: record of the stage ``templates``: ``binning`` and ``background`` by region.
        region: name of the region.
        mass: in GeV.
        resolution: of the squared mass, in GeV^2.
        widths: half width of the range in resolutions; bins that it cuts count in proportion.

    Example:
        >>> model = {"binning": {"r": {"first": [0.0, 1.0, 2.0]}}, "background": {"r": {"b": {"nominal": [4.0, 2.0]}}}}
        >>> background_per_fb(model, "r", 1.0, 0.25)
        {'b': 3.0}
    """
    edges = np.asarray(model["binning"][region]["first"], dtype=float)
    low, high = mass * mass - widths * resolution, mass * mass + widths * resolution
    inside = np.clip(np.minimum(edges[1:], high) - np.maximum(edges[:-1], low), 0.0, None) / np.diff(edges)
    found = {}
    for name, sample in model["background"][region].items():
        nominal = np.asarray(sample["nominal"], dtype=float)
        found[name] = float(np.sum(inside * nominal.reshape(len(inside), -1).sum(axis=1)))
    return found


def counting_limit(background: float, efficiency: float, luminosity_fb: float, cl: float) -> float | None:
    """Median CLs limit of a count with many events and no uncertainties, z sqrt(b L) / (efficiency L), in fb.

    Neither the size of simulated samples nor systematic uncertainties enter, so that datasets can be compared.

    Args:
        background: in fb.
        efficiency: of the signal; 1 where it is part of what is limited.
        luminosity_fb: in 1/fb.
        cl: confidence level; z is the normal quantile of (1 + cl) / 2 (Cowan et al., Eur. Phys. J. C 71, 1554,
            eq. 89, with CLs).

    Example:
        >>> print(round(counting_limit(4.0, 0.5, 100.0, 0.90), 4))
        0.6579
    """
    if efficiency <= 0:
        return None
    return float(ndtri(0.5 * (1 + cl)) * np.sqrt(background * luminosity_fb) / (efficiency * luminosity_fb))


def mass_rows(
    dataset: str,
    luminosity_fb: float,
    efficiencies: Sequence[Mapping[str, Any]],
    limits: Sequence[Mapping[str, Any]],
    model: Mapping[str, Any],
    lines: Mapping[str, Mapping[str, float]],
) -> list[MassRow]:
    """Rows of a dataset by hypothesis and mass; only points that have no other axis.

    Args:
        dataset: its name.
        luminosity_fb: its luminosity in 1/fb.
        efficiencies: rows of efficiency.csv.
        limits: rows of limits.csv; of several levels the first counts.
        model: record of the stage ``templates``.
        lines: fraction of the preselected signal that each trigger line keeps, ``any`` for their OR, by
            ``hypothesis/point``.
    """
    expected: dict[tuple[str, str], Mapping[str, Any]] = {}
    for r in limits:
        expected.setdefault((r["hypothesis"], r["point"]), r)
    rows = []
    for r in efficiencies:
        if further_axes(r["point"], ("mass",)):
            continue
        mass, trigger, total = float(r["mass_gev"]), r["trigger_efficiency"], float(r["efficiency"])
        limit = expected.get((r["hypothesis"], r["point"]))
        background: dict[str, float] = {}
        if r["region"] and r["resolution"]:
            background = background_per_fb(model, r["region"], mass, float(r["resolution"]))
        counting = None
        if limit is not None and background:
            counted = 1.0 if limit["quantity"] == "efficiency_times_cross_section" else total
            counting = counting_limit(sum(background.values()), counted, luminosity_fb, float(limit["cl"]))
        rows.append(
            MassRow(
                dataset,
                r["hypothesis"],
                mass,
                total / trigger if trigger else None,
                trigger,
                lines.get(f"{r['hypothesis']}/{r['point']}", {}).get("any"),
                total,
                sum(background.values()) if background else None,
                max(background, key=lambda n: background[n]) if background else "",
                counting,
                None if limit is None else limit["expected"],
                "" if limit is None else limit["unit"],
            )
        )
    return sorted(rows, key=lambda r: (r.hypothesis, r.mass))


def table_rows(rows: Sequence[MassRow], largest: int = _TABLE_MASSES) -> list[dict[str, Any]]:
    """Lines of the table, datasets of a mass below each other, at most ``largest`` masses that all datasets have."""
    datasets = dict.fromkeys(r.dataset for r in rows)
    common = [
        key
        for key in dict.fromkeys((r.hypothesis, r.mass) for r in rows)
        if len({r.dataset for r in rows if (r.hypothesis, r.mass) == key}) == len(datasets)
    ]
    chosen = [common[i] for i in sorted({round(x) for x in np.linspace(0, len(common) - 1, largest)})] if common else []
    return [
        {
            "hypothesis": r.hypothesis,
            "mass [GeV]": r.mass,
            "dataset": r.dataset,
            "selected before the trigger": r.before_trigger,
            "trigger efficiency, preselected": r.trigger_preselected,
            "trigger efficiency": r.trigger,
            "total efficiency": r.efficiency,
            "background within two widths [per /fb]": r.background,
            "most of it": r.leading,
            "count without uncertainties [fb]": r.counting,
            f"expected limit [{r.unit or 'none'}]": r.limit,
        }
        for key in chosen
        for r in rows
        if (r.hypothesis, r.mass) == key
    ]


def _curves(rows: Sequence[MassRow], name: str, log: bool) -> list[Curve]:
    """One curve for each dataset; zeros have no place on a logarithmic axis."""
    several = len({r.hypothesis for r in rows}) > 1
    found = []
    for dataset, hypothesis in dict.fromkeys((r.dataset, r.hypothesis) for r in rows):
        inside = [r for r in rows if (r.dataset, r.hypothesis) == (dataset, hypothesis)]
        points = [(r.mass, float(v)) for r in inside if (v := getattr(r, name)) is not None and (v > 0 or not log)]
        if points:
            label = f"{dataset}, {hypothesis}" if several else dataset
            found.append(Curve(label, tuple(m for m, _ in points), tuple(v for _, v in points)))
    return found


def _profile_figures(
    profiles: Mapping[str, Mapping[str, Any]], folder: Path, search: str, data: str
) -> list[FigureEntry]:
    """Trigger efficiency by observable at the middle one of the points that all datasets have."""
    common = [p for p in next(iter(profiles.values())) if all(p in told for told in profiles.values())]
    narrow = [p for p in common if not further_axes(p.split("/")[1], ("mass",))]
    if not narrow:
        return []
    point = narrow[len(narrow) // 2]
    figures = []
    for name in profiles[next(iter(profiles))][point]:
        curves = [profile_curve(t[point][name], dataset) for dataset, t in profiles.items() if name in t[point]]
        figure = datasets_figure(
            curves, title=f"{search}, {point}", data=data, xlabel=name, ylabel="trigger efficiency, preselected"
        )
        file = save_figure(figure, folder, f"datasets_{search}_trigger_{name}", ("png",))[0]
        figures.append(FigureEntry(file.name, f"Trigger efficiency of the preselected {point} by {name}"))
    return figures


def compare_section(base: Path, folder: Path, search: str, datasets: Mapping[str, float], data: str) -> Section | None:
    """Figures and table of a search's datasets; None where no mass can be shown.

    Args:
        base: folder of the campaign's results.
        folder: where the figures go, beside the page.
        search: name.
        datasets: names of two or more, with their luminosities in 1/fb.
        data: kind of data.
    """
    rows: list[MassRow] = []
    profiles: dict[str, Mapping[str, Any]] = {}
    for dataset, luminosity in datasets.items():
        at = base / search / dataset
        model = read_json(at / "templates" / "model.json")
        trigger = read_json(at / "trigger.json")
        profiles[dataset] = trigger["profiles"]
        limits = read_csv(at / "limits.csv")
        rows += mass_rows(dataset, luminosity, read_csv(at / "efficiency.csv"), limits, model, trigger["lines"])
    if not rows:
        return None
    unit = next((r.unit for r in rows if r.unit), "")
    wanted = (
        ("trigger_preselected", "trigger efficiency before the multivariate step", False),
        ("trigger", "trigger efficiency of what is selected", False),
        ("efficiency", "total efficiency", False),
        ("background", "background within two widths [events per /fb]", True),
        ("counting", "median limit of a count without uncertainties [fb]", True),
        ("limit", f"expected limit [{unit}]", True),
    )
    figures = []
    with style():
        for name, text, log in wanted:
            if curves := _curves(rows, name, log):
                figure = datasets_figure(curves, title=search, data=data, xlabel="mass [GeV]", ylabel=text, log=log)
                file = save_figure(figure, folder, f"datasets_{search}_{name}", ("png",))[0]
                figures.append(FigureEntry(file.name, f"{text[0].upper()}{text[1:]} by mass, {' and '.join(datasets)}"))
        figures += _profile_figures(profiles, folder, search, data)
    note = (
        "The count within two widths takes efficiency, background and luminosity alone; the expected limits also feel "
        "uncertainties and the size of the simulated samples."
    )
    return Section(
        f"datasets-{search}", f"{search}: the datasets side by side", [note], figures,
        {"By mass": table_rows(rows)},
    )  # fmt: skip
