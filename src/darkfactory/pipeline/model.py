"""Stage `templates`: what all points of a search share, made on its grid.

Signal shapes and resolution, binning, background expectation and the one pseudo-dataset; beside them the cutflow,
the efficiencies and what the trigger kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from darkfactory.config.load import validate
from darkfactory.config.points import axis_columns, point_columns
from darkfactory.config.templates import TemplatesConfig
from darkfactory.core.files import write_json
from darkfactory.core.seeds import generator
from darkfactory.execute.backends import Backend, tree_reduce
from darkfactory.physics.lifetimes import effective_fraction
from darkfactory.pipeline.parts import Progress
from darkfactory.pipeline.request import Request, provenance
from darkfactory.pipeline.selected import (
    Located,
    concatenate,
    hypothesis_items,
    locate,
    point_items,
    read_candidates,
    read_folds,
    reweighted,
    total_cutflow,
)
from darkfactory.records.histogram import Histogram
from darkfactory.store.tables import write_csv
from darkfactory.templates.background import build_background
from darkfactory.templates.binning import Binning, build_binning
from darkfactory.templates.fill import fill_region
from darkfactory.templates.pseudodata import draw_observed
from darkfactory.templates.shapes import SignalMeasurement, TemplatePoint, build_shape_model, measure_signal

__all__ = ["ALL_FOLDS", "fill_point", "finish", "folds_of", "measure", "measure_points", "profile_efficiency", "run"]

ALL_FOLDS = (0, 1, 2, 3)
TEMPLATE_FOLDS = (2, 3)


def folds_of(spec: Mapping[str, Any]) -> tuple[int, ...]:
    """Folds that templates may use: those that training and testing did not, where there was training."""
    return TEMPLATE_FOLDS if spec["trained"] else ALL_FOLDS


def measure_points(request: Mapping[str, Any], items: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Shapes and efficiencies of points that share a simulated one, whose candidates are read once."""
    config = validate(TemplatesConfig, request["spec"]["templates"], where="templates")
    columns = concatenate([read_folds(p, items[0]["folds"]) for p in items[0]["paths"]])
    return [measure(config, item, columns) for item in items]


