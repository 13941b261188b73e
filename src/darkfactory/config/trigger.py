"""Trigger menus: what a trigger sees, and its lines, as data; a menu may extend another one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from darkfactory.config.base import StrictModel, Tagged
from darkfactory.config.library import Library
from darkfactory.config.load import deep_merge, validate

__all__ = [
    "CalorimeterTrigger",
    "CollectionRule",
    "HltObjects",
    "InjectionVeto",
    "L1Objects",
    "Line",
    "MenuLevel",
    "RateLimits",
    "Rings",
    "TrackTrigger",
    "TriggerMenu",
    "load_menu",
]

Source = Literal["published", "derived", "measured", "recalled", "assumed"]


class Line(StrictModel):
    """One trigger line."""

    expr: str
    """Condition in the language of trigger lines."""
    eff: Tagged | None = None
    """Efficiency of the line beyond that of the objects it looks at; absent: 1."""
    prescale: Tagged | None = None
    """One event in so many is kept; absent: 1."""
    enabled: bool = True
    """Disabled lines have no bit, but others may still refer to them."""
    injection_veto: bool = True
    """Whether the line is blind while freshly injected bunches pass."""
    rate_hz: Tagged | None = None
    """A rate of its own, whatever the collisions (random triggers)."""
    source: Source = "assumed"
    """Where the condition comes from."""
    note: str = ""

    @model_validator(mode="after")
    def _sensible(self) -> Line:
        if self.eff is not None and not 0 <= self.eff.value <= 1:
            raise ValueError(f"eff is {self.eff.value}; a probability from 0 to 1 is wanted")
        if self.prescale is not None and self.prescale.value < 1:
            raise ValueError(f"prescale is {self.prescale.value}; 1 or more is wanted (enabled: false switches off)")
        return self

    @property
    def acceptance(self) -> float:
        """Probability that an event which fulfils the condition is kept by this line."""
        eff = 1.0 if self.eff is None else self.eff.value
        return eff / (1.0 if self.prescale is None else self.prescale.value)


class CollectionRule(StrictModel):
    """Objects picked from others."""

    from_: str = Field(alias="from")
    """Collection to pick from."""
    where: str = ""
    """Condition on its objects; empty: all."""
    first: int | None = Field(default=None, ge=1, le=32)
    """Keep only so many, those of the largest energy or momentum."""
    leading_of_each_charge: str = ""
    """Keep the negative and the positive one with the largest value of this column."""
    source: Source = "assumed"
    note: str = ""


class Rings(StrictModel):
    """Rings of trigger cells in polar angle."""

    edges_deg: tuple[tuple[float, float], ...]
    """Lower and upper edge of every ring, in degrees; the first has ID 1."""
    cells: tuple[int, ...]
    """Cells in azimuth of every ring."""
    source: Source
    note: str = ""

    @model_validator(mode="after")
    def _ordered(self) -> Rings:
        flat = [edge for ring in self.edges_deg for edge in ring]
        if not self.edges_deg or flat != sorted(flat) or any(a >= b for a, b in self.edges_deg):
            raise ValueError("edges_deg must be rising pairs that do not overlap, such as [[12.4, 18.5], [18.5, 25.8]]")
        if len(self.cells) != len(self.edges_deg) or min(self.cells) < 1:
            raise ValueError(f"cells has {len(self.cells)} entries for {len(self.edges_deg)} rings; one each is wanted")
        return self


class CalorimeterTrigger(StrictModel):
    """Trigger cells and the clusters made of them."""

    rings: Rings
    cell_threshold_gev: Tagged
    """Energy that a cell needs to be seen."""
    time_window_ns: Tagged
    """Width of the window around the event time; 0: no cut (a detector without cluster times)."""
    sigma_e_constant: Tagged
    """Relative energy resolution: hypot(constant, stochastic / sqrt(E/GeV))."""
    sigma_e_stochastic: Tagged
    quantise: bool
    """Take the cell's centre as the position."""
    merge_neighbours: bool
    """Clusters in touching cells are one to the trigger."""
    max_cells: int = Field(ge=1, le=32)
    """Cells looked at, the most energetic ones."""


class TrackTrigger(StrictModel):
    """Tracks of the drift-chamber trigger."""

    pt_min_gev: Tagged
    theta_deg: tuple[float, float]
    """Full tracks cross all superlayers inside these angles."""
    efficiency: Tagged
    """Per full track."""
    short_theta_deg: tuple[float, float]
    """Short tracks reach out to these angles."""
    short_efficiency: Tagged
    neuro_efficiency: Tagged
    """Per full track: found by the neural z trigger, tails of z included."""
    neuro_sigma_z_cm: Tagged
    max_d0_cm: Tagged | None = None
    """Full and short tracks come from the beams within this impact parameter; absent: from anywhere. The column
    ``free`` of the drift-chamber tracks has those that a finder without this condition sees."""
    max_tracks: int = Field(ge=1, le=32)


