"""From a workflow engine's job object to a stage."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from darkfactory.core.errors import DarkfactoryError
from darkfactory.pipeline.door import run_job

__all__ = ["run_rule"]


def _named(files: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in files.items():
        found[name] = str(value) if isinstance(value, str) else [str(v) for v in value]
    return found


def run_rule(job: Any) -> None:
    """Run the stage of a rule; an error of ours is one line on the terminal and in the log, and exit code 1.

    Args:
        job: object with ``input``, ``output``, ``params`` (stage, spec, code), ``log`` and ``threads``.
    """
    log = str(job.log[0]) if job.log else None
    try:
        run_job(
            job.params.stage,
            _named(job.input),
            _named(job.output),
            job.params.spec,
            job.params.code,
            log=log,
            # a job without a cluster has the machine's share that the engine gave it
            cores=max(1, int(os.environ.get("DARKFACTORY_CORES", job.threads))),
        )
    except DarkfactoryError as error:
        if log is not None:
            with Path(log).open("a") as file:
                file.write(f"error: {error}\n")
        sys.stderr.write(f"error: {job.params.stage}: {error}\n")
        sys.exit(1)
