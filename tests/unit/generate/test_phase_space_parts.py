from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from pydantic import ValidationError

from darkfactory.config.process import BiasConfig, LegCut, ProcessConfig, ProcessCuts, RouletteConfig
from darkfactory.core.errors import InputError
from darkfactory.core.seeds import generator
from darkfactory.generate.bias import make_biases, needs_lab, total_bias
from darkfactory.generate.gridpack import Gridpack, overweight_limit
from darkfactory.generate.grids import accumulate, density, refine, stretch, uniform
from darkfactory.generate.mappings import Map
from darkfactory.generate.radiation import ToLab
from darkfactory.generate.record import Particles
from darkfactory.generate.regions import make_region
from darkfactory.generate.roulette import survival
from darkfactory.physics.beams import beam_frame

KINDS = [Map("flat"), Map("log", 0.5), Map("bw", 4.0, 0.3), Map("soft"), Map("logit")]


@pytest.mark.parametrize("mapping", KINDS, ids=lambda m: m.kind)
def test_maps_invert_and_integrate(mapping: Map) -> None:
    u = generator(1, "map").random(50_000)
    lo, hi, top = (np.full(len(u), x) for x in (1.0, 9.0, 10.0))
    x = mapping.draw(u, lo, hi, top)
    back, slope = mapping.invert(x, lo, hi, top)
    assert np.allclose(back, u, atol=1e-12)
    assert x.min() >= 1.0
    assert x.max() <= 9.0
    # the integral of x^2 with any density
    values = x**2 * slope
    assert values.mean() == pytest.approx((9**3 - 1) / 3, abs=4 * values.std() / np.sqrt(len(u)) + 1e-9)


def test_grid_learns_a_peak() -> None:
    rng = generator(1, "grid")
    edges = uniform(1, 50)[0]
    for _ in range(8):
        y = stretch(edges, rng.random(5000))
        value, k = density(edges, y)
        f = np.exp(-(((y - 0.3) / 0.01) ** 2))
        edges = refine(edges, accumulate(k, (f / value) ** 2, 50))
    y = stretch(edges, rng.random(20_000))
    w = np.exp(-(((y - 0.3) / 0.01) ** 2)) / density(edges, y)[0]
    assert w.mean() == pytest.approx(0.01 * np.sqrt(np.pi), rel=0.02)
    assert w.std() / w.mean() < 0.6


def test_grid_without_events_stays() -> None:
    edges = np.linspace(0, 1, 5)
    assert refine(edges, np.zeros(4)) is edges


def test_grid_density_is_normalised() -> None:
    edges = np.array([0.0, 0.2, 0.25, 1.0])
    y = np.linspace(0, 1, 100_001)
    assert np.mean(density(edges, y)[0]) == pytest.approx(1.0, rel=1e-3)


def test_overweight_limit() -> None:
    w = generator(1, "w").exponential(size=100_000)
    limit = overweight_limit(w, 1e-3)
    assert np.maximum(w - limit, 0).sum() / w.sum() == pytest.approx(1e-3, rel=1e-6)
    # e^-x of an exponential distribution
    assert limit == pytest.approx(np.log(1000), rel=0.1)
    assert overweight_limit(np.zeros(3), 1e-3) == 0.0


def test_a_cross_section_that_moves_is_flagged() -> None:
    def pack(before: float) -> Gridpack:
        grids = np.ones(1), np.ones((1, 1, 2)), np.ones((2, 2))
        return Gridpack("d", "p", 10.0, 0.3, before, 0.4, 1.0, 1.0, 1.0, 1.0, *grids)

    assert pack(12.4).deviation == pytest.approx(4.8)
    assert pack(12.4).suspicious
    assert not pack(11.9).suspicious


def legs() -> list[SimpleNamespace]:
    return [SimpleNamespace(name=n, incoming=i < 2) for i, n in enumerate(["e-", "e+", "mu-", "mu+", "gamma"])]


def test_region_masks() -> None:
    cuts = {
        "legs": [{"leg": "gamma", "e_cms_min": 1.0, "cos_cms": [-0.5, 0.5]}],
        "pairs": [{"legs": ["mu-", "mu+"], "mass_min": 1.0, "mass_max": 9.0, "pt_min": 0.5}],
    }
    region = make_region(ProcessCuts.model_validate(cuts), legs())
    mu1 = np.array([[2.0, 2, 2, 2, 2], [0.6, 0.6, 0.6, 0.6, 0.1], [1.9, 1.9, 1.9, 0, 0], [0.0] * 5])
    mu2 = np.array([[2.0, 2, 2, 2, 2], [0.0] * 5, [-1.9, -1.9, -1.9, 0.0, 0], [0, 0, 0, 1.9, 1.9]])
    gamma = np.array([[2.0, 0.5, 2, 2, 2], [2.0, 0.5, 1, 2, 2], [0.0] * 5, [0.0, 0.0, 1.7, 0, 0]])
    assert region.passes([None, None, mu1, mu2, gamma]).tolist() == [True, False, False, True, False]
    assert region.least_mass(0b01100, [0, 0, 0.1, 0.1, 0]) == 1.0
    assert region.least_mass(0b11100, [0, 0, 0.1, 0.1, 0.3]) == pytest.approx(1.3)
    assert region.largest_mass2(0b01100) == 81.0
    assert region.largest_mass2(0b11100) == np.inf


