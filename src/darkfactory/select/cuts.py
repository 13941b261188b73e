"""Named cuts: checked against the registry, evaluated as masks, applied late."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from darkfactory.config.selection import Bound, CutConfig, SelectionConfig
from darkfactory.core.errors import ConfigError, UserError
from darkfactory.core.units import parse_quantity
from darkfactory.records.cutflow import Cutflow
from darkfactory.select.candidates import Builder, Observable
from darkfactory.select.objects import Array
from darkfactory.select.registry import OBSERVABLES, find_candidate, find_observable

__all__ = [
    "Cut",
    "NMinusOne",
    "Plan",
    "compile_selection",
    "cutflow",
    "mask_bits",
    "n_minus_1",
]

_KINDS = {"GeV": "energy", "rad": "angle", "ns": "time", "cm": "length"}
Columns = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Cut:
    """A cut with numbers in the units of the observables.

    Attributes:
        name: name in the cutflow.
        observable: what is cut on.
        low: inclusive lower bound.
        high: inclusive upper bound.
        when: (observable, low, high): the cut applies where all are in [low, high).
    """

    name: str
    observable: str
    low: float
    high: float
    when: tuple[tuple[str, float, float], ...] = ()

    def applies(self, columns: Columns) -> NDArray[np.bool_]:
        """Rows in which the cut's conditions hold."""
        mask = np.ones(len(columns[self.observable]), dtype=bool)
        for name, low, high in self.when:
            mask &= (columns[name] >= low) & (columns[name] < high)
        return mask

    def passes(self, columns: Columns) -> NDArray[np.bool_]:
        """Rows that pass, or in which the cut does not apply; an observable that is NaN fails.

        Example:
            >>> cut = Cut("e", "e", 1.0, np.inf, (("m", 0.0, 2.0),))
            >>> cut.passes({"e": np.array([0.5, 0.5, 1.0]), "m": np.array([1.0, 2.0, 1.0])}).tolist()
            [False, True, True]
        """
        x = columns[self.observable]
        return np.asarray(((x >= self.low) & (x <= self.high)) | ~self.applies(columns))


@dataclass(frozen=True)
class Plan:
    """A selection checked against the registry.

    Attributes:
        builder: candidate builder.
        observables: those to compute, in order, with their parameters.
        cuts: the preselection.
    """

    builder: Builder
    observables: tuple[tuple[Observable, Mapping[str, float]], ...]
    cuts: tuple[Cut, ...]


def _bound(value: Bound, unit: str, default: float, where: str) -> float:
    if value is None:
        return default
    if isinstance(value, float | int):
        return float(value)
    if unit not in _KINDS:
        raise ConfigError(f"{value!r} carries a unit, but the observable is in {unit}; write a number", where=where)
    try:
        return parse_quantity(value, _KINDS[unit])
    except UserError as error:
        raise ConfigError(str(error), where=where) from error


def _compile_cut(cut: CutConfig, candidate: str, where: str) -> Cut:
    observable = find_observable(candidate, cut.observable, f"{where}.observable")
    low = _bound(cut.min, observable.unit, -np.inf, f"{where}.min")
    high = _bound(cut.max, observable.unit, np.inf, f"{where}.max")
    if not low <= high:
        raise ConfigError(f"min {low:g} is above max {high:g}: no candidate passes", where=where)
    when = []
    for name, (first, last) in cut.when.items():
        at = f"{where}.when.{name}"
        unit = find_observable(candidate, name, at).unit
        edges = _bound(first, unit, -np.inf, at), _bound(last, unit, np.inf, at)
        if not edges[0] < edges[1]:
            raise ConfigError(f"range [{edges[0]:g}, {edges[1]:g}) is empty", where=at)
        when.append((name, *edges))
    return Cut(cut.name, cut.observable, low, high, tuple(when))


