"""Limits of a search on a user's own model, without refitting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkfactory.config.formula import Table
from darkfactory.config.points import parse_point
from darkfactory.config.recast import OfMass, RecastModel
from darkfactory.core.errors import InputError
from darkfactory.interpret.regions import LimitSurface, excluded_intervals

__all__ = ["LIMIT_COLUMNS", "decay_fraction", "function_of_mass", "recast_rows"]

Array = NDArray[np.float64]
Row = Mapping[str, Any]

LIMIT_COLUMNS = ("observed", "expected_m2", "expected_m1", "expected", "expected_p1", "expected_p2")


def function_of_mass(function: OfMass | None, mass: float, what: str) -> float:
    """Value of a formula or table at a mass in GeV; 1 where there is none.

    Raises:
        InputError: no finite value, or a negative one.

    Example:
        >>> from darkfactory.config.formula import Formula
        >>> function_of_mass(Formula(formula="2*mass"), 1.5, "rate_fb")
        3.0
    """
    if function is None:
        return 1.0
    with np.errstate(all="ignore"):
        value = float(function(mass) if isinstance(function, Table) else function(mass=mass))
    if not np.isfinite(value) or value < 0:
        raise InputError(f"{what} is {value} at {mass:g} GeV; it must be a number of 0 or more: mend the model's file")
    return value


def decay_fraction(ctau_cm: Array, boost: float, length_cm: float, inside: bool) -> Array:
    """Fraction of particles that decay within (or beyond) a length in the laboratory.

    Example:
        >>> decay_fraction(np.array([1.0]), 2.0, 2.0, True).round(4).tolist()
        [0.6321]
    """
    with np.errstate(all="ignore"):
        beyond = np.exp(-length_cm / np.maximum(boost * ctau_cm, 1e-300))
    return np.asarray(1 - beyond if inside else beyond)


def _common(model: RecastModel, row: Row, mass: float) -> dict[str, Any]:
    kept = {k: row.get(k) for k in ("search", "dataset", "hypothesis", "cl", "method")}
    return {"model": model.name, "coupling": model.coupling, "unit": model.unit, "mass_gev": mass, **kept}


def _closed(model: RecastModel, rows: Sequence[Row], rates: Mapping[float, float]) -> list[dict[str, Any]]:
    """Models whose rate alone depends on the coupling: one root."""
    made = []
    for row in rows:
        mass = float(row["mass_gev"])
        rate = rates[mass]
        values = {
            c: model.reference_coupling * (float(row[c]) / rate) ** (1 / model.power)
            if row.get(c) is not None and rate > 0
            else None
            for c in LIMIT_COLUMNS
        }
        status = row.get("status", "ok") if rate > 0 else "no_sensitivity"
        made.append(
            {**_common(model, row, mass), "quantity": model.coupling, **values, "lower": None,
             "upper": values["observed"], "status": status}
        )  # fmt: skip
    return made


def _scanned(model: RecastModel, rows: Sequence[Row], rates: Mapping[float, float]) -> list[dict[str, Any]]:
    """Models whose lifetime depends on the coupling: intervals on a grid of couplings."""
    assert model.scan is not None
    coupling = np.geomspace(*model.scan, model.steps)
    families: dict[tuple[float, Any], list[Row]] = {}
    for row in rows:
        families.setdefault((float(row["mass_gev"]), row.get("cl")), []).append(row)
    made: list[dict[str, Any]] = []
    for (mass, _), family in families.items():
        rate = rates[mass] * (coupling / model.reference_coupling) ** model.power
        unit = function_of_mass(model.ctau_cm, mass, "ctau_cm")
        ctau = unit * (coupling / model.reference_coupling) ** -model.lifetime_power
        if model.window is not None:
            boost = function_of_mass(model.window.boost, mass, "window.boost")
            rate = rate * decay_fraction(ctau, boost, model.window.length_cm.value, model.window.inside)
        for column, quantity in (("observed", model.coupling), ("expected", f"{model.coupling}_expected")):
            known = {r.get("ctau_cm"): float(r[column]) for r in family if r.get(column) is not None}
            if not known:
                strength = np.zeros(len(coupling))
            elif list(known) == [None]:
                strength = rate / known[None]
            else:
                surface = LimitSurface({(float(str(t)), 1.0): v for t, v in known.items()})
                with np.errstate(all="ignore"):
                    strength = np.array([r / surface(float(t), 1.0) for r, t in zip(rate, ctau, strict=True)])
            found = excluded_intervals(coupling, strength)
            common = _common(model, family[0], mass)
            if not found:
                empty = {**common, "quantity": quantity, "lower": None, "upper": None, "status": "no_sensitivity"}
                made.append(empty)
            for low, high, both in found:
                status = "ok" if both else "not_bracketed"
                made.append({**common, "quantity": quantity, "lower": low, "upper": high, "status": status})
    return made


def recast_rows(
    limits: Sequence[Row], model: RecastModel, rates: Mapping[float, float] | None = None
) -> list[dict[str, Any]]:
    """Limits on a model's coupling from limits on a rate.

    Args:
        limits: rows with ``mass_gev``, limit columns in the unit of the rate (``observed`` at least), and optionally
            ``ctau_cm``, ``hypothesis``, ``cl``, ``status``, ``point``.
        model: the user's.
        rates: mass to the rate at the reference coupling, from the generator; by default the model's ``rate_fb``.

    Returns:
        Rows: limits of a model without a lifetime have the limit columns; others are excluded intervals (``lower``,
        ``upper``) for ``quantity`` the coupling (observed) and ``<coupling>_expected``. ``not_bracketed`` says that an
        interval ends where the scan or the lifetimes of the limits do.

    Raises:
        InputError: limits with lifetimes for a model without one, or the other way round without a window.

    Example:
        >>> from darkfactory.config.formula import Formula
        >>> model = RecastModel(name="mine", coupling="g", rate_fb=Formula(formula="100/mass"))
        >>> rows = recast_rows([{"mass_gev": 2.0, "observed": 0.5, "expected": 2.0}], model)
        >>> rows[0]["observed"], rows[0]["expected"]
        (0.1, 0.2)
    """
    rows = [dict(r) for r in limits]
    for row in rows:
        axes = parse_point(str(row["point"])) if row.get("point") else {}
        if "lifetime" in axes and row.get("ctau_cm") is None:
            row["ctau_cm"] = axes["lifetime"]
    with_lifetime = any(r.get("ctau_cm") is not None for r in rows)
    if with_lifetime and model.ctau_cm is None:
        raise InputError(
            f"the limits depend on a lifetime and {model.name} has none; give ctau_cm, a formula or table of the mass"
        )
    if model.ctau_cm is not None and not with_lifetime and model.window is None:
        raise InputError(
            f"{model.name} has a lifetime and the limits have none; give window (length_cm, boost, inside) or leave "
            "ctau_cm out"
        )
    found = dict(rates or {})
    for mass in {float(r["mass_gev"]) for r in rows}:
        if mass not in found:
            found[mass] = function_of_mass(model.rate_fb, mass, "rate_fb")
    scaled = {m: r * function_of_mass(model.branching_fraction, m, "branching_fraction") for m, r in found.items()}
    return _closed(model, rows, scaled) if model.ctau_cm is None else _scanned(model, rows, scaled)
