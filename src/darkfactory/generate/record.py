"""Truth events as awkward records from flat lists of particles."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from darkfactory.events.schema import PARTICLE, zip_checked

__all__ = ["Particles", "concatenate", "to_events"]

Array = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Particles:
    """Flat particles: event numbers, codes, states, mothers within the event, momenta (m, 4), vertices (m, 3) in cm."""

    event: NDArray[np.int64]
    pdg: NDArray[np.int64]
    status: NDArray[np.int64]
    mother: NDArray[np.int64]
    p: Array
    vertex: Array


def concatenate(parts: list[Particles]) -> Particles:
    """Particles in the order of events, and within an event in the order of the parts."""
    event = np.concatenate([x.event for x in parts])
    order = np.argsort(event, kind="stable")
    return Particles(
        event[order],
        np.concatenate([x.pdg for x in parts])[order],
        np.concatenate([x.status for x in parts])[order],
        np.concatenate([x.mother for x in parts])[order],
        np.concatenate([x.p for x in parts])[order],
        np.concatenate([x.vertex for x in parts])[order],
    )


def to_events(
    particles: Particles,
    weight: Array,
    chunk: int,
    number: NDArray[np.int64] | None = None,
    extra: Mapping[str, Array] | None = None,
) -> ak.Array:
    """Awkward truth events per :mod:`darkfactory.events.schema`; ``particles`` in the order of events.

    Args:
        particles: of all events.
        weight: fb, (n,).
        chunk: number of the chunk.
        number: what the events are called within it, (n,); by default 0 to n - 1.
        extra: further numbers per event, (n,) each.

    Example:
        >>> one = Particles(np.zeros(1, int), np.array([22]), np.ones(1, int), -np.ones(1, int),
        ...                 np.array([[1.0, 0, 0, 1.0]]), np.zeros((1, 3)))
        >>> e = to_events(one, np.ones(1), 2)
        >>> int(e.event_id[0]) == 2 * 2**32, float(e.particles.pz[0, 0])
        (True, 1.0)
    """
    n = len(weight)
    counts = np.bincount(particles.event, minlength=n)
    columns = {
        "pdg": particles.pdg, "status": particles.status, "mother": particles.mother,
        "px": particles.p[:, 1], "py": particles.p[:, 2], "pz": particles.p[:, 3], "e": particles.p[:, 0],
        "vx": particles.vertex[:, 0], "vy": particles.vertex[:, 1], "vz": particles.vertex[:, 2],
    }  # fmt: skip
    jagged = zip_checked({k: ak.unflatten(v, counts) for k, v in columns.items()}, PARTICLE)
    ids = np.int64(chunk) * np.int64(2**32) + (np.arange(n, dtype=np.int64) if number is None else number)
    plain = {"weight": np.asarray(weight, float), "event_id": ids, "particles": jagged, **(extra or {})}
    return ak.zip(plain, depth_limit=1)
