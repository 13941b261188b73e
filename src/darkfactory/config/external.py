"""Samples that come as ROOT ntuples: which files, which objects their rows hold, and what normalises them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from darkfactory.config.base import CrossSection, Luminosity, StrictModel
from darkfactory.config.points import AXES, point_name

__all__ = ["CollectionConfig", "CollectionsConfig", "ExternalConfig", "GoodRuns", "PointFiles", "Recipe", "Threshold"]


class Threshold(StrictModel):
    """A decision on a column of the ntuple; a missing value (NaN) decides no."""

    column: str = Field(min_length=1)
    """Our name of the column, as in the name map."""
    above: float | None = None
    """Yes if the value is larger."""
    below: float | None = None
    """Yes if the value is smaller; with ``above``: a window."""

    @model_validator(mode="after")
    def _bounded(self) -> Threshold:
        if self.above is None and self.below is None:
            raise ValueError(f"column {self.column!r} needs above, below or both")
        return self


def _sort(value: Any) -> str:
    # one sort is tried only, so that an error is about what was meant
    return "decision" if isinstance(value, Mapping | Threshold) else "value"


Recipe = Annotated[
    Annotated[Threshold, Tag("decision")] | Annotated[str | bool | int | float, Tag("value")], Discriminator(_sort)
]
"""Where a field comes from: a column of the ntuple, a decision on one, or a constant."""


class CollectionConfig(StrictModel):
    """Where the objects of one kind are."""

    tree: str = Field(min_length=1)
    """Name of the tree. Trees of several particle lists are joined by experiment, run and event."""
    prefixes: tuple[str, ...] = ()
    """Daughters of a candidate tree, ``[mu0, mu1]`` for branches ``mu0_px``, ``mu1_px``: each is one object a row.
    None: the row itself is the object."""
    columns: dict[str, Recipe] = Field(default_factory=dict)
    """Field of the event schema to where it comes from; names of columns are without the prefix. Fields that are
    not given have defaults, see docs/howto-own-ntuples.md."""


class CollectionsConfig(StrictModel):
    """The objects of an event. What is not given is absent from every event."""

    tracks: CollectionConfig | None = None
    """Charged particles."""
    clusters: CollectionConfig | None = None
    """Calorimeter clusters; photons."""
    klm_clusters: CollectionConfig | None = None
    """Clusters of the muon system."""

    @model_validator(mode="after")
    def _some(self) -> CollectionsConfig:
        if not self.given():
            raise ValueError("give at least one of tracks, clusters, klm_clusters")
        return self

    def given(self) -> dict[str, CollectionConfig]:
        """The collections that are there."""
        every = {"tracks": self.tracks, "clusters": self.clusters, "klm_clusters": self.klm_clusters}
        return {name: value for name, value in every.items() if value is not None}

    def trees(self) -> list[str]:
        """Names of the trees, each once."""
        return list(dict.fromkeys(c.tree for c in self.given().values()))


class GoodRuns(StrictModel):
    """Runs of one experiment that count."""

    experiment: int = Field(ge=0)
    """Number of the experiment."""
    runs: tuple[tuple[int, int], ...] = Field(min_length=1)
    """Periods [first, last], both inclusive."""

    @model_validator(mode="after")
    def _rises(self) -> GoodRuns:
        for first, last in self.runs:
            if not 0 <= first <= last:
                raise ValueError(f"runs: [{first}, {last}] is no period; write [first, last]")
        return self


class PointFiles(StrictModel):
    """Simulated signal at one point."""

    axes: dict[str, float] = Field(min_length=1)
    """The point: ``{mass: 1.0}`` in GeV, further axes as in the grids of searches."""
    files: tuple[str, ...] = Field(min_length=1)
    """As the files of a sample."""
    cross_section: CrossSection | None = None
    """Of this point, in place of that of the sample."""
    n_generated: int | None = Field(default=None, gt=0)
    """Simulated events before any selection; by default the events in the files."""

    @model_validator(mode="after")
    def _mass(self) -> PointFiles:
        unknown = sorted(set(self.axes) - set(AXES))
        if unknown or "mass" not in self.axes:
            raise ValueError(f"axes {sorted(self.axes)}: needs mass, and may have others of {list(AXES)}")
        if self.cross_section is not None and self.cross_section <= 0:
            raise ValueError("cross_section must be above 0")
        return self

    @property
    def name(self) -> str:
        """Name of the point.

        Example:
            >>> PointFiles(axes={"mass": 0.5}, files=("a.root",)).name
            'm0p50000'
        """
        return point_name(self.axes)


class ExternalConfig(StrictModel):
    """Events that come as ROOT ntuples in place of a process: data, or somebody's simulation."""

    files: tuple[str, ...] = ()
    """Paths, patterns (``ntuples/*.root``), folders, relative to the folder that the workflow works in, or URLs of
    single files (``https://...``; ``root://...`` and others with the package that fsspec reads them with)."""
    points: tuple[PointFiles, ...] = ()
    """In place of ``files``, of a signal: files by point. They are the grid of every hypothesis with this sample."""
    map: str = "basf2"
    """Name map: a name in config/ntuples, or the path of a YAML file of that kind."""
    kind: Literal["data", "simulation"]
    """Recorded data, or simulated events with a cross-section."""
    cross_section: CrossSection | None = None
    """Of the simulated process, before any selection."""
    luminosity: Luminosity | None = None
    """Of data: what they were recorded with. Of simulation: what the generated events correspond to, in place of
    the cross-section."""
    n_generated: int | None = Field(default=None, gt=0)
    """Simulated events before any selection; by default the events in the files. Only events that left rows are in
    an ntuple, so give it."""
    good_runs: tuple[GoodRuns, ...] = ()
    """Of data: runs that count, others are left out; empty: all. The luminosity is that of the good runs."""
    collections: CollectionsConfig
    """How rows become tracks and clusters."""

    @model_validator(mode="after")
    def _files_given(self) -> ExternalConfig:
        if bool(self.files) == bool(self.points):
            raise ValueError("give files (data, backgrounds) or points (a signal: files by point), one of them")
        if self.points and self.kind == "data":
            raise ValueError("kind: data has files, not points; points are of simulated signals")
        if self.points and self.n_generated is not None:
            raise ValueError("n_generated is of each point: give it there")
        names = [p.name for p in self.points]
        if len(set(names)) < len(names):
            raise ValueError(f"points: {sorted({n for n in names if names.count(n) > 1})} twice; give each point once")
        return self

    @model_validator(mode="after")
    def _normalised(self) -> ExternalConfig:
        if self.points and self.luminosity is None and self.cross_section is None:
            lacking = [p.name for p in self.points if p.cross_section is None]
            if lacking:
                raise ValueError(f"points {lacking} have no cross_section; give one to each, or to all of them")
            return self
        if self.kind == "simulation" and (self.cross_section is None) == (self.luminosity is None):
            raise ValueError("kind: simulation needs one of cross_section and luminosity")
        if self.kind == "data" and (self.cross_section is not None or self.n_generated is not None):
            raise ValueError("kind: data has neither cross_section nor n_generated; every event has weight 1")
        if self.kind == "simulation" and self.good_runs:
            raise ValueError("kind: simulation has no good_runs; they are of data")
        if self.cross_section is not None and self.cross_section <= 0:
            raise ValueError("cross_section must be above 0")
        return self
