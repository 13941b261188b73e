from __future__ import annotations

import numpy as np
import pytest

from darkfactory.config.detector import DetectorConfig
from darkfactory.detector.geometry import (
    calorimeter_hit_charged,
    calorimeter_hit_neutral,
    ecl_region,
    impact_parameters,
    lever_factor,
)

FIELD = 1.4523


def stepped(p: np.ndarray, charge: int, vertex: np.ndarray, ds: float = 0.01) -> np.ndarray:
    """Trajectory in a solenoid by small steps of the Lorentz force; x and p in cm and GeV."""
    x, q = vertex.copy(), p.copy()
    path = [x.copy()]
    turn = 0.00299792458 * FIELD * charge
    size = np.linalg.norm(p)
    for _ in range(60_000):
        middle = q + 0.5 * ds / size * turn * np.array([q[1], -q[0], 0.0])
        q = q + ds / size * turn * np.array([middle[1], -middle[0], 0.0])
        x = x + ds * 0.5 * (q + middle) / size
        path.append(x.copy())
        if np.hypot(x[0], x[1]) > 125 or x[2] > 196 or x[2] < -102:
            break
    return np.array(path)


@pytest.mark.parametrize(
    ("p", "charge", "vertex"),
    [
        ([0.6, 0.1, 0.2], 1, [0.0, 0.0, 0.0]),
        ([0.3, -0.4, -0.6], -1, [0.0, 0.0, 0.0]),
        ([0.2, 0.3, 1.5], 1, [1.0, 2.0, 3.0]),
        ([-0.5, 0.5, 0.1], -1, [20.0, -10.0, 5.0]),
        ([0.05, 0.05, 0.3], 1, [0.0, 0.0, 0.0]),
    ],
)
def test_helix_against_stepping(p: list[float], charge: int, vertex: list[float], belle2: DetectorConfig) -> None:
    momentum, start = np.array([p]), np.array([vertex])
    path = stepped(momentum[0], charge, start[0])
    theta, phi, hits = calorimeter_hit_charged(momentum, np.array([charge]), start, belle2.geometry)
    end = path[-1]
    assert hits[0]
    assert theta[0] == pytest.approx(np.arctan2(np.hypot(end[0], end[1]), end[2]), abs=2e-3)
    assert phi[0] == pytest.approx(np.arctan2(end[1], end[0]), abs=2e-3)


def test_curling_tracks_do_not_hit(belle2: DetectorConfig) -> None:
    # 2 R = 46 cm at 100 MeV, far from the barrel; perpendicular to the beam it never meets an endcap
    p = np.array([[0.1, 0.0, 1e-6]])
    assert not calorimeter_hit_charged(p, np.array([1]), np.zeros((1, 3)), belle2.geometry)[2][0]


def test_impact_parameters_against_stepping() -> None:
    p, vertex = np.array([0.4, 0.3, 0.5]), np.array([3.0, -4.0, 2.0])
    # backwards in time is a particle of opposite charge and momentum
    path = stepped(-p, -1, vertex, ds=0.005)
    radius = np.hypot(path[:, 0], path[:, 1])
    near = int(np.argmin(radius))
    forward = stepped(p, 1, vertex, ds=0.005)
    if np.hypot(forward[:, 0], forward[:, 1]).min() < radius.min():
        near, path = int(np.argmin(np.hypot(forward[:, 0], forward[:, 1]))), forward
    d0, z0 = impact_parameters(p[None], np.array([1]), vertex[None], FIELD)
    assert abs(d0[0]) == pytest.approx(np.hypot(path[near, 0], path[near, 1]), abs=2e-3)
    assert z0[0] == pytest.approx(path[near, 2], abs=1e-2)


def test_prompt_tracks_have_no_impact_parameter() -> None:
    rng = np.random.default_rng(1)
    d0, z0 = impact_parameters(rng.normal(size=(100, 3)), np.ones(100, np.int64), np.zeros((100, 3)), FIELD)
    assert np.abs(d0).max() < 1e-9
    assert np.abs(z0).max() < 1e-6


def test_neutral_hit_from_a_displaced_point(belle2: DetectorConfig) -> None:
    p, vertex = np.array([[1.0, 0.0, 0.5], [0.0, 0.0, 1.0]]), np.array([[0.0, 30.0, 10.0], [10.0, 0.0, 0.0]])
    theta, phi, inside = calorimeter_hit_neutral(p, vertex, belle2.geometry)
    x = np.sqrt(125.0**2 - 30.0**2)
    assert phi[0] == pytest.approx(np.arctan2(30, x))
    assert theta[0] == pytest.approx(np.arctan2(125.0, 10 + 0.5 * x))
    assert theta[1] == pytest.approx(np.arctan2(10, 196))
    assert inside.all()
    outside = calorimeter_hit_neutral(p[:1], np.array([[130.0, 0.0, 0.0]]), belle2.geometry)[2]
    assert not outside[0]


def test_regions(belle2: DetectorConfig) -> None:
    theta = np.radians([12.3, 12.5, 31.5, 33.0, 128.6, 129.0, 131.0, 155.0, 155.2])
    assert ecl_region(theta, belle2.acceptance).tolist() == [0, 1, 11, 2, 2, 13, 3, 3, 0]


def test_lever_arm(belle2: DetectorConfig) -> None:
    factor = lever_factor(np.array([0.0, 16.8, 60.0, 110.0]), belle2.geometry)
    assert factor[0] == 1.0
    assert factor[1] == 1.0
    # half of the chamber: a factor four and the loss of layers
    assert 3.0 < factor[2] < 5.5
    assert np.isfinite(factor[3])
