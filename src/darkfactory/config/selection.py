"""Configuration of a search's selection and of its multivariate step."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, model_validator

from darkfactory.config.base import Angle, Energy, Length, Source, StrictModel, Tagged
from darkfactory.config.detector import EnergyFormula, TrackFormula

__all__ = [
    "BFitConfig",
    "BMesonConfig",
    "BeamErrors",
    "CutConfig",
    "FitConfig",
    "InputConfig",
    "LinearConfig",
    "Multivariate",
    "NetworkConfig",
    "ObjectsConfig",
    "PhotonConfig",
    "PhotonErrors",
    "RangesConfig",
    "RegionalConfig",
    "SelectionConfig",
    "SurfaceConfig",
    "TaggedConfig",
    "TrackConfig",
    "TrackErrors",
    "TrainingConfig",
]

Bound = float | str | None
"""A number in the unit of its observable, or text with a unit such as ``37.3 deg``; null: open."""


class Sourced(StrictModel):
    """Anything whose numbers come from one place."""

    source: Source | None = None
    """published, derived, measured (here), recalled (from memory of a paper) or assumed."""
    note: str = ""
    """Paper, or the reason of the assumption."""


class TrackConfig(Sourced):
    """Which tracks count."""

    max_d0: Length | None = None
    """Largest transverse impact parameter."""
    max_z0: Length | None = None
    """Largest longitudinal impact parameter."""
    min_pt: Energy = 0.0
    """Smallest transverse momentum (laboratory)."""
    theta: tuple[Angle, Angle] | None = None
    """Range of laboratory polar angles."""


class PhotonConfig(Sourced):
    """Which calorimeter clusters count; those matched to a track never do."""

    min_e: Energy = 0.0
    """Smallest energy (laboratory)."""
    theta: tuple[Angle, Angle] | None = None
    """Range of laboratory polar angles."""
    photon_like: bool = False
    """Require a photon-like shower."""
    max_time_over_dt99: float | None = Field(default=None, gt=0)
    """Largest distance from the event time in units of the 99 % time resolution."""


class TrackErrors(StrictModel):
    """Standard deviations of a prompt track's parameters, as of a detector's section ``tracks``."""

    pt_resolution: TrackFormula
    """Relative, of the transverse momentum."""
    phi_mrad: TrackFormula
    """Azimuth."""
    tanlambda: TrackFormula
    """Dip."""


class BeamErrors(StrictModel):
    """Energy spreads of the beams, as of a detector's section ``beams``."""

    sigma_e_her_gev: Tagged
    """Of the electrons."""
    sigma_e_ler_gev: Tagged
    """Of the positrons."""


class PhotonErrors(StrictModel):
    """Standard deviations of a photon's parameters, as of a detector's section ``ecl``."""

    energy_resolution: EnergyFormula
    """Relative, of the energy."""
    phi_mrad: EnergyFormula
    """Azimuth."""
    theta_mrad: EnergyFormula
    """Polar angle."""


class FitConfig(StrictModel):
    """A fit of all tracks, and of the photon of a candidate that has one, to the four-momentum of the initial state."""

    iterations: int = Field(default=4, ge=1, le=20)
    """Linearisations of the constraint."""
    max_missing: Energy = 1.5
    """Events whose energy differs more from the beams' are not fitted."""
    beam_spread: bool = True
    """The initial state has the covariance of the beams' energy spreads; otherwise it is taken as exact."""
    track_errors: TrackErrors | None = None
    """Resolution that the fit assumes; that of the sample's detector if absent."""
    beam_errors: BeamErrors | None = None
    """Energy spreads that the fit assumes; those of the sample's detector if absent."""
    photon_errors: PhotonErrors | None = None
    """Resolution of photons that the fit assumes; that of the sample's detector if absent."""


class BFitConfig(StrictModel):
    """Resolutions of a fit of photon energies to the mass and the energy of a B."""

    sigma_energy: Tagged
    """Of the CM energy of a beam, GeV."""
    sigma_m_bc: Tagged
    """Of the beam-constrained mass, GeV."""
    photon: EnergyFormula
    """Relative, of photon energies E in GeV, as of a detector's section ``ecl``."""


