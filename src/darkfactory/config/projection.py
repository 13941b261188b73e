"""Luminosities and rules of projections: how systematic uncertainties shrink when there are more data."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from darkfactory.config.base import Source, StrictModel

__all__ = ["ProjectionConfig", "SystematicsRule"]

Positive = Annotated[float, Field(gt=0)]


class SystematicsRule(StrictModel):
    """How uncertainties follow the ratio of luminosities: times max(floor, ratio**-power), never above one."""

    power: float = Field(default=0.0, ge=0)
    """0: as today; 0.5: as the statistics of the control samples that measure them."""
    floor: float = Field(default=0.0, ge=0, le=1)
    """What is left of an uncertainty at any luminosity; 0 with power 0 has no meaning, see ``drop``."""
    drop: bool = False
    """Leave out all constrained parameters: statistics alone."""
    simulation: Literal["kept", "grows", "unlimited"] = "grows"
    """Statistical uncertainty of simulated templates: as today, simulation grows with the data, or none."""
    fixed: tuple[str, ...] = ()
    """Nuisance parameters that do not shrink (theory)."""
    source: Source
    """Of the power and the floor."""
    note: str = ""
    """Why."""

    def factor(self, ratio: float) -> float:
        """What multiplies an uncertainty at ``ratio`` times the luminosity.

        Example:
            >>> SystematicsRule(power=0.5, floor=0.3, source="assumed").factor(4.0)
            0.5
        """
        return float(min(1.0, max(self.floor, ratio**-self.power)))


class ProjectionConfig(StrictModel):
    """The file config/projections.yaml."""

    description: str = ""
    luminosities_fb: tuple[Positive, ...] = Field(min_length=1)
    """In 1/fb."""
    rules: dict[str, SystematicsRule] = Field(min_length=1)
    """Named sets of rules."""
    rule: str
    """The one taken where none is named."""
    discovery: tuple[Positive, ...] = (3.0, 5.0)
    """Median significances whose signal is worked out."""

    @model_validator(mode="after")
    def _known(self) -> ProjectionConfig:
        if self.rule not in self.rules:
            raise ValueError(f"rule {self.rule!r} is not among the rules {sorted(self.rules)}")
        if any(b <= a for a, b in zip(self.luminosities_fb, self.luminosities_fb[1:], strict=False)):
            raise ValueError(f"luminosities_fb {list(self.luminosities_fb)} must rise")
        return self
