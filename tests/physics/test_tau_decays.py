"""Tau decays against closed forms and against numbers of an independent generator."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from darkfactory.config.load import read_yaml
from darkfactory.config.tau_decays import TauDecaysConfig
from darkfactory.core.errors import ConfigError, InputError
from darkfactory.generate.chunk import true_lepton_fraction
from darkfactory.generate.taus.decay import TAU_MINUS, TAU_PLUS, TauDecays, decay_single_tau, decay_tau_pair
from darkfactory.generate.taus.modes import TauModes, build_modes
from darkfactory.generate.taus.samplers import PhaseSpaceSampler, ThreePionSampler
from darkfactory.generate.taus.spin import correlations, joint_weight
from darkfactory.physics.dirac import GAMMA, METRIC, bar, u_spinor, v_spinor
from darkfactory.physics.kinematics import mass, mass2
from darkfactory.templates.response import lepton_spectrum

SQRTS = 10.58
CONFIG = Path(__file__).parents[2] / "config" / "tau_decays.yaml"


@pytest.fixture(scope="module")
def config() -> TauDecaysConfig:
    return TauDecaysConfig.model_validate(read_yaml(CONFIG))


def ee_tautau(n: int, m_tau: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unweighted tau pairs at 10.58 GeV and their spin density (one photon, massless beams)."""
    e = SQRTS / 2
    c = 2 * rng.random(6 * n) - 1
    r = (m_tau / e) ** 2
    c = c[rng.random(6 * n) * 2 < 1 + c**2 + r * (1 - c**2)][:n]
    f = 2 * np.pi * rng.random(n)
    k, s = np.sqrt(e * e - m_tau**2), np.sqrt(1 - c**2)
    minus = np.stack([np.full(n, e), k * s * np.cos(f), k * s * np.sin(f), k * c], axis=1)
    plus = minus * [1, -1, -1, -1]
    beam = np.array([[e, 0, 0, e], [e, 0, 0, -e]])
    lower = np.einsum("mn,nij->mij", METRIC, GAMMA)
    m = np.zeros((n, 2, 2, 2), dtype=complex)
    for a, h in enumerate((-1, 1)):
        left = np.einsum("ni,mij,nj->m", bar(v_spinor(beam[1:], 0.0, -h)), GAMMA, u_spinor(beam[:1], 0.0, h))
        vertex = np.einsum("m,mij->ij", left, lower)
        for b, h1 in enumerate((-1, 1)):
            for d, h2 in enumerate((-1, 1)):
                ubar, v = bar(u_spinor(minus, m_tau, h1)), v_spinor(plus, m_tau, h2)
                m[:, a, b, d] = np.einsum("ni,ij,nj->n", ubar, vertex, v)
    return minus, plus, np.einsum("nabc,nade->nbdce", m, m.conj())


def pick(d: TauDecays, pdg: int) -> np.ndarray:
    return d.momenta[(d.pdg == pdg) & (d.parent < 0)]


def single(modes: TauModes, n: int, pol: float, charge: int = -1, energy: float = 5.29) -> TauDecays:
    m = modes.tau_mass
    p = np.tile([energy, 0, np.sqrt(energy**2 - m**2), 0], (n, 1))
    spin = np.tile([0, 0, pol], (n, 1)).astype(float)
    return decay_single_tau(p, spin, charge, modes, np.random.default_rng(17))


@pytest.mark.parametrize(("charge", "pol", "mean"), [(-1, 1, 0.659), (-1, -1, 0.348), (1, -1, 0.659), (1, 1, 0.348)])
def test_pion_energy_of_polarised_taus(config: TauDecaysConfig, charge: int, pol: int, mean: float) -> None:
    # 0.659 and 0.348: Pythia 8.317; closed form 1/2 (1 + r) + pol beta (1 - r)/6
    n = 100_000
    d = single(build_modes(config, "pi", "pi"), n, pol, charge)
    x = pick(d, 211 * charge)[:, 0] / 5.29
    assert x.mean() == pytest.approx(mean, abs=0.003)


