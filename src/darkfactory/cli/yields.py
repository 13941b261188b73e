"""`darkfactory yields`: numbers of B pairs, tau pairs and others for a luminosity."""

from __future__ import annotations

import json
import math

import click

from darkfactory.cli.common import table
from darkfactory.config.library import Library
from darkfactory.config.load import validate
from darkfactory.config.yields import YieldsConfig
from darkfactory.core.errors import UserError
from darkfactory.core.units import parse_quantity
from darkfactory.physics.yields import expected_yield

__all__ = ["yields"]

_EXAMPLES = """\b
Examples:
  darkfactory yields 365
  darkfactory yields 50 /ab
  darkfactory yields 711 /fb --experiment belle
  darkfactory yields 1000 --json
"""


@click.command(epilog=_EXAMPLES)
@click.option("--config-dir", default="config", show_default=True, help="Folder of YAML files.")
@click.option("--experiment", "-e", default="belle2", show_default=True, help="belle2, belle or babar.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.argument("luminosity", nargs=-1, required=True)
def yields(config_dir: str, experiment: str, as_json: bool, luminosity: tuple[str, ...]) -> None:
    """How many of each a LUMINOSITY brings (in 1/fb, or with a unit), with formulas and sources of all numbers."""
    text = " ".join(luminosity)
    try:
        value = float(text)
    except ValueError:
        value = float(parse_quantity(text, "luminosity"))
    if not 0 < value < math.inf:
        raise UserError(f"luminosity {text}: must be a number above 0, for example 365 or '50 /ab'")
    config = validate(YieldsConfig, Library(config_dir).file("yields.yaml"), file=f"{config_dir}/yields.yaml")
    known = sorted({"belle2", *(e for p in config.processes.values() for e in p.sigma_nb if e != "default")})
    if experiment not in known:
        raise UserError(f"experiment {experiment!r} is unknown; there are {known}")
    rows = []
    for process in config.processes.values():
        sigma = process.sigma_nb.get(experiment) or process.sigma_nb["default"]
        found, error = expected_yield(
            sigma.value, value, process.factor.value, sigma.uncertainty or 0.0, process.factor.uncertainty or 0.0
        )
        plain = process.factor.value == 1.0
        rows.append(
            {
                "what": process.title,
                "number": found,
                "+-": error or None,
                "sigma [nb]": sigma.value,
                "formula": process.formula,
                "source": sigma.source if plain else f"{sigma.source}; factor {process.factor.source}",
                "note": sigma.note if plain else f"{sigma.note}; {process.factor.note}",
            }
        )
    about = {"luminosity_fb": value, "experiment": experiment}
    click.echo(
        json.dumps(about | {"yields": rows}, indent=1) if as_json else f"{value:g} /fb, {experiment}\n{table(rows)}"
    )
