"""Hadronic tags: fully reconstructed B mesons beside the one that a search looks at, as a response of the detector."""

from __future__ import annotations

from pydantic import Field, model_validator

from darkfactory.config.base import StrictModel, Tagged

__all__ = ["ExtraEnergyConfig", "TagConfig", "WrongTagConfig"]


class ExtraEnergyConfig(StrictModel):
    """Calorimeter energy that belongs to nothing: zero, or exponential."""

    none: Tagged
    """Probability of none."""
    mean_gev: Tagged
    """Mean of the rest."""


class WrongTagConfig(StrictModel):
    """Tags that are no B."""

    argus: Tagged
    """Shape c of the beam-constrained mass m sqrt(1 - m^2/E^2) exp(c (1 - m^2/E^2))."""
    m_bc_min_gev: Tagged
    """Least beam-constrained mass that is generated."""
    delta_e_max_gev: Tagged
    """The energy difference is uniform between minus and plus this."""
    taken: Tagged
    """Of B pairs: the share of the other B's particles that the tag takes along."""
    extra: ExtraEnergyConfig
    """Extra energy beside such a tag."""
    continuum: Tagged
    """Of the continuum: tags per event. The tag takes a half of the particles."""
    halves: int = Field(default=16, ge=1, le=256)
    """Of so many random halves the one is taken whose energy and momentum are closest to those of a B."""
    half_energy_gev: Tagged
    """Distance of energies, and"""
    half_momentum_gev: Tagged
    """of momenta that count alike in this."""


class TagConfig(StrictModel):
    """Efficiency, purity and resolution of a kind of tag."""

    efficiency_charged: Tagged
    """Right tags per pair of charged B mesons, of either of them."""
    efficiency_neutral: Tagged
    """The same of neutral ones."""
    few_tracks: int = Field(default=2, ge=0)
    """Up to so many charged particles beside the tag,"""
    few_tracks_factor: Tagged
    """the efficiency is larger by this."""
    purity: Tagged
    """Right tags over all tags in B pairs,"""
    purity_above_gev: Tagged
    """above this beam-constrained mass."""
    momentum_gev: Tagged
    """Resolution of each component of the tag's CM momentum, before it is scaled to that of a B."""
    m_bc_mean_gev: Tagged
    """Of right tags: mean of the beam-constrained mass,"""
    m_bc_sigma_gev: Tagged
    """its width, and"""
    delta_e_sigma_gev: Tagged
    """that of the energy difference."""
    extra: ExtraEnergyConfig
    """Extra energy beside a right tag: of showers split in the calorimeter and of the beams."""
    wrong: WrongTagConfig
    """Tags that are no B."""

    @model_validator(mode="after")
    def _shares(self) -> TagConfig:
        for name in ("efficiency_charged", "efficiency_neutral", "purity"):
            value = getattr(self, name).value
            if not 0 < value <= 1:
                raise ValueError(f"{name}: {value:g} must be above 0, up to 1")
        if not 0 <= self.wrong.taken.value < 1:
            raise ValueError(f"wrong.taken: {self.wrong.taken.value:g} must be 0 or more, below 1")
        return self
