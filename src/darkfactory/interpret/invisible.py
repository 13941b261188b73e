"""Couplings of invisible particles of B decays: limits on branching fractions over the one at coupling one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from darkfactory.config.interpretation import InterpretationConfig, InvisibleRegion, MesogenesisRegion
from darkfactory.interpret.couplings import LIMIT_COLUMNS
from darkfactory.models.b_invisible import branching_fraction_invisible
from darkfactory.models.mesogenesis import baryon_psi_branching_fraction

__all__ = ["invisible_rows", "square_root_limit"]


def square_root_limit(limit: float | None, fraction: float) -> float | None:
    """The coupling of a rate that goes as its square; None where there is no limit or no rate.

    Example:
        >>> square_root_limit(4e-6, 1.0)
        0.002
    """
    return None if limit is None or fraction <= 0 else float((limit / fraction) ** 0.5)


def _rows(
    limits: Sequence[Mapping[str, Any]],
    name: str,
    region: InvisibleRegion | MesogenesisRegion,
    unit: Mapping[float, float],
) -> list[dict[str, Any]]:
    rows = []
    for limit in limits:
        if limit["hypothesis"] != region.hypothesis:
            continue
        fraction = unit[float(limit["mass_gev"])]
        row = {"model": name, "coupling": region.coupling, **limit, "quantity": region.coupling, "unit": region.unit}
        row |= {column: square_root_limit(limit[column], fraction) for column in LIMIT_COLUMNS}
        row["lower"], row["upper"] = None, row["observed"]
        rows.append(row)
    return rows


def invisible_rows(limits: Sequence[Mapping[str, Any]], config: InterpretationConfig) -> list[dict[str, Any]]:
    """Rows of couplings.csv from limits on branching fractions, of all models of invisible particles.

    Args:
        limits: rows with hypothesis, point, mass_gev, the limit columns (None where there is none).
        config: the section ``interpretation``.
    """
    if not config.invisible and not config.mesogenesis:
        return []
    masses = sorted({float(r["mass_gev"]) for r in limits})
    rows: list[dict[str, Any]] = []
    for name, region in config.invisible.items():
        if config.flavour is not None:
            unit = {m: float(branching_fraction_invisible(m, region, config.flavour)) for m in masses}
            rows += _rows(limits, name, region, unit)
    for name, dark in config.mesogenesis.items():
        rows += _rows(limits, name, dark, {m: float(baryon_psi_branching_fraction(m, dark)) for m in masses})
    return rows
