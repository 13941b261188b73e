"""Unpolarised decays of a tau- at rest, one sampler per kind of matrix element.

A sampler returns four-momenta (n, k, 4) in GeV, isotropic in space, and the polarimeter vectors h (n, 3): a tau
with polarisation P decays with a probability proportional to 1 + h.P. Neutrinos are massless and left-handed,
the charged current is V-A; radiation off the products is not included.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from darkfactory.config.tau_decays import Resonance
from darkfactory.generate.taus.currents import (
    a1_propagator,
    form_factor,
    polarimeter,
    three_pion_current,
)
from darkfactory.physics.constants import M_PI0, M_PIPLUS
from darkfactory.physics.kinematics import two_body_momentum

__all__ = [
    "LeptonSampler",
    "PhaseSpaceSampler",
    "Sampler",
    "ThreePionSampler",
    "TwoBodySampler",
    "VectorSampler",
    "nbody_rest",
    "random_rotations",
]

Array = NDArray[np.float64]
Rng = np.random.Generator
_NODES = 4001
_PHASE_SPACE_TRIES = 2000


class Sampler(Protocol):
    """What every kind of decay offers."""

    @property
    def pdg(self) -> tuple[int, ...]:
        """Codes of the products of the tau-, in the order of the momenta."""

    def sample(self, n: int, rng: Rng) -> tuple[Array, Array]:
        """Momenta (n, k, 4) in the rest frame and polarimeters (n, 3)."""


def random_rotations(n: int, rng: Rng) -> Array:
    """Uniformly distributed rotation matrices (n, 3, 3).

    Example:
        >>> r = random_rotations(5, np.random.default_rng(1))
        >>> bool(np.allclose(np.linalg.det(r), 1) and np.allclose(r @ r.transpose(0, 2, 1), np.eye(3)))
        True
    """
    u = rng.random((3, n))
    # uniform unit quaternions (Shoemake)
    a, b = np.sqrt(1 - u[0]), np.sqrt(u[0])
    x, y = a * np.sin(2 * np.pi * u[1]), a * np.cos(2 * np.pi * u[1])
    z, w = b * np.sin(2 * np.pi * u[2]), b * np.cos(2 * np.pi * u[2])
    out = np.empty((n, 3, 3))
    out[:, 0, 0], out[:, 0, 1], out[:, 0, 2] = 1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)
    out[:, 1, 0], out[:, 1, 1], out[:, 1, 2] = 2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)
    out[:, 2, 0], out[:, 2, 1], out[:, 2, 2] = 2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)
    return out


def _isotropic(n: int, rng: Rng) -> Array:
    c = 2 * rng.random(n) - 1
    f = 2 * np.pi * rng.random(n)
    s = np.sqrt(np.maximum((1 - c) * (1 + c), 0.0))
    return np.stack([s * np.cos(f), s * np.sin(f), c], axis=1)


def _vector(energy: Array, space: Array) -> Array:
    return np.concatenate([energy[:, None], space], axis=1)


def _boost_z(p: Array, energy: Array, mom: Array, m: Array) -> Array:
    """Boost (n, k, 4) along z to the frame where a mass ``m`` has energy and momentum as given."""
    g, b = (energy / m)[:, None], (mom / m)[:, None]
    return np.stack([g * p[..., 0] + b * p[..., 3], p[..., 1], p[..., 2], g * p[..., 3] + b * p[..., 0]], axis=-1)


def _collect(n: int, efficiency: float, propose: Callable[[int], tuple[Array, ...]]) -> tuple[Array, ...]:
    """Call ``propose(tries) -> accepted arrays`` until n are there; the same for the same random stream."""
    parts: list[tuple[Array, ...]] = []
    have = 0
    while have < n:
        part = propose(int((n - have) / efficiency * 1.05) + 32)
        parts.append(part)
        have += len(part[0])
    return tuple(np.concatenate(column)[:n] for column in zip(*parts, strict=True))


def _inverse_cdf(x: Array, density: Array) -> Array:
    """Cumulative distribution at the nodes ``x`` by the trapezium rule, ending at 1."""
    steps = 0.5 * (density[1:] + density[:-1]) * np.diff(x)
    cdf = np.concatenate([[0.0], np.cumsum(steps)])
    return np.asarray(cdf / cdf[-1])


def _neutrino_and_hadrons(tau_mass: float, hadrons: Array, m_had: Array, h: Array, rng: Rng) -> tuple[Array, Array]:
    """Boost hadrons (n, k, 4) from their rest frame along z, add the neutrino, turn everything at random."""
    k = (tau_mass**2 - m_had**2) / (2 * tau_mass)
    boosted = _boost_z(hadrons, tau_mass - k, k, m_had)
    nu = np.stack([k, 0 * k, 0 * k, -k], axis=1)[:, None, :]
    every = np.concatenate([nu, boosted], axis=1)
    rotation = random_rotations(len(k), rng)
    every[..., 1:] = np.einsum("nij,nkj->nki", rotation, every[..., 1:])
    return every, np.einsum("nij,nj->ni", rotation, h)


@dataclasses.dataclass(frozen=True)
class LeptonSampler:
    """tau- -> nu_tau l- nubar_l.

    The squared amplitude is ``(p_tau.p_nubar)(p_l.p_nu)`` and for a polarised tau p_tau is replaced by
    p_tau - m s (V-A): with s = (p_l + p_nu)^2 the decay is ``ds (m^2 - s)^2 (s - m_l^2)^2 / s``, isotropic in
    both steps, and h is the direction of the antineutrino.
    """

    tau_mass: float
    lepton: int
    lepton_mass: float

    @property
    def pdg(self) -> tuple[int, ...]:
        """nu_tau, lepton, antineutrino."""
        return (16, self.lepton, -(self.lepton + 1))

    def sample(self, n: int, rng: Rng) -> tuple[Array, Array]:
        """Momenta in the rest frame and polarimeters."""
        m, r = self.tau_mass, (self.lepton_mass / self.tau_mass) ** 2

        def propose(tries: int) -> tuple[Array, ...]:
            y = rng.beta(2.0, 3.0, tries)
            accept = (y > r) & (rng.random(tries) * y * y < (y - r) ** 2)
            return (y[accept],)

        (y,) = _collect(n, 0.9, propose)
        k = 0.5 * m * (1 - y)
        direction = _isotropic(n, rng)
        nubar = _vector(k, k[:, None] * direction)
        pair_mass = m * np.sqrt(y)
        q = 0.5 * pair_mass * (1 - r / y)
        inner = _isotropic(n, rng)
        e_lepton = np.sqrt(q * q + self.lepton_mass**2)
        pair = np.stack([_vector(q, q[:, None] * inner), _vector(e_lepton, -q[:, None] * inner)], axis=1)
        boosted = _boost_along(pair, -direction, m - k, k, pair_mass)
        return np.concatenate([boosted, nubar[:, None, :]], axis=1), direction


def _boost_along(p: Array, axis: Array, energy: Array, mom: Array, m: Array) -> Array:
    """Boost (n, k, 4) along unit vectors (n, 3)."""
    g, b = (energy / m)[:, None], (mom / m)[:, None]
    along = np.einsum("nkj,nj->nk", p[..., 1:], axis)
    e = g * p[..., 0] + b * along
    shift = (g - 1) * along + b * p[..., 0]
    return np.concatenate([e[..., None], p[..., 1:] + shift[..., None] * axis[:, None, :]], axis=-1)


@dataclasses.dataclass(frozen=True)
class TwoBodySampler:
    """Two-body decay; h is ``asymmetry`` times the direction of the first product.

    tau- -> P nu: the pseudoscalar is first and the asymmetry is 1 (left-handed neutrino).
    """

    tau_mass: float
    products: tuple[int, int]
    masses: tuple[float, float]
    asymmetry: float

    @property
    def pdg(self) -> tuple[int, ...]:
        """The two products."""
        return self.products

    def sample(self, n: int, rng: Rng) -> tuple[Array, Array]:
        """Momenta in the rest frame and polarimeters."""
        k = float(two_body_momentum(self.tau_mass, *self.masses))
        direction = _isotropic(n, rng)
        p = np.empty((n, 2, 4))
        for i, (m, sign) in enumerate(zip(self.masses, (1, -1), strict=True)):
            p[:, i, 0] = np.sqrt(k * k + m * m)
            p[:, i, 1:] = sign * k * direction
        return p, self.asymmetry * direction


@dataclasses.dataclass(frozen=True, eq=False)
class VectorSampler:
    """tau- -> nu P1 P2 through vector resonances, J = F(s) (q1 - q2) made transverse; nothing is rejected.

    At a given mass the helicity angle follows ``1 + (m^2/s - 1) cos^2``. The scalar form factor is left out.
    """

    tau_mass: float
    hadrons: tuple[int, int]
    masses: tuple[float, float]
    nodes: Array
    cdf: Array

    @property
    def pdg(self) -> tuple[int, ...]:
        """nu_tau and the two mesons."""
        return (16, *self.hadrons)

    @classmethod
    def build(
        cls,
        tau_mass: float,
        hadrons: tuple[int, int],
        masses: tuple[float, float],
        terms: Sequence[Resonance],
        shape: str,
    ) -> VectorSampler:
        """Tabulate the spectrum ``(m^2 - s)^2 (m^2/s + 2) p^3/sqrt(s) |F|^2``."""
        low, high = sum(masses), tau_mass
        m_had = np.linspace(low, high, _NODES)
        s = m_had**2
        p = two_body_momentum(m_had, *masses)
        spectrum = (tau_mass**2 - s) ** 2 * (tau_mass**2 / s + 2) * p**3 / m_had
        density = 2 * m_had * spectrum * np.abs(form_factor(s, terms, *masses, shape)) ** 2
        return cls(tau_mass, hadrons, masses, m_had, _inverse_cdf(m_had, density))

    def sample(self, n: int, rng: Rng) -> tuple[Array, Array]:
        """Momenta in the rest frame and polarimeters."""
        m_had = np.interp(rng.random(n), self.cdf, self.nodes)
        stretch = self.tau_mass / m_had
        slope = stretch**2 - 1
        u = rng.random(n)
        c = 2 * u - 1
        # mixture of 1 and 3 c^2 with weights 1 and slope/3
        square = rng.random(n) * (1 + slope / 3) > 1
        c = np.where(square, np.cbrt(c), c)
        f = 2 * np.pi * rng.random(n)
        sin = np.sqrt(np.maximum((1 - c) * (1 + c), 0.0))
        axis = np.stack([sin * np.cos(f), sin * np.sin(f), c], axis=1)
        k = two_body_momentum(m_had, *self.masses)
        energies = [np.sqrt(k * k + m * m) for m in self.masses]
        pair = [_vector(e, sign * k[:, None] * axis) for e, sign in zip(energies, (1, -1), strict=True)]
        _, h = polarimeter(axis.astype(complex), stretch)
        return _neutrino_and_hadrons(self.tau_mass, np.stack(pair, axis=1), m_had, h, rng)


@dataclasses.dataclass(frozen=True, eq=False)
class ThreePionSampler:
    """tau- -> nu pi pi pi with the current of Kuhn and Santamaria; the odd pion is the last."""

    tau_mass: float
    hadrons: tuple[int, int, int]
    m_like: float
    m_odd: float
    terms: tuple[Resonance, ...]
    nodes: Array
    cdf: Array
    average: Array
    ceiling: float
    efficiency: float

    @property
    def pdg(self) -> tuple[int, ...]:
        """nu_tau and the three pions."""
        return (16, *self.hadrons)

    @classmethod
    def build(
        cls, tau_mass: float, hadrons: tuple[int, int, int], terms: Sequence[Resonance], a1: Resonance
    ) -> ThreePionSampler:
        """Tabulate the spectrum of the three-pion mass and the largest weight, with a fixed stream."""
        m_odd, m_like = (M_PIPLUS, M_PI0) if hadrons[0] == 111 else (M_PIPLUS, M_PIPLUS)
        nodes = np.linspace(2 * m_like + m_odd + 1e-6, tau_mass - 1e-6, 161)
        flat = cls(tau_mass, hadrons, m_like, m_odd, tuple(terms), nodes, nodes, np.ones_like(nodes), 1.0, 0.25)
        rng = np.random.Generator(np.random.Philox(1990))
        per_node = 400
        _, weight = flat._propose_internal(np.repeat(nodes, per_node), rng)
        average = weight.reshape(len(nodes), per_node).mean(axis=1)
        s = nodes**2
        outer = (tau_mass**2 - s) ** 2 * (tau_mass**2 / s + 2) / s * np.abs(a1_propagator(s, a1)) ** 2
        table = dataclasses.replace(flat, cdf=_inverse_cdf(nodes, 2 * nodes * outer * average), average=average)
        m_had = np.interp(rng.random(40_000), table.cdf, nodes)
        # piecewise constant density of the table times the slope of the current within a bin
        ratio = table._propose_internal(m_had, rng)[1] * table._correction(m_had)
        ceiling = 1.15 * float(ratio.max())
        return dataclasses.replace(table, ceiling=ceiling, efficiency=0.5 * float(ratio.mean()) / ceiling)

    def _correction(self, m_had: Array) -> Array:
        """One over the tabulated mean of the squared current."""
        return np.asarray(1.0 / np.interp(m_had, self.nodes, self.average))

    def _propose_internal(self, m_had: Array, rng: Rng) -> tuple[Array, Array]:
        """Pions in their rest frame by a mixture of two rho channels, and |J|^2 over the proposal's density."""
        n, rho = len(m_had), self.terms[0]
        low, high = (self.m_like + self.m_odd) ** 2, (m_had - self.m_like) ** 2
        centre, breadth = rho.mass**2, 1.3 * rho.mass * rho.width
        a, b = np.arctan((low - centre) / breadth), np.arctan((high - centre) / breadth)
        s = np.clip(centre + breadth * np.tan(a + (b - a) * rng.random(n)), low, high)
        c = 2 * rng.random(n) - 1
        # spectator (like), then the pair's like and odd pion, all in the x-z plane
        pair_mass = np.sqrt(s)
        k = two_body_momentum(m_had, self.m_like, pair_mass)
        q = two_body_momentum(pair_mass, self.m_like, self.m_odd)
        sin = np.sqrt(np.maximum((1 - c) * (1 + c), 0.0))
        zero = 0 * q
        like = np.stack([np.sqrt(q * q + self.m_like**2), q * sin, zero, q * c], axis=1)
        odd = np.stack([np.sqrt(q * q + self.m_odd**2), -q * sin, zero, -q * c], axis=1)
        pair = _boost_z(np.stack([like, odd], axis=1), np.sqrt(k * k + s), k, pair_mass)
        spectator = np.stack([np.sqrt(k * k + self.m_like**2), zero, zero, -k], axis=1)
        # density in the flat Dalitz measure ds ds' of both channels: s' runs over 4 k* q
        other = (
            self.m_like**2
            + self.m_odd**2
            + 2 * (spectator[:, 0] * pair[:, 1, 0] - (spectator[:, 1:] * pair[:, 1, 1:]).sum(1))
        )

        def density(x: Array) -> Array:
            x = np.clip(x, low, high)
            width = (
                4
                * two_body_momentum(np.sqrt(x), self.m_like, self.m_odd)
                * (two_body_momentum(m_had, self.m_like, np.sqrt(x)) * m_had / np.sqrt(x))
            )
            lorentz = breadth / ((x - centre) ** 2 + breadth**2) / (b - a)
            return np.asarray(lorentz / np.maximum(width, 1e-12))

        mixture = 0.5 * (density(s) + density(other))
        current = three_pion_current(spectator, pair[:, 0], pair[:, 1], self.m_like, self.m_odd, self.terms)
        weight = (np.abs(current) ** 2).sum(1) / mixture
        pions = np.concatenate([spectator[:, None], pair], axis=1)
        swap = rng.random(n) < 0.5
        pions[swap, 0], pions[swap, 1] = pions[swap, 1].copy(), pions[swap, 0].copy()
        return pions, weight

    def sample(self, n: int, rng: Rng) -> tuple[Array, Array]:
        """Momenta in the rest frame and polarimeters."""

        def propose(tries: int) -> tuple[Array, ...]:
            m_had = np.interp(rng.random(tries), self.cdf, self.nodes)
            pions, weight = self._propose_internal(m_had, rng)
            keep = rng.random(tries) * self.ceiling < weight * self._correction(m_had)
            m_had, pions = m_had[keep], pions[keep]
            # the orientation of the pions relative to the neutrino, by the lepton tensor
            rotation = random_rotations(len(m_had), rng)
            pions[..., 1:] = np.einsum("nij,nkj->nki", rotation, pions[..., 1:])
            current = three_pion_current(pions[:, 0], pions[:, 1], pions[:, 2], self.m_like, self.m_odd, self.terms)
            stretch = self.tau_mass / m_had
            norm, h = polarimeter(current, stretch)
            largest = np.maximum(stretch**2, 2.0) * (np.abs(current) ** 2).sum(1)
            keep = rng.random(len(m_had)) * largest < norm
            return m_had[keep], pions[keep], h[keep]

        m_had, pions, h = _collect(n, self.efficiency, propose)
        return _neutrino_and_hadrons(self.tau_mass, pions, m_had, h, rng)


