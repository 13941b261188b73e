"""Candidate ``pair_photon``: two tracks of opposite charge and a photon, fitted to the initial state.

For resonances that recoil against a photon, e+e- -> gamma X, X -> l+ l-, after the search for a dark photon, Phys. Rev.
Lett. 113, 201801. The photon with the largest CM energy goes with the pair. Both tracks are taken for electrons where
at least one is identified as an electron and not both are as muons, and for muons otherwise. CM quantities use fitted
momenta and nominal beams, z along the boosted electron direction.
"""

from __future__ import annotations

import awkward as ak
import numpy as np

from darkfactory.config.selection import FitConfig, ObjectsConfig
from darkfactory.core.errors import ConfigError
from darkfactory.events.schema import require_fields
from darkfactory.physics.beams import BeamFrame
from darkfactory.physics.constants import M_E, M_MU
from darkfactory.select.candidates import Candidates, Observable
from darkfactory.select.fit4c import fit_four_momentum
from darkfactory.select.fourmuon import beam_covariance, track_sigmas
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
from darkfactory.select.vectors import angle, dot3, mass2, modulus, signed_root

__all__ = ["OBSERVABLES", "hardest", "pair_photon", "photon_sigmas"]

_TRACK = ("charge", "px", "py", "pz", "d0", "z0", "cluster_e", "is_e", "is_mu")
_CLUSTER = ("e", "theta", "phi", "time", "dt99", "track", "photon_like")


def hardest(photons: Flat, energy: Array) -> np.ndarray:
    """Row of the photon with the largest energy of each event, -1 where there is none; the first of equal ones.

    Example:
        >>> hardest(Flat(3, np.array([0, 0, 2]), {}), np.array([1.0, 2.0, 0.5])).tolist()
        [1, -1, 2]
    """
    order = np.lexsort((-energy, photons.event))
    event = photons.event[order]
    first = np.ones(len(event), dtype=bool)
    first[1:] = event[1:] != event[:-1]
    row = np.full(photons.n_events, -1, dtype=np.int64)
    row[event[first]] = order[first]
    return row


def photon_sigmas(p: Array, fit: FitConfig) -> Array:
    """Standard deviations of pt (GeV), phi (rad) and tan lambda of photons with four-momenta (n, 4).

    What the polar angle adds to the error of pt is left out: it is far below that of the energy.
    """
    errors = fit.photon_errors
    if errors is None:
        raise ConfigError("the fit needs the photons' resolution", where="selection.objects.fit.photon_errors")
    pt2 = p[:, 1] ** 2 + p[:, 2] ** 2
    energy = p[:, 0]
    # d(cot theta) = d(theta) / sin^2(theta)
    dip = 1e-3 * errors.theta_mrad(E=energy) * energy * energy / pt2
    return np.stack([np.sqrt(pt2) * errors.energy_resolution(E=energy), 1e-3 * errors.phi_mrad(E=energy), dip], axis=-1)


