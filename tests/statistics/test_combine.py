"""Combinations: undivided answers from divided channels, nothing from empty ones, pyhf's agreement."""

from __future__ import annotations

import copy

import numpy as np
import pyhf
import pytest

from darkfactory.config.statistics import StatisticsConfig
from darkfactory.core.errors import InputError
from darkfactory.stats.certificate import Claim, certify
from darkfactory.stats.combine import WorkspacePart, combine_workspaces, natural_unit
from darkfactory.stats.examples import bump_window, counting_window, template_window
from darkfactory.stats.histfactory import compile_workspace
from darkfactory.stats.limits import WorkspaceInput, compute_limits
from darkfactory.stats.scan import asymptotic_limits
from darkfactory.stats.toys import toy_limits


def limits(spec: dict) -> np.ndarray:
    found = asymptotic_limits(compile_workspace(spec)[1], [0.9])
    assert found.status == (("ok",),)
    return np.array([found.observed[0, 0], *found.expected[0, 0]])


def sliced(spec: dict, keep: slice) -> dict:
    """The workspace of some of its bins."""
    part = copy.deepcopy(spec)
    for channel in part["channels"]:
        for sample in channel["samples"]:
            sample["data"] = sample["data"][keep]
            for mod in sample["modifiers"]:
                if mod["type"] == "histosys":
                    mod["data"] = {k: v[keep] for k, v in mod["data"].items()}
                elif mod["type"] == "staterror":
                    mod["data"] = mod["data"][keep]
    for observation in part["observations"]:
        observation["data"] = observation["data"][keep]
    return part


def halved(spec: dict) -> dict:
    """The workspace of half of the data, exactly."""
    part = copy.deepcopy(spec)
    for channel in part["channels"]:
        for sample in channel["samples"]:
            sample["data"] = [v / 2 for v in sample["data"]]
            for mod in sample["modifiers"]:
                if mod["type"] == "histosys":
                    mod["data"] = {k: [x / 2 for x in v] for k, v in mod["data"].items()}
    for observation in part["observations"]:
        observation["data"] = [v / 2 for v in observation["data"]]
    return part


def everything(spec: dict) -> dict[str, list[str]]:
    names = {m["name"] for c in spec["channels"] for s in c["samples"] for m in s["modifiers"]}
    return {n: ["all"] for n in names - {"mu", "mc"}}


def both(spec: dict, one: dict, two: dict) -> dict:
    parts = [WorkspacePart("one", one, 1.0, ("all",)), WorkspacePart("two", two, 1.0, ("all",))]
    return combine_workspaces(parts, everything(spec))


@pytest.mark.parametrize("spec", [bump_window(3, injected=2.0), template_window(4, bins=12)], ids=["bump", "template"])
def test_bins_shared_out_between_two_inputs_give_the_undivided_answer(spec: dict) -> None:
    combined = both(spec, sliced(spec, slice(0, 7)), sliced(spec, slice(7, None)))
    assert limits(combined) == pytest.approx(limits(spec), rel=1e-8)
    assert len(combined["channels"]) == 2
    pyhf.Workspace(combined)


def test_data_shared_out_between_two_inputs_give_the_undivided_answer() -> None:
    spec = bump_window(3, injected=2.0)
    assert limits(both(spec, halved(spec), halved(spec))) == pytest.approx(limits(spec), rel=1e-8)


def test_an_empty_channel_changes_nothing() -> None:
    spec = bump_window(5)
    empty = counting_window(7, 6.0, 0.2, signal=0.0)
    combined = combine_workspaces([WorkspacePart("a", spec, 1.0), WorkspacePart("b", empty, 1.0)])
    assert limits(combined) == pytest.approx(limits(spec), rel=1e-7)
    nothing = copy.deepcopy(empty)
    nothing["channels"][0]["samples"][1]["data"] = [1e-9]
    nothing["observations"][0]["data"] = [0.0]
    combined = combine_workspaces([WorkspacePart("a", spec, 1.0), WorkspacePart("b", nothing, 1.0)])
    assert limits(combined) == pytest.approx(limits(spec), rel=1e-7)


def test_one_input_alone_is_itself() -> None:
    spec = bump_window(5)
    combined = combine_workspaces([WorkspacePart("a", spec, 2.0)])
    assert 2 * limits(combined) == pytest.approx(limits(spec), rel=1e-8)


def test_strengths_weigh_the_inputs() -> None:
    """Two countings without nuisances are one whose information adds up."""
    parts = [
        WorkspacePart("a", counting_window(400, 400.0, signal=10.0), 2.0),
        WorkspacePart("b", counting_window(900, 900.0, signal=10.0), 3.0),
    ]
    sigma = 1 / np.sqrt(20.0**2 / 400 + 30.0**2 / 900)
    assert limits(combine_workspaces(parts))[3] == pytest.approx(1.645 * sigma, rel=0.02)
    assert natural_unit(parts) == pytest.approx(sigma)


def test_shared_parameters_make_a_weaker_limit_than_private_ones() -> None:
    parts = [WorkspacePart(n, counting_window(400, 400.0, 0.1, signal=10.0), 1.0, ("x",)) for n in "ab"]
    shared = combine_workspaces(parts, {"background_norm": ["x"]})
    private = combine_workspaces(parts)
    assert limits(shared)[3] > 1.2 * limits(private)[3]
    assert compile_workspace(shared)[0].names == ("background_norm_x", "mu")
    assert compile_workspace(private)[0].names == ("background_norm_a", "background_norm_b", "mu")


