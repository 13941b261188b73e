"""Candidate ``tautau_dilepton``: a pair of electrons or muons beside two one-prong taus, its vertex, what is missing.

After the searches for a leptophilic scalar in e+e- -> tau tau S, S -> l l, Phys. Rev. D 109, 032002 and Phys. Rev.
Lett. 125, 181801. Events have exactly four good tracks of zero charge. Every pair of opposite charges that are both
identified as electrons, or else both as muons, is a candidate; the other two tracks are the taus'. CM quantities use
the nominal beams.
"""

from __future__ import annotations

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from darkfactory.config.selection import ObjectsConfig
from darkfactory.events.schema import require_fields
from darkfactory.physics.beams import BeamFrame
from darkfactory.physics.constants import M_E, M_MU, M_PI0, M_PIPLUS
from darkfactory.select.candidates import Candidates, Observable
from darkfactory.select.ditau import four_track_thrust, least_three_tracks, opposite_pairings, photon_sums
from darkfactory.select.objects import Array, Flat, cm_matrix, flatten, good_photons, good_tracks, photon_p4, transform
from darkfactory.select.recoil import count_flags
from darkfactory.select.vectors import angle, mass2, modulus, polar_angle, signed_root

__all__ = ["OBSERVABLES", "find_vertices", "pion_mass", "tautau_dilepton"]

_FLAGS = ("is_e", "is_mu", "is_k")
_TRACK = ("charge", "px", "py", "pz", "d0", "z0", *_FLAGS)
_CLUSTER = ("e", "theta", "phi", "time", "dt99", "track", "photon_like")
_VERTEX = ("track_minus", "track_plus", "r_xy", "distance", "sigma_distance", "probability", "cos_pointing")


def find_vertices(minus: NDArray[np.int64], plus: NDArray[np.int64], pair: Array) -> NDArray[np.int64]:
    """Row of the vertex of each pair of tracks, -1 where none was fitted.

    Args:
        minus: negative track of each vertex, any numbering of all tracks.
        plus: its positive track.
        pair: positive and negative track of each pair, (n, 2).

    Example:
        >>> find_vertices(np.array([1, 1]), np.array([0, 2]), np.array([[2, 1], [0, 3]])).tolist()
        [1, -1]
    """
    if not len(minus):
        return np.full(len(pair), -1, dtype=np.int64)
    base = int(max(minus.max(), plus.max(), pair.max(initial=0))) + 1
    key, wanted = plus * base + minus, pair[:, 0] * base + pair[:, 1]
    order = np.argsort(key, kind="stable")
    at = np.minimum(np.searchsorted(key[order], wanted), len(key) - 1)
    row = order[at]
    return np.asarray(np.where(key[row] == wanted, row, -1), dtype=np.int64)


def tautau_dilepton(events: ak.Array, objects: ObjectsConfig, frame: BeamFrame) -> Candidates:
    """Pairs of identified leptons in events with exactly four good tracks of zero charge.

    Leptons have the mass of their kind; of the other tracks an electron is taken for one, then a muon, and everything
    else for a pion.

    Raises:
        InputError: events without vertices.
    """
    require_fields(events, "tracks", "clusters", "vertices")
    tracks, vertices = flatten(events["tracks"], _TRACK), flatten(events["vertices"], _VERTEX)
    offset = np.cumsum(tracks.counts()) - tracks.counts()
    good = good_tracks(tracks, objects.tracks)
    number = np.bincount(tracks.event[good], minlength=tracks.n_events)
    total = np.bincount(tracks.event[good], weights=tracks["charge"][good], minlength=tracks.n_events)
    rows = np.flatnonzero(good & ((number == 4) & (total == 0))[tracks.event])
    four = {name: tracks[name][rows] for name in _TRACK}
    pair, tau = opposite_pairings(four["charge"].reshape(-1, 4))
    electrons = np.all(four["is_e"][pair], axis=1)
    kept = electrons | np.all(four["is_mu"][pair], axis=1)
    pair, tau, electrons = pair[kept], tau[kept], electrons[kept]
    event = tracks.event[rows][pair[:, 0]]

    space = np.stack([four["px"], four["py"], four["pz"]], axis=-1)
    mass = np.where(four["is_e"], M_E, np.where(four["is_mu"], M_MU, M_PIPLUS))
    lepton = [_with_mass(space[pair[:, i]], np.where(electrons, M_E, M_MU)) for i in (0, 1)]
    other = [_with_mass(space[tau[:, i]], mass[tau[:, i]]) for i in (0, 1)]
    to_cm = cm_matrix(frame)
    photons, n_pi0 = photon_sums(events, objects, event, to_cm)
    beams = np.zeros((len(event), 4))
    beams[:, 0] = frame.sqrts
    cm = [transform(p, to_cm) for p in (*lepton, *other)]
    basis: dict[str, np.ndarray] = {
        **dict(zip(("plus", "minus", "first", "second"), cm, strict=True)),
        "missing": beams - cm[0] - cm[1] - cm[2] - cm[3] - photons["sum"],
        "missing_lab": frame.p4 - lepton[0] - lepton[1] - other[0] - other[1] - photons["sum_lab"],
        "beams": beams,
        "electrons": electrons.astype(float),
        "extra_energy": photons["energy"],
        "n_photons": photons["number"],
        "n_pi0": n_pi0,
        **{f"tau_{f}": four[f][tau] for f in _FLAGS},
    }
    minus, plus = (vertices[f"track_{c}"].astype(np.int64) + offset[vertices.event] for c in ("minus", "plus"))
    found = find_vertices(minus, plus, rows[pair])
    basis["with_photon"] = pion_mass(event, lepton[0] + lepton[1], _veto_photons(events, objects))
    for name, absent in (("r_xy", 0.0), ("distance", 0.0), ("sigma_distance", 1.0), ("probability", -1.0),
                         ("cos_pointing", 1.0)):  # fmt: skip
        values = np.append(vertices[name], absent)
        basis[name] = values[found]
    return Candidates(event, np.arange(len(event)) - np.searchsorted(event, event, side="left"), basis)


