"""A search: hypotheses, grids, datasets, and the sections that its stages read."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from darkfactory.config.base import Luminosity, StrictModel, Tagged
from darkfactory.config.control import AppliedCorrection
from darkfactory.config.points import AXES, PointGrid

__all__ = [
    "Dataset",
    "DatasetHypothesis",
    "Hypothesis",
    "JointConfig",
    "SearchConfig",
    "SearchFile",
    "TriggerChoice",
]


class TriggerChoice(StrictModel):
    """The trigger lines whose OR a search takes; an empty list takes every event."""

    l1: tuple[str, ...] = ()
    """Level-1 lines of the period's menu."""
    hlt: tuple[str, ...] = ()
    """High-level lines of the period's menu."""
    plateau: Tagged | None = None
    """Extra efficiency factor of the chosen lines, where a period's one is known only as a whole."""


class JointConfig(StrictModel):
    """Hypotheses of a search in one fit: one workspace with the channels of all, one parameter of interest.

    The model says how their rates go with each other; the limit is on the rate of the first.
    """

    members: tuple[str, ...] = Field(min_length=2)
    """Hypotheses; at a point that one of them does not have, the others are fitted."""
    model: str = ""
    """Of branching fractions: name in ``interpretation.b_decays``, which gives their ratios."""
    models: dict[str, str] = Field(default_factory=dict)
    """Of cross-sections: each member to its model in ``interpretation.models``. They share one coupling and its power;
    branching fractions and the samples' cross-sections give the ratios of the rates."""
    shared: tuple[str, ...] = ()
    """Nuisance parameters that are one for all channels; others are each channel's own. Luminosity always is one."""

    @model_validator(mode="after")
    def _one_model(self) -> JointConfig:
        if bool(self.model) == bool(self.models):
            raise ValueError("give model (branching fractions) or models (cross-sections), one of them")
        if self.models and sorted(self.models) != sorted(self.members):
            raise ValueError(f"models has {sorted(self.models)}; it must name each member: {sorted(self.members)}")
        return self


class Hypothesis(StrictModel):
    """A kind of signal: one sample, one quantity that limits are set on."""

    sample: str
    """Name in the catalogue of samples."""
    quantity: Literal["cross_section", "efficiency_times_cross_section", "branching_fraction"] = "cross_section"
    """What is limited. ``branching_fraction``, where the sample is made with the signal's branching fraction one:
    limits are in units of the sample's own rate. ``efficiency_times_cross_section``, where no model tells the
    efficiency: the sample gives only the shape of what is selected."""
    unit: str = "fb"
    """Its unit."""
    maximum: float | None = Field(default=None, gt=0)
    """Largest value that the quantity can have, 1 of a branching fraction unless said otherwise: a limit above it
    constrains nothing and gets the flag ``above_maximum``."""
    grids: dict[str, tuple[PointGrid, ...]]
    """Named grids of points; a campaign chooses one (laptop, closure, full)."""
    reweighted: tuple[str, ...] = ()
    """Axes of the grids that events are reweighted to: points that differ only there share one simulated point, whose
    name lacks these axes (lifetime)."""
    label: str = ""
    """Text for figures."""
    joint: JointConfig | None = None
    """Fits other hypotheses of the search together; ``sample`` is then that of the first of them."""

    @property
    def largest(self) -> float | None:
        """Largest value that the quantity can have, None without one."""
        return 1.0 if self.maximum is None and self.quantity == "branching_fraction" else self.maximum

    @model_validator(mode="after")
    def _reweighted(self) -> Hypothesis:
        for axis in self.reweighted:
            if axis not in AXES or axis == "mass":
                allowed = [a for a in AXES if a != "mass"]
                raise ValueError(f"reweighted: {axis!r} is no axis to reweight to; allowed are {allowed}")
        return self


class DatasetHypothesis(StrictModel):
    """What a dataset has of its own for one kind of signal."""

    sample: str
    """Name in the catalogue of samples: the signal in the dataset's own beams and detector."""


