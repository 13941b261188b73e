"""Three tracks against one: events made by hand, and simulated tau -> l alpha."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
from generator_tools import LIBRARY, registry

from darkfactory.config.detector import DetectorConfig, SimulateOptions
from darkfactory.config.load import validate
from darkfactory.config.selection import SelectionConfig
from darkfactory.core.errors import ConfigError
from darkfactory.core.seeds import generator
from darkfactory.detector.simulate import simulate
from darkfactory.events.schema import CLUSTER, TRACK, zip_checked
from darkfactory.generate.chunk import generate_chunk
from darkfactory.generate.gridpack import Effort, adapt
from darkfactory.physics.beams import beam_frame
from darkfactory.physics.constants import M_E, M_PIPLUS, M_TAU
from darkfactory.physics.kinematics import boost
from darkfactory.select.preselect import preselect
from darkfactory.select.tau_topology import signed_thrust

FRAME = beam_frame(7.007, 4.0, 0.0415)
SELECTION = SelectionConfig.model_validate({"candidate": "tau_3x1", "objects": {"photons": {"min_e": 0.1}}})
FLAGS = ("is_e", "is_mu", "is_mu_tight", "is_k")


def vector(p: float, theta: float, phi: float, mass: float) -> np.ndarray:
    x, y, z = p * np.sin(theta) * np.cos(phi), p * np.sin(theta) * np.sin(phi), p * np.cos(theta)
    return np.array([np.hypot(p, mass), x, y, z])


THREE = [vector(1.0, 1.2, 0.0, M_PIPLUS), vector(1.5, 1.4, 0.2, M_PIPLUS), vector(0.8, 1.3, -0.2, M_PIPLUS)]
ELECTRON = vector(2.0, 1.9, np.pi, M_E)


def jag(columns: dict[str, np.ndarray], counts: list[int], schema: object) -> ak.Array:
    full = {k: np.asarray(columns.get(k, np.zeros(sum(counts)))) for k in schema}  # type: ignore[attr-defined]
    return zip_checked({k: ak.unflatten(v, counts) for k, v in full.items()}, schema)  # type: ignore[arg-type]


def run(
    tracks_cm: list[np.ndarray], charges: list[int], photons_cm: list[np.ndarray] | None = None, **flags: list[int]
):
    lab = FRAME.to_lab(np.asarray(tracks_cm))
    columns = {"px": lab[:, 1], "py": lab[:, 2], "pz": lab[:, 3], "charge": np.asarray(charges), **flags}
    photons = FRAME.to_lab(np.asarray(photons_cm)) if photons_cm else np.zeros((0, 4))
    clusters = {
        "e": photons[:, 0],
        "theta": np.arctan2(np.hypot(photons[:, 1], photons[:, 2]), photons[:, 3]),
        "phi": np.arctan2(photons[:, 2], photons[:, 1]),
        "track": -np.ones(len(photons)),
    }
    events = ak.zip(
        {
            "weight": [1.0],
            "event_id": [7],
            "tracks": jag(columns, [len(lab)], TRACK),
            "clusters": jag(clusters, [len(photons)], CLUSTER),
        },
        depth_limit=1,
    )
    return preselect(events, SELECTION, FRAME).columns


def mass2(p: np.ndarray) -> float:
    return float(p[0] ** 2 - np.sum(p[1:] ** 2))


def test_observables_by_hand() -> None:
    photons = [vector(1.0, 1.3, 0.1, 0.0), vector(0.5, 1.9, 3.0, 0.0)]
    got = run([ELECTRON, *THREE], [-1, 1, 1, -1], photons, is_e=[1, 0, 0, 0], is_k=[0, 1, 0, 0])
    assert len(got["weight"]) == 1
    three, root_s = np.sum(THREE, axis=0), FRAME.sqrts
    e, p = root_s / 2, np.sqrt(root_s**2 / 4 - M_TAU**2)
    # the textbook way: boost to the frame that moves against the three tracks
    beta = -three[1:] / np.linalg.norm(three[1:]) * p / e
    rest = boost(ELECTRON, -beta)
    neutrino = root_s / 2 - three[0]
    along = np.concatenate([[neutrino], neutrino * three[1:] / np.linalg.norm(three[1:])])
    lab = FRAME.to_lab(np.asarray(photons))[:, 0]
    expected = {
        "x_lepton": 2 * rest[0] / M_TAU,
        "m_three": np.sqrt(mass2(three)),
        "pseudomass": np.sqrt(mass2(three + along)),
        "p_one_cms": 2.0,
        "p_three_cms": np.linalg.norm(three[1:]),
        "e_visible_cms": three[0] + ELECTRON[0] + 1.5,
        "m2_missing": mass2(np.array([root_s, 0, 0, 0]) - three - ELECTRON - photons[0] - photons[1]),
        "e_photon_three": lab[0],
        "e_photon_one": lab[1],
        "n_photons": 2.0,
        "n_pi0": 0.0,
        "is_e": 1.0,
        "is_mu": 0.0,
        "n_k_three": 1.0,
    }
    assert {k: got[k][0] for k in expected} == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_pseudomass_follows_momentum_scale_and_energy() -> None:
    got = run([ELECTRON, *THREE], [-1, 1, 1, -1])
    three = np.sum(THREE, axis=0)

    def by_hand(p: np.ndarray, root_s: float) -> float:
        size = float(np.linalg.norm(p[1:]))
        return float(np.sqrt(mass2(p) + 2 * (root_s / 2 - p[0]) * (p[0] - size)))

    lab = FRAME.to_lab(np.asarray(THREE))
    space = 1.001 * lab[:, 1:]
    scaled = np.concatenate([np.sqrt((space**2).sum(1) + M_PIPLUS**2)[:, None], space], axis=1)
    assert got["pseudomass_scale"][0] == pytest.approx(by_hand(FRAME.to_cm(scaled).sum(0), FRAME.sqrts), rel=1e-9)
    assert got["pseudomass_energy"][0] == pytest.approx(by_hand(three, FRAME.sqrts + 0.01), rel=1e-9)


def test_only_three_against_one() -> None:
    charges = [-1, 1, 1, -1]
    assert len(run([ELECTRON, *THREE], charges)["weight"]) == 1
    back = [*THREE[:2], ELECTRON, vector(1.0, 1.8, np.pi, M_PIPLUS)]
    assert len(run(back, charges)["weight"]) == 0
    assert len(run([ELECTRON, *THREE], [1, 1, 1, -1])["weight"]) == 0
    assert len(run([ELECTRON, *THREE[:2]], [-1, 1, 0])["weight"]) == 0


def test_the_order_of_tracks_does_not_matter() -> None:
    first = run([ELECTRON, *THREE], [-1, 1, 1, -1], is_e=[1, 0, 0, 0])
    other = run([THREE[2], THREE[0], ELECTRON, THREE[1]], [-1, 1, -1, 1], is_e=[0, 0, 1, 0])
    for name in ("x_lepton", "pseudomass", "thrust", "is_e", "m2_pair_min"):
        assert other[name][0] == pytest.approx(first[name][0], rel=1e-12)


def test_thrust_is_the_largest_over_all_directions() -> None:
    p = np.random.default_rng(4).normal(size=(20, 4, 3))
    thrust, axis, side = signed_thrust(p)
    directions = np.random.default_rng(5).normal(size=(20_000, 3))
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    total = np.linalg.norm(p, axis=2).sum(1)
    scanned = np.abs(np.einsum("nij,dj->ndi", p, directions)).sum(2).max(1) / total
    assert (scanned <= thrust + 1e-12).all()
    np.testing.assert_allclose(scanned, thrust, rtol=2e-3)
    along = np.einsum("nij,nj->ni", p, axis)
    assert ((along > 0) == side).all()
    np.testing.assert_allclose(np.abs(along).sum(1) / total, thrust, rtol=1e-12)


def selected(final: str, mass: float, n: int = 4000) -> dict[str, np.ndarray]:
    process = registry(f"tautau_{final}_alpha", parameters={"m_alpha": mass})
    truth = generate_chunk(process, adapt(process, 1, Effort(2, 2000, 2000)), n, generator(1, "truth"), 0).events
    detector = validate(DetectorConfig, LIBRARY.get("detectors", "belle2"))
    seen = simulate(truth, detector, SimulateOptions(), generator(1, "simulate"))
    section = LIBRARY.get("searches", "tau_to_lepton_alpha")["selection"]
    return preselect(seen, validate(SelectionConfig, section), beam_frame(7.004, 4.002, 0.0415)).columns


@pytest.mark.parametrize(("final", "mass", "core"), [("e", 1.0, (0.58, 1.00)), ("mu", 0.5, (0.78, 1.35))])
def test_the_line_is_where_the_pseudo_rest_frame_leaves_it(final: str, mass: float, core: tuple[float, float]) -> None:
    # core: central 68 % of tau -> e alpha with another generator, without photons vetoed and other cuts
    columns = selected(final, mass)
    x = columns["x_lepton"][columns[f"is_{final}"] > 0.5]
    assert 0.15 < len(x) / 4000 < 0.35
    low, middle, high = np.quantile(x, [0.16, 0.5, 0.84])
    assert low == pytest.approx(core[0], abs=0.04)
    assert core[0] < middle < core[1]
    # cuts on photons and thrust take the worst of the tail
    assert 0.85 * core[1] < high < 1.03 * core[1]


def test_the_mass_of_alpha_is_a_parameter_of_the_model() -> None:
    with pytest.raises(ConfigError, match="unknown parameter 'm_beta' of model dark_qed; name one of its masses"):
        registry("tautau_e_alpha", {"taus": {"boson_mass": "m_beta"}})
    with pytest.raises(ConfigError, match="heavier than the tau"):
        registry("tautau_e_alpha", parameters={"m_alpha": 1.78})
