"""Stages `limits` and `scan` of searches that count in many windows: everything in batches, one row per method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from scipy.special import ndtri

from darkfactory.config.ellipses import EllipsesConfig
from darkfactory.config.load import validate
from darkfactory.config.statistics import StatisticsConfig
from darkfactory.core.files import read_json, write_json
from darkfactory.execute.backends import Backend
from darkfactory.pipeline.ellipses import PlaneData, windows_of
from darkfactory.pipeline.request import Request, provenance
from darkfactory.records.limits import LimitRecord
from darkfactory.stats.counting_scan import (
    ScanCounts,
    WindowRates,
    expected_counts,
    window_limits,
    window_p0,
    window_rates,
    window_toys,
)
from darkfactory.stats.histfactory import FloatArray, compile_workspaces

__all__ = ["limits_of", "make_limits", "significance", "toys_of"]

METHODS: tuple[Literal["exact", "bayes"], ...] = ("exact", "bayes")
_CONFIRMED = {"exact": "exact counting", "bayes": "flat prior"}
_WINDOWS_A_TASK = 4500
_TOYS_A_CHUNK = 500


def _rates(specs: Sequence[Mapping[str, Any]], points: int) -> tuple[FloatArray, WindowRates]:
    """Observed counts and rates of one-bin workspaces, in their order."""
    groups, refused = compile_workspaces(specs)
    for error in refused.values():
        raise error
    n = np.zeros(len(specs))
    signal, background = np.zeros((len(specs), points)), np.zeros((len(specs), points))
    for group in groups:
        rows = np.array(group.positions)
        n[rows] = group.batch.observed.blocks[0].counts[:, 0]
        rates = window_rates(group.batch, points)
        signal[rows], background[rows] = rates.signal, rates.background
    return n, WindowRates(signal, background)


def _z(p0: FloatArray) -> FloatArray:
    return np.asarray(np.where(p0 < 0.5, -ndtri(np.clip(p0, 1e-300, 0.5)), 0.0))


def limits_of(request: Mapping[str, Any], first: int, last: int) -> list[dict[str, Any]]:
    """Limits of some windows of the block's workspaces, in order: all methods and levels of a window together."""
    job = Request.from_dict(request)
    spec = job.spec
    config = validate(StatisticsConfig, spec["statistics"], where="statistics")
    stored = list(read_json(job.input("workspace"))["points"].values())[first:last]
    fitted = [w for w in stored if w["spec"] is not None]
    n, rates = _rates([w["spec"] for w in fitted], config.quadrature)
    p0 = window_p0(n, rates)
    z = _z(p0)
    counts = expected_counts(rates).astype(float)
    tables = {}
    for method in METHODS:
        for cl in config.cls:
            values = [window_limits(k, rates, cl, method) for k in (n, *counts.T)]
            tables[method, cl] = np.stack(values, axis=1)
    row = {w["point"]: i for i, w in enumerate(fitted)}
    records: list[dict[str, Any]] = []
    for w in stored:
        meaning = spec["hypotheses"][w["hypothesis"]]
        i = row.get(w["point"], -1)
        for method in METHODS:
            for cl in config.cls:
                found = tables[method, cl][i] * w["scale"] if i >= 0 else np.full(6, np.nan)
                ok = bool(np.all(np.isfinite(found)))
                record = LimitRecord(
                    point=w["point"], hypothesis=w["hypothesis"], axes=w["axes"], quantity=meaning["quantity"],
                    unit=meaning["unit"], cl=cl, observed=float(found[0]) if ok else None,
                    expected=tuple(float(v) for v in found[1:]) if ok else None, method=method,  # type: ignore[arg-type]  # five
                    scale=w["scale"], p0_local=float(p0[i]) if ok else None, z_local=float(z[i]) if ok else None,
                    mu_hat=None, mu_err=None, status="ok" if ok else "no_sensitivity", data=w["data"],
                    blinded=w["blinded"],
                    certificate={"confirmed_by": _CONFIRMED[method], "passed": True} if ok else {},
                    extra={"background": w["expected_background"], "observed_events": float(n[i]) if ok else None},
                )  # fmt: skip
                records.append(record.to_dict())
    return records


def make_limits(request: Request, backend: Backend) -> list[dict[str, Any]]:
    """Limits of all windows of a block."""
    count = len(read_json(request.input("workspace"))["points"])
    plain = request.to_dict()
    starts = range(0, count, _WINDOWS_A_TASK)
    tasks = [
        ("darkfactory.pipeline.ellipse_scan:limits_of", (plain, i, min(i + _WINDOWS_A_TASK, count))) for i in starts
    ]
    return [record for part in backend.map(tasks) for record in part]