def nbody_rest(mass: Array, masses: Sequence[float], rng: Rng) -> tuple[Array, Array]:
    """N-body phase space in the rest frame by sorted intermediate masses (Raubold-Lynch).

    Args:
        mass: total masses, shape (n,), GeV.
        masses: masses of the products.
        rng: random stream.

    Returns:
        Momenta (n, k, 4) and the weights, products of the break-up momenta over their upper bound, at most 1.

    Example:
        >>> p, w = nbody_rest(np.full(4, 1.5), [0.14, 0.14, 0.14], np.random.default_rng(1))
        >>> p.sum(axis=1).round(9)[0].tolist(), bool((w <= 1).all())
        ([1.5, 0.0, 0.0, 0.0], True)
    """
    n, k = len(mass), len(masses)
    total = np.cumsum(masses)
    free = mass - total[-1]
    cuts = np.sort(rng.random((n, k - 2)), axis=1) if k > 2 else np.empty((n, 0))
    chain = [np.full(n, masses[0])] + [total[i + 1] + free * cuts[:, i] for i in range(k - 2)] + [mass]
    weight = np.ones(n)
    products = np.zeros((n, k, 4))
    products[:, 0, 0] = masses[0]
    for i in range(1, k):
        q = two_body_momentum(chain[i], chain[i - 1], masses[i])
        weight *= q / np.maximum(two_body_momentum(free + total[i], total[i - 1], masses[i]), 1e-12)
        axis = _isotropic(n, rng)
        products[:, :i] = _boost_along(products[:, :i], axis, np.sqrt(q * q + chain[i - 1] ** 2), q, chain[i - 1])
        products[:, i] = _vector(np.sqrt(q * q + masses[i] ** 2), -q[:, None] * axis)
    return products, weight


