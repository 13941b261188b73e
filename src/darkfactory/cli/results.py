"""Commands that read results: `cutflow`, `limit`, `compare`."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import click

from darkfactory.cli.common import campaign_options, chosen_campaign, find_dataset, need_limits, table, warn_few_events
from darkfactory.cli.complete import datasets, searches
from darkfactory.cli.run import snakemake
from darkfactory.config.points import parse_point, point_name
from darkfactory.config.resolve import Campaign
from darkfactory.core.errors import ConfigError, UserError
from darkfactory.core.files import read_json
from darkfactory.interpret.comparison import compare_rows, ratio_summary
from darkfactory.pipeline.layout import path
from darkfactory.store.tables import read_csv, read_reference

__all__ = ["compare", "cutflow", "limit", "point_of"]

_LIMIT_COLUMNS = ("observed", "expected_m2", "expected_m1", "expected", "expected_p1", "expected_p2")


@click.command()
@campaign_options
@click.argument("search", shell_complete=searches)
@click.argument("dataset", shell_complete=datasets, required=False)
def cutflow(campaign: str | None, config_dir: str, settings: tuple[str, ...], search: str, dataset: str | None) -> None:
    """Events left after each cut of SEARCH on DATASET, by sample."""
    resolved = chosen_campaign(campaign, config_dir, settings)
    w = find_dataset(resolved, search, dataset)
    need_limits(resolved, w["search"], w["dataset"], "table of cuts")
    stored = read_json(path("cutflow", campaign=resolved.config.campaign, **w))
    luminosity = stored["luminosity_fb"]
    for sample, flow in stored["cutflows"].items():
        rows = [
            {"cut": name, "candidates": n, "expected events": sumw / flow["n_generated"] * luminosity}
            for name, n, sumw in zip(flow["names"], flow["events"], flow["sumw"], strict=True)
        ]
        click.echo(f"{sample} ({flow['n_generated']} generated)\n{table(rows)}\n")


def point_of(text: str) -> str:
    """A point's name from its name or from a mass in GeV."""
    try:
        mass = float(text)
    except ValueError:
        try:
            parse_point(text)
        except ConfigError as error:
            raise UserError(f"{error}; or give a mass in GeV as a plain number, as 0.5") from error
        return text
    if not 0 <= mass < math.inf:
        raise UserError(f"mass {text} GeV must be at least 0 and below the centre-of-mass energy")
    return point_name({"mass": mass})


def _check_point(campaign: Campaign, w: dict[str, str], name: str) -> None:
    """A point that the search and its dataset can have."""
    config = campaign.searches[w["search"], w["dataset"]]
    axes, sqrts = parse_point(name), _sqrts(campaign, w)
    mass = axes["mass"]
    if not 0 <= mass < sqrts:
        raise UserError(f"mass {mass:g} GeV must be at least 0 and below the centre-of-mass energy of {sqrts:.3f} GeV")
    low, high = config.data.mass_range
    if not low <= mass <= high:
        raise UserError(
            f"mass {mass:g} GeV is outside the {low:g} to {high:g} GeV of {w['search']}/{w['dataset']}; choose one of "
            "these"
        )
    for hypothesis, entry in config.hypotheses.items():
        if campaign.samples[entry.sample].external is not None:
            made = campaign.points(w["search"], w["dataset"], hypothesis)
            if name not in made:
                raise UserError(f"{name}: {entry.sample} has ntuples for the points {', '.join(made)} only")
    grids = [g for h in config.hypotheses.values() for g in h.grids[campaign.config.grid]]
    known = list(dict.fromkeys(tuple(g.axes) for g in grids))
    if set(axes) not in [set(k) for k in known]:
        shown = " or ".join(str(list(k)) for k in known)
        raise UserError(f"{name}: points of {w['search']} have the axes {shown}, this one has {list(axes)}")


def _sqrts(campaign: Campaign, w: dict[str, str]) -> float:
    """Nominal centre-of-mass energy of a dataset in GeV, from the detector of its first signal sample."""
    first = next(iter(campaign.searches[w["search"], w["dataset"]].hypotheses.values())).sample
    beams = campaign.library.get("detectors", campaign.samples[first].detector)["beams"]
    return float(beams["sqrts_gev"]["value"])


