"""Stages `templates` and `workspace` of searches that count in ellipses of a plane of two squared masses.

The windows are data: their centres, shapes and number come from the resolution measured on the simulated points, so
they are not part of the plan. All of them share one job; a window of its own anywhere in the plane is another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from darkfactory.config.ellipses import EllipsesConfig
from darkfactory.config.formula import evaluate
from darkfactory.config.load import validate
from darkfactory.config.points import axis_columns, parse_point, point_columns, point_name
from darkfactory.core.files import read_json, write_json
from darkfactory.core.seeds import generator
from darkfactory.execute.backends import Backend
from darkfactory.models.dark_higgs import dark_higgsstrahlung
from darkfactory.physics.resolution import Core, fit_surface, inside, measure_core
from darkfactory.pipeline.beams import nominal_frame
from darkfactory.pipeline.blinding import recorded_candidates
from darkfactory.pipeline.parts import Progress
from darkfactory.pipeline.request import Request, provenance
from darkfactory.pipeline.selected import concatenate, hypothesis_items, locate, point_items, read_folds
from darkfactory.pipeline.summaries import (
    cutflows,
    equivalent_luminosity,
    folds_of,
    line_efficiencies,
    trigger_profiles,
)
from darkfactory.store.tables import write_csv
from darkfactory.templates.lattice import Cells, Windows, make_cells, make_centres, make_windows
from darkfactory.templates.plane import PlaneModel, make_resolution
from darkfactory.templates.plane_background import PlaneBackground, fill_cells, smooth_cells
from darkfactory.templates.plane_workspace import window_workspaces

__all__ = ["PlaneData", "build", "count", "make_model", "make_workspaces", "measure", "windows_of", "workspaces"]

RATES = {"dark_higgsstrahlung": dark_higgsstrahlung}
"""Closed forms of cross-sections by name: functions of both masses and the CM energy."""


def _config(request: Mapping[str, Any]) -> EllipsesConfig:
    return validate(EllipsesConfig, request["spec"]["templates"], where="templates")


def _table(item: Mapping[str, Any]) -> dict[str, np.ndarray]:
    return concatenate([read_folds(p, item["folds"]) for p in item["paths"]])


def measure(request: Mapping[str, Any], item: Mapping[str, Any]) -> dict[str, Any]:
    """Resolution of one simulated point; none where too few events are left."""
    config = _config(request)
    columns = _table(item)
    weight = columns["weight"]
    before = float(np.sum(columns["weight_untriggered"]))
    core = None
    # where the trigger leaves too few events, the shape is that before it
    for used in (weight, columns["weight_untriggered"]):
        squares = float(np.sum(used * used))
        # without any event that the trigger took there is nothing to measure either
        if squares == 0 or float(np.sum(used)) ** 2 < 1.5 * config.min_events * squares:
            continue
        found = measure_core(columns[config.x], columns[config.y], used)
        core = vars(found) if found.n_effective >= config.min_events else None
        if core is not None:
            break
    return {
        "core": core,
        "candidates": len(weight),
        "selected_sumw": float(np.sum(weight)),
        "trigger": float(np.sum(weight)) / before if before > 0 else None,
    }


def resolve(
    request: Mapping[str, Any], items: Sequence[Mapping[str, Any]], cores: Sequence[Any], sqrts: float
) -> dict[str, Any]:
    """Surfaces of the resolution and of the rate's correction."""
    config = _config(request)
    axes = [parse_point(i["point"]) for i in items]
    some = [(a["mass"], a["mass2"]) for a, c in zip(axes, cores, strict=True) if c is not None]
    orders = config.surfaces.model_dump()
    model = make_resolution(some, [Core(**c) for c in cores if c is not None], orders, sqrts)
    m1, m2 = (np.array([a[k] for a in axes]) for k in ("mass", "mass2"))
    born = RATES[config.rate](m1, m2, sqrts)
    ratio = np.array([i["sigma_fb"] for i in items]) / born
    error = np.array([max(i["sigma_err_fb"] / i["sigma_fb"], 1e-4) for i in items])
    rate = fit_surface(m1, m2, np.log(ratio), error**-2.0, order=config.surfaces.rate, scale=sqrts)
    return PlaneModel({**model.surfaces, "log_rate": rate}).to_dict()