def test_bias_observables() -> None:
    p = [None, None, np.array([[3.0], [1.0], [0.0], [1.0]]), np.array([[2.0], [0.0], [1.0], [0.5]]), None]
    root = np.array([10.0])

    def value(observable: str, *names: str) -> float:
        config = BiasConfig.model_validate(
            {"observable": observable, "legs": names, "points": [[-100.0, np.exp(-100)], [100.0, np.exp(100)]]}
        )
        return float(np.log(total_bias(make_biases([config], legs()), p, root))[0])

    assert value("pt_pair", "mu-", "mu+") == pytest.approx(np.sqrt(2))
    assert value("m2_recoil", "mu-", "mu+") == pytest.approx(25 - 1 - 1 - 2.25)
    assert value("x_pt_pair", "mu-", "mu+") == pytest.approx(np.sqrt(2) * 20 / (100 - 20.75))
    assert value("delta_phi", "mu-", "mu+") == pytest.approx(90.0)
    assert value("mass_pair", "mu-", "mu+") == pytest.approx(np.sqrt(25 - 4.25))
    assert value("cos_missing", "mu-", "mu+") == pytest.approx(-1.5 / np.sqrt(4.25))
    assert value("e_leg", "mu+") == pytest.approx(2.0)
    assert value("cos_leg", "mu-") == pytest.approx(1 / np.sqrt(2))


def test_bias_observables_of_the_laboratory() -> None:
    p = [None, None, np.array([[3.0], [1.0], [0.0], [1.0]]), np.array([[2.0], [0.0], [1.0], [0.5]]), None]
    # a boost along z with beta = 0.6, and a radiated photon backwards
    matrix = np.array([[[1.25, 0, 0, 0.75], [0, 1, 0, 0], [0, 0, 1, 0], [0.75, 0, 0, 1.25]]])
    lab = ToLab(matrix, np.zeros((1, 4)), np.array([[11.0, 0.0, 0.0, 3.0]]))

    def value(observable: str, *names: str) -> float:
        config = BiasConfig.model_validate(
            {"observable": observable, "legs": names, "points": [[-100.0, np.exp(-100)], [100.0, np.exp(100)]]}
        )
        biases = make_biases([config], legs())
        assert needs_lab(biases)
        with pytest.raises(InputError, match="radiated photon and beams"):
            total_bias(biases, p, np.array([10.0]))
        return float(np.log(total_bias(biases, p, np.array([10.0]), lab))[0])

    pair = np.array([5 * 1.25 + 1.5 * 0.75, 1.0, 1.0, 5 * 0.75 + 1.5 * 1.25])
    rest = np.array([11.0, 0, 0, 3]) - pair
    assert value("m2_total_recoil", "mu-", "mu+") == pytest.approx(rest[0] ** 2 - np.sum(rest[1:] ** 2))
    assert value("theta_lab_leg", "mu-") == pytest.approx(np.degrees(np.arctan2(1.0, 3 * 0.75 + 1.25)))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"observable": "pt_pair", "legs": ["a", "b"], "points": [[1, 1], [0, 1]]}, "must increase"),
        ({"observable": "pt_pair", "legs": ["a", "b"], "points": [[0, 0], [1, 1]]}, "must be positive"),
        ({"observable": "e_leg", "legs": ["a", "b"], "points": [[0, 1], [1, 1]]}, "needs 1"),
    ],
)
def test_wrong_biases(value: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        BiasConfig.model_validate(value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"pair": [13, 13], "points": [[1, 1], [0, 1]]}, "must increase"),
        ({"pair": [13, 13], "points": [[0, 0], [1, 1]]}, "above 0"),
        ({"pair": [13, 13], "points": [[0, 0.1], [1, 1.5]]}, "up to 1"),
        ({"pair": [13, -13], "points": [[0, 0.1], [1, 1]]}, "positive PDG"),
    ],
)
def test_wrong_roulettes(value: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        RouletteConfig.model_validate({"observable": "pt_pair", **value})


def test_roulette_takes_final_particles_of_both_kinds() -> None:
    # a decayed muon first, then a pion and a muon; in the second event no pion
    p = np.array([[9.0, 5.0, 0, 0], [2.0, 1.0, 0, 0], [2.0, 0.5, 0, 0], [2.0, 0.3, 0, 0]])
    pdg, status = np.array([13, -211, 13, 13]), np.array([2, 1, 1, 1])
    both = Particles(np.array([0, 0, 0, 1]), pdg, status, -np.ones(4, dtype=int), p, np.zeros((4, 3)))
    frame = beam_frame(5.29, 5.29, 0.0)

    def chance(pair: tuple[int, int]) -> list[float]:
        points = ((0.0, 1e-4), (4.0, 1.0))
        return survival([RouletteConfig(observable="pt_pair", pair=pair, points=points)], both, 2, frame).tolist()

    assert chance((13, 211)) == pytest.approx([10**-2.5, 1.0])
    assert chance((211, 13)) == pytest.approx([10**-2.5, 1.0])
    assert chance((13, 13)) == [1.0, 1.0]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"name": "p", "final": ["mu-"]}, "two or more products"),
        ({"name": "p", "engine": "pythia"}, "takes its cross-section"),
        (
            {
                "name": "p",
                "engine": "pythia",
                "normalisation": {"value": 1.0, "source": "assumed"},
                "roulette": [{"observable": "pt_pair", "pair": [13, 13], "points": [[0, 0.1], [1, 1]]}],
            },
            "the tree engine has them, engine .pythia. has not",
        ),
        ({"name": "p", "final": ["mu-", "mu+"], "wide": "Zp"}, "not in final"),
    ],
)
def test_wrong_processes(value: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ProcessConfig.model_validate(value)


def test_wrong_cosines() -> None:
    with pytest.raises(ValidationError, match="not an increasing range"):
        LegCut(leg="gamma", cos_cms=(0.5, -0.5))
