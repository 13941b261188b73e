"""The selection of two vertices on generated signals: efficiency by lifetime, mass resolution, backgrounds' signs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from generator_tools import LIBRARY, registry

from darkfactory.config.detector import DetectorConfig, SimulateOptions
from darkfactory.config.load import validate
from darkfactory.config.selection import SelectionConfig
from darkfactory.config.skim import SkimConfig
from darkfactory.core.seeds import generator
from darkfactory.detector.simulate import simulate
from darkfactory.generate.chunk import generate_chunk
from darkfactory.generate.gridpack import Effort, adapt
from darkfactory.models.inelastic_dm import aprime_width
from darkfactory.physics.beams import beam_frame
from darkfactory.physics.lifetimes import lifetime_weight
from darkfactory.select.preselect import preselect
from darkfactory.select.selected import Selected
from darkfactory.skim.skim import skim

N = 8000
SAMPLES = LIBRARY.file("samples.yaml")
POINT = {**SAMPLES["belle2_idm_mumu"]["parameters"], "m_hp": 1.0}
SEARCH = LIBRARY.get("searches", "inelastic_dm_dark_higgs")


@pytest.fixture(scope="module")
def made() -> tuple[Selected, float]:
    """Candidates of h' -> mu mu at 1 GeV, and the cross-section in fb."""
    process = registry("idm_hp_mumu", {}, POINT)
    pack = adapt(process, 1, Effort(3, 5000, 5000))
    truth = generate_chunk(process, pack, N, generator(1, "truth"), 0).events
    detector = validate(DetectorConfig, LIBRARY.get("detectors", "belle2"))
    seen = simulate(truth, detector, SimulateOptions(vertices=True), generator(1, "simulate"))
    frame = beam_frame(7.004, 4.002, 0.0415)
    kept, _ = skim(seen, validate(SkimConfig, LIBRARY.get("skims", "two_vertices")), frame)
    return preselect(kept, validate(SelectionConfig, SEARCH["selection"]), frame), pack.sigma_fb


def efficiency(found: Selected, sigma: float, ctau: float, ctau2: float) -> tuple[float, float]:
    """Of muons identified, and its error, for c tau of h' and chi2 in cm."""
    c: dict[str, Any] = found.columns
    w = c["weight"] * lifetime_weight(c["proper_hp"], c["density_hp"], ctau) * (c["n_mu"] == 2)
    w = w * lifetime_weight(c["proper_chi2"], c["density_chi2"], ctau2)
    return float(np.sum(w)) / N / sigma, float(np.sqrt(np.sum(w * w))) / N / sigma


def test_the_sample_has_the_width_of_its_dark_photon() -> None:
    expected = aprime_width(POINT["m_Ap"], POINT["m_chi1"], POINT["m_chi2"], 1 / (4 * np.pi))
    assert POINT["w_Ap"] == pytest.approx(expected, rel=1e-6)


def test_the_efficiency_falls_to_both_sides(made: tuple[Selected, float]) -> None:
    best, error = efficiency(*made, 1.0, 3.0)
    assert best == pytest.approx(0.08, abs=0.05)
    assert error < 0.25 * best
    for ctau, ctau2 in ((0.002, 3.0), (1000.0, 3.0), (1.0, 0.015)):
        assert efficiency(*made, ctau, ctau2)[0] < 0.1 * best


def test_far_from_the_detector_the_efficiency_goes_as_the_inverse_lifetime(made: tuple[Selected, float]) -> None:
    values = [efficiency(*made, ctau, 3.0) for ctau in (300.0, 900.0)]
    # the same events, so that the ratio is better known than each
    assert values[0][0] / values[1][0] == pytest.approx(3.0, rel=0.1)


def test_the_mass_is_measured_to_some_mev(made: tuple[Selected, float]) -> None:
    c: dict[str, Any] = made[0].columns
    near = (c["n_mu"] == 2) & (c["r_h"] < 10.0)
    off = np.abs(np.sqrt(c["m2_mumu"][near]) - 1.0)
    assert 1e-3 < np.quantile(off, 0.68) < 8e-3
