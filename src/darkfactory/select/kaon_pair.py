"""Candidate ``kaon_displaced_pair``: B -> K+ S or B -> K*0 S, S a pair of tracks with a vertex of their own.

After the search for a long-lived spin-0 particle in b -> s transitions, Phys. Rev. D 108, L111104. Every fitted vertex
goes with every kaon that comes from the interaction point, alone or with a pion of opposite charge that
makes a K*0; each combination counts once for each pair of particles that S may decay to, if it is in the box of
``objects.b_meson``. CM quantities use the nominal beams.
"""

from __future__ import annotations

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from darkfactory.config.selection import BMesonConfig, ObjectsConfig
from darkfactory.core.errors import ConfigError
from darkfactory.events.schema import require_fields
from darkfactory.physics.beams import BeamFrame
from darkfactory.physics.constants import M_D0, M_E, M_K0, M_KPLUS, M_LAMBDA, M_MU, M_PIPLUS, M_PROTON
from darkfactory.select.candidates import Candidates, Observable
from darkfactory.select.objects import Array, Flat, cm_matrix, flatten, good_photons, good_tracks, photon_p4, transform
from darkfactory.select.two_vertices import pair_mass_squared
from darkfactory.select.vectors import angle, mass2, modulus, polar_angle, signed_root

__all__ = [
    "FINALS",
    "OBSERVABLES",
    "beam_constrained_mass",
    "event_shape",
    "fox_wolfram_r2",
    "kaon_displaced_pair",
    "pairs_of_events",
    "with_mass",
]

Ints = NDArray[np.int64]
_FLAGS = ("is_e", "is_mu", "is_pi", "is_k")
_TRACK = ("charge", "px", "py", "pz", "d0", "z0", *_FLAGS)
_VERTEX = ("track_minus", "track_plus", "x", "y", "r_xy", "distance", "sigma_r", "probability")
_CLUSTER = ("e", "theta", "phi", "time", "dt99", "track", "photon_like")

FINALS = (("ee", M_E, "is_e"), ("mumu", M_MU, "is_mu"), ("pipi", M_PIPLUS, "is_pi"), ("kk", M_KPLUS, "is_k"))
"""What S decays to, in the order of the observable ``final``: name, mass of the products, decision on the tracks."""


