"""A process ready for integration: amplitude, channels, cuts, radiation, beams."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkfactory.config.model import ModelConfig
from darkfactory.config.process import DecayMode, ProcessConfig, TauDecayConfig
from darkfactory.config.tau_decays import TauDecaysConfig
from darkfactory.core.digest import code_digest, digest_value
from darkfactory.core.errors import ConfigError
from darkfactory.generate.amplitude.engine import Amplitude, compile_amplitude
from darkfactory.generate.bias import Bias, make_biases
from darkfactory.generate.channels import Channel, make_channels
from darkfactory.generate.regions import Region, make_region
from darkfactory.generate.resonance import Resonance, make_resonances
from darkfactory.generate.taus.modes import TauModes, build_modes
from darkfactory.generate.topology import DiagramLike, permute, topologies
from darkfactory.physics.beams import Beams

__all__ = ["Process", "Product", "WideLeg", "build_process"]

Array = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class WideLeg:
    """A final leg with a resonance shape: Gamma(m) = ratio m, mass in GeV."""

    leg: int
    mass: float
    ratio: float


@dataclasses.dataclass(frozen=True)
class Product:
    """A particle of the decays; mass in GeV."""

    pdg: int
    mass: float


@dataclasses.dataclass(frozen=True)
class Process:
    """Everything that integration and generation need; pure data but for the compiled amplitude."""

    config: ProcessConfig
    model: ModelConfig
    parameters: Mapping[str, float]
    beams: Beams
    amplitude: Amplitude
    region: Region
    channels: tuple[Channel, ...]
    biases: tuple[Bias, ...]
    wide: WideLeg | None
    vacuum_polarisation: bool
    products: Mapping[str, Product]
    resonances: tuple[Resonance, ...]
    tau_decays: TauDecaysConfig | None
    tau_modes: TauModes | None

    def product(self, name: str) -> Product:
        """A particle of the decays: one that decays, a product or a mediator."""
        return self.products[name]

    def mode_fraction(self, mode: DecayMode) -> float:
        """Branching fraction of a mode, times those of its products' decays."""
        return float(np.prod([mode.branching_fraction.value, *(self.decay_fraction(n) for n in mode.products)]))

    def decay_fraction(self, name: str) -> float:
        """Branching fraction of all modes of a particle together, 1 if it does not decay."""
        decay = self.config.decays.get(name)
        return 1.0 if decay is None else float(sum(self.mode_fraction(mode) for mode in decay.alternatives))

    @property
    def n_final(self) -> int:
        """Final legs of the hard process."""
        return len(self.amplitude.legs) - 2

    @property
    def groups(self) -> int:
        """Groups of channels with common grids."""
        return max(c.group for c in self.channels) + 1

    @property
    def sqrts(self) -> float:
        """Nominal CM energy in GeV."""
        return self.beams.frame.sqrts

    @cached_property
    def digest(self) -> str:
        """Digest of configuration, parameters, beams and of the code that generates."""
        value: dict[str, Any] = {
            "config": self.config.model_dump(mode="json"),
            "model": self.model.model_dump(mode="json"),
            "parameters": dict(self.parameters),
            "beams": dataclasses.asdict(self.beams),
            "taus": self.tau_decays.model_dump(mode="json") if self.tau_decays is not None else None,
            "code": code_digest("darkfactory.generate.chunk"),
        }
        return digest_value(value)


def _single_photon(diagrams: Sequence[DiagramLike], full: int) -> bool:
    """Whether every diagram has exactly one photon line, with the momentum of the hard process."""
    for diagram in diagrams:
        photons = [p for p in diagram.propagators if getattr(p, "particle", "") == "gamma"]
        if len(photons) != 1 or photons[0].mask != full:
            return False
    return True


