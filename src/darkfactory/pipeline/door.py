"""The one way into a stage, for every door: on the run's cluster if there is one, else on this job's cores."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from darkfactory.core.lease import LEASE
from darkfactory.core.log import setup_logging
from darkfactory.execute.run import cluster, send

__all__ = ["execute", "run_job"]


def execute(request: Mapping[str, Any], backend: Any, progress: Any) -> None:
    """Run a stage with a backend; called on the cluster's side or by a job that works alone."""
    # the stage's module is heavy (arrays, fits): it is imported where the work is done, not in the job process
    from darkfactory.execute.backends import load

    job = load("darkfactory.pipeline.request").Request.from_dict(request)
    load(f"darkfactory.pipeline.{job.stage}").run(job, backend, progress)


def run_job(
    stage: str,
    inputs: Mapping[str, Any],
    outputs: Mapping[str, str],
    spec: Mapping[str, Any],
    code: str,
    *,
    log: str | None = None,
    cores: int = 1,
) -> None:
    """Run one stage, wherever the work can be done.

    Args:
        stage: name of the stage.
        inputs: names to a path or list of paths.
        outputs: names to paths.
        spec: resolved configuration of the stage.
        code: digest of its code.
        log: log file, or None for the terminal.
        cores: processes to use where there is no cluster.
    """
    logger = setup_logging(log)
    absolute = {
        k: [os.path.abspath(p) for p in v] if isinstance(v, list | tuple) else os.path.abspath(v)
        for k, v in inputs.items()
    }
    request = {
        "stage": stage,
        "inputs": absolute,
        "outputs": {k: os.path.abspath(v) for k, v in outputs.items()},
        "spec": dict(spec),
        "code": code,
    }
    logger.info("%s started", stage)
    if not send("darkfactory.pipeline.door:execute", request, label=stage, progress=logger.info):
        if cores > 1 and LEASE in os.environ:
            # a batch job of a workflow engine that submits its own jobs: a cluster of this job's cores
            with cluster(cores):
                send("darkfactory.pipeline.door:execute", request, label=stage, progress=logger.info)
        else:
            from darkfactory.execute.backends import ProcessBackend

            execute(request, ProcessBackend(cores), logger.info)
    logger.info("%s finished", stage)
