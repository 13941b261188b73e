"""Tau decays as data: modes, branching fractions, line shapes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from darkfactory.config.base import Source, StrictModel, Tagged

__all__ = ["Resonance", "TauDecaysConfig", "TauModeConfig"]


class Resonance(StrictModel):
    """One term of a form factor, ``weight * exp(i phase) * shape(s; mass, width)``."""

    mass: float = Field(gt=0)
    """In GeV."""
    width: float = Field(gt=0)
    """In GeV, at the resonance."""
    weight: float = 1.0
    """Relative to the first term."""
    phase_deg: float = 0.0
    """In degrees."""
    source: Source
    """Provenance of all numbers of the term."""
    note: str = ""
    """Paper and table."""


class TauModeConfig(StrictModel):
    """One decay mode of the tau-; the tau+ decays by CP."""

    kind: Literal["lepton", "meson", "vector", "three_pions", "phase_space", "lepton_boson"]
    """Matrix element: ``lepton`` l nu nu; ``meson`` one pseudoscalar; ``vector`` two pseudoscalars through
    vector resonances; ``three_pions`` through the a1; ``phase_space`` hadrons by phase space with a resonant
    mass and the lepton tensor; ``lepton_boson`` a neutrinoless two-body decay."""
    daughters: tuple[int, ...] = Field(min_length=1, max_length=6)
    """PDG codes of the tau- products without neutrinos; +-311 becomes K_S or K_L in equal parts; for
    ``three_pions`` the pion of the other charge is the last."""
    bf: Tagged
    """Branching fraction; 1 for a signal, whose yield then is per unit of its branching fraction."""
    standard_model: bool = True
    """False for signals: they are in no group and do not count towards the modelled fraction."""
    line_shape: Literal["breit_wigner", "gounaris_sakurai"] = "breit_wigner"
    """Shape of each term of a two-pion form factor."""
    resonances: tuple[Resonance, ...] = ()
    """Terms of the form factor; ``phase_space`` uses the squared sum as a weight of the hadronic mass."""
    a1: Resonance | None = None
    """The axial-vector resonance of ``three_pions``."""
    boson_mass: float | None = Field(default=None, ge=0)
    """In GeV, of the last daughter of ``lepton_boson``; may be set by the mass point."""
    asymmetry: Tagged | None = None
    """``lepton_boson``: alpha in 1 + alpha P cos(theta) of the lepton, 2 Re(c_V c_A*)/(|c_V|^2 + |c_A|^2)."""

    @model_validator(mode="after")
    def _complete(self) -> TauModeConfig:
        number = {"lepton": 1, "meson": 1, "vector": 2, "three_pions": 3, "lepton_boson": 2}.get(self.kind)
        if number is not None and len(self.daughters) != number:
            raise ValueError(f"kind {self.kind} needs {number} daughters, got {list(self.daughters)}")
        if self.kind in ("vector", "three_pions") and not self.resonances:
            raise ValueError(f"kind {self.kind} needs resonances")
        if self.kind == "three_pions" and self.a1 is None:
            raise ValueError("kind three_pions needs a1")
        return self


class TauDecaysConfig(StrictModel):
    """All tau decays."""

    mass: Tagged
    """Tau mass in GeV."""
    ctau_cm: Tagged
    """Mean proper decay length in cm."""
    modes: dict[str, TauModeConfig]
    """Modes by name."""
    groups: dict[str, tuple[str, ...]]
    """Names for sets of modes, usable wherever a mode is; ``any`` is all Standard-Model modes."""
    remainder: Literal["scale", "drop"] = "scale"
    """What becomes of the modes that are not modelled when a tau may decay to ``any``: ``scale`` lets the
    modelled ones stand for them (weight 1), ``drop`` leaves the weight at the modelled fraction."""

    @model_validator(mode="after")
    def _known(self) -> TauDecaysConfig:
        if "any" in self.groups:
            raise ValueError("the group 'any' is built in; remove it from groups")
        for group, names in self.groups.items():
            if group in self.modes:
                raise ValueError(f"group {group} has the name of a mode")
            unknown = [n for n in names if n not in self.modes]
            if unknown:
                raise ValueError(f"group {group}: unknown modes {unknown}; known: {sorted(self.modes)}")
        if not 0 < self.modelled_fraction <= 1:
            raise ValueError(f"branching fractions add up to {self.modelled_fraction:.4f}, above 1")
        return self

    @property
    def modelled_fraction(self) -> float:
        """Sum of the branching fractions of the modelled Standard-Model modes."""
        return sum(m.bf.value for m in self.modes.values() if m.standard_model)

    def expand(self, names: str | tuple[str, ...] | list[str]) -> tuple[str, ...]:
        """Mode names behind names of modes and groups, without repetition, in the file's order.

        Raises:
            ValueError: a name is neither a mode nor a group.
        """
        wanted: set[str] = set()
        for name in (names,) if isinstance(names, str) else names:
            if name == "any":
                wanted.update(k for k, m in self.modes.items() if m.standard_model)
            elif name in self.groups:
                wanted.update(self.groups[name])
            elif name in self.modes:
                wanted.add(name)
            else:
                known = ["any", *self.groups, *self.modes]
                raise ValueError(f"unknown tau decay mode {name!r}; known modes and groups: {known}")
        return tuple(k for k in self.modes if k in wanted)
