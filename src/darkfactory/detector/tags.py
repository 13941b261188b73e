"""Hadronic tags: which particles a reconstructed B takes out of an event, and how well it is measured.

The hundreds of decay chains of a full reconstruction are not simulated. A right tag is the other B of the event: its
products are not simulated, and its momentum is smeared. A wrong tag in a B pair has any direction and takes a share of
the other B's particles along. In the continuum it takes that of several random halves of the event whose energy and
momentum are closest to those of a B. Chances are weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import awkward as ak
import numpy as np
import numpy.typing as npt

from darkfactory.config.detector import DetectorConfig, SimulateOptions
from darkfactory.config.tags import ExtraEnergyConfig, TagConfig, WrongTagConfig
from darkfactory.core.errors import ConfigError
from darkfactory.detector.flat import CHARGED, species_of
from darkfactory.events.schema import TAG, TAKEN, require_fields
from darkfactory.physics.beams import BeamFrame, beam_frame
from darkfactory.physics.constants import M_B0, M_BPLUS

__all__ = ["argus_quantile", "best_half", "emulate_tags", "extra_energy"]

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]
Bools: TypeAlias = npt.NDArray[np.bool_]

_B_MASS = {511: M_B0, 521: M_BPLUS}
_SEEN = (22, *CHARGED)
_GRID = 2001


def argus_quantile(u: Floats, shape: float, low: float, end: float) -> Floats:
    """Values m between ``low`` and ``end`` of the density m sqrt(1 - m^2/end^2) exp(shape (1 - m^2/end^2)).

    H. Albrecht et al. (ARGUS), Phys. Lett. B 241, 278.

    Args:
        u: shares below, from 0 to 1.
        shape: c, negative where small masses are rare.
        low: least value, GeV.
        end: half the CM energy, GeV.

    Example:
        With c = 0 the share below m is 1 - ((1 - m^2/end^2)/(1 - low^2/end^2))^(3/2):

        >>> m = float(argus_quantile(np.array([0.5]), 0.0, 5.2, 5.29)[0])
        >>> round(1 - ((1 - m**2 / 5.29**2) / (1 - 5.2**2 / 5.29**2)) ** 1.5, 4)
        0.5
    """
    m = np.linspace(low, end, _GRID)
    below = _argus_below(m, shape, end)
    return np.asarray(np.interp(u, below, m))


def _argus_below(m: Floats, shape: float, end: float) -> Floats:
    z = np.maximum(1 - (m / end) ** 2, 0.0)
    density = m * np.sqrt(z) * np.exp(shape * z)
    total = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]))])
    return np.asarray(total / total[-1])


def extra_energy(u: Floats, config: ExtraEnergyConfig) -> Floats:
    """Extra energies in GeV from uniform numbers: zero with a probability, else exponential.

    Example:
        >>> from darkfactory.config.base import Tagged
        >>> none, mean = Tagged(value=0.5, source="assumed"), Tagged(value=2.0, source="assumed")
        >>> extra_energy(np.array([0.2, 0.75]), ExtraEnergyConfig(none=none, mean_gev=mean)).round(4).tolist()
        [0.0, 1.3863]
    """
    none = config.none.value
    rest = np.clip((1 - u) / max(1 - none, 1e-12), 1e-12, 1.0)
    return np.asarray(np.where(u < none, 0.0, -config.mean_gev.value * np.log(rest)))


@dataclass(frozen=True)
class _Truth:
    """Flat particles in the CM; ``tag`` is the row of the tag of each event, -1 in the continuum."""

    event: Ints
    pdg: Ints
    final: Bools
    charge: Ints
    p: Floats
    descends: Bools
    tag: Ints
    n: int


def _truth(events: ak.Array, frame: BeamFrame) -> _Truth:
    particles, n = events.particles, len(events)
    counts = np.asarray(ak.num(particles, axis=1), dtype=np.int64)

    def column(name: str) -> npt.NDArray[np.float64]:
        return np.asarray(ak.to_numpy(ak.flatten(particles[name], axis=1)))

    event = np.repeat(np.arange(n), counts)
    pdg, mother = column("pdg").astype(np.int64), column("mother").astype(np.int64)
    start = np.cumsum(counts) - counts
    row = np.arange(len(pdg))
    root = np.where(mother < 0, row, start[event] + mother)
    while not np.array_equal(root[root], root):
        root = root[root]
    candidate = np.flatnonzero((mother < 0) & np.isin(np.abs(pdg), tuple(_B_MASS)))
    tag = np.full(n, -1, dtype=np.int64)
    # the first B of an event: the last one written
    tag[event[candidate][::-1]] = candidate[::-1]
    p = frame.to_cm(np.stack([column(c).astype(np.float64) for c in ("e", "px", "py", "pz")], axis=1))
    _, charge = species_of(pdg)
    own = (tag[event] >= 0) & (root == tag[event])
    return _Truth(event, pdg, column("status") == 1, charge, p, own, tag, n)


def best_half(
    event: Ints, p: Floats, charge: Ints, n_events: int, energy: float, config: WrongTagConfig, rng: np.random.Generator
) -> Bools:
    """Which particles are in the half of their event that looks most like a B.

    Args:
        event: of each particle, rising.
        p: momenta in the CM, (m, 4).
        charge: of each particle.
        n_events: number of events.
        energy: half the CM energy, GeV.
        config: number of halves, scales of the distance.
        rng: random numbers.
    """
    best = np.full(n_events, np.inf)
    chosen = np.zeros(len(event), dtype=np.bool_)
    for _ in range(config.halves):
        half = rng.random(len(event)) < 0.5
        sums = [np.bincount(event[half], weights=p[half, i], minlength=n_events) for i in range(4)]
        total = np.bincount(event[half], weights=charge[half].astype(float), minlength=n_events)
        away = ((sums[0] - energy) / config.half_energy_gev.value) ** 2
        away += (sums[1] ** 2 + sums[2] ** 2 + sums[3] ** 2) / config.half_momentum_gev.value**2
        # no B has more than one charge
        away += np.where(np.abs(total) > 1.5, 1e6, 0.0)
        better = away < best
        best = np.where(better, away, best)
        chosen = np.where(better[event], half, chosen)
    return chosen


def _isotropic(rng: np.random.Generator, n: int) -> Floats:
    cosine, phi = 2 * rng.random(n) - 1, 2 * np.pi * rng.random(n)
    sine = np.sqrt(1 - cosine**2)
    return np.stack([sine * np.cos(phi), sine * np.sin(phi), cosine], axis=1)


def _axis(event: Ints, p: Floats, n_events: int) -> Floats:
    """Direction in which the momenta of each event are longest, (n, 3)."""
    size = np.maximum(np.sqrt(p[:, 1] ** 2 + p[:, 2] ** 2 + p[:, 3] ** 2), 1e-12)
    tensor = np.zeros((n_events, 3, 3))
    for i in range(3):
        for j in range(3):
            tensor[:, i, j] = np.bincount(event, weights=p[:, i + 1] * p[:, j + 1] / size, minlength=n_events)
    return np.asarray(np.linalg.eigh(tensor)[1][:, :, 2])


def _scaled(direction: Floats, length: Floats) -> Floats:
    size = np.sqrt(direction[:, 0] ** 2 + direction[:, 1] ** 2 + direction[:, 2] ** 2)
    return np.asarray(direction * (length / np.maximum(size, 1e-12))[:, None])


def _config(detector: DetectorConfig, name: str) -> TagConfig:
    if name not in detector.tags:
        raise ConfigError(
            f"detector {detector.name} has no tag {name!r}; it has {sorted(detector.tags)}", where="simulate.tag"
        )
    return detector.tags[name]


def emulate_tags(
    events: ak.Array, detector: DetectorConfig, options: SimulateOptions, rng: np.random.Generator
) -> ak.Array:
    """Give every event a tag, with the weight of its chance.

    In B pairs the first B is the tag.

    Args:
        events: truth events in the laboratory.
        detector: with the kind of tag that the options name.
        options: the tag, the share of wrong ones, how many charged particles are left.
        rng: random numbers of this chunk.

    Returns:
        The events that are left, with the columns of ``darkfactory.events.schema.TAG``; particles of the tag have the
        status ``TAKEN``.

    Raises:
        ConfigError: the detector has no such tag.
    """
    require_fields(events, "weight", "event_id", "particles")
    config = _config(detector, str(options.tag))
    beams = detector.beams
    frame = beam_frame(beams.e_her_gev.value, beams.e_ler_gev.value, beams.half_crossing_mrad.value * 1e-3)
    energy, n = frame.sqrts / 2, len(events)
    truth = _truth(events, frame)
    pair = truth.tag >= 0
    first = truth.tag[pair]
    code = np.zeros(n, dtype=np.int64)
    code[pair] = np.abs(truth.pdg[first])
    u = rng.random((5, n))
    normal = rng.normal(size=(5, n))
    wrong = ~pair | (u[0] < options.wrong_tags)
    other = truth.final & ~truth.descends
    seen = other & np.isin(np.abs(truth.pdg), _SEEN)
    taken = truth.descends | (seen & (wrong & pair)[truth.event] & (rng.random(len(seen)) < config.wrong.taken.value))
    direction, axis = _isotropic(rng, n), _isotropic(rng, n)
    charge = np.zeros(n, dtype=np.int64)
    charge[pair] = np.where(code[pair] == 521, np.sign(truth.pdg[first]), 0)
    if not pair.all():
        rows = np.flatnonzero(seen & ~pair[truth.event])
        event, p = truth.event[rows], truth.p[rows]
        half = best_half(event, p, truth.charge[rows], n, energy, config.wrong, rng)
        taken[rows[half]] = True
        inside = event[half]
        sums = np.stack([np.bincount(inside, weights=p[half, i], minlength=n) for i in (1, 2, 3)], axis=1)
        total = np.bincount(inside, weights=truth.charge[rows][half].astype(float), minlength=n)
        direction = np.where(pair[:, None], direction, sums)
        axis = np.where(pair[:, None], axis, _axis(inside, p[half], n))
        charge = np.where(pair, charge, np.clip(np.round(total), -1, 1).astype(np.int64))
    right = pair & ~wrong
    true_p = np.zeros((n, 3))
    true_p[pair] = truth.p[first, 1:]
    smeared = true_p + config.momentum_gev.value * normal[:3].T
    mass = np.where(charge == 0, M_B0, M_BPLUS)
    momentum = _scaled(np.where(right[:, None], smeared, direction), np.sqrt(np.maximum(energy**2 - mass**2, 0.0)))
    left = other & ~taken & (truth.charge != 0)
    n_left = np.bincount(truth.event[left], minlength=n)
    beside = np.bincount(truth.event[other & (truth.charge != 0)], minlength=n)
    weight = np.asarray(events["weight"], dtype=np.float64) * _chance(config, options, code, wrong, beside, energy)
    m_bc = config.m_bc_mean_gev.value + config.m_bc_sigma_gev.value * normal[3]
    fake = argus_quantile(u[1], config.wrong.argus.value, config.wrong.m_bc_min_gev.value, energy)
    delta_e = config.delta_e_sigma_gev.value * normal[4]
    columns = {
        "tag_px": momentum[:, 0], "tag_py": momentum[:, 1], "tag_pz": momentum[:, 2],
        "tag_ax": axis[:, 0], "tag_ay": axis[:, 1], "tag_az": axis[:, 2],
        "tag_m_bc": np.where(wrong, fake, m_bc),
        "tag_delta_e": np.where(wrong, config.wrong.delta_e_max_gev.value * (2 * u[2] - 1), delta_e),
        "tag_charge": charge,
        "tag_extra": np.where(wrong, extra_energy(u[3], config.wrong.extra), extra_energy(u[3], config.extra)),
        "tag_right": right,
    }  # fmt: skip
    counts = np.asarray(ak.num(events.particles, axis=1), dtype=np.int64)
    status = np.asarray(ak.to_numpy(ak.flatten(events.particles.status, axis=1)))
    # the tag itself is no particle that the detector sees
    gone = taken | (np.arange(len(status)) == truth.tag[truth.event])
    status = np.where(gone & (status == 1), TAKEN, status).astype(np.int8)
    particles = ak.with_field(events.particles, ak.unflatten(status, counts), "status")
    plain = {name: events[name] for name in events.fields if name not in ("particles", "weight")}
    made = {name: np.asarray(values).astype(TAG[name]) for name, values in columns.items()}
    out = ak.zip({**plain, "weight": weight, "particles": particles, **made}, depth_limit=1)
    if options.charged is None:
        return out
    return out[(n_left >= options.charged[0]) & (n_left <= options.charged[1])]


def _chance(
    config: TagConfig, options: SimulateOptions, code: Ints, wrong: Bools, beside: Ints, energy: float
) -> Floats:
    """Weight of each tag: how often there is such a one, over how often one is made here."""
    efficiency = np.where(code == 521, config.efficiency_charged.value, config.efficiency_neutral.value)
    few = np.where(beside <= config.few_tracks, config.few_tracks_factor.value, 1.0)
    m = np.linspace(config.wrong.m_bc_min_gev.value, energy, _GRID)
    above = 1 - float(np.interp(config.purity_above_gev.value, m, _argus_below(m, config.wrong.argus.value, energy)))
    fakes = (1 - config.purity.value) / config.purity.value / max(above, 1e-12)
    share = options.wrong_tags
    of_pairs = np.where(wrong, efficiency * fakes / max(share, 1e-12), efficiency * few / (1 - share))
    return np.asarray(np.where(code > 0, of_pairs, config.wrong.continuum.value))
