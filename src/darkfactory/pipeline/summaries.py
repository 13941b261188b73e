"""Summaries of a search's selection, written beside its templates: cutflows, luminosities, trigger lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from darkfactory.pipeline.selected import Located, read_folds, total_cutflow

__all__ = [
    "ALL_FOLDS",
    "cutflows",
    "equivalent_luminosity",
    "folds_of",
    "line_efficiencies",
    "profile_efficiency",
    "trigger_profiles",
]

ALL_FOLDS = (0, 1, 2, 3)
TEMPLATE_FOLDS = (2, 3)


def folds_of(spec: Mapping[str, Any]) -> tuple[int, ...]:
    """Folds that templates may use: those that training and testing did not, where there was training."""
    return TEMPLATE_FOLDS if spec["trained"] else ALL_FOLDS


def equivalent_luminosity(item: Mapping[str, Any]) -> dict[str, Any]:
    """Effective simulated candidates of a background over its selected cross-section."""
    tables = [read_folds(p, item["folds"])["weight"] for p in item["paths"]]
    weight = np.concatenate(tables)
    sumw, sumw2 = float(np.sum(weight)), float(np.sum(weight * weight))
    selected = sumw / item["n_generated"]
    return {
        "generated": item["n_all"],
        "sigma_fb": item["sigma_fb"],
        "sigma_err_fb": item["sigma_err_fb"],
        "candidates": len(weight),
        "selected_fb": selected,
        "equivalent_luminosity_fb": sumw**2 / sumw2 / selected if sumw2 > 0 and selected > 0 else None,
    }


def cutflows(found: Sequence[Located]) -> dict[str, Any]:
    """Cutflow of every sample, of every point of signals."""
    flows: dict[str, Any] = {}
    for one in found:
        for point in one.manifest.points():
            name = one.manifest.sample if point == "all" else f"{one.manifest.sample}/{point}"
            parts = one.manifest.of(point)
            flows[name] = total_cutflow(parts).to_dict() | {"n_generated": sum(p.n_generated for p in parts)}
    return flows


def _served(items: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], list[str]]:
    """Hypotheses of each simulated point."""
    served: dict[tuple[str, str], dict[str, None]] = {}
    for i in items:
        served.setdefault((i["sample"], i["simulated"]), {})[i["hypothesis"]] = None
    return {key: list(names) for key, names in served.items()}


def trigger_profiles(signals: Sequence[Located], items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Trigger efficiency of the preselected signal by observable, and the share of the signal in each bin."""
    served = _served(items)
    result: dict[str, Any] = {}
    for one in signals:
        for point in one.manifest.points():
            sums: dict[str, dict[str, np.ndarray]] = {}
            for part in one.manifest.of(point):
                for name, p in part.meta.get("trigger_profiles", {}).items():
                    known = sums.setdefault(name, {"edges": np.asarray(p["edges"])})
                    known |= {k: known.get(k, np.zeros(len(p[k]))) + np.asarray(p[k]) for k in ("all", "kept")}
            told = {
                n: profile_efficiency(s["edges"], s["all"], s["kept"]) for n, s in sums.items() if np.sum(s["all"]) > 0
            }
            for hypothesis in served.get((one.manifest.sample, point), ()):
                if told:
                    result[f"{hypothesis}/{point}"] = told
    return result


def profile_efficiency(edges: np.ndarray, every: np.ndarray, kept: np.ndarray) -> dict[str, Any]:
    """Kept over all, None where there is nothing, and the share of each bin.

    Example:
        >>> profile_efficiency(np.arange(3.0), np.array([4.0, 0.0]), np.array([1.0, 0.0]))
        {'edges': [0.0, 1.0, 2.0], 'efficiency': [0.25, None], 'share': [1.0, 0.0]}
    """
    efficiency = [float(k / a) if a > 0 else None for k, a in zip(kept, every, strict=True)]
    return {"edges": edges.tolist(), "efficiency": efficiency, "share": (every / every.sum()).tolist()}


def line_efficiencies(signals: Sequence[Located], items: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Fraction of the preselected weight that each of the search's lines keeps, by simulated point."""
    served = _served(items)
    result: dict[str, dict[str, float]] = {}
    for one in signals:
        for point in one.manifest.points():
            sums: dict[str, float] = {}
            for part in one.manifest.of(point):
                for line, value in part.meta["trigger"].items():
                    sums[line] = sums.get(line, 0.0) + float(value)
            total = sums.pop("all", 0.0)
            for hypothesis in served.get((one.manifest.sample, point), ()):
                if total > 0:
                    result[f"{hypothesis}/{point}"] = {line: v / total for line, v in sums.items()}
    return result