def _veto_photons(events: ak.Array, objects: ObjectsConfig) -> Flat:
    """Photons of which one may belong to the pair: those of ``veto_photons``, softer ones where the search says so."""
    clusters = flatten(events["clusters"], _CLUSTER)
    return clusters.where(good_photons(clusters, objects.veto_photons or objects.photons))


def pion_mass(event: NDArray[np.int64], pair: Array, photons: Flat) -> Array:
    """Mass of a pair and that photon with which it is nearest to the neutral pion's; zero without photons.

    Args:
        event: of each pair.
        pair: momenta in the laboratory, (n, 4), GeV.
        photons: of all events.

    Example:
        >>> one = Flat(1, np.array([0]), {"e": np.array([0.5]), "theta": np.array([0.2]), "phi": np.array([0.0])})
        >>> pion_mass(np.array([0]), np.array([[0.5, 0.0, 0.0, 0.5]]), one).round(4).tolist()
        [0.0998]
    """
    p = photon_p4(photons)
    counts = photons.counts()
    start = np.cumsum(counts) - counts
    best = np.zeros(len(event))
    for step in range(int(counts.max(initial=0))):
        rows = np.flatnonzero(counts[event] > step)
        m = np.sqrt(np.maximum(mass2(pair[rows] + p[start[event[rows]] + step]), 0.0))
        closer = (np.abs(m - M_PI0) < np.abs(best[rows] - M_PI0)) | (step == 0)
        best[rows] = np.where(closer, m, best[rows])
    return best


def _with_mass(p: Array, mass: Array) -> Array:
    energy = np.sqrt(p[:, 0] ** 2 + p[:, 1] ** 2 + p[:, 2] ** 2 + mass * mass)
    return np.concatenate([energy[:, None], p], axis=1)


def _mass(a: Array, b: Array) -> Array:
    """Mass of two particles, without the cancellation of large energies for light pairs.

    m^2 = (m_a + m_b)^2 + 2 (E_a E_b - m_a m_b - p_a . p_b); what is in the bracket is a sum of positive terms of the
    cross product and of the difference of momenta.
    """
    pa, pb = modulus(a), modulus(b)
    ma2, mb2 = np.maximum(mass2(a), 0.0), np.maximum(mass2(b), 0.0)
    cross2 = (
        (a[:, 1] * b[:, 2] - a[:, 2] * b[:, 1]) ** 2
        + (a[:, 2] * b[:, 3] - a[:, 3] * b[:, 2]) ** 2
        + (a[:, 3] * b[:, 1] - a[:, 1] * b[:, 3]) ** 2
    )
    dot = a[:, 1] * b[:, 1] + a[:, 2] * b[:, 2] + a[:, 3] * b[:, 3]
    # E_a E_b - p_a p_b and p_a p_b - p_a . p_b
    energies = (ma2 * pb * pb + mb2 * pa * pa + ma2 * mb2) / (a[:, 0] * b[:, 0] + pa * pb)
    opening = np.where(dot > 0, cross2 / np.maximum(pa * pb + dot, 1e-30), pa * pb - dot)
    return np.asarray(np.sqrt(ma2 + mb2 + 2 * (energies + opening)))


def _hardest(a: Array, b: Array) -> Array:
    return np.asarray(np.maximum(modulus(a), modulus(b)))


def _softest(a: Array, b: Array) -> Array:
    return np.asarray(np.minimum(modulus(a), modulus(b)))


def _tau_sides(a: Array, b: Array, first: Array, second: Array) -> Array:
    """Smaller mass of the pair with either of the other tracks: that of the tau that radiated it, if any."""
    return np.asarray(np.minimum(*(signed_root(mass2(a + b + t)) for t in (first, second))))


_L, _T, _M, _B = ("plus", "minus"), ("first", "second"), "missing", "beams"

