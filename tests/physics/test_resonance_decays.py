"""Decays of narrow legs with the amplitude of the whole chain, against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from generator_tools import LIBRARY, MODEL, SYMMETRIC, TAUS, registry

from darkfactory.config.load import deep_merge, validate
from darkfactory.config.process import ProcessConfig
from darkfactory.core.errors import ConfigError
from darkfactory.generate.chunk import generate_chunk
from darkfactory.generate.gridpack import Effort, adapt
from darkfactory.generate.process import Process, build_process
from darkfactory.generate.resonance import decay_directions, pair_density
from darkfactory.generate.taus.decay import decay_tau_pair
from darkfactory.generate.taus.modes import build_modes
from darkfactory.generate.taus.spin import correlations
from darkfactory.generate.unweight import unweighted
from darkfactory.physics.constants import M_MU, M_TAU
from darkfactory.physics.kinematics import to_rest_frame

NO_ISR = {"isr": {"radiator": "none"}}
PIONS = build_modes(TAUS, "pi", "pi")
MODELS = {"zprime": ("m_Zp", 1.0), "scalar": ("m_phiL", M_MU / 246.22), "alp": ("m_a", M_MU)}
EFFORT = Effort(3, 6_000, 40_000)


def process(name: str, mass: float) -> Process:
    return registry(f"mumu_{name}_tautau", NO_ISR, {MODELS[name][0]: mass}, SYMMETRIC)


# sigma/g^2 in fb, derived: numerical integral of the closed Dalitz densities at 10.58 GeV, coupling g to muons only
@pytest.mark.parametrize(
    ("name", "mass", "sigma"),
    [
        ("zprime", 3.6, 7906.68), ("zprime", 9.5, 0.319776),
        ("scalar", 3.6, 2232.85), ("scalar", 9.5, 0.170531),
        ("alp", 3.6, 2215.04), ("alp", 9.5, 0.153813),
    ],
)  # fmt: skip
def test_born_cross_section(name: str, mass: float, sigma: float) -> None:
    pack = adapt(process(name, mass), 1, EFFORT)
    assert pack.sigma_fb == pytest.approx(sigma * MODELS[name][1] ** 2, abs=4 * pack.sigma_err_fb)
    assert pack.sigma_err_fb < 0.003 * pack.sigma_fb


def pair_of_pions(name: str, mass: float, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cosines of the pions' helicity angles in both taus, and of the angle between their decay planes."""
    built = process(name, mass)
    rng = np.random.default_rng(4)
    hard = unweighted(built, adapt(built, 1, EFFORT), n, rng)
    resonance = built.resonances[0]
    pair = decay_directions(resonance, built.amplitude, hard.p, rng)
    decays = decay_tau_pair(pair_density(resonance, hard.p, pair), *pair, PIONS, rng)
    x = hard.p[:, resonance.leg]
    pions = [decays.momenta[(np.abs(decays.pdg) == 211) & (decays.side == i)] for i in (0, 1)]
    taus = [to_rest_frame(p, x) for p in pair]
    axis = taus[0][:, 1:] / np.linalg.norm(taus[0][:, 1:], axis=1)[:, None]
    # in the frame of each tau, reached from that of the resonance
    rest = [to_rest_frame(to_rest_frame(p, x), t)[:, 1:] for p, t in zip(pions, taus, strict=True)]
    unit = [r / np.linalg.norm(r, axis=1)[:, None] for r in rest]
    cos = [(unit[0] * axis).sum(1), -(unit[1] * axis).sum(1)]
    across = [u - (u * axis).sum(1)[:, None] * axis for u in unit]
    across = [a / np.linalg.norm(a, axis=1)[:, None] for a in across]
    return cos[0], cos[1], (across[0] * across[1]).sum(1)


@pytest.mark.parametrize(
    ("name", "mass", "helicities", "plane"),
    [
        # spin 0: equal helicities; planes 1 -+ (pi^2/16) cos(phi) of a scalar and a pseudoscalar
        ("scalar", 5.0, 1.0, -(np.pi**2) / 32),
        ("alp", 5.0, 1.0, np.pi**2 / 32),
        # spin 1: opposite helicities but for a part 2 m^2/M^2
        ("zprime", 5.0, (2 * (M_TAU / 5.0) ** 2 - 1) / (2 * (M_TAU / 5.0) ** 2 + 1), None),
        ("zprime", 9.0, (2 * (M_TAU / 9.0) ** 2 - 1) / (2 * (M_TAU / 9.0) ** 2 + 1), None),
    ],
)
def test_spins_of_the_taus(name: str, mass: float, helicities: float, plane: float | None) -> None:
    n = 40_000
    first, second, planes = pair_of_pions(name, mass, n)
    # pi- follow 1 + P cos, pi+ 1 - P cos (their neutrino has the other helicity): the mean product is minus a ninth
    assert (first * second).mean() == pytest.approx(-helicities / 9, abs=4 / 3 / np.sqrt(n))
    assert first.mean() == pytest.approx(0, abs=4 / np.sqrt(3 * n))
    if plane is not None:
        assert planes.mean() == pytest.approx(plane, abs=4 / np.sqrt(2 * n))


