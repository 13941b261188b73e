"""Running periods: luminosity, trigger menu, detector and beam background; and reference trigger rates."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from darkfactory.config.base import StrictModel, Tagged
from darkfactory.config.load import read_yaml, validate
from darkfactory.config.trigger import TriggerMenu, load_menu
from darkfactory.core.errors import ConfigError
from darkfactory.core.suggest import did_you_mean

__all__ = [
    "PeriodConfig",
    "PeriodsConfig",
    "RateProcess",
    "RatesConfig",
    "load_periods",
    "load_rates",
    "period_menu",
]


class PeriodConfig(StrictModel):
    """One running period of one experiment."""

    experiment: Literal["belle2", "belle", "babar"]
    description: str = ""
    detector: str
    """Name of a detector file."""
    menu: str
    """Name of a trigger menu."""
    menu_overrides: dict[str, Any] = {}
    """Merged on the menu: the few lines by which this period differs."""
    luminosity_fb: Tagged
    """Recorded in this period, in /fb."""
    used_fb: dict[str, Tagged] = {}
    """Luminosities of published searches that rest on this period, in /fb."""
    beam_background_clusters: Tagged
    """Mean number of beam-background clusters per event (|t| < 200 ns, E > 50 MeV)."""
    peak_luminosity_1e34: Tagged | None = None
    """Peak instantaneous luminosity in 1e34 /cm2/s."""
    pxd_layers: int | None = None
    note: str = ""


class PeriodsConfig(StrictModel):
    """All running periods by name."""

    periods: dict[str, PeriodConfig]

    def get(self, name: str, *, where: str = "", file: str = "") -> PeriodConfig:
        """A period by name.

        Raises:
            ConfigError: no such period.
        """
        if name not in self.periods:
            hint = did_you_mean(name, self.periods) or ";"
            raise ConfigError(f"no period {name!r}{hint} there are {', '.join(self.periods)}", where=where, file=file)
        return self.periods[name]


class RateProcess(StrictModel):
    """One process of a reference table of trigger rates."""

    xs_nb: Tagged
    l1_hz: Tagged | None = None
    """Published L1 rate at the reference luminosity, after the prescale."""
    prescale: Tagged | None = None


class RatesConfig(StrictModel):
    """Published trigger rates, to compare with."""

    luminosity_1e34: Tagged
    total_l1_hz: Tagged
    processes: dict[str, RateProcess]


def load_periods(path: str | Path) -> PeriodsConfig:
    """Read the running periods.

    Raises:
        ConfigError: the file or a value is wrong.
    """
    return validate(PeriodsConfig, read_yaml(path), file=str(path))


def load_rates(path: str | Path) -> RatesConfig:
    """Read the reference rates.

    Raises:
        ConfigError: the file or a value is wrong.
    """
    return validate(RatesConfig, read_yaml(path), file=str(path))


def period_menu(period: PeriodConfig, directory: str | Path) -> TriggerMenu:
    """The trigger menu of a period, its overrides applied.

    Args:
        period: the period.
        directory: the folder of menus.
    """
    return load_menu(period.menu, directory, period.menu_overrides)
