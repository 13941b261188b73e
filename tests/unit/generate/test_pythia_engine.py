from __future__ import annotations

import sys
from pathlib import Path

import awkward as ak
import numpy as np
import pytest

from darkfactory.config.load import read_yaml
from darkfactory.config.process import ProcessConfig
from darkfactory.core.errors import ConfigError, UserError
from darkfactory.core.seeds import generator
from darkfactory.events.schema import PARTICLE
from darkfactory.generate.chunk import GeneratedChunk
from darkfactory.generate.pythia_engine import _b_pairs, generate_pythia_chunk
from darkfactory.physics.beams import BeamFrame, beam_frame

PROCESSES = Path(__file__).parents[3] / "config" / "processes"
UDS = {"source": "continuum", "flavours": "1 2 3"}


@pytest.fixture(scope="module")
def frame() -> BeamFrame:
    return beam_frame(7.007, 4.0, 0.0415)


def make(settings: dict[str, object], frame: BeamFrame, chunk: int, n: int = 300) -> GeneratedChunk:
    pytest.importorskip("pythia8mc")
    rng = generator(1, "generate", "test", chunk)
    return generate_pythia_chunk(settings, 2.39e6, frame, n, rng, chunk)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["uds", "charm", "bbbar"])
def test_events_follow_the_schema_and_conserve_momentum(frame: BeamFrame, name: str) -> None:
    process = ProcessConfig.model_validate(read_yaml(PROCESSES / f"{name}.yaml"))
    chunk = make(dict(process.pythia), frame, 3)
    events, p = chunk.events, chunk.events.particles
    assert p.fields == list(PARTICLE)
    assert chunk.n_events == chunk.tries == len(events) == 300
    assert chunk.sumw == pytest.approx(300 * 2.39e6)
    assert events.event_id[7] == 3 * 2**32 + 7
    final = p[p.status == 1]
    total = np.stack([ak.to_numpy(ak.sum(final[k], axis=1)) for k in ("e", "px", "py", "pz")], axis=1)
    # photons below 1 MeV along the beams are not recorded
    np.testing.assert_allclose(total, np.tile(frame.p4, (300, 1)), atol=4e-3)
    code = abs(p.pdg)
    assert not ak.any((code < 10) | (code == 21) | (code == 23) | (code == 90))
    charge = ak.sum(ak.where(np.isin(ak.flatten(final.pdg), [211, 321, 2212, -11, -13]), 1, 0))
    assert charge == ak.sum(ak.where(np.isin(ak.flatten(final.pdg), [-211, -321, -2212, 11, 13]), 1, 0))


def test_mothers_are_decayed_particles_and_vertices_are_displaced(frame: BeamFrame) -> None:
    p = make({"source": "upsilon4s"}, frame, 0).events.particles
    assert np.isin(ak.to_numpy(abs(p.pdg[:, 0])), [511, 521]).all()
    assert ak.all(p.pdg[:, 0] == -p.pdg[:, 1])
    assert ak.all(p.mother[:, :2] == -1)
    assert ak.all(p.mother[:, 2:] >= 0)
    mothers = p[p.mother[:, 2:]]
    assert ak.all(mothers.status == 2)
    # sums over children give the mother
    for event in range(20):
        momenta, mother = p.e[event], p.mother[event]
        for i in np.flatnonzero(p.status[event] == 2):
            assert ak.sum(momenta[mother == i]) == pytest.approx(momenta[int(i)], rel=1e-6)
    b_children = p[(p.mother == 0) | (p.mother == 1)]
    r = np.sqrt(b_children.vx**2 + b_children.vy**2 + b_children.vz**2)
    # beta gamma c tau = 0.28 x 0.046 cm, of B that are nearly at rest in the CM
    assert 0.008 < ak.mean(r) < 0.02


def test_charged_multiplicity_of_b_pairs_is_that_of_the_reference(frame: BeamFrame) -> None:
    p = make({"source": "upsilon4s"}, frame, 1, 800).events.particles
    charged = np.isin(abs(ak.flatten(p.pdg)), [11, 13, 211, 321, 2212]) & (ak.flatten(p.status) == 1)
    assert ak.sum(charged) / 800 == pytest.approx(10.7, abs=0.4)


def test_chunks_are_the_same_in_any_order(frame: BeamFrame) -> None:
    for settings in (UDS, {"source": "upsilon4s"}):
        first = [make(settings, frame, c, 50).events for c in (0, 1)]
        again = {c: make(settings, frame, c, 50).events for c in (1, 0)}
        for c in (0, 1):
            for field in PARTICLE:
                a, b = (ak.to_numpy(ak.flatten(e.particles[field])).tobytes() for e in (first[c], again[c]))
                assert a == b
        assert ak.any(first[0].particles.e[:, 0] != first[1].particles.e[:, 0])


def test_b_mesons_follow_sine_squared() -> None:
    class Table:
        class particleData:  # noqa: N801
            @staticmethod
            def m0(_code: int) -> float:
                return 5.2795

    rows = _b_pairs(Table, 10.58, 0.5, np.random.default_rng(1))
    kept = np.array([next(rows) for _ in range(20_000)])
    k = np.sqrt((kept[:, 3:] ** 2).sum(1))
    np.testing.assert_allclose(k, np.sqrt(5.29**2 - 5.2795**2), rtol=1e-9)
    c = kept[:, 5] / k
    assert (c**2).mean() == pytest.approx(0.2, abs=0.005)
    assert c.mean() == pytest.approx(0, abs=0.015)
    assert (np.abs(kept[:, 0]) == 521).mean() == pytest.approx(0.5, abs=0.02)


def test_missing_pythia_says_what_to_install(frame: BeamFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pythia8mc", None)
    with pytest.raises(UserError, match=r"pip install --only-binary :all: pythia8mc==8\.317\.2"):
        generate_pythia_chunk(UDS, 1.0, frame, 5, np.random.default_rng(1), 0)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"source": "charm"}, "'charm' is not a source; allowed"),
        ({"source": "continuum", "flavour": "1"}, "unknown keys .'flavour'."),
        ({"source": "continuum", "flavours": "5"}, "'5' are not flavours"),
        ({"source": "continuum", "No:such": 1}, "Pythia does not accept 'No:such = 1'"),
        ({"source": "upsilon4s", "charged_fraction": 2}, "2 is not a fraction"),
    ],
)
def test_wrong_settings_are_named(frame: BeamFrame, settings: dict[str, object], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        make(settings, frame, 0, 5)


def test_beams_below_threshold_are_refused() -> None:
    with pytest.raises(ConfigError, match="below the threshold of B pairs"):
        make({"source": "upsilon4s"}, beam_frame(6.9, 4.0, 0.0415), 0, 5)


def test_no_events_are_no_events(frame: BeamFrame) -> None:
    assert len(make(UDS, frame, 0, 0).events) == 0
