"""Models of particles and their cubic vertices, as YAML.

Conventions: a vertex's coupling is its Feynman rule divided by i, all fields real but the fermions:

* ``FFV [f1, f2, V]``: ``f1bar gamma^mu (left P_L + right P_R) f2 V_mu``, or ``vector`` and ``axial``
  (``gamma^mu (vector + axial gamma5)``);
* ``FFS [f1, f2, S]``: ``f1bar (scalar + i pseudoscalar gamma5) f2 S``;
* ``VVS [V1, V2, S]``: ``coupling g_{mu nu}``;
* ``VVP [V1, V2, P]``: ``coupling epsilon(k1, e1, k2, e2)``, which is L = -(coupling / 4) P F Ftilde for V1 = V2.

Bosons in vertices are their own antiparticles (others, such as pi+, are there to be decayed to); a fermion-number
conserving vertex that changes flavour is listed twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, model_validator

from darkfactory.config.base import StrictModel, Tagged
from darkfactory.config.expressions import evaluate, names_in, resolve_parameters
from darkfactory.core.errors import ConfigError

__all__ = ["ModelConfig", "ParticleConfig", "VertexConfig"]

Expression = float | str
_COUPLINGS: Mapping[str, tuple[frozenset[str], ...]] = {
    "FFV": (frozenset({"left", "right"}), frozenset({"vector", "axial"})),
    "FFS": (frozenset({"scalar", "pseudoscalar"}),),
    "VVS": (frozenset({"coupling"}),),
    "VVP": (frozenset({"coupling"}),),
}
_SPINS: Mapping[str, tuple[int, int, int]] = {"FFV": (1, 1, 2), "FFS": (1, 1, 0), "VVS": (2, 2, 0), "VVP": (2, 2, 0)}


class ParticleConfig(StrictModel):
    """One species; a fermion's antiparticle is named here, not listed."""

    name: str = Field(min_length=1)
    """Name in vertices and processes, such as ``mu-``."""
    pdg: int
    """Identifier of the Particle Data Group; the antiparticle has the opposite."""
    spin2: Literal[0, 1, 2]
    """Twice the spin."""
    mass: Expression
    """Mass in GeV: a number or an expression of parameters."""
    width: Expression = 0.0
    """Total width in GeV of the propagator."""
    charge3: int = 0
    """Three times the electric charge."""
    antiparticle: str | None = None
    """Name of the antiparticle; none for a particle that is its own."""

    @model_validator(mode="after")
    def _statistics(self) -> ParticleConfig:
        if self.spin2 == 1 and self.antiparticle is None:
            raise ValueError(f"{self.name}: a fermion needs an antiparticle's name")
        return self


class VertexConfig(StrictModel):
    """One cubic vertex."""

    type: Literal["FFV", "FFS", "VVS", "VVP"]
    """Lorentz structure; see the module's conventions."""
    particles: tuple[str, str, str]
    """Fields in the order of the type; fermions by their particle's name: f1 is the barred one."""
    couplings: Mapping[str, Expression]
    """Couplings by name, each a number or an expression of parameters; those not given are zero."""
    orders: Mapping[str, int] = Field(default_factory=lambda: {"QED": 1})
    """Coupling orders, for limits on a process."""

    @model_validator(mode="after")
    def _couplings_of_the_type(self) -> VertexConfig:
        given = frozenset(self.couplings)
        allowed = _COUPLINGS[self.type]
        if not given or not any(given <= names for names in allowed):
            options = " or ".join(str(sorted(names)) for names in allowed)
            raise ValueError(f"couplings {sorted(given)} of a {self.type} vertex: allowed are {options}")
        return self


class ModelConfig(StrictModel):
    """Particles, parameters and vertices."""

    name: str
    """Name of the model."""
    description: str = ""
    """What it contains, and its conventions."""
    parameters: Mapping[str, Tagged | float | str]
    """Numbers, or expressions of other parameters; a process may override any of them."""
    particles: tuple[ParticleConfig, ...]
    """All species."""
    vertices: tuple[VertexConfig, ...]
    """All interactions."""

    @model_validator(mode="after")
    def _consistent(self) -> ModelConfig:
        names = [n for p in self.particles for n in (p.name, p.antiparticle) if n is not None]
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise ValueError(f"particles: {twice} are named twice")
        spins = {p.name: p.spin2 for p in self.particles}
        charged = {p.name for p in self.particles if p.spin2 != 1 and p.antiparticle is not None}
        for i, vertex in enumerate(self.vertices):
            for particle, spin in zip(vertex.particles, _SPINS[vertex.type], strict=True):
                if particle not in spins:
                    raise ValueError(f"vertices[{i}]: unknown particle {particle!r}; known are {sorted(spins)}")
                if spins[particle] != spin:
                    raise ValueError(
                        f"vertices[{i}]: {particle} has spin {spins[particle]}/2, {vertex.type} needs {spin}/2"
                    )
                if spin != 1 and particle in charged:
                    raise ValueError(
                        f"vertices[{i}]: {particle} is a boson with an antiparticle; the amplitudes have only bosons "
                        "that are their own, others can be decayed to"
                    )
        known = set(self.parameters)
        texts: list[tuple[str, Expression]] = [
            *((f"particles.{p.name}.mass", p.mass) for p in self.particles),
            *((f"particles.{p.name}.width", p.width) for p in self.particles),
            *((f"vertices[{i}].couplings.{k}", c) for i, v in enumerate(self.vertices) for k, c in v.couplings.items()),
        ]
        for where, text in texts:
            unknown = set(names_in(text, where)) - known if isinstance(text, str) else set()
            if unknown:
                raise ValueError(f"{where}: unknown parameters {sorted(unknown)}; known are {sorted(known)}")
        try:
            self.values()
        except ConfigError as error:
            raise ValueError(str(error)) from error
        return self

    def values(self, overrides: Mapping[str, float] | None = None) -> dict[str, float]:
        """Values of all parameters, after overrides.

        Raises:
            ConfigError: unknown parameter in ``overrides``, or an expression without a value.
        """
        plain = {k: v.value if isinstance(v, Tagged) else v for k, v in self.parameters.items()}
        return resolve_parameters(plain, overrides, f"models.{self.name}.parameters")

    def number(self, expression: Expression, values: Mapping[str, float], where: str) -> float:
        """A number, or the value of an expression of parameters."""
        if isinstance(expression, str):
            return evaluate(expression, values, f"models.{self.name}.{where}")
        return float(expression)

    def particle(self, name: str) -> tuple[ParticleConfig, bool]:
        """Species of a particle's or antiparticle's name, and whether the name is the antiparticle's.

        Raises:
            ConfigError: no such particle.
        """
        for particle in self.particles:
            if name in (particle.name, particle.antiparticle):
                return particle, name != particle.name
        known = [n for p in self.particles for n in (p.name, p.antiparticle) if n is not None]
        raise ConfigError(f"unknown particle {name!r}; the model has {known}", where=f"models.{self.name}.particles")
