from __future__ import annotations

from collections.abc import Callable
from typing import Any

import awkward as ak
import numpy as np
import pytest

from darkfactory.config.detector import DetectorConfig, SimulateOptions
from darkfactory.core.errors import ConfigError, InputError
from darkfactory.core.seeds import generator
from darkfactory.detector.simulate import NUISANCES, simulate
from darkfactory.events.schema import CLUSTER, KLM_CLUSTER, TRACK

Shoot = Callable[..., ak.Array]
Quiet = Callable[..., DetectorConfig]
M_MU, M_PI = 0.1056583755, 0.13957039


def run(events: ak.Array, detector: DetectorConfig, seed: int = 3, **options: Any) -> ak.Array:
    return simulate(events, detector, SimulateOptions(**options), generator(seed, "test"))


def fraction(mask: Any, expected: float, sigmas: float = 4.0) -> None:
    values = np.asarray(mask)
    error = np.sqrt(max(expected * (1 - expected), 1e-4) / len(values))
    assert float(values.mean()) == pytest.approx(expected, abs=sigmas * error)


def columns(record: ak.Array) -> list[tuple[str, str]]:
    return [(n, str(record[n].type.content.content)) for n in record.fields]


def check_schema(result: ak.Array) -> None:
    kinds = {"i1": "int8", "i4": "int32", "f4": "float32", "f8": "float64", "?": "bool"}
    for name, schema in (("tracks", TRACK), ("clusters", CLUSTER), ("klm_clusters", KLM_CLUSTER)):
        assert columns(result[name]) == [(k, kinds[v]) for k, v in schema.items()]
    for nuisance in NUISANCES:
        for side in ("up", "down"):
            assert str(result[f"var_{nuisance}_{side}"].type.content) == "float32"


def test_schema_and_links(belle2: DetectorConfig, shoot: Shoot) -> None:
    events = shoot(500, [13, -13, 22, 211, 130, 11], [2.0, 1.0, 3.0, 1.0, 1.0, 2.0], [50, 80, 70, 100, 60, 90])
    events = ak.with_field(events, np.arange(500) * 0.5, "lifetime_weight")
    result = run(events, belle2)
    check_schema(result)
    assert result.event_id.tolist() == list(range(500))
    assert result.lifetime_weight.tolist() == events.lifetime_weight.tolist()
    clusters, tracks = result.clusters, result.tracks
    assert ak.all(clusters.track < ak.num(tracks, axis=1))
    matched = clusters[clusters.track >= 0]
    owner = tracks[matched.track]
    # a cluster and the track it belongs to agree on the energy, and (unless merged) on the particle
    assert ak.all(owner.cluster_e == ak.values_astype(matched.e, np.float32))
    assert float(ak.mean(owner.truth == matched.truth)) > 0.95
    codes = events.particles.pdg[tracks.truth[tracks.truth >= 0]]
    direct = tracks.truth_pdg[tracks.truth >= 0]
    assert float(ak.mean(codes == direct)) > 0.97  # the rest are conversions, whose truth is the photon


def test_same_seed_same_bits(belle2: DetectorConfig, shoot: Shoot) -> None:
    events = shoot(200, [13, -13, 22], 2.0, 70)
    first, again, other = run(events, belle2), run(events, belle2), run(events, belle2, seed=4)
    assert first.tolist() == again.tolist()
    assert first.tracks.px.tolist() != other.tracks.px.tolist()


@pytest.mark.parametrize("n", [0, 5])
def test_no_events_and_no_particles(n: int, quiet: Quiet, belle2: DetectorConfig, shoot: Shoot) -> None:
    events = shoot(max(n, 1), [22], 1.0, 90)[:n]
    events = ak.with_field(events, events.particles[events.particles.e < 0], "particles")
    for detector in (quiet(), belle2):
        result = run(events, detector)
        check_schema(result)
        assert len(result) == n
    silent = run(events, quiet())
    assert ak.sum(ak.num(silent.clusters)) == ak.sum(ak.num(silent.tracks)) == 0


def test_invisible_particles_leave_nothing(quiet: Quiet, shoot: Shoot) -> None:
    result = run(shoot(50, [12, -14, 9900032, 52], 2.0, 90), quiet())
    assert ak.sum(ak.num(result.tracks)) + ak.sum(ak.num(result.clusters)) == 0