def test_pion_energies_are_correlated_as_in_pythia(config: TauDecaysConfig) -> None:
    modes = build_modes(config, "pi", "pi")
    rng = np.random.default_rng(4)
    minus, plus, density = ee_tautau(60_000, modes.tau_mass, rng)
    d = decay_tau_pair(density, minus, plus, modes, rng)
    x1, x2 = pick(d, -211)[:, 0], pick(d, 211)[:, 0]
    # Pythia 0.288 +- 0.011, prototype 0.294
    assert np.corrcoef(x1, x2)[0, 1] == pytest.approx(0.291, abs=0.012)
    # transverse correlation: azimuths about the tau axis
    axis = minus[:, 1:] / np.linalg.norm(minus[:, 1:], axis=1)[:, None]
    normal = np.cross(axis, [0.0, 0.0, 1.0])
    normal /= np.linalg.norm(normal, axis=1)[:, None]
    other = np.cross(axis, normal)
    phi = [np.arctan2((q[:, 1:] * other).sum(1), (q[:, 1:] * normal).sum(1)) for q in (pick(d, -211), pick(d, 211))]
    assert np.cos(phi[0] - phi[1]).mean() == pytest.approx(-0.022, abs=0.009)


def test_mean_joint_weight_is_one_quarter(config: TauDecaysConfig) -> None:
    modes = build_modes(config, ["e", "rho", "3pi"], ["e", "rho", "3pi"])
    rng = np.random.default_rng(6)
    _, _, density = ee_tautau(20_000, modes.tau_mass, rng)
    h = [np.concatenate([s.sample(n, rng)[1] for s, n in zip(modes.samplers, (5000, 8000, 7000), strict=True)])
         for _ in range(2)]  # fmt: skip
    w = joint_weight(h[0], rng.permutation(h[1]), *correlations(density))
    assert w.mean() == pytest.approx(0.25, abs=0.004)
    assert w.max() < 0.5 + 1e-9
    assert w.min() > -1e-9


def test_electron_spectrum_is_michel(config: TauDecaysConfig) -> None:
    # dG/dx = 2 x^2 (3 - 2x); with polarisation x^2 ((3 - 2x) - P (2x - 1) cos)
    n = 100_000
    modes = build_modes(config, "e", "e")
    p, h = modes.samplers[0].sample(n, np.random.default_rng(8))
    x = 2 * p[:, 1, 0] / modes.tau_mass
    assert x.mean() == pytest.approx(0.7, abs=0.003)
    edges = np.linspace(0, 1, 21)
    expected = n * np.diff(2 * edges**3 - edges**4)
    counts = np.histogram(x, edges)[0]
    assert ((counts - expected) ** 2 / expected).sum() < 45
    c = (p[:, 1, 1:] * h).sum(1) / p[:, 1, 0]
    # <cos(lepton, h)> = 3 <cos> / P = -1/3
    assert c.mean() == pytest.approx(-1 / 3, abs=0.006)
    rest = single(modes, n, 1.0, energy=modes.tau_mass * 1.0000001)
    e = pick(rest, 11)
    assert (e[:, 2] / e[:, 0]).mean() == pytest.approx(-1 / 9, abs=0.01)


def test_muon_spectrum_keeps_its_mass(config: TauDecaysConfig) -> None:
    # <x> with the muon's mass from the integral of E_nubar-free spectrum, PDG Muon decay parameters eq. 1
    modes = build_modes(config, "mu", "mu")
    p, _ = modes.samplers[0].sample(100_000, np.random.default_rng(9))
    m, ml = modes.tau_mass, 0.1056583755
    w = (m * m + ml * ml) / (2 * m)
    e = np.linspace(ml, w, 20_001)
    x, x0 = e / w, ml / w
    f = np.sqrt(x**2 - x0**2) * (x * (1 - x) + 2 / 9 * 0.75 * (4 * x**2 - 3 * x - x0**2))
    assert p[:, 1, 0].mean() == pytest.approx((f * e).sum() / f.sum(), abs=0.003)
    np.testing.assert_allclose(mass(p[:, 1]), ml, atol=1e-7)


def test_rho_shape_and_polarisation(config: TauDecaysConfig) -> None:
    modes = build_modes(config, "rho", "rho")
    p, h = modes.samplers[0].sample(200_000, np.random.default_rng(10))
    had = p[:, 1] + p[:, 2]
    m = mass(had)
    counts, edges = np.histogram(m, np.linspace(0.6, 1.0, 41))
    assert edges[np.argmax(counts)] == pytest.approx(0.765, abs=0.02)
    cos = (had[:, 1:] * h).sum(1) / np.linalg.norm(had[:, 1:], axis=1)
    alpha = (modes.tau_mass**2 - 2 * m**2) / (modes.tau_mass**2 + 2 * m**2)
    assert cos.mean() == pytest.approx(alpha.mean(), abs=0.005)
    assert alpha.mean() == pytest.approx(0.45, abs=0.03)
    # helicity angle at a given mass: <cos^2> = (1/3 + b/5)/(1 + b/3)
    b = modes.tau_mass**2 / m**2 - 1
    k = p[:, 1, 0] * had[:, 0] - (p[:, 1, 1:] * had[:, 1:]).sum(1)
    nu = modes.tau_mass - had[:, 0]
    # p_pi.p_nu is linear in the cosine
    dot = p[:, 1, 0] * nu - (p[:, 1, 1:] * p[:, 0, 1:]).sum(1)
    e_star, q = k / m, np.sqrt((k / m) ** 2 - 0.13957039**2)
    c = ((modes.tau_mass**2 - m**2) / (2 * m) * e_star - dot) / (q * (modes.tau_mass**2 - m**2) / (2 * m))
    assert np.abs(c).max() < 1 + 1e-6
    assert (c**2).mean() == pytest.approx(((1 / 3 + b / 5) / (1 + b / 3)).mean(), abs=0.003)