class L1Objects(StrictModel):
    """What the first level sees."""

    calorimeter: CalorimeterTrigger
    tracks: TrackTrigger
    klm_barrel_deg: tuple[float, float]
    field_t: Tagged
    """Solenoid field in tesla, for displaced vertices."""


class HltObjects(StrictModel):
    """What the high-level trigger sees: reconstructed objects."""

    max_tracks: int = Field(ge=2, le=64)
    max_clusters: int = Field(ge=2, le=64)
    field_t: Tagged


class MenuLevel(StrictModel):
    """The lines of one level and the names that they use."""

    collections: dict[str, CollectionRule] = {}
    quantities: dict[str, str] = {}
    """Named expressions, conditions or numbers."""
    vetoes: dict[str, str] = {}
    """Named conditions that lines exclude."""
    lines: dict[str, Line] = {}
    only: tuple[str, ...] = ()
    """If given, all other lines are disabled: a menu that extends another one need not list them."""

    @property
    def names(self) -> tuple[str, ...]:
        """Enabled lines, in the order of their bits."""
        chosen = (name for name, line in self.lines.items() if line.enabled)
        return tuple(name for name in chosen if not self.only or name in self.only)

    @model_validator(mode="after")
    def _unique(self) -> MenuLevel:
        seen: dict[str, str] = {}
        for kind in ("quantities", "vetoes", "lines"):
            for name in getattr(self, kind):
                if not name.isidentifier():
                    raise ValueError(f"{kind}: {name!r} is no name; use letters, digits and _")
                if name in seen:
                    raise ValueError(f"{kind}: {name!r} is already one of the {seen[name]}; rename one of them")
                seen[name] = kind
        for name in self.only:
            if name not in self.lines:
                raise ValueError(f"only: no line {name!r}; there are {', '.join(self.lines)}")
        if len(self.names) > 64:
            raise ValueError(f"{len(self.names)} lines are enabled; bits of one level end at 64: disable some")
        return self


class InjectionVeto(StrictModel):
    """Time in which the first level is blind because freshly injected bunches pass."""

    dead_time: Tagged
    """Fraction of the running time."""
    in_luminosity: bool
    """The recorded luminosity is counted with the same dead time: then only rates suffer, weights do not."""

    @model_validator(mode="after")
    def _fraction(self) -> InjectionVeto:
        if not 0 <= self.dead_time.value < 1:
            raise ValueError(f"dead_time is {self.dead_time.value}; a fraction of the time below 1 is wanted")
        return self


class RateLimits(StrictModel):
    """What the data acquisition can take."""

    l1_max_khz: Tagged
    hlt_max_khz: Tagged | None = None
    hlt_reduction: Tagged | None = None


class TriggerMenu(StrictModel):
    """A trigger of two levels in one running period."""

    name: str
    description: str = ""
    experiment: Literal["belle2", "belle", "babar"]
    l1_objects: L1Objects
    hlt_objects: HltObjects
    injection_veto: InjectionVeto
    limits: RateLimits
    l1: MenuLevel
    hlt: MenuLevel
    file: str = ""
    """Where the menu was read, for messages."""

    @property
    def l1_names(self) -> tuple[str, ...]:
        """Enabled L1 lines, in the order of their bits."""
        return self.l1.names

    @property
    def hlt_names(self) -> tuple[str, ...]:
        """Enabled HLT lines, in the order of their bits."""
        return self.hlt.names

    def level(self, level: Literal["l1", "hlt"]) -> MenuLevel:
        """The lines of a level."""
        return self.l1 if level == "l1" else self.hlt


def load_menu(name: str, directory: str | Path, overrides: Mapping[str, Any] | None = None) -> TriggerMenu:
    """Read a menu with all that it extends, then the overrides of a period or a user.

    Args:
        name: the file's name without ``.yaml``.
        directory: the folder of menus.
        overrides: merged on top.

    Raises:
        ConfigError: no such menu, a circle of ``extends``, or a value that is not allowed. Expressions are
            checked by :func:`darkfactory.trigger.menu.compile_menu`.
    """
    directory = Path(directory)
    library = Library(directory.parent)
    # relative: the menu is part of job digests, which must not depend on where the folder is
    file = f"{directory.name}/{name}.yaml"
    merged = deep_merge(library.get(directory.name, name), overrides or {}, {"name": name, "file": file})
    return validate(TriggerMenu, merged, file=file)
