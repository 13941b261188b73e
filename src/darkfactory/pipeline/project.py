"""Projections: expected limits and discovery reach at other luminosities, from the workspaces of a finished scan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from darkfactory.config.interpretation import InterpretationConfig, ModelInterpretation
from darkfactory.config.load import validate
from darkfactory.config.points import axis_columns, parse_point, point_columns, point_order
from darkfactory.config.projection import SystematicsRule
from darkfactory.config.search import SearchConfig
from darkfactory.config.statistics import StatisticsConfig
from darkfactory.core.errors import UserError
from darkfactory.core.files import read_json
from darkfactory.execute.backends import Backend
from darkfactory.interpret.couplings import coupling_from_rate
from darkfactory.pipeline.layout import path
from darkfactory.report.files import save_figure
from darkfactory.report.projection import projection_figure
from darkfactory.report.style import style
from darkfactory.stats.limits import WorkspaceInput, compute_limits, fit_backend
from darkfactory.stats.projection import discovery_reach, projected_workspace
from darkfactory.store.tables import read_csv, write_csv

__all__ = [
    "COLUMNS",
    "draw",
    "expected_rows",
    "project_points",
    "project_scan",
    "reach_column",
    "sample_rates",
    "stored_points",
    "translate",
]

_BAND = ("expected_m2", "expected_m1", "expected", "expected_p1", "expected_p2")
COLUMNS = ("quantity", "unit", *_BAND, "cl", "method", "status")
"""Columns of projection.csv after the point; ``reach_5p0`` and the like follow, one for each significance."""
_POINTS_A_TASK = 4


def reach_column(significance: float) -> str:
    """Name of the column with the signal of a median significance.

    Example:
        >>> reach_column(5.0)
        'reach_5p0'
    """
    return f"reach_{significance:.1f}".replace(".", "p")


def stored_points(campaign: str, search: str, dataset: str) -> dict[str, dict[str, Any]]:
    """Workspace records of a finished scan by ``hypothesis/point``, in the order of the points.

    Raises:
        UserError: there are none.
    """
    folder = Path(path("workspace", campaign=campaign, search=search, dataset=dataset, block="x")).parent
    found: dict[str, dict[str, Any]] = {}
    for file in sorted(folder.glob("*.json")):
        found |= read_json(file).get("points", {})
    if not found:
        raise UserError(f"no workspaces in {folder}; run the search first: darkfactory run --search {search}")
    return dict(sorted(found.items(), key=lambda e: (e[1]["hypothesis"], point_order(e[1]["point"]))))


def project_points(job: Mapping[str, Any], keys: Sequence[str], luminosity: float) -> list[dict[str, Any]]:
    """Rows of some points at one luminosity.

    Args:
        job: ``points`` (records by key), ``luminosity_fb`` of the dataset, ``rule``, ``statistics``, ``hypotheses``
            (quantity and unit), ``discovery`` (significances), ``seed``.
        keys: of the points.
        luminosity: in 1/fb.
    """
    rule = validate(SystematicsRule, job["rule"], where="projections.rules")
    statistics = validate(StatisticsConfig, job["statistics"], where="statistics")
    inputs: list[WorkspaceInput] = []
    for key in keys:
        w = job["points"][key]
        if w["spec"] is None:
            continue
        meaning = job["hypotheses"][w["hypothesis"]]
        spec = projected_workspace(w["spec"], luminosity / job["luminosity_fb"], rule)
        inputs.append(
            WorkspaceInput(
                w["point"],
                w["hypothesis"],
                w["axes"],
                spec,
                scale=w["scale"],
                quantity=meaning["quantity"],
                unit=meaning["unit"],
                data="asimov",
            )
        )
    records = compute_limits(inputs, statistics, seed=job["seed"])
    rows = []
    for i, item in enumerate(inputs):
        own = records[i * len(statistics.cls) : (i + 1) * len(statistics.cls)]
        expected = own[0].expected
        # the one-sided limit is about 1.3 expected errors at 90 %: near enough to start from
        guess = expected[2] / item.scale if expected is not None else 1.0
        wanted = job["discovery"]
        reach = discovery_reach(item.spec, wanted, guess, backend=fit_backend(statistics)) if wanted else ()
        signals = {
            reach_column(z): None if mu is None else mu * item.scale for z, mu in zip(wanted, reach, strict=True)
        }
        for r in own:
            band = dict(zip(_BAND, r.expected or [None] * len(_BAND), strict=True))
            rows.append(
                {
                    "luminosity_fb": luminosity,
                    "hypothesis": r.hypothesis,
                    "point": r.point,
                    **point_columns(r.point),
                    **{k: getattr(r, k) for k in ("quantity", "unit", "cl", "method", "status")},
                    **band,
                    **signals,
                }
            )
    return rows


def project_scan(
    job: Mapping[str, Any], luminosities: Sequence[float], backend: Backend, done: Any = None
) -> list[dict[str, Any]]:
    """Rows of all points at all luminosities, by luminosity."""
    keys = list(job["points"])
    groups = [keys[i : i + _POINTS_A_TASK] for i in range(0, len(keys), _POINTS_A_TASK)]
    tasks = []
    for luminosity in luminosities:
        for group in groups:
            part = {**job, "points": {k: job["points"][k] for k in group}}
            tasks.append(("darkfactory.pipeline.project:project_points", (part, group, luminosity)))
    return [row for rows in backend.map(tasks, done) for row in rows]


def expected_rows(
    campaign: str, config: SearchConfig, rule: Mapping[str, Any], seed: int, backend: Backend
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Expected limits of a finished dataset, and the same as couplings, without its pseudo-data.

    Those of the scan are for nuisance parameters as the thrown data pull them; datasets whose expectations are the same
    differ by that. Here each is on what it expects.

    Args:
        campaign: its name.
        config: the search on the dataset.
        rule: of systematic uncertainties; one that leaves them at the same luminosity.
        seed: of toys, where limits need them.
        backend: where the points are done.
    """
    job = {
        "points": stored_points(campaign, config.search, config.dataset),
        "luminosity_fb": config.data.luminosity,
        "rule": dict(rule),
        "statistics": config.statistics,
        "hypotheses": {h: {"quantity": c.quantity, "unit": c.unit} for h, c in config.hypotheses.items()},
        "discovery": [],
        "seed": seed,
    }
    rows = project_scan(job, [config.data.luminosity], backend)
    models = validate(InterpretationConfig, config.interpretation, where="interpretation").models
    return rows, translate(rows, sample_rates(campaign, config.search, config.dataset), models)


