"""Completion of names by the shell: campaigns, searches and datasets of the configuration in reach."""

from __future__ import annotations

from pathlib import Path

import click

from darkfactory.config.load import read_yaml
from darkfactory.core.errors import DarkfactoryError

__all__ = ["campaigns", "datasets", "searches"]


def _folder(ctx: click.Context) -> Path:
    return Path(ctx.params.get("config_dir") or "config")


def _names(ctx: click.Context, kind: str, incomplete: str) -> list[str]:
    found = sorted(p.stem for p in (_folder(ctx) / kind).glob("*.yaml"))
    return [name for name in found if name.startswith(incomplete)]


def campaigns(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Names of campaigns."""
    return _names(ctx, "campaigns", incomplete)


def searches(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Names of searches."""
    return _names(ctx, "searches", incomplete)


def datasets(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Datasets of the search that stands before; none where it is not known."""
    search = ctx.params.get("search")
    if not isinstance(search, str):
        return []
    try:
        known = read_yaml(_folder(ctx) / "searches" / f"{search}.yaml").get("datasets") or {}
    except DarkfactoryError:
        # a shell that asks while somebody types is told nothing
        return []
    return [name for name in known if name.startswith(incomplete)]
