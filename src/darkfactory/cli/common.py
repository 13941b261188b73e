"""Options that commands share, and the way to a campaign."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import click

from darkfactory.cli.complete import campaigns
from darkfactory.config.library import Library
from darkfactory.config.load import deep_merge, parse_override, read_yaml
from darkfactory.config.resolve import Campaign, load_campaign
from darkfactory.core.errors import UserError
from darkfactory.core.suggest import did_you_mean

__all__ = [
    "campaign_options",
    "chosen_campaign",
    "default_campaign",
    "find_dataset",
    "need_limits",
    "table",
    "warn_few_events",
]

F = TypeVar("F", bound=Callable[..., Any])


def campaign_options(function: F) -> F:
    """Options ``--campaign``, ``--config-dir`` and ``--set``."""
    function = click.option(
        "--set", "settings", multiple=True, metavar="PATH=VALUE", help="Override a campaign key, as events.signal=500."
    )(function)
    function = click.option("--config-dir", default="config", show_default=True, help="Folder of YAML files.")(function)
    return click.option(
        "--campaign", "-c", default=None, shell_complete=campaigns, help="Campaign; by default that of config.yaml."
    )(function)


def default_campaign(config_dir: str) -> dict[str, Any]:
    """What config.yaml says: the campaign's name and its overrides."""
    value = read_yaml(Library(config_dir).root / "config.yaml")
    unknown = sorted(set(value) - {"campaign", "overrides"})
    if unknown or "campaign" not in value:
        raise UserError(f"{config_dir}/config.yaml: keys are campaign and overrides; it has {sorted(value)}")
    return value


def chosen_campaign(campaign: str | None, config_dir: str, settings: Sequence[str]) -> Campaign:
    """The resolved campaign of a command's options."""
    default = default_campaign(config_dir)
    overrides = deep_merge(default.get("overrides") or {}, *(parse_override(s) for s in settings))
    name = str(default["campaign"]) if campaign is None else campaign
    return load_campaign(name, config_dir=config_dir, overrides=[overrides])


def find_dataset(campaign: Campaign, search: str, dataset: str | None) -> dict[str, str]:
    """Wildcards of a search's dataset; the first one where none is named.

    Raises:
        UserError: the campaign does not have it.
    """
    known = [d for s, d in campaign.searches if s == search]
    if not known:
        names = sorted({s for s, _ in campaign.searches})
        hint = did_you_mean(search, names) or ";"
        if not hint.endswith("?") and search in campaign.library.names("searches"):
            hint = " (another campaign may have it: --campaign);"
        raise UserError(f"search {search!r} is not in campaign {campaign.config.campaign}{hint} it has {names}")
    chosen = dataset or known[0]
    if chosen not in known:
        hint = did_you_mean(chosen, known) or ";"
        raise UserError(f"{search} has no dataset {chosen!r} in this campaign{hint} it has {known}")
    return {"search": search, "dataset": chosen}


def need_limits(campaign: Campaign, search: str, dataset: str, what: str = "limits") -> None:
    """Refuse what has no limits (and no table of cuts): control samples and measurements.

    Raises:
        UserError: it has none.
    """
    kind = campaign.searches[search, dataset].kind
    if kind != "search":
        result = {"control": "corrections.json", "measurement": "measurement.json"}[kind]
        raise UserError(f"{search} is of kind {kind}: it has no {what}, its result is {result}")


def warn_few_events(campaign: Campaign) -> None:
    """Say on the error stream that limits of the smallest grid are no physics, where they are to be compared."""
    if campaign.config.grid == "tiny":
        click.echo(
            f"note: campaign {campaign.config.campaign} has few simulated events: it is there to try commands, its "
            "limits scatter by large factors; compare limits of laptop or a campaign with more events",
            err=True,
        )


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Aligned text of rows.

    Example:
        >>> print(table([{"a": 1, "b": 2.5}]))
        a  b
        1  2.5
    """
    if not rows:
        return "(nothing)"
    names = list(dict.fromkeys(k for r in rows for k in r))
    cells = [names] + [[_text(r.get(n)) for n in names] for r in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(names))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in cells)


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.5g}" if isinstance(value, float) else str(value)
