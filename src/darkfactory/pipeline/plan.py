"""The DAG as data: for every stage its inputs and its resolved configuration, from the campaign and wildcards."""

from __future__ import annotations

import functools
from typing import Any

from darkfactory.config.combination import CombinationInput
from darkfactory.config.control import AppliedCorrection
from darkfactory.config.interpretation import InterpretationConfig
from darkfactory.config.load import validate
from darkfactory.config.points import parse_point, point_name
from darkfactory.config.search import SearchConfig
from darkfactory.core.digest import code_digest, digest_value
from darkfactory.core.errors import ConfigError
from darkfactory.pipeline.assumptions import tagged
from darkfactory.pipeline.blinding import chain_path, common_data, data_spec
from darkfactory.pipeline.fit_errors import with_errors
from darkfactory.pipeline.interpretations import control_entry, of_model, report_entry
from darkfactory.pipeline.joint_plan import joint_fits, member_signals
from darkfactory.pipeline.layout import path
from darkfactory.pipeline.plan_samples import SamplePlanner, Wildcards
from darkfactory.pipeline.unblind import blindings
from darkfactory.report.page import page_look

__all__ = ["Planner", "stage_code"]


@functools.cache
def stage_code(stage: str) -> str:
    """Digest of the code of a stage and of everything that it imports: a rule's parameter.

    Example:
        >>> stage_code("generate") == stage_code("generate")
        True
    """
    return code_digest(f"darkfactory.pipeline.{stage}")


