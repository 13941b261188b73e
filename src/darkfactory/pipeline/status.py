"""What is done of a campaign, what failed and why, from the files alone: no workflow engine is asked."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from darkfactory.core.files import read_json
from darkfactory.pipeline.jobs import CHUNKED, Job, jobs_of
from darkfactory.pipeline.ledger import FAILED, FailedPart, failed_parts
from darkfactory.pipeline.plan import Planner

__all__ = ["StageState", "failed_jobs", "failures", "forget_failed", "stage_states"]


@dataclass(frozen=True)
class StageState:
    """Jobs of a stage.

    Attributes:
        stage: name.
        jobs: planned.
        done: with their output there.
        chunks: recorded as whole.
        failed: recorded as failed.
    """

    stage: str
    jobs: int
    done: int
    chunks: int
    failed: int


def _ledger(root: Path, job: Job) -> tuple[int, int]:
    folder = (root / job.output).with_suffix(".parts")
    if job.stage not in CHUNKED or not folder.is_dir():
        return 0, 0
    names = [f.name for f in folder.iterdir() if f.suffix == ".json"]
    failed = sum(name.endswith(FAILED) for name in names)
    return len(names) - failed, failed


def stage_states(plan: Planner, root: Path) -> list[StageState]:
    """State of every stage, in the order of the data."""
    sums: dict[str, StageState] = {}
    for job in jobs_of(plan):
        s = sums.get(job.stage, StageState(job.stage, 0, 0, 0, 0))
        chunks, failed = _ledger(root, job)
        done = (root / job.output).exists()
        sums[job.stage] = StageState(job.stage, s.jobs + 1, s.done + done, s.chunks + chunks, s.failed + failed)
    return list(sums.values())


def failures(plan: Planner, root: Path) -> list[FailedPart]:
    """Failed chunks of the campaign."""
    return list(failed_parts(root / "results" / plan.name))


def failed_jobs(plan: Planner, root: Path) -> Iterator[tuple[str, str]]:
    """Log files of jobs that ended with an error of ours, and the error."""
    for log in sorted((root / "logs" / plan.name).rglob("*.log")):
        lines = log.read_text(errors="replace").splitlines()
        errors = [i for i, line in enumerate(lines) if line.startswith("error: ")]
        if errors:
            yield str(log.relative_to(root)), lines[errors[-1]].removeprefix("error: ")


def _owner(part: Path) -> Path:
    """Manifest that a part belongs to."""
    return part.parent.with_suffix(".json")


def forget_failed(plan: Planner, root: Path) -> list[str]:
    """Prepare another try: remove the records of failures, manifests that do without chunks, and damaged parts.

    Returns:
        Outputs to be made again, relative to the root.
    """
    again: dict[str, None] = {}

    def unmake(manifest: Path) -> None:
        if manifest.exists():
            manifest.unlink()
        # inputs of jobs are absolute
        again[os.path.relpath(manifest, root)] = None

    for failed in failures(plan, root):
        damaged = Path(failed.failure.damaged) if failed.failure.damaged else None
        if damaged is not None and damaged.parent.suffix == ".parts":
            damaged.unlink(missing_ok=True)
            damaged.with_suffix(".json").unlink(missing_ok=True)
            unmake(_owner(damaged))
        unmake(_owner(failed.file))
        failed.file.unlink(missing_ok=True)
    for job in jobs_of(plan):
        output = root / job.output
        if job.stage in CHUNKED and output.exists() and _missing(read_json(output), job.stage):
            unmake(output)
    for log, _ in failed_jobs(plan, root):
        (root / log).unlink()
    return list(again)


def _missing(manifest: Mapping[str, Any], stage: str) -> bool:
    """Whether the stage itself lost chunks; what an earlier one lost comes back with that one."""
    return any(m["stage"] == stage for m in manifest.get("missing", ()))
