"""Regions of couplings that change a rate and lifetimes alike: excluded between a lower and an upper edge."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkfactory.config.interpretation import (
    BDecayChannel,
    BDecayRegion,
    FlavourInputs,
    InelasticRegion,
    LeptophilicRegion,
    ScalarTable,
)
from darkfactory.config.points import parse_point, point_name
from darkfactory.core.errors import InputError
from darkfactory.models.b_to_s import (
    alp_fermion_coupling,
    alp_lepton_branching_fraction,
    alp_lepton_ctau_cm,
    alp_w_coupling,
    alp_w_ctau_cm,
    branching_fraction_alp,
    branching_fraction_scalar,
)
from darkfactory.models.dark_scalar import charged_fraction, interpolate_log
from darkfactory.models.inelastic_dm import chi2_total_width
from darkfactory.models.leptophilic_scalar import branching_fraction, ctau_cm
from darkfactory.physics.lifetimes import ctau_from_width

__all__ = [
    "Expectation",
    "LimitSurface",
    "b_decay_expectation",
    "b_decay_rows",
    "excluded_intervals",
    "inelastic_expectation",
    "leptophilic_expectation",
    "leptophilic_rows",
    "region_rows",
]

Array = NDArray[np.float64]
_AXES = ("lifetime", "lifetime2")


@dataclass(frozen=True)
class Expectation:
    """What a model predicts for one value of a coupling: rate in fb and the mean decay lengths c tau in cm."""

    rate: float
    ctau: float
    ctau2: float


class LimitSurface:
    """Limits on a rate against one or two lifetimes, interpolated linearly in all logarithms.

    Outside the lifetimes scanned there is no limit, nor anywhere if no lifetime has one: nothing is excluded there.

    Example:
        >>> surface = LimitSurface({(1.0, 1.0): 2.0, (100.0, 1.0): 8.0})
        >>> round(surface(10.0, 1.0), 6), surface(1000.0, 1.0), surface(10.0, 2.0)
        (4.0, inf, inf)
        >>> LimitSurface({})(1.0, 1.0)
        inf
    """

    def __init__(self, limits: Mapping[tuple[float, float], float]) -> None:
        self.one = sorted({k[0] for k in limits})
        self.two = sorted({k[1] for k in limits})
        self.values = np.array([[limits.get((a, b), np.inf) for b in self.two] for a in self.one])

    @staticmethod
    def _between(x: float, nodes: Sequence[float]) -> tuple[int, int, float] | None:
        if not nodes:
            return None
        if len(nodes) == 1:
            return (0, 0, 0.0) if abs(x / nodes[0] - 1) < 1e-6 else None
        if not nodes[0] <= x <= nodes[-1]:
            return None
        i = min(max(int(np.searchsorted(nodes, x)), 1), len(nodes) - 1)
        return i - 1, i, float(np.log(x / nodes[i - 1]) / np.log(nodes[i] / nodes[i - 1]))

    def __call__(self, ctau: float, ctau2: float) -> float:
        """The limit in fb, infinite where there is none."""
        a, b = self._between(ctau, self.one), self._between(ctau2, self.two)
        if a is None or b is None:
            return float("inf")
        total = 0.0
        for i, u in ((a[0], 1 - a[2]), (a[1], a[2])):
            for j, v in ((b[0], 1 - b[2]), (b[1], b[2])):
                if u * v > 0:
                    total += u * v * float(np.log(self.values[i, j]))
        return float(np.exp(total))


def excluded_intervals(coupling: Array, strength: Array) -> list[tuple[float, float, bool]]:
    """Intervals in which a prediction is above its limit.

    Args:
        coupling: rising values.
        strength: prediction over limit at each, 0 where there is no limit.

    Returns:
        Lower edge, upper edge and whether both are crossings (and not ends of what was scanned) of each interval;
        crossings are interpolated linearly in the logarithms.

    Example:
        >>> excluded_intervals(np.array([1.0, 10.0, 100.0, 1000.0]), np.array([0.1, 10.0, 10.0, 0.0]))
        [(3.162277660168379, 100.0, False)]
    """
    inside = strength >= 1
    found = []
    start: tuple[float, bool] | None = None

    def crossing(i: int) -> tuple[float, bool]:
        """Between i and i + 1; an end of the scan where one side has no limit."""
        if strength[i] <= 0 or strength[i + 1] <= 0:
            return float(coupling[i] if inside[i] else coupling[i + 1]), False
        x = np.log(coupling[i : i + 2])
        y = np.log(strength[i : i + 2])
        return float(np.exp(x[0] - y[0] * (x[1] - x[0]) / (y[1] - y[0]))), True

    for i in range(len(coupling)):
        if inside[i] and start is None:
            start = crossing(i - 1) if i else (float(coupling[0]), False)
        ends = i + 1 == len(coupling) or not inside[i + 1]
        if inside[i] and start is not None and ends:
            end = crossing(i) if i + 1 < len(coupling) else (float(coupling[-1]), False)
            found.append((start[0], end[0], start[1] and end[1]))
            start = None
    return found


def inelastic_expectation(
    region: InelasticRegion, table: ScalarTable, final: str, mass: float, sample_fb: float
) -> Callable[[float], Expectation]:
    """Prediction of inelastic dark matter with a dark Higgs as a function of the region's coupling.

    The rate scales from the sample's, made at eps = g_D = 1 for a dark Higgs of unit charge: with eps^2, 4 pi alpha_D
    and the charge squared, times both branching fractions. c tau of h' goes as 1/sin^2(theta), that of chi2 as
    1/(eps^2 alpha_D).

    Args:
        region: fixed parameters.
        table: lifetimes and branching fractions of h'.
        final: ``mumu``, ``pipi`` or ``kk``.
        mass: of h', GeV.
        sample_fb: cross-section of the sample, fb.
    """
    m1, m2, m_ap = region.m_chi1.value, region.m_chi2.value, region.m_ap.value
    width, electrons = chi2_total_width(m1, m2, m_ap, 1.0, 1.0)
    unit2 = float(ctau_from_width(width))
    unit = interpolate_log(mass, table.mass, table.ctau_cm)
    higgs = charged_fraction(final) * interpolate_log(mass, table.mass, getattr(table, final))
    alpha, charge = region.alpha_d.value, region.charge.value

    def predict(coupling: float) -> Expectation:
        eps = coupling if region.coupling == "epsilon" else region.epsilon
        theta = coupling if region.coupling == "sin_theta" else region.sin_theta
        rate = sample_fb * eps**2 * 4 * np.pi * alpha * charge**2 * electrons * higgs
        return Expectation(float(rate), unit / theta**2, unit2 / (eps**2 * alpha))

    return predict


def leptophilic_expectation(final: str, mass: float, sample_fb: float) -> Callable[[float], Expectation]:
    """Prediction of a leptophilic scalar as a function of xi: the rate goes as xi^2, c tau as 1/xi^2.

    Args:
        final: ``ee`` or ``mumu``.
        mass: of the scalar, GeV.
        sample_fb: cross-section of the sample, made at xi = 1 with the branching fraction one, fb.

    Example:
        >>> one = leptophilic_expectation("ee", 0.1, 5.0)(0.5)
        >>> round(one.rate, 3), round(one.ctau, 2), one.ctau2
        (1.25, 4.61, 1.0)
    """
    rate, unit = sample_fb * float(branching_fraction(mass, final)), float(ctau_cm(mass))

    def predict(coupling: float) -> Expectation:
        return Expectation(rate * coupling**2, unit / coupling**2, 1.0)

    return predict


def b_decay_expectation(
    region: BDecayRegion, channel: BDecayChannel, inputs: FlavourInputs, table: ScalarTable | None, mass: float
) -> Callable[[float], Expectation]:
    """Prediction of a new particle of B -> K S as a function of its coupling: the rate is a branching fraction.

    It is that of B -> K S, times that of S, times the share of K*0 that is looked at; it goes as the coupling squared,
    c tau as its inverse.

    Args:
        region: the particle.
        channel: what the limits are on.
        inputs: of the rate.
        table: lifetimes and branching fractions of a scalar that mixes with the Higgs.
        mass: of the new particle, GeV.

    Example:
        >>> from darkfactory.config.base import Tagged
        >>> from darkfactory.models.examples import FLAVOUR
        >>> channel = BDecayChannel(kaon="K+", final="mumu")
        >>> scale = Tagged(value=1000.0, source="assumed")
        >>> alp = BDecayRegion(particle="alp_fermions", hypotheses={"k": channel}, coupling="inverse_f",
        ...                    scan=(1e-9, 1e-3), scale_gev=scale)
        >>> one = b_decay_expectation(alp, channel, FLAVOUR, None, 0.3)(1e-6)
        >>> float(f"{one.rate:.2g}"), round(one.ctau)
        (1.4e-07, 52)
    """
    share = region.kstar_fraction.value if channel.kaon == "K*0" else 1.0
    known = mass <= region.max_mass
    if region.particle == "dark_higgs" and table is not None:
        unit = interpolate_log(mass, table.mass, table.ctau_cm)
        fractions = getattr(table, channel.final, ())
        decays = charged_fraction(channel.final) * interpolate_log(mass, table.mass, fractions) if fractions else 0.0
        rate = share * decays * float(branching_fraction_scalar(mass, channel.kaon, inputs))
    elif region.particle == "alp_w":
        rate = share * (channel.final == "gg")
        rate *= float(branching_fraction_alp(mass, channel.kaon, inputs, alp_w_coupling(inputs)))
        unit = float(alp_w_ctau_cm(mass, 1.0))
    else:
        scale = 0.0 if region.scale_gev is None else region.scale_gev.value
        g_abs = alp_fermion_coupling(inputs, 1.0, scale)
        leptons = channel.final in ("ee", "mumu")
        decays = float(alp_lepton_branching_fraction(mass, channel.final)) if leptons else 0.0
        rate = share * decays * float(branching_fraction_alp(mass, channel.kaon, inputs, g_abs))
        unit = float(alp_lepton_ctau_cm(mass, 1.0))

    def predict(coupling: float) -> Expectation:
        return Expectation(rate * coupling**2 if known else 0.0, unit / coupling**2, 1.0)

    return predict


def b_decay_rows(
    limits: Sequence[Mapping[str, Any]],
    rates: Mapping[tuple[str, str], float],
    name: str,
    region: BDecayRegion,
    inputs: FlavourInputs,
    table: ScalarTable | None,
) -> list[dict[str, Any]]:
    """Rows of couplings.csv for a new particle of B -> K S, as :func:`region_rows`; limits on a branching fraction.

    Raises:
        InputError: a point without a rate.
    """

    def predict(hypothesis: str, mass: float, sample_fb: float) -> Callable[[float], Expectation]:
        return b_decay_expectation(region, region.hypotheses[hypothesis], inputs, table, mass)

    return _rows(limits, rates, name, region, _AXES[:1], predict)


def region_rows(
    limits: Sequence[Mapping[str, Any]],
    rates: Mapping[tuple[str, str], float],
    name: str,
    region: InelasticRegion,
    table: ScalarTable,
) -> list[dict[str, Any]]:
    """Rows of couplings.csv: excluded intervals of a coupling by hypothesis, mass and CL.

    ``quantity`` is the coupling for the observed limits and ``<coupling>_expected`` for the median expected ones. A
    mass where nothing is excluded has one row with status ``no_sensitivity``; an interval that ends where the scan does
    has ``not_bracketed``.

    Args:
        limits: rows of limits.csv.
        rates: (hypothesis, point) to the sample's cross-section, fb.
        name: of the model.
        region: its settings.
        table: lifetimes and branching fractions of h'.

    Raises:
        InputError: a point without a rate.
    """

    def predict(hypothesis: str, mass: float, sample_fb: float) -> Callable[[float], Expectation]:
        return inelastic_expectation(region, table, region.hypotheses[hypothesis], mass, sample_fb)

    return _rows(limits, rates, name, region, _AXES, predict)


def leptophilic_rows(
    limits: Sequence[Mapping[str, Any]],
    rates: Mapping[tuple[str, str], float],
    name: str,
    region: LeptophilicRegion,
) -> list[dict[str, Any]]:
    """Rows of couplings.csv for a leptophilic scalar, as :func:`region_rows`; points have a mass and one lifetime.

    The efficiency depends on the coupling through the lifetime: a coupling is excluded where its rate is above the
    limit at its own lifetime.

    Raises:
        InputError: a point without a rate.
    """

    def predict(hypothesis: str, mass: float, sample_fb: float) -> Callable[[float], Expectation]:
        return leptophilic_expectation(region.hypotheses[hypothesis], mass, sample_fb)

    return _rows(limits, rates, name, region, _AXES[:1], predict)


def _rows(
    limits: Sequence[Mapping[str, Any]],
    rates: Mapping[tuple[str, str], float],
    name: str,
    region: InelasticRegion | LeptophilicRegion | BDecayRegion,
    lifetimes: tuple[str, ...],
    predictor: Callable[[str, float, float], Callable[[float], Expectation]],
) -> list[dict[str, Any]]:
    families: dict[tuple[str, float, float], list[Mapping[str, Any]]] = {}
    for row in limits:
        axes = parse_point(row["point"])
        if row["hypothesis"] in region.hypotheses and set(axes) == {"mass", *lifetimes}:
            families.setdefault((row["hypothesis"], axes["mass"], float(row["cl"])), []).append(row)
    coupling = np.geomspace(*region.scan, region.steps)
    rows: list[dict[str, Any]] = []
    for (hypothesis, mass, cl), family in families.items():
        key = (hypothesis, family[0]["point"])
        if key not in rates:
            raise InputError(f"no cross-section for {key}; rerun the stage `templates` of this dataset")
        predict = predictor(hypothesis, mass, rates[key])
        predicted = [predict(float(c)) for c in coupling]
        for column, quantity in (("observed", region.coupling), ("expected", f"{region.coupling}_expected")):
            surface = LimitSurface(
                {
                    (p["lifetime"], p.get("lifetime2", 1.0)): float(r[column])
                    for r in family
                    if r[column] is not None and (p := parse_point(r["point"]))
                }
            )
            strength = np.array([e.rate / surface(e.ctau, e.ctau2) for e in predicted])
            common = {
                "model": name, "coupling": region.coupling, "search": family[0]["search"],
                "dataset": family[0]["dataset"], "hypothesis": hypothesis, "point": point_name({"mass": mass}),
                "mass_gev": mass, "quantity": quantity, "unit": "", "cl": cl, "method": family[0]["method"],
                "data": family[0]["data"],
            }  # fmt: skip
            found = excluded_intervals(coupling, strength)
            for low, high, closed in found:
                rows.append(common | {"lower": low, "upper": high, "status": "ok" if closed else "not_bracketed"})
            if not found:
                rows.append(common | {"lower": None, "upper": None, "status": "no_sensitivity"})
    return rows