class BMesonConfig(Sourced):
    """Which combinations of a kaon and a displaced pair are built; last cuts of a search are tighter."""

    min_m_bc: Energy
    """Least beam-constrained mass."""
    max_delta_e: Energy
    """Largest distance of the CM energy to that of a beam."""
    kstar_mass: tuple[Energy, Energy] | None = None
    """Range of the K pi mass; no K* without."""
    ks_mass: tuple[Energy, Energy] | None = None
    """Range of the mass of two pions that are a K_S; no K_S and no K*+ without."""
    min_radius: Length = 0.0
    """Least transverse radius of the pair's vertex, or of that of a K_S."""
    fit: BFitConfig | None = None
    """Fit of the photons' energies, where the candidate has photons."""
    identified: bool = True
    """Only tracks that are identified as kaons; otherwise every track is taken for one, and a cut decides."""


class DstarConfig(Sourced):
    """Which combinations of a kaon, a pion and a slow pion are built; last cuts of a control sample are tighter."""

    d0_mass: tuple[Energy, Energy]
    """Range of the K pi mass."""
    max_delta_m: Energy
    """Largest difference of the masses of D*+ and D0."""
    min_p: Energy = 0.0
    """Least laboratory momentum of the kaon and of its pion."""


Hadron = Literal["pi", "K", "p", "D_s", "D0", "Lambda", "Lambda_c", "Lambda_c_pi"]


class TaggedConfig(Sourced):
    """Hadrons of a B beside a tag."""

    hadrons: tuple[Hadron, ...] = Field(min_length=1)
    """Which are built."""
    max_delta_m: dict[Hadron, Energy] = {}
    """Largest distance of the mass of those that decay to that of the hadron; last cuts of a search are tighter."""
    pi0_mass: tuple[Energy, Energy] | None = None
    """Range of the mass of two photons of a pi0; no decays with one without."""

    @model_validator(mode="after")
    def _ranges(self) -> TaggedConfig:
        composite = [h for h in self.hadrons if h not in ("pi", "K", "p")]
        absent = [h for h in composite if h not in self.max_delta_m]
        if absent:
            raise ValueError(f"max_delta_m: hadrons {absent} decay; give a largest distance of their mass")
        return self


class ObjectsConfig(StrictModel):
    """Object definitions that candidates are built from."""

    tracks: TrackConfig = TrackConfig()
    """Tracks from the interaction point."""
    photons: PhotonConfig = PhotonConfig()
    """Photons: candidates of a final state, or the extra energy next to one."""
    veto_photons: PhotonConfig | None = None
    """Photons that veto when near a direction; the same as ``photons`` if absent."""
    fit: FitConfig | None = None
    """Fit of the tracks to the initial state, where the candidate has one."""
    b_meson: BMesonConfig | None = None
    """Combinations that a B meson may have decayed to, where the candidate is one."""
    dstar: DstarConfig | None = None
    """D*+ -> D0 pi+, where the candidate is one."""
    tagged: TaggedConfig | None = None
    """Hadrons of a B beside a tag, where the candidate is one."""


class CutConfig(Sourced):
    """One named cut: an observable, inclusive bounds, and where it applies."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    """Name in cutflows and figures."""
    observable: str
    """Name in the registry of observables."""
    min: Bound = None
    """Lower bound, inclusive."""
    max: Bound = None
    """Upper bound, inclusive."""
    when: dict[str, tuple[Bound, Bound]] = {}
    """Observables and half-open ranges [low, high) in which the cut applies; elsewhere it passes."""

    @model_validator(mode="after")
    def _bounded(self) -> CutConfig:
        if self.min is None and self.max is None:
            raise ValueError(f"cut {self.name!r} has neither min nor max; give at least one")
        return self


class SelectionConfig(StrictModel):
    """The selection of a search on one dataset."""

    candidate: str
    """Name of the candidate builder."""
    objects: ObjectsConfig = ObjectsConfig()
    """Object definitions."""
    parameters: dict[str, dict[str, float | str]] = {}
    """Parameters of observables, by observable: numbers or text with a unit."""
    cuts: tuple[CutConfig, ...] = ()
    """Named cuts in the order of the cutflow."""
    observables: tuple[str, ...] | None = None
    """Columns to keep besides those that cuts need; all of the candidate's by default."""
    n_minus_1_bins: int = Field(default=50, ge=1, le=1000)
    """Bins of the N-1 histograms."""
    trigger_profiles: tuple[str, ...] = ()
    """Observables by which the trigger efficiency of the signal is told, for what passes all cuts."""

    @model_validator(mode="after")
    def _unique(self) -> SelectionConfig:
        names = [c.name for c in self.cuts]
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise ValueError(f"cut names {twice} occur more than once; every cut needs a name of its own")
        reserved = sorted({"all", "candidate"} & set(names))
        if reserved:
            raise ValueError(f"cut names {reserved} are reserved for the first steps of the cutflow")
        return self


