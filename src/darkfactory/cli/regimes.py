"""`darkfactory regimes`: where a mediator is invisible, visible or long-lived, and which searches look there."""

from __future__ import annotations

import json
from pathlib import Path

import click

from darkfactory.cli.common import default_campaign, table
from darkfactory.config.library import Library
from darkfactory.config.load import validate
from darkfactory.config.regimes import RegimesConfig
from darkfactory.core.errors import UserError
from darkfactory.pipeline.layout import path

__all__ = ["regimes"]

_EXAMPLES = """\b
Examples:
  darkfactory regimes
  darkfactory regimes dark_photon --dark-mass 1.0
  darkfactory regimes zprime --dark-coupling 0.1
  darkfactory regimes dark_higgs --mass 1.5 --coupling 1e-4
  darkfactory regimes alp_photons --json
"""


@click.command(epilog=_EXAMPLES)
@click.option("--campaign", "-c", default=None, help="Campaign whose limits are drawn where it has finished.")
@click.option("--config-dir", default="config", show_default=True, help="Folder of YAML files.")
@click.option("--dark-mass", type=float, default=None, help="Mass of the dark matter in GeV.")
@click.option("--dark-coupling", type=float, default=None, help="alpha_D of a vector, Yukawa coupling of a scalar.")
@click.option("--coupling", type=float, default=None, help="Coupling to the Standard Model.")
@click.option("--mass", type=float, default=None, help="Only say what a mediator of this mass in GeV is, no figure.")
@click.option("--output", "-o", type=click.Path(file_okay=False, path_type=Path), default=None, help="Folder.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.argument("mediator", required=False)
def regimes(
    campaign: str | None, config_dir: str, dark_mass: float | None, dark_coupling: float | None,
    coupling: float | None, mass: float | None, output: Path | None, as_json: bool, mediator: str | None,
) -> None:  # fmt: skip
    """Regimes of a MEDIATOR of config/regimes.yaml (all without a name): figure, table and searches that apply.

    Invisible where most decays are to dark matter or neutrinos; else by the mean flight: prompt, long-lived or
    outside of the detector.
    """
    library = Library(config_dir)
    config = validate(RegimesConfig, library.file("regimes.yaml"), file=f"{config_dir}/regimes.yaml")
    known = list(config.mediators)
    if mediator is not None and mediator not in known:
        raise UserError(f"mediator {mediator!r} is not in {config_dir}/regimes.yaml; it has {known}")
    for option, value in (("--dark-mass", dark_mass), ("--coupling", coupling), ("--mass", mass)):
        if value is not None and not value > 0:
            raise UserError(f"{option} {value:g}: must be above 0")
    if mass is not None and mediator is None:
        raise UserError(f"--mass needs a mediator; there are {known}")
    name = campaign or str(default_campaign(config_dir)["campaign"])
    from darkfactory.pipeline.regimes import at_point, write

    said = []
    for one in [mediator] if mediator else known:
        chosen = config.mediators[one]
        changes: dict[str, object] = {}
        for key, value in (("dark_mass", dark_mass), ("dark_coupling", dark_coupling)):
            if value is not None:
                changes[key] = getattr(chosen, key).model_copy(update={"value": value, "note": "command line"})
        if coupling is not None:
            changes["at_coupling"] = coupling
        chosen = chosen.model_copy(update=changes)
        if mass is not None:
            said.append({"mediator": one, **at_point(chosen, config, library, mass)})
            continue
        results = Path(path("report", campaign=name)).parents[1]
        folder = output or results / "regimes"
        said.append(write(one, chosen, config, library, folder, results))
    if as_json:
        click.echo(json.dumps(said, indent=1))
        return
    for index in said:
        if mass is not None:
            click.echo(table([index]))
            continue
        click.echo(f"{index['title']}: dark-matter mass {index['dark_mass_gev']:g} GeV, its coupling "
                   f"{index['dark_coupling']:g}")  # fmt: skip
        click.echo(table([r | {"searches": ", ".join(r["searches"]) or "-"} for r in index["regimes"]]))
    if mass is None:
        click.echo(f"figures and tables: {folder}")
