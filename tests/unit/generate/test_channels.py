"""Each channel alone must give the volume of phase space and invert itself."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import dblquad, quad

from darkfactory.config.process import ProcessCuts
from darkfactory.core.seeds import generator
from darkfactory.generate.channels import Channel, make_channels
from darkfactory.generate.invariants import Kinematics
from darkfactory.generate.regions import make_region
from darkfactory.generate.topology import permute, topologies

S = 100.0
BEAM = 0.3


def make_legs(masses: list[float]) -> list[SimpleNamespace]:
    beams = [SimpleNamespace(name=n, pdg=p, mass=BEAM, incoming=True) for n, p in (("e-", 11), ("e+", -11))]
    finals = [SimpleNamespace(name=f"x{i}", pdg=1000 + i, mass=m, incoming=False) for i, m in enumerate(masses)]
    return [*beams, *finals]


def diagram(*masks: int) -> SimpleNamespace:
    """Lines with a mass in the t-channel, where it takes the peak away, and a light one in the s-channel."""
    lines = [SimpleNamespace(mask=m, mass=1.0 if m & 2 else 0.1, width=0.0) for m in masks]
    return SimpleNamespace(propagators=lines)


def build(masses: list[float], diagrams: list[SimpleNamespace]) -> tuple[list[SimpleNamespace], tuple[Channel, ...]]:
    legs = make_legs(masses)
    found = topologies(diagrams, len(legs))
    return legs, make_channels(found, [permute(t, legs) for t in found], legs, make_region(ProcessCuts(), legs))


def run(legs: list[SimpleNamespace], channel: Channel, n: int) -> tuple[NDArray[np.float64], ...]:
    """Random numbers, what inversion makes of the momenta, the volume elements, and total momenta."""
    region = make_region(ProcessCuts(), legs)
    rng = generator(1, "channel")
    s, m2 = np.full(n, S), [leg.mass**2 for leg in legs]
    u = rng.random((channel.dims, n))
    p, ok = channel.generate(Kinematics(region, legs, s, m2), u, rng.random((len(channel.steps), n)))
    back, volume = channel.invert(Kinematics(region, legs, s, m2, p))
    total = np.sum([q for q in p if q is not None], axis=0)
    return u, back, volume * ok, total


def two(s: float, a: float, b: float) -> float:
    lam = (s - (a + b) ** 2) * (s - (a - b) ** 2)
    return float(np.sqrt(max(lam, 0.0))) / (8 * np.pi * s)


THREE = [0.2, 0.5, 1.0]
FOUR = [0.2, 0.5, 1.0, 0.7]
DIAGRAMS_3 = {
    "s_tree": diagram(0b11100, 0b01100),
    "t_two_left": diagram(0b11010, 0b11000),
    "t_two_right": diagram(0b10010, 0b01100),
    "t_three": diagram(0b11010, 0b10010),
}
DIAGRAMS_4 = {
    "s_pairs": diagram(0b111100, 0b001100, 0b110000),
    "s_chain": diagram(0b111100, 0b011100, 0b001100),
    "t_pairs": diagram(0b110010, 0b001100, 0b110000),
    "t_middle": diagram(0b111010, 0b100010, 0b011000),
    "t_four": diagram(0b111010, 0b110010, 0b100010),
}


@pytest.mark.parametrize("name", DIAGRAMS_3)
def test_volume_of_three_products(name: str) -> None:
    a, b, c = THREE
    root = np.sqrt(S)
    exact = quad(lambda x: two(S, np.sqrt(x), c) * two(x, a, b) / (2 * np.pi), (a + b) ** 2, (root - c) ** 2)[0]
    legs, channels = build(THREE, [DIAGRAMS_3[name]])
    assert len(channels) == 1
    u, back, volume, total = run(legs, channels[0], 40_000)
    assert np.allclose(u, back, atol=2e-7)
    assert volume.mean() == pytest.approx(exact, abs=4 * volume.std() / 200)
    assert np.allclose(total[0], root)
    assert np.allclose(total[1:], 0, atol=1e-9)


@pytest.mark.parametrize("name", DIAGRAMS_4)
def test_volume_of_four_products(name: str) -> None:
    a, b, c, d = FOUR
    root = np.sqrt(S)
    exact = dblquad(
        lambda y, x: two(S, np.sqrt(x), np.sqrt(y)) * two(x, a, b) * two(y, c, d) / (2 * np.pi) ** 2,
        (a + b) ** 2, (root - c - d) ** 2, (c + d) ** 2, lambda x: (root - np.sqrt(x)) ** 2, epsrel=1e-4,
    )[0]  # fmt: skip
    legs, channels = build(FOUR, [DIAGRAMS_4[name]])
    u, back, volume, total = run(legs, channels[0], 60_000)
    assert np.allclose(u, back, atol=1e-6)
    assert volume.mean() == pytest.approx(exact, abs=4 * volume.std() / np.sqrt(60_000))
    assert volume.std() / np.sqrt(60_000) < 0.03 * exact
    assert np.allclose(total[1:], 0, atol=1e-9)


def test_transfers_of_electrons_are_exact_at_tiny_angles() -> None:
    """e e mu mu: -t down to 1e-11 GeV^2 comes back from the momenta."""
    legs = make_legs([0.51099895e-3, 0.1057, 0.1057, 0.51099895e-3])
    for leg in legs[:2]:
        leg.mass = 0.51099895e-3
    photon = SimpleNamespace(mass=0.0, width=0.0)
    lines = [SimpleNamespace(mask=m, mass=photon.mass, width=0.0) for m in (0b111010, 0b100010, 0b011000)]
    found = topologies([SimpleNamespace(propagators=lines)], 6)
    channel = make_channels(found, found, legs, make_region(ProcessCuts(), legs))[0]
    u, back, volume, _ = run(legs, channel, 20_000)
    assert np.mean(volume > 0) > 0.999
    assert np.quantile(np.abs(u - back), 0.999) < 1e-6


def test_identical_legs_share_a_group() -> None:
    legs = make_legs([0.0, 0.0, 0.0])
    for leg in legs[2:]:
        leg.name = "gamma"
    chains = [diagram(0b11110 ^ 1 << i, 1 << k | 2) for i, j, k in itertools.permutations((2, 3, 4))]
    found = topologies(chains, 5)
    assert len(found) == 6
    assert len({permute(t, legs) for t in found}) == 1


def test_a_hard_line_is_asked_for_where_a_pair_has_transverse_momentum() -> None:
    cuts = ProcessCuts.model_validate({"pairs": [{"legs": ["x1", "x2"], "pt_min": 0.4}]})
    legs = make_legs(FOUR)
    lines = [SimpleNamespace(mask=m, mass=0.0, width=0.0) for m in (0b111010, 0b100010, 0b011000)]
    found = topologies([SimpleNamespace(propagators=lines)], 6)
    channels = make_channels(found, found, legs, make_region(cuts, legs))
    assert [[round(s.floor, 6) for s in c.steps[:2]] for c in channels] == [[0.04, 0.0], [0.0, 0.04]]
    assert channels[0].group != channels[1].group
