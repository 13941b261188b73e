"""Processes: what collides into what, where events are generated, and what happens to the products.

Cuts and biases are in the rest frame of the hard process, with z along the electron: the CM frame of the collision
up to collinear initial-state radiation.
"""

from __future__ import annotations

import itertools
from typing import Literal

from pydantic import Field, model_validator

from darkfactory.config.base import Source, StrictModel, Tagged
from darkfactory.config.interpretation import FormFactor

__all__ = [
    "BiasConfig",
    "DalitzConfig",
    "DecayConfig",
    "DecayLengthConfig",
    "DecayMode",
    "DepositLaw",
    "IsrConfig",
    "LegCut",
    "PairCut",
    "PairSpectrum",
    "ParametricConfig",
    "ProcessConfig",
    "ProcessCuts",
    "RouletteConfig",
    "TauDecayConfig",
    "UnweightConfig",
]


class LegCut(StrictModel):
    """A cut on every final leg of one name."""

    leg: str
    """Name of the particle, such as ``gamma``."""
    e_cms_min: float = Field(default=0.0, ge=0)
    """Least energy, GeV."""
    cos_cms: tuple[float, float] = (-1.0, 1.0)
    """Range of the cosine of the polar angle."""

    @model_validator(mode="after")
    def _ordered(self) -> LegCut:
        if not -1 <= self.cos_cms[0] < self.cos_cms[1] <= 1:
            raise ValueError(f"cos_cms: {list(self.cos_cms)} is not an increasing range within [-1, 1]")
        return self


class PairCut(StrictModel):
    """A cut on the sum of two final legs (the first of each name; for identical legs, on every such pair)."""

    legs: tuple[str, str]
    """Names, such as ``[mu-, mu+]``."""
    mass_min: float = Field(default=0.0, ge=0)
    """Least invariant mass, GeV."""
    mass_max: float | None = Field(default=None, gt=0)
    """Largest invariant mass, GeV."""
    pt_min: float = Field(default=0.0, ge=0)
    """Least momentum transverse to the beams, GeV."""


class ProcessCuts(StrictModel):
    """Generation cuts, built into the phase-space maps where they can be."""

    legs: tuple[LegCut, ...] = ()
    """Cuts on single legs."""
    pairs: tuple[PairCut, ...] = ()
    """Cuts on pairs."""


class BiasConfig(StrictModel):
    """A factor of the rate at which events are generated; events carry its inverse in their weight."""

    observable: Literal[
        "pt_pair",
        "x_pt_pair",
        "m2_recoil",
        "mass_pair",
        "delta_phi",
        "cos_missing",
        "e_leg",
        "cos_leg",
        "m2_total_recoil",
        "theta_lab_leg",
    ]
    """Of the pair: transverse momentum, the same over the largest at its recoil mass, recoil mass squared, invariant
    mass, azimuth between them in degrees, cosine of the recoil's direction; of the first leg: energy, cosine. With
    radiated photon and beams: ``m2_total_recoil``, what recoils against the pair altogether, and ``theta_lab_leg``,
    polar angle in the laboratory in degrees."""
    legs: tuple[str, ...] = Field(min_length=1, max_length=2)
    """Names of the legs."""
    number: int = Field(default=1, ge=1)
    """For observables of one leg: which one of that name."""
    points: tuple[tuple[float, float], ...] = Field(min_length=2)
    """Pairs (observable, bias): linear between points in the observable and the logarithm of the bias, constant
    outside."""

    @model_validator(mode="after")
    def _valid(self) -> BiasConfig:
        x = [p[0] for p in self.points]
        if any(b <= a for a, b in itertools.pairwise(x)):
            raise ValueError(f"points: observables {x} must increase")
        if any(p[1] <= 0 for p in self.points):
            raise ValueError("points: biases must be positive, or events there could not be weighted back")
        needed = 1 if self.observable in ("e_leg", "cos_leg", "theta_lab_leg") else 2
        if len(self.legs) != needed:
            raise ValueError(f"legs: {self.observable} needs {needed} of them, not {list(self.legs)}")
        if self.number > 1 and needed > 1:
            raise ValueError(
                f"number: {self.observable} is of two legs; a name given twice is the first and the second"
            )
        return self


