"""Two-track vertices: what is found, how well, and what the trigger makes of the same tracks."""

from __future__ import annotations

from pathlib import Path

import awkward as ak
import detector_toys as toys
import numpy as np
import pytest

from darkfactory.config.detector import DetectorConfig, SimulateOptions
from darkfactory.config.library import Library
from darkfactory.config.load import deep_merge, validate
from darkfactory.config.trigger import TriggerMenu
from darkfactory.core.errors import ConfigError
from darkfactory.core.seeds import generator
from darkfactory.detector.simulate import simulate
from darkfactory.events.schema import VERTEX
from darkfactory.store.arrays import content_digest
from darkfactory.trigger.emulate import emulate, fired

LIBRARY = Library(Path(__file__).parents[2] / "config")
WITH = SimulateOptions(vertices=True)


def pairs(radius: float | np.ndarray, n: int, mass: float = 1.0, p: float = 2.5) -> ak.Array:
    """Neutral particles of 60 to 110 degrees that decay to two muons at a transverse radius in cm."""
    rng = generator(3, "pairs", f"{mass} {p}")
    theta, phi = np.radians(rng.uniform(60, 110, n)), rng.uniform(-np.pi, np.pi, n)
    unit = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], axis=1)
    parent = np.concatenate([np.full((n, 1), np.hypot(p, mass)), p * unit], axis=1)
    k = np.sqrt(mass**2 / 4 - toys.M_MU**2) * toys.isotropic(n, rng)
    both = [toys.boost(np.concatenate([np.full((n, 1), mass / 2), s * k], axis=1), parent) for s in (1, -1)]
    vertex = unit / np.sin(theta)[:, None] * np.broadcast_to(radius, n)[:, None]
    return toys.record(np.stack(both, axis=1), [13, -13], np.stack([vertex, vertex], axis=1))


def reconstructed(events: ak.Array, stream: str, options: SimulateOptions = WITH) -> ak.Array:
    return simulate(events, toys.detector(), options, generator(5, stream))


def quiet() -> DetectorConfig:
    """Belle II without tracks of the beams."""
    value = toys.detector_yaml()
    value["beam_background"]["tracks_per_event"]["value"] = 0.0
    return DetectorConfig.model_validate(value)


def test_the_option_adds_a_collection_and_changes_nothing_else() -> None:
    events = pairs(5.0, 500)
    plain = reconstructed(events, "same", SimulateOptions())
    more = reconstructed(events, "same")
    assert set(more.fields) - set(plain.fields) == {"vertices"}
    assert more.vertices.fields == list(VERTEX)
    assert content_digest(more[plain.fields]) == content_digest(plain)


@pytest.mark.parametrize("radius", [0.0, 0.5, 6.0, 30.0])
def test_vertices_are_where_they_were_made_within_their_uncertainties(radius: float) -> None:
    events = pairs(radius, 6000)
    found = reconstructed(events, f"pull {radius}")
    v = ak.flatten(found.vertices[found.vertices.same])
    pull = (ak.to_numpy(v.r_xy) - radius) / ak.to_numpy(v.sigma_r)
    if radius > 0:
        # the beam spot adds 11 um; everything is in the core of a Gaussian
        assert np.std(pull) == pytest.approx(1.0, abs=0.1)
        assert abs(np.mean(pull)) < 0.1
    size = float(np.median(np.abs(ak.to_numpy(v.r_xy) - radius)))
    # 15 um prompt, 0.1 mm in the silicon detector, 1.5 mm in the chamber, times geometry of the pair
    low, high = {0.0: (5e-4, 6e-3), 0.5: (5e-4, 6e-3), 6.0: (4e-3, 3e-2), 30.0: (0.05, 0.4)}[radius]
    assert low < size < high


def test_the_efficiency_falls_with_the_square_of_the_tracks() -> None:
    detector, radius = quiet(), np.array([1.0, 35.0, 60.0, 75.0])
    events = pairs(np.repeat(radius, 5000), 20_000)
    found = simulate(events, detector, WITH, generator(5, "efficiency"))
    kept = ak.to_numpy(ak.num(found.vertices)).reshape(4, 5000).mean(axis=1)
    both = ak.to_numpy(ak.num(found.tracks) == 2).reshape(4, 5000).mean(axis=1)
    relative = detector.displaced.efficiency_vs_r_cm(radius)
    # some pairs reach neither the chamber's acceptance nor its ends
    np.testing.assert_allclose(both[1:] / both[0], (relative[1:] / relative[0]) ** 2, rtol=0.08, atol=0.02)
    np.testing.assert_allclose(kept / both, 0.95, atol=0.03)


