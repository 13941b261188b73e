"""Hypotheses of a search in one workspace: channels of all members, one rate, ratios from a model."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from darkfactory.config.interpretation import BDecayRegion, InterpretationConfig
from darkfactory.config.load import validate
from darkfactory.config.points import parse_point
from darkfactory.interpret.couplings import rate_at_unit_coupling
from darkfactory.interpret.regions import b_decay_expectation
from darkfactory.stats.combine import WorkspacePart, combine_workspaces, natural_unit

__all__ = ["joint_workspace", "model_rates", "rate_ratios", "ratio_error"]

_TAG = "joint"
# what K and K* do not share; all K* do
_RATIO = "form_factors"


def rate_ratios(
    section: InterpretationConfig, region: BDecayRegion, members: Sequence[str], mass: float
) -> dict[str, float]:
    """Rates of some hypotheses over that of the first, which a model gives; the coupling cancels.

    Args:
        section: with the inputs of the rates.
        region: the model.
        members: hypotheses.
        mass: GeV.

    Returns:
        By hypothesis; empty where the first has no rate.
    """
    if section.flavour is None:
        return {}
    rates = {
        name: b_decay_expectation(region, region.hypotheses[name], section.flavour, section.dark_scalar, mass)(1.0).rate
        for name in members
    }
    first = rates[members[0]]
    return {name: rate / first for name, rate in rates.items()} if first > 0 else {}


def ratio_error(section: InterpretationConfig, region: BDecayRegion, one: str, two: str) -> float:
    """Relative uncertainty of the ratio of the rates of two hypotheses, from form factors that they do not share."""
    flavour = section.flavour
    vectors = [region.hypotheses[name].kaon.startswith("K*") for name in (one, two)]
    if flavour is None or vectors[0] == vectors[1]:
        return 0.0
    return float(np.hypot(flavour.f0.uncertainty, flavour.a0.uncertainty))


def model_rates(
    section: InterpretationConfig, models: Mapping[str, str], sigma_fb: Mapping[str, float], mass: float
) -> dict[str, float]:
    """Rates of hypotheses at a coupling of one, in fb: cross-section of the sample times branching fraction.

    Args:
        section: with the models.
        models: hypothesis to its model.
        sigma_fb: cross-sections of the samples.
        mass: GeV.
    """
    return {h: rate_at_unit_coupling(sigma_fb[h], section.models[m], mass) for h, m in models.items() if h in sigma_fb}


def _signals_fb(
    section: InterpretationConfig, joint: Mapping[str, Any], names: Sequence[str], sigma_fb: Mapping[str, float],
    mass: float,
) -> dict[str, float]:  # fmt: skip
    """Cross-section of each member's signal where that of the first is its sample's."""
    if joint.get("models"):
        rates = model_rates(section, joint["models"], sigma_fb, mass)
        unit = rates[names[0]]
        return {n: rates[n] / unit * sigma_fb[names[0]] for n in names} if unit > 0 else {}
    ratios = rate_ratios(section, section.b_decays[joint["model"]], names, mass)
    return {n: ratio * sigma_fb[n] for n, ratio in ratios.items()}


def _with_ratio_error(spec: Mapping[str, Any], relative: float) -> dict[str, Any]:
    """A workspace whose signal has a log-normal uncertainty more."""
    result: dict[str, Any] = copy.deepcopy(dict(spec))
    if not relative:
        return result
    poi = result["measurements"][0]["config"]["poi"]
    modifier = {"name": _RATIO, "type": "normsys", "data": {"lo": 1 / (1 + relative), "hi": 1 + relative}}
    for channel in result["channels"]:
        for sample in channel["samples"]:
            if any(m["name"] == poi for m in sample["modifiers"]):
                sample["modifiers"].append(dict(modifier))
    return result


def joint_workspace(
    hypothesis: str,
    point: str,
    joint: Mapping[str, Any],
    records: Mapping[str, Mapping[str, Any]],
    sigma_fb: Mapping[str, float],
    interpretation: Mapping[str, Any],
) -> dict[str, Any]:
    """The workspace of a joint fit at a point, as a record like those of its members.

    ``scale`` is the cross-section of the first member at one unit of ``mu``.

    Args:
        hypothesis: name of the joint fit.
        point: name of the point.
        joint: members, model or models, and shared nuisance parameters.
        records: of the members that have the point, by hypothesis; the first is among them.
        sigma_fb: cross-sections of the members' samples, with branching fractions of one.
        interpretation: the section, with the model.
    """
    section = validate(InterpretationConfig, interpretation, where="interpretation")
    names = [m for m in joint["members"] if m in records]
    signals = _signals_fb(section, joint, names, sigma_fb, parse_point(point)["mass"])
    first = records[names[0]]
    parts = [
        # the member's own mu where the signal of the first member is that of its sample
        WorkspacePart(name, r["spec"], signals[name] / r["scale"], (_TAG,))
        for name, r in ((n, records[n]) for n in names)
        if r["spec"] is not None and r["scale"] > 0 and signals.get(name, 0.0) > 0
    ]
    used = [records[p.name] for p in parts]
    record = {
        **first,
        "hypothesis": hypothesis,
        "status": "ok" if parts else "no_sensitivity",
        "spec": None,
        "reason": "" if parts else first.get("reason", "no member has a workspace"),
        "expected_background": float(sum(r["expected_background"] for r in used)),
        "effective_ratio": min((r["effective_ratio"] for r in used), default=first["effective_ratio"]),
        "order_satisfied": all(r["order_satisfied"] is not False for r in used),
        "limited": sorted(f"{p.name}: {note}" for p, r in zip(parts, used, strict=True) for note in r["limited"]),
    }
    if not parts:
        return record
    unit = natural_unit(parts)
    region = section.b_decays.get(joint.get("model", ""))
    errors = {p.name: 0.0 if region is None else ratio_error(section, region, names[0], p.name) for p in parts}
    scaled = [
        WorkspacePart(p.name, _with_ratio_error(p.spec, errors[p.name]), p.strength * unit, p.tags) for p in parts
    ]
    shared = dict.fromkeys(("lumi", _RATIO, *joint["shared"]), (_TAG,))
    spec = combine_workspaces(scaled, shared)
    events = sum(p.strength * r["signal_events"] for p, r in zip(scaled, used, strict=True))
    # figures and residuals show the first channel
    shown = {k: used[0][k] for k in ("edges", "keep", "order", "flagged_bins")}
    return (
        record
        | shown
        | {
            "region": f"{parts[0].name}_{used[0]['region']}",
            "spec": spec,
            "scale": unit * sigma_fb[names[0]],
            "signal_events": float(events),
        }
    )