def test_errors(belle2: DetectorConfig, shoot: Shoot) -> None:
    with pytest.raises(InputError, match=r"PDG codes \[15\].*decay them in the generator"):
        run(shoot(2, 15, 1.0, 90), belle2)
    with pytest.raises(InputError, match=r"events lack \['event_id'\]"):
        run(shoot(2, 22, 1.0, 90)[["weight", "particles"]], belle2)
    with pytest.raises(ConfigError, match=r"background level 'run9' is unknown to belle2; choose one of"):
        run(shoot(2, 22, 1.0, 90), belle2, beam_background="run9")


@pytest.mark.parametrize(("theta", "inside"), [(16.9, 0.0), (18.0, 0.9), (90.0, 1.0), (145.0, 0.9), (150.1, 0.0)])
def test_tracking_acceptance(theta: float, inside: float, quiet: Quiet, shoot: Shoot) -> None:
    result = run(shoot(20_000, 13, 3.0, theta, mass=M_MU), quiet())
    fraction(ak.num(result.tracks) == 1, 0.975 * inside)


@pytest.mark.parametrize("pt", [0.025, 0.05, 0.1, 0.3])
def test_tracking_efficiency_against_pt(pt: float, quiet: Quiet, shoot: Shoot) -> None:
    result = run(shoot(20_000, 211, pt, 90.0, mass=M_PI), quiet())
    expected = 0.975 * (1 - np.exp(-(pt - 0.03) / 0.03)) if pt > 0.03 else 0.0
    fraction(ak.num(result.tracks) == 1, expected)


@pytest.mark.parametrize(("radius", "relative"), [(5.0, 1.0), (35.0, 0.72), (72.5, 0.22), (90.0, 0.0)])
def test_displaced_tracks(radius: float, relative: float, quiet: Quiet, shoot: Shoot) -> None:
    events = shoot(20_000, 13, 1.0, 90.0, mass=M_MU, vertex=(radius, 0.0, 0.0), phi=0.3)
    result = run(events, quiet())
    fraction(ak.num(result.tracks) == 1, 0.975 * relative)
    if relative > 0:
        d0 = np.abs(np.asarray(ak.flatten(result.tracks.d0)))
        # distance of the z axis from the circle of a 1 GeV electron-like charge
        circle = 1 / (0.00299792458 * 1.4523)
        centre = np.hypot(radius - circle * np.sin(0.3), circle * np.cos(0.3))
        assert np.median(d0) == pytest.approx(abs(centre - circle), abs=0.05)


def test_displaced_tracks_are_worse_measured(quiet: Quiet, shoot: Shoot) -> None:
    widths = []
    for radius in (0.0, 50.0):
        tracks = run(shoot(4000, 13, 4.0, 90, mass=M_MU, vertex=(radius, 0, 0), phi=0.0), quiet()).tracks
        widths.append(np.std(np.asarray(ak.flatten(np.hypot(tracks.px, tracks.py)))))
    assert widths[1] > 1.5 * widths[0]


def test_momentum_resolution_and_its_nuisances(quiet: Quiet, shoot: Shoot) -> None:
    events = shoot(40_000, 13, 1.0, 90.0, mass=M_MU)
    expected = np.hypot(0.001, 0.003 * np.hypot(1.0, M_MU))

    def spread(**options: float) -> tuple[float, float]:
        tracks = run(events, quiet(), **options).tracks
        pt = np.asarray(ak.flatten(np.hypot(tracks.px, tracks.py)))
        low, high = np.percentile(pt, [15.865, 84.135])
        return float(np.median(pt)), float(high - low) / 2

    middle, width = spread()
    assert middle == pytest.approx(1.0, abs=2e-4)
    # 3 % of the tracks have three times the width
    assert width == pytest.approx(1.02 * expected, rel=0.03)
    assert spread(track_resolution_scale=2.0)[1] == pytest.approx(2 * width, rel=0.03)
    assert spread(track_momentum_scale=1.01)[0] == pytest.approx(1.01, abs=3e-4)


def test_charge_and_impact_parameters(quiet: Quiet, shoot: Shoot) -> None:
    events = shoot(40_000, [13, -13], 2.0, 90.0, mass=M_MU, phi=[0.0, 1.0])
    tracks = ak.flatten(run(events, quiet(tracks={"charge_flip": 0.01})).tracks)
    fraction(tracks.charge != np.where(tracks.truth_pdg == 13, -1, 1), 0.01)
    along_x = tracks[tracks.truth_pdg == 13]
    # 12.5 um of the detector and the 2.5 um height of the beam spot
    low, high = np.percentile(np.asarray(along_x.d0), [15.865, 84.135])
    assert (high - low) / 2 == pytest.approx(1e-4 * np.sqrt(10**2 + 7.5**2 + 2.5**2), rel=0.05)
    assert np.std(np.asarray(along_x.z0)) == pytest.approx(0.042, rel=0.03)


