"""Weighted events of a process: beams, radiation, masses, channels, |M|^2, and the adaptation of all grids."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from darkfactory.generate.bias import needs_lab, total_bias
from darkfactory.generate.grids import accumulate, density, refine, stretch, uniform
from darkfactory.generate.invariants import Kinematics
from darkfactory.generate.mappings import Map
from darkfactory.generate.process import Process
from darkfactory.generate.radiation import ToLab, make_to_lab
from darkfactory.physics.beams import beam_momenta
from darkfactory.physics.constants import GEV2_FB
from darkfactory.physics.isr import exponent, radiator
from darkfactory.physics.kinematics import mass2
from darkfactory.physics.vacuum_polarisation import vacuum_polarisation_factor

__all__ = ["Batch", "State", "improve", "initial_state", "sample"]

Array = NDArray[np.float64]
_BINS = 40
_V_SOFT = 1e-8
"""Below this share of s a photon is left out of the kinematics (2e-8 GeV of momentum)."""


@dataclasses.dataclass(frozen=True)
class State:
    """What adaptation changes.

    Attributes:
        alpha: weights of the channel groups, (groups,).
        edges: their grids, (groups, dims, bins + 1).
        extra: grids of the radiated energy and of a wide leg's mass, (2, bins + 1).
    """

    alpha: Array
    edges: Array
    extra: Array


@dataclasses.dataclass(frozen=True)
class Batch:
    """The events of ``tries`` attempts that are inside the cuts.

    Attributes:
        tries: attempts.
        index: numbers of the attempts, (n,).
        p: momenta of the legs in the hard process's rest frame, (n, legs, 4).
        e_her: electron energies, (n,), GeV.
        e_ler: positron energies, (n,), GeV.
        v: radiated share of s, (n,).
        weight: fb; the mean over all attempts is the cross-section.
        bias: factors of the generation rate.
        lab: radiated photons and frames, where a bias has looked at them; else they are drawn later.
        trail: for adaptation: per channel its share of the density and its bins, and the bins of the extra grids.
    """

    tries: int
    index: NDArray[np.int64]
    p: Array
    e_her: Array
    e_ler: Array
    v: Array
    weight: Array
    bias: Array
    lab: ToLab | None
    trail: tuple[list[tuple[Array, list[NDArray[np.int64]]]], list[NDArray[np.int64]]] | None


def initial_state(process: Process) -> State:
    """Flat grids, equal weights per channel."""
    groups, dims = process.groups, max(c.dims for c in process.channels)
    counts = np.bincount([c.group for c in process.channels], minlength=groups).astype(float)
    return State(counts / counts.sum(), np.stack([uniform(dims, _BINS)] * groups), uniform(2, _BINS))


@dataclasses.dataclass(frozen=True)
class _Setting:
    """Beams, radiation and leg masses of every attempt."""

    e_her: Array
    e_ler: Array
    v: Array
    s: Array
    m2: list[float | Array]
    factor: Array
    bins: list[NDArray[np.int64]]


def _setting(process: Process, state: State, n: int, rng: np.random.Generator) -> _Setting:
    beams, legs = process.beams, process.amplitude.legs
    e_her, e_ler = np.full(n, beams.e_her), np.full(n, beams.e_ler)
    if beams.sigma_her > 0 or beams.sigma_ler > 0:
        spread = rng.standard_normal((2, n))
        e_her, e_ler = e_her + beams.sigma_her * spread[0], e_ler + beams.sigma_ler * spread[1]
        electron, positron = beam_momenta(e_her, e_ler, beams.half_crossing)
        s = mass2(electron + positron)
    else:
        s = np.full(n, process.sqrts**2)
    factor, v = np.ones(n), np.zeros(n)
    bins: list[NDArray[np.int64]] = []
    wide = process.wide
    m2: list[float | Array] = [leg.mass**2 for leg in legs]
    masses = [leg.mass for leg in legs]
    if wide is not None:
        masses[wide.leg] = 1e-3 * wide.mass
    full = (1 << len(legs)) - 4
    least = float(np.max(process.region.least_mass(full, masses)))
    least = max(least, sum(max(m, c.e_min) for m, c in zip(masses[2:], process.region.legs[2:], strict=True)))
    if process.config.isr.radiator != "none":
        isr = process.config.isr
        g = exponent(s, isr.exact_cos)
        v_max = 1 - np.maximum(max(least, isr.sqrts_min) ** 2 * (1 + 1e-6) / s, 0.0)
        r = stretch(state.extra[0], rng.random(n))
        value, k = density(state.extra[0], r)
        bins.append(k)
        v = np.maximum(v_max, 0.0) * r ** (1 / g)
        factor *= radiator(v, s, g) * np.maximum(v_max, 1e-300) ** g / value * (v_max > 0)
        v = np.where(v > _V_SOFT, v, 0.0)
    s_hat = s * (1 - v)
    if wide is not None:
        rest = sum(m for i, m in enumerate(masses) if i > 1 and i != wide.leg)
        pole, kappa = wide.mass**2, wide.ratio
        shape = Map("bw", pole, kappa * pole)
        hi = np.maximum(np.sqrt(s_hat) - rest, 2 * masses[wide.leg]) ** 2 * (1 - 1e-9)
        lo = np.full(n, masses[wide.leg] ** 2)
        r = stretch(state.extra[1], rng.random(n))
        value, k = density(state.extra[1], r)
        bins.append(k)
        x = shape.draw(r, lo, hi, hi)
        width = kappa * x
        factor *= shape.invert(x, lo, hi, hi)[1] * width / np.pi / ((x - pole) ** 2 + width**2) / value
        m2[wide.leg] = x
    if process.vacuum_polarisation:
        factor *= vacuum_polarisation_factor(s_hat)
    if process.config.form_factor_power:
        factor *= (s_hat / process.sqrts**2) ** -process.config.form_factor_power
    return _Setting(e_her, e_ler, v, s_hat, m2, factor, bins)


def _take(values: list[float | Array], where: NDArray[np.int64]) -> list[float | Array]:
    return [x if isinstance(x, float) else x[where] for x in values]


def sample(process: Process, state: State, n: int, rng: np.random.Generator, *, trail: bool = False) -> Batch:
    """Make ``n`` attempts.

    Args:
        process: what is generated.
        state: grids and weights.
        n: attempts.
        rng: random stream.
        trail: keep what adaptation needs.
    """
    legs, region = process.amplitude.legs, process.region
    setting = _setting(process, state, n, rng)
    per_channel = state.alpha[[c.group for c in process.channels]]
    members = np.bincount([c.group for c in process.channels], minlength=process.groups)
    per_channel = per_channel / members[[c.group for c in process.channels]]
    cumulative = np.cumsum(per_channel)
    chosen = np.minimum(
        np.searchsorted(cumulative, rng.random(n) * cumulative[-1], side="right"), len(process.channels) - 1
    )
    dims = state.edges.shape[1]
    r = rng.random((dims + process.n_final - 1, n))
    p = np.zeros((len(legs), 4, n))
    ok = np.zeros(n, dtype=bool)
    for number, channel in enumerate(process.channels):
        where = np.flatnonzero(chosen == number)
        if len(where) == 0:
            continue
        kin = Kinematics(region, legs, setting.s[where], _take(setting.m2, where))
        edges = state.edges[channel.group]
        u = np.stack([stretch(edges[d], r[d, where]) for d in range(channel.dims)])
        momenta, good = channel.generate(kin, u, r[dims:, where])
        ok[where] = good
        for i, q in enumerate(momenta):
            if q is not None:
                p[i][:, where] = q
    ok &= region.passes([None, None, *p[2:]])
    index = np.flatnonzero(ok)
    s = setting.s[index]
    m2 = _take(setting.m2, index)
    inside: list[Array | None] = [None, None, *(np.ascontiguousarray(q[:, index]) for q in p[2:])]
    kin = Kinematics(region, legs, s, m2, inside)
    total = np.zeros(len(index))
    shares: list[Array] = []
    bins: list[list[NDArray[np.int64]]] = []
    for number, channel in enumerate(process.channels):
        u, volume = channel.invert(kin)
        g = np.where(volume > 0, per_channel[number] / np.where(volume > 0, volume, 1.0), 0.0)
        here = []
        for d in range(channel.dims):
            value, k = density(state.edges[channel.group, d], u[d])
            g *= value
            here.append(k)
        total += g
        if trail:
            shares.append(g)
            bins.append(here)
    hard = np.empty((len(index), len(legs), 4))
    zero = np.zeros(len(index))
    hard[:, 0] = np.stack([kin.beam_e, zero, zero, kin.beam_k], axis=1)
    hard[:, 1] = np.stack([kin.beam_e, zero, zero, -kin.beam_k], axis=1)
    for i in range(2, len(legs)):
        hard[:, i] = p[i][:, index].T
    squared = process.amplitude.squared(hard)
    flux = GEV2_FB * process.amplitude.symmetry_factor / (4 * kin.root * kin.beam_k)
    safe = np.where(total > 0, total, 1.0)
    weight = np.where(total > 0, squared * flux * setting.factor[index] / safe, 0.0)
    kept = None
    if trail:
        kept = (
            [(g / safe, k) for g, k in zip(shares, bins, strict=True)],
            [k[index] for k in setting.bins],
        )
    e_her, e_ler, v = setting.e_her[index], setting.e_ler[index], setting.v[index]
    lab = None
    if needs_lab(process.biases):
        lab = make_to_lab(e_her, e_ler, process.beams.half_crossing, v, process.config.isr, rng)
    return Batch(
        n, index, hard, e_her, e_ler, v, weight, total_bias(process.biases, inside, kin.root, lab), lab, kept,
    )  # fmt: skip


def improve(process: Process, state: State, batches: list[Batch], damping: float) -> State:
    """New grids and channel weights from the squared weights of a set of events.

    Grids follow every event by the channel's share of its density (VEGAS in each channel); channel weights are
    multiplied by the square root of their share of the variance (Kleiss, Pittau 1994, eq. 8), with a floor.
    """
    groups, dims = state.edges.shape[:2]
    contents = np.zeros((groups, dims, _BINS))
    extra = np.zeros((2, _BINS))
    variance = np.zeros(groups)
    for batch in batches:
        if batch.trail is None:
            continue
        # one wild event must not draw a grid
        w = batch.weight * batch.bias
        square = np.minimum(w, 50 * w.mean() * len(w) / max(1, np.count_nonzero(w))) ** 2 if len(w) else w
        for channel, (share, bins) in zip(process.channels, batch.trail[0], strict=True):
            local = square * share
            variance[channel.group] += local.sum()
            for d, k in enumerate(bins):
                contents[channel.group, d] += accumulate(k, local, _BINS)
        start = 0 if process.config.isr.radiator != "none" else 1
        for number, k in enumerate(batch.trail[1], start=start):
            extra[number] += accumulate(k, square, _BINS)
    edges = np.stack([[refine(state.edges[g, d], contents[g, d], damping) for d in range(dims)] for g in range(groups)])
    spread = np.stack([refine(state.extra[i], extra[i], damping) for i in range(2)])
    alpha = state.alpha * np.sqrt(variance / np.maximum(state.alpha, 1e-300)) if variance.sum() > 0 else state.alpha
    alpha = alpha / alpha.sum()
    alpha = np.maximum(alpha, 0.005 / groups)
    return State(alpha / alpha.sum(), edges, spread)
