from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from darkfactory.config.combination import CombinationConfig
from darkfactory.config.load import validate
from darkfactory.config.resolve import load_campaign
from darkfactory.core.errors import ConfigError, InputError
from darkfactory.core.files import read_json
from darkfactory.execute.backends import SerialBackend
from darkfactory.models.zprime import branching_fraction
from darkfactory.pipeline import combine
from darkfactory.pipeline.plan import Planner
from darkfactory.pipeline.request import Request
from darkfactory.stats.examples import counting_window
from darkfactory.store.tables import read_csv

CONFIG = Path(__file__).parents[3] / "config"
TAGS = ["belle2", "belle", "run1"]
LEVELS = ("observed", "expected_m2", "expected_m1", "expected", "expected_p1", "expected_p2")


def request(folder: Path, *, sigma: bool = True) -> Request:
    """Two datasets at one mass: 100 and 400 events of background, cross-sections of one sample."""
    model = {"hypothesis": "zprime", "coupling": "g_prime", "reference_coupling": 0.1}
    model["branching_fraction"] = "zprime_invisible"  # type: ignore[assignment]
    inputs, sources, paths, limits = [], [], [], []
    for i, events in enumerate((100, 400)):
        w = {"search": "zprime_invisible", "dataset": f"d{i}"}
        inputs.append({**w, "tags": ["all"], "interpretation": model, "luminosity_fb": 1.0})
        sources.append({**w, "hypothesis": "zprime", "point": "m3p00000", "block": "b000", "file": str(i)})
        spec = counting_window(events, float(events), 0.05, signal=10.0)
        record = {"hypothesis": "zprime", "point": "m3p00000", "spec": spec, "scale": 2.0}
        stored: dict[str, Any] = {"points": {"zprime/m3p00000": record}}
        stored |= {"sigma_fb": {"zprime/m3p00000": 30.0}} if sigma else {}
        (folder / f"w{i}.json").write_text(json.dumps(stored))
        row = {"hypothesis": "zprime", "point": "m3p00000", "cl": 0.9, "method": "exact", "p0_local": 0.5}
        row |= {"z_local": 0.0, "status": "ok", "certificate": {"passed": True}, **dict.fromkeys(LEVELS, 4.0 + i)}
        (folder / f"l{i}.json").write_text(json.dumps({"limits": [row]}))
        paths.append(str(folder / f"w{i}.json"))
        limits.append(str(folder / f"l{i}.json"))
    settings = {
        "name": "both", "title": "both", "kind": "coupling",
        "model": "lmutau", "coupling": "g_prime", "unit": "", "label": "g'",
        "power": 2.0, "correlated": {"background_norm": ["all"]}, "statistics": {"cls": [0.9]}, "note": "a note",
    }  # fmt: skip
    spec_of = {
        "seed": 1, "combination": settings, "inputs": inputs, "absent": ["x/y"], "sources": sources, "data": "asimov",
    }  # fmt: skip
    outputs = {n: str(folder / f) for n, f in (
        ("couplings", "couplings.csv"), ("workspaces", "workspaces.json"), ("combination", "index.json"),
    )}  # fmt: skip
    return Request("combine", {"workspaces": paths, "limits": limits}, outputs, spec_of, "code")


def test_limits_on_the_coupling_come_from_all_inputs(tmp_path: Path) -> None:
    job = request(tmp_path)
    combine.run(job, SerialBackend(), lambda text: None)
    rows = {r["input"]: r for r in read_csv(tmp_path / "couplings.csv")}
    assert list(rows) == ["combined", "zprime_invisible/d0", "zprime_invisible/d1"]
    fraction = float(branching_fraction(3.0, "invisible"))
    # an input's limit of 4 fb at 30 fb for g' = 0.1
    assert rows["zprime_invisible/d0"]["expected"] == pytest.approx(0.1 * (4.0 / (30.0 * fraction)) ** 0.5)
    combined = rows["combined"]
    assert (combined["status"], combined["method"], combined["certified"]) == ("ok", "asymptotic", "True")
    assert combined["model"] == "lmutau"
    # per unit of g'^2: 30 fb B / 0.01 over 2 fb a unit of 10 events; background errors of 5 % move together
    signal = 30.0 * fraction / 0.01 / 2.0 * 10.0
    both = [(signal, 100.0), (signal, 400.0)]
    information = sum(s * s / b for s, b in both)
    pulled = sum(0.05 * s for s, _ in both) ** 2 / (1 + sum(0.0025 * b for _, b in both))
    expected = (1.645 / (information - pulled) ** 0.5) ** 0.5
    assert combined["expected"] == pytest.approx(expected, rel=0.03)
    index = read_json(tmp_path / "index.json")
    assert index["status"] == {"ok": 1}
    assert index["absent"] == ["x/y"]
    assert [f["file"] for f in index["figures"]] == ["combination_cl0p9.png"]
    assert (tmp_path / "combination_cl0p9.pdf").exists()
    assert list(read_json(tmp_path / "workspaces.json")["points"]) == ["m3p00000"]


