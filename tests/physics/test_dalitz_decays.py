"""Neutral pions from taus to e e gamma: rate and shape against closed forms and published fractions."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
from generator_tools import TAUS, registry

from darkfactory.config.process import DalitzConfig
from darkfactory.core.errors import ConfigError, InputError
from darkfactory.core.seeds import generator
from darkfactory.generate.chunk import generate_chunk
from darkfactory.generate.gridpack import Effort, adapt
from darkfactory.generate.taus.dalitz import dalitz_momenta, force_dalitz
from darkfactory.generate.taus.decay import decay_single_tau
from darkfactory.generate.taus.modes import build_modes
from darkfactory.physics.constants import M_E, M_PI0
from darkfactory.physics.dalitz import dalitz_fraction, dalitz_spectrum
from darkfactory.physics.kinematics import mass, mass2, to_rest_frame

TAG = {"value": 0.01174, "source": "published"}


def config(mass_min: float = 0.0) -> DalitzConfig:
    return DalitzConfig.model_validate({"branching_fraction": TAG, "mass_min": mass_min})


def test_rate_is_the_published_one() -> None:
    q = np.exp(np.linspace(np.log(2 * M_E), np.log(M_PI0), 100_001))
    # PDG 2024: 1.174 % over 98.823 %; D. Joseph, Nuovo Cim. 16, 997 (1960): 0.01185 without form factor
    assert np.trapezoid(dalitz_spectrum(q, 0.0335), q) == pytest.approx(0.01174 / 0.98823, rel=1e-3)
    assert np.trapezoid(dalitz_spectrum(q), q) == pytest.approx(0.01185, rel=1e-3)
    above = q >= 0.05
    share = np.trapezoid(dalitz_spectrum(q[above], 0.0335), q[above]) / np.trapezoid(dalitz_spectrum(q, 0.0335), q)
    assert dalitz_fraction(0.05, 0.0335) == pytest.approx(share, rel=1e-3)


@pytest.mark.parametrize("mass_min", [0.0, 0.03])
def test_momenta_have_mass_spectrum_and_angle_of_a_transverse_photon(mass_min: float) -> None:
    n = 40_000
    pi0 = np.tile([np.hypot(2.0, M_PI0), 0.0, 1.2, 1.6], (n, 1))
    photon, minus, plus = dalitz_momenta(pi0, config(mass_min), np.random.default_rng(5))
    np.testing.assert_allclose(photon + minus + plus, pi0, atol=1e-9)
    np.testing.assert_allclose(mass2(photon), 0.0, atol=1e-9)
    np.testing.assert_allclose(mass2(minus), M_E**2, atol=1e-9)
    q = mass(minus + plus)
    assert q.min() >= max(mass_min, 2 * M_E) * (1 - 1e-6)
    for edge in (0.04, 0.08):
        expected = dalitz_fraction(edge, 0.0335) / dalitz_fraction(mass_min, 0.0335)
        assert np.mean(q > edge) == pytest.approx(expected, abs=4 * np.sqrt(expected / n))
    # 1 + cos^2 of the electron in the pair's helicity frame, where its mass does not matter
    heavy = q > 0.03
    rest, pair = to_rest_frame(minus, pi0)[heavy], to_rest_frame(minus + plus, pi0)[heavy]
    electron = to_rest_frame(rest, pair)
    cosine = np.sum(electron[:, 1:] * pair[:, 1:], axis=1) / (
        np.linalg.norm(electron[:, 1:], axis=1) * np.linalg.norm(pair[:, 1:], axis=1)
    )
    assert np.mean(cosine**2) == pytest.approx(0.4, abs=4 * 0.31 / np.sqrt(heavy.sum()))


def test_every_neutral_pion_has_the_same_chance() -> None:
    modes = build_modes(TAUS, "pi2pi0", "pi2pi0")
    n = 3000
    p = np.tile([5.29, 0.0, 0.0, np.sqrt(5.29**2 - modes.tau_mass**2)], (n, 1))
    plain = decay_single_tau(p, np.zeros((n, 3)), -1, modes, np.random.default_rng(2))
    made, factor = force_dalitz(plain, config(0.02), np.random.default_rng(3))
    assert made.counts.tolist() == (plain.counts + 1).tolist()
    np.testing.assert_allclose(factor, 2 * 0.01174 * dalitz_fraction(0.02, 0.0335))
    offsets = made.offsets
    parents = made.parent[np.flatnonzero(made.pdg == 11)]
    places = np.unique(parents)
    assert len(places) == 2
    assert np.mean(parents == places[0]) == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(n))
    # three products of the chosen pion, two of the other, all with its momentum
    event = np.repeat(np.arange(n), made.counts)
    for place in places:
        child = made.parent == place
        assert set(np.bincount(event[child], minlength=n)) == {2, 3}
        total = np.stack([np.bincount(event[child], weights=x, minlength=n) for x in made.momenta[child].T], axis=1)
        np.testing.assert_allclose(total, made.momenta[offsets[:-1] + place], atol=1e-9)


def test_events_of_the_process() -> None:
    process = registry("tautau_dalitz")
    pack = adapt(process, 1, Effort(3, 5000, 5000))
    made = generate_chunk(process, pack, 3000, generator(1, "dalitz"), 0)
    particles = made.events.particles
    final = particles[particles.status == 1]
    # what the beams had, with their spread
    np.testing.assert_allclose(np.asarray(ak.sum(final.e, axis=1)), 11.006, atol=0.05)
    mother = particles.pdg[ak.where(particles.mother < 0, 0, particles.mother)]
    pair = particles[(abs(particles.pdg) == 11) & (mother == 111)]
    assert set(np.asarray(ak.num(pair))) == {2}
    number = ak.sum(particles.pdg == 111, axis=1)
    unit = 0.01174 * dalitz_fraction(0.025, 0.0335)
    hard = np.asarray(made.events.weight) / np.asarray(number) / unit
    assert np.mean(hard) == pytest.approx(pack.sigma_fb, rel=0.02)


def test_taus_without_neutral_pions_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"taus may decay to .* without a neutral pion"):
        registry("tautau_dalitz", {"taus": {"first": "one_prong"}})
    modes = build_modes(TAUS, "pi", "pi")
    p = np.array([[5.29, 0.0, 0.0, np.sqrt(5.29**2 - modes.tau_mass**2)]])
    plain = decay_single_tau(p, np.zeros((1, 3)), -1, modes, np.random.default_rng(2))
    with pytest.raises(InputError, match="1 of 1 events have no neutral pion"):
        force_dalitz(plain, config(), np.random.default_rng(3))
