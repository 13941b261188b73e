from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np
import pytest

from darkfactory.config.base import Tagged
from darkfactory.config.formula import Formula
from darkfactory.config.selection import BFitConfig, BMesonConfig, ObjectsConfig, PhotonConfig, TrackConfig
from darkfactory.core.errors import ConfigError
from darkfactory.physics.beams import beam_frame
from darkfactory.physics.constants import M_BPLUS, M_KPLUS
from darkfactory.physics.kinematics import mass2, two_body
from darkfactory.select.kaon_diphoton import OBSERVABLES, fit_energies, kaon_diphoton

FRAME = beam_frame(9.0, 3.12, 0.0)
FIT = BFitConfig(
    sigma_energy=Tagged(value=0.0045, source="assumed"),
    sigma_m_bc=Tagged(value=0.0027, source="assumed"),
    photon=Formula(formula="0.03"),
)
BOX = BMesonConfig(min_m_bc=5.1, max_delta_e=0.5, fit=FIT)
OBJECTS = ObjectsConfig(tracks=TrackConfig(min_pt=0.05), photons=PhotonConfig(min_e=0.05), b_meson=BOX)


def decays(n: int, m_a: float, seed: int = 2) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Kaon and two photons in the CM, exact."""
    rng = np.random.default_rng(seed)
    k = np.sqrt(FRAME.sqrts**2 / 4 - M_BPLUS**2)
    b = np.tile([FRAME.sqrts / 2, k, 0.0, 0.0], (n, 1))
    u = rng.random((4, n))
    kaon, a = two_body(b, M_KPLUS, m_a, 1.6 * u[0] - 0.8, 2 * np.pi * u[1])
    one, two = two_body(a, 0.0, 0.0, 1.4 * u[2] - 0.7, 2 * np.pi * u[3])
    return kaon, one, two


def fitted_mass(kaon: np.ndarray, one: np.ndarray, two: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    sigma = np.full(len(kaon), 0.03)
    a, b, chi2 = fit_energies(kaon, one, two, (sigma, sigma), FRAME.sqrts, FIT)
    return np.sqrt(mass2(a[:, None] * one + b[:, None] * two)), chi2


def half68(x: np.ndarray) -> float:
    return float(np.subtract(*np.quantile(x, [0.84, 0.16])) / 2)


def test_exact_photons_are_left_alone() -> None:
    m, chi2 = fitted_mass(*decays(200, 2.0))
    np.testing.assert_allclose(m, 2.0, atol=1e-6)
    np.testing.assert_allclose(chi2, 0.0, atol=1e-6)


@pytest.mark.parametrize(("m_a", "gain"), [(2.0, 2.0), (4.0, 5.0), (4.5, 8.0)])
def test_the_fit_makes_heavy_pairs_narrow(m_a: float, gain: float) -> None:
    kaon, one, two = decays(4000, m_a)
    rng = np.random.default_rng(1)
    scale = 1 + 0.03 * rng.normal(size=(2, 4000, 1))
    raw = np.sqrt(mass2(scale[0] * one + scale[1] * two))
    m, chi2 = fitted_mass(kaon, scale[0] * one, scale[1] * two)
    assert half68(m - m_a) < half68(raw - m_a) / gain
    assert np.median(m) == pytest.approx(m_a, abs=0.2 * half68(raw - m_a))
    # two measurements of two scales, two constraints: chi^2 of two degrees of freedom, less where beams are sharp here
    assert 0.5 < np.median(chi2) < 2.0


def events(n: int, m_a: float, partner: bool) -> ak.Array:
    kaon, one, two = (FRAME.to_lab(p) for p in decays(n, m_a))

    def photon(p: np.ndarray) -> dict[str, Any]:
        theta, phi = np.arctan2(np.hypot(p[1], p[2]), p[3]), np.arctan2(p[2], p[1])
        return {"e": p[0], "theta": theta, "phi": phi, "time": 0.0, "dt99": 5.0, "track": -1, "photon_like": True}

    def pi0_partner(p: np.ndarray) -> np.ndarray:
        """A photon of 0.1 GeV that makes the mass of a pi0 with another one."""
        cosine = 1 - 0.1349768**2 / (2 * 0.1 * p[0])
        across = np.cross(p[1:], [0.0, 0.0, 1.0])
        across /= np.linalg.norm(across)
        return np.concatenate([[0.1], 0.1 * (cosine * p[1:] / p[0] + np.sqrt(1 - cosine**2) * across)])

    rows = [
        [photon(one[i]), photon(two[i]), *([photon(pi0_partner(one[i]))] if partner else [])] for i in range(n)
    ]  # fmt: skip
    tracks = [
        [{"charge": 1, "px": p[1], "py": p[2], "pz": p[3], "d0": 0.0, "z0": 0.0, "is_k": True}] for p in kaon
    ]  # fmt: skip
    return ak.Array({"tracks": tracks, "clusters": rows})


def values(found: Any, name: str) -> np.ndarray:
    return next(o for o in OBSERVABLES if o.name == name)(found.basis)


def test_a_true_decay_is_a_candidate_with_its_mass() -> None:
    found = kaon_diphoton(events(30, 1.5, partner=False), OBJECTS, FRAME)
    assert found.event.tolist() == list(range(30))
    np.testing.assert_allclose(values(found, "m2_gg"), 2.25, atol=1e-6)
    np.testing.assert_allclose(values(found, "m_bc"), M_BPLUS, atol=1e-6)
    np.testing.assert_allclose(values(found, "delta_e"), 0.0, atol=1e-6)
    assert np.all(values(found, "helicity") < 0.71)
    # the two photons alone are far from a pi0
    assert np.all(values(found, "pi0_distance") > 1.0)


def test_a_photon_of_a_pi0_is_found_by_its_partner() -> None:
    found = kaon_diphoton(events(30, 1.5, partner=True), OBJECTS, FRAME)
    right = np.abs(values(found, "m2_gg") - 2.25) < 1e-5
    assert np.sum(right) == 30
    np.testing.assert_allclose(values(found, "pi0_distance")[right], 0.0, atol=1e-6)


def test_a_box_with_a_fit_is_needed() -> None:
    without = OBJECTS.model_copy(update={"b_meson": BOX.model_copy(update={"fit": None})})
    with pytest.raises(ConfigError, match="needs a box of M_bc and Delta E with a fit"):
        kaon_diphoton(events(2, 1.5, partner=False), without, FRAME)