class RouletteConfig(StrictModel):
    """A probability with which events go on after all decays; survivors carry its inverse in their weight."""

    observable: Literal["pt_pair", "x_pt_pair", "m2_recoil", "mass_pair", "delta_phi", "cos_missing", "pseudomass"]
    """Of two final particles in the nominal CM frame, against the whole initial state; as for biases. ``pseudomass``,
    in GeV: of three charged products of one parent, the smallest mass of a parent with half the CM energy that decays
    to them and a neutrino."""
    pair: tuple[int, int]
    """Absolute PDG codes of the particles, such as ``[13, 13]``: two equal codes stand for particle and antiparticle,
    others for the first of each. ``pseudomass``: of the parent and of its products, ``[15, 211]``. Events without such
    particles go on."""
    points: tuple[tuple[float, float], ...] = Field(min_length=2)
    """Pairs (observable, probability): linear between points in the observable and the logarithm of the probability,
    constant outside."""

    @model_validator(mode="after")
    def _valid(self) -> RouletteConfig:
        x = [p[0] for p in self.points]
        if any(b <= a for a, b in itertools.pairwise(x)):
            raise ValueError(f"points: observables {x} must increase")
        if any(not 0 < p[1] <= 1 for p in self.points):
            raise ValueError("points: probabilities must be above 0, or events could not be weighted back, up to 1")
        if min(self.pair) <= 0:
            raise ValueError(f"pair: {list(self.pair)} must be positive PDG codes")
        return self


class IsrConfig(StrictModel):
    """Initial-state radiation."""

    radiator: Literal["o2ll", "none"] = "none"
    """``o2ll``: leading logarithms to second order, soft photons exponentiated."""
    sqrts_min: float = Field(default=0.0, ge=0)
    """Least mass of the hard process, GeV; the threshold of its legs if that is higher."""
    photons: Literal["pt", "collinear"] = "pt"
    """Directions: the angular distribution at given energy, or along the beams."""
    exact_cos: float | None = Field(default=None, gt=0, lt=1)
    """Photons with |cos| below this are in a matrix element (here or in another sample): the radiator makes only
    those outside, with its exponent reduced accordingly."""


class UnweightConfig(StrictModel):
    """Acceptance-rejection."""

    overweight_fraction: float = Field(default=1e-3, gt=0, le=0.05)
    """Share of the cross-section above the maximal weight; such events are kept with a weight above the others'."""


class DecayMode(StrictModel):
    """A decay to two or three particles."""

    products: tuple[str, ...] = ()
    """Names of the products in the model."""
    branching_fraction: Tagged = Tagged(value=1.0, source="assumed", note="the only decay")
    """Multiplies the weights."""
    mediator: str | None = None
    """For fermion to fermion and lepton pair, in this order: name of the vector, too heavy to be real, that makes the
    pair; its mass shapes the spectrum. Absent: isotropic, three products uniform in phase space."""

    @model_validator(mode="after")
    def _number(self) -> DecayMode:
        if self.products and len(self.products) not in (2, 3):
            raise ValueError(f"products: {list(self.products)} are not two or three")
        if self.mediator is not None and len(self.products) != 3:
            raise ValueError(f"mediator: {self.mediator} needs three products, a fermion first, not {self.products}")
        return self


