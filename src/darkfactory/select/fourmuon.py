"""Candidate ``four_muon_pairs``: four tracks taken for muons, fitted to the initial state, and each opposite-sign pair.

An event has four candidates: one positive and one negative track are the pair that a new particle may have decayed
to, the other two recoil against it. After the search for X -> mu mu, Phys. Rev. D 109, 112015. CM quantities use
fitted momenta and nominal beams, z along the boosted electron direction.
"""

from __future__ import annotations

import awkward as ak
import numpy as np

from darkfactory.config.selection import FitConfig, ObjectsConfig
from darkfactory.core.errors import ConfigError
from darkfactory.events.schema import require_fields
from darkfactory.physics.beams import BeamFrame
from darkfactory.physics.constants import M_MU
from darkfactory.select.candidates import Candidates, Observable
from darkfactory.select.fit4c import fit_four_momentum
from darkfactory.select.objects import Array, cm_matrix, flatten, good_photons, good_tracks, transform

__all__ = ["OBSERVABLES", "beam_covariance", "four_muon_pairs", "pair_momentum_max", "track_sigmas"]

_TRACK = ("charge", "px", "py", "pz", "d0", "z0", "is_mu", "is_mu_tight")
_CLUSTER = ("e", "theta", "phi", "time", "dt99", "track", "photon_like")
# tracks in the order (+, +, -, -): pair plus, pair minus, other plus, other minus of each candidate
_PAIRING = np.array([[0, 2, 1, 3], [0, 3, 1, 2], [1, 2, 0, 3], [1, 3, 0, 2]])


def beam_covariance(frame: BeamFrame, sigma_her: float, sigma_ler: float) -> Array:
    """Covariance (4, 4) of the initial state's four-momentum from the energy spreads of two light-like beams, GeV^2.

    Example:
        >>> from darkfactory.physics.beams import beam_frame
        >>> beam_covariance(beam_frame(5.0, 5.0, 0.0), 3e-3, 4e-3).round(8).tolist()[0]
        [2.5e-05, 0.0, 0.0, -7e-06]
    """
    sine = float(frame.p4[1] / frame.p4[0])
    cosine = float(np.sqrt(1.0 - sine * sine))
    directions = np.array([[1.0, sine, 0.0, cosine], [1.0, sine, 0.0, -cosine]])
    return np.asarray(directions.T @ np.diag([sigma_her**2, sigma_ler**2]) @ directions)


def track_sigmas(momenta: Array, fit: FitConfig, mass: float) -> Array:
    """Standard deviations of pt (GeV), phi (rad) and tan lambda of tracks (..., 3), at the measured momenta."""
    if fit.track_errors is None:
        raise ConfigError("the fit of tracks needs their resolution", where="selection.objects.fit.track_errors")
    pt = np.sqrt(momenta[..., 0] ** 2 + momenta[..., 1] ** 2)
    p = np.sqrt(pt * pt + momenta[..., 2] ** 2)
    names = {
        "pt": pt, "p": p, "beta": p / np.sqrt(p * p + mass * mass), "theta": np.arctan2(pt, momenta[..., 2]),
        "lever": np.ones_like(pt),
    }  # fmt: skip
    errors = fit.track_errors
    return np.stack(
        [pt * errors.pt_resolution(**names), 1e-3 * errors.phi_mrad(**names), errors.tanlambda(**names)], axis=-1
    )


