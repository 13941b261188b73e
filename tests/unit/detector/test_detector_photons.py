from __future__ import annotations

from collections.abc import Callable
from typing import Any

import awkward as ak
import numpy as np
import pytest

from darkfactory.config.detector import DetectorConfig, SimulateOptions
from darkfactory.core.errors import ConfigError
from darkfactory.core.seeds import generator
from darkfactory.detector.clusters import separation_probability
from darkfactory.detector.flat import Particles
from darkfactory.detector.photons import aim, holes
from darkfactory.detector.simulate import simulate

Shoot = Callable[..., ak.Array]
Quiet = Callable[..., DetectorConfig]
NO_CONVERSION = {"conversion_x0": 0.0}


def run(events: ak.Array, detector: DetectorConfig, seed: int = 3, **options: Any) -> ak.Array:
    return simulate(events, detector, SimulateOptions(**options), generator(seed, "photons"))


def test_conversions_become_electron_pairs(quiet: Quiet, shoot: Shoot) -> None:
    n = 40_000
    result = run(shoot(n, 22, 3.0, 90.0), quiet())
    chance = 1 - np.exp(-7 / 9 * 0.04)
    no_photon = ~ak.any(result.clusters.truth_pdg == 22, axis=1)
    assert float(ak.mean(no_photon)) == pytest.approx(chance, abs=4 * np.sqrt(chance / n))
    converted = result[ak.num(result.tracks) > 0]
    assert set(np.unique(np.asarray(ak.flatten(converted.tracks.truth_pdg)))) == {-11, 11}
    # not lost to the event: nearly all of the energy is in clusters
    visible = np.asarray(ak.sum(converted.clusters.e, axis=1))
    assert np.median(visible) == pytest.approx(3.0, rel=0.03)


@pytest.mark.parametrize(
    ("theta", "seen"), [(12.0, 0.0), (20.0, 1.0), (31.8, 0.5), (90.0, 1.0), (129.5, 0.5), (154.0, 1.0), (156.0, 0.0)]
)
def test_photon_acceptance(theta: float, seen: float, quiet: Quiet, shoot: Shoot) -> None:
    n = 10_000
    result = run(shoot(n, 22, 2.0, theta), quiet(material=NO_CONVERSION))
    found = float(ak.mean(ak.num(result.clusters) > 0))
    assert found == pytest.approx(seen, abs=4 * np.sqrt(0.25 / n) if seen == 0.5 else 5e-3)


@pytest.mark.parametrize("energy", [0.03, 0.05, 0.1])
def test_photon_threshold(energy: float, quiet: Quiet, shoot: Shoot) -> None:
    detector = quiet(material=NO_CONVERSION, ecl={"good_fraction": 1.0, "threshold_gev": 0.005})
    result = run(shoot(20_000, 22, energy, 90.0), detector)
    expected = 1 - np.exp(-(energy - 0.02) / 0.03)
    assert float(ak.mean(ak.num(result.clusters) > 0)) == pytest.approx(expected, abs=0.015)


def test_energy_angle_time_resolution(quiet: Quiet, shoot: Shoot) -> None:
    events = shoot(40_000, 22, 2.0, 90.0, phi=0.5)
    sharp = quiet(material=NO_CONVERSION, ecl={"good_fraction": 1.0, "low_tail_fraction": 0.0})
    clusters = ak.flatten(run(events, sharp).clusters)
    assert np.std(np.asarray(clusters.e)) / 2 == pytest.approx(
        np.sqrt(0.001**2 + (0.016 / 2**0.25) ** 2 + 0.012**2), rel=0.02
    )
    assert np.std(np.asarray(clusters.theta)) == pytest.approx(1e-3 * np.hypot(1.5, 3.6 * 2**-0.33), rel=0.02)
    assert np.std(np.asarray(clusters.phi)) == pytest.approx(1e-3 * np.hypot(1.5, 4.2 * 2**-0.36), rel=0.02)
    assert np.std(np.asarray(clusters.time)) == pytest.approx(np.hypot(0.5, 0.275), rel=0.03)
    assert np.asarray(clusters.dt99).tolist() == pytest.approx([3.0] * len(clusters))
    assert float(ak.mean(clusters.photon_like)) == pytest.approx(0.97, abs=0.005)
    wider = ak.flatten(run(events, sharp, photon_resolution_scale=1.5).clusters)
    assert np.std(np.asarray(wider.e)) == pytest.approx(1.5 * np.std(np.asarray(clusters.e)), rel=0.03)
    shifted = ak.flatten(run(events, sharp, photon_energy_scale=0.98).clusters)
    assert np.mean(np.asarray(shifted.e)) == pytest.approx(1.96, rel=1e-3)


