"""Our limits against published ones."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

__all__ = ["compare_rows", "ratio_summary"]


def compare_rows(rows: Sequence[Mapping[str, Any]], published: Sequence[Mapping[str, Any]]) -> list[dict[str, float]]:
    """Expected limits over a published table, inside the published range.

    Args:
        rows: ours: ``mass_gev`` and ``expected``; those without an expected limit are left out.
        published: ``mass_GeV`` and ``limit``, interpolated linearly in both logarithms between masses of the table; a
            massless particle is compared where the table has it. With ``ctau_cm`` in every row the table is one by
            lifetime, interpolated alike, and ours are compared at their own lifetimes (column ``ctau_cm``).

    Returns:
        Mass, our expected limit, the published one and their ratio.

    Example:
        >>> table = [{"mass_GeV": 1.0, "limit": 1.0}, {"mass_GeV": 4.0, "limit": 4.0}]
        >>> compare_rows([{"mass_gev": 2.0, "expected": 3.0}], table)[0]["expected/published"]
        1.5
    """
    by_lifetime: dict[float | None, list[Mapping[str, Any]]] = {}
    for r in published:
        by_lifetime.setdefault(None if r.get("ctau_cm") is None else float(r["ctau_cm"]), []).append(r)
    result = []
    for row in rows:
        if row["expected"] is None:
            continue
        m = float(row["mass_gev"])
        theirs = _published(m, row.get("ctau_cm"), by_lifetime)
        if theirs is None:
            continue
        ours = float(row["expected"])
        lifetime = {} if None in by_lifetime else {"ctau_cm": float(row["ctau_cm"])}
        found = {"expected": ours, "published": theirs, "expected/published": ours / theirs}
        result.append({"mass_gev": m, **lifetime, **found})
    return result


def _at_mass(mass: float, table: Sequence[Mapping[str, Any]]) -> float | None:
    """Published limit at a mass in GeV; None outside the table."""
    ordered = sorted(table, key=lambda r: float(r["mass_GeV"]))
    listed = {float(r["mass_GeV"]): float(r["limit"]) for r in ordered}
    if mass in listed:
        return listed[mass]
    usable = [r for r in ordered if float(r["mass_GeV"]) > 0]
    x = np.log([float(r["mass_GeV"]) for r in usable])
    if not usable or not np.exp(x[0]) * (1 - 1e-9) <= mass <= np.exp(x[-1]) * (1 + 1e-9):
        return None
    return float(np.exp(np.interp(np.log(mass), x, np.log([float(r["limit"]) for r in usable]))))


def _published(
    mass: float, ctau: float | None, by_lifetime: Mapping[float | None, Sequence[Mapping[str, Any]]]
) -> float | None:
    """Published limit at a mass in GeV and, where the table has lifetimes, at a lifetime in cm; None outside."""
    if None in by_lifetime:
        return _at_mass(mass, by_lifetime[None])
    lifetimes = sorted(t for t in by_lifetime if t is not None)
    if ctau is None or not lifetimes or not lifetimes[0] * (1 - 1e-9) <= ctau <= lifetimes[-1] * (1 + 1e-9):
        return None
    j = min(max(bisect_left(lifetimes, ctau), 1), len(lifetimes) - 1) if len(lifetimes) > 1 else 0
    near = [lifetimes[k] for k in ((j - 1, j) if j else (0,))]
    values = [_at_mass(mass, by_lifetime[t]) for t in near]
    if any(v is None for v in values):
        return None
    return float(np.exp(np.interp(np.log(ctau), np.log(near), np.log([float(v or 0.0) for v in values]))))


def ratio_summary(found: Sequence[Mapping[str, float]]) -> tuple[float, float] | None:
    """Median of ours over published, and the part of points within a factor 2; None without points.

    Example:
        >>> ratio_summary([{"expected/published": 1.5}, {"expected/published": 0.9}, {"expected/published": 3.0}])
        (1.5, 0.6666666666666666)
    """
    if not found:
        return None
    ratios = np.array([r["expected/published"] for r in found])
    return float(np.median(ratios)), float(np.mean((ratios > 0.5) & (ratios < 2.0)))
