"""Candidate ``dimuon_ditau``: two muons of opposite charge that recoil against a pair of one-prong taus.

Events have exactly four good tracks of zero charge. Every pair of opposite charges is a candidate for the muons, so
that an event whose taus decay to muons keeps all of its pairings; muon identification is left to a cut on ``n_mu`` or
``n_mu_tight``. The other two tracks are the taus'. CM quantities use the nominal beams; the *harder* and the *softer*
muon are ordered by CM momentum. Observables are after Phys. Rev. Lett. 131, 121802.
"""

from __future__ import annotations

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from darkfactory.config.selection import ObjectsConfig
from darkfactory.events.schema import require_fields
from darkfactory.physics.beams import BeamFrame
from darkfactory.physics.constants import M_E, M_MU, M_PI0, M_PIPLUS
from darkfactory.physics.kinematics import to_rest_frame
from darkfactory.select.candidates import Candidates, Observable
from darkfactory.select.objects import (
    Array,
    Flat,
    cm_matrix,
    flatten,
    good_photons,
    good_tracks,
    photon_p4,
    transform,
)
from darkfactory.select.recoil import count_flags, recoil_momentum_max
from darkfactory.select.vectors import (
    angle,
    longitudinal_to,
    mass2,
    modulus,
    polar_angle,
    signed_root,
    transverse_to,
)

__all__ = [
    "OBSERVABLES",
    "dimuon_ditau",
    "four_track_thrust",
    "least_three_tracks",
    "opposite_pairings",
    "photon_sums",
    "pi0_count",
]

_FLAGS = ("is_mu", "is_mu_tight", "is_e", "is_k")
_TRACK = ("charge", "px", "py", "pz", "d0", "z0", "cluster_e", *_FLAGS)
_CLUSTER = ("e", "theta", "phi", "time", "dt99", "track", "photon_like")
_PAIRINGS = 4


def dimuon_ditau(events: ak.Array, objects: ObjectsConfig, frame: BeamFrame) -> Candidates:
    """Events with exactly four good tracks of zero charge: four candidates each, one per pair of opposite charges.

    The two tracks taken for muons have the muon's mass; of the others an electron is taken for one, then a muon, and
    everything else for a pion.
    """
    require_fields(events, "tracks", "clusters")
    tracks = flatten(events["tracks"], _TRACK)
    tracks = tracks.where(good_tracks(tracks, objects.tracks))
    total = np.bincount(tracks.event, weights=tracks["charge"], minlength=tracks.n_events)
    four = tracks.where(((tracks.counts() == 4) & (total == 0))[tracks.event])
    event = four.event[::4]
    muon, tau = opposite_pairings(four["charge"].reshape(-1, 4))
    n = len(muon)

    space = np.stack([four["px"], four["py"], four["pz"]], axis=-1)
    p2 = space[:, 0] ** 2 + space[:, 1] ** 2 + space[:, 2] ** 2
    as_muon = np.concatenate([np.sqrt(p2 + M_MU**2)[:, None], space], axis=1)
    mass = np.where(four["is_e"], M_E, np.where(four["is_mu"], M_MU, M_PIPLUS))
    as_daughter = np.concatenate([np.sqrt(p2 + mass**2)[:, None], space], axis=1)
    to_cm = cm_matrix(frame)
    muon_cm, daughter_cm = transform(as_muon, to_cm), transform(as_daughter, to_cm)
    # 0 harder, 1 softer in the CM; of equal momenta the first track is the harder
    e = muon_cm[:, 0][muon]
    muon = np.where((e[:, 1] > e[:, 0])[:, None], muon[:, ::-1], muon)
    e = daughter_cm[:, 0][tau]
    tau = np.where((e[:, 1] > e[:, 0])[:, None], tau[:, ::-1], tau)

    row_of = np.repeat(np.arange(len(event)), _PAIRINGS)
    photons, n_pi0 = photon_sums(events, objects, event, to_cm)
    hard, soft = muon_cm[muon[:, 0]], muon_cm[muon[:, 1]]
    first, second = daughter_cm[tau[:, 0]], daughter_cm[tau[:, 1]]
    beams = np.zeros((n, 4))
    beams[:, 0] = frame.sqrts
    recoil = beams - hard - soft
    neutral = photons["sum"][row_of]
    missing = recoil - first - second - neutral
    seen = as_muon[muon].sum(axis=1) + as_daughter[tau].sum(axis=1) + photons["sum_lab"][row_of]
    basis: dict[str, np.ndarray] = {
        "hard": hard,
        "soft": soft,
        "recoil": recoil,
        "first": first,
        "second": second,
        "neutral": neutral,
        "missing": missing,
        "missing_lab": frame.p4 - seen,
        "muons_lab": as_muon[muon],
        "extra_energy": photons["energy"][row_of],
        "n_photons": photons["number"][row_of],
        "n_pi0": n_pi0[row_of],
        "sqrts": np.full(n, frame.sqrts),
        **{f"muon_{f}": four[f][muon] for f in _FLAGS},
        **{f"tau_{f}": four[f][tau] for f in _FLAGS},
        "tau_cluster_e": four["cluster_e"][tau],
        "tau_p_lab": np.sqrt(p2)[tau],
    }
    return Candidates(event[row_of], np.tile(np.arange(_PAIRINGS), len(event)), basis)


