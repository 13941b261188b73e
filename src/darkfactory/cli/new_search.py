"""`darkfactory new-search`: a commented start for a search of one's own."""

from __future__ import annotations

import json
from pathlib import Path

import click

from darkfactory.config.library import Library
from darkfactory.config.skeleton import campaign_entries, entries_text, search_skeleton
from darkfactory.core.files import write_text

__all__ = ["new_search"]

_EXAMPLES = """\b
Examples:
  darkfactory new-search my_dark_photon
  darkfactory new-search my_scalar --like zprime_mumu
"""


@click.command("new-search", epilog=_EXAMPLES)
@click.option("--like", default="visible_dark_photon", show_default=True, help="Search to begin with.")
@click.option("--campaign", "-c", default="tiny", show_default=True, help="Campaign that the entries are shown for.")
@click.option("--config-dir", default="config", show_default=True, help="Folder of YAML files.")
@click.argument("name")
def new_search(like: str, campaign: str, config_dir: str, name: str) -> None:
    """Write config/searches/NAME.yaml, a commented copy of a search that runs, and say what a campaign needs for it.

    Nothing is overwritten, and no other file is changed.
    """
    library = Library(Path(config_dir))
    text = search_skeleton(library, name, like)
    entries = campaign_entries(library, name, like, campaign)
    file = library.path("searches", name)
    write_text(file, text)
    searches = json.dumps(entries["searches"][name])
    own = f" --set 'overrides.{name}={json.dumps(entries['overrides'][name])}'" if "overrides" in entries else ""
    folder = f" --config-dir {config_dir}" if config_dir != "config" else ""
    click.echo(
        f"{file} written, like {like}. Try it:\n\n"
        f"  darkfactory config check -c {campaign}{folder} --set 'searches.{name}={searches}'\n"
        f"  darkfactory run -c {campaign}{folder} --search {name} --set 'searches.{name}={searches}'{own}\n\n"
        f"To keep it, add to {library.path('campaigns', campaign)} (and to other campaigns):\n\n"
        f"{entries_text(entries)}\n"
        "Samples that no campaign's events.samples names take its events.signal or events.background."
    )
