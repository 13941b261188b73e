"""How limits become couplings: models, overlays of published results, bands."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from darkfactory.config.base import StrictModel, Tagged

__all__ = ["BandConfig", "InterpretationConfig", "ModelInterpretation", "OverlayConfig"]


class ModelInterpretation(StrictModel):
    """One model, one coupling: limit on rate -> coupling = reference * (limit / (rate * BF))^(1/power)."""

    hypothesis: str
    """Signal hypothesis whose limits are translated."""
    coupling: str
    """Name of the coupling, a column value of couplings.csv."""
    unit: str = ""
    """Its unit."""
    label: str = ""
    """Text for figures."""
    reference_coupling: float = Field(default=1.0, gt=0)
    """Coupling at which the signal sample was generated."""
    power: float = Field(default=2.0, gt=0)
    """The rate goes as this power of the coupling."""
    branching_fraction: Literal[
        "unity",
        "zprime_invisible",
        "zprime_mumu",
        "zprime_tautau",
        "leptophilic_scalar_tautau",
        "alp_leptons_tautau",
    ] = "unity"
    """Registered function of mass."""
    axes: tuple[str, ...] = ("mass",)
    """Only points with exactly these axes are translated."""
    note: str = ""
    """When the model holds; shown in the report."""


class BandConfig(StrictModel):
    """The values of a vector's muon coupling that explain a difference of (g-2)_mu, as dated data."""

    label: str
    delta_a_mu: Tagged
    """Measurement minus prediction; ``uncertainty`` is its standard deviation."""
    sigmas: float = Field(default=2.0, gt=0)
    """Half width of the band in standard deviations."""
    hypothesis: str


class OverlayConfig(StrictModel):
    """A published curve from a table in the folder of references."""

    file: str
    """Name of a CSV file with comment lines of provenance and the columns mass_GeV and limit."""
    label: str
    coupling: str
    """Coupling that the table limits."""


class InterpretationConfig(StrictModel):
    """The section `interpretation` of a search."""

    models: dict[str, ModelInterpretation] = Field(default_factory=dict)
    """Model name (column `model` of couplings.csv) to its translation; none where no model tells the rate."""
    bands: tuple[BandConfig, ...] = ()
    overlays: tuple[OverlayConfig, ...] = ()

    @model_validator(mode="after")
    def _bands_have_uncertainty(self) -> InterpretationConfig:
        for band in self.bands:
            if band.delta_a_mu.uncertainty is None:
                raise ValueError(f"band {band.label!r} needs delta_a_mu.uncertainty")
        return self