@pytest.mark.parametrize("name", ["3pi", "pi2pi0"])
def test_three_pions_have_an_a1_and_a_rho(config: TauDecaysConfig, name: str) -> None:
    modes = build_modes(config, name, name)
    sampler = modes.samplers[0]
    assert isinstance(sampler, ThreePionSampler)
    p, h = sampler.sample(60_000, np.random.default_rng(12))
    m = mass(p[:, 1] + p[:, 2] + p[:, 3])
    counts, edges = np.histogram(m, np.linspace(0.5, 1.75, 26))
    assert 1.05 <= edges[np.argmax(counts)] <= 1.2
    pairs = np.concatenate([mass(p[:, 1] + p[:, 3]), mass(p[:, 2] + p[:, 3])])
    counts, edges = np.histogram(pairs, np.linspace(0.3, 1.3, 51))
    assert 0.70 <= edges[np.argmax(counts)] <= 0.80
    like = np.histogram(mass(p[:, 1] + p[:, 2]), edges)[0]
    assert np.argmax(like) != np.argmax(counts)
    np.testing.assert_allclose((h**2).sum(1), 1, atol=1e-9)
    # both like pions are on the same footing
    assert p[:, 1, 0].mean() == pytest.approx(p[:, 2, 0].mean(), abs=0.005)
    _, weight = sampler._propose_internal(m, np.random.default_rng(13))
    assert (weight * sampler._correction(m) > sampler.ceiling).mean() < 1e-4


def test_phase_space_volume_of_massless_bodies() -> None:
    # R_n ~ s^(n-2): 4 nearly massless bodies, spectrum without resonances
    sampler = PhaseSpaceSampler.build(1.0, (22, 22, 22, 22), (1e-6,) * 4, ())
    x = np.linspace(0, 1, 2001)
    f = (1 - x) ** 2 * (1 / np.maximum(x, 1e-9) + 2) * x**2
    s = np.interp(np.random.default_rng(1).random(50_000), sampler.cdf, sampler.nodes) ** 2
    assert s.mean() == pytest.approx((f * x).sum() / f.sum(), abs=0.003)


def test_every_mode_conserves_momentum_charge_and_mass(config: TauDecaysConfig) -> None:
    modes = build_modes(config)
    rng = np.random.default_rng(14)
    minus, plus, density = ee_tautau(20_000, modes.tau_mass, rng)
    d = decay_tau_pair(density, minus, plus, modes, rng)
    event = np.repeat(np.arange(20_000), d.counts)
    for side, parent, p in ((0, TAU_MINUS, minus), (1, TAU_PLUS, plus)):
        total = np.zeros((20_000, 4))
        np.add.at(total, event[d.parent == parent], d.momenta[d.parent == parent])
        np.testing.assert_allclose(total, p, atol=1e-9)
        assert (d.side[d.parent == parent] == side).all()
    charge = np.select([np.isin(np.abs(d.pdg), [211, 321]), np.isin(np.abs(d.pdg), [11, 13])], [1, -1]) * np.sign(d.pdg)
    total_charge = np.bincount(event, weights=charge * (d.side == 0), minlength=20_000)
    assert (total_charge == -1).all()
    photons = d.pdg == 22
    mother = d.offsets[event[photons]] + d.parent[photons]
    assert (d.pdg[mother] == 111).all()
    assert (d.status[mother] == 2).all()
    pairs = d.momenta[photons].reshape(-1, 2, 4).sum(1)
    np.testing.assert_allclose(pairs, d.momenta[mother][::2], atol=1e-10)
    np.testing.assert_allclose(mass2(d.momenta[np.isin(np.abs(d.pdg), [12, 14, 16, 22])]), 0, atol=1e-9)
    # all modes occur on both sides with their fractions
    seen = np.stack([np.bincount(d.mode[:, i], minlength=len(modes.names)) for i in (0, 1)]) / 20_000
    expected = modes.bf / modes.bf.sum()
    assert (np.abs(seen - expected) < 5 * np.sqrt(expected / 20_000)).all()
    assert d.proper_length.mean() == pytest.approx(modes.ctau_cm, rel=0.05)
    assert set(np.unique(d.pdg[np.isin(np.abs(d.pdg), [130, 310, 311])])) == {130, 310}


