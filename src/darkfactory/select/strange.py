"""Kaon systems beside which a B meson may leave something: K+, K_S, K*0 to K+ pi-, K*+ to K_S pi+.

K_S are vertices of two tracks whose mass as pions lies in a window; K* are a kaon and a track from the interaction
point, K*0 of opposite charges.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from darkfactory.config.selection import BMesonConfig, TrackConfig
from darkfactory.events.schema import require_fields
from darkfactory.physics.constants import M_B0, M_BPLUS, M_KPLUS, M_PIPLUS
from darkfactory.select.kaon_pair import pairs_of_events, with_mass
from darkfactory.select.objects import Array, Flat, flatten, good_tracks
from darkfactory.select.vectors import mass2, signed_root

__all__ = ["MODES", "Strange", "kaon_systems"]

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
_VERTEX = ("track_minus", "track_plus", "r_xy", "probability", "cos_pointing")

MODES = (("K+", M_BPLUS), ("K_S", M_B0), ("K*0", M_B0), ("K*+", M_BPLUS))
"""Kaon systems in the order of the observable ``mode``, with the mass of the B that has them, GeV."""


@dataclass(frozen=True, eq=False)
class Strange:
    """Kaon systems of many events, ordered by event.

    Attributes:
        event: index of the event of each.
        mode: place in :data:`MODES`.
        p: momentum in the laboratory, (n, 4).
        kaon: whether a charged kaon is identified as one; true without a charged kaon.
        radius: transverse radius of the vertex of a K_S, cm; infinite without a K_S.
        pointing: cosine between its position and momentum; 1 without.
        charged: laboratory momentum of a charged kaon, (n, 3); zero without.
    """

    event: Ints
    mode: Ints
    p: Array
    kaon: Bools
    radius: Array
    pointing: Array
    charged: Array

    def take(self, rows: NDArray[np.int64]) -> Strange:
        """Some of them."""
        return Strange(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


def _join(parts: list[Strange]) -> Strange:
    joined = Strange(**{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Strange)})
    return joined.take(np.argsort(joined.event, kind="stable"))


def _charged(tracks: Flat, prompt: Bools, three: Array, box: BMesonConfig) -> Strange:
    rows = np.flatnonzero(prompt & tracks["is_k"] if box.identified else prompt)
    n = len(rows)
    return Strange(
        tracks.event[rows], np.zeros(n, np.int64), with_mass(three[rows], M_KPLUS), np.asarray(tracks["is_k"][rows]),
        np.full(n, np.inf), np.ones(n), three[rows],
    )  # fmt: skip


def _neutral(
    events: ak.Array, tracks: Flat, three: Array, wanted: TrackConfig, box: BMesonConfig
) -> tuple[Strange, tuple[Ints, Ints]]:
    """K_S, and the rows of their tracks."""
    require_fields(events, "vertices")
    vertices = flatten(events["vertices"], _VERTEX)
    offset = np.cumsum(tracks.counts()) - tracks.counts()
    minus, plus = (vertices[f"track_{c}"].astype(np.int64) + offset[vertices.event] for c in ("minus", "plus"))
    usable = good_tracks(tracks, wanted.model_copy(update={"max_d0": None, "max_z0": None}))
    p = with_mass(three[minus], M_PIPLUS) + with_mass(three[plus], M_PIPLUS)
    m = signed_root(mass2(p))
    low, high = box.ks_mass if box.ks_mass is not None else (0.0, 0.0)
    keep = usable[minus] & usable[plus] & (vertices["r_xy"] >= box.min_radius) & (m >= low) & (m <= high)
    rows = np.flatnonzero(keep)
    n = len(rows)
    found = Strange(
        vertices.event[rows], np.ones(n, np.int64), p[rows], np.ones(n, dtype=bool), vertices["r_xy"][rows],
        vertices["cos_pointing"][rows], np.zeros((n, 3)),
    )  # fmt: skip
    return found, (minus[rows], plus[rows])


def _with_pion(
    kaons: Strange, own: tuple[Ints, ...], tracks: Flat, prompt: Bools, three: Array, mass: tuple[float, float]
) -> Strange:
    """K* of a list of kaons, whose tracks are ``own``, with any other track from the interaction point."""
    pion = np.flatnonzero(prompt)
    a, b = pairs_of_events(kaons.event, tracks.event[pion], tracks.n_events)
    other = pion[b]
    keep = np.ones(len(a), dtype=bool)
    for track in own:
        keep &= track[a] != other
    if len(own) == 1:
        keep &= tracks["charge"][own[0][a]] * tracks["charge"][other] < 0
    a, other = a[keep], other[keep]
    p = kaons.p[a] + with_mass(three[other], M_PIPLUS)
    m = signed_root(mass2(p))
    rows = np.flatnonzero((m >= mass[0]) & (m <= mass[1]))
    found = kaons.take(a[rows])
    return Strange(found.event, found.mode + 2, p[rows], found.kaon, found.radius, found.pointing, found.charged)


def kaon_systems(
    events: ak.Array, tracks: Flat, prompt: Bools, three: Array, wanted: TrackConfig, box: BMesonConfig
) -> Strange:
    """All kaon systems that ``box`` asks for: K+ always, K_S and K*+ with ``ks_mass``, K* with ``kstar_mass``.

    Args:
        events: with tracks, and vertices if K_S are asked for.
        tracks: all tracks of the events.
        prompt: those of the interaction point.
        three: momenta of all tracks, (n, 3).
        wanted: limits on tracks; those of K_S have no cut on impact parameters.
        box: which systems.

    Raises:
        InputError: events without vertices, where K_S are asked for.
    """
    charged = _charged(tracks, prompt, three, box)
    rows = np.flatnonzero(prompt & tracks["is_k"] if box.identified else prompt)
    parts = [charged]
    if box.kstar_mass is not None:
        parts.append(_with_pion(charged, (rows,), tracks, prompt, three, box.kstar_mass))
    if box.ks_mass is not None:
        neutral, own = _neutral(events, tracks, three, wanted, box)
        parts.append(neutral)
        if box.kstar_mass is not None:
            parts.append(_with_pion(neutral, own, tracks, prompt, three, box.kstar_mass))
    return _join(parts)
