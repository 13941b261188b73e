"""`darkfactory plan`: what a campaign is made of and what it costs, before anything runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import click

from darkfactory.cli.common import campaign_options, chosen_campaign, table
from darkfactory.cli.run import snakemake
from darkfactory.config.costs import CostsConfig, load_costs
from darkfactory.config.resolve import Campaign
from darkfactory.execute.simulate import Conditions, SimulatedJob, forecast, longest_chain
from darkfactory.pipeline.jobs import CHUNKED, Job, jobs_of
from darkfactory.pipeline.plan import Planner

__all__ = ["Load", "jobs_of_campaign", "plan", "simulated", "stage_loads"]

_SAMPLE_STAGES = (*CHUNKED,)
_SIZES = (1, 2, 4, 10, 20, 50, 100, 200, 500, 1000)


@dataclass(frozen=True)
class Load:
    """Jobs of one kind: ``points`` and ``events`` that the stage reads, ``process`` for its speed."""

    stage: str
    jobs: int
    points: int = 0
    events: float = 0.0
    process: str = ""
    seconds: float = 0.0
    bytes: float = 0.0


def _events(campaign: Campaign, sample: str, block: str, points: int) -> int:
    """Events of some points of a block (1: of one); of ntuples, as many as were generated at most."""
    external = campaign.samples[sample].external
    if external is None:
        return points * campaign.events(sample)
    if external.points:
        inside = set(campaign.block_points(sample, block))
        numbers = [p.n_generated or 0 for p in external.points if p.name in inside]
        return sum(numbers) * points // max(1, len(inside))
    return external.n_generated or 0


def _sample_load(plan: Planner, job: Job, costs: CostsConfig) -> Load:
    campaign, w = plan.campaign, job.wildcards
    sample = campaign.samples[w["sample"]]
    points = len(campaign.block_points(w["sample"], w["block"]))
    # how many events ntuples hold is known when they are read
    events = float(_events(campaign, w["sample"], w["block"], points))
    if job.stage == "integrate":
        events = 0.0
    if job.stage in ("trigger", "preselect", "select"):
        events = costs.of("skim").passed(events)
    if job.stage == "select":
        events = costs.of("preselect").passed(events)
    return Load(job.rule, 1, points, events, sample.process)


def _load(plan: Planner, job: Job, costs: CostsConfig, grids: dict[tuple[str, str], int]) -> Load:
    """What a job reads."""
    campaign, w = plan.campaign, job.wildcards
    if job.stage in _SAMPLE_STAGES:
        return _sample_load(plan, job, costs)
    one = Load(job.rule, 1)
    if job.stage == "rates":
        events = sum(campaign.events(s) for s in campaign.config.trigger_rates[w["period"]].samples)
        return replace(one, events=float(events))
    if job.stage == "combine":
        return replace(one, points=len(plan.combination_sources(w)))
    if job.stage in ("workspace", "limits"):
        return replace(one, points=sum(len(p) for p in plan.block(w).values()))
    if job.stage == "diagnostics":
        return replace(one, points=campaign.config.diagnostics.points)
    if job.stage in ("report", "network"):
        return one
    key = (w["search"], w["dataset"])
    if key not in grids:
        grids[key] = sum(len(p) for p in plan.grid(w).values())
    toys = float(grids[key] * campaign.config.look_elsewhere_toys) if job.stage == "scan" else 0.0
    return replace(one, points=grids[key], events=toys)


def _costed(plan: Planner, jobs: Sequence[Job], costs: CostsConfig) -> list[Load]:
    grids: dict[tuple[str, str], int] = {}
    found = []
    for job in jobs:
        load = _load(plan, job, costs, grids)
        cost = costs.of(load.stage)
        seconds = cost.seconds(jobs=1, points=load.points, events=load.events, process=load.process)
        found.append(replace(load, seconds=seconds, bytes=cost.size(points=load.points, events=load.events)))
    return found


def jobs_of_campaign(plan: Planner, costs: CostsConfig) -> list[Load]:
    """Every job of a campaign, with what it costs."""
    return _costed(plan, jobs_of(plan), costs)


def simulated(plan: Planner, costs: CostsConfig) -> list[SimulatedJob]:
    """The jobs of a campaign with their tasks: chunks, points or chunks of toys."""
    jobs = jobs_of(plan)
    chunk = plan.campaign.config.execution.chunk
    found = []
    for job, load in zip(jobs, _costed(plan, jobs, costs), strict=True):
        tasks = 1
        if job.stage in CHUNKED and job.stage != "integrate":
            events = _events(plan.campaign, job.wildcards["sample"], job.wildcards["block"], 1)
            tasks = load.points * math.ceil(max(1, events) / chunk)
        elif job.stage in ("integrate", "limits", "diagnostics", "combine"):
            tasks = max(1, load.points)
        elif job.stage == "scan" and load.events:
            tasks = max(1, plan.campaign.config.look_elsewhere_toys // 10)
        found.append(SimulatedJob(job.output, load.stage, load.seconds / tasks, tasks, job.waits))
    return found


def stage_loads(jobs: list[Load]) -> list[Load]:
    """Sums by stage, in the order of their first job, and a last row ``total``.

    Example:
        >>> [load.jobs for load in stage_loads([Load("skim", 1), Load("skim", 2), Load("scan", 4)])]
        [3, 4, 7]
    """
    sums: dict[str, Load] = {}
    for job in [*jobs, *(replace(j, stage="total") for j in jobs)]:
        s = sums.get(job.stage, Load(job.stage, 0))
        sums[job.stage] = Load(
            job.stage, s.jobs + job.jobs, s.points + job.points, s.events + job.events, "",
            s.seconds + job.seconds, s.bytes + job.bytes,
        )  # fmt: skip
    return list(sums.values())


def _forecasts(planner: Planner, costs: CostsConfig, most: int) -> None:
    jobs = simulated(planner, costs)
    how = Conditions()
    rows = []
    for workers in [n for n in _SIZES if n < most] + [most]:
        one = forecast(jobs, workers, how)
        rows.append(
            {
                "workers": workers,
                "hours": one.makespan / 3600,
                "efficiency": round(one.efficiency, 3),
                "bottleneck": one.bottleneck,
                **{f"{name} [%]": round(100 * s / (workers * one.makespan), 1) for name, s in one.spent.items()},
            }
        )
    shortest, kinds = longest_chain(jobs, how.per_job)
    heaviest = max(jobs, key=lambda job: job.seconds)
    click.echo(f"{sum(job.tasks for job in jobs)} tasks in {len(jobs)} jobs on a simulated cluster\n{table(rows)}")
    click.echo(f"no number of workers shortens the chain of {shortest / 3600:.2g} h: {' > '.join(kinds)}")
    click.echo(f"its longest task: {heaviest.seconds:.0f} s of {heaviest.kind} in {heaviest.name}")
    click.echo(
        f"assumed: task times spread by {how.spread:g}, {how.stragglers:g} of them {how.straggle:g} times as long, "
        f"{how.failures:g} worker deaths per hour of work, {how.per_task * 1e3:g} ms of the scheduler for a task, "
        f"{how.slots} jobs at once"
    )


@click.command()
@campaign_options
@click.option("--why", is_flag=True, help="Also ask the engine which jobs would run now, and why.")
@click.option(
    "--workers", type=click.IntRange(1, 100_000), default=None, help="Also simulate clusters up to this size."
)
def plan(campaign: str | None, config_dir: str, settings: tuple[str, ...], why: bool, workers: int | None) -> None:
    """Jobs, events, disk and CPU per stage of a whole campaign, before anything runs."""
    planner = Planner(chosen_campaign(campaign, config_dir, settings))
    costs = load_costs(config_dir)
    loads = stage_loads(jobs_of_campaign(planner, costs))
    rows = [
        {
            "stage": load.stage,
            "jobs": load.jobs,
            # points and events of different stages are the same ones: their sum means nothing
            "points": None if load.stage == "total" else load.points,
            "events": None if load.stage == "total" else round(load.events),
            "disk [MB]": round(load.bytes / 1e6, 1),
            "CPU [s]": round(load.seconds, 1),
        }
        for load in loads
    ]
    sources = ", ".join(f"{n} {source}" for source, n in costs.sources().items())
    click.echo(f"campaign {planner.name}\n{table(rows)}")
    click.echo(f"costs of {config_dir}/costs.yaml: {sources}; CPU is of one core")
    if workers is not None:
        _forecasts(planner, costs, workers)
    if why:
        # a later --quiet wins over the one that hides the rules and their reasons
        snakemake(["all"], campaign, config_dir, settings, 1, ["--dry-run", "--quiet", "host"])
