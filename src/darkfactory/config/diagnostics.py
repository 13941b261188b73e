"""Which fits a campaign examines more closely, and how."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from darkfactory.config.base import StrictModel

__all__ = ["DiagnosticsConfig"]

Kind = Literal["pulls", "impacts", "correlations", "gof", "injection", "coverage"]
Strength = Annotated[float, Field(ge=0)]


class DiagnosticsConfig(StrictModel):
    """The section `diagnostics` of a campaign."""

    points: int = Field(default=3, ge=0)
    """Points of each dataset: the largest excess, and others spread over the mass range; 0: none but the named ones."""
    drawn: int = Field(default=1, ge=0)
    """How many of these have figures on the report page; the others have tables, which cost next to nothing."""
    named: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Search to further points."""
    kinds: tuple[Kind, ...] = ("impacts", "correlations", "gof", "injection", "coverage")
    """What is made for each point; pulls are shown with the impacts."""
    gof_toys: int = Field(default=200, ge=20)
    """Pseudo-experiments of the goodness of fit."""
    injection_toys: int = Field(default=200, ge=20)
    """Pseudo-experiments of each injected signal."""
    injections: tuple[Strength, ...] = (0.0, 1.0, 2.0, 3.0, 5.0)
    """Injected signals in expected errors."""
    coverage_toys: int = Field(default=200, ge=20)
    """Pseudo-data sets of each true signal."""
    coverage_signals: tuple[Strength, ...] = (0.5, 1.0, 2.0, 3.0)
    """True signals in expected errors."""
    coverage_methods: tuple[Literal["asymptotic", "exact", "toys"], ...] = ("asymptotic",)
    """Methods whose coverage is simulated in the campaign. A toy limit needs toys of its own for every pseudo-data
    set: thousands of times the work of a limit."""
