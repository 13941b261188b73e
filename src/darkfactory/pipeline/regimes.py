"""Regime maps of a mediator: planes of mass against coupling and against dark-matter mass, and the searches there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkfactory.config.interpretation import ScalarTable
from darkfactory.config.library import Library
from darkfactory.config.load import validate
from darkfactory.config.regimes import MediatorConfig, RegimesConfig
from darkfactory.core.files import write_json
from darkfactory.models.dark_scalar import interpolate_log
from darkfactory.models.regimes import (
    REGIMES,
    classify,
    dark_photon_visible_width,
    dark_scalar_width,
    dark_vector_width,
    mean_flight_cm,
    production_momentum,
)
from darkfactory.models.widths import axial_photons_width, vector_fermions_width, vector_neutrinos_width
from darkfactory.physics.constants import HBARC_GEV_CM, M_MU, M_TAU
from darkfactory.report.files import save_figure
from darkfactory.report.limits import Curve
from darkfactory.report.regimes import Plane, regime_figure
from darkfactory.report.style import style
from darkfactory.store.tables import read_csv, write_csv

__all__ = ["Widths", "apply", "at_point", "planes", "read_table", "regime_at", "stored_limits", "widths", "write"]

Array = NDArray[np.float64]
_STEPS = 121


@dataclass(frozen=True)
class Widths:
    """Widths in GeV to what is seen and to what is not, of one shape."""

    visible: Array
    dark: Array


def widths(
    mediator: MediatorConfig, config: RegimesConfig, table: ScalarTable | None, mass: Array, coupling: Array, chi: Array
) -> Widths:
    """Widths of a mediator, arrays of shapes that broadcast.

    Args:
        mediator: which one.
        config: hadronic ratio.
        table: lifetimes of a dark Higgs.
        mass: of the mediator, GeV.
        coupling: to the Standard Model.
        chi: mass of dark matter, GeV.
    """
    m, g, x = np.broadcast_arrays(mass, coupling, chi)
    dark = mediator.dark_coupling.value
    if mediator.kind == "dark_photon":
        return Widths(dark_photon_visible_width(m, g, config.hadronic_ratio), dark_vector_width(m, dark, x))
    if mediator.kind == "zprime":
        leptons = sum(np.asarray(vector_fermions_width(m, 1.0, one)) for one in (M_MU, M_TAU))
        return Widths(
            np.asarray(g**2 * leptons),
            np.asarray(g**2 * vector_neutrinos_width(m, 1.0, 2)) + dark_vector_width(m, dark, x),
        )
    if mediator.kind == "alp_photons":
        return Widths(np.asarray(g**2 * axial_photons_width(m, 1.0)), dark_scalar_width(m, dark, x, pseudoscalar=True))
    assert table is not None
    # few different masses, many couplings
    masses, place = np.unique(m, return_inverse=True)
    unit = np.array([interpolate_log(float(v), table.mass, table.ctau_cm) for v in masses])[place.reshape(m.shape)]
    visible = np.where(unit > 0, HBARC_GEV_CM / np.where(unit > 0, unit, 1.0), 0.0)
    return Widths(np.asarray(g**2 * visible), dark_scalar_width(m, dark, x))


def regime_at(
    mediator: MediatorConfig, config: RegimesConfig, table: ScalarTable | None, mass: Array, coupling: Array, chi: Array
) -> tuple[Array, Array]:
    """Number of the regime and mean flight in cm."""
    found = widths(mediator, config, table, mass, coupling, chi)
    momentum = production_momentum(mass, mediator.production, config.sqrts_gev.value)
    flight = mean_flight_cm(np.broadcast_to(mass, found.dark.shape), found.visible + found.dark, momentum)
    return classify(
        found.visible, found.dark, flight, config.prompt_cm.value, config.outer_cm.value, config.mixed_share.value
    ), flight


def apply(mediator: MediatorConfig, regime: str, mass: float, known: Sequence[str]) -> list[str]:
    """Searches that look at a regime and mass."""
    return [
        s.search
        for s in mediator.searches
        if regime in s.regimes and s.mass[0] <= mass <= s.mass[1] and s.search in known
    ]


def planes(mediator: MediatorConfig, config: RegimesConfig, table: ScalarTable | None) -> tuple[Plane, Plane]:
    """Mass against coupling at the dark-matter mass of the mediator, and against that mass at its coupling."""
    mass = np.geomspace(*mediator.masses, _STEPS)
    coupling = np.geomspace(*mediator.couplings, _STEPS)
    chi = np.geomspace(mediator.masses[0] / 4, mediator.masses[1], _STEPS)
    one, two = np.meshgrid(mass, coupling)
    first, _ = regime_at(mediator, config, table, one, two, np.asarray(mediator.dark_mass.value))
    one, two = np.meshgrid(mass, chi)
    second, _ = regime_at(mediator, config, table, one, np.asarray(mediator.at_coupling), two)
    at = f"$m_\\chi$ = {mediator.dark_mass.value:g} GeV"
    return (
        Plane(mass, coupling, first, mediator.label, at),
        Plane(mass, chi, second, "dark-matter mass [GeV]", f"{mediator.label} = {mediator.at_coupling:g}"),
    )


def stored_limits(campaign: Path, mediator: MediatorConfig) -> list[Curve]:
    """Expected limits of a finished campaign on the map's coupling, one curve for each search."""
    found = []
    for s in mediator.searches:
        files = sorted((campaign / s.search).glob(f"{s.dataset or '*'}/couplings.csv")) if s.model else []
        for file in files[:1]:
            rows = [r for r in read_csv(file) if r["model"] == s.model and r["expected"] is not None]
            rows = [r for r in rows if r["cl"] == rows[0]["cl"] and "_" not in r["point"]]
            rows.sort(key=lambda r: float(r["mass_gev"]))
            if len(rows) > 1:
                x, y = (tuple(float(r[k]) for r in rows) for k in ("mass_gev", "expected"))
                found.append(Curve(f"{s.search}, {file.parent.name}, expected", x, y))
    return found


