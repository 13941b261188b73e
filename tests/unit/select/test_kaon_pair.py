from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np
import pytest

from darkfactory.config.selection import BMesonConfig, ObjectsConfig, TrackConfig
from darkfactory.core.errors import ConfigError
from darkfactory.physics.beams import beam_frame
from darkfactory.physics.constants import M_BPLUS, M_KPLUS, M_KST0, M_MU, M_PIPLUS
from darkfactory.physics.kinematics import two_body
from darkfactory.select.kaon_pair import OBSERVABLES, kaon_displaced_pair

FRAME = beam_frame(7.004, 4.002, 0.0415)
BOX = BMesonConfig(min_m_bc=5.2, max_delta_e=0.25, kstar_mass=(0.8, 1.0), min_radius=0.05)
OBJECTS = ObjectsConfig(tracks=TrackConfig(max_d0=0.5, max_z0=2.0, min_pt=0.05), b_meson=BOX)
M_S = 1.3


def event(n: int, kstar: bool, radius: float = 2.0) -> ak.Array:
    """Exact B -> K S, S -> mu mu: tracks K, (pi,) mu-, mu+ and a lone pion; one vertex of the muons."""
    rng = np.random.default_rng(3)
    k = np.sqrt(FRAME.sqrts**2 / 4 - M_BPLUS**2)
    b = np.tile([FRAME.sqrts / 2, 0.0, k, 0.0], (n, 1))

    def split(parent: np.ndarray, one: float, two: float) -> tuple[np.ndarray, np.ndarray]:
        u = rng.random((2, n))
        return two_body(parent, one, two, 1.6 * u[0] - 0.8, 2 * np.pi * u[1])

    strange, s = split(b, M_KST0 if kstar else M_KPLUS, M_S)
    prompt = list(split(strange, M_KPLUS, M_PIPLUS)) if kstar else [strange]
    tracks = [*prompt, *split(s, M_MU, M_MU), np.tile([0.3, 0.2, 0.1, 0.1], (n, 1))]
    charges = [1, *([-1] if kstar else []), -1, 1, 1]
    first = len(prompt)
    lab = [FRAME.to_lab(p) for p in tracks]

    def record(i: int, j: int) -> dict[str, Any]:
        p = lab[i][j]
        muon = i in (first, first + 1)
        return {
            "charge": charges[i], "px": p[1], "py": p[2], "pz": p[3], "d0": 1.0 if muon else 0.0, "z0": 0.0,
            "is_e": False, "is_mu": muon, "is_pi": True, "is_k": i == 0,
        }  # fmt: skip

    vertex = {
        "track_minus": first, "track_plus": first + 1, "r_xy": radius, "distance": 2 * radius, "sigma_r": 0.01,
        "probability": 0.5, "x": 0.6 * radius, "y": 0.8 * radius,
    }  # fmt: skip
    cluster = {"e": 0.5, "theta": 1.0, "phi": 0.0, "time": 0.0, "dt99": 5.0, "track": -1, "photon_like": True}
    return ak.Array(
        {
            "tracks": [[record(i, j) for i in range(len(tracks))] for j in range(n)],
            "vertices": [[vertex]] * n,
            "clusters": [[cluster]] * n,
        }
    )


def values(found: Any, name: str) -> np.ndarray:
    return next(o for o in OBSERVABLES if o.name == name)(found.basis)


@pytest.mark.parametrize("kstar", [False, True])
def test_a_true_decay_has_the_mass_of_the_b_and_no_energy_difference(kstar: bool) -> None:
    found = kaon_displaced_pair(event(40, kstar), OBJECTS, FRAME)
    right = (values(found, "final") == 1) & (values(found, "mode") == kstar)
    assert sorted(set(found.event[right])) == list(range(40))
    np.testing.assert_allclose(values(found, "m_bc")[right], M_BPLUS, atol=1e-9)
    np.testing.assert_allclose(values(found, "delta_e")[right], 0.0, atol=1e-9)
    np.testing.assert_allclose(values(found, "m2_reduced")[right], M_S**2 - 4 * M_MU**2, atol=1e-9)
    np.testing.assert_allclose(values(found, "m_strange")[right], M_KST0 if kstar else M_KPLUS, atol=1e-9)
    assert set(values(found, "n_identified")[right]) == {2.0}
    assert set(values(found, "is_kaon")[right]) == {1.0}
    # where the pair flies, against where its vertex is
    p = found.basis["minus"][right] + found.basis["plus"][right]
    expected = (0.6 * p[:, 0] + 0.8 * p[:, 1]) / np.hypot(p[:, 0], p[:, 1])
    np.testing.assert_allclose(values(found, "pointing_s")[right], expected, atol=1e-12)
    # pions instead of muons: more energy, the same momentum
    as_pions = (values(found, "final") == 2) & (values(found, "mode") == kstar)
    assert np.all(values(found, "delta_e")[as_pions] > 0)
    # numbers of the candidates of an event count from 0
    for i in range(40):
        assert found.number[found.event == i].tolist() == list(range(int(np.sum(found.event == i))))


def test_vertices_in_the_beams_and_combinations_outside_of_the_box_are_left_out() -> None:
    assert len(kaon_displaced_pair(event(5, False, radius=0.02), OBJECTS, FRAME).event) == 0
    tight = OBJECTS.model_copy(update={"b_meson": BOX.model_copy(update={"max_delta_e": 1e-6})})
    found = kaon_displaced_pair(event(5, False), tight, FRAME)
    assert set(values(found, "final")) == {1.0}
    assert len(found.event) == 5


def test_without_identification_every_prompt_track_is_taken_for_a_kaon() -> None:
    wide = BOX.model_copy(update={"identified": False, "min_m_bc": 0.0, "max_delta_e": 20.0, "kstar_mass": None})
    found = kaon_displaced_pair(event(5, False), OBJECTS.model_copy(update={"b_meson": wide}), FRAME)
    # the kaon and the lone pion, four final states each
    assert len(found.event) == 5 * 2 * 4
    assert sorted(set(values(found, "is_kaon"))) == [0.0, 1.0]


def test_the_box_must_be_given() -> None:
    with pytest.raises(ConfigError, match="needs the box of M_bc and Delta E"):
        kaon_displaced_pair(event(2, False), ObjectsConfig(), FRAME)
