"""Stage: CLs limits of the points of a block, certified by pyhf."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from darkfactory.config.load import validate
from darkfactory.config.points import axis_columns, point_columns
from darkfactory.config.statistics import StatisticsConfig
from darkfactory.core.files import read_json, write_json
from darkfactory.execute.backends import Backend
from darkfactory.pipeline.ellipse_scan import make_limits
from darkfactory.pipeline.parts import Progress, forget, recalled
from darkfactory.pipeline.request import Request, provenance
from darkfactory.records.limits import flag_of
from darkfactory.stats.limits import WorkspaceInput, compute_limits

__all__ = ["csv_columns", "limits_of", "row", "run"]

_FIRST = ("search", "dataset", "hypothesis", "point")
_LAST = (
    "quantity", "unit", "observed", "expected_m2", "expected_m1", "expected", "expected_p1", "expected_p2", "cl",
    "method", "scale", "p0_local", "z_local", "status", "flag", "data",
)  # fmt: skip
_BAND = ("expected_m2", "expected_m1", "expected", "expected_p1", "expected_p2")
_POINTS_A_TASK = 4


def csv_columns(points: Sequence[str]) -> tuple[str, ...]:
    """Columns of limits.csv, with those of all axes that the points have.

    Example:
        >>> csv_columns(["m4p00000_n1p00000"])[3:7]
        ('point', 'mass_gev', 'width', 'mass2_gev')
    """
    return (*_FIRST, *axis_columns(points), *_LAST)


def row(record: Mapping[str, Any], search: str, dataset: str, maximum: float | None = None) -> dict[str, Any]:
    """One row of limits.csv from a record; a limit above the quantity's ``maximum`` is flagged."""
    band = record["expected"] or [None] * len(_BAND)
    return {
        "search": search,
        "dataset": dataset,
        **{k: record[k] for k in ("hypothesis", "point", "quantity", "unit", "observed", "cl", "method", "scale")},
        **{k: record[k] for k in ("p0_local", "z_local", "status", "data")},
        "flag": flag_of(record["observed"], maximum),
        **point_columns(record["point"]),
        **dict(zip(_BAND, band, strict=True)),
    }


def limits_of(request: Mapping[str, Any], keys: Sequence[str]) -> list[dict[str, Any]]:
    """Limits of some points of the block's workspaces, in order, all levels of a point together."""
    job = Request.from_dict(request)
    spec = job.spec
    config = validate(StatisticsConfig, spec["statistics"], where="statistics")
    stored = read_json(job.input("workspace"))
    points = stored["points"]
    inputs, empty = [], []
    for key in keys:
        w = points[key]
        meaning = spec["hypotheses"][w["hypothesis"]]
        if w["spec"] is None:
            empty.append(key)
            continue
        inputs.append(
            WorkspaceInput(
                w["point"],
                w["hypothesis"],
                w["axes"],
                w["spec"],
                # a branching fraction is in units of the sample's own rate
                scale=w["scale"] / (stored["sigma_fb"][key] if meaning["quantity"] == "branching_fraction" else 1.0),
                quantity=meaning["quantity"],
                unit=meaning["unit"],
                data=w["data"],
                blinded=w.get("blinded", False),
            )
        )
    records = [r.to_dict() for r in compute_limits(inputs, config, seed=spec["seed"])]
    for key in empty:
        records += [
            _no_sensitivity(points[key], spec["hypotheses"][points[key]["hypothesis"]], cl) for cl in config.cls
        ]
    largest = {name: h.get("maximum") for name, h in spec["hypotheses"].items()}
    return [r | row(r, spec["search"], spec["dataset"], largest[r["hypothesis"]]) for r in records]


def _no_sensitivity(workspace: Mapping[str, Any], meaning: Mapping[str, Any], cl: float) -> dict[str, Any]:
    """The record of a point without a workspace: a status and the reason, no number."""
    return {
        "point": workspace["point"],
        "hypothesis": workspace["hypothesis"],
        "axes": workspace["axes"],
        "quantity": meaning["quantity"],
        "unit": meaning["unit"],
        "cl": cl,
        "observed": None,
        "expected": None,
        "method": "asymptotic",
        "scale": workspace["scale"],
        "p0_local": None,
        "z_local": None,
        "mu_hat": None,
        "mu_err": None,
        "status": "no_sensitivity",
        "data": workspace["data"],
        "blinded": workspace.get("blinded", False),
        "certificate": {},
        "lint": [workspace["reason"]],
        "extra": {},
    }


def run(request: Request, backend: Backend, progress: Progress) -> None:
    """Limits of all points of the block; a point's numbers do not depend on its neighbours."""
    spec = request.spec
    stored = read_json(request.input("workspace"))
    if spec["kind"] == "ellipses":
        rows = [r | row(r, spec["search"], spec["dataset"]) for r in make_limits(request, backend)]
        progress(f"limits {spec['search']}/{spec['dataset']}: {len(stored['points'])} windows")
        value = {"limits": rows, "excluded": stored["excluded"], "provenance": provenance(request)}
        write_json(request.output("limits"), value)
        return
    keys = list(stored["points"])
    groups = [keys[i : i + _POINTS_A_TASK] for i in range(0, len(keys), _POINTS_A_TASK)]
    tasks = recalled(request, "darkfactory.pipeline.limits:limits_of", [[group] for group in groups], "limits")
    what = f"limits {spec['search']}/{spec['dataset']}"
    made = backend.map(tasks, lambda n: progress(f"{what}: {n} of {len(tasks)} groups of points"))
    value = {
        "limits": [record for group in made for record in group],
        "excluded": stored["excluded"],
        "provenance": provenance(request),
    }
    write_json(request.output("limits"), value)
    forget(request, "limits")