class DecayLengthConfig(StrictModel):
    """How far a particle flies before it decays: one lifetime, or a mixture that serves many by reweighting."""

    ctau_cm: Tagged | None = None
    """Mean proper decay length, for one lifetime."""
    mixture_cm: tuple[float, float] | None = None
    """Shortest and longest mean of an equal mixture of exponentials. Events then carry their proper decay length and
    its density (``proper_<particle>``, ``density_<particle>``), to be reweighted to any lifetime within."""
    per_decade: int = Field(default=1, ge=1, le=4)
    """Exponentials of the mixture in a factor of ten."""

    @model_validator(mode="after")
    def _one(self) -> DecayLengthConfig:
        if (self.ctau_cm is None) == (self.mixture_cm is None):
            raise ValueError("a lifetime is either ctau_cm (one) or mixture_cm (a range to reweight within)")
        if self.ctau_cm is not None and not self.ctau_cm.value > 0:
            raise ValueError(f"ctau_cm: {self.ctau_cm.value} must be positive; leave lifetime out for prompt decays")
        if self.mixture_cm is not None and not 0 < self.mixture_cm[0] < self.mixture_cm[1]:
            raise ValueError(f"mixture_cm: {list(self.mixture_cm)} must rise from above 0")
        return self


class DecayConfig(DecayMode):
    """How a particle decays: one mode, or several with probabilities in the ratio of their branching fractions."""

    modes: tuple[DecayMode, ...] = ()
    """Alternatives; events stand for all of them together."""
    lifetime: DecayLengthConfig | None = None
    """How far it flies; absent: it decays where it is made."""
    correlated: bool = False
    """Of a leg into two fermions: directions, and the spins of taus, from the amplitude of the whole chain at the pole
    of the leg; isotropic otherwise."""

    @model_validator(mode="after")
    def _some(self) -> DecayConfig:
        if bool(self.products) == bool(self.modes):
            raise ValueError("a decay has either products (one mode) or modes (several)")
        if any(not mode.products for mode in self.modes):
            raise ValueError("modes: every mode needs products, such as [mu-, mu+]")
        if self.correlated and len(self.products) != 2:
            raise ValueError(f"correlated: one mode of two products is needed, not {list(self.products)}")
        return self

    @property
    def alternatives(self) -> tuple[DecayMode, ...]:
        """All modes, one or several."""
        return self.modes or (DecayMode(**{k: getattr(self, k) for k in DecayMode.model_fields}),)

    @property
    def fraction(self) -> float:
        """Sum of the modes' branching fractions."""
        return float(sum(mode.branching_fraction.value for mode in self.alternatives))


class DalitzConfig(StrictModel):
    """One neutral pion of every event decays to e e gamma; weights have the chance of that."""

    branching_fraction: Tagged
    """Of pi0 -> e e gamma."""
    slope: Tagged = Tagged(value=0.0335, source="published", note="PDG 2024, linear coefficient of the form factor")
    """Linear coefficient a of the form factor 1 + a m_ee^2/m_pi0^2."""
    mass_min: float = Field(default=0.0, ge=0, lt=0.13)
    """Least mass of the pair in GeV."""


class TauDecayConfig(StrictModel):
    """How tau legs decay."""

    first: tuple[str, ...] | str = "any"
    """Modes or groups of modes of one tau, of the table of tau decays."""
    second: tuple[str, ...] | str = "any"
    """Those of the other; which of them is the tau- is open."""
    boson_mass: str | None = None
    """Parameter of the model with the mass of the boson in modes of kind ``lepton_boson``; absent: the table's."""
    true_lepton: bool = False
    """Events carry ``true_x_lepton``, twice the energy of the first charged lepton of a tau over the tau's mass, in the
    tau's rest frame; not a number without one. For templates that know its spectrum."""
    dalitz: DalitzConfig | None = None
    """Make electron pairs of neutral pions; every allowed pair of modes must have one. Absent: two photons always."""


class HadronicFilter(StrictModel):
    """Which hadronic events go on to the detector: by charged particles, before anything is simulated."""

    tracks: int = Field(default=0, ge=0)
    """Least number of charged final particles."""
    min_pt: float = Field(default=0.05, ge=0)
    """Charged particles count above this transverse momentum, GeV."""
    displaced: int = Field(default=0, ge=0)
    """Least number of them that are made at a transverse distance"""
    radius_cm: tuple[float, float] = (0.0, 100.0)
    """between these from the beams, cm."""

    @model_validator(mode="after")
    def _rising(self) -> HadronicFilter:
        if not 0 <= self.radius_cm[0] < self.radius_cm[1]:
            raise ValueError(f"radius_cm: {list(self.radius_cm)} must rise from 0 or above")
        return self


