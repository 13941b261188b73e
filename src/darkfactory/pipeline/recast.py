"""Recasts: limits of a search, or of a table, on a user's own model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from darkfactory.config.library import Library
from darkfactory.config.points import point_name
from darkfactory.config.recast import RecastModel, RecastVertices
from darkfactory.core.errors import InputError, UserError
from darkfactory.core.seeds import seed_words
from darkfactory.execute.backends import Backend
from darkfactory.generate.gridpack import adapt
from darkfactory.pipeline.processes import point_process
from darkfactory.report.files import save_figure
from darkfactory.report.recast import recast_figure
from darkfactory.report.style import style
from darkfactory.store.tables import check_numbers, read_csv, write_csv

__all__ = ["COLUMNS", "cross_section", "cross_sections", "limits_of_search", "read_limits", "write"]

COLUMNS = (
    "model", "coupling", "search", "dataset", "hypothesis", "mass_gev", "quantity", "unit", "observed", "expected_m2",
    "expected_m1", "expected", "expected_p1", "expected_p2", "lower", "upper", "cl", "method", "status",
)  # fmt: skip
"""Columns of the result."""


def read_limits(file: str | Path) -> list[dict[str, Any]]:
    """Rows of a table of limits: ``mass_GeV`` (or ``mass_gev``) and ``limit`` (or ``observed``, ``expected``).

    Raises:
        InputError: a column is missing, or holds what is no mass or no limit.
    """
    table = read_csv(file)
    if not table:
        raise InputError(f"{file}: the table of limits has no rows; give one row a mass")
    mass = next((c for c in ("mass_gev", "mass_GeV") if c in table[0]), None)
    limits = [c for c in ("observed", "limit", "expected") if c in table[0]]
    if mass is None or not limits:
        raise InputError(
            f"{file}: a table of limits needs the columns mass_GeV and limit (in the unit of the rate), optionally "
            f"expected, ctau_cm, cl; it has {list(table[0])}"
        )
    check_numbers(file, table, mass, limits)
    rows = [
        {**row, "mass_gev": float(row[mass]), "observed": row.get("observed", row.get("limit"))}
        for row in table
        if any(row[c] is not None for c in limits)
    ]
    if not rows:
        raise InputError(f"{file}: no row of the table has a limit; fill the columns {limits}")
    return rows


def limits_of_search(file: str | Path, hypothesis: str) -> list[dict[str, Any]]:
    """Rows of limits.csv of one hypothesis: narrow signals, with or without one lifetime.

    Raises:
        UserError: there is none.
    """
    rows = read_csv(file)
    own = [r for r in rows if r["hypothesis"] == hypothesis and r.get("width") is None]
    if any(r.get("mass2_gev") is not None or r.get("ctau2_cm") is not None for r in own):
        raise UserError(
            f"{file}: limits of {hypothesis} depend on a second mass or lifetime, which a recast cannot take"
        )
    if not own:
        known = sorted({str(r["hypothesis"]) for r in rows})
        raise UserError(f"{file}: no limits of hypothesis {hypothesis!r}; it has {known}")
    return own


def cross_section(spec: Mapping[str, Any], mass: float) -> tuple[float, float]:
    """Cross-section in fb and its error at a mass, radiation included.

    Args:
        spec: as of the stage `integrate`: process, model, beams, axes, parameters.
        mass: in GeV.
    """
    point = point_name({"mass": mass})
    pack = adapt(point_process(spec, point), seed_words(spec["seed"], "recast", spec["process"]["name"], point)[0])
    return pack.sigma_fb, pack.sigma_err_fb


def cross_sections(
    vertices: RecastVertices, library: Library, detector: str, masses: Sequence[float], seed: int, backend: Backend
) -> dict[float, tuple[float, float]]:
    """Cross-sections and errors in fb of a user's process by mass, in the beams of a detector."""
    spec = {
        "process": {"name": "recast", **vertices.process},
        "model": vertices.model(library.get("models", vertices.base)),
        "beams": library.get("detectors", detector)["beams"],
        "axes": {"mass": vertices.mass},
        "parameters": {},
        "seed": seed,
    }
    found = backend.map([("darkfactory.pipeline.recast:cross_section", (spec, m)) for m in masses])
    return dict(zip(masses, found, strict=True))


def write(
    rows: Sequence[Mapping[str, Any]], model: RecastModel, folder: Path, published: Sequence[Mapping[str, Any]] = ()
) -> list[Path]:
    """Table and figure of a recast; the files written."""
    file = folder / f"{model.name}.csv"
    write_csv(file, rows, COLUMNS)
    files = [file]
    levels = list(dict.fromkeys(r.get("cl") for r in rows))
    own = [r for r in rows if r.get("cl") == levels[0]]
    level = f", {float(str(levels[0])):.0%} CL" if levels[0] is not None else ""
    source = f"{own[0]['search']}/{own[0]['dataset']}" if own[0].get("search") else "table of limits"
    with style():
        figure = recast_figure(
            own,
            ylabel=model.label or f"{model.coupling}" + (f" [{model.unit}]" if model.unit else ""),
            title=f"{model.name} from {source}{level}",
            published=[r for r in published if r["cl"] == levels[0]],
            published_name=model.validates or "",
        )
        files += save_figure(figure, folder, model.name)
    return files
