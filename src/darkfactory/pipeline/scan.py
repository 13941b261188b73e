"""Stage: the whole scan of a dataset: one table, the largest excess and its global significance."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from darkfactory.config.load import validate
from darkfactory.config.points import parse_point, point_order
from darkfactory.config.statistics import StatisticsConfig
from darkfactory.core.errors import RunError, UserError
from darkfactory.core.files import read_json, write_json
from darkfactory.execute.backends import Backend
from darkfactory.pipeline.ellipse_scan import write_scan
from darkfactory.pipeline.limits import csv_columns
from darkfactory.pipeline.parts import Progress, forget, recalled
from darkfactory.pipeline.request import Request, provenance
from darkfactory.stats.limits import fit_backend
from darkfactory.stats.pulls import fitted_counts, nuisance_pulls
from darkfactory.stats.significance import ScanToys, scan_significance, scan_toys, single_scan
from darkfactory.stats.spectrum import ScanWindow, SharedSpectrum, shared_spectrum
from darkfactory.store.tables import write_csv

__all__ = ["finish", "run", "toy_chunks", "toys_of"]

log = logging.getLogger(__name__)

# part of the seeds of the toys, hence of their bits
_TOYS_A_CHUNK = 100
_MAY_BE_LOST = 0.1


def _order(record: Mapping[str, Any]) -> tuple[Any, ...]:
    return record["hypothesis"], record["cl"], point_order(record["point"])


def _narrow(request: Request) -> tuple[list[dict[str, Any]], dict[str, str], dict[str, list[dict[str, Any]]]]:
    """All records in order, excluded points, and per hypothesis the records that the largest excess is sought in."""
    records: list[dict[str, Any]] = []
    excluded: dict[str, str] = {}
    for path in request.input_list("limits"):
        stored = read_json(path)
        records += stored["limits"]
        excluded |= stored["excluded"]
    records.sort(key=_order)
    first = records[0]["cl"] if records else None
    known: dict[str, list[dict[str, Any]]] = {}
    for r in records:
        if r["cl"] == first and "width" not in parse_point(r["point"]) and r["z_local"] is not None:
            known.setdefault(r["hypothesis"], []).append(r)
    return records, excluded, known


def _workspaces(request: Request) -> dict[str, Any]:
    workspaces: dict[str, Any] = {}
    for path in request.input_list("workspaces"):
        workspaces |= read_json(path)["points"]
    return workspaces


def _usable(
    hypothesis: str, known: Sequence[Mapping[str, Any]], workspaces: Mapping[str, Any]
) -> tuple[list[Mapping[str, Any]], SharedSpectrum | None]:
    """Records of a hypothesis that toys of the whole scan take, and the spectrum that their points share, if any."""
    usable = [r for r in known if r["method"] == "asymptotic" and f"{hypothesis}/{r['point']}" in workspaces]
    if max(known, key=lambda r: r["z_local"]) not in usable:
        return usable, None
    points = [workspaces[f"{hypothesis}/{r['point']}"] for r in usable]
    if any(len(w["spec"]["channels"]) > 1 for w in points):
        # windows of several spectra
        return usable, None
    return usable, shared_spectrum([ScanWindow(w["spec"], w["edges"], w["keep"]) for w in points])


def toy_chunks(request: Mapping[str, Any]) -> list[list[Any]]:
    """Chunks of toys of whole scans that the stage needs: hypothesis, number of the chunk, toys."""
    job = Request.from_dict(request)
    toys = int(job.spec["toys"])
    if not toys:
        return []
    _, _, known = _narrow(job)
    workspaces = _workspaces(job)
    return [
        [hypothesis, i // _TOYS_A_CHUNK, min(_TOYS_A_CHUNK, toys - i)]
        for hypothesis, records in known.items()
        if _usable(hypothesis, records, workspaces)[1] is not None
        for i in range(0, toys, _TOYS_A_CHUNK)
    ]


def toys_of(request: Mapping[str, Any], hypothesis: str, chunk: int, count: int) -> dict[str, Any]:
    """One chunk of background-only scans; a chunk that cannot be fitted is lost, with the reason, and no more."""
    job = Request.from_dict(request)
    config = validate(StatisticsConfig, job.spec["statistics"], where="statistics")
    _, _, known = _narrow(job)
    workspaces = _workspaces(job)
    usable, shared = _usable(hypothesis, known[hypothesis], workspaces)
    if shared is None:
        raise RunError(f"toys of the scan of {hypothesis}: its points share no spectrum; run the stage again")
    specs = [workspaces[f"{hypothesis}/{r['point']}"]["spec"] for r in usable]
    path = ("stats", "scan", hypothesis, chunk)
    backend = fit_backend(config)
    try:
        toys = scan_toys(specs, shared.bins, shared.expected, count, seed=job.spec["seed"], path=path, backend=backend)
    except (UserError, RunError, ValueError, ArithmeticError) as error:
        log.warning("toys %d of the scan of %s are lost: %s", chunk, hypothesis, error)
        return {"hypothesis": hypothesis, "lost": str(error)}
    return {
        "hypothesis": hypothesis,
        "z_max": toys.z_max.tolist(),
        "crossings": toys.crossings.tolist(),
        "failed": toys.failed,
    }


def _significance(
    hypothesis: str,
    known: Sequence[Mapping[str, Any]],
    workspaces: Mapping[str, Any],
    toys: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """The largest excess of a hypothesis; its global significance from toys of the whole scan where there are any."""
    found = single_scan([r["z_local"] for r in known])
    largest = max(known, key=lambda r: r["z_local"])
    result: dict[str, Any] = {
        "hypothesis": hypothesis,
        "point": largest["point"],
        "mass_gev": parse_point(largest["point"])["mass"],
        "method": "gross_vitells",
        **found,
    }
    chunks = [t for t in toys if t["hypothesis"] == hypothesis]
    good = [t for t in chunks if "lost" not in t]
    if not chunks:
        return result
    lost = {"chunks_lost": len(chunks) - len(good)}
    if not good or lost["chunks_lost"] > _MAY_BE_LOST * len(chunks):
        return result | lost
    usable, _ = _usable(hypothesis, known, workspaces)
    total = ScanToys(
        np.concatenate([t["z_max"] for t in good]),
        np.concatenate([t["crossings"] for t in good]),
        sum(t["failed"] for t in good),
    )
    scan = scan_significance(np.array([r["z_local"] for r in usable]), total).to_dict()
    # the position in the scan is told by the point's name
    scan.pop("point")
    return result | scan | lost | {"method": "toys"}


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


def finish(request: Mapping[str, Any], toys: Sequence[Mapping[str, Any]]) -> None:
    """Collect all blocks and the toys, on one worker."""
    job = Request.from_dict(request)
    spec = job.spec
    records, excluded, known = _narrow(job)
    write_csv(job.output("limits_csv"), records, csv_columns([r["point"] for r in records]))
    status: dict[str, int] = {}
    failed_certificates = []
    for r in records:
        status[r["status"]] = status.get(r["status"], 0) + 1
        if r["status"] == "ok" and r["certificate"] and not r["certificate"].get("passed", True):
            failed_certificates.append(r["point"])
    workspaces = _workspaces(job)
    significance = {h: _significance(h, found, workspaces, toys) for h, found in known.items()}
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
    """The scan's table and its largest excess; toys of the whole scan chunk by chunk on all workers."""
    if request.spec["kind"] == "ellipses":
        records = _narrow(request)[0]
        write_csv(request.output("limits_csv"), records, csv_columns([r["point"] for r in records]))
        write_scan(request, backend, records)
        progress(f"scan {request.spec['search']}/{request.spec['dataset']}: done")
        return
    plain = request.to_dict()
    what = f"scan {request.spec['search']}/{request.spec['dataset']}"
    toys: list[Any] = []
    if request.spec["toys"]:
        (chunks,) = backend.map([("darkfactory.pipeline.scan:toy_chunks", (plain,))])
        tasks = recalled(request, "darkfactory.pipeline.scan:toys_of", chunks, "scan")
        toys = backend.map(tasks, lambda n: progress(f"{what}: {n} of {len(tasks)} chunks of toys"))
    backend.map([("darkfactory.pipeline.scan:finish", (plain, toys))])
    forget(request, "scan")
    progress(f"{what}: done")