def _check_poles(amplitude: Amplitude, sqrts: float, where: str) -> None:
    """An internal particle that can be real needs a width."""
    masses = [leg.mass for leg in amplitude.legs]
    total = sum(masses[2:])
    for diagram in amplitude.diagrams:
        for line in diagram.propagators:
            if line.mask & 2 or line.width > 0:
                continue
            inside = sum(m for i, m in enumerate(masses) if line.mask >> i & 1)
            if inside * (1 + 1e-9) < line.mass < sqrts - (total - inside):
                raise ConfigError(
                    f"internal {line.particle} of {line.mass:.5g} GeV can be real but has no width: the cross-section "
                    "is infinite; give it a width or name it in exclude_internal",
                    where=where,
                )


def _decay_particles(process: ProcessConfig, model: ModelConfig, values: Mapping[str, float]) -> dict[str, Product]:
    """Everything that decays names, with its mass."""
    all_values = model.values(values)
    modes = [mode for decay in process.decays.values() for mode in decay.alternatives]
    names = [*process.decays, *(n for m in modes for n in m.products), *(m.mediator for m in modes if m.mediator)]
    products: dict[str, Product] = {}
    for name in dict.fromkeys(names):
        particle, anti = model.particle(name)
        mass = model.number(particle.mass, all_values, f"particles.{particle.name}.mass")
        products[name] = Product(-particle.pdg if anti else particle.pdg, mass)
    return products


def _check_decays(process: ProcessConfig, products: Mapping[str, Product], wide: str | None, where: str) -> None:
    """Decays are possible; particles that carry decay lengths have names that can be columns."""
    for name, decay in process.decays.items():
        at = f"{where}.decays.{name}"
        for mode in decay.alternatives:
            total = sum(products[n].mass for n in mode.products)
            if name == wide and len(mode.products) == 3:
                raise ConfigError(f"three-body decays need a fixed mass, {name} is the wide leg", where=at)
            if name != wide and total >= products[name].mass:
                raise ConfigError(
                    f"{name} of {products[name].mass:.5g} GeV cannot decay to products of {total:.5g} GeV", where=at
                )
            if mode.mediator is None:
                continue
            mediator, step = products[mode.mediator].mass, products[name].mass - products[mode.products[0]].mass
            if mediator <= step:
                raise ConfigError(
                    f"mediator {mode.mediator} of {mediator:.5g} GeV can be real in a step of {step:.5g} GeV: "
                    "write two two-body decays",
                    where=at,
                )
        if decay.lifetime is not None and decay.lifetime.mixture_cm is not None and not name.isidentifier():
            raise ConfigError(
                f"{name!r} cannot name a column of decay lengths; use letters, digits and _ in the model", where=at
            )


def _boson_mass(taus: TauDecayConfig, model: ModelConfig, values: Mapping[str, float], where: str) -> float | None:
    """Mass in GeV of the boson that taus decay to, from the model's parameters."""
    if taus.boson_mass is None:
        return None
    known = model.values(values)
    if taus.boson_mass not in known:
        raise ConfigError(
            f"unknown parameter {taus.boson_mass!r} of model {model.name}; name one of its masses, "
            f"such as {[k for k in known if k.startswith('m_')][:3]}",
            where=where,
        )
    return known[taus.boson_mass]


def _check_neutral_pions(modes: TauModes, where: str) -> None:
    """Every allowed pair of modes has a neutral pion."""
    has = np.array([111 in s.pdg for s in modes.samplers])
    without = np.argwhere((modes.pairs > 0) & ~(has[:, None] | has[None, :]))
    if len(without):
        pair = ", ".join(modes.names[int(i)] for i in without[0])
        raise ConfigError(f"the taus may decay to ({pair}) without a neutral pion; choose modes with one", where=where)


