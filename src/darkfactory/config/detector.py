"""Typed model of a detector's response: acceptance, efficiencies, resolutions, particle identification."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from darkfactory.config.base import Source, StrictModel, Tagged
from darkfactory.config.formula import Formula, Table, variables
from darkfactory.config.tags import TagConfig

__all__ = [
    "AcceptanceConfig",
    "BeamBackgroundConfig",
    "BeamsConfig",
    "DetectorConfig",
    "DisplacedConfig",
    "EclConfig",
    "GeometryConfig",
    "Interval",
    "InvisibleConfig",
    "KlmConfig",
    "MaterialConfig",
    "MuonFallback",
    "PhotonLikeConfig",
    "PidConfig",
    "PidFlag",
    "SimulateOptions",
    "TrackFormula",
    "TracksConfig",
    "VertexConfig",
]

TrackFormula = Annotated[Formula, variables("pt", "p", "beta", "theta", "lever")]
EnergyFormula = Annotated[Formula, variables("E")]
MomentumFormula = Annotated[Formula, variables("p")]
RadiusFormula = Annotated[Formula, variables("r")]
Species = Literal["e", "mu", "pi", "K", "p"]


class Interval(StrictModel):
    """A closed range with its source."""

    low: float
    """Lower edge."""
    high: float
    """Upper edge."""
    source: Source
    """published, derived, measured, recalled or assumed."""
    note: str = ""
    """Where the edges come from."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low {self.low} must be below high {self.high}")
        return self


class BeamsConfig(StrictModel):
    """Beam energies and spreads; the crossing is in the x-z plane."""

    e_her_gev: Tagged
    """Energy of the electrons."""
    e_ler_gev: Tagged
    """Energy of the positrons."""
    half_crossing_mrad: Tagged
    """Half the crossing angle."""
    sigma_e_her_gev: Tagged
    """Spread of the electron energy."""
    sigma_e_ler_gev: Tagged
    """Spread of the positron energy."""
    sqrts_gev: Tagged
    """Nominal centre-of-mass energy of the running."""
    ip_sigma_x_um: Tagged
    """Width of the interaction region in x."""
    ip_sigma_y_um: Tagged
    """In y."""
    ip_sigma_z_um: Tagged
    """In z."""


class AcceptanceConfig(StrictModel):
    """Polar angles in the laboratory, degrees."""

    tracker_deg: Interval
    """Drift chamber."""
    ecl_fwd_deg: Interval | None = None
    """Forward calorimeter endcap; absent if there is none."""
    ecl_gap_fwd_deg: Interval | None = None
    """Gap between forward endcap and barrel."""
    ecl_barrel_deg: Interval
    """Calorimeter barrel."""
    ecl_gap_bwd_deg: Interval | None = None
    """Gap between barrel and backward endcap."""
    ecl_bwd_deg: Interval | None = None
    """Backward calorimeter endcap."""
    klm_deg: Interval
    """Muon system."""

    @model_validator(mode="after")
    def _adjacent(self) -> Self:
        parts = [self.ecl_fwd_deg, self.ecl_gap_fwd_deg, self.ecl_barrel_deg]
        parts += [self.ecl_gap_bwd_deg, self.ecl_bwd_deg]
        known = [p for p in parts if p is not None]
        for before, after in pairwise(known):
            if before.high != after.low:
                raise ValueError(
                    f"calorimeter regions must touch: one ends at {before.high}, the next starts at {after.low}"
                )
        return self


class GeometryConfig(StrictModel):
    """The few lengths that a helix needs."""

    field_t: Tagged
    """Magnetic field at the interaction point in tesla."""
    tracker_inner_cm: Tagged
    """Radius of the first drift-chamber layer."""
    tracker_outer_cm: Tagged
    """Radius of the last one."""
    tracker_layers: Tagged
    """Number of its layers."""
    ecl_radius_cm: Tagged
    """Inner radius of the calorimeter barrel."""
    ecl_z_fwd_cm: Tagged
    """z of the forward endcap's face."""
    ecl_z_bwd_cm: Tagged
    """z of the backward endcap's face (negative)."""


