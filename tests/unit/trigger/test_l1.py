"""First level: hand-made events against the definitions of the lines."""

from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np
import pytest
from trigger_events import FRAME, cluster, cluster_cms, events, menu, track

from darkfactory.core.errors import InputError
from darkfactory.trigger.emulate import emulate, fired
from darkfactory.trigger.objects import ring_of

FINE: dict[str, Any] = {"l1_objects": {"calorimeter": {"quantise": False, "merge_neighbours": False}}}


def lines_of(*content: dict[str, Any], name: str = "belle2_run2", **overrides: Any) -> list[set[str]]:
    m = menu(name, **overrides)
    out = emulate(events(*content), m, FRAME, np.random.default_rng(1))
    return [{line for line in m.l1_names if fired(out["l1"], m, "l1", line)[i]} for i in range(len(out))]


def one(*clusters: dict[str, Any], tracks: tuple[dict[str, Any], ...] = (), **more: Any) -> set[str]:
    return lines_of({"clusters": list(clusters), "tracks": list(tracks)}, **more)[0]


def test_ring_ids_at_the_published_angles() -> None:
    rings = menu().l1_objects.calorimeter.rings
    theta = [
        12.3,
        12.5,
        18.6,
        31.3,
        31.7,
        31.9,
        32.3,
        44.3,
        97.4,
        97.6,
        128.6,
        129.6,
        129.8,
        130.8,
        139.4,
        155.0,
        155.2,
    ]
    ids = [0, 1, 2, 3, 3, 4, 4, 6, 11, 12, 15, 15, 16, 16, 17, 17, 0]
    assert ring_of(np.array(theta), rings).tolist() == ids
    assert len(rings.edges_deg) == 17
    assert sum(rings.cells) == 576
    assert [sum(rings.cells[:3]), sum(rings.cells[3:15]), sum(rings.cells[15:])] == [80, 432, 64]


def test_bhabha_is_vetoed_and_a_soft_pair_is_not() -> None:
    bhabha = [cluster_cms(5.2, 60, 10), cluster_cms(5.2, 120, 190)]
    tracks = (track(6, 50, 10, -1), track(4, 90, 190, 1))
    got = one(*bhabha, tracks=tracks)
    assert "bha3d" in got
    assert not got & {"ffo", "hie", "stt", "c4"}
    assert "lml1" in got  # no Bhabha veto of its own
    soft = [cluster_cms(4.4, 60, 10), cluster_cms(4.4, 120, 190)]
    assert {"ffo", "hie"} <= one(*soft, tracks=tracks)


@pytest.mark.parametrize(
    ("second", "vetoed"),
    [
        ((3.5, 120, 190), True),  # one above 4.5, both above 3
        ((2.5, 120, 190), False),  # one below 3
        ((5.2, 120, 165), False),  # 155 degrees apart
        ((5.2, 120, 175), True),  # 165
        ((5.2, 145, 190), False),  # polar angles add up to 205
        ((5.2, 100, 190), False),  # 160
        ((5.2, 110, 190), True),  # 170
    ],
)
def test_edges_of_the_bhabha_veto(second: tuple[float, float, float], vetoed: bool) -> None:
    got = one(cluster_cms(5.2, 60, 10), cluster_cms(*second), **FINE)
    assert ("bha3d" in got) == vetoed


def test_single_photon_lines() -> None:
    assert "lml6" in one(cluster_cms(1.2, 90, 0))
    assert "lml6" not in one(cluster_cms(0.8, 90, 0))
    assert "lml6" not in one(cluster_cms(1.2, 90, 0), cluster(0.35, 60, 200))  # a second one above 0.3 GeV
    assert "lml6" in one(cluster_cms(1.2, 90, 0), cluster(0.25, 60, 200))
    assert "lml6" not in one(cluster(3.0, 20, 0))  # ring 2
    assert "lml7" in one(cluster(3.0, 20, 0))
    assert "lml1" in one(cluster_cms(2.2, 90, 0))
    assert "lml2" in one(cluster(5.0, 20, 0))
    assert "lml4" in one(cluster(5.0, 15, 0))
    assert "lml13" in one(cluster_cms(0.6, 90, 0))
    assert "lml13" not in one(cluster_cms(0.4, 90, 0))
    assert "lml13" not in one(cluster(0.8, 110, 0))  # ring 13
    assert "lml13" not in one(cluster_cms(0.6, 90, 0), cluster(0.35, 30, 90))
    assert "lml13" not in one(cluster_cms(0.6, 90, 0), name="belle2_phase3")  # since 2021


def test_total_energy_looks_at_rings_2_to_15_only() -> None:
    assert "hie" in one(cluster(0.6, 60, 0), cluster(0.6, 90, 120))
    assert "hie" not in one(cluster(0.45, 60, 0), cluster(0.45, 90, 120))
    assert "lowe" in one(cluster(0.45, 60, 0), cluster(0.45, 90, 120))
    assert "hie" not in one(cluster(0.6, 60, 0), cluster(0.6, 145, 120))  # ring 17
    assert "lume" in one(cluster(1.6, 60, 0), cluster(1.6, 90, 120))


def test_three_photons_fire_the_calorimeter_lines() -> None:
    got = one(cluster_cms(4.0, 60, 0), cluster_cms(3.5, 110, 130), cluster_cms(3.0, 100, 240))
    assert {"hie", "lml0", "lml12", "lml1"} <= got
    assert "c4" not in got


