"""Cross-sections of what collisions at the Y(4S) make, for yields at a luminosity."""

from __future__ import annotations

from pydantic import Field

from darkfactory.config.base import StrictModel, Tagged

__all__ = ["YieldProcess", "YieldsConfig"]


class YieldProcess(StrictModel):
    """One final state."""

    title: str
    """In words."""
    sigma_nb: dict[str, Tagged] = Field(min_length=1)
    """Cross-section by experiment; ``default`` for those without one of their own."""
    factor: Tagged = Tagged(value=1.0, source="derived", note="one a collision")
    """How many of the wanted thing one event has."""
    formula: str = "N = sigma L"
    """What is worked out."""


class YieldsConfig(StrictModel):
    """The file config/yields.yaml."""

    description: str = ""
    processes: dict[str, YieldProcess] = Field(min_length=1)
