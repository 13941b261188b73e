"""Background-only workspaces and pyhf patch sets: the form in which results are archived."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from darkfactory.templates.workspace import POI, PointWorkspace

__all__ = ["PatchedBackground", "patch_sets"]


@dataclass(frozen=True)
class PatchedBackground:
    """One background and the signals that are searched for on it.

    Attributes:
        background: the background-only workspace, plain JSON.
        patchset: pyhf PatchSet with one signal per point, plain JSON.
        points: the points as ``hypothesis/point``, in the patch set's order.
    """

    background: dict[str, Any]
    patchset: dict[str, Any]
    points: tuple[str, ...]


def patch_sets(points: Sequence[PointWorkspace], *, hepdata: str, label: str = "") -> tuple[PatchedBackground, ...]:
    """Split complete workspaces into backgrounds and one signal patch each.

    Points whose workspaces differ in nothing but the signal share a background: all of a search that fits the whole
    range, those of one window otherwise. Points without a workspace are left out.

    Args:
        points: of one search and dataset.
        hepdata: INSPIRE number, which the schema of patch sets demands.
        label: search and dataset, for the description.

    Returns:
        Backgrounds in the order of their first points; applying a patch gives back the complete workspace.
    """
    groups: dict[str, tuple[dict[str, Any], list[PointWorkspace]]] = {}
    for p in points:
        if p.spec is None:
            continue
        background = _background(p.spec)
        # pyhf's digest is of the JSON with sorted keys and default separators
        text = json.dumps(background, sort_keys=True, ensure_ascii=False)
        groups.setdefault(text, (background, []))[1].append(p)
    return tuple(
        PatchedBackground(background, _patchset(text, members, hepdata, label), tuple(m.key for m in members))
        for text, (background, members) in groups.items()
    )


def _signal(channel: dict[str, Any]) -> int:
    """Place of the signal among a channel's samples."""
    names = [[m["name"] for m in s["modifiers"]] for s in channel["samples"]]
    return next(i for i, modifiers in enumerate(names) if POI in modifiers)


def _background(spec: dict[str, Any]) -> dict[str, Any]:
    background = copy.deepcopy(spec)
    for channel in background["channels"]:
        del channel["samples"][_signal(channel)]
    return background


def _patchset(text: str, points: Sequence[PointWorkspace], hepdata: str, label: str) -> dict[str, Any]:
    labels = ["hypothesis", *sorted({a for p in points for a in p.axes})]
    return {
        "version": "1.0.0",
        "metadata": {
            "description": f"signals of {label or 'a search'}; scale is the cross section in fb of one unit of {POI}",
            "digests": {"sha256": hashlib.sha256(text.encode("utf8")).hexdigest()},
            "labels": labels,
            "references": {"hepdata": hepdata},
        },
        "patches": [_patch(p, labels) for p in points],
    }


def _patch(p: PointWorkspace, labels: Sequence[str]) -> dict[str, Any]:
    operations = []
    for i, channel in enumerate((p.spec or {"channels": []})["channels"]):
        place = _signal(channel)
        path = f"/channels/{i}/samples/{place}"
        operations.append({"op": "add", "path": path, "value": channel["samples"][place]})
    return {
        "metadata": {
            "name": f"{p.hypothesis}_{p.point}",
            "values": [p.hypothesis, *(p.axes.get(a, 0.0) for a in labels[1:])],
            "scale": p.scale,
        },
        "patch": operations,
    }
