"""Branch names of flat ntuples: escaping, and the column that a branch is in our language."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Protocol

__all__ = ["NameMap", "column_of", "escape", "match_branches", "unescape"]

_META = re.compile(r"__[a-z]+__\Z")


class NameMap(Protocol):
    """What a name map offers; the configuration of ntuples is one."""

    @property
    def names(self) -> dict[str, str]:
        """Variable name of the framework: our column."""

    @property
    def required(self) -> tuple[str, ...]:
        """Our columns without which a file cannot be used."""

    @property
    def integers(self) -> tuple[str, ...]:
        """Our columns that hold integers, whatever the type on disk."""

    @property
    def integer_missing(self) -> int:
        """Stands for NaN in an integer column."""

    @property
    def placeholders(self) -> tuple[str, ...]:
        """Arguments in names that stand for any argument."""

    @property
    def escape(self) -> dict[str, tuple[str, ...]]:
        """Character: its escape sequences, the first one for writing."""


def escape(name: str, table: Mapping[str, Sequence[str]]) -> str:
    """Branch name of a variable.

    Example:
        >>> escape("useCMSFrame(p)", {"(": ("__bo",), ")": ("__bc",)})
        'useCMSFrame__bop__bc'
    """
    return "".join(table[c][0] if c in table else c for c in name)


def unescape(branch: str, table: Mapping[str, Sequence[str]]) -> str:
    """Variable name of a branch; names such as ``__event__`` are no escapes.

    Example:
        >>> table = {"(": ("__bo",), ")": ("__bc",), "-": ("__mi", "__da")}
        >>> unescape("daughter__bo0__cm__dap__bc", {**table, ",": ("__cm",)}), unescape("__event__", table)
        ('daughter(0,-p)', '__event__')
    """
    if _META.match(branch):
        return branch
    back = {sequence: c for c, sequences in table.items() for sequence in sequences}
    if not back:
        return branch
    return re.sub("|".join(map(re.escape, sorted(back, key=len, reverse=True))), lambda m: back[m[0]], branch)


def _own(variable: str, name_map: NameMap) -> tuple[str, str] | None:
    """Our column and its base, for a variable without an alias prefix."""
    names = name_map.names
    if variable in names:
        return names[variable], names[variable]
    opening = variable.find("(")
    if opening > 0 and variable.endswith(")"):
        for placeholder in name_map.placeholders:
            column = names.get(f"{variable[:opening]}({placeholder})")
            if column is not None:
                return column + variable[opening:], column
    return None


def column_of(variable: str, name_map: NameMap) -> tuple[str, str | None]:
    """Our name of a variable, and the column of the map that it is an instance of (None: not in the map).

    An alias prefix stays: ``Btag_d1_Mbc`` is ``Btag_d1_mbc``. The longest variable at the end counts. Variables
    that are not in the map keep their name.

    Example:
        >>> from types import SimpleNamespace
        >>> m = SimpleNamespace(names={"Mbc": "mbc", "L1PSNM(name)": "l1_psnm"}, placeholders=("name",))
        >>> column_of("Btag_d1_Mbc", m), column_of("L1PSNM(lml0)", m), column_of("x", m)
        (('Btag_d1_mbc', 'mbc'), ('l1_psnm(lml0)', 'l1_psnm'), ('x', None))
    """
    found = _own(variable, name_map)
    if found is not None:
        return found
    # an underscore inside an argument does not begin a variable
    end = variable.find("(")
    for i, c in enumerate(variable[: end if end > 0 else None]):
        if c == "_" and 0 < i < len(variable) - 1:
            found = _own(variable[i + 1 :], name_map)
            if found is not None:
                return variable[: i + 1] + found[0], found[1]
    return variable, None


def match_branches(
    branches: Sequence[str], name_map: NameMap
) -> tuple[dict[str, int], dict[str, str | None], list[str]]:
    """Assign branches, in the order of the file, to columns.

    Returns:
        The position of the first branch of each of our columns; the column of the map that it is an instance of;
        and the names of branches that repeat an earlier column.
    """
    position: dict[str, int] = {}
    base: dict[str, str | None] = {}
    repeated: list[str] = []
    for i, branch in enumerate(branches):
        column, origin = column_of(unescape(branch, name_map.escape), name_map)
        if column in position:
            repeated.append(branch)
        else:
            position[column], base[column] = i, origin
    return position, base, repeated
