"""The catalogue of samples: which process, seen by which detector, with which skims and forced effects."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from darkfactory.config.base import StrictModel
from darkfactory.config.external import ExternalConfig

__all__ = ["SampleConfig"]


class SampleConfig(StrictModel):
    """One sample, generated or external. Backgrounds belong to an experiment, not to a search, and are made once."""

    process: str = ""
    """Name of a file in config/processes, for generated samples."""
    external: ExternalConfig | None = None
    """ROOT ntuples in place of a process: they enter at the skim."""
    detector: str
    """Name of a file in config/detectors."""
    axes: dict[str, str] = Field(default_factory=dict)
    """For signals: which process parameter each axis of a point sets (mass: m_Zp)."""
    parameters: dict[str, float] = Field(default_factory=dict)
    """Fixed process parameters."""
    lifetimes: dict[str, str] = Field(default_factory=dict)
    """For axes that events are reweighted to: which particle's c tau each of them is (lifetime: hp); the process draws
    its decay lengths from a mixture."""
    simulate: dict[str, Any] = Field(default_factory=dict)
    """Options of the simulation: forced effects, beam-background level."""
    response: str = ""
    """Name of a file in config/responses: this sample stands for data, and differs from the detector's table and the
    trigger menu as said there."""
    skims: tuple[str, ...] = Field(min_length=1)
    """Loose preselections, of config/skims; an event is kept if it passes one of them."""
    label: str = ""
    """Text for figures."""

    @model_validator(mode="after")
    def _one_origin(self) -> SampleConfig:
        if bool(self.process) == (self.external is not None):
            raise ValueError("a sample has a process (generated) or external (ntuples), one of them")
        if self.external is not None and (
            self.axes or self.parameters or self.simulate or self.lifetimes or self.response
        ):
            raise ValueError("external samples have no axes, parameters, simulate or response: nothing is generated")
        return self

    @property
    def point_axes(self) -> tuple[str, ...]:
        """Axes of the points of a signal, none of a background."""
        if self.external is not None:
            return tuple(dict.fromkeys(a for p in self.external.points for a in p.axes))
        return tuple(self.axes)