def four_muon_pairs(events: ak.Array, objects: ObjectsConfig, frame: BeamFrame) -> Candidates:
    """Events with exactly four good tracks of total charge zero: four candidates each.

    Raises:
        ConfigError: the selection has no ``objects.fit``.
    """
    require_fields(events, "tracks", "clusters")
    fit = objects.fit
    if fit is None:
        raise ConfigError("four_muon_pairs fits tracks to the initial state: give `fit: {}`", where="selection.objects")
    tracks = flatten(events["tracks"], _TRACK)
    tracks = tracks.where(good_tracks(tracks, objects.tracks))
    charge = np.bincount(tracks.event, weights=tracks["charge"], minlength=tracks.n_events)
    four = tracks.where(((tracks.counts() == 4) & (charge == 0))[tracks.event])
    event = four.event[::4]
    # positive tracks first, in each event
    order = np.lexsort((-four["charge"], four.event)).reshape(-1, 4)
    momenta = np.stack([four[c] for c in ("px", "py", "pz")], axis=-1)[order]
    raw = np.concatenate([np.sqrt(np.sum(momenta**2, axis=2, keepdims=True) + M_MU**2), momenta], axis=2)
    fitted, chi2, left = _fit(raw, fit, frame)

    photons = flatten(events["clusters"], _CLUSTER)
    photons = photons.where(good_photons(photons, objects.photons))
    energy = np.bincount(photons.event, weights=photons["e"], minlength=photons.n_events)[event]
    to_cm = cm_matrix(frame)
    total = raw[:, 0] + raw[:, 1] + raw[:, 2] + raw[:, 3]
    per_event = {
        "total": transform(total, to_cm),
        "chi2": chi2,
        "fit_left": left,
        "extra_energy": energy,
        "n_mu": np.sum(four["is_mu"][order], axis=1).astype(float),
        "n_mu_tight": np.sum(four["is_mu_tight"][order], axis=1).astype(float),
        "sqrts": np.full(len(event), frame.sqrts),
    }
    basis = {name: np.repeat(values, 4, axis=0) for name, values in per_event.items()}
    for kind, p in (("", fitted), ("raw_", raw)):
        cm = transform(p.reshape(-1, 4), to_cm).reshape(-1, 4, 4)
        for column, name in enumerate(("x_plus", "x_minus", "o_plus", "o_minus")):
            basis[kind + name] = cm[:, _PAIRING[:, column]].reshape(-1, 4)
    return Candidates(np.repeat(event, 4), np.tile(np.arange(4), len(event)), basis)


def _fit(raw: Array, fit: FitConfig, frame: BeamFrame) -> tuple[Array, Array, Array]:
    """Fitted momenta, chi2 and what is left of the constraint; events far from the beams' energy stay as measured."""
    fitted, chi2, left = raw.copy(), np.full(len(raw), np.inf), np.full(len(raw), np.inf)
    energy = raw[:, 0, 0] + raw[:, 1, 0] + raw[:, 2, 0] + raw[:, 3, 0]
    near = np.flatnonzero(np.abs(energy - frame.p4[0]) <= fit.max_missing)
    if len(near):
        spread = np.zeros((4, 4))
        if fit.beam_spread and fit.beam_errors is not None:
            errors = fit.beam_errors
            spread = beam_covariance(frame, errors.sigma_e_her_gev.value, errors.sigma_e_ler_gev.value)
        momenta = np.ascontiguousarray(raw[near, :, 1:])
        sigmas = track_sigmas(momenta, fit, M_MU)
        found = fit_four_momentum(momenta, sigmas, M_MU, frame.p4, spread, fit.iterations)
        fitted[near], chi2[near], left[near] = found.p4, found.chi2, found.residual
    return fitted, chi2, left


def pair_momentum_max(m2: Array, sqrts: Array) -> Array:
    """Largest CM momentum of a system of squared mass m2 that recoils against two muons, in GeV.

    Example:
        >>> pair_momentum_max(np.array([0.0]), np.array([10.0])).round(4).tolist()
        [4.9978]
    """
    s, least = sqrts * sqrts, 4 * M_MU**2
    return np.asarray(np.sqrt(np.maximum((s - m2 - least) ** 2 - 4 * m2 * least, 1e-6)) / (2 * sqrts))


def _dot(a: Array, b: Array) -> Array:
    return np.asarray(a[:, 1] * b[:, 1] + a[:, 2] * b[:, 2] + a[:, 3] * b[:, 3])


def _p(a: Array) -> Array:
    return np.asarray(np.sqrt(_dot(a, a)))