def test_cells_below_threshold_out_of_time_or_touching_do_not_count() -> None:
    three = [cluster(0.5, 60, 0), cluster(0.5, 90, 120), cluster(0.5, 110, 240)]
    assert "c4" not in one(*three, cluster(0.09, 70, 60))
    assert "c4" in one(*three, cluster(0.15, 70, 60))
    assert "c4" not in one(*three, cluster(0.15, 70, 60, time=130.0))
    assert "c4" in one(*three, cluster(0.15, 70, 60, time=120.0))
    assert "c4" not in one(*three, cluster(0.15, 63, 4))  # next cell
    assert "c4" in one(*three, cluster(0.15, 63, 4), **FINE)


def test_merged_cells_add_their_energies() -> None:
    halves = [cluster_cms(0.6, 90, 0), cluster_cms(0.6, 88, 3)]
    assert "lml6" in one(*halves)
    assert "lml6" not in one(*halves, **FINE)


def test_at_most_six_clusters_leave_the_calorimeter() -> None:
    many = [cluster(0.5, 40 + 40 * (i % 3), 45 * i) for i in range(6)]
    m = menu(
        l1={"lines": {"seven": {"expr": "ncl >= 7"}, "six": {"expr": "ncl == 6"}, "cells": {"expr": "n(cell) == 7"}}}
    )
    out = emulate(events({"clusters": [*many, cluster(0.4, 100, 300)]}), m, FRAME, np.random.default_rng(0))
    assert [bool(fired(out["l1"], m, "l1", line)[0]) for line in ("seven", "six", "cells")] == [False, True, True]


def test_two_track_lines() -> None:
    def two(dphi: float, **more: Any) -> set[str]:
        return one(tracks=(track(2, 60, 5, 1, **more), track(2, 80, 5 + dphi, -1, **more)))

    assert "ffo" in two(95)
    assert "ffo" not in two(75)
    assert "ffo" in two(265)
    assert "ffo" not in two(285)
    assert "ffb" in two(175)
    assert "ffb" not in two(130)
    assert "ffo" not in one(tracks=(track(2, 60, 5, 1), track(2, 30, 180, -1)))  # outside 37 to 120
    assert "ffo" not in one(tracks=(track(2, 60, 5, 1), track(0.25, 60, 180, -1)))  # below 0.3 GeV
    assert "fyo" in two(95)
    assert "fyo" not in two(95, z0=25.0)
    assert "ffo" in two(95, z0=25.0)


def test_single_track_lines() -> None:
    assert "stt" in one(tracks=(track(0.8, 60, 0, 1),))
    assert "stt" not in one(tracks=(track(0.6, 60, 0, 1),))
    assert "stt" not in one(tracks=(track(0.8, 60, 0, 1, z0=17.0),))
    assert "stt" not in one(tracks=(track(0.8, 60, 0, 1),), name="belle2_phase3")
    assert "sttecl" not in one(tracks=(track(0.8, 60, 0, 1, cluster_e=0.0),))
    assert "sttecl" in one(tracks=(track(0.8, 60, 0, 1),))
    assert "cdcklm1" in one(tracks=(track(2, 60, 0, 1, klm=True),))
    assert "cdcklm1" not in one(tracks=(track(2, 60, 0, 1),))
    assert "mu_pair" in one(tracks=(track(2, 60, 0, 1, klm=True), track(2, 60, 100, -1)))
    back = (track(2, 60, 3, 1, klm=True), track(2, 90, 180, -1, klm=True))
    assert "klm_b2b" in one(tracks=back)
    assert "klm_b2b" not in one(tracks=(back[0], track(2, 90, 120, -1, klm=True)))


def test_low_energy_pair_lines() -> None:
    a = cluster_cms(0.5, 80, 0)
    assert "lml8" in one(a, cluster_cms(0.5, 100, 178), **FINE)
    assert "lml8" not in one(a, cluster_cms(0.5, 100, 150), **FINE)
    assert "lml9" in one(a, cluster_cms(0.2, 100, 178), **FINE)
    assert "lml8" not in one(a, cluster_cms(0.5, 100, 178), cluster_cms(2.2, 90, 90), **FINE)
    assert "eclmumu" in one(a, cluster_cms(0.5, 95, 178), **FINE)
    assert "ecltaub2b" in one(cluster_cms(2.0, 80, 0), cluster_cms(2.0, 100, 140))


def test_hie4_drops_single_endcap_clusters() -> None:
    assert "hie4" in one(cluster(2.0, 60, 0))
    assert "hie" in one(cluster(2.0, 22, 0))
    assert "hie4" not in one(cluster(2.0, 22, 0))
    assert "hie4" not in one(cluster(2.0, 60, 0), cluster(0.8, 22, 150))
    assert "hie4" in one(cluster(2.0, 60, 0), cluster(0.4, 22, 150))


def test_events_need_objects_and_ids() -> None:
    with pytest.raises(InputError, match=r"events lack 'event_id'.*run simulate"):
        emulate(ak.Array({"weight": [1.0]}), menu(), FRAME, np.random.default_rng(0))
    with pytest.raises(InputError, match=r"events lack 'clusters'"):
        emulate(ak.Array({"event_id": [1]}), menu(), FRAME, np.random.default_rng(0))


def test_no_events_and_empty_events() -> None:
    m = menu()
    empty = emulate(events({"tracks": [track(1, 60, 0, 1)]})[:0], m, FRAME, np.random.default_rng(0))
    assert len(empty) == 0
    assert empty["l1"].type.content.primitive == "uint64"
    assert lines_of({}, {}) == [set(), set()]
