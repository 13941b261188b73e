"""Hadrons beside a tag: momentum in the frame of the B, decays, what is left over."""

from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np
import pytest

from darkfactory.config.selection import ObjectsConfig, PhotonConfig, TaggedConfig, TrackConfig
from darkfactory.core.errors import ConfigError, InputError
from darkfactory.physics.beams import beam_frame
from darkfactory.physics.constants import M_B0, M_BPLUS, M_D0, M_DS, M_KPLUS, M_PI0, M_PIPLUS
from darkfactory.physics.kinematics import from_rest_frame, two_body, two_body_momentum
from darkfactory.select.tagged import HADRONS, OBSERVABLES, tagged_hadron

FRAME = beam_frame(7.998213, 3.499218, 0.011)
ALL = TaggedConfig(
    hadrons=("pi", "K", "p", "D_s", "D0", "Lambda", "Lambda_c", "Lambda_c_pi"),
    max_delta_m={"D_s": 0.03, "D0": 0.03, "Lambda": 0.01, "Lambda_c": 0.03, "Lambda_c_pi": 0.03},
    pi0_mass=(0.115, 0.152),
)
OBJECTS = ObjectsConfig(
    tracks=TrackConfig(min_pt=0.0, max_d0=0.5, max_z0=2.0), photons=PhotonConfig(min_e=0.05), tagged=ALL
)
_IDS = {"pi": "is_pi", "K": "is_k", "p": "is_p"}


def track(p: np.ndarray, charge: int, kind: str, d0: float = 0.0) -> dict[str, Any]:
    ids = {flag: name == kind for name, flag in _IDS.items()}
    momenta = {"px": p[1], "py": p[2], "pz": p[3]}
    return {"charge": charge, **momenta, "d0": d0, "z0": 0.0, "is_e": False, "is_mu": False, **ids}


def photon(p: np.ndarray) -> dict[str, Any]:
    theta, phi = np.arctan2(np.hypot(p[1], p[2]), p[3]), np.arctan2(p[2], p[1])
    return {"e": p[0], "theta": theta, "phi": phi, "time": 0.0, "dt99": 5.0, "track": -1, "photon_like": True}


def event(tag: np.ndarray, tracks: list[Any], clusters: list[Any], charge: int = -1) -> dict[str, Any]:
    numbers = {f"tag_p{c}": tag[i] for i, c in enumerate("xyz", start=1)}
    axis = {"tag_ax": 0.0, "tag_ay": 0.0, "tag_az": 1.0}
    rest = {"tag_m_bc": 5.28, "tag_delta_e": 0.0, "tag_charge": charge, "tag_extra": 0.25, "tag_right": True}
    return {**numbers, **axis, **rest, "tracks": tracks, "clusters": clusters, "klm_clusters": []}


