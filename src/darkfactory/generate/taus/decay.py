"""Decays of tau pairs with the spin correlations of the process that made them."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from darkfactory.core.errors import InputError
from darkfactory.generate.taus.modes import TauModes
from darkfactory.generate.taus.spin import conditional, correlations, from_helicity_frame, turn
from darkfactory.physics.kinematics import mass2

__all__ = ["TAU_MINUS", "TAU_PLUS", "TauDecays", "decay_single_tau", "decay_tau_pair"]

Array = NDArray[np.float64]
Ints = NDArray[np.int32]

TAU_MINUS = -1
"""Parent of a direct product of the tau-, in ``TauDecays.parent``."""
TAU_PLUS = -2
"""Parent of a direct product of the tau+."""
_SELF_CONJUGATE = (22, 111, 130, 310, 9000006)


@dataclasses.dataclass(frozen=True, eq=False)
class TauDecays:
    """Products of n tau pairs (or single taus), flat over events: event i has ``counts[i]`` of them.

    Attributes:
        counts: products per event, shape (n,).
        pdg: codes, shape (m,).
        momenta: four-momenta in the frame of the tau momenta that were given, shape (m, 4), GeV.
        parent: index within the event's products (a decayed pi0), or TAU_MINUS or TAU_PLUS, shape (m,).
        status: 1 final, 2 decayed, shape (m,).
        side: 0 product of the tau-, 1 of the tau+, shape (m,).
        mode: mode indices of the tau- and the tau+, shape (n, 2); -1 if there is no such tau.
        proper_length: proper decay lengths c t of the tau- and the tau+ in cm, shape (n, 2): a tau decays at its
            production vertex plus ``proper_length * p / m``, in any frame.
        weight: what the choice of modes is worth, the same for all events, shape (n,).
    """

    counts: NDArray[np.int64]
    pdg: Ints
    momenta: Array
    parent: Ints
    status: NDArray[np.int8]
    side: NDArray[np.int8]
    mode: NDArray[np.int64]
    proper_length: Array
    weight: Array

    @property
    def offsets(self) -> NDArray[np.int64]:
        """Where each event begins in the flat arrays, shape (n + 1,)."""
        return np.concatenate([[0], np.cumsum(self.counts)])


@dataclasses.dataclass(frozen=True, eq=False)
class _Side:
    """Padded decays of one tau per event, in its rest frame."""

    momenta: Array
    pdg: Ints
    parent: Ints
    h: Array


def _photons(pi0: Array, rng: np.random.Generator) -> Array:
    """Isotropic two-photon decays of (n, 4), shape (n, 2, 4)."""
    n = len(pi0)
    c, f = 2 * rng.random(n) - 1, 2 * np.pi * rng.random(n)
    s = np.sqrt((1 - c) * (1 + c))
    axis = np.stack([s * np.cos(f), s * np.sin(f), c], axis=1)
    m = np.sqrt(np.maximum(mass2(pi0), 0.0))
    half = 0.5 * m
    along = (pi0[:, 1:] * axis).sum(1)
    # a photon (half, half axis) boosted by pi0/m: E = (E0 +- p.axis)/2
    energy = 0.5 * (pi0[:, 0] + along)
    space = half[:, None] * axis + ((half + energy) / (pi0[:, 0] + m))[:, None] * pi0[:, 1:]
    first = np.concatenate([energy[:, None], space], axis=1)
    return np.stack([first, pi0 - first], axis=1)


def _sample_side(modes: TauModes, choice: NDArray[np.int64], plus: bool, rng: np.random.Generator) -> _Side:
    """Unpolarised decays at rest; the tau+ is the CP image: momenta and charges reversed, polarimeter kept."""
    used = [int(i) for i in np.unique(choice)]
    lists = {i: modes.samplers[i].pdg for i in used}
    width = max(len(v) + 2 * v.count(111) for v in lists.values())
    n = len(choice)
    momenta, h = np.zeros((n, width, 4)), np.zeros((n, 3))
    pdg, parent = np.zeros((n, width), dtype=np.int32), np.full((n, width), -1, dtype=np.int32)
    for i in used:
        rows = np.flatnonzero(choice == i)
        p, h[rows] = modes.samplers[i].sample(len(rows), rng)
        k = p.shape[1]
        momenta[rows, :k] = p
        codes = np.tile(np.array(lists[i], dtype=np.int32), (len(rows), 1))
        for column in np.flatnonzero(np.abs(lists[i]) == 311):
            codes[:, column] = np.where(rng.random(len(rows)) < 0.5, 310, 130)
        pdg[rows, :k] = codes
        for column in np.flatnonzero(np.array(lists[i]) == 111):
            momenta[rows, k : k + 2] = _photons(p[:, column], rng)
            pdg[rows, k : k + 2] = 22
            parent[rows, k : k + 2] = column
            k += 2
    if plus:
        momenta[..., 1:] *= -1
        pdg = np.where(np.isin(pdg, _SELF_CONJUGATE), pdg, -pdg)
    return _Side(momenta, pdg, parent, h)


def _flatten(sides: list[_Side], labels: list[int]) -> dict[str, NDArray[np.generic]]:
    """Padded (n, width) sides next to each other, without the padding."""
    pdg = np.concatenate([s.pdg for s in sides], axis=1)
    filled = pdg != 0
    counts = filled.sum(axis=1)
    position = np.cumsum(filled, axis=1) - 1
    columns, offset = [], 0
    for side, label in zip(sides, labels, strict=True):
        inside = side.parent >= 0
        rows = np.broadcast_to(np.arange(len(side.pdg))[:, None], inside.shape)
        target = position[rows, np.where(inside, side.parent, 0) + offset]
        columns.append(np.where(inside, target, TAU_MINUS if label == 0 else TAU_PLUS))
        offset += side.pdg.shape[1]
    parent = np.concatenate(columns, axis=1)
    label_of = np.concatenate([np.full(s.pdg.shape, b, dtype=np.int8) for s, b in zip(sides, labels, strict=True)], 1)
    flat_pdg = pdg[filled]
    return {
        "counts": counts.astype(np.int64),
        "pdg": flat_pdg.astype(np.int32),
        "momenta": np.concatenate([s.momenta for s in sides], axis=1)[filled],
        "parent": parent[filled].astype(np.int32),
        "status": np.where(flat_pdg == 111, 2, 1).astype(np.int8),
        "side": label_of[filled],
    }


def _check(p: Array, modes: TauModes, what: str) -> None:
    if p.ndim != 2 or p.shape[1] != 4:
        raise InputError(f"{what} momenta have the shape {p.shape}; (n, 4) ordered (E, px, py, pz) is needed")
    if len(p) == 0:
        return
    m = np.sqrt(np.maximum(mass2(p), 0.0))
    worst = float(m[np.argmax(np.abs(m - modes.tau_mass))])
    if not abs(worst - modes.tau_mass) < 1e-6:
        raise InputError(
            f"a {what} has the mass {worst:.7g} GeV, its decays were built for {modes.tau_mass:.7g} GeV; "
            "build the modes with the mass of the process's model (tau_mass=...)"
        )


def decay_tau_pair(
    spin_density: NDArray[np.complex128],
    p_minus: Array,
    p_plus: Array,
    modes: TauModes,
    rng: np.random.Generator,
) -> TauDecays:
    """Decay both taus of every event, distributed as ``|sum_h M_{h1 h2} D1_{h1} D2_{h2}|^2``.

    Unpolarised decays are drawn at rest; the tau- is turned to its polarisation, the tau+ to the polarisation it
    has given the tau-'s decay (:func:`darkfactory.generate.taus.spin.turn`). The product of the
    two conditional densities is the joint spin weight itself, so that no event is rejected.

    Args:
        spin_density: ``R[n, h-, h-', h+, h+']``, helicities ordered (-1, +1) in the frame of the
            momenta, phases of :mod:`darkfactory.physics.dirac`, any normalisation.
        p_minus: momenta of the tau-, shape (n, 4), GeV.
        p_plus: momenta of the tau+, in the same frame.
        modes: the allowed decays.
        rng: random stream; the result is a function of it and of the other arguments.

    Raises:
        InputError: shapes that do not fit, or momenta off the mass shell of the modes.
    """
    _check(p_minus, modes, "tau-")
    _check(p_plus, modes, "tau+")
    n = len(p_minus)
    if spin_density.shape != (n, 2, 2, 2, 2) or len(p_plus) != n:
        raise InputError(
            f"spin density {spin_density.shape} and tau+ momenta {p_plus.shape} do not fit {n} tau- momenta; "
            f"needed: ({n}, 2, 2, 2, 2) and ({n}, 4)"
        )
    if n == 0:
        return _empty()
    choice = modes.draw(n, rng)
    pol_minus, pol_plus, c = correlations(spin_density)
    minus, plus = (_sample_side(modes, k, i == 1, rng) for i, k in enumerate(choice))
    k1, h1 = turn(minus.momenta, minus.h, pol_minus, rng.random(n))
    k2, _ = turn(plus.momenta, plus.h, conditional(h1, pol_minus, pol_plus, c), rng.random(n))
    sides = [
        dataclasses.replace(minus, momenta=from_helicity_frame(k1, p_minus)),
        dataclasses.replace(plus, momenta=from_helicity_frame(k2, p_plus)),
    ]
    return TauDecays(
        **_flatten(sides, [0, 1]),  # type: ignore[arg-type]  # named arrays of several types
        mode=np.stack(choice, axis=1),
        proper_length=modes.ctau_cm * rng.exponential(size=(n, 2)),
        weight=np.full(n, modes.weight),
    )


def decay_single_tau(
    p: Array, polarisation: Array, charge: int, modes: TauModes, rng: np.random.Generator
) -> TauDecays:
    """Decay single taus of known polarisation, with the modes of the tau- (first) or of the tau+ (second).

    Args:
        p: momenta, shape (n, 4), GeV.
        polarisation: vectors along the rest-frame helicity axes, shape (n, 3); (0, 0, 1) is helicity +1/2.
        charge: -1 or +1.
        modes: the allowed decays; a side's modes are drawn from its marginal distribution.
        rng: random stream.

    Raises:
        InputError: shapes that do not fit, a wrong charge, or momenta off the mass shell.
    """
    if charge not in (-1, 1):
        raise InputError(f"a tau of charge {charge}; allowed: -1 and 1")
    _check(p, modes, "tau")
    n = len(p)
    if polarisation.shape != (n, 3):
        raise InputError(f"polarisations have the shape {polarisation.shape}; ({n}, 3) is needed")
    if n == 0:
        return _empty()
    cdf = np.cumsum(modes.pairs.sum(axis=1 if charge < 0 else 0))
    choice = np.minimum(np.searchsorted(cdf / cdf[-1], rng.random(n), side="right"), len(cdf) - 1)
    side = _sample_side(modes, choice, charge > 0, rng)
    k, _ = turn(side.momenta, side.h, polarisation, rng.random(n))
    column = 0 if charge < 0 else 1
    mode, length = np.full((n, 2), -1, dtype=np.int64), np.zeros((n, 2))
    mode[:, column] = choice
    length[:, column] = modes.ctau_cm * rng.exponential(size=n)
    flat = _flatten([dataclasses.replace(side, momenta=from_helicity_frame(k, p))], [column])
    return TauDecays(
        **flat,  # type: ignore[arg-type]  # named arrays of several types
        mode=mode,
        proper_length=length,
        weight=np.full(n, float((modes.bf * (modes.pairs.sum(axis=1 if charge < 0 else 0) > 0)).sum())),
    )


def _empty() -> TauDecays:
    none = np.zeros(0)
    return TauDecays(
        counts=none.astype(np.int64),
        pdg=none.astype(np.int32),
        momenta=np.zeros((0, 4)),
        parent=none.astype(np.int32),
        status=none.astype(np.int8),
        side=none.astype(np.int8),
        mode=np.zeros((0, 2), dtype=np.int64),
        proper_length=np.zeros((0, 2)),
        weight=none,
    )