def toys_of(request: Mapping[str, Any], hypothesis: str, chunk: int, toys: int) -> list[float]:
    """Largest local significances of some background-only planes."""
    job = Request.from_dict(request)
    spec = job.spec
    config = validate(EllipsesConfig, spec["templates"], where="templates")
    statistics = validate(StatisticsConfig, spec["statistics"], where="statistics")
    plane = PlaneData(read_json(job.input("model")), read_json(job.input("observed")))
    points: dict[str, Any] = {}
    for path in job.input_list("workspaces"):
        points |= read_json(path)["points"]
    chosen = [w for w in points.values() if w["hypothesis"] == hypothesis and w["spec"] is not None]
    _, rates = _rates([w["spec"] for w in chosen], statistics.quadrature)
    windows = windows_of([w["point"] for w in chosen], plane.model, plane.cells, config.half_axes)
    luminosity = spec["luminosity_fb"]
    sizes: dict[str, dict[str, float]] = {"lumi": {}}
    for name, background in plane.backgrounds.items():
        own = config.normalisations.get(name, config.default_normalisation).value
        sizes[f"norm_{name}"] = {name: float(np.hypot(own, background.sigma_error))}
        sizes["lumi"][name] = spec["luminosity_uncertainty"]["value"]
        for nuisance, size in config.systematics.background.items():
            sizes.setdefault(nuisance, {})[name] = size.value
    scan = ScanCounts({n: b.expected * luminosity for n, b in plane.backgrounds.items()}, sizes, windows.sums)
    stream = ("stats", "plane", hypothesis, chunk)
    return [float(v) for v in window_toys(scan, rates, toys, seed=spec["seed"], path=stream)]


def significance(
    request: Request, backend: Backend, hypothesis: str, known: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Largest excess of a plane and its global significance by toys of the whole plane."""
    spec = request.spec
    largest = max(known, key=lambda r: r["z_local"])
    axes = {k: largest[k] for k in ("mass_gev", "mass2_gev")}
    result: dict[str, Any] = {
        "hypothesis": hypothesis, "point": largest["point"], **axes, "z_local": largest["z_local"],
        "p_local": largest["p0_local"], "method": "none", "windows": len(known),
    }  # fmt: skip
    toys = spec["toys"]
    if not toys:
        return result
    tasks = [
        (
            "darkfactory.pipeline.ellipse_scan:toys_of",
            (request.to_dict(), hypothesis, i, min(_TOYS_A_CHUNK, toys - first)),
        )
        for i, first in enumerate(range(0, toys, _TOYS_A_CHUNK))
    ]
    z = np.array([v for part in backend.map(tasks) for v in part])
    above = int((z >= largest["z_local"] - 1e-9).sum())
    p = above / toys
    return result | {
        "method": "toys", "toys": toys, "p_global": p,
        "p_global_error": float(np.sqrt(max(above, 1) * max(toys - above, 1) / toys) / toys),
        "z_global": 0.0 if p >= 0.5 else float(-ndtri(max(p, 1 / toys))),
        "z_max_toys": sorted(round(float(v), 4) for v in z),
    }  # fmt: skip


def write_scan(request: Request, backend: Backend, records: Sequence[Mapping[str, Any]]) -> None:
    """scan.json of a plane."""
    spec = request.spec
    first = records[0]["cl"] if records else None
    rows = [r for r in records if r["cl"] == first and r["method"] == METHODS[0] and r["z_local"] is not None]
    found = {}
    for hypothesis in dict.fromkeys(r["hypothesis"] for r in rows):
        found[hypothesis] = significance(
            request, backend, hypothesis, [r for r in rows if r["hypothesis"] == hypothesis]
        )
    status: dict[str, int] = {}
    for r in records:
        status[r["status"]] = status.get(r["status"], 0) + 1
    best = max(found.values(), key=lambda s: s["z_local"], default=None)
    write_json(
        request.output("scan"),
        {
            "search": spec["search"],
            "dataset": spec["dataset"],
            "points": len({(r["hypothesis"], r["point"]) for r in records}),
            "status": status,
            "excluded": {},
            "failed_certificates": [],
            "largest": best,
            "hypotheses": found,
            "method": best["method"] if best is not None else "none",
            "provenance": provenance(request),
        },
    )
