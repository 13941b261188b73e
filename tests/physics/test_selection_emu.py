"""Candidates of an electron and a muon, made by hand with every observable known."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest

from darkfactory.config.selection import SelectionConfig
from darkfactory.events.schema import CLUSTER, TRACK, zip_checked
from darkfactory.physics.beams import beam_frame
from darkfactory.physics.constants import M_E, M_MU
from darkfactory.select.preselect import preselect

FRAME = beam_frame(7.007, 4.0, 0.0415)
ROOT_S = FRAME.sqrts


def lepton(mass: float, p: float, theta: float, phi: float) -> np.ndarray:
    direction = np.array([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)])
    return np.array([np.hypot(p, mass), *(p * direction)])


def run(
    pairs_cm: list[list[np.ndarray]], candidate: str = "emu_recoil", **tracks: list[float]
) -> dict[str, np.ndarray]:
    """One event per pair, of charges -1 and 1, nothing else in the detector."""
    n = len(pairs_cm)
    flat = FRAME.to_lab(np.asarray(pairs_cm)).reshape(-1, 4)
    given = {"px": flat[:, 1], "py": flat[:, 2], "pz": flat[:, 3], "charge": np.tile([-1, 1], n), **tracks}
    full = {k: np.asarray(given.get(k, np.zeros(2 * n))) for k in TRACK}
    events = ak.zip(
        {
            "weight": np.ones(n),
            "event_id": np.arange(n),
            "tracks": zip_checked({k: ak.unflatten(v, [2] * n) for k, v in full.items()}, TRACK),
            "clusters": zip_checked({k: ak.unflatten(np.zeros(0), [0] * n) for k in CLUSTER}, CLUSTER),
        },
        depth_limit=1,
    )
    return preselect(events, SelectionConfig.model_validate({"candidate": candidate}), FRAME).columns


def test_the_electron_is_the_track_with_the_larger_ratio_whichever_comes_first() -> None:
    e, mu = lepton(M_E, 2.0, 1.2, 0.3), lepton(M_MU, 3.0, 1.7, 2.0)
    p_e, p_mu = (float(np.linalg.norm(FRAME.to_lab(p[None])[0][1:])) for p in (e, mu))
    got = run(
        [[e, mu], [mu, e]],
        cluster_e=[0.98 * p_e, 0.21, 0.21, 0.98 * p_e],
        is_e=[True, False, False, True],
        is_mu=[False, True, True, False],
        is_mu_tight=[False, True, False, True],
    )
    # the recoil of the true masses, from momentum conservation
    m2 = (ROOT_S - e[0] - mu[0]) ** 2 - float(np.sum((e + mu)[1:] ** 2))
    expected = {
        "m2_recoil": [m2, m2],
        "p_lmax_cms": [3.0, 3.0],
        "p_lmin_cms": [2.0, 2.0],
        "p_electron": [p_e, p_e],
        "p_muon": [p_mu, p_mu],
        "electron_cluster_e": [0.98 * p_e] * 2,
        "muon_cluster_e": [0.21, 0.21],
        "electron_e_over_p": [0.98, 0.98],
        "muon_e_over_p": [0.21 / p_mu] * 2,
        "electron_id": [1.0, 1.0],
        "muon_id": [1.0, 1.0],
        # in the second event the muon fails the tight point, and the electron's flag must not count for it
        "muon_id_tight": [1.0, 0.0],
    }
    for name, value in expected.items():
        assert got[name] == pytest.approx(value, rel=1e-6), name


def test_mass_hypotheses_matter_as_much_as_they_should() -> None:
    slow_e, slow_mu = lepton(M_E, 0.4, 1.2, 0.3), lepton(M_MU, 0.4, 1.7, 2.0)
    tracks = {"cluster_e": [0.4, 0.2]}
    emu, mumu = run([[slow_e, slow_mu]], **tracks), run([[slow_e, slow_mu]], candidate="dimuon_recoil", **tracks)
    # the electron's energy as a muon is higher by the difference of the laboratory energies, seen from the CM
    p = FRAME.to_lab(slow_e[None])[0]
    as_muon = np.array([np.sqrt(p[0] ** 2 - M_E**2 + M_MU**2), *p[1:]])
    recoil = FRAME.p4 - as_muon - FRAME.to_lab(slow_mu[None])[0]
    assert mumu["m2_recoil"][0] == pytest.approx(recoil[0] ** 2 - np.sum(recoil[1:] ** 2), abs=1e-6)
    true = (ROOT_S - slow_e[0] - slow_mu[0]) ** 2 - float(np.sum((slow_e + slow_mu)[1:] ** 2))
    assert emu["m2_recoil"][0] == pytest.approx(true, abs=1e-6)
    assert emu["m2_recoil"][0] > mumu["m2_recoil"][0] + 0.1


def test_acceptance_angles_are_of_either_lepton() -> None:
    forward, backward = lepton(M_E, 3.0, 0.6, 0.0), lepton(M_MU, 3.0, 2.2, 2.5)
    got = run([[forward, backward]], cluster_e=[3.0, 0.2])
    lab = FRAME.to_lab(np.array([forward, backward]))
    theta = np.arccos(lab[:, 3] / np.linalg.norm(lab[:, 1:], axis=1))
    assert (got["theta_lepton_min"][0], got["theta_lepton_max"][0]) == pytest.approx(tuple(theta))
