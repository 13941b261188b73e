"""Two leptons of opposite charge and what recoils against them: what all such candidates share.

CM quantities use the nominal beams, z along the boosted electron direction. The *harder* and the *softer* lepton
are ordered by CM momentum. Observables are after the Z' searches, Phys. Rev. Lett. 124, 141801 and 130, 231801.
"""

from __future__ import annotations

from collections.abc import Callable

import awkward as ak
import numpy as np

from darkfactory.config.selection import ObjectsConfig
from darkfactory.events.schema import require_fields
from darkfactory.physics.beams import BeamFrame
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
    "RECOIL_OBSERVABLES",
    "count_flags",
    "lepton_thetas",
    "pair_recoil",
    "recoil_momentum_max",
]

_TRACK = ("charge", "px", "py", "pz", "d0", "z0", "cluster_e", "is_e", "is_mu", "is_mu_tight", "klm")
_PER_LEPTON = ("cluster_e", "is_e", "is_mu", "is_mu_tight")
_CLUSTER = ("e", "theta", "phi", "time", "dt99", "track", "photon_like")


def pair_recoil(
    events: ak.Array, objects: ObjectsConfig, frame: BeamFrame, masses: Callable[[Flat, Array], Array]
) -> Candidates:
    """Events with exactly two good tracks, of opposite charge: one candidate each.

    Args:
        events: reconstructed events.
        objects: which tracks and photons count.
        frame: nominal beams.
        masses: from the tracks, two rows an event, and their momenta in GeV to the mass hypothesis of each, in GeV.
    """
    require_fields(events, "tracks", "clusters")
    tracks = flatten(events["tracks"], _TRACK)
    tracks = tracks.where(good_tracks(tracks, objects.tracks))
    charge = np.bincount(tracks.event, weights=tracks["charge"], minlength=tracks.n_events)
    two = (tracks.counts() == 2) & (charge == 0)
    pair = tracks.where(two[tracks.event])
    event = pair.event[::2]

    p = np.sqrt(pair["px"] ** 2 + pair["py"] ** 2 + pair["pz"] ** 2)
    mass = masses(pair, p)
    lab = np.stack([np.sqrt(p * p + mass * mass), pair["px"], pair["py"], pair["pz"]], axis=-1)
    to_cm = cm_matrix(frame)
    cm = transform(lab, to_cm)
    # 0 harder, 1 softer in the CM; of equal momenta the first track is the harder
    p_cm = (cm[:, 1] ** 2 + cm[:, 2] ** 2 + cm[:, 3] ** 2).reshape(-1, 2)
    hard = 2 * np.arange(len(event)) + (p_cm[:, 1] > p_cm[:, 0])
    order = np.stack([hard, 4 * np.arange(len(event)) + 1 - hard], axis=-1)
    lab2, cm2 = lab[order], cm[order]
    recoil_lab = frame.p4 - (lab2[:, 0] + lab2[:, 1])
    basis = {
        "hard": cm2[:, 0],
        "soft": cm2[:, 1],
        "recoil": transform(recoil_lab, to_cm),
        "recoil_lab": recoil_lab,
        "leptons_lab": lab2,
        "p_lab": p[order],
        "mass": mass[order],
        "sqrts": np.full(len(event), frame.sqrts),
        **{name: pair[name][order] for name in _PER_LEPTON},
    }
    basis.update(_photon_basis(events, objects, event, recoil_lab))
    return Candidates(event, np.zeros(len(event), dtype=np.int64), basis)


def _photon_basis(events: ak.Array, objects: ObjectsConfig, event: np.ndarray, recoil: Array) -> dict[str, np.ndarray]:
    """Per candidate: energy and number of photons, largest energy, smallest angle of a veto photon to the recoil."""
    clusters = flatten(events["clusters"], _CLUSTER)
    n = clusters.n_events
    photons = clusters.where(good_photons(clusters, objects.photons))
    e_max = np.zeros(n)
    np.maximum.at(e_max, photons.event, photons["e"])
    veto = clusters.where(good_photons(clusters, objects.veto_photons or objects.photons))
    row = np.full(n, -1)
    row[event] = np.arange(len(event))
    near = np.full(len(event), np.pi)
    has_row = row[veto.event] >= 0
    near_photons = Flat(n, row[veto.event[has_row]], {k: veto[k][has_row] for k in ("e", "theta", "phi")})
    np.minimum.at(near, near_photons.event, angle(photon_p4(near_photons), recoil[near_photons.event]))
    return {
        "extra_energy": np.bincount(photons.event, weights=photons["e"], minlength=n)[event],
        "n_photons": photons.counts()[event].astype(float),
        "e_photon_max": e_max[event],
        "recoil_photon_angle": near,
    }


def recoil_momentum_max(recoil: Array, sqrts: Array) -> Array:
    """Largest CM momentum of a recoil of this mass, (s - m^2) / (2 sqrt s), GeV: that against a massless pair.

    Example:
        >>> recoil_momentum_max(np.array([[5.0, 0.0, 0.0, 4.0]]), np.array([10.0])).tolist()
        [4.55]
    """
    return np.asarray(np.maximum(sqrts * sqrts - mass2(recoil), 1e-3) / (2 * sqrts))


def _acoplanarity(hard: Array, soft: Array) -> Array:
    return np.asarray(
        np.arctan2(
            np.abs(hard[:, 1] * soft[:, 2] - hard[:, 2] * soft[:, 1]),
            hard[:, 1] * soft[:, 1] + hard[:, 2] * soft[:, 2],
        )
    )