def test_cp_images_have_the_same_spectra(config: TauDecaysConfig) -> None:
    modes = build_modes(config, "3pi", "3pi")
    m, p = single(modes, 40_000, 0.8, -1), single(modes, 40_000, -0.8, 1)
    for code in (-211, 211):
        a, b = pick(m, code)[:, 0], pick(p, -code)[:, 0]
        assert a.mean() == pytest.approx(b.mean(), abs=5 * a.std() * np.sqrt(2 / len(a)))
        assert a.std() == pytest.approx(b.std(), rel=0.02)
    # the same random numbers: momenta of the tau+ at rest are those of the tau- reversed
    q = single(modes, 100, 0.0, -1).momenta[:, 0].sum()
    assert q == pytest.approx(single(modes, 100, 0.0, 1).momenta[:, 0].sum(), rel=1e-9)


def test_weights_are_products_of_forced_fractions(config: TauDecaysConfig) -> None:
    bf = {k: v.bf.value for k, v in config.modes.items()}
    assert build_modes(config, "mu", "mu").weight == pytest.approx(bf["mu"] ** 2)
    assert build_modes(config, "mu", "e").weight == pytest.approx(2 * bf["mu"] * bf["e"])
    assert build_modes(config, "mu", "e", ordered=True).weight == pytest.approx(bf["mu"] * bf["e"])
    # mu x (e | mu): 2 BF(mu) BF(e) + BF(mu)^2, the pair (mu, mu) once
    assert build_modes(config, "mu", ["e", "mu"]).weight == pytest.approx(2 * bf["mu"] * bf["e"] + bf["mu"] ** 2)
    assert build_modes(config).weight == pytest.approx(1)
    assert build_modes(config, (), ()).weight == pytest.approx(1)
    assert build_modes(config, "mu").weight == pytest.approx(
        2 * bf["mu"] - bf["mu"] ** 2 / config.modelled_fraction, rel=1e-3
    )
    drop = config.model_copy(update={"remainder": "drop"})
    assert build_modes(drop).weight == pytest.approx(config.modelled_fraction**2)
    assert 0.98 < config.modelled_fraction < 1
    signal = build_modes(config, "mu_alpha", "three_prong", boson_mass=1.2)
    assert signal.weight == pytest.approx(2 * sum(bf[k] for k in config.groups["three_prong"]))


def test_forced_pairs_occur_both_ways(config: TauDecaysConfig) -> None:
    modes = build_modes(config, "mu", ["e", "mu"])
    first, second = modes.draw(100_000, np.random.default_rng(3))
    mu, e = modes.names.index("mu"), modes.names.index("e")
    assert ((first == mu) | (second == mu)).all()
    both = ((first == mu) & (second == mu)).mean()
    assert both == pytest.approx(modes.bf[mu] ** 2 / modes.weight, abs=0.005)
    assert ((first == e).mean()) == pytest.approx((second == e).mean(), abs=0.01)


def test_two_body_signal_has_a_line_in_the_rest_frame(config: TauDecaysConfig) -> None:
    modes = build_modes(config, "e_alpha", "e_alpha", boson_mass=1.0)
    p, h = modes.samplers[0].sample(100, np.random.default_rng(1))
    np.testing.assert_allclose(2 * p[:, 0, 0] / modes.tau_mass, 1 - 1 / modes.tau_mass**2, atol=1e-6)
    assert not h.any()


def test_same_stream_same_bits(config: TauDecaysConfig) -> None:
    modes = build_modes(config)
    minus, plus, density = ee_tautau(2000, modes.tau_mass, np.random.default_rng(1))
    a, b = (decay_tau_pair(density, minus, plus, modes, np.random.default_rng(5)) for _ in range(2))
    assert a.momenta.tobytes() == b.momenta.tobytes()
    assert a.pdg.tobytes() == b.pdg.tobytes()
    assert decay_tau_pair(density[:0], minus[:0], plus[:0], modes, np.random.default_rng(5)).counts.size == 0