class Dataset(StrictModel):
    """One set of data: period, luminosity, and what differs from the search's defaults."""

    period: str
    """Name in config/periods.yaml: menu, detector, beam background."""
    luminosity: Luminosity
    """Integrated luminosity."""
    luminosity_uncertainty: Tagged
    """Relative uncertainty."""
    mass_range: tuple[float, float] = (0.0, 11.0)
    """Points outside, in GeV, are not part of this dataset."""
    reference: str = ""
    """Journal and arXiv number of the published result."""
    projection: bool = False
    """There is no such result, published or in preparation: figures say so."""
    reference_csv: str = ""
    """Name of the published table that `compare` and the report look for in the folder of references."""
    recorded: tuple[str, ...] = ()
    """External samples of kind data whose events these are. They are blinded: pseudo-data stand in for them until
    `darkfactory unblind` has opened them, which no key of any file does."""
    hypotheses: dict[str, DatasetHypothesis] = Field(default_factory=dict)
    """Signals by hypothesis of the search, where the dataset is of another experiment."""
    without: tuple[str, ...] = ()
    """Hypotheses of the search that are not looked for in this dataset."""
    backgrounds: tuple[str, ...] | None = None
    """Samples of the catalogue, instead of the search's; they must be of the period's detector."""
    skim: dict[str, Any] = Field(default_factory=dict)
    trigger: dict[str, Any] = Field(default_factory=dict)
    selection: dict[str, Any] = Field(default_factory=dict)
    network: dict[str, Any] | None = None
    templates: dict[str, Any] = Field(default_factory=dict)
    statistics: dict[str, Any] = Field(default_factory=dict)
    interpretation: dict[str, Any] = Field(default_factory=dict)
    measurement: dict[str, Any] = Field(default_factory=dict)
    control: dict[str, Any] = Field(default_factory=dict)
    corrections: dict[str, AppliedCorrection] = Field(default_factory=dict)
    """Besides those of the search; of equal names, these."""


class SearchFile(StrictModel):
    """A file of config/searches."""

    name: str
    """Same as the file's name."""
    title: str
    """For figures and the report."""
    hypotheses: dict[str, Hypothesis] = Field(default_factory=dict)
    """Kinds of signal; control samples have none."""
    backgrounds: tuple[str, ...]
    """Samples of the catalogue; a dataset may have its own. Of a control sample: its simulation."""
    datasets: dict[str, Dataset] = Field(min_length=1)
    """First: the one of the Belle II result."""
    skim: dict[str, Any] = Field(default_factory=dict)
    trigger: dict[str, Any] = Field(default_factory=dict)
    selection: dict[str, Any] = Field(default_factory=dict)
    network: dict[str, Any] | None = None
    templates: dict[str, Any] = Field(default_factory=dict)
    statistics: dict[str, Any] = Field(default_factory=dict)
    interpretation: dict[str, Any] = Field(default_factory=dict)
    measurement: dict[str, Any] = Field(default_factory=dict)
    control: dict[str, Any] = Field(default_factory=dict)
    corrections: dict[str, AppliedCorrection] = Field(default_factory=dict)
    """What simulated events are weighted with, by nuisance parameter."""
    kind: Literal["search", "control", "measurement"] = "search"
    """Control samples produce corrections, searches limits, measurements a number with an uncertainty: these have the
    section ``measurement`` and go from the selection to the stage ``measure``; control samples have the section
    ``control``, of every dataset, and go to the stage ``control``."""

    @model_validator(mode="after")
    def _sections(self) -> SearchFile:
        controls = [bool(self.control or d.control) for d in self.datasets.values()]
        if any(controls) != (self.kind == "control") or len(set(controls)) > 1:
            raise ValueError(
                f"kind {self.kind}: every dataset of kind `control` has the section `control`, others none"
            )
        if bool(self.hypotheses) == (self.kind == "control"):
            raise ValueError(f"kind {self.kind}: hypotheses: control samples have none, all others at least 1")
        if (self.kind == "measurement") != bool(self.measurement):
            raise ValueError(f"kind {self.kind}: kind `measurement` has the section `measurement`, others have not")
        return self


class SearchConfig(StrictModel):
    """A search on one dataset: defaults merged with the dataset's overrides, samples included; sections still plain."""

    search: str
    dataset: str
    title: str
    hypotheses: dict[str, Hypothesis]
    backgrounds: tuple[str, ...]
    data: Dataset
    trigger: TriggerChoice
    selection: dict[str, Any]
    network: dict[str, Any] | None
    templates: dict[str, Any]
    statistics: dict[str, Any]
    interpretation: dict[str, Any]
    measurement: dict[str, Any]
    control: dict[str, Any]
    corrections: dict[str, AppliedCorrection]
    kind: Literal["search", "control", "measurement"]

    @property
    def shared_samples(self) -> tuple[str, ...]:
        """Samples without points: backgrounds, and what a control sample compares its simulation with."""
        return self.backgrounds + ((str(self.control["data"]),) if "data" in self.control else ())
