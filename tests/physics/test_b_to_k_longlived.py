"""B+ -> K+ S with S -> mu mu through detector and selection: peaks, efficiency by lifetime, mass resolution."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from generator_tools import LIBRARY

from darkfactory.config.detector import DetectorConfig, SimulateOptions
from darkfactory.config.load import validate
from darkfactory.config.model import ModelConfig
from darkfactory.config.process import ProcessConfig
from darkfactory.config.selection import SelectionConfig
from darkfactory.config.skim import SkimConfig
from darkfactory.config.templates import TemplatesConfig
from darkfactory.core.seeds import generator
from darkfactory.detector.simulate import simulate
from darkfactory.generate.b_signal import build_signal
from darkfactory.physics.beams import Beams
from darkfactory.physics.constants import M_MU
from darkfactory.physics.lifetimes import lifetime_weight
from darkfactory.select.preselect import preselect
from darkfactory.select.selected import Selected
from darkfactory.skim.skim import skim
from darkfactory.templates.fill import region_mask

N, MASS = 4000, 2.0
SEARCH = LIBRARY.get("searches", "b_to_k_longlived")


@pytest.fixture(scope="module")
def made() -> Selected:
    pytest.importorskip("pythia8mc")
    from darkfactory.generate.pythia_engine import generate_pythia_chunk

    process = validate(ProcessConfig, LIBRARY.get("processes", "b_kplus_mumu"))
    model = validate(ModelConfig, LIBRARY.get("models", process.model))
    side = build_signal(process, model, {"m_S": MASS}, "B+")
    beams = Beams(7.004, 4.002, 0.0415, 0.00513, 0.002375)
    truth = generate_pythia_chunk(
        process.pythia, 1.0, beams.frame, N, generator(1, "truth"), 0, beams=beams, signal=side
    )
    detector = validate(DetectorConfig, LIBRARY.get("detectors", "belle2"))
    seen = simulate(truth.events, detector, SimulateOptions(vertices=True), generator(1, "simulate"))
    kept, _ = skim(seen, validate(SkimConfig, LIBRARY.get("skims", "kaon_displaced_pair")), beams.frame)
    return preselect(kept, validate(SelectionConfig, SEARCH["selection"]), beams.frame)


def signal(made: Selected, without: tuple[str, ...] = ()) -> dict[str, np.ndarray]:
    """Candidates that pass the last cuts, near the mass."""
    config = validate(TemplatesConfig, SEARCH["templates"])
    region = next(r for r in config.regions if r.name == "kplus_mumu")
    region = region.model_copy(update={"cuts": tuple(c for c in region.cuts if c.column not in without)})
    c: dict[str, Any] = made.columns
    keep = region_mask(c, region) & (np.abs(np.sqrt(c["m2_reduced"] + 4 * M_MU**2) - MASS) < 0.05)
    return {k: v[keep] for k, v in c.items()}


def efficiency(c: dict[str, np.ndarray], ctau: float) -> float:
    return float(np.sum(lifetime_weight(c["proper_S"], c["density_S"], ctau))) / N


def half68(x: np.ndarray) -> float:
    return float(np.subtract(*np.quantile(x, [0.84, 0.16])) / 2)


def test_m_bc_has_the_spread_of_the_beams_and_delta_e_that_of_the_tracks(made: Selected) -> None:
    m_bc = signal(made, ("m_bc",))["m_bc"]
    assert np.median(m_bc) == pytest.approx(5.2793, abs=1e-3)
    assert half68(m_bc) == pytest.approx(2.6e-3, rel=0.2)
    delta_e = signal(made, ("delta_e",))["delta_e"]
    assert np.median(delta_e) == pytest.approx(0.0, abs=5e-3)
    assert 0.005 < half68(delta_e) < 0.025


def test_the_mass_is_measured_to_some_mev(made: Selected) -> None:
    c = signal(made)
    # published steps of the scan are half a width: 2.15 MeV at 2 GeV
    assert half68(np.sqrt(c["m2_reduced"] + 4 * M_MU**2)) == pytest.approx(4.3e-3, rel=0.5)


def test_the_efficiency_has_the_lifetimes_at_which_pairs_are_displaced_and_seen(made: Selected) -> None:
    c = signal(made)
    best = efficiency(c, 1.0)
    assert 0.2 < best < 0.5
    # 0.05 cm are e times beta gamma sin(theta) c tau at some 0.06 cm
    assert efficiency(c, 0.01) < 0.1 * best
    assert 0.4 < efficiency(c, 0.1) / best < 0.9
    assert efficiency(c, 200.0) / efficiency(c, 400.0) == pytest.approx(2.0, rel=0.1)
    # half of the tracks that start at 60 cm are found
    assert 0.3 < efficiency(c, 50.0) / best < 0.75


def test_the_box_and_the_kaon_cost_what_they_should(made: Selected) -> None:
    whole = efficiency(signal(made), 1.0)
    assert whole / efficiency(signal(made, ("m_bc", "delta_e")), 1.0) > 0.8
    assert whole / efficiency(signal(made, ("is_kaon",)), 1.0) == pytest.approx(0.8, abs=0.15)
    assert whole / efficiency(signal(made, ("r2",)), 1.0) > 0.85