def pairs_of_events(first: Ints, second: Ints, n_events: int) -> tuple[Ints, Ints]:
    """Rows of all pairs of one object of a first and one of a second list that are of the same event.

    Args:
        first: event of each object of the first list, rising.
        second: of the second list, rising.
        n_events: number of events.

    Example:
        >>> [v.tolist() for v in pairs_of_events(np.array([0, 2, 2]), np.array([0, 0, 2]), 3)]
        [[0, 0, 1, 2], [0, 1, 2, 2]]
    """
    counts = np.bincount(second, minlength=n_events)
    starts = np.cumsum(counts) - counts
    repeats = counts[first]
    one = np.repeat(np.arange(len(first)), repeats)
    within = np.arange(len(one)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    return one, starts[first[one]] + within


def fox_wolfram_r2(p: Array, event: Ints, n_events: int) -> Array:
    """Ratio of the second to the zeroth Fox-Wolfram moment of each event, 0 without particles.

    Args:
        p: momenta (m, 4).
        event: of each particle.
        n_events: number of events.

    Example:
        Two back to back, and four in a square:

        >>> x, y = [1.0, 1.0, 0.0, 0.0], [1.0, 0.0, 1.0, 0.0]
        >>> p = np.array([x, [1.0, -1.0, 0.0, 0.0], x, [1.0, -1.0, 0.0, 0.0], y, [1.0, 0.0, -1.0, 0.0]])
        >>> fox_wolfram_r2(p, np.array([0, 0, 1, 1, 1, 1]), 2).round(6).tolist()
        [1.0, 0.25]
    """
    size = np.sqrt(p[:, 1] ** 2 + p[:, 2] ** 2 + p[:, 3] ** 2)
    safe = np.maximum(size, 1e-12)
    squares = np.zeros(n_events)
    for i in (1, 2, 3):
        for j in (1, 2, 3):
            squares += np.bincount(event, weights=p[:, i] * p[:, j] / safe, minlength=n_events) ** 2
    total = np.bincount(event, weights=size, minlength=n_events) ** 2
    return np.asarray(np.where(total > 0, 1.5 * squares / np.where(total > 0, total, 1.0) - 0.5, 0.0))


def with_mass(three: Array, mass: float) -> Array:
    """Four-momenta (n, 4) from momenta (n, 3) and a mass in GeV.

    Example:
        >>> with_mass(np.array([[3.0, 0.0, 0.0]]), 4.0).tolist()
        [[5.0, 3.0, 0.0, 0.0]]
    """
    energy = np.sqrt(three[:, 0] ** 2 + three[:, 1] ** 2 + three[:, 2] ** 2 + mass * mass)
    return np.concatenate([energy[:, None], three], axis=1)


def _kaons(tracks: Flat, prompt: NDArray[np.bool_], three: Array, box: BMesonConfig) -> tuple[Ints, Ints, Ints]:
    """Event, kaon and pion (-1 for none) of all kaons, and of all K*0 in a range of masses."""
    mass = box.kstar_mass
    kaon = np.flatnonzero(prompt & tracks["is_k"] if box.identified else prompt)
    event, pion = tracks.event[kaon], np.full(len(kaon), -1, dtype=np.int64)
    if mass is None:
        return event, kaon, pion
    other = np.flatnonzero(prompt)
    a, b = pairs_of_events(event, tracks.event[other], tracks.n_events)
    one, two = kaon[a], other[b]
    m = signed_root(mass2(with_mass(three[one], M_KPLUS) + with_mass(three[two], M_PIPLUS)))
    keep = (tracks["charge"][one] * tracks["charge"][two] < 0) & (m >= mass[0]) & (m <= mass[1])
    event, kaon, pion = (
        np.concatenate(v) for v in zip((event, kaon, pion), (event[a][keep], one[keep], two[keep]), strict=True)
    )
    order = np.argsort(event, kind="stable")
    return event[order], kaon[order], pion[order]


def kaon_displaced_pair(events: ak.Array, objects: ObjectsConfig, frame: BeamFrame) -> Candidates:
    """All combinations of a vertex with a kaon or K*0 in the box, for each final state of S.

    ``objects.tracks`` are those of the interaction point; tracks of the vertex have the same limits but those on impact
    parameters.

    Raises:
        ConfigError: ``objects.b_meson`` is absent.
        InputError: events without vertices.
    """
    require_fields(events, "tracks", "clusters", "vertices")
    box = objects.b_meson
    if box is None:
        raise ConfigError("candidate kaon_displaced_pair needs the box of M_bc and Delta E", where="objects.b_meson")
    tracks, vertices = flatten(events["tracks"], _TRACK), flatten(events["vertices"], _VERTEX)
    three = np.stack([tracks["px"], tracks["py"], tracks["pz"]], axis=-1)
    prompt = good_tracks(tracks, objects.tracks)
    usable = good_tracks(tracks, objects.tracks.model_copy(update={"max_d0": None, "max_z0": None}))
    offset = np.cumsum(tracks.counts()) - tracks.counts()
    minus, plus = (vertices[f"track_{c}"].astype(np.int64) + offset[vertices.event] for c in ("minus", "plus"))
    rows = np.flatnonzero(usable[minus] & usable[plus] & (vertices["r_xy"] >= box.min_radius))
    k_event, kaon, pion = _kaons(tracks, prompt, three, box)
    v, k = pairs_of_events(vertices.event[rows], k_event, tracks.n_events)
    v, kaon, pion = rows[v], kaon[k], pion[k]
    apart = np.ones(len(v), dtype=bool)
    for side in (minus, plus):
        apart &= (side[v] != kaon) & (side[v] != pion)
    v, kaon, pion = v[apart], kaon[apart], pion[apart]

    to_cm = cm_matrix(frame)
    strange = with_mass(three[kaon], M_KPLUS)
    with_pion = np.flatnonzero(pion >= 0)
    strange[with_pion] += with_mass(three[pion[with_pion]], M_PIPLUS)
    parts: list[tuple[Ints, Ints, Array]] = []
    for number, (_, mass, _) in enumerate(FINALS):
        b = transform(strange + with_mass(three[minus[v]], mass) + with_mass(three[plus[v]], mass), to_cm)
        inside = _in_box(b, frame, box)
        parts.append((inside, np.full(len(inside), number), b[inside]))
    row = np.concatenate([p[0] for p in parts])
    final = np.concatenate([p[1] for p in parts])
    b = np.concatenate([p[2] for p in parts])
    order = np.lexsort((final, row))
    row, final, b = row[order], final[order], b[order]
    event, one, two = vertices.event[v[row]], minus[v[row]], plus[v[row]]
    r2 = event_shape(events, tracks, prompt, three, objects, to_cm)
    flags = np.stack([tracks[f] for _, _, f in FINALS], axis=-1)
    basis: dict[str, np.ndarray] = {
        "minus": three[one],
        "plus": three[two],
        "kaon": tracks["is_k"][kaon[row]].astype(float),
        "kaon_lab": three[kaon[row]],
        "strange": strange[row],
        "b": b,
        "final": final.astype(float),
        "mass": np.array([m for _, m, _ in FINALS])[final],
        "mode": (pion[row] >= 0).astype(float),
        "identified": flags[one, final].astype(float) + flags[two, final].astype(float),
        "sqrts": np.full(len(row), frame.sqrts),
        "r2": r2[event],
    }
    for name in ("x", "y", "r_xy", "distance", "sigma_r", "probability"):
        basis[name] = vertices[name][v[row]]
    return Candidates(event, np.arange(len(event)) - np.searchsorted(event, event, side="left"), basis)


def _in_box(b: Array, frame: BeamFrame, box: BMesonConfig) -> Ints:
    inside = (np.abs(b[:, 0] - frame.sqrts / 2) <= box.max_delta_e) & (
        beam_constrained_mass(b, frame.sqrts) >= box.min_m_bc
    )
    return np.flatnonzero(inside)


def event_shape(
    events: ak.Array, tracks: Flat, prompt: NDArray[np.bool_], three: Array, objects: ObjectsConfig, to_cm: Array
) -> Array:
    """R2 of the tracks from the interaction point, as pions, and of the photons, in the CM."""
    photons = flatten(events["clusters"], _CLUSTER)
    photons = photons.where(good_photons(photons, objects.photons))
    p = transform(np.concatenate([with_mass(three[prompt], M_PIPLUS), photon_p4(photons)]), to_cm)
    return fox_wolfram_r2(p, np.concatenate([tracks.event[prompt], photons.event]), tracks.n_events)


def beam_constrained_mass(b: Array, sqrts: Array | float) -> Array:
    """M_bc = sqrt(s/4 - p^2) of momenta in the CM, GeV; 0 for more momentum than the beams have.

    Example:
        >>> beam_constrained_mass(np.array([[5.0, 3.0, 0.0, 0.0]]), 10.0).tolist()
        [4.0]
    """
    square = b[:, 1] ** 2 + b[:, 2] ** 2 + b[:, 3] ** 2
    return np.asarray(np.sqrt(np.maximum(sqrts * sqrts / 4 - square, 0.0)))


def _root(one: Array, two: Array, m_one: float, m_two: float) -> Array:
    return signed_root(pair_mass_squared(one, two, m_one, m_two))


def _reduced(one: Array, two: Array, mass: Array) -> Array:
    """M^2 - 4 m^2 of a pair of particles of mass m, without the cancellation: 2 (E_1 E_2 - m^2 - p_1 . p_2)."""
    p1, p2 = (np.sqrt(v[:, 0] ** 2 + v[:, 1] ** 2 + v[:, 2] ** 2) for v in (one, two))
    e1, e2 = np.sqrt(p1 * p1 + mass * mass), np.sqrt(p2 * p2 + mass * mass)
    # (E_1 E_2)^2 - (p_1 p_2 + m^2)^2 = m^2 (p_1 - p_2)^2, and p_1 p_2 - p_1 . p_2 from the cross product
    energies = (mass * (p1 - p2)) ** 2 / (e1 * e2 + p1 * p2 + mass * mass)
    dot = one[:, 0] * two[:, 0] + one[:, 1] * two[:, 1] + one[:, 2] * two[:, 2]
    cross2 = (
        (one[:, 1] * two[:, 2] - one[:, 2] * two[:, 1]) ** 2
        + (one[:, 2] * two[:, 0] - one[:, 0] * two[:, 2]) ** 2
        + (one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]) ** 2
    )
    opening = np.where(dot > 0, cross2 / np.maximum(p1 * p2 + dot, 1e-30), p1 * p2 - dot)
    return np.asarray(2 * (energies + opening))


