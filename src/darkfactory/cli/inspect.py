"""`darkfactory inspect`: a first look at ntuples."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import click

from darkfactory.cli.common import campaign_options, chosen_campaign, find_dataset, table
from darkfactory.cli.complete import datasets, searches
from darkfactory.config.load import validate
from darkfactory.config.ntuples import name_map
from darkfactory.config.resolve import Campaign
from darkfactory.config.sample import SampleConfig
from darkfactory.core.errors import UserError

__all__ = ["inspect"]

_EXAMPLES = """\b
Examples:
  darkfactory inspect data.root
  darkfactory inspect https://host/data.root
  darkfactory inspect ntuples/*.root --search zprime_invisible
  darkfactory inspect ntuples/*.root --search zprime_invisible --tracks mu --clusters gamma
  darkfactory inspect mc.root -s zprime_invisible --simulation --tracks variables:mu0,mu1 --clusters variables:gamma0
  darkfactory inspect data.root -s zprime_invisible --sample my_data
"""
_SHOWN = 12


@click.command(epilog=_EXAMPLES)
@campaign_options
@click.option("--search", "-s", shell_complete=searches, default=None, help="Send the events through this search.")
@click.option("--dataset", "-d", shell_complete=datasets, default=None, help="Dataset; by default the first.")
@click.option("--sample", default=None, help="Entry of config/samples.yaml that says what the rows are.")
@click.option("--tracks", default=None, metavar="TREE[:PREFIX,...]", help="Tree of charged particles.")
@click.option("--clusters", default=None, metavar="TREE[:PREFIX,...]", help="Tree of photons.")
@click.option("--klm", default=None, metavar="TREE[:PREFIX,...]", help="Tree of clusters of the muon system.")
@click.option("--map", "map_name", default="basf2", show_default=True, help="Name map, or the path of one.")
@click.option("--simulation", is_flag=True, help="The files are simulation, not data.")
@click.argument("files", nargs=-1, required=True)
def inspect(
    campaign: str | None, config_dir: str, settings: tuple[str, ...], search: str | None, dataset: str | None,
    sample: str | None, tracks: str | None, clusters: str | None, klm: str | None, map_name: str, simulation: bool,
    files: tuple[str, ...],
) -> None:  # fmt: skip
    """What is in FILES (ROOT ntuples), and with --search how many events pass each of its cuts.

    Nothing is written. Without --search, the trees of each file: rows, branches that the name map knows, columns of the
    map that are missing. For a quick look give one file. With --search, trees of tracks and photons are found by their
    branches unless they are named.
    """
    from darkfactory.pipeline.inspect import find_collections, look_at_search, look_at_trees
    from darkfactory.store.sources import list_files

    resolved = chosen_campaign(campaign, config_dir, settings)
    found = list_files(files)
    if search is None:
        names = name_map(resolved.library, map_name)
        for file in found:
            for info in look_at_trees(file, names):
                _show_tree(info)
        return
    w = find_dataset(resolved, search, dataset)
    named = {"tracks": tracks, "clusters": clusters, "klm_clusters": klm}
    given = {k: _collection(v) for k, v in named.items() if v is not None}
    if sample is not None and given:
        raise UserError("--sample says what the rows are: leave --tracks, --clusters and --klm out, or --sample")
    if sample is None and not given:
        given = find_collections(found, name_map(resolved.library, map_name))
        told = [f"{k}: {':'.join([c['tree'], ','.join(c['prefixes'])] if 'prefixes' in c else [c['tree']])}"
                for k, c in given.items()]  # fmt: skip
        click.echo(f"taken as {'; '.join(told)} (--tracks, --clusters and --klm say it otherwise)")
    config = _sample(resolved, w, sample, given, map_name, simulation, found)
    with tempfile.TemporaryDirectory(prefix="darkfactory-inspect-") as folder:
        look = look_at_search(resolved, w, config, Path(folder), lambda text: click.echo(text, err=True))
    click.echo(f"{look.events} events in {len(found)} files")
    for name, flow in {
        **{f"skim {n}": f for n, f in look.skims.items()},
        f"{search}, candidates": look.selection,
    }.items():
        rows = []
        for cut, n in zip(flow.names, flow.events, strict=True):
            rows.append({"cut": cut, "left": n, "of all": f"{n / flow.events[0]:.1%}" if flow.events[0] else "-"})
        click.echo(f"\n{name}\n{table(rows)}")
    if look.filled:
        click.echo(f"\nno column for {', '.join(look.filled)}: defaults stand in (docs/howto-own-ntuples.md)")


def _show_tree(info: Any) -> None:
    click.echo(f"{info.path}: {info.tree}: {info.entries} rows, {'event' if info.event_based else 'candidate'} based")
    for what, names in (
        ("found", tuple(c for c in info.columns if c not in info.unmapped)),
        ("not in the name map, kept by their own names", info.unmapped),
        ("of the name map, missing", info.missing),
        ("repeated, the first is read", info.duplicates),
        ("without any value", info.all_nan),
    ):
        if names:
            rest = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            click.echo(f"  {len(names)} {what}: {', '.join(names[:_SHOWN])}{rest}")


def _collection(text: str) -> dict[str, Any]:
    tree, _, prefixes = text.partition(":")
    return {"tree": tree, **({"prefixes": prefixes.split(",")} if prefixes else {})}


def _sample(
    campaign: Campaign, w: dict[str, str], sample: str | None, given: dict[str, dict[str, Any]], map_name: str,
    simulation: bool, files: list[str],
) -> SampleConfig:  # fmt: skip
    """The files as a sample of the search."""
    catalogue = campaign.library.samples()
    config = campaign.searches[w["search"], w["dataset"]]
    # control samples have no signal
    signal = campaign.samples[[*(h.sample for h in config.hypotheses.values()), *config.shared_samples][0]]
    if sample is None:
        kind = {"kind": "simulation", "luminosity": "1 /fb"} if simulation else {"kind": "data"}
        entry: dict[str, Any] = {
            "detector": signal.detector,
            "skims": list(signal.skims),
            "external": {"map": map_name, **kind, "collections": given},
        }
    elif sample in catalogue and "external" in catalogue[sample]:
        entry = catalogue[sample]
    else:
        known = sorted(k for k, v in catalogue.items() if isinstance(v, dict) and "external" in v)
        raise UserError(f"--sample {sample!r} is no external sample of samples.yaml; there are {known or 'none'}")
    external = {k: v for k, v in entry["external"].items() if k != "points"}
    if "points" in entry["external"] and not {"cross_section", "luminosity"} & set(external):
        external["luminosity"] = "1 /fb"
    entry["external"] = {**external, "files": files}
    return validate(SampleConfig, entry, where="inspected")
