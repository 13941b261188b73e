"""Between jagged event records and flat NumPy columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self, TypeAlias

import awkward as ak
import numpy as np
import numpy.typing as npt

from darkfactory.config.detector import InvisibleConfig
from darkfactory.core.errors import InputError
from darkfactory.events.schema import DEPOSIT, PARTICLE, require_fields, zip_checked

__all__ = [
    "CHARGED",
    "MU",
    "NEUTRAL_HADRONS",
    "PI",
    "Columns",
    "E",
    "K",
    "P",
    "Particles",
    "final_particles",
    "jagged",
    "local_index",
    "species_of",
]

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]
Bools: TypeAlias = npt.NDArray[np.bool_]

E, MU, PI, K, P = 0, 1, 2, 3, 4
# hyperons and nuclei that reach the detector undecayed are rare: they are tracked as protons
CHARGED: Mapping[int, int] = {
    11: E, 13: MU, 211: PI, 321: K, 2212: P, 3112: P, 3222: P, 3312: P, 3334: P, 1000010020: P,
}  # fmt: skip
"""Species of charged final particles by abs(pdg)."""
NEUTRAL_HADRONS = (130, 310, 2112, 3122, 3322)
"""abs(pdg) of neutral hadrons that may shower."""
_POSITIVE_IS_ANTI = (11, 13, 3112, 3312, 3334)


@dataclass(frozen=True, eq=False)
class Columns:
    """Flat columns of one length; the event number of each row is the column ``event``."""

    event: Ints

    def __len__(self) -> int:
        return len(self.event)

    def take(self, which: npt.NDArray[Any]) -> Self:
        """Rows by mask or index."""
        return type(self)(**{f.name: getattr(self, f.name)[which] for f in fields(self)})

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """All rows, ordered by event, parts in the order given within an event."""
        joined = cls(**{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)})
        return joined.take(np.argsort(joined.event, kind="stable"))


@dataclass(frozen=True, eq=False)
class Particles(Columns):
    """Final particles.

    Attributes:
        index: place in the event's particle list.
        pdg: PDG code.
        p: momenta in GeV, (n, 3).
        e: energies in GeV.
        vertex: production vertices in cm, (n, 3).
    """

    index: Ints
    pdg: Ints
    p: Floats
    e: Floats
    vertex: Floats


def species_of(pdg: Ints) -> tuple[Ints, Ints]:
    """Species code (-1: no charged final particle) and charge of PDG codes.

    Example:
        >>> [v.tolist() for v in species_of(np.array([11, -13, -211, 22]))]
        [[0, 1, 2, -1], [-1, 1, -1, 0]]
    """
    species = np.full(len(pdg), -1, dtype=np.int64)
    size = np.abs(pdg)
    for code, kind in CHARGED.items():
        species[size == code] = kind
    sign = np.where(np.isin(size, _POSITIVE_IS_ANTI), -np.sign(pdg), np.sign(pdg))
    return species, np.where(species >= 0, sign, 0)


def final_particles(events: ak.Array, invisible: InvisibleConfig) -> Particles:
    """Flat final particles, without the invisible ones.

    Raises:
        InputError: no ``particles``, or a final particle that the detector neither sees nor calls invisible.

    Example:
        >>> one = {"pdg": 22, "status": 1, "mother": -1, "px": 0.0, "py": 1.0, "pz": 0.0, "e": 1.0,
        ...        "vx": 0.0, "vy": 0.0, "vz": 0.0}
        >>> nu = {**one, "pdg": 12}
        >>> p = final_particles(ak.Array({"particles": [[nu, one], []]}), InvisibleConfig(pdg=[12]))
        >>> p.event.tolist(), p.index.tolist(), p.pdg.tolist()
        ([0], [1], [22])
    """
    require_fields(events, "particles")
    particles = events.particles
    require_fields(particles, *PARTICLE)
    counts = np.asarray(ak.num(particles, axis=1), dtype=np.int64)
    event = np.repeat(np.arange(len(counts)), counts)
    index = local_index(event, len(counts))

    def column(name: str) -> npt.NDArray[Any]:
        return np.asarray(ak.to_numpy(ak.flatten(particles[name], axis=1))).astype(PARTICLE[name], copy=False)

    pdg = column("pdg").astype(np.int64)
    size = np.abs(pdg)
    seen = column("status") == 1
    dark = np.isin(size, invisible.pdg)
    for low, high in invisible.ranges:
        dark |= (size >= low) & (size <= high)
    seen &= ~dark
    known = np.isin(size, (22, DEPOSIT, *CHARGED, *NEUTRAL_HADRONS))
    if np.any(seen & ~known):
        codes = np.unique(pdg[seen & ~known]).tolist()
        raise InputError(
            f"final particles with PDG codes {codes}: the detector knows photons, {sorted(CHARGED)} and "
            f"{list(NEUTRAL_HADRONS)}; decay them in the generator (status 2) or, if they escape, list them "
            "under 'invisible' of the detector's YAML"
        )
    three = np.stack([column("px"), column("py"), column("pz")], axis=1)[seen]
    vertex = np.stack([column("vx"), column("vy"), column("vz")], axis=1)[seen]
    return Particles(event[seen], index[seen], pdg[seen], three, column("e")[seen], vertex)


def local_index(event: Ints, n_events: int) -> Ints:
    """Place of each row within its event, for rows ordered by event.

    Example:
        >>> local_index(np.array([0, 0, 2]), 3).tolist()
        [0, 1, 0]
    """
    counts = np.bincount(event, minlength=n_events)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]]) if n_events else np.zeros(0, dtype=np.int64)
    return np.arange(len(event)) - starts[event]


def jagged(columns: Mapping[str, npt.ArrayLike], schema: Mapping[str, str], event: Ints, n_events: int) -> ak.Array:
    """Records of a schema per event, from flat columns ordered by event.

    Example:
        >>> jagged({"theta": [1.0], "phi": [2.0], "truth": [0]},
        ...        {"theta": "f4", "phi": "f4", "truth": "i4"}, np.array([1]), 3).truth.tolist()
        [[], [0], []]
    """
    flat = zip_checked({k: ak.Array(np.asarray(v)) for k, v in columns.items()}, schema)
    return ak.unflatten(flat, np.bincount(event, minlength=n_events))
