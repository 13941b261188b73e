"""The structure of a workspace as tables of integers: the form that the compiled kernels read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from darkfactory.stats.structure import Structure

__all__ = ["Tables", "tables"]

Table = npt.NDArray[np.int64]

KINDS = {"none": 0, "free": 0, "normal": 1, "poisson": 2}
"""Constraints of parameters and of per-bin factors as numbers."""


@dataclass(frozen=True)
class Tables:
    """A structure without names.

    Attributes:
        blocks: per channel: bins, rows, first row, first bin, first nominal value, first histosys, their number, first
            histosys value, kind of the profiled factor, first slot, slots, first per-bin factor, their number.
        slots: (slot, row, parameter), ordered by channel.
        histo: (row, parameter).
        perbin: (row, first parameter).
        in_gamma: per row, whether the profiled factor multiplies it.
        kinds: constraint of each parameter.
        parameters: of the linear and of the interpolated slots.
        sizes: linear slots, position of the parameter of interest, most rows and histosys of a channel, most bins,
            most (slots and histosys) of a channel.
    """

    blocks: Table
    slots: Table
    histo: Table
    perbin: Table
    in_gamma: Table
    kinds: Table
    parameters: Table
    sizes: Table


@lru_cache(maxsize=64)
def tables(s: Structure) -> Tables:
    """The tables of a structure.

    Example:
        >>> from darkfactory.stats.structure import Block, Structure
        >>> block = Block("sr", 4, ("s", "b"), ((0,), (1,)), (), "none", ("", 0), (), ())
        >>> tables(Structure(("mu",), ("free",), ((0, 0, 0),), (), (block,), 0)).slots.tolist()
        [[0, 0, 0]]
    """
    every = s.linear + s.normsys
    blocks: list[tuple[int, ...]] = []
    slots: list[tuple[int, int, int]] = []
    histo: list[tuple[int, int]] = []
    perbin: list[tuple[int, int]] = []
    in_gamma: list[int] = []
    first_bin = first_nominal = first_value = 0
    for i, b in enumerate(s.blocks):
        own = [(x, r, p) for x, (c, r, p) in enumerate(every) if c == i]
        rows = len(b.rows)
        blocks.append(
            (
                b.nbins, rows, len(in_gamma), first_bin, first_nominal, len(histo), len(b.histo), first_value,
                KINDS[b.gamma], len(slots), len(own), len(perbin), len(b.perbin),
            )
        )  # fmt: skip
        slots += own
        histo += b.histo
        perbin += b.perbin
        in_gamma += [int(r in b.gamma_rows) for r in range(rows)]
        first_bin += b.nbins
        first_nominal += rows * b.nbins
        first_value += len(b.histo) * b.nbins

    def table(values: list[tuple[int, ...]], columns: int) -> Table:
        return np.array(values, dtype=np.int64).reshape(len(values), columns)

    most = [
        max(len(b.rows) + len(b.histo) for b in s.blocks),
        max(b.nbins for b in s.blocks),
        max(row[10] + row[6] for row in blocks),
    ]
    return Tables(
        blocks=table(blocks, 13),
        slots=table([*slots], 3),
        histo=table([*histo], 2),
        perbin=table([*perbin], 2),
        in_gamma=np.array(in_gamma, dtype=np.int64),
        kinds=np.array([KINDS[k] for k in s.kinds], dtype=np.int64),
        parameters=np.array([p for _, _, p in every], dtype=np.int64),
        sizes=np.array([len(s.linear), s.poi, *most], dtype=np.int64),
    )
