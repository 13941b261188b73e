"""How limits become couplings: models, overlays of published results, bands."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from pydantic import Field, model_validator

from darkfactory.config.base import Source, StrictModel, Tagged
from darkfactory.config.formula import Table

__all__ = [
    "BDecayChannel",
    "BDecayRegion",
    "BandConfig",
    "FlavourInputs",
    "FormFactor",
    "InelasticRegion",
    "InterpretationConfig",
    "InvisibleRegion",
    "LeptophilicRegion",
    "MesogenesisRegion",
    "ModelInterpretation",
    "OverlayConfig",
    "ScalarTable",
]


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
        "leptophilic_scalar_ee",
        "leptophilic_scalar_mumu",
        "leptophilic_scalar_tautau",
        "alp_leptons_tautau",
        "lfv_alp_e",
        "lfv_alp_mu",
    ] = "unity"
    """Registered function of mass."""
    branching_table: Table | None = None
    """Branching fraction by mass in GeV, with its source; multiplies ``branching_fraction``."""
    axes: tuple[str, ...] = ("mass",)
    """Only points with exactly these axes are translated."""
    maximum: float | None = Field(default=None, gt=0)
    """Largest value that the coupling can have (1 where it is a branching fraction): a limit above it constrains
    nothing and gets the flag ``above_maximum``."""
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


class ScalarTable(StrictModel):
    """Lifetimes and branching fractions of a scalar that mixes with the Higgs, for a mixing angle of sin(theta) = 1."""

    mass: tuple[float, ...] = Field(min_length=2)
    """Rising masses, GeV."""
    ctau_cm: tuple[float, ...]
    """c tau; goes as 1/sin^2(theta)."""
    mumu: tuple[float, ...]
    """Branching fraction to muons."""
    pipi: tuple[float, ...]
    """To pions of all charges."""
    kk: tuple[float, ...]
    """To kaons of all charges."""
    ee: tuple[float, ...] = ()
    """To electrons; none without."""
    source: Source
    """Of all numbers."""
    note: str = ""
    """Where they come from."""

    @model_validator(mode="after")
    def _columns(self) -> ScalarTable:
        names = ["mass", "ctau_cm", "mumu", "pipi", "kk", *(["ee"] if self.ee else [])]
        lengths = {k: len(getattr(self, k)) for k in names}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"columns have different lengths: {lengths}")
        if any(b <= a for a, b in pairwise(self.mass)):
            raise ValueError("mass must rise")
        return self


class FormFactor(StrictModel):
    """A form factor of B decays: a series in the conformal variable over a pole."""

    coefficients: tuple[float, ...] = Field(min_length=1)
    """Of the powers of z, or of z - z(0)."""
    pole: float = Field(gt=0)
    """Mass of the pole, GeV."""
    centred: bool = False
    """In powers of z - z(0)."""
    uncertainty: float = Field(default=0.0, ge=0)
    """Relative, of the branching fraction."""
    source: Source
    """Of all numbers."""
    note: str = ""
    """Paper."""


class FlavourInputs(StrictModel):
    """What rates of b -> s S at one loop need."""

    m_t: Tagged
    """Running mass of the top quark, GeV."""
    m_b: Tagged
    """Running mass of the b quark, GeV."""
    m_s: Tagged
    """Running mass of the s quark, GeV."""
    v_tb_v_ts: Tagged
    """Modulus of the product of elements of the CKM matrix."""
    tau_bplus_ps: Tagged
    """Lifetime of the B+."""
    tau_b0_ps: Tagged
    """Lifetime of the B0."""
    f0: FormFactor
    """Scalar form factor of B -> K."""
    a0: FormFactor
    """Pseudoscalar form factor of B -> K*."""


class BDecayChannel(StrictModel):
    """What a hypothesis of a search for B -> K S is."""

    kaon: Literal["K+", "K0", "K*0", "K*+"]
    """The kaon beside the new particle; limits on K0 and K*+ are on all of their decays."""
    final: Literal["ee", "mumu", "pipi", "kk", "gg"]
    """What that decays to."""


class BDecayRegion(StrictModel):
    """Excluded region of the coupling of a new particle of B -> K S, which sets its rate and its lifetime."""

    particle: Literal["dark_higgs", "alp_fermions", "alp_w"]
    """A scalar that mixes with the Higgs, a pseudoscalar with one derivative coupling 1/f to all fermions, or one that
    couples to W bosons alone, and through them to photons."""
    hypotheses: dict[str, BDecayChannel] = Field(min_length=1)
    """Hypotheses of the search."""
    coupling: Literal["sin_theta", "inverse_f", "g_aw"]
    """Column value of couplings.csv: the mixing, 1/f or the coupling to W bosons, both in 1/GeV."""
    label: str = ""
    """Text for figures."""
    scan: tuple[float, float]
    """Least and largest value."""
    steps: int = Field(default=401, ge=10)
    """Values in equal ratios."""
    max_mass: float = Field(default=10.0, gt=0)
    """Above this mass, in GeV, widths are not known here."""
    scale_gev: Tagged | None = None
    """Of an ALP: where its couplings to all fermions are equal; logarithms start there."""
    kstar_fraction: Tagged = Tagged(value=2 / 3, source="derived", note="K*0 -> K+ pi-, isospin")
    """Share of K*0 that the limits are on."""
    note: str = ""
    """When it holds."""

    @model_validator(mode="after")
    def _fits(self) -> BDecayRegion:
        names = {"dark_higgs": "sin_theta", "alp_fermions": "inverse_f", "alp_w": "g_aw"}
        if names[self.particle] != self.coupling:
            raise ValueError(f"coupling: {self.coupling} is not that of {self.particle}")
        if self.particle == "alp_fermions" and self.scale_gev is None:
            raise ValueError("scale_gev: the rate of an ALP goes as a logarithm that starts there; give it")
        return self


class InvisibleRegion(StrictModel):
    """Limit on the coupling of a stable or long-lived spin-0 particle of B+ -> h X: the rate goes as its square."""

    hypothesis: str
    """Hypothesis of the search."""
    particle: Literal["alp_w", "dark_higgs"]
    """What X is: a pseudoscalar that couples to W bosons, or a scalar that mixes with the Higgs."""
    hadron: Literal["K+", "pi+"]
    """The hadron h."""
    coupling: Literal["g_aw", "sin_theta"]
    """Column value of couplings.csv."""
    unit: str = ""
    """Its unit."""
    label: str = ""
    """Text for figures."""
    ckm: Tagged
    """Modulus of V_tb V_tq."""
    m_q: Tagged
    """Running mass of the light quark q, GeV."""
    form_factor: FormFactor
    """f_0 of B -> h."""
    note: str = ""
    """When it holds."""

    @model_validator(mode="after")
    def _fits(self) -> InvisibleRegion:
        if (self.particle == "alp_w") != (self.coupling == "g_aw"):
            raise ValueError(f"coupling: {self.coupling} is not that of {self.particle}")
        return self


class MesogenesisRegion(StrictModel):
    """Limit on the coupling of three quarks to a dark antibaryon psi, from B+ -> p psi or B0 -> Lambda psi."""

    hypothesis: str
    """Hypothesis of the search."""
    baryon: Literal["p", "Lambda"]
    """The baryon."""
    coupling: Literal["g_operator"] = "g_operator"
    """Column value of couplings.csv: G = y^2/M_Y^2."""
    unit: str = "1/GeV^2"
    """Its unit."""
    label: str = ""
    """Text for figures."""
    f_r: Tagged
    """Form factor F_R, GeV^2."""
    f_l: Tagged
    """Form factor F_L, GeV^2."""
    tau_ps: Tagged
    """Lifetime of the B."""
    note: str = ""
    """When it holds."""


class InelasticRegion(StrictModel):
    """Two-sided region of one coupling of inelastic dark matter with a dark Higgs, the others fixed."""

    hypotheses: dict[str, Literal["mumu", "pipi", "kk"]] = Field(min_length=1)
    """Hypotheses of the search and what h' decays to in them."""
    coupling: Literal["sin_theta", "epsilon"]
    """The coupling scanned: mixing of h' (its lifetime), or kinetic mixing (rate and lifetime of chi2)."""
    label: str = ""
    """Text for figures."""
    scan: tuple[float, float]
    """Least and largest value."""
    steps: int = Field(default=401, ge=10)
    """Values in equal ratios."""
    sin_theta: float = Field(default=1e-4, gt=0)
    """Fixed value, where epsilon is scanned."""
    epsilon: float = Field(default=1e-3, gt=0)
    """Fixed value, where sin_theta is scanned."""
    alpha_d: Tagged
    """Dark fine-structure constant."""
    charge: Tagged
    """Charge of the dark Higgs in units of that of chi."""
    m_ap: Tagged
    """Mass of the dark photon in GeV, as in the samples."""
    m_chi1: Tagged
    """Mass of chi1."""
    m_chi2: Tagged
    """Mass of chi2."""
    note: str = ""
    """When it holds."""


