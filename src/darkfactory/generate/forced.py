"""Decays that Pythia is told: the only modes of some particles, and new particles that do not decay."""

from __future__ import annotations

from collections.abc import Mapping

from darkfactory.config.model import ModelConfig, ParticleConfig
from darkfactory.config.process import ProcessConfig
from darkfactory.core.errors import ConfigError

__all__ = ["forced_decays", "forced_fraction"]

# codes of dark matter and those that PDG leaves to generators
_NEW = ((51, 60), (9_000_000, 9_999_999))


def _is_new(particle: ParticleConfig) -> bool:
    return any(low <= abs(particle.pdg) <= high for low, high in _NEW)


def forced_decays(process: ProcessConfig, model: ModelConfig, parameters: Mapping[str, float]) -> tuple[str, ...]:
    """Lines for Pythia: new particles with their masses, then the modes of each particle in ``decays``.

    Modes are those of the particle; its antiparticle decays to the conjugate ones. Several products share phase space.

    Args:
        process: with its decays.
        model: codes and masses of new particles; others have the masses of Pythia's tables.
        parameters: on top of the model's.

    Raises:
        ConfigError: an unknown particle, a decay of an antiparticle, or one with a lifetime.

    Example:
        >>> from darkfactory.config.base import Tagged
        >>> model = ModelConfig(name="m", parameters={"m_X": 1.0}, vertices=(), particles=(
        ...     {"name": "X", "pdg": 9000005, "spin2": 0, "mass": "m_X"},
        ...     {"name": "K+", "antiparticle": "K-", "pdg": 321, "spin2": 0, "mass": 0.49, "charge3": 3},
        ...     {"name": "B+", "antiparticle": "B-", "pdg": 521, "spin2": 0, "mass": 5.28, "charge3": 3}))
        >>> process = ProcessConfig(name="p", engine="pythia", pythia={"tag": "B+"},
        ...     normalisation=Tagged(value=1.0, source="assumed"), decays={"B+": {"products": ["K+", "X"]}})
        >>> for line in forced_decays(process, model, {"m_X": 2.0}):
        ...     print(line)
        9000005:new = X void 1 0 0 2.0 0.0 0.0 0.0 0.0
        9000005:mayDecay = off
        521:oneChannel = 1 1.0 0 321 9000005
    """
    values = model.values({**process.parameters, **parameters})
    where = f"processes/{process.name}.decays"
    new: dict[str, list[str]] = {}
    lines: list[str] = []
    for name, decay in process.decays.items():
        mother, anti = model.particle(name)
        if anti or decay.lifetime is not None:
            raise ConfigError(
                f"{name}: give modes of the particle {mother.name}, without a lifetime: Pythia knows that of both",
                where=f"{where}.{name}",
            )
        for number, mode in enumerate(decay.alternatives):
            codes = []
            for product in mode.products:
                particle, is_anti = model.particle(product)
                codes.append(str(-particle.pdg if is_anti else particle.pdg))
                if _is_new(particle):
                    mass = model.number(particle.mass, values, f"particles.{particle.name}")
                    other = "void" if particle.antiparticle is None else f"{particle.name}bar"
                    numbers = f"{particle.spin2 + 1} 0 0 {mass!r} 0.0 0.0 0.0 0.0"
                    new[particle.name] = [
                        f"{particle.pdg}:new = {particle.name} {other} {numbers}",
                        f"{particle.pdg}:mayDecay = off",
                    ]
            word = "oneChannel" if number == 0 else "addChannel"
            lines.append(f"{mother.pdg}:{word} = 1 {mode.branching_fraction.value!r} 0 {' '.join(codes)}")
    return (*(line for both in new.values() for line in both), *lines)


def forced_fraction(process: ProcessConfig) -> float:
    """Product of the branching fractions of all forced decays, each of which happens once in an event.

    Example:
        >>> from darkfactory.config.base import Tagged
        >>> forced_fraction(ProcessConfig(name="p", engine="pythia", normalisation=Tagged(value=1.0, source="assumed")))
        1.0
    """
    fraction = 1.0
    for decay in process.decays.values():
        fraction *= decay.fraction
    return fraction
