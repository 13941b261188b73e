"""Four muons: the fit to the initial state in toys, and every observable of events made by hand."""

from __future__ import annotations

from itertools import permutations

import awkward as ak
import numpy as np
import pytest
from scipy.stats import chi2, kstest

from darkfactory.config.selection import FitConfig, SelectionConfig
from darkfactory.core.errors import ConfigError
from darkfactory.events.schema import CLUSTER, TRACK, zip_checked
from darkfactory.physics.beams import beam_frame, beam_momenta
from darkfactory.physics.constants import M_MU
from darkfactory.physics.kinematics import to_rest_frame, two_body
from darkfactory.select.fit4c import fit_four_momentum, solve_symmetric
from darkfactory.select.fourmuon import beam_covariance, pair_momentum_max, track_sigmas
from darkfactory.select.preselect import preselect

FRAME = beam_frame(7.007, 4.0, 0.0415)
SPREAD = (0.00513, 0.002375)
# the forms of a detector's tracks, round numbers
FIT = {
    "track_errors": {
        "pt_resolution": {"formula": "hypot(a*pt*lever, b/beta)",
                          "constants": {"a": {"value": 0.001, "source": "assumed"},
                                        "b": {"value": 0.003, "source": "assumed"}}},
        "phi_mrad": {"formula": "hypot(a, b/pt)", "constants": {"a": {"value": 0.3, "source": "assumed"},
                                                               "b": {"value": 1.3, "source": "assumed"}}},
        "tanlambda": {"formula": "a+b/pt", "constants": {"a": {"value": 3e-4, "source": "assumed"},
                                                         "b": {"value": 1.5e-3, "source": "assumed"}}},
    },
    "beam_errors": {"sigma_e_her_gev": {"value": SPREAD[0], "source": "assumed"},
                    "sigma_e_ler_gev": {"value": SPREAD[1], "source": "assumed"}},
}  # fmt: skip
SELECTION = SelectionConfig.model_validate(
    {"candidate": "four_muon_pairs", "objects": {"tracks": {"max_d0": 0.5}, "photons": {"min_e": 0.1}, "fit": FIT}}
)


def decays(mass, n, rng, total):
    """mu+ mu- from a particle of a mass that recoils against mu+ mu- of 3 GeV, laboratory: (n, 4, 4)."""

    def angles():
        return 2 * rng.random(n) - 1, 2 * np.pi * rng.random(n)

    x, other = two_body(total, mass, 3.0, *angles())
    return np.stack([*two_body(x, M_MU, M_MU, *angles()), *two_body(other, M_MU, M_MU, *angles())], axis=1)


def smeared(lab, rng, scale=1.0):
    """Measured momenta of muons in the tracker, and the sigmas at the true values."""
    p = lab[..., 1:]
    sigmas = track_sigmas(p, FitConfig.model_validate(FIT), M_MU)
    pt = np.hypot(p[..., 0], p[..., 1])
    y = np.stack([pt, np.arctan2(p[..., 1], p[..., 0]), p[..., 2] / pt], axis=-1)
    y = y + sigmas * rng.normal(size=sigmas.shape) * scale
    measured = np.stack([y[..., 0] * np.cos(y[..., 1]), y[..., 0] * np.sin(y[..., 1]), y[..., 0] * y[..., 2]], axis=-1)
    return measured, sigmas


def toys(mass, n, rng, spread):
    if spread:
        electron, positron = beam_momenta(
            7.007 + SPREAD[0] * rng.normal(size=n), 4.0 + SPREAD[1] * rng.normal(size=n), 0.0415
        )
        total = electron + positron
    else:
        total = np.broadcast_to(FRAME.p4, (n, 4))
    lab = decays(mass, n, rng, total)
    theta = np.arctan2(np.hypot(lab[..., 1], lab[..., 2]), lab[..., 3])
    inside = np.all((theta > np.radians(17)) & (theta < np.radians(150)), axis=1)
    return lab[inside]


@pytest.mark.parametrize("spread", [False, True])
def test_chi2_has_four_degrees_of_freedom_and_pulls_are_unit(spread):
    rng = np.random.default_rng(12)
    lab = toys(2.0, 20000, rng, spread)
    measured, sigmas = smeared(lab, rng)
    covariance = beam_covariance(FRAME, *SPREAD) if spread else np.zeros((4, 4))
    fit = fit_four_momentum(measured, sigmas, M_MU, FRAME.p4, covariance, 4)
    assert len(lab) > 8000
    assert kstest(fit.chi2, chi2(4).cdf).pvalue > 1e-3
    assert float(np.max(fit.residual)) < 1e-9
    assert fit.pulls.std(axis=0) == pytest.approx(np.ones((4, 3)), abs=0.04)
    assert fit.pulls.mean(axis=0) == pytest.approx(np.zeros((4, 3)), abs=0.06)
    if not spread:
        assert fit.p4.sum(axis=1) == pytest.approx(np.broadcast_to(FRAME.p4, (len(lab), 4)), abs=1e-9)
    # without the beams' spread in the fit, chi2 is too large
    if spread:
        exact = fit_four_momentum(measured, sigmas, M_MU, FRAME.p4, np.zeros((4, 4)), 4)
        assert exact.chi2.mean() > fit.chi2.mean() + 0.2


