from __future__ import annotations

from pathlib import Path

import awkward as ak
import numpy as np
import pytest

from darkfactory.config.load import read_yaml
from darkfactory.config.model import ModelConfig
from darkfactory.config.process import HadronicFilter, ProcessConfig
from darkfactory.core.errors import ConfigError
from darkfactory.core.seeds import generator
from darkfactory.generate.b_signal import SignalSide, build_signal, decay_signal
from darkfactory.generate.chunk import GeneratedChunk
from darkfactory.generate.pythia_engine import generate_pythia_chunk
from darkfactory.physics.beams import Beams
from darkfactory.physics.kinematics import mass, to_rest_frame
from darkfactory.physics.lifetimes import lifetime_weight

CONFIG = Path(__file__).parents[3] / "config"
MODEL = ModelConfig.model_validate(read_yaml(CONFIG / "models" / "b_mesons.yaml"))
BEAMS = Beams(7.004, 4.002, 0.0415, 0.00513, 0.002375)


def process(name: str) -> ProcessConfig:
    return ProcessConfig.model_validate(read_yaml(CONFIG / "processes" / f"{name}.yaml"))


def side(name: str, m_s: float) -> SignalSide:
    config = process(name)
    return build_signal(config, MODEL, {"m_S": m_s}, str(config.pythia["signal"]))


def make(name: str, n: int, m_s: float = 1.0, chunk: int = 0) -> GeneratedChunk:
    pytest.importorskip("pythia8mc")
    config = process(name)
    rng = generator(1, "generate", name, chunk)
    return generate_pythia_chunk(config.pythia, 1.0e6, BEAMS.frame, n, rng, chunk, beams=BEAMS, signal=side(name, m_s))


def is_charged(p: ak.Array) -> ak.Array:
    code = np.isin(abs(ak.to_numpy(ak.flatten(p.pdg))), [11, 13, 211, 321, 2212])
    return ak.unflatten(code, ak.num(p.pdg)) & (p.status == 1)


def test_a_kstar_beside_a_scalar_is_longitudinal_and_has_its_line_shape() -> None:
    chain = side("b_kstar_mumu", 1.0)
    n = 40_000
    b = np.tile([6.0, 0.5, -0.4, np.sqrt(36 - 0.41 - chain.meson.mass**2)], (n, 1))
    lab, vertex, columns = decay_signal(chain, b, np.random.default_rng(1))
    by_name = {p.name: i for i, p in enumerate(chain.particles)}
    kstar, kaon = lab[by_name["K*0"]], lab[by_name["K+"]]
    # of the kaon in the rest frame of the K*0, against the direction opposite to the B
    in_kstar, parent = to_rest_frame(kaon, kstar), to_rest_frame(b, kstar)
    space = np.sum(in_kstar[:, 1:] * -parent[:, 1:], axis=1)
    cosine = space / np.linalg.norm(in_kstar[:, 1:], axis=1) / np.linalg.norm(parent[:, 1:], axis=1)
    assert (cosine**2).mean() == pytest.approx(3 / 5, abs=0.005)
    assert cosine.mean() == pytest.approx(0, abs=0.015)
    m = mass(kstar)
    # the momentum of a P wave makes the line lean to high masses
    assert 0.8956 < np.median(m) < 0.902
    # half of a Breit-Wigner is within half its width of the peak; its ends cut a part of the tails
    assert np.mean(np.abs(m - 0.89555) < 0.0473 / 2) == pytest.approx(0.57, abs=0.05)
    total = lab[by_name["K+"]] + lab[by_name["pi-"]] + lab[by_name["mu-"]] + lab[by_name["mu+"]]
    np.testing.assert_allclose(total, b, atol=1e-9)
    # S decays where its proper length puts it, in its direction
    s = lab[by_name["S"]]
    flight = vertex[by_name["mu-"]] - vertex[by_name["S"]]
    np.testing.assert_allclose(np.linalg.norm(flight, axis=1), columns["proper_S"] * np.linalg.norm(s[:, 1:], axis=1))
    weight = lifetime_weight(columns["proper_S"], columns["density_S"], 2.5)
    assert np.average(columns["proper_S"], weights=weight) == pytest.approx(2.5, rel=0.05)
    np.testing.assert_array_equal(vertex[by_name["K+"]], vertex[by_name["K*0"]])


def test_both_charges_decay_to_their_own_products_and_the_other_b_to_anything() -> None:
    events = make("b_kplus_pipi", 400).events
    p = events.particles
    sign = np.sign(ak.to_numpy(p.pdg[:, 0]))
    assert 0.4 < np.mean(sign > 0) < 0.6
    assert ak.all(abs(p.pdg[:, 0]) == 521)
    assert ak.all(p.pdg[:, 1] == -p.pdg[:, 0])
    children = p[p.mother == 0]
    assert ak.all(ak.num(children) == 2)
    np.testing.assert_array_equal(ak.to_numpy(children.pdg[:, 0]), sign * 321)
    assert ak.all(children.pdg[:, 1] == 9000025)
    pions = p[:, -2:]
    assert ak.all(ak.sum(pions.pdg, axis=1) == 0)
    assert ak.all(pions.mother == ak.num(p) - 3)
    assert ak.all(p.pdg[p.mother == 1] != 9000025)
    # the other B has the multiplicity of one meson
    other = p[:, 2:-4]
    assert ak.mean(ak.sum(is_charged(other), axis=1)) == pytest.approx(5.35, abs=0.4)


