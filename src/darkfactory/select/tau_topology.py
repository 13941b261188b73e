"""Candidate ``tau_3x1``: a pair of taus of which one decays to three charged particles and the other to one.

Events have exactly four good tracks of zero charge; the plane perpendicular to their thrust axis in the CM has three of
them on one side and one on the other. One candidate an event. CM quantities use the nominal beams. The three tracks are
taken for pions, the single one for an electron or a muon where it is identified as one, for a pion otherwise.

Observables are after Belle II, Phys. Rev. Lett. 130, 181803 (tau -> l alpha) and Phys. Rev. D 108, 032006 (mass).
"""

from __future__ import annotations

from functools import partial

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from darkfactory.config.selection import ObjectsConfig
from darkfactory.events.schema import require_fields
from darkfactory.physics.beams import BeamFrame
from darkfactory.physics.constants import M_E, M_MU, M_PIPLUS, M_TAU
from darkfactory.select.candidates import Candidates, Observable
from darkfactory.select.ditau import pi0_count
from darkfactory.select.objects import (
    Array,
    cm_matrix,
    flatten,
    good_photons,
    good_tracks,
    photon_p4,
    transform,
)
from darkfactory.select.vectors import dot3, mass2, modulus, polar_angle, signed_root

__all__ = ["OBSERVABLES", "lepton_fraction", "pseudomass", "signed_thrust", "tau_3x1"]

_FLAGS = ("is_e", "is_mu", "is_mu_tight", "is_k")
_TRACK = ("charge", "px", "py", "pz", "d0", "z0", "cluster_e", *_FLAGS)
_CLUSTER = ("e", "theta", "phi", "time", "dt99", "track", "photon_like")


