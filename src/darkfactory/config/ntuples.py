"""Names of ntuple branches: which column of ours a branch is, and how branch names are escaped."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator

from darkfactory.config.base import Source, StrictModel
from darkfactory.config.library import Library
from darkfactory.config.load import read_yaml, validate
from darkfactory.core.errors import ConfigError
from darkfactory.core.suggest import did_you_mean

__all__ = ["NameGroup", "NtupleMapConfig", "name_map"]


class NameGroup(StrictModel):
    """Names that come from one source."""

    source: Source
    """Provenance of the names: only published ones have been seen in a file or in the framework's code."""
    note: str = ""
    """Where they are from."""
    names: dict[str, str]
    """Variable name of the framework: our column. An argument that is one of ``placeholders`` stands for any
    argument, which becomes part of our column: ``L1PSNM(lml0)`` is ``l1_psnm(lml0)``."""


class NtupleMapConfig(StrictModel):
    """The name map of one kind of ntuple."""

    description: str = ""
    """What writes such ntuples."""
    groups: dict[str, NameGroup]
    """Names by topic. All are optional in a file except ``required``."""
    required: tuple[str, ...] = ("experiment", "run", "event")
    """Our columns without which a file cannot be used."""
    integers: tuple[str, ...] = ()
    """Our columns that hold integers, whatever the type on disk; missing values become ``integer_missing``."""
    integer_missing: int = -(2**31)
    """Stands for a missing value (NaN on disk) in an integer column."""
    placeholders: tuple[str, ...] = ("cut", "name", "mask")
    """Arguments in names that stand for any argument."""
    simulation_experiments: tuple[int, ...] = ()
    """Experiment numbers of simulation; all others are data."""
    escape: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Character: its escape sequences in branch names, the first one for writing."""

    @model_validator(mode="after")
    def _consistent(self) -> NtupleMapConfig:
        ours = [c for g in self.groups.values() for c in g.names.values()]
        twice = sorted({c for c in ours if ours.count(c) > 1})
        if twice:
            raise ValueError(f"groups: columns {twice} have two names each; give every name its own column")
        theirs = [n for g in self.groups.values() for n in g.names]
        twice = sorted({n for n in theirs if theirs.count(n) > 1})
        if twice:
            raise ValueError(f"groups: names {twice} are in two groups; keep one")
        unknown = sorted({*self.required, *self.integers} - set(ours))
        if unknown:
            raise ValueError(f"required or integers: {unknown} are columns of no group")
        tokens = [t for v in self.escape.values() for t in v]
        bad = [c for c in self.escape if len(c) != 1] + [t for t in tokens if tokens.count(t) > 1 or len(t) < 3]
        if bad:
            raise ValueError(f"escape: {bad}: one character each, sequences of three or more that occur once")
        return self

    @property
    def names(self) -> dict[str, str]:
        """All names: framework's variable to our column."""
        return {n: c for g in self.groups.values() for n, c in g.names.items()}


def name_map(library: Library, name: str, *, where: str = "map") -> NtupleMapConfig:
    """A name map by its name in config/ntuples, or by the path of a file.

    Raises:
        ConfigError: no such map, or a wrong one.
    """
    if name.endswith((".yaml", ".yml")):
        return validate(NtupleMapConfig, read_yaml(Path(name)), file=name)
    if name not in library.names("ntuples"):
        known = ", ".join(library.names("ntuples"))
        hint = did_you_mean(name, library.names("ntuples")) or ";"
        raise ConfigError(
            f"unknown name map {name!r}{hint} there are: {known}; or give the path of a YAML file",
            where=where,
            file=str(library.root / "samples.yaml"),
        )
    return validate(NtupleMapConfig, library.get("ntuples", name), file=str(library.path("ntuples", name)))