def test_errors_say_what_to_do(config: TauDecaysConfig) -> None:
    with pytest.raises(ConfigError, match=r"unknown tau decay mode 'muu'; known modes and groups: \['any'"):
        build_modes(config, "muu")
    with pytest.raises(ConfigError, match="heavier than the tau"):
        build_modes(config, "mu_alpha", "any", boson_mass=1.7)
    modes = build_modes(config, "pi", "pi")
    p = np.tile([5.0, 0, 0, np.sqrt(25 - 1.7**2)], (3, 1))
    with pytest.raises(InputError, match=r"a tau has the mass 1\.7 GeV, its decays were built for 1\.77693"):
        decay_single_tau(p, np.zeros((3, 3)), -1, modes, np.random.default_rng(1))
    with pytest.raises(InputError, match="allowed: -1 and 1"):
        decay_single_tau(p, np.zeros((3, 3)), 2, modes, np.random.default_rng(1))
    with pytest.raises(InputError, match=r"\(n, 4\) ordered"):
        decay_single_tau(p[:, :3], np.zeros((3, 3)), -1, modes, np.random.default_rng(1))
    good = p.copy()
    good[:, 3] = np.sqrt(25 - modes.tau_mass**2)
    with pytest.raises(InputError, match=r"\(3, 3\) is needed"):
        decay_single_tau(good, np.zeros(3), -1, modes, np.random.default_rng(1))
    with pytest.raises(InputError, match="do not fit 3 tau- momenta"):
        decay_tau_pair(np.zeros((2, 2, 2, 2, 2), complex), good, good, modes, np.random.default_rng(1))


def test_config_refuses_what_cannot_be(config: TauDecaysConfig) -> None:
    raw = read_yaml(CONFIG)
    mode = raw["modes"]["3pi"]
    for change, text in (
        ({"daughters": [-211, 211]}, "needs 3 daughters"),
        ({"resonances": []}, "needs resonances"),
        ({"a1": None}, "needs a1"),
        ({"bf": {"value": 0.5, "source": "published"}}, "add up to"),
    ):
        with pytest.raises(ValueError, match=text):
            TauDecaysConfig.model_validate({**raw, "modes": {**raw["modes"], "3pi": {**mode, **change}}})
    for groups, text in (
        ({"any": ["e"]}, "built in"),
        ({"e": ["e"]}, "name of a mode"),
        ({"x": ["y"]}, "unknown modes"),
    ):
        with pytest.raises(ValueError, match=text):
            TauDecaysConfig.model_validate({**raw, "groups": groups})
    with pytest.raises(ConfigError, match=r"products \[-411\] are not known"):
        build_modes(
            TauDecaysConfig.model_validate(
                {**raw, "modes": {**raw["modes"], "pi": {**raw["modes"]["pi"], "daughters": [-411]}}}
            ),
            "pi",
        )


@pytest.mark.parametrize(("name", "lepton"), [("e", 0.51099895e-3), ("mu", 0.1056583755)])
def test_the_lepton_of_a_tau_has_the_spectrum_that_templates_know(
    config: TauDecaysConfig, name: str, lepton: float
) -> None:
    modes = build_modes(config, name, "3pi")
    minus, plus, density = ee_tautau(40_000, modes.tau_mass, np.random.default_rng(4))
    d = decay_tau_pair(density, minus, plus, modes, np.random.default_rng(5))
    x = np.sort(true_lepton_fraction(d, minus, plus))
    assert np.all(np.isfinite(x))
    grid = np.linspace(2 * lepton / modes.tau_mass, 1 + (lepton / modes.tau_mass) ** 2, 4001)
    f = lepton_spectrum(grid, lepton, modes.tau_mass)
    cdf = np.concatenate([[0.0], np.cumsum(0.5 * (f[1:] + f[:-1]) * np.diff(grid))])
    # Kolmogorov and Smirnov: 1.63/sqrt(n) at one per cent
    assert np.max(np.abs(np.interp(x, grid, cdf) - (np.arange(len(x)) + 0.5) / len(x))) < 1.63 / np.sqrt(len(x))


def test_without_a_lepton_there_is_no_fraction(config: TauDecaysConfig) -> None:
    modes = build_modes(config, "pi", "rho")
    minus, plus, density = ee_tautau(20, modes.tau_mass, np.random.default_rng(4))
    d = decay_tau_pair(density, minus, plus, modes, np.random.default_rng(5))
    assert np.all(np.isnan(true_lepton_fraction(d, minus, plus)))