def b_pair(m_b: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The tag and the signal B in the CM."""
    rng = np.random.default_rng(seed)
    direction = rng.normal(size=3)
    direction *= np.sqrt(FRAME.sqrts**2 / 4 - m_b**2) / np.linalg.norm(direction)
    energy = FRAME.sqrts / 2
    return np.array([energy, *direction]), np.array([energy, *-direction])


def run(events: list[dict[str, Any]], objects: ObjectsConfig = OBJECTS) -> dict[str, np.ndarray]:
    # one row more, so that no list is without a type
    dummy = event(np.array([5.29, 0.1, 0, 0]), [track(np.ones(4), 1, "pi")], [photon(np.ones(4))])
    dummy["klm_clusters"] = [{"theta": 1.0, "phi": 0.0, "truth": -1}]
    found = tagged_hadron(ak.Array([*events, dummy]), objects, FRAME)
    keep = found.event < len(events)
    return {o.name: o(found.basis)[keep] for o in OBSERVABLES} | {"event": found.event[keep]}


@pytest.mark.parametrize("m_x", [0.0, 1.0, 3.0])
def test_the_momentum_in_the_frame_of_the_b_gives_the_mass_of_what_is_missing(m_x: float) -> None:
    events = []
    for seed in range(20):
        tag, b = b_pair(M_BPLUS, seed)
        u = np.random.default_rng(100 + seed).random(2)
        kaon, _ = two_body(b[None], M_KPLUS, m_x, 2 * u[:1] - 1, 2 * np.pi * u[1:])
        events.append(event(tag, [track(FRAME.to_lab(kaon)[0], 1, "K")], []))
    got = run(events)
    mine = got["hadron"] == HADRONS.index("K")
    assert mine.sum() == 20
    np.testing.assert_allclose(got["p_h"][mine], float(two_body_momentum(M_BPLUS, M_KPLUS, m_x)), rtol=1e-6)
    np.testing.assert_allclose(got["m2_x"][mine], m_x**2, atol=1e-6)
    assert set(got["charge_product"][mine]) == {-1.0}
    assert set(got["e_extra"][mine]) == {0.25}
    # identified as what it is alone
    assert got["identified"][mine].min() == 1
    assert got["identified"][~mine].max() == 0


def chain(m_b: float, hadron: float, m_x: float, masses: list[float], seed: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """The tag, and products of a hadron beside X in the laboratory, one after the other split off."""
    tag, b = b_pair(m_b, seed)
    rng = np.random.default_rng(seed)
    u = rng.random(2)
    rest, _ = two_body(b[None], hadron, m_x, 2 * u[:1] - 1, 2 * np.pi * u[1:])
    products, left, total = [], hadron, rest
    for i, m in enumerate(masses[:-1]):
        least = sum(masses[i + 1 :])
        after = masses[-1] if i == len(masses) - 2 else least + 0.5 * (left - m - least)
        u = rng.random(2)
        one, other = two_body(total, m, after, 2 * u[:1] - 1, 2 * np.pi * u[1:])
        products.append(FRAME.to_lab(one)[0])
        total, left = other, after
    return tag, [*products, FRAME.to_lab(total)[0]]


def test_a_ds_is_found_whatever_the_order_of_its_tracks() -> None:
    events = []
    for seed in range(12):
        tag, (a, b, c) = chain(M_BPLUS, M_DS, 1.0, [M_KPLUS, M_KPLUS, M_PIPLUS], seed)
        tracks = [track(a, 1, "K"), track(b, -1, "K"), track(c, 1, "pi")]
        events.append(event(tag, [tracks[i] for i in np.random.default_rng(seed).permutation(3)], []))
    got = run(events)
    mine = got["hadron"] == HADRONS.index("D_s")
    assert mine.sum() == 12
    assert got["identified"][mine].min() == 1
    np.testing.assert_allclose(got["delta_m"][mine], 0.0, atol=1e-6)
    np.testing.assert_allclose(got["m2_x"][mine], 1.0, atol=1e-5)


def test_a_pi0_of_a_d0_is_no_extra_energy() -> None:
    tag, (k, pi, pi0) = chain(M_B0, M_D0, 2.0, [M_KPLUS, M_PIPLUS, M_PI0], 3)
    rest = np.array([[M_PI0 / 2, 0, 0, s * M_PI0 / 2] for s in (1, -1)])
    photons = [photon(from_rest_frame(r, pi0)) for r in rest]
    other = photon(np.array([0.4, 0.0, 0.4, 0.0]))
    got = run([event(tag, [track(k, 1, "K"), track(pi, -1, "pi")], [*photons, other], charge=0)])
    mine = got["hadron"] == HADRONS.index("D0")
    assert mine.sum() == 1
    assert got["e_extra"][mine][0] == pytest.approx(0.65)
    assert got["m2_x"][mine][0] == pytest.approx(4.0, abs=1e-4)
    assert got["charge_product"][mine][0] == 0


def test_one_track_too_many_is_no_candidate() -> None:
    tag, b = b_pair(M_BPLUS, 1)
    kaon, _ = two_body(b[None], M_KPLUS, 1.0, 0.3, 0.4)
    far = track(np.array([1.0, 0.3, 0.2, 0.1]), 1, "pi", d0=3.0)
    assert len(run([event(tag, [track(FRAME.to_lab(kaon)[0], 1, "K"), far], [])])["event"]) == 0


def test_hadrons_that_decay_need_a_range_of_mass() -> None:
    with pytest.raises(ValueError, match=r"hadrons \['D_s'\] decay; give a largest distance"):
        TaggedConfig(hadrons=("K", "D_s"))


def test_the_candidate_says_what_is_absent() -> None:
    tag, _ = b_pair(M_BPLUS, 1)
    one = ak.Array([event(tag, [track(np.ones(4), 1, "pi")], [photon(np.ones(4))])])
    with pytest.raises(ConfigError, match="needs the hadrons"):
        tagged_hadron(one, OBJECTS.model_copy(update={"tagged": None}), FRAME)
    with pytest.raises(InputError, match="events lack"):
        tagged_hadron(one[["tracks", "clusters", "klm_clusters"]], OBJECTS, FRAME)