def _phase_space_volume(m_had: Array, masses: Sequence[float]) -> Array:
    """N-body phase-space volume at the nodes, up to a constant, by recursion over intermediate masses."""
    x, w = np.polynomial.legendre.leggauss(64)
    top = float(m_had[-1])
    grid = np.linspace(masses[0] + masses[1], top, 401)
    # a smooth ratio to the non-relativistic threshold behaviour (M - sum m)^((3k - 5)/2) is interpolated
    power, low = 0.5, masses[0] + masses[1]
    volume = two_body_momentum(grid, masses[0], masses[1]) / grid
    for i in range(2, len(masses)):
        reduced = volume[1:] / (grid[1:] - low) ** power
        wider = np.linspace(low + masses[i], top, 401)
        span = np.maximum(wider - masses[i] - low, 0.0)
        mu = low + 0.5 * (x[None, :] + 1) * span[:, None]
        inner = np.interp(mu, grid[1:], reduced) * np.maximum(mu - low, 0.0) ** power
        outer = two_body_momentum(wider[:, None], mu, masses[i]) / wider[:, None]
        volume = (0.5 * span[:, None] * w * 2 * mu * inner * outer).sum(axis=1)
        grid, low, power = wider, low + masses[i], power + 1.5
    return np.asarray(np.interp(m_had, grid, volume))


