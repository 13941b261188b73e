"""One diagnostic of one workspace: tables, a figure and a record, for the stage and for the command line."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from darkfactory.config.diagnostics import DiagnosticsConfig
from darkfactory.config.statistics import StatisticsConfig
from darkfactory.core.errors import InputError
from darkfactory.core.files import write_json
from darkfactory.report.diagnostics import (
    correlation_figure,
    coverage_figure,
    goodness_figure,
    impacts_figure,
    injection_figure,
)
from darkfactory.report.files import save_figure
from darkfactory.report.spectra import pulls_figure
from darkfactory.report.style import style
from darkfactory.stats.bestfit import best_fit, correlations
from darkfactory.stats.coverage import coverage_at
from darkfactory.stats.goodness import goodness_of_fit
from darkfactory.stats.histfactory import compile_workspace
from darkfactory.stats.impacts import error_parts, impacts
from darkfactory.stats.injection import expected_error, injection, linear_response
from darkfactory.stats.limits import choose_method, fit_backend
from darkfactory.stats.lint import effective_background
from darkfactory.stats.pulls import nuisance_pulls
from darkfactory.store.tables import write_csv

__all__ = ["KINDS", "Diagnosis", "Subject", "diagnose", "save", "settings_note"]


@dataclass(frozen=True)
class Subject:
    """What is diagnosed.

    Attributes:
        name: for titles.
        spec: complete workspace.
        statistics: levels and methods of its limits.
        config: toys and strengths.
        seed: campaign seed.
        path: place in the seed tree.
    """

    name: str
    spec: Mapping[str, Any]
    statistics: StatisticsConfig
    config: DiagnosticsConfig
    seed: int
    path: tuple[str | int, ...]


@dataclass(frozen=True)
class Diagnosis:
    """What one diagnostic found.

    Attributes:
        kind: which.
        caption: for the figure.
        rows: table.
        summary: few numbers and texts.
        figure: None where there is nothing to draw.
        record: everything, JSON-like.
    """

    kind: str
    caption: str
    rows: Sequence[Mapping[str, Any]]
    summary: Mapping[str, Any]
    figure: Figure | None
    record: Mapping[str, Any] = field(default_factory=dict)


def _plain(value: Any) -> Any:
    """JSON-like values with None for what is no number."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else value


def _pulls(s: Subject) -> Diagnosis:
    found = nuisance_pulls(s.spec)
    rows = [{"parameter": k, "pull": p, "constraint": w} for k, (p, w) in found.items()]
    worst = max((abs(p) for p, _ in found.values()), default=0.0)
    figure = pulls_figure(found, title=s.name) if found else None
    return Diagnosis("pulls", "Pulls of the nuisance parameters, signal free", rows, {"largest pull": worst}, figure)


def _impacts(s: Subject) -> Diagnosis:
    fitted = best_fit(s.spec)
    of = ""
    if not fitted.moves[fitted.batch.structure.poi]:
        # nothing was seen where the signal is, and nothing moves the fit off its wall
        fitted = best_fit(s.spec, expected_mu=2 * expected_error(s.spec))
        of = "expected data with a signal, "
    parts = error_parts(fitted)
    rows = []
    for i in impacts(fitted):
        before = i.prefit or (None, None)
        rows.append(
            {
                "name": i.name,
                "pull": i.pull,
                "constraint": i.constraint,
                "prefit_down": before[0],
                "prefit_up": before[1],
                "postfit_down": i.postfit[0],
                "postfit_up": i.postfit[1],
            }
        )
    summary: dict[str, Any] = {
        "data": "expected, with a signal" if of else "as observed",
        "best fit": fitted.mu,
        "error": parts.total,
        "statistical": parts.statistical,
        "per-bin factors": parts.per_bin,
        "nuisances": parts.nuisances,
        "largest impact": rows[0]["name"] if rows else None,
    }
    scale = parts.total if math.isfinite(parts.total) and parts.total > 0 else expected_error(s.spec)
    title = f"{s.name}: {of}$\\hat\\mu$ = {fitted.mu:.2f} $\\pm$ {scale:.2f} (stat. {parts.statistical:.2f})"
    figure = impacts_figure(rows, scale, title=title) if rows else None
    return Diagnosis("impacts", "Pulls, and what each parameter does to the best-fit signal", rows, summary, figure)


