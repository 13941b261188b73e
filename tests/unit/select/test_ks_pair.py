"""Pairs of pions with a vertex of their own, made by hand."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest

from darkfactory.config.selection import SelectionConfig
from darkfactory.events.schema import CLUSTER, TRACK, VERTEX, zip_checked
from darkfactory.physics.beams import beam_frame
from darkfactory.physics.constants import M_K0, M_PIPLUS
from darkfactory.select.preselect import preselect

FRAME = beam_frame(7.007, 4.0, 0.0415)


def pions(p_ks: float, cosine: float) -> np.ndarray:
    """Momenta of both pions of a K_S along z."""
    e = M_K0 / 2
    q = np.sqrt(e * e - M_PIPLUS**2)
    gamma, along = np.hypot(p_ks, M_K0) / M_K0, p_ks / M_K0
    x, z = q * np.sqrt(1 - cosine**2), q * cosine
    return np.array([[x, 0.0, along * e + gamma * z], [-x, 0.0, along * e - gamma * z]])


def test_masses_momenta_and_places_of_each_vertex() -> None:
    # an event with two K_S, one without vertices, one with a slow pion
    tracks = np.concatenate([pions(1.2, 0.3), pions(2.0, -0.5), pions(0.05, 0.2)])
    n = [4, 0, 2]
    full = {k: np.zeros(6) for k in TRACK} | {"px": tracks[:, 0], "py": tracks[:, 1], "pz": tracks[:, 2]}
    full["charge"] = np.tile([-1, 1], 3)
    vertex = {k: np.zeros(3) for k in VERTEX}
    vertex |= {"track_minus": np.array([0, 2, 0]), "track_plus": np.array([1, 3, 1])}
    vertex |= {"r_xy": np.array([3.0, 30.0, 1.0]), "distance": np.array([4.0, 40.0, 1.0])}
    vertex |= {"sigma_distance": np.full(3, 0.1), "cos_pointing": np.ones(3)}
    events = ak.zip(
        {
            "weight": np.ones(3),
            "event_id": np.arange(3),
            "tracks": zip_checked({k: ak.unflatten(v, n) for k, v in full.items()}, TRACK),
            "vertices": zip_checked({k: ak.unflatten(v, [2, 0, 1]) for k, v in vertex.items()}, VERTEX),
            "clusters": zip_checked({k: ak.unflatten(np.zeros(0), [0] * 3) for k in CLUSTER}, CLUSTER),
        },
        depth_limit=1,
    )
    config = {"candidate": "ks_pair", "objects": {"tracks": {"min_pt": 0.15, "max_d0": 0.001}}}
    got = preselect(events, SelectionConfig.model_validate(config), FRAME).columns
    # all pions have the transverse momentum of the decay, some 0.2 GeV
    assert got["event_id"].tolist() == [0, 0, 2]
    assert got["candidate"].tolist() == [0, 1, 0]
    assert got["m_pipi"] == pytest.approx([M_K0] * 3, rel=1e-9)
    assert got["p_ks"] == pytest.approx([1.2, 2.0, 0.05])
    assert got["r_ks"] == pytest.approx([3.0, 30.0, 1.0])
    assert got["significance_ks"] == pytest.approx([40.0, 400.0, 10.0])
    # of two pions none is a proton: the mass is above that of a Lambda for these
    assert np.all(got["m_p_pi"] > 1.07)