class InputConfig(StrictModel):
    """One input of the network: an observable mapped linearly from ``range`` to [0, 1]."""

    observable: str
    """Name in the registry of observables."""
    range: tuple[float, float] = (0.0, 1.0)
    """Values that map to 0 and 1; the mapped value is clipped to [-1, 2]."""

    @model_validator(mode="after")
    def _ordered(self) -> InputConfig:
        if not self.range[0] < self.range[1]:
            raise ValueError(f"range {list(self.range)} of input {self.observable!r} is not increasing")
        return self


class TrainingConfig(Sourced):
    """What both multivariate steps share: the hypothesis windows and the figure of merit."""

    window_observable: str = "m2_recoil"
    """The observable in which a hypothesis is a peak."""
    window_sigma: float = Field(default=2.0, gt=0)
    """Half width of a hypothesis window in units of the width of the signal's core."""
    punzi_a: float = Field(default=3.0, gt=0)
    """Significance of a discovery in the Punzi figure of merit."""
    punzi_b: float = Field(default=1.28155, gt=0)
    """One-sided confidence of the limit, as a normal quantile (1.28155: 90 %)."""
    background_error: float = Field(default=1.0, ge=0)
    """Standard deviations of the simulated background added to it in the figure of merit that is optimised, so that
    removing the last few heavy events of a window does not pay; 0 as in the Punzi-net paper."""
    average: Literal["log", "linear"] = "log"
    """Over hypotheses: mean of log sigma_min (every mass counts alike) or mean of sigma_min."""
    trigger: bool = True
    """Training events count with the probability that the trigger keeps them; without, they all count as kept. For a
    trigger that leaves few simulated events where the background is small, from which training would turn away."""
    max_events: int = Field(default=200_000, ge=100)
    """Most training events, half of them signal."""
    min_signal_events: int = Field(default=100, ge=10)
    """Hypotheses with fewer training events in their window are left out."""
    max_fom_ratio: float = Field(default=1.25, gt=1)
    """Over-training: largest allowed sigma_min of the test fold over the training fold (geometric mean)."""
    min_ks_probability: float = Field(default=1e-3, gt=0, lt=1)
    """Over-training: smallest allowed Kolmogorov-Smirnov probability of training and test responses."""


class NetworkConfig(TrainingConfig):
    """A small network trained with cross-entropy, then with the Punzi figure of merit for all masses at once."""

    kind: Literal["punzi_net"] = "punzi_net"
    """Which multivariate step."""
    inputs: tuple[InputConfig, ...] = Field(min_length=1)
    """Inputs in order."""
    hidden: tuple[int, ...] = (8, 4)
    """Nodes of the hidden layers (tanh); the output is a sigmoid."""
    cut: float | Literal["optimise"] = 0.5
    """Smallest response kept, or the one with the best figure of merit in the training fold."""
    pretrain_epochs: int = Field(default=15, ge=0)
    """Passes over the training events with binary cross-entropy."""
    pretrain_batch: int = Field(default=4096, ge=1)
    """Events per step of the pre-training."""
    pretrain_rate: float = Field(default=0.01, gt=0)
    """Learning rate (Adam) of the pre-training."""
    punzi_steps: int = Field(default=200, ge=0)
    """Full-batch steps with the Punzi figure of merit."""
    punzi_rate: float = Field(default=0.03, gt=0)
    """Learning rate (Adam) of these steps."""

    @model_validator(mode="after")
    def _distinct(self) -> NetworkConfig:
        _check_layout(self.inputs, self.hidden)
        return self


class RangesConfig(Sourced):
    """Ranges of mass with a network each."""

    edges: tuple[float, ...] = Field(min_length=2)
    """Edges in GeV, ascending; range k is from edge k (inclusive) to edge k + 1."""

    @model_validator(mode="after")
    def _ascending(self) -> RangesConfig:
        if any(b <= a for a, b in pairwise(self.edges)):
            raise ValueError(f"edges {list(self.edges)} must ascend")
        return self


