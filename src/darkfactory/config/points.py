"""Points (hypotheses named by their axes), grids of points, and blocks of them."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field, model_validator

from darkfactory.config.base import StrictModel
from darkfactory.config.formula import evaluate, names_in
from darkfactory.core.errors import ConfigError

__all__ = [
    "AXES",
    "POINT_PATTERN",
    "Axis",
    "AxisGrid",
    "PointGrid",
    "axis_columns",
    "blocks",
    "expand_grid",
    "further_axes",
    "parse_point",
    "point_columns",
    "point_name",
    "point_order",
    "project_point",
]


@dataclass(frozen=True)
class Axis:
    """One axis that points may have.

    Attributes:
        name: in grids and samples.
        letter: in names of points, before the value with five decimals.
        column: in tables.
        unit: empty for a pure number.
        label: in figures.
    """

    name: str
    letter: str
    column: str
    unit: str
    label: str


AXES: Mapping[str, Axis] = {
    a.name: a
    for a in (
        Axis("mass", "m", "mass_gev", "GeV", "mass [GeV]"),
        Axis("width", "w", "width", "", "width over mass"),
        Axis("mass2", "n", "mass2_gev", "GeV", "second mass [GeV]"),
        Axis("mass3", "k", "mass3_gev", "GeV", "third mass [GeV]"),
        Axis("splitting", "d", "splitting", "", "mass splitting over mass"),
        Axis("lifetime", "t", "ctau_cm", "cm", r"$c\tau$ [cm]"),
        Axis("lifetime2", "u", "ctau2_cm", "cm", r"second $c\tau$ [cm]"),
        Axis("coupling", "g", "coupling_value", "", "coupling"),
    )
}
"""The axes, in the order in which names of points and tables have them."""

_LETTER_TO_AXIS = {axis.letter: axis.name for axis in AXES.values()}
_SORTED = ("width", *(a for a in AXES if a != "width"))
POINT_PATTERN = r"m\d+p\d{5}(_[" + "".join(sorted(set(_LETTER_TO_AXIS) - {"m"})) + r"]\d+p\d{5})*"
"""Regular expression of names of points."""
_POINT = re.compile(r"^([a-z]\d+p\d{5})(_[a-z]\d+p\d{5})*$")


class AxisGrid(StrictModel):
    """Values of one axis: a list, segments of constant step, or of constant ratio."""

    values: tuple[float, ...] = ()
    """Explicit values."""
    segments: tuple[tuple[float, float, float], ...] = ()
    """(first, last, step) each; both ends included."""
    logarithmic: tuple[tuple[float, float, int], ...] = ()
    """(first, last, number of values) each, with a constant ratio; both ends included."""

    @model_validator(mode="after")
    def _something(self) -> AxisGrid:
        if not self.values and not self.segments and not self.logarithmic:
            raise ValueError(
                "a grid axis needs `values: [...]`, `segments: [[first, last, step], ...]` or "
                "`logarithmic: [[first, last, number], ...]`"
            )
        for first, last, step in self.segments:
            if step <= 0 or last < first:
                raise ValueError(f"segment [{first}, {last}, {step}] needs first <= last and a positive step")
        for first, last, number in self.logarithmic:
            if not 0 < first < last or number < 2:
                raise ValueError(f"[{first}, {last}, {number}] needs 0 < first < last and at least two values")
        return self

    def expand(self) -> list[float]:
        """All values, ascending, each once.

        Example:
            >>> AxisGrid(values=(0.5,), segments=((1.0, 2.0, 0.5),)).expand()
            [0.5, 1.0, 1.5, 2.0]
            >>> AxisGrid(logarithmic=((0.01, 100.0, 5),)).expand()
            [0.01, 0.1, 1.0, 10.0, 100.0]
        """
        found = [round(v, 5) for v in self.values]
        for first, last, step in self.segments:
            n = int(np.floor((last - first) / step + 1e-9)) + 1
            found += [round(float(first + i * step), 5) for i in range(n)]
        for first, last, number in self.logarithmic:
            found += [round(float(first * (last / first) ** (i / (number - 1))), 5) for i in range(number)]
        return sorted(set(found))


class PointGrid(StrictModel):
    """A product of axes, for one hypothesis, or the part of it where conditions hold."""

    axes: dict[str, AxisGrid] = Field(min_length=1)
    """Axis name (mass, width, mass2, mass3, splitting, lifetime, lifetime2, coupling) to its values."""
    where: tuple[str, ...] = ()
    """Conditions that points must fulfil, comparisons of axes: ``mass2 < mass``, ``mass + mass2 < 10.5``."""

    @model_validator(mode="after")
    def _axes(self) -> PointGrid:
        unknown = sorted(set(self.axes) - set(AXES))
        if unknown:
            raise ValueError(f"unknown axes {unknown}; allowed are {list(AXES)}")
        for condition in self.where:
            strange = sorted(set(names_in(condition)) - set(self.axes))
            if strange:
                raise ValueError(f"condition {condition!r} uses {strange}; the grid has {list(self.axes)}")
            if not re.search(r"[<>]", condition):
                raise ValueError(f"condition {condition!r} compares nothing; write for instance `mass2 < mass`")
        return self

    def points(self) -> list[dict[str, float]]:
        """Axes of all points.

        Example:
            >>> axis = AxisGrid(values=(1.0, 2.0))
            >>> PointGrid(axes={"mass": axis, "mass2": axis}, where=("mass2 < mass",)).points()
            [{'mass': 2.0, 'mass2': 1.0}]
        """
        names = list(self.axes)
        products = itertools.product(*(self.axes[a].expand() for a in names))
        found = [dict(zip(names, values, strict=True)) for values in products]
        if not self.where or not found:
            return found
        columns = {a: np.array([p[a] for p in found]) for a in names}
        keep = np.ones(len(found), dtype=bool)
        for condition in self.where:
            keep &= np.asarray(evaluate(condition, columns), dtype=bool)
        return [p for p, k in zip(found, keep, strict=True) if k]


def point_name(axes: Mapping[str, float]) -> str:
    """The name of a point, five decimals an axis.

    Example:
        >>> point_name({"mass": 3.0, "width": 0.1})
        'm3p00000_w0p10000'
    """
    return "_".join(f"{axis.letter}{axes[a]:.5f}".replace(".", "p") for a, axis in AXES.items() if a in axes)


def parse_point(name: str) -> dict[str, float]:
    """The axes of a point from its name.

    Raises:
        ConfigError: the text is no point name.

    Example:
        >>> parse_point("m0p50000_w0p10000")
        {'mass': 0.5, 'width': 0.1}
    """
    return dict(_parsed(name))


@functools.lru_cache(maxsize=200_000)
def _parsed(name: str) -> dict[str, float]:
    if not _POINT.match(name):
        raise ConfigError(
            f"{name!r} is no point name; write each axis with five decimals, as m0p50000 or m3p00000_w0p10000"
        )
    axes: dict[str, float] = {}
    for part in name.split("_"):
        if part[0] not in _LETTER_TO_AXIS:
            letters = ", ".join(f"{a.letter} ({a.name})" for a in AXES.values())
            raise ConfigError(f"{name!r}: unknown axis {part[0]!r}; allowed are {letters}")
        axis = _LETTER_TO_AXIS[part[0]]
        if axis in axes:
            raise ConfigError(f"{name!r}: axis {axis!r} is given twice; give each axis once")
        axes[axis] = float(part[1:].replace("p", "."))
    return axes


def project_point(name: str, without: Sequence[str]) -> str:
    """A point's name without some axes: the simulated point that serves it by reweighting.

    Example:
        >>> project_point("m0p30000_t10p00000", ["lifetime"])
        'm0p30000'
    """
    return point_name({a: v for a, v in parse_point(name).items() if a not in without}) if without else name


def point_order(name: str) -> tuple[float, ...]:
    """Key that sorts names of points: by width, then by the other axes; a point without an axis comes first.

    Example:
        >>> sorted(["m10p00000", "m2p00000", "m1p00000_w0p10000"], key=point_order)
        ['m2p00000', 'm10p00000', 'm1p00000_w0p10000']
    """
    axes = parse_point(name)
    return tuple(axes.get(a, -1.0) for a in _SORTED)


def further_axes(name: str, beyond: Sequence[str] = ("mass", "width")) -> dict[str, float]:
    """Axes of a point other than mass and width.

    Example:
        >>> further_axes("m4p00000_n1p00000")
        {'mass2': 1.0}
    """
    return {a: v for a, v in parse_point(name).items() if a not in beyond}


def point_columns(name: str) -> dict[str, float | None]:
    """Cells of a point in tables: mass and width (empty for a point without one), and the axes that it has beyond.

    Example:
        >>> point_columns("m4p00000_n1p00000")
        {'mass_gev': 4.0, 'width': None, 'mass2_gev': 1.0}
    """
    axes = parse_point(name)
    base: dict[str, float | None] = {"mass_gev": axes["mass"], "width": axes.get("width")}
    return base | {AXES[a].column: v for a, v in axes.items() if a not in ("mass", "width")}


def axis_columns(names: Sequence[str]) -> tuple[str, ...]:
    """Columns of the axes of some points, mass and width always.

    Example:
        >>> axis_columns(["m1p00000", "m4p00000_n1p00000"])
        ('mass_gev', 'width', 'mass2_gev')
    """
    present = {a for n in names for a in parse_point(n)} | {"mass", "width"}
    return tuple(axis.column for a, axis in AXES.items() if a in present)


def expand_grid(grids: Sequence[PointGrid]) -> list[str]:
    """Names of all points of a union of products, sorted by axes.

    Example:
        >>> expand_grid([PointGrid(axes={"mass": AxisGrid(values=(1.0, 0.5))})])
        ['m0p50000', 'm1p00000']
    """
    return sorted({point_name(axes) for grid in grids for axes in grid.points()}, key=point_order)


def blocks(points: Sequence[str], size: int) -> dict[str, list[str]]:
    """Cut points into named blocks.

    Example:
        >>> blocks(["m0p50000", "m1p00000", "m1p50000"], 2)
        {'b000': ['m0p50000', 'm1p00000'], 'b001': ['m1p50000']}
    """
    return {f"b{i:03d}": list(points[start : start + size]) for i, start in enumerate(range(0, len(points), size))}
