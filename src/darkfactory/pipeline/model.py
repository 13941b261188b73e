"""Stage `templates`: what all points of a search share, made on its grid.

Signal shapes and resolution, binning, background expectation and the one pseudo-dataset; beside them the cutflow,
the efficiencies and what the trigger kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from darkfactory.config.load import validate
from darkfactory.config.points import axis_columns, point_columns
from darkfactory.config.templates import TemplatesConfig
from darkfactory.core.files import write_json
from darkfactory.core.seeds import generator
from darkfactory.execute.backends import Backend, tree_reduce
from darkfactory.physics.lifetimes import effective_fraction
from darkfactory.pipeline import ellipses
from darkfactory.pipeline.blinding import observed_histograms
from darkfactory.pipeline.parts import Progress
from darkfactory.pipeline.request import Request, provenance
from darkfactory.pipeline.responses import response_histograms
from darkfactory.pipeline.selected import (
    concatenate,
    hypothesis_items,
    locate,
    point_items,
    read_candidates,
    read_folds,
    reweighted,
)
from darkfactory.pipeline.summaries import (
    cutflows,
    equivalent_luminosity,
    folds_of,
    line_efficiencies,
    trigger_profiles,
)
from darkfactory.records.histogram import Histogram
from darkfactory.store.tables import write_csv
from darkfactory.templates.background import build_background
from darkfactory.templates.binning import Binning, build_binning
from darkfactory.templates.factorise import factorise
from darkfactory.templates.fill import fill_region, with_slopes
from darkfactory.templates.pseudodata import draw_observed, observed_from_histograms
from darkfactory.templates.shapes import SignalMeasurement, TemplatePoint, build_shape_model, measure_signal

__all__ = ["fill_point", "finish", "measure", "measure_points", "run"]


def measure_points(request: Mapping[str, Any], items: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Shapes and efficiencies of points that share a simulated one, whose candidates are read once."""
    config = validate(TemplatesConfig, request["spec"]["templates"], where="templates")
    columns = concatenate([read_folds(p, items[0]["folds"]) for p in items[0]["paths"]])
    return [measure(config, item, columns) for item in items]


def measure(config: TemplatesConfig, item: Mapping[str, Any], candidates: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Shape and efficiency of one signal point, from the candidates of the simulated one."""
    columns = with_slopes(reweighted(candidates, item, item["paths"][0]), config.systematics.slopes, item["sample"])
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
        columns = with_slopes(columns, config.systematics.slopes, item["sample"])
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
    errors: dict[str, float] = {}
    factor_errors: dict[str, dict[str, float]] = {r.name: {} for r in config.regions}
    factors: dict[str, dict[str, Any]] = {}
    folded = response_histograms(config, binning, tables["backgrounds"])
    for item in tables["backgrounds"]:
        if config.sample(item["sample"]).role == "shown":
            continue
        settings = config.sample(item["sample"]).factorised
        if settings is not None:
            candidates = with_slopes(
                concatenate([read_candidates(path, item) for path in item["paths"]]),
                config.systematics.slopes,
                item["sample"],
            )
            for part in config.regions:
                edges = binning.regions[part.name].edges
                product = factorise(candidates, part, edges, settings, item["n_generated"])
                histograms[part.name][item["sample"]] = product.histogram
                factor_errors[part.name][item["sample"]] = product.error
                factors.setdefault(part.name, {})[item["sample"]] = product.summary()
        else:
            for region, histogram in fill_point(request, item | {"binning": binning.to_dict()}).items():
                made = folded.get((region, item["sample"]))
                histograms[region][item["sample"]] = histogram if made is None else made.histogram
        errors[item["sample"]] = item["sigma_err_fb"] / item["sigma_fb"] if item["sigma_fb"] > 0 else 0.0
    background = build_background(histograms, binning, config, sigma_errors=errors, factor_errors=factor_errors)
    stream = ("observed", spec["search"], spec["dataset"])
    rng = generator(spec["seed"], *stream) if spec["data"] == "pseudo" else None
    if spec["data"] == "real":
        edges_of = {name: b.edges for name, b in binning.regions.items()}
        observed = observed_from_histograms(observed_histograms(job, config.regions, edges_of), spec["luminosity_fb"])
    else:
        observed = draw_observed(background, spec["luminosity_fb"], rng=rng, seed="/".join(stream))
        observed = replace(observed, blinded="blinding" in spec)
    write_json(
        job.output("model"),
        {
            "shapes": shapes.to_dict(),
            "binning": binning.to_dict(),
            "background": background.to_dict(),
            "factors": factors,
            "responses": {f"{r}/{s}": {"chi2": m.chi2, "bins": m.bins, "gain": m.gain} for (r, s), m in folded.items()},
            "sigma_fb": {f"{p['hypothesis']}/{p['point']}": p["sigma_fb"] for p in tables["points"]},
            "provenance": provenance(job),
        },
    )
    write_json(job.output("observed"), observed.to_dict() | {"provenance": provenance(job)})


def run(request: Request, backend: Backend, progress: Progress) -> None:
    """Measure all signals, then make what the points share."""
    spec = request.spec
    if spec["kind"] == "ellipses":
        ellipses.make_model(request, backend, progress)
        return
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
        counted = found.get("efficiency") if spec["templates"].get("efficiency") == "region" else None
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
                "efficiency": found["efficiency"] if pairings and fit else counted or selected / item["sigma_fb"],
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
    samples = {i["sample"]: equivalent_luminosity(i) for i in tables["backgrounds"]}
    flows = {
        "cutflows": cutflows([*signals, *backgrounds]),
        "backgrounds": samples,
        "luminosity_fb": spec["luminosity_fb"],
    }
    write_json(request.output("cutflow"), flows | {"provenance": provenance(request)})
    told = {
        "selected": triggers,
        "lines": line_efficiencies(signals, items),
        "profiles": trigger_profiles(signals, items),
    }
    write_json(request.output("trigger"), told | {"provenance": provenance(request)})
