"""Pairs of leptons beside two taus: events made by hand, and generated ones with displaced electrons."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
from generator_tools import LIBRARY, registry

from darkfactory.config.detector import DetectorConfig, SimulateOptions
from darkfactory.config.load import validate
from darkfactory.config.selection import SelectionConfig
from darkfactory.config.skim import SkimConfig
from darkfactory.core.errors import InputError
from darkfactory.core.seeds import generator
from darkfactory.detector.simulate import simulate
from darkfactory.events.schema import CLUSTER, TRACK, VERTEX, zip_checked
from darkfactory.generate.chunk import generate_chunk
from darkfactory.generate.gridpack import Effort, adapt
from darkfactory.physics.beams import beam_frame
from darkfactory.physics.constants import M_E, M_MU, M_PI0, M_PIPLUS
from darkfactory.physics.lifetimes import lifetime_weight
from darkfactory.select.dilepton import OBSERVABLES, pion_mass
from darkfactory.select.objects import Flat
from darkfactory.select.preselect import preselect
from darkfactory.select.selected import Selected
from darkfactory.skim.skim import skim

FRAME = beam_frame(7.998213, 3.499218, 0.011)
NAMES = [o.name for o in OBSERVABLES]
SELECTION = SelectionConfig.model_validate(
    {"candidate": "tautau_dilepton", "objects": {"photons": {"min_e": 0.1}}, "observables": NAMES}
)


def jag(columns: dict[str, np.ndarray], n: int, schema: object) -> ak.Array:
    full = {k: np.asarray(columns.get(k, np.zeros(n))) for k in schema}  # type: ignore[attr-defined]
    return zip_checked({k: ak.unflatten(v, [n]) for k, v in full.items()}, schema)  # type: ignore[arg-type]


def vector(p: float, theta: float, phi: float, mass: float) -> np.ndarray:
    x, y, z = p * np.sin(theta) * np.cos(phi), p * np.sin(theta) * np.sin(phi), p * np.cos(theta)
    return np.array([np.hypot(p, mass), x, y, z])


def event(
    cms: list[np.ndarray], charge: list[int], vertices: dict[str, list[float]] | None = None, **flags: list[int]
) -> ak.Array:
    lab = FRAME.to_lab(np.asarray(cms))
    columns = {"px": lab[:, 1], "py": lab[:, 2], "pz": lab[:, 3], "charge": np.asarray(charge)}
    columns |= {k: np.asarray(v) for k, v in flags.items()}
    found = {k: np.asarray(v) for k, v in (vertices or {}).items()}
    return ak.zip(
        {
            "weight": [1.0],
            "event_id": [7],
            "tracks": jag(columns, len(cms), TRACK),
            "clusters": jag({}, 0, CLUSTER),
            "vertices": jag(found, len(found.get("distance", [])), VERTEX),
        },
        depth_limit=1,
    )


def columns(events: ak.Array) -> dict[str, np.ndarray]:
    return preselect(events, SELECTION, FRAME).columns


MINUS, PLUS = vector(1.0, 1.2, 0.0, M_E), vector(0.6, 1.2, 0.1, M_E)
PION, MUON = vector(0.5, 1.6, 2.5, M_PIPLUS), vector(0.7, 2.0, -1.6, M_MU)


def test_one_pair_of_electrons_and_its_vertex() -> None:
    other = {"track_minus": [2, 0], "track_plus": [1, 1], "r_xy": [9.0, 3.0], "distance": [9.0, 4.0]}
    found = {"sigma_distance": [1.0, 0.1], "probability": [0.5, 0.25], "cos_pointing": [-1.0, 1.0]}
    got = columns(
        event([MINUS, PLUS, MUON, PION], [-1, 1, -1, 1], other | found, is_e=[1, 1, 0, 0], is_mu=[0, 0, 1, 0])
    )
    assert len(got["m_ll"]) == 1
    assert got["is_ee"][0] == 1
    pair, rest = MINUS + PLUS, MUON + PION

    def mass(p: np.ndarray) -> float:
        return float(np.sqrt(p[0] ** 2 - p[1:] @ p[1:]))

    missing = np.array([FRAME.sqrts, 0, 0, 0]) - pair - rest
    expected = {
        "m_ll": mass(pair), "m2_ll": mass(pair) ** 2, "m_taus": mass(rest), "m_four_tracks": mass(pair + rest),
        "p_lmax_cms": 1.0, "p_lmin_cms": 0.6, "p_tmax_cms": 0.7, "p_tmin_cms": 0.5, "m2_missing": mass(missing) ** 2,
        "e_missing_cms": missing[0], "e_visible_cms": FRAME.sqrts - missing[0], "extra_energy": 0.0,
        "m_tau_side": min(mass(pair + MUON), mass(pair + PION)),
        "m_three_min": min(mass(p) for p in (pair + MUON, pair + PION, rest + MINUS, rest + PLUS)),
        "n_mu_tau": 1, "n_e_tau": 0,
        "p_ll_cms": np.linalg.norm(pair[1:]), "distance_ll": 4.0, "r_ll": 3.0, "significance_ll": 40.0,
        "probability_ll": 0.25, "pointing_ll": 0.0, "m_recoil": mass(np.array([FRAME.sqrts, 0, 0, 0]) - pair),
    }  # fmt: skip
    for name, value in expected.items():
        assert got[name][0] == pytest.approx(value, rel=1e-5, abs=1e-6), name


def test_four_muons_have_four_pairs_and_no_vertices() -> None:
    muons = [vector(p, 1.5, phi, M_MU) for p, phi in ((1.0, 0.0), (1.2, 1.0), (1.4, 2.0), (1.6, 4.0))]
    got = columns(event(muons, [1, -1, 1, -1], is_mu=[1, 1, 1, 1]))
    assert len(got["m_ll"]) == 4
    assert not got["is_ee"].any()
    pairs = [(0, 1), (0, 3), (2, 1), (2, 3)]
    masses = [np.sqrt((muons[i] + muons[j])[0] ** 2 - np.sum((muons[i] + muons[j])[1:] ** 2)) for i, j in pairs]
    np.testing.assert_allclose(np.sort(got["m_ll"]), np.sort(masses), rtol=1e-9)
    assert got["probability_ll"].tolist() == [-1.0] * 4
    assert got["distance_ll"].tolist() == [0.0] * 4


@pytest.mark.parametrize(
    ("charge", "flags"),
    [([-1, 1, -1, 1], {"is_e": [1, 0, 0, 0], "is_mu": [0, 1, 0, 0]}), ([-1, 1, 1, 1], {"is_e": [1, 1, 0, 0]})],
)
def test_no_pair_of_one_flavour_or_a_charge(charge: list[int], flags: dict[str, list[int]]) -> None:
    assert len(columns(event([MINUS, PLUS, MUON, PION], charge, **flags))["m_ll"]) == 0


def test_events_need_vertices() -> None:
    bare = event([MINUS, PLUS, MUON, PION], [-1, 1, -1, 1])[["weight", "event_id", "tracks", "clusters"]]
    with pytest.raises(InputError, match="vertices"):
        preselect(bare, SELECTION, FRAME)


N = 6000


def made(final: str, mass: float) -> Selected:
    process = registry(f"tautau_leptophilic_{final}", {}, {"m_phiL": mass})
    pack = adapt(process, 1, Effort(3, 5000, 5000))
    truth = generate_chunk(process, pack, N, generator(1, "truth"), 0).events
    detector = validate(DetectorConfig, LIBRARY.get("detectors", "belle2"))
    seen = simulate(truth, detector, SimulateOptions(vertices=True), generator(1, "simulate"))
    frame = beam_frame(7.004, 4.002, 0.0415)
    kept, _ = skim(seen, validate(SkimConfig, LIBRARY.get("skims", "tautau_dilepton")), frame)
    return preselect(kept, SELECTION, frame)


def width(values: np.ndarray, centre: float, near: float) -> float:
    """Half of the shortest interval with 68 % of the values near a centre."""
    x = np.sort(values[np.abs(values - centre) < near])
    k = int(0.68 * len(x))
    return float(np.min(x[k:] - x[:-k]) / 2)


def test_masses_of_muons() -> None:
    got = made("mumu", 2.0).columns
    own = np.abs(got["m_ll"] - 2.0) < 0.1
    assert 0.1 < np.sum(own) / N < 0.6
    assert width(got["m_ll"], 2.0, 0.1) == pytest.approx(0.006, abs=0.003)


def test_electrons_of_a_light_scalar_are_displaced_by_its_lifetime() -> None:
    found = made("ee", 0.1)
    got = {k: v[np.abs(found.columns["m_ll"] - 0.1) < 0.03] for k, v in found.columns.items()}
    assert width(got["m_ll"], 0.1, 0.03) == pytest.approx(0.0025, abs=0.0015)
    mean = []
    for ctau in (0.01, 0.1):
        w = lifetime_weight(got["proper_phiL"], got["density_phiL"], ctau)
        mean.append(float(np.average(np.minimum(got["r_ll"], 20.0), weights=w)))
    assert mean[1] > 3 * mean[0]


def test_the_photon_that_makes_a_pion_of_the_pair() -> None:
    photons = Flat(
        3,
        np.array([0, 0, 2]),
        {"e": np.array([0.1, 0.4, 0.5]), "theta": np.array([2.0, 0.3, 0.2]), "phi": np.array([0.0, 0.0, 1.0])},
    )
    pair = np.array([[0.5, 0.0, 0.0, 0.49], [0.5, 0.0, 0.0, 0.49], [0.6, 0.0, 0.0, 0.59], [0.5, 0.0, 0.0, 0.49]])
    found = pion_mass(np.array([0, 0, 1, 2]), pair, photons)

    def with_photon(energy: float, theta: float) -> float:
        total = pair[0] + energy * np.array([1.0, np.sin(theta), 0.0, np.cos(theta)])
        return float(np.sqrt(total[0] ** 2 - np.sum(total[1:] ** 2)))

    nearest = min((with_photon(0.1, 2.0), with_photon(0.4, 0.3)), key=lambda m: abs(m - M_PI0))
    np.testing.assert_allclose(found, [nearest, nearest, 0.0, with_photon(0.5, 0.2)], rtol=1e-9)
