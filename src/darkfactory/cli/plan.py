"""`darkfactory plan`: what a campaign is made of and what it costs, before anything runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import click

from darkfactory.cli.common import campaign_options, chosen_campaign, table
from darkfactory.cli.run import snakemake
from darkfactory.config.costs import CostsConfig, load_costs
from darkfactory.pipeline.jobs import sample_users
from darkfactory.pipeline.plan import Planner

__all__ = ["Load", "jobs_of_campaign", "plan", "stage_loads"]


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


def _sample_jobs(plan: Planner, costs: CostsConfig) -> Iterator[Load]:
    campaign = plan.campaign
    for sample, blocks, users in sample_users(plan):
        process = campaign.samples[sample].process
        for block in blocks:
            points = len(campaign.block_points(sample, block))
            # how many events ntuples hold is known when they are read: n_generated is the most
            external = campaign.samples[sample].external
            events = float(points * campaign.events(sample) if external is None else external.n_generated or 0)
            one = Load("integrate", 1, points, 0.0, process)
            if external is None:
                yield one
                yield replace(one, stage="generate", events=events)
                yield replace(one, stage="simulate", events=events)
            else:
                yield replace(one, stage="ingest", events=events)
            # a block may lie outside the mass range of one of the datasets
            readers = [w for w, own in users if block in own]
            if not readers:
                continue
            yield replace(one, stage="skim", events=events)
            skimmed = costs.of("skim").passed(events)
            for _ in {plan.period(w) for w in readers}:
                yield replace(one, stage="trigger", events=skimmed)
            for _ in readers:
                yield replace(one, stage="preselect", events=skimmed)
                yield replace(one, stage="select", events=costs.of("preselect").passed(skimmed))


def _analysis_jobs(plan: Planner) -> Iterator[Load]:
    campaign = plan.campaign
    for (search, dataset), config in campaign.searches.items():
        w = {"search": search, "dataset": dataset}
        points = sum(len(p) for p in plan.grid(w).values())
        if (search, dataset) in campaign.measured:
            yield Load("measure", 1, points)
            continue
        if config.network is not None:
            yield Load("train_network", 1)
        yield Load("templates", 1, points)
        for block in plan.limit_blocks(w):
            inside = sum(len(p) for p in plan.block({**w, "block": block}).values())
            yield Load("workspace", 1, inside)
            yield Load("limits", 1, inside)
        yield Load("scan", 1, points, float(points * campaign.config.look_elsewhere_toys))
        yield Load("interpret", 1, points)
        yield Load("diagnostics", 1, campaign.config.diagnostics.points)
        yield Load("figures", 1, points)
    for rates in campaign.config.trigger_rates.values():
        yield Load("trigger_rates", 1, 0, float(sum(campaign.events(s) for s in rates.samples)))
    for name in campaign.combinations:
        yield Load("combine", 1, len(plan.combination_sources({"combination": name})))
    yield Load("report", 1)


def jobs_of_campaign(plan: Planner, costs: CostsConfig) -> list[Load]:
    """Every job of a campaign, with what it costs."""
    found = []
    for job in [*_sample_jobs(plan, costs), *_analysis_jobs(plan)]:
        cost = costs.of(job.stage)
        seconds = cost.seconds(jobs=job.jobs, points=job.points, events=job.events, process=job.process)
        found.append(replace(job, seconds=seconds, bytes=cost.size(points=job.points, events=job.events)))
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


@click.command()
@campaign_options
@click.option("--why", is_flag=True, help="Also ask the engine which jobs would run now, and why.")
def plan(campaign: str | None, config_dir: str, settings: tuple[str, ...], why: bool) -> None:
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
    if why:
        # a later --quiet wins over the one that hides the rules and their reasons
        snakemake(["all"], campaign, config_dir, settings, 1, ["--dry-run", "--quiet", "host"])
