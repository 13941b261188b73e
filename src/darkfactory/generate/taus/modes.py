"""Which decays the two taus of an event may take, and what choosing only those is worth."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from darkfactory.config.tau_decays import TauDecaysConfig, TauModeConfig
from darkfactory.core.errors import ConfigError
from darkfactory.generate.taus.samplers import (
    LeptonSampler,
    PhaseSpaceSampler,
    Sampler,
    ThreePionSampler,
    TwoBodySampler,
    VectorSampler,
)
from darkfactory.physics import constants as const

__all__ = ["TauModes", "build_modes", "build_sampler", "particle_mass"]

Array = NDArray[np.float64]
Names = str | Sequence[str]

_MASSES = {
    11: const.M_E, 13: const.M_MU, 111: const.M_PI0, 211: const.M_PIPLUS, 311: const.M_K0, 321: const.M_KPLUS,
}  # fmt: skip


def particle_mass(pdg: int) -> float:
    """Mass in GeV of a tau decay product.

    Example:
        >>> particle_mass(-211)
        0.13957039
    """
    return _MASSES[abs(pdg)]


@functools.lru_cache(maxsize=256)
def build_sampler(name: str, mode: TauModeConfig, tau_mass: float, boson_mass: float | None = None) -> Sampler:
    """The sampler of one mode; kept, since the tables of three pions take some tenths of a second.

    Args:
        name: the mode's name, for messages.
        mode: its configuration.
        tau_mass: in GeV.
        boson_mass: in GeV, replaces the configured mass of the boson of a ``lepton_boson`` mode.

    Raises:
        ConfigError: an unknown product, or a mode that is closed at this tau mass.

    Example:
        >>> from darkfactory.config.base import Tagged
        >>> mode = TauModeConfig(kind="meson", daughters=(-211,), bf=Tagged(value=0.1082, source="published"))
        >>> build_sampler("pi", mode, 1.777).pdg
        (-211, 16)
    """
    d = mode.daughters
    if mode.kind == "lepton_boson":
        masses = [particle_mass(d[0]), mode.boson_mass or 0.0 if boson_mass is None else boson_mass]
    else:
        unknown = [p for p in d if abs(p) not in _MASSES]
        if unknown:
            raise ConfigError(
                f"products {unknown} are not known to the tau decays; allowed: {sorted(_MASSES)} with signs",
                where=f"modes.{name}.daughters",
            )
        masses = [particle_mass(p) for p in d]
    if sum(masses) >= tau_mass:
        raise ConfigError(
            f"products of {sum(masses):.4f} GeV are heavier than the tau ({tau_mass} GeV); "
            "lower the boson's mass or drop the mode",
            where=f"modes.{name}",
        )
    if mode.kind == "lepton":
        return LeptonSampler(tau_mass, d[0], masses[0])
    if mode.kind == "meson":
        return TwoBodySampler(tau_mass, (d[0], 16), (masses[0], 0.0), 1.0)
    if mode.kind == "lepton_boson":
        alpha = mode.asymmetry.value if mode.asymmetry else 0.0
        return TwoBodySampler(tau_mass, (d[0], d[1]), (masses[0], masses[1]), alpha)
    if mode.kind == "vector":
        return VectorSampler.build(tau_mass, (d[0], d[1]), (masses[0], masses[1]), mode.resonances, mode.line_shape)
    if mode.kind == "three_pions" and mode.a1 is not None:
        return ThreePionSampler.build(tau_mass, (d[0], d[1], d[2]), mode.resonances, mode.a1)
    return PhaseSpaceSampler.build(tau_mass, d, tuple(masses), mode.resonances)


@dataclasses.dataclass(frozen=True, eq=False)
class TauModes:
    """Allowed decays of a tau pair (or of single taus), ready to be drawn.

    Attributes:
        names: of all modes that occur.
        samplers: one per name.
        bf: branching fractions, shape (m,).
        pairs: probability of (mode of the tau-, mode of the tau+) among the allowed ones, shape (m, m).
        weight: product of forced branching fractions, summed over the allowed pairs.
        tau_mass: in GeV.
        ctau_cm: mean proper decay length in cm.
        modelled_fraction: sum of the branching fractions of all Standard-Model modes of the configuration.
    """

    names: tuple[str, ...]
    samplers: tuple[Sampler, ...]
    bf: Array
    pairs: Array
    weight: float
    tau_mass: float
    ctau_cm: float
    modelled_fraction: float

    def draw(self, n: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Mode indices of n tau- and n tau+."""
        cdf = np.cumsum(self.pairs.ravel())
        index = np.searchsorted(cdf / cdf[-1], rng.random(n), side="right")
        index = np.minimum(index, len(cdf) - 1)
        return index // len(self.names), index % len(self.names)


def build_modes(
    config: TauDecaysConfig,
    first: Names = "any",
    second: Names = "any",
    *,
    ordered: bool = False,
    tau_mass: float | None = None,
    boson_mass: float | None = None,
) -> TauModes:
    """Let one tau decay to ``first`` and the other to ``second``.

    Which of them is the tau- is open (unless ``ordered``: then ``first`` is the tau-): a pair of modes is allowed
    if it fits either way, counted once. The weight is the sum of the products of branching fractions of the
    allowed pairs: BF(mu)^2 for (mu, mu), 2 BF(mu) BF(e) for (mu, e). A tau that may decay to ``any`` has the
    weight 1 when the configuration says that the modelled modes stand for the rest.

    Args:
        config: the decay table.
        first: modes or groups of one tau; an empty list is ``any``.
        second: modes or groups of the other.
        ordered: whether ``first`` belongs to the tau- and ``second`` to the tau+.
        tau_mass: in GeV, if not the configured one.
        boson_mass: in GeV, of the boson in ``lepton_boson`` modes.

    Raises:
        ConfigError: an unknown mode, or a closed one.
    """
    mass = config.mass.value if tau_mass is None else tau_mass
    try:
        sides = [config.expand(s if isinstance(s, str) else tuple(s) or "any") for s in (first, second)]
    except ValueError as error:
        raise ConfigError(str(error), where="tau_modes") from error
    names = tuple(k for k in config.modes if k in sides[0] or k in sides[1])
    bf = np.array([config.modes[k].bf.value for k in names])
    every = config.expand("any")
    scale = [1 / config.modelled_fraction if config.remainder == "scale" and side == every else 1.0 for side in sides]
    member = [np.array([k in side for k in names]) for side in sides]
    fraction = [bf * m * s for m, s in zip(member, scale, strict=True)]
    allowed = np.outer(fraction[0], fraction[1])
    if not ordered:
        # a pair that fits both ways has the same product of fractions twice: taken once
        allowed = np.maximum(allowed, allowed.T)
    samplers = tuple(build_sampler(k, config.modes[k], mass, boson_mass) for k in names)
    return TauModes(
        names=names,
        samplers=samplers,
        bf=bf,
        pairs=allowed / allowed.sum(),
        weight=float(allowed.sum()),
        tau_mass=mass,
        ctau_cm=config.ctau_cm.value,
        modelled_fraction=config.modelled_fraction,
    )
