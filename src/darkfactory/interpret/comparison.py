"""Our limits against published ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

__all__ = ["compare_rows", "ratio_summary"]


def compare_rows(rows: Sequence[Mapping[str, Any]], published: Sequence[Mapping[str, Any]]) -> list[dict[str, float]]:
    """Expected limits over a published table, inside the published range.

    Args:
        rows: ours: ``mass_gev`` and ``expected``; those without an expected limit are left out.
        published: ``mass_GeV`` and ``limit``, interpolated linearly in both logarithms between masses of the table; a
            massless particle is compared where the table has it.

    Returns:
        Mass, our expected limit, the published one and their ratio.

    Example:
        >>> table = [{"mass_GeV": 1.0, "limit": 1.0}, {"mass_GeV": 4.0, "limit": 4.0}]
        >>> compare_rows([{"mass_gev": 2.0, "expected": 3.0}], table)[0]["expected/published"]
        1.5
    """
    ordered = sorted(published, key=lambda r: float(r["mass_GeV"]))
    usable = [r for r in ordered if float(r["mass_GeV"]) > 0]
    mass = np.log([float(r["mass_GeV"]) for r in usable])
    value = np.log([float(r["limit"]) for r in usable])
    listed = {float(r["mass_GeV"]): float(r["limit"]) for r in ordered}
    result = []
    for row in rows:
        if row["expected"] is None:
            continue
        m = float(row["mass_gev"])
        if m not in listed and not np.exp(mass[0]) * (1 - 1e-9) <= m <= np.exp(mass[-1]) * (1 + 1e-9):
            continue
        theirs = listed[m] if m in listed else float(np.exp(np.interp(np.log(m), mass, value)))
        ours = float(row["expected"])
        result.append({"mass_gev": m, "expected": ours, "published": theirs, "expected/published": ours / theirs})
    return result


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
