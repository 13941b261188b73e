"""Stage: the whole scan of a dataset: one table, the largest excess and its global significance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from darkfactory.config.points import parse_point
from darkfactory.core.files import read_json, write_json
from darkfactory.execute.backends import Backend
from darkfactory.pipeline.limits import CSV_COLUMNS
from darkfactory.pipeline.parts import Progress
from darkfactory.pipeline.request import Request, provenance
from darkfactory.stats.look_elsewhere import gross_vitells
from darkfactory.store.tables import write_csv

__all__ = ["finish", "run"]


def _order(record: Mapping[str, Any]) -> tuple[Any, ...]:
    axes = parse_point(record["point"])
    return record["hypothesis"], record["cl"], axes.get("width", -1.0), axes["mass"]


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
    write_csv(job.output("limits_csv"), records, CSV_COLUMNS)
    status: dict[str, int] = {}
    failed_certificates = []
    for r in records:
        status[r["status"]] = status.get(r["status"], 0) + 1
        if r["status"] == "ok" and r["certificate"] and not r["certificate"].get("passed", True):
            failed_certificates.append(r["point"])
    first = records[0]["cl"] if records else None
    narrow = [r for r in records if r["cl"] == first and "width" not in parse_point(r["point"])]
    significance = {}
    for hypothesis in dict.fromkeys(r["hypothesis"] for r in narrow):
        z = [
            (parse_point(r["point"])["mass"], r["z_local"], r["point"]) for r in narrow if r["hypothesis"] == hypothesis
        ]
        known = [(m, v, p) for m, v, p in z if v is not None]
        if known:
            largest = max(known, key=lambda k: k[1])
            found = gross_vitells([v for _, v, _ in known])
            significance[hypothesis] = {"point": largest[2], "mass_gev": largest[0], **found}
    best = max(significance.values(), key=lambda s: s["z_local"], default=None)
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
            "method": "gross_vitells",
            "provenance": provenance(job),
        },
    )


def run(request: Request, backend: Backend, progress: Progress) -> None:
    """The scan's table and its largest excess."""
    backend.map([("darkfactory.pipeline.scan:finish", (request.to_dict(),))])
    progress(f"scan {request.spec['search']}/{request.spec['dataset']}: done")
