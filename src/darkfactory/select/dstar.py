"""Candidate ``dstar``: D*+ -> D0 pi+ with D0 -> K- pi+, the charge of the slow pion tells which track is the kaon.

For the scale of momenta (the place of the D0's peak) and for the identification of kaons and pions, none of which is
asked for here. Combinations are those of ``objects.dstar``; CM quantities use the nominal beams.
"""

from __future__ import annotations

import awkward as ak
import numpy as np

from darkfactory.config.selection import ObjectsConfig
from darkfactory.core.errors import ConfigError
from darkfactory.events.schema import require_fields
from darkfactory.physics.beams import BeamFrame
from darkfactory.physics.constants import M_KPLUS, M_PIPLUS
from darkfactory.select.candidates import Candidates, Observable
from darkfactory.select.kaon_pair import pairs_of_events, with_mass
from darkfactory.select.objects import Array, cm_matrix, flatten, good_tracks, transform
from darkfactory.select.vectors import mass2, modulus, polar_angle, signed_root

__all__ = ["OBSERVABLES", "dstar"]

_FLAGS = ("is_pi", "is_k")
_TRACK = ("charge", "px", "py", "pz", "d0", "z0", *_FLAGS)


def dstar(events: ak.Array, objects: ObjectsConfig, frame: BeamFrame) -> Candidates:
    """All combinations of a kaon, a pion of opposite charge and a slow pion of the pion's charge.

    Raises:
        ConfigError: ``objects.dstar`` is absent.
    """
    require_fields(events, "tracks")
    box = objects.dstar
    if box is None:
        raise ConfigError("candidate dstar needs the ranges of its masses", where="objects.dstar")
    tracks = flatten(events["tracks"], _TRACK)
    tracks = tracks.where(good_tracks(tracks, objects.tracks))
    three = np.stack([tracks["px"], tracks["py"], tracks["pz"]], axis=-1)
    charge = tracks["charge"]
    fast = np.flatnonzero(modulus(with_mass(three, 0.0)) >= box.min_p)
    a, b = pairs_of_events(tracks.event[fast], tracks.event[fast], tracks.n_events)
    kaon, pion = fast[a], fast[b]
    opposite = charge[kaon] * charge[pion] < 0
    kaon, pion = kaon[opposite], pion[opposite]
    d0 = with_mass(three[kaon], M_KPLUS) + with_mass(three[pion], M_PIPLUS)
    mass = signed_root(mass2(d0))
    inside = (mass >= box.d0_mass[0]) & (mass <= box.d0_mass[1])
    kaon, pion, d0, mass = kaon[inside], pion[inside], d0[inside], mass[inside]

    row, slow = pairs_of_events(tracks.event[kaon], tracks.event, tracks.n_events)
    same = (charge[slow] == charge[pion[row]]) & (slow != pion[row])
    row, slow = row[same], slow[same]
    total = d0[row] + with_mass(three[slow], M_PIPLUS)
    difference = signed_root(mass2(total)) - mass[row]
    close = difference <= box.max_delta_m
    row, slow, total, difference = row[close], slow[close], total[close], difference[close]
    event = tracks.event[slow]
    basis: dict[str, np.ndarray] = {
        "kaon": three[kaon[row]],
        "pion": three[pion[row]],
        "d0": d0[row],
        "dstar_cm": transform(total, cm_matrix(frame)),
        "delta_m": difference,
        "charge": charge[slow].astype(float),
        **{f"kaon_{f}": tracks[f][kaon[row]] for f in _FLAGS},
        **{f"pion_{f}": tracks[f][pion[row]] for f in _FLAGS},
    }
    return Candidates(event, np.arange(len(event)) - np.searchsorted(event, event, side="left"), basis)


def _mass(kaon: Array, pion: Array, scale: float = 1.0) -> Array:
    return signed_root(mass2(with_mass(scale * kaon, M_KPLUS) + with_mass(scale * pion, M_PIPLUS)))


def _momentum(three: Array) -> Array:
    return modulus(with_mass(three, 0.0))


def _theta(three: Array) -> Array:
    return polar_angle(with_mass(three, 0.0))


def _mean_theta(kaon: Array, pion: Array) -> Array:
    """Angle whose cosine is the mean of those of both tracks."""
    return np.asarray(np.arccos(0.5 * (np.cos(_theta(kaon)) + np.cos(_theta(pion)))))


def _flag(flag: np.ndarray) -> Array:
    return np.asarray(flag.astype(float))


_PAIR = ("kaon", "pion")

OBSERVABLES: tuple[Observable, ...] = (
    Observable("m_kpi", "GeV", _PAIR, _mass, (1.75, 2.0), "mass of the D0"),
    Observable("m_kpi_scale", "GeV", _PAIR, lambda k, p, scale: _mass(k, p, scale), (1.75, 2.0),
               "mass of the D0 with all momenta scaled", {"scale": ("1", 1.001)}),
    Observable("delta_m", "GeV", ("delta_m",), lambda d: d, (0.139, 0.16), "mass of the D*+ less that of the D0"),
    Observable("p_dstar_cms", "GeV", ("dstar_cm",), modulus, (0.0, 5.0), "CM momentum of the D*+"),
    Observable("theta_d0", "rad", ("d0",), polar_angle, (0.0, np.pi), "laboratory polar angle of the D0"),
    Observable("theta_tracks", "rad", _PAIR, _mean_theta, (0.0, np.pi),
               "laboratory polar angle whose cosine is the mean of those of kaon and pion"),
    Observable("p_k", "GeV", ("kaon",), _momentum, (0.0, 6.0), "laboratory momentum of the kaon"),
    Observable("theta_k", "rad", ("kaon",), _theta, (0.0, np.pi), "laboratory polar angle of the kaon"),
    Observable("p_pi", "GeV", ("pion",), _momentum, (0.0, 6.0), "laboratory momentum of the pion of the D0"),
    Observable("theta_pi", "rad", ("pion",), _theta, (0.0, np.pi), "laboratory polar angle of the pion of the D0"),
    Observable("k_is_k", "1", ("kaon_is_k",), _flag, (-0.5, 1.5), "1 if the kaon is identified as a kaon"),
    Observable("k_is_pi", "1", ("kaon_is_pi",), _flag, (-0.5, 1.5), "1 if the kaon is identified as a pion"),
    Observable("pi_is_pi", "1", ("pion_is_pi",), _flag, (-0.5, 1.5), "1 if the pion is identified as a pion"),
    Observable("pi_is_k", "1", ("pion_is_k",), _flag, (-0.5, 1.5), "1 if the pion is identified as a kaon"),
    Observable("charge", "1", ("charge",), lambda q: q, (-1.5, 1.5), "charge of the slow pion"),
)  # fmt: skip
"""All observables of this candidate."""