class TracksConfig(StrictModel):
    """Charged particles."""

    efficiency: TrackFormula
    """Finding efficiency of prompt tracks as a function of pt."""
    edge_deg: tuple[Interval, ...] = ()
    """Polar ranges with lower efficiency."""
    edge_factor: Tagged
    """Factor on the efficiency there."""
    efficiency_uncertainty: Tagged
    """Relative uncertainty per track: nuisance ``tracking``."""
    pt_resolution: TrackFormula
    """Relative; ``lever`` is 1 for prompt tracks and grows as the lever arm shrinks."""
    d0_um: TrackFormula
    """Transverse impact parameter."""
    z0_um: TrackFormula
    """Longitudinal impact parameter."""
    momentum_scale: TrackFormula | None = None
    """Factor on momenta, of a response that stands for data; 1 if absent."""
    phi_mrad: TrackFormula
    """Azimuth."""
    tanlambda: TrackFormula
    """Dip."""
    tail_fraction: Tagged
    """Fraction of tracks in a second Gaussian."""
    tail_scale: Tagged
    """Its width over the first one's."""
    charge_flip: Tagged
    """Probability of the wrong charge."""


class DisplacedConfig(StrictModel):
    """Tracks from displaced vertices."""

    efficiency_vs_r_cm: Table
    """Efficiency relative to prompt tracks against the transverse radius of production."""
    z_cm: Interval
    """Production vertices outside give no tracks."""
    impact_sigma_cm: RadiusFormula
    """Resolution of impact parameters added in quadrature, against the radius of production."""


class VertexConfig(StrictModel):
    """Two-track vertices, for samples that ask for them."""

    fit_efficiency: Tagged
    """Probability that the fit finds the vertex of two found tracks."""
    probability_min: Tagged
    """Fits of a lower probability are dropped."""
    max_elongation: Tagged
    """Largest ratio of the resolution along the pair's momentum over that of the tracks, for small opening angles."""
    downstream_cm: Tagged
    """A track may start so far before a vertex with another one; farther, it would have hits before the vertex."""
    max_radius_cm: Tagged
    """Vertices beyond this transverse radius are dropped."""


class MaterialConfig(StrictModel):
    """Conversions and bremsstrahlung before the drift chamber."""

    conversion_x0: Tagged
    """Radiation lengths at normal incidence in which photons convert."""
    conversion_radii_cm: tuple[float, ...] = Field(min_length=1)
    """Radii of the material; a conversion is at one of them, with equal probability."""
    radiator_x0: Tagged
    """Radiation lengths in which electrons radiate."""
    brem_recovery: Tagged
    """Probability that a detected bremsstrahlung photon is added back to its electron."""


class PhotonLikeConfig(StrictModel):
    """Probability that a cluster has a photon's shower shape."""

    photon: Tagged
    """Single, well-contained photon."""
    merged: Tagged
    """Photons merged into one cluster."""
    degraded: Tagged
    """Photon with only part of its energy found."""
    charged: Tagged
    """Cluster of a track."""
    neutral_hadron: Tagged
    """K_L or neutron."""
    background: Tagged
    """Beam background."""


class CracksConfig(StrictModel):
    """Cracks between crystals that point to the interaction point, at equal distances in azimuth, one of them at 0.

    ``hole_inefficiency`` is then the mean over azimuth. What is not lost everywhere is lost in the cracks.
    """

    number: Tagged
    """Cracks in azimuth."""
    width_mrad: Tagged
    """Full width of one."""
    elsewhere: Tagged
    """Probability that a photon leaves nothing between the cracks; its range belongs to ``photon_loss``."""


