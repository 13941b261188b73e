"""Stage: searches of one model in one workspace at each mass, and limits on its coupling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from darkfactory.config.interpretation import ModelInterpretation
from darkfactory.config.load import validate
from darkfactory.config.points import parse_point
from darkfactory.config.statistics import StatisticsConfig
from darkfactory.core.errors import InputError
from darkfactory.core.files import read_json, write_json
from darkfactory.execute.backends import Backend
from darkfactory.interpret.couplings import coupling_from_rate, rate_at_unit_coupling
from darkfactory.pipeline.combine_lifetimes import COLUMNS as REGION_COLUMNS
from darkfactory.pipeline.combine_lifetimes import by_mass
from darkfactory.pipeline.parts import Progress
from darkfactory.pipeline.request import Request, provenance
from darkfactory.report.combination import combination_figure, region_figure
from darkfactory.report.files import save_figure
from darkfactory.report.style import style
from darkfactory.stats.combine import WorkspacePart, combine_workspaces, natural_unit
from darkfactory.stats.limits import WorkspaceInput, compute_limits
from darkfactory.store.tables import write_csv

__all__ = ["COLUMNS", "combine_point", "draw", "run", "toy_error"]

_LIMITS = ("observed", "expected_m2", "expected_m1", "expected", "expected_p1", "expected_p2")
COLUMNS = (
    "model", "coupling", "input", "point", "mass_gev", "unit", *_LIMITS, "cl", "method", "scale", "p0_local",
    "z_local", "status", "certified", "toy_error", "data",
)  # fmt: skip
"""Columns of a combination's couplings.csv; ``input`` is ``combined`` or search/dataset, ``toy_error`` the relative
statistical error of limits from toys: rows that differ by less do not differ."""


def _label(entry: Mapping[str, Any]) -> str:
    return f"{entry['search']}/{entry['dataset']}"


def _root(value: float | None, power: float) -> float | None:
    return None if value is None else float(max(value, 0.0) ** (1 / power))


def toy_error(record: Mapping[str, Any], power: float) -> float | None:
    """Relative statistical error that toys leave in the limit on a coupling; None without toys.

    Args:
        record: of the limit on the rate, which goes as the coupling to ``power``.
        power: see there.

    Example:
        >>> toy_error({"extra": {"error": 0.04}, "scale": 2.0, "observed": 1.0}, 2.0)
        0.04
    """
    error, observed = record.get("extra", {}).get("error"), record["observed"]
    if error is None or not observed:
        return None
    return float(error * record["scale"] / observed / power)


def combine_point(request: Mapping[str, Any], point: str, entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Combined workspace and limits at one mass, with the limits of the inputs.

    Args:
        request: of the stage.
        point: name of the mass point.
        entries: inputs with a workspace here: record, its sample's cross-section ``sigma_fb``, limit records, and what
            the request says of the input.
    """
    spec = request["spec"]
    config = spec["combination"]
    statistics = validate(StatisticsConfig, config["statistics"], where="combination.statistics")
    power, mass = float(config["power"]), parse_point(point)["mass"]
    common = {"model": config["model"], "coupling": config["coupling"], "point": point, "mass_gev": mass}
    common |= {"unit": config["unit"], "data": spec["data"]}
    parts, rows = [], []
    for entry in entries:
        model = validate(ModelInterpretation, entry["interpretation"], where="interpretation")
        rate = rate_at_unit_coupling(entry["sigma_fb"], model, mass)
        record = entry["record"]
        for limit in entry["limits"]:
            values = {k: coupling_from_rate(limit[k], entry["sigma_fb"], model, mass) for k in _LIMITS}
            rest = {k: limit[k] for k in ("cl", "method", "p0_local", "z_local", "status")}
            certified = limit["certificate"].get("passed")
            rows.append(
                {
                    **common,
                    "input": _label(entry),
                    **values,
                    **rest,
                    "scale": None,
                    "certified": certified,
                    "toy_error": toy_error(limit, power),
                }
            )
        if record["spec"] is not None and rate > 0:
            name = f"{entry['search']}_{entry['dataset']}"
            parts.append(WorkspacePart(name, record["spec"], rate / record["scale"], tuple(entry["tags"])))
    if not parts:
        lost = {**common, "input": "combined", "status": "no_sensitivity"}
        return {"rows": [lost | {"cl": cl} for cl in statistics.cls] + rows, "workspace": None, "records": []}
    unit = natural_unit(parts)
    scaled = [WorkspacePart(p.name, p.spec, p.strength * unit, p.tags) for p in parts]
    workspace = combine_workspaces(scaled, config["correlated"])
    item = WorkspaceInput(
        point, config["name"], {"mass_gev": mass}, workspace, scale=unit,
        quantity=f"{config['coupling']}^{power:g}", unit=config["unit"], data=spec["data"],
    )  # fmt: skip
    records = [r.to_dict() for r in compute_limits([item], statistics, seed=spec["seed"])]
    combined = []
    for r in records:
        band = r["expected"] or [None] * 5
        values = {k: _root(v, power) for k, v in zip(_LIMITS, [r["observed"], *band], strict=True)}
        rest = {k: r[k] for k in ("cl", "method", "scale", "p0_local", "z_local", "status")}
        certified = r["certificate"].get("passed")
        combined.append(
            {**common, "input": "combined", **values, **rest, "certified": certified, "toy_error": toy_error(r, power)}
        )
    return {"rows": combined + rows, "workspace": workspace, "records": records}


