"""`darkfactory export darkcast` and `darkfactory export reana`."""

from __future__ import annotations

from pathlib import Path

import click
import yaml

from darkfactory.cli.common import campaign_options, chosen_campaign, find_dataset, need_limits
from darkfactory.cli.complete import datasets, searches
from darkfactory.config.exports import DarkcastConfig
from darkfactory.config.load import validate
from darkfactory.core.errors import UserError
from darkfactory.core.files import write_text
from darkfactory.pipeline.layout import path
from darkfactory.store.tables import read_csv

__all__ = ["darkcast", "reana"]

_DARKCAST = """\b
Examples:
  darkfactory export darkcast -s single_photon -o darkcast
  darkfactory export darkcast -s zprime_invisible -d belle2_80fb -m zprime_fully_invisible --observed -o darkcast
"""
_REANA = """\b
Examples:
  darkfactory export reana > reana.yaml
  darkfactory export reana -c tiny --search alp_3gamma -o reana.yaml
"""


@click.command(epilog=_DARKCAST)
@campaign_options
@click.option("--search", "-s", shell_complete=searches, required=True, help="Search.")
@click.option("--dataset", "-d", shell_complete=datasets, default=None, help="Dataset; by default the first.")
@click.option("--model", "-m", default=None, help="Model of couplings.csv; by default the first.")
@click.option("--observed", is_flag=True, help="Observed limits (of pseudo-data) instead of median expected ones.")
@click.option("--output", "-o", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder.")
def darkcast(
    campaign: str | None, config_dir: str, settings: tuple[str, ...], search: str, dataset: str | None,
    model: str | None, observed: bool, output: Path,
) -> None:  # fmt: skip
    """Limits on a coupling as a table of masses and edges, with the file of Darkcast where it has the model."""
    from darkfactory.pipeline.exports import darkcast_module, limit_table, paper_entry

    resolved = chosen_campaign(campaign, config_dir, settings)
    w = find_dataset(resolved, search, dataset)
    need_limits(resolved, w["search"], w["dataset"])
    file = path("couplings", campaign=resolved.config.campaign, **w)
    if not Path(file).exists():
        raise UserError(f"{file}: no results; run the search first: darkfactory run --search {search}")
    rows = read_csv(file)
    models = list(dict.fromkeys(str(r["model"]) for r in rows))
    if not models:
        raise UserError(f"{search} interprets no model, couplings.csv is empty; there is nothing to export")
    chosen = model or models[0]
    if chosen not in models:
        raise UserError(f"model {chosen!r} is not in couplings.csv; it has {models}")
    config = resolved.searches[w["search"], w["dataset"]]
    name = f"darkfactory_{search}_{w['dataset']}_{chosen}"
    write_text(output / f"{name}.lmt", limit_table(rows, chosen, observed=observed))
    known = validate(DarkcastConfig, resolved.library.file("darkcast.yaml"), file=f"{config_dir}/darkcast.yaml").models
    if chosen not in known:
        click.echo(f"{output / name}.lmt; Darkcast has no model for {chosen}, hence no .py file beside it")
        return
    kind = "observed limits on pseudo-data" if observed else "median expected limits"
    notes = (
        f"{kind} of darkfactory, {search} on {w['dataset']} ({config.data.luminosity:g} /fb), model {chosen}.\n"
        "Nothing here is a measurement. The setting is that of the reference below."
    )
    entry = paper_entry(config.data.reference, search)
    write_text(output / f"{name}.py", darkcast_module(name, known[chosen], search, notes, entry))
    click.echo(f"{output / name}.lmt and .py: copy both to Darkcast's folder limits")


@click.command(epilog=_REANA)
@campaign_options
@click.option("--search", "-s", shell_complete=searches, multiple=True, help="Only this search; may be repeated.")
@click.option("--cores", type=click.IntRange(min=1), default=2, show_default=True, help="Worker processes.")
@click.option("--memory", default="8Gi", show_default=True, help="Memory of the step.")
@click.option("--image", default="docker.io/library/python:3.11", show_default=True, help="Container image.")
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), default=None, help="File.")
def reana(
    campaign: str | None, config_dir: str, settings: tuple[str, ...], search: tuple[str, ...], cores: int,
    memory: str, image: str, output: Path | None,
) -> None:  # fmt: skip
    """A description of a run for the reproducible-analysis platform REANA: one step that installs and runs."""
    from darkfactory.pipeline.exports import reana_description

    resolved = chosen_campaign(campaign, config_dir, settings)
    for one in search:
        find_dataset(resolved, one, None)
    told = reana_description(resolved.config.campaign, search, cores=cores, memory=memory, image=image)
    text = yaml.safe_dump(told, sort_keys=False, width=120)
    if output is None:
        click.echo(text, nl=False)
        return
    write_text(output, text)
    click.echo(f"{output}: check it with `reana-client validate -f {output}`")