def test_low_energy_tail(quiet: Quiet, shoot: Shoot) -> None:
    events = shoot(40_000, 22, 2.0, 90.0)
    clusters = ak.flatten(run(events, quiet(material=NO_CONVERSION, ecl={"good_fraction": 1.0})).clusters)
    pull = (np.asarray(clusters.e) / 2 - 1) / np.sqrt(0.001**2 + (0.016 / 2**0.25) ** 2 + 0.012**2)
    # 15 % of an exponential with a slope of 3 sigma
    assert pull.mean() == pytest.approx(-0.45, abs=0.03)
    assert np.mean(pull < -3) == pytest.approx(0.15 * np.exp(-1) * np.exp(1 / 18), rel=0.1)
    assert np.mean(pull > 3) < 0.003


def test_degraded_photons_are_still_seen(quiet: Quiet, shoot: Shoot) -> None:
    detector = quiet(material=NO_CONVERSION, ecl={"low_tail_fraction": 0.0})
    clusters = ak.flatten(run(shoot(40_000, 22, 3.0, 90.0), detector).clusters)
    assert len(clusters) >= 39_990
    # 3 % uniform in 0.2-0.9 of the energy
    assert np.mean(np.asarray(clusters.e) < 0.85 * 3) == pytest.approx(0.03 * 0.65 / 0.7, abs=0.003)


@pytest.mark.parametrize("mrad", [30.0, 60.0, 75.0, 95.0, 130.0])
def test_two_photons_merge(mrad: float, quiet: Quiet, shoot: Shoot) -> None:
    n = 10_000
    detector = quiet(material=NO_CONVERSION, ecl={"good_fraction": 1.0})
    events = shoot(n, [22, 22], [1.0, 3.0], 90.0, phi=[0.2, 0.2 + 1e-3 * mrad])
    clusters = run(events, detector).clusters
    expected = 0.0 if mrad < 35 else 1 / (1 + np.exp(-(mrad - 75) / 12))
    assert float(separation_probability(np.array(1e-3 * mrad), detector)) == pytest.approx(expected)
    assert float(ak.mean(ak.num(clusters) == 2)) == pytest.approx(expected, abs=4 * np.sqrt(0.25 / n))
    one = clusters[ak.num(clusters) == 1]
    if len(one) > 100:
        merged = ak.flatten(one)
        assert np.median(np.asarray(merged.e)) == pytest.approx(4.0, rel=0.02)
        assert np.median(np.asarray(merged.phi)) == pytest.approx(0.2 + 0.75e-3 * mrad, abs=1e-3)
        # the more energetic photon gives the truth
        assert ak.all(merged.truth == 1)


def test_a_photon_on_a_muon_joins_its_cluster(quiet: Quiet, shoot: Shoot) -> None:
    detector = quiet(material=NO_CONVERSION)
    phi = np.array([0.0, 0.0])
    # a 10 GeV muon bends by 27 mrad before the barrel
    result = run(shoot(2000, [13, 22], [10.0, 2.0], 90.0, mass=0.0, phi=phi), detector)
    both = result[ak.num(result.tracks) == 1]
    assert ak.all(ak.num(both.clusters) == 1)
    assert np.median(np.asarray(ak.flatten(both.tracks.cluster_e))) == pytest.approx(2.2, abs=0.1)


def test_chains_merge_as_one(quiet: Quiet, shoot: Shoot) -> None:
    detector = quiet(material=NO_CONVERSION, ecl={"good_fraction": 1.0})
    events = shoot(300, [22] * 4, 1.0, 90.0, phi=[0.00, 0.03, 0.06, 0.09])
    clusters = run(events, detector).clusters
    assert ak.all(ak.num(clusters) == 1)
    assert np.median(np.asarray(ak.flatten(clusters.e))) == pytest.approx(4.0, rel=0.02)


