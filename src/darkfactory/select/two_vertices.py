"""Candidate ``two_vertices``: a vertex of two electrons, a vertex of two other tracks, and what is missing.

After the search for inelastic dark matter with a dark Higgs, Phys. Rev. Lett. 135, 131801: the electrons are of
chi2 -> chi1 e e and do not point back, the others of h' -> x x and do. Momenta are in the laboratory unless said.
"""

from __future__ import annotations

import awkward as ak
import numpy as np

from darkfactory.config.selection import ObjectsConfig
from darkfactory.events.schema import require_fields
from darkfactory.physics.beams import BeamFrame
from darkfactory.physics.constants import M_E, M_K0, M_KPLUS, M_LAMBDA, M_MU, M_PIPLUS, M_PROTON
from darkfactory.select.candidates import Candidates, Observable
from darkfactory.select.objects import Array, Flat, cm_matrix, flatten, good_photons, good_tracks, transform

__all__ = ["OBSERVABLES", "disjoint_pairs", "pair_mass_squared", "two_vertices"]

_TRACK = ("charge", "px", "py", "pz", "d0", "z0", "is_mu", "is_e", "is_pi", "is_k")
_VERTEX = (
    "track_minus", "track_plus", "x", "y", "z", "r_xy", "distance", "sigma_r", "sigma_distance", "probability",
    "cos_pointing",
)  # fmt: skip
_CLUSTER = ("e", "theta", "phi", "time", "dt99", "track", "photon_like")
_FLAGS = ("is_mu", "is_pi", "is_k")