@dataclasses.dataclass(frozen=True, eq=False)
class PhaseSpaceSampler:
    """tau- -> nu + hadrons: phase space, a resonant mass spectrum and the lepton tensor of a spin-1 system.

    The hadrons are isotropic in their own frame, so that the polarimeter is along their momentum with length
    ``(m^2 - 2 s)/(m^2 + 2 s)``, longitudinal minus transverse.
    """

    tau_mass: float
    hadrons: tuple[int, ...]
    masses: tuple[float, ...]
    nodes: Array
    cdf: Array

    @property
    def pdg(self) -> tuple[int, ...]:
        """nu_tau and the hadrons."""
        return (16, *self.hadrons)

    @classmethod
    def build(
        cls, tau_mass: float, hadrons: tuple[int, ...], masses: tuple[float, ...], terms: Sequence[Resonance]
    ) -> PhaseSpaceSampler:
        """Tabulate ``(m^2 - s)^2 (m^2/s + 2) |sum BW|^2 R_n(s)``; the resonances have fixed widths."""
        m_had = np.linspace(sum(masses) + 1e-6, tau_mass, 241)
        s = m_had**2
        amplitude = np.ones(len(s), dtype=complex)
        if terms:
            amplitude = sum(
                (t.weight * t.mass**2 / (t.mass**2 - s - 1j * t.mass * t.width) for t in terms),
                np.zeros(len(s), dtype=complex),
            )
        spectrum = (tau_mass**2 - s) ** 2 * (tau_mass**2 / s + 2) * np.abs(amplitude) ** 2
        volume = _phase_space_volume(m_had, masses)
        return cls(tau_mass, hadrons, masses, m_had, _inverse_cdf(m_had, 2 * m_had * spectrum * volume))

    def sample(self, n: int, rng: Rng) -> tuple[Array, Array]:
        """Momenta in the rest frame and polarimeters."""
        m_had = np.interp(rng.random(n), self.cdf, self.nodes)
        products = np.empty((n, len(self.masses), 4))
        # the mass is fixed by its spectrum, only the inner configuration is redrawn
        open_ = np.arange(n)
        while len(open_):
            # many tries at once for the last few, of which the first one that is accepted counts
            tries = max(1, _PHASE_SPACE_TRIES // len(open_))
            trial, weight = nbody_rest(np.repeat(m_had[open_], tries), self.masses, rng)
            keep = (rng.random(len(weight)) < weight).reshape(-1, tries)
            found, first = keep.any(axis=1), keep.argmax(axis=1)
            products[open_[found]] = trial[(np.arange(len(open_)) * tries + first)[found]]
            open_ = open_[~found]
        ratio = self.tau_mass**2 / m_had**2
        zero = np.zeros(n)
        h = np.stack([zero, zero, (ratio - 2) / (ratio + 2)], axis=1)
        return _neutrino_and_hadrons(self.tau_mass, products, m_had, h, rng)
