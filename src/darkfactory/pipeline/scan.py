"""Stage: the whole scan of a dataset: one table, the largest excess and its global significance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from darkfactory.config.points import parse_point, point_order
from darkfactory.core.errors import UserError
from darkfactory.core.files import read_json, write_json
from darkfactory.execute.backends import Backend
from darkfactory.pipeline.limits import csv_columns
from darkfactory.pipeline.parts import Progress
from darkfactory.pipeline.request import Request, provenance
from darkfactory.stats.pulls import fitted_counts, nuisance_pulls
from darkfactory.stats.significance import ScanToys, scan_significance, scan_toys, single_scan
from darkfactory.stats.spectrum import ScanWindow, shared_spectrum
from darkfactory.store.tables import write_csv

__all__ = ["finish", "run"]

_TOYS_A_CHUNK = 200


def _order(record: Mapping[str, Any]) -> tuple[Any, ...]:
    return record["hypothesis"], record["cl"], point_order(record["point"])


def _significance(
    hypothesis: str, known: Sequence[Mapping[str, Any]], workspaces: Mapping[str, Any], spec: Mapping[str, Any]
) -> dict[str, Any]:
    """The largest excess of a hypothesis; toys of the whole scan where its points share one spectrum."""
    found = single_scan([r["z_local"] for r in known])
    largest = max(known, key=lambda r: r["z_local"])
    result: dict[str, Any] = {
        "hypothesis": hypothesis,
        "point": largest["point"],
        "mass_gev": parse_point(largest["point"])["mass"],
        "method": "gross_vitells",
        **found,
    }
    usable = [r for r in known if r["method"] == "asymptotic" and f"{hypothesis}/{r['point']}" in workspaces]
    if not spec["toys"] or largest not in usable:
        return result
    points = [workspaces[f"{hypothesis}/{r['point']}"] for r in usable]
    shared = shared_spectrum([ScanWindow(w["spec"], w["edges"], w["keep"]) for w in points])
    if shared is None:
        return result
    total: ScanToys | None = None
    for i in range(0, spec["toys"], _TOYS_A_CHUNK):
        count = min(_TOYS_A_CHUNK, spec["toys"] - i)
        path = ("stats", "scan", hypothesis, i // _TOYS_A_CHUNK)
        try:
            chunk = scan_toys(
                [w["spec"] for w in points], shared.bins, shared.expected, count, seed=spec["seed"], path=path
            )
        except UserError:
            # a workspace that only stock pyhf takes has no fast fit of toys
            return result
        total = chunk if total is None else total + chunk
    if total is None:
        return result
    scan = scan_significance(np.array([r["z_local"] for r in usable]), total).to_dict()
    # the position in the scan is told by the point's name
    scan.pop("point")
    return result | scan | {"method": "toys"}


def _pulls(workspace: Mapping[str, Any] | None) -> dict[str, list[float]]:
    """Nuisance parameters at the best fit of a point; none where only stock pyhf takes its workspace."""
    if workspace is None or workspace["spec"] is None:
        return {}
    try:
        return {name: list(v) for name, v in nuisance_pulls(workspace["spec"]).items()}
    except UserError:
        return {}


def _best_fit(workspace: Mapping[str, Any] | None) -> dict[str, Any]:
    """Counts and fit in the window of a point, summed over its second axis; empty where there is no fast fit."""
    if workspace is None or workspace["spec"] is None:
        return {}
    try:
        counts = fitted_counts(workspace["spec"]).get(workspace["region"])
    except UserError:
        return {}
    if counts is None:
        return {}
    bins = len(workspace["edges"][0]) - 1
    keep = np.array(workspace["keep"], dtype=bool)
    summed = {}
    for name, values in counts.items():
        full = np.zeros(bins)
        full[keep] = np.reshape(values, (int(keep.sum()), -1)).sum(axis=1)
        summed[name] = full.tolist()
    return {"edges": list(workspace["edges"][0]), **summed}


def finish(request: Mapping[str, Any]) -> None:
    """Collect all blocks, on one worker."""
    job = Request.from_dict(request)
    spec = job.spec
    records: list[dict[str, Any]] = []
    excluded: dict[str, str] = {}
    for path in job.input_list("limits"):
        stored = read_json(path)
        records += stored["limits"]
        excluded |= stored["excluded"]
    records.sort(key=_order)
    write_csv(job.output("limits_csv"), records, csv_columns([r["point"] for r in records]))
    status: dict[str, int] = {}
    failed_certificates = []
    for r in records:
        status[r["status"]] = status.get(r["status"], 0) + 1
        if r["status"] == "ok" and r["certificate"] and not r["certificate"].get("passed", True):
            failed_certificates.append(r["point"])
    first = records[0]["cl"] if records else None
    narrow = [r for r in records if r["cl"] == first and "width" not in parse_point(r["point"])]
    workspaces: dict[str, Any] = {}
    for path in job.input_list("workspaces"):
        workspaces |= read_json(path)["points"]
    significance = {}
    for hypothesis in dict.fromkeys(r["hypothesis"] for r in narrow):
        known = [r for r in narrow if r["hypothesis"] == hypothesis and r["z_local"] is not None]
        if known:
            significance[hypothesis] = _significance(hypothesis, known, workspaces, spec)
    best = max(significance.values(), key=lambda s: s["z_local"], default=None)
    if best is not None:
        workspace = workspaces.get(f"{best['hypothesis']}/{best['point']}")
        best = best | {"pulls": _pulls(workspace), "best_fit": _best_fit(workspace)}
    write_json(
        job.output("scan"),
        {
            "search": spec["search"],
            "dataset": spec["dataset"],
            "points": len({(r["hypothesis"], r["point"]) for r in records}),
            "status": status,
            "excluded": excluded,
            "failed_certificates": failed_certificates,
            "largest": best,
            "hypotheses": significance,
            "method": best["method"] if best is not None else "gross_vitells",
            "provenance": provenance(job),
        },
    )


def run(request: Request, backend: Backend, progress: Progress) -> None:
    """The scan's table and its largest excess."""
    backend.map([("darkfactory.pipeline.scan:finish", (request.to_dict(),))])
    progress(f"scan {request.spec['search']}/{request.spec['dataset']}: done")