def test_identification(quiet: Quiet, shoot: Shoot) -> None:
    detector = quiet()
    muons = ak.flatten(run(shoot(20_000, 13, 2.0, 90.0, mass=M_MU), detector).tracks)
    fraction(muons.is_mu, 0.90)
    fraction(muons.is_mu_tight, 0.95)
    fraction(muons.klm, 0.98)
    fraction(muons.is_e, 0.001)
    assert ak.all(muons.klm[muons.is_mu_tight])
    pions = ak.flatten(run(shoot(20_000, 211, 2.0, 90.0, mass=M_PI), detector).tracks)
    fraction(pions.is_mu, 0.07)
    fraction(pions.is_mu_tight, 0.04)
    fraction(pions.is_pi, 0.90)
    fraction(pions.is_k, 0.06)
    kaons = ak.flatten(run(shoot(20_000, 321, 2.0, 90.0, mass=0.4937), detector).tracks)
    fraction(kaons.is_k, 0.90)
    electrons = ak.flatten(run(shoot(20_000, 11, 2.0, 90.0), detector).tracks)
    fraction(electrons.is_e, 0.86, sigmas=5)


def test_muon_thresholds(quiet: Quiet, shoot: Shoot) -> None:
    detector = quiet(pid={"muon_fallback": None})
    slow = ak.flatten(run(shoot(20_000, 13, 0.4, 90.0, mass=M_MU), detector).tracks)
    fraction(slow.klm, 0.98 / (1 + np.exp(0.25 / 0.06)))
    fraction(slow.is_mu, 0.90 / (1 + np.exp(0.25 / 0.06)))
    forward = ak.flatten(run(shoot(5000, 13, 2.0, 18.5, mass=M_MU), detector).tracks)
    assert not ak.any(forward.is_mu | forward.klm)
    fallback = ak.flatten(run(shoot(20_000, 13, 0.4, 90.0, mass=M_MU), quiet()).tracks)
    fraction(fallback.is_mu, 0.6)


def test_cluster_energies_of_tracks(quiet: Quiet, shoot: Shoot) -> None:
    muons = ak.flatten(run(shoot(5000, 13, 2.0, 90.0, mass=M_MU), quiet()).tracks)
    assert np.median(np.asarray(muons.cluster_e)) == pytest.approx(0.22, abs=0.03)
    electrons = ak.flatten(run(shoot(5000, 11, 2.0, 90.0), quiet()).tracks)
    ratio = np.asarray(electrons.cluster_e) / np.hypot(electrons.px, electrons.py)
    assert np.median(ratio) == pytest.approx(1.0, abs=0.02)
    # perpendicular to the beam a slow particle curls up before the barrel
    slow = ak.flatten(run(shoot(1000, 13, 0.2, 90.0, mass=M_MU), quiet()).tracks)
    assert not ak.any(slow.cluster_e > 0)


def test_bremsstrahlung_recovery(quiet: Quiet, shoot: Shoot) -> None:
    events = shoot(20_000, 11, 2.0, 90.0)
    momenta = {}
    for chance in (0.0, 1.0):
        tracks = ak.flatten(run(events, quiet(material={"brem_recovery": chance})).tracks)
        momenta[chance] = np.asarray(np.hypot(tracks.px, tracks.py))
    # Bethe-Heitler: the fraction losing more than 10 % is P(Gamma(t/ln 2) > -ln 0.9), 9.9 % for t = 0.04
    from scipy.stats import gamma

    fraction(momenta[0.0] < 1.8, gamma.sf(-np.log(0.9), 0.04 / np.log(2)))
    assert np.mean(momenta[1.0] < 1.8) < 0.01


def test_beam_background(belle2: DetectorConfig, shoot: Shoot) -> None:
    events = shoot(20_000, 12, 1.0, 90.0)
    for level, mean in (("run1", 2.0), ("run2", 5.0)):
        clusters = run(events, belle2, beam_background=level).clusters
        assert float(ak.mean(ak.num(clusters))) == pytest.approx(mean, rel=0.05)
        assert ak.all(clusters.truth == -1)
        assert float(ak.max(np.abs(clusters.time))) > 150
        assert float(ak.max(clusters.e)) < 0.7
    tracks = run(events, belle2).tracks
    assert float(ak.mean(ak.num(tracks))) == pytest.approx(0.02, rel=0.25)
    assert ak.all(tracks.truth == -1)