class Planner(SamplePlanner):
    """Inputs and configuration of every job of a campaign.

    Args:
        campaign: the resolved campaign.
    """

    # What a search makes of it ------------------------------------------------------------------------------

    def _search(self, w: Wildcards) -> SearchConfig:
        known = self.campaign.searches
        if (w["search"], w["dataset"]) not in known:
            datasets = [d for s, d in known if s == w["search"]]
            raise ConfigError(
                f"{w['dataset']!r} is no dataset of {w['search']} in campaign {self.name}; it has {datasets}",
                where=f"{w['search']}/{w['dataset']}",
            )
        return known[w["search"], w["dataset"]]

    def period(self, w: Wildcards) -> str:
        """Period of a search's dataset."""
        return self._search(w).data.period

    def preselect(self, w: Wildcards) -> dict[str, Any]:
        """Candidates of a sample in a search."""
        config = self._search(w)
        detector = self._get("detectors", self.campaign.samples[w["sample"]].detector)
        return self._base(w) | {
            "search": w["search"],
            "dataset": w["dataset"],
            "beams": detector["beams"],
            "selection": with_errors(config.selection, detector),
            "trigger": config.trigger.model_dump(mode="json"),
            "menu": self._menu_of(w["sample"], config.data.period),
        }

    def signals(self, w: Wildcards) -> dict[str, str]:
        """Hypothesis to sample, without those that only fit others together."""
        config = self._search(w)
        return {name: h.sample for name, h in config.hypotheses.items() if h.joint is None}

    def joint(self, w: Wildcards) -> dict[str, dict[str, Any]]:
        """Hypotheses that fit others together, and which."""
        return joint_fits(self._search(w))

    def _analysis(self, w: Wildcards) -> dict[str, Any]:
        config = self._search(w)
        return {
            "seed": self.campaign.config.seed,
            "search": w["search"],
            "dataset": w["dataset"],
            "luminosity_fb": config.data.luminosity,
            "signals": self.signals(w),
            "reweighted": {name: list(h.reweighted) for name, h in config.hypotheses.items()},
            "lifetimes": {
                name: dict(self.campaign.samples[h.sample].lifetimes) for name, h in config.hypotheses.items()
            },
            "kind": str(config.templates.get("kind", "fits")),
            "backgrounds": list(config.backgrounds),
            **({"joint": self.joint(w)} if self.joint(w) else {}),
        }

    def grid(self, w: Wildcards) -> dict[str, list[str]]:
        """Hypothesis to its grid points in the dataset's range."""
        return {h: self.campaign.points(w["search"], w["dataset"], h) for h in self._search(w).hypotheses}

    def block(self, w: Wildcards) -> dict[str, list[str]]:
        """Hypothesis to the points of a block (or of the point that the block's name is)."""
        found: dict[str, list[str]] = {}
        for hypothesis in self._search(w).hypotheses:
            if self.has_windows(w) and not w["block"].startswith("m"):
                # the windows are data: no names stand for all of them
                found[hypothesis] = []
                continue
            named = self.campaign.blocks(w["search"], w["dataset"], hypothesis)
            if w["block"] in named:
                found[hypothesis] = named[w["block"]]
            elif w["block"].startswith("m"):
                parse_point(w["block"])
                found[hypothesis] = [w["block"]]
        return found

    def has_windows(self, w: Wildcards) -> bool:
        """Whether the points with limits are windows that the stage `templates` places, not the simulated points."""
        return self._search(w).templates.get("kind") == "ellipses"

    def limit_blocks(self, w: Wildcards) -> list[str]:
        """Names of the blocks of workspaces and limits: all windows share one."""
        return ["b000"] if self.has_windows(w) else self.blocks(w)

    def workspace_signals(self, w: Wildcards) -> list[str]:
        """Selected signals that the workspaces of a block need: none where all is interpolated."""
        if self.has_windows(w):
            return []
        found = self.selected_signals(w, "selected", [w["block"]])
        return list(dict.fromkeys([*found, *member_signals(self, w)]))

    def blocks(self, w: Wildcards) -> list[str]:
        """Names of all blocks of simulated points of a dataset."""
        names: dict[str, None] = {}
        for hypothesis in self._search(w).hypotheses:
            names.update(dict.fromkeys(self.campaign.blocks(w["search"], w["dataset"], hypothesis)))
        return list(names)

    def network(self, w: Wildcards) -> dict[str, Any]:
        """Training of a search's multivariate step."""
        config = self._search(w)
        return self._analysis(w) | {
            "network": config.network,
            "candidate": config.selection["candidate"],
            "grid": self.grid(w),
        }

    def select(self, w: Wildcards) -> dict[str, Any]:
        """Final selection of a sample in a search."""
        config = self._search(w)
        spec = {"search": w["search"], "dataset": w["dataset"], "network": config.network}
        paths = self.correction_paths(w)
        applied = {
            nuisance: {
                "file": paths.index(self._correction_path(one)),
                "correction": one.correction,
                "inputs": [dict(i) for i in one.inputs],
                "trigger": one.trigger,
                "nuisance": one.nuisance,
                "weight": one.weight,
            }
            for nuisance, one in config.corrections.items()
            if not one.samples or w["sample"] in one.samples
        }
        return self._base(w) | spec | ({"corrections": applied} if applied else {})

    def _correction_path(self, applied: AppliedCorrection) -> str:
        if applied.file:
            return applied.file
        return self.analysis_path("corrections", {"search": applied.search, "dataset": applied.dataset})

    def correction_paths(self, w: Wildcards) -> list[str]:
        """Files of the corrections that a dataset uses, each once."""
        return list(dict.fromkeys(self._correction_path(one) for one in self._search(w).corrections.values()))

    def control(self, w: Wildcards) -> dict[str, Any]:
        """The corrections that a control sample gives."""
        config = self._search(w)
        section = config.control
        compared = self.campaign.samples[section["data"]]
        real = compared.external is not None and compared.external.kind == "data"
        return self._analysis(w) | {
            "title": config.title,
            "control": section,
            "menu": self.menu(config.data.period),
            "menu_data": self._menu_of(section["data"], config.data.period),
            "response": compared.response,
            "data": "real" if real else "pseudo",
        }

    def model(self, w: Wildcards) -> dict[str, Any]:
        """Binning, shapes, backgrounds and pseudo-data of a search."""
        config = self._search(w)
        detector = self.campaign.samples[next(iter(self.signals(w).values()))].detector
        return self._analysis(w) | {
            "beams": self._get("detectors", detector)["beams"],
            "templates": config.templates,
            "trained": config.network is not None,
            "quantities": {name: h.quantity for name, h in config.hypotheses.items()},
            "luminosity_uncertainty": config.data.luminosity_uncertainty.model_dump(mode="json"),
            "grid": self.grid(w),
            **self.data(w),
        }

    def data(self, w: Wildcards) -> dict[str, Any]:
        """What stands for data, and the state of recorded ones."""
        return data_spec(self.name, self._search(w), self.campaign.config.data)

    def workspace(self, w: Wildcards) -> dict[str, Any]:
        """Workspaces of the points of a block."""
        joint = {"interpretation": self._search(w).interpretation} if self.joint(w) else {}
        return self.model(w) | {"block": self.block(w)} | joint

    def limits(self, w: Wildcards) -> dict[str, Any]:
        """Limits of the points of a block."""
        config = self._search(w)
        hypotheses = {
            h: {"quantity": c.quantity, "unit": c.unit, "maximum": c.largest} for h, c in config.hypotheses.items()
        }
        return self._analysis(w) | {
            "statistics": config.statistics,
            "hypotheses": hypotheses,
            "block": self.block(w),
            **self.data(w),
        }

    def scan(self, w: Wildcards) -> dict[str, Any]:
        """The whole scan of a dataset."""
        config = self._search(w)
        return self._analysis(w) | {
            "statistics": config.statistics,
            "toys": self.campaign.config.look_elsewhere_toys,
            "grid": self.grid(w),
            "templates": config.templates if self.has_windows(w) else {},
            "luminosity_uncertainty": config.data.luminosity_uncertainty.model_dump(mode="json"),
        }

    def measure(self, w: Wildcards) -> dict[str, Any]:
        """The number that a measurement gives."""
        config = self._search(w)
        injected = {}
        for name, one in config.measurement.get("corrections", {}).items():
            if one.get("applied"):
                made = config.corrections[name]
                control = self.campaign.searches[made.search, made.dataset].control
                formula: Any = self._response(control["data"], "detector")
                for key in one["injected"].split("."):
                    formula = formula[key]
                injected[name] = {"formula": formula, "inputs": dict(made.inputs[0])}
        spec = {"measurement": config.measurement, "grid": self.grid(w), "data": "pseudo", "injected": injected}
        return self._analysis(w) | spec

    def diagnostics(self, w: Wildcards) -> dict[str, Any]:
        """A closer look at a few fits of a dataset."""
        return self._analysis(w) | {
            "statistics": self._search(w).statistics,
            "diagnostics": self.campaign.config.diagnostics.model_dump(mode="json"),
        }

    def interpret(self, w: Wildcards) -> dict[str, Any]:
        """Couplings of a dataset."""
        config = self._search(w)
        return self._analysis(w) | {"interpretation": config.interpretation}

    def figures(self, w: Wildcards) -> dict[str, Any]:
        """Figures of a dataset."""
        samples = self.campaign.samples
        return self.interpret(w) | {
            "templates": self._search(w).templates if self.has_windows(w) else {},
            "projection": self._search(w).data.projection,
            **self.data(w),
            "references": self.campaign.config.references,
            "labels": {name: config.label or name for name, config in samples.items()},
        }

    def _inputs(self, w: Wildcards) -> list[tuple[Wildcards, CombinationInput, InterpretationConfig]]:
        """Wildcards, entry and interpretation of the inputs of a combination that the campaign has."""
        found: list[tuple[Wildcards, CombinationInput, InterpretationConfig]] = []
        for entry in self.campaign.combinations[w["combination"]].inputs:
            config = self.campaign.searches.get((entry.search, entry.dataset))
            if config is None:
                continue
            section = validate(InterpretationConfig, config.interpretation, where="interpretation")
            found.append(({"search": entry.search, "dataset": entry.dataset}, entry, section))
        return found

    def combination_sources(self, w: Wildcards) -> list[dict[str, str]]:
        """Search, dataset, block and point of everything that a combination reads: blocks of scans, single points."""
        config = self.campaign.combinations[w["combination"]]
        masses = config.grids[self.campaign.config.grid].expand()
        found = []
        for where, entry, section in self._inputs(w):
            if config.kind == "lifetimes":
                region = section.regions.get(entry.model) or section.b_decays[entry.model]
                for hypothesis in region.hypotheses:
                    named = self.campaign.blocks(where["search"], where["dataset"], hypothesis)
                    found += [
                        {**where, "block": block, "point": point, "hypothesis": hypothesis}
                        for block, points in named.items()
                        for point in points
                        if parse_point(point)["mass"] in masses
                    ]
                continue
            model = section.models[entry.model]
            low, high = self.campaign.searches[where["search"], where["dataset"]].data.mass_range
            named = self.campaign.blocks(where["search"], where["dataset"], model.hypothesis)
            for mass in masses:
                if low <= mass <= high:
                    point = point_name({"mass": mass})
                    block = next((b for b, points in named.items() if point in points), "")
                    if not block and not config.make_points:
                        continue
                    block = block or point
                    found.append({**where, "block": block, "point": point, "hypothesis": model.hypothesis})
        return found

    def combination_paths(self, w: Wildcards, name: str) -> list[str]:
        """Paths of the workspaces or limits that a combination reads, each once."""
        return list(dict.fromkeys(self.analysis_path(name, s, block=s["block"]) for s in self.combination_sources(w)))

    def combine(self, w: Wildcards) -> dict[str, Any]:
        """A combination of searches."""
        config = self.campaign.combinations[w["combination"]]
        inputs = [
            {
                **where,
                "tags": list(entry.tags),
                "model": entry.model,
                "interpretation": of_model(section, entry.model, config.kind),
                "luminosity_fb": self.campaign.searches[where["search"], where["dataset"]].data.luminosity,
            }
            for where, entry, section in self._inputs(w)
        ]
        have = {(i["search"], i["dataset"]) for i in inputs}
        sources = self.combination_sources(w)
        order = {p: i for i, p in enumerate(self.combination_paths(w, "workspace"))}
        for source in sources:
            source["file"] = str(order[self.analysis_path("workspace", source, block=source["block"])])
        return {
            "seed": self.campaign.config.seed,
            "combination": config.model_dump(mode="json", exclude={"inputs", "grids"}),
            "inputs": inputs,
            "data": common_data(self.data(where)["data"] for where, _, _ in self._inputs(w)),
            "absent": [f"{i.search}/{i.dataset}" for i in config.inputs if (i.search, i.dataset) not in have],
            "sources": sources,
        }

    def report(self, w: Wildcards) -> dict[str, Any]:
        """The report page of the campaign."""
        config, library = self.campaign.config, self.campaign.library
        assumed: dict[str, list[dict[str, Any]]] = {}
        for sample in self.campaign.samples.values():
            kinds = (("detectors", sample.detector), ("processes", sample.process), ("responses", sample.response))
            for kind, name in kinds:
                if not name:
                    continue
                assumed[f"{kind}/{name}"] = tagged(library.get(kind, name), "assumed")
        for (search, dataset), resolved in self.campaign.searches.items():
            assumed[f"searches/{search}, {dataset}"] = tagged(resolved.model_dump(mode="json"), "assumed")
            assumed[f"period {resolved.data.period}"] = tagged(self.menu(resolved.data.period), "assumed")
        return {
            "campaign": config.campaign,
            "description": config.description,
            "seed": config.seed,
            "data": config.data,
            "blinding": {f"{s}/{d}": b.to_dict() for (s, d), b in blindings(self).items()},
            "searches": [report_entry(self.campaign.searches[key]) for key in self.campaign.limited],
            "measurements": [report_entry(self.campaign.searches[key]) for key in self.campaign.measured],
            "controls": [control_entry(self.campaign, *key) for key in self.campaign.controlled],
            "combinations": {n: c.title for n, c in self.campaign.combinations.items()},
            # no module of the stage: its code's digest does not know them
            "look": digest_value(page_look()),
            "scenarios": {n: f.model_dump(mode="json") for n, f in self.campaign.scenarios.items()},
            "references": config.references,
            "assumed": {name: rows for name, rows in assumed.items() if rows},
        }

    # Paths --------------------------------------------------------------------------------------------------

    def analysis_path(self, name: str, w: Wildcards, **more: str) -> str:
        """Path of an output of a search's stage."""
        return path(name, campaign=self.name, search=w["search"], dataset=w["dataset"], **more)

    def selected_signals(self, w: Wildcards, name: str, blocks: list[str] | None = None) -> list[str]:
        """Paths of a selection output for the signals (or that of w's hypothesis), over some blocks or all."""
        found: dict[str, None] = {}
        for hypothesis, sample in self.signals(w).items():
            if w.get("hypothesis", hypothesis) != hypothesis:
                continue
            for block in blocks if blocks is not None else self.blocks(w):
                if self.has_block(w, hypothesis, block):
                    point = block.startswith("m")
                    own = self.campaign.simulated_point(w["search"], hypothesis, block) if point else block
                    found[self.analysis_path(name, w, sample=sample, block=own)] = None
        return list(found)

    def has_block(self, w: Wildcards, hypothesis: str, block: str) -> bool:
        """Whether a hypothesis has a block: hypotheses have grids of their own. A point's name is a block of all."""
        return block.startswith("m") or block in self.campaign.blocks(w["search"], w["dataset"], hypothesis)

    def recorded(self, w: Wildcards) -> list[str]:
        """Paths of the selected recorded data: none while they are blinded."""
        opened = self.data(w)["data"] == "real"
        samples = self._search(w).data.recorded if opened else ()
        return [self.analysis_path("selected", w, sample=s, block="all") for s in samples]

    def unblinding(self, w: Wildcards) -> list[str]:
        """Path of the record that opens them, if there is one."""
        return [str(chain_path(self.name, w["search"], w["dataset"]))] if self.recorded(w) else []

    def selected_data(self, w: Wildcards) -> str:
        """Path of the selected candidates that a control sample compares its simulation with."""
        return self.analysis_path("selected", w, sample=self._search(w).control["data"], block="all")

    def selected_backgrounds(self, w: Wildcards, name: str) -> list[str]:
        """Paths of a selection output for the backgrounds."""
        config = self._search(w)
        return [self.analysis_path(name, w, sample=s, block="all") for s in config.backgrounds]
