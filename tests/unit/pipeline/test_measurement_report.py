"""The section of a measurement on the report page."""

from __future__ import annotations

from pathlib import Path

from darkfactory.core.files import write_json
from darkfactory.pipeline.pages import measurement_section
from darkfactory.pipeline.request import Request


def test_the_page_says_what_was_generated_and_found(tmp_path: Path) -> None:
    base = tmp_path / "tau_mass" / "belle2_190fb"
    write_json(
        base / "measurement.json",
        {
            "data": "pseudo", "data_luminosity_fb": 1.1, "generated": 1.77693, "measured": 1.7772, "error_mev": 0.78,
            "systematic_mev": 0.39,
            "toys": {"error_mev": 0.059, "converged": 500, "pull_mean": -0.04, "pull_width": 1.02},
            "systematics": [{"name": "material", "mev": 0.03, "source": "recalled"}],
            "corrections": {"momentum_scale": {"true": -1e-4, "measured": -1.1e-4}},
        },
    )  # fmt: skip
    write_json(base / "measurement" / "index.json", {"figures": [{"file": "toys.png", "caption": "pulls"}]})
    job = Request("report", {}, {"manifest": str(tmp_path / "manifest.json")}, {}, "code")
    entry = {"search": "tau_mass", "dataset": "belle2_190fb", "luminosity_fb": 190.0, "reference": "PRD 108"}
    section = measurement_section(job, entry, tmp_path / "report")
    assert "Generated 1776.93 MeV, found 1777.20 +- 0.78 MeV" in section.notes[0]
    assert "nothing here is a measurement" in section.notes[0]
    assert "0.059 MeV" in section.notes[1]
    assert section.figures[0].path == "../tau_mass/belle2_190fb/measurement/toys.png"
    assert section.tables["Systematic errors"] == [{"error": "material", "size [MeV]": 0.03, "source": "recalled"}]
    assert section.tables["Corrections"][0]["correction"] == "momentum_scale"