def test_pairs_have_the_energy_and_the_boost_of_their_own_beams() -> None:
    p = make("b_kplus_mumu", 3000).events.particles
    final = p[p.status == 1]
    total = np.stack([ak.to_numpy(ak.sum(final[k], axis=1)) for k in ("e", "px", "py", "pz")], axis=1)
    sqrts = mass(total)
    spread = 5.29 * np.hypot(0.00513 / 7.004, 0.002375 / 4.002)
    assert sqrts.mean() == pytest.approx(BEAMS.frame.sqrts, abs=4e-4)
    assert sqrts.std() == pytest.approx(spread, rel=0.06)
    b = np.stack([ak.to_numpy(p[k][:, 0]) for k in ("e", "px", "py", "pz")], axis=1)
    np.testing.assert_allclose(mass(b), 5.27934, atol=1e-5)
    cm = BEAMS.frame.to_cm(b)
    k = np.linalg.norm(cm[:, 1:], axis=1)
    # M_bc spreads by half of the CM energy's spread
    m_bc = np.sqrt(BEAMS.frame.sqrts**2 / 4 - k**2)
    assert m_bc.std() == pytest.approx(spread / 2, rel=0.1)
    assert (cm[:, 3] ** 2 / k**2).mean() == pytest.approx(0.2, abs=0.02)


def test_chunks_of_signals_are_the_same_in_any_order() -> None:
    first = [make("b_kstar_ee", 40, chunk=c).events for c in (0, 1)]
    again = {c: make("b_kstar_ee", 40, chunk=c).events for c in (1, 0)}
    for c in (0, 1):
        for field in ("pdg", "e", "vx"):
            one, two = (ak.to_numpy(ak.flatten(e.particles[field])) for e in (first[c], again[c]))
            assert one.tobytes() == two.tobytes()
        assert ak.to_numpy(first[c].proper_S).tobytes() == ak.to_numpy(again[c].proper_S).tobytes()


def test_a_filter_keeps_what_it_says_and_counts_the_rest() -> None:
    pytest.importorskip("pythia8mc")
    config = process("bbbar")
    wanted = HadronicFilter(tracks=3, displaced=1, radius_cm=(0.05, 80.0))
    made = [
        generate_pythia_chunk(config.pythia, 1.0, BEAMS.frame, 300, generator(1, "filter"), 2, beams=BEAMS, keep=keep)
        for keep in (None, wanted)
    ]
    whole, kept = (m.events for m in made)
    assert made[1].n_events == made[1].tries == 300
    assert made[1].sumw == len(kept)
    p = whole.particles
    charged = is_charged(p) & (np.hypot(p.px, p.py) > 0.05)
    r = np.hypot(p.vx, p.vy)
    pass_ = (ak.sum(charged, axis=1) >= 3) & ak.any(charged & (r > 0.05) & (r < 80.0), axis=1)
    assert 20 < ak.sum(pass_) < 280
    np.testing.assert_array_equal(ak.to_numpy(kept.event_id), ak.to_numpy(whole.event_id[pass_]))
    np.testing.assert_array_equal(ak.to_numpy(ak.flatten(kept.particles.pz)), ak.to_numpy(ak.flatten(p.pz[pass_])))


def test_what_the_signal_side_cannot_do_is_said() -> None:
    with pytest.raises(ConfigError, match=r"S of 0\.2 GeV is too light for .'mu-', 'mu\+'., 0\.21132 GeV"):
        side("b_kplus_mumu", 0.2)
    with pytest.raises(ConfigError, match=r"B0 of 5\.2797 GeV is too light for .'K\*0', 'S'."):
        side("b_kstar_mumu", 4.7)
    config = process("b_kplus_mumu")
    three = config.model_copy(
        update={"decays": {**config.decays, "S": config.decays["S"].model_copy(update={"products": ("pi0",) * 3})}}
    )
    with pytest.raises(ConfigError, match="every decay has one mode of two products"):
        build_signal(three, MODEL, {"m_S": 1.0}, "B+")
    with pytest.raises(ValueError, match=r"'B_s' must be B\+ or B0"):
        ProcessConfig.model_validate(config.model_dump() | {"pythia": {"source": "upsilon4s", "signal": "B_s"}})
    with pytest.raises(ValueError, match="filter: the Pythia engine has it"):
        ProcessConfig.model_validate({"name": "x", "final": ("mu-", "mu+"), "filter": {"tracks": 1}})
    with pytest.raises(ValueError, match="must rise from 0"):
        HadronicFilter(radius_cm=(2.0, 1.0))
    with pytest.raises(ConfigError, match="needs both the meson's name and its decays"):
        generate_pythia_chunk(config.pythia, 1.0, BEAMS.frame, 5, np.random.default_rng(1), 0)
