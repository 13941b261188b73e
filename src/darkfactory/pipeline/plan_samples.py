"""The jobs of samples as data: what they are generated, simulated, read, skimmed and triggered with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from darkfactory.config.external import ExternalConfig
from darkfactory.config.load import deep_merge, validate
from darkfactory.config.ntuples import name_map
from darkfactory.config.period import PeriodsConfig, load_periods, period_menu
from darkfactory.config.process import ProcessConfig
from darkfactory.config.resolve import Campaign
from darkfactory.core.errors import ConfigError
from darkfactory.pipeline.layout import path
from darkfactory.pipeline.request import MAX_FAILED
from darkfactory.store.remote import is_remote
from darkfactory.store.sources import list_files

__all__ = ["SamplePlanner", "Wildcards"]

Wildcards = Mapping[str, str]


class SamplePlanner:
    """Inputs and configuration of the jobs of samples, which searches share.

    Args:
        campaign: the resolved campaign.
    """

    def __init__(self, campaign: Campaign) -> None:
        self.campaign = campaign
        self.name = campaign.config.campaign
        self.periods: PeriodsConfig = load_periods(campaign.library.root / "periods.yaml")
        self._menus: dict[str, dict[str, Any]] = {}
        self._files: dict[tuple[str, str], dict[str, Any]] = {}

    def _get(self, kind: str, name: str) -> dict[str, Any]:
        """A file of the library; thousands of jobs share it, none of them writes to it."""
        if (kind, name) not in self._files:
            library = self.campaign.library
            self._files[kind, name] = library.get(kind, name) if kind else library.file(f"{name}.yaml")
        return self._files[kind, name]

    def sample_path(self, name: str, sample: str, block: str, **more: str) -> str:
        """Path of an output of a sample's stage."""
        return path(name, campaign=self.name, sample=sample, block=block, **more)

    def _base(self, w: Wildcards) -> dict[str, Any]:
        allowed = self.campaign.config.execution.max_failed_fraction
        return {
            "seed": self.campaign.config.seed,
            "sample": w["sample"],
            "block": w["block"],
            "points": self.campaign.block_points(w["sample"], w["block"]),
            **({MAX_FAILED: allowed} if allowed else {}),
        }

    def _process(self, sample: str) -> dict[str, Any]:
        library, config = self.campaign.library, self.campaign.samples[sample]
        if config.external is not None:
            raise ConfigError("this sample is external: it has no process to generate", where=sample)
        process = self._get("processes", config.process)
        spec = {
            "process": process,
            "beams": self._get("detectors", config.detector)["beams"],
            "axes": dict(config.axes),
            "parameters": dict(config.parameters),
        }
        entry = validate(ProcessConfig, process, file=str(library.path("processes", config.process)))
        if entry.uses_model:
            spec["model"] = self._get("models", entry.model)
            if entry.taus is not None:
                spec["tau_decays"] = self._get("", "tau_decays")
        return spec

    def integrate(self, w: Wildcards) -> dict[str, Any]:
        """Gridpacks of a block."""
        return self._base(w) | self._process(w["sample"])

    def generate(self, w: Wildcards) -> dict[str, Any]:
        """Truth events of a block."""
        numbers = {"events": self.campaign.events(w["sample"]), "chunk": self.campaign.config.execution.chunk}
        return self._base(w) | self._process(w["sample"]) | numbers

    def simulate(self, w: Wildcards) -> dict[str, Any]:
        """Reconstructed events of a block."""
        config = self.campaign.samples[w["sample"]]
        detector, own = self._get("detectors", config.detector), self._response(w["sample"], "detector")
        detector = deep_merge(detector, own) if own else detector
        return self._base(w) | {"detector": detector, "options": dict(config.simulate)}

    def _response(self, sample: str, part: str) -> dict[str, Any]:
        """What a sample that stands for data has instead of the detector's table or the trigger menu."""
        name = self.campaign.samples[sample].response
        return dict(self._get("responses", name).get(part) or {}) if name else {}

    def ingest(self, w: Wildcards) -> dict[str, Any]:
        """Reconstructed events of an external sample."""
        external = self._external(w["sample"])
        library = self.campaign.library
        names = name_map(library, external.map, where=f"{w['sample']}.external.map")
        detector = self._get("detectors", self.campaign.samples[w["sample"]].detector)
        value = external.model_dump(mode="json")
        signal = self.signal_files(w)
        if signal:
            # other points are other jobs: this one goes by its own
            value["points"] = [p for p, q in zip(value["points"], external.points, strict=True) if q.name in signal]
        # files on disks are inputs of the job: they need not be here to say what it does
        remote = list_files([f for f in external.files if is_remote(f)])
        return (
            self._base(w)
            | {
                "external": value,
                "map": names.model_dump(mode="json"),
                "acceptance": detector["acceptance"],
                "chunk": self.campaign.config.execution.chunk,
            }
            | ({"signal": signal} if signal else {})
            | ({"remote": remote} if remote else {})
        )

    def signal_files(self, w: Wildcards) -> dict[str, dict[str, Any]]:
        """Of an own signal, by point of a block (``all``: every point): files, and what normalises them."""
        external = self._external(w["sample"])
        if not external.points:
            return {}
        known = {p.name: p for p in external.points}
        wanted = list(known) if w["block"] == "all" else self.campaign.block_points(w["sample"], w["block"])
        absent = [p for p in wanted if p not in known]
        if absent:
            raise ConfigError(
                f"there are no files for {', '.join(absent)}; own signals have the points they were made at: "
                f"{', '.join(known)}",
                where=f"{w['sample']}.external.points",
            )
        return {
            name: {
                "files": list_files(known[name].files),
                "cross_section": known[name].cross_section or external.cross_section,
                "n_generated": known[name].n_generated,
            }
            for name in wanted
        }

    def ntuples(self, sample: str, block: str = "all") -> list[str]:
        """Files of an external sample that lie on a disk; of a signal, those of a block, by default of all points.

        Remote ones are named in the configuration of the stage.
        """
        points = self.signal_files({"sample": sample, "block": block}).values()
        found = [f for p in points for f in p["files"]] or list_files(self._external(sample).files)
        return [f for f in found if not is_remote(f)]

    def _external(self, sample: str) -> ExternalConfig:
        external = self.campaign.samples[sample].external
        if external is None:
            raise ConfigError("this sample is generated: it has a process, not external", where=sample)
        return external

    def external_samples(self) -> list[str]:
        """Names of the samples that come as ntuples."""
        return [name for name, sample in self.campaign.samples.items() if sample.external is not None]

    def skim(self, w: Wildcards) -> dict[str, Any]:
        """Skimmed events of a block."""
        config = self.campaign.samples[w["sample"]]
        beams = self._get("detectors", config.detector)["beams"]
        return self._base(w) | {"beams": beams, "skims": {s: self._get("skims", s) for s in config.skims}}

    def trigger(self, w: Wildcards) -> dict[str, Any]:
        """Trigger bits of a block in a period."""
        config = self.campaign.samples[w["sample"]]
        return self._base(w) | {
            "period": w["period"],
            "beams": self._get("detectors", config.detector)["beams"],
            "menu": self._menu_of(w["sample"], w["period"]),
        }

    def _menu_of(self, sample: str, period: str) -> dict[str, Any]:
        return deep_merge(self.menu(period), self._response(sample, "trigger"))

    def menu(self, period: str) -> dict[str, Any]:
        """The trigger menu of a period, resolved."""
        if period not in self._menus:
            config = self.periods.get(period, where="period", file="periods.yaml")
            menu = period_menu(config, self.campaign.library.root / "triggers")
            self._menus[period] = menu.model_dump(mode="json", by_alias=True)
        return self._menus[period]

    def rates(self, w: Wildcards) -> dict[str, Any]:
        """Rates of a period's menu."""
        config = self.campaign.config.trigger_rates[w["period"]]
        detector = self.campaign.samples[config.samples[0]].detector
        return {
            "seed": self.campaign.config.seed,
            "period": w["period"],
            "menu": self.menu(w["period"]),
            "beams": self._get("detectors", detector)["beams"],
            "luminosity_1e34": config.luminosity_1e34.value,
        }