def test_pyhf_confirms_a_combination_with_shapes_counting_and_two_luminosities() -> None:
    other = copy.deepcopy(template_window(2, bins=6))
    other["measurements"][0]["config"]["parameters"][0]["sigmas"] = [0.007]
    parts = [
        WorkspacePart("bump", bump_window(3, bins=12), 1.0, ("det",)),
        WorkspacePart("template", other, 0.7, ("det",)),
        WorkspacePart("count", counting_window(4, 3.0, 0.2), 0.3),
    ]
    spec = combine_workspaces(parts, {"tracking": ["det"], "efficiency": ["det"], "lumi": ["nothing"]})
    pyhf.Workspace(spec)
    names = compile_workspace(spec)[0].names
    assert {"tracking_det", "efficiency_det", "lumi_bump", "lumi_template", "background_norm_count"} <= set(names)
    found = asymptotic_limits(compile_workspace(spec)[1], [0.9])
    claim = Claim(0.9, float(found.observed[0, 0]), tuple(float(v) for v in found.expected[0, 0]))
    certificate = certify(spec, [claim], [], StatisticsConfig().certificate)
    assert certificate["passed"], certificate


def test_two_countings_are_no_counting() -> None:
    parts = [WorkspacePart(n, counting_window(0, 0.2, 0.1), 1.0) for n in "ab"]
    spec = combine_workspaces(parts)
    record = compute_limits([WorkspaceInput("m1p00000", "x", {"mass": 1.0}, spec)], StatisticsConfig(cls=(0.9,)))[0]
    assert record.method == "toys"
    # nothing seen and next to nothing expected in both: 2.30 events in all
    assert 2 * record.observed == pytest.approx(2.303, rel=0.15)


@pytest.mark.parametrize(
    ("parts", "correlated", "message"),
    [
        ([], {}, "no input has a workspace"),
        ([WorkspacePart("a", bump_window(1, bins=4), 1.0)] * 2, {}, "must have names of their own"),
        ([WorkspacePart("a", template_window(1, bins=4), 1.0, ("x",))], {"mc": ["x"]}, "'mc' of a is a per-bin"),
    ],
)
def test_mistakes_are_told(parts: list[WorkspacePart], correlated: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        combine_workspaces(parts, correlated)


def test_parameters_of_two_kinds_are_not_shared() -> None:
    other = copy.deepcopy(bump_window(1, bins=4))
    for sample in other["channels"][0]["samples"]:
        for mod in sample["modifiers"]:
            mod["name"] = "norm0" if mod["name"] == "tracking" else mod["name"]
    parts = [WorkspacePart(n, s, 1.0, ("x",)) for n, s in (("a", template_window(1, bins=4)), ("b", other))]
    with pytest.raises(InputError, match="'norm0_x' is normsys in b and normfactor elsewhere"):
        combine_workspaces(parts, {"norm0": ["x"]})


def test_a_shared_luminosity_has_one_size() -> None:
    spec, other = bump_window(1, bins=4), copy.deepcopy(bump_window(2, bins=4))
    other["measurements"][0]["config"]["parameters"][0]["sigmas"] = [0.02]
    parts = [WorkspacePart("a", spec, 1.0, ("x",)), WorkspacePart("b", other, 1.0, ("x",))]
    combined = combine_workspaces(parts, {"lumi": ["x"]})
    kinds = {m["type"] for c in combined["channels"] for s in c["samples"] for m in s["modifiers"]}
    assert "lumi" not in kinds
    sizes = [
        m["data"]["hi"] for c in combined["channels"] for m in c["samples"][0]["modifiers"] if m["name"] == "lumi_x"
    ]
    assert sizes == pytest.approx([1.01, 1.02])


def strong_and_weak() -> tuple[dict, dict, dict]:
    """An input of few events, one with a twentieth of its information, and both with a shared efficiency."""
    strong = template_window(5, events=60.0, bins=10, staterror=False)
    weak = sliced(template_window(6, events=3000.0, bins=10, staterror=False), slice(0, 2))
    parts = [WorkspacePart("strong", strong, 1.0, ("det",)), WorkspacePart("weak", weak, 0.2, ("det",))]
    return strong, weak, combine_workspaces(parts, {"efficiency": ["det"], "tracking": ["det"]})


def test_a_weak_input_makes_no_limit_worse_but_toys_scatter() -> None:
    """Why one input of g' looked 2 % better than the combination: two toy limits, each with an error of that size."""
    strong, _, combined = strong_and_weak()
    alone, together = limits(strong)[3], limits(combined)[3]
    assert 0.9 * alone < together < 1.0005 * alone
    ratios, errors = [], []
    for name, spec in (("strong", strong), ("combined", combined)):
        m = compile_workspace(spec)[1]
        found = asymptotic_limits(m, [0.9])
        around = float(found.expected[0, 0, 0]), float(found.expected[0, 0, 4])
        [toys] = toy_limits(m, [0.9], around, toys=400, steps=5, seed=3, path=("combine", name))
        assert toys.expected is not None
        assert toys.error is not None
        assert toys.observed is not None
        ratios.append(toys.expected[2] / float(found.expected[0, 0, 2]))
        errors.append(toys.error / toys.observed)
    # few hundred toys leave per cents, which is more than what the second input changes
    assert min(errors) > 0.005
    assert max(errors) < 0.1
    assert abs(np.log(ratios[1] / ratios[0])) < 4 * np.hypot(*errors)
