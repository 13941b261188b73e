"""Every job of a campaign as data: its stage, wildcards, output, and the outputs that it waits for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from darkfactory.pipeline.layout import PATTERNS, path
from darkfactory.pipeline.plan import Planner

__all__ = ["CHUNKED", "STAGE_OF", "Job", "blocks_of", "jobs_of", "sample_users", "which_output"]

STAGE_OF: Mapping[str, str] = {
    "gridpacks": "integrate", "truth": "generate", "reco": "simulate", "skim": "skim", "triggered": "trigger",
    "rates": "rates", "preselected": "preselect", "network": "network", "selected": "select", "cutflow": "model",
    "trigger": "model", "efficiency": "model", "model": "model", "observed": "model", "workspace": "workspace",
    "limits": "limits", "limits_csv": "scan", "scan": "scan", "couplings": "interpret", "figures": "figures",
    "diagnostics": "diagnostics", "combined_couplings": "combine", "combined_workspaces": "combine",
    "combination": "combine", "measurement": "measure", "measurement_figures": "measure",
    "corrections": "control", "control": "control", "control_figures": "control",
    "report": "report", "manifest": "report",
}  # fmt: skip
"""Name of an output to the stage that makes it; external samples have ``ingest`` in place of ``simulate``."""

CHUNKED = ("integrate", "generate", "simulate", "ingest", "skim", "trigger", "preselect", "select")
"""Stages that write manifests of parts."""

_RULES = {"model": "templates", "network": "train_network", "rates": "trigger_rates"}


@dataclass(frozen=True)
class Job:
    """One job.

    Attributes:
        stage: name of the stage's module.
        wildcards: what tells it from others of its stage.
        output: path of its first output.
        waits: paths of first outputs that it waits for.
    """

    stage: str
    wildcards: Mapping[str, str]
    output: str
    waits: tuple[str, ...] = field(default=())

    @property
    def rule(self) -> str:
        """Name of the rule, which the costs go by.

        Example:
            >>> Job("model", {}, "x").rule
            'templates'
        """
        return _RULES.get(self.stage, self.stage)


def blocks_of(plan: Planner, w: Mapping[str, str], sample: str) -> list[str]:
    """Blocks of a signal sample that a dataset uses; hypotheses have grids of their own."""
    hypotheses = [h for h, s in plan.signals(w).items() if s == sample]
    return [b for b in plan.blocks(w) if any(plan.has_block(w, h, b) for h in hypotheses)]


def sample_users(plan: Planner) -> Iterator[tuple[str, list[str], list[tuple[dict[str, str], set[str]]]]]:
    """Every sample with its blocks, and the datasets that read it, each with its blocks of the sample."""
    campaign = plan.campaign
    for sample in campaign.samples:
        users: list[tuple[dict[str, str], set[str]]] = []
        blocks: dict[str, None] = {}
        for (search, dataset), config in campaign.searches.items():
            w = {"search": search, "dataset": dataset}
            own: dict[str, None] = {}
            recorded = plan.analysis_path("selected", w, sample=sample, block="all") in plan.recorded(w)
            if sample in config.shared_samples or recorded:
                own["all"] = None
            if sample in plan.signals(w).values():
                own.update(dict.fromkeys(blocks_of(plan, w, sample)))
            if own:
                users.append((w, set(own)))
                blocks.update(own)
        yield sample, list(blocks) or ["all"], users


def _sample_jobs(plan: Planner) -> Iterator[Job]:
    for sample, blocks, users in sample_users(plan):
        external = plan.campaign.samples[sample].external is not None
        for block in blocks:
            w = {"sample": sample, "block": block}
            at = {name: plan.sample_path(name, sample, block) for name in ("gridpacks", "truth", "reco", "skim")}
            if external:
                yield Job("ingest", w, at["reco"])
            else:
                yield Job("integrate", w, at["gridpacks"])
                yield Job("generate", w, at["truth"], (at["gridpacks"],))
                yield Job("simulate", w, at["reco"], (at["truth"],))
            # a block may lie outside the mass range of one of the datasets
            readers = [u for u, own in users if block in own]
            if not readers:
                continue
            yield Job("skim", w, at["skim"], (at["reco"],))
            for period in dict.fromkeys(plan.period(u) for u in readers):
                triggered = plan.sample_path("triggered", sample, block, period=period)
                yield Job("trigger", w | {"period": period}, triggered, (at["skim"],))
            for u in readers:
                triggered = plan.sample_path("triggered", sample, block, period=plan.period(u))
                first, last = (plan.analysis_path(n, u, **w) for n in ("preselected", "selected"))
                yield Job("preselect", w | u, first, (triggered,))
                network = plan.campaign.searches[u["search"], u["dataset"]].network is not None
                waits = (first, *((plan.analysis_path("network", u),) if network else ()), *_corrections_of(plan, u))
                yield Job("select", w | u, last, waits)


def _corrections_of(plan: Planner, w: Mapping[str, str]) -> list[str]:
    """Corrections that control samples of the campaign make for a dataset."""
    applied = plan.campaign.searches[w["search"], w["dataset"]].corrections.values()
    made = {plan.analysis_path("corrections", {"search": a.search, "dataset": a.dataset}) for a in applied if a.search}
    return [p for p in plan.correction_paths(w) if p in made]


def _analysis_jobs(plan: Planner) -> Iterator[Job]:
    for (search, dataset), config in plan.campaign.searches.items():
        w = {"search": search, "dataset": dataset}
        at = {n: plan.analysis_path(n, w) for n in ("network", "model", "limits_csv", "couplings", "figures")}
        if config.network is not None:
            names = (*plan.selected_signals(w, "preselected"), *plan.selected_backgrounds(w, "preselected"))
            yield Job("network", w, at["network"], names)
        signals, backgrounds = plan.selected_signals(w, "selected"), plan.selected_backgrounds(w, "selected")
        if config.kind == "control":
            yield Job("control", w, plan.analysis_path("corrections", w), (plan.selected_data(w), *backgrounds))
            continue
        if (search, dataset) in plan.campaign.measured:
            yield Job("measure", w, plan.analysis_path("measurement", w), (*signals, *backgrounds))
            continue
        yield Job("model", w, at["model"], (*signals, *backgrounds, *plan.recorded(w)))
        limits, workspaces = [], []
        for block in plan.limit_blocks(w):
            inside = w | {"block": block}
            workspaces.append(plan.analysis_path("workspace", w, block=block))
            limits.append(plan.analysis_path("limits", w, block=block))
            yield Job("workspace", inside, workspaces[-1], (at["model"], *plan.workspace_signals(inside)))
            yield Job("limits", inside, limits[-1], (workspaces[-1],))
        yield Job("scan", w, at["limits_csv"], (*limits, *workspaces))
        yield Job("diagnostics", w, plan.analysis_path("diagnostics", w), (at["limits_csv"], *workspaces))
        yield Job("interpret", w, at["couplings"], (at["limits_csv"],))
        yield Job("figures", w, at["figures"], (at["couplings"], at["limits_csv"]))


def jobs_of(plan: Planner) -> list[Job]:
    """All jobs of a campaign; those that a job waits for may come after it in the list."""
    found = [*_sample_jobs(plan), *_analysis_jobs(plan)]
    for period, rates in plan.campaign.config.trigger_rates.items():
        waits = tuple(plan.sample_path("reco", s, "all") for s in rates.samples)
        found.append(Job("rates", {"period": period}, path("rates", campaign=plan.name, period=period), waits))
    for name in plan.campaign.combinations:
        w = {"combination": name}
        paths = tuple(plan.combination_paths(w, "limits"))
        found.append(Job("combine", w, path("combined_couplings", campaign=plan.name, combination=name), paths))
    last = tuple(
        j.output for j in found if j.stage in ("figures", "diagnostics", "measure", "control", "rates", "combine")
    )
    return [*found, Job("report", {}, path("report", campaign=plan.name), last)]


def which_output(target: str) -> tuple[str, dict[str, str]] | None:
    """Name and wildcards of the output that a path is, None if it is none.

    Example:
        >>> which_output("results/tiny/samples/belle2_mumu/all/truth.json")
        ('truth', {'campaign': 'tiny', 'sample': 'belle2_mumu', 'block': 'all'})
        >>> which_output("README.md") is None
        True
    """
    for name, pattern in PATTERNS.items():
        expression = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(pattern))
        match = re.fullmatch(expression, target)
        if match is not None:
            return name, match.groupdict()
    return None