def test_a_workspace_without_cross_section_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="zprime_invisible/d0: no cross-section of zprime/m3p00000; rerun the stage"):
        combine.run(request(tmp_path, sigma=False), SerialBackend(), lambda text: None)


def test_no_workspace_at_a_mass_is_a_status(tmp_path: Path) -> None:
    job = request(tmp_path)
    for i in range(2):
        stored = read_json(tmp_path / f"w{i}.json")
        stored["points"]["zprime/m3p00000"]["spec"] = None
        (tmp_path / f"w{i}.json").write_text(json.dumps(stored))
    combine.run(job, SerialBackend(), lambda text: None)
    assert read_csv(tmp_path / "couplings.csv")[0]["status"] == "no_sensitivity"
    assert read_json(tmp_path / "index.json")["status"] == {"no_sensitivity": 1}


def campaign(**changes: Any) -> Planner:
    searches = {"zprime_invisible": ["belle2_276pb", "belle2_80fb"]}
    base = {"combinations": ["lmutau_gprime"], "searches": searches}
    return Planner(load_campaign("tiny", config_dir=CONFIG, overrides=[{**base, **changes}]))


def test_the_plan_reads_blocks_of_the_scans_and_names_what_is_absent() -> None:
    plan, w = campaign(), {"combination": "lmutau_gprime"}
    found = plan.combination_sources(w)
    assert {(s["dataset"], s["point"]) for s in found} == {
        (d, p) for d in ("belle2_276pb", "belle2_80fb") for p in ("m1p00000", "m3p00000")
    }
    assert all(s["block"].startswith("b") for s in found)
    assert "zprime_mumu/belle_643fb" in plan.combine(w)["absent"]
    more = {"lmutau_gprime": {"grids": {"tiny": {"values": [2.5]}}}}
    assert campaign(overrides=more).combination_sources(w) == []
    more["lmutau_gprime"]["make_points"] = True  # type: ignore[assignment]
    made = campaign(overrides=more).combination_sources(w)
    # each input that covers the mass is asked for a point of its own
    assert {s["block"] for s in made} == {"m2p50000"}
    assert [s["dataset"] for s in made if s["search"] == "zprime_invisible"] == ["belle2_276pb", "belle2_80fb"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs": [{"search": "nothing", "dataset": "x", "model": "y", "tags": TAGS}]}, "unknown 'nothing'"),
        ({"coupling": "g_S"}, "limits g_prime to the power 2 by .'mass'.; the combination needs g_S"),
        ({"correlated": {"lumi": ["belle3"]}}, "no input has the tags .'belle3'."),
        (
            {"inputs": [{"search": "alp_3gamma", "dataset": "belle2_445pb", "model": "x", "tags": TAGS}]},
            "unknown .x.. Allowed: alp_photons",
        ),
    ],
)
def test_mistakes_in_a_combination_are_told(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        campaign(overrides={"lmutau_gprime": changes})


def test_a_campaign_without_any_input_goes_without_the_combination() -> None:
    inputs = [{"search": "alp_3gamma", "dataset": "elsewhere", "model": "x", "tags": TAGS}]
    assert campaign(overrides={"lmutau_gprime": {"inputs": inputs}}).campaign.combinations == {}


def test_a_dataset_counts_once() -> None:
    entry = {"search": "a", "dataset": "b", "model": "c"}
    value = {"name": "x", "title": "x", "model": "m", "coupling": "g", "inputs": [entry, entry], "grids": {}}
    with pytest.raises(ConfigError, match="a dataset appears twice; one set of data counts once"):
        validate(CombinationConfig, value, file="x.yaml")
