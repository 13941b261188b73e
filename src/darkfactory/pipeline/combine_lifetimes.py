"""Searches of one long-lived particle together: where a coupling that sets rates and a lifetime is excluded.

At each value of the coupling every channel has its own lifetime: the workspace of the nearest lifetime counts, with its
signal scaled so that the channel's own limit is the one interpolated between the lifetimes of its scan.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkfactory.config.interpretation import InterpretationConfig
from darkfactory.config.load import validate
from darkfactory.config.points import parse_point, point_name
from darkfactory.core.errors import InputError
from darkfactory.core.seeds import generator
from darkfactory.interpret.regions import (
    Expectation,
    LimitSurface,
    b_decay_expectation,
    inelastic_expectation,
)
from darkfactory.stats.combine import WorkspacePart, combine_workspaces
from darkfactory.stats.counting_combined import CombinedCls, combined_cls, count_rates
from darkfactory.stats.histfactory import compile_workspace

__all__ = ["COLUMNS", "Channel", "by_mass", "channels_of", "combine_mass", "strength_at"]

Array = NDArray[np.float64]
_HALVINGS = 5
# signals of this share of all limits exclude nothing: no pseudo-counts are thrown
_NEGLIGIBLE = 0.02
COLUMNS = (
    "model", "coupling", "input", "point", "mass_gev", "quantity", "unit", "lower", "upper", "cl", "method", "status",
    "channels", "data",
)  # fmt: skip
"""Columns of a combination's couplings.csv; ``quantity`` is the coupling for observed, ``<coupling>_expected`` for
median expected regions."""


@dataclass(frozen=True, eq=False)
class Channel:
    """One hypothesis of an input at one mass.

    Attributes:
        source: search/dataset.
        name: of the channel in workspaces.
        tags: what it shares with others.
        surface: median expected limits by lifetimes.
        records: lifetimes to workspace record, its expected limit and what one unit of its signal is worth, both in
            the unit of the limit: fb, or a branching fraction.
        predict: coupling to rate and lifetimes.
    """

    source: str
    name: str
    tags: tuple[str, ...]
    surface: LimitSurface
    records: Mapping[tuple[float, float], tuple[Mapping[str, Any], float, float]]
    predict: Callable[[float], Expectation]


def _predictor(
    section: InterpretationConfig, model: str, hypothesis: str, mass: float, sigma_fb: float
) -> Callable[[float], Expectation]:
    region = section.regions.get(model)
    if region is not None and section.dark_scalar is not None:
        return inelastic_expectation(region, section.dark_scalar, region.hypotheses[hypothesis], mass, sigma_fb)
    particle = section.b_decays[model]
    if section.flavour is None:
        raise InputError(f"combination: {model} has no inputs `flavour`; add them to the search's interpretation")
    return b_decay_expectation(particle, particle.hypotheses[hypothesis], section.flavour, section.dark_scalar, mass)


def channels_of(entries: Sequence[Mapping[str, Any]], mass: float, cl: float) -> list[Channel]:
    """Channels at one mass from what the stages of the inputs left.

    Args:
        entries: one for each point of each input: what the request says of the input, ``hypothesis``, ``point``,
            ``record`` (workspace), ``sigma_fb``, ``limits`` (records).
        mass: in GeV.
        cl: confidence level.
    """
    families: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for e in entries:
        families.setdefault((e["search"], e["dataset"], e["hypothesis"]), []).append(e)
    made = []
    for (search, dataset, hypothesis), family in families.items():
        limits: dict[tuple[float, float], float] = {}
        records: dict[tuple[float, float], tuple[Mapping[str, Any], float, float]] = {}
        for e in family:
            axes = parse_point(e["point"])
            at = (axes.get("lifetime", 1.0), axes.get("lifetime2", 1.0))
            found = next((r for r in e["limits"] if r["cl"] == cl and r["expected"] is not None), None)
            if found is None or e["record"]["spec"] is None:
                continue
            limits[at] = float(found["expected"])
            records[at] = e["record"], limits[at], float(found["scale"])
        if not records:
            continue
        section = validate(InterpretationConfig, family[0]["interpretation"], where="interpretation")
        predict = _predictor(section, family[0]["model"], hypothesis, mass, float(family[0]["sigma_fb"]))
        made.append(
            Channel(
                f"{search}/{dataset}", f"{search}_{dataset}_{hypothesis}", tuple(family[0]["tags"]),
                LimitSurface(limits), records, predict,
            )
        )  # fmt: skip
    return made


def strength_at(channel: Channel, coupling: float) -> tuple[tuple[float, float], float]:
    """Lifetimes of the workspace that counts, and its signal strength in units of the parameter of interest.

    Zero where the lifetime is outside of what was scanned.
    """
    told = channel.predict(coupling)
    limit = channel.surface(told.ctau, told.ctau2)
    nearest = min(
        channel.records, key=lambda at: (np.log(at[0] / told.ctau) ** 2 + np.log(at[1] / told.ctau2) ** 2, at)
    )
    if not np.isfinite(limit) or told.rate <= 0:
        return nearest, 0.0
    _, own, scale = channel.records[nearest]
    return nearest, told.rate / limit * own / scale


def _cls_at(
    channels: Sequence[Channel],
    coupling: float,
    correlated: Mapping[str, Sequence[str]],
    toys: int,
    seed: Sequence[Any],
) -> tuple[CombinedCls | None, dict[str, Any] | None]:
    """CLs of all channels together at one coupling and their workspace, None where no channel has a signal."""
    parts, reach = [], 0.0
    for c in channels:
        at, strength = strength_at(c, coupling)
        if strength > 0:
            record, limit, scale = c.records[at]
            reach += strength * scale / limit
            parts.append(WorkspacePart(c.name, record["spec"], strength, c.tags))
    if not parts:
        return None, None
    if reach < _NEGLIGIBLE:
        return CombinedCls(1.0, (1.0, 1.0, 1.0, 1.0, 1.0)), None
    workspace = combine_workspaces(parts, correlated)
    rng = generator(*seed)
    rates = count_rates(compile_workspace(workspace)[1], rng)
    observed = np.concatenate([np.asarray(o["data"], dtype=float) for o in workspace["observations"]])
    return combined_cls(observed, rates, np.ones(len(observed)), rng, toys), workspace


def _regions(
    coupling: Array, excluded: NDArray[np.bool_], known: NDArray[np.bool_], test: Callable[[int, float], bool]
) -> list[tuple[float, float, bool]]:
    """Lower edge, upper edge and whether both are crossings, of each interval of excluded couplings.

    Args:
        coupling: rising values.
        excluded: at each of them.
        known: where there is a signal at all.
        test: whether a coupling after the one of a number is excluded; crossings are halved with it.
    """

    def edge(inside: int, outside: int) -> tuple[float, bool]:
        if not 0 <= outside < len(coupling) or not known[outside]:
            return float(coupling[inside]), False
        good, bad = float(coupling[inside]), float(coupling[outside])
        for _ in range(_HALVINGS):
            middle = float(np.sqrt(good * bad))
            good, bad = (middle, bad) if test(min(inside, outside), middle) else (good, middle)
        return float(np.sqrt(good * bad)), True

    found = []
    start = None
    for i, inside in enumerate(excluded):
        if inside and (i == 0 or not excluded[i - 1]):
            start = edge(i, i - 1)
        if inside and start is not None and (i + 1 == len(excluded) or not excluded[i + 1]):
            end = edge(i, i + 1)
            found.append((start[0], end[0], start[1] and end[1]))
    return found


def combine_mass(request: Mapping[str, Any], point: str, entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Excluded regions at one mass, of all inputs together and of each alone, and the most sensitive workspace."""
    spec = request["spec"]
    config = spec["combination"]
    mass = parse_point(point)["mass"]
    coupling = np.geomspace(float(config["scan"][0]), float(config["scan"][1]), int(config["steps"]))
    rows: list[dict[str, Any]] = []
    best: tuple[float, dict[str, Any]] | None = None
    for cl in config["statistics"]["cls"]:
        channels = channels_of(entries, mass, cl)
        sets = {"combined": channels}
        sets |= {s: [c for c in channels if c.source == s] for s in dict.fromkeys(c.source for c in channels)}
        for name, own in sets.items():

            def at(i: int, value: float, own: Sequence[Channel] = own) -> tuple[CombinedCls | None, Any]:
                # seeds by place in the scan, not by input: an input alone and in the combination share noise
                seed = (spec["seed"], "combine", config["name"], point, i)
                return _cls_at(own, value, config["correlated"], int(config["toys"]), seed)

            scan = [at(i, float(value)) for i, value in enumerate(coupling)]
            known = np.array([found is not None for found, _ in scan])
            common = {
                "model": config["model"], "coupling": config["coupling"], "input": name, "point": point,
                "mass_gev": mass, "unit": config["unit"], "cl": cl, "method": "toys", "channels": len(own),
                "data": spec["data"],
            }  # fmt: skip
            for read, quantity in ((_observed, config["coupling"]), (_expected, f"{config['coupling']}_expected")):

                def test(
                    i: int, value: float, at: Any = at, read: Callable[[CombinedCls], float] = read, cl: float = cl
                ) -> bool:
                    found, _ = at(i, value)
                    return found is not None and read(found) < 1 - cl

                excluded = np.array([found is not None and read(found) < 1 - cl for found, _ in scan])
                regions = _regions(coupling, excluded, known, test)
                for low, high, closed in regions:
                    status = "ok" if closed else "not_bracketed"
                    rows.append(common | {"quantity": quantity, "lower": low, "upper": high, "status": status})
                if not regions:
                    status = "no_sensitivity"
                    rows.append(common | {"quantity": quantity, "lower": None, "upper": None, "status": status})
            for found, workspace in scan:
                if name != "combined" or found is None or workspace is None:
                    continue
                if best is None or _expected(found) < best[0]:
                    best = _expected(found), workspace
    return {"rows": rows, "workspace": None if best is None else best[1], "records": []}


def _observed(found: CombinedCls) -> float:
    return found.observed


def _expected(found: CombinedCls) -> float:
    return found.expected[2]


def by_mass(entries: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, list[Mapping[str, Any]]]:
    """Entries of points collected by the name of their mass."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for point, own in entries.items():
        found.setdefault(point_name({"mass": parse_point(point)["mass"]}), []).extend(own)
    return found
