"""`darkfactory unblind`: open the recorded data of a dataset, on record."""

from __future__ import annotations

from pathlib import Path

import click

from darkfactory.cli.common import campaign_options, chosen_campaign, find_dataset, table
from darkfactory.cli.complete import datasets, searches
from darkfactory.config.check import check_campaign
from darkfactory.core.errors import UserError
from darkfactory.execute.lock import lock_state
from darkfactory.pipeline.blinding import chain_path
from darkfactory.pipeline.plan import Planner, stage_code
from darkfactory.pipeline.unblind import blindings
from darkfactory.pipeline.unblind import unblind as act

__all__ = ["blinding_lines", "unblind"]

_STAGES = ("preselect", "select", "model", "workspace", "limits")


def blinding_lines(plan: Planner) -> list[str]:
    """What to tell of datasets with recorded data."""
    lines = []
    for (search, dataset), state in blindings(plan).items():
        if state.record is None:
            stand_in = plan.campaign.config.data
            lines.append(f"{search}/{dataset}: blinded, {stand_in} data stand in for the recorded ones")
            continue
        r = state.record
        lines.append(f"{search}/{dataset}: unblinded on {r.time} by {r.by}: {r.reason}")
        lines += [f"{search}/{dataset}: changed since the unblinding: {one}" for one in state.changed]
    return lines


@click.command()
@campaign_options
@click.argument("search", shell_complete=searches, required=False)
@click.argument("dataset", shell_complete=datasets, required=False)
@click.option("--by", default="", help="Who signs.")
@click.option("--reason", default="", help="Why the data are opened now.")
@click.option("--show", is_flag=True, help="Only say what is blinded, and who opened what.")
def unblind(
    campaign: str | None, config_dir: str, settings: tuple[str, ...], search: str | None, dataset: str | None, by: str,
    reason: str, show: bool,
) -> None:  # fmt: skip
    """Open the recorded data of a DATASET of a SEARCH; the record of it stays."""
    resolved = chosen_campaign(campaign, config_dir, settings)
    check_campaign(resolved)
    plan = Planner(resolved)
    if show:
        rows = [
            {"search": s, "dataset": d, **{k: v for k, v in b.to_dict().items() if k != "changed"}}
            for (s, d), b in blindings(plan).items()
        ]
        click.echo(table(rows) if rows else f"no dataset of campaign {plan.name} has recorded data")
        for line in blinding_lines(plan):
            if ": changed since" in line:
                click.echo(line)
        return
    if search is None or dataset is None:
        raise UserError("say whose data are opened: darkfactory unblind SEARCH DATASET --by NAME --reason TEXT")
    w = find_dataset(resolved, search, dataset)
    kind, holder = lock_state(Path())
    if kind == "held" and holder is not None:
        raise UserError(f"process {holder.pid} runs the workflow in this folder; wait until it ends, or end it")
    record = act(plan, w, by=by, reason=reason, code={s: stage_code(s) for s in _STAGES})
    click.echo(
        f"{search}/{dataset} is unblinded: record {record.number} of {chain_path(plan.name, search, dataset)}, "
        f"configuration {record.configuration[:16]}; `darkfactory run` reads the data"
    )