def _entries(request: Request) -> dict[str, list[dict[str, Any]]]:
    """Point to its inputs, with what their stages left."""
    workspaces = [read_json(p) for p in request.input_list("workspaces")]
    limits = [read_json(p) for p in request.input_list("limits")]
    inputs = {_label(i): i for i in request.spec["inputs"]}
    found: dict[str, list[dict[str, Any]]] = {}
    for source in request.spec["sources"]:
        at, key = int(source["file"]), f"{source['hypothesis']}/{source['point']}"
        here = found.setdefault(source["point"], [])
        record = workspaces[at]["points"].get(key)
        if record is None:
            # outside what the search can do at this mass: its own record says why
            continue
        if key not in workspaces[at].get("sigma_fb", {}):
            raise InputError(
                f"{_label(source)}: no cross-section of {key}; rerun the stage `workspace` of this dataset"
            )
        own = [
            r
            for r in limits[at]["limits"]
            if (r["hypothesis"], r["point"]) == (source["hypothesis"], source["point"])
            and r["cl"] in request.spec["combination"]["statistics"]["cls"]
        ]
        sigma = workspaces[at]["sigma_fb"][key]
        about = {"hypothesis": source["hypothesis"], "point": source["point"]}
        here.append({**inputs[_label(source)], **about, "record": record, "sigma_fb": sigma, "limits": own})
    return found


def draw(request: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """The figure of each level, on one worker; its entries for the report page."""
    job = Request.from_dict(request)
    config = job.spec["combination"]
    folder: Path = job.output("combination").parent
    entries = []
    with style():
        for cl in dict.fromkeys(r["cl"] for r in rows):
            level = [r for r in rows if r["cl"] == cl]
            families = {_label(i): [r for r in level if r["input"] == _label(i)] for i in job.spec["inputs"]}
            make = combination_figure if config["kind"] == "coupling" else region_figure
            figure = make(
                [r for r in level if r["input"] == "combined"], families, ylabel=config["label"] or config["coupling"],
                title=config["title"], data=job.spec["data"],
            )  # fmt: skip
            name = f"combination_cl{cl}".replace(".", "p")
            save_figure(figure, folder, name)
            caption = f"{config['coupling']} at {cl:.0%} CL, all inputs together and each alone. {config['note']}"
            entries.append({"file": f"{name}.png", "caption": caption})
    return entries


def run(request: Request, backend: Backend, progress: Progress) -> None:
    """All masses of a combination."""
    name = request.spec["combination"]["name"]
    plain = request.to_dict()
    lived = request.spec["combination"]["kind"] == "lifetimes"
    entries_of = by_mass(_entries(request)) if lived else _entries(request)
    found = dict(sorted(entries_of.items(), key=lambda e: parse_point(e[0])["mass"]))
    call = "combine_lifetimes:combine_mass" if lived else "combine:combine_point"
    tasks = [(f"darkfactory.pipeline.{call}", (plain, p, entries)) for p, entries in found.items()]
    made = backend.map(tasks, lambda n: progress(f"combination {name}: {n} of {len(tasks)} points"))
    rows = [r for one in made for r in one["rows"]]
    rows.sort(key=lambda r: (r["cl"], r["input"] != "combined", r["input"], r["mass_gev"]))
    write_csv(request.output("couplings"), rows, REGION_COLUMNS if lived else COLUMNS)
    workspaces = {p: one["workspace"] for p, one in zip(found, made, strict=True) if one["workspace"] is not None}
    write_json(request.output("workspaces"), {"points": workspaces, "provenance": provenance(request)})
    [figures] = backend.map([("darkfactory.pipeline.combine:draw", (plain, rows))])
    status: dict[str, int] = {}
    for one in made:
        for r in one["rows"]:
            if r["input"] == "combined" and not str(r.get("quantity", "")).endswith("_expected"):
                status[r["status"]] = status.get(r["status"], 0) + 1
    records = {p: one["records"] for p, one in zip(found, made, strict=True)}
    value = {
        "name": name,
        "title": request.spec["combination"]["title"],
        "inputs": [_label(i) for i in request.spec["inputs"]],
        "absent": request.spec["absent"],
        "correlated": request.spec["combination"]["correlated"],
        "status": status,
        "limits": records,
        "figures": figures,
        "provenance": provenance(request),
    }
    write_json(request.output("combination"), value)