def _nearest(one: Array, two: Array, first: float, second: float, target: float) -> Array:
    """Distance to a mass, of both assignments the closer."""
    away = np.abs(_root(one, two, first, second) - target)
    return np.asarray(np.minimum(away, np.abs(_root(one, two, second, first) - target)))


def _d0_distance(one: Array, two: Array) -> Array:
    equal = [np.abs(_root(one, two, m, m) - M_D0) for m in (M_PIPLUS, M_KPLUS)]
    return np.asarray(np.minimum(np.minimum(*equal), _nearest(one, two, M_KPLUS, M_PIPLUS, M_D0)))


def _four(p: Array) -> Array:
    return np.concatenate([np.zeros((len(p), 1)), p], axis=1)


def _size(p: Array) -> Array:
    return modulus(_four(p))


def _theta(p: Array) -> Array:
    return polar_angle(_four(p))


def _opening(one: Array, two: Array) -> Array:
    return angle(_four(one), _four(two))


def _pointing(one: Array, two: Array, x: Array, y: Array) -> Array:
    """Transverse: the beams' overlap is hundreds of micrometres long, but thin."""
    px, py = one[:, 0] + two[:, 0], one[:, 1] + two[:, 1]
    return np.asarray((px * x + py * y) / np.maximum(np.hypot(px, py) * np.hypot(x, y), 1e-12))


