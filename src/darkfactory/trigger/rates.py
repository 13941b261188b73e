"""Rates of a menu: accepted cross sections of processes, times the instantaneous luminosity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from darkfactory.config.trigger import TriggerMenu
from darkfactory.core.errors import RunError
from darkfactory.trigger.emulate import line_weight
from darkfactory.trigger.menu import Level

__all__ = ["Accepted", "LevelRates", "LevelSums", "LineRate", "MenuRates", "accepted", "format_rates", "rates"]

Array = NDArray[Any]
_HZ_PER_FB = 1e34 * 1e-39
"""Hz per fb at 1e34 /cm2/s."""


@dataclass(frozen=True)
class LevelSums:
    """Sums of weights that the lines of one level keep, mergeable over chunks.

    Attributes:
        lines: line names.
        kept: per line.
        unique: per line, kept by no other line.
        cumulative: per line, kept by it or one before it.
        kept2: per line, sums of squared weights, for errors.
        any: kept by at least one line.
        any2: its sum of squared weights.
    """

    lines: tuple[str, ...]
    kept: tuple[float, ...]
    unique: tuple[float, ...]
    cumulative: tuple[float, ...]
    kept2: tuple[float, ...]
    any: float
    any2: float

    def __add__(self, other: LevelSums) -> LevelSums:
        """Merge two chunks of one menu."""
        if self.lines != other.lines:
            raise RunError(f"trigger sums of different menus cannot be added: {self.lines} and {other.lines}")

        def add(name: str) -> tuple[float, ...]:
            return tuple(a + b for a, b in zip(getattr(self, name), getattr(other, name), strict=True))

        return LevelSums(
            self.lines,
            add("kept"),
            add("unique"),
            add("cumulative"),
            add("kept2"),
            self.any + other.any,
            self.any2 + other.any2,
        )


@dataclass(frozen=True)
class Accepted:
    """What a menu keeps of a sample.

    Attributes:
        events: number of generated events that the sums stand for.
        sumw: sum of their weights, in fb.
        l1: sums of the first level.
        hlt: sums of the high-level trigger, after the first level.
    """

    events: int
    sumw: float
    l1: LevelSums
    hlt: LevelSums

    def __add__(self, other: Accepted) -> Accepted:
        """Merge two chunks of one menu."""
        return Accepted(self.events + other.events, self.sumw + other.sumw, self.l1 + other.l1, self.hlt + other.hlt)

    def to_dict(self) -> dict[str, Any]:
        """JSON-like form."""
        levels = {level: dict(vars(getattr(self, level))) for level in ("l1", "hlt")}
        return {"events": self.events, "sumw": self.sumw, **levels}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Accepted:
        """Read the form of :meth:`to_dict`."""

        def level(name: str) -> LevelSums:
            fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in value[name].items()}
            return LevelSums(**fields)

        return cls(int(value["events"]), float(value["sumw"]), level("l1"), level("hlt"))


@dataclass(frozen=True)
class LineRate:
    """Rate of one line in Hz.

    Attributes:
        line: its name.
        prescale: its prescale.
        rate: of the line itself.
        error: statistical error from the samples.
        unique: of events that no other line keeps.
        cumulative: of events that it or a line before it keeps.
        processes: rate by process.
    """

    line: str
    prescale: float
    rate: float
    error: float
    unique: float
    cumulative: float
    processes: Mapping[str, float]


@dataclass(frozen=True)
class LevelRates:
    """Rates of one level: lines, the whole menu, and the limit (None: none known)."""

    level: Level
    lines: tuple[LineRate, ...]
    total: float
    error: float
    processes: Mapping[str, float]
    limit: float | None

    @property
    def within_limit(self) -> bool:
        """Whether the total stays below the limit."""
        return self.limit is None or self.total <= self.limit


@dataclass(frozen=True)
class MenuRates:
    """Rates of a menu at one luminosity (in 1e34 /cm2/s)."""

    menu: str
    luminosity: float
    l1: LevelRates
    hlt: LevelRates


def _sums(bits: Array, weights: Array, menu: TriggerMenu, level: Level) -> LevelSums:
    names = menu.level(level).names
    # a chunk has few different words: sums per word first, then everything on words
    words, place = np.unique(bits, return_inverse=True)
    w = np.bincount(place, weights, minlength=len(words))
    w2 = np.bincount(place, weights**2, minlength=len(words))

    def keep(lines: tuple[str, ...]) -> Array:
        # a level without lines keeps nothing here; an empty list would mean that it is not asked
        return line_weight(words, menu, level, lines, live=True) if lines else np.zeros(len(words))

    either = keep(names)
    own = [keep((name,)) for name in names]
    unique = [either - keep(tuple(n for n in names if n != name)) for name in names]
    cumulative = [keep(names[: i + 1]) for i in range(len(names))]
    return LevelSums(
        names,
        tuple(float(w @ k) for k in own),
        tuple(float(w @ k) for k in unique),
        tuple(float(w @ k) for k in cumulative),
        tuple(float(w2 @ (k * k)) for k in own),
        float(w @ either),
        float(w2 @ (either * either)),
    )


def accepted(
    events: ak.Array, menu: TriggerMenu, weights: Array | None = None, generated: int | None = None
) -> Accepted:
    """Sums of weights that the menu keeps, prescales and the injection veto's dead time included.

    Args:
        events: events with ``l1`` and ``hlt``, before any skim.
        menu: the menu that made them.
        weights: in fb; ``None``: the events' own.
        generated: number of generated events; ``None``: the events given.
    """
    w = np.asarray(ak.to_numpy(events["weight"]) if weights is None else weights, dtype=float)
    l1, hlt = (np.asarray(ak.to_numpy(events[level])) for level in ("l1", "hlt"))
    after = w * line_weight(l1, menu, "l1", live=True)
    number = len(w) if generated is None else generated
    return Accepted(number, float(w.sum()), _sums(l1, w, menu, "l1"), _sums(hlt, after, menu, "hlt"))


def _level(
    level: Level, samples: Mapping[str, Accepted], menu: TriggerMenu, luminosity: float, extra: Mapping[str, float]
) -> LevelRates:
    scale = {name: _HZ_PER_FB * luminosity / max(a.events, 1) for name, a in samples.items()}
    sums: dict[str, LevelSums] = {name: getattr(a, level) for name, a in samples.items()}
    rows = []
    constant = 0.0
    for i, line in enumerate(menu.level(level).names):
        config = menu.level(level).lines[line]
        own = extra.get(line, 0.0)
        constant += own
        by_process = {name: scale[name] * s.kept[i] for name, s in sums.items()}
        rows.append(
            LineRate(
                line,
                1.0 if config.prescale is None else config.prescale.value,
                sum(by_process.values()) + own,
                float(np.sqrt(sum(scale[n] ** 2 * s.kept2[i] for n, s in sums.items()))),
                sum(scale[n] * s.unique[i] for n, s in sums.items()) + own,
                sum(scale[n] * s.cumulative[i] for n, s in sums.items()) + constant,
                by_process,
            )
        )
    totals = {name: scale[name] * s.any for name, s in sums.items()}
    error = float(np.sqrt(sum(scale[n] ** 2 * s.any2 for n, s in sums.items())))
    limit = menu.limits.l1_max_khz if level == "l1" else menu.limits.hlt_max_khz
    return LevelRates(
        level,
        tuple(rows),
        sum(totals.values()) + constant,
        error,
        totals,
        None if limit is None else 1e3 * limit.value,
    )


def rates(samples: Mapping[str, Accepted], menu: TriggerMenu, luminosity_1e34: float) -> MenuRates:
    """Rates of every line and of the menu.

    Rates of collisions only: what beam background adds to a line is not in the samples' cross sections.

    Args:
        samples: accepted sums by process.
        menu: the menu.
        luminosity_1e34: instantaneous luminosity in 1e34 /cm2/s.

    Raises:
        RunError: the sums were made with other lines.
    """
    for name, sample in samples.items():
        for level, names in (("l1", menu.l1_names), ("hlt", menu.hlt_names)):
            if getattr(sample, level).lines != names:
                raise RunError(f"sums of {name!r} have other {level} lines than menu {menu.name!r}; make them again")
    random = {n: line.rate_hz.value for n, line in menu.l1.lines.items() if line.rate_hz is not None}
    return MenuRates(
        menu.name,
        luminosity_1e34,
        _level("l1", samples, menu, luminosity_1e34, random),
        _level("hlt", samples, menu, luminosity_1e34, {}),
    )


def format_rates(result: MenuRates) -> str:
    """Aligned text of a menu's rates, largest first within each level."""
    out = [f"menu {result.menu} at {result.luminosity:g}e34 /cm2/s"]
    for level in (result.l1, result.hlt):
        width = max([4, *(len(r.line) for r in level.lines)])
        out.append("")
        out.append(
            f"{level.level:<{width}}  {'prescale':>8}  {'rate/Hz':>10}  {'error':>8}  {'unique':>10}  "
            f"{'cumulative':>10}  largest process"
        )
        for r in sorted(level.lines, key=lambda r: -r.rate):
            main = max(r.processes, key=lambda p: r.processes[p], default="")
            part = f"{main} {r.processes[main] / r.rate:.0%}" if main and r.rate > 0 and r.processes[main] > 0 else ""
            out.append(
                f"{r.line:<{width}}  {r.prescale:>8g}  {r.rate:>10.4g}  {r.error:>8.2g}  {r.unique:>10.4g}  "
                f"{r.cumulative:>10.4g}  {part}".rstrip()
            )
        limit = "no limit known" if level.limit is None else f"limit {level.limit / 1e3:g} kHz"
        state = "" if level.within_limit else "  ABOVE THE LIMIT"
        out.append(f"{'menu':<{width}}  {'':>8}  {level.total:>10.4g}  {level.error:>8.2g}  ({limit}){state}")
        by_process = ", ".join(f"{n} {v:.4g}" for n, v in sorted(level.processes.items(), key=lambda i: -i[1]))
        out.append(f"by process: {by_process or 'no samples'}")
    return "\n".join(out)