def _m2_reduced(a: Array, b: Array) -> Array:
    """Squared mass of two muons less 4 m_mu^2, which is four times the squared momentum in the pair's frame."""
    return np.asarray(2.0 * (a[:, 0] * b[:, 0] - _dot(a, b) - M_MU**2))


def _root(m2: Array) -> Array:
    return np.asarray(np.sign(m2) * np.sqrt(np.abs(m2)))


def _mass(a: Array, b: Array) -> Array:
    return np.asarray(np.sqrt(np.maximum(_m2_reduced(a, b) + 4 * M_MU**2, 0.0)))


def _mass_all(total: Array) -> Array:
    return _root(total[:, 0] ** 2 - _dot(total, total))


def _cos_helicity(a: Array, b: Array) -> Array:
    """|cos| between a muon in the pair's frame and the pair's direction: (E_a - E_b) / (beta |p_a + p_b|)."""
    m2 = _m2_reduced(a, b) + 4 * M_MU**2
    beta = np.sqrt(np.maximum(1.0 - 4 * M_MU**2 / np.maximum(m2, 1e-12), 1e-12))
    cosine = np.abs(a[:, 0] - b[:, 0]) / (beta * np.maximum(_p(a + b), 1e-12))
    return np.asarray(np.minimum(cosine, 1.0))


def _cross(a: Array, b: Array) -> Array:
    zero = np.zeros(len(a))
    return np.stack(
        [zero, a[:, 2] * b[:, 3] - a[:, 3] * b[:, 2], a[:, 3] * b[:, 1] - a[:, 1] * b[:, 3],
         a[:, 1] * b[:, 2] - a[:, 2] * b[:, 1]], axis=-1,
    )  # fmt: skip


def _cos_planes(a: Array, b: Array, c: Array, d: Array) -> Array:
    n, m = _cross(a, b), _cross(c, d)
    return np.asarray(np.minimum(np.abs(_dot(n, m)) / np.maximum(_p(n) * _p(m), 1e-24), 1.0))


def _transverse(p: Array, axis: Array) -> Array:
    along = _dot(p, axis) / np.maximum(_p(axis), 1e-12)
    return np.asarray(np.sqrt(np.maximum(_dot(p, p) - along * along, 0.0)))


def _ordered(c: Array, d: Array) -> tuple[Array, Array]:
    """The harder and the softer of two, by CM momentum."""
    first = (_p(c) >= _p(d))[:, None]
    return np.where(first, c, d), np.where(first, d, c)


def _cos_polar(p: Array) -> Array:
    return np.asarray(np.abs(p[:, 3]) / np.maximum(_p(p), 1e-12))


def _limit(a: Array, b: Array, sqrts: Array) -> Array:
    return pair_momentum_max(_m2_reduced(a, b) + 4 * M_MU**2, sqrts)


_A, _B, _C, _D, _Q = "x_plus", "x_minus", "o_plus", "o_minus", "sqrts"