def test_vertices_of_two_body_decays_point_back_and_three_body_ones_do_not() -> None:
    found = reconstructed(pairs(6.0, 2000), "pointing").vertices
    cosine = ak.to_numpy(ak.flatten(found[found.same].cos_pointing))
    assert np.quantile(cosine, 0.1) > 0.9999


def test_tracks_of_different_points_have_no_vertex() -> None:
    near, far = pairs(0.0, 3000), pairs(20.0, 3000)
    one = ak.to_numpy(ak.ones_like(near.weight)) > 0
    first, second = near.particles[:, :1], far.particles[:, 1:]
    mixed = ak.with_field(near, ak.concatenate([first, second], axis=1), "particles")[one]
    found = simulate(mixed, quiet(), WITH, generator(5, "mixed"))
    assert not ak.any(found.vertices.same)
    assert ak.sum(ak.num(found.vertices)) < 0.02 * len(mixed)


def test_prompt_tracks_of_nearly_one_point_have_a_prompt_vertex() -> None:
    # as those of two taus: 0.1 mm apart
    first, second = pairs(0.0, 3000).particles[:, :1], pairs(0.01, 3000).particles[:, 1:]
    base = pairs(0.0, 3000)
    mixed = ak.with_field(base, ak.concatenate([first, second], axis=1), "particles")
    found = simulate(mixed, quiet(), WITH, generator(5, "taus"))
    r = ak.to_numpy(ak.flatten(found.vertices.r_xy))
    assert len(r) > 0.3 * len(mixed)
    assert np.quantile(r, 0.95) < 0.3


def test_a_detector_without_the_section_is_refused() -> None:
    value = toys.detector_yaml()
    del value["vertices"]
    with pytest.raises(ConfigError, match="detector belle2 has no section `vertices`"):
        simulate(pairs(1.0, 10), DetectorConfig.model_validate(value), WITH, generator(1, "none"))


def test_tracks_far_from_the_beams_are_for_the_planned_line_only() -> None:
    near = {"value": 0.05, "source": "assumed", "range": [0, 1]}
    change = {"l1_objects": {"tracks": {"max_d0_cm": near}}, "l1": {"lines": {"displaced_vertex": {"enabled": True}}}}
    change["l1"]["lines"]["two"] = {"expr": "n2d >= 2", "source": "assumed"}
    base = deep_merge(LIBRARY.get("triggers", "belle2_phase3"), change, {"name": "x"})
    found = simulate(pairs(35.0, 1000), quiet(), WITH, generator(5, "trigger"))
    menu = validate(TriggerMenu, base)
    bits = ak.to_numpy(emulate(found, menu, toys.nominal_frame(toys.detector().beams), generator(5, "noise")).l1)
    # muons of 1 GeV from 2.5 GeV point past the beams by centimetres
    assert fired(bits, menu, "l1", "two").mean() < 0.01
    assert fired(bits, menu, "l1", "displaced_vertex").mean() > 0.2


def test_the_displaced_vertex_lines_find_the_same_vertices() -> None:
    lines = {
        "l1": {"lines": {"displaced_vertex": {"enabled": True}}},
        "hlt": {"lines": {"displaced_vertex": {"enabled": True}}},
    }
    menu = validate(TriggerMenu, deep_merge(LIBRARY.get("triggers", "belle2_phase3"), lines, {"name": "x"}))
    radius = np.array([0.5, 10.0, 35.0, 70.0])
    found = simulate(pairs(np.repeat(radius, 1500), 6000), quiet(), WITH, generator(5, "trigger"))
    decided = emulate(found, menu, toys.nominal_frame(toys.detector().beams), generator(5, "noise"))
    both = ak.to_numpy(ak.num(found.tracks) == 2).reshape(4, 1500)

    def share(level: str) -> np.ndarray:
        bits = fired(ak.to_numpy(decided[level]), menu, level, "displaced_vertex").reshape(4, 1500)  # type: ignore[arg-type]
        return (bits & both).sum(axis=1) / np.maximum(both.sum(axis=1), 1)

    l1, hlt = share("l1"), share("hlt")
    # HLT: 3 to 60 cm; L1: 17 to 60 cm
    assert max(hlt[0], hlt[3]) < 0.02
    assert min(hlt[1], hlt[2]) > 0.8
    assert max(l1[0], l1[1], l1[3]) < 0.02
    assert l1[2] > 0.6
