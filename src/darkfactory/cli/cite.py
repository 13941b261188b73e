"""`darkfactory cite`: what to cite for a campaign."""

from __future__ import annotations

import json

import click

from darkfactory import __version__
from darkfactory.cli.common import campaign_options, chosen_campaign
from darkfactory.cli.complete import searches
from darkfactory.config.exports import CitationsConfig
from darkfactory.config.load import validate
from darkfactory.core.errors import UserError

__all__ = ["cite"]

_EXAMPLES = """\b
Examples:
  darkfactory cite > references.bib
  darkfactory cite --search alp_3gamma
  darkfactory cite --campaign closure --json
"""


@click.command(epilog=_EXAMPLES)
@campaign_options
@click.option(
    "--search",
    "-s",
    shell_complete=searches,
    default=None,
    help="Only this search's papers, and the engines of its samples.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of entries.")
def cite(campaign: str | None, config_dir: str, settings: tuple[str, ...], search: str | None, as_json: bool) -> None:
    """BibTeX of the papers of the searches of a campaign, and of the software and methods that were used."""
    from darkfactory.pipeline.exports import bibliography

    resolved = chosen_campaign(campaign, config_dir, settings)
    known = sorted({s for s, _ in resolved.searches})
    if search is not None and search not in known:
        raise UserError(f"search {search!r} is not in campaign {resolved.config.campaign}; it has {known}")
    file = f"{config_dir}/citations.yaml"
    citations = validate(CitationsConfig, resolved.library.file("citations.yaml"), file=file)
    entries = bibliography(resolved, citations, __version__, search)
    click.echo(json.dumps(entries, indent=1) if as_json else "\n\n".join(entries))