def opposite_pairings(charge: Array) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of the tracks taken for muons and of the others, each (4 n, 2), the positive one first."""
    n = len(charge)
    order = np.argsort(-charge, axis=1, kind="stable") + 4 * np.arange(n)[:, None]
    muon = order[:, [[0, 2], [0, 3], [1, 2], [1, 3]]].reshape(-1, 2)
    tau = order[:, [[1, 3], [1, 2], [0, 3], [0, 2]]].reshape(-1, 2)
    return muon, tau


def photon_sums(
    events: ak.Array, objects: ObjectsConfig, event: NDArray[np.int64], to_cm: Array
) -> tuple[dict[str, np.ndarray], Array]:
    """Sums of the photons in both frames, their energy and number, and neutral pions, of the events asked for."""
    clusters = flatten(events["clusters"], _CLUSTER)
    photons = clusters.where(good_photons(clusters, objects.photons))
    lab = photon_p4(photons)

    def total(p: Array) -> Array:
        return np.stack(
            [np.bincount(photons.event, weights=x, minlength=photons.n_events)[event] for x in p.T], axis=-1
        )

    found = {
        "sum": total(transform(lab, to_cm)),
        "sum_lab": total(lab),
        "energy": np.bincount(photons.event, weights=photons["e"], minlength=photons.n_events)[event],
        "number": photons.counts()[event].astype(float),
    }
    return found, pi0_count(photons)[event]


def pi0_count(photons: Flat, window: tuple[float, float] = (0.115, 0.152)) -> Array:
    """Neutral pions per event: pairs of photons in a mass window, nearest to the pion's mass first, each photon once.

    Args:
        photons: with ``e``, ``theta`` and ``phi``.
        window: masses in GeV.

    Example:
        >>> two = Flat(2, np.array([0, 0, 1]), {"e": np.ones(3), "theta": np.array([1.5, 1.635, 1.5]),
        ...            "phi": np.zeros(3)})
        >>> pi0_count(two).tolist()
        [1.0, 0.0]
    """
    p = photon_p4(photons)
    counts = photons.counts()
    start = np.cumsum(counts) - counts
    out = np.zeros(photons.n_events)
    pairs: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
    index = np.arange(len(p))
    last = start[photons.event] + counts[photons.event]
    for step in range(1, int(counts.max(initial=0))):
        one = index[index + step < last]
        pairs.append((one, one + step))
    if not pairs:
        return out
    a, b = (np.concatenate(x) for x in zip(*pairs, strict=True))
    m = np.sqrt(np.maximum(mass2(p[a] + p[b]), 0.0))
    good = np.flatnonzero((m > window[0]) & (m < window[1]))
    used = np.zeros(len(p), dtype=bool)
    # photons are few: a loop over the pairs in the window
    for k in good[np.argsort(np.abs(m[good] - M_PI0), kind="stable")]:
        if not used[a[k]] and not used[b[k]]:
            used[a[k]] = used[b[k]] = True
            out[photons.event[a[k]]] += 1
    return out


def four_track_thrust(*tracks: Array) -> Array:
    """Thrust of four tracks: the largest |sum of +-p| over the sum of |p|.

    Example:
        >>> p = [np.array([[1.0, 0.0, 0.0, z]]) for z in (1.0, -1.0, 1.0, -1.0)]
        >>> four_track_thrust(*p).tolist()
        [1.0]
    """
    total = sum((modulus(t) for t in tracks[1:]), modulus(tracks[0]))
    best = np.zeros(len(total))
    for k in range(1 << (len(tracks) - 1)):
        signed = tracks[0]
        for i, t in enumerate(tracks[1:]):
            signed = signed + t if k >> i & 1 else signed - t
        best = np.maximum(best, modulus(signed))
    return np.asarray(best / total)


def least_three_tracks(hard: Array, soft: Array, first: Array, second: Array) -> Array:
    """Smallest mass of three of four tracks.

    Example:
        >>> p = [np.array([[2.0, 0.0, 0.0, 2.0]]), np.array([[1.0, 0.0, 0.0, -1.0]]), np.zeros((1, 4))]
        >>> least_three_tracks(p[0], p[1], p[2], p[2]).round(3).tolist()
        [0.0]
    """
    total = hard + soft + first + second
    masses = [signed_root(mass2(total - p)) for p in (hard, soft, first, second)]
    return np.asarray(np.min(masses, axis=0))


def _identified(loose: np.ndarray, tight: np.ndarray, muons: Array, slow: float) -> Array:
    """Tight decisions, and the others below a laboratory momentum ``slow`` in GeV."""
    p2 = muons[..., 1] ** 2 + muons[..., 2] ** 2 + muons[..., 3] ** 2
    return count_flags(tight | (loose & (p2 < slow * slow)))


def _boosted_energy(p: Array, recoil: Array) -> Array:
    """Energy in the recoil's rest frame over the recoil's mass."""
    m2 = np.maximum(mass2(recoil), 1e-3)
    product = p[:, 0] * recoil[:, 0] - p[:, 1] * recoil[:, 1] - p[:, 2] * recoil[:, 2] - p[:, 3] * recoil[:, 3]
    return np.asarray(product / m2)


def _timelike(recoil: Array) -> Array:
    """The recoil with a mass of at least 0.1 GeV, so that it has a rest frame."""
    p = modulus(recoil)
    return np.concatenate([np.sqrt(p * p + np.maximum(mass2(recoil), 0.01))[:, None], recoil[:, 1:]], axis=1)


def _rest_angle(first: Array, second: Array, recoil: Array) -> Array:
    frame = _timelike(recoil)
    return angle(to_rest_frame(first, frame), to_rest_frame(second, frame))


def _cos_decay(first: Array, second: Array, recoil: Array) -> Array:
    """|cos| of the angle of the tracks' difference to the recoil's flight, in the recoil's rest frame."""
    frame = _timelike(recoil)
    return np.asarray(np.abs(np.cos(angle(to_rest_frame(first, frame) - to_rest_frame(second, frame), recoil))))


