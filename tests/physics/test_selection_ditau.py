"""Events made by hand in the centre of mass, with the observables of mu mu tau tau known."""

from __future__ import annotations

import itertools

import awkward as ak
import numpy as np
import pytest

from darkfactory.config.selection import SelectionConfig
from darkfactory.events.schema import CLUSTER, TRACK, zip_checked
from darkfactory.physics.beams import beam_frame
from darkfactory.physics.constants import M_E, M_MU, M_PIPLUS
from darkfactory.select.ditau import four_track_thrust, pi0_count
from darkfactory.select.objects import Flat
from darkfactory.select.preselect import preselect

FRAME = beam_frame(7.007, 4.0, 0.0415)
SELECTION = SelectionConfig.model_validate(
    {
        "candidate": "dimuon_ditau",
        "objects": {"tracks": {"max_d0": 0.5, "max_z0": 2.0}, "photons": {"min_e": 0.1}},
    }
)


def jag(columns: dict[str, np.ndarray], counts: list[int], schema: object) -> ak.Array:
    full = {k: np.asarray(columns.get(k, np.zeros(sum(counts)))) for k in schema}  # type: ignore[attr-defined]
    return zip_checked({k: ak.unflatten(v, counts) for k, v in full.items()}, schema)  # type: ignore[arg-type]


def vector(p: float, theta: float, phi: float, mass: float) -> np.ndarray:
    x, y, z = p * np.sin(theta) * np.cos(phi), p * np.sin(theta) * np.sin(phi), p * np.cos(theta)
    return np.array([np.hypot(p, mass), x, y, z])


def run(
    tracks_cm: list[np.ndarray], charges: list[int], photons_cm: list[np.ndarray] | None = None, **flags: list[int]
):
    """One event; flags per track."""
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


MU_PLUS, MU_MINUS = vector(3.0, np.pi / 2, 0.0, M_MU), vector(2.0, np.pi / 2, np.pi / 2, M_MU)
ELECTRON, PION = vector(1.0, np.pi / 2, np.pi, M_E), vector(0.5, np.pi / 2, -np.pi / 2, M_PIPLUS)
PHOTON = vector(1.0, np.pi / 2, -2.0, 0.0)
FOUR = [MU_MINUS, ELECTRON, MU_PLUS, PION]


def test_observables_of_the_muons_and_of_the_taus() -> None:
    got = run(FOUR, [-1, -1, 1, 1], [PHOTON], is_mu=[1, 0, 1, 0], is_mu_tight=[1, 0, 1, 0], is_e=[0, 1, 0, 0])
    row = int(np.flatnonzero(got["n_mu_tight"] == 2)[0])
    root_s, e = FRAME.sqrts, MU_PLUS[0] + MU_MINUS[0]
    m2 = (root_s - e) ** 2 - 13.0
    seen = ELECTRON + PION + PHOTON
    missing = np.array([root_s - e, -3.0, -2.0, 0.0]) - seen

    def mass2(p: np.ndarray) -> float:
        return float(p[0] ** 2 - p[1] ** 2 - p[2] ** 2 - p[3] ** 2)

    recoil = np.array([root_s - e, -3.0, -2.0, 0.0])
    expected = {
        "m2_recoil": m2,
        "m_recoil": np.sqrt(m2),
        "m_four_tracks": np.sqrt(mass2(MU_PLUS + MU_MINUS + ELECTRON + PION)),
        "m_taus": np.sqrt(mass2(ELECTRON + PION)),
        "m2_missing": mass2(missing),
        "p_missing_cms": np.linalg.norm(missing[1:]),
        "p_lmax_cms": 3.0,
        "p_lmin_cms": 2.0,
        "p_tmax_cms": 1.0,
        "p_tmin_cms": 0.5,
        # the recoil is (-3, -2, 0): 2 across x and 3 across y
        "pt_recoil_lmax": 2.0,
        "pt_recoil_lmin": 3.0,
        "theta_recoil_cms": np.pi / 2,
        "x_visible": (seen @ (recoil * [1, -1, -1, -1])) / m2,
        "x_m2_missing": mass2(missing) / m2,
        "x_m_taus": np.sqrt(mass2(ELECTRON + PION) / m2),
        "n_e_tau": 1.0,
        "n_mu_tau": 0.0,
        "n_photons": 1.0,
        "n_pi0": 0.0,
        # all four signs are those of x and y: 3 + 1 along x, 2 + 0.5 along y
        "thrust": np.hypot(4.0, 2.5) / 6.5,
    }
    assert {k: got[k][row] for k in expected} == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_all_pairings_are_candidates() -> None:
    # a third muon among the taus' tracks: both pairs of opposite charge are kept
    got = run(FOUR, [-1, -1, 1, 1], is_mu=[1, 1, 1, 0], is_mu_tight=[1, 1, 1, 0])
    assert got["n_mu_tight"].tolist().count(2.0) == 2
    assert sorted(got["candidate"].tolist()) == [0, 1, 2, 3]
    # an electron that is taken for a muon moves a little in the CM
    found = zip(got["p_lmax_cms"], got["p_lmin_cms"], strict=True)
    pairs = {(round(float(a), 2), round(float(b), 2)) for a, b in found}
    assert pairs == {(3.0, 2.0), (3.0, 1.0), (2.0, 0.5), (1.0, 0.5)}


