"""`darkfactory run`: the workflow with its cluster, in one process tree."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click
import yaml

from darkfactory.cli.common import campaign_options, chosen_campaign, default_campaign, find_dataset
from darkfactory.cli.complete import datasets, searches
from darkfactory.cli.progress import duration, follow
from darkfactory.config.check import check_campaign
from darkfactory.config.load import deep_merge, parse_override, read_yaml
from darkfactory.config.site import PROFILES, check_executor, load_site
from darkfactory.core.digest import digest_value
from darkfactory.core.errors import RunError, UserError
from darkfactory.core.files import write_text
from darkfactory.execute.lock import lock_state
from darkfactory.pipeline.layout import path

__all__ = ["free_lock", "run", "snakemake"]


def snakemake(
    targets: Sequence[str], campaign: str | None, config_dir: str, settings: Sequence[str], cores: int | None,
    extra: Sequence[str] = (), site: str | None = None, quiet: bool = False,
) -> tuple[Path | None, int]:  # fmt: skip
    """Run the workflow engine for targets, with the command line's settings as a configuration file.

    Args:
        targets: rules or paths.
        campaign: name, or None for the default one.
        config_dir: folder of YAML files.
        settings: overrides of the command line.
        cores: of this machine; None leaves them to the site's profile.
        extra: further arguments of the engine.
        site: name of a site, or None for this machine.
        quiet: say nothing but errors.

    Returns:
        The log with the engine's full text (None of a dry run, which is shown) and the number of jobs.

    Raises:
        UserError: not at the top of a project.
        RunError: the run failed.
    """
    if not Path("Snakefile").exists():
        raise UserError(f"no Snakefile in {Path.cwd()}; run from the project's top level")
    default = default_campaign(config_dir)
    overrides = deep_merge(default.get("overrides") or {}, *(parse_override(s) for s in settings))
    value = {
        "campaign": default["campaign"] if campaign is None else campaign,
        "overrides": overrides,
        "config_dir": config_dir,
    }
    file = Path(".darkfactory") / f"config-{digest_value(value)}.yaml"
    write_text(file, yaml.safe_dump(value))
    engine = [sys.executable, "-m", "snakemake", "--configfile", str(file)]
    if "--dry-run" not in extra:
        free_lock(Path(), engine)
    if site is not None:
        # the name in the profile would be that of the folder it was copied from
        engine = [*engine, "--workflow-profile", str(_profile(site)), "--config", f"site={site}"]
    if cores is not None:
        engine = [*engine, "--cores", str(cores)]
    # the exact packing of jobs onto cores takes longer than many a job
    command = [*engine, "--scheduler", "greedy", "--rerun-incomplete", "--quiet", "rules", *extra, "--", *targets]
    if "--dry-run" in extra:
        code, log, jobs = subprocess.run(command, check=False).returncode, None, 0
    else:
        code, log, told = follow(command, quiet=quiet)
        jobs = told.total
    if code != 0:
        more = f"; the engine's full text: {log}" if log is not None else ""
        raise RunError(f"the run failed (exit code {code}); the messages above and the files in logs/ say why{more}")
    return log, jobs


def _profile(site: str) -> Path:
    """Folder of a site, once its file and its executor are known to fit."""
    config = load_site(site)
    folder = Path(site) if "/" in site else PROFILES / site
    profile = read_yaml(folder / "config.yaml")
    check_executor(config, local=profile.get("executor", "local") == "local")
    return folder


def free_lock(folder: Path, engine: Sequence[str]) -> None:
    """Remove the lock of a run that is gone.

    Raises:
        UserError: the run lives, or may live on another machine.
        RunError: the engine does not remove the lock.
    """
    state, holder = lock_state(folder)
    if state == "free":
        return
    if state == "held" and holder is not None:
        raise UserError(
            f"process {holder.pid} runs the workflow in this folder; wait until it ends, or end it, before another run"
        )
    if state == "unknown":
        who = f"process {holder.pid} on {holder.host}" if holder is not None else "a run that left no record"
        raise UserError(
            f"{who} holds the lock of this folder; if it is gone, remove the lock with `snakemake --unlock --cores 1`"
        )
    done = subprocess.run([*engine, "--cores", "1", "--unlock"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RunError(f"the lock of a run that is gone could not be removed: {done.stderr.strip()[-500:]}")
    click.echo("the lock of a run that was killed is removed; finished chunks are kept", err=True)


@click.command()
@campaign_options
@click.option("--search", "-s", shell_complete=searches, default=None, help="Only this search.")
@click.option("--dataset", "-d", shell_complete=datasets, default=None, help="Only this dataset of it.")
@click.option(
    "--cores", type=click.IntRange(min=1), default=None, help="Worker processes; by default all cores of this machine."
)
@click.option("--site", default=None, help="Where the work is done: a folder of workflow/profiles.")
@click.option("--dry-run", "-n", is_flag=True, help="Say what would be done and why.")
@click.option("--quiet", "-q", is_flag=True, help="Nothing but errors.")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
@click.argument("targets", nargs=-1)
def run(
    campaign: str | None, config_dir: str, settings: tuple[str, ...], search: str | None, dataset: str | None,
    cores: int | None, site: str | None, dry_run: bool, quiet: bool, as_json: bool, targets: tuple[str, ...],
) -> None:  # fmt: skip
    """Run a campaign, a search, or the TARGETS (paths of results)."""
    resolved = chosen_campaign(campaign, config_dir, settings)
    check_campaign(resolved)
    wanted = list(targets)
    if search is not None:
        for s, d in resolved.searches:
            if s == search and dataset in (None, d):
                names = {"measurement": ("measurement",), "control": ("corrections",)}
                for name in names.get(resolved.searches[s, d].kind, ("couplings", "figures")):
                    wanted.append(path(name, campaign=resolved.config.campaign, search=s, dataset=d))
        if not wanted:
            find_dataset(resolved, search, dataset)
    elif dataset is not None:
        raise UserError("--dataset needs --search")
    if cores is None and site is None:
        cores = os.cpu_count() or 1
    extra = ["--dry-run"] if dry_run else []
    started = time.monotonic()
    log, jobs = snakemake(wanted or ["all"], campaign, config_dir, settings, cores, extra, site, quiet or as_json)
    seconds = time.monotonic() - started
    name = resolved.config.campaign
    page = path("report", campaign=name)
    if as_json:
        told = {"campaign": name, "targets": wanted or ["all"], "jobs": jobs, "seconds": round(seconds, 1)}
        told |= {"log": None if log is None else str(log), "report": None if wanted else page}
        click.echo(json.dumps(told, indent=1))
    elif log is not None and not quiet:
        said = f"{jobs} jobs in {duration(seconds)}" if jobs else "nothing to do: all results are there"
        where = f"results/{name}" if wanted else page
        click.echo(f"{said}; {where}; full text of the engine: {log}")
