"""What stages need of a search and of its section `interpretation`, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from darkfactory.config.interpretation import InterpretationConfig
from darkfactory.config.resolve import Campaign
from darkfactory.config.search import SearchConfig

__all__ = ["control_entry", "labels", "of_model", "report_entry"]


def labels(interpretation: Mapping[str, Any]) -> dict[str, str]:
    """Model to the text of its coupling's axis."""
    kinds = ("models", "regions", "leptophilic", "b_decays")
    return {n: str(m.get("label", "")) for kind in kinds for n, m in (interpretation.get(kind) or {}).items()}


def of_model(section: InterpretationConfig, model: str, kind: str) -> dict[str, Any]:
    """What a combination needs of an input's interpretation: one model, or all that regions are made of."""
    if kind == "coupling":
        return section.models[model].model_dump(mode="json")
    return section.model_dump(mode="json", include={"regions", "b_decays", "flavour", "dark_scalar"})


def report_entry(config: SearchConfig) -> dict[str, Any]:
    """What the report needs of a search on a dataset."""
    return {
        "search": config.search,
        "dataset": config.dataset,
        "title": config.title,
        "luminosity_fb": config.data.luminosity,
        "reference": config.data.reference,
        "reference_csv": config.data.reference_csv,
        "labels": labels(config.interpretation),
    }


def control_entry(campaign: Campaign, search: str, dataset: str) -> dict[str, Any]:
    """What the report needs of a control sample: with the datasets that use its corrections."""
    users = [
        f"{s}/{d}"
        for (s, d), c in campaign.searches.items()
        if any((a.search, a.dataset) == (search, dataset) for a in c.corrections.values())
    ]
    return report_entry(campaign.searches[search, dataset]) | {"used_by": users}