def count(request: Mapping[str, Any], item: Mapping[str, Any], model: Mapping[str, Any]) -> dict[str, float]:
    """Weight of a simulated point inside the ellipse that the surfaces give it."""
    config = _config(request)
    columns = _table(item)
    axes = parse_point(item["point"])
    r = PlaneModel.from_dict(model).at(axes["mass"], axes["mass2"])
    w = columns["weight"][inside(columns[config.x], columns[config.y], r, config.half_axes)]
    return {"sumw": float(np.sum(w)), "sumw2": float(np.sum(w * w))}


def _efficiency_surface(
    config: EllipsesConfig, items: Sequence[Mapping[str, Any]], counts: Sequence[Mapping[str, float]], sqrts: float
) -> Any:
    rows = [(i, c) for i, c in zip(items, counts, strict=True) if c["sumw"] > 0]
    axes = [parse_point(i["point"]) for i, _ in rows]
    value = np.log([c["sumw"] / i["n_generated"] / i["sigma_fb"] for i, c in rows])
    effective = np.array([c["sumw"] ** 2 / c["sumw2"] for _, c in rows])
    m1, m2 = (np.array([a[k] for a in axes]) for k in ("mass", "mass2"))
    return fit_surface(m1, m2, value, effective, order=config.surfaces.efficiency, scale=sqrts)


def _centres(config: EllipsesConfig, model: PlaneModel, sqrts: float) -> list[str]:
    """Names of the windows."""

    def keep(m1: np.ndarray, m2: np.ndarray) -> np.ndarray:
        good = m1 + m2 < sqrts
        for condition in config.where:
            good &= np.asarray(evaluate(condition, {"mass": m1, "mass2": m2}), dtype=bool)
        return np.asarray(good)

    m1, m2 = make_centres(model, config.mass, sqrts, config.spacing, keep)
    names = [point_name({"mass": a, "mass2": b}) for a, b in zip(m1.tolist(), m2.tolist(), strict=True)]
    return list(dict.fromkeys(names))


def windows_of(points: Sequence[str], model: PlaneModel, cells: Cells, half_axes: float) -> Windows:
    """The cells of windows by name."""
    axes = [parse_point(p) for p in points]
    r = model.at(np.array([a["mass"] for a in axes]), np.array([a["mass2"] for a in axes]))
    return make_windows(cells, r, half_axes)


