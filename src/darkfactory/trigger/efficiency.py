"""Efficiencies of trigger lines: of samples with known content, and as data would measure them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from darkfactory.config.trigger import TriggerMenu
from darkfactory.core.errors import ConfigError
from darkfactory.trigger.emulate import fired, line_weight
from darkfactory.trigger.menu import Level

__all__ = ["Efficiency", "efficiency_curve", "efficiency_table", "format_efficiencies", "wilson"]

Array = NDArray[Any]


@dataclass(frozen=True)
class Efficiency:
    """One efficiency with its 68 % interval.

    Attributes:
        name: line, or ``any``.
        level: l1 or hlt.
        value: efficiency, prescales and line efficiencies folded.
        low: lower end of the interval.
        high: upper end.
        condition: fraction that fulfils the line's condition, before prescale and line efficiency.
        events: effective number of events in the denominator.
        reference: lines that had to fire for an event to count; none: all events count.
    """

    name: str
    level: Level
    value: float
    low: float
    high: float
    condition: float
    events: float
    reference: tuple[str, ...] = ()


def wilson(value: float, events: float, z: float = 1.0) -> tuple[float, float]:
    """Wilson's interval of a fraction; it stays inside 0 to 1 and does not shrink to nothing at the ends.

    Args:
        value: observed fraction.
        events: number of trials, for weighted events (sum w)^2 / sum w^2.
        z: standard deviations.

    Example:
        >>> low, high = wilson(1.0, 100.0)
        >>> round(low, 4), round(high, 4)
        (0.9901, 1.0000)
        >>> low, high = wilson(0.5, 400.0)
        >>> round(high - low, 4)
        0.0499
    """
    if events <= 0:
        return 0.0, 1.0
    scale = 1.0 + z * z / events
    centre = (value + z * z / (2 * events)) / scale
    half = z / scale * np.sqrt(max(value * (1 - value), 0.0) / events + z * z / (4 * events * events))
    return max(float(centre - half), 0.0), min(float(centre + half), 1.0)


def _one(
    name: str, level: Level, probability: Array, condition: Array, weights: Array, reference: Sequence[str]
) -> Efficiency:
    total = float(weights.sum())
    if total <= 0:
        return Efficiency(name, level, 0.0, 0.0, 1.0, 0.0, 0.0, tuple(reference))
    events = total**2 / float((weights**2).sum())
    value = float((weights * probability).sum()) / total
    low, high = wilson(min(max(value, 0.0), 1.0), events)
    passed = float((weights * condition).sum()) / total
    return Efficiency(name, level, value, low, high, passed, events, tuple(reference))


def _weights(
    events: ak.Array, menu: TriggerMenu, level: Level, weights: Array | None, reference: Sequence[str]
) -> Array:
    base = np.ones(len(events)) if weights is None else np.asarray(weights, dtype=float)
    if not len(reference):
        return base
    return base * line_weight(ak.to_numpy(events[level]), menu, level, reference)


def efficiency_table(
    events: ak.Array,
    menu: TriggerMenu,
    lines: Sequence[str] | None = None,
    weights: Array | None = None,
    *,
    level: Level = "l1",
    reference: Sequence[str] = (),
) -> tuple[Efficiency, ...]:
    """Efficiency of every line and of their OR (the last entry, ``any``).

    With ``reference`` the method is the one of data: among events that one of the reference lines kept, the
    fraction that the line keeps. It is unbiased when the two look at independent things (tracks for a
    calorimeter line); lines of the table must not be among the reference lines.

    Args:
        events: events with the level's bits.
        menu: the menu that made them.
        lines: line names; ``None``: all.
        weights: event weights, negative ones excluded from none; ``None``: 1.
        level: ``l1`` or ``hlt``.
        reference: lines of the same level that define the denominator.

    Raises:
        ConfigError: no such line, or a line that is its own reference.
    """
    chosen = tuple(menu.level(level).names if lines is None else lines)
    own = sorted(set(chosen) & set(reference))
    if own:
        raise ConfigError(f"{own} are measured and are the reference; take reference lines of another detector")
    bits = np.asarray(ak.to_numpy(events[level]))
    w = _weights(events, menu, level, weights, reference)
    rows = []
    any_condition = np.zeros(len(bits), dtype=bool)
    for line in chosen:
        condition = fired(bits, menu, level, line)
        any_condition |= condition
        rows.append(_one(line, level, line_weight(bits, menu, level, [line]), condition, w, reference))
    either = line_weight(bits, menu, level, chosen) if chosen else np.zeros(len(bits))
    rows.append(_one("any", level, either, any_condition, w, reference))
    return tuple(rows)


def efficiency_curve(
    events: ak.Array,
    menu: TriggerMenu,
    lines: Sequence[str],
    values: Array,
    edges: Sequence[float],
    weights: Array | None = None,
    *,
    level: Level = "l1",
    reference: Sequence[str] = (),
) -> tuple[Efficiency, ...]:
    """Efficiency of an OR of lines in bins of a variable, for instance a turn-on curve in energy.

    Args:
        events: events with the level's bits.
        menu: the menu that made them.
        lines: the lines of the OR.
        values: the variable, one number per event.
        edges: bin edges, rising.
        weights: event weights; ``None``: 1.
        level: ``l1`` or ``hlt``.
        reference: as for :func:`efficiency_table`.

    Returns:
        One efficiency per bin, named ``[low, high)``.
    """
    bits = np.asarray(ak.to_numpy(events[level]))
    w = _weights(events, menu, level, weights, reference)
    probability = line_weight(bits, menu, level, lines)
    condition = np.logical_or.reduce([fired(bits, menu, level, line) for line in lines])
    place = np.digitize(np.asarray(values, dtype=float), np.asarray(edges, dtype=float)) - 1
    rows = []
    for i, (low, high) in enumerate(itertools.pairwise(edges)):
        inside = place == i
        rows.append(_one(f"[{low:g}, {high:g})", level, probability[inside], condition[inside], w[inside], reference))
    return tuple(rows)


def format_efficiencies(table: Sequence[Efficiency]) -> str:
    """Aligned text of an efficiency table.

    Example:
        >>> print(format_efficiencies([Efficiency("ffo", "l1", 0.5, 0.45, 0.55, 0.6, 100.0)]))
        line  level  condition  efficiency       68 % interval
        ffo   l1         60.0%       50.0%  [ 45.0%,  55.0%]
    """
    width = max([4, *(len(row.name) for row in table)])
    lines = [f"{'line':<{width}}  level  condition  efficiency       68 % interval"]
    lines += [
        f"{r.name:<{width}}  {r.level:<5}  {r.condition:>9.1%}  {r.value:>10.1%}  [{r.low:>6.1%}, {r.high:>6.1%}]"
        for r in table
    ]
    return "\n".join(lines)