class EclConfig(StrictModel):
    """Calorimeter: a photon leaves nothing, a degraded cluster or a good one."""

    energy_resolution: EnergyFormula
    """Relative resolution of the core."""
    low_tail_fraction: Tagged
    """Fraction of clusters with an exponential tail to low energy."""
    low_tail_slope_sigma: Tagged
    """Slope of that tail in units of the core's sigma."""
    phi_mrad: EnergyFormula
    """Azimuth resolution."""
    theta_mrad: EnergyFormula
    """Polar angle resolution."""
    time_ns: EnergyFormula
    """Resolution of the cluster time."""
    dt99_ns: EnergyFormula
    """The reconstruction's own 99 % time uncertainty."""
    turn_on: EnergyFormula
    """Probability that a photon leaves something, from the energy threshold alone."""
    hole_inefficiency: Tagged
    """Probability that a photon in the active region leaves nothing: nuisance ``photon_loss`` over its range."""
    cracks: CracksConfig | None = None
    """Where photons are lost; without cracks everywhere with the same probability."""
    gap_efficiency: Tagged
    """Probability that a photon in a gap leaves something: nuisance ``photon_gap`` over its range."""
    good_fraction: Tagged
    """Of the photons that leave something, those that are well contained; the others are degraded."""
    degraded_fraction: Interval
    """Fraction of the energy found for a degraded photon, uniform."""
    efficiency_uncertainty: Tagged
    """Relative uncertainty per photon: nuisance ``photon_efficiency``."""
    efficiency_above_gev: Tagged
    """Photons above this energy count for that nuisance."""
    threshold_gev: Tagged
    """Lowest cluster energy."""
    separation_a50_mrad: Tagged
    """Opening angle at which two showers are two clusters half of the time."""
    separation_w_mrad: Tagged
    """Width of that logistic."""
    separation_min_mrad: Tagged
    """Below this opening angle always one cluster."""
    mip_mode_gev: Tagged
    """Most probable deposit of a minimum-ionising particle."""
    mip_width_gev: Tagged
    """Width of its Moyal distribution."""
    hadron_mip_fraction: Tagged
    """Charged hadrons that do not shower in the calorimeter."""
    shower_alpha: Tagged
    """First parameter of the Beta distribution of the deposited fraction of a showering hadron."""
    shower_beta: Tagged
    """Second parameter."""
    photon_like: PhotonLikeConfig
    """Shower shapes."""


class BeamBackgroundConfig(StrictModel):
    """Clusters and tracks that are not from the collision."""

    clusters_per_event: dict[str, Tagged] = Field(min_length=1)
    """Mean number of clusters for each named level; the first is the default."""
    energy_min_gev: Tagged
    """Lowest energy; the spectrum falls exponentially above it."""
    energy_slope_gev: Tagged
    """Its slope."""
    energy_max_gev: Tagged
    """Its end."""
    time_window_ns: Tagged
    """Times are uniform in plus and minus this."""
    tracks_per_event: Tagged
    """Mean number of fake or off-centre tracks."""
    track_pt_min_gev: Tagged
    """Their lowest pt."""
    track_pt_slope_gev: Tagged
    """Exponential slope of their pt."""
    track_d0_cm: Tagged
    """Gaussian width of their d0."""
    track_z0_cm: Tagged
    """Gaussian width of their z0."""


class PidFlag(StrictModel):
    """One particle-identification decision at its working point."""

    probability: dict[Species, Tagged]
    """Probability to pass for each true species; absent: never."""
    momentum: MomentumFormula = Field(default_factory=lambda: Formula(formula="1"))
    """Factor on it against p (GeV)."""
    needs: Literal["klm", "ecl", "tracker"] = "tracker"
    """The detector in whose acceptance the particle must be."""


class MuonFallback(StrictModel):
    """Muon identification without the muon system."""

    below_gev: Tagged
    """Used below this momentum and outside the muon system."""
    efficiency: Tagged
    """For muons."""
    fake_factor: Tagged
    """Factor on the misidentification probabilities."""


class PidConfig(StrictModel):
    """Decisions ``is_*`` of the tracks."""

    muon: PidFlag
    """``is_mu``."""
    muon_tight: PidFlag
    """``is_mu_tight``."""
    muon_fallback: MuonFallback | None = None
    """For ``is_mu`` only."""
    electron: PidFlag
    """``is_e``."""
    pion: PidFlag
    """``is_pi``."""
    kaon: PidFlag
    """``is_k``."""
    proton: PidFlag
    """``is_p``."""
    muon_uncertainty: Tagged
    """Relative uncertainty per identified muon: nuisance ``muon_id``."""
    electron_uncertainty: Tagged
    """Relative uncertainty per identified electron: nuisance ``electron_id``."""


