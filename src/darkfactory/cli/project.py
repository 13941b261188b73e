"""`darkfactory project`: expected limits and discovery reach at other luminosities."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from darkfactory.cli.common import campaign_options, chosen_campaign, find_dataset, need_limits, table, warn_few_events
from darkfactory.cli.complete import datasets, searches
from darkfactory.cli.results import point_of
from darkfactory.cli.run import snakemake
from darkfactory.config.interpretation import InterpretationConfig
from darkfactory.config.load import validate
from darkfactory.config.projection import ProjectionConfig
from darkfactory.core.errors import UserError
from darkfactory.execute.backends import ProcessBackend
from darkfactory.pipeline.layout import path

__all__ = ["project"]

_EXAMPLES = """\b
Examples:
  darkfactory project zprime_invisible belle2_80fb
  darkfactory project single_photon --luminosity 100 --luminosity 1000
  darkfactory project zprime_mumu --rule statistics --cores 8
  darkfactory project alp_3gamma --point 0.5 --point 3.0 -l 1000
"""


@click.command(epilog=_EXAMPLES)
@campaign_options
@click.option("--luminosity", "-l", "luminosities", type=float, multiple=True, metavar="FB",
              help="In 1/fb, may be repeated; by default those of config/projections.yaml.")  # fmt: skip
@click.option("--rule", "-r", default=None, help="What becomes of systematic uncertainties; see projections.yaml.")
@click.option("--point", "-p", "only", multiple=True, metavar="POINT",
              help="Only this point (m3p00000, or a mass in GeV), may be repeated; by default all.")  # fmt: skip
@click.option("--output", "-o", type=click.Path(file_okay=False, path_type=Path), default=None, help="Folder.")
@click.option("--cores", type=click.IntRange(min=1), default=2, show_default=True, help="Worker processes.")
@click.argument("search", shell_complete=searches)
@click.argument("dataset", shell_complete=datasets, required=False)
def project(
    campaign: str | None, config_dir: str, settings: tuple[str, ...], luminosities: tuple[float, ...],
    rule: str | None, only: tuple[str, ...], output: Path | None, cores: int, search: str, dataset: str | None,
) -> None:  # fmt: skip
    """Expected limits of SEARCH on DATASET at other luminosities; runs what is missing.

    Detector, trigger and selection stay those of the dataset. How systematic uncertainties shrink is said by a rule of
    config/projections.yaml. The data are what is expected without signal.
    """
    from darkfactory.pipeline.project import draw, project_scan, sample_rates, stored_points, translate

    resolved = chosen_campaign(campaign, config_dir, settings)
    w = find_dataset(resolved, search, dataset)
    need_limits(resolved, w["search"], w["dataset"])
    rules = validate(ProjectionConfig, resolved.library.file("projections.yaml"), where="projections")
    chosen = rule or rules.rule
    if chosen not in rules.rules:
        raise UserError(f"rule {chosen!r} is not in {config_dir}/projections.yaml; it has {sorted(rules.rules)}")
    wanted = sorted(set(luminosities or rules.luminosities_fb))
    if wanted[0] <= 0:
        raise UserError(f"--luminosity {wanted[0]:g}: must be above 0 (in 1/fb)")
    name = resolved.config.campaign
    snakemake([path("limits_csv", campaign=name, **w), path("efficiency", campaign=name, **w)],
              campaign, config_dir, settings, cores)  # fmt: skip
    config = resolved.searches[w["search"], w["dataset"]]
    points = stored_points(name, w["search"], w["dataset"])
    if only:
        chosen_points = {point_of(p) for p in only}
        known = {str(r["point"]) for r in points.values()}
        if chosen_points - known:
            raise UserError(f"points {sorted(chosen_points - known)} are not in the scan; it has {sorted(known)[:40]}")
        points = {k: r for k, r in points.items() if r["point"] in chosen_points}
    click.echo(f"{len(points)} points at {len(wanted)} luminosities", err=True)
    job = {
        "points": points,
        "luminosity_fb": config.data.luminosity,
        "rule": rules.rules[chosen].model_dump(mode="json"),
        "statistics": config.statistics,
        "hypotheses": {h: {"quantity": c.quantity, "unit": c.unit} for h, c in config.hypotheses.items()},
        "discovery": list(rules.discovery),
        "seed": resolved.config.seed,
    }
    groups = [0]

    def progress(done: int) -> None:
        if done * 10 // total > groups[0]:
            groups[0] = done * 10 // total
            click.echo(f"{done} of {total} groups of points", err=True)

    total = -(-len(points) // 4) * len(wanted)
    rows = project_scan(job, wanted, ProcessBackend(cores), progress)
    interpretation = validate(InterpretationConfig, config.interpretation, where="interpretation")
    couplings = translate(rows, sample_rates(name, w["search"], w["dataset"]), interpretation.models)
    folder = output or Path(path("limits_csv", campaign=name, **w)).parent / "projection"
    about = {"dataset": w["dataset"], "discovery": rules.discovery}
    files = draw(rows, couplings, interpretation, folder, chosen, about)
    click.echo(table(_summary(couplings or rows)))
    warn_few_events(resolved)
    click.echo(f"rule {chosen}: {rules.rules[chosen].note}")
    click.echo(f"{len(files)} files in {folder}")


def _summary(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """Best limit, and the median over points of the gain, by luminosity."""
    families = list(dict.fromkeys((str(r.get("model", r["hypothesis"])), r["cl"]) for r in rows))
    shown: list[dict[str, object]] = []
    for name, cl in families:
        own = [r for r in rows if (str(r.get("model", r["hypothesis"])), r["cl"]) == (name, cl)]
        by = {
            lumi: {r["point"]: float(str(r["expected"])) for r in own
                   if r["luminosity_fb"] == lumi and r["expected"] is not None}
            for lumi in dict.fromkeys(r["luminosity_fb"] for r in own)
        }  # fmt: skip
        first = next(iter(by.values()))
        for lumi, values in by.items():
            best = min(values, key=lambda p: values[p], default=None)
            gains = [first[p] / v for p, v in values.items() if p in first]
            shown.append(
                {
                    "model": name,
                    "CL": cl,
                    "luminosity [/fb]": lumi,
                    "points": len(values),
                    "best": None if best is None else values[best],
                    "at": best,
                    "median gain": float(np.median(gains)) if gains else None,
                }
            )
    return shown
