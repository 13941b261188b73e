"""Initial-state radiation, vacuum polarisation, beams."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
from generator_tools import BELLE2, SYMMETRIC, registry
from scipy.integrate import quad

from darkfactory.core.seeds import generator
from darkfactory.generate.chunk import generate_chunk
from darkfactory.generate.gridpack import Effort, adapt
from darkfactory.physics.beams import Beams
from darkfactory.physics.constants import ALPHA, M_E
from darkfactory.physics.isr import exponent, photon_cosine, radiator
from darkfactory.physics.kinematics import mass

S = 10.58**2


@pytest.mark.parametrize(("name", "nb"), [("mumu", 1.151), ("tautau", 0.9146)])
def test_pairs_with_radiation_and_vacuum_polarisation(name: str, nb: float) -> None:
    """KKMC has 1.148 and 0.919 nb."""
    pack = adapt(registry(name, beams=SYMMETRIC), 1)
    assert pack.sigma_fb / 1e6 == pytest.approx(nb, rel=2e-3)


def test_vacuum_polarisation_is_automatic_for_one_photon_only() -> None:
    assert registry("mumu").vacuum_polarisation
    assert not registry("four_muon", {"vp": "auto"}).vacuum_polarisation
    assert registry("gamma_alp", {"vp": "auto"}).vacuum_polarisation
    assert not registry("mumu_gamma", {"vp": "auto"}).vacuum_polarisation


@pytest.mark.parametrize("c", [0.5, 0.95, 0.998])
def test_reduced_exponent_is_the_eikonal_integral(c: float) -> None:
    beta2 = 1 - 4 * M_E**2 / S

    def eikonal(x: float) -> float:
        beta = np.sqrt(beta2)
        mass_terms = (1 / (1 - beta * x) ** 2 + 1 / (1 + beta * x) ** 2) * (1 - beta2) / 2
        return float((1 + beta2) / (1 - beta2 * x * x) - mass_terms)

    inner = ALPHA / np.pi * quad(eikonal, -c, c)[0]
    assert float(exponent(S) - exponent(S, c)) == pytest.approx(inner, rel=1e-6)


def test_radiator_is_normalised_to_the_inclusive_correction() -> None:
    """Without a cut on v the probability is 1 up to the non-logarithmic K factor."""
    g = float(exponent(S))
    total = quad(lambda u: float(radiator(u ** (1 / g), S, g)), 0, 1, limit=200)[0]
    assert total == pytest.approx(1 + ALPHA / np.pi * (np.pi**2 / 3 - 0.5), rel=3e-4)


def test_radiator_first_order() -> None:
    """Hard part to first order: (alpha/pi)(L - 1) (1 + z^2)/(1 - z)."""
    g, v = 1e-4, 0.4
    density = g * v ** (g - 1) * float(radiator(v, S, g))
    k = 1 + ALPHA / np.pi * (np.pi**2 / 3 - 0.5)
    assert density == pytest.approx(k * g / 2 * (1 + (1 - v) ** 2) / v, rel=4e-4)


@pytest.mark.parametrize(("v", "outside"), [(0.05, None), (0.7, None), (0.7, 0.9)])
def test_photon_directions(v: float, outside: float | None) -> None:
    n = 100_000
    c = photon_cosine(np.full(n, v), np.full(n, S), generator(1, "c").random((12, 2, n)), outside)
    low = 0.0 if outside is None else outside
    assert np.abs(c).min() >= low * (1 - 1e-12)
    assert abs(np.mean(c > 0) - 0.5) < 0.01

    # y = atanh(beta c) resolves the peak
    def density(y: float) -> float:
        x = np.tanh(y)
        den = 1 - x * x
        return float(((1 - v + v * v / 2) / den - v * v / 4 - (1 - v) * 4 * M_E**2 / S / den**2) * den)

    top, edge = np.arctanh(np.sqrt(1 - 4 * M_E**2 / S)), np.arctanh(0.99)
    share = quad(density, edge, top)[0] / quad(density, np.arctanh(low), top)[0]
    assert np.mean(np.abs(c) > 0.99) == pytest.approx(share, abs=0.006)


def test_no_photon_where_the_matrix_element_has_them() -> None:
    process = registry("mumu", {"isr": {"exact_cos": 0.95}}, beams=Beams(7.004, 4.002, 0.0415))
    chunk = generate_chunk(process, adapt(process, 1, Effort(6, 5_000, 20_000)), 4000, generator(1, "x"), 0)
    photon = chunk.events.particles[chunk.events.particles.pdg == 22]
    lab = np.stack([ak.to_numpy(ak.flatten(photon[k])) for k in ("e", "px", "py", "pz")], axis=-1)
    cm = process.beams.frame.to_cm(lab)
    hard = cm[:, 0] > 0.1
    assert np.all(np.abs(cm[hard, 3]) > 0.9499 * cm[hard, 0])
    assert hard.sum() > 500


@pytest.mark.parametrize("name", ["mumu_gamma", "tautau", "gamma_alp", "ee_mumu"])
def test_energy_and_momentum_in_the_laboratory(name: str) -> None:
    sharp = Beams(BELLE2.e_her, BELLE2.e_ler, BELLE2.half_crossing)
    process = registry(name, {"unweight": {"overweight_fraction": 0.01}}, beams=sharp)
    pack = adapt(process, 1, Effort(3, 5_000, 10_000))
    events = generate_chunk(process, pack, 500, generator(1, name), 0).events
    final = events.particles[events.particles.status == 1]
    total = np.stack([ak.to_numpy(ak.sum(final[k], axis=1)) for k in ("e", "px", "py", "pz")], axis=-1)
    # photons of less than 1e-8 of s are not in the record
    assert np.allclose(total, sharp.frame.p4, atol=2e-7)
    hard = events.particles[events.particles.mother == -1]
    total = np.stack([ak.to_numpy(ak.sum(hard[k], axis=1)) for k in ("e", "px", "py", "pz")], axis=-1)
    assert np.allclose(total, sharp.frame.p4, atol=2e-7)


def test_beam_spread_is_in_the_events() -> None:
    process = registry("gamma_alp", {"isr": {"radiator": "none"}})
    pack = adapt(process, 1)
    events = generate_chunk(process, pack, 4000, generator(1, "spread"), 0).events
    final = events.particles[events.particles.status == 1]
    total = np.stack([ak.to_numpy(ak.sum(final[k], axis=1)) for k in ("e", "px", "py", "pz")], axis=-1)
    root = mass(total)
    expected = 0.5 * BELLE2.frame.sqrts * np.hypot(BELLE2.sigma_her / BELLE2.e_her, BELLE2.sigma_ler / BELLE2.e_ler)
    assert root.std() == pytest.approx(expected, rel=0.05)
    assert root.mean() == pytest.approx(BELLE2.frame.sqrts, abs=4 * expected / np.sqrt(4000))


def test_polar_angle_follows_the_electron() -> None:
    """gamma a: 1 + cos^2 about the axis of the CM frame, so <cos^2> = 2/5."""
    process = registry("gamma_alp", {"isr": {"radiator": "none"}, "decays": {}})
    events = generate_chunk(process, adapt(process, 1), 8000, generator(1, "axis"), 0).events
    photon = events.particles[:, 0]
    lab = np.stack([ak.to_numpy(photon[k]) for k in ("e", "px", "py", "pz")], axis=-1)
    cm = process.beams.frame.to_cm(lab)
    c = cm[:, 3] / cm[:, 0]
    assert np.mean(c**2) == pytest.approx(0.4, abs=0.015)
    assert abs(np.mean(c)) < 0.03


def test_collinear_photons() -> None:
    process = registry("mumu", {"isr": {"photons": "collinear"}}, beams=Beams(7.004, 4.002, 0.0415))
    chunk = generate_chunk(process, adapt(process, 1, Effort(6, 5_000, 20_000)), 500, generator(1, "x"), 0)
    photon = chunk.events.particles[chunk.events.particles.pdg == 22]
    lab = np.stack([ak.to_numpy(ak.flatten(photon[k])) for k in ("e", "px", "py", "pz")], axis=-1)
    cm = process.beams.frame.to_cm(lab)
    hard = cm[:, 0] > 1e-3
    assert hard.sum() > 100
    assert np.allclose(np.abs(cm[hard, 3]), cm[hard, 0], rtol=1e-9)


@pytest.mark.parametrize(("name", "fb", "error"), [("eta_gamma", 4.5, 1.2), ("etap_gamma", 5.4, 0.8)])
def test_meson_and_photon_as_measured(name: str, fb: float, error: float) -> None:
    """BaBar, PRD 74 (2006) 012002: Born cross-sections, the vacuum polarisation in them."""
    process = registry(name, {"isr": {"radiator": "none"}}, beams=SYMMETRIC)
    pack = adapt(process, 1)
    assert pack.sigma_fb / pack.branching_fraction == pytest.approx(fb, abs=error / 2)