def _rows(mediator: MediatorConfig, both: Sequence[Plane], names: Sequence[str]) -> list[dict[str, Any]]:
    """The planes as a table, every fourth step."""
    rows: list[dict[str, Any]] = []
    for plane, kind in zip(both, ("coupling", "dark_mass"), strict=True):
        for j in range(0, len(plane.y), 4):
            for i in range(0, len(plane.x), 4):
                regime = REGIMES[int(plane.regime[j, i])]
                mass = float(plane.x[i])
                rows.append(
                    {
                        "plane": kind,
                        "mass_gev": mass,
                        "coupling": float(plane.y[j]) if kind == "coupling" else mediator.at_coupling,
                        "dark_mass_gev": float(plane.y[j]) if kind == "dark_mass" else mediator.dark_mass.value,
                        "regime": regime,
                        "searches": " ".join(apply(mediator, regime, mass, names)),
                    }
                )
    return rows


def read_table(library: Library, mediator: MediatorConfig) -> ScalarTable | None:
    """Lifetimes of a dark Higgs, from the search that has them."""
    if not mediator.table:
        return None
    section = library.get("searches", mediator.table)["interpretation"]["dark_scalar"]
    return validate(ScalarTable, section, file=str(library.path("searches", mediator.table)), where="dark_scalar")


def at_point(mediator: MediatorConfig, config: RegimesConfig, library: Library, mass: float) -> dict[str, Any]:
    """What a mediator of one mass is, at the coupling and dark-matter mass of its settings."""
    values = [np.asarray(v) for v in (mass, mediator.at_coupling, mediator.dark_mass.value)]
    table = read_table(library, mediator)
    number, flight = regime_at(mediator, config, table, *values)
    found, regime = widths(mediator, config, table, *values), REGIMES[int(number)]
    total = float(found.visible + found.dark)
    return {
        "mass_gev": mass,
        "coupling": mediator.at_coupling,
        "dark_mass_gev": mediator.dark_mass.value,
        "width_gev": total,
        "unseen share": float(found.dark) / total if total > 0 else None,
        "mean flight [cm]": float(flight) if np.isfinite(flight) else None,
        "regime": regime,
        "searches": ", ".join(apply(mediator, regime, mass, library.names("searches"))) or "none",
    }


def write(
    name: str, mediator: MediatorConfig, config: RegimesConfig, library: Library, folder: Path, campaign: Path
) -> dict[str, Any]:
    """Figure, table and index of a mediator's regimes below ``folder``; what they say.

    Args:
        name: of the mediator.
        mediator: its settings.
        config: the file.
        library: folder of YAML files.
        folder: where.
        campaign: folder of the campaign's results, whose limits are drawn where they are there.
    """
    both = planes(mediator, config, read_table(library, mediator))
    names = library.names("searches")
    applied: Mapping[str, list[str]] = {
        r: [s.search for s in mediator.searches if r in s.regimes and s.search in names] for r in REGIMES
    }
    with style():
        figure = regime_figure(both, mediator.title, applied, stored_limits(campaign, mediator))
        save_figure(figure, folder, name)
    write_csv(folder / f"{name}.csv", _rows(mediator, both, names))
    share = {
        r: float(np.mean(both[0].regime == i)) for i, r in enumerate(REGIMES)
    }  # of the plane of mass and coupling, in logarithms
    index = {
        "mediator": name,
        "title": mediator.title,
        "note": mediator.note,
        "dark_mass_gev": mediator.dark_mass.value,
        "dark_coupling": mediator.dark_coupling.value,
        "at_coupling": mediator.at_coupling,
        "regimes": [{"regime": r, "share of the plane": share[r], "searches": applied[r]} for r in REGIMES],
        "figures": [{"file": f"{name}.png", "caption": f"Regimes: {mediator.title}. {mediator.note}"}],
    }
    write_json(folder / f"{name}.json", index)
    return index
