"""Control samples: from candidates to corrections, and from corrections to weights of a search."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from darkfactory.config.check import check_campaign
from darkfactory.config.control import AppliedCorrection, ControlCorrection
from darkfactory.config.library import Library
from darkfactory.config.period import load_periods, period_menu
from darkfactory.config.resolve import load_campaign
from darkfactory.core.errors import ConfigError, InputError, RunError
from darkfactory.core.files import write_json
from darkfactory.pipeline.control import compare, correction_of, counted
from darkfactory.pipeline.jobs import jobs_of
from darkfactory.pipeline.plan import Planner
from darkfactory.pipeline.request import Request
from darkfactory.pipeline.select import chunk
from darkfactory.records.books import Book
from darkfactory.records.correction import Correction, corrections_to_dict
from darkfactory.select.weights import Applied, with_corrections
from darkfactory.stats.ratios import Ratio
from darkfactory.store.arrays import read_table, write_table

CONFIG = Path(__file__).parents[3] / "config"
TAG = {"value": 0.01, "source": "assumed"}
ZPRIME = {"search": "zprime_invisible", "dataset": "belle2_80fb"}
EFFICIENCY: dict[str, Any] = {
    "description": "identification",
    "axes": {"p": {"observable": "probe_p", "edges": [0.0, 1.0, 2.0]}},
    "passing": [{"column": "found", "min": 0.5}],
    "systematic": TAG,
}
MENU = period_menu(load_periods(CONFIG / "periods.yaml").get("run1_2020"), CONFIG / "triggers")


def candidates(eff: float, n: int, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {"weight": np.ones(n), "probe_p": rng.uniform(0, 2, n), "found": (rng.random(n) < eff).astype(float)}


def test_an_injected_difference_is_found_within_its_error() -> None:
    config = ControlCorrection.model_validate(EFFICIENCY)
    found = compare(candidates(0.90, 40_000, 1), candidates(0.95, 40_000, 2), config, (MENU, MENU))[2]
    assert found.own.all()
    assert np.all(found.error < 0.004)
    assert np.all(np.abs(found.value - 0.90 / 0.95) < 3 * found.error)


def test_lines_count_with_their_efficiencies() -> None:
    config = ControlCorrection.model_validate({**EFFICIENCY, "passing": [], "lines": {"l1": ["ffo", "cdcklm1"]}})
    bit = {name: np.uint64(1) << np.uint64(MENU.l1_names.index(name)) for name in ("ffo", "cdcklm1", "hie")}
    columns = {
        "weight": np.ones(4), "probe_p": np.array([0.5, 0.5, 1.5, 1.5]),
        "l1": np.array([bit["ffo"], bit["hie"], bit["ffo"] | bit["cdcklm1"], bit["cdcklm1"]]),
    }  # fmt: skip
    ffo, klm = MENU.l1.lines["ffo"].acceptance, MENU.l1.lines["cdcklm1"].acceptance
    expected = [ffo / 2, (1 - (1 - ffo) * (1 - klm) + klm) / 2]
    assert counted(columns, config, MENU).value[:2] == pytest.approx(expected)


def test_recorded_bits_count_for_recorded_data() -> None:
    lines = {"lines": {"l1": ["ffo", "cdcklm1"]}, "recorded": {"ffo": "ntuple_ffo", "cdcklm1": "ntuple_klm"}}
    config = ControlCorrection.model_validate({**EFFICIENCY, "passing": [], **lines})
    columns = {
        "weight": np.ones(4), "probe_p": np.full(4, 0.5), "ntuple_ffo": np.array([1, 0, 0, 0]),
        "ntuple_klm": np.array([1.0, 1.0, 0.0, np.nan]),
    }  # fmt: skip
    assert counted(columns, config, None).value[0] == pytest.approx(0.5)
    del columns["ntuple_klm"]
    with pytest.raises(InputError, match="line 'cdcklm1' of recorded data needs the column of its decision"):
        counted(columns, config, None)


def test_the_correction_has_all_errors_and_each_of_them() -> None:
    config = ControlCorrection.model_validate(EFFICIENCY)
    made = correction_of("id", config, Ratio(np.array([0.9, 0.5]), np.array([0.03, 0.6]), np.ones(2, dtype=bool)))
    assert made.factors["up"] == pytest.approx([0.9 + np.hypot(0.03, 0.009), 0.5 + np.hypot(0.6, 0.005)])
    assert made.factors["stat_up"] - 0.9 == pytest.approx([0.03, 0.2])
    assert made.factors["syst_down"] == pytest.approx([0.891, 0.495])
    # a factor does not turn negative
    assert made.factors["down"][1] == pytest.approx(0.025)


def test_a_column_that_is_not_there_is_told() -> None:
    config = ControlCorrection.model_validate({**EFFICIENCY, "axes": {"p": {"observable": "x", "edges": [0, 1]}}})
    with pytest.raises(RunError, match="no column 'x' among the candidates; columns are"):
        counted(candidates(0.9, 10, 1), config, MENU)


# What a search does with it ---------------------------------------------------------------------------------------


def one_correction() -> Correction:
    factors = {"nominal": np.array([0.9, 0.8]), "up": np.array([0.99, 0.84]), "down": np.array([0.81, 0.76])}
    return Correction("id", "", ("p",), (np.array([0.0, 1.0, 2.0]),), factors)


def test_weights_and_variations_are_those_of_both_objects() -> None:
    columns = {
        "weight": np.array([2.0, 4.0]), "weight_untriggered": np.array([3.0, 5.0]), "a": np.array([0.5, 1.5]),
        "b": np.array([0.5, 0.5]), "var_id_up": np.full(2, 7.0), "var_id_down": np.full(2, 7.0),
    }  # fmt: skip
    applied = Applied(one_correction(), ({"p": "a"}, {"p": "b"}))
    found = with_corrections(columns, {"id": applied})
    assert found["weight"] == pytest.approx([2 * 0.81, 4 * 0.72])
    assert found["weight_untriggered"] == pytest.approx([3 * 0.81, 5 * 0.72])
    # the detector's variations of that name are replaced
    assert found["var_id_up"] == pytest.approx([1.1**2, 1.1 * 1.05])
    assert found["var_id_down"] == pytest.approx([0.9**2, 0.9 * 0.95])
    trigger = with_corrections(columns, {"id": Applied(one_correction(), ({"p": "a"},), trigger=True)})
    assert trigger["weight_untriggered"] == pytest.approx([3.0, 5.0])
    assert columns["weight"].tolist() == [2.0, 4.0]


@pytest.mark.parametrize(
    ("objects", "message"),
    [
        ([{"q": "a"}], r"'id' has the inputs \['p'\], given are \['q'\]; name a column for each"),
        ([{"p": "z"}], r"'id': no columns \['z'\] among the candidates; there are"),
    ],
)
def test_wrong_inputs_are_told(objects: list[dict[str, str]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        with_corrections({"weight": np.ones(1), "a": np.ones(1)}, {"id": Applied(one_correction(), tuple(objects))})


def selected(
    tmp_path: Path, meta: dict[str, Any], correction: str = "id", name: str = "corrections.json"
) -> tuple[dict[str, Any], Any]:
    """The select stage on one small chunk, as a job sees it."""
    flow = {"names": ["all"], "events": [3], "sumw": [3.0], "sumw2": [3.0]}
    source, target, file = (tmp_path / n for n in ("in.root", "out.root", name))
    write_table(source, {"weight": np.ones(3), "event_id": np.array([1, 2, 4]), "p": np.array([0.5, 1.5, 9.0])})
    if file.suffix == ".csv":
        file.write_text("p_low,p_high,factor,error\n0,1,0.9,0.1\n1,2,0.8,0.04\n")
    else:
        write_json(file, corrections_to_dict([one_correction()], ""))
    wanted = {"id": {"file": 0, "correction": correction, "inputs": [{"p": "p"}], "trigger": False}}
    request = Request("select", {}, {}, {"corrections": wanted}, "")
    item = {
        "path": str(source), "path_network": "", "paths_corrections": [str(file)], "n_generated": 3,
        "meta": {"cutflow": flow, **meta},
    }  # fmt: skip
    return chunk(request, item, target), read_table(target)


def test_books_and_cutflow_close_over_corrections(tmp_path: Path) -> None:
    made, columns = selected(tmp_path, {})
    assert np.asarray(columns["weight"]).tolist() == pytest.approx([0.9, 0.8, 0.8])
    book = Book.from_dict(made["book"])
    assert book.open() == ""
    assert book.sumw_changed == pytest.approx(-0.5)
    assert made["sumw"] == pytest.approx(2.5)
    assert made["meta"]["cutflow"]["names"][-1] == "corrections"
    assert made["meta"]["cutflow"]["sumw"][-1] == pytest.approx(2.5)


def test_a_table_of_factors_is_applied_as_well(tmp_path: Path) -> None:
    _, columns = selected(tmp_path, {}, name="id.csv")
    assert np.asarray(columns["weight"]).tolist() == pytest.approx([0.9, 0.8, 0.8])
    assert np.asarray(columns["var_id_up"]).tolist() == pytest.approx([1.0 / 0.9, 1.05, 1.05])


def test_recorded_events_are_not_corrected(tmp_path: Path) -> None:
    made, _ = selected(tmp_path, {"data": "real"})
    assert made["sumw"] == 3.0


def test_a_file_without_the_correction_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no correction 'other'; there are \['id'\]; corrections.id of the search"):
        selected(tmp_path, {}, "other")


# Configuration ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def planner() -> Planner:
    return Planner(load_campaign("tiny", config_dir=CONFIG))


def test_control_samples_come_with_the_searches_that_use_them(planner: Planner) -> None:
    campaign = planner.campaign
    used = {(a.search, a.dataset) for c in campaign.searches.values() for a in c.corrections.values()}
    assert {("control_mumu_gamma", "belle2_80fb"), ("control_emu", "belle2_80fb")} <= used
    assert used <= set(campaign.controlled)
    assert not set(campaign.controlled) & {*campaign.limited, *campaign.measured}
    assert "control_emu" not in campaign.config.searches


def test_jobs_wait_for_the_corrections(planner: Planner) -> None:
    jobs = jobs_of(planner)
    made = {j.output: j for j in jobs if j.stage == "control"}
    wanted = {**ZPRIME, "sample": "belle2_mumu_gamma"}
    select = next(j for j in jobs if j.stage == "select" and j.wildcards.items() >= wanted.items())
    assert len(set(select.waits) & set(made)) == 2
    assert set(made) <= set(jobs[-1].waits)
    outputs = {j.output for j in jobs}
    assert all(w in outputs for j in made.values() for w in j.waits)


def test_pseudo_data_differ_from_simulation_as_the_response_says(planner: Planner) -> None:
    w = {"sample": "belle2_mumu_gamma_seen", "block": "all", "period": "run1_2020"}
    other = w | {"sample": "belle2_mumu_gamma_pseudodata"}
    assert planner.simulate(w)["detector"] == Library(CONFIG).get("detectors", "belle2")
    muon = planner.simulate(other)["detector"]["pid"]["muon_tight"]["probability"]
    assert (muon["mu"]["value"], muon["pi"]["value"]) == (0.93, 0.04)
    assert planner.trigger(w)["menu"]["l1"]["lines"]["ffo"]["eff"]["value"] == 0.95
    for spec in (
        planner.trigger(other),
        planner.preselect(other | {"search": "control_mumu_gamma", "dataset": "belle2_80fb"}),
    ):
        assert spec["menu"]["l1"]["lines"]["ffo"]["eff"]["value"] == 0.92
    # the menu of everybody else is untouched
    assert planner.menu("run1_2020")["l1"]["lines"]["ffo"]["eff"]["value"] == 0.95


def test_a_dataset_names_its_own_corrections(planner: Planner) -> None:
    w = {**ZPRIME, "sample": "belle2_mumu_gamma", "block": "all"}
    assert set(planner.select(w)["corrections"]) == {"muon_id", "trigger", "photon_veto"}
    assert "corrections" not in planner.select(w | {"search": "lfv_zprime_invisible", "sample": "belle2_tautau_emu"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"search": "tau_mass", "dataset": "belle2_190fb"}, "tau_mass is of kind measurement, not a control sample"),
        ({"correction": "other"}, r"control_mumu_gamma makes no correction 'other'; it makes \['muon_id', 'trigger'\]"),
        ({"inputs": [{"p": "dphi"}]}, r"'trigger' has the inputs \['dphi'\], given are \['p'\]"),
        ({"samples": ["belle2_ee"]}, r"\['belle2_ee'\] are no samples of this search; it has"),
    ],
)
def test_corrections_that_nothing_makes_are_told(change: dict[str, Any], message: str) -> None:
    one = {"datasets": {"belle2_80fb": {"corrections": {"trigger": change}}}}
    campaign = load_campaign("tiny", config_dir=CONFIG, overrides=[{"overrides": {"zprime_invisible": one}}])
    with pytest.raises(ConfigError, match=message):
        check_campaign(campaign)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"passing": []}, "give what passes, `passing` or `lines`"),
        ({"method": "ratio"}, "`passing` and `lines` are of method efficiency"),
        ({"method": "scale", "passing": []}, "method scale, and no other, has a `peak`"),
        ({"reference": 2}, "reference 2 is no bin: there are 2, counted from 0"),
        ({"axes": {"p": {"observable": "p", "edges": [1.0, 1.0]}}}, r"edges \[1.0, 1.0\] must ascend"),
    ],
)
def test_errors_of_the_section(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ControlCorrection.model_validate({**EFFICIENCY, **change})


def test_a_correction_has_one_origin() -> None:
    one = {"correction": "id", "inputs": [{"p": "p"}]}
    for origin in (
        {},
        {"file": "x.json", "search": "control_emu", "dataset": "belle2_80fb"},
        {"search": "control_emu"},
    ):
        with pytest.raises(ValueError, match=r"from a control sample \(search and dataset\) or a file, one of them"):
            AppliedCorrection.model_validate({**one, **origin})
    assert AppliedCorrection.model_validate({**one, "file": "x.json"}).file == "x.json"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "search"}, "every dataset of kind `control` has the section `control`, others none"),
        (
            {"hypotheses": {"x": {"sample": "belle2_mumu_zprime", "grids": {"tiny": []}}}},
            "hypotheses: control samples have none",
        ),
        ({"control": {"data": "belle2_mumu_gama"}}, "did you mean"),
    ],
)
def test_control_samples_that_are_none_are_told(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_campaign("tiny", config_dir=CONFIG, overrides=[{"overrides": {"control_mumu_gamma": change}}])
