"""B pairs of which one is left to a tag: forced decays, spectra."""

from __future__ import annotations

from pathlib import Path

import awkward as ak
import numpy as np
import pytest

from darkfactory.config.base import Tagged
from darkfactory.config.load import read_yaml
from darkfactory.config.model import ModelConfig
from darkfactory.config.process import ProcessConfig
from darkfactory.core.errors import ConfigError
from darkfactory.core.seeds import generator
from darkfactory.generate.chunk import GeneratedChunk
from darkfactory.generate.forced import forced_decays, forced_fraction
from darkfactory.generate.pythia_engine import generate_pythia_chunk
from darkfactory.generate.spectra import Spectrum, pair_spectrum_weight
from darkfactory.physics.beams import Beams
from darkfactory.physics.constants import M_B0, M_BPLUS, M_D0, M_KPLUS
from darkfactory.physics.kinematics import mass, mass2, momentum, to_rest_frame, two_body_momentum

CONFIG = Path(__file__).parents[3] / "config"
MODEL = ModelConfig.model_validate(read_yaml(CONFIG / "models" / "b_dark.yaml"))
BEAMS = Beams(7.998213, 3.499218, 0.011, 0.00567, 0.00248)


def process(name: str) -> ProcessConfig:
    return ProcessConfig.model_validate(read_yaml(CONFIG / "processes" / f"{name}.yaml"))


def make(name: str, n: int, m_x: float = 1.0, spectrum: Spectrum | None = None) -> GeneratedChunk:
    pytest.importorskip("pythia8mc")
    config = process(name)
    forced = forced_decays(config, MODEL, {"m_X": m_x}) if config.decays else ()
    rng = generator(1, "generate", name, 0)
    return generate_pythia_chunk(
        config.pythia, 1.0, BEAMS.frame, n, rng, 0, beams=BEAMS, forced=forced, spectrum=spectrum
    )


def four(p: ak.Array) -> np.ndarray:
    return np.stack([ak.to_numpy(p[c]) for c in ("e", "px", "py", "pz")], axis=1)


def test_one_b_is_whole_and_the_other_decays_as_told() -> None:
    p = make("b_tag_d0_x", 300, m_x=2.0).events.particles
    assert ak.all(abs(p.pdg[:, :2]) == 511)
    assert ak.all(p.status[:, :2] == 2)
    assert ak.all(p.pdg[:, 0] == -p.pdg[:, 1])
    assert not ak.any(p.mother == 0)
    children = p[p.mother == 1]
    assert ak.all(ak.num(children) == 2)
    d0, x = (children[abs(children.pdg) == code][:, 0] for code in (421, 9000005))
    # a B0 has an anti-D0; B0 mixing turns some of them around
    assert 0.6 < ak.mean(np.sign(d0.pdg) == -np.sign(p.pdg[:, 1])) < 1.0
    at_rest = to_rest_frame(four(d0), four(p[:, 1]))
    np.testing.assert_allclose(momentum(at_rest), float(two_body_momentum(M_B0, M_D0, 2.0)), rtol=1e-3)
    np.testing.assert_allclose(mass(four(x)), 2.0, rtol=1e-6)
    # of the modes of the D0 only those that are told
    place = ak.argmax(abs(p.pdg) == 421, axis=1)
    of_d0 = p[p.mother == place]
    kaons = ak.sum(abs(of_d0.pdg) == 321, axis=1)
    assert ak.all(kaons == 1)
    share = ak.mean(ak.any(of_d0.pdg == 111, axis=1))
    assert share == pytest.approx(0.144 / (0.0395 + 0.144 + 0.082), abs=0.1)


def test_fractions_of_forced_decays_multiply_the_cross_section() -> None:
    assert forced_fraction(process("b_tag_d0_x")) == pytest.approx(0.0395 + 0.144 + 0.082)
    assert forced_fraction(process("b_tag_kplus_nunu")) == pytest.approx(5.6e-6)


def test_modes_that_have_samples_of_their_own_are_off_in_the_others() -> None:
    p = make("b_tag_bplus", 2500).events.particles
    children = p[(p.mother == 1)]
    two = children[ak.num(children) == 2]
    codes = {tuple(sorted(abs(np.array(row)))) for row in two.pdg.to_list()}
    assert codes
    assert not codes & {(211, 421), (211, 423), (321, 443), (421, 431)}


def test_a_pair_of_neutrinos_has_the_spectrum_of_a_left_handed_current() -> None:
    config = process("b_tag_kplus_nunu")
    assert config.spectrum is not None
    f = config.spectrum.form_factor
    events = make("b_tag_kplus_nunu", 4000, spectrum=Spectrum(321, M_BPLUS, M_KPLUS, f)).events
    weight = ak.to_numpy(events.weight)
    assert weight.mean() == pytest.approx(1.0, abs=4 * weight.std() / len(weight) ** 0.5)
    p = events.particles
    kaon = p[(p.mother == 1) & (abs(p.pdg) == 321)][:, 0]
    q2 = mass2(four(p[:, 1]) - four(kaon))
    # against the integral of lambda^(3/2) f+^2
    grid = np.linspace(0, (M_BPLUS - M_KPLUS) ** 2, 20_001)
    space = two_body_momentum(M_BPLUS, M_KPLUS, np.sqrt(grid))
    rate = space * pair_spectrum_weight(grid, M_BPLUS, M_KPLUS, f)
    wanted = rate[grid < 8.0].sum() / rate.sum()
    assert weight[q2 < 8.0].sum() / weight.sum() == pytest.approx(wanted, abs=0.03)


def test_what_cannot_be_told_is_an_error() -> None:
    base = {"name": "p", "engine": "pythia", "normalisation": Tagged(value=1.0, source="assumed")}
    wrong = ProcessConfig(**base, pythia={"tag": "B+"}, decays={"B-": {"products": ["K-", "X"]}})
    with pytest.raises(ConfigError, match=r"give modes of the particle B\+"):
        forced_decays(wrong, MODEL, {})
    with pytest.raises(ValueError, match=r"pythia.tag: 'B_s' must be B\+ or B0"):
        ProcessConfig(**base, pythia={"tag": "B_s"})
    with pytest.raises(ValueError, match="spectrum: of the B beside a tag"):
        ProcessConfig(**base, spectrum=process("b_tag_kplus_nunu").spectrum)
