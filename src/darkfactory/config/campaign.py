"""A campaign: which searches and datasets, how many events, which grid, which seed."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from darkfactory.config.base import StrictModel, Tagged
from darkfactory.config.diagnostics import DiagnosticsConfig

__all__ = ["CampaignConfig", "EventNumbers", "ExecutionConfig", "TriggerRates"]


class EventNumbers(StrictModel):
    """Numbers of generated events."""

    signal: int = Field(default=4000, gt=0)
    """Per point."""
    background: int = Field(default=100_000, gt=0)
    """Per sample that has no number of its own."""
    samples: dict[str, int] = Field(default_factory=dict)
    """Per named sample (a signal sample: per point)."""


class ExecutionConfig(StrictModel):
    """How work is cut; not where it runs, which the profiles say."""

    chunk: int = Field(default=20_000, gt=0)
    """Events in a chunk; part of the result's bits."""
    block: int = Field(default=10, gt=0)
    """Points that share a job."""
    max_failed_fraction: float = Field(default=0.0, ge=0, le=1)
    """A stage fails when more of its chunks fail for good."""


class TriggerRates(StrictModel):
    """Rates of one period's menu."""

    samples: tuple[str, ...] = Field(min_length=1)
    """Samples without forcing and bias, each process once."""
    luminosity_1e34: Tagged
    """Instantaneous luminosity in 1e34 /cm2/s."""


class CampaignConfig(StrictModel):
    """A file of config/campaigns, merged with the command line."""

    campaign: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    """Name; results go to results/<campaign>."""
    description: str = ""
    seed: int = Field(ge=0)
    """Root of the seed tree."""
    grid: str = "laptop"
    """Which of the hypotheses' named grids."""
    searches: dict[str, tuple[str, ...]] = Field(min_length=1)
    """Search name to its datasets; an empty list takes all."""
    events: EventNumbers = EventNumbers()
    execution: ExecutionConfig = ExecutionConfig()
    data: Literal["pseudo", "asimov"] = "pseudo"
    """What stands for data: toys with a recorded seed, or the expectation itself."""
    references: str = "references"
    """Folder of published tables to compare with; what is not there is left out of figures."""
    look_elsewhere_toys: int = Field(default=0, ge=0)
    """Toys of the whole scan for the global significance; 0: only Gross-Vitells."""
    combinations: tuple[str, ...] = ()
    """Files of config/combinations: searches of one model together."""
    scenarios: tuple[str, ...] = ()
    """Files of config/scenarios: datasets of a search under other trigger lines, side by side; see `scenarios`."""
    diagnostics: DiagnosticsConfig = DiagnosticsConfig()
    """A closer look at a few fits of each dataset."""
    external: tuple[str, ...] = ()
    """External samples that can be asked for besides those that searches use as backgrounds: data, for instance."""
    trigger_rates: dict[str, TriggerRates] = Field(default_factory=dict)
    """Periods whose menu's rates are worked out, and from which samples."""
    overrides: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Deep overrides of files of searches and combinations: {zprime_invisible: {network: {...}}}."""
