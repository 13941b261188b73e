"""Menus made ready for use: names resolved, expressions checked and compiled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from darkfactory.config.trigger import CollectionRule, MenuLevel, TriggerMenu
from darkfactory.core.errors import ConfigError
from darkfactory.trigger.expressions import Expression, Kind, Vocabulary, compile_expression

__all__ = [
    "HLT_COLLECTIONS",
    "L1_COLLECTIONS",
    "CompiledLevel",
    "CompiledMenu",
    "CompiledRule",
    "Level",
    "check_lines",
    "compile_menu",
]

Level = Literal["l1", "hlt"]


def _columns(numbers: str, conditions: str) -> Mapping[str, Kind]:
    result: dict[str, Kind] = dict.fromkeys(numbers.split(), "number")
    return {**result, **dict.fromkeys(conditions.split(), "condition")}


_CELL = _columns("e e_cms theta phi theta_cms phi_cms id time px_cms py_cms pz_cms", "matched")
_HELIX = "charge p pt theta phi d0 z0 curvature"

L1_COLLECTIONS: Mapping[str, Mapping[str, Kind]] = {
    "cell": _CELL,
    "ecl": _CELL,
    "cdc": _columns(f"{_HELIX} bin sector z", "full short free neuro klm ecl"),
    "klm": _columns("theta phi sector", "barrel track"),
}
"""Objects of the first level: ``cell`` calorimeter hits above threshold, ``ecl`` clusters of cells by falling
energy, ``cdc`` track candidates by falling pt (``z`` in cm as the neural trigger sees it, ``klm`` and ``ecl``:
matched there, ``free``: for a finder that does not look for tracks from the beams), ``klm`` hits of the muon system.
Energies in GeV, angles in degrees."""

HLT_COLLECTIONS: Mapping[str, Mapping[str, Kind]] = {
    "reco_track": _columns(
        f"{_HELIX} p_cms theta_cms phi_cms e_cms px_cms py_cms pz_cms cluster_e cluster_e_cms", "klm"
    ),
    "reco_cluster": _columns(
        "e e_cms theta phi theta_cms phi_cms px_cms py_cms pz_cms time dt99", "matched photon_like"
    ),
}
"""Objects of the high-level trigger: ``reco_track`` by falling CM momentum (``e_cms`` with the pion mass),
``reco_cluster`` by falling CM energy. GeV, degrees, cm, ns."""


@dataclass(frozen=True)
class CompiledRule:
    """A picked collection: the rule and its compiled condition."""

    rule: CollectionRule
    condition: Expression | None


@dataclass(frozen=True)
class CompiledLevel:
    """The enabled lines of a level, in the order of their bits, and the collections they use."""

    rules: Mapping[str, CompiledRule]
    lines: Mapping[str, Expression]


@dataclass(frozen=True)
class CompiledMenu:
    """A checked menu."""

    l1: CompiledLevel
    hlt: CompiledLevel


class _Resolver:
    """Compiles named expressions on demand and notices circles."""

    def __init__(self, level: MenuLevel, where: str, file: str) -> None:
        self.level, self.where, self.file = level, where, file
        self.done: dict[str, Expression] = {}
        self.path: list[str] = []
        self.vocabulary = Vocabulary({}, self.lookup, (*level.quantities, *level.vetoes, *level.lines))

    def lookup(self, name: str) -> Expression | None:
        if name in self.done:
            return self.done[name]
        kind: str = "condition"
        if name in self.level.lines:
            text, where = self.level.lines[name].expr, f"lines.{name}.expr"
        elif name in self.level.vetoes:
            text, where = self.level.vetoes[name], f"vetoes.{name}"
        elif name in self.level.quantities:
            text, where, kind = self.level.quantities[name], f"quantities.{name}", ""
        else:
            return None
        where = f"{self.where}.{where}"
        if name in self.path:
            chain = " -> ".join([*self.path[self.path.index(name) :], name])
            raise ConfigError(f"names refer to each other in a circle: {chain}", where=where, file=self.file)
        self.path.append(name)
        self.done[name] = compile_expression(text, self.vocabulary, where=where, file=self.file, kind=kind)
        self.path.pop()
        return self.done[name]

    def add_collections(self, base: Mapping[str, Mapping[str, Kind]]) -> dict[str, CompiledRule]:
        """Check the picked collections; those they pick from come first."""
        columns = dict(base)
        rules: dict[str, CompiledRule] = {}
        for name, rule in self.level.collections.items():
            where = f"{self.where}.collections.{name}"
            if name in columns:
                raise ConfigError(f"{name!r} is already a collection; choose another name", where=where, file=self.file)
            if rule.from_ not in columns:
                raise ConfigError(
                    f"unknown collection {rule.from_!r}; before this one there are {', '.join(sorted(columns))}",
                    where=f"{where}.from",
                    file=self.file,
                )
            condition = None
            if rule.where:
                words = Vocabulary({rule.from_: columns[rule.from_]}, lambda _: None, ())
                condition = compile_expression(
                    rule.where,
                    words,
                    where=f"{where}.where",
                    file=self.file,
                    collection=rule.from_,
                    kind="condition",
                )
            key = rule.leading_of_each_charge
            if key and columns[rule.from_].get(key) != "number":
                allowed = sorted(c for c, kind in columns[rule.from_].items() if kind == "number")
                raise ConfigError(
                    f"{key!r} is no number of {rule.from_}; there are {', '.join(allowed)}",
                    where=f"{where}.leading_of_each_charge",
                    file=self.file,
                )
            columns[name] = columns[rule.from_]
            rules[name] = CompiledRule(rule, condition)
        self.vocabulary = Vocabulary(columns, self.lookup, self.vocabulary.names)
        return rules


def _compile_level(level: MenuLevel, base: Mapping[str, Mapping[str, Kind]], where: str, file: str) -> CompiledLevel:
    resolver = _Resolver(level, where, file)
    rules = resolver.add_collections(base)
    compiled: dict[str, Expression] = {}
    for name in (*level.quantities, *level.vetoes, *level.lines):
        found = resolver.lookup(name)
        assert found is not None
        compiled[name] = found
    return CompiledLevel(rules, {name: compiled[name] for name in level.names})


def compile_menu(menu: TriggerMenu) -> CompiledMenu:
    """Check and compile every expression of a menu, disabled lines included.

    Args:
        menu: the menu.

    Raises:
        ConfigError: an unknown name, a wrong type or a circle, with the path in the menu's file.
    """
    return CompiledMenu(
        _compile_level(menu.l1, L1_COLLECTIONS, "l1", menu.file),
        _compile_level(menu.hlt, HLT_COLLECTIONS, "hlt", menu.file),
    )


def check_lines(
    menu: TriggerMenu, level: Level, lines: Sequence[str], *, where: str = "trigger", file: str = ""
) -> tuple[int, ...]:
    """Bits of named lines.

    Args:
        menu: the menu.
        level: ``l1`` or ``hlt``.
        lines: names of enabled lines.
        where: path in the file that named them, for messages.
        file: that file.

    Raises:
        ConfigError: a line that the menu does not have, or that is disabled.
    """
    names = menu.level(level).names
    for i, line in enumerate(lines):
        if line not in names:
            disabled = line in menu.level(level).lines
            state = "is disabled" if disabled else "does not exist"
            raise ConfigError(
                f"line {line!r} {state} in menu {menu.name!r}; enabled: {', '.join(names)}",
                where=f"{where}.{level}[{i}]",
                file=file,
            )
    return tuple(names.index(line) for line in lines)
