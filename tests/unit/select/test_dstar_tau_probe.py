"""Candidates of control samples, made by hand: D*+ -> D0 pi+, and taus of which one pion may be missing."""

from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np
import pytest

from darkfactory.config.selection import SelectionConfig
from darkfactory.core.errors import ConfigError
from darkfactory.events.schema import CLUSTER, TRACK, zip_checked
from darkfactory.physics.beams import beam_frame
from darkfactory.physics.constants import M_D0, M_KPLUS, M_PIPLUS
from darkfactory.select.preselect import preselect
from darkfactory.select.tau_topology import OBSERVABLES as TAU_OBSERVABLES

FRAME = beam_frame(7.007, 4.0, 0.0415)


def events_of(tracks: list[list[tuple[int, list[float]]]], flags: dict[str, np.ndarray] | None = None) -> ak.Array:
    """Events from charges and momenta."""
    n = [len(t) for t in tracks]
    flat = [one for event in tracks for one in event]
    columns = {k: np.zeros(len(flat)) for k in TRACK}
    columns["charge"] = np.array([q for q, _ in flat])
    columns |= {f"p{c}": np.array([p[i] for _, p in flat]) for i, c in enumerate("xyz")} | (flags or {})
    return ak.zip(
        {
            "weight": np.ones(len(n)),
            "event_id": np.arange(len(n)),
            "tracks": zip_checked({k: ak.unflatten(v, n) for k, v in columns.items()}, TRACK),
            "clusters": zip_checked({k: ak.unflatten(np.zeros(0), [0] * len(n)) for k in CLUSTER}, CLUSTER),
        },
        depth_limit=1,
    )


def lab(p_cm: np.ndarray) -> list[float]:
    """Laboratory momentum of a pion of some CM momentum."""
    p4 = np.concatenate([[np.sqrt(np.sum(p_cm**2) + M_PIPLUS**2)], p_cm])
    return [float(x) for x in FRAME.to_lab(p4[None])[0, 1:]]


# D*+ -> D0 pi+ -----------------------------------------------------------------------------------------------------


def d0_at(p: float, cosine: float = 0.0) -> tuple[list[float], list[float]]:
    """Momenta of kaon and pion of a D0 along x; cosine of the kaon's direction in its rest frame."""
    e_k = (M_D0**2 + M_KPLUS**2 - M_PIPLUS**2) / (2 * M_D0)
    q, g, gamma = np.sqrt(e_k**2 - M_KPLUS**2), p / M_D0, np.hypot(p, M_D0) / M_D0
    x, y = q * cosine, q * np.sqrt(1 - cosine**2)
    # across: along y and z
    along, across = [g * e_k + gamma * x, g * (M_D0 - e_k) - gamma * x], 0.6 * y
    return [along[0], across, 0.8 * y], [along[1], -across, -0.8 * y]


def dstar_selection(**more: Any) -> SelectionConfig:
    box = {"d0_mass": [1.75, 2.0], "max_delta_m": 0.16, "source": "assumed"}
    return SelectionConfig.model_validate({"candidate": "dstar", "objects": {"dstar": box}, **more})


def test_the_slow_pion_tells_the_kaon() -> None:
    kaon, pion = d0_at(3.0, 0.8)
    # of the same velocity as the D0: the masses differ by that of the pion
    slow = [3.0 * M_PIPLUS / M_D0, 0.0, 0.0]
    right, wrong = [(-1, kaon), (1, pion), (1, slow)], [(-1, kaon), (1, pion), (-1, slow)]
    flags = {"is_k": np.array([True, False, False] * 2), "is_pi": np.array([False, True, True] * 2)}
    got = preselect(events_of([right, wrong], flags), dstar_selection(), FRAME).columns
    # with the masses the other way round it is above 2 GeV
    assert got["event_id"].tolist() == [0]
    assert got["m_kpi"] == pytest.approx([M_D0], rel=1e-9)
    assert got["delta_m"] == pytest.approx([M_PIPLUS], abs=1e-9)
    assert (got["k_is_k"][0], got["pi_is_pi"][0], got["pi_is_k"][0], got["charge"][0]) == (1, 1, 0, 1)
    assert got["p_k"] == pytest.approx([np.linalg.norm(kaon)])
    assert got["theta_d0"] == pytest.approx([np.pi / 2])
    assert np.cos(got["theta_tracks"]) == pytest.approx(np.mean([p[2] / np.linalg.norm(p) for p in (kaon, pion)]))


