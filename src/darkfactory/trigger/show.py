"""Menus as text, differences of menus, and the assumed numbers a choice of lines rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from darkfactory.config.base import Tagged
from darkfactory.config.trigger import Line, TriggerMenu
from darkfactory.trigger.menu import Level, check_lines

__all__ = ["Change", "MenuDiff", "assumed_numbers", "diff_menus", "format_diff", "format_menu"]

_LEVELS: tuple[Level, ...] = ("l1", "hlt")


@dataclass(frozen=True)
class Change:
    """One difference of two menus.

    Attributes:
        path: place in the menu, such as ``l1.lines.ffo.eff``.
        kind: added, removed or changed; lines count as there when they are enabled.
        before: value in the first menu, as text.
        after: value in the second menu.
    """

    path: str
    kind: Literal["added", "removed", "changed"]
    before: str
    after: str


@dataclass(frozen=True)
class MenuDiff:
    """All differences of two menus."""

    first: str
    second: str
    changes: tuple[Change, ...]


def _number(value: Tagged | None) -> str:
    if value is None:
        return "1"
    return f"{value.value:g} ({value.source})"


def _line_text(line: Line) -> str:
    parts = [line.expr]
    if line.eff is not None:
        parts.append(f"eff {_number(line.eff)}")
    if line.prescale is not None:
        parts.append(f"prescale {_number(line.prescale)}")
    return "; ".join(parts)


def _settings(value: Any, path: str) -> dict[str, str]:
    """Every number and text below a place, tagged numbers as one."""
    if isinstance(value, Tagged):
        return {path: _number(value)}
    fields = getattr(type(value), "model_fields", None)
    if fields is not None:
        items: Mapping[str, Any] = {n: getattr(value, n) for n in fields if n not in ("note", "source")}
    elif isinstance(value, Mapping):
        items = value
    else:
        return {path: "none" if value is None or value == "" else str(value)}
    result: dict[str, str] = {}
    for name, inner in items.items():
        result |= _settings(inner, f"{path}.{name}" if path else str(name).rstrip("_"))
    return result


def _others(menu: TriggerMenu) -> dict[str, str]:
    parts: dict[str, Any] = {
        n: getattr(menu, n) for n in ("experiment", "l1_objects", "hlt_objects", "injection_veto", "limits")
    }
    for level in _LEVELS:
        for kind in ("collections", "quantities", "vetoes"):
            parts |= {f"{level}.{kind}.{n}": v for n, v in getattr(menu.level(level), kind).items()}
    return _settings(parts, "")


def diff_menus(first: TriggerMenu, second: TriggerMenu) -> MenuDiff:
    """What a second menu does differently: lines, their parts, and everything they rest on.

    Args:
        first: the menu to start from.
        second: the menu to compare with.
    """
    changes: list[Change] = []
    for level in _LEVELS:
        a, b = first.level(level), second.level(level)
        for name in dict.fromkeys([*a.names, *b.names]):
            path = f"{level}.lines.{name}"
            if name not in b.names:
                changes.append(Change(path, "removed", _line_text(a.lines[name]), ""))
            elif name not in a.names:
                changes.append(Change(path, "added", "", _line_text(b.lines[name])))
            else:
                x, y = a.lines[name], b.lines[name]
                pairs = {
                    "expr": (x.expr, y.expr),
                    "eff": (_number(x.eff), _number(y.eff)),
                    "prescale": (_number(x.prescale), _number(y.prescale)),
                    "injection_veto": (str(x.injection_veto), str(y.injection_veto)),
                    "rate_hz": (_number(x.rate_hz), _number(y.rate_hz)),
                }
                changes += [Change(f"{path}.{k}", "changed", u, v) for k, (u, v) in pairs.items() if u != v]
    x_all, y_all = _others(first), _others(second)
    for path in dict.fromkeys([*x_all, *y_all]):
        if path not in y_all:
            changes.append(Change(path, "removed", x_all[path], ""))
        elif path not in x_all:
            changes.append(Change(path, "added", "", y_all[path]))
        elif x_all[path] != y_all[path]:
            changes.append(Change(path, "changed", x_all[path], y_all[path]))
    return MenuDiff(first.name, second.name, tuple(changes))


def format_diff(diff: MenuDiff) -> str:
    """Aligned text of a difference: ``+`` added, ``-`` removed, ``~`` changed."""
    if not diff.changes:
        return f"{diff.first} and {diff.second} do the same"
    sign = {"added": "+", "removed": "-", "changed": "~"}
    width = max(len(c.path) for c in diff.changes)
    out = [f"{diff.first} -> {diff.second}: {len(diff.changes)} differences"]
    for c in diff.changes:
        value = {"added": c.after, "removed": c.before, "changed": f"{c.before} -> {c.after}"}[c.kind]
        out.append(f"{sign[c.kind]} {c.path:<{width}}  {value}")
    return "\n".join(out)


def format_menu(menu: TriggerMenu) -> str:
    """Aligned text of a menu: enabled lines with bit, prescale, efficiency and condition, and what they use."""
    veto = menu.injection_veto
    out = [f"{menu.name} ({menu.experiment})", menu.description]
    out.append(f"L1 limit {_number(menu.limits.l1_max_khz)} kHz")
    if menu.limits.hlt_max_khz is not None:
        out[-1] += f", HLT limit {_number(menu.limits.hlt_max_khz)} kHz"
    where = "held in the luminosity" if veto.in_luminosity else "a weight at L1"
    out[-1] += f"; injection veto {_number(veto.dead_time)}, {where}"
    for level in _LEVELS:
        lines = menu.level(level)
        width = max([4, *(len(n) for n in lines.names)])
        out += ["", f"{level}: bit  {'line':<{width}}  {'prescale':>8}  {'eff':>6}  condition"]
        for bit, name in enumerate(lines.names):
            line = lines.lines[name]
            prescale = 1.0 if line.prescale is None else line.prescale.value
            eff = 1.0 if line.eff is None else line.eff.value
            out.append(f"{bit:>{len(level) + 5}}  {name:<{width}}  {prescale:>8g}  {eff:>6.3g}  {line.expr}")
        disabled = [n for n in lines.lines if n not in lines.names]
        for title, values in (("vetoes", lines.vetoes), ("quantities", lines.quantities)):
            if values:
                inner = max(len(n) for n in values)
                out += [f"{title}:", *(f"  {n:<{inner}}  {v}" for n, v in values.items())]
        if lines.collections:
            inner = max(len(n) for n in lines.collections)
            out.append("objects:")
            for n, rule in lines.collections.items():
                picked = rule.from_ + (f" where {rule.where}" if rule.where else "")
                picked += f", first {rule.first}" if rule.first is not None else ""
                if rule.leading_of_each_charge:
                    picked += f", of each charge the one of largest {rule.leading_of_each_charge}"
                out.append(f"  {n:<{inner}}  {picked}")
        if disabled:
            out.append(f"disabled: {', '.join(disabled)}")
    return "\n".join(out)


def assumed_numbers(
    menu: TriggerMenu, l1: Sequence[str] | None = None, hlt: Sequence[str] | None = None
) -> dict[str, Tagged]:
    """Numbers tagged assumed or recalled that a choice of lines rests on, by their place in the menu.

    Args:
        menu: the menu.
        l1: L1 lines; ``None``: all.
        hlt: HLT lines; ``None``: all.

    Raises:
        ConfigError: no such line.
    """
    found: dict[str, Tagged] = {}

    def walk(value: Any, path: str) -> None:
        if isinstance(value, Tagged):
            if value.source in ("assumed", "recalled"):
                found[path] = value
            return
        for name in getattr(type(value), "model_fields", {}):
            walk(getattr(value, name), f"{path}.{name}")

    wanted: Mapping[Level, Sequence[str] | None] = {"l1": l1, "hlt": hlt}
    for level, lines in wanted.items():
        chosen = menu.level(level).names if lines is None else tuple(lines)
        check_lines(menu, level, chosen)
        if chosen:
            walk(getattr(menu, f"{level}_objects"), f"{level}_objects")
        for name in chosen:
            walk(menu.level(level).lines[name], f"{level}.lines.{name}")
    if not menu.injection_veto.in_luminosity:
        walk(menu.injection_veto, "injection_veto")
    return found
