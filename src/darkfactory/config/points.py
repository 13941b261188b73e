"""Points (hypotheses named by their axes), grids of points, and blocks of them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence

import numpy as np
from pydantic import Field, model_validator

from darkfactory.config.base import StrictModel
from darkfactory.core.errors import ConfigError

__all__ = ["AXES", "AxisGrid", "PointGrid", "blocks", "expand_grid", "parse_point", "point_name"]

AXES: Mapping[str, str] = {"mass": "m", "width": "w", "mass2": "n", "lifetime": "t"}
"""Axis names and their letters in point names: mass (GeV), width over mass, second mass (GeV), c tau (cm)."""

_LETTER_TO_AXIS = {letter: axis for axis, letter in AXES.items()}
_POINT = re.compile(r"^([a-z]\d+p\d{5})(_[a-z]\d+p\d{5})*$")


class AxisGrid(StrictModel):
    """Values of one axis: a list, or segments of constant step."""

    values: tuple[float, ...] = ()
    """Explicit values."""
    segments: tuple[tuple[float, float, float], ...] = ()
    """(first, last, step) each; both ends included."""

    @model_validator(mode="after")
    def _something(self) -> AxisGrid:
        if not self.values and not self.segments:
            raise ValueError("a grid axis needs `values: [...]` or `segments: [[first, last, step], ...]`")
        for first, last, step in self.segments:
            if step <= 0 or last < first:
                raise ValueError(f"segment [{first}, {last}, {step}] needs first <= last and a positive step")
        return self

    def expand(self) -> list[float]:
        """All values, ascending, each once.

        Example:
            >>> AxisGrid(values=(0.5,), segments=((1.0, 2.0, 0.5),)).expand()
            [0.5, 1.0, 1.5, 2.0]
        """
        found = [round(v, 5) for v in self.values]
        for first, last, step in self.segments:
            n = int(np.floor((last - first) / step + 1e-9)) + 1
            found += [round(float(first + i * step), 5) for i in range(n)]
        return sorted(set(found))


class PointGrid(StrictModel):
    """A product of axes, for one hypothesis."""

    axes: dict[str, AxisGrid] = Field(min_length=1)
    """Axis name (mass, width, mass2, lifetime) to its values."""

    @model_validator(mode="after")
    def _axes(self) -> PointGrid:
        unknown = sorted(set(self.axes) - set(AXES))
        if unknown:
            raise ValueError(f"unknown axes {unknown}; allowed are {list(AXES)}")
        return self


def point_name(axes: Mapping[str, float]) -> str:
    """The name of a point, five decimals an axis.

    Example:
        >>> point_name({"mass": 3.0, "width": 0.1})
        'm3p00000_w0p10000'
    """
    return "_".join(f"{AXES[a]}{axes[a]:.5f}".replace(".", "p") for a in AXES if a in axes)


def parse_point(name: str) -> dict[str, float]:
    """The axes of a point from its name.

    Raises:
        ConfigError: the text is no point name.

    Example:
        >>> parse_point("m0p50000_w0p10000")
        {'mass': 0.5, 'width': 0.1}
    """
    if not _POINT.match(name):
        raise ConfigError(
            f"{name!r} is no point name; write each axis with five decimals, as m0p50000 or m3p00000_w0p10000"
        )
    axes: dict[str, float] = {}
    for part in name.split("_"):
        if part[0] not in _LETTER_TO_AXIS:
            raise ConfigError(f"{name!r}: unknown axis {part[0]!r}; allowed are {AXES}")
        axes[_LETTER_TO_AXIS[part[0]]] = float(part[1:].replace("p", "."))
    return axes


def expand_grid(grids: Sequence[PointGrid]) -> list[str]:
    """Names of all points of a union of products, sorted by axes.

    Example:
        >>> expand_grid([PointGrid(axes={"mass": AxisGrid(values=(1.0, 0.5))})])
        ['m0p50000', 'm1p00000']
    """
    found: dict[str, tuple[float, ...]] = {}
    for grid in grids:
        names = list(grid.axes)
        for values in itertools.product(*(grid.axes[a].expand() for a in names)):
            axes = dict(zip(names, values, strict=True))
            found[point_name(axes)] = tuple(axes.get(a, -1.0) for a in ("width", "mass", "mass2", "lifetime"))
    return sorted(found, key=lambda n: found[n])


def blocks(points: Sequence[str], size: int) -> dict[str, list[str]]:
    """Cut points into named blocks.

    Example:
        >>> blocks(["m0p50000", "m1p00000", "m1p50000"], 2)
        {'b000': ['m0p50000', 'm1p00000'], 'b001': ['m1p50000']}
    """
    return {f"b{i:03d}": list(points[start : start + size]) for i, start in enumerate(range(0, len(points), size))}
