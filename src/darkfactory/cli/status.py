"""`darkfactory status`, `retry` and `why`: what is done, what failed, and what to do about it."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

import click

from darkfactory.cli.common import campaign_options, chosen_campaign, table
from darkfactory.cli.run import snakemake
from darkfactory.cli.unblind import blinding_lines
from darkfactory.core.errors import RunError, UserError
from darkfactory.core.files import read_json
from darkfactory.execute.lock import lock_state
from darkfactory.pipeline.books import entries, gaps, summed
from darkfactory.pipeline.jobs import STAGE_OF, which_output
from darkfactory.pipeline.ledger import failed_parts
from darkfactory.pipeline.plan import Planner, stage_code
from darkfactory.pipeline.status import failed_jobs, failures, forget_failed, stage_states

__all__ = ["retry", "status", "why"]

_LINES = 20


def _run_state() -> str:
    state, holder = lock_state(Path())
    if state == "held" and holder is not None:
        return f"process {holder.pid} runs the workflow here"
    if state == "abandoned":
        return "a run was killed here; the next one goes on where it was"
    if state == "unknown":
        who = f"process {holder.pid} on {holder.host}" if holder is not None else "a run that left no record"
        return f"{who} may run the workflow here"
    return "nothing runs here"


def _books(plan: Planner) -> None:
    rows = []
    for one in summed(entries(plan, Path())):
        name = " ".join(v for k, v in one.job.wildcards.items() if k not in ("block", "period"))
        book = asdict(one.book)
        rows.append({"stage": one.job.stage, "of": name, **book, "missing chunks": one.missing})
    click.echo(table(rows))
    open_books = gaps(plan, Path())
    for line in open_books:
        click.echo(line, err=True)
    if open_books:
        raise RunError(f"{len(open_books)} books do not close, see above; delete the named manifests and run again")
    click.echo("all books close: what came in went out or was rejected, at every stage")


@click.command()
@campaign_options
@click.option("--books", is_flag=True, help="Events and weights in, out and rejected, by sample and stage.")
@click.option("--json", "as_json", is_flag=True, help="Print stages and failures as JSON.")
def status(campaign: str | None, config_dir: str, settings: tuple[str, ...], books: bool, as_json: bool) -> None:
    """What is done of a campaign, and what failed."""
    plan = Planner(chosen_campaign(campaign, config_dir, settings))
    if as_json:
        chunks = [
            {"manifest": str(f.file.parent.with_suffix(".json")), "chunk": f.chunk, "point": f.point,
             "error": f"{f.failure.kind}: {f.failure.text}"}
            for f in failures(plan, Path())
        ]  # fmt: skip
        jobs = [{"log": log, "error": error} for log, error in failed_jobs(plan, Path())]
        stages = [asdict(s) for s in stage_states(plan, Path())]
        told = {"campaign": plan.name, "state": _run_state(), "stages": stages, "failed_chunks": chunks}
        click.echo(json.dumps(told | {"failed_jobs": jobs}, indent=1))
        return
    click.echo(f"campaign {plan.name}: {_run_state()}")
    if books:
        _books(plan)
        return
    for line in blinding_lines(plan):
        click.echo(line)
    rows = [
        {"stage": s.stage, "jobs": s.jobs, "done": s.done, "chunks": s.chunks, "failed chunks": s.failed}
        for s in stage_states(plan, Path())
    ]
    click.echo(table(rows))
    lost = failures(plan, Path())
    for one in lost[:_LINES]:
        where = one.file.parent.with_suffix("").relative_to(Path("results") / plan.name)
        failure = one.failure
        said = f"{failure.kind} after {failure.attempts} tries: {failure.text.splitlines()[0]}"
        click.echo(f"{where}: chunk {one.chunk} of {one.point}: {said}")
    if len(lost) > _LINES:
        click.echo(f"... and {len(lost) - _LINES} more")
    for log, error in list(failed_jobs(plan, Path()))[:_LINES]:
        click.echo(f"{log}: {error}")
    if lost:
        click.echo("`darkfactory retry --failed` tries them again, `darkfactory why FILE` says more about one")


@click.command()
@campaign_options
@click.option("--failed", is_flag=True, required=True, help="What failed, and what was made without it.")
@click.option(
    "--cores", type=click.IntRange(min=1), default=None, help="Worker processes; by default all cores of this machine."
)
@click.option("--site", default=None, help="Where the work is done: a folder of workflow/profiles.")
def retry(
    campaign: str | None, config_dir: str, settings: tuple[str, ...], failed: bool, cores: int | None, site: str | None
) -> None:
    """Run again what failed; finished chunks are kept."""
    plan = Planner(chosen_campaign(campaign, config_dir, settings))
    state, holder = lock_state(Path())
    if state == "held" and holder is not None:
        raise UserError(f"process {holder.pid} runs the workflow in this folder; wait until it ends, or end it")
    again = forget_failed(plan, Path()) if failed else []
    if not again:
        click.echo("nothing failed; what is missing is made by `darkfactory run`")
        return
    click.echo("to be made again:\n" + "\n".join(again))
    if cores is None and site is None:
        cores = os.cpu_count() or 1
    snakemake([*again, "all"], campaign, config_dir, settings, cores, [], site)


def _record(file: Path) -> None:
    """What a result says of its own origin."""
    value = read_json(file) if file.suffix == ".json" else None
    origin = value.get("provenance") if isinstance(value, dict) else None
    if not isinstance(origin, dict):
        return
    now = stage_code(origin["stage"])
    code = "as it is now" if origin["code"] == now else f"older: {origin['code']}, now {now}"
    click.echo(f"made by stage {origin['stage']}, key {origin['key']}, seed {origin.get('seed')}; its code is {code}")
    if isinstance(value, dict) and "parts" in value:
        click.echo(f"{len(value['parts'])} parts, {sum(p['events'] for p in value['parts'])} rows")
        for one in value.get("missing", ()):
            click.echo(f"without chunk {one['chunk']} of {one['point']}, lost by {one['stage']}: {one['reason']}")


@click.command()
@campaign_options
@click.argument("file")
def why(campaign: str | None, config_dir: str, settings: tuple[str, ...], file: str) -> None:
    """Where FILE comes from, why it is not there, and why it would be made again."""
    path = Path(os.path.relpath(file))
    target = path
    if path.parent.suffix == ".parts":
        target = path.parent.with_suffix(".json")
        click.echo(f"{path}: a part of {target}")
        record = path.with_suffix(".json")
        if record.exists() and record != target:
            part = read_json(record)
            click.echo(f"chunk {part.get('chunk')} of {part.get('point')}, {part.get('events')} rows")
    found = which_output(str(target))
    if found is None:
        raise UserError(f"{target} is no result of the workflow; results are below results/, see `darkfactory status`")
    name, wildcards = found
    words = ", ".join(f"{k} {v}" for k, v in wildcards.items())
    click.echo(f"{target}: {name} of stage {STAGE_OF[name]} ({words}); it is {'' if target.exists() else 'not '}there")
    if target.exists():
        _record(target)
    parts = target.with_suffix(".parts")
    if parts.is_dir():
        for one in failed_parts(parts):
            click.echo(
                f"chunk {one.chunk} of {one.point} failed after {one.failure.attempts} tries on "
                f"{one.failure.host or 'a worker'}: {one.failure.kind}: {one.failure.text}"
            )
            if one.failure.trace:
                click.echo(one.failure.trace)
    click.echo("what a run would do for it:")
    # a later --quiet wins over the one that hides the rules and their reasons
    snakemake(
        [str(target)], campaign or wildcards["campaign"], config_dir, settings, 1, ["--dry-run", "--quiet", "host"]
    )
