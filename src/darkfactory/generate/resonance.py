"""Decays of a narrow leg with the correlations of the amplitude of the whole chain.

At the pole of a narrow resonance the amplitude of production and decay is ``sum_h M_prod(h) M_dec(h)`` times a
constant: decay directions, and the spins of the products, follow from it. The chain's amplitude is compiled with the
resonance as an internal line of negligible width and evaluated on the pole, so that its conventions are those of all
amplitudes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from darkfactory.config.model import ModelConfig
from darkfactory.config.process import ProcessConfig
from darkfactory.core.errors import ConfigError, RunError
from darkfactory.generate.amplitude.engine import Amplitude, compile_amplitude
from darkfactory.physics.kinematics import two_body

__all__ = ["Resonance", "decay_directions", "make_resonances", "pair_density"]

Array = NDArray[np.float64]
_WIDTH = 1e-6
"""Width over mass: other diagrams of the chain are below the pole by this, rounding of masses far below it."""
_DESIGN = np.concatenate([np.eye(3), -np.eye(3)])
"""The corners of an octahedron average polynomials of third order exactly over the sphere."""
_CALIBRATION = 4


@dataclasses.dataclass(frozen=True)
class Resonance:
    """A leg that decays with correlations.

    Attributes:
        leg: number of the leg in the hard process.
        spin2: twice its spin.
        masses: of the products, GeV.
        chain: amplitude with the products in place of the leg, as its last two legs.
        taus: numbers in the chain of the tau- and the tau+, where these are the products.
    """

    leg: int
    spin2: int
    masses: tuple[float, float]
    chain: Amplitude
    taus: tuple[int, int] | None

    def momenta(self, p: Array, pair: tuple[Array, Array]) -> Array:
        """Legs of the chain from those of the hard process (n, legs, 4) and the products, (n, 4) each."""
        return np.concatenate([np.delete(p, self.leg, axis=1), np.stack(pair, axis=1)], axis=1)

    def decay(self, p: Array, cos: Array, azimuth: Array) -> tuple[Array, Array]:
        """Products in the frame of the momenta, by angles in the rest frame of the leg."""
        return two_body(p[:, self.leg], *self.masses, cos, azimuth)


def make_resonances(
    process: ProcessConfig, model: ModelConfig, values: Mapping[str, float], hard: Amplitude
) -> tuple[Resonance, ...]:
    """The chains of the legs that decay with correlations.

    Args:
        process: the registry's entry.
        model: particles and vertices.
        values: model parameters that differ from the defaults.
        hard: amplitude of the hard process.

    Raises:
        ConfigError: a decay into other than two fermions, of a leg that occurs twice, or of a resonance with a shape.
    """
    out = []
    for name, decay in process.decays.items():
        if not decay.correlated:
            continue
        where = f"processes/{process.name}.decays.{name}"
        if process.final.count(name) != 1:
            raise ConfigError(
                f"{name} occurs {process.final.count(name)} times: only one can be correlated", where=where
            )
        leg = next(i for i, x in enumerate(hard.legs) if x.name == name and not x.incoming)
        if hard.legs[leg].variable_mass:
            raise ConfigError(f"{name} has a resonance shape: a correlated decay needs a narrow leg", where=where)
        out.append(_resonance(leg, decay.products, process, model, values, hard, where))
    return tuple(out)


def _resonance(
    leg: int,
    products: Sequence[str],
    process: ProcessConfig,
    model: ModelConfig,
    values: Mapping[str, float],
    hard: Amplitude,
    where: str,
) -> Resonance:
    name, mass = hard.legs[leg].name, hard.legs[leg].mass
    species, _ = model.particle(name)
    if any(model.particle(p)[0].spin2 != 1 for p in products) or species.spin2 not in (0, 2):
        raise ConfigError(
            f"{name} to {list(products)}: a correlated decay is of a boson into two fermions", where=where
        )
    # only lines of the production and the resonance itself: other chains with the same products have other poles
    inside = {line.particle for diagram in hard.diagrams for line in diagram.propagators} | {species.name}
    narrow = model.model_copy(
        update={
            "particles": tuple(
                p.model_copy(update={"width": _WIDTH * mass}) if p.name == species.name else p for p in model.particles
            )
        }
    )
    orders = {k: v + 1 for k, v in process.max_orders.items()}
    chain = compile_amplitude(
        narrow, process.initial, [*(n for n in process.final if n != name), *products], parameters=values,
        exclude_internal=[p.name for p in model.particles if p.name not in inside],
        max_orders=orders or None, min_orders=orders or None,
    )  # fmt: skip
    last = len(chain.legs) - 2
    pdg = [chain.legs[last].pdg, chain.legs[last + 1].pdg]
    taus = (last + pdg.index(15), last + pdg.index(-15)) if sorted(pdg) == [-15, 15] else None
    return Resonance(leg, species.spin2, (chain.legs[last].mass, chain.legs[last + 1].mass), chain, taus)


def _constant(resonance: Resonance, hard: Amplitude, p: Array) -> float:
    """Squared amplitude of the chain, averaged over directions, over that of the hard process."""
    p = p[:_CALIBRATION]
    total = np.zeros(len(p))
    for x, y, z in _DESIGN:
        pair = resonance.decay(p, np.full(len(p), z), np.full(len(p), np.arctan2(y, x)))
        total += resonance.chain.squared(resonance.momenta(p, pair), backend="numpy")
    ratio = total / len(_DESIGN) / hard.squared(p, backend="numpy")
    if not np.allclose(ratio, ratio[0], rtol=1e-3):
        raise RunError(
            f"decay of {hard.legs[resonance.leg].name}: chain and production disagree, with ratios {ratio.tolist()} "
            "that should be equal; the leg is too wide or its chain has other poles"
        )
    return float(ratio[0])


def decay_directions(resonance: Resonance, hard: Amplitude, p: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Momenta of the products, distributed as the squared amplitude of the chain.

    A vector's decay into two fermions is ``1 - a n.rho.n`` with a density matrix ``rho`` and ``a`` up to 1, at most
    3/2 of its average; a scalar's is isotropic.

    Args:
        resonance: the leg and its chain.
        hard: amplitude of the hard process.
        p: its momenta, (n, legs, 4), in its rest frame.
        rng: random stream.

    Raises:
        RunError: the chain's amplitude is not that of a narrow resonance.
    """
    n = len(p)
    cos, azimuth = np.zeros(n), np.zeros(n)
    if resonance.spin2 == 0 or n == 0:
        u = rng.random((2, n))
        return resonance.decay(p, 2 * u[0] - 1, 2 * np.pi * u[1])
    average = _constant(resonance, hard, p) * hard.squared(p)
    open_ = np.arange(n)
    while len(open_):
        u = rng.random((3, len(open_)))
        cos[open_], azimuth[open_] = 2 * u[0] - 1, 2 * np.pi * u[1]
        here = p[open_]
        pair = resonance.decay(here, cos[open_], azimuth[open_])
        ratio = resonance.chain.squared(resonance.momenta(here, pair)) / (1.5 * average[open_])
        if ratio.max() > 1.001:
            raise RunError(
                f"decay of {hard.legs[resonance.leg].name}: {1.5 * ratio.max():.4f} of the average rate in one "
                "direction, a vector has at most 1.5; the chain has other poles"
            )
        open_ = open_[u[2] >= ratio]
    return resonance.decay(p, cos, azimuth)


def pair_density(resonance: Resonance, p: Array, pair: tuple[Array, Array]) -> NDArray[np.complex128]:
    """Spin density of a tau pair, as of :meth:`Amplitude.spin_density` with the tau- first.

    Args:
        resonance: its products are taus.
        p: momenta of the hard process, (n, legs, 4).
        pair: momenta of the products.
    """
    if resonance.taus is None:
        raise RunError("the products of this decay are no taus and have no spin density")
    return np.asarray(resonance.chain.spin_density(resonance.momenta(p, pair), resonance.taus))
