"""One workspace from several: shared nuisance parameters, signals tied to one parameter of interest.

Channels keep their bins and samples and get the input's name in front. A parameter of an input stays its own (it gets
the input's name behind it) unless the correlations say that inputs with a tag share it (then it gets the tag's).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from darkfactory.core.errors import InputError
from darkfactory.stats.certificate import rescaled
from darkfactory.stats.lint import signal_and_background

__all__ = ["WorkspacePart", "combine_workspaces", "natural_unit"]

POI = "mu"
_PER_BIN = ("staterror", "shapesys", "shapefactor")
_POI_BOUNDS = [0.0, 1000.0]


@dataclass(frozen=True)
class WorkspacePart:
    """One input.

    Attributes:
        name: short, unique; goes into the names of channels and parameters.
        spec: its complete workspace.
        strength: its signal strength at one unit of the combined parameter of interest.
        tags: what it shares with others.
    """

    name: str
    spec: Mapping[str, Any]
    strength: float
    tags: tuple[str, ...] = ()


def natural_unit(parts: Sequence[WorkspacePart]) -> float:
    """A value of the combined parameter, per unit, whose signal is about one standard deviation of the background.

    At least one signal event in all; limits are then of the order of one, wherever the fits start.

    Example:
        >>> from darkfactory.stats.examples import counting_window
        >>> natural_unit([WorkspacePart("a", counting_window(1, 25.0, signal=2.0), 1.0)])
        2.5
    """
    information = events = 0.0
    for p in parts:
        s, b = signal_and_background(p.spec)
        s = np.maximum(s, 0.0) * p.strength
        events += float(s.sum())
        information += float(np.sum(s**2 / np.maximum(b, 1e-6 + 1e-9 * b.sum())))
    if not events > 0:
        return math.nan
    return max(1 / math.sqrt(information), 1 / events)


def _names(
    part: WorkspacePart, parameters: Mapping[str, str], correlated: Mapping[str, Sequence[str]]
) -> dict[str, str]:
    """Parameter of an input to its name in the combination."""
    renamed = {}
    for name, kind in parameters.items():
        tag = next((t for t in correlated.get(name, ()) if t in part.tags), None)
        if tag is not None and kind in _PER_BIN:
            raise InputError(
                f"combination: {name!r} of {part.name} is a per-bin parameter ({kind}); bins of different inputs are "
                "not the same quantity, take it out of `correlated`"
            )
        renamed[name] = f"{name}_{tag if tag is not None else part.name}"
    return renamed


def _parameters(spec: Mapping[str, Any]) -> dict[str, str]:
    """All modifier names beside the parameter of interest, and the type of their first modifier."""
    poi = spec["measurements"][0]["config"]["poi"]
    found: dict[str, str] = {}
    for channel in spec["channels"]:
        for sample in channel["samples"]:
            for mod in sample["modifiers"]:
                if mod["name"] != poi:
                    found.setdefault(mod["name"], mod["type"])
    return found


def _settings(spec: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {p["name"]: dict(p) for p in spec["measurements"][0]["config"].get("parameters", [])}


def _one_lumi(parts: Sequence[WorkspacePart], names: Sequence[Mapping[str, str]]) -> bool:
    """Whether all luminosities are one parameter with one uncertainty, as pyhf's own kind of modifier needs."""
    new, sizes = set(), set()
    for part, renamed in zip(parts, names, strict=True):
        for parameter, kind in _parameters(part.spec).items():
            if kind == "lumi":
                new.add(renamed[parameter])
                settings = {k: v for k, v in _settings(part.spec).get(parameter, {}).items() if k != "name"}
                sizes.add(repr(sorted(settings.items())))
    return len(new) == 1 and len(sizes) == 1