def _correlations(s: Subject) -> Diagnosis:
    names, matrix = correlations(best_fit(s.spec))
    values = matrix.tolist()
    rows = [{"parameter": n, **dict(zip(names, line, strict=True))} for n, line in zip(names, values, strict=True)]
    first = sorted(zip(names[1:], values[0][1:], strict=True), key=lambda p: -abs(p[1])) if names else []
    summary = {"most correlated with the signal": first[0][0], "by": first[0][1]} if first else {}
    figure = correlation_figure(names, values, title=s.name) if len(names) > 1 else None
    record = {"parameters": names, "matrix": values}
    return Diagnosis("correlations", "Correlations of the fitted parameters", rows, summary, figure, record)


def _gof(s: Subject) -> Diagnosis:
    both = goodness_of_fit(
        s.spec, toys=s.config.gof_toys, seed=s.seed, path=(*s.path, "gof"), backend=fit_backend(s.statistics)
    )
    stored = [g.to_dict() for g in both]
    rows = [{k: v for k, v in g.items() if k != "toys"} for g in stored]
    summary = {"p (background alone)": both[0].p_toys, "p (signal free)": both[1].p_toys, "toys": s.config.gof_toys}
    figure = goodness_figure(stored, title=s.name)
    return Diagnosis("gof", "Goodness of fit, saturated model", rows, summary, figure, {"hypotheses": stored})


def _injection(s: Subject) -> Diagnosis:
    points = injection(
        s.spec,
        s.config.injections,
        toys=s.config.injection_toys,
        seed=s.seed,
        path=(*s.path, "injection"),
        backend=fit_backend(s.statistics),
    )
    slope, slope_error, offset, offset_error = linear_response(points)
    rows = [p.to_dict() for p in points]
    summary = {"slope": slope, "slope error": slope_error, "offset": offset, "offset error": offset_error}
    title = f"{s.name}: slope {slope:.3f} $\\pm$ {slope_error:.3f}"
    return Diagnosis("injection", "Injected signals and their fits", rows, summary, injection_figure(rows, title=title))


def _coverage(s: Subject) -> Diagnosis:
    _, m = compile_workspace(s.spec)
    background = effective_background(s.spec)
    method = choose_method(m, background, s.statistics, s.name)
    caption = "How often a true signal is below its upper limit"
    if method not in s.config.coverage_methods:
        note = f"limits are made by {method}; not in diagnostics.coverage_methods"
        return Diagnosis("coverage", caption, [], {"left out": note}, None)
    unit = expected_error(s.spec)
    found = coverage_at(
        m, [v * unit for v in s.config.coverage_signals], s.statistics, method=method, background=background,
        toys=s.config.coverage_toys, seed=s.seed, path=(*s.path, "coverage"),
    )  # fmt: skip
    rows = [c.to_dict() for c in found]
    known = [c for c in found if c.toys]
    lowest = min(known, key=lambda c: (c.fraction - c.cl) / c.error, default=None)
    summary = {} if lowest is None else {"lowest": lowest.fraction, "error": lowest.error, "method": method}
    return Diagnosis("coverage", caption, rows, summary, coverage_figure(rows, title=s.name))


KINDS: Mapping[str, Callable[[Subject], Diagnosis]] = {
    "pulls": _pulls,
    "impacts": _impacts,
    "correlations": _correlations,
    "gof": _gof,
    "injection": _injection,
    "coverage": _coverage,
}
"""Name of a diagnostic to its function."""


def diagnose(kind: str, subject: Subject) -> Diagnosis:
    """Run one diagnostic.

    Raises:
        InputError: unknown kind.
        UnsupportedModel: a workspace that only stock pyhf takes.
        RunError: a fit that does not converge.
    """
    if kind not in KINDS:
        raise InputError(f"diagnostic {kind!r} is unknown; allowed are {', '.join(KINDS)}")
    with style():
        found = KINDS[kind](subject)
    return replace(found, rows=_plain(found.rows), summary=_plain(found.summary), record=_plain(found.record))


def save(
    found: Diagnosis, folder: Path, name: str, note: Mapping[str, Any], *, draw: bool = True
) -> list[dict[str, Any]]:
    """Write table, record and figure as ``<name>.csv``, ``.json``, ``.png`` and ``.pdf``.

    Returns:
        Entry of the figure for a report page: file and caption; empty without a figure.
    """
    write_csv(folder / f"{name}.csv", found.rows)
    record = {"kind": found.kind, "summary": dict(found.summary), "rows": list(found.rows), **found.record, **note}
    write_json(folder / f"{name}.json", record)
    if found.figure is None or not draw:
        return []
    with style():
        save_figure(found.figure, folder, name)
    return [{"file": f"{name}.png", "caption": found.caption}]


def settings_note(subject: Subject) -> dict[str, Any]:
    """What a record says of how it was made."""
    return {"subject": subject.name, "seed": subject.seed, "settings": subject.config.model_dump(mode="json")}