def translate(
    rows: Sequence[Mapping[str, Any]], rates: Mapping[tuple[str, str], float], models: Mapping[str, ModelInterpretation]
) -> list[dict[str, Any]]:
    """The same rows as couplings, for each model."""
    columns = [c for c in (rows[0] if rows else {}) if c in _BAND or c.startswith("reach_")]
    made = []
    for name, model in models.items():
        for row in rows:
            key = (row["hypothesis"], row["point"])
            if row["hypothesis"] != model.hypothesis or key not in rates:
                continue
            if set(parse_point(row["point"])) != set(model.axes):
                continue
            # limits on branching fractions are in units of the sample's rate
            rate = 1.0 if row["quantity"] == "branching_fraction" else rates[key]
            values = {c: coupling_from_rate(row[c], rate, model, float(row["mass_gev"])) for c in columns}
            about = {"model": name, "coupling": model.coupling, "quantity": model.coupling, "unit": model.unit}
            made.append({**row, **values, **about})
    return made


def _write(folder: Path, stem: str, rows: Sequence[Mapping[str, Any]], first: tuple[str, ...]) -> Path:
    axes = axis_columns([str(r["point"]) for r in rows])
    reach = tuple(c for c in (rows[0] if rows else {}) if c.startswith("reach_"))
    file = folder / f"{stem}.csv"
    write_csv(file, rows, (*first, "luminosity_fb", "hypothesis", "point", *axes, *COLUMNS, *reach))
    return file


def draw(
    rows: Sequence[Mapping[str, Any]], couplings: Sequence[Mapping[str, Any]], config: InterpretationConfig,
    folder: Path, rule: str, about: Mapping[str, Any],
) -> list[Path]:  # fmt: skip
    """Tables and figures of a projection, below ``folder``; the files written.

    Args:
        rows: of :func:`project_scan`.
        couplings: of :func:`translate`.
        config: models and their labels.
        folder: where.
        rule: name of the rule for systematic uncertainties.
        about: ``dataset``, ``luminosity_fb`` of the workspaces, ``discovery``.
    """
    files = [_write(folder, f"limits_{rule}", rows, ())]
    if couplings:
        files.append(_write(folder, f"couplings_{rule}", couplings, ("model", "coupling")))
    families = [
        (h, [r for r in rows if r["hypothesis"] == h], "") for h in dict.fromkeys(r["hypothesis"] for r in rows)
    ]
    families += [
        (m, [r for r in couplings if r["model"] == m], config.models[m].label or config.models[m].coupling)
        for m in dict.fromkeys(r["model"] for r in couplings)
    ]
    with style():
        for name, own, label in families:
            level = own[0]["cl"]
            shown = [r for r in own if r["cl"] == level and r["point"].count("_") == 0]
            if not shown:
                continue
            figure = projection_figure(
                shown, ylabel=label or f"{own[0]['quantity'].replace('_', ' ')} [{own[0]['unit']}]",
                dataset=about["dataset"], rule=rule, reach=reach_column(max(about["discovery"])),
            )  # fmt: skip
            files += save_figure(figure, folder, f"{name}_{rule}")
    return files


def sample_rates(campaign: str, search: str, dataset: str) -> dict[tuple[str, str], float]:
    """Cross-sections in fb of the samples at their reference coupling, by hypothesis and point."""
    file = path("efficiency", campaign=campaign, search=search, dataset=dataset)
    return {(r["hypothesis"], r["point"]): float(r["sigma_fb"]) for r in read_csv(file)}
