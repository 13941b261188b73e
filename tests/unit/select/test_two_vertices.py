"""Candidates of two vertices."""

from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np
import pytest

from darkfactory.config.selection import ObjectsConfig
from darkfactory.core.errors import InputError
from darkfactory.physics.beams import beam_frame
from darkfactory.select.two_vertices import OBSERVABLES, two_vertices

FRAME = beam_frame(7.004, 4.002, 0.0415)
BY_NAME = {o.name: o for o in OBSERVABLES}
PHOTON = {"e": 0.4, "theta": 1.0, "phi": 0.0, "time": 0.0, "dt99": 3.0, "track": -1, "photon_like": True}


def track(charge: int, p: tuple[float, float, float], **flags: bool) -> dict[str, Any]:
    none = dict.fromkeys(("is_mu", "is_e", "is_pi", "is_k"), False)
    return {"charge": charge, "px": p[0], "py": p[1], "pz": p[2], "d0": 0.0, "z0": 0.0, **none, **flags}


def vertex(minus: int, plus: int, position: tuple[float, float, float], pointing: float = 1.0) -> dict[str, Any]:
    x, y, z = position
    return {
        "track_minus": minus, "track_plus": plus, "x": x, "y": y, "z": z, "r_xy": float(np.hypot(x, y)),
        "distance": float(np.sqrt(x * x + y * y + z * z)), "sigma_r": 0.1, "sigma_distance": 0.1, "probability": 0.5,
        "cos_pointing": pointing,
    }  # fmt: skip


TRACKS = [
    track(-1, (0.5, 0.2, 0.1), is_e=True),
    track(1, (0.5, -0.2, 0.1), is_e=True),
    track(-1, (0.0, 0.6, 0.3), is_mu=True, is_pi=True),
    track(1, (0.1, 0.6, -0.3), is_mu=True, is_pi=True),
]
VERTICES = [vertex(0, 1, (3.0, 4.0, 0.0), 0.5), vertex(2, 3, (0.0, 2.0, 0.0)), vertex(0, 3, (0.0, 0.1, 0.0))]


def events(tracks: list[dict[str, Any]], vertices: list[dict[str, Any]]) -> ak.Array:
    # one spare event fixes the record types of empty lists
    columns = {"tracks": [TRACKS, tracks], "vertices": [VERTICES, vertices], "clusters": [[PHOTON], [PHOTON]]}
    arrays = {name: ak.Array(value)[1:] for name, value in columns.items()}
    return ak.zip({"weight": np.ones(1), "event_id": np.arange(1), **arrays}, depth_limit=1)


def values(name: str, found: Any) -> list[float]:
    return np.asarray(BY_NAME[name](found.basis)).tolist()


def test_the_electrons_vertex_is_paired_with_the_one_of_other_tracks() -> None:
    found = two_vertices(events(TRACKS, VERTICES), ObjectsConfig(), FRAME)
    assert (found.event.tolist(), found.number.tolist()) == ([0], [0])
    assert values("r_chi", found) == [5.0]
    assert values("r_h", found) == [2.0]
    assert values("distance_max", found) == [5.0]
    assert values("significance_chi", found) == [50.0]
    assert values("pointing_chi", found) == [pytest.approx(np.pi / 3)]
    assert (values("n_mu", found), values("n_pi", found), values("n_e", found)) == ([2.0], [2.0], [0.0])
    assert values("n_tracks", found) == [4.0]
    assert values("extra_energy", found) == [pytest.approx(0.4)]


def test_masses_and_missing_energy_by_hand() -> None:
    found = two_vertices(events(TRACKS, VERTICES), ObjectsConfig(), FRAME)
    e1, e2 = np.sqrt(0.45 + 0.1056583755**2), np.sqrt(0.46 + 0.1056583755**2)
    assert values("m2_mumu", found) == [pytest.approx((e1 + e2) ** 2 - 0.1**2 - 1.2**2)]
    k1, k2 = np.sqrt(0.45 + 0.493677**2), np.sqrt(0.46 + 0.493677**2)
    assert values("m2_kk", found) == [pytest.approx((k1 + k2) ** 2 - 0.1**2 - 1.2**2)]
    # massless: m^2 = 2 (E E - p.p)
    assert values("m_ee", found)[0] == pytest.approx(np.sqrt(2 * (0.3 - 0.25 + 0.04 - 0.01)), rel=1e-4)
    p = np.sqrt(0.30)
    pions = np.sqrt(0.45 + 0.13957039**2) + np.sqrt(0.46 + 0.13957039**2)
    energy = FRAME.p4[0] - 2 * p - pions
    three = FRAME.p4[1:] - np.array([1.1, 1.2, 0.2])
    assert values("m2_missing", found)[0] == pytest.approx(energy**2 - np.sum(three**2), rel=1e-5)


def test_shared_tracks_and_tracks_that_do_not_count_make_no_candidate() -> None:
    shared = [VERTICES[0], VERTICES[2]]
    assert len(two_vertices(events(TRACKS, shared), ObjectsConfig(), FRAME).event) == 0
    strict = ObjectsConfig.model_validate({"tracks": {"min_pt": 0.6}})
    assert len(two_vertices(events(TRACKS, VERTICES), strict, FRAME).event) == 0
    assert len(two_vertices(events(TRACKS, []), ObjectsConfig(), FRAME).event) == 0


def test_four_electrons_are_two_candidates() -> None:
    four = [*TRACKS[:2], track(-1, (0.0, 0.6, 0.3), is_e=True), track(1, (0.1, 0.6, -0.3), is_e=True)]
    found = two_vertices(events(four, VERTICES[:2]), ObjectsConfig(), FRAME)
    assert found.number.tolist() == [0, 1]
    assert values("r_chi", found) == [5.0, 2.0]
    assert values("n_e", found) == [2.0, 2.0]


def test_events_without_vertices_are_refused() -> None:
    sample = ak.without_field(events(TRACKS, VERTICES), "vertices")
    with pytest.raises(InputError, match=r"events lack \['vertices'\]"):
        two_vertices(sample, ObjectsConfig(), FRAME)
