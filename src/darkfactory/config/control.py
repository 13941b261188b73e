"""Control samples: what they measure, and how searches use it.

A control sample compares data with simulation where no signal is and writes corrections: factors binned in the
variables that matter. A search names those that its simulated events are weighted with.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Literal

from pydantic import Field, model_validator

from darkfactory.config.base import StrictModel, Tagged
from darkfactory.config.templates import ColumnCut

__all__ = [
    "AppliedCorrection",
    "ControlAxis",
    "ControlConfig",
    "ControlCorrection",
    "ResponseConfig",
    "ScaledPeak",
    "Sideband",
]


class ControlAxis(StrictModel):
    """One variable that a correction is binned in."""

    observable: str
    """Column of the control sample's candidates."""
    edges: tuple[float, ...] = Field(min_length=2)
    """Edges of the bins, ascending, in the column's unit; beyond them the first and the last bin count."""

    @model_validator(mode="after")
    def _ascending(self) -> ControlAxis:
        if any(b <= a for a, b in pairwise(self.edges)):
            raise ValueError(f"edges {list(self.edges)} must ascend")
        return self


class Sideband(StrictModel):
    """Background below a peak, taken off with what is beside it.

    It starts at a threshold and rises as the square root of the distance to it.
    """

    column: str
    """Column of the candidates."""
    signal: tuple[float, float]
    """Range of the peak."""
    side: tuple[float, float]
    """Range beside it, whose candidates count with a negative weight."""
    threshold: Tagged
    """Where the background starts."""

    @model_validator(mode="after")
    def _apart(self) -> Sideband:
        ranges = sorted([self.signal, self.side])
        if not self.threshold.value <= ranges[0][0] < ranges[0][1] <= ranges[1][0] < ranges[1][1]:
            raise ValueError(
                f"signal {list(self.signal)} and side {list(self.side)} must be ranges apart, above the threshold "
                f"{self.threshold.value}"
            )
        return self

    @property
    def scale(self) -> float:
        """Background in the peak's range over that in the sideband.

        Example:
            >>> zero = {"value": 0.0, "source": "assumed"}
            >>> round(Sideband(column="x", signal=(0.0, 1.0), side=(1.0, 4.0), threshold=zero).scale, 6)
            0.142857
        """
        areas = [
            (high - self.threshold.value) ** 1.5 - (low - self.threshold.value) ** 1.5
            for low, high in (self.signal, self.side)
        ]
        return float(areas[0] / areas[1])


class ScaledPeak(StrictModel):
    """How a peak moves when a scale changes."""

    column: str
    """Column that has the place of ``peak`` for the larger scale."""
    step: float = Field(gt=0)
    """By how much it is larger, relative."""


