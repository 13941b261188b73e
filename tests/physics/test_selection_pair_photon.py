"""A pair and a photon: observables of exact events, and what the fit to the initial state does to smeared ones."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
from scipy.stats import chi2 as chi2_law
from scipy.stats import kstest

from darkfactory.config.selection import ObjectsConfig
from darkfactory.core.errors import ConfigError
from darkfactory.events.schema import CLUSTER, TRACK, zip_checked
from darkfactory.physics.beams import beam_frame
from darkfactory.physics.constants import M_E, M_MU
from darkfactory.physics.kinematics import to_rest_frame, two_body
from darkfactory.select.pair_photon import photon_sigmas
from darkfactory.select.registry import find_candidate, find_observable

FRAME = beam_frame(9.0, 3.1, 0.0)


def number(value: float) -> dict[str, object]:
    return {"value": value, "source": "assumed"}


def constant(value: float) -> dict[str, object]:
    return {"formula": "a", "constants": {"a": number(value)}}


FIT = {
    "beam_spread": False,
    "track_errors": {"pt_resolution": constant(0.006), "phi_mrad": constant(0.5), "tanlambda": constant(6e-4)},
    "beam_errors": {"sigma_e_her_gev": number(0.005), "sigma_e_ler_gev": number(0.002)},
    "photon_errors": {"energy_resolution": constant(0.02), "phi_mrad": constant(3.0), "theta_mrad": constant(3.0)},
}
OBJECTS = ObjectsConfig.model_validate({"photons": {"min_e": 0.05}, "fit": FIT})


def decays(mass: float, lepton: float, n: int, seed: int) -> np.ndarray:
    """Photon, l+ and l- in the laboratory, (n, 3, 4); directions away from the beams."""
    rng = np.random.default_rng(seed)
    total = np.broadcast_to(FRAME.p4, (n, 4))
    pair, photon = two_body(total, mass, 0.0, rng.uniform(-0.6, 0.6, n), rng.uniform(0, 2 * np.pi, n))
    plus, minus = two_body(pair, lepton, lepton, rng.uniform(-0.7, 0.7, n), rng.uniform(0, 2 * np.pi, n))
    return np.stack([photon, plus, minus], axis=1)


def events(lab: np.ndarray, identified: str, extra: float = 0.0) -> ak.Array:
    """Reconstructed events of the momenta, with another photon of energy ``extra`` if it is not zero."""
    n = len(lab)
    tracks = {name: np.zeros(2 * n, dtype=kind) for name, kind in TRACK.items()}
    # minus before plus: the candidate puts them in order
    for i, column in enumerate(("px", "py", "pz")):
        tracks[column] = lab[:, [2, 1], 1 + i].reshape(-1)
    tracks["charge"] = np.tile([-1, 1], n)
    tracks[identified] = np.ones(2 * n, dtype=bool)
    photons = lab[:, 0]
    per_event = 2 if extra else 1
    clusters = {name: np.zeros(per_event * n, dtype=kind) for name, kind in CLUSTER.items()}
    clusters["track"] = np.full(per_event * n, -1)
    for name, values in (
        ("e", photons[:, 0]),
        ("theta", np.arctan2(np.hypot(photons[:, 1], photons[:, 2]), photons[:, 3])),
        ("phi", np.arctan2(photons[:, 2], photons[:, 1])),
    ):
        clusters[name] = np.repeat(values, per_event)
    if extra:
        clusters["e"][1::2] = extra
    both = {}
    for name, columns, schema, count in (("tracks", tracks, TRACK, 2), ("clusters", clusters, CLUSTER, per_event)):
        flat = {k: ak.unflatten(np.asarray(v, dtype=schema[k]), np.full(n, count)) for k, v in columns.items()}
        both[name] = zip_checked(flat, schema)
    return ak.zip(both, depth_limit=1)


def values(lab: np.ndarray, identified: str, *names: str, extra: float = 0.0) -> list[np.ndarray]:
    found = find_candidate("pair_photon")(events(lab, identified, extra), OBJECTS, FRAME)
    assert found.event.tolist() == list(range(len(lab)))
    return [find_observable("pair_photon", name)(found.basis, None) for name in names]


@pytest.mark.parametrize(
    ("mass", "lepton", "identified"),
    [(0.02, M_E, "is_e"), (3.0, M_E, "is_e"), (0.22, M_MU, "is_mu"), (9.0, M_MU, "is_mu")],
)
def test_exact_momenta_give_the_mass_and_fit_without_change(mass: float, lepton: float, identified: str) -> None:
    lab = decays(mass, lepton, 200, 1)
    m, m2, reduced, raw, three, chi2, is_ee = values(
        lab, identified, "m_pair", "m2_pair", "m2_reduced", "m_pair_raw", "m_three", "chi2_4c", "is_ee"
    )
    assert m == pytest.approx(np.full(200, mass), rel=1e-5)
    assert raw == pytest.approx(np.full(200, mass), rel=1e-5)
    assert m2 - reduced == pytest.approx(np.full(200, 4 * lepton**2), rel=1e-6)
    assert three == pytest.approx(np.full(200, FRAME.sqrts))
    assert float(np.max(chi2)) < 1e-8
    assert set(is_ee) == {1.0 if lepton == M_E else 0.0}


def test_the_photon_recoils_and_the_helicity_is_that_of_the_rest_frame() -> None:
    mass = 3.0
    lab = decays(mass, M_MU, 100, 2)
    energy, cos_photon, helicity, extra, n_photons = values(
        lab, "is_mu", "e_photon_cms", "cos_photon_cms", "cos_helicity", "extra_energy", "n_photons", extra=0.1
    )
    s = FRAME.sqrts**2
    assert energy == pytest.approx(np.full(100, (s - mass**2) / (2 * FRAME.sqrts)))
    cm = FRAME.to_cm(lab.reshape(-1, 4)).reshape(-1, 3, 4)
    assert cos_photon == pytest.approx(cm[:, 0, 3] / cm[:, 0, 0])
    pair = cm[:, 1] + cm[:, 2]
    minus = to_rest_frame(cm[:, 2], pair)
    expected = np.sum(minus[:, 1:] * pair[:, 1:], axis=1) / (
        np.linalg.norm(minus[:, 1:], axis=1) * np.linalg.norm(pair[:, 1:], axis=1)
    )
    assert helicity == pytest.approx(expected, abs=1e-6)
    assert extra == pytest.approx(np.full(100, 0.1))
    assert set(n_photons) == {2.0}


def test_smeared_events_have_four_degrees_of_freedom_and_a_narrower_mass() -> None:
    mass, n = 9.0, 4000
    rng = np.random.default_rng(3)
    lab = decays(mass, M_MU, n, 4)
    for i in (1, 2):
        p = lab[:, i, 1:]
        pt, phi = np.hypot(p[:, 0], p[:, 1]), np.arctan2(p[:, 1], p[:, 0])
        dip = p[:, 2] / pt + 6e-4 * rng.normal(size=n)
        pt, phi = pt * (1 + 0.006 * rng.normal(size=n)), phi + 5e-4 * rng.normal(size=n)
        lab[:, i, 1:] = np.stack([pt * np.cos(phi), pt * np.sin(phi), pt * dip], axis=-1)
    g = lab[:, 0]
    theta = np.arctan2(np.hypot(g[:, 1], g[:, 2]), g[:, 3]) + 3e-3 * rng.normal(size=n)
    phi = np.arctan2(g[:, 2], g[:, 1]) + 3e-3 * rng.normal(size=n)
    e = g[:, 0] * (1 + 0.02 * rng.normal(size=n))
    lab[:, 0] = np.stack(
        [e, e * np.sin(theta) * np.cos(phi), e * np.sin(theta) * np.sin(phi), e * np.cos(theta)], axis=-1
    )
    m, raw, chi2, left = values(lab, "is_mu", "m_pair", "m_pair_raw", "chi2_4c", "fit_left")
    assert kstest(chi2, chi2_law(4).cdf).pvalue > 1e-3
    assert float(np.max(left)) < 1e-3
    assert abs(float(np.mean(m)) - mass) < 1e-3
    # 40 MeV of the tracks become those of the photon's energy and of the angles
    assert float(np.std(m)) < 0.25 * float(np.std(raw))


def test_events_without_a_photon_or_with_equal_charges_have_no_candidate() -> None:
    made = events(decays(1.0, M_MU, 3, 5), "is_mu")
    charge = ak.unflatten(np.array([-1, 1, 1, 1, -1, 1], dtype=TRACK["charge"]), 2)
    made["tracks"] = ak.with_field(made["tracks"], charge, "charge")
    found = find_candidate("pair_photon")(made, OBJECTS, FRAME)
    assert found.event.tolist() == [0, 2]
    hard = ObjectsConfig.model_validate({"photons": {"min_e": 20.0}, "fit": FIT})
    assert find_candidate("pair_photon")(made, hard, FRAME).event.tolist() == []


def test_photon_errors_go_with_the_polar_angle() -> None:
    assert OBJECTS.fit is not None
    p = np.array([[2.0, 2.0 * np.sin(0.5), 0.0, 2.0 * np.cos(0.5)]])
    assert photon_sigmas(p, OBJECTS.fit)[0] == pytest.approx([0.02 * 2.0 * np.sin(0.5), 3e-3, 3e-3 / np.sin(0.5) ** 2])


def test_resolutions_are_needed() -> None:
    made = events(decays(1.0, M_MU, 2, 6), "is_mu")
    with pytest.raises(ConfigError, match="pair_photon fits to the initial state"):
        find_candidate("pair_photon")(made, ObjectsConfig(), FRAME)
    bare = ObjectsConfig.model_validate({"fit": {k: v for k, v in FIT.items() if k != "photon_errors"}})
    with pytest.raises(ConfigError, match="needs the photons' resolution"):
        find_candidate("pair_photon")(made, bare, FRAME)
