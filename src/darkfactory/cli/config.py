"""`darkfactory config`: check, show, compare."""

from __future__ import annotations

import difflib
from pathlib import Path

import click
import yaml

from darkfactory.cli.common import campaign_options, chosen_campaign
from darkfactory.config.document import configuration_page, schema_text
from darkfactory.config.resolve import Campaign, load_campaign
from darkfactory.core.files import write_text
from darkfactory.pipeline.plan import Planner

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
    # compiling selections and menus needs the array packages, which --help must not wait for
    from darkfactory.pipeline.preflight import preflight

    for line in preflight(Planner(resolved)):
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


def _print_or_write(text: str, write: bool, place: Path) -> None:
    if write:
        write_text(place, text)
        click.echo(f"{place} written")
    else:
        click.echo(text, nl=False)


@config.command()
@click.option("--write", is_flag=True, help="Write config/schema.json instead of printing.")
@click.option("--config-dir", default="config", show_default=True, help="Folder of YAML files.")
def schema(write: bool, config_dir: str) -> None:
    """Print the JSON schema of all configuration files, generated from the typed models."""
    _print_or_write(schema_text(), write, Path(config_dir) / "schema.json")


@config.command()
@click.option("--write", is_flag=True, help="Write docs/configuration.md instead of printing.")
def docs(write: bool) -> None:
    """Print the documentation page of all configuration files, generated from the typed models."""
    _print_or_write(configuration_page(), write, Path("docs") / "configuration.md")