def disjoint_pairs(event: np.ndarray, minus: np.ndarray, plus: np.ndarray, first: np.ndarray) -> tuple[Array, Array]:
    """Rows of all ordered pairs of vertices of an event that share no track, the first of a kind.

    Args:
        event: event of each vertex, rising.
        minus: its negative track, any numbering of all tracks.
        plus: its positive track.
        first: which vertices may be the first.

    Example:
        >>> event, minus, plus = np.array([0, 0, 0]), np.array([1, 1, 3]), np.array([0, 2, 2])
        >>> [v.tolist() for v in disjoint_pairs(event, minus, plus, np.array([True, True, False]))]
        [[0], [2]]
    """
    n = int(event[-1]) + 1 if len(event) else 0
    counts = np.bincount(event, minlength=n)
    starts = np.cumsum(counts) - counts
    rows = np.flatnonzero(first)
    repeats = counts[event[rows]]
    one = np.repeat(rows, repeats)
    within = np.arange(len(one)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    two = starts[event[one]] + within
    apart = (minus[one] != minus[two]) & (plus[one] != plus[two])
    return one[apart], two[apart]


def two_vertices(events: ak.Array, objects: ObjectsConfig, frame: BeamFrame) -> Candidates:
    """All pairs of vertices without a common track, the first of two identified electrons.

    Raises:
        InputError: events without vertices.
    """
    require_fields(events, "tracks", "clusters", "vertices")
    tracks, vertices = flatten(events["tracks"], _TRACK), flatten(events["vertices"], _VERTEX)
    good = good_tracks(tracks, objects.tracks)
    offset = np.cumsum(tracks.counts()) - tracks.counts()
    minus = vertices["track_minus"].astype(np.int64) + offset[vertices.event]
    plus = vertices["track_plus"].astype(np.int64) + offset[vertices.event]
    usable = good[minus] & good[plus]
    electrons = usable & tracks["is_e"][minus] & tracks["is_e"][plus]
    chi, higgs = disjoint_pairs(vertices.event, minus, plus, electrons)
    chi, higgs = chi[usable[higgs]], higgs[usable[higgs]]
    event = vertices.event[chi]
    # several candidates of an event are numbered in order
    number = np.arange(len(event)) - np.searchsorted(event, event, side="left")
    three = np.stack([tracks["px"], tracks["py"], tracks["pz"]], axis=-1)
    basis: dict[str, np.ndarray] = {
        "e_minus": three[minus[chi]],
        "e_plus": three[plus[chi]],
        "h_minus": three[minus[higgs]],
        "h_plus": three[plus[higgs]],
        "n_tracks": np.bincount(tracks.event[good], minlength=tracks.n_events)[event].astype(float),
    }
    for name in _FLAGS:
        basis[name] = tracks[name][minus[higgs]].astype(float) + tracks[name][plus[higgs]]
    basis["h_electrons"] = tracks["is_e"][minus[higgs]].astype(float) + tracks["is_e"][plus[higgs]]
    for side, rows in (("chi", chi), ("h", higgs)):
        for name in ("r_xy", "distance", "sigma_distance", "probability", "cos_pointing"):
            basis[f"{name}_{side}"] = vertices[name][rows]
    seen = _p4(basis["e_minus"], M_E) + _p4(basis["e_plus"], M_E)
    seen = seen + _p4(basis["h_minus"], M_PIPLUS) + _p4(basis["h_plus"], M_PIPLUS)
    missing = frame.p4 - seen
    basis["missing"], basis["missing_cms"] = missing, transform(missing, cm_matrix(frame))
    photons = flatten(events["clusters"], _CLUSTER)
    basis["extra_energy"] = _energy(photons.where(good_photons(photons, objects.photons)))[event]
    return Candidates(event, number, basis)


def _energy(photons: Flat) -> Array:
    return np.asarray(np.bincount(photons.event, weights=photons["e"], minlength=photons.n_events), np.float64)


def _p4(three: Array, mass: float) -> Array:
    energy = np.sqrt(three[:, 0] ** 2 + three[:, 1] ** 2 + three[:, 2] ** 2 + mass * mass)
    return np.concatenate([energy[:, None], three], axis=1)


def _square(p: Array) -> Array:
    return np.asarray(p[:, 0] ** 2 - p[:, 1] ** 2 - p[:, 2] ** 2 - p[:, 3] ** 2)


def pair_mass_squared(one: Array, two: Array, m_one: float, m_two: float) -> Array:
    """Squared mass in GeV^2 of two momenta (n, 3) under mass hypotheses.

    Example:
        >>> a, b = np.array([[0.0, 0.0, 0.3]]), np.array([[0.0, 0.0, -0.3]])
        >>> pair_mass_squared(a, b, 0.4, 0.4).round(6).tolist()
        [1.0]
    """
    return _square(_p4(one, m_one) + _p4(two, m_two))


def _mass(one: Array, two: Array, m_one: float, m_two: float) -> Array:
    return np.asarray(np.sqrt(np.maximum(pair_mass_squared(one, two, m_one, m_two), 0.0)))


def _opening(one: Array, two: Array) -> Array:
    cross = np.sqrt(
        (one[:, 1] * two[:, 2] - one[:, 2] * two[:, 1]) ** 2
        + (one[:, 2] * two[:, 0] - one[:, 0] * two[:, 2]) ** 2
        + (one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]) ** 2
    )
    return np.asarray(np.arctan2(cross, one[:, 0] * two[:, 0] + one[:, 1] * two[:, 1] + one[:, 2] * two[:, 2]))


def _angle(cosine: Array) -> Array:
    return np.asarray(np.arccos(np.clip(cosine, -1.0, 1.0)))


def _theta(p: Array) -> Array:
    return np.asarray(np.arctan2(np.sqrt(p[:, 1] ** 2 + p[:, 2] ** 2), np.ascontiguousarray(p[:, 3])))


def _lambda_distance(one: Array, two: Array) -> Array:
    first = np.abs(_mass(one, two, M_PROTON, M_PIPLUS) - M_LAMBDA)
    return np.asarray(np.minimum(first, np.abs(_mass(one, two, M_PIPLUS, M_PROTON) - M_LAMBDA)))


_H = ("h_minus", "h_plus")
_E = ("e_minus", "e_plus")