@click.command()
@campaign_options
@click.option("--cores", type=click.IntRange(min=1), default=2, show_default=True, help="Worker processes.")
@click.option("--json", "as_json", is_flag=True, help="Print the records as JSON.")
@click.argument("search", shell_complete=searches)
@click.argument("dataset", shell_complete=datasets)
@click.argument("point")
def limit(
    campaign: str | None, config_dir: str, settings: tuple[str, ...], cores: int, as_json: bool, search: str,
    dataset: str, point: str,
) -> None:  # fmt: skip
    """The limit of SEARCH on DATASET at one POINT (a name such as m0p50000, or a mass in GeV), on the grid or off."""
    resolved = chosen_campaign(campaign, config_dir, settings)
    w = find_dataset(resolved, search, dataset)
    need_limits(resolved, w["search"], w["dataset"])
    name = point_of(point)
    _check_point(resolved, w, name)
    file = path("limits", campaign=resolved.config.campaign, block=name, **w)
    snakemake([file], campaign, config_dir, settings, cores)
    rows = [
        {k: r.get(k) for k in ("hypothesis", "point", "cl", "quantity", "unit", *_LIMIT_COLUMNS, "method", "status")}
        for r in read_json(file)["limits"]
    ]
    click.echo(json.dumps(rows, indent=1) if as_json else table(rows))


def _chosen(rows: list[dict[str, Any]], column: str, value: Any, name: str) -> list[dict[str, Any]]:
    """Rows with a value of a column, by default that of the first row."""
    known = list(dict.fromkeys(r[column] for r in rows if column in r))
    if value is None:
        value = known[0] if known else None
    elif value not in known:
        raise UserError(f"{column} {value!r} is not in {name}; it has {known}")
    return [r for r in rows if r.get(column) == value]


@click.command()
@campaign_options
@click.option("--reference", type=click.Path(), required=True, help="CSV with columns mass_GeV and limit.")
@click.option("--model", default=None, help="Model of couplings.csv; by default the first.")
@click.option("--plain", is_flag=True, help="Compare limits.csv, not couplings.csv.")
@click.option("--hypothesis", default=None, help="Hypothesis of limits.csv (with --plain); by default the first.")
@click.option("--cl", type=float, default=None, help="Confidence level, such as 0.9; by default the table's first.")
@click.argument("search", shell_complete=searches)
@click.argument("dataset", shell_complete=datasets, required=False)
def compare(
    campaign: str | None, config_dir: str, settings: tuple[str, ...], reference: str, model: str | None, plain: bool,
    hypothesis: str | None, cl: float | None, search: str, dataset: str | None,
) -> None:  # fmt: skip
    """Our expected limits over a published table, by mass (and lifetime); the table is interpolated in log-log."""
    resolved = chosen_campaign(campaign, config_dir, settings)
    w = find_dataset(resolved, search, dataset)
    need_limits(resolved, w["search"], w["dataset"])
    if not Path(reference).exists():
        raise UserError(f"{reference}: no such file; give a CSV with the columns mass_GeV and limit")
    notes, published = read_reference(reference)
    rows = read_csv(path("limits_csv" if plain else "couplings", campaign=resolved.config.campaign, **w))
    if not plain and not rows:
        raise UserError(f"{search} interprets no model, couplings.csv is empty; add --plain to compare limits.csv")
    table_name = "limits.csv" if plain else "couplings.csv"
    rows = _chosen(rows, "hypothesis" if plain else "model", hypothesis if plain else model, table_name)
    rows = _chosen(rows, "cl", cl, table_name)
    found = compare_rows(rows, published)
    click.echo(f"{notes.get('paper', reference)}, {notes.get('CL', '')} {notes.get('type', '')}")
    click.echo(table(found))
    if summary := ratio_summary(found):
        median, within = summary
        click.echo(f"median ratio {median:.3f}; {within:.0%} of {len(found)} points within a factor 2")
    warn_few_events(resolved)