def measure(config: TemplatesConfig, item: Mapping[str, Any], candidates: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Shape and efficiency of one signal point, from the candidates of the simulated one."""
    columns = reweighted(candidates, item, item["paths"][0])
    point = TemplatePoint(item["hypothesis"], item["point"])
    # lifetimes do not change the shape much: it is that of all decays of the simulated point, where events are many
    found = measure_signal(
        point, columns, config, n_generated=item["n_generated"], sigma_fb=item["sigma_fb"], shape=not item["reweight"]
    )
    before = float(np.sum(columns["weight_untriggered"]))
    used = columns["weight"] > 0
    return {
        "measurement": None if found is None else found.to_dict(),
        "candidates": len(columns["weight"]),
        "selected_sumw": float(np.sum(columns["weight"])),
        "effective_fraction": effective_fraction(columns["weight"][used]) if item["reweight"] else None,
        "trigger": float(np.sum(columns["weight"])) / before if before > 0 else None,
    }


def fill_point(
    request: Mapping[str, Any],
    item: Mapping[str, Any],
    names: Sequence[str] | None = None,
    tables: Sequence[Mapping[str, np.ndarray]] | None = None,
) -> dict[str, Histogram]:
    """Histograms of one sample's point in every region, its parts added by the fixed tree.

    Args:
        request: of the stage.
        item: the point, its parts and the binning.
        names: only these regions.
        tables: candidates of its parts, where they have been read.
    """
    config = validate(TemplatesConfig, request["spec"]["templates"], where="templates")
    binning = Binning.from_dict(item["binning"])
    regions = [r for r in config.regions if names is None or r.name in names]
    filled: dict[str, list[Histogram]] = {r.name: [] for r in regions}
    for i, (path, generated) in enumerate(zip(item["paths"], item["counts"], strict=True)):
        columns = read_candidates(path, item) if tables is None else reweighted(tables[i], item, path)
        for region in regions:
            edges = binning.regions[region.name].edges
            filled[region.name].append(fill_region(columns, region, edges, n_generated=generated))
    return {name: tree_reduce(parts, lambda a, b: a + b) for name, parts in filled.items()}


def finish(request: Mapping[str, Any], tables: Mapping[str, Any]) -> None:
    """From measurements and backgrounds to the records that all points share, on one worker."""
    job = Request.from_dict(request)
    spec = job.spec
    config = validate(TemplatesConfig, spec["templates"], where="templates")
    measured = [SignalMeasurement.from_dict(m) for m in tables["measurements"]]
    shapes = build_shape_model(measured, config)
    binning = build_binning(shapes, config)
    histograms: dict[str, dict[str, Histogram]] = {r.name: {} for r in config.regions}
    errors = {}
    for item in tables["backgrounds"]:
        if config.sample(item["sample"]).role == "shown":
            continue
        for region, histogram in fill_point(request, item | {"binning": binning.to_dict()}).items():
            histograms[region][item["sample"]] = histogram
        errors[item["sample"]] = item["sigma_err_fb"] / item["sigma_fb"] if item["sigma_fb"] > 0 else 0.0
    background = build_background(histograms, binning, config, sigma_errors=errors)
    stream = ("observed", spec["search"], spec["dataset"])
    rng = generator(spec["seed"], *stream) if spec["data"] == "pseudo" else None
    observed = draw_observed(background, spec["luminosity_fb"], rng=rng, seed="/".join(stream))
    write_json(
        job.output("model"),
        {
            "shapes": shapes.to_dict(),
            "binning": binning.to_dict(),
            "background": background.to_dict(),
            "sigma_fb": {f"{p['hypothesis']}/{p['point']}": p["sigma_fb"] for p in tables["points"]},
            "provenance": provenance(job),
        },
    )
    write_json(job.output("observed"), observed.to_dict() | {"provenance": provenance(job)})


def _equivalent_luminosity(item: Mapping[str, Any]) -> dict[str, Any]:
    """Effective simulated candidates of a background over its selected cross-section."""
    tables = [read_folds(p, item["folds"])["weight"] for p in item["paths"]]
    weight = np.concatenate(tables)
    sumw, sumw2 = float(np.sum(weight)), float(np.sum(weight * weight))
    selected = sumw / item["n_generated"]
    return {
        "generated": item["n_all"],
        "sigma_fb": item["sigma_fb"],
        "sigma_err_fb": item["sigma_err_fb"],
        "candidates": len(weight),
        "selected_fb": selected,
        "equivalent_luminosity_fb": sumw**2 / sumw2 / selected if sumw2 > 0 and selected > 0 else None,
    }


def _cutflows(found: Sequence[Located]) -> dict[str, Any]:
    flows: dict[str, Any] = {}
    for one in found:
        for point in one.manifest.points():
            name = one.manifest.sample if point == "all" else f"{one.manifest.sample}/{point}"
            parts = one.manifest.of(point)
            flows[name] = total_cutflow(parts).to_dict() | {"n_generated": sum(p.n_generated for p in parts)}
    return flows


def run(request: Request, backend: Backend, progress: Progress) -> None:
    """Measure all signals, then make what the points share."""
    spec = request.spec
    plain = request.to_dict()
    folds = folds_of(spec)
    signals, backgrounds = locate(request.input_list("signals")), locate(request.input_list("backgrounds"))
    items = hypothesis_items(point_items(signals, folds), spec, spec["grid"])
    what = f"templates {spec['search']}/{spec['dataset']}"
    served = {(i["hypothesis"], i["simulated"]): i for i in items if i["reweight"]}
    simulated = [i | {"point": i["simulated"], "reweight": {}} for i in served.values()]
    wanted = [*items, *simulated]
    shared: dict[tuple[str, str], list[int]] = {}
    for i, item in enumerate(wanted):
        shared.setdefault((item["hypothesis"], item["simulated"]), []).append(i)
    groups = [[wanted[i] for i in group] for group in shared.values()]
    tasks = [("darkfactory.pipeline.model:measure_points", (plain, group)) for group in groups]
    made_by_group = backend.map(tasks, lambda n: progress(f"{what}: {n} of {len(tasks)} simulated signal points"))
    by_number = {
        i: m
        for group, made in zip(shared.values(), made_by_group, strict=True)
        for i, m in zip(group, made, strict=True)
    }
    measured = [by_number[i] for i in range(len(wanted))]
    tables = {
        "measurements": [m["measurement"] for m in measured if m["measurement"] is not None],
        "backgrounds": point_items(backgrounds, folds),
        "points": items,
    }
    backend.map([("darkfactory.pipeline.model:finish", (plain, tables))])
    rows, triggers = [], {}
    pairings = (spec["templates"].get("shape") or {}).get("wrong_pairings") is not None
    for item, m in zip(items, measured[: len(items)], strict=True):
        found = m["measurement"] or {}
        selected = m["selected_sumw"] / item["n_generated"]
        fit = found.get("fit") or {}
        rows.append(
            {
                "hypothesis": item["hypothesis"],
                "point": item["point"],
                **point_columns(item["point"]),
                "sigma_fb": item["sigma_fb"],
                "sigma_err_fb": item["sigma_err_fb"],
                "generated": item["n_all"],
                "candidates": m["candidates"],
                # of several candidates an event the right one counts
                "efficiency": found["efficiency"] if pairings and fit else selected / item["sigma_fb"],
                "trigger_efficiency": m["trigger"],
                "effective_events": found.get("effective_events"),
                "effective_fraction": m["effective_fraction"],
                "region": found.get("region"),
                "resolution": fit.get("sigma68"),
            }
        )
        triggers[f"{item['hypothesis']}/{item['point']}"] = m["trigger"]
    axes = axis_columns([i["point"] for i in items])
    others = [c for c in (rows[0] if rows else ()) if c not in axes and c not in ("hypothesis", "point")]
    write_csv(request.output("efficiency"), rows, ("hypothesis", "point", *axes, *others))
    samples = {i["sample"]: _equivalent_luminosity(i) for i in tables["backgrounds"]}
    flows = {
        "cutflows": _cutflows([*signals, *backgrounds]),
        "backgrounds": samples,
        "luminosity_fb": spec["luminosity_fb"],
    }
    write_json(request.output("cutflow"), flows | {"provenance": provenance(request)})
    told = {
        "selected": triggers,
        "lines": _line_efficiencies(signals, items),
        "profiles": _trigger_profiles(signals, items),
    }
    write_json(request.output("trigger"), told | {"provenance": provenance(request)})


def _served(items: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], list[str]]:
    """Hypotheses of each simulated point."""
    served: dict[tuple[str, str], dict[str, None]] = {}
    for i in items:
        served.setdefault((i["sample"], i["simulated"]), {})[i["hypothesis"]] = None
    return {key: list(names) for key, names in served.items()}


def _trigger_profiles(signals: Sequence[Located], items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Trigger efficiency of the preselected signal by observable, and the share of the signal in each bin."""
    served = _served(items)
    result: dict[str, Any] = {}
    for one in signals:
        for point in one.manifest.points():
            sums: dict[str, dict[str, np.ndarray]] = {}
            for part in one.manifest.of(point):
                for name, p in part.meta.get("trigger_profiles", {}).items():
                    known = sums.setdefault(name, {"edges": np.asarray(p["edges"])})
                    known |= {k: known.get(k, np.zeros(len(p[k]))) + np.asarray(p[k]) for k in ("all", "kept")}
            told = {
                n: profile_efficiency(s["edges"], s["all"], s["kept"]) for n, s in sums.items() if np.sum(s["all"]) > 0
            }
            for hypothesis in served.get((one.manifest.sample, point), ()):
                if told:
                    result[f"{hypothesis}/{point}"] = told
    return result


def profile_efficiency(edges: np.ndarray, every: np.ndarray, kept: np.ndarray) -> dict[str, Any]:
    """Kept over all, None where there is nothing, and the share of each bin.

    Example:
        >>> profile_efficiency(np.arange(3.0), np.array([4.0, 0.0]), np.array([1.0, 0.0]))
        {'edges': [0.0, 1.0, 2.0], 'efficiency': [0.25, None], 'share': [1.0, 0.0]}
    """
    efficiency = [float(k / a) if a > 0 else None for k, a in zip(kept, every, strict=True)]
    return {"edges": edges.tolist(), "efficiency": efficiency, "share": (every / every.sum()).tolist()}


def _line_efficiencies(signals: Sequence[Located], items: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Fraction of the preselected weight that each of the search's lines keeps, by simulated point."""
    served = _served(items)
    result: dict[str, dict[str, float]] = {}
    for one in signals:
        for point in one.manifest.points():
            sums: dict[str, float] = {}
            for part in one.manifest.of(point):
                for line, value in part.meta["trigger"].items():
                    sums[line] = sums.get(line, 0.0) + float(value)
            total = sums.pop("all", 0.0)
            for hypothesis in served.get((one.manifest.sample, point), ()):
                if total > 0:
                    result[f"{hypothesis}/{point}"] = {line: v / total for line, v in sums.items()}
    return result