def test_forced_loss_is_unbiased(quiet: Quiet, shoot: Shoot) -> None:
    n = 40_000
    hole = {"value": 0.004, "source": "assumed", "range": [0.001, 0.02]}
    detector = quiet(material=NO_CONVERSION, ecl={"hole_inefficiency": hole, "good_fraction": 1.0})
    events = shoot(n, [22, 22], 3.0, [60.0, 100.0], phi=[0.0, 2.0])
    plain, forced = run(events, detector), run(events, detector, force_photon_loss=0.3)
    for lost in (0, 1, 2):
        expected = {0: 0.996**2, 1: 2 * 0.996 * 0.004, 2: 0.004**2}[lost]
        pick = np.asarray(ak.num(forced.clusters) == 2 - lost)
        weight = np.asarray(forced.weight)
        mean, error = float((weight * pick).mean()), float((weight * pick).std() / np.sqrt(n))
        assert mean == pytest.approx(expected, abs=4 * error)
        if lost == 1:
            # forcing pays: a few per cent of precision where plain sampling has 300 events
            assert error / expected < 0.012
            assert float(np.mean(np.asarray(ak.num(plain.clusters) == 1))) == pytest.approx(expected, rel=0.25)
    assert float(np.asarray(forced.weight).mean()) == pytest.approx(1.0, abs=0.02)
    assert np.all(np.asarray(plain.weight) == 1.0)


def test_loss_variations_are_probability_ratios(quiet: Quiet, shoot: Shoot) -> None:
    n = 40_000
    hole = {"value": 0.004, "source": "assumed", "range": [0.001, 0.02]}
    detector = quiet(material=NO_CONVERSION, ecl={"hole_inefficiency": hole})
    result = run(shoot(n, 22, 3.0, 90.0), detector, force_photon_loss=0.5)
    lost = np.asarray(ak.num(result.clusters) == 0)
    up, down = np.asarray(result.var_photon_loss_up), np.asarray(result.var_photon_loss_down)
    assert up[lost] == pytest.approx(0.02 / 0.004, rel=1e-5)
    assert down[lost] == pytest.approx(0.001 / 0.004, rel=1e-5)
    assert up[~lost] == pytest.approx(0.98 / 0.996, rel=1e-5)
    weight = np.asarray(result.weight)
    # a variation moves events between outcomes and keeps the total
    for factor in (up, down):
        assert float((weight * factor).mean()) == pytest.approx(1.0, abs=0.02)
    assert float((weight * up * lost).mean()) == pytest.approx(0.02, rel=0.03)
    gap = run(shoot(2000, 22, 3.0, 31.8), detector)
    lost = np.asarray(ak.num(gap.clusters) == 0)
    assert np.asarray(gap.var_photon_gap_up)[lost] == pytest.approx(0.8 / 0.5, rel=1e-5)
    assert np.asarray(gap.var_photon_gap_down)[lost] == pytest.approx(0.2 / 0.5, rel=1e-5)
    assert np.all(np.asarray(gap.var_photon_loss_up) == 1)


def test_soft_and_outside_photons_are_not_forced(quiet: Quiet, shoot: Shoot) -> None:
    detector = quiet(material=NO_CONVERSION)
    for events in (shoot(200, 22, 0.2, 90.0), shoot(200, 22, 3.0, 5.0)):
        assert np.all(np.asarray(run(events, detector, force_photon_loss=0.5).weight) == 1.0)


def test_muon_system_sees_lost_photons_if_told(quiet: Quiet, shoot: Shoot) -> None:
    blind = quiet(material=NO_CONVERSION)
    events = shoot(4000, 22, 3.0, 129.5)
    assert ak.sum(ak.num(run(events, blind).klm_clusters)) == 0
    result = run(events, quiet(material=NO_CONVERSION, klm={"photon_veto": 0.7}))
    lost = result[ak.num(result.clusters) == 0]
    assert float(ak.mean(ak.num(lost.klm_clusters))) == pytest.approx(0.7, abs=0.05)


