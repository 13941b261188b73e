"""The trigger on physics: mu mu Z', Bhabha and three-photon events made here from their matrix elements."""

from __future__ import annotations

import functools
from pathlib import Path

import awkward as ak
import numpy as np
import pytest

from darkfactory.config.detector import DetectorConfig, SimulateOptions
from darkfactory.config.library import Library
from darkfactory.config.load import deep_merge, validate
from darkfactory.config.skim import SkimConfig
from darkfactory.config.trigger import TriggerMenu
from darkfactory.detector.simulate import simulate
from darkfactory.events.schema import CLUSTER, PARTICLE, TRACK, zip_checked
from darkfactory.physics.beams import beam_frame
from darkfactory.skim.skim import skim
from darkfactory.trigger.efficiency import efficiency_table
from darkfactory.trigger.emulate import emulate, fired, line_weight, trigger_weight
from darkfactory.trigger.rates import accepted, rates

LIBRARY = Library(Path(__file__).parents[2] / "config")
FRAME = beam_frame(7.004, 4.002, 0.0415)
SQRTS = FRAME.sqrts
M_MU = 0.10566
ONE = {"value": 1.0, "source": "assumed"}
PERFECT = {"l1_objects": {"tracks": {"efficiency": ONE, "short_efficiency": ONE}}}


@functools.cache
def menu(name: str, perfect: bool = False) -> TriggerMenu:
    values = deep_merge(LIBRARY.get("triggers", name), PERFECT if perfect else {}, {"name": name})
    return validate(TriggerMenu, values)


def record(tracks: dict[str, np.ndarray], clusters: dict[str, np.ndarray], weight: np.ndarray) -> ak.Array:
    """Events with equal numbers of tracks and of clusters, columns of shape (n, k); missing columns are 0."""

    def jagged(columns: dict[str, np.ndarray], schema: dict[str, str]) -> ak.Array:
        shape = next(iter(columns.values())).shape
        return zip_checked({n: ak.from_regular(columns.get(n, np.zeros(shape))) for n in schema}, schema)

    return ak.zip(
        {
            "weight": weight,
            "event_id": np.arange(len(weight)),
            "tracks": jagged(tracks, dict(TRACK)),
            "clusters": jagged(clusters, dict(CLUSTER)),
        },
        depth_limit=1,
    )


def track_columns(p: np.ndarray) -> dict[str, np.ndarray]:
    """Two tracks, the first negative, from laboratory momenta (n, 2, 4)."""
    charge = np.broadcast_to([-1, 1], p.shape[:2])
    return {"charge": charge, "px": p[..., 1], "py": p[..., 2], "pz": p[..., 3], "cluster_e": np.full(p.shape[:2], 0.2)}


def cluster_columns(p: np.ndarray, track: np.ndarray | None = None) -> dict[str, np.ndarray]:
    theta = np.arctan2(np.hypot(p[..., 1], p[..., 2]), p[..., 3])
    columns = {
        "e": p[..., 0],
        "theta": theta,
        "phi": np.arctan2(p[..., 2], p[..., 1]),
        "dt99": np.full(theta.shape, 5.0),
    }
    photon = np.ones(theta.shape)
    return columns | {"photon_like": photon, "track": np.full(theta.shape, -1) if track is None else track}


def polar(p: np.ndarray) -> np.ndarray:
    return np.degrees(np.arctan2(np.hypot(p[..., 1], p[..., 2]), p[..., 3]))


# mu mu Z' -------------------------------------------------------------------------------------------------------

SIGMA = [np.array(m, dtype=complex) for m in ([[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]])]
GAMMA = np.stack(
    [np.block([[np.eye(2), np.zeros((2, 2))], [np.zeros((2, 2)), -np.eye(2)]])]
    + [np.block([[np.zeros((2, 2)), s], [-s, np.zeros((2, 2))]]) for s in SIGMA]
)
METRIC = np.array([1.0, -1.0, -1.0, -1.0])


def slash(p: np.ndarray) -> np.ndarray:
    return np.einsum("nm,mab->nab", p * METRIC, GAMMA)


