"""The catalogue of samples: which process, seen by which detector, with which skims and forced effects."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from darkfactory.config.base import StrictModel

__all__ = ["SampleConfig"]


class SampleConfig(StrictModel):
    """One generated sample. Backgrounds belong to an experiment, not to a search, and are made once."""

    process: str
    """Name of a file in config/processes."""
    detector: str
    """Name of a file in config/detectors."""
    axes: dict[str, str] = Field(default_factory=dict)
    """For signals: which process parameter each axis of a point sets (mass: m_Zp)."""
    parameters: dict[str, float] = Field(default_factory=dict)
    """Fixed process parameters."""
    simulate: dict[str, Any] = Field(default_factory=dict)
    """Options of the simulation: forced effects, beam-background level."""
    skims: tuple[str, ...] = Field(min_length=1)
    """Loose preselections, of config/skims; an event is kept if it passes one of them."""
    label: str = ""
    """Text for figures."""