def test_directions_follow_the_chain() -> None:
    built = process("zprime", 8.0)
    rng = np.random.default_rng(5)
    hard = unweighted(built, adapt(built, 1, EFFORT), 20_000, rng)
    resonance = built.resonances[0]

    def along(pair: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        # in the rest frame of the resonance: to the difference of the muons' momenta, the axis of its polarisation
        x = hard.p[:, resonance.leg]
        tau, minus, plus = (to_rest_frame(v, x)[:, 1:] for v in (pair[0], hard.p[:, 2], hard.p[:, 3]))
        axis = minus - plus
        return (tau * axis).sum(1) / np.linalg.norm(tau, axis=1) / np.linalg.norm(axis, axis=1)

    drawn = along(decay_directions(resonance, built.amplitude, hard.p, rng)) ** 2
    u = rng.random((2, len(hard.p)))
    flat = resonance.decay(hard.p, 2 * u[0] - 1, 2 * np.pi * u[1])
    weight = resonance.chain.squared(resonance.momenta(hard.p, flat)) / built.amplitude.squared(hard.p)
    weighted = np.average(along(flat) ** 2, weights=weight)
    assert drawn.mean() == pytest.approx(weighted, abs=5 * np.sqrt(2) * drawn.std() / np.sqrt(len(drawn)))
    assert drawn.mean() < 1 / 3 - 10 * drawn.std() / np.sqrt(len(drawn))


def test_spin_zero_is_fully_correlated() -> None:
    built = process("alp", 4.0)
    rng = np.random.default_rng(6)
    hard = unweighted(built, adapt(built, 1, EFFORT), 50, rng)
    pair = decay_directions(built.resonances[0], built.amplitude, hard.p, rng)
    one, two, c = correlations(pair_density(built.resonances[0], hard.p, pair))
    np.testing.assert_allclose(one, 0, atol=1e-6)
    np.testing.assert_allclose(two, 0, atol=1e-6)
    # a pure state of two spins: C is orthogonal
    np.testing.assert_allclose(c @ c.transpose(0, 2, 1), np.broadcast_to(np.eye(3), c.shape), atol=1e-5)


def test_record_of_a_chunk() -> None:
    built = process("scalar", 6.0)
    made = generate_chunk(built, adapt(built, 1, EFFORT), 200, np.random.default_rng(1), 0)
    event = made.events.particles[0]
    assert event.pdg.tolist()[:5] == [13, -13, 9000026, 15, -15]
    assert event.mother.tolist()[:5] == [-1, -1, -1, 2, 2]
    assert event.status.tolist()[:5] == [1, 1, 2, 2, 2]
    for tau in (3, 4):
        inside = [i for i, m in enumerate(event.mother.tolist()) if m == tau]
        total = sum(np.array([event.e[i], event.px[i], event.py[i], event.pz[i]]) for i in inside)
        assert total == pytest.approx([event.e[tau], event.px[tau], event.py[tau], event.pz[tau]], abs=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"final": ["mu-", "mu+", "Zp", "Zp"], "max_orders": {"NP": 2}}, "occurs 2 times"),
        ({"decays": {"Zp": {"products": ["gamma", "gamma"], "correlated": True}}}, "boson into two fermions"),
        ({"decays": {"Zp": {"products": ["mu-", "mu+"], "correlated": True}}}, "one tau pair is needed"),
        ({"final": ["tau-", "tau+", "Zp"]}, "one tau pair is needed"),
    ],
)
def test_decays_that_cannot_be_correlated(change: dict[str, object], message: str) -> None:
    value = deep_merge(LIBRARY.get("processes", "mumu_zprime_tautau"), change)
    with pytest.raises(ConfigError, match=message):
        build_process(validate(ProcessConfig, value), MODEL, {"m_Zp": 4.0}, SYMMETRIC, TAUS)


def test_wide_legs_have_no_pole() -> None:
    value = deep_merge(LIBRARY.get("processes", "mumu_zprime_tautau"), {"wide": "Zp"})
    with pytest.raises(ConfigError, match="resonance shape"):
        build_process(validate(ProcessConfig, value), MODEL, {"m_Zp": 5.0, "width_over_mass": 0.1}, SYMMETRIC, TAUS)