def test_photons_are_lost_in_cracks(quiet: Quiet, shoot: Shoot) -> None:
    cracks = {
        "number": {"value": 10, "source": "assumed"},
        "width_mrad": {"value": 62.83185, "source": "assumed"},  # a tenth of the circle
        "elsewhere": {"value": 0.001, "source": "assumed", "range": [0.0005, 0.002]},
    }
    hole = {"value": 0.004, "source": "assumed", "range": [0.001, 0.02]}
    detector = quiet(material=NO_CONVERSION, ecl={"hole_inefficiency": hole, "cracks": cracks})
    phi = np.array([0.0, 0.03, 0.0318, 0.3, 2 * np.pi / 10 + 0.02])
    nominal, up, down = holes(phi, detector.ecl)
    # mean over azimuth 0.1 p + 0.9 x 0.001
    assert nominal == pytest.approx([0.031, 0.031, 0.001, 0.001, 0.031], rel=1e-4)
    assert up == pytest.approx([0.182, 0.182, 0.002, 0.002, 0.182], rel=1e-4)
    assert down == pytest.approx([0.0055, 0.0055, 0.0005, 0.0005, 0.0055], rel=1e-4)
    azimuths = np.random.default_rng(1).uniform(-np.pi, np.pi, 20_000)
    assert holes(azimuths, detector.ecl)[0].mean() == pytest.approx(0.004, rel=0.1)
    n = 20_000
    result = run(shoot(n, 22, 3.0, 90.0, phi=[0.01]), detector, force_photon_loss=0.5)
    lost = np.asarray(ak.num(result.clusters) == 0)
    weight = np.asarray(result.weight)
    assert float((weight * lost).mean()) == pytest.approx(0.031, rel=0.03)
    assert np.asarray(result.var_photon_loss_up)[lost] == pytest.approx(0.182 / 0.031, rel=1e-4)


def test_aimed_events_have_the_azimuths_that_all_have(quiet: Quiet) -> None:
    cracks = {
        "number": {"value": 120, "source": "assumed"},
        "width_mrad": {"value": 2.0, "source": "assumed"},
        "elsewhere": {"value": 1e-6, "source": "assumed"},
    }
    head_on = {"half_crossing_mrad": {"value": 0.0, "source": "assumed"}}
    detector = quiet(ecl={"cracks": cracks}, beams=head_on)
    n, rng = 60_000, np.random.default_rng(5)
    phi = np.stack([rng.uniform(-np.pi, np.pi, n), np.zeros(n)], axis=1)
    phi[:, 1] = phi[:, 0] + 2.0
    flat, event = phi.ravel(), np.repeat(np.arange(n), 2)
    p = np.stack([3 * np.cos(flat), 3 * np.sin(flat), np.ones(2 * n)], axis=1)
    kind = np.tile([22, 22], n)
    before = Particles(event, np.tile([0, 1], n), kind, p, np.full(2 * n, np.sqrt(10.0)), np.zeros((2 * n, 3)))
    after, weight = aim(before, n, detector, SimulateOptions(aim_at_cracks=0.5), rng)
    turned = np.arctan2(after.p[:, 1], after.p[:, 0]).reshape(n, 2)
    assert np.hypot(after.p[:, 0], after.p[:, 1]) == pytest.approx(3.0)
    assert np.cos(turned[:, 1] - turned[:, 0]) == pytest.approx(np.cos(2.0))
    inside = holes(turned, detector.ecl)[0] > 1e-5
    coverage = 120 * 2e-3 / (2 * np.pi)
    # a quarter of the events per photon instead of 4 %, and the weights bring both back
    assert inside[:, 0].mean() == pytest.approx(0.25 + 0.75 * coverage, abs=0.01)
    assert weight.mean() == pytest.approx(1.0, abs=0.01)
    for column in (0, 1):
        assert (weight * inside[:, column]).mean() == pytest.approx(coverage, rel=0.03)
    both = (weight * (inside[:, 0] & inside[:, 1])).mean()
    plain = holes(phi, detector.ecl)[0] > 1e-5
    assert both == pytest.approx((plain[:, 0] & plain[:, 1]).mean(), abs=4 * np.sqrt(coverage / n))
    same, ones = aim(before, n, detector, SimulateOptions(), rng)
    assert same is before
    assert np.all(ones == 1.0)
    with pytest.raises(ConfigError, match=r"needs `ecl\.cracks` and beams head on"):
        aim(before, n, quiet(beams=head_on), SimulateOptions(aim_at_cracks=0.5), rng)