class RegionalConfig(TrainingConfig):
    """Several networks in ranges of mass, each trained with cross-entropy; the cut has the best Punzi figure of merit.

    Signal is a flat mixture of the masses of the range, background is weighted; both weigh the same in each part of
    the range, so that the mass itself separates nothing. ``window_observable`` is a mass in GeV. Every candidate gets
    a column ``mva_r<k>`` from each network, mapped so that its cut is at 0.5: a fit window that crosses an edge takes
    one network throughout, through a last cut of the templates' region.
    """

    kind: Literal["regional_networks"] = "regional_networks"
    """Which multivariate step."""
    inputs: tuple[InputConfig, ...] = Field(min_length=1)
    """Inputs in order, the same for all networks."""
    hidden: tuple[int, ...] = (8,)
    """Nodes of the hidden layers (tanh); the output is a sigmoid."""
    ranges: RangesConfig
    """Ranges of mass."""
    search_width: float = Field(default=0.3, gt=0)
    """The core of a signal is looked for within this distance of its mass, in GeV: an event may have wrong candidates
    far off."""
    parts: int = Field(default=6, ge=1, le=100)
    """Most parts of a range; neighbouring masses share one. The background in a window is taken from its part."""
    cut: float | Literal["optimise"] = "optimise"
    """Smallest response kept, or the one with the best figure of merit in the training fold."""
    steps: int = Field(default=1500, ge=1)
    """Steps of the training of each network, rounded to whole passes over its events."""
    batch: int = Field(default=512, ge=1)
    """Events per step."""
    rate: float = Field(default=0.02, gt=0)
    """Learning rate (Adam) of the first step."""
    rate_decay: float = Field(default=0.1, gt=0, le=1)
    """Learning rate of the last step over that of the first."""

    @model_validator(mode="after")
    def _distinct(self) -> RegionalConfig:
        _check_layout(self.inputs, self.hidden)
        return self


def _check_layout(inputs: tuple[InputConfig, ...], hidden: tuple[int, ...]) -> None:
    names = [i.observable for i in inputs]
    if len(set(names)) != len(names):
        raise ValueError(f"inputs {names} name an observable twice")
    if any(n < 1 for n in hidden):
        raise ValueError(f"hidden layers {list(hidden)} need at least one node each")


class LinearConfig(TrainingConfig):
    """A threshold and a half plane, optimised for each mass with the Punzi figure of merit."""

    kind: Literal["linear_cuts"] = "linear_cuts"
    """Which multivariate step."""
    threshold: str
    """Observable with a lower threshold that depends on the window observable."""
    plane: tuple[str, str]
    """Two observables x, y of the cut x cos(phi) + y sin(phi) > c, with phi and c depending on the mass."""
    steps: int = Field(default=25, ge=2, le=200)
    """Values tried of the threshold and of c."""
    angles: int = Field(default=7, ge=1, le=50)
    """Values tried of phi between 0 and pi/2."""


class SurfaceConfig(TrainingConfig):
    """An upper threshold on one observable that is a smooth surface over a plane of two squared masses.

    The threshold of each simulated point has the best Punzi figure of merit inside the ellipse of its resolution; a
    polynomial of both masses goes through them.
    """

    kind: Literal["threshold_surface"] = "threshold_surface"
    """Which multivariate step."""
    observable: str
    """Kept where it is at or below the threshold."""
    first: str
    """Column with the first squared mass; ``window_observable`` is the second."""
    steps: int = Field(default=50, ge=5, le=1000)
    """Thresholds tried, between the ends of the observable's range."""
    order: int = Field(default=2, ge=0, le=6)
    """Total degree of the polynomial."""
    target_events: float = Field(default=50.0, gt=0)
    """The ellipse in which backgrounds are counted grows until it holds so many effective events,"""
    largest: float = Field(default=4.0, ge=1)
    """or its half axes by this factor; the counts are scaled back by its square."""
    tolerance: float = Field(default=0.02, gt=0)
    """Thresholds whose figure of merit is worse by about this (relative) count as good as the best one."""


Multivariate = Annotated[NetworkConfig | LinearConfig | RegionalConfig | SurfaceConfig, Field(discriminator="kind")]
"""The ``network`` section of a search."""