class PairSpectrum(StrictModel):
    """The B beside a tag decays to a pseudoscalar and two massless leptons, as left-handed currents make it."""

    hadron: str
    """Name of the pseudoscalar in the model."""
    form_factor: FormFactor
    """Its form factor f+."""


class DepositLaw(StrictModel):
    """A distribution; numbers that it does not use are left out."""

    law: Literal["power", "exponential", "uniform", "sine_power"]
    """``power``: x^-a; ``exponential``: exp(-x/a); ``uniform``; ``sine_power``: abs(sin x)^a, x in radians."""
    low: float
    """Lower end."""
    high: float
    """Upper end."""
    parameter: Tagged | None = None
    """The a of the law."""
    source: Source
    """Where the law comes from."""
    note: str = ""

    @model_validator(mode="after")
    def _valid(self) -> DepositLaw:
        if not self.low < self.high:
            raise ValueError(f"low {self.low:g} must be below high {self.high:g}")
        if (self.law == "uniform") != (self.parameter is None):
            raise ValueError(f"law {self.law!r}: `uniform` has no parameter, the others need one")
        if self.parameter is not None and not self.parameter.value > 0:
            raise ValueError(f"parameter {self.parameter.value:g} must be positive")
        if self.law == "power" and not self.low > 0:
            raise ValueError(f"low {self.low:g}: a power law starts above 0")
        return self


class ParametricConfig(StrictModel):
    """Events of a single calorimeter shower that nothing calculates: cosmic rays, beam background."""

    rate_hz: Tagged
    """Rate of such showers within the ends of the laws, in Hz."""
    luminosity_1e34: Tagged
    """Mean luminosity while data are taken, 1e34/cm^2/s: the rate over it is the cross-section that stands for it."""
    energy: DepositLaw
    """Of the energy, GeV."""
    azimuth: DepositLaw
    """Of the azimuth, rad."""
    z: DepositLaw
    """Of the place along the detector's axis, cm, on a cylinder of ``radius_cm``."""
    radius_cm: Tagged
    """Radius of the calorimeter's barrel."""
    time: DepositLaw
    """Of the time, ns."""
    photon_like: Tagged
    """Probability of a photon's shower shape."""

    @property
    def sigma_fb(self) -> float:
        """The cross-section that stands for the rate, in fb: 1e34/cm^2/s is 1e-5/fb/s."""
        return self.rate_hz.value / (self.luminosity_1e34.value * 1e-5)


