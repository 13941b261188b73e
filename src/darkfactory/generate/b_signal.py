"""The signal side of a B pair: a chain of two-body decays of one B meson, in its rest frame.

A particle with a width (K*0) has the mass of a relativistic Breit-Wigner with the momentum dependence of its decay to
two pseudoscalars, times the momentum of the decay it comes from. A vector beside a spin-0 particle from a spin-0 parent
has helicity zero: its decay to two spin-0 particles goes as cos^2 of the helicity angle. Other decays are isotropic.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from darkfactory.config.model import ModelConfig
from darkfactory.config.process import DecayConfig, ProcessConfig
from darkfactory.core.errors import ConfigError
from darkfactory.generate.decays import decay_lengths
from darkfactory.generate.three_body import draw_from_spectrum
from darkfactory.physics.kinematics import from_rest_frame, two_body, two_body_momentum

__all__ = ["SignalParticle", "SignalSide", "breit_wigner", "build_signal", "decay_signal"]

Array = NDArray[np.float64]
# a Breit-Wigner ends here: farther out it is no description of the resonance
_WIDTHS = 3.0


@dataclasses.dataclass(frozen=True)
class SignalParticle:
    """One particle of the chain.

    Attributes:
        name: in the model.
        pdg: code beside a B; that beside an anti-B is ``conjugate``.
        conjugate: code of the antiparticle, the same for a particle that is its own.
        mass: GeV.
        width: GeV.
        spin2: twice the spin.
        mother: place of the particle that decays to it, -1 for the B.
        products: places of its products; empty: it does not decay.
    """

    name: str
    pdg: int
    conjugate: int
    mass: float
    width: float
    spin2: int
    mother: int
    products: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class SignalSide:
    """The chain, mothers before products, the B first; and the settings of the decays by particle."""

    particles: tuple[SignalParticle, ...]
    decays: Mapping[str, DecayConfig]

    @property
    def meson(self) -> SignalParticle:
        """The B that decays."""
        return self.particles[0]


def build_signal(process: ProcessConfig, model: ModelConfig, parameters: Mapping[str, float], meson: str) -> SignalSide:
    """Masses and codes of a chain.

    Args:
        process: with its decays, each to one mode of two products.
        model: the particles.
        parameters: on top of the model's.
        meson: ``B+`` or ``B0``.

    Raises:
        ConfigError: a decay with several modes or three products, or one that is not possible.
    """
    values = model.values({**process.parameters, **parameters})
    where = f"processes/{process.name}.decays"
    found: list[SignalParticle] = []
    waiting = [(meson, -1)]
    while waiting:
        name, mother = waiting.pop(0)
        particle, anti = model.particle(name)
        at = f"particles.{particle.name}"
        number = -particle.pdg if anti else particle.pdg
        other = number if particle.antiparticle is None else -number
        place = len(found)
        decay = process.decays.get(name)
        products: tuple[int, ...] = ()
        if decay is not None:
            if len(decay.products) != 2:
                raise ConfigError(
                    f"{name} decays to {list(decay.products)}; on the signal side of a B pair every decay has one mode "
                    "of two products",
                    where=f"{where}.{name}",
                )
            products = tuple(place + len(waiting) + 1 + i for i in range(2))
            waiting += [(p, place) for p in decay.products]
        found.append(
            SignalParticle(
                name, number, other, model.number(particle.mass, values, f"{at}.mass"),
                model.number(particle.width, values, f"{at}.width"), particle.spin2, mother, products,
            )
        )  # fmt: skip
    side = SignalSide(tuple(found), process.decays)
    for p in found:
        least = sum(_lightest(side, i) for i in p.products)
        if p.products and least >= p.mass + (_WIDTHS * p.width):
            raise ConfigError(
                f"{p.name} of {p.mass:.5g} GeV is too light for {[found[i].name for i in p.products]}, "
                f"{least:.5g} GeV; use a lighter product",
                where=f"{where}.{p.name}",
            )
    return side


def _lightest(side: SignalSide, place: int) -> float:
    p = side.particles[place]
    if p.width <= 0:
        return p.mass
    return max(sum(_lightest(side, i) for i in p.products), p.mass - _WIDTHS * p.width)


def breit_wigner(m: Array, nominal: float, width: float, m1: float, m2: float, parent: float, other: float) -> Array:
    """Density of the mass of a vector that decays to two pseudoscalars, beside another product; up to a constant.

    m Gamma(m) / ((m^2 - M^2)^2 + M^2 Gamma(m)^2) times the momentum of the two products of the parent, with
    Gamma(m) = Gamma (p/p_0)^3 M/m (PDG, resonances).

    Args:
        m: masses, GeV.
        nominal: M.
        width: Gamma at M.
        m1: mass of the first pseudoscalar.
        m2: of the second.
        parent: mass of the parent.
        other: mass of what recoils against the vector.

    Example:
        >>> x = breit_wigner(np.array([0.7, 0.89, 1.3]), 0.89555, 0.0473, 0.494, 0.14, 5.28, 1.0)
        >>> bool(x[1] > 20 * x[0] and x[1] > 20 * x[2])
        True
    """
    p = two_body_momentum(np.maximum(m, m1 + m2), m1, m2)
    p0 = float(two_body_momentum(nominal, m1, m2))
    running = width * (p / p0) ** 3 * nominal / m
    line = m * running / ((m * m - nominal**2) ** 2 + (nominal * running) ** 2)
    return np.asarray(line * two_body_momentum(parent, np.minimum(m, parent - other), other))


def _masses(side: SignalSide, mother: SignalParticle, of: int, n: int, rng: np.random.Generator) -> Array:
    """Masses of a product."""
    p = side.particles[of]
    if p.width <= 0:
        return np.full(n, p.mass)
    other = side.particles[next(i for i in mother.products if i != of)].mass
    first, second = (side.particles[i].mass for i in p.products)
    low = max(first + second, p.mass - _WIDTHS * p.width)
    high = min(p.mass + _WIDTHS * p.width, mother.mass - other)
    return draw_from_spectrum(
        lambda m: breit_wigner(m, p.mass, p.width, first, second, mother.mass, other), low, high, rng.random(n)
    )


def _longitudinal(side: SignalSide, p: SignalParticle) -> bool:
    """Whether conservation of angular momentum leaves a vector only helicity zero."""
    if p.spin2 != 2 or p.mother < 0:
        return False
    mother = side.particles[p.mother]
    others = [side.particles[i].spin2 for i in mother.products if side.particles[i] is not p]
    return mother.spin2 == 0 and others == [0] and all(side.particles[i].spin2 == 0 for i in p.products)


def decay_signal(
    side: SignalSide, b: Array, rng: np.random.Generator
) -> tuple[list[Array], list[Array], dict[str, Array]]:
    """Decay the B mesons and their products.

    Args:
        side: the chain.
        b: momenta of the B, (n, 4), in the laboratory.
        rng: random numbers.

    Returns:
        Laboratory momenta (n, 4) and production vertices (n, 3), cm, of each particle of the chain, the B included
        (made at the origin); columns ``proper_<name>`` (cm) and ``density_<name>`` (1/cm) of decay lengths that can be
        reweighted.
    """
    n = len(b)
    rest = np.zeros((n, 4))
    rest[:, 0] = side.meson.mass
    in_rest: list[Array] = [rest] * len(side.particles)
    lab: list[Array] = [b] * len(side.particles)
    vertex: list[Array] = [np.zeros((n, 3))] * len(side.particles)
    columns: dict[str, Array] = {}
    for place, p in enumerate(side.particles):
        if not p.products:
            continue
        at = vertex[place]
        lifetime = side.decays[p.name].lifetime
        if lifetime is not None:
            length, density = decay_lengths(lifetime, n, rng)
            at = at + lab[place][:, 1:] * (length / p.mass)[:, None]
            if density is not None:
                columns[f"proper_{p.name}"], columns[f"density_{p.name}"] = length, density
        first, second = (_masses(side, p, i, n, rng) for i in p.products)
        u = rng.random((2, n))
        cosine = np.cbrt(2 * u[0] - 1) if _longitudinal(side, p) else 2 * u[0] - 1
        made = two_body(in_rest[place], first, second, cosine, 2 * np.pi * u[1])
        for i, momentum in zip(p.products, made, strict=True):
            in_rest[i], lab[i], vertex[i] = momentum, from_rest_frame(momentum, b), at
    return lab, vertex, columns
