from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np
import pytest

from darkfactory.config.base import Tagged
from darkfactory.config.formula import Formula
from darkfactory.config.selection import BFitConfig, BMesonConfig, ObjectsConfig, PhotonConfig, TrackConfig
from darkfactory.core.errors import InputError
from darkfactory.physics.beams import beam_frame
from darkfactory.physics.constants import M_B0, M_BPLUS, M_K0, M_KPLUS, M_KST0, M_KSTPLUS, M_PIPLUS
from darkfactory.physics.kinematics import two_body
from darkfactory.select.kaon_diphoton import OBSERVABLES, fit_energies, kaon_diphoton
from darkfactory.select.strange import MODES

FRAME = beam_frame(8.0, 3.5, 0.011)
FIT = BFitConfig(
    sigma_energy=Tagged(value=0.0045, source="assumed"),
    sigma_m_bc=Tagged(value=0.0027, source="assumed"),
    photon=Formula(formula="0.03"),
)
BOX = BMesonConfig(
    min_m_bc=5.2, max_delta_e=0.1, kstar_mass=(0.82, 0.97), ks_mass=(0.487, 0.508), min_radius=0.2, fit=FIT
)
OBJECTS = ObjectsConfig(
    tracks=TrackConfig(max_d0=0.5, max_z0=2.0, min_pt=0.02), photons=PhotonConfig(min_e=0.02), b_meson=BOX
)
KAONS = (M_KPLUS, M_K0, M_KST0, M_KSTPLUS)
N, M_A = 40, 1.5


def event(mode: int, radius: float = 3.0, charge: int = -1) -> ak.Array:
    """Exact B -> K a, a -> gamma gamma; tracks: of the kaon system; a vertex for the K_S."""
    rng = np.random.default_rng(5)
    m_b = MODES[mode][1]
    k = np.sqrt(FRAME.sqrts**2 / 4 - m_b**2)
    b = np.tile([FRAME.sqrts / 2, 0.0, k, 0.0], (N, 1))

    def split(parent: np.ndarray, one: float, two: float) -> tuple[np.ndarray, np.ndarray]:
        u = rng.random((2, N))
        return two_body(parent, one, two, 1.4 * u[0] - 0.7, 2 * np.pi * u[1])

    strange, a = split(b, KAONS[mode], M_A)
    photons = [FRAME.to_lab(p) for p in split(a, 0.0, 0.0)]
    tracks: list[tuple[np.ndarray, int, bool, bool]] = []  # momentum, charge, kaon, from the interaction point
    if mode in (0, 2):
        kaon, pion = split(strange, M_KPLUS, M_PIPLUS) if mode == 2 else (strange, None)
        tracks.append((kaon, 1, True, True))
    else:
        short, pion = split(strange, M_K0, M_PIPLUS) if mode == 3 else (strange, None)
        one, two = split(short, M_PIPLUS, M_PIPLUS)
        tracks += [(one, -1, False, False), (two, 1, False, False)]
    if pion is not None:
        tracks.append((pion, charge, False, True))
    lab = [FRAME.to_lab(p) for p, _, _, _ in tracks]

    def record(i: int, j: int) -> dict[str, Any]:
        _, q, kaon, prompt = tracks[i]
        p = lab[i][j]
        return {
            "charge": q, "px": p[1], "py": p[2], "pz": p[3], "d0": 0.0 if prompt else 1.0, "z0": 0.0, "is_k": kaon,
        }  # fmt: skip

    def photon(p: np.ndarray) -> dict[str, Any]:
        theta, phi = np.arctan2(np.hypot(p[1], p[2]), p[3]), np.arctan2(p[2], p[1])
        return {"e": p[0], "theta": theta, "phi": phi, "time": 0.0, "dt99": 5.0, "track": -1, "photon_like": True}

    vertex = {"track_minus": 0, "track_plus": 1, "r_xy": radius, "probability": 0.5, "cos_pointing": 0.999}
    none = ak.values_astype(ak.Array([[vertex]] * N)[:, :0], np.float64)
    return ak.Array(
        {
            "tracks": [[record(i, j) for i in range(len(tracks))] for j in range(N)],
            "clusters": [[photon(p[j]) for p in photons] for j in range(N)],
            "vertices": [[vertex]] * N if mode in (1, 3) else none,
        }
    )


