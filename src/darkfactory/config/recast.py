"""A user's own model: what it predicts for a search, as formulas, tables or vertices for the generator."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from darkfactory.config.base import StrictModel, Tagged
from darkfactory.config.formula import Formula, Table, variables
from darkfactory.config.load import deep_merge
from darkfactory.config.model import ParticleConfig, VertexConfig
from darkfactory.config.process import ProcessConfig

__all__ = ["DecayWindow", "OfMass", "RecastModel", "RecastVertices"]

MassFormula = Annotated[Formula, variables("mass")]
OfMass = MassFormula | Table
"""A function of the mass in GeV: a formula, or a table with its source."""


class RecastVertices(StrictModel):
    """Cross-sections from the project's generator, with a model's particles and vertices added to a known one."""

    base: str = "dark_qed"
    """File of config/models that is added to."""
    parameters: dict[str, Tagged | float | str] = Field(default_factory=dict)
    """New or changed parameters."""
    particles: tuple[ParticleConfig, ...] = ()
    """New particles."""
    vertices: tuple[VertexConfig, ...] = ()
    """New vertices."""
    process: dict[str, Any]
    """An entry of the registry of processes: ``final``, ``max_orders``, ``isr``, ``cuts``."""
    mass: str
    """Parameter that is the mass."""

    @model_validator(mode="after")
    def _process(self) -> RecastVertices:
        ProcessConfig.model_validate({"name": "recast", **self.process})
        return self

    def model(self, base: dict[str, Any]) -> dict[str, Any]:
        """The base model with what is added, plain."""
        own = self.model_dump(mode="json", exclude_none=True, exclude={"base", "process", "mass"})
        merged = deep_merge(base, {"parameters": own["parameters"]})
        merged["particles"] = [*base["particles"], *own["particles"]]
        merged["vertices"] = [*base["vertices"], *own["vertices"]]
        return merged


class DecayWindow(StrictModel):
    """For limits that have no lifetimes: the decay must be nearer or farther than a length."""

    length_cm: Tagged
    """Flight length in the laboratory."""
    boost: MassFormula
    """Mean beta gamma of the particle, a formula of ``mass``."""
    inside: bool = True
    """Seen when it decays within the length (visible decays), or beyond it (invisible ones)."""


class RecastModel(StrictModel):
    """A file of the user's for `darkfactory recast`."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    """Column `model` of the result."""
    coupling: str
    """What is limited."""
    unit: str = ""
    """Its unit."""
    label: str = ""
    """Text for figures."""
    hypothesis: str | None = None
    """Whose limits are taken: the kind of signal with the same kinematics; by default the search's first."""
    reference_coupling: float = Field(default=1.0, gt=0)
    """Coupling at which the rate and the lifetime are given."""
    power: float = Field(default=2.0, gt=0)
    """The rate goes as this power of the coupling."""
    rate_fb: OfMass | None = None
    """Cross-section in fb at the reference coupling, or what else the limits are on (then in its unit)."""
    vertices: RecastVertices | None = None
    """Cross-section from the generator instead."""
    branching_fraction: OfMass | None = None
    """Multiplies the rate; 1 by default."""
    ctau_cm: OfMass | None = None
    """c tau in cm at the reference coupling; none: the limits hold at any coupling."""
    lifetime_power: float = Field(default=2.0, ge=0)
    """c tau falls with this power of the coupling."""
    window: DecayWindow | None = None
    """What a finite lifetime does to limits that have no lifetimes."""
    scan: tuple[float, float] | None = None
    """Least and largest coupling that is looked at, where there is a lifetime."""
    steps: int = Field(default=401, ge=10)
    """Couplings in equal ratios."""
    validates: str | None = None
    """Model of the search's own couplings.csv that this one should reproduce: the figure shows the ratio."""
    note: str = ""
    """When it holds."""

    @model_validator(mode="after")
    def _complete(self) -> RecastModel:
        if (self.rate_fb is None) == (self.vertices is None):
            raise ValueError("give one of rate_fb (a formula or table of the mass) and vertices (for the generator)")
        if self.ctau_cm is not None and self.scan is None:
            raise ValueError("scan: a model with a lifetime needs the couplings to look at, as scan: [1e-6, 1]")
        if self.scan is not None and not 0 < self.scan[0] < self.scan[1]:
            raise ValueError(f"scan: {list(self.scan)} must rise from above 0")
        if self.window is not None and self.ctau_cm is None:
            raise ValueError("window: needs ctau_cm, the lifetime that it acts on")
        return self