def _acoplanarity(hard: Array, soft: Array) -> Array:
    return np.asarray(
        np.arctan2(
            np.abs(hard[:, 1] * soft[:, 2] - hard[:, 2] * soft[:, 1]),
            hard[:, 1] * soft[:, 1] + hard[:, 2] * soft[:, 2],
        )
    )


_R, _H, _S, _A, _B, _M = "recoil", "hard", "soft", "first", "second", "missing"

OBSERVABLES: tuple[Observable, ...] = (
    Observable("m2_recoil", "GeV^2", (_R,), mass2, (-10.0, 110.0), "squared mass of the recoil against the muons"),
    Observable("m_recoil", "GeV", (_R,), lambda r: signed_root(mass2(r)), (-3.0, 10.6),
               "mass of the recoil, negative where its square is"),
    Observable("m_four_tracks", "GeV", (_H, _S, _A, _B), lambda h, s, a, b: signed_root(mass2(h + s + a + b)),
               (0.0, 11.0), "mass of the four tracks"),
    Observable("m_pair", "GeV", (_H, _S), lambda h, s: signed_root(mass2(h + s)), (0.0, 11.0), "mass of the muons"),
    Observable("m_taus", "GeV", (_A, _B), lambda a, b: signed_root(mass2(a + b)), (0.0, 11.0),
               "mass of the two tracks of the taus"),
    Observable("m_three_min", "GeV", (_H, _S, _A, _B), least_three_tracks, (0.0, 8.0),
               "smallest mass of three of the four tracks: below that of the tau where it decayed to them"),
    Observable("m2_missing", "GeV^2", (_M,), mass2, (-20.0, 100.0), "squared missing mass"),
    Observable("p_missing_cms", "GeV", (_M,), modulus, (0.0, 5.5), "CM missing momentum"),
    Observable("theta_missing_lab", "rad", ("missing_lab",), polar_angle, (0.0, np.pi),
               "laboratory polar angle of the missing momentum"),
    Observable("theta_recoil_cms", "rad", (_R,), polar_angle, (0.0, np.pi), "CM polar angle of the recoil"),
    Observable("cos_recoil_cms", "1", (_R,), lambda r: np.cos(polar_angle(r)), (-1.0, 1.0),
               "cosine of the recoil's CM polar angle"),
    Observable("pt_recoil_lmax", "GeV", (_R, _H), transverse_to, (0.0, 5.5),
               "CM recoil momentum transverse to the harder muon"),
    Observable("pt_recoil_lmin", "GeV", (_R, _S), transverse_to, (0.0, 5.5),
               "CM recoil momentum transverse to the softer muon"),
    Observable("p_lmax_cms", "GeV", (_H,), modulus, (0.0, 5.5), "CM momentum of the harder muon"),
    Observable("p_lmin_cms", "GeV", (_S,), modulus, (0.0, 5.5), "CM momentum of the softer muon"),
    Observable("p_tmax_cms", "GeV", (_A,), modulus, (0.0, 5.5), "CM momentum of the harder tau track"),
    Observable("p_tmin_cms", "GeV", (_B,), modulus, (0.0, 5.5), "CM momentum of the softer tau track"),
    Observable("thrust", "1", (_H, _S, _A, _B), four_track_thrust, (0.5, 1.0), "CM thrust of the four tracks"),
    Observable("extra_energy", "GeV", ("extra_energy",), lambda e: e, (0.0, 5.0), "laboratory energy of all photons"),
    Observable("n_photons", "1", ("n_photons",), lambda n: n, (-0.5, 9.5), "number of photons"),
    Observable("n_pi0", "1", ("n_pi0",), lambda n: n, (-0.5, 4.5), "number of neutral pions"),
    Observable("n_mu", "1", ("muon_is_mu",), count_flags, (-0.5, 2.5), "identified muons of the two"),
    Observable("n_mu_tight", "1", ("muon_is_mu_tight",), count_flags, (-0.5, 2.5),
               "tightly identified muons of the two"),
    Observable("n_mu_identified", "1", ("muon_is_mu", "muon_is_mu_tight", "muons_lab"), _identified, (-0.5, 2.5),
               "muons of the two that are tightly identified or, where they are slow, identified at all",
               {"slow": ("GeV", 0.7)}),
    Observable("n_mu_tau", "1", ("tau_is_mu",), count_flags, (-0.5, 2.5), "identified muons among the tau tracks"),
    Observable("n_e_tau", "1", ("tau_is_e",), count_flags, (-0.5, 2.5), "identified electrons among the tau tracks"),
    Observable("n_k_tau", "1", ("tau_is_k",), count_flags, (-0.5, 2.5), "identified kaons among the tau tracks"),
    Observable("e_over_p_tau_max", "1", ("tau_cluster_e", "tau_p_lab"), lambda e, p: np.max(e / p, axis=1), (0.0, 1.5),
               "larger ratio of calorimeter energy over momentum of the tau tracks"),
    Observable("dphi", "rad", ("muons_lab",), lambda m: _acoplanarity(m[:, 0], m[:, 1]), (0.0, np.pi),
               "laboratory azimuth between the muons"),
    Observable("missing_recoil_angle", "rad", (_M, _R), angle, (0.0, np.pi),
               "CM angle between missing momentum and recoil"),
    Observable("missing_lmin_angle", "rad", (_M, _S), angle, (0.0, np.pi),
               "CM angle between missing momentum and the softer muon"),
    Observable("taus_angle", "rad", (_A, _B, _R), _rest_angle, (0.0, np.pi),
               "angle between the tau tracks in the recoil's rest frame"),
    Observable("cos_decay", "1", (_A, _B, _R), _cos_decay, (0.0, 1.0),
               "|cos| of the tau tracks' axis to the recoil's flight, in its rest frame"),
    # in units of the largest momentum at this recoil mass, or of that mass: alike for all masses, inputs of networks
    Observable("x_m2", "1", (_R, "sqrts"), lambda r, q: mass2(r) / (q * q), (0.0, 1.0), "m2_recoil over s"),
    Observable("x_pt_lmax", "1", (_R, _H, "sqrts"),
               lambda r, h, q: transverse_to(r, h) / recoil_momentum_max(r, q), (0.0, 1.0), "pt_recoil_lmax, scaled"),
    Observable("x_pt_lmin", "1", (_R, _S, "sqrts"),
               lambda r, s, q: transverse_to(r, s) / recoil_momentum_max(r, q), (0.0, 1.0), "pt_recoil_lmin, scaled"),
    Observable("x_pl_lmax", "1", (_R, _H, "sqrts"),
               lambda r, h, q: longitudinal_to(r, h) / recoil_momentum_max(r, q), (-1.0, 1.0),
               "CM recoil momentum along the harder muon, scaled"),
    Observable("x_p_lmin", "1", (_S, _R, "sqrts"), lambda s, r, q: modulus(s) / recoil_momentum_max(r, q), (0.0, 1.0),
               "p_lmin_cms, scaled"),
    Observable("x_m_taus", "1", (_A, _B, _R),
               lambda a, b, r: signed_root(mass2(a + b)) / np.maximum(signed_root(mass2(r)), 0.1), (0.0, 1.0),
               "m_taus over the recoil mass"),
    Observable("x_m2_missing", "1", (_M, _R), lambda m, r: mass2(m) / np.maximum(mass2(r), 0.01), (-0.5, 1.0),
               "squared missing mass over that of the recoil"),
    Observable("x_visible", "1", (_A, _B, "neutral", _R), lambda a, b, g, r: _boosted_energy(a + b + g, r), (0.0, 1.2),
               "visible energy of the taus in the recoil's rest frame over its mass"),
    Observable("x_neutral", "1", ("neutral", _R), _boosted_energy, (0.0, 1.0),
               "photon energy in the recoil's rest frame over its mass"),
    Observable("x_tmax", "1", (_A, _R), _boosted_energy, (0.0, 0.6),
               "energy of the harder tau track in the recoil's rest frame over its mass"),
    Observable("x_tmin", "1", (_B, _R), _boosted_energy, (0.0, 0.6),
               "energy of the softer tau track in the recoil's rest frame over its mass"),
)  # fmt: skip
"""All observables of this candidate."""