def reduced(p4):
    total = p4[:, 0] + p4[:, 1]
    m2 = total[:, 0] ** 2 - np.sum(total[:, 1:] ** 2, axis=1)
    return np.sqrt(np.maximum(m2 - 4 * M_MU**2, 0.0))


def width(x):
    low, high = np.quantile(x, [0.158655, 0.841345])
    return 0.5 * (high - low)


def test_fit_narrows_the_reduced_mass_the_more_the_heavier():
    # direct_production dossier, section 2.2 (toys with 1 mrad angles): 2.7 -> 2.2 MeV at 1 GeV, 8.2 -> 4.7 at 3,
    # 14.7 -> 6.4 at 5; here angles are those of the detector's covariances
    gains = []
    for mass, raw_low, raw_high in ((1.0, 2.0, 4.0), (3.0, 6.5, 9.5), (5.0, 12.5, 17.0)):
        rng = np.random.default_rng(3)
        lab = toys(mass, 20000, rng, True)
        measured, sigmas = smeared(lab, rng)
        fit = fit_four_momentum(measured, sigmas, M_MU, FRAME.p4, beam_covariance(FRAME, *SPREAD), 4)
        energy = np.sqrt(np.sum(measured**2, axis=2, keepdims=True) + M_MU**2)
        raw = 1e3 * width(reduced(np.concatenate([energy, measured], axis=2)))
        fitted = 1e3 * width(reduced(fit.p4))
        assert raw_low < raw < raw_high
        gains.append(raw / fitted)
    assert gains[0] < gains[1] < gains[2]
    assert gains[0] > 1.05
    assert 2.0 < gains[2] < 3.5


def test_fit_agrees_with_a_minimisation():
    from scipy.optimize import minimize

    rng = np.random.default_rng(4)
    lab = toys(2.0, 40, rng, False)[:1]
    measured, sigmas = smeared(lab, rng)
    fit = fit_four_momentum(measured, sigmas, M_MU, FRAME.p4, np.zeros((4, 4)), 6)
    pt = np.hypot(measured[0, :, 0], measured[0, :, 1])
    y = np.stack([pt, np.arctan2(measured[0, :, 1], measured[0, :, 0]), measured[0, :, 2] / pt], axis=-1)

    def left(z):
        q = y + z.reshape(4, 3) * sigmas[0]
        p = np.stack([q[:, 0] * np.cos(q[:, 1]), q[:, 0] * np.sin(q[:, 1]), q[:, 0] * q[:, 2]], axis=-1)
        e = np.sqrt(np.sum(p**2, axis=1) + M_MU**2)
        return np.append(e.sum(), p.sum(axis=0)) - FRAME.p4

    best = minimize(lambda z: z @ z, np.zeros(12), jac=lambda z: 2 * z, constraints={"type": "eq", "fun": left},
                    method="SLSQP", options={"ftol": 1e-12, "maxiter": 200})  # fmt: skip
    assert float(fit.chi2[0]) == pytest.approx(best.fun, rel=1e-4)


def test_rows_have_the_same_bits_alone():
    rng = np.random.default_rng(5)
    lab = toys(2.0, 200, rng, False)
    measured, sigmas = smeared(lab, rng)
    cov = beam_covariance(FRAME, *SPREAD)
    whole = fit_four_momentum(measured, sigmas, M_MU, FRAME.p4, cov, 4)
    for i in (0, 3, 17):
        one = fit_four_momentum(measured[i : i + 1], sigmas[i : i + 1], M_MU, FRAME.p4, cov, 4)
        assert one.p4.tobytes() == whole.p4[i : i + 1].tobytes()
        assert one.chi2.tobytes() == whole.chi2[i : i + 1].tobytes()


def test_solver_against_numpy():
    rng = np.random.default_rng(6)
    a = rng.normal(size=(50, 4, 4))
    a = a @ a.transpose(0, 2, 1) + 0.1 * np.eye(4)
    b = rng.normal(size=(50, 4))
    found = solve_symmetric([[a[:, i, j] for j in range(i + 1)] for i in range(4)], [b[:, i] for i in range(4)])
    assert np.stack(found, axis=-1) == pytest.approx(np.linalg.solve(a, b[..., None])[..., 0], rel=1e-9)


def jag(columns, counts, schema):
    full = {k: columns.get(k, np.zeros(sum(counts))) for k in schema}
    return zip_checked({k: ak.unflatten(np.asarray(v), counts) for k, v in full.items()}, schema)


def events(lab, charges, **tracks):
    n, k = len(lab), lab.shape[1]
    flat = lab.reshape(-1, 4)
    columns = {"px": flat[:, 1], "py": flat[:, 2], "pz": flat[:, 3], "charge": np.tile(charges, n), **tracks}
    return ak.zip(
        {"weight": np.ones(n), "event_id": np.arange(n), "tracks": jag(columns, [k] * n, TRACK),
         "clusters": jag({"track": -np.ones(0)}, [0] * n, CLUSTER)}, depth_limit=1,
    )  # fmt: skip


