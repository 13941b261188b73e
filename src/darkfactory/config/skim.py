"""Typed model of a skim: named cuts on events, all of which must pass."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from darkfactory.config.base import StrictModel

__all__ = [
    "Cut",
    "NeutralEnergyCut",
    "PhotonCountCut",
    "PhotonObject",
    "PhotonTripletCut",
    "SkimConfig",
    "TotalChargeCut",
    "TrackCountCut",
    "TrackObject",
    "TrackPairCut",
    "VertexCountCut",
    "VertexObject",
]

PidName = Literal["is_mu", "is_mu_tight", "is_e", "is_pi", "is_k", "is_p", "klm"]


class TrackObject(StrictModel):
    """Which tracks count; an absent limit does not cut."""

    abs_d0_cm: float | None = Field(default=None, gt=0)
    """Largest transverse impact parameter."""
    abs_z0_cm: float | None = Field(default=None, gt=0)
    """Largest longitudinal one."""
    pt_min_gev: float = Field(default=0.0, ge=0)
    """Smallest transverse momentum."""
    theta_deg: tuple[float, float] | None = None
    """Polar range in the laboratory."""
    any_of: tuple[PidName, ...] = ()
    """At least one of these decisions; empty: any track."""


class PhotonObject(StrictModel):
    """Which neutral clusters count."""

    e_min_gev: float = Field(default=0.0, ge=0)
    """Smallest energy in the laboratory."""
    e_cm_min_gev: float = Field(default=0.0, ge=0)
    """Smallest energy in the CM."""
    theta_deg: tuple[float, float] | None = None
    """Polar range in the laboratory."""
    abs_time_ns: float | None = Field(default=None, gt=0)
    """Largest time."""
    photon_like: bool = False
    """Require a photon's shower shape."""


class VertexObject(StrictModel):
    """Which two-track vertices count; an absent limit does not cut. The sample must ask for vertices."""

    r_xy_cm: tuple[float, float] | None = None
    """Range of the transverse radius."""
    distance_min_cm: float = Field(default=0.0, ge=0)
    """Smallest distance from the nominal interaction point."""
    probability_min: float = Field(default=0.0, ge=0, lt=1)
    """Smallest probability of the fit."""
    pointing_min: float = Field(default=-1.0, ge=-1, lt=1)
    """Smallest cosine between position and momentum."""


class _Count(StrictModel):
    name: str = Field(min_length=1)
    """Name in the cutflow."""
    min: int = Field(default=0, ge=0)
    """Fewest objects."""
    max: int | None = Field(default=None, ge=0)
    """Most objects."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.max is not None and self.min > self.max:
            raise ValueError(f"cut {self.name!r}: min {self.min} exceeds max {self.max}")
        return self


class TrackCountCut(_Count):
    """Number of tracks."""

    kind: Literal["track_count"]
    tracks: TrackObject = TrackObject()
    """Which ones."""


class VertexCountCut(_Count):
    """Number of two-track vertices."""

    kind: Literal["vertex_count"]
    vertices: VertexObject = VertexObject()
    """Which ones."""


class PhotonCountCut(_Count):
    """Number of neutral clusters."""

    kind: Literal["photon_count"]
    photons: PhotonObject = PhotonObject()
    """Which ones."""


class TotalChargeCut(StrictModel):
    """Sum of the charges of tracks."""

    kind: Literal["total_charge"]
    name: str = Field(min_length=1)
    """Name in the cutflow."""
    tracks: TrackObject = TrackObject()
    """Which ones."""
    abs_max: int = Field(default=0, ge=0)
    """Largest absolute sum."""


class NeutralEnergyCut(StrictModel):
    """Summed laboratory energy of neutral clusters."""

    kind: Literal["neutral_energy"]
    name: str = Field(min_length=1)
    """Name in the cutflow."""
    photons: PhotonObject = PhotonObject()
    """Which ones."""
    min_gev: float = 0.0
    """Smallest sum."""
    max_gev: float | None = None
    """Largest sum."""


class TrackPairCut(StrictModel):
    """At least one pair of tracks."""

    kind: Literal["track_pair"]
    name: str = Field(min_length=1)
    """Name in the cutflow."""
    first: TrackObject
    """One of the two."""
    second: TrackObject | None = None
    """The other; absent: as the first."""
    opposite_charge: bool = True
    """Their charges must differ."""
    masses_gev: tuple[float, float] = (0.1056583755, 0.1056583755)
    """Mass hypotheses of the two (PDG 2024: muons)."""
    pt_cm_min_gev: float = 0.0
    """Smallest transverse momentum of the pair in the CM frame, with respect to the beams."""
    mass_gev: tuple[float, float] | None = None
    """Range of the pair's mass."""


class PhotonTripletCut(StrictModel):
    """At least one triplet of photons near the collision energy."""

    kind: Literal["photon_triplet"]
    name: str = Field(min_length=1)
    """Name in the cutflow."""
    photons: PhotonObject
    """All three."""
    pair_theta_deg: tuple[float, float] | None = None
    """At least two of them lie in this polar range."""
    mass_over_sqrts: tuple[float, float]
    """Range of the triplet's mass over the CM energy."""
    max_time_distance: float | None = None
    """Largest distance of a photon from the triplet's weighted mean time, in units of its dt99."""


Cut = Annotated[
    TrackCountCut
    | PhotonCountCut
    | VertexCountCut
    | TotalChargeCut
    | NeutralEnergyCut
    | TrackPairCut
    | PhotonTripletCut,
    Field(discriminator="kind"),
]


class SkimConfig(StrictModel):
    """A loose preselection that searches share."""

    name: str
    """As the file's name."""
    title: str
    """For humans."""
    source: str
    """Where the cuts come from."""
    cuts: tuple[Cut, ...] = Field(min_length=1)
    """Applied in order."""

    @model_validator(mode="after")
    def _names(self) -> Self:
        names = [c.name for c in self.cuts]
        twice = sorted({n for n in names if names.count(n) > 1 or n == "all"})
        if twice:
            raise ValueError(f"cut names {twice} are used twice or reserved; give each cut a name of its own")
        return self
