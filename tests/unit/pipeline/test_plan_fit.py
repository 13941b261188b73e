from __future__ import annotations

from pathlib import Path

from darkfactory.config.detector import BeamsConfig, TracksConfig
from darkfactory.config.library import Library
from darkfactory.config.load import validate
from darkfactory.config.selection import SelectionConfig
from darkfactory.pipeline.fit_errors import with_errors

LIBRARY = Library(Path(__file__).parents[3] / "config")


def test_a_fit_takes_the_resolution_of_the_detector_unless_it_has_one() -> None:
    selection = {"candidate": "four_muon_pairs", "objects": {"fit": {"iterations": 3}}}
    for name in ("belle2", "belle", "babar"):
        detector = LIBRARY.get("detectors", name)
        fit = validate(SelectionConfig, with_errors(selection, detector), where="selection").objects.fit
        assert fit is not None
        assert fit.track_errors is not None
        assert fit.beam_errors is not None
        assert fit.iterations == 3
        assert fit.track_errors.phi_mrad == validate(TracksConfig, detector["tracks"], where="tracks").phi_mrad
        beams = validate(BeamsConfig, detector["beams"], where="beams")
        assert fit.beam_errors.sigma_e_her_gev == beams.sigma_e_her_gev
    own = {
        "sigma_e_her_gev": {"value": 0.0, "source": "assumed"},
        "sigma_e_ler_gev": {"value": 0.0, "source": "assumed"},
    }
    told = {"candidate": "four_muon_pairs", "objects": {"fit": {"beam_errors": own}}}
    assert with_errors(told, LIBRARY.get("detectors", "belle2"))["objects"]["fit"]["beam_errors"] == own
