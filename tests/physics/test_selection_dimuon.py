"""Events made by hand in the centre of mass, with every observable known."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest

from darkfactory.config.selection import SelectionConfig
from darkfactory.events.schema import CLUSTER, TRACK, zip_checked
from darkfactory.physics.beams import beam_frame
from darkfactory.physics.constants import M_MU
from darkfactory.physics.kinematics import from_rest_frame
from darkfactory.select.preselect import preselect

FRAME = beam_frame(7.007, 4.0, 0.0415)
SELECTION = SelectionConfig.model_validate(
    {
        "candidate": "dimuon_recoil",
        "objects": {
            "tracks": {"max_d0": 0.5, "max_z0": "20 mm", "min_pt": 0.1},
            "photons": {"min_e": "100 MeV"},
            "veto_photons": {"min_e": 0.5},
        },
    }
)


def jag(columns, counts, schema):
    full = {k: columns.get(k, np.zeros(sum(counts))) for k in schema}
    return zip_checked({k: ak.unflatten(np.asarray(v), counts) for k, v in full.items()}, schema)


def events(muons_lab, charges, clusters=None, counts=None, **tracks):
    """One event per pair of muons (n, 2, 4); clusters flat with counts."""
    n = len(muons_lab)
    flat = muons_lab.reshape(-1, 4)
    columns = {"px": flat[:, 1], "py": flat[:, 2], "pz": flat[:, 3], "charge": np.asarray(charges), **tracks}
    clusters = {"track": -np.ones(0), **(clusters or {})}
    return ak.zip(
        {
            "weight": np.ones(n),
            "event_id": np.arange(n),
            "tracks": jag(columns, [2] * n, TRACK),
            "clusters": jag(clusters, counts or [0] * n, CLUSTER),
        },
        depth_limit=1,
    )


def muon(p, theta, phi):
    return np.array(
        [np.hypot(p, M_MU), p * np.sin(theta) * np.cos(phi), p * np.sin(theta) * np.sin(phi), p * np.cos(theta)]
    )


def run(muons_cm, **more):
    lab = FRAME.to_lab(np.asarray(muons_cm))
    return preselect(events(lab, [1, -1] * len(lab), **more), SELECTION, FRAME).columns


def test_recoil_against_two_known_muons():
    # muons at right angles in the CM, 3 GeV along x and 2 GeV along y, the softer one first
    soft, hard = muon(2.0, np.pi / 2, np.pi / 2), muon(3.0, np.pi / 2, 0.0)
    got = run([[soft, hard]])
    root_s, e = FRAME.sqrts, soft[0] + hard[0]
    m2 = (root_s - e) ** 2 - 13.0
    p_max = (root_s**2 - m2) / (2 * root_s)
    expected = {
        "m2_recoil": m2,
        "m_recoil": np.sqrt(m2),
        "p_recoil_cms": np.sqrt(13.0),
        "theta_recoil_cms": np.pi / 2,
        "pt_pair_cms": np.sqrt(13.0),
        "m_pair": np.sqrt(e**2 - 13.0),
        "p_lmax_cms": 3.0,
        "p_lmin_cms": 2.0,
        # the recoil is (-3, -2, 0): along x it has -3 and across 2
        "pl_recoil_lmax": -3.0,
        "pt_recoil_lmax": 2.0,
        "pl_recoil_lmin": -2.0,
        "pt_recoil_lmin": 3.0,
        "x_pt_pair": np.sqrt(13.0) / p_max,
        "x_pt_lmax": 2.0 / p_max,
        "x_pt_lmin": 3.0 / p_max,
        "x_pl_lmax": -3.0 / p_max,
        "x_p_lmin": 2.0 / p_max,
        "x_m2": m2 / root_s**2,
        "extra_energy": 0.0,
        "recoil_photon_angle": np.pi,
    }
    for name, value in expected.items():
        assert got[name][0] == pytest.approx(value, abs=1e-9), name


def test_laboratory_observables():
    pair = np.array([[muon(4.0, 0.7, 0.3), muon(1.5, 1.9, 2.0)]])
    lab = FRAME.to_lab(pair)[0]
    got = run(pair, cluster_e=np.array([0.2, 0.3]), is_mu=np.array([True, False]))
    recoil = FRAME.p4 - lab[0] - lab[1]
    p = np.linalg.norm(lab[:, 1:], axis=1)
    theta = np.arccos(lab[:, 3] / p)
    assert got["theta_recoil_lab"][0] == pytest.approx(np.arccos(recoil[3] / np.linalg.norm(recoil[1:])))
    assert (got["theta_muon_min"][0], got["theta_muon_max"][0]) == pytest.approx((min(theta), max(theta)))
    assert (got["p_muon_min"][0], got["p_muon_max"][0]) == pytest.approx((min(p), max(p)))
    cosine = lab[0, 1:] @ lab[1, 1:] / p.prod()
    assert got["opening_angle"][0] == pytest.approx(np.arccos(cosine))
    azimuth = np.arctan2(lab[:, 2], lab[:, 1])
    assert got["dphi"][0] == pytest.approx(abs(azimuth[0] - azimuth[1]))
    assert got["e_over_p_max"][0] == pytest.approx(max(0.2 / p[0], 0.3 / p[1]))
    assert (got["muon_cluster_e_min"][0], got["muon_cluster_e_max"][0]) == pytest.approx((0.2, 0.3))
    assert got["n_mu"][0] == 1


def test_radiative_photon_is_the_recoil():
    # mu mu gamma: the recoil is the photon, massless and in its direction
    photon = np.array([4.0, 0.0, 4.0 * np.sin(1.2), 4.0 * np.cos(1.2)])
    # muons share the rest, back to back in their own frame along an arbitrary axis
    rest = np.array([FRAME.sqrts, 0, 0, 0]) - photon
    m = np.sqrt(rest[0] ** 2 - np.sum(rest[1:] ** 2))
    q = np.sqrt(m * m / 4 - M_MU**2)
    axis = np.array([0.6, 0.0, 0.8])
    pair = np.array([[m / 2, *(q * axis)], [m / 2, *(-q * axis)]])
    muons = from_rest_frame(pair, rest)
    lab = FRAME.to_lab(photon[None])[0]
    p = np.linalg.norm(lab[1:])
    cluster = {
        "e": np.array([p, 0.3, 0.05, 2.0]),
        "theta": np.array([np.arccos(lab[3] / p), 1.0, 1.0, 1.0]),
        "phi": np.full(4, np.arctan2(lab[2], lab[1])),
        "track": np.array([-1, -1, -1, 0]),
    }
    got = run([muons], clusters=cluster, counts=[4])
    assert got["m2_recoil"][0] == pytest.approx(0.0, abs=1e-9)
    assert got["recoil_photon_angle"][0] == pytest.approx(0.0, abs=1e-6)
    # the third is below threshold, the fourth belongs to a track
    assert got["n_photons"][0] == 2
    assert got["extra_energy"][0] == pytest.approx(p + 0.3)
    assert got["e_photon_max"][0] == pytest.approx(p)


def test_veto_photons_have_their_own_threshold():
    pair = [[muon(3.0, np.pi / 2, 0.0), muon(2.0, np.pi / 2, np.pi / 2)]]
    lab = FRAME.to_lab(np.asarray(pair))[0]
    recoil = FRAME.p4 - lab[0] - lab[1]
    theta = np.arccos(recoil[3] / np.linalg.norm(recoil[1:]))
    phi = np.arctan2(recoil[2], recoil[1])
    # 0.3 GeV along the recoil is no veto photon; 0.6 GeV is, 0.2 rad away in theta
    cluster = {"e": np.array([0.3, 0.6]), "theta": np.array([theta, theta + 0.2]), "phi": np.array([phi, phi]),
               "track": np.array([-1, -1])}  # fmt: skip
    got = run(pair, clusters=cluster, counts=[2])
    assert got["recoil_photon_angle"][0] == pytest.approx(0.2)
    assert got["n_photons"][0] == 2


def test_exactly_two_good_tracks_of_opposite_charge():
    one = np.array([muon(3.0, np.pi / 2, 0.0), muon(2.0, np.pi / 2, np.pi / 2)])
    lab = FRAME.to_lab(np.stack([one] * 4))
    d0 = np.array([0, 0, 0, 0, 0.6, 0, 0, 0])
    z0 = np.array([0, 0, 0, 0, 0, 0, 0, -2.1])
    got = preselect(events(lab, [1, -1, 1, 1, 1, -1, 1, -1], d0=d0, z0=z0), SELECTION, FRAME)
    assert got.columns["event_id"].tolist() == [0]
    assert got.cutflow.events == (4, 1)


def test_lorentz_identity_over_random_events():
    rng = np.random.default_rng(3)
    p = rng.uniform(0.5, 4.5, (200, 2))
    angles = rng.uniform([0.1, -3.0], [3.0, 3.0], (200, 2, 2))
    pairs = np.array([[muon(p[i, j], *angles[i, j]) for j in range(2)] for i in range(200)])
    got = run(pairs)
    assert len(got["event_id"]) > 190  # a few are below the smallest transverse momentum
    total = pairs.sum(axis=1)[got["event_id"]]
    m2_pair = total[:, 0] ** 2 - np.sum(total[:, 1:] ** 2, axis=1)
    root_s = FRAME.sqrts
    assert got["m2_recoil"] == pytest.approx(root_s**2 - 2 * root_s * total[:, 0] + m2_pair, abs=1e-8)
    # the recoil in components of each muon's direction keeps its length
    for which in ("lmax", "lmin"):
        length = np.hypot(got[f"pt_recoil_{which}"], got[f"pl_recoil_{which}"])
        assert length == pytest.approx(got["p_recoil_cms"])
    # scaled momenta stay below one wherever the recoil is physical
    physical = (got["m2_recoil"] > 0) & (total[:, 0] < root_s)
    for name in ("x_pt_pair", "x_pt_lmax", "x_pt_lmin", "x_p_lmin"):
        assert np.all(got[name][physical] <= 1.0)