def combine_workspaces(
    parts: Sequence[WorkspacePart], correlated: Mapping[str, Sequence[str]] | None = None
) -> dict[str, Any]:
    """One complete workspace from several, with parameter of interest ``mu``.

    Args:
        parts: inputs; each one's signal is multiplied by its ``strength``.
        correlated: parameter name to tags; inputs with one of the tags share the parameter.

    Returns:
        A HistFactory workspace of pyhf's schema. Luminosities of different size or owner become normsys, since a
        workspace has one parameter of pyhf's kind ``lumi``.

    Raises:
        InputError: names that are not unique, a shared per-bin parameter, parameters of one name and different kinds
            or constraints.
        UnsupportedModel: a signal that cannot be scaled because it takes part in a staterror.

    Example:
        >>> from darkfactory.stats.examples import counting_window
        >>> both = combine_workspaces(
        ...     [WorkspacePart(n, counting_window(3, 2.0, 0.1), 1.0, ("x",)) for n in ("a", "b")],
        ...     {"background_norm": ["x"]})
        >>> [c["name"] for c in both["channels"]], sorted(_parameters(both))
        (['a_sr', 'b_sr'], ['background_norm_x'])
    """
    correlated = correlated or {}
    if not parts:
        raise InputError("combination: no input has a workspace at this point; nothing to combine")
    labels = [p.name for p in parts]
    if len(set(labels)) != len(labels):
        raise InputError(f"combination: inputs {labels} must have names of their own")
    names = [_names(p, _parameters(p.spec), correlated) for p in parts]
    keep_lumi = _one_lumi(parts, names)
    channels: list[dict[str, Any]] = []
    observations: list[dict[str, Any]] = []
    settings: dict[str, dict[str, Any]] = {
        POI: {"name": POI, "inits": [1.0], "bounds": [list(_POI_BOUNDS)]},
    }
    kinds: dict[str, str] = {}
    for part, renamed in zip(parts, names, strict=True):
        own = _settings(part.spec)
        old_poi = part.spec["measurements"][0]["config"]["poi"]
        widths = {n: float(own[n]["sigmas"][0]) for n, k in _parameters(part.spec).items() if k == "lumi" and n in own}
        spec = rescaled(part.spec, part.strength) if part.strength != 1.0 else copy.deepcopy(dict(part.spec))
        for channel in spec["channels"]:
            label = f"{part.name}_{channel['name']}"
            for sample in channel["samples"]:
                sample["modifiers"] = [
                    _modifier(m, old_poi, renamed, keep_lumi, widths, part.name) for m in sample["modifiers"]
                ]
                for m in sample["modifiers"]:
                    _check_kind(kinds, m, part.name)
            channels.append({**channel, "name": label})
        observations += [{**o, "name": f"{part.name}_{o['name']}"} for o in spec["observations"]]
        for parameter, value in own.items():
            if parameter == old_poi or parameter not in renamed:
                continue
            is_lumi = parameter in widths
            if is_lumi and not keep_lumi:
                continue
            new = "lumi" if is_lumi else renamed[parameter]
            _merge_settings(settings, new, value, part.name)
    return {
        "channels": channels,
        "observations": observations,
        "measurements": [{"name": "combination", "config": {"poi": POI, "parameters": list(settings.values())}}],
        "version": "1.0.0",
    }


def _modifier(
    m: Mapping[str, Any],
    poi: str,
    renamed: Mapping[str, str],
    keep_lumi: bool,
    widths: Mapping[str, float],
    where: str,
) -> dict[str, Any]:
    if m["name"] == poi:
        return {**m, "name": POI}
    if m["type"] != "lumi":
        return {**m, "name": renamed[m["name"]]}
    if keep_lumi:
        return {**m, "name": "lumi"}
    if m["name"] not in widths:
        raise InputError(f"combination: {where} has a luminosity without `sigmas` in its measurement's parameters")
    u = widths[m["name"]]
    return {"name": renamed[m["name"]], "type": "normsys", "data": {"hi": 1 + u, "lo": 1 - u}}


def _check_kind(kinds: dict[str, str], m: Mapping[str, Any], where: str) -> None:
    kind = "normsys" if m["type"] == "histosys" else m["type"]
    if kinds.setdefault(m["name"], kind) != kind:
        raise InputError(
            f"combination: {m['name']!r} is {kind} in {where} and {kinds[m['name']]} elsewhere; parameters of "
            "different kinds cannot be shared, take it out of `correlated`"
        )


def _merge_settings(settings: dict[str, dict[str, Any]], name: str, value: Mapping[str, Any], where: str) -> None:
    new = {**value, "name": name}
    old = settings.setdefault(name, new)
    for key in ("auxdata", "sigmas"):
        if old.get(key) != new.get(key):
            raise InputError(
                f"combination: {name!r} has {key} {new.get(key)} in {where} and {old.get(key)} elsewhere; a shared "
                "parameter has one constraint"
            )