class KlmConfig(StrictModel):
    """Muon system."""

    match: PidFlag
    """Tracks with a matched muon-system track (``klm``)."""
    kl_any: Tagged
    """K_L and neutrons seen in the calorimeter or the muon system."""
    kl_klm: Tagged
    """Seen in the muon system."""
    kl_angle_mrad: Tagged
    """Angular resolution of a neutral muon-system cluster."""
    photon_veto: Tagged
    """Probability that a photon which the calorimeter lost gives a neutral muon-system cluster."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.kl_klm.value > self.kl_any.value:
            raise ValueError(f"kl_klm {self.kl_klm.value} exceeds kl_any {self.kl_any.value}")
        return self


class InvisibleConfig(StrictModel):
    """Final particles that leave no trace."""

    pdg: tuple[int, ...]
    """PDG codes, sign ignored."""
    ranges: tuple[tuple[int, int], ...] = ()
    """Inclusive ranges of codes, sign ignored."""


class DetectorConfig(StrictModel):
    """One detector; every number has its source."""

    name: str
    """Short name, as in file names."""
    title: str
    """For humans."""
    beams: BeamsConfig
    """Beams."""
    acceptance: AcceptanceConfig
    """Polar acceptance."""
    geometry: GeometryConfig
    """Lengths and field."""
    tracks: TracksConfig
    """Tracking."""
    displaced: DisplacedConfig
    """Displaced tracks."""
    vertices: VertexConfig | None = None
    """Two-track vertices; absent: samples cannot ask for them."""
    material: MaterialConfig
    """Conversions, bremsstrahlung."""
    ecl: EclConfig
    """Calorimeter."""
    pid: PidConfig
    """Particle identification."""
    klm: KlmConfig
    """Muon system."""
    beam_background: BeamBackgroundConfig
    """Beam background."""
    invisible: InvisibleConfig
    """What is not seen."""
    tags: dict[str, TagConfig] = Field(default_factory=dict)
    """Kinds of tags: B mesons that are reconstructed beside another one."""


class SimulateOptions(StrictModel):
    """What a sample may change in the simulation."""

    force_photon_loss: float | None = Field(default=None, gt=0, lt=1)
    """Lose energetic photons with this probability and weight the events, so that rare losses are common."""
    aim_at_cracks: float | None = Field(default=None, gt=0, lt=1)
    """Turn this share of the events about the beams so that one of their energetic photons flies into a crack
    (``ecl.cracks``), and weight the events: for losses of photons, nearly all of which are there."""
    force_track_loss: float | None = Field(default=None, gt=0, lt=1)
    """Miss energetic charged particles with this probability and weight the events."""
    force_muon_fakes: float | None = Field(default=None, gt=0, lt=1)
    """Let hadrons pass one of the muon decisions with this probability, where their own is smaller, and weight the
    events."""
    force_conversion: float | None = Field(default=None, gt=0, lt=1)
    """Convert photons before the drift chamber with this probability, where their own is smaller, and weight the
    events; also those below ``force_above_gev``."""
    force_above_gev: float = Field(default=0.3, ge=0)
    """Particles above this laboratory energy are forced."""
    beam_background: str | None = None
    """Name of a level in the detector's ``beam_background.clusters_per_event``; absent: its first."""
    klm_photon_veto: Tagged | None = None
    """Probability that a photon which the calorimeter lost gives a neutral muon-system cluster, instead of the
    detector's; its range is the nuisance ``klm_veto``, for searches that cut on such clusters."""
    track_resolution_scale: float = Field(default=1.0, gt=0)
    """Factor on momentum, angle and impact-parameter resolutions of tracks."""
    track_momentum_scale: float = Field(default=1.0, gt=0)
    """Factor on track momenta."""
    photon_resolution_scale: float = Field(default=1.0, gt=0)
    """Factor on energy and angle resolutions of clusters."""
    photon_energy_scale: float = Field(default=1.0, gt=0)
    """Factor on cluster energies."""
    vertices: bool = False
    """Fit two-track vertices: the collection ``vertices``. Tracks and clusters are the same with and without."""
    tag: str | None = None
    """Kind of tag, of the detector's ``tags``, that every event gets with the weight of its chance; what belongs to it
    is not simulated."""
    wrong_tags: float = Field(default=0.0, ge=0, lt=1)
    """Share of B pairs that get a wrong tag; both kinds are weighted."""
    charged: tuple[int, int] | None = None
    """Least and largest number of charged particles beside the tag; other events are not simulated."""
