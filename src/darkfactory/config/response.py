"""How a template is made from a known spectrum and a simulated response."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from darkfactory.config.base import StrictModel, Tagged

__all__ = ["ResponseConfig"]


class ResponseConfig(StrictModel):
    """The template of a background whose true spectrum is known.

    It is that spectrum, times a smooth efficiency, folded with the response that simulated events have. The response,
    observable over truth, is taken to depend on the truth through the mean and the width of its logarithm alone, both
    linear. What the simulation leaves open are nuisance parameters: the leading directions of the template's
    covariance, from leaving out groups of events, and the difference to counted events.
    """

    truth: str
    """Column with the true value, such as ``true_x_lepton``."""
    spectrum: Literal["michel"] = "michel"
    """Energy of the lepton of tau -> l nu nu in the tau's rest frame, unpolarised, 2 E/m."""
    lepton_mass: Tagged
    """GeV."""
    tau_mass: Tagged
    """GeV."""
    pool: tuple[str, ...] = ()
    """Other regions whose ``normalisation`` samples have the same response."""
    counted_below: float = 0.0
    """Bins up to this value of the observable are counted: where the efficiency rises from nothing, response and truth
    are not independent."""
    efficiency_order: int = Field(default=3, ge=0, le=6)
    """Of the polynomial in the truth that is the efficiency."""
    groups: int = Field(default=40, ge=10, le=200)
    """Groups of events that are left out in turn."""
    components: int = Field(default=6, ge=1, le=20)
    """Directions of the covariance that are nuisance parameters; what is left is each bin's own."""
