"""What stages cost in CPU time and disk: measured or assumed numbers of one core, and how they scale."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from darkfactory.config.base import StrictModel, Tagged
from darkfactory.config.load import read_yaml, validate

__all__ = ["CostsConfig", "StageCost", "load_costs"]


class StageCost(StrictModel):
    """Cost of one stage, linear in jobs, points and events."""

    seconds_per_job: Tagged | None = None
    """Start-up and fixed work of a job, s."""
    seconds_per_point: Tagged | None = None
    """Per point of the grid, s."""
    seconds_per_event: Tagged | None = None
    """Per event (of `scan`: per toy and point), s."""
    processes: dict[str, Tagged] = Field(default_factory=dict)
    """Seconds per event of named processes, in place of `seconds_per_event`."""
    bytes_per_event: Tagged | None = None
    """On disk per event that the stage writes."""
    bytes_per_point: Tagged | None = None
    """On disk per point of the grid."""
    kept: Tagged | None = None
    """Fraction of the events that the stage hands on; all of them where it is not given."""

    def seconds(self, *, jobs: int = 0, points: int = 0, events: float = 0.0, process: str = "") -> float:
        """CPU time of one core in seconds.

        Example:
            >>> cost = StageCost(seconds_per_event=Tagged(value=1e-5, source="assumed"))
            >>> cost.seconds(jobs=3, events=200_000)
            2.0
        """
        event = self.processes.get(process, self.seconds_per_event)
        return jobs * _number(self.seconds_per_job) + points * _number(self.seconds_per_point) + events * _number(event)

    def size(self, *, points: int = 0, events: float = 0.0) -> float:
        """Bytes on disk for ``events`` read by the stage.

        Example:
            >>> cost = StageCost(bytes_per_event=Tagged(value=250, source="assumed"),
            ...                  kept=Tagged(value=0.5, source="assumed"))
            >>> cost.size(events=1000)
            125000.0
        """
        return points * _number(self.bytes_per_point) + self.passed(events) * _number(self.bytes_per_event)

    def passed(self, events: float) -> float:
        """Events that the stage hands on.

        Example:
            >>> StageCost().passed(10.0)
            10.0
        """
        return events * (1.0 if self.kept is None else self.kept.value)


class CostsConfig(StrictModel):
    """The file config/costs.yaml."""

    description: str = ""
    """Machine and versions of the measured numbers."""
    stages: dict[str, StageCost] = Field(min_length=1)
    """Stage (a rule's name) to its cost; stages that are not named cost nothing."""

    def of(self, stage: str) -> StageCost:
        """Cost of a stage."""
        return self.stages.get(stage, StageCost())

    def sources(self) -> dict[str, int]:
        """How many of the numbers have which source.

        Example:
            >>> one = {"value": 1, "source": "measured"}
            >>> CostsConfig.model_validate({"stages": {"skim": {"seconds_per_job": one}}}).sources()
            {'measured': 1}
        """
        found: dict[str, int] = {}
        for cost in self.stages.values():
            named = (getattr(cost, name) for name in StageCost.model_fields if name != "processes")
            for number in [*named, *cost.processes.values()]:
                if number is not None:
                    found[number.source] = found.get(number.source, 0) + 1
        return dict(sorted(found.items()))


def load_costs(config_dir: str | Path) -> CostsConfig:
    """Read costs.yaml of a configuration folder.

    Raises:
        ConfigError: missing or wrong.
    """
    file = Path(config_dir) / "costs.yaml"
    return validate(CostsConfig, read_yaml(file), file=str(file))


def _number(value: Tagged | None) -> float:
    return 0.0 if value is None else value.value
