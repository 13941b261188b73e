"""From limits on a rate to limits on a coupling, without refitting."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from darkfactory.config.interpretation import InterpretationConfig, ModelInterpretation
from darkfactory.config.points import parse_point
from darkfactory.core.errors import InputError
from darkfactory.models import alp, leptophilic_scalar, lfv_alp
from darkfactory.models.zprime import branching_fraction, g_minus_2_coupling
from darkfactory.records.limits import flag_of

__all__ = [
    "BRANCHING_FRACTIONS",
    "CouplingBand",
    "coupling_from_rate",
    "coupling_rows",
    "g_minus_2_band",
    "rate_at_unit_coupling",
]

BRANCHING_FRACTIONS: Mapping[str, Callable[[float], float]] = {
    "unity": lambda mass: 1.0,
    "zprime_invisible": lambda mass: float(branching_fraction(mass, "invisible")),
    "zprime_mumu": lambda mass: float(branching_fraction(mass, "mumu")),
    "zprime_tautau": lambda mass: float(branching_fraction(mass, "tautau")),
    "leptophilic_scalar_ee": lambda mass: float(leptophilic_scalar.branching_fraction(mass, "ee")),
    "leptophilic_scalar_mumu": lambda mass: float(leptophilic_scalar.branching_fraction(mass, "mumu")),
    "leptophilic_scalar_tautau": lambda mass: float(leptophilic_scalar.branching_fraction(mass, "tautau")),
    "alp_leptons_tautau": lambda mass: float(alp.lepton_branching_fraction(mass, "tautau")),
    "lfv_alp_e": lambda mass: float(lfv_alp.branching_fraction(mass, "e")),
    "lfv_alp_mu": lambda mass: float(lfv_alp.branching_fraction(mass, "mu")),
}
"""Registered branching fractions by name, functions of the mass in GeV."""

LIMIT_COLUMNS = ("observed", "expected_m2", "expected_m1", "expected", "expected_p1", "expected_p2")


def coupling_from_rate(limit: float | None, rate: float, model: ModelInterpretation, mass: float) -> float | None:
    """The coupling at which the model's rate equals the limit; None where there is no limit.

    Args:
        limit: upper limit on the rate times branching fraction (fb).
        rate: rate of the sample at its reference coupling (fb), radiation included.
        model: the translation.
        mass: in GeV.

    Example:
        >>> m = ModelInterpretation(hypothesis="alp", coupling="g_agammagamma")
        >>> coupling_from_rate(4.0, 1.0, m, 1.0)
        2.0
    """
    if limit is None:
        return None
    fraction = BRANCHING_FRACTIONS[model.branching_fraction](mass)
    if model.branching_table is not None:
        fraction *= float(model.branching_table(mass))
    if rate <= 0 or fraction <= 0:
        return None
    return float(model.reference_coupling * (limit / (rate * fraction)) ** (1 / model.power))


def rate_at_unit_coupling(rate: float, model: ModelInterpretation, mass: float) -> float:
    """What a search sees at coupling one: rate times branching fraction, which goes as the coupling to its power.

    Args:
        rate: rate of the sample at its reference coupling (fb).
        model: the translation.
        mass: in GeV.

    Example:
        >>> m = ModelInterpretation(hypothesis="alp", coupling="g_agammagamma", reference_coupling=0.1)
        >>> round(rate_at_unit_coupling(2.0, m, 1.0), 6)
        200.0
    """
    fraction = BRANCHING_FRACTIONS[model.branching_fraction](mass)
    if model.branching_table is not None:
        fraction *= float(model.branching_table(mass))
    return float(rate * fraction / model.reference_coupling**model.power)


def coupling_rows(
    limits: Sequence[Mapping[str, Any]],
    rates: Mapping[tuple[str, str], float],
    config: InterpretationConfig,
) -> list[dict[str, Any]]:
    """Rows of couplings.csv from rows of limits.csv.

    Args:
        limits: rows with hypothesis, point, mass_gev, the limit columns (None where there is none).
        rates: (hypothesis, point) to the sample's cross-section at the reference coupling, in fb.
        config: the section ``interpretation``.

    Raises:
        InputError: a point without a rate.
    """
    rows: list[dict[str, Any]] = []
    for name, model in config.models.items():
        for limit in limits:
            if limit["hypothesis"] != model.hypothesis:
                continue
            if set(parse_point(limit["point"])) != set(model.axes):
                continue
            key = (limit["hypothesis"], limit["point"])
            if key not in rates:
                raise InputError(f"no cross-section for {key}; rerun the stage `templates` of this dataset")
            mass = float(limit["mass_gev"])
            # limits on branching fractions are in units of the sample's rate
            rate = 1.0 if limit.get("quantity") == "branching_fraction" else rates[key]
            row = {"model": name, "coupling": model.coupling, **limit, "quantity": model.coupling, "unit": model.unit}
            for column in LIMIT_COLUMNS:
                row[column] = coupling_from_rate(limit[column], rate, model, mass)
            row["lower"], row["upper"] = None, row["observed"]
            # a rate that is no constraint makes no constraint on the coupling either
            row["flag"] = limit.get("flag") or flag_of(row["observed"], model.maximum)
            rows.append(row)
    return rows


@dataclass(frozen=True)
class CouplingBand:
    """Couplings between ``low`` and ``high`` by mass; ``low`` is 0 where the band has no lower edge."""

    label: str
    mass: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    note: str


def g_minus_2_band(
    masses: Sequence[float], label: str, delta: float, sigma: float, sigmas: float, note: str
) -> CouplingBand:
    """The g' that explain a difference ``delta`` +- ``sigmas * sigma`` of (g-2)_mu.

    Example:
        >>> band = g_minus_2_band([1.0], "2020", 251e-11, 59e-11, 2.0, "")
        >>> [round(band.low[0], 4), round(band.high[0], 4)]
        [0.0039, 0.0066]
    """
    low = tuple(g_minus_2_coupling(m, delta - sigmas * sigma) for m in masses)
    high = tuple(g_minus_2_coupling(m, delta + sigmas * sigma) for m in masses)
    return CouplingBand(label, tuple(masses), low, high, note)
