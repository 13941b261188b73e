"""`darkfactory trigger`: menus and rates."""

from __future__ import annotations

import click

from darkfactory.cli.common import campaign_options, chosen_campaign
from darkfactory.config.library import Library
from darkfactory.config.load import validate
from darkfactory.config.period import load_periods, period_menu
from darkfactory.config.trigger import TriggerMenu, load_menu
from darkfactory.core.errors import UserError
from darkfactory.core.files import read_json
from darkfactory.pipeline.layout import path
from darkfactory.pipeline.plan import Planner

__all__ = ["trigger"]

_CONFIG_DIR = click.option("--config-dir", default="config", show_default=True, help="Folder of YAML files.")


def _menu(name: str, config_dir: str) -> TriggerMenu:
    """A menu by its own name or by that of a period."""
    library = Library(config_dir)
    root, names = library.root, library.names("triggers")
    periods = load_periods(root / "periods.yaml").periods
    if name in periods:
        return period_menu(periods[name], root / "triggers")
    if name not in names:
        raise UserError(f"{name!r} is no menu and no period; menus: {names}, periods: {list(periods)}")
    return load_menu(name, root / "triggers")


@click.group()
def trigger() -> None:
    """Show or compare trigger menus, and their rates."""


@trigger.command()
@_CONFIG_DIR
@click.argument("menu")
def show(config_dir: str, menu: str) -> None:
    """Print the lines of a MENU (or period): conditions, prescales, efficiencies."""
    from darkfactory.trigger.show import format_menu

    click.echo(format_menu(_menu(menu, config_dir)))


@trigger.command()
@_CONFIG_DIR
@click.argument("first")
@click.argument("second")
def diff(config_dir: str, first: str, second: str) -> None:
    """Print what differs between two menus (or periods)."""
    from darkfactory.trigger.show import diff_menus, format_diff

    click.echo(format_diff(diff_menus(_menu(first, config_dir), _menu(second, config_dir))))


@trigger.command()
@campaign_options
@click.argument("period")
def rates(campaign: str | None, config_dir: str, settings: tuple[str, ...], period: str) -> None:
    """Print the rates of a PERIOD's menu against its limits, from the campaign's samples."""
    from darkfactory.trigger.rates import Accepted, format_rates
    from darkfactory.trigger.rates import rates as menu_rates

    plan = Planner(chosen_campaign(campaign, config_dir, settings))
    file = path("rates", campaign=plan.name, period=period)
    try:
        stored = read_json(file)
    except UserError as error:
        raise UserError(f"{error}: `darkfactory run {file}`") from error
    menu = validate(TriggerMenu, plan.menu(period), where="menu")
    sums = {name: Accepted.from_dict(value) for name, value in stored["sums"].items()}
    click.echo(format_rates(menu_rates(sums, menu, stored["luminosity_1e34"])))