def compile_selection(selection: SelectionConfig, where: str = "selection") -> Plan:
    """Check every name and unit of a selection.

    Raises:
        ConfigError: unknown candidate, observable or parameter, wrong unit, empty range; names the path.
    """
    candidate = selection.candidate
    builder = find_candidate(candidate, f"{where}.candidate")
    cuts = [_compile_cut(c, candidate, f"{where}.cuts[{i}]") for i, c in enumerate(selection.cuts)]
    if len(cuts) > 64:
        raise ConfigError(f"{len(cuts)} cuts; at most 64 are possible", where=f"{where}.cuts")
    parameters: dict[str, dict[str, float]] = {}
    for name, given in selection.parameters.items():
        at = f"{where}.parameters.{name}"
        known = find_observable(candidate, name, at).parameters
        for key, value in given.items():
            if key not in known:
                raise ConfigError(f"unknown parameter {key!r} of {name!r}; allowed are {sorted(known)}", where=at)
            bound = _bound(value, known[key][0], 0.0, f"{at}.{key}")
            parameters.setdefault(name, {})[key] = bound
    names = [o for c in cuts for o in (c.observable, *(w[0] for w in c.when))]
    if selection.observables is None:
        from_registry = list(OBSERVABLES[candidate])
    else:
        from_registry = list(selection.observables)
        for i, name in enumerate(from_registry):
            find_observable(candidate, name, f"{where}.observables[{i}]")
    for i, name in enumerate(selection.trigger_profiles):
        find_observable(candidate, name, f"{where}.trigger_profiles[{i}]")
    wanted = dict.fromkeys([*from_registry, *names, *selection.trigger_profiles])
    return Plan(
        builder,
        tuple((find_observable(candidate, n), parameters.get(n, {})) for n in wanted),
        tuple(cuts),
    )


def mask_bits(columns: Columns, cuts: tuple[Cut, ...], n: int) -> NDArray[np.uint64]:
    """Bit i of each row: cut i passed."""
    bits = np.zeros(n, dtype=np.uint64)
    for i, cut in enumerate(cuts):
        bits |= cut.passes(columns).astype(np.uint64) << np.uint64(i)
    return bits


def cutflow(event: NDArray[np.int64], bits: NDArray[np.uint64], weight: Array, names: tuple[str, ...]) -> Cutflow:
    """Events with at least one candidate that passes all cuts so far; each event counts once.

    Args:
        event: index of each candidate's event, ascending.
        bits: of :func:`mask_bits`.
        weight: per event, all events.
        names: names of the cuts.
    """
    counts, sumw, sumw2 = [len(weight)], [float(np.sum(weight))], [float(np.sum(weight * weight))]
    for i in range(len(names) + 1):
        need = np.uint64((1 << i) - 1)
        alive = np.unique(event[(bits & need) == need])
        w = weight[alive]
        counts.append(len(alive))
        sumw.append(float(np.sum(w)))
        sumw2.append(float(np.sum(w * w)))
    return Cutflow(("all", "candidate", *names), tuple(counts), tuple(sumw), tuple(sumw2))


@dataclass(frozen=True, eq=False)
class NMinusOne:
    """Histogram of a cut's observable for the candidates that pass all other cuts and to which this one applies.

    Attributes:
        cut: name of the cut.
        observable: name of the observable.
        low: lower bound of the cut.
        high: upper bound of the cut.
        edges: bin edges, shape (n+1,).
        sumw: sums of weights, shape (n+2,): underflow first, overflow last.
        sumw2: sums of squared weights, shape (n+2,).
    """

    cut: str
    observable: str
    low: float
    high: float
    edges: Array
    sumw: Array
    sumw2: Array


def n_minus_1(
    columns: Columns, bits: NDArray[np.uint64], weight: Array, plan: Plan, n_bins: int
) -> tuple[NMinusOne, ...]:
    """N-1 histograms of all cuts of the preselection; candidates, not events, are counted."""
    observables = {o.name: o for o, _ in plan.observables}
    every = np.uint64((1 << len(plan.cuts)) - 1)
    result = []
    for i, cut in enumerate(plan.cuts):
        others = every & ~np.uint64(1 << i)
        rows = ((bits & others) == others) & cut.applies(columns)
        edges = np.linspace(*observables[cut.observable].range, n_bins + 1)
        index = np.searchsorted(edges, columns[cut.observable][rows], side="right")
        w = weight[rows]
        result.append(
            NMinusOne(
                cut.name,
                cut.observable,
                cut.low,
                cut.high,
                edges,
                np.bincount(index, weights=w, minlength=n_bins + 2).astype(np.float64),
                np.bincount(index, weights=w * w, minlength=n_bins + 2).astype(np.float64),
            )
        )
    return tuple(result)