class LeptophilicRegion(StrictModel):
    """Excluded region of a leptophilic scalar's coupling, which sets its rate and its lifetime.

    Samples are made at xi = 1 with the branching fraction one; points have the axes mass and lifetime.
    """

    hypotheses: dict[str, Literal["ee", "mumu"]] = Field(min_length=1)
    """Hypotheses of the search and what the scalar decays to in them."""
    coupling: str = "xi"
    """Name of the coupling, a column value of couplings.csv."""
    label: str = ""
    """Text for figures."""
    scan: tuple[float, float]
    """Least and largest value."""
    steps: int = Field(default=401, ge=10)
    """Values in equal ratios."""
    note: str = ""
    """When it holds."""

    @model_validator(mode="after")
    def _rises(self) -> LeptophilicRegion:
        if not 0 < self.scan[0] < self.scan[1]:
            raise ValueError(f"scan: {list(self.scan)} must rise from above 0")
        return self


class InterpretationConfig(StrictModel):
    """The section `interpretation` of a search."""

    regions: dict[str, InelasticRegion] = Field(default_factory=dict)
    """Two-sided regions by model name."""
    leptophilic: dict[str, LeptophilicRegion] = Field(default_factory=dict)
    """Regions of a leptophilic scalar by model name."""
    b_decays: dict[str, BDecayRegion] = Field(default_factory=dict)
    """Regions of new particles of B decays by model name."""
    invisible: dict[str, InvisibleRegion] = Field(default_factory=dict)
    """Couplings of invisible particles of B decays by model name."""
    mesogenesis: dict[str, MesogenesisRegion] = Field(default_factory=dict)
    """Couplings of dark antibaryons by model name."""
    flavour: FlavourInputs | None = None
    """Inputs of their rates."""
    dark_scalar: ScalarTable | None = None
    """Lifetimes and branching fractions of the dark Higgs, for regions."""

    models: dict[str, ModelInterpretation] = Field(default_factory=dict)
    """Model name (column `model` of couplings.csv) to its translation; none where no model tells the rate."""
    bands: tuple[BandConfig, ...] = ()
    overlays: tuple[OverlayConfig, ...] = ()

    @model_validator(mode="after")
    def _regions_have_a_table(self) -> InterpretationConfig:
        mixing = self.regions or any(r.particle == "dark_higgs" for r in self.b_decays.values())
        if mixing and self.dark_scalar is None:
            raise ValueError("regions need the table `dark_scalar` of lifetimes and branching fractions")
        for name in ("b_decays", "invisible"):
            if getattr(self, name) and self.flavour is None:
                raise ValueError(f"{name} need the inputs `flavour` of their rates")
        twice = sorted(self.regions.keys() & self.leptophilic.keys())
        if twice:
            raise ValueError(f"models {twice} are both in regions and in leptophilic; rename one of each")
        return self

    @model_validator(mode="after")
    def _bands_have_uncertainty(self) -> InterpretationConfig:
        for band in self.bands:
            if band.delta_a_mu.uncertainty is None:
                raise ValueError(f"band {band.label!r} needs delta_a_mu.uncertainty")
        return self
