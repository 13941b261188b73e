"""Candidate ``tau_tag_probe``: of tau -> lepton and tau -> three pions, all but one pion are the tag.

For the efficiency of finding tracks: the charges of a lepton and of two pions on the other side tell that a third pion
must be there, and of which charge. Events have three or four good tracks. With four, each of them is once the probe,
found, and the other three are the tag; with three the probe is the one that is missing. What is asked of the tag does
not depend on the probe, so that the fraction of probes that are found is the efficiency: with one of e for each pion,
3 e^3 probes are found and 3 e^2 (1 - e) are not.
"""

from __future__ import annotations

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from darkfactory.config.selection import ObjectsConfig
from darkfactory.events.schema import require_fields
from darkfactory.physics.beams import BeamFrame
from darkfactory.physics.constants import M_PIPLUS
from darkfactory.select.candidates import Candidates, Observable
from darkfactory.select.objects import Array, cm_matrix, flatten, good_tracks, transform
from darkfactory.select.vectors import dot3, mass2, modulus, polar_angle, signed_root

__all__ = ["OBSERVABLES", "lonely", "tau_tag_probe"]

_FLAGS = ("is_e", "is_mu_tight")
_TRACK = ("charge", "px", "py", "pz", "d0", "z0", "cluster_e", *_FLAGS)
# places of the tag's tracks with the first to the fourth track as probe
_OTHERS = np.array([[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]])


def lonely(p: Array) -> NDArray[np.int64]:
    """Place of the one of three momenta that has more than 90 degrees to both others, which have less; -1 for none.

    Args:
        p: four-momenta, shape (n, 3, 4).

    Example:
        >>> away, jet = [1.0, 0.0, 0.0, -1.0], [[1.0, 0.1, 0.0, 1.0], [1.0, 0.0, 0.1, 1.0]]
        >>> lonely(np.array([[away, *jet], [*jet, away], [*jet, jet[0]]])).tolist()
        [0, 2, -1]
    """
    found = np.full(len(p), -1)
    for one, two, three in ((0, 1, 2), (1, 0, 2), (2, 0, 1)):
        a, b, c = (dot3(p[:, i], p[:, j]) for i, j in ((one, two), (one, three), (two, three)))
        found = np.where((a < 0) & (b < 0) & (c > 0), one, found)
    return found


def tau_tag_probe(events: ak.Array, objects: ObjectsConfig, frame: BeamFrame) -> Candidates:
    """Tags of one track against two, with a total charge of one, and whether the track that is due is there.

    Candidates have the number of the probe among the event's good tracks, 0 where it is missing. CM quantities use the
    nominal beams, the mass of pions for all tracks.
    """
    require_fields(events, "tracks")
    tracks = flatten(events["tracks"], _TRACK)
    tracks = tracks.where(good_tracks(tracks, objects.tracks))
    counts = tracks.counts()
    total = np.bincount(tracks.event, weights=tracks["charge"], minlength=tracks.n_events)
    first = np.cumsum(counts) - counts
    three = np.flatnonzero((counts == 3) & (np.abs(total) == 1))
    four = np.flatnonzero((counts == 4) & (total == 0))
    event = np.concatenate([three, np.repeat(four, 4)])
    number = np.concatenate([np.zeros(len(three), np.int64), np.tile(np.arange(4), len(four))])
    places = np.concatenate([np.tile(_OTHERS[3], (len(three), 1)), np.tile(_OTHERS, (len(four), 1))])
    found = np.concatenate([np.zeros(len(three)), np.ones(4 * len(four))])
    order = np.lexsort((number, event))
    event, number, found = event[order], number[order], found[order]
    rows = first[event][:, None] + places[order]

    space = np.stack([tracks["px"], tracks["py"], tracks["pz"]], axis=-1)
    p2 = space[:, 0] ** 2 + space[:, 1] ** 2 + space[:, 2] ** 2
    lab = np.concatenate([np.sqrt(p2 + M_PIPLUS**2)[:, None], space], axis=1)
    cm = transform(lab, cm_matrix(frame))
    single = lonely(cm[rows])
    keep = np.flatnonzero(single >= 0)
    event, number, found, rows, single = event[keep], number[keep], found[keep], rows[keep], single[keep]
    one = rows[np.arange(len(rows)), single]
    pair = rows[np.arange(3) != single[:, None]].reshape(-1, 2)
    basis: dict[str, np.ndarray] = {
        "found": found,
        "one": cm[one],
        "one_lab": lab[one],
        "pair": cm[pair[:, 0]] + cm[pair[:, 1]],
        "pair_lab": lab[pair[:, 0]] + lab[pair[:, 1]],
        "cluster_e": tracks["cluster_e"][one],
        "pair_is_e": np.stack([tracks["is_e"][pair[:, i]] for i in (0, 1)], axis=-1),
        **{f"one_{f}": tracks[f][one] for f in _FLAGS},
    }
    return Candidates(event, number, basis)


def _opening(one: Array, pair: Array) -> Array:
    """Cosine of the angle between the single track and the two others together."""
    return np.asarray(dot3(one, pair) / np.maximum(modulus(one) * modulus(pair), 1e-12))


def _flag(flag: np.ndarray) -> Array:
    return np.asarray(flag.astype(float))


OBSERVABLES: tuple[Observable, ...] = (
    Observable("found", "1", ("found",), lambda f: f, (-0.5, 1.5), "1 if the probe is among the tracks"),
    Observable("tag_is_e", "1", ("one_is_e",), _flag, (-0.5, 1.5),
               "1 if the single track is identified as an electron"),
    Observable("tag_is_mu_tight", "1", ("one_is_mu_tight",), _flag, (-0.5, 1.5),
               "1 if the single track is tightly a muon"),
    Observable("tag_e_over_p", "1", ("cluster_e", "one_lab"), lambda e, p: e / modulus(p), (0.0, 1.5),
               "calorimeter energy of the single track over its momentum"),
    Observable("p_tag", "GeV", ("one_lab",), modulus, (0.0, 8.0), "laboratory momentum of the single track"),
    Observable("p_tag_cms", "GeV", ("one",), modulus, (0.0, 6.0), "CM momentum of the single track"),
    Observable("p_pair_cms", "GeV", ("pair",), modulus, (0.0, 6.0), "CM momentum of the two pions together"),
    Observable("m_pair", "GeV", ("pair_lab",), lambda p: signed_root(mass2(p)), (0.2, 2.0), "mass of the two pions"),
    Observable("theta_pair", "rad", ("pair_lab",), polar_angle, (0.0, np.pi),
               "laboratory polar angle of the two pions together; the probe flies with them"),
    Observable("opening", "1", ("one", "pair"), _opening, (-1.0, 1.0),
               "cosine of the CM angle between the single track and the two pions together"),
    Observable("n_e_pair", "1", ("pair_is_e",), lambda f: f[:, 0].astype(float) + f[:, 1], (-0.5, 2.5),
               "identified electrons among the two pions"),
)  # fmt: skip
"""All observables of this candidate."""