def _vertex_observables(side: str, what: str) -> tuple[Observable, ...]:
    return (
        Observable(f"r_{side}", "cm", (f"r_xy_{side}",), lambda r: r, (0.0, 60.0), f"transverse radius of {what}"),
        Observable(f"distance_{side}", "cm", (f"distance_{side}",), lambda d: d, (0.0, 60.0), f"distance of {what}"),
        Observable(f"significance_{side}", "1", (f"distance_{side}", f"sigma_distance_{side}"),
                   lambda d, s: d / np.maximum(s, 1e-6), (0.0, 100.0), f"distance of {what} over its uncertainty"),
        Observable(f"probability_{side}", "1", (f"probability_{side}",), lambda p: p, (0.0, 1.0),
                   f"probability of the fit of {what}"),
        Observable(f"pointing_{side}", "rad", (f"cos_pointing_{side}",), _angle, (0.0, np.pi),
                   f"angle between position and momentum of {what}"),
        Observable(f"material_{side}", "cm", (f"r_xy_{side}",), lambda r, radius: np.abs(r - radius), (0.0, 10.0),
                   f"distance of {what} in radius to a layer of material", {"radius": ("cm", 1.0)}),
    )  # fmt: skip


OBSERVABLES: tuple[Observable, ...] = (
    Observable("m2_mumu", "GeV^2", _H, lambda a, b: pair_mass_squared(a, b, M_MU, M_MU), (0.0, 16.0),
               "squared mass of the other tracks as muons"),
    Observable("m2_pipi", "GeV^2", _H, lambda a, b: pair_mass_squared(a, b, M_PIPLUS, M_PIPLUS), (0.0, 16.0),
               "squared mass of the other tracks as pions"),
    Observable("m2_kk", "GeV^2", _H, lambda a, b: pair_mass_squared(a, b, M_KPLUS, M_KPLUS), (0.0, 16.0),
               "squared mass of the other tracks as kaons"),
    Observable("ks_distance", "GeV", _H, lambda a, b: np.abs(_mass(a, b, M_PIPLUS, M_PIPLUS) - M_K0), (0.0, 1.0),
               "distance of the mass as pions to that of the K_S"),
    Observable("lambda_distance", "GeV", _H, _lambda_distance, (0.0, 1.0),
               "distance of the mass as proton and pion to that of the Lambda, of both assignments the closer"),
    Observable("n_mu", "1", ("is_mu",), lambda n: n, (-0.5, 2.5), "other tracks identified as muons"),
    Observable("n_pi", "1", ("is_pi",), lambda n: n, (-0.5, 2.5), "other tracks identified as pions"),
    Observable("n_k", "1", ("is_k",), lambda n: n, (-0.5, 2.5), "other tracks identified as kaons"),
    Observable("n_e", "1", ("h_electrons",), lambda n: n, (-0.5, 2.5), "other tracks identified as electrons"),
    Observable("m_ee", "GeV", _E, lambda a, b: _mass(a, b, M_E, M_E), (0.0, 4.0), "mass of the electrons"),
    Observable("opening_ee", "rad", _E, _opening, (0.0, np.pi), "angle between the electrons"),
    Observable("n_tracks", "1", ("n_tracks",), lambda n: n, (-0.5, 9.5), "tracks that count"),
    *_vertex_observables("chi", "the electrons' vertex"),
    *_vertex_observables("h", "the other vertex"),
    Observable("distance_max", "cm", ("distance_chi", "distance_h"), np.maximum, (0.0, 60.0),
               "distance of the farther vertex"),
    Observable("theta_missing", "rad", ("missing",), _theta, (0.0, np.pi), "polar angle of the missing momentum"),
    Observable("m2_missing", "GeV^2", ("missing",), _square, (-10.0, 110.0), "squared missing mass"),
    Observable("e_missing_cms", "GeV", ("missing_cms",), lambda p: p[:, 0], (0.0, 11.0), "missing energy in the CM"),
    Observable("extra_energy", "GeV", ("extra_energy",), lambda e: e, (0.0, 5.0), "energy of all photons"),
)  # fmt: skip
"""All observables of this candidate."""
