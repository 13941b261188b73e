"""A project whose dataset has recorded data, with blinded results as the stages would leave them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from darkfactory.config.resolve import load_campaign
from darkfactory.core.files import write_json
from darkfactory.pipeline.layout import path
from darkfactory.pipeline.plan import Planner, stage_code
from darkfactory.pipeline.request import Request, provenance
from darkfactory.records.manifest import Manifest, Part
from darkfactory.store.arrays import write_table

ROOT = Path(__file__).parents[3]
W = {"search": "lfv_zprime_invisible", "dataset": "belle2_80fb"}
STAGES = ("preselect", "select", "model", "workspace", "limits")
CODE = {s: stage_code(s) for s in STAGES}


def make_project(folder: Path) -> None:
    """Configuration with the external sample ``mine`` of the dataset's luminosity."""
    shutil.copytree(ROOT / "config", folder / "config", ignore=shutil.ignore_patterns("schema.json"))
    external = {"files": ["a.root"], "kind": "data", "luminosity": "79.7 /fb", "collections": {"tracks": {"tree": "t"}}}
    entry = {"mine": {"detector": "belle2", "skims": ["dimuon_missing"], "external": external}}
    with (folder / "config" / "samples.yaml").open("a") as file:
        file.write(yaml.safe_dump(entry))


def planner(*more: dict[str, Any], recorded: tuple[str, ...] = ("mine",)) -> Planner:
    """The plan of the small campaign in the working folder."""
    own = {"overrides": {W["search"]: {"datasets": {W["dataset"]: {"recorded": list(recorded)}}}}}
    chosen = {"searches": {W["search"]: [W["dataset"]]}, "combinations": [], "external": []}
    return Planner(load_campaign("tiny", overrides=[chosen, own, *more]))


def write_results(plan: Planner) -> None:
    """Results that say that they were made with this configuration."""
    outputs = {"model": plan.model(W), "observed": plan.model(W)}
    for name, spec in outputs.items():
        write(plan, name, "model", spec)
    for block in plan.limit_blocks(W):
        write(plan, "workspace", "workspace", plan.workspace({**W, "block": block}), block=block)


def write(plan: Planner, name: str, stage: str, spec: dict[str, Any], **more: str) -> None:
    """One result with nothing but its origin."""
    request = Request(stage, {}, {}, spec, CODE[stage])
    write_json(path(name, campaign=plan.name, **W, **more), {"provenance": provenance(request)})


def write_recorded(folder: Path, mass2: np.ndarray, weight: float = 1.0, data: str = "real") -> Path:
    """Selected candidates of recorded data in two parts."""
    parts = []
    for i, some in enumerate(np.array_split(mass2, 2)):
        columns = {"m2_recoil": some, "weight": np.full(len(some), weight), "fold": np.arange(len(some)) % 4}
        name = f"mine-{i}.root"
        digest = write_table(folder / name, columns)
        parts.append(Part("all", i, name, digest, len(some), len(some), float(len(some)), {"data": data}))
    file = folder / "selected.json"
    write_json(file, Manifest("select", "mine", "all", tuple(parts)).to_dict())
    return file
