"""`darkfactory export`: results in forms for others."""

from __future__ import annotations

import json
from pathlib import Path

import click

from darkfactory.cli.common import campaign_options, chosen_campaign, find_dataset
from darkfactory.core.errors import UserError
from darkfactory.core.files import read_json
from darkfactory.pipeline.layout import path

__all__ = ["export"]


@click.group()
def export() -> None:
    """Results in forms for others."""


@export.command()
@campaign_options
@click.option("--search", "-s", required=True, help="Search.")
@click.option("--dataset", "-d", default=None, help="Dataset; by default the first.")
@click.option("--point", "-p", required=True, help="Point, as m0p50000.")
@click.option("--hypothesis", default=None, help="Hypothesis; by default the first.")
def pyhf(
    campaign: str | None, config_dir: str, settings: tuple[str, ...], search: str, dataset: str | None, point: str,
    hypothesis: str | None,
) -> None:  # fmt: skip
    """Print the complete HistFactory workspace of one point: signal, background and observation."""
    resolved = chosen_campaign(campaign, config_dir, settings)
    w = find_dataset(resolved, search, dataset)
    known = list(resolved.searches[w["search"], w["dataset"]].hypotheses)
    name = hypothesis or known[0]
    if name not in known:
        raise UserError(f"{search} has no hypothesis {name!r}; it has {known}")
    folder = Path(path("workspace", campaign=resolved.config.campaign, block="x", **w)).parent
    seen: list[str] = []
    for file in sorted(folder.glob("*.json")):
        points = read_json(file).get("points", {})
        seen += [k.partition("/")[2] for k in points if k.startswith(f"{name}/")]
        found = points.get(f"{name}/{point}")
        if found is not None:
            if found["spec"] is None:
                raise UserError(f"{point}: no workspace, its status is {found['status']}")
            click.echo(json.dumps(found["spec"], indent=1, sort_keys=True))
            return
    raise UserError(
        f"no workspace of {name}/{point} in {folder}; there are {sorted(set(seen)) or 'none: run the search first'}"
    )