def build(request: Mapping[str, Any], tables: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Windows, cells, backgrounds and the one pseudo-dataset; returns rows of efficiency.csv of the windows."""
    job = Request.from_dict(request)
    spec, config, sqrts = job.spec, _config(request), float(tables["sqrts"])
    surfaces = PlaneModel.from_dict(tables["model"]).surfaces
    efficiency = _efficiency_surface(config, tables["points"], tables["counts"], sqrts)
    model = PlaneModel({**surfaces, "log_efficiency": efficiency})
    points = _centres(config, model, sqrts)
    axes = [parse_point(p) for p in points]
    m1, m2 = np.array([a["mass"] for a in axes]), np.array([a["mass2"] for a in axes])
    cells = make_cells(model, m1, m2, sqrts, config.cells)
    backgrounds: dict[str, PlaneBackground] = {}
    for item in tables["backgrounds"]:
        columns = _table(item)
        error = item["sigma_err_fb"] / item["sigma_fb"] if item["sigma_fb"] > 0 else 0.0
        weight = columns["weight"] / item["n_generated"]
        backgrounds[item["sample"]] = smooth_cells(
            cells, model, columns[config.x], columns[config.y], weight, config.smoothing, config.half_axes,
            sigma_error=error,
        )  # fmt: skip
    stream = ("observed", spec["search"], spec["dataset"])
    total = np.asarray(sum(b.expected for b in backgrounds.values())) * spec["luminosity_fb"]
    counts = total
    if spec["data"] == "real":
        events = recorded_candidates(job)
        counts = fill_cells(cells, events[config.x], events[config.y], events["weight"])
    elif spec["data"] == "pseudo":
        counts = generator(spec["seed"], *stream).poisson(total).astype(float)
    some = np.flatnonzero(counts)
    write_json(
        job.output("model"),
        {
            "kind": config.kind,
            "surfaces": model.to_dict(),
            "points": points,
            "cells": cells.to_dict(),
            "backgrounds": {n: b.to_dict() for n, b in backgrounds.items()},
            "sqrts": sqrts,
            "provenance": provenance(job),
        },
    )
    observed = {"data": spec["data"], "luminosity": spec["luminosity_fb"], "seed": "/".join(stream)}
    observed["blinded"] = spec["data"] != "real" and "blinding" in spec
    write_json(
        job.output("observed"),
        observed | {"slots": some.tolist(), "counts": counts[some].tolist(), "provenance": provenance(job)},
    )
    r, found = model.at(m1, m2), model.efficiency(m1, m2)
    rate = RATES[config.rate](m1, m2, sqrts) * model.rate_correction(m1, m2)
    hypothesis = next(iter(spec["signals"]))
    return [
        {
            "hypothesis": hypothesis,
            "point": p,
            **point_columns(p),
            "simulated": 0,
            "sigma_fb": float(rate[i]),
            "efficiency_window": float(found[i]),
            "sigma_x": float(r.sigma_x[i]),
            "sigma_y": float(r.sigma_y[i]),
            "correlation": float(r.rho[i]),
        }
        for i, p in enumerate(points)
    ]


def make_model(request: Request, backend: Backend, progress: Progress) -> None:
    """Measure all simulated points, then make what the windows share."""
    spec, plain = request.spec, request.to_dict()
    folds = folds_of(spec)
    signals, backgrounds = locate(request.input_list("signals")), locate(request.input_list("backgrounds"))
    items = hypothesis_items(point_items(signals, folds), spec, spec["grid"])
    what = f"templates {spec['search']}/{spec['dataset']}"
    tasks: list[tuple[str, tuple[Any, ...]]] = [("darkfactory.pipeline.ellipses:measure", (plain, i)) for i in items]
    measured = backend.map(tasks, lambda n: progress(f"{what}: {n} of {len(tasks)} signal points"))
    sqrts = nominal_frame(spec["beams"]).sqrts
    cores = [m["core"] for m in measured]
    (model,) = backend.map([("darkfactory.pipeline.ellipses:resolve", (plain, items, cores, sqrts))])
    tasks = [("darkfactory.pipeline.ellipses:count", (plain, i, model)) for i in items]
    counts = backend.map(tasks)
    tables = {
        "model": model,
        "points": items,
        "counts": counts,
        "backgrounds": point_items(backgrounds, folds),
        "sqrts": sqrts,
    }
    (windows,) = backend.map([("darkfactory.pipeline.ellipses:build", (plain, tables))])
    rows, triggers = [], {}
    for item, m, c in zip(items, measured, counts, strict=True):
        core = m["core"] or {}
        produced = item["n_generated"] * item["sigma_fb"]
        rows.append(
            {
                "hypothesis": item["hypothesis"],
                "point": item["point"],
                **point_columns(item["point"]),
                "simulated": 1,
                "sigma_fb": item["sigma_fb"],
                "sigma_err_fb": item["sigma_err_fb"],
                "generated": item["n_all"],
                "candidates": m["candidates"],
                "efficiency": m["selected_sumw"] / produced,
                "efficiency_window": c["sumw"] / produced,
                "trigger_efficiency": m["trigger"],
                "sigma_x": core.get("sigma_x"),
                "sigma_y": core.get("sigma_y"),
                "correlation": core.get("rho"),
            }
        )
        triggers[f"{item['hypothesis']}/{item['point']}"] = m["trigger"]
    first = ("hypothesis", "point", *axis_columns([i["point"] for i in items]))
    others = [c for c in (rows[0] if rows else ()) if c not in first]
    known = {(r["hypothesis"], r["point"]) for r in rows}
    rows += [w for w in windows if (w["hypothesis"], w["point"]) not in known]
    write_csv(request.output("efficiency"), rows, (*first, *others))
    flows = {
        "cutflows": cutflows([*signals, *backgrounds]),
        "backgrounds": {i["sample"]: equivalent_luminosity(i) for i in tables["backgrounds"]},
        "luminosity_fb": spec["luminosity_fb"],
    }
    write_json(request.output("cutflow"), flows | {"provenance": provenance(request)})
    told = {
        "selected": triggers,
        "lines": line_efficiencies(signals, items),
        "profiles": trigger_profiles(signals, items),
    }
    write_json(request.output("trigger"), told | {"provenance": provenance(request)})


class PlaneData:
    """What the stages after `templates` read of a plane.

    Attributes:
        model: smooth functions of the masses.
        cells: the fine cells.
        backgrounds: by sample.
        points: names of all windows.
        observed: events by slot of the cells.
        data: ``pseudo``, ``asimov`` or ``real``.
        blinded: whether these stand in for recorded data that nobody has opened.
    """

    def __init__(self, model: Mapping[str, Any], observed: Mapping[str, Any]) -> None:
        self.model = PlaneModel.from_dict(model["surfaces"])
        self.cells = Cells.from_dict(model["cells"])
        self.backgrounds = {n: PlaneBackground.from_dict(b) for n, b in model["backgrounds"].items()}
        self.points: list[str] = model["points"]
        self.data: str = observed["data"]
        self.blinded: bool = observed["blinded"]
        self.observed = np.zeros(self.cells.size)
        self.observed[np.asarray(observed["slots"], dtype=np.int64)] = observed["counts"]


def workspaces(request: Mapping[str, Any]) -> None:
    """Workspaces of all windows, or of the one that the block names, on one worker."""
    job = Request.from_dict(request)
    spec, config = job.spec, _config(request)
    plane = PlaneData(read_json(job.input("model")), read_json(job.input("observed")))
    luminosity = spec["luminosity_fb"]
    built: dict[str, Any] = {}
    for hypothesis, named in spec["block"].items():
        points = named or plane.points
        axes = [parse_point(p) for p in points]
        m1, m2 = np.array([a["mass"] for a in axes]), np.array([a["mass2"] for a in axes])
        windows = windows_of(points, plane.model, plane.cells, config.half_axes)
        backgrounds = {}
        for name, b in plane.backgrounds.items():
            value, variance = windows.sums(np.stack([b.expected, b.variance]))
            backgrounds[name] = (
                np.maximum(value, 0.0) * luminosity, np.sqrt(np.maximum(variance, 0.0)) * luminosity, b.sigma_error
            )  # fmt: skip
        found = window_workspaces(
            hypothesis, points, plane.model.efficiency(m1, m2), backgrounds, windows.sums(plane.observed), config,
            luminosity=luminosity, luminosity_uncertainty=spec["luminosity_uncertainty"]["value"], data=plane.data,
        )  # fmt: skip
        built |= {k: w.to_dict() | {"blinded": plane.blinded} for k, w in found.items()}
    write_json(job.output("workspace"), {"points": built, "excluded": {}, "provenance": provenance(job)})


def make_workspaces(request: Request, backend: Backend, progress: Progress) -> None:
    """Workspaces of a block."""
    backend.map([("darkfactory.pipeline.ellipses:workspaces", (request.to_dict(),))])
    progress(f"workspace {request.spec['search']}/{request.spec['dataset']}: done")