def test_the_scaled_mass_is_that_of_scaled_momenta() -> None:
    kaon, pion = d0_at(2.0)
    slow = [2.0 * M_PIPLUS / M_D0, 0.0, 0.0]
    selection = dstar_selection(parameters={"m_kpi_scale": {"scale": 1.01}})
    got = preselect(events_of([[(1, kaon), (-1, pion), (-1, slow)]]), selection, FRAME).columns
    energy = sum(np.sqrt(1.01**2 * np.dot(p, p) + m * m) for p, m in ((kaon, M_KPLUS), (pion, M_PIPLUS)))
    assert got["m_kpi_scale"] == pytest.approx([np.sqrt(energy**2 - (1.01 * 2.0) ** 2)], rel=1e-9)
    # GeV for a scale of one, a D0 at rest: p^2 (1/E_K + 1/E_pi) = 1.60; a little less in flight
    assert (got["m_kpi_scale"][0] - M_D0) / 0.01 == pytest.approx(1.55, abs=0.08)


def test_ranges_of_the_masses_are_needed() -> None:
    config = SelectionConfig.model_validate({"candidate": "dstar"})
    with pytest.raises(ConfigError, match=r"objects.dstar: candidate dstar needs the ranges of its masses"):
        preselect(events_of([[]]), config, FRAME)


# tau -> e, tau -> three pions, one of them perhaps missing -----------------------------------------------------------


LEPTON = lab(np.array([0.1, 0.0, -3.0]))
PIONS = [lab(np.array(p)) for p in ([0.3, 0.1, 1.4], [-0.2, 0.3, 1.1], [0.1, -0.4, 0.9])]
TAU_PROBE = SelectionConfig.model_validate({"candidate": "tau_tag_probe"})


def test_every_pion_of_four_tracks_is_once_the_probe() -> None:
    four = [(1, LEPTON), (-1, PIONS[0]), (-1, PIONS[1]), (1, PIONS[2])]
    got = preselect(events_of([four], {"is_e": np.array([True, False, False, False])}), TAU_PROBE, FRAME).columns
    # with the electron as the probe no track is opposite to two others
    assert got["candidate"].tolist() == [1, 2, 3]
    assert got["found"].tolist() == [1, 1, 1]
    assert got["tag_is_e"].tolist() == [1, 1, 1]
    pair = np.array(PIONS[1]) + np.array(PIONS[2])
    assert got["theta_pair"][0] == pytest.approx(np.arccos(pair[2] / np.linalg.norm(pair)))
    assert np.all(got["opening"] < -0.9)


def test_angles_of_the_three_tracks_of_a_tau() -> None:
    p = np.array([PIONS[1], PIONS[0], PIONS[2]])
    basis = {"pions_lab": np.concatenate([np.ones((3, 1)), p], axis=1)[None]}
    value = {o.name: o(basis)[0] for o in TAU_OBSERVABLES if o.inputs == ("pions_lab",)}
    cosines = p[:, 2] / np.linalg.norm(p, axis=1)
    assert [value[f"theta_three_{n}"] for n in ("first", "second", "third")] == pytest.approx(
        sorted(np.arccos(cosines))
    )
    assert np.cos(value["theta_three_tracks"]) == pytest.approx(np.mean(cosines))


def test_the_charge_tells_whether_one_is_missing() -> None:
    missing = [(1, LEPTON), (-1, PIONS[0]), (1, PIONS[1])]
    charged_three = [(1, LEPTON), (1, PIONS[0]), (1, PIONS[1])]
    four_of_charge_two = [(1, LEPTON), (1, PIONS[0]), (-1, PIONS[1]), (1, PIONS[2])]
    all_one_side = [(1, PIONS[0]), (-1, PIONS[1]), (1, PIONS[2])]
    got = preselect(events_of([missing, charged_three, four_of_charge_two, all_one_side]), TAU_PROBE, FRAME).columns
    assert got["event_id"].tolist() == [0]
    assert got["found"].tolist() == [0]


@pytest.mark.parametrize("efficiency", [0.9, 0.97])
def test_the_fraction_of_probes_is_the_efficiency(efficiency: float) -> None:
    rng = np.random.default_rng(int(100 * efficiency))
    n = 4000
    whole = [(1, LEPTON), (-1, PIONS[0]), (-1, PIONS[1]), (1, PIONS[2])]
    seen = rng.random((n, 4)) < efficiency
    got = preselect(events_of([[t for t, s in zip(whole, row, strict=True) if s] for row in seen]), TAU_PROBE, FRAME)
    found = got.columns["found"]
    assert np.mean(found) == pytest.approx(efficiency, abs=4 * np.sqrt(efficiency * (1 - efficiency) / len(found)))
    # counting events of four tracks among those of three and four would give less: e / (3 - 2 e) of pions alone
    assert abs(np.mean(found) - efficiency / (3 - 2 * efficiency)) > 0.03
