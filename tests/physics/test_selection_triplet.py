"""Three photons made by hand in the centre of mass, with every observable known."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest

from darkfactory.config.selection import SelectionConfig
from darkfactory.events.schema import CLUSTER, TRACK, zip_checked
from darkfactory.physics.beams import beam_frame
from darkfactory.physics.kinematics import from_rest_frame
from darkfactory.select.preselect import preselect

FRAME = beam_frame(7.007, 4.0, 0.0415)
TRACK_CUTS = {"max_d0": 1.0, "max_z0": 3.0}
SELECTION = SelectionConfig.model_validate(
    {"candidate": "photon_triplet", "objects": {"photons": {"min_e": 0.1}, "tracks": TRACK_CUTS}}
)


def event(photons_lab, selection=SELECTION, d0=(), **columns):
    """Candidates of one event with these photons (n, 4)."""
    p = np.asarray(photons_lab)
    n = len(p)
    full = {
        "e": p[:, 0],
        "theta": np.arctan2(np.hypot(p[:, 1], p[:, 2]), p[:, 3]),
        "phi": np.arctan2(p[:, 2], p[:, 1]),
        "dt99": np.full(n, 2.0),
        "track": -np.ones(n),
        "photon_like": np.ones(n, dtype=bool),
        **columns,
    }
    clusters = zip_checked({k: ak.unflatten(np.asarray(full.get(k, np.zeros(n))), [n]) for k in CLUSTER}, CLUSTER)
    tracks = {k: np.zeros(len(d0)) for k in TRACK} | {"d0": np.asarray(d0, dtype=float), "px": np.ones(len(d0))}
    tracks = zip_checked({k: ak.unflatten(v, [len(d0)]) for k, v in tracks.items()}, TRACK)
    events = ak.zip({"weight": [1.0], "event_id": [8], "tracks": tracks, "clusters": clusters}, depth_limit=1)
    return preselect(events, selection, FRAME).columns


def alp_event(mass, cos_helicity, theta=1.2):
    """e+e- -> gamma a, a -> gamma gamma in the laboratory: recoil photon, harder and softer daughter."""
    root_s = FRAME.sqrts
    k = (root_s**2 - mass**2) / (2 * root_s)
    axis = np.array([np.sin(theta), 0.0, np.cos(theta)])
    across = np.array([np.cos(theta), 0.0, -np.sin(theta)])
    alp = np.array([root_s - k, *(-k * axis)])
    sine = np.sqrt(1 - cos_helicity**2)
    direction = -cos_helicity * axis + sine * (0.6 * across + 0.8 * np.array([0.0, 1.0, 0.0]))
    pair = from_rest_frame(np.array([[mass / 2, *(mass / 2 * direction)], [mass / 2, *(-mass / 2 * direction)]]), alp)
    return FRAME.to_lab(np.array([[k, *(k * axis)], *pair]))


@pytest.mark.parametrize("mass", [0.3, 1.0, 4.0, 9.0])
def test_the_right_pairing_has_the_mass_twice(mass):
    lab = alp_event(mass, 0.4)
    got = event(lab)
    assert got["candidate"].tolist() == [0, 1, 2]
    order = np.argsort(-lab[:, 0])
    right = int(np.flatnonzero(order == 0)[0])  # the candidate that leaves out the recoil photon
    assert got["m_gg"][right] == pytest.approx(mass, rel=1e-7)
    assert got["m_recoil"][right] == pytest.approx(mass, rel=1e-5)
    assert got["cos_helicity"][right] == pytest.approx(0.4, rel=1e-7)
    assert got["m_3g_over_sqrts"] == pytest.approx(1.0)
    # s = sum of the three squared pair masses for massless photons
    assert np.sum(got["m2_gg"]) == pytest.approx(FRAME.sqrts**2)
    assert got["cos_theta_recoil_cms"][right] == pytest.approx(np.cos(1.2))
    pair = lab[1:, 1:] / lab[1:, :1]
    assert got["opening_angle"][right] == pytest.approx(np.arccos(pair[0] @ pair[1]), rel=1e-6)
    assert got["e_min"] == pytest.approx([lab[:, 0].min()] * 3)
    assert got["e_max"] == pytest.approx([lab[:, 0].max()] * 3)


def test_only_the_three_hardest_count():
    lab = alp_event(5.0, 0.3)
    soft = np.array([[0.2, 0.2, 0.0, 0.0], [0.05, 0.0, 0.05, 0.0]])
    more = np.concatenate([soft, lab])
    got, plain = event(more), event(lab)
    assert got["n_photons"].tolist() == [4.0] * 3
    assert got["extra_energy"] == pytest.approx([0.2] * 3)
    assert got["m2_gg"] == pytest.approx(plain["m2_gg"])
    assert len(event(lab[:2])["m_gg"]) == 0


def test_conversion_pairs_need_both_angles():
    e = np.array([3.0, 2.0, 1.0])
    theta = np.array([1.0, 1.010, 2.0])
    for phi, count in ((np.array([3.1, -2.9, 0.0]), 1), (np.array([3.1, -2.7, 0.0]), 0)):
        sin = np.sin(theta)
        p = np.stack([e, e * sin * np.cos(phi), e * sin * np.sin(phi), e * np.cos(theta)], axis=-1)
        assert event(p)["n_close_pairs"].tolist() == [count] * 3
    wide = SELECTION.model_copy(update={"parameters": {"n_close_pairs": {"dphi": "30 deg"}}})
    assert event(p, wide)["n_close_pairs"].tolist() == [1] * 3


def test_time_spread_is_against_the_weighted_mean():
    got = event(alp_event(5.0, 0.3), time=np.array([1.0, 1.0, 5.0]), dt99=np.array([1.0, 1.0, 2.0]))
    mean = (1 + 1 + 5 / 4) / (2 + 1 / 4)
    assert got["time_spread"] == pytest.approx([(5 - mean) / 2] * 3)


def test_shape_is_taken_from_the_more_isolated_of_the_softer_two():
    e = np.array([5.0, 3.0, 2.0])
    # the hardest at phi 0, the second 2.0 away, the softest 0.5 away: the second is the more isolated
    phi = np.array([0.0, 2.0, -0.5])
    p = np.stack([e, e * np.cos(phi), e * np.sin(phi), 0 * e], axis=-1)
    assert event(p, photon_like=np.array([False, True, False]))["shape_isolated"].tolist() == [1.0] * 3
    assert event(p, photon_like=np.array([True, False, True]))["shape_isolated"].tolist() == [0.0] * 3


def test_tracks_from_the_interaction_point():
    lab = alp_event(5.0, 0.3)
    assert event(lab, d0=[0.1, 2.0])["n_tracks"].tolist() == [1.0] * 3
    assert event(lab)["n_tracks"].tolist() == [0.0] * 3


def test_photon_quality():
    lab = alp_event(5.0, 0.3)
    photons = {"theta": ["37.3 deg", "123.7 deg"], "photon_like": True, "max_time_over_dt99": 1.0}
    objects = SELECTION.objects.model_validate({"photons": photons})
    strict = SELECTION.model_copy(update={"objects": objects})
    thetas = np.array([1.0, 1.2, 1.4])
    assert len(event(lab, strict, theta=thetas)["m_gg"]) == 3
    assert len(event(lab, strict, theta=np.array([0.65, 1.2, 1.4]))["m_gg"]) == 0
    assert len(event(lab, strict, theta=thetas, time=np.array([0.0, 2.1, 0.0]))["m_gg"]) == 0
    assert len(event(lab, strict, theta=thetas, photon_like=np.array([True, True, False]))["m_gg"]) == 0
    assert len(event(lab, strict, theta=thetas, track=np.array([-1, -1, 3]))["m_gg"]) == 0