OBSERVABLES: tuple[Observable, ...] = (
    Observable("m2_reduced", "GeV^2", (_A, _B), _m2_reduced, (0.0, 112.0), "squared mass of the pair less 4 m_mu^2"),
    Observable("m_reduced", "GeV", (_A, _B), lambda a, b: _root(_m2_reduced(a, b)), (0.0, 10.6),
               "reduced mass of the pair, sqrt(M^2 - 4 m_mu^2)"),
    Observable("m_pair", "GeV", (_A, _B), _mass, (0.0, 10.6), "mass of the pair"),
    Observable("m_reduced_raw", "GeV", ("raw_x_plus", "raw_x_minus"), lambda a, b: _root(_m2_reduced(a, b)),
               (0.0, 10.6), "reduced mass of the pair before the fit"),
    Observable("m_four", "GeV", ("total",), _mass_all, (8.0, 12.0), "mass of the four tracks before the fit"),
    Observable("chi2_4c", "1", ("chi2",), lambda c: c, (0.0, 40.0), "chi^2 of the fit to the initial state"),
    Observable("fit_left", "GeV", ("fit_left",), lambda r: r, (0.0, 0.01), "largest unfulfilled constraint of the fit"),
    Observable("extra_energy", "GeV", ("extra_energy",), lambda e: e, (0.0, 2.0), "energy of all photons"),
    Observable("n_mu", "1", ("n_mu",), lambda n: n, (-0.5, 4.5), "tracks identified as muons"),
    Observable("n_mu_tight", "1", ("n_mu_tight",), lambda n: n, (-0.5, 4.5), "tracks tightly identified as muons"),
    Observable("x_m_other", "1", (_A, _B, _C, _D, _Q),
               lambda a, b, c, d, q: _mass(c, d) / np.maximum(q - _mass(a, b), 1e-3), (0.0, 1.0),
               "mass of the other pair over the largest"),
    Observable("cos_helicity", "1", (_A, _B), _cos_helicity, (0.0, 1.0), "|cos| of the pair's decay angle"),
    Observable("cos_helicity_other", "1", (_C, _D), _cos_helicity, (0.0, 1.0), "|cos| of the other pair's decay angle"),
    Observable("cos_planes", "1", (_A, _B, _C, _D), _cos_planes, (0.0, 1.0),
               "|cos| of the angle between the planes of the two pairs"),
    Observable("x_pt_hard", "1", (_A, _B, _C, _D, _Q),
               lambda a, b, c, d, q: _transverse(a + b, _ordered(c, d)[0]) / _limit(a, b, q), (0.0, 1.0),
               "momentum of the pair transverse to the harder of the others, over the largest momentum"),
    Observable("x_pt_soft", "1", (_A, _B, _C, _D, _Q),
               lambda a, b, c, d, q: _transverse(a + b, _ordered(c, d)[1]) / _limit(a, b, q), (0.0, 1.0),
               "momentum of the pair transverse to the softer of the others, over the largest momentum"),
    Observable("x_p_hard", "1", (_A, _B, _C, _D, _Q),
               lambda a, b, c, d, q: _p(_ordered(c, d)[0]) / _limit(a, b, q), (0.0, 1.0),
               "momentum of the harder of the others over the largest of the pair"),
    Observable("x_p_soft", "1", (_A, _B, _C, _D, _Q),
               lambda a, b, c, d, q: _p(_ordered(c, d)[1]) / _limit(a, b, q), (0.0, 1.0),
               "momentum of the softer of the others over the largest of the pair"),
    Observable("cos_pair", "1", (_A, _B), lambda a, b: _cos_polar(a + b), (0.0, 1.0),
               "|cos| of the pair's polar angle"),
    Observable("cos_hard", "1", (_C, _D), lambda c, d: _cos_polar(_ordered(c, d)[0]), (0.0, 1.0),
               "|cos| of the polar angle of the harder of the others"),
    Observable("cos_soft", "1", (_C, _D), lambda c, d: _cos_polar(_ordered(c, d)[1]), (0.0, 1.0),
               "|cos| of the polar angle of the softer of the others"),
    Observable("x_cross_min", "1", (_A, _B, _C, _D, _Q),
               lambda a, b, c, d, q: np.minimum(_mass(a, d), _mass(b, c)) / q, (0.0, 1.0),
               "smaller mass of the opposite-sign pairs across, over the CM energy"),
    Observable("x_cross_max", "1", (_A, _B, _C, _D, _Q),
               lambda a, b, c, d, q: np.maximum(_mass(a, d), _mass(b, c)) / q, (0.0, 1.0),
               "larger mass of the opposite-sign pairs across, over the CM energy"),
    Observable("x_same_min", "1", (_A, _B, _C, _D, _Q),
               lambda a, b, c, d, q: np.minimum(_mass(a, c), _mass(b, d)) / q, (0.0, 1.0),
               "smaller mass of the like-sign pairs, over the CM energy"),
    Observable("x_same_max", "1", (_A, _B, _C, _D, _Q),
               lambda a, b, c, d, q: np.maximum(_mass(a, c), _mass(b, d)) / q, (0.0, 1.0),
               "larger mass of the like-sign pairs, over the CM energy"),
)  # fmt: skip
"""All observables of this candidate."""
