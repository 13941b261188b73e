"""`darkfactory scenarios`: a search under other trigger lines, side by side."""

from __future__ import annotations

import json
from pathlib import Path

import click

from darkfactory.cli.common import campaign_options, chosen_campaign, table, warn_few_events
from darkfactory.cli.complete import searches
from darkfactory.cli.run import snakemake
from darkfactory.config.load import validate
from darkfactory.config.projection import ProjectionConfig
from darkfactory.config.scenario import ScenarioFile
from darkfactory.core.errors import UserError
from darkfactory.execute.backends import ProcessBackend
from darkfactory.pipeline.layout import path

__all__ = ["scenarios"]

_EXAMPLES = """\b
Examples:
  darkfactory scenarios single_photon
  darkfactory scenarios inelastic_dm_dark_higgs --only no_vertex
  darkfactory scenarios zprime_invisible --campaign closure --cores 8
  darkfactory scenarios single_photon --json > scenarios.json
"""
_MADE = ("couplings", "efficiency", "model", "limits_csv")


@click.command(epilog=_EXAMPLES)
@campaign_options
@click.option("--only", multiple=True, metavar="NAME", help="Only this scenario, and the baseline; may be repeated.")
@click.option("--output", "-o", type=click.Path(file_okay=False, path_type=Path), default=None, help="Folder.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@click.option("--cores", type=click.IntRange(min=1), default=2, show_default=True, help="Worker processes.")
@click.argument("search", shell_complete=searches)
def scenarios(
    campaign: str | None, config_dir: str, settings: tuple[str, ...], only: tuple[str, ...], output: Path | None,
    as_json: bool, cores: int, search: str,
) -> None:  # fmt: skip
    """SEARCH under the trigger scenarios of config/scenarios: efficiencies, backgrounds and expected limits.

    Generated, simulated and skimmed events are those of the campaign; trigger, selection, training and statistics are
    done for each scenario. What is missing is run. Limits are compared on what is expected, not on thrown pseudo-data.
    """
    plain = chosen_campaign(campaign, config_dir, settings)
    known = plain.library.names("scenarios")
    if search not in known:
        raise UserError(f"{search!r} has no scenarios; there are {known}. Write config/scenarios/{search}.yaml")
    # in addition to those that the campaign has already: jobs of other searches stay what they are
    names = list(dict.fromkeys([*plain.config.scenarios, search]))
    more = (*settings, f"scenarios={json.dumps(names)}")
    resolved = chosen_campaign(campaign, config_dir, more)
    file = resolved.scenarios[search]
    unknown = sorted(set(only) - set(file.scenarios))
    if unknown:
        raise UserError(f"{search} has no scenarios {unknown}; it has {list(file.scenarios)}")
    wanted = validate(
        ScenarioFile,
        file.model_dump() | {"scenarios": {n: s.model_dump() for n, s in file.scenarios.items() if n in only}},
        where="scenarios",
    ) if only else file  # fmt: skip
    name = resolved.config.campaign
    targets = [path(k, campaign=name, search=search, dataset=d) for d in wanted.datasets() for k in _MADE]
    snakemake(targets, campaign, config_dir, more, cores)
    # figures need packages that --help must not wait for
    from darkfactory.pipeline.project import expected_rows
    from darkfactory.pipeline.scenarios import read_scenarios, write

    rules = validate(ProjectionConfig, resolved.library.file("projections.yaml"), where="projections")
    rule = rules.rules["constant"].model_dump(mode="json")
    click.echo("expected limits without pseudo-data", err=True)
    expected = {
        d: expected_rows(name, resolved.searches[search, d], rule, resolved.config.seed, ProcessBackend(cores))
        for d in wanted.datasets()
    }
    folder = output or Path(path("report", campaign=name)).parents[1] / "scenarios" / search
    summary = write(read_scenarios(name, wanted, expected=expected), wanted, folder, "asimov")
    if as_json:
        click.echo(json.dumps(summary, indent=1))
        return
    click.echo(table(summary))
    warn_few_events(resolved)
    click.echo(f"baseline: {file.baseline}; tables and figures: {folder}")