def run(lab, charges, selection=SELECTION, **tracks):
    return preselect(events(lab, charges, **tracks), selection, FRAME).columns


def test_all_four_pairs_and_their_observables():
    rng = np.random.default_rng(7)
    lab = decays(2.0, 1, rng, FRAME.p4[None])
    got = run(lab, [1, -1, 1, -1], is_mu_tight=[True, True, True, False])
    assert len(got["m_pair"]) == 4
    assert got["n_mu_tight"].tolist() == [3.0] * 4
    assert got["m_four"] == pytest.approx([FRAME.sqrts] * 4)
    # perfect momenta: nothing to fit
    assert got["chi2_4c"] == pytest.approx(np.zeros(4), abs=1e-12)

    def mass(*which):
        q = sum(lab[0, i] for i in which)
        return float(np.sqrt(q[0] ** 2 - np.sum(q[1:] ** 2)))

    assert sorted(got["m_pair"]) == pytest.approx(sorted(mass(i, j) for i in (0, 2) for j in (1, 3)))
    k = int(np.argmin(np.abs(got["m_pair"] - 2.0)))
    assert got["m_reduced"][k] == pytest.approx(np.sqrt(4 - 4 * M_MU**2))
    assert got["m2_reduced"][k] == pytest.approx(4 - 4 * M_MU**2)
    assert got["x_m_other"][k] == pytest.approx(3.0 / (FRAME.sqrts - 2.0))
    assert got["x_cross_min"][k] == pytest.approx(min(mass(0, 3), mass(2, 1)) / FRAME.sqrts)
    assert got["x_same_max"][k] == pytest.approx(max(mass(0, 2), mass(1, 3)) / FRAME.sqrts)
    # helicity angles by boosting to the rest frames
    cm = FRAME.to_cm(lab)[0]
    for name, (i, j) in (("cos_helicity", (0, 1)), ("cos_helicity_other", (2, 3))):
        pair = cm[i] + cm[j]
        rest = to_rest_frame(cm[i], pair)[1:]
        cosine = rest @ pair[1:] / np.linalg.norm(rest) / np.linalg.norm(pair[1:])
        assert got[name][k] == pytest.approx(abs(cosine))
    normals = [np.cross(cm[i, 1:], cm[j, 1:]) for i, j in ((0, 1), (2, 3))]
    cosine = normals[0] @ normals[1] / np.linalg.norm(normals[0]) / np.linalg.norm(normals[1])
    assert got["cos_planes"][k] == pytest.approx(abs(cosine))
    x = cm[0] + cm[1]
    hard = cm[2] if np.linalg.norm(cm[2, 1:]) > np.linalg.norm(cm[3, 1:]) else cm[3]
    across = np.linalg.norm(np.cross(x[1:], hard[1:])) / np.linalg.norm(hard[1:])
    limit = float(pair_momentum_max(np.array([4.0]), np.array([FRAME.sqrts]))[0])
    assert got["x_pt_hard"][k] == pytest.approx(across / limit)
    assert got["x_p_hard"][k] == pytest.approx(np.linalg.norm(hard[1:]) / limit)
    assert got["cos_pair"][k] == pytest.approx(abs(x[3]) / np.linalg.norm(x[1:]))


def test_order_of_tracks_does_not_matter():
    rng = np.random.default_rng(8)
    lab = decays(1.0, 1, rng, FRAME.p4[None])
    charges = np.array([1, -1, 1, -1])
    first = np.sort(run(lab, charges)["m_pair"])
    for order in list(permutations(range(4)))[1::5]:
        got = run(lab[:, list(order)], charges[list(order)])
        assert np.sort(got["m_pair"]) == pytest.approx(first, rel=1e-12)


def test_events_with_missing_energy_are_not_fitted_and_others_are_no_candidates():
    rng = np.random.default_rng(9)
    lab = decays(2.0, 3, rng, FRAME.p4[None] * np.ones((3, 1)))
    scaled = np.concatenate([lab[:1], 0.7 * lab[1:2]])
    got = run(scaled, [1, -1, 1, -1])
    assert np.isfinite(got["chi2_4c"]).tolist() == [True] * 4 + [False] * 4
    assert len(run(lab[:, :3], [1, -1, 1])["m_pair"]) == 0
    assert len(run(lab, [1, 1, 1, -1])["m_pair"]) == 0


def test_the_fit_must_be_configured():
    lab = decays(2.0, 1, np.random.default_rng(1), FRAME.p4[None])
    for fit, text in ((None, r"give `fit: \{\}`"), ({}, "needs their resolution")):
        selection = SelectionConfig.model_validate({"candidate": "four_muon_pairs", "objects": {"fit": fit}})
        with pytest.raises(ConfigError, match=text):
            run(lab, [1, -1, 1, -1], selection)
