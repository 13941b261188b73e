"""`darkfactory combine`: limits on a coupling from several searches together."""

from __future__ import annotations

import json
from pathlib import Path

import click

from darkfactory.cli.common import campaign_options, chosen_campaign, table
from darkfactory.cli.results import point_of
from darkfactory.cli.run import snakemake
from darkfactory.core.errors import UserError
from darkfactory.core.files import read_json
from darkfactory.pipeline.layout import path
from darkfactory.store.tables import read_csv

__all__ = ["combine"]

_EXAMPLES = """\b
Examples:
  darkfactory combine lmutau_gprime
  darkfactory combine lmutau_gprime --campaign closure --cores 8
  darkfactory combine dark_higgs_theta
  darkfactory combine lmutau_gprime --point m3p00000 > workspace.json
"""
_SHOWN = ("input", "mass_gev", "expected_m1", "expected", "expected_p1", "observed", "cl", "method", "status")
_REGIONS = ("input", "mass_gev", "quantity", "lower", "upper", "cl", "method", "status", "channels")


@click.command(epilog=_EXAMPLES)
@campaign_options
@click.option("--cores", type=click.IntRange(min=1), default=2, show_default=True, help="Worker processes.")
@click.option("--point", "-p", default=None, help="Print the combined workspace of one point, as m3p00000 or 3.0.")
@click.option("--json", "as_json", is_flag=True, help="Print the limits as JSON.")
@click.argument("name")
def combine(
    campaign: str | None, config_dir: str, settings: tuple[str, ...], cores: int, point: str | None, as_json: bool,
    name: str,
) -> None:  # fmt: skip
    """Limits of the combination NAME, a file of config/combinations, by mass; runs what is missing."""
    resolved = chosen_campaign(campaign, config_dir, settings)
    known = list(resolved.combinations)
    if name not in known:
        raise UserError(
            f"combination {name!r} is not in campaign {resolved.config.campaign}; it has {known}. Name it in the "
            "campaign's combinations, or add --set combinations=[name]"
        )
    where = {"campaign": resolved.config.campaign, "combination": name}
    file = path("combination", **where)
    snakemake([file], campaign, config_dir, settings, cores)
    if point is not None:
        points = read_json(path("combined_workspaces", **where))["points"]
        chosen = point_of(point)
        if chosen not in points:
            raise UserError(f"no combined workspace of {point}; there are {list(points)}")
        click.echo(json.dumps(points[chosen], indent=1, sort_keys=True))
        return
    rows = read_csv(path("combined_couplings", **where))
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    shown = _REGIONS if resolved.combinations[name].kind == "lifetimes" else _SHOWN
    click.echo(table([{k: r[k] for k in shown} for r in rows]))
    stored = read_json(file)
    click.echo(f"combined limits by status: {stored['status']}; files: {Path(file).parent}")
    if stored["absent"]:
        click.echo(f"left out, since the campaign does not have them: {', '.join(stored['absent'])}")
