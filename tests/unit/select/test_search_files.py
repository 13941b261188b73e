"""Every selection and network section of the shipped searches must compile against the registry."""

from __future__ import annotations

from pathlib import Path

from pydantic import TypeAdapter

from darkfactory.config.load import deep_merge, read_yaml
from darkfactory.config.selection import Multivariate, SelectionConfig
from darkfactory.physics.constants import M_E, M_MU
from darkfactory.select.cuts import compile_selection
from darkfactory.select.multivariate import check_multivariate

SEARCHES = Path(__file__).parents[3] / "config" / "searches"


def test_sections_compile():
    for path in sorted(SEARCHES.glob("*.yaml")):
        search = read_yaml(path)
        for dataset in search["datasets"].values():
            dataset = dataset or {}
            merged = deep_merge(search.get("selection") or {}, dataset.get("selection") or {})
            selection = SelectionConfig.model_validate(merged)
            plan = compile_selection(selection)
            network = deep_merge(search.get("network") or {}, dataset.get("network") or {})
            if network:
                needed = check_multivariate(TypeAdapter(Multivariate).validate_python(network), selection.candidate)
                # what a network needs must be among the columns that are kept
                assert set(needed) <= {o.name for o, _ in plan.observables}


def test_masses_of_visible_dark_photons_are_above_the_thresholds():
    search = read_yaml(SEARCHES / "visible_dark_photon.yaml")
    for name, threshold in (("ee", 2 * M_E), ("mumu", 2 * M_MU)):
        for grid in search["hypotheses"][name]["grids"].values():
            axis = grid[0]["axes"]["mass"]
            lowest = min([*axis.get("values", []), *(s[0] for s in axis.get("segments", []))])
            assert lowest > threshold