class ControlCorrection(StrictModel):
    """One factor, data over simulation."""

    description: str
    """What is corrected, for the file."""
    method: Literal["efficiency", "ratio", "scale"] = "efficiency"
    """efficiency: fraction of the candidates that pass; ratio: numbers of candidates, relative to those of the
    ``reference`` bin, so that neither luminosity nor cross-section matters; scale: the median of ``peak``, or the scale
    that moves it, see ``scaled``."""
    axes: dict[str, ControlAxis] = Field(min_length=1)
    """Name of an input of the correction to its bins."""
    cuts: tuple[ColumnCut, ...] = ()
    """Candidates that count."""
    passing: tuple[ColumnCut, ...] = ()
    """Of these, the ones that pass; of ``efficiency``."""
    lines: dict[Literal["l1", "hlt"], tuple[str, ...]] = Field(default_factory=dict)
    """Passing means that one of these lines keeps the event, at each level named; the section ``trigger`` has the
    lines of the reference, which must look at something else."""
    recorded: dict[str, str] = Field(default_factory=dict)
    """Of recorded data: line to the column with its decision (above 0: fired), such as ``ntuple_l1_psnm_ffo``; the bits
    that are emulated say nothing of the real trigger."""
    reference: int = Field(default=0, ge=0)
    """Of ``ratio``: the bin, counted from 0 over all axes, where the factor is one."""
    peak: str = ""
    """Of ``scale``: the column whose median is compared."""
    scaled: ScaledPeak | None = None
    """Of ``scale``: what the peak does when momenta (or energies) are scaled; the factor is then that scale of data
    over that of simulation instead of the ratio of the medians."""
    sideband: Sideband | None = None
    """Of ``efficiency`` and ``ratio``: background that is taken off."""
    systematic: Tagged
    """Relative, of all bins together: what the method leaves open."""
    min_events: float = Field(default=25.0, gt=0)
    """Bins with fewer effective candidates in data or simulation take the factor of all bins, with an error that grows
    as their own events get fewer."""

    @model_validator(mode="after")
    def _complete(self) -> ControlCorrection:
        if self.method == "efficiency" and not (self.passing or self.lines):
            raise ValueError("method efficiency: give what passes, `passing` or `lines`")
        if self.method != "efficiency" and (self.passing or self.lines):
            raise ValueError(f"method {self.method}: `passing` and `lines` are of method efficiency")
        if (self.method == "scale") != bool(self.peak):
            raise ValueError("method scale, and no other, has a `peak`")
        if self.scaled is not None and self.method != "scale":
            raise ValueError(f"method {self.method}: `scaled` is of method scale")
        if self.sideband is not None and self.method == "scale":
            raise ValueError("method scale: `sideband` is of the methods efficiency and ratio")
        bins = 1
        for axis in self.axes.values():
            bins *= len(axis.edges) - 1
        if self.reference >= bins:
            raise ValueError(f"reference {self.reference} is no bin: there are {bins}, counted from 0")
        return self


class ControlConfig(StrictModel):
    """The section ``control`` of a search of kind ``control``."""

    data: str
    """Sample that is compared with the simulation: recorded data, or a simulated sample with a ``response`` of its
    own in their place."""
    corrections: dict[str, ControlCorrection] = Field(min_length=1)
    """By name."""


class AppliedCorrection(StrictModel):
    """An entry of the section ``corrections`` of a search, by nuisance parameter.

    Its variations take the place of those that the detector's table gives under that name.
    """

    nuisance: str = ""
    """Nuisance parameter of its variations, the entry's name by default: entries that name the same one are one error
    of all their factors (kaons of different origin)."""

    search: str = ""
    """Control sample that makes it,"""
    dataset: str = ""
    """and its dataset;"""
    file: str = ""
    """or a file of corrections: correctionlib's format (schema 2), or a table (.csv) with a row for each bin."""
    correction: str
    """Name in that file; of a table without a column of names, the file's name without ``.csv``."""
    inputs: tuple[dict[str, str], ...] = Field(min_length=1)
    """Input of the correction to a column of the search's candidates; one entry for each object that the factor counts
    for (both muons of a pair), and the event's factor is the product."""
    samples: tuple[str, ...] = ()
    """Only these samples, signals included; empty: all simulated ones."""
    trigger: bool = False
    """The factor is one of what the trigger keeps: the weight before the trigger stays."""
    weight: bool = True
    """False: weights stay, and the factor with its errors and its bin become columns ``factor_<name>``,
    ``stat_<name>``, ``syst_<name>`` and ``bin_<name>`` that a measurement reads (a scale of momenta)."""

    @model_validator(mode="after")
    def _one_origin(self) -> AppliedCorrection:
        if bool(self.file) == bool(self.search and self.dataset):
            raise ValueError("a correction comes from a control sample (search and dataset) or a file, one of them")
        if not self.weight and len(self.inputs) != 1:
            raise ValueError(f"weight: false goes with the inputs of one object, not of {len(self.inputs)}")
        return self


class ResponseConfig(StrictModel):
    """A file of config/responses: how a simulated sample that stands for data differs from the detector's table."""

    name: str
    """Same as the file's name."""
    description: str
    """What was changed."""
    detector: dict[str, Any] = Field(default_factory=dict)
    """Merged over the detector's file."""
    trigger: dict[str, Any] = Field(default_factory=dict)
    """Merged over the menu of the period."""