def values(found: Any, name: str) -> np.ndarray:
    return next(o for o in OBSERVABLES if o.name == name)(found.basis)


@pytest.mark.parametrize("mode", range(4))
def test_each_kaon_system_is_found_once_with_its_masses(mode: int) -> None:
    found = kaon_diphoton(event(mode), OBJECTS, FRAME)
    right = values(found, "mode") == mode
    assert found.event[right].tolist() == list(range(N))
    np.testing.assert_allclose(values(found, "m_bc")[right], MODES[mode][1], atol=1e-8)
    np.testing.assert_allclose(values(found, "delta_e")[right], 0.0, atol=1e-8)
    np.testing.assert_allclose(values(found, "m_strange")[right], KAONS[mode], atol=1e-8)
    # the fit knows which B it is: exact momenta fit exactly
    np.testing.assert_allclose(values(found, "chi2")[right], 0.0, atol=1e-6)
    np.testing.assert_allclose(values(found, "m2_gg")[right], M_A**2, atol=1e-6)
    radius = values(found, "r_ks")[right]
    assert set(radius) == ({3.0} if mode in (1, 3) else {200.0})
    # its identification is corrected by the momentum of the charged kaon alone
    tracks = event(mode)["tracks"]
    kaon = tracks[tracks["is_k"]]
    p = ak.to_numpy(ak.fill_none(ak.firsts(np.sqrt(kaon["px"] ** 2 + kaon["py"] ** 2 + kaon["pz"] ** 2)), 0.0))
    np.testing.assert_allclose(values(found, "p_kaon")[right], p, rtol=1e-12)
    assert np.all((p > 0) == (mode in (0, 2)))
    # parts of a K* with the photons miss the energy of its pion
    assert np.all(values(found, "delta_e")[~right] < -0.02)


def test_the_mass_of_the_b_matters_to_the_fit() -> None:
    kaon = event(1)
    wrong = MODES[0][1]
    found = kaon_diphoton(kaon, OBJECTS, FRAME)
    sigma = np.full(len(found.event), 0.03)
    cm = [found.basis["first"], found.basis["pair"] - found.basis["first"]]
    short = found.basis["b"] - found.basis["pair"]
    _, _, chi2 = fit_energies(short, cm[0], cm[1], (sigma, sigma), FRAME.sqrts, FIT, wrong)
    # 0.32 MeV over a resolution of 2.7 MeV, less what the energies take
    assert np.all((chi2 > 1e-4) & (chi2 < (0.00032 / 0.0027) ** 2 * 1.1))
    assert pytest.approx(0.00032, abs=1e-6) == M_B0 - M_BPLUS


def test_kshort_need_a_window_and_a_radius_and_kstar_the_charges() -> None:
    assert np.all(values(kaon_diphoton(event(1, radius=0.1), OBJECTS, FRAME), "mode") != 1)
    away = OBJECTS.model_copy(update={"b_meson": BOX.model_copy(update={"ks_mass": (0.50, 0.51)})})
    assert len(kaon_diphoton(event(1), away, FRAME).event) == 0
    same = kaon_diphoton(event(2, charge=1), OBJECTS, FRAME)
    assert np.all(values(same, "mode") != 2)
    # a charged K* takes pions of both charges
    assert np.sum(values(kaon_diphoton(event(3, charge=1), OBJECTS, FRAME), "mode") == 3) == N


def test_kshort_need_vertices() -> None:
    events = event(0)
    bare = events[["tracks", "clusters"]]
    with pytest.raises(InputError, match="vertices"):
        kaon_diphoton(bare, OBJECTS, FRAME)
    charged = OBJECTS.model_copy(update={"b_meson": BOX.model_copy(update={"ks_mass": None})})
    assert len(kaon_diphoton(bare, charged, FRAME).event) == N
