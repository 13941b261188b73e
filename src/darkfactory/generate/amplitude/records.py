"""What an amplitude is made of: legs, diagrams, and the compiled program of currents and operations."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

__all__ = ["Closure", "Code", "Current", "Diagram", "Kind", "Leg", "Operation", "Program", "Propagator"]


class Kind(IntEnum):
    """Lorentz type of a current."""

    ROW = 0
    """Barred spinor: an outgoing particle or incoming antiparticle, and lines that end in one."""
    COL = 1
    """Spinor: an outgoing antiparticle or incoming particle, and lines that begin with one."""
    VEC = 2
    SCA = 3


class Code(IntEnum):
    """Vertices by what they make of what; a closure uses those that make a boson."""

    FF_V = 0
    V_COL = 1
    ROW_V = 2
    FF_S = 3
    S_COL = 4
    ROW_S = 5
    VV_S = 6
    VS_V = 7
    VV_P = 8
    VP_V = 9


@dataclass(frozen=True)
class Leg:
    """An external particle; incoming ones come first."""

    name: str
    pdg: int
    mass: float
    """GeV; not used where ``variable_mass`` is set."""
    spin2: int
    charge3: int
    incoming: bool
    variable_mass: bool = False
    """The mass is the invariant of each event's momentum (a wide resonance)."""

    @property
    def helicities(self) -> tuple[int, ...]:
        """Helicities in the order of all arrays, in units of one half for fermions."""
        if self.spin2 == 0:
            return (0,)
        massive_vector = self.spin2 == 2 and (self.mass > 0 or self.variable_mass)
        return (-1, 0, 1) if massive_vector else (-1, 1)


@dataclass(frozen=True)
class Propagator:
    """An internal line, named by the final legs (and maybe leg 1) on its far side from leg 0."""

    mask: int
    """Bit i is leg i; never leg 0. With leg 1: t-channel, momentum p_0 minus the final legs not in the mask."""
    particle: str
    mass: float
    width: float


@dataclass(frozen=True)
class Diagram:
    """One Feynman diagram as the set of its propagators, ordered by mask."""

    propagators: tuple[Propagator, ...]


@dataclass(frozen=True)
class Current:
    """The field that the legs of ``mask`` make at one vertex."""

    mask: int
    particle: str
    kind: Kind
    mass: float
    width: float
    external: bool
    shift: bool
    """A photon between an incoming and an outgoing fermion: J -> J - q J^z / q^z against cancellations."""
    legs: tuple[int, ...]
    scale: complex = 1.0 + 0j
    """Common coupling of the operations, taken out of them."""


@dataclass(frozen=True)
class Operation:
    """``out += vertex(a, b)``; left and right are the couplings of the column spinor's chiralities.

    Those of FF_V are twice the vertex's: light-cone components of a current are twice a product of components.
    """

    code: Code
    out: int
    a: int
    b: int
    left: complex
    right: complex


@dataclass(frozen=True)
class Closure:
    """``amplitude += vertex(a, b) . c``, the product of vectors without its factor 1/2, which the couplings have."""

    code: Code
    a: int
    b: int
    c: int
    left: complex
    right: complex
    shift: bool


@dataclass(frozen=True)
class Program:
    """Currents in the order in which they can be computed (external legs first), operations and closures."""

    legs: tuple[Leg, ...]
    root: int
    currents: tuple[Current, ...]
    operations: tuple[Operation, ...]
    closures: tuple[Closure, ...]
    scale: complex
    """Common coupling of the closures, taken out of them."""
    parity: bool
    """All helicities reversed give the complex conjugate up to a phase: half of the sum is enough."""

    def dimensions(self, fixed: int | None = None) -> tuple[int, ...]:
        """Number of helicities of each leg, 1 for a leg whose helicity is fixed."""
        return tuple(1 if i == fixed else len(leg.helicities) for i, leg in enumerate(self.legs))

    def cost(self, fixed: int | None = None) -> int:
        """Rough number of complex multiplications per event."""
        dims = self.dimensions(fixed)

        def size(mask: int) -> int:
            n = 1
            for i, d in enumerate(dims):
                n *= d if mask >> i & 1 else 1
            return n

        vertices = sum(8 * size(self.currents[o.out].mask) for o in self.operations)
        propagators = sum(8 * size(c.mask) for c in self.currents if not c.external)
        pairs = sum(8 * size(self.currents[c.a].mask | self.currents[c.b].mask) for c in self.closures)
        return vertices + propagators + pairs + 4 * len(self.closures) * size((1 << len(dims)) - 1)