def pair_photon(events: ak.Array, objects: ObjectsConfig, frame: BeamFrame) -> Candidates:
    """Events with exactly two good tracks, of opposite charge, and a good photon: one candidate each.

    Raises:
        ConfigError: the selection has no ``objects.fit``.
    """
    require_fields(events, "tracks", "clusters")
    if objects.fit is None:
        raise ConfigError("pair_photon fits to the initial state: give `fit: {}`", where="selection.objects")
    tracks = flatten(events["tracks"], _TRACK)
    tracks = tracks.where(good_tracks(tracks, objects.tracks))
    charge = np.bincount(tracks.event, weights=tracks["charge"], minlength=tracks.n_events)
    photons = flatten(events["clusters"], _CLUSTER)
    photons = photons.where(good_photons(photons, objects.photons))
    to_cm = cm_matrix(frame)
    light = photon_p4(photons)
    row = hardest(photons, transform(light, to_cm)[:, 0])
    chosen = (tracks.counts() == 2) & (charge == 0) & (row >= 0)
    pair = tracks.where(chosen[tracks.event])
    event = pair.event[::2]

    # positive track first
    order = np.lexsort((-pair["charge"], pair.event)).reshape(-1, 2)
    flags = {name: pair[name][order].astype(float) for name in ("is_e", "is_mu")}
    n_e, n_mu = (flags[name][:, 0] + flags[name][:, 1] for name in ("is_e", "is_mu"))
    electrons = (n_e > 0) & (n_mu < 2)
    space = np.stack([pair[c] for c in ("px", "py", "pz")], axis=-1)[order]
    mass = np.where(electrons, M_E, M_MU)
    energy = np.sqrt(space[..., 0] ** 2 + space[..., 1] ** 2 + space[..., 2] ** 2 + (mass * mass)[:, None])
    raw = np.concatenate([np.concatenate([energy[..., None], space], axis=2), light[row[event]][:, None]], axis=1)
    fitted, chi2, left = _fit(raw, mass, objects.fit, frame)
    all_energy = np.bincount(photons.event, weights=photons["e"], minlength=photons.n_events)[event]
    basis: dict[str, np.ndarray] = {
        "chi2": chi2, "fit_left": left, "electrons": electrons.astype(float), "n_e": n_e, "n_mu": n_mu, "mass": mass,
        "extra_energy": all_energy - raw[:, 2, 0], "n_photons": photons.counts()[event].astype(float),
        "e_over_p": pair["cluster_e"][order] / modulus(raw[:, :2].reshape(-1, 4)).reshape(-1, 2),
        "raw_total": transform(raw[:, 0] + raw[:, 1] + raw[:, 2], to_cm),
    }  # fmt: skip
    for kind, p in (("", fitted), ("raw_", raw)):
        cm = transform(p.reshape(-1, 4), to_cm).reshape(-1, 3, 4)
        basis |= {kind + name: np.ascontiguousarray(cm[:, i]) for i, name in enumerate(("plus", "minus", "photon"))}
    return Candidates(event, np.zeros(len(event), dtype=np.int64), basis)


def _fit(raw: Array, mass: Array, fit: FitConfig, frame: BeamFrame) -> tuple[Array, Array, Array]:
    """Fitted momenta, chi2 and what is left of the constraint; events far from the beams' energy stay as measured."""
    fitted, chi2, left = raw.copy(), np.full(len(raw), np.inf), np.full(len(raw), np.inf)
    energy = raw[:, 0, 0] + raw[:, 1, 0] + raw[:, 2, 0]
    near = np.flatnonzero(np.abs(energy - frame.p4[0]) <= fit.max_missing)
    if len(near):
        spread = np.zeros((4, 4))
        if fit.beam_spread and fit.beam_errors is not None:
            errors = fit.beam_errors
            spread = beam_covariance(frame, errors.sigma_e_her_gev.value, errors.sigma_e_ler_gev.value)
        momenta = np.ascontiguousarray(raw[near, :, 1:])
        m = mass[near]
        # the resolution of tracks is that of a muon for both: its velocity matters below any momentum that passes
        sigmas = np.concatenate([track_sigmas(momenta[:, :2], fit, M_MU), photon_sigmas(raw[near, 2], fit)[:, None]], 1)
        masses = np.stack([m, m, np.zeros(len(m))], axis=-1)
        found = fit_four_momentum(momenta, sigmas, masses, frame.p4, spread, fit.iterations)
        fitted[near], chi2[near], left[near] = found.p4, found.chi2, found.residual
    return fitted, chi2, left


def _m2_reduced(a: Array, b: Array, mass: Array) -> Array:
    """Squared mass of two equal particles less 4 m^2, four times the squared momentum in the pair's frame.

    2 (E_a E_b - m^2 - p_a . p_b), by sums of positive terms for small opening angles.
    """
    pa, pb, dot = modulus(a), modulus(b), dot3(a, b)
    cross2 = (
        (a[:, 1] * b[:, 2] - a[:, 2] * b[:, 1]) ** 2
        + (a[:, 2] * b[:, 3] - a[:, 3] * b[:, 2]) ** 2
        + (a[:, 3] * b[:, 1] - a[:, 1] * b[:, 3]) ** 2
    )
    m2 = mass * mass
    # E_a E_b - m^2 - p_a p_b = m^2 (p_a - p_b)^2 / (E_a E_b + m^2 + p_a p_b)
    energies = m2 * (pa - pb) ** 2 / (a[:, 0] * b[:, 0] + m2 + pa * pb)
    opening = np.where(dot > 0, cross2 / np.maximum(pa * pb + dot, 1e-30), pa * pb - dot)
    return np.asarray(2.0 * (energies + opening))


def _m2(a: Array, b: Array, mass: Array) -> Array:
    return np.asarray(_m2_reduced(a, b, mass) + 4 * mass * mass)


