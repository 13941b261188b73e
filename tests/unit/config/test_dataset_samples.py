"""A dataset of another experiment has its own samples."""

from __future__ import annotations

from typing import Any

import pytest

from darkfactory.config.check import check_campaign
from darkfactory.config.resolve import Campaign, load_campaign
from darkfactory.core.errors import ConfigError
from darkfactory.pipeline.plan import Planner

SEARCH = "zprime_invisible"
BELLE: dict[str, Any] = {
    "period": "belle_full",
    "trigger": {"l1": ["track_2_open135"], "hlt": ["all_events"]},
    "hypotheses": {"zprime": {"sample": "belle_mumu_zprime"}},
    "backgrounds": ["belle_mumu_gamma", "belle_ee_mumu"],
}


def campaign(**changes: Any) -> Campaign:
    """The smallest campaign with the 276 /pb in the clothes of Belle."""
    datasets = {"belle2_276pb": BELLE | changes}
    return load_campaign("tiny", overrides=[{"overrides": {SEARCH: {"datasets": datasets}}}])


def test_samples_of_a_dataset_replace_those_of_the_search() -> None:
    chosen = campaign()
    check_campaign(chosen)
    own, other = chosen.searches[SEARCH, "belle2_276pb"], chosen.searches[SEARCH, "belle2_80fb"]
    assert own.hypotheses["zprime"].sample == "belle_mumu_zprime"
    assert own.backgrounds == ("belle_mumu_gamma", "belle_ee_mumu")
    assert other.hypotheses["zprime"].sample == "belle2_mumu_zprime"
    assert "belle2_tautau_mumu" in other.backgrounds
    assert own.hypotheses["zprime"].grids == other.hypotheses["zprime"].grids


def test_the_plan_knows_them_everywhere() -> None:
    plan = Planner(campaign())
    own, other = ({"search": SEARCH, "dataset": d} for d in ("belle2_276pb", "belle2_80fb"))
    assert plan.signals(own) == {"zprime": "belle_mumu_zprime"}
    assert {"belle_mumu_zprime", "belle_ee_mumu"} <= set(plan.campaign.samples)
    spec = plan.model(own)
    assert (spec["signals"], spec["backgrounds"]) == (plan.signals(own), ["belle_mumu_gamma", "belle_ee_mumu"])
    names = plan.selected_signals(own, "selected") + plan.selected_backgrounds(own, "selected")
    assert names
    assert all("/belle_" in n for n in names)
    # the same points, of both experiments, each in its own beams
    assert plan.blocks(own) == list(plan.campaign.blocks(SEARCH, "belle2_276pb", "zprime"))
    assert plan.campaign.sample_blocks("belle_mumu_zprime") == plan.campaign.sample_blocks("belle2_mumu_zprime")
    beams = [
        plan.generate({"sample": s, "block": "b000"})["beams"] for s in ("belle_mumu_zprime", "belle2_mumu_zprime")
    ]
    assert beams[0]["e_her_gev"]["value"] > 7.9 > beams[1]["e_her_gev"]["value"]
    assert plan.signals(other) == {"zprime": "belle2_mumu_zprime"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"hypotheses": {}},
            r"datasets\.belle2_276pb: sample 'belle2_mumu_zprime' is of detector 'belle2', but period ",
        ),
        ({"backgrounds": ["belle2_ee_mumu"]}, r"sample 'belle2_ee_mumu' .* ran with 'belle'; name samples of that"),
        ({"backgrounds": ["belle_ee_mumy"]}, r"datasets\.belle2_276pb\.backgrounds: unknown .* mean 'belle_ee_mumu'\?"),
        (
            {"hypotheses": {"zprime": {"sample": "belle_mumu_zprim"}}},
            r"datasets\.belle2_276pb\.hypotheses\.zprime\.sample: unknown .* mean 'belle_mumu_zprime'\?",
        ),
        ({"hypotheses": {"scalar": {"sample": "belle_mumu_zprime"}}}, r"unknown 'scalar'\. Allowed: zprime"),
        (
            {"hypotheses": {"zprime": {"sample": "belle_mumu_zprime", "unit": "pb"}}},
            r"hypotheses\.zprime\.unit: unknown key.*Allowed here: sample",
        ),
    ],
)
def test_what_does_not_belong_together_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_campaign(campaign(**changes))


def test_rates_of_a_period_take_samples_of_its_detector() -> None:
    rates = {"belle_full": {"samples": ["belle2_mumu"], "luminosity_1e34": {"value": 2.1, "source": "recalled"}}}
    chosen = load_campaign("tiny", overrides=[{"trigger_rates": rates}])
    with pytest.raises(ConfigError, match=r"trigger_rates\.belle_full\.samples: sample 'belle2_mumu' is of detector"):
        check_campaign(chosen)
