"""Decay chains: kinematics, spectra, branching fractions, vertices, and reweighting to any lifetime."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
from generator_tools import SYMMETRIC, registry

from darkfactory.core.errors import ConfigError
from darkfactory.generate.chunk import GeneratedChunk, generate_chunk
from darkfactory.generate.gridpack import Effort, Gridpack, adapt
from darkfactory.generate.process import Process
from darkfactory.generate.three_body import helicity_cosine, three_body
from darkfactory.models.inelastic_dm import aprime_width, chi2_spectrum, higgsstrahlung_cross_section
from darkfactory.physics.kinematics import mass, momentum
from darkfactory.physics.lifetimes import (
    effective_fraction,
    expected_effective_fraction,
    lifetime_weight,
    mixture_components,
)

M1, M2, M_AP, M_HP = 2.5, 3.5, 7.5, 1.0
ALPHA_D = 1 / (4 * np.pi)
POINT = {"m_chi1": M1, "m_chi2": M2, "m_Ap": M_AP, "m_hp": M_HP, "w_Ap": aprime_width(M_AP, M1, M2, ALPHA_D)}


@pytest.fixture(scope="module")
def chain() -> tuple[Process, Gridpack, GeneratedChunk]:
    process = registry("idm_hp_mumu", {}, POINT)
    pack = adapt(process, 1, Effort(3, 5000, 5000))
    return process, pack, generate_chunk(process, pack, 20_000, np.random.default_rng(2), 0)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(11)


def column(events: ak.Array, place: int) -> tuple[np.ndarray, np.ndarray]:
    """Momenta and vertices of the particle at one place of every event."""
    p = events.particles[:, place]
    momenta = np.stack([ak.to_numpy(p[c]) for c in ("e", "px", "py", "pz")], axis=1)
    return momenta, np.stack([ak.to_numpy(p[c]) for c in ("vx", "vy", "vz")], axis=1)


def test_the_order_of_particles_and_their_mothers(chain: tuple[Process, Gridpack, GeneratedChunk]) -> None:
    events = chain[2].events
    first = events.particles[0]
    assert first.pdg[:8].tolist() == [4900025, 4900013, -4900011, 13, -13, 4900011, 11, -11]
    assert first.mother[:8].tolist() == [-1, -1, -1, 0, 0, 1, 1, 1]
    assert first.status[:8].tolist() == [2, 2, 1, 1, 1, 1, 1, 1]


def test_decays_conserve_momentum_on_shell(chain: tuple[Process, Gridpack, GeneratedChunk]) -> None:
    events = chain[2].events
    p = [column(events, i)[0] for i in range(8)]
    np.testing.assert_allclose(p[3] + p[4], p[0], atol=1e-9)
    np.testing.assert_allclose(p[5] + p[6] + p[7], p[1], atol=1e-9)
    np.testing.assert_allclose(mass(p[3]), 0.1056583755, atol=1e-6)
    np.testing.assert_allclose(mass(p[5]), M1, atol=1e-6)


def test_vertices_lie_along_the_flight_at_the_recorded_proper_length(
    chain: tuple[Process, Gridpack, GeneratedChunk],
) -> None:
    events = chain[2].events
    for parent, products, name, m in ((0, (3, 4), "hp", M_HP), (1, (5, 6, 7), "chi2", M2)):
        p = column(events, parent)[0]
        expected = p[:, 1:] / m * ak.to_numpy(events[f"proper_{name}"])[:, None]
        for product in products:
            np.testing.assert_allclose(column(events, product)[1], expected, rtol=1e-12)


def test_the_cross_section_is_that_of_two_bodies_for_a_narrow_dark_photon() -> None:
    narrow = {**POINT, "w_Ap": 0.01 * POINT["w_Ap"]}
    process = registry("idm_hp_mumu", {"isr": {"radiator": "none"}}, narrow, SYMMETRIC)
    pack = adapt(process, 1, Effort(4, 20_000, 40_000))
    expected = higgsstrahlung_cross_section(10.58, M_AP, M_HP, 1.0, ALPHA_D, charge=1.0)
    assert 0.01 * pack.sigma_fb == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("ctau", [0.01, 0.3, 10.0])
def test_reweighted_decay_lengths_have_the_mean_and_sphere_of_any_lifetime(
    chain: tuple[Process, Gridpack, GeneratedChunk], ctau: float
) -> None:
    events = chain[2].events
    weight = lifetime_weight(ak.to_numpy(events.proper_hp), ak.to_numpy(events.density_hp), ctau)
    boost = momentum(column(events, 0)[0]) / M_HP
    length = np.linalg.norm(column(events, 3)[1], axis=1)

    def check(values: np.ndarray, expected: float) -> None:
        # unweighted events of one cross-section: plain means
        error = np.std(weight * values) / np.sqrt(len(values))
        assert np.mean(weight * values) == pytest.approx(expected, abs=4 * error)
        assert error < 0.05 * expected

    check(np.ones(len(weight)), 1.0)
    check(length / boost, ctau)
    for radius in (0.3 * ctau, 2.0 * ctau):
        check((length < radius).astype(float), float(np.mean(1 - np.exp(-radius / (boost * ctau)))))


@pytest.mark.parametrize("ctau", [1e-3, 1e-2, 1.0, 100.0, 1000.0])
def test_effective_statistics_are_as_expected_and_above_a_tenth(
    chain: tuple[Process, Gridpack, GeneratedChunk], ctau: float
) -> None:
    events = chain[2].events
    weight = lifetime_weight(ak.to_numpy(events.proper_hp), ak.to_numpy(events.density_hp), ctau)
    (expected,) = expected_effective_fraction(mixture_components(1e-3, 1000.0, 1), [ctau])
    assert effective_fraction(weight) == pytest.approx(expected, rel=0.08)
    assert effective_fraction(weight) > 0.1


def test_one_sample_of_one_lifetime_agrees_with_the_reweighted_mixture(
    chain: tuple[Process, Gridpack, GeneratedChunk],
) -> None:
    single = {"decays": {"hp": {"lifetime": {"ctau_cm": {"value": 0.5, "source": "assumed"}, "mixture_cm": None}}}}
    process = registry("idm_hp_mumu", single, POINT)
    pack = adapt(process, 1, Effort(3, 5000, 5000))
    alone = generate_chunk(process, pack, 20_000, np.random.default_rng(3), 0).events
    assert "proper_hp" not in alone.fields
    assert "proper_chi2" in alone.fields
    mixed = chain[2].events
    weight = lifetime_weight(ak.to_numpy(mixed.proper_hp), ak.to_numpy(mixed.density_hp), 0.5)
    edges = np.array([0.0, 0.1, 0.3, 0.7, 1.5, 4.0])
    one = np.histogram(np.linalg.norm(column(alone, 3)[1], axis=1), edges)[0] / 20_000
    length = np.linalg.norm(column(mixed, 3)[1], axis=1)
    many = np.histogram(length, edges, weights=weight)[0] / 20_000
    error = np.sqrt(np.histogram(length, edges, weights=weight**2)[0] / 20_000**2 + one / 20_000)
    assert np.all(np.abs(one - many) < 4 * error)


def test_three_body_masses_follow_the_width_and_electrons_their_helicity(rng: np.random.Generator) -> None:
    n = 200_000
    parent = np.tile([M2, 0.0, 0.0, 0.0], (n, 1))
    heavy, minus, plus = three_body(parent, (M2, M1, 0.511e-3, 0.511e-3), M_AP, rng)
    q = mass(minus + plus)
    grid = np.linspace(0.001, M2 - M1, 20_001)
    density = chi2_spectrum(grid, M1, M2, M_AP, 0.511e-3)
    for power in (1, 2):
        expected = np.sum(grid**power * density) / np.sum(density)
        assert np.mean(q**power) == pytest.approx(expected, abs=4 * np.std(q**power) / np.sqrt(n))
    # isotropic at rest
    direction = heavy[:, 1:] / momentum(heavy)[:, None]
    assert np.abs(direction.mean(axis=0)).max() < 4 / np.sqrt(3 * n)


def test_three_body_phase_space_is_flat_in_the_dalitz_plane(rng: np.random.Generator) -> None:
    n = 100_000
    a, b, c = three_body(np.tile([1.0, 0.0, 0.0, 0.0], (n, 1)), (1.0, 0.0, 0.0, 0.0), None, rng)
    ab, bc = mass(a + b) ** 2, mass(b + c) ** 2
    # massless: uniform in a triangle of unit legs
    assert np.mean(ab) == pytest.approx(1 / 3, abs=4 * np.sqrt(1 / 18 / n))
    assert np.mean(ab * bc) == pytest.approx(1 / 12, abs=0.002)


@pytest.mark.parametrize("k", [0.0, 0.4])
@pytest.mark.parametrize("longitudinal", [True, False])
def test_helicity_cosines_have_their_second_moment(rng: np.random.Generator, k: float, longitudinal: bool) -> None:
    n = 200_000
    c = helicity_cosine(rng.random(n), rng.random(n), np.full(n, longitudinal), np.full(n, k))
    flat, square = (1.0, -(1 - k)) if longitudinal else (1 + k, 1 - k)
    expected = (flat / 3 + square / 5) / (flat + square / 3)
    assert np.mean(c * c) == pytest.approx(expected, abs=0.003)
    assert abs(np.mean(c)) < 0.006


def test_modes_are_taken_in_the_ratio_of_their_branching_fractions() -> None:
    modes = [
        {"products": ["mu-", "mu+"], "branching_fraction": {"value": 0.3, "source": "assumed"}},
        {"products": ["pi0", "gamma", "gamma"], "branching_fraction": {"value": 0.1, "source": "assumed"}},
    ]
    change = {
        "decays": {
            "hp": {"products": [], "modes": modes},
            "pi0": {"products": ["gamma", "gamma"], "branching_fraction": {"value": 0.5, "source": "assumed"}},
        }
    }
    process = registry("idm_hp_mumu", change, POINT)
    plain = registry("idm_hp_mumu", {}, POINT)
    pack = adapt(process, 1, Effort(3, 5000, 5000))
    assert pack.branching_fraction == pytest.approx(0.3 + 0.1 * 0.5)
    assert pack.sigma_fb == pytest.approx(0.35 * adapt(plain, 1, Effort(3, 5000, 5000)).sigma_fb)
    events = generate_chunk(process, pack, 8000, np.random.default_rng(4), 0).events
    particles = events.particles
    muons = ak.to_numpy(ak.any(particles.pdg == 13, axis=1))
    assert np.mean(muons) == pytest.approx(0.3 / 0.35, abs=4 * np.sqrt(0.86 * 0.14 / 8000))
    # momenta of final particles add up to those of the beams with and without the long chain
    final = particles[particles.status == 1]
    total = ak.to_numpy(ak.sum(final.e, axis=1))
    assert abs(total[muons].mean() - total[~muons].mean()) < 0.001
    # photons of the pi0 point to it
    pi0 = particles[~muons][:, 3:]
    place = ak.argmax(pi0.pdg == 111, axis=1) + 3
    assert ak.all(ak.sum(particles[~muons].mother == place, axis=1) == 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"decays": {"chi2": {"mediator": "hp"}}}, "mediator hp of 0.5 GeV can be real in a step of 1 GeV"),
        ({"decays": {"hp": {"products": ["tau-", "tau+"]}}}, "hp of 0.5 GeV cannot decay to products of 3.55"),
    ],
)
def test_impossible_decays_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        registry("idm_hp_mumu", change, {**POINT, "m_hp": 0.5})


def test_reweightable_lengths_need_one_particle_in_every_event() -> None:
    modes = [{"products": ["mu-", "mu+"]}, {"products": ["pi0", "pi0"]}]
    decays = {"hp": {"products": [], "modes": modes}, "pi0": {"products": ["gamma", "gamma"]}}
    decays["pi0"]["lifetime"] = {"mixture_cm": [0.1, 1.0]}
    process = registry("idm_hp_mumu", {"decays": decays}, POINT)
    pack = adapt(process, 1, Effort(2, 2000, 2000))
    with pytest.raises(ConfigError, match="pi0 does not occur exactly once in every event"):
        generate_chunk(process, pack, 100, np.random.default_rng(1), 0)
