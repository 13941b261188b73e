"""B -> h X and B -> baryon psi beside a hadronic tag, through detector and selection: momentum, resolution, windows."""

from __future__ import annotations

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
from darkfactory.generate.forced import forced_decays
from darkfactory.physics.beams import Beams
from darkfactory.physics.constants import M_B0, M_BPLUS, M_KPLUS, M_LAMBDA
from darkfactory.physics.kinematics import two_body_momentum
from darkfactory.select.preselect import preselect
from darkfactory.select.selected import Selected
from darkfactory.skim.skim import skim
from darkfactory.templates.fill import region_mask

N = 1200


def made(process_name: str, m_x: float, search: str) -> Selected:
    pytest.importorskip("pythia8mc")
    from darkfactory.generate.pythia_engine import generate_pythia_chunk

    process = validate(ProcessConfig, LIBRARY.get("processes", process_name))
    model = validate(ModelConfig, LIBRARY.get("models", process.model))
    detector = validate(DetectorConfig, LIBRARY.get("detectors", "belle"))
    b = detector.beams
    beams = Beams(
        b.e_her_gev.value, b.e_ler_gev.value, b.half_crossing_mrad.value * 1e-3, b.sigma_e_her_gev.value,
        b.sigma_e_ler_gev.value,
    )  # fmt: skip
    truth = generate_pythia_chunk(
        process.pythia, 1.0, beams.frame, N, generator(1, "truth", process_name), 0, beams=beams,
        forced=forced_decays(process, model, {"m_X": m_x}),
    )  # fmt: skip
    seen = simulate(truth.events, detector, SimulateOptions(tag="hadronic"), generator(1, "simulate"))
    kept, _ = skim(seen, validate(SkimConfig, LIBRARY.get("skims", "hadronic_tag")), beams.frame)
    return preselect(kept, validate(SelectionConfig, LIBRARY.get("searches", search)["selection"]), beams.frame)


def in_region(found: Selected, search: str, region: str) -> dict[str, np.ndarray]:
    config = validate(TemplatesConfig, LIBRARY.get("searches", search)["templates"])
    chosen = next(r for r in config.regions if r.name == region)
    keep = region_mask(found.columns, chosen)
    return {name: values[keep] for name, values in found.columns.items()}


# widths of the momentum with a tag smeared by 20 MeV and Belle's tracks, from an independent toy: 21, 17 and 7 MeV
@pytest.mark.parametrize(("m_x", "width"), [(0.0, 0.021), (2.0, 0.017), (4.0, 0.007)])
def test_the_kaon_has_the_momentum_of_a_two_body_decay(m_x: float, width: float) -> None:
    got = in_region(made("b_tag_kplus_x", max(m_x, 1e-6), "b_to_h_invisible"), "b_to_h_invisible", "kplus")
    low, middle, high = np.quantile(got["p_h"], [0.16, 0.5, 0.84])
    assert middle == pytest.approx(float(two_body_momentum(M_BPLUS, M_KPLUS, m_x)), abs=0.004)
    assert (high - low) / 2 == pytest.approx(width, rel=0.3)
    assert np.median(got["m2_x"]) == pytest.approx(m_x**2, abs=0.04)
    # E_extra is zero of 55 % and below 0.5 GeV of most of the rest; identification, acceptance, axis of the tag
    assert 0.35 < len(got["p_h"]) / N < 0.7
    np.testing.assert_allclose(got["weight"], 0.0050 * 1.3, rtol=1e-9)


def test_a_lambda_is_found_from_tracks_that_do_not_come_from_the_interaction_point() -> None:
    got = in_region(made("b_tag_lambda_psi", 2.0, "b_to_baryon_dark"), "b_to_baryon_dark", "lambda")
    assert 0.1 < len(got["p_h"]) / N < 0.6
    assert np.median(got["p_h"]) == pytest.approx(float(two_body_momentum(M_B0, M_LAMBDA, 2.0)), abs=0.006)
    assert np.median(got["m2_x"]) == pytest.approx(4.0, abs=0.06)
    # nothing below the mass that a Lambda leaves
    assert got["m2_x"].max() < (M_B0 - M_LAMBDA) ** 2