def signed_thrust(space: Array) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Thrust of four momenta, its axis, and which momenta point along the axis.

    The axis that maximises sum |p.n| is along the longest of the sums of +-p, so that eight sums are enough.

    Args:
        space: momenta, shape (n, 4, 3).

    Returns:
        Thrust (n,), unit axis (n, 3), sides (n, 4).

    Example:
        >>> p = np.array([[[0.0, 0.0, 1.0], [0.1, 0.0, 1.0], [-0.1, 0.0, 1.0], [0.0, 0.0, -3.0]]])
        >>> thrust, _, side = signed_thrust(p)
        >>> round(float(thrust[0]), 4), side.tolist()
        (0.9983, [[True, True, True, False]])
    """
    n = len(space)
    best, length = np.zeros((n, 3)), np.full(n, -1.0)
    side = np.zeros((n, 4), dtype=bool)
    for k in range(8):
        signs = np.array([1.0, *(1.0 if k >> i & 1 else -1.0 for i in range(3))])
        total = sum((s * space[:, i] for i, s in enumerate(signs)), np.zeros((n, 3)))
        size = np.sqrt(total[:, 0] ** 2 + total[:, 1] ** 2 + total[:, 2] ** 2)
        longer = size > length
        best, length = np.where(longer[:, None], total, best), np.where(longer, size, length)
        side = np.where(longer[:, None], signs > 0, side)
    scale = np.sqrt(space[..., 0] ** 2 + space[..., 1] ** 2 + space[..., 2] ** 2)
    # one after the other: the bits of a row must not depend on how many rows there are
    total_p = scale[:, 0] + scale[:, 1] + scale[:, 2] + scale[:, 3]
    return length / total_p, best / length[:, None], side


def tau_3x1(events: ak.Array, objects: ObjectsConfig, frame: BeamFrame) -> Candidates:
    """Events with four good tracks of zero charge, three on one side of the thrust axis: one candidate each."""
    require_fields(events, "tracks", "clusters")
    tracks = flatten(events["tracks"], _TRACK)
    tracks = tracks.where(good_tracks(tracks, objects.tracks))
    total = np.bincount(tracks.event, weights=tracks["charge"], minlength=tracks.n_events)
    four = tracks.where(((tracks.counts() == 4) & (total == 0))[tracks.event])
    space = np.stack([four["px"], four["py"], four["pz"]], axis=-1)
    p2 = space[:, 0] ** 2 + space[:, 1] ** 2 + space[:, 2] ** 2
    to_cm = cm_matrix(frame)
    as_pion = transform(np.concatenate([np.sqrt(p2 + M_PIPLUS**2)[:, None], space], axis=1), to_cm).reshape(-1, 4, 4)
    thrust, axis, side = signed_thrust(as_pion[..., 1:])
    along = side.sum(axis=1)
    keep = np.flatnonzero((along == 1) | (along == 3))
    event, single = four.event[::4][keep], side[keep] == (along[keep] == 1)[:, None]
    # places of the single track, then of the three in their order
    order = np.argsort(~single, axis=1, kind="stable") + 4 * keep[:, None]
    one, three = order[:, 0], order[:, 1:]
    towards = np.where((along[keep] == 3)[:, None], axis[keep], -axis[keep])

    mass = np.where(four["is_e"], M_E, np.where(four["is_mu"] | four["is_mu_tight"], M_MU, M_PIPLUS))[one]
    lab = np.concatenate([np.sqrt(p2[one] + mass**2)[:, None], space[one]], axis=1)
    pions = as_pion.reshape(-1, 4)[three]
    pions_lab = np.concatenate([np.sqrt(p2 + M_PIPLUS**2)[:, None], space], axis=1)[three]
    single_cm = transform(lab, to_cm)
    system = pions[:, 0] + pions[:, 1] + pions[:, 2]
    photons = _photons(events, objects, event, towards, to_cm)
    seen = lab + pions_lab[:, 0] + pions_lab[:, 1] + pions_lab[:, 2] + photons.pop("sum_lab")
    basis: dict[str, np.ndarray] = {
        "one": single_cm,
        "three": system,
        "pions": pions,
        "pions_lab": pions_lab,
        "one_lab": lab,
        "missing_lab": frame.p4 - seen,
        "seen": transform(seen, to_cm),
        "thrust": thrust[keep],
        "axis": towards,
        "sqrts": np.full(len(event), frame.sqrts),
        "cm_matrix": np.broadcast_to(to_cm, (len(event), 4, 4)),
        **photons,
        **{f"one_{f}": four[f][one] for f in _FLAGS},
        **{f"three_{f}": four[f][three] for f in _FLAGS},
        "three_e_over_p": four["cluster_e"][three] / np.sqrt(p2)[three],
    }
    return Candidates(event, np.zeros(len(event), dtype=np.int64), basis)


def _photons(
    events: ak.Array, objects: ObjectsConfig, event: NDArray[np.int64], towards: Array, to_cm: Array
) -> dict[str, np.ndarray]:
    """Photons of the candidates: sums in the laboratory, hardest on each side, numbers, neutral pions."""
    clusters = flatten(events["clusters"], _CLUSTER)
    photons = clusters.where(good_photons(clusters, objects.photons))
    n = photons.n_events
    lab = photon_p4(photons)
    row = np.full(n, -1)
    row[event] = np.arange(len(event))
    axis = np.zeros((len(photons.event), 3))
    has = row[photons.event] >= 0
    axis[has] = towards[row[photons.event[has]]]
    cm = transform(lab, to_cm)
    with_three = cm[:, 1] * axis[:, 0] + cm[:, 2] * axis[:, 1] + cm[:, 3] * axis[:, 2] > 0
    found: dict[str, np.ndarray] = {
        "sum_lab": np.stack([np.bincount(photons.event, weights=x, minlength=n)[event] for x in lab.T], axis=-1),
        "n_photons": photons.counts()[event].astype(float),
        "n_pi0": pi0_count(photons)[event],
    }
    for name, mask in (("three", with_three), ("one", ~with_three)):
        hardest = np.zeros(n)
        np.maximum.at(hardest, photons.event[mask], photons["e"][mask])
        found[f"e_photon_{name}"] = hardest[event]
    return found


def pseudomass(three: Array, sqrts: Array) -> Array:
    """Smallest mass of a tau of half the CM energy that decays to these hadrons and a massless neutrino, GeV.

    M^2 = M_3^2 + 2 (sqrt(s)/2 - E_3)(E_3 - p_3): the neutrino flies along the hadrons. It is at most the tau's mass, as
    long as the tau has half the CM energy. ARGUS, Phys. Lett. B 292 (1992) 221.

    Args:
        three: CM four-momenta of the hadrons, (n, 4).
        sqrts: CM energies, (n,).

    Example:
        >>> p = np.array([[3.0, 0.0, 0.0, np.sqrt(9.0 - 1.0)]])
        >>> pseudomass(p, np.array([10.0])).round(4).tolist()
        [1.299]
    """
    e, p = three[:, 0], modulus(three)
    return np.asarray(signed_root(mass2(three) + 2 * (0.5 * sqrts - e) * (e - p)))


def lepton_fraction(one: Array, three: Array, sqrts: Array) -> Array:
    """Energy of the single track in the tau's pseudo-rest frame, over half the tau's mass.

    The tau is taken to have half the CM energy and to fly opposite to the three tracks. In the true rest frame a
    two-body decay to a lepton and alpha has x = 1 - (m_alpha^2 - m_l^2)/m_tau^2. After Belle II, PRL 130, 181803.

    Args:
        one: CM four-momenta of the track, (n, 4).
        three: of the three others together.
        sqrts: CM energies, (n,).

    Example:
        >>> e, p = 5.29, np.sqrt(5.29**2 - 1.77693**2)
        >>> lepton = np.array([[(e + p) / 2, 0.0, 0.0, -(e + p) / 2]])
        >>> lepton_fraction(lepton, np.array([[4.0, 0.0, 0.0, 3.0]]), np.array([10.58])).round(6).tolist()
        [1.0]
    """
    e = 0.5 * sqrts
    p = np.sqrt(e * e - M_TAU**2)
    return np.asarray(2 * (e * one[:, 0] + p * dot3(one, three) / modulus(three)) / M_TAU**2)


def _scaled_pseudomass(pions_lab: Array, to_cm: Array, sqrts: Array, scale: float, shift: float) -> Array:
    """The pseudomass for tracks of ``scale`` times the momenta and a CM energy that is larger by ``shift``."""
    space = scale * pions_lab[..., 1:]
    energy = np.sqrt(space[..., 0] ** 2 + space[..., 1] ** 2 + space[..., 2] ** 2 + M_PIPLUS**2)
    total = energy[:, 0] + energy[:, 1] + energy[:, 2]
    p = space[:, 0] + space[:, 1] + space[:, 2]
    lab = np.concatenate([total[:, None], p], axis=1)
    matrix = to_cm[0] if len(to_cm) else np.eye(4)
    return pseudomass(transform(lab, matrix), sqrts + shift)


def _identified(loose: np.ndarray, tight: np.ndarray, lab: Array, slow: float) -> Array:
    """Tight decision, below a laboratory momentum ``slow`` in GeV the loose one."""
    return np.asarray((tight | (loose & (modulus(lab) < slow))).astype(float))


def _count(flags: np.ndarray) -> Array:
    return np.asarray(flags[:, 0].astype(float) + flags[:, 1] + flags[:, 2])


def _pair_masses(pions: Array) -> list[Array]:
    return [mass2(pions[:, a] + pions[:, b]) for a, b in ((0, 1), (0, 2), (1, 2))]


def _sorted_theta(place: int, pions: Array) -> Array:
    angles = np.stack([polar_angle(pions[:, i]) for i in range(3)], axis=1)
    return np.ascontiguousarray(np.sort(angles, axis=1)[:, place])


def _mean_theta(pions: Array) -> Array:
    cosines = [np.cos(polar_angle(pions[:, i])) for i in range(3)]
    return np.asarray(np.arccos((cosines[0] + cosines[1] + cosines[2]) / 3))


_ONE, _THREE = "one", "three"

OBSERVABLES: tuple[Observable, ...] = (
    Observable("x_lepton", "1", (_ONE, _THREE, "sqrts"), lepton_fraction, (0.0, 2.0),
               "energy of the single track in the pseudo-rest frame of its tau, over half the tau's mass"),
    Observable("pseudomass", "GeV", (_THREE, "sqrts"), pseudomass, (1.0, 2.5),
               "smallest mass of a tau that decays to the three tracks and a neutrino"),
    Observable("pseudomass_scale", "GeV", ("pions_lab", "cm_matrix", "sqrts"),
               lambda p, m, q, scale: _scaled_pseudomass(p, m, q, scale, 0.0), (1.0, 2.5),
               "the pseudomass with all momenta scaled", {"scale": ("1", 1.001)}),
    Observable("pseudomass_energy", "GeV", (_THREE, "sqrts"),
               lambda t, q, shift: pseudomass(t, q + shift), (1.0, 2.5),
               "the pseudomass with a shifted CM energy", {"shift": ("GeV", 0.01)}),
    Observable("m_three", "GeV", (_THREE,), lambda t: signed_root(mass2(t)), (0.0, 4.0), "mass of the three tracks"),
    Observable("m2_pair_min", "GeV^2", ("pions",), lambda p: np.min(_pair_masses(p), axis=0), (0.0, 3.0),
               "smallest squared mass of two of the three tracks"),
    Observable("p_three_cms", "GeV", (_THREE,), modulus, (0.0, 5.5), "CM momentum of the three tracks together"),
    Observable("p_one_cms", "GeV", (_ONE,), modulus, (0.0, 5.5), "CM momentum of the single track"),
    Observable("p_one_lab", "GeV", ("one_lab",), modulus, (0.0, 8.0), "laboratory momentum of the single track"),
    Observable("theta_one_lab", "rad", ("one_lab",), polar_angle, (0.0, np.pi),
               "laboratory polar angle of the single track"),
    *(
        Observable(f"theta_three_{name}", "rad", ("pions_lab",), partial(_sorted_theta, place), (0.0, np.pi),
                   f"laboratory polar angle of the {name} of the three tracks in that angle")
        for place, name in enumerate(("first", "second", "third"))
    ),
    Observable("theta_three_tracks", "rad", ("pions_lab",), _mean_theta, (0.0, np.pi),
               "laboratory polar angle whose cosine is the mean of those of the three tracks"),
    Observable("thrust", "1", ("thrust",), lambda t: t, (0.5, 1.0), "CM thrust of the four tracks"),
    Observable("cos_thrust", "1", ("axis",), lambda a: np.abs(a[:, 2]), (0.0, 1.0),
               "|cos| of the CM polar angle of the thrust axis"),
    Observable("e_visible_cms", "GeV", ("seen",), lambda s: s[:, 0], (0.0, 12.0), "CM energy of tracks and photons"),
    Observable("m2_missing", "GeV^2", ("missing_lab",), mass2, (-20.0, 80.0), "squared missing mass"),
    Observable("theta_missing_lab", "rad", ("missing_lab",), polar_angle, (0.0, np.pi),
               "laboratory polar angle of the missing momentum"),
    Observable("n_photons", "1", ("n_photons",), lambda n: n, (-0.5, 9.5), "number of photons"),
    Observable("n_pi0", "1", ("n_pi0",), lambda n: n, (-0.5, 4.5), "number of neutral pions"),
    Observable("e_photon_three", "GeV", ("e_photon_three",), lambda e: e, (0.0, 4.0),
               "laboratory energy of the hardest photon on the side of the three tracks"),
    Observable("e_photon_one", "GeV", ("e_photon_one",), lambda e: e, (0.0, 4.0),
               "laboratory energy of the hardest photon on the side of the single track"),
    Observable("is_e", "1", ("one_is_e",), lambda f: f.astype(float), (-0.5, 1.5),
               "whether the single track is identified as an electron"),
    Observable("is_mu", "1", ("one_is_mu", "one_is_mu_tight", "one_lab"), _identified, (-0.5, 1.5),
               "whether the single track is tightly identified as a muon or, where it is slow, identified at all",
               {"slow": ("GeV", 0.0)}),
    Observable("n_e_three", "1", ("three_is_e",), _count, (-0.5, 3.5), "identified electrons among the three"),
    Observable("n_mu_three", "1", ("three_is_mu",), _count, (-0.5, 3.5), "identified muons among the three"),
    Observable("n_k_three", "1", ("three_is_k",), _count, (-0.5, 3.5), "identified kaons among the three"),
    Observable("e_over_p_three", "1", ("three_e_over_p",), lambda r: np.max(r, axis=1), (0.0, 1.5),
               "largest ratio of calorimeter energy over momentum of the three"),
)  # fmt: skip
"""Observables of this candidate."""
