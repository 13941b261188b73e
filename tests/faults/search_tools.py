"""A small search from generation to limits through the stages' own functions, on any backend, without the engine."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from darkfactory.config.resolve import load_campaign
from darkfactory.core.files import read_json
from darkfactory.pipeline.jobs import Job, jobs_of
from darkfactory.pipeline.plan import Planner
from darkfactory.pipeline.request import Request

ROOT = Path(__file__).parents[2]
W = {"search": "single_photon", "dataset": "belle2_20fb"}
STAGES = (
    "integrate", "generate", "simulate", "skim", "trigger", "preselect", "select", "model", "workspace", "limits",
)  # fmt: skip
SMALL: Mapping[str, Any] = {
    "seed": 7,
    "combinations": [],
    "trigger_rates": {},
    "events": {"signal": 300, "background": 800, "samples": {}},
    "execution": {"chunk": 150, "block": 3},
    "overrides": {W["search"]: {"backgrounds": ["belle2_gamma_gamma_lost", "belle2_cosmics", "belle2_beam_showers"]}},
}


def _inputs(plan: Planner, job: Job) -> dict[str, Any]:
    """What the rules give to a stage."""
    w = dict(job.wildcards)
    if job.stage == "integrate":
        return {}
    first = {"generate": "gridpacks", "simulate": "truth", "skim": "reco", "trigger": "skim"}
    if job.stage in first:
        return {first[job.stage]: plan.sample_path(first[job.stage], w["sample"], w["block"])}
    if job.stage == "preselect":
        return {"triggered": plan.sample_path("triggered", w["sample"], w["block"], period=plan.period(w))}
    if job.stage == "select":
        return {"preselected": plan.analysis_path("preselected", w, sample=w["sample"], block=w["block"])}
    if job.stage == "model":
        backgrounds = plan.selected_backgrounds(w, "selected")
        return {"signals": plan.selected_signals(w, "selected"), "backgrounds": backgrounds}
    if job.stage == "limits":
        return {"workspace": plan.analysis_path("workspace", w, block=w["block"])}
    return {"signals": plan.workspace_signals(w), **{n: plan.analysis_path(n, w) for n in ("model", "observed")}}


def _outputs(plan: Planner, job: Job) -> dict[str, str]:
    if job.stage == "model":
        names = ("model", "observed", "cutflow", "efficiency", "trigger")
        return {n: plan.analysis_path(n, job.wildcards) for n in names}
    return {job.stage if job.stage in ("workspace", "limits") else "manifest": job.output}


def _needed(plan: Planner) -> list[Job]:
    """What the limits of the search wait for; the campaign has other searches."""
    every = {job.output: job for job in jobs_of(plan)}
    todo = [j for j in every.values() if j.stage == "limits" and dict(W).items() <= dict(j.wildcards).items()]
    found: dict[str, Job] = {}
    while todo:
        job = todo.pop()
        if job.output not in found:
            found[job.output] = job
            todo += [every[w] for w in job.waits if w in every]
    return [job for output, job in every.items() if output in found]


def run_search(folder: Path, backend: Any) -> None:
    """Every job up to the limits that is not done, in the order of the stages."""
    plan = Planner(load_campaign("tiny", config_dir=ROOT / "config", overrides=[dict(SMALL)]))
    jobs = _needed(plan)
    for stage in STAGES:
        for job in (j for j in jobs if j.stage == stage):
            outputs = {k: str(folder / p) for k, p in _outputs(plan, job).items()}
            if all(Path(p).exists() for p in outputs.values()):
                continue
            inputs = {
                k: [str(folder / p) for p in v] if isinstance(v, list) else str(folder / v)
                for k, v in _inputs(plan, job).items()
            }
            request = Request(stage, inputs, outputs, getattr(plan, stage)(job.wildcards), "code")
            importlib.import_module(f"darkfactory.pipeline.{stage}").run(request, backend, lambda text: None)


def results(folder: Path) -> dict[str, Any]:
    """Limits, workspaces, models and manifests by path; manifests hold the digests of what is in their parts."""
    found = {str(f.relative_to(folder)): read_json(f) for f in sorted(folder.rglob("*.json")) if ".parts" not in str(f)}
    assert sum("/limits/" in name for name in found) >= 1
    assert len(found) > 20
    return found


def main() -> None:
    """In a process of its own: folder and number of processes."""
    from darkfactory.execute.backends import ProcessBackend

    run_search(Path(sys.argv[1]), ProcessBackend(int(sys.argv[2])))


if __name__ == "__main__":
    main()