def _cos_helicity(a: Array, b: Array, mass: Array) -> Array:
    """Cosine between the negative track in the pair's frame and the pair's CM direction, (E_- - E_+) / (beta |p|)."""
    m2 = _m2(a, b, mass)
    beta = np.sqrt(np.maximum(1.0 - 4 * mass * mass / np.maximum(m2, 1e-12), 1e-12))
    cosine = (b[:, 0] - a[:, 0]) / (beta * np.maximum(modulus(a + b), 1e-12))
    return np.asarray(np.clip(cosine, -1.0, 1.0))


def _cos(p: Array) -> Array:
    return np.asarray(p[:, 3] / np.maximum(modulus(p), 1e-12))


_P, _M, _G = "plus", "minus", "photon"
_RAW = ("raw_plus", "raw_minus", "mass")

OBSERVABLES: tuple[Observable, ...] = (
    Observable("m_pair", "GeV", (_P, _M, "mass"), lambda a, b, m: np.sqrt(_m2(a, b, m)), (0.0, 10.6),
               "mass of the pair"),
    Observable("m2_pair", "GeV^2", (_P, _M, "mass"), _m2, (0.0, 112.0), "squared mass of the pair"),
    Observable("m2_reduced", "GeV^2", (_P, _M, "mass"), _m2_reduced, (0.0, 112.0),
               "squared mass of the pair less that of two of its particles at rest"),
    Observable("m_reduced", "GeV", (_P, _M, "mass"), lambda a, b, m: np.sqrt(_m2_reduced(a, b, m)), (0.0, 10.6),
               "root of m2_reduced"),
    Observable("m_pair_raw", "GeV", _RAW, lambda a, b, m: np.sqrt(_m2(a, b, m)), (0.0, 10.6),
               "mass of the pair before the fit"),
    Observable("m_three", "GeV", ("raw_total",), lambda p: signed_root(mass2(p)), (8.0, 12.0),
               "mass of pair and photon before the fit"),
    Observable("chi2_4c", "1", ("chi2",), lambda c: c, (0.0, 40.0), "chi^2 of the fit to the initial state"),
    Observable("fit_left", "GeV", ("fit_left",), lambda r: r, (0.0, 0.01), "largest unfulfilled constraint of the fit"),
    Observable("is_ee", "1", ("electrons",), lambda e: e, (-0.5, 1.5), "1 if taken for electrons, 0 for muons"),
    Observable("n_e", "1", ("n_e",), lambda n: n, (-0.5, 2.5), "tracks identified as electrons"),
    Observable("n_mu", "1", ("n_mu",), lambda n: n, (-0.5, 2.5), "tracks identified as muons"),
    Observable("e_photon_cms", "GeV", ("raw_photon",), lambda p: p[:, 0], (0.0, 6.0), "CM energy of the photon"),
    Observable("cos_photon_cms", "1", (_G,), _cos, (-1.0, 1.0), "cosine of the photon's CM polar angle"),
    Observable("cos_plus_cms", "1", (_P,), _cos, (-1.0, 1.0), "cosine of the positive track's CM polar angle"),
    Observable("cos_minus_cms", "1", (_M,), _cos, (-1.0, 1.0), "cosine of the negative track's CM polar angle"),
    Observable("cos_helicity", "1", (_P, _M, "mass"), _cos_helicity, (-1.0, 1.0),
               "cosine of the negative track's angle in the pair's frame to the pair's CM direction"),
    Observable("p_min_cms", "GeV", (_P, _M), lambda a, b: np.minimum(modulus(a), modulus(b)), (0.0, 5.5),
               "CM momentum of the softer track"),
    Observable("photon_track_angle", "rad", (_P, _M, _G),
               lambda a, b, g: np.minimum(angle(a, g), angle(b, g)), (0.0, np.pi),
               "CM angle between the photon and the nearer track"),
    Observable("extra_energy", "GeV", ("extra_energy",), lambda e: e, (0.0, 2.0), "energy of all other photons"),
    Observable("n_photons", "1", ("n_photons",), lambda n: n, (-0.5, 9.5), "number of photons"),
    Observable("e_over_p_max", "1", ("e_over_p",), lambda r: np.maximum(r[:, 0], r[:, 1]), (0.0, 1.5),
               "larger ratio of calorimeter energy over momentum"),
)  # fmt: skip
"""All observables of this candidate."""