def build_process(
    process: ProcessConfig,
    model: ModelConfig,
    parameters: Mapping[str, float],
    beams: Beams,
    tau_decays: TauDecaysConfig | None = None,
) -> Process:
    """Compile the amplitude and make the channels.

    Args:
        process: the registry's entry, engine ``tree``.
        model: particles and vertices.
        parameters: values on top of the process's; ``width_over_mass`` makes its ``wide`` leg a resonance.
        beams: energies, spreads, crossing angle.
        tau_decays: the decay table, for processes with ``taus``.

    Raises:
        ConfigError: an engine other than ``tree``, masses above the energy, unknown parameters, or photons without
            the cuts that keep their cross-section finite.
    """
    where = f"processes/{process.name}"
    if process.engine != "tree":
        raise ConfigError(f"engine {process.engine!r} has no amplitude; generate with its own engine", where=where)
    values = {**process.parameters, **parameters}
    ratio = float(values.pop("width_over_mass", 0.0))
    if ratio < 0 or (ratio > 0 and process.wide is None):
        raise ConfigError(
            f"width_over_mass = {ratio:g}: must be positive, and the process must name its wide leg", where=where
        )
    wide_names = [process.wide] if process.wide is not None and ratio > 0 else []
    amplitude = compile_amplitude(
        model, process.initial, process.final, parameters=values, exclude_internal=process.exclude_internal,
        max_orders=process.max_orders or None, variable_mass=wide_names,
    )  # fmt: skip
    legs = amplitude.legs
    wide = None
    if wide_names:
        index = next(i for i, leg in enumerate(legs) if leg.name == wide_names[0] and not leg.incoming)
        wide = WideLeg(index, legs[index].mass, ratio)
    threshold = sum(leg.mass for i, leg in enumerate(legs) if not leg.incoming and (wide is None or i != wide.leg))
    sqrts = beams.frame.sqrts
    if threshold >= sqrts:
        raise ConfigError(
            f"the products' masses add up to {threshold:.5g} GeV, above the CM energy of {sqrts:.5g} GeV; "
            "choose lighter ones",
            where=where,
        )
    _check_poles(amplitude, sqrts, f"{where}.exclude_internal")
    region = make_region(process.cuts, legs)
    n_final = len(legs) - 2
    if n_final > 2:
        for leg, cut in zip(legs, region.legs, strict=True):
            if not leg.incoming and leg.pdg == 22 and not cut.e_min > 0:
                raise ConfigError(
                    f"photons of any energy among {n_final} products have no finite cross-section: "
                    "cut on e_cms_min of gamma",
                    where=f"{where}.cuts.legs",
                )
    products = _decay_particles(process, model, values)
    _check_decays(process, products, legs[wide.leg].name if wide is not None else None, where)
    resonances = make_resonances(process, model, values, amplitude)
    modes = None
    if process.taus is not None:
        if tau_decays is None:
            raise ConfigError("the process decays taus: a table of tau decays is needed", where=f"{where}.taus")
        tau_mass = next((leg.mass for leg in legs if abs(leg.pdg) == 15), None)
        of_legs = [r for r in resonances if r.taus is not None]
        if (tau_mass is not None) + len(of_legs) != 1:
            raise ConfigError(
                f"taus: {len(of_legs)} correlated decays into taus beside the legs {[leg.name for leg in legs[2:]]}; "
                "one tau pair is needed, either among the legs or from one decay with `correlated: true`",
                where=f"{where}.taus",
            )
        tau_mass = of_legs[0].masses[0] if of_legs else tau_mass
        boson = _boson_mass(process.taus, model, values, f"{where}.taus.boson_mass")
        modes = build_modes(tau_decays, process.taus.first, process.taus.second, tau_mass=tau_mass, boson_mass=boson)
        if process.taus.dalitz is not None:
            _check_neutral_pions(modes, f"{where}.taus.dalitz")
    found = topologies(amplitude.diagrams, len(legs))
    channels = make_channels(found, [permute(t, legs) for t in found], legs, region)
    full = (1 << len(legs)) - 4
    single = _single_photon(amplitude.diagrams, full)
    return Process(
        process, model, dict(values, **({"width_over_mass": ratio} if ratio else {})), beams, amplitude, region,
        channels, make_biases(process.bias, legs), wide,
        process.vp == "on" or (process.vp == "auto" and single), products, resonances, tau_decays, modes,
    )  # fmt: skip