def _pt_sum(hard: Array, soft: Array) -> Array:
    return np.asarray(np.sqrt((hard[:, 1] + soft[:, 1]) ** 2 + (hard[:, 2] + soft[:, 2]) ** 2))


def lepton_thetas(leptons: Array) -> Array:
    """Laboratory polar angles (n, 2) of both leptons, rad."""
    return np.stack([polar_angle(leptons[:, 0]), polar_angle(leptons[:, 1])], axis=-1)


def count_flags(flags: np.ndarray) -> Array:
    """Number of set flags of two, shape (n, 2) to (n,)."""
    return np.asarray(flags[:, 0].astype(float) + flags[:, 1])


_R, _H, _S = "recoil", "hard", "soft"

RECOIL_OBSERVABLES: tuple[Observable, ...] = (
    Observable("m2_recoil", "GeV^2", (_R,), mass2, (-10.0, 110.0), "squared mass of the recoil"),
    Observable("m_recoil", "GeV", (_R,), lambda r: signed_root(mass2(r)), (-3.0, 10.6),
               "mass of the recoil, negative where its square is"),
    Observable("p_recoil_cms", "GeV", (_R,), modulus, (0.0, 5.5), "CM momentum of the recoil"),
    Observable("theta_recoil_cms", "rad", (_R,), polar_angle, (0.0, np.pi), "CM polar angle of the recoil"),
    Observable("theta_recoil_lab", "rad", ("recoil_lab",), polar_angle, (0.0, np.pi),
               "laboratory polar angle of the recoil"),
    Observable("m_pair", "GeV", (_H, _S), lambda h, s: signed_root(mass2(h + s)), (0.0, 11.0),
               "mass of the pair"),
    Observable("m2_pair", "GeV^2", (_H, _S), lambda h, s: mass2(h + s), (0.0, 112.0), "squared mass of the pair"),
    Observable("pt_pair_cms", "GeV", (_H, _S), _pt_sum, (0.0, 5.5),
               "CM momentum of the pair transverse to the beams"),
    Observable("p_lmax_cms", "GeV", (_H,), modulus, (0.0, 5.5), "CM momentum of the harder lepton"),
    Observable("p_lmin_cms", "GeV", (_S,), modulus, (0.0, 5.5), "CM momentum of the softer lepton"),
    Observable("pt_recoil_lmax", "GeV", (_R, _H), transverse_to, (0.0, 5.5),
               "CM recoil momentum transverse to the harder lepton"),
    Observable("pt_recoil_lmin", "GeV", (_R, _S), transverse_to, (0.0, 5.5),
               "CM recoil momentum transverse to the softer lepton"),
    Observable("pl_recoil_lmax", "GeV", (_R, _H), longitudinal_to, (-5.5, 5.5),
               "CM recoil momentum along the harder lepton"),
    Observable("pl_recoil_lmin", "GeV", (_R, _S), longitudinal_to, (-5.5, 5.5),
               "CM recoil momentum along the softer lepton"),
    Observable("dphi", "rad", ("leptons_lab",), lambda m: _acoplanarity(m[:, 0], m[:, 1]), (0.0, np.pi),
               "laboratory azimuth between the leptons"),
    Observable("opening_angle", "rad", ("leptons_lab",), lambda m: angle(m[:, 0], m[:, 1]), (0.0, np.pi),
               "laboratory angle between the leptons"),
    Observable("extra_energy", "GeV", ("extra_energy",), lambda e: e, (0.0, 5.0), "energy of all photons"),
    Observable("n_photons", "1", ("n_photons",), lambda n: n, (-0.5, 9.5), "number of photons"),
    Observable("e_photon_max", "GeV", ("e_photon_max",), lambda e: e, (0.0, 5.0),
               "energy of the hardest photon, 0 without photons"),
    Observable("recoil_photon_angle", "rad", ("recoil_photon_angle",), lambda a: a, (0.0, np.pi),
               "laboratory angle between the recoil and the nearest veto photon, pi without photons"),
    # in units of the largest momentum at this recoil mass: alike for all masses, inputs of a network
    Observable("x_pt_pair", "1", (_H, _S, _R, "sqrts"),
               lambda h, s, r, q: _pt_sum(h, s) / recoil_momentum_max(r, q), (0.0, 1.0), "pt_pair_cms, scaled"),
    Observable("x_pt_lmax", "1", (_R, _H, "sqrts"),
               lambda r, h, q: transverse_to(r, h) / recoil_momentum_max(r, q), (0.0, 1.0),
               "pt_recoil_lmax, scaled"),
    Observable("x_pt_lmin", "1", (_R, _S, "sqrts"),
               lambda r, s, q: transverse_to(r, s) / recoil_momentum_max(r, q), (0.0, 1.0),
               "pt_recoil_lmin, scaled"),
    Observable("x_pl_lmax", "1", (_R, _H, "sqrts"),
               lambda r, h, q: longitudinal_to(r, h) / recoil_momentum_max(r, q), (-1.0, 1.0),
               "pl_recoil_lmax, scaled"),
    Observable("x_pl_lmin", "1", (_R, _S, "sqrts"),
               lambda r, s, q: longitudinal_to(r, s) / recoil_momentum_max(r, q), (-1.0, 1.0),
               "pl_recoil_lmin, scaled"),
    Observable("x_p_lmin", "1", (_S, _R, "sqrts"), lambda s, r, q: modulus(s) / recoil_momentum_max(r, q), (0.0, 1.0),
               "p_lmin_cms, scaled"),
    Observable("x_m2", "1", (_R, "sqrts"), lambda r, q: mass2(r) / (q * q), (0.0, 1.0), "m2_recoil over s"),
)  # fmt: skip
"""Observables of all these candidates."""
