"""What exports need beside results: entries to cite, and names of our models elsewhere."""

from __future__ import annotations

from pydantic import Field, model_validator

from darkfactory.config.base import Source, StrictModel

__all__ = ["Citation", "CitationsConfig", "DarkcastConfig", "DarkcastModel"]


class Citation(StrictModel):
    """A piece of software or a method."""

    bibtex: str = Field(pattern=r"^@\w+\{")
    """The entry."""
    package: str = ""
    """Python package: cited with its version, where it is installed."""
    engine: str = ""
    """Only if a sample is made by this engine."""
    source: Source
    """Of the bibliographic data."""


class CitationsConfig(StrictModel):
    """The file config/citations.yaml."""

    description: str = ""
    entries: dict[str, Citation] = Field(min_length=1)


class DarkcastModel(StrictModel):
    """One of our models in Darkcast."""

    model: str
    """Name of its model."""
    production: str
    """Name of its production."""
    decay: str = ""
    """What is seen."""
    decays: dict[str, str | tuple[str, ...]] = Field(default_factory=dict)
    """The same by search; several where a fit has them together."""
    invisible_share: float = Field(default=0.0, ge=0, lt=1)
    """Branching fraction to dark matter that the model is given, where the decay is ``invisible``."""
    source: Source
    """Of the names."""

    @model_validator(mode="after")
    def _seen(self) -> DarkcastModel:
        if bool(self.decay) == bool(self.decays):
            raise ValueError("give either decay or decays by search")
        return self


class DarkcastConfig(StrictModel):
    """The file config/darkcast.yaml."""

    description: str = ""
    models: dict[str, DarkcastModel] = Field(min_length=1)
