"""Candidate ``emu_recoil``: an electron and a muon of opposite charge and what recoils against them."""

from __future__ import annotations

import awkward as ak
import numpy as np

from darkfactory.config.selection import ObjectsConfig
from darkfactory.physics.beams import BeamFrame
from darkfactory.physics.constants import M_E, M_MU
from darkfactory.select.candidates import Candidates, Observable
from darkfactory.select.objects import Array, Flat
from darkfactory.select.recoil import RECOIL_OBSERVABLES, lepton_thetas, pair_recoil

__all__ = ["OBSERVABLES", "electron_and_muon", "emu_recoil"]


def electron_and_muon(tracks: Flat, p: Array) -> Array:
    """Mass hypotheses in GeV: of the two tracks of an event, the one with the larger E/p is the electron.

    Example:
        >>> pair = Flat(1, np.array([0, 0]), {"cluster_e": np.array([0.2, 1.9])})
        >>> electron_and_muon(pair, np.array([2.0, 2.0])).round(4).tolist()
        [0.1057, 0.0005]
    """
    ratio = (tracks["cluster_e"] / p).reshape(-1, 2)
    second = ratio[:, 1] > ratio[:, 0]
    return np.asarray(np.where(np.stack([~second, second], axis=-1), M_E, M_MU).reshape(-1))


def emu_recoil(events: ak.Array, objects: ObjectsConfig, frame: BeamFrame) -> Candidates:
    """Events with exactly two good tracks, of opposite charge: one candidate each, under the hypothesis e mu.

    Identification is left to cuts on ``electron_id`` and ``muon_id`` or on the calorimeter observables.
    """
    return pair_recoil(events, objects, frame, electron_and_muon)


def _electron(values: np.ndarray, mass: Array) -> Array:
    """The entry (n, 2, ...) of the electron, as a double."""
    return np.asarray(values[np.arange(len(values)), np.argmin(mass, axis=1)], dtype=np.float64)


def _muon(values: np.ndarray, mass: Array) -> Array:
    """The entry (n, 2, ...) of the muon, as a double."""
    return np.asarray(values[np.arange(len(values)), np.argmax(mass, axis=1)], dtype=np.float64)


_E, _P, _M = "cluster_e", "p_lab", "mass"

OBSERVABLES: tuple[Observable, ...] = (
    *RECOIL_OBSERVABLES,
    Observable("electron_id", "1", ("is_e", _M), _electron, (-0.5, 1.5), "1 if the electron is identified"),
    Observable("muon_id", "1", ("is_mu", _M), _muon, (-0.5, 1.5), "1 if the muon is identified"),
    Observable("muon_id_tight", "1", ("is_mu_tight", _M), _muon, (-0.5, 1.5), "1 if the muon is tightly identified"),
    Observable("p_electron", "GeV", (_P, _M), _electron, (0.0, 8.0), "laboratory momentum of the electron"),
    Observable("p_muon", "GeV", (_P, _M), _muon, (0.0, 8.0), "laboratory momentum of the muon"),
    Observable("electron_cluster_e", "GeV", (_E, _M), _electron, (0.0, 8.0), "calorimeter energy of the electron"),
    Observable("muon_cluster_e", "GeV", (_E, _M), _muon, (0.0, 1.0), "calorimeter energy of the muon"),
    Observable("electron_e_over_p", "1", (_E, _P, _M), lambda e, p, m: _electron(e, m) / _electron(p, m), (0.0, 1.5),
               "calorimeter energy of the electron over its momentum"),
    Observable("muon_e_over_p", "1", (_E, _P, _M), lambda e, p, m: _muon(e, m) / _muon(p, m), (0.0, 1.5),
               "calorimeter energy of the muon over its momentum"),
    Observable("theta_lepton_min", "rad", ("leptons_lab",), lambda p: np.min(lepton_thetas(p), axis=1), (0.0, np.pi),
               "laboratory polar angle of the more forward lepton"),
    Observable("theta_lepton_max", "rad", ("leptons_lab",), lambda p: np.max(lepton_thetas(p), axis=1), (0.0, np.pi),
               "laboratory polar angle of the more backward lepton"),
)  # fmt: skip
"""All observables of this candidate."""
