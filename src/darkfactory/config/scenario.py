"""What-ifs of the trigger: a search on one dataset under other lines, periods or luminosities, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, model_validator

from darkfactory.config.base import Source, StrictModel
from darkfactory.config.load import deep_merge
from darkfactory.core.errors import ConfigError

__all__ = ["Scenario", "ScenarioFile", "scenario_datasets"]


class Scenario(StrictModel):
    """One what-if. It is a dataset of the search, or made from one by what is given here, or impossible."""

    title: str
    """For tables and figures."""
    dataset: str = ""
    """An existing dataset that is the scenario itself; nothing else may be given then."""
    like: str = ""
    """Dataset that this one is made from; by default the baseline."""
    period: str = ""
    """Another running period: its menu."""
    luminosity: str = ""
    """Another luminosity, as ``79.7 /fb``."""
    trigger: dict[str, Any] = Field(default_factory=dict)
    """Other trigger lines, as in a search."""
    impossible: str = ""
    """Why nothing can be recorded; a row of the table without numbers."""
    source: Source
    """Of the choice of lines."""
    note: str = ""

    @model_validator(mode="after")
    def _one_kind(self) -> Scenario:
        made = bool(self.like or self.period or self.luminosity or self.trigger)
        if sum((bool(self.dataset), made, bool(self.impossible))) != 1:
            raise ValueError("give either dataset, or some of like, period, luminosity and trigger, or impossible")
        return self


class ScenarioFile(StrictModel):
    """A file of config/scenarios; its name is that of the search."""

    search: str
    title: str
    baseline: str
    """Dataset that all others are compared with."""
    baseline_title: str = "as published"
    scenarios: dict[str, Scenario] = Field(min_length=1)
    note: str = ""

    def datasets(self) -> dict[str, str]:
        """Dataset of the baseline and of each possible scenario, to its title."""
        found = {self.baseline: self.baseline_title}
        for name, scenario in self.scenarios.items():
            if not scenario.impossible:
                found[scenario.dataset or f"{self.baseline}_{name}"] = scenario.title
        return found


def scenario_datasets(file: ScenarioFile, search: Mapping[str, Any], where: str) -> dict[str, dict[str, Any]]:
    """Datasets to add to a search: ``<baseline>_<scenario>``, each a copy of another with what the scenario changes.

    Args:
        file: the scenarios.
        search: the search's file as a mapping.
        where: path of the scenarios' file, for messages.

    Raises:
        ConfigError: a dataset that the search does not have.
    """
    own = search.get("datasets", {})
    for key, name in [("baseline", file.baseline)] + [
        (f"scenarios.{n}.{'dataset' if s.dataset else 'like'}", s.dataset or s.like)
        for n, s in file.scenarios.items()
        if s.dataset or s.like
    ]:
        if name not in own:
            raise ConfigError(f"unknown dataset {name!r} of {file.search}; it has {list(own)}", where=key, file=where)
    made: dict[str, dict[str, Any]] = {}
    for name, scenario in file.scenarios.items():
        if scenario.dataset or scenario.impossible:
            continue
        changes: dict[str, Any] = {"projection": True, "reference": f"what-if: {scenario.title}", "reference_csv": ""}
        changes |= {k: v for k in ("period", "luminosity") if (v := getattr(scenario, k))}
        if scenario.trigger:
            changes["trigger"] = scenario.trigger
        made[f"{file.baseline}_{name}"] = deep_merge(own[scenario.like or file.baseline], changes)
    return made
