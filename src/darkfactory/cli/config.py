"""`darkfactory config`: check, show, compare."""

from __future__ import annotations

import difflib

import click
import yaml

from darkfactory.cli.common import campaign_options, chosen_campaign
from darkfactory.config.check import check_campaign
from darkfactory.config.resolve import Campaign, load_campaign

__all__ = ["config"]


@click.group()
def config() -> None:
    """Check, show or compare configurations."""


def _resolved_text(campaign: Campaign) -> str:
    value = {
        "campaign": campaign.config.model_dump(mode="json"),
        "searches": {f"{s}/{d}": c.model_dump(mode="json") for (s, d), c in campaign.searches.items()},
        "samples": {s: c.model_dump(mode="json") for s, c in campaign.samples.items()},
    }
    return str(yaml.safe_dump(value, sort_keys=True))


@config.command()
@campaign_options
def check(campaign: str | None, config_dir: str, settings: tuple[str, ...]) -> None:
    """Read and validate everything that a campaign uses."""
    resolved = chosen_campaign(campaign, config_dir, settings)
    for line in check_campaign(resolved):
        click.echo(line)
    click.echo(f"campaign {resolved.config.campaign}: {len(resolved.searches)} results, all well")


@config.command()
@campaign_options
def show(campaign: str | None, config_dir: str, settings: tuple[str, ...]) -> None:
    """Print the resolved configuration as YAML."""
    click.echo(_resolved_text(chosen_campaign(campaign, config_dir, settings)), nl=False)


@config.command()
@click.argument("first")
@click.argument("second")
@click.option("--config-dir", default="config", show_default=True, help="Folder of YAML files.")
def diff(first: str, second: str, config_dir: str) -> None:
    """Compare two campaigns after all merging."""
    one, two = (_resolved_text(load_campaign(n, config_dir=config_dir)).splitlines() for n in (first, second))
    for line in difflib.unified_diff(one, two, fromfile=first, tofile=second, lineterm="", n=2):
        click.echo(line)
