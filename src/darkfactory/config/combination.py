"""A combination: several searches of one model, one coupling."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from darkfactory.config.base import StrictModel
from darkfactory.config.points import AxisGrid
from darkfactory.config.statistics import StatisticsConfig

__all__ = ["CombinationConfig", "CombinationInput"]


class CombinationInput(StrictModel):
    """One search on one dataset."""

    search: str
    dataset: str
    model: str
    """Entry of the search's ``interpretation.models``: how its rate follows from the coupling; of kind ``lifetimes``,
    of ``interpretation.b_decays`` or ``interpretation.regions``."""
    tags: tuple[str, ...] = ()
    """What the input shares with others: see ``correlated``."""


class CombinationConfig(StrictModel):
    """A file of config/combinations."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    """Same as the file's name."""
    title: str
    """For figures and the report."""
    kind: Literal["coupling", "lifetimes"] = "coupling"
    """``coupling``: all rates go as one power of it. ``lifetimes``: it sets rates and a lifetime, and regions with two
    edges are excluded; inputs are counts."""
    model: str
    """Column `model` of the combined couplings."""
    coupling: str
    """What is limited; the inputs' models must have the same."""
    unit: str = ""
    """Its unit."""
    label: str = ""
    """Text for figures."""
    power: float = Field(default=2.0, gt=0)
    """All signals go as this power of the coupling."""
    scan: tuple[float, float] = (1e-5, 0.3)
    """Of kind ``lifetimes``: least and largest coupling."""
    steps: int = Field(default=61, ge=5)
    """Of kind ``lifetimes``: values of the coupling, in equal ratios."""
    toys: int = Field(default=20000, ge=1000)
    """Of kind ``lifetimes``: pseudo-counts a value."""
    inputs: tuple[CombinationInput, ...] = Field(min_length=1)
    """Those that the campaign does not have are left out, and named in the result."""
    correlated: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Nuisance parameter of the inputs' workspaces to tags: inputs with one of the tags share it (the first that fits
    decides). Parameters not named here are every input's own."""
    grids: dict[str, AxisGrid]
    """Masses in GeV, by the campaign's grid."""
    make_points: bool = False
    """Make the masses that an input has not in its scan, one by one; else the input is left out at them."""
    statistics: StatisticsConfig = StatisticsConfig(cls=(0.90,))
    note: str = ""
    """When the combination holds; shown in the report."""

    @model_validator(mode="after")
    def _known_tags(self) -> CombinationConfig:
        tags = {t for i in self.inputs for t in i.tags}
        for parameter, wanted in self.correlated.items():
            unknown = sorted(set(wanted) - tags)
            if unknown:
                raise ValueError(f"correlated.{parameter}: no input has the tags {unknown}; they have {sorted(tags)}")
        if self.kind == "lifetimes" and self.make_points:
            raise ValueError("make_points: a combination of kind lifetimes takes what the scans have; leave it out")
        if not 0 < self.scan[0] < self.scan[1]:
            raise ValueError(f"scan: {list(self.scan)} must rise from above 0")
        names = [(i.search, i.dataset) for i in self.inputs]
        if len(set(names)) != len(names):
            raise ValueError("inputs: a dataset appears twice; one set of data counts once")
        return self
