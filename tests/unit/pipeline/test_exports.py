"""Limit files of Darkcast, bibliographies, REANA descriptions."""

from __future__ import annotations

import importlib.util
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from darkfactory.config.exports import CitationsConfig, DarkcastConfig
from darkfactory.config.library import Library
from darkfactory.config.load import validate
from darkfactory.config.resolve import load_campaign
from darkfactory.core.errors import ConfigError, UserError
from darkfactory.pipeline.exports import bibliography, darkcast_module, limit_table, paper_entry, reana_description

CONFIG = Path(__file__).parents[3] / "config"
LIBRARY = Library(CONFIG)


def row(mass: float, **more: Any) -> dict[str, Any]:
    point = f"m{mass:.5f}".replace(".", "p")
    base: dict[str, Any] = {"model": "m", "coupling": "g", "quantity": "g", "cl": 0.9, "status": "ok", "point": point}
    return base | {"mass_gev": mass, "expected": None, "observed": None, "lower": None, "upper": None} | more


def numbers(text: str) -> list[list[float]]:
    """As Darkcast reads its tables: columns between blanks, # before comments."""
    return [[float(v) for v in line.split()] for line in text.splitlines() if not line.lstrip().startswith("#")]


def test_one_sided_limits_rise_in_mass_and_leave_out_what_has_none() -> None:
    rows = [row(2.0, expected=3e-4, observed=4e-4), row(1.0, expected=1e-3), row(3.0, status="fit_failed"),
            row(4.0, expected=1.0, cl=0.95)]  # fmt: skip
    assert numbers(limit_table(rows, "m", observed=False)) == [[1.0, 1e-3], [2.0, 3e-4]]
    assert numbers(limit_table(rows, "m", observed=True)) == [[2.0, 4e-4]]
    assert numbers(limit_table(rows, "m", observed=False, cl=0.95)) == [[4.0, 1.0]]


def test_regions_have_both_edges_of_the_kind_asked_for() -> None:
    rows = [row(1.0, lower=1e-4, upper=1e-2), row(1.0, lower=2e-4, upper=5e-3, quantity="g_expected")]
    text = limit_table(rows, "m", observed=False)
    assert text.splitlines()[0].split() == ["#", "mass", "lower", "upper"]
    assert numbers(text) == [[1.0, 2e-4, 5e-3]]
    assert numbers(limit_table(rows, "m", observed=True)) == [[1.0, 1e-4, 1e-2]]


def test_a_model_without_limits_is_told() -> None:
    with pytest.raises(UserError, match=r"model 'm' has no observed limits in couplings.csv; models there: \['m'\]"):
        limit_table([row(1.0, expected=1.0)], "m", observed=True)


def test_the_python_file_is_what_darkcast_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = validate(DarkcastConfig, LIBRARY.file("darkcast.yaml")).models
    entry = paper_entry("PRL 119, 131804 (2017), arXiv:1702.03327", "single_photon")
    file = tmp_path / "limit.py"
    file.write_text(darkcast_module("name", known["dark_photon"], "single_photon", "notes", entry))
    fake = types.ModuleType("darkcast")
    for name in ("Model", "Production", "Dataset", "Efficiency"):
        setattr(fake, name, lambda *a, _n=name, **k: (_n, a, k))
    monkeypatch.setitem(sys.modules, "darkcast", fake)
    spec = importlib.util.spec_from_file_location("limit", file)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    assert made.model[1] == ("dark_photon",)
    # 99 % of the decays are unseen: the unseen width is 99 times the seen one

    class Visible:
        def width(self, kind: str, mass: float) -> float:
            assert kind == "visible"
            return 2.0 * mass

    assert made.model[2]["iwidth"](3.0, Visible()) == pytest.approx(99 * 6.0)
    assert (made.decay, made.production[1], made.bounds[1]) == ("invisible", ("e_e",), ("limits/name.lmt",))
    assert made.efficiency[2] == {"t0": 0, "t1": float("inf")}
    assert "1702.03327" in made.bibtex


def test_a_decay_that_is_not_known_is_told() -> None:
    told = validate(DarkcastConfig, LIBRARY.file("darkcast.yaml")).models["zprime_vanilla"]
    with pytest.raises(UserError, match="does not say which decay alp_3gamma sees"):
        darkcast_module("n", told, "alp_3gamma", "", "")
    neither = {"model": "a", "production": "b", "source": "assumed"}
    with pytest.raises(ConfigError, match="give either decay or decays"):
        validate(DarkcastConfig, {"models": {"x": neither}})


def test_models_in_darkcast_are_models_of_ours() -> None:
    known = validate(DarkcastConfig, LIBRARY.file("darkcast.yaml")).models
    ours = {
        m
        for s in LIBRARY.names("searches")
        for m in LIBRARY.get("searches", s).get("interpretation", {}).get("models", {})
    }
    assert set(known) <= ours


def test_a_bibliography_has_the_papers_and_engines_of_what_was_run() -> None:
    campaign = load_campaign("tiny", config_dir=CONFIG)
    citations = validate(CitationsConfig, LIBRARY.file("citations.yaml"))
    entries = bibliography(campaign, citations, "1.2.3", "b_to_k_longlived")
    text = "\n".join(entries)
    assert "version = {1.2.3}" in text
    assert "2306.02830" in text
    assert "2212.03066" not in text
    assert len(entries) == len(set(entries))
    without = "\n".join(bibliography(campaign, citations, "1.2.3", "alp_3gamma"))
    assert "PYTHIA" not in without
    assert all(e.count("{") == e.count("}") for e in entries)


def test_a_description_for_reana_has_what_its_schema_asks_for() -> None:
    told = reana_description("tiny", ["alp_3gamma"], cores=3, memory="8Gi", image="docker.io/library/python:3.11")
    # https://docs.reana.io: keys of a serial workflow
    assert set(told) <= {"version", "inputs", "workflow", "outputs", "tests", "workspace"}
    assert set(told["inputs"]) <= {"files", "directories", "parameters", "options"}
    assert set(told["workflow"]) == {"type", "specification"}
    assert told["workflow"]["type"] in ("serial", "snakemake", "cwl", "yadage")
    (step,) = told["workflow"]["specification"]["steps"]
    assert set(step) <= {"name", "environment", "commands", "kubernetes_memory_limit"}
    assert "darkfactory run -c tiny --cores 3 --search alp_3gamma" in step["commands"][0]
    assert told["outputs"] == {"directories": ["results/tiny/alp_3gamma"]}
    root = CONFIG.parent
    assert all((root / f).exists() for kind in ("files", "directories") for f in told["inputs"][kind])


def test_a_description_for_reana_is_valid_by_its_own_schema() -> None:
    validation = pytest.importorskip("reana_commons.validation.utils", reason="reana-commons is not installed")
    told = reana_description("tiny", [], cores=1, memory="4Gi", image="docker.io/library/python:3.11")
    validation.validate_reana_yaml(told)
