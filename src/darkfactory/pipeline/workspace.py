"""Stage: HistFactory workspaces of the points of a block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from darkfactory.config.load import validate
from darkfactory.config.templates import TemplatesConfig
from darkfactory.core.files import read_json, write_json
from darkfactory.execute.backends import Backend
from darkfactory.pipeline import ellipses
from darkfactory.pipeline.model import fill_point
from darkfactory.pipeline.parts import Progress
from darkfactory.pipeline.request import Request, provenance
from darkfactory.pipeline.selected import hypothesis_items, locate, point_items, read_folds
from darkfactory.pipeline.summaries import folds_of
from darkfactory.templates.background import BackgroundModel
from darkfactory.templates.binning import Binning
from darkfactory.templates.build import build_templates
from darkfactory.templates.pseudodata import Observed
from darkfactory.templates.shapes import ShapeModel, TemplatePoint
from darkfactory.templates.signal import SignalSample
from darkfactory.templates.workspace import WorkspaceSet, build_workspaces

__all__ = ["point_workspaces", "run"]


_TASKS = 16
"""Tasks of a block at most: each reads the records of the whole search, which takes longer than a point."""


@dataclass(frozen=True)
class _Records:
    """What all points of a search share."""

    binning: dict[str, Any]
    shapes: ShapeModel
    background: BackgroundModel
    observed: Observed


def point_workspaces(request: Mapping[str, Any], groups: Sequence[Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """The workspaces of groups of points that share a simulated one, from the search's records and that sample."""
    job = Request.from_dict(request)
    model = read_json(job.input("model"))
    records = _Records(
        model["binning"],
        ShapeModel.from_dict(model["shapes"]),
        BackgroundModel.from_dict(model["background"]),
        Observed.from_dict(read_json(job.input("observed"))),
    )
    made: dict[str, Any] = {"points": {}, "excluded": {}}
    for items in groups:
        one = _group_workspaces(request, items, records)
        made["points"] |= {k: w.to_dict() for k, w in one.points.items()}
        made["excluded"] |= one.excluded
    return made


def _group_workspaces(
    request: Mapping[str, Any], items: Sequence[Mapping[str, Any]], records: _Records
) -> WorkspaceSet:
    """The workspaces of points that share a simulated one."""
    spec = request["spec"]
    config = validate(TemplatesConfig, spec["templates"], where="templates")
    points = [TemplatePoint(item["hypothesis"], item["point"]) for item in items]
    samples: dict[str, SignalSample] = {}
    regions = [config.region_of(point.mass, point.hypothesis) for point in points]
    own = [r is not None and config.signal_of(r.name) == "simulation" for r in regions]
    tables = [read_folds(p, items[0]["folds"]) for p in items[0]["paths"]] if any(own) else []
    for point, item, region, simulated in zip(points, items, regions, own, strict=True):
        if region is not None and simulated:
            filled = fill_point(request, {**item, "binning": records.binning}, [region.name], tables)
            histogram = filled[region.name]
            samples[point.key] = SignalSample(histogram, item["sigma_fb"], item["sigma_err_fb"])
    luminosity = spec["luminosity_fb"]
    templates = build_templates(
        points,
        records.shapes,
        Binning.from_dict(records.binning),
        records.background,
        config,
        luminosity,
        samples=samples,
        unit_efficiency=[h for h, q in spec["quantities"].items() if q == "efficiency_times_cross_section"],
    )
    return build_workspaces(
        templates,
        records.observed,
        points,
        config,
        luminosity,
        luminosity_uncertainty=spec["luminosity_uncertainty"]["value"],
    )


def _joint_task(
    request: Request,
    hypothesis: str,
    point: str,
    joint: Mapping[str, Any],
    found: Mapping[str, Mapping[str, Any]],
    sigma: Mapping[str, float],
) -> tuple[str, tuple[Any, ...]] | None:
    """The task that makes the workspace of a joint fit; none where its first member is left out."""
    keys = {m: f"{m}/{point}" for m in joint["members"]}
    records = {m: found["points"][k] for m, k in keys.items() if k in found["points"]}
    if joint["members"][0] not in records:
        return None
    rates = {m: sigma[keys[m]] for m in records}
    arguments = (hypothesis, point, joint, records, rates, request.spec["interpretation"])
    return "darkfactory.pipeline.joint:joint_workspace", arguments


def run(request: Request, backend: Backend, progress: Progress) -> None:
    """Workspaces of all points of the block, each as it would be alone."""
    spec = request.spec
    if spec["kind"] == "ellipses":
        ellipses.make_workspaces(request, backend, progress)
        return
    simulated = point_items(locate(request.input_list("signals")), folds_of(spec))
    joint = spec.get("joint", {})
    # a joint fit needs its members' workspaces at its own points
    wanted = {h: list(points) for h, points in spec["block"].items()}
    for name, entry in joint.items():
        for member in entry["members"]:
            own = set(spec["grid"].get(member, ())) | set(wanted.get(member, ()))
            more = [p for p in spec["block"].get(name, ()) if p in own]
            wanted[member] = list(dict.fromkeys([*wanted.get(member, ()), *more]))
    items = hypothesis_items(simulated, spec, wanted)
    plain = request.to_dict()
    shared: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for item in items:
        shared.setdefault((item["hypothesis"], item["simulated"]), []).append(item)
    groups = list(shared.values())
    each = max(1, -(-len(groups) // _TASKS))
    parts = [groups[i : i + each] for i in range(0, len(groups), each)]
    tasks = [("darkfactory.pipeline.workspace:point_workspaces", (plain, part)) for part in parts]
    what = f"workspace {spec['search']}/{spec['dataset']}"
    made = backend.map(tasks, lambda n: progress(f"{what}: {n} of {len(tasks)} groups of points"))
    # of the samples, at the couplings that they were made with: what a limit is compared with
    sigma = {f"{i['hypothesis']}/{i['point']}": i["sigma_fb"] for i in items}
    found: dict[str, dict[str, Any]] = {"points": {}, "excluded": {}}
    for one in made:
        found["points"] |= one["points"]
        found["excluded"] |= one["excluded"]
    fits = [(h, p, joint[h]) for h in joint for p in spec["block"].get(h, ())]
    together = [_joint_task(request, h, p, entry, found, sigma) for h, p, entry in fits]
    made = backend.map([t for t in together if t is not None]) if together else []
    # what was made only for a joint fit is no result of its own
    listed = {f"{h}/{p}" for h, points in spec["block"].items() for p in points}
    value: dict[str, Any] = {k: {n: v for n, v in found[k].items() if n in listed} for k in ("points", "excluded")}
    value |= {"sigma_fb": sigma, "provenance": provenance(request)}
    for record in made:
        key = f"{record['hypothesis']}/{record['point']}"
        value["points"][key] = record
        sigma[key] = sigma[f"{joint[record['hypothesis']]['members'][0]}/{record['point']}"]
    for h, p, entry in fits:
        first = f"{entry['members'][0]}/{p}"
        if first in found["excluded"]:
            value["excluded"][f"{h}/{p}"] = found["excluded"][first]
    write_json(request.output("workspace"), value)
