"""Chunks: determinism, weights, biases, decays."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
from generator_tools import BELLE2, MODEL, TAUS, moments, registry

from darkfactory.core.digest import digest_arrays
from darkfactory.core.errors import ConfigError, InputError, RunError
from darkfactory.core.seeds import generator
from darkfactory.generate.chunk import GeneratedChunk, generate_chunk
from darkfactory.generate.gridpack import Effort, Gridpack, adapt
from darkfactory.generate.process import Process, build_process
from darkfactory.generate.unweight import unweighted
from darkfactory.physics.kinematics import mass

SMALL = Effort(4, 10_000, 20_000)


@pytest.fixture(scope="module")
def mumu_gamma() -> tuple[Process, Gridpack]:
    process = registry("mumu_gamma", {"bias": [], "unweight": {"overweight_fraction": 1e-3}})
    return process, adapt(process, 5, SMALL)


def digest(chunk: GeneratedChunk) -> str:
    p = chunk.events.particles
    return digest_arrays({k: ak.to_numpy(ak.flatten(p[k])) for k in p.fields} | {"w": ak.to_numpy(chunk.events.weight)})


def test_chunks_do_not_depend_on_order(mumu_gamma: tuple[Process, Gridpack]) -> None:
    process, pack = mumu_gamma

    def make(number: int) -> str:
        return digest(generate_chunk(process, pack, 300, generator(1, "generate", "x", number), number))

    forward = [make(i) for i in range(3)]
    backward = [make(i) for i in (2, 1, 0)][::-1]
    assert forward == backward
    assert len(set(forward)) == 3


def test_gridpack_is_reproducible_and_survives_arrays(mumu_gamma: tuple[Process, Gridpack]) -> None:
    process, pack = mumu_gamma
    again = adapt(registry("mumu_gamma", {"bias": [], "unweight": {"overweight_fraction": 1e-3}}), 5, SMALL)
    assert again.digest == pack.digest
    assert Gridpack.from_arrays(*pack.to_arrays()).digest == pack.digest
    assert adapt(process, 6, SMALL).digest != pack.digest


def test_event_record(mumu_gamma: tuple[Process, Gridpack]) -> None:
    process, pack = mumu_gamma
    chunk = generate_chunk(process, pack, 200, generator(1, "r"), 7)
    events = chunk.events
    assert events.fields == ["weight", "event_id", "particles"]
    assert events.event_id.tolist() == [7 * 2**32 + i for i in range(200)]
    assert events.particles.pdg[:, :3].tolist() == [[13, -13, 22]] * 200
    assert chunk.sumw == pytest.approx(float(ak.sum(events.weight)))
    assert chunk.tries >= 200


def test_mean_weight_is_the_cross_section(mumu_gamma: tuple[Process, Gridpack]) -> None:
    process, pack = mumu_gamma
    chunk = generate_chunk(process, pack, 5000, generator(1, "w"), 0)
    assert chunk.sumw / chunk.n_events == pytest.approx(pack.sigma_fb, rel=2e-3)
    weights = ak.to_numpy(chunk.events.weight)
    assert np.mean(weights > weights.min() * (1 + 1e-9)) < 0.02


def test_bias_is_unbiased() -> None:
    bias = [{"observable": "m2_recoil", "legs": ["mu-", "mu+"], "points": [[0.0, 1.0], [30.0, 3.0], [80.0, 30.0]]}]
    change = {"bias": [], "isr": {"radiator": "none"}}
    plain = registry("mumu_zprime", change, {"m_Zp": 3.0, "width_over_mass": 0.15})
    biased = registry("mumu_zprime", {**change, "bias": bias}, {"m_Zp": 3.0, "width_over_mass": 0.15})
    results = []
    for process in (plain, biased):
        pack = adapt(process, 1)
        events = generate_chunk(process, pack, 10_000, generator(1, process.digest), 0).events
        zprime = events.particles[:, 2]
        p = np.stack([ak.to_numpy(zprime[k]) for k in ("e", "px", "py", "pz")], axis=-1)
        w = ak.to_numpy(events.weight)
        results.append((pack, mass(p), p[:, 3], w))
    assert results[0][0].sigma_fb == pytest.approx(results[1][0].sigma_fb, rel=0.006)
    for observable in (1, 2):
        a, ea = moments(results[0][observable], results[0][3])
        b, eb = moments(results[1][observable], results[1][3])
        assert a == pytest.approx(b, abs=4 * np.hypot(ea, eb))
    # more events where the bias asks for them, by as much
    m, w = results[0][1], results[0][3]
    factor = np.interp(m**2, [0.0, 30.0, 80.0], [1.0, 3.0, 30.0]) * w
    asked, plain_share = (float(np.sum(f * (m > 5)) / np.sum(f)) for f in (factor, w))
    share = float(np.mean(results[1][1] > 5))
    assert asked > 1.5 * plain_share
    error = np.sqrt(share / len(results[1][1]) + asked**2 / np.sum(m > 5))
    assert abs(share - asked) < 4 * error


@pytest.fixture(scope="module")
def towards_the_gaps() -> tuple[Process, Gridpack]:
    process = registry("mumu_gamma")
    return process, adapt(process, 1, Effort(5, 40_000, 60_000))


def test_bias_in_the_laboratory_is_unbiased(
    mumu_gamma: tuple[Process, Gridpack], towards_the_gaps: tuple[Process, Gridpack]
) -> None:
    results = []
    for process, pack in (mumu_gamma, towards_the_gaps):
        chunk = generate_chunk(process, pack, 6_000, generator(1, process.digest), 0)
        p = np.stack([ak.to_numpy(chunk.events.particles[:, :3][k]) for k in ("e", "px", "py", "pz")], axis=-1)
        beams = process.beams
        missing = process.beams.frame.p4 - p[:, 0] - p[:, 1]
        m2 = mass(missing) ** 2
        theta = np.degrees(np.arctan2(np.hypot(p[:, 2, 1], p[:, 2, 2]), p[:, 2, 3]))
        gap = ((theta > 31.4) & (theta < 32.2)) | ((theta > 128.7) & (theta < 130.7))
        assert beams.sigma_her > 0
        results.append((pack, ak.to_numpy(chunk.events.weight), theta, np.minimum(m2, 90.0), gap, gap & (m2 > 4)))
    plain, biased = results
    error = np.hypot(plain[0].sigma_err_fb, biased[0].sigma_err_fb)
    assert plain[0].sigma_fb == pytest.approx(biased[0].sigma_fb, abs=4 * error)
    for observable in (2, 3, 4, 5):
        a, ea = moments(plain[observable].astype(float), plain[1])
        b, eb = moments(biased[observable].astype(float), biased[1])
        assert a == pytest.approx(b, abs=4 * np.hypot(ea, eb))
    assert np.mean(biased[5]) > 20 * np.mean(plain[5])


def test_bias_in_the_laboratory_is_reproducible(towards_the_gaps: tuple[Process, Gridpack]) -> None:
    process, pack = towards_the_gaps
    first = generate_chunk(process, pack, 300, generator(1, "generate", "x", 2), 2)
    assert digest(first) == digest(generate_chunk(process, pack, 300, generator(1, "generate", "x", 2), 2))
    # the photon whose side was seen by the bias is the one in the record: momentum is conserved
    p = {k: ak.to_numpy(ak.sum(first.events.particles[k], axis=1)) for k in ("e", "px", "py", "pz")}
    total = np.stack([p[k] for k in ("e", "px", "py", "pz")], axis=-1)
    # up to the spread of the beams
    assert np.allclose(total, process.beams.frame.p4, atol=0.04)


def test_two_photon_background_is_where_it_is_sought() -> None:
    process = registry("ee_mumu")
    pack = adapt(process, 1, Effort(6, 30_000, 60_000))
    events = generate_chunk(process, pack, 2000, generator(1, "eemm"), 0).events
    particles = events.particles
    sums = {k: ak.to_numpy(particles[:, 2][k] + particles[:, 3][k]) for k in ("e", "px", "py", "pz")}
    cm = process.beams.frame.to_cm(np.stack([sums[k] for k in ("e", "px", "py", "pz")], axis=-1))
    pair_pt = np.hypot(cm[:, 1], cm[:, 2])
    # the spread of the beams moves the frame by some MeV
    assert pair_pt.min() > 0.14
    assert np.mean(pair_pt > 1.0) > 0.1
    assert float(np.average(pair_pt > 1.0, weights=ak.to_numpy(events.weight))) < 0.5 * np.mean(pair_pt > 1.0)


def test_decay_to_photons() -> None:
    process = registry("gamma_alp", parameters={"m_a": 2.0})
    chunk = generate_chunk(process, adapt(process, 1), 500, generator(1, "a"), 0)
    particles = chunk.events.particles
    assert particles.pdg[:, :4].tolist() == [[22, 9000005, 22, 22]] * 500
    assert particles.status[:, :4].tolist() == [[1, 2, 1, 1]] * 500
    assert particles.mother[:, :4].tolist() == [[-1, -1, 1, 1]] * 500
    pair = {k: ak.to_numpy(particles[:, 2][k] + particles[:, 3][k]) for k in ("e", "px", "py", "pz")}
    assert np.allclose(mass(np.stack([pair[k] for k in ("e", "px", "py", "pz")], axis=-1)), 2.0, atol=1e-9)


def test_roulette_is_unbiased_and_keeps_the_books() -> None:
    roulette = [{"observable": "pt_pair", "pair": [13, 13], "points": [[0.5, 0.05], [1.5, 1.0]]}]
    plain = registry("tautau_mumu", {"bias": [], "roulette": []})
    thinned = registry("tautau_mumu", {"bias": [], "roulette": roulette})
    results = []
    for process in (plain, thinned):
        pack = adapt(process, 1, SMALL)
        chunk = generate_chunk(process, pack, 20_000, generator(1, process.digest), 3)
        assert digest(chunk) == digest(generate_chunk(process, pack, 20_000, generator(1, process.digest), 3))
        assert chunk.n_events == 20_000
        assert chunk.sumw == pytest.approx(float(ak.sum(chunk.events.weight)))
        particles = chunk.events.particles
        muons = particles[np.abs(particles.pdg) == 13]
        sums = np.stack([ak.to_numpy(ak.sum(muons[k], axis=1)) for k in ("e", "px", "py", "pz")], axis=-1)
        cm = process.beams.frame.to_cm(sums)
        results.append((pack, chunk, ak.to_numpy(chunk.events.weight), np.hypot(cm[:, 1], cm[:, 2]), cm[:, 0]))
    (_, chunk, w, pt, energy), (pack, thin, wt, ptt, energyt) = results
    assert len(thin.events) < 0.5 * len(chunk.events)
    error = float(np.sqrt(thin.sumw2))
    assert thin.sumw == pytest.approx(thin.n_events * pack.sigma_fb, abs=4 * error)
    for a, b in ((pt, ptt), (energy, energyt)):
        x, ex = moments(a, w)
        y, ey = moments(b, wt)
        assert x == pytest.approx(y, abs=4 * np.hypot(ex, ey))
    # numbers are those of the tries, so that the folds are alike; what is of interest is all kept
    number = ak.to_numpy(thin.events.event_id) - 3 * 2**32
    assert np.all(np.diff(number) > 0)
    assert number.max() < 20_000
    assert len(thin.events) < number.max() < thin.n_events
    folds = np.bincount(number % 4, weights=wt, minlength=4)
    assert np.all(np.abs(folds - wt.sum() / 4) < 4 * np.sqrt(np.bincount(number % 4, weights=wt**2, minlength=4)))
    assert np.sum(ptt > 1.5) == pytest.approx(np.sum(pt > 1.5), abs=4 * np.sqrt(2 * np.sum(pt > 1.5)))
    # mothers still fit
    for side in (0, 1):
        daughters = thin.events.particles[thin.events.particles.mother == side]
        assert np.allclose(ak.to_numpy(ak.sum(daughters.e, axis=1)), ak.to_numpy(thin.events.particles.e[:, side]))


def test_nothing_may_survive() -> None:
    roulette = [{"observable": "pt_pair", "pair": [13, 13], "points": [[0.0, 1e-9], [20.0, 1e-9]]}]
    process = registry("tautau_mumu", {"bias": [], "roulette": roulette})
    chunk = generate_chunk(process, adapt(process, 1, SMALL), 50, generator(1, "none"), 0)
    assert (len(chunk.events), chunk.n_events, chunk.sumw) == (0, 50, 0.0)
    assert chunk.events.fields == ["weight", "event_id", "particles"]


def test_tau_decays_are_attached() -> None:
    process = registry("tautau_mumu", {"bias": [], "roulette": []})
    pack = adapt(process, 1)
    chunk = generate_chunk(process, pack, 500, generator(1, "tau"), 0)
    particles = chunk.events.particles
    assert chunk.sumw / 500 == pytest.approx(pack.sigma_fb, rel=5e-3)
    assert pack.branching_fraction == pytest.approx(0.1739**2)
    assert ak.all(ak.sum(np.abs(particles.pdg) == 13, axis=1) == 2)
    for side in (0, 1):
        daughters = particles[particles.mother == side]
        tau = particles[:, side]
        for k in ("e", "px", "py", "pz"):
            assert np.allclose(ak.to_numpy(ak.sum(daughters[k], axis=1)), ak.to_numpy(tau[k]), atol=1e-9)
        # flight along the tau, 0.02 cm on average at this momentum
        length = ak.to_numpy(np.hypot(daughters.vz[:, 0], np.hypot(daughters.vx[:, 0], daughters.vy[:, 0])))
        assert 0.01 < length.mean() < 0.06


def test_wrong_gridpack_is_refused(mumu_gamma: tuple[Process, Gridpack]) -> None:
    other = registry("mumu_scalar", parameters={"m_S": 1.0})
    with pytest.raises(InputError, match="does not fit process mumu_scalar"):
        generate_chunk(other, mumu_gamma[1], 10, generator(1, "x"), 0)


def test_gridpack_of_another_version(mumu_gamma: tuple[Process, Gridpack]) -> None:
    header, arrays = mumu_gamma[1].to_arrays()
    del header["w_max"]
    with pytest.raises(InputError, match=r"lacks \['w_max'\]"):
        Gridpack.from_arrays(header, arrays)


def test_empty_region_is_refused() -> None:
    process = registry("mumu", {"cuts": {"legs": [{"leg": "mu-", "e_cms_min": 8.0}]}, "isr": {"radiator": "none"}})
    with pytest.raises(InputError, match="none of 10000 attempts"):
        adapt(process, 1, Effort(1, 1000, 10_000))


def test_lost_efficiency_is_an_error(mumu_gamma: tuple[Process, Gridpack]) -> None:
    process, pack = mumu_gamma
    header, arrays = pack.to_arrays()
    broken = Gridpack.from_arrays({**header, "w_max": 1e30}, arrays)
    with pytest.raises(RunError, match="adapt it again"):
        unweighted(process, broken, 1, generator(1, "x"))


@pytest.mark.parametrize(
    ("name", "change", "parameters", "message"),
    [
        ("mumu_zprime", {}, {"m_Zp": 12.0}, "above the CM energy"),
        ("gamma_alp", {}, {"width_over_mass": 0.1}, "must name its wide leg"),
        ("mumu_gamma", {"cuts": {"legs": []}}, {}, "e_cms_min of gamma"),
        ("gamma_alp", {"decays": {"a": {"products": ["mu-", "mu+"]}}}, {"m_a": 0.2}, "cannot decay"),
        ("uds", {}, {}, "engine 'pythia'"),
        ("four_muon", {"max_orders": {"NP": 2}}, {"m_Zp": 3.0, "g_Zp": 0.1}, "can be real but has no width"),
    ],
)
def test_impossible_processes(name: str, change: dict[str, object], parameters: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        registry(name, change, parameters)


def test_taus_need_their_table() -> None:
    config = registry("tautau").config
    with pytest.raises(ConfigError, match="table of tau decays"):
        build_process(config, MODEL, {}, BELLE2)
    assert build_process(config, MODEL, {}, BELLE2, TAUS).tau_modes is not None