_PAIR = ("minus", "plus")

OBSERVABLES: tuple[Observable, ...] = (
    Observable("m2_reduced", "GeV^2", (*_PAIR, "mass"), _reduced, (0.0, 23.0),
               "squared mass of the pair less four times that of its particles squared"),
    Observable("m_bc", "GeV", ("b", "sqrts"), beam_constrained_mass, (5.0, 5.3), "beam-constrained mass of the B"),
    Observable("delta_e", "GeV", ("b", "sqrts"), lambda b, s: b[:, 0] - s / 2, (-1.0, 1.0),
               "CM energy of the B less that of a beam"),
    Observable("final", "1", ("final",), lambda x: x, (-0.5, 3.5), "what S decays to: 0 ee, 1 mu mu, 2 pi pi, 3 K K"),
    Observable("mode", "1", ("mode",), lambda x: x, (-0.5, 1.5), "0: K+, 1: K*0 to K+ pi-"),
    Observable("n_identified", "1", ("identified",), lambda x: x, (-0.5, 2.5),
               "tracks of the pair that are identified as what S decays to"),
    Observable("is_kaon", "1", ("kaon",), lambda x: x, (-0.5, 1.5), "1 for a kaon that is identified as one"),
    Observable("p_kaon", "GeV", ("kaon_lab",), _size, (0.0, 5.0), "laboratory momentum of the kaon"),
    Observable("theta_kaon", "rad", ("kaon_lab",), _theta, (0.0, np.pi), "laboratory polar angle of the kaon"),
    *(
        observable
        for sign in _PAIR
        for observable in (
            Observable(f"p_{sign}", "GeV", (sign,), _size, (0.0, 5.0), f"laboratory momentum of the {sign} track of S"),
            Observable(f"theta_{sign}", "rad", (sign,), _theta, (0.0, np.pi),
                       f"laboratory polar angle of the {sign} track of S"),
        )
    ),
    Observable("m_strange", "GeV", ("strange",), lambda p: signed_root(mass2(p)), (0.4, 1.2), "mass of the K*0"),
    Observable("r_s", "cm", ("r_xy",), lambda r: r, (0.0, 60.0), "transverse radius of the pair's vertex"),
    Observable("distance_s", "cm", ("distance",), lambda d: d, (0.0, 60.0), "distance of the pair's vertex"),
    Observable("significance_s", "1", ("r_xy", "sigma_r"), lambda r, s: r / np.maximum(s, 1e-6), (0.0, 100.0),
               "transverse radius of the pair's vertex over its uncertainty"),
    Observable("probability_s", "1", ("probability",), lambda p: p, (0.0, 1.0), "probability of the vertex fit"),
    Observable("pointing_s", "1", (*_PAIR, "x", "y"), _pointing, (-1.0, 1.0),
               "cosine between position of the vertex and momentum of the pair, transverse to the beams"),
    Observable("material_s", "cm", ("r_xy",), lambda r, radius: np.abs(r - radius), (0.0, 10.0),
               "distance of the vertex in radius to a layer of material", {"radius": ("cm", 1.0)}),
    Observable("ks_distance", "GeV", _PAIR, lambda a, b: np.abs(_root(a, b, M_PIPLUS, M_PIPLUS) - M_K0), (0.0, 1.0),
               "distance of the pair's mass as pions to that of the K_S"),
    Observable("lambda_distance", "GeV", _PAIR, lambda a, b: _nearest(a, b, M_PROTON, M_PIPLUS, M_LAMBDA), (0.0, 1.0),
               "distance of the pair's mass as proton and pion to that of the Lambda"),
    Observable("d0_distance", "GeV", _PAIR, _d0_distance, (0.0, 1.0),
               "distance of the pair's mass as K pi, K K or pi pi to that of the D0"),
    Observable("opening_s", "rad", _PAIR, _opening, (0.0, np.pi), "angle between the tracks of the pair"),
    Observable("r2", "1", ("r2",), lambda r: r, (0.0, 1.0), "second over zeroth Fox-Wolfram moment of the event"),
)  # fmt: skip
"""All observables of this candidate."""
