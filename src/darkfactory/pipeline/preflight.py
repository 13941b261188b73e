"""Everything about a campaign that can be checked before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from darkfactory.config.check import check_campaign
from darkfactory.config.load import validate
from darkfactory.config.selection import SelectionConfig
from darkfactory.config.trigger import TriggerMenu
from darkfactory.core.errors import ConfigError
from darkfactory.pipeline.network import multivariate_config
from darkfactory.pipeline.plan import Planner
from darkfactory.select.cuts import compile_selection
from darkfactory.select.multivariate import check_multivariate
from darkfactory.select.registry import find_observable
from darkfactory.trigger.menu import compile_menu

__all__ = ["preflight"]


def _columns(templates: Mapping[str, Any], candidate: str, where: str) -> None:
    """Regions fit and cut in observables of the candidate, or in what the multivariate step adds (``mva_...``)."""
    for i, region in enumerate(templates.get("regions") or ()):
        named = {"observable": region["observable"]}
        if region.get("second_axis"):
            named["second_axis.observable"] = region["second_axis"]["observable"]
        named |= {f"cuts[{k}].column": cut["column"] for k, cut in enumerate(region.get("cuts") or ())}
        for key, name in named.items():
            if not name.startswith("mva"):
                find_observable(candidate, name, f"{where}.regions[{i}].{key}")


def preflight(plan: Planner) -> list[str]:
    """Validate every file, then compile selections, multivariate steps and trigger menus.

    Returns:
        One line per thing that was checked.

    Raises:
        ConfigError: the first thing that is wrong.
        InputError: files of an external sample are missing.
    """
    done = check_campaign(plan.campaign)
    done += [f"sample {s}: {len(plan.ntuples(s))} files" for s in plan.external_samples()]
    for (search, dataset), config in plan.campaign.searches.items():
        file = str(plan.campaign.library.path("searches", search))
        try:
            selection = validate(SelectionConfig, config.selection, where=f"selection ({dataset})")
            compiled = compile_selection(selection)
            _columns(config.templates, selection.candidate, f"templates ({dataset})")
            if config.network is not None:
                check_multivariate(multivariate_config(config.network), selection.candidate)
        except ConfigError as error:
            raise ConfigError(error.message, where=error.where, file=file) from error
        done.append(f"selection {search}/{dataset}: {len(compiled.cuts)} cuts")
        compile_menu(validate(TriggerMenu, plan.menu(config.data.period), where="menu"))
    return done
