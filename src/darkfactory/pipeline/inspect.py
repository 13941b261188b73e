"""A first look at ntuples: what a name map finds in them, and how many events pass each cut of a search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from darkfactory.config.external import CollectionConfig
from darkfactory.config.ntuples import NtupleMapConfig
from darkfactory.config.resolve import Campaign
from darkfactory.config.sample import SampleConfig
from darkfactory.core.errors import InputError
from darkfactory.events.objects import SCHEMAS, field_recipes
from darkfactory.execute.backends import SerialBackend
from darkfactory.pipeline import ingest, preselect, skim, trigger
from darkfactory.pipeline.parts import Progress, read_manifest
from darkfactory.pipeline.plan import Planner
from darkfactory.pipeline.request import Request
from darkfactory.records.cutflow import Cutflow
from darkfactory.store.ntuples import NtupleInfo, open_ntuple, tree_columns, tree_names

__all__ = ["SAMPLE", "Look", "find_collections", "look_at_search", "look_at_trees"]

SAMPLE = "inspected"
"""Name of the sample that the files stand for while they are looked at."""
_SHOWN = 15
_STAGES = (
    ("ingest", ingest, "ntuples"),
    ("skim", skim, "reco"),
    ("trigger", trigger, "skim"),
    ("preselect", preselect, "triggered"),
)


@dataclass(frozen=True)
class Look:
    """Events through a search.

    Attributes:
        events: in the files.
        skims: cutflow of each skim.
        selection: cutflow of the search's selection, of what the skims keep.
        filled: fields of objects for which a default stands in.
    """

    events: int
    skims: Mapping[str, Cutflow]
    selection: Cutflow
    filled: tuple[str, ...]


def look_at_trees(path: str | Path, name_map: NtupleMapConfig, trees: Sequence[str] = ()) -> list[NtupleInfo]:
    """What each tree of a file offers; by default all trees.

    Raises:
        InputError: missing, foreign or damaged file; no such tree; a required column is missing.
    """
    return [open_ntuple(path, tree, name_map) for tree in trees or tree_names(path)]


def find_collections(files: Sequence[str], name_map: NtupleMapConfig) -> dict[str, dict[str, Any]]:
    """Which trees and daughters of the first file have what makes tracks, clusters and clusters of the muon system.

    A candidate with daughters is not an object itself; what has a momentum is a track, not a photon.

    Raises:
        InputError: nothing does, or several trees do.
    """
    file = files[0]
    found: dict[str, dict[str, list[str]]] = {}
    lacking: list[str] = []
    for tree in tree_names(file):
        columns = tree_columns(file, tree, name_map)[0]
        prefixes = dict.fromkeys(c[: -len(b)].rstrip("_") for c, b in columns.items() if b and c.endswith(b))
        taken: set[str] = set()
        for kind in SCHEMAS:
            own = []
            for prefix in (p for p in prefixes if p not in taken):
                try:
                    field_recipes(kind, CollectionConfig(tree=tree), prefix, list(columns))
                except InputError:
                    continue
                own.append(prefix)
            taken |= set(own)
            if own:
                found.setdefault(kind, {})[tree] = [p for p in own if p] or own
        if not taken:
            lacking.append(f"{tree} ({', '.join(list(columns)[:_SHOWN])}{', ...' if len(columns) > _SHOWN else ''})")
    several = {kind: sorted(trees) for kind, trees in found.items() if len(trees) > 1}
    if several or not {"tracks", "clusters"} & set(found):
        what = f"several trees have {several}" if several else f"no tree has them: {'; '.join(lacking)}"
        raise InputError(
            f"{file}: which rows are tracks (charge, px, py, pz) and which photons (clusterE, clusterTheta, "
            f"clusterPhi)? {what}. Say it with --tracks, --clusters, --klm (TREE or TREE:PREFIX,...) or --sample, or "
            "write the ntuple with these variables of the particles (docs/howto-own-ntuples.md)"
        )
    return {
        kind: {"tree": tree, **({"prefixes": own} if own != [""] else {})}
        for kind in SCHEMAS
        for tree, own in found.get(kind, {}).items()
    }


def look_at_search(
    campaign: Campaign,
    w: Mapping[str, str],
    sample: SampleConfig,
    folder: Path,
    progress: Progress,
) -> Look:
    """Send files through the stages of a search as if they were a sample of its campaign.

    Args:
        campaign: with the search.
        w: search and dataset.
        sample: the files, and what they are.
        folder: for what the stages write.
        progress: told what is done.

    Raises:
        InputError: as the stage `ingest`.
    """
    planner = Planner(replace(campaign, samples={**campaign.samples, SAMPLE: sample}, _known={}))
    where = {**w, "campaign": planner.name, "sample": SAMPLE, "block": "all"}
    where["period"] = planner.period(where)
    # remote ones are in the configuration of the stage
    source: Any = planner.ntuples(SAMPLE)
    for name, stage, wanted in _STAGES:
        output = folder / f"{name}.json"
        spec = getattr(planner, name)(where)
        request = Request(name, {wanted: source}, {"manifest": str(output)}, spec, "inspect")
        stage.run(request, SerialBackend(), progress)
        source = str(output)
    skimmed, selected = (read_manifest(folder / f"{n}.json").parts for n in ("skim", "preselect"))
    flows: dict[str, list[Cutflow]] = {}
    for part in skimmed:
        for skim_name, flow in part.meta["skim"].items():
            flows.setdefault(skim_name, []).append(Cutflow.from_dict(flow))
    told = [part.meta["external"]["filled"] for part in skimmed]
    return Look(
        events=sum(p.events for p in read_manifest(folder / "ingest.json").parts),
        skims={n: Cutflow.total(f) for n, f in flows.items()},
        selection=Cutflow.total([Cutflow.from_dict(p.meta["cutflow"]) for p in selected]),
        filled=tuple(dict.fromkeys(name for one in told for name in one)),
    )
