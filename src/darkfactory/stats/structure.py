"""What a compiled HistFactory workspace is made of: a structure, and stacks of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
import numpy.typing as npt

from darkfactory.core.errors import UserError

__all__ = [
    "Batch",
    "Block",
    "BlockArrays",
    "BlockData",
    "Data",
    "FloatArray",
    "Structure",
    "UnsupportedModel",
    "WorkspaceGroup",
]

FloatArray = npt.NDArray[np.float64]


class UnsupportedModel(UserError):  # noqa: N818 - named like pyhf's InvalidModel
    """A workspace outside what the fast engine computes exactly; stock pyhf takes it, nothing is approximated."""


@dataclass(frozen=True)
class Block:
    """Structure of one channel.

    Attributes:
        name: channel.
        nbins: number of bins.
        rows: sample names, one kernel row each.
        table: per row, the factor slots that multiply it, padded with the number of slots.
        histo: (row, parameter) of each histosys.
        gamma: constraint of the profiled per-bin factor: ``none``, ``normal`` or ``poisson``.
        gamma_name: its parameter set, and the index of the set's first parameter in this channel.
        gamma_rows: rows that it multiplies.
        perbin: (row, first parameter) of every other per-bin factor.
    """

    name: str
    nbins: int
    rows: tuple[str, ...]
    table: tuple[tuple[int, ...], ...]
    histo: tuple[tuple[int, int], ...]
    gamma: str
    gamma_name: tuple[str, int]
    gamma_rows: tuple[int, ...]
    perbin: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Structure:
    """Everything about a workspace that is no number; workspaces of equal structure are fitted together.

    Attributes:
        names: explicit parameters, in kernel order (per-bin ones as ``name[bin]``).
        kinds: their constraints, ``free``, ``normal`` or ``poisson``.
        linear: (block, row, parameter) of the factors that are the parameter itself.
        normsys: (block, row, parameter) of the interpolated factors; slots follow those of ``linear``.
        blocks: channels.
        poi: index of the parameter of interest.
    """

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    linear: tuple[tuple[int, int, int], ...]
    normsys: tuple[tuple[int, int, int], ...]
    blocks: tuple[Block, ...]
    poi: int


def _joined(arrays: Sequence[FloatArray]) -> FloatArray:
    """Arrays (n, ...) side by side as (n, values); one alone is not copied."""
    flat = [a.reshape(len(a), int(np.prod(a.shape[1:]))) for a in arrays]
    return np.ascontiguousarray(flat[0] if len(flat) == 1 else np.concatenate(flat, axis=1))


@dataclass(frozen=True)
class BlockArrays:
    """Numbers of one channel: nominal (n,rows,bins), histosys up and dn (n,slots,bins), per-bin factors (n,bins)."""

    nominal: FloatArray
    up: FloatArray
    dn: FloatArray
    g_width: FloatArray
    g_lo: FloatArray
    g_hi: FloatArray
    g_init: FloatArray

    def take(self, index: npt.NDArray[np.intp]) -> BlockArrays:
        """The windows ``index``."""
        return BlockArrays(*(getattr(self, f.name)[index] for f in fields(self)))


@dataclass(frozen=True)
class BlockData:
    """Data of one channel: counts (n,bins) and auxiliary data of the profiled per-bin factors (n,bins)."""

    counts: FloatArray
    g_aux: FloatArray

    def take(self, index: npt.NDArray[np.intp]) -> BlockData:
        """The windows ``index``."""
        return BlockData(self.counts[index], self.g_aux[index])


@dataclass(frozen=True)
class Data:
    """Main and auxiliary data of a stack of windows; ``aux`` is (n, parameters), zero where unconstrained."""

    blocks: tuple[BlockData, ...]
    aux: FloatArray

    def take(self, index: npt.NDArray[np.intp]) -> Data:
        """The windows ``index``."""
        return Data(tuple(b.take(index) for b in self.blocks), self.aux[index])

    @cached_property
    def flat(self) -> tuple[FloatArray, ...]:
        """Counts and auxiliary data of all channels side by side, for the compiled kernels."""
        blocks = self.blocks
        return (
            _joined([b.counts for b in blocks]), _joined([b.g_aux for b in blocks]), np.ascontiguousarray(self.aux)
        )  # fmt: skip


@dataclass(frozen=True)
class Batch:
    """A stack of windows of one structure; every array has the window as its leading axis.

    Attributes:
        structure: what they share.
        blocks: numbers per channel.
        coef: coefficients of interpolation code 4, (n, normsys slots, 6).
        log_hi: logarithm of the up factor, (n, slots).
        log_lo: logarithm of the down factor, (n, slots).
        init: start values (n, parameters); lo, hi: bounds; width: Gaussian sigma or Poisson factor.
        fixed: parameters that the workspace holds fixed, (n, parameters).
        observed: observed data with nominal auxiliary data.
    """

    structure: Structure
    blocks: tuple[BlockArrays, ...]
    coef: FloatArray
    log_hi: FloatArray
    log_lo: FloatArray
    init: FloatArray
    lo: FloatArray
    hi: FloatArray
    width: FloatArray
    fixed: npt.NDArray[np.bool_]
    observed: Data

    def __len__(self) -> int:
        return len(self.init)

    @cached_property
    def flat(self) -> tuple[FloatArray, ...]:
        """Numbers of all channels side by side, then those of the factors, for the compiled kernels."""
        names = ("nominal", "up", "dn", "g_width", "g_lo", "g_hi")
        return (
            *(_joined([getattr(b, name) for b in self.blocks]) for name in names),
            *(np.ascontiguousarray(v) for v in (self.coef, self.log_hi, self.log_lo, self.width)),
        )

    def take(self, index: npt.NDArray[np.intp]) -> Batch:
        """The windows ``index`` (with repetition if wanted)."""
        rest = {
            f.name: getattr(self, f.name)[index]
            for f in fields(self)
            if f.name not in ("structure", "blocks", "observed")
        }
        return Batch(
            structure=self.structure,
            blocks=tuple(b.take(index) for b in self.blocks),
            observed=self.observed.take(index),
            **rest,
        )


@dataclass(frozen=True)
class WorkspaceGroup:
    """Workspaces of one structure and their positions in the sequence that was compiled."""

    batch: Batch
    positions: tuple[int, ...]
