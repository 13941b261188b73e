"""Candidate ``dimuon_recoil``: two muons of opposite charge and what recoils against them."""

from __future__ import annotations

import awkward as ak
import numpy as np

from darkfactory.config.selection import ObjectsConfig
from darkfactory.physics.beams import BeamFrame
from darkfactory.physics.constants import M_MU
from darkfactory.select.candidates import Candidates, Observable
from darkfactory.select.objects import Array
from darkfactory.select.recoil import RECOIL_OBSERVABLES, count_flags, lepton_thetas, pair_recoil

__all__ = ["OBSERVABLES", "abs_cos_helicity", "dimuon_recoil"]


def dimuon_recoil(events: ak.Array, objects: ObjectsConfig, frame: BeamFrame) -> Candidates:
    """Events with exactly two good tracks, of opposite charge: one candidate each, under the muon hypothesis.

    Muon identification is left to cuts on ``n_mu`` or on the calorimeter observables.
    """
    return pair_recoil(events, objects, frame, lambda tracks, p: np.full(len(p), M_MU))


def abs_cos_helicity(hard: Array, soft: Array) -> Array:
    """Cosine between a muon in the pair's rest frame and the pair's CM direction, without sign.

    (E_h - E_s) M / (2 |P| p*) of equal masses, with the CM momentum P of the pair and the muons' p* in its frame.

    Example:
        >>> from darkfactory.physics.kinematics import boost
        >>> pair, beta, p = np.array([[5.0, 0.0, 0.0, 4.0]]), np.array([[0.0, 0.0, 0.8]]), np.sqrt(1.5**2 - M_MU**2)
        >>> along = boost(np.array([[1.5, 0.0, 0.0, p]]), beta)
        >>> across = boost(np.array([[1.5, p, 0.0, 0.0]]), beta)
        >>> [round(float(abs_cos_helicity(m, pair - m)[0]), 6) for m in (along, across)]
        [1.0, 0.0]
    """
    total = hard + soft
    p2 = total[:, 1] ** 2 + total[:, 2] ** 2 + total[:, 3] ** 2
    m2 = np.maximum(total[:, 0] ** 2 - p2, 4 * M_MU**2 + 1e-9)
    own = np.sqrt(0.25 * m2 - M_MU**2)
    cosine = np.abs(hard[:, 0] - soft[:, 0]) * np.sqrt(m2 / np.maximum(p2, 1e-12)) / (2 * own)
    return np.asarray(np.minimum(cosine, 1.0))


def _theta_of(leptons: Array, p: Array, slower: bool) -> Array:
    """Laboratory polar angle of the slower or the faster muon; of equal momenta the second is the faster."""
    second = p[:, 1] < p[:, 0] if slower else p[:, 1] >= p[:, 0]
    theta = lepton_thetas(leptons)
    return np.asarray(np.where(second, theta[:, 1], theta[:, 0]))


OBSERVABLES: tuple[Observable, ...] = (
    *RECOIL_OBSERVABLES,
    Observable("abs_cos_helicity", "1", ("hard", "soft"), abs_cos_helicity, (0.0, 1.0),
               "cosine of the muon's angle in the pair's frame to the pair's CM direction, without sign"),
    Observable("p_muon_min", "GeV", ("p_lab",), lambda p: np.minimum(p[:, 0], p[:, 1]), (0.0, 8.0),
               "laboratory momentum of the slower muon"),
    Observable("p_muon_max", "GeV", ("p_lab",), lambda p: np.maximum(p[:, 0], p[:, 1]), (0.0, 8.0),
               "laboratory momentum of the faster muon"),
    Observable("theta_muon_slow", "rad", ("leptons_lab", "p_lab"), lambda m, p: _theta_of(m, p, True), (0.0, np.pi),
               "laboratory polar angle of the muon of smaller momentum"),
    Observable("theta_muon_fast", "rad", ("leptons_lab", "p_lab"), lambda m, p: _theta_of(m, p, False), (0.0, np.pi),
               "laboratory polar angle of the muon of larger momentum"),
    Observable("theta_muon_min", "rad", ("leptons_lab",), lambda m: np.min(lepton_thetas(m), axis=1), (0.0, np.pi),
               "laboratory polar angle of the more forward muon"),
    Observable("theta_muon_max", "rad", ("leptons_lab",), lambda m: np.max(lepton_thetas(m), axis=1), (0.0, np.pi),
               "laboratory polar angle of the more backward muon"),
    Observable("n_mu", "1", ("is_mu",), count_flags, (-0.5, 2.5), "tracks identified as muons"),
    Observable("n_mu_tight", "1", ("is_mu_tight",), count_flags, (-0.5, 2.5), "tracks tightly identified as muons"),
    Observable("muon_cluster_e_min", "GeV", ("cluster_e",), lambda e: np.minimum(e[:, 0], e[:, 1]), (0.0, 1.0),
               "smaller of the calorimeter energies of the tracks"),
    Observable("muon_cluster_e_max", "GeV", ("cluster_e",), lambda e: np.maximum(e[:, 0], e[:, 1]), (0.0, 1.0),
               "larger of the calorimeter energies of the tracks"),
    Observable("e_over_p_max", "1", ("cluster_e", "p_lab"),
               lambda e, p: np.maximum(e[:, 0] / p[:, 0], e[:, 1] / p[:, 1]), (0.0, 1.5),
               "larger ratio of calorimeter energy over momentum"),
)  # fmt: skip
"""All observables of this candidate."""