def mumu_vector(mass: float, n: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """CM momenta (n, 2, 4) of the muons of e+e- -> mu- mu+ V and weights: Dalitz variables in logarithms."""
    rng = np.random.default_rng(seed)
    a, r = (M_MU / SQRTS) ** 2, (mass / SQRTS) ** 2
    low = a + np.sqrt(a * r)
    log_u, log_v = rng.uniform(np.log(low), np.log(1.0), (2, n))
    u, v = np.exp(log_u), np.exp(log_v)
    e1, e2 = 0.5 * SQRTS * (1 - u), 0.5 * SQRTS * (1 - v)
    e3 = SQRTS - e1 - e2
    with np.errstate(invalid="ignore"):
        k1, k2, k3 = (np.sqrt(e * e - m * m) for e, m in ((e1, M_MU), (e2, M_MU), (e3, mass)))
        cosine = (k3**2 - k1**2 - k2**2) / (2 * k1 * k2)
    good = np.abs(np.nan_to_num(cosine, nan=2.0)) < 1
    u, v, e1, e2, k1, k2, cosine = (x[good] for x in (u, v, e1, e2, k1, k2, cosine))
    n = len(u)
    # a random orientation of the decay plane
    axes, _ = np.linalg.qr(rng.normal(size=(n, 3, 3)))
    n1, n2 = axes[:, :, 0], axes[:, :, 1]
    d2 = cosine[:, None] * n1 + np.sqrt(1 - cosine**2)[:, None] * n2
    p1 = np.concatenate([e1[:, None], k1[:, None] * n1], axis=1)
    p2 = np.concatenate([e2[:, None], k2[:, None] * d2], axis=1)
    q = np.array([SQRTS, 0, 0, 0]) - p1 - p2
    one = np.eye(4)
    s1 = (slash(p1 + q) + M_MU * one) / (SQRTS**2 * v)[:, None, None]
    s2 = (-slash(p2 + q) + M_MU * one) / (SQRTS**2 * u)[:, None, None]
    left, right = slash(p1) + M_MU * one, slash(p2) - M_MU * one
    squared = np.zeros(n)
    for mu in (1, 2):  # unpolarised massless beams along z: transverse currents only
        for alpha in range(4):
            vertex = GAMMA[alpha] @ s1 @ GAMMA[mu] + GAMMA[mu] @ s2 @ GAMMA[alpha]
            bar = GAMMA[0] @ np.conj(np.swapaxes(vertex, 1, 2)) @ GAMMA[0]
            squared -= METRIC[alpha] * np.einsum("nab,nbc,ncd,nda->n", left, vertex, right, bar, optimize=True).real
    return np.stack([p1, p2], axis=1), squared * u * v


@functools.cache
def zprime_events(mass: float) -> tuple[ak.Array, np.ndarray]:
    p_cm, weight = mumu_vector(mass, 60_000)
    p = FRAME.to_lab(p_cm)
    momentum = np.linalg.norm(p[..., 1:], axis=-1)
    columns = track_columns(p) | {"klm": (momentum > 1.0) & (polar(p) > 40) & (polar(p) < 125)}
    sample = record(columns, cluster_columns(np.zeros((len(p), 0, 4))), weight)
    return sample, p


def in_range(p: np.ndarray, low: float, high: float) -> np.ndarray:
    return ((polar(p) > low) & (polar(p) < high)).all(axis=1)


@pytest.mark.parametrize(
    ("mass", "two_track", "muon"),
    [(0.5, 0.50, 0.67), (1, 0.48, 0.68), (2, 0.43, 0.71), (3, 0.40, 0.73), (5, 0.34, 0.73), (7, 0.32, 0.73)],
)
def test_acceptance_of_the_zprime_lines(mass: float, two_track: float, muon: float) -> None:
    """The toy Monte Carlo of the channel's notes: two tracks in 37 to 120 degrees and open, one muon at the KLM."""
    sample, p = zprime_events(mass)
    weight = np.asarray(sample["weight"])
    out = emulate(sample, menu("belle2_phase3", perfect=True), FRAME, np.random.default_rng(1))
    table = {e.name: e for e in efficiency_table(out, menu("belle2_phase3", perfect=True), ["ffo", "cdcklm1"], weight)}
    phi = np.degrees(np.arctan2(p[..., 2], p[..., 1]))
    opening = np.abs(np.mod(phi[:, 0] - phi[:, 1] + 180, 360) - 180)
    geometry = in_range(p, 37, 120) & (opening > 90) & (np.hypot(p[..., 1], p[..., 2]) > 0.3).all(axis=1)
    truth = weight @ geometry / weight.sum()
    assert table["ffo"].condition == pytest.approx(truth, abs=0.03)  # bins of ten degrees
    assert table["ffo"].condition == pytest.approx(two_track, abs=0.05)
    assert table["cdcklm1"].condition == pytest.approx(muon, abs=0.09)
    assert table["any"].condition >= table["cdcklm1"].condition


def test_two_track_plateau_of_2018() -> None:
    """79 % inside 37 to 120 degrees (recalled), tracks and line together."""
    sample, p = zprime_events(2)
    phi = np.degrees(np.arctan2(p[..., 2], p[..., 1]))
    opening = np.abs(np.mod(phi[:, 0] - phi[:, 1] + 180, 360) - 180)
    inside = in_range(p, 37, 120) & (opening > 105) & (np.hypot(p[..., 1], p[..., 2]) > 0.3).all(axis=1)
    out = emulate(sample[inside], menu("belle2_phase2"), FRAME, np.random.default_rng(1))
    weight = np.asarray(out["weight"])
    plateau = weight @ trigger_weight(out, menu("belle2_phase2"), ["ffo"], []) / weight.sum()
    assert plateau == pytest.approx(0.79, abs=0.02)


def test_hlt_keeps_zprime_events_of_the_middle_masses() -> None:
    """The two-track filter lines lose only what points down the beam pipe."""
    sample, p = zprime_events(3)
    inside = in_range(p, 37, 120)
    out = emulate(sample[inside], menu("belle2_phase3"), FRAME, np.random.default_rng(1))
    weight = np.asarray(out["weight"])
    kept = weight @ line_weight(out["hlt"], menu("belle2_phase3"), "hlt", ["two_mid", "two_low", "two_high"])
    assert kept / weight.sum() > 0.95


# Bhabha ---------------------------------------------------------------------------------------------------------


def test_bhabha_rates_against_the_design_table() -> None:
    """44 nb beyond 17 degrees at 8e35 /cm2/s, one in a hundred kept: 350 Hz; the vetoed lines keep few."""
    rng = np.random.default_rng(2)
    n, edge = 40_000, 0.97
    # d sigma / d Omega = alpha^2 / 4s ((3 + c^2) / (1 - c))^2, drawn flat in 1/(1-c)
    t = rng.uniform(1 / (1 + edge), 1 / (1 - edge), n)
    c = 1 - 1 / t
    sigma_nb = 2 * np.pi * (1 / 137.036) ** 2 / (4 * SQRTS**2) * (3 + c * c) ** 2 * 0.3894e6
    weight = sigma_nb * 1e6 * (1 / (1 - edge) - 1 / (1 + edge))
    phi, s = rng.uniform(0, 2 * np.pi, n), np.sqrt(1 - c * c)
    axis = np.stack([s * np.cos(phi), s * np.sin(phi), c], axis=1)
    one = np.ones((n, 1))
    pair = 0.5 * SQRTS * np.stack([np.hstack([one, axis]), np.hstack([one, -axis])], axis=1)
    p = FRAME.to_lab(pair)
    beyond = in_range(p, 17, 150)
    visible = weight * beyond
    assert visible.mean() / 1e6 == pytest.approx(44, rel=0.25)  # nb, lowest order
    columns = track_columns(p) | {"cluster_e": p[..., 0]}
    tracks = np.broadcast_to([0, 1], p.shape[:2])
    sample = record(columns, cluster_columns(p, tracks), visible)
    m = menu("belle2_phase3")
    out = emulate(sample, m, FRAME, rng)
    seen = out[beyond]
    vetoed = fired(seen["l1"], m, "l1", "bha3d")
    w = np.asarray(seen["weight"])
    assert w @ vetoed / w.sum() > 0.9
    lines = {r.line: r.rate for r in rates({"bhabha": accepted(out, m)}, m, 80.0).l1.lines}
    assert lines["bha3d"] == pytest.approx(350, rel=0.3)
    assert lines["hie"] < 0.1 * 100 * lines["bha3d"]
    assert lines["ffo"] < 0.1 * 100 * lines["bha3d"]
    two_legs = fired(seen["hlt"], m, "hlt", "two_high") | fired(seen["hlt"], m, "hlt", "two_mid")
    assert not two_legs.any()


# photons --------------------------------------------------------------------------------------------------------


def alp_photons(mass: float, n: int) -> np.ndarray:
    """CM momenta (n, 3, 4) of e+e- -> gamma a, a -> gamma gamma, 1 + cos^2 about the beam."""
    rng = np.random.default_rng(3)
    c = rng.uniform(-1, 1, 4 * n)
    c = c[rng.uniform(0, 2, 4 * n) < 1 + c * c][:n]
    phi, s = rng.uniform(0, 2 * np.pi, n), np.sqrt(1 - c * c)
    axis = np.stack([s * np.cos(phi), s * np.sin(phi), c], axis=1)
    energy = (SQRTS**2 - mass**2) / (2 * SQRTS)
    gamma, beta = (SQRTS - energy) / mass, energy / (SQRTS - energy)
    d = rng.normal(size=(n, 3))
    d /= np.linalg.norm(d, axis=1, keepdims=True)
    along = -np.sum(d * axis, axis=1)
    photons = [np.hstack([np.full((n, 1), energy), energy * axis])]
    for sign in (1, -1):
        e = 0.5 * mass * gamma * (1 + sign * beta * along)
        parallel = 0.5 * mass * (gamma * (sign * along + beta) - sign * along)
        photons.append(np.hstack([e[:, None], 0.5 * mass * sign * d - parallel[:, None] * axis]))
    return np.stack(photons, axis=1)


@pytest.mark.parametrize("mass", [0.3, 1.0, 3.0, 6.0, 9.0])
def test_three_photons_fire_the_energy_lines(mass: float) -> None:
    """'Almost 100 %' for three photons of the ALP search; what the Bhabha veto takes, lml1 gives back."""
    p_cm = alp_photons(mass, 8000)
    np.testing.assert_allclose(p_cm.sum(axis=1), np.broadcast_to([SQRTS, 0, 0, 0], (8000, 4)), atol=1e-6)
    p = FRAME.to_lab(p_cm)
    threshold = 0.65 if mass > 4 else 1.0
    chosen = in_range(p, 37.3, 123.7) & (p[..., 0] > threshold).all(axis=1)
    assert 0.2 < chosen.mean() < 0.5
    sample = record({"px": np.zeros((len(p), 0))}, cluster_columns(p), np.ones(len(p)))[chosen]
    m = menu("belle2_phase2")
    out = emulate(sample, m, FRAME, np.random.default_rng(1))
    table = {e.name: e for e in efficiency_table(out, m, ["hie", "lml1"])}
    unvetoed = ~fired(out["l1"], m, "l1", "bha3d")
    assert fired(out["l1"], m, "l1", "hie")[unvetoed].all()
    assert table["any"].value > 0.98


# the chain ------------------------------------------------------------------------------------------------------


def truth(p: np.ndarray, pdg: list[int], weight: np.ndarray) -> ak.Array:
    shape = p.shape[:2]
    columns = dict(zip(("e", "px", "py", "pz"), np.moveaxis(p, 2, 0), strict=True))
    columns |= {"pdg": np.broadcast_to(pdg, shape), "status": np.ones(shape), "mother": np.full(shape, -1)}
    zero = np.zeros(shape)
    particles = zip_checked({n: ak.from_regular(columns.get(n, zero)) for n in PARTICLE}, PARTICLE)
    return ak.zip({"weight": weight, "event_id": np.arange(len(p)), "particles": particles}, depth_limit=1)


def test_skim_and_trigger_commute_on_simulated_events() -> None:
    p_cm, weight = mumu_vector(2.0, 12_000)
    detector = validate(DetectorConfig, LIBRARY.get("detectors", "belle2"))
    config = validate(SkimConfig, LIBRARY.get("skims", "dimuon_missing"))
    events = simulate(
        truth(FRAME.to_lab(p_cm), [13, -13], weight), detector, SimulateOptions(), np.random.default_rng(1)
    )
    m = menu("belle2_run2")
    before, flow = skim(emulate(events, m, FRAME, np.random.default_rng(9)), config, FRAME)
    after = emulate(skim(events, config, FRAME)[0], m, FRAME, np.random.default_rng(9))
    assert 0 < len(after) == flow.events[-1] < len(events)
    assert ak.to_list(before["event_id"]) == ak.to_list(after["event_id"])
    assert ak.to_list(before["l1"]) == ak.to_list(after["l1"])
    assert ak.to_list(before["hlt"]) == ak.to_list(after["hlt"])
    kept = trigger_weight(after, m, ["ffo", "cdcklm1", "stt"], ["two_low", "two_mid", "two_high", "single_muon"])
    weight = np.asarray(after["weight"])
    assert 0.7 < float(weight @ kept / weight.sum()) < 1
