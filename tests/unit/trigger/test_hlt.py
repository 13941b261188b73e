"""High-level trigger: hand-made events against the definitions of filter lines and vetoes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from trigger_events import FRAME, cluster, cluster_cms, events, menu, track, track_cms

from darkfactory.detector.geometry import impact_parameters
from darkfactory.trigger.emulate import emulate, fired
from darkfactory.trigger.vertex import Helix, crossing

# every veto as a line of its own, to look at
VETOES = ("ee2leg", "ee1leg1trk", "ee1leg", "ee1leg1e", "ee2clst", "gg2clst", "eexx", "eeBrem", "muonPairV")
SHOWN = {"hlt": {"lines": {f"is_{v}": {"expr": v} for v in VETOES} | {"displaced_vertex": {"enabled": True}}}}


def one(tracks: tuple[dict[str, Any], ...] = (), clusters: tuple[dict[str, Any], ...] = ()) -> set[str]:
    m = menu("belle2_run2", **SHOWN)
    out = emulate(events({"tracks": list(tracks), "clusters": list(clusters)}), m, FRAME, np.random.default_rng(1))
    return {line for line in m.hlt_names if fired(out["hlt"], m, "hlt", line)[0]}


def boosted(e_cms: float, p_cms: float, theta: float, phi: float, charge: int) -> dict[str, Any]:
    """A track whose cluster has an energy given in the CM."""
    made = track_cms(p_cms, theta, phi, charge)
    p = float(np.sqrt(made["px"] ** 2 + made["py"] ** 2 + made["pz"] ** 2))
    return made | {"cluster_e": e_cms * p / p_cms}


def test_bhabhas_are_vetoed() -> None:
    pair = (boosted(5.1, 5.2, 60, 10, -1), boosted(5.0, 5.2, 120, 190, 1))
    got = one(pair)
    assert {"is_ee2leg", "is_ee1leg1trk", "is_ee1leg", "is_ee1leg1e"} <= got
    assert not got & {"two_high", "two_mid", "single_muon", "selectmumu"}
    one_lost = one((boosted(5.1, 5.2, 60, 10, -1), boosted(0.5, 5.2, 120, 190, 1)))
    assert "is_ee2leg" not in one_lost
    assert {"is_ee1leg1trk", "is_ee1leg"} <= one_lost
    assert "two_high" not in one_lost


def test_muon_pairs_are_vetoed_and_counted() -> None:
    got = one((boosted(0.2, 5.28, 70, 30, -1), boosted(0.2, 5.28, 110, 210, 1)))
    assert {"is_muonPairV", "selectmumu", "single_muon"} <= got
    assert "two_high" not in got
    acoplanar = one((boosted(0.2, 5.0, 70, 30, -1), boosted(0.2, 4.0, 110, 190, 1)))
    assert "two_high" in acoplanar


def test_two_tracks_by_momentum() -> None:
    middle = (boosted(0.2, 3.0, 70, 30, -1), boosted(0.2, 2.0, 80, 150, 1))
    assert {"two_mid"} <= one(middle)
    assert not {"two_low", "two_high", "tracks_ge3"} & one(middle)
    assert "tracks_ge3" in one((*middle, boosted(0.2, 1.0, 100, 270, 1)))
    soft = (boosted(0.1, 0.5, 70, 30, -1), boosted(0.1, 0.6, 80, 150, 1))
    assert "two_low" in one(soft)
    same = (soft[0], soft[1] | {"charge": -1})
    assert "two_low" not in one(same)
    far = tuple(t | {"z0": 5.0} for t in soft)
    assert "two_low" not in one(far)  # loose, but no tight track
    assert "tracks_ge3" not in one((*middle, boosted(0.2, 1.0, 100, 270, 1) | {"z0": 12.0}))


def test_two_photon_veto() -> None:
    # what the pair recoils against flies along the beam: both tracks lean forward
    pair = (boosted(0.2, 1.0, 60, 10, -1), boosted(0.2, 1.0, 60, 185, 1))
    assert "is_eexx" in one(pair)
    assert "two_mid" not in one(pair)
    assert "is_eexx" not in one((pair[0], boosted(0.2, 1.0, 60, 130, 1)))


def test_brem_veto() -> None:
    # a hard electron, and a second whose photon flew along it unseen
    got = one((boosted(4.9, 5.2, 60, 10, -1), boosted(2.0, 3.0, 120, 189, 1)))
    assert "is_eeBrem" in got
    assert "is_eeBrem" not in one((boosted(0.3, 5.2, 60, 10, -1), boosted(0.3, 3.0, 120, 189, 1)))


def test_two_cluster_vetoes() -> None:
    gg = one((), (cluster_cms(5.2, 60, 10), cluster_cms(5.2, 120, 189.9)))
    assert "is_gg2clst" in gg
    assert "is_ee2clst" not in gg
    assert "gg_barrel_loose" in gg
    assert "neut_2gev_barrel" not in gg
    ee = one((), (cluster_cms(5.2, 60, 10), cluster_cms(5.2, 120, 185)))
    assert "is_ee2clst" in ee
    assert "is_gg2clst" not in ee


def test_single_photons() -> None:
    assert {"photon_1gev_45_115", "photon_1gev_32_130"} <= one((), (cluster(1.2, 90, 0),))
    assert "photon_1gev_45_115" not in one((), (cluster(2.0, 40, 0),))
    assert "photon_1gev_32_130" in one((), (cluster(2.0, 40, 0),))
    assert "photon_1gev_endcap" in one((), (cluster(2.0, 40, 0),))
    assert "photon_1gev_endcap" not in one((), (cluster(2.0, 90, 0),))
    assert "photon_0p5gev_44_98" in one((), (cluster(0.8, 60, 0),))
    assert "photon_1gev_45_115" not in one((), (cluster(1.4, 90, 0), cluster(0.6, 60, 90)))
    assert "photon_1gev_45_115" not in one((), (cluster(1.4, 90, 0, photon=False),))
    assert "photon_1gev_45_115" not in one((), (cluster(1.4, 90, 0, track=0),))
    assert "photon_1gev_45_115" in one((), (cluster(1.4, 90, 0), cluster(0.6, 60, 90, time=210.0)))
    assert "neut_2gev_barrel" in one((), (cluster_cms(2.2, 90, 0),))
    assert "neut_2gev_endcap" in one((), (cluster(6.0, 26, 0),))


def test_three_photon_events_have_several_lines() -> None:
    got = one((), (cluster_cms(4.0, 60, 0), cluster_cms(3.5, 110, 130), cluster_cms(3.0, 100, 240)))
    assert {"neut_2gev_barrel", "gg_high_pt"} <= got
    soft = one((), (cluster_cms(1.5, 60, 0), cluster_cms(0.5, 110, 130), cluster_cms(0.5, 100, 240)))
    assert "ecl_3cl" in soft


def test_single_tag() -> None:
    tagged = one(
        (boosted(2.0, 2.2, 40, 0, -1),),
        (cluster_cms(1.0, 118, 172), cluster_cms(1.0, 125, 188), cluster_cms(2.0, 40, 0, track=0)),
    )
    assert "single_tag_low_mass" in tagged
    wide = one((boosted(2.0, 2.2, 40, 0, -1),), (cluster_cms(1.0, 90, 130), cluster_cms(1.0, 125, 230)))
    assert "single_tag_low_mass" not in wide


def helix(x: float, y: float, z: float, pt: float, phi: float, tan_lambda: float, charge: int) -> dict[str, Any]:
    """A track from (x, y, z) with its direction there, as the detector simulation makes it."""
    f = np.radians(phi)
    p = np.array([pt * np.cos(f), pt * np.sin(f), pt * tan_lambda])
    d0, z0 = impact_parameters(p[None], np.array([charge]), np.array([[x, y, z]]), 1.4523)
    made = track(1.0, 60, 0, charge)
    return made | {"px": p[0], "py": p[1], "pz": p[2], "d0": d0[0], "z0": z0[0]}


@pytest.mark.parametrize("seed", range(4))
def test_crossing_finds_the_vertex_of_random_pairs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = 500
    radius, angle, z = rng.uniform(1, 60, n), rng.uniform(-np.pi, np.pi, n), rng.uniform(-30, 60, n)
    vertex = np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=1)
    sides = []
    for charge in (1, -1):
        pt = rng.uniform(0.4, 4, n)
        phi = angle + charge * rng.uniform(0.15, 0.8, n)  # flying outwards, not along each other
        dip = rng.uniform(-0.5, 1.5, n)
        p = np.stack([pt * np.cos(phi), pt * np.sin(phi), pt * dip], axis=1)
        d0, z0 = impact_parameters(p, np.full(n, charge), vertex, 1.4523)
        theta = np.degrees(np.arctan2(1, dip))
        sides.append(Helix(d0, z0, np.degrees(phi), theta, charge * 0.00299792458 * 1.4523 / pt))
    found = crossing(*sides)
    np.testing.assert_allclose(found.gap, 0, atol=1e-4)
    np.testing.assert_allclose(found.r, radius, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found.theta, np.degrees(np.arctan2(radius, z)), atol=0.05)


@pytest.mark.parametrize(("r", "expected"), [(1.0, False), (5.0, True), (20.0, True), (50.0, True), (70.0, False)])
def test_displaced_vertex_from_helices(r: float, expected: bool) -> None:
    vertex = (r * np.cos(0.7), r * np.sin(0.7), 0.5 * r)
    tracks = (helix(*vertex, 0.8, 10.0, 0.3, -1), helix(*vertex, 1.1, 70.0, 0.8, 1))
    assert ("displaced_vertex" in one(tracks)) == expected


def test_displaced_vertex_needs_a_common_z_and_an_angle() -> None:
    vertex = (20.0, 0.0, 10.0)
    tracks = (helix(*vertex, 0.8, -20.0, 0.3, -1), helix(*vertex, 1.1, 40.0, 0.8, 1))
    assert "displaced_vertex" in one(tracks)
    assert "displaced_vertex" not in one((tracks[0], tracks[1] | {"z0": tracks[1]["z0"] + 3.0}))
    assert "displaced_vertex" not in one((tracks[0], tracks[1] | {"charge": -1}))
    cosmic = (helix(*vertex, 2.0, 90.0, 0.1, 1), helix(*vertex, 2.0, -90.0, -0.1, -1))
    assert "displaced_vertex" not in one(cosmic)
