"""The books of a campaign: events and weights of every sample from stage to stage, from manifests alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from darkfactory.pipeline.jobs import Job, jobs_of
from darkfactory.pipeline.parts import read_manifest
from darkfactory.pipeline.plan import Planner
from darkfactory.records.books import Book
from darkfactory.records.manifest import Manifest

__all__ = ["Entry", "entries", "gaps", "summed"]

_BOOKED = ("generate", "ingest", "simulate", "skim", "trigger", "preselect", "select")


@dataclass(frozen=True)
class Entry:
    """The book of a job.

    Attributes:
        job: the job.
        book: of all its parts.
        missing: chunks that it is without.
    """

    job: Job
    book: Book
    missing: int


def _total(manifest: Manifest) -> Book:
    return Book.total([Book.from_dict(p.book) for p in manifest.parts])


def entries(plan: Planner, root: Path) -> list[Entry]:
    """Books of all jobs that are done, in the order of the data."""
    found = []
    for job in jobs_of(plan):
        if job.stage in _BOOKED and (root / job.output).exists():
            manifest = read_manifest(root / job.output)
            found.append(Entry(job, _total(manifest), len(manifest.missing)))
    return found


def gaps(plan: Planner, root: Path) -> list[str]:
    """Where books do not close: inside a stage, and between one stage and the next, chunk by chunk.

    Returns:
        One line each; empty where everything is accounted for.
    """
    jobs = [job for job in jobs_of(plan) if job.stage in _BOOKED and (root / job.output).exists()]
    manifests = {job.output: read_manifest(root / job.output) for job in jobs}
    found = []
    for job in jobs:
        manifest = manifests[job.output]
        for part in manifest.parts:
            if left := Book.from_dict(part.book).open():
                found.append(f"{job.output}: {part.point}, chunk {part.chunk}: {left}")
        for source in job.waits:
            if source in manifests and job.stage != "generate":
                found += _between(manifests[source], manifest, source, job.output)
    return found


def _between(before: Manifest, after: Manifest, source: str, target: str) -> list[str]:
    """What one stage wrote and the next did not read, or read otherwise."""
    written = {(p.point, p.chunk): Book.from_dict(p.book) for p in before.parts}
    lost = {(m.point, m.chunk) for m in after.missing}
    read = {(p.point, p.chunk): Book.from_dict(p.book) for p in after.parts}
    # a job of a later campaign may have fewer points than what was made before
    points = {point for point, _ in read} | {point for point, _ in lost}
    found = []
    for key, out in written.items():
        if key[0] not in points or key in lost:
            continue
        if key not in read:
            found.append(f"{target}: {key[0]}, chunk {key[1]} of {source} is neither read nor listed as missing")
        elif (read[key].events_in, read[key].sumw_in) != (out.events_out, out.sumw_out):
            found.append(
                f"{target}: {key[0]}, chunk {key[1]}: {read[key].events_in} events of weight {read[key].sumw_in:g} "
                f"came in, {source} wrote {out.events_out} of {out.sumw_out:g}"
            )
    return found


def summed(found: Sequence[Entry]) -> list[Entry]:
    """Blocks of a sample together."""
    sums: dict[tuple[str, ...], Entry] = {}
    for one in found:
        key = (one.job.stage, *(v for k, v in one.job.wildcards.items() if k != "block"))
        known = sums.get(key)
        sums[key] = one if known is None else Entry(one.job, known.book + one.book, known.missing + one.missing)
    return list(sums.values())
