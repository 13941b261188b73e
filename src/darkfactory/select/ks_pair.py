"""Candidate ``ks_pair``: a vertex of two tracks as K_S -> pi+ pi-, for the efficiency of displaced vertices."""

from __future__ import annotations

import awkward as ak
import numpy as np

from darkfactory.config.selection import ObjectsConfig
from darkfactory.events.schema import require_fields
from darkfactory.physics.beams import BeamFrame
from darkfactory.physics.constants import M_PIPLUS, M_PROTON
from darkfactory.select.candidates import Candidates, Observable
from darkfactory.select.objects import Array, flatten, good_tracks
from darkfactory.select.two_vertices import pair_mass_squared

__all__ = ["OBSERVABLES", "ks_pair"]

_TRACK = ("charge", "px", "py", "pz", "d0", "z0")
_VERTEX = ("track_minus", "track_plus", "r_xy", "distance", "sigma_distance", "probability", "cos_pointing")


def ks_pair(events: ak.Array, objects: ObjectsConfig, frame: BeamFrame) -> Candidates:
    """Every fitted vertex is a candidate; ``objects.tracks`` are asked of its tracks, but for impact parameters.

    Raises:
        InputError: events without vertices.
    """
    require_fields(events, "tracks", "vertices")
    tracks, vertices = flatten(events["tracks"], _TRACK), flatten(events["vertices"], _VERTEX)
    three = np.stack([tracks["px"], tracks["py"], tracks["pz"]], axis=-1)
    usable = good_tracks(tracks, objects.tracks.model_copy(update={"max_d0": None, "max_z0": None}))
    offset = np.cumsum(tracks.counts()) - tracks.counts()
    minus, plus = (vertices[f"track_{c}"].astype(np.int64) + offset[vertices.event] for c in ("minus", "plus"))
    rows = np.flatnonzero(usable[minus] & usable[plus])
    event = vertices.event[rows]
    basis: dict[str, np.ndarray] = {"minus": three[minus[rows]], "plus": three[plus[rows]]}
    basis |= {name: vertices[name][rows] for name in _VERTEX[2:]}
    return Candidates(event, np.arange(len(event)) - np.searchsorted(event, event, side="left"), basis)


def _mass(one: Array, two: Array, m_one: float, m_two: float) -> Array:
    return np.asarray(np.sqrt(np.maximum(pair_mass_squared(one, two, m_one, m_two), 0.0)))


def _momentum(one: Array, two: Array) -> Array:
    p = one + two
    return np.asarray(np.sqrt(p[:, 0] ** 2 + p[:, 1] ** 2 + p[:, 2] ** 2))


_PAIR = ("minus", "plus")

OBSERVABLES: tuple[Observable, ...] = (
    Observable("m_pipi", "GeV", _PAIR, lambda a, b: _mass(a, b, M_PIPLUS, M_PIPLUS), (0.3, 0.7), "mass of two pions"),
    Observable("m_p_pi", "GeV", _PAIR, lambda a, b: _mass(a, b, M_PIPLUS, M_PROTON), (1.0, 1.3),
               "mass of a proton and a negative pion"),
    Observable("m_pi_p", "GeV", _PAIR, lambda a, b: _mass(a, b, M_PROTON, M_PIPLUS), (1.0, 1.3),
               "mass of an antiproton and a positive pion"),
    Observable("p_ks", "GeV", _PAIR, _momentum, (0.0, 5.0), "laboratory momentum of the pair"),
    Observable("r_ks", "cm", ("r_xy",), lambda r: r, (0.0, 60.0), "transverse radius of the vertex"),
    Observable("distance_ks", "cm", ("distance",), lambda d: d, (0.0, 60.0), "distance of the vertex"),
    Observable("significance_ks", "1", ("distance", "sigma_distance"), lambda d, s: d / np.maximum(s, 1e-6),
               (0.0, 100.0), "distance of the vertex over its error"),
    Observable("pointing_ks", "1", ("cos_pointing",), lambda c: c, (-1.0, 1.0),
               "cosine between the position and the momentum of the pair"),
    Observable("probability_ks", "1", ("probability",), lambda p: p, (0.0, 1.0), "probability of the vertex fit"),
)  # fmt: skip
"""All observables of this candidate."""