class ProcessConfig(StrictModel):
    """One process of the registry."""

    name: str
    """Name of the file."""
    description: str = ""
    """What it is, and what it leaves out."""
    engine: Literal["tree", "pythia", "parametric"] = "tree"
    """Our tree-level amplitudes, Pythia for hadronic final states, or laws for showers that nothing calculates."""
    model: str = "dark_qed"
    """Name of a file in config/models."""
    initial: tuple[str, str] = ("e-", "e+")
    """Colliding particles, the electron first."""
    final: tuple[str, ...] = ()
    """Products of the hard process."""
    parameters: dict[str, float] = Field(default_factory=dict)
    """Model parameters that differ from the model's defaults; a sample's or point's go on top."""
    exclude_internal: tuple[str, ...] = ()
    """Particles that are not exchanged."""
    max_orders: dict[str, int] = Field(default_factory=dict)
    """Largest powers of coupling orders, such as ``{NP: 1}``."""
    wide: str | None = None
    """Leg with a resonance shape when the parameter ``width_over_mass`` is given and not zero."""
    cuts: ProcessCuts = ProcessCuts()
    """Where events are generated."""
    isr: IsrConfig = IsrConfig()
    """Initial-state radiation."""
    vp: Literal["auto", "off", "on"] = "off"
    """Vacuum polarisation |1/(1 - Pi(s'))|^2; ``auto``: where all diagrams have one photon propagator, with the mass of
    the hard process."""
    form_factor_power: float = 0.0
    """Multiplies |M|^2 by (s'/s)^-power: 2 for form factors falling like 1/s'."""
    bias: tuple[BiasConfig, ...] = ()
    """Where to generate more events than come by nature; factors multiply."""
    roulette: tuple[RouletteConfig, ...] = ()
    """Which events go on to the detector; probabilities multiply. The number of events of a sample counts the tries:
    use it where most events are of no interest but only their decays tell, for fewer events to be simulated."""
    decays: dict[str, DecayConfig] = Field(default_factory=dict)
    """Decays of legs and of their products, by the particle's name."""
    taus: TauDecayConfig | None = None
    """Tau decays with spin correlations; taus stay undecayed without."""
    normalisation: Tagged | None = None
    """Cross-section in fb at the nominal energy that replaces the computed one (before branching fractions)."""
    unweight: UnweightConfig = UnweightConfig()
    """Acceptance-rejection."""
    pythia: dict[str, bool | int | float | str] = Field(default_factory=dict)
    """Settings of the Pythia engine."""
    filter: HadronicFilter | None = None
    """Which events of the Pythia engine go on; the number of events of a sample counts those before it."""
    spectrum: PairSpectrum | None = None
    """Weights events of uniform phase space to a spectrum; the cross-section is that of all of it."""
    parametric: ParametricConfig | None = None
    """Laws of the parametric engine."""

    @model_validator(mode="after")
    def _complete(self) -> ProcessConfig:
        if self.engine == "tree" and len(self.final) < 2:
            raise ValueError("final: the tree engine needs two or more products")
        if self.engine == "pythia" and self.normalisation is None:
            raise ValueError("normalisation: the Pythia engine takes its cross-section from here")
        if self.engine != "tree" and (self.bias or self.roulette):
            raise ValueError(f"bias, roulette: the tree engine has them, engine {self.engine!r} has not")
        if self.engine != "pythia" and self.filter is not None:
            raise ValueError(f"filter: the Pythia engine has it, engine {self.engine!r} has not")
        meson = self.pythia.get("signal")
        if meson and (meson not in ("B+", "B0") or meson not in self.decays):
            raise ValueError(f"pythia.signal: {meson!r} must be B+ or B0, with its decay in decays {list(self.decays)}")
        tag = self.pythia.get("tag")
        if self.spectrum is not None and not (tag and tag in self.decays):
            raise ValueError("spectrum: of the B beside a tag; give pythia.tag and its decay in decays")
        if tag and (tag not in ("B+", "B0") or meson):
            raise ValueError(f"pythia.tag: {tag!r} must be B+ or B0, and goes without pythia.signal")
        if (self.engine == "parametric") != (self.parametric is not None):
            raise ValueError("parametric: the laws of `engine: parametric`, which needs them; other engines have none")
        names = set(self.final)
        asked = [c.leg for c in self.cuts.legs] + [n for c in self.cuts.pairs for n in c.legs]
        asked += [n for b in self.bias for n in b.legs]
        asked += [self.wide] if self.wide else []
        for b in self.bias:
            if b.number > max(self.final.count(b.legs[0]), 1):
                raise ValueError(f"bias: there is no {b.legs[0]} number {b.number} in final {list(self.final)}")
        unknown = sorted(set(asked) - names)
        if self.engine == "tree" and unknown:
            raise ValueError(f"legs {unknown} are cut on or biased but not in final {list(self.final)}")
        made = names | {n for d in self.decays.values() for mode in d.alternatives for n in mode.products}
        absent = sorted(set(self.decays) - made)
        if self.engine == "tree" and absent:
            raise ValueError(f"decays {absent}: neither in final {list(self.final)} nor products of a decay")
        return self

    @property
    def uses_model(self) -> bool:
        """Whether particles and parameters come from a file of config/models."""
        return self.engine == "tree" or bool(self.pythia.get("signal")) or bool(self.pythia.get("tag") and self.decays)