def test_slow_muons_need_no_muon_system() -> None:
    # in the laboratory the harder muon is far above and the softer one below the momentum
    muons = [vector(3.0, np.pi / 2, 0.0, M_MU), vector(0.3, np.pi / 2, np.pi / 2, M_MU)]
    got = run([muons[1], ELECTRON, muons[0], PION], [-1, -1, 1, 1], is_mu=[1, 0, 1, 0], is_mu_tight=[0, 0, 1, 0])
    assert sorted(got["n_mu_identified"].tolist()) == [0.0, 1.0, 1.0, 2.0]
    # of fast ones the tight decision is asked for
    got = run([muons[1], ELECTRON, muons[0], PION], [-1, -1, 1, 1], is_mu=[1, 0, 1, 0])
    assert max(got["n_mu_identified"]) == 1.0


@pytest.mark.parametrize(
    ("tracks", "charges"),
    [(FOUR, [1, -1, 1, 1]), (FOUR[:3], [1, -1, 1]), ([*FOUR, PION], [-1, -1, 1, 1, 1]), (FOUR[:2], [-1, 1])],
)
def test_only_four_tracks_of_zero_charge(tracks: list[np.ndarray], charges: list[int]) -> None:
    assert len(run(tracks, charges)["weight"]) == 0


def test_the_order_of_tracks_does_not_matter() -> None:
    charges, tight = np.array([-1, -1, 1, 1]), np.array([1, 0, 1, 0])
    found = []
    for order in itertools.permutations(range(4)):
        at = list(order)
        got = run([FOUR[i] for i in at], charges[at].tolist(), is_mu_tight=tight[at].tolist())
        row = int(np.flatnonzero(got["n_mu_tight"] == 2)[0])
        found.append([got[k][row] for k in ("m2_recoil", "m_taus", "x_pt_lmax", "x_tmin", "taus_angle", "cos_decay")])
    np.testing.assert_allclose(found, np.broadcast_to(found[0], np.shape(found)), rtol=1e-9)


def test_thrust_of_back_to_back_and_of_orthogonal_tracks() -> None:
    one = np.array([[1.0, 1.0, 0.0, 0.0]])
    cross = np.array([[1.0, 0.0, 1.0, 0.0]])
    assert four_track_thrust(one, one * [1, -1, 1, 1], one, one) == pytest.approx([1.0])
    assert four_track_thrust(one, one, cross, cross * [1, 1, -1, 1]) == pytest.approx([np.sqrt(0.5)])


def test_each_photon_belongs_to_one_pion() -> None:
    # at right angles with energies that make 135 MeV with one partner and 140 MeV with the other
    e = np.array([0.1349768**2 / 2, 1.0, 0.140**2 / 2, 0.03])
    angles = {"theta": np.full(4, np.pi / 2), "phi": np.array([0, np.pi / 2, np.pi, 3.0])}
    assert pi0_count(Flat(1, np.zeros(4, dtype=np.int64), {"e": e, **angles})).tolist() == [1.0]
    none = Flat(2, np.zeros(0, dtype=np.int64), {k: np.zeros(0) for k in ("e", "theta", "phi")})
    assert pi0_count(none).tolist() == [0, 0]