OBSERVABLES: tuple[Observable, ...] = (
    Observable("m_ll", "GeV", _L, _mass, (0.0, 8.0), "mass of the leptons"),
    Observable("m2_ll", "GeV^2", _L, lambda a, b: _mass(a, b) ** 2, (0.0, 64.0), "squared mass of the leptons"),
    Observable("is_ee", "1", ("electrons",), lambda e: e, (-0.5, 1.5), "1 for electrons, 0 for muons"),
    Observable("opening_ll", "rad", _L, angle, (0.0, np.pi), "CM angle between the leptons"),
    Observable("p_ll_cms", "GeV", _L, lambda a, b: modulus(a + b), (0.0, 5.5), "CM momentum of the pair"),
    Observable("p_lmax_cms", "GeV", _L, _hardest, (0.0, 5.5), "CM momentum of the harder lepton"),
    Observable("p_lmin_cms", "GeV", _L, _softest, (0.0, 5.5), "CM momentum of the softer lepton"),
    Observable("p_tmax_cms", "GeV", _T, _hardest, (0.0, 5.5), "CM momentum of the harder tau track"),
    Observable("p_tmin_cms", "GeV", _T, _softest, (0.0, 5.5), "CM momentum of the softer tau track"),
    Observable("m_recoil", "GeV", (_B, *_L), lambda q, a, b: signed_root(mass2(q - a - b)), (0.0, 10.6),
               "mass of the recoil against the pair"),
    Observable("m_taus", "GeV", _T, _mass, (0.0, 10.6), "mass of the two tracks of the taus"),
    Observable("m_tau_side", "GeV", (*_L, *_T), _tau_sides, (0.0, 8.0),
               "smaller mass of the pair with one of the other tracks: below that of the tau if it has three prongs"),
    Observable("m_three_min", "GeV", (*_L, *_T), least_three_tracks, (0.0, 8.0),
               "smallest mass of three of the four tracks: below that of the tau where it decayed to them"),
    Observable("m_four_tracks", "GeV", (*_L, *_T), lambda a, b, c, d: signed_root(mass2(a + b + c + d)), (0.0, 10.6),
               "mass of the four tracks"),
    Observable("m2_missing", "GeV^2", (_M,), mass2, (-20.0, 100.0), "squared missing mass"),
    Observable("e_missing_cms", "GeV", (_M,), lambda p: p[:, 0], (-1.0, 10.6), "CM missing energy"),
    Observable("p_missing_cms", "GeV", (_M,), modulus, (0.0, 5.5), "CM missing momentum"),
    Observable("theta_missing_lab", "rad", ("missing_lab",), polar_angle, (0.0, np.pi),
               "laboratory polar angle of the missing momentum"),
    Observable("e_visible_cms", "GeV", (_B, _M), lambda q, p: q[:, 0] - p[:, 0], (0.0, 11.0),
               "CM energy of the tracks and photons"),
    Observable("thrust", "1", (*_L, *_T), four_track_thrust, (0.5, 1.0), "CM thrust of the four tracks"),
    Observable("extra_energy", "GeV", ("extra_energy",), lambda e: e, (0.0, 5.0), "laboratory energy of all photons"),
    Observable("n_photons", "1", ("n_photons",), lambda n: n, (-0.5, 9.5), "number of photons"),
    Observable("n_pi0", "1", ("n_pi0",), lambda n: n, (-0.5, 4.5), "number of neutral pions"),
    Observable("pi0_distance", "GeV", ("with_photon",), lambda m: np.abs(m - M_PI0), (0.0, 0.5),
               "how far the mass of the pair and a photon is from a neutral pion's, for the nearest of all photons"),
    Observable("n_e_tau", "1", ("tau_is_e",), count_flags, (-0.5, 2.5), "identified electrons among the tau tracks"),
    Observable("n_mu_tau", "1", ("tau_is_mu",), count_flags, (-0.5, 2.5), "identified muons among the tau tracks"),
    Observable("n_k_tau", "1", ("tau_is_k",), count_flags, (-0.5, 2.5), "identified kaons among the tau tracks"),
    Observable("probability_ll", "1", ("probability",), lambda p: p, (-1.0, 1.0),
               "probability of the fit of the pair's vertex, -1 without one"),
    Observable("r_ll", "cm", ("r_xy",), lambda r: r, (0.0, 60.0), "transverse radius of the pair's vertex"),
    Observable("distance_ll", "cm", ("distance",), lambda d: d, (0.0, 60.0), "distance of the pair's vertex"),
    Observable("significance_ll", "1", ("distance", "sigma_distance"), lambda d, s: d / np.maximum(s, 1e-6),
               (0.0, 100.0), "distance of the pair's vertex over its uncertainty"),
    Observable("pointing_ll", "rad", ("cos_pointing",), lambda c: np.arccos(np.clip(c, -1.0, 1.0)), (0.0, np.pi),
               "angle between position of the vertex and momentum of the pair"),
)  # fmt: skip
"""All observables of this candidate."""
