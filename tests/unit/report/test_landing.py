from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from darkfactory.core.files import write_json
from darkfactory.interpret.comparison import compare_rows, ratio_summary
from darkfactory.pipeline.landing import landing_row, landing_section
from darkfactory.report.page import Link, render_page
from darkfactory.store.tables import write_csv

ENTRY = {
    "search": "zprime_invisible", "dataset": "belle2_80fb", "title": "Z' -> invisible", "luminosity_fb": 79.7,
    "reference_csv": "published.csv",
}  # fmt: skip


def row(mass: float, expected: float | None, **more: Any) -> dict[str, Any]:
    status = "no_sensitivity" if expected is None else "ok"
    return {
        "mass_gev": mass, "expected": expected, "status": status, "cl": 0.9, "quantity": "cross_section", "unit": "fb",
        **more,
    }  # fmt: skip


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = tmp_path / "zprime_invisible" / "belle2_80fb"
    write_csv(folder / "limits.csv", [row(1.0, 2.0), row(2.0, 1.0), row(3.0, None)])
    model = {"model": "zprime_vanilla", "quantity": "g_prime", "unit": ""}
    other = {**model, "model": "other"}
    write_csv(folder / "couplings.csv", [row(1.0, 0.02, **model), row(2.0, 0.04, **model), row(1.0, 9.0, **other)])
    largest = {"point": "m1p00000", "z_local": 2.5, "p_global": 0.3}
    write_json(folder / "scan.json", {"points": 3, "largest": largest})
    return tmp_path


def test_a_dataset_is_one_row(base: Path) -> None:
    write_csv(base / "published.csv", [{"mass_GeV": 0.5, "limit": 0.02}, {"mass_GeV": 4.0, "limit": 0.02}])
    found = landing_row(base / "zprime_invisible" / "belle2_80fb", ENTRY, base)
    assert found["limits"] == "2 of 3 ok"
    assert (found["limit on"], found["best expected"], found["at [GeV]"]) == ("g prime, 90% CL", 0.02, 1.0)
    assert found["expected / published"] == "1.5 (median), 50% within 2"
    assert (found["largest local z"], found["global p"]) == (2.5, 0.3)


def test_without_models_and_tables_the_rate_is_shown(base: Path) -> None:
    folder = base / "zprime_invisible" / "belle2_80fb"
    write_csv(folder / "couplings.csv", [], ["model", "expected"])
    write_json(folder / "scan.json", {"points": 3, "largest": None})
    found = landing_row(folder, ENTRY, base)
    assert (found["limit on"], found["best expected"]) == ("cross section [fb], 90% CL", 1.0)
    assert found["expected / published"] is None
    assert found["largest local z"] is None


def test_couplings_with_two_edges_have_the_interval_that_begins_lowest(base: Path) -> None:
    folder = base / "zprime_invisible" / "belle2_80fb"
    model = {"model": "dark_higgs", "coupling": "sin_theta", "unit": "", "cl": 0.95, "status": "ok"}
    rows = [
        {**model, "quantity": "sin_theta", "mass_gev": 0.5, "lower": 1e-6, "upper": 1e-2},
        {**model, "quantity": "sin_theta_expected", "mass_gev": 1.0, "lower": 2e-5, "upper": 1e-3},
        {**model, "quantity": "sin_theta_expected", "mass_gev": 2.0, "lower": 1.5e-5, "upper": 4e-4},
        {**model, "quantity": "sin_theta_expected", "mass_gev": 3.0, "lower": None, "upper": None},
    ]
    write_csv(folder / "couplings.csv", rows)
    entry = {**ENTRY, "labels": {"dark_higgs": "$\\sin\\theta$"}}
    found = landing_row(folder, entry, base)
    assert found["limit on"] == "sinθ, 95% CL"
    assert (found["best expected"], found["at [GeV]"]) == ("excluded 1.5e-05 to 0.0004", 2.0)
    write_csv(folder / "couplings.csv", [{**r, "lower": None, "upper": None} for r in rows])
    assert landing_row(folder, entry, base)["best expected"] == "nothing excluded"


def test_missing_published_tables_are_told(base: Path) -> None:
    assert "Published tables are not at hand" in landing_section(base, [ENTRY], base / "no", "x").notes[0]
    write_csv(base / "published.csv", [{"mass_GeV": 0.5, "limit": 0.02}, {"mass_GeV": 4.0, "limit": 0.02}])
    assert "not at hand" not in landing_section(base, [ENTRY], base, "x").notes[0]


def test_the_table_leads_to_sections_and_numbers(base: Path) -> None:
    page = render_page("t", "", [landing_section(base, [ENTRY], base, "pseudo-data")])
    assert '<a href="zprime_invisible.html#zprime_invisible-belle2_80fb">Z&#x27; -&gt; invisible</a>' in page
    assert 'href="../zprime_invisible/belle2_80fb/limits.csv"' in page
    assert (base / "report" / "../zprime_invisible/belle2_80fb/limits.csv").resolve().exists()


def test_a_link_is_escaped() -> None:
    page = render_page("t", "", [landing_section(Path(), [], Path(), "<b>")])
    assert "&lt;b&gt;" in page
    assert Link("a", "b").text == "a"


def test_masses_outside_the_published_range_are_left_out() -> None:
    published = [{"mass_GeV": 1.0, "limit": 1.0}, {"mass_GeV": 2.0, "limit": 1.0}]
    found = compare_rows([{"mass_gev": m, "expected": 2.0} for m in (0.5, 1.0, 2.0, 2.5)], published)
    assert [r["mass_gev"] for r in found] == [1.0, 2.0]
    assert ratio_summary([]) is None


def test_a_measurement_is_a_row_of_its_own(tmp_path: Path) -> None:
    entry = {"search": "tau_mass", "dataset": "belle2_190fb", "luminosity_fb": 190.0}
    stored = {
        "generated": 1.77693,
        "measured": 1.7775,
        "error_mev": 0.9,
        "toys": {"error_mev": 0.08},
        "systematic_mev": 0.1,
    }
    write_json(tmp_path / "tau_mass" / "belle2_190fb" / "measurement.json", stored)
    section = landing_section(tmp_path, [], tmp_path, "pseudo-data", [entry])
    [row] = section.tables["Measurements"]
    assert (row["generated [MeV]"], row["found [MeV]"]) == ("1776.93", "1777.50 +- 0.90")
    assert "Searches" not in section.tables
