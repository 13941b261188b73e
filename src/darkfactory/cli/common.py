"""Options that commands share, and the way to a campaign."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from darkfactory.config.load import deep_merge, parse_override, read_yaml
from darkfactory.config.resolve import Campaign, load_campaign
from darkfactory.core.errors import UserError

__all__ = ["campaign_options", "chosen_campaign", "default_campaign", "find_dataset", "table"]

F = TypeVar("F", bound=Callable[..., Any])


def campaign_options(function: F) -> F:
    """Options ``--campaign``, ``--config-dir`` and ``--set``."""
    function = click.option(
        "--set", "settings", multiple=True, metavar="PATH=VALUE", help="Override a campaign key, as events.signal=500."
    )(function)
    function = click.option("--config-dir", default="config", show_default=True, help="Folder of YAML files.")(function)
    return click.option("--campaign", "-c", default=None, help="Campaign; by default that of config.yaml.")(function)


def default_campaign(config_dir: str) -> dict[str, Any]:
    """What config.yaml says: the campaign's name and its overrides."""
    value = read_yaml(Path(config_dir) / "config.yaml")
    unknown = sorted(set(value) - {"campaign", "overrides"})
    if unknown or "campaign" not in value:
        raise UserError(f"{config_dir}/config.yaml: keys are campaign and overrides; it has {sorted(value)}")
    return value


def chosen_campaign(campaign: str | None, config_dir: str, settings: Sequence[str]) -> Campaign:
    """The resolved campaign of a command's options."""
    default = default_campaign(config_dir)
    overrides = deep_merge(default.get("overrides") or {}, *(parse_override(s) for s in settings))
    return load_campaign(campaign or str(default["campaign"]), config_dir=config_dir, overrides=[overrides])


def find_dataset(campaign: Campaign, search: str, dataset: str | None) -> dict[str, str]:
    """Wildcards of a search's dataset; the first one where none is named.

    Raises:
        UserError: the campaign does not have it.
    """
    known = [d for s, d in campaign.searches if s == search]
    if not known:
        names = sorted({s for s, _ in campaign.searches})
        raise UserError(f"search {search!r} is not in campaign {campaign.config.campaign}; it has {names}")
    chosen = dataset or known[0]
    if chosen not in known:
        raise UserError(f"{search} has no dataset {chosen!r} in this campaign; it has {known}")
    return {"search": search, "dataset": chosen}


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
