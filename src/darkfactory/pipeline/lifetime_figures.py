"""Figures of searches with lifetimes: limits and efficiencies by c tau, regions of couplings by mass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from darkfactory.config.interpretation import BDecayRegion, InelasticRegion, InterpretationConfig, LeptophilicRegion
from darkfactory.config.load import validate
from darkfactory.config.points import AXES, further_axes
from darkfactory.pipeline.request import Request
from darkfactory.report.lifetimes import lifetime_figure, region_figure
from darkfactory.store.tables import read_csv

__all__ = ["by_lifetime", "lifetime_limits", "regions"]

_MOST = 7
Rows = list[dict[str, Any]]
Drawn = Iterator[tuple[str, str, Figure]]


def by_lifetime(rows: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Rows], str]:
    r"""Rows of points with a lifetime, by mass, at one value of the other axes: that in the middle of its scan.

    Returns:
        Label of a curve to its rows, at most seven masses, and what the other axes are.

    Example:
        >>> rows = [{"point": f"m1p00000_t{t}p00000_u{u}p00000"} for t in (1, 2) for u in (1, 3, 9)]
        >>> curves, text = by_lifetime(rows)
        >>> list(curves), len(curves["1 GeV"]), text
        (['1 GeV'], 2, 'second $c\\tau$ [cm] = 3')
    """
    scanned = [(further_axes(r["point"], ()), dict(r)) for r in rows]
    scanned = [(axes, r) for axes, r in scanned if "lifetime" in axes]
    others = sorted({a for axes, _ in scanned for a in axes} - {"mass", "lifetime"})
    chosen = {}
    for axis in others:
        values = sorted({axes[axis] for axes, _ in scanned if axis in axes})
        chosen[axis] = values[len(values) // 2]
    kept = [(a, r) for a, r in scanned if {k: v for k, v in a.items() if k not in ("mass", "lifetime")} == chosen]
    masses = sorted({a["mass"] for a, _ in kept})
    if len(masses) > _MOST:
        masses = [masses[i] for i in np.unique(np.linspace(0, len(masses) - 1, _MOST).round().astype(int))]
    curves = {f"{m:g} GeV": [r for a, r in kept if a["mass"] == m] for m in masses}
    return curves, ", ".join(f"{AXES[a].label} = {v:g}" for a, v in chosen.items())


def _groups(rows: Rows, keys: Sequence[str]) -> dict[tuple[Any, ...], Rows]:
    found: dict[tuple[Any, ...], Rows] = {}
    for row in rows:
        found.setdefault(tuple(row[k] for k in keys), []).append(row)
    return found


def _lowest(rows: Rows) -> Rows:
    """Rows of the lowest CL: curves of two levels differ by a factor that the eye does not need twice."""
    least = min((float(r["cl"]) for r in rows), default=0.0)
    return [r for r in rows if float(r["cl"]) == least]


def lifetime_limits(job: Request, common: Mapping[str, Any]) -> Drawn:
    """Limits against c tau at the lowest CL, a figure for each hypothesis."""
    axis = AXES["lifetime"]
    for (hypothesis, cl), family in _groups(_lowest(read_csv(job.input("limits_csv"))), ("hypothesis", "cl")).items():
        curves, text = by_lifetime(family)
        if any(len(rows) > 1 for rows in curves.values()):
            unit = f" [{family[0]['unit']}]" if family[0]["unit"] else ""
            figure = lifetime_figure(
                curves,
                **common,
                ylabel=f"upper limit{unit}, {hypothesis}",
                xlabel=axis.label,
                column=axis.column,
            )
            name = f"lifetime_{hypothesis}_cl{cl}".replace(".", "p")
            yield name, f"Limits by lifetime, {hypothesis}, {cl:.0%} CL; {text}", figure


def _open_above(rows: Sequence[Mapping[str, Any]], column: str, top: float) -> Rows:
    """Upper limits on a coupling as regions: excluded is what lies above, up to the end of a scan.

    Example:
        >>> _open_above([{"mass_gev": 1.0, "observed": 0.5}, {"mass_gev": 2.0, "observed": None}], "observed", 9.0)
        [{'mass_gev': 1.0, 'lower': 0.5, 'upper': 9.0, 'status': 'ok'}]
    """
    return [
        {"mass_gev": r["mass_gev"], "lower": r[column], "upper": max(top, float(r[column])), "status": "ok"}
        for r in rows
        if r[column] is not None
    ]


def regions(job: Request, common: Mapping[str, Any]) -> Drawn:
    """Two-sided regions of couplings by mass at the lowest CL, a figure for each model."""
    config = validate(InterpretationConfig, job.spec["interpretation"], where="interpretation")
    known: dict[str, InelasticRegion | LeptophilicRegion | BDecayRegion] = {
        **config.regions,
        **config.leptophilic,
        **config.b_decays,
    }
    pairs = {(name, h) for name, region in known.items() for h in region.hypotheses}
    found = read_csv(job.input("couplings"))
    rows = _lowest([r for r in found if (r["model"], r["hypothesis"]) in pairs])
    for (model, cl), family in _groups(rows, ("model", "cl")).items():
        settings = known[model]
        split = {
            h: (
                [r for r in family if r["hypothesis"] == h and r["quantity"] == settings.coupling],
                [r for r in family if r["hypothesis"] == h and r["quantity"] != settings.coupling],
            )
            for h in settings.hypotheses
            # a dataset may leave hypotheses out
            if any(r["hypothesis"] == h for r in family)
        }
        prompt = config.models.get(model)
        if prompt is not None:
            one = [r for r in found if (r["model"], r["hypothesis"], r["cl"]) == (model, prompt.hypothesis, cl)]
            split[prompt.hypothesis] = (
                _open_above(one, "observed", settings.scan[1]), _open_above(one, "expected", settings.scan[1]),
            )  # fmt: skip
        figure = region_figure(
            split, **common, ylabel=settings.label or settings.coupling, xlabel=AXES["mass"].label
        )  # fmt: skip
        name = f"region_{model}_cl{cl}".replace(".", "p")
        yield name, f"Excluded region of {settings.coupling}, {cl:.0%} CL: {settings.note}", figure
