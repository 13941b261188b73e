"""`darkfactory diagnose`: a closer look at one fit, of a search's point or of anybody's workspace file."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from darkfactory.cli.common import campaign_options, chosen_campaign, find_dataset, need_limits, table
from darkfactory.cli.complete import datasets, searches
from darkfactory.cli.results import point_of
from darkfactory.cli.run import snakemake
from darkfactory.config.diagnostics import DiagnosticsConfig
from darkfactory.config.load import validate
from darkfactory.config.statistics import StatisticsConfig
from darkfactory.core.errors import InputError, UserError
from darkfactory.core.files import read_json
from darkfactory.pipeline.layout import path

__all__ = ["diagnose"]

_EXAMPLES = """\b
Examples:
  darkfactory diagnose impacts zprime_invisible belle2_80fb 3.0
  darkfactory diagnose gof alp_3gamma belle2_445pb m0p50000 --toys 2000
  darkfactory diagnose injection --workspace workspace.json --toys 1000
  darkfactory diagnose coverage-map --shape counting --toys 5000 --cores 2
"""


@click.group(epilog=_EXAMPLES)
def diagnose() -> None:
    """A closer look at one fit: pulls, impacts, correlations, goodness of fit, injected signals, coverage.

    Each command prints a table and writes it (CSV, JSON) with its figure (PNG, PDF) to a folder.
    """


def _numbers(ctx: click.Context, option: click.Parameter, value: str | None) -> tuple[float, ...] | None:
    if value is None:
        return None
    try:
        return tuple(float(v) for v in value.split(","))
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is no list of numbers; write for example 0,1,2.5") from error


def _read_workspace(file: str) -> dict[str, Any]:
    try:
        value = json.loads(Path(file).read_text())
    except FileNotFoundError as error:
        raise UserError(f"{file}: no such file; give a HistFactory workspace as JSON") from error
    except json.JSONDecodeError as error:
        raise InputError(f"{file}: no JSON ({error}); give a HistFactory workspace") from error
    missing = [k for k in ("channels", "observations", "measurements") if k not in value]
    if missing:
        raise InputError(
            f"{file}: a complete HistFactory workspace has channels, observations and measurements; {missing} missing"
        )
    return dict(value)


def _subject(
    kind: str, o: Mapping[str, Any], where: tuple[str | None, str | None, str | None], changes: Mapping[str, Any]
) -> tuple[Any, Path, str]:
    """The workspace to look at, the folder for the results and a name for the files."""
    from darkfactory.pipeline.diagnosis import Subject

    search, dataset, point = where
    if (o["workspace"] is None) == (search is None):
        raise UserError("give either SEARCH DATASET POINT or --workspace FILE")
    if o["workspace"] is not None:
        spec, file = _read_workspace(o["workspace"]), Path(o["workspace"])
        statistics = StatisticsConfig(cls=tuple(o["cl"]) or (0.90,))
        config = validate(DiagnosticsConfig, dict(changes), where="diagnostics")
        subject = Subject(file.stem, spec, statistics, config, o["seed"], ("diagnose", file.stem))
        return subject, Path(o["output"] or "diagnostics"), f"{file.stem}_{kind}"
    resolved = chosen_campaign(o["campaign"], o["config_dir"], o["settings"])
    if search is None or dataset is None or point is None:
        raise UserError("SEARCH, DATASET and POINT are needed; POINT is a name such as m0p50000 or a mass in GeV")
    w = find_dataset(resolved, search, dataset)
    need_limits(resolved, w["search"], w["dataset"])
    name = point_of(point)
    found, known = _stored(resolved.config.campaign, w, name, o["hypothesis"])
    if found is None:
        file_name = path("workspace", campaign=resolved.config.campaign, block=name, **w)
        snakemake([file_name], o["campaign"], o["config_dir"], o["settings"], o["cores"])
        found, known = _stored(resolved.config.campaign, w, name, o["hypothesis"])
    if found is None:
        raise UserError(f"no workspace of {name} for hypothesis {o['hypothesis']!r}; there are {known}")
    if found["spec"] is None:
        raise UserError(f"{name}: no workspace, its status is {found['status']}")
    section = resolved.searches[w["search"], w["dataset"]].statistics
    statistics = validate(
        StatisticsConfig, {**section, **({"cls": tuple(o["cl"])} if o["cl"] else {})}, where="statistics"
    )
    config = resolved.config.diagnostics.model_copy(update=dict(changes))
    key = f"{found['hypothesis']}/{found['point']}"
    subject = Subject(
        f"{w['dataset']} {found['point']}",
        found["spec"],
        statistics,
        config,
        resolved.config.seed,
        ("diagnostics", w["search"], w["dataset"], key),
    )
    folder = Path(path("diagnostics", campaign=resolved.config.campaign, **w)).parent
    return subject, Path(o["output"] or folder), f"{key.replace('/', '_')}_{kind}"


def _stored(
    campaign: str, w: Mapping[str, str], point: str, hypothesis: str | None
) -> tuple[dict[str, Any] | None, list[str]]:
    """The record of a point among the workspaces on disk, and the keys that there are."""
    folder = Path(path("workspace", campaign=campaign, block="x", **w)).parent
    known: list[str] = []
    for file in sorted(folder.glob("*.json")):
        for key, record in read_json(file).get("points", {}).items():
            known.append(key)
            if record["point"] == point and hypothesis in (None, record["hypothesis"]):
                return dict(record), known
    return None, sorted(known)


def _command(kind: str, text: str, *extra: Callable[[Any], Any]) -> None:
    """Register one diagnostic as a command."""

    def run(search: str | None, dataset: str | None, point: str | None, **o: Any) -> None:
        from darkfactory.pipeline.diagnosis import diagnose as one
        from darkfactory.pipeline.diagnosis import save, settings_note

        changes: dict[str, Any] = {}
        if o.get("toys") is not None:
            changes[f"{kind}_toys"] = o["toys"]
        if o.get("strengths") is not None:
            changes["injections" if kind == "injection" else "coverage_signals"] = o["strengths"]
        if kind == "coverage":
            # asked for by name, a toy limit is worth its time
            changes["coverage_methods"] = ("asymptotic", "exact", "toys")
        subject, folder, name = _subject(kind, o, (search, dataset, point), changes)
        found = one(kind, subject)
        save(found, folder, name, settings_note(subject))
        rows = [{k: v for k, v in r.items() if k != "toys"} for r in found.rows] if kind == "gof" else list(found.rows)
        click.echo(f"{subject.name}: {found.caption}\n{table(rows[:40])}")
        for key, value in found.summary.items():
            click.echo(f"{key}: {value:.5g}" if isinstance(value, float) else f"{key}: {value}")
        click.echo(f"files: {folder / name}.*")

    command: Any = run
    for decorate in extra:
        command = decorate(command)
    command = click.argument("point", required=False)(command)
    command = click.argument("dataset", shell_complete=datasets, required=False)(command)
    command = click.argument("search", shell_complete=searches, required=False)(command)
    command = click.option("--output", "-o", default=None, help="Folder; by default beside the results.")(command)
    command = click.option(
        "--cores", type=click.IntRange(min=1), default=2, show_default=True, help="Worker processes of a run."
    )(command)
    command = click.option("--seed", default=1, show_default=True, help="Seed of toys with --workspace.")(command)
    command = click.option("--cl", multiple=True, type=float, help="Confidence level; can be repeated.")(command)
    command = click.option("--hypothesis", default=None, help="Hypothesis; by default the first that has it.")(command)
    command = click.option("--workspace", "-w", default=None, help="A complete HistFactory workspace as JSON.")(command)
    diagnose.command(kind, help=text)(campaign_options(command))


_TOYS = click.option("--toys", type=click.IntRange(min=20), default=None, help="Pseudo-experiments.")
_STRENGTHS = click.option(
    "--strengths", callback=_numbers, default=None, help="Signals in expected errors, as 0,1,2.5."
)
_command("pulls", "Pulls of the nuisance parameters, signal free.")
_command("impacts", "What each parameter does to the signal strength, before and after the fit, ranked.")
_command("correlations", "Correlation matrix of the fitted parameters.")
_command("gof", "Goodness of fit: saturated model, with a p-value from toys.", _TOYS)
_command("injection", "Injected against fitted signal: bias and pull.", _TOYS, _STRENGTHS)
_command("coverage", "How often a true signal is below its upper limit.", _TOYS, _STRENGTHS)


@diagnose.command("coverage-map")
@click.option("--shape", type=click.Choice(["counting", "bump"]), default="counting", show_default=True,
              help="One bin, or a peak on a spectrum of 50 bins.")  # fmt: skip
@click.option("--backgrounds", callback=_numbers, default="0.5,3,10,100", show_default=True,
              help="Background events in the signal region.")  # fmt: skip
@click.option("--signals", callback=_numbers, default="0,0.5,1,1.5,2,2.5,3,4,5,6,8,10,12,15", show_default=True,
              help="True signal events.")  # fmt: skip
@click.option("--method", type=click.Choice(["auto", "asymptotic", "exact", "toys"]), default="auto", show_default=True,
              help="As `statistics.method`.")  # fmt: skip
@click.option("--cl", type=float, default=0.90, show_default=True, help="Confidence level.")
@click.option("--toys", type=click.IntRange(min=20), default=1000, show_default=True, help="Data sets of each entry.")
@click.option("--inner-toys", type=click.IntRange(min=20), default=300, show_default=True,
              help="Toys behind each toy limit.")  # fmt: skip
@click.option("--background-error", type=float, default=0.15, show_default=True, help="Relative (one bin).")
@click.option("--signal-error", type=float, default=0.08, show_default=True, help="Relative (one bin).")
@click.option("--seed", default=1, show_default=True, help="Seed.")
@click.option("--cores", type=click.IntRange(min=1), default=2, show_default=True, help="Processes.")
@click.option("--output", "-o", default="diagnostics", show_default=True, help="Folder.")
def coverage_map(output: str, cores: int, **settings: Any) -> None:
    """Coverage of the engine's limits by background and true signal, with nuisance parameters, from toys."""
    from darkfactory.execute.backends import ProcessBackend
    from darkfactory.pipeline.coverage import coverage_map_rows, save_map

    rows = coverage_map_rows(settings, ProcessBackend(cores), lambda text: click.echo(text, err=True))
    click.echo(table(rows))
    click.echo(f"files: {save_map(rows, settings, Path(output))}.*")
