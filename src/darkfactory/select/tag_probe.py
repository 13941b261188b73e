"""Candidate ``tag_and_probe``: two tracks of opposite charge, each once the tag and once the probe.

For control samples: cuts ask something of the tag, a correction counts how often the probe passes something.
"""

from __future__ import annotations

from collections.abc import Callable

import awkward as ak
import numpy as np

from darkfactory.config.selection import ObjectsConfig
from darkfactory.physics.beams import BeamFrame
from darkfactory.physics.constants import M_MU
from darkfactory.select.candidates import Candidates, Observable
from darkfactory.select.objects import Array
from darkfactory.select.recoil import RECOIL_OBSERVABLES, lepton_thetas, pair_recoil

__all__ = ["OBSERVABLES", "tag_and_probe"]


def tag_and_probe(events: ak.Array, objects: ObjectsConfig, frame: BeamFrame) -> Candidates:
    """Events with exactly two good tracks, of opposite charge: two candidates each.

    Of candidate 0 the tag is the harder track in the CM, of candidate 1 the softer one. Tracks have the mass of muons.
    """
    pairs = pair_recoil(events, objects, frame, lambda tracks, p: np.full(len(p), M_MU))
    n = len(pairs.event)
    basis = {name: np.repeat(values, 2, axis=0) for name, values in pairs.basis.items()}
    basis["tag"] = np.tile(np.array([0, 1]), n)
    return Candidates(np.repeat(pairs.event, 2), basis["tag"], basis)


def _of(probe: bool) -> Callable[..., Array]:
    """The entry (n, 2) of the tag or of the probe."""

    def value(values: np.ndarray, tag: np.ndarray) -> Array:
        index = 1 - tag if probe else tag
        return np.asarray(values[np.arange(len(values)), index], dtype=np.float64)

    return value


_tag, _probe = _of(False), _of(True)


def _theta(leptons: Array, tag: np.ndarray) -> Array:
    return _probe(lepton_thetas(leptons), tag)


def _energy_over_recoil(energy: Array, recoil: Array) -> Array:
    """Energy of the hardest photon over that of the recoil, 0 where the recoil has none.

    Example:
        >>> _energy_over_recoil(np.array([1.0, 1.0]), np.array([[2.0, 0, 0, 2.0], [-0.1, 0, 0, 0]])).tolist()
        [0.5, 0.0]
    """
    e = recoil[:, 0]
    return np.asarray(np.where(e > 0, energy / np.maximum(e, 1e-6), 0.0))


_T = "tag"

OBSERVABLES: tuple[Observable, ...] = (
    *RECOIL_OBSERVABLES,
    Observable("tag_is_mu_tight", "1", ("is_mu_tight", _T), _tag, (-0.5, 1.5), "1 if the tag is tightly a muon"),
    Observable("tag_is_e", "1", ("is_e", _T), _tag, (-0.5, 1.5), "1 if the tag is identified as an electron"),
    Observable("tag_cluster_e", "GeV", ("cluster_e", _T), _tag, (0.0, 8.0), "calorimeter energy of the tag"),
    Observable("tag_e_over_p", "1", ("cluster_e", "p_lab", _T), lambda e, p, t: _tag(e, t) / _tag(p, t), (0.0, 1.5),
               "calorimeter energy of the tag over its momentum"),
    Observable("tag_p", "GeV", ("p_lab", _T), _tag, (0.0, 8.0), "laboratory momentum of the tag"),
    Observable("probe_is_mu", "1", ("is_mu", _T), _probe, (-0.5, 1.5), "1 if the probe is identified as a muon"),
    Observable("probe_is_mu_tight", "1", ("is_mu_tight", _T), _probe, (-0.5, 1.5), "1 if the probe is tightly a muon"),
    Observable("probe_is_e", "1", ("is_e", _T), _probe, (-0.5, 1.5), "1 if the probe is identified as an electron"),
    Observable("probe_p", "GeV", ("p_lab", _T), _probe, (0.0, 8.0), "laboratory momentum of the probe"),
    Observable("probe_theta", "rad", ("leptons_lab", _T), _theta, (0.0, np.pi), "laboratory polar angle of the probe"),
    Observable("probe_cluster_e", "GeV", ("cluster_e", _T), _probe, (0.0, 8.0), "calorimeter energy of the probe"),
    Observable("probe_e_over_p", "1", ("cluster_e", "p_lab", _T), lambda e, p, t: _probe(e, t) / _probe(p, t),
               (0.0, 1.5), "calorimeter energy of the probe over its momentum"),
    Observable("cluster_e_max", "GeV", ("cluster_e",), lambda e: np.max(e, axis=1), (0.0, 8.0),
               "larger of the calorimeter energies of the tracks"),
    Observable("e_recoil", "GeV", ("recoil_lab",), lambda r: r[:, 0], (-1.0, 8.0), "laboratory energy of the recoil"),
    Observable("photon_over_recoil", "1", ("e_photon_max", "recoil_lab"), _energy_over_recoil, (0.0, 1.5),
               "energy of the hardest photon over that of the recoil"),
)  # fmt: skip
"""All observables of this candidate."""
