"""Where a mediator is invisible, visible or long-lived, and which searches look there."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from darkfactory.config.base import StrictModel, Tagged

__all__ = ["MediatorConfig", "RegimeName", "RegimeSearch", "RegimesConfig"]

RegimeName = Literal["invisible", "mixed", "escapes", "long_lived", "prompt"]


class RegimeSearch(StrictModel):
    """A search that applies somewhere."""

    search: str
    """Name of a search; left out where config/searches does not have it."""
    regimes: tuple[RegimeName, ...] = Field(min_length=1)
    """Where it looks."""
    mass: tuple[float, float]
    """Mediator masses in GeV."""
    dataset: str = ""
    """Dataset whose limits are drawn; by default the first of the campaign that has them."""
    model: str = ""
    """Model of couplings.csv that limits the map's coupling; none: nothing is drawn."""


class MediatorConfig(StrictModel):
    """One mediator."""

    title: str
    kind: Literal["dark_photon", "zprime", "dark_higgs", "alp_photons"]
    """Which widths."""
    coupling: str
    """Name of the coupling to the Standard Model."""
    label: str
    """Text of its axis."""
    dark_coupling: Tagged
    """alpha_D of a vector; the Yukawa coupling y to dark matter of a scalar or pseudoscalar."""
    dark_mass: Tagged
    """Mass of the dark matter, GeV."""
    at_coupling: float = Field(gt=0)
    """Coupling at which the plane of both masses is drawn."""
    production: Literal["photon", "b_decay"]
    """Which momentum the mediator has: recoiling against a photon (or lepton pair: an upper end), or in B -> K."""
    masses: tuple[float, float]
    """Range of mediator masses, GeV."""
    couplings: tuple[float, float]
    """Range of couplings."""
    searches: tuple[RegimeSearch, ...] = ()
    table: str = ""
    """Search whose ``interpretation.dark_scalar`` has lifetimes of a dark Higgs."""
    note: str = ""

    @model_validator(mode="after")
    def _rising(self) -> MediatorConfig:
        for name in ("masses", "couplings"):
            low, high = getattr(self, name)
            if not 0 < low < high:
                raise ValueError(f"{name}: {[low, high]} must rise from above 0")
        if (self.kind == "dark_higgs") != bool(self.table):
            raise ValueError("table: a dark Higgs needs the search that has its lifetimes, others have none")
        return self


class RegimesConfig(StrictModel):
    """The file config/regimes.yaml."""

    description: str = ""
    sqrts_gev: Tagged
    prompt_cm: Tagged
    """Mean flight below which a decay looks prompt."""
    outer_cm: Tagged
    """Mean flight above which most decays are outside the tracking volume: the mediator escapes."""
    mixed_share: Tagged
    """Share of seen and of unseen decays above which both kinds of search apply."""
    hadronic_ratio: tuple[tuple[float, float], ...]
    """Hadrons over massless muons, e+e- -> hadrons: (from mass in GeV, ratio), above where the rho alone is enough."""
    hadronic_source: Tagged
    """Relative uncertainty of this ratio."""
    mediators: dict[str, MediatorConfig] = Field(min_length=1)
