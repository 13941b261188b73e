"""Recorded data stay unread until an unblinding is on record; no configuration opens them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from unblinding_project import CODE, W, make_project, planner, write_recorded, write_results

from darkfactory.cli.main import cli
from darkfactory.config.load import validate
from darkfactory.config.templates import TemplatesConfig
from darkfactory.core.errors import ConfigError, InputError, RunError, UserError
from darkfactory.pipeline.blinding import chain_path, common_data, observed_histograms, read_records
from darkfactory.pipeline.jobs import jobs_of
from darkfactory.pipeline.plan import Planner
from darkfactory.pipeline.request import Request
from darkfactory.pipeline.unblind import blinding_of, blindings, frozen_path, unblind

CHAIN = chain_path("tiny", **W)


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    make_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def opened(*more: dict[str, Any]) -> Planner:
    plan = planner(*more)
    write_results(plan)
    unblind(plan, W, by="A. Nalyst", reason="the selection is frozen", code=CODE)
    return plan


def test_recorded_data_are_blinded_until_the_record_is_there() -> None:
    plan = planner()
    before = plan.model(W)
    assert (before["data"], before["blinding"], plan.recorded(W)) == ("pseudo", {"record": None}, [])
    assert not any(j.wildcards.get("sample") == "mine" and j.stage == "select" for j in jobs_of(plan))
    write_results(plan)
    record = unblind(plan, W, by="A. Nalyst", reason="the selection is frozen", code=CODE)
    after = plan.model(W)
    assert (after["data"], after["blinding"]) == ("real", {"record": record.digest})
    assert plan.recorded(W) == [f"results/tiny/{W['search']}/{W['dataset']}/selected/mine/all/selected.json"]
    assert plan.unblinding(W) == [str(CHAIN)]
    chain = [j.stage for j in jobs_of(plan) if j.wildcards.get("sample") == "mine"]
    assert chain == ["ingest", "skim", "trigger", "preselect", "select"]
    # the stages that use data are planned with it, the others as before
    assert {k for k in after if after[k] != before[k]} == {"data", "blinding"}


def test_the_record_says_who_why_when_and_what_was_frozen() -> None:
    opened()
    (record,) = read_records(CHAIN)
    assert (record.by, record.reason, record.number) == ("A. Nalyst", "the selection is frozen", 1)
    assert record.time.endswith("+00:00")
    assert set(record.workspaces) == {"model", "observed", "workspace/b000", "workspace/b001"}
    assert all(len(d) == 64 for d in record.workspaces.values())
    frozen = json.loads(frozen_path(CHAIN, record.configuration).read_text())
    assert set(frozen["samples"]) >= {"mine", "belle2_emu_zprime"}


@pytest.mark.parametrize(
    "change",
    [
        {"data": "real"},
        {"blinded": False},
        {"overrides": {W["search"]: {"datasets": {W["dataset"]: {"blinded": False}}}}},
        {"overrides": {W["search"]: {"datasets": {W["dataset"]: {"unblinded": True}}}}},
    ],
)
def test_no_key_of_a_configuration_opens_data(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"data|blinded"):
        planner(change)


def test_data_are_no_background_that_a_configuration_could_name() -> None:
    names = {"overrides": {W["search"]: {"datasets": {W["dataset"]: {"backgrounds": ["mine"]}}}}}
    with pytest.raises(ConfigError, match="'mine' is data; only simulation has a cross-section"):
        planner(names)


def test_other_data_than_the_record_names_stay_shut() -> None:
    opened()
    other = CHAIN.with_name("belle2_276pb.jsonl")
    other.write_text(CHAIN.read_text())
    with pytest.raises(InputError, match=r"its records are of tiny/lfv_zprime_invisible/belle2_80fb"):
        read_records(other)


# The stage itself --------------------------------------------------------------------------------------------------


def job(plan: Planner, recorded: Path, spec: dict[str, Any], **inputs: Any) -> Request:
    return Request("model", {"recorded": [str(recorded)], **inputs}, {}, spec, "code")


def regions(plan: Planner) -> Any:
    return validate(TemplatesConfig, plan.model(W)["templates"], where="templates").regions


def edges() -> dict[str, Any]:
    return {"recoil": [np.array([0.0, 1.0, 4.0, 9.0])]}


def test_the_stage_counts_events_only_with_the_record_on_disk(tmp_path: Path) -> None:
    mass2 = np.random.default_rng(1).uniform(-1.0, 10.0, 200)
    recorded = write_recorded(tmp_path, mass2)
    blind = planner()
    told = "recorded data are blinded and stay unread; `darkfactory unblind lfv_zprime_invisible belle2_80fb"
    for spec in (
        blind.model(W),
        # as somebody would write it who cannot wait
        blind.model(W) | {"data": "real", "blinding": {"record": "0" * 64}},
        blind.model(W) | {"data": "real", "blinding": {"record": None}},
        {k: v for k, v in blind.model(W).items() if k != "blinding"} | {"data": "real"},
    ):
        with pytest.raises(RunError, match=told):
            observed_histograms(job(blind, recorded, spec), regions(blind), edges())
    plan = opened()
    request = job(plan, recorded, plan.model(W), unblinding=[str(CHAIN)])
    found = observed_histograms(request, regions(plan), edges())["recoil"].sumw
    np.testing.assert_array_equal(found, np.histogram(mass2, edges()["recoil"][0])[0])
    for spec in (blind.model(W) | {"blinding": {"record": None}}, plan.model(W) | {"blinding": {"record": "0" * 64}}):
        with pytest.raises(RunError, match=told):
            observed_histograms(job(plan, recorded, spec, unblinding=[str(CHAIN)]), regions(plan), edges())
    CHAIN.unlink()
    with pytest.raises(RunError, match=told):
        observed_histograms(request, regions(plan), edges())


@pytest.mark.parametrize(("how", "told"), [({"weight": 0.5}, "weight other than one"), ({"data": ""}, "is simulation")])
def test_only_events_of_data_are_observed(tmp_path: Path, how: dict[str, Any], told: str) -> None:
    recorded = write_recorded(tmp_path, np.ones(10), **how)
    plan = opened()
    with pytest.raises(RunError, match=told):
        observed_histograms(job(plan, recorded, plan.model(W), unblinding=str(CHAIN)), regions(plan), edges())


# The act ------------------------------------------------------------------------------------------------------------


def test_the_blinded_analysis_comes_first() -> None:
    plan = planner()
    with pytest.raises(UserError, match=r"model\.json is not there; finish the blinded analysis first: dark"):
        unblind(plan, W, by="me", reason="why", code=CODE)
    write_results(plan)
    changed = planner({"seed": 99})
    with pytest.raises(UserError, match=r"model\.json was made with another configuration or code"):
        unblind(changed, W, by="me", reason="why", code=CODE)
    with pytest.raises(UserError, match=r"was made with another configuration or code"):
        unblind(plan, W, by="me", reason="why", code=CODE | {"workspace": "0" * 16})
    assert not CHAIN.exists()
    assert planner().model(W)["data"] == "pseudo"


@pytest.mark.parametrize(("by", "reason", "told"), [(" ", "why", "--by is empty"), ("me", "", "--reason is empty")])
def test_it_is_signed_and_has_a_reason(by: str, reason: str, told: str) -> None:
    plan = planner()
    write_results(plan)
    with pytest.raises(UserError, match=told):
        unblind(plan, W, by=by, reason=reason, code=CODE)


def test_without_recorded_data_there_is_nothing_to_open() -> None:
    plan = planner(recorded=())
    assert blinding_of(plan, W) is None
    assert blindings(plan) == {}
    assert "blinding" not in plan.model(W)
    with pytest.raises(UserError, match="has no recorded data, there is nothing to open"):
        unblind(plan, W, by="me", reason="why", code=CODE)


def test_a_changed_configuration_is_told_and_can_be_signed_again() -> None:
    plan = opened()
    state = blinding_of(plan, W)
    assert state is not None
    assert (state.state, state.changed) == ("unblinded", ())
    with pytest.raises(UserError, match=r"was unblinded on .* by A\. Nalyst .* has not changed since"):
        unblind(plan, W, by="me", reason="again", code=CODE)
    cuts = {"overrides": {W["search"]: {"templates": {"window": {"half_width": 7}}}}}
    later = planner(cuts)
    state = blinding_of(later, W)
    assert state is not None
    assert state.changed == ("analysis.templates.window.half_width: 10 -> 7",)
    assert later.report({})["blinding"][f"{W['search']}/{W['dataset']}"]["changed"] == list(state.changed)
    write_results(later)
    second = unblind(later, W, by="B. Oss", reason="a wider window was wrong", code=CODE)
    first, last = read_records(CHAIN)
    assert (last, last.previous, last.number) == (second, first.digest, 2)
    after = blinding_of(later, W)
    assert after is not None
    assert after.changed == ()


def test_a_chain_that_was_touched_is_an_error_and_opens_nothing() -> None:
    opened()
    CHAIN.write_text(CHAIN.read_text().replace("A. Nalyst", "N. O. Body"))
    with pytest.raises(InputError, match="line 1 was changed"):
        planner().model(W)


def test_the_campaign_is_part_of_the_name() -> None:
    opened()
    other = planner({"campaign": "other"})
    assert other.model(W)["data"] == "pseudo"


def test_combinations_of_open_and_other_data_are_refused() -> None:
    assert common_data(["real", "real"]) == "real"
    with pytest.raises(ConfigError, match="pseudo and real data says nothing; unblind all of its datasets"):
        common_data(["real", "pseudo"])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"recorded": ["belle2_ee_mumu_emu"]}, "'belle2_ee_mumu_emu' is simulated"),
        ({"recorded": ["yours"]}, "unknown 'yours'"),
        ({"luminosity": "3 /fb"}, r"have 79\.7 /fb by their external\.luminosity, the dataset 3 /fb"),
    ],
)
def test_recorded_data_are_those_of_the_dataset(change: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        planner({"overrides": {W["search"]: {"datasets": {W["dataset"]: change}}}})


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    plan = planner()
    write_results(plan)
    change = ["--set", f"overrides={{{W['search']}: {{datasets: {{{W['dataset']}: {{recorded: [mine]}}}}}}}}"]
    change += ["--set", f"searches={{{W['search']}: [{W['dataset']}]}}", "--set", "combinations=[]"]
    with pytest.raises(UserError, match="say whose data are opened"):
        cli(["unblind", "-c", "tiny", *change], standalone_mode=False)
    cli(["unblind", "-c", "tiny", *change, "--show"], standalone_mode=False)
    assert "blinded" in capsys.readouterr().out
    sign = ["--by", "A. Nalyst", "--reason", "the selection is frozen"]
    cli(["unblind", "-c", "tiny", *change, *W.values(), *sign], standalone_mode=False)
    assert f"{W['search']}/{W['dataset']} is unblinded: record 1 of {CHAIN}" in capsys.readouterr().out
    cli(["status", "-c", "tiny", *change], standalone_mode=False)
    assert "by A. Nalyst: the selection is frozen" in capsys.readouterr().out
