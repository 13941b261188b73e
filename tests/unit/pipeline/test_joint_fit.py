"""Hypotheses fitted together: ratios of rates, shared nuisances, limits against closed forms; what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from darkfactory.config.check import check_campaign
from darkfactory.config.interpretation import InterpretationConfig
from darkfactory.config.load import read_yaml
from darkfactory.config.resolve import Campaign, load_campaign
from darkfactory.config.statistics import StatisticsConfig
from darkfactory.core.errors import ConfigError
from darkfactory.models.b_to_s import branching_fraction_alp
from darkfactory.pipeline.joint import joint_workspace, model_rates, rate_ratios, ratio_error
from darkfactory.pipeline.plan import Planner
from darkfactory.stats.examples import counting_window
from darkfactory.stats.limits import WorkspaceInput, compute_limits

SEARCH = "b_to_k_alp"
INTERPRETATION: dict[str, Any] = read_yaml("config/searches/b_to_k_alp.yaml")["interpretation"]
SECTION = InterpretationConfig.model_validate(INTERPRETATION)
REGION = SECTION.b_decays["alp_w"]
W = {"search": SEARCH, "dataset": "belle_711fb"}


def record(name: str, spec: Any, scale: float) -> dict[str, Any]:
    return {
        "hypothesis": name, "point": "m1p00000", "axes": {"mass": 1.0}, "region": "sr", "status": "ok", "spec": spec,
        "scale": scale, "signal_events": 3.0, "expected_background": 9.0, "efficiency": 0.1, "edges": [[0.0, 1.0]],
        "keep": [True], "effective_ratio": 5.0, "flagged_bins": [], "order": 1, "order_satisfied": True,
        "data": "asimov", "limited": [],
    }  # fmt: skip


def limit(spec: Any, scale: float) -> float:
    config = StatisticsConfig(cls=(0.9,), method="asymptotic")
    found = compute_limits([WorkspaceInput("m1p00000", "x", {"mass_gev": 1.0}, spec, scale=scale)], config)[0]
    assert found.status == "ok"
    assert found.observed is not None
    return found.observed


def test_rates_go_with_each_other_as_the_model_says() -> None:
    names = ["kplus", "kshort", "kstar0", "kstarp"]
    found = rate_ratios(SECTION, REGION, names, 2.0)
    flavour = SECTION.flavour
    assert flavour is not None
    kaons = ("K+", "K0", "K*0", "K*+")
    rates = {n: float(branching_fraction_alp(2.0, k, flavour, 1e-5)) for n, k in zip(names, kaons, strict=True)}
    for name in names:
        assert found[name] == pytest.approx(rates[name] / rates["kplus"], rel=1e-12)
    assert found["kshort"] == pytest.approx(1.519 / 1.638, rel=2e-3)
    # no K* beside a heavy particle
    assert rate_ratios(SECTION, REGION, names, 4.6)["kstar0"] == 0.0
    # the form factor of K cancels, that of K* does not
    assert ratio_error(SECTION, REGION, "kplus", "kshort") == 0.0
    assert ratio_error(SECTION, REGION, "kplus", "kstarp") == pytest.approx((0.07**2 + 0.18**2) ** 0.5)


def test_equal_channels_are_one_channel_of_twice_the_size() -> None:
    one = counting_window(18, 20.0, signal=4.0)
    records = {n: record(n, counting_window(9, 10.0, signal=2.0), 5.0) for n in ("kplus", "kshort")}
    ratio = rate_ratios(SECTION, REGION, ["kplus", "kshort"], 1.0)["kshort"]
    # the second sample is larger by as much as its decay is rarer: both see the same number of signal events
    sigma = {"kplus": 100.0, "kshort": 100.0 / ratio}
    joint = {"members": ["kplus", "kshort"], "model": "alp_w", "shared": []}
    made = joint_workspace("joint", "m1p00000", joint, records, sigma, INTERPRETATION)
    assert [c["name"] for c in made["spec"]["channels"]] == ["kplus_sr", "kshort_sr"]
    assert (made["region"], made["expected_background"]) == ("kplus_sr", 18.0)
    assert limit(made["spec"], made["scale"] / 100.0) == pytest.approx(limit(one, 5.0 / 100.0), rel=1e-4)


def test_a_member_without_a_workspace_is_left_out_and_shared_parameters_are_one() -> None:
    specs = {n: counting_window(9, 10.0, 0.1, signal=2.0) for n in ("kplus", "kstar0")}
    records = {n: record(n, s, 5.0) for n, s in specs.items()} | {"kshort": record("kshort", None, 0.0)}
    sigma = dict.fromkeys(records, 100.0)
    joint = {"members": ["kplus", "kshort", "kstar0"], "model": "alp_w", "shared": ["background_norm"]}
    made = joint_workspace("joint", "m1p00000", joint, records, sigma, INTERPRETATION)
    mods = {c["name"]: {m["name"] for s in c["samples"] for m in s["modifiers"]} for c in made["spec"]["channels"]}
    assert mods == {
        "kplus_sr": {"mu", "background_norm_joint"},
        "kstar0_sr": {"mu", "background_norm_joint", "form_factors_joint"},
    }
    alone = joint_workspace("joint", "m1p00000", joint, {"kplus": records["kplus"]}, sigma, INTERPRETATION)
    assert limit(alone["spec"], alone["scale"]) == pytest.approx(limit(specs["kplus"], 5.0), rel=1e-4)
    nothing = joint_workspace("joint", "m1p00000", joint, {"kplus": records["kshort"]}, sigma, INTERPRETATION)
    assert (nothing["status"], nothing["spec"]) == ("no_sensitivity", None)


VISIBLE = "visible_dark_photon"
COUPLED: dict[str, Any] = {
    "models": {
        name: {
            "hypothesis": name,
            "coupling": "epsilon",
            "branching_table": {"x": [0.1, 10.0], "y": [fraction] * 2, "source": "assumed"},
        }
        for name, fraction in (("ee", 0.5), ("mumu", 0.25))
    }
}


def test_cross_sections_go_with_each_other_as_branching_fractions_do() -> None:
    section = InterpretationConfig.model_validate(COUPLED)
    models = {"ee": "ee", "mumu": "mumu"}
    assert model_rates(section, models, {"ee": 40.0, "mumu": 60.0}, 1.0) == {"ee": 20.0, "mumu": 15.0}
    # a unit of mu is 5 fb of electrons with 2 events; of muons, 5 fb are 4 events, but they are half as many
    records = {"ee": record("ee", counting_window(9, 10.0, signal=2.0), 5.0)}
    records["mumu"] = record("mumu", counting_window(9, 10.0, signal=4.0), 5.0)
    joint = {"members": ["ee", "mumu"], "models": models, "shared": []}
    made = joint_workspace("both", "m1p00000", joint, records, {"ee": 40.0, "mumu": 40.0}, COUPLED)
    one = counting_window(18, 20.0, signal=4.0)
    # on the rate of the first: electrons
    assert limit(made["spec"], made["scale"]) == pytest.approx(limit(one, 5.0), rel=1e-4)


def visible(**changes: Any) -> Campaign:
    setting = {"searches": {VISIBLE: ["babar_514fb"]}, "combinations": [], "overrides": {VISIBLE: changes}}
    return load_campaign("tiny", overrides=[setting])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hypotheses": {"both": {"joint": {"model": "alp_w"}}}}, "give model .* or models .*, one of them"),
        (
            {"hypotheses": {"both": {"joint": {"models": {"x": "dark_photon_ee"}}}}},
            r"it must name each member: \['ee', 'mu",
        ),
        ({"hypotheses": {"both": {"joint": {"models": {"ee": "dark_photn_ee"}}}}}, "did you mean 'dark_photon_ee'"),
        (
            {"hypotheses": {"both": {"joint": {"models": {"ee": "dark_photon_mumu"}}}}},
            "is of hypothesis 'mumu', not of 'ee'",
        ),
        (
            {"interpretation": {"models": {"dark_photon_ee": {"power": 4}}}},
            "the models differ in coupling, power or axes",
        ),
        ({"hypotheses": {"mumu": {"quantity": "branching_fraction"}}}, "with `models` is of a cross_section each"),
    ],
)
def test_cross_sections_that_cannot_be_fitted_together(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_campaign(visible(**changes))


def campaign(**changes: Any) -> Campaign:
    return load_campaign("tiny", overrides=[{"overrides": {SEARCH: changes}}])


def test_the_plan_reads_the_members_samples_and_has_no_sample_of_its_own() -> None:
    plan = Planner(campaign())
    assert "joint" not in plan.signals(W)
    assert set(plan.joint(W)) == {"joint"}
    block = plan.block(W | {"block": "b000"})
    assert block["joint"] == block["kplus"]
    names = plan.workspace_signals(W | {"block": "b000"})
    assert len(names) == len(set(names)) == 4
    point = plan.workspace_signals(W | {"block": "m0p80000_t10p00000"})
    assert len(point) == 4
    assert plan.workspace(W | {"block": "b000"})["joint"]["joint"]["members"][0] == "kplus"
    # other searches do not know of it
    other = {"search": "b_to_k_longlived", "dataset": "belle2_189fb", "block": "b000"}
    assert not {"joint", "interpretation"} & set(plan.workspace(other))


def test_a_dataset_can_leave_hypotheses_out() -> None:
    chosen = load_campaign("tiny", overrides=[{"searches": {SEARCH: ["babar_424fb", "belle_711fb"]}}])
    check_campaign(chosen)
    assert list(chosen.searches[SEARCH, "babar_424fb"].hypotheses) == ["kplus"]
    assert Planner(chosen).joint({"search": SEARCH, "dataset": "babar_424fb"}) == {}
    assert chosen.points(SEARCH, "belle_711fb", "joint")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hypotheses": {"joint": {"joint": {"members": ["kplus", "kminus"]}}}}, "unknown 'kminus'.*kplus"),
        ({"hypotheses": {"joint": {"sample": "belle_b_kshort_gg"}}}, "the first member kplus has belle_b_kplus_gg"),
        ({"hypotheses": {"joint": {"joint": {"model": "dark_higgs"}}}}, "interpretation.b_decays has"),
        ({"hypotheses": {"kshort": {"quantity": "cross_section"}}}, "with `model` is of a branching_fraction each"),
        (
            {"hypotheses": {"joint": {"grids": {"tiny": [{"axes": {"mass": {"values": [0.7]}}}]}}}},
            "m0p70000.*not in the grid of the first member kplus",
        ),
        (
            {"datasets": {"belle_711fb": {"without": ["kshort"]}}},
            r"unknown 'kshort'.*Allowed: kplus, kstar0, kstarp",
        ),
        (
            {"datasets": {"belle_711fb": {"without": ["kplus", "kshort", "kstar0", "kstarp", "joint"]}}},
            "leaves out all hypotheses; keep one",
        ),
    ],
)
def test_what_cannot_be_fitted_together_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_campaign(campaign(**changes))
