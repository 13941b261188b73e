"""Where results are: path patterns with wildcards, the same for every door."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["PATTERNS", "path"]

_CAMPAIGN = "results/{campaign}"
_SAMPLE = _CAMPAIGN + "/samples/{sample}/{block}"
_COMBINATION = _CAMPAIGN + "/combinations/{combination}"
_ANALYSIS = _CAMPAIGN + "/{search}/{dataset}"

PATTERNS: Mapping[str, str] = {
    "gridpacks": _SAMPLE + "/gridpacks.json",
    "truth": _SAMPLE + "/truth.json",
    "reco": _SAMPLE + "/reco.json",
    "skim": _SAMPLE + "/skim.json",
    "triggered": _SAMPLE + "/triggered.{period}.json",
    "rates": _CAMPAIGN + "/trigger/{period}.json",
    "preselected": _ANALYSIS + "/selected/{sample}/{block}/preselected.json",
    "network": _ANALYSIS + "/network.json",
    "selected": _ANALYSIS + "/selected/{sample}/{block}/selected.json",
    "cutflow": _ANALYSIS + "/cutflow.json",
    "trigger": _ANALYSIS + "/trigger.json",
    "efficiency": _ANALYSIS + "/efficiency.csv",
    "model": _ANALYSIS + "/templates/model.json",
    "templates": _ANALYSIS + "/templates/{block}.json",
    "observed": _ANALYSIS + "/workspace/observed.json",
    "workspace": _ANALYSIS + "/workspace/{block}.json",
    "limits": _ANALYSIS + "/limits/{block}.json",
    "limits_csv": _ANALYSIS + "/limits.csv",
    "scan": _ANALYSIS + "/scan.json",
    "couplings": _ANALYSIS + "/couplings.csv",
    "figures": _ANALYSIS + "/figures/index.json",
    "diagnostics": _ANALYSIS + "/diagnostics/index.json",
    "measurement": _ANALYSIS + "/measurement.json",
    "measurement_figures": _ANALYSIS + "/measurement/index.json",
    "corrections": _ANALYSIS + "/corrections.json",
    "control": _ANALYSIS + "/control.json",
    "control_figures": _ANALYSIS + "/control/index.json",
    "combined_couplings": _COMBINATION + "/couplings.csv",
    "combined_workspaces": _COMBINATION + "/workspaces.json",
    "combination": _COMBINATION + "/index.json",
    "report": _CAMPAIGN + "/report/index.html",
    "manifest": _CAMPAIGN + "/manifest.json",
}
"""Name of an output to its path below the working directory."""


def path(name: str, **wildcards: str) -> str:
    """A pattern with its wildcards filled in.

    Example:
        >>> path("truth", campaign="laptop", sample="belle2_mumu", block="all")
        'results/laptop/samples/belle2_mumu/all/truth.json'
    """
    return PATTERNS[name].format(**wildcards)
