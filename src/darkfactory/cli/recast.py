"""`darkfactory recast`: limits on a user's own model."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from darkfactory.cli.common import campaign_options, chosen_campaign, find_dataset, need_limits, table
from darkfactory.cli.complete import datasets, searches
from darkfactory.cli.run import snakemake
from darkfactory.config.load import read_yaml, validate
from darkfactory.config.recast import RecastModel
from darkfactory.core.errors import UserError
from darkfactory.execute.backends import ProcessBackend
from darkfactory.pipeline.layout import path
from darkfactory.store.tables import read_csv

__all__ = ["recast"]

_EXAMPLES = """\b
Examples:
  darkfactory recast --search zprime_invisible --dataset belle2_80fb --model my_model.yaml
  darkfactory recast --search alp_3gamma --model my_model.yaml --limits published.csv
  darkfactory recast --search b_to_k_longlived --model my_scalar.yaml -o recasts
"""


@click.command(epilog=_EXAMPLES)
@campaign_options
@click.option("--search", "-s", shell_complete=searches, required=True, help="Search whose limits are taken.")
@click.option("--dataset", "-d", shell_complete=datasets, default=None, help="Dataset; by default the first.")
@click.option("--model", "-m", "model_file", type=click.Path(path_type=Path), required=True, help="YAML of the model.")
@click.option("--limits", "limits_file", type=click.Path(path_type=Path), default=None,
              help="Table of limits (mass_GeV, limit, optionally expected, ctau_cm, cl) instead of ours.")  # fmt: skip
@click.option("--output", "-o", type=click.Path(file_okay=False, path_type=Path), default=None, help="Folder.")
@click.option("--cores", type=click.IntRange(min=1), default=2, show_default=True, help="Worker processes.")
def recast(
    campaign: str | None, config_dir: str, settings: tuple[str, ...], search: str, dataset: str | None,
    model_file: Path, limits_file: Path | None, output: Path | None, cores: int,
) -> None:  # fmt: skip
    """Limits of a search on the coupling of a MODEL of your own, without refitting; runs what is missing.

    The model's YAML gives the rate as a formula or table of the mass, or as vertices for the generator, and a lifetime
    where there is one. The efficiency is that of the search's own signal: the kinematics must be alike.
    """
    from darkfactory.interpret.recast import recast_rows
    from darkfactory.pipeline.recast import cross_sections, limits_of_search, read_limits, write

    resolved = chosen_campaign(campaign, config_dir, settings)
    w = find_dataset(resolved, search, dataset)
    need_limits(resolved, w["search"], w["dataset"])
    model = validate(RecastModel, read_yaml(model_file), file=str(model_file))
    config = resolved.searches[w["search"], w["dataset"]]
    hypothesis = model.hypothesis or next(iter(config.hypotheses))
    if hypothesis not in config.hypotheses:
        raise UserError(f"{model_file}: hypothesis {hypothesis!r} is not in {search}; it has {list(config.hypotheses)}")
    name = resolved.config.campaign
    published: list[dict[str, object]] = []
    if limits_file is not None:
        limits = read_limits(limits_file)
    else:
        snakemake([path("couplings", campaign=name, **w)], campaign, config_dir, settings, cores)
        limits = limits_of_search(path("limits_csv", campaign=name, **w), hypothesis)
    known_file = Path(path("couplings", campaign=name, **w))
    if model.validates is not None and limits_file is not None and not known_file.exists():
        # a table needs no run of ours
        click.echo(f"validates {model.validates}: not compared, campaign {name} has no {search} yet", err=True)
    elif model.validates is not None:
        rows = read_csv(known_file)
        published = [r for r in rows if r["model"] == model.validates]
        if not published:
            known = sorted({str(r["model"]) for r in rows})
            raise UserError(f"{model_file}: validates {model.validates!r} is not in couplings.csv; it has {known}")
    rates = None
    if model.vertices is not None:
        masses = sorted({float(r["mass_gev"]) for r in limits})
        detector = resolved.samples[config.hypotheses[hypothesis].sample].detector
        found = cross_sections(
            model.vertices, resolved.library, detector, masses, resolved.config.seed, ProcessBackend(cores)
        )
        rates = {m: sigma for m, (sigma, _) in found.items()}
        worst = max((error / sigma for sigma, error in found.values() if sigma > 0), default=0.0)
        click.echo(f"cross-sections at {len(masses)} masses, errors up to {worst:.2%}", err=True)
    made = recast_rows(limits, model, rates)
    folder = output or Path(path("limits_csv", campaign=name, **w)).parent / "recast"
    files = write(made, model, folder, published)
    shown = ("mass_gev", "quantity", "expected", "observed", "lower", "upper", "cl", "status")
    click.echo(table([{k: r.get(k) for k in shown if any(q.get(k) is not None for q in made)} for r in made]))
    if published:
        theirs = {(r["cl"], r["mass_gev"]): r["expected"] for r in published if r["expected"] is not None}
        ratios = [
            float(r["expected"]) / float(str(theirs[r["cl"], r["mass_gev"]]))
            for r in made
            if r.get("expected") is not None and (r["cl"], r["mass_gev"]) in theirs
        ]
        if ratios:
            click.echo(
                f"over {model.validates}: median {np.median(ratios):.4f}, {min(ratios):.4f} to {max(ratios):.4f}"
            )
    click.echo(f"{len(files)} files in {folder}. The efficiency is that of {hypothesis} of {search}.")