def test_neutral_hadrons(quiet: Quiet, shoot: Shoot) -> None:
    result = run(shoot(20_000, 130, 1.5, 90.0, mass=0.4976), quiet())
    klm, ecl = ak.num(result.klm_clusters) > 0, ak.num(result.clusters) > 0
    fraction(klm, 0.35)
    fraction(klm | ecl, 0.60, sigmas=5)
    assert np.std(np.asarray(ak.flatten(result.klm_clusters.theta))) == pytest.approx(0.030, rel=0.05)


def test_variations_count_objects(quiet: Quiet, shoot: Shoot) -> None:
    result = run(shoot(2000, [13, -13, 22], [2.0, 2.0, 3.0], [60, 90, 120], mass=M_MU), quiet())
    real = ak.num(result.tracks)
    assert np.allclose(result.var_tracking_up, 1.003 ** np.asarray(real), rtol=1e-6)
    assert np.allclose(result.var_tracking_down, 0.997 ** np.asarray(real), rtol=1e-6)
    muons = ak.sum(result.tracks.is_mu & (np.abs(result.tracks.truth_pdg) == 13), axis=1)
    assert np.allclose(result.var_muon_id_up, 1.015 ** np.asarray(muons), rtol=1e-6)
    assert set(np.unique(result.var_electron_id_up)) <= {np.float32(1.01**k) for k in range(5)}


def test_forced_track_loss_is_unbiased(quiet: Quiet, shoot: Shoot) -> None:
    n = 40_000
    detector = quiet()
    events = shoot(n, [13, -13], 2.0, [60.0, 100.0], phi=[0.0, 2.0], mass=0.10566)
    plain, forced = run(events, detector), run(events, detector, force_track_loss=0.6)
    # barrel tracks of 2 GeV are at the plateau
    missed = 1 - 0.975
    for lost in (0, 1, 2):
        expected = {0: (1 - missed) ** 2, 1: 2 * missed * (1 - missed), 2: missed**2}[lost]
        weight = np.asarray(forced.weight) * np.asarray(ak.num(forced.tracks) == 2 - lost)
        error = float(weight.std() / np.sqrt(n))
        assert float(weight.mean()) == pytest.approx(expected, abs=4 * error)
        if lost == 2:
            # 25 events in plain sampling
            assert error / expected < 0.008
    assert np.all(np.asarray(plain.weight) == 1.0)
    # what is never found, or too soft, is not forced
    for theta, p in ((5.0, 2.0), (90.0, 0.1)):
        outside = run(shoot(200, 13, p, theta, mass=0.10566), detector, force_track_loss=0.6)
        assert np.all(np.asarray(outside.weight) == 1.0)


def test_forced_muon_fakes_keep_every_rate(quiet: Quiet, shoot: Shoot) -> None:
    n = 6000
    detector = quiet()
    events = shoot(n, 211, 2.0, 90.0, mass=0.13957)
    plain, forced = run(events, detector), run(events, detector, force_muon_fakes=0.4)
    assert np.all(np.asarray(plain.weight) == 1.0)
    tight, loose = (np.asarray(ak.any(forced.tracks[k], axis=1)) for k in ("is_mu_tight", "is_mu"))
    either = tight | loose
    assert either.mean() == pytest.approx(0.4 * np.asarray(ak.num(forced.tracks) > 0).mean(), abs=0.03)
    # rates of the decision that is forced, of the wider one beside it, and of all events
    for passed, flag in ((tight, "is_mu_tight"), (loose, "is_mu"), (np.ones(n, bool), None)):
        weight = np.asarray(forced.weight) * passed
        value = np.ones(n) if flag is None else np.asarray(ak.any(plain.tracks[flag], axis=1)).astype(float)
        error = np.hypot(weight.std(), value.std()) / np.sqrt(n)
        assert weight.mean() == pytest.approx(value.mean(), abs=4 * error)
    muons = run(shoot(500, 13, 2.0, 90.0, mass=0.10566), detector, force_muon_fakes=0.4)
    assert np.all(np.asarray(muons.weight) == 1.0)
