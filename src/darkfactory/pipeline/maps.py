"""Figures over two axes of points: maps of limits and efficiencies, and what a search in a plane shows beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from darkfactory.config.ellipses import EllipsesConfig
from darkfactory.config.interpretation import InterpretationConfig
from darkfactory.config.load import validate
from darkfactory.config.points import AXES, further_axes
from darkfactory.core.files import read_json
from darkfactory.pipeline.ellipses import PlaneData, windows_of
from darkfactory.pipeline.request import Request
from darkfactory.report.limits import Curve
from darkfactory.report.planes import plane_figure, toys_figure
from darkfactory.report.spectra import quantity_figure, spectrum_figure
from darkfactory.store.tables import read_csv

__all__ = ["limit_maps", "plane_figures"]

MASS = AXES["mass"].label
Rows = list[dict[str, Any]]
Drawn = Iterator[tuple[str, str, Figure]]

_LINEAR = ("z_local", "efficiency", "trigger_efficiency", "correlation")
_SLICES = (0.5, 1.0, 2.0, 3.0, 4.0)  # second masses, GeV, of the curves


def _tag(*parts: Any) -> str:
    return "_".join(str(p).replace(".", "p") for p in parts if p is not None)


def _by_axis(rows: Rows) -> dict[str, Rows]:
    """Rows of points with one axis beyond the mass, by that axis."""
    found: dict[str, Rows] = {}
    for r in rows:
        axes = further_axes(r["point"], ("mass",))
        if len(axes) == 1 and "width" not in axes:
            found.setdefault(next(iter(axes)), []).append(r)
    return found


def _maps(
    rows: Rows,
    keys: Sequence[str],
    values: Sequence[str],
    common: Mapping[str, Any],
    name: str,
    label: Callable[[str, Mapping[str, Any]], str],
) -> Drawn:
    """Maps of some columns over the mass and one further axis, by hypothesis and so on."""
    families: dict[tuple[Any, ...], Rows] = {}
    for row in rows:
        families.setdefault(tuple(row[k] for k in keys), []).append(row)
    for key, family in families.items():
        for axis, inside in _by_axis(family).items():
            for value in values:
                shown = [r for r in inside if r.get(value) is not None]
                if len(shown) < 3:
                    continue
                other = AXES[axis]
                figure = plane_figure(
                    [r["mass_gev"] for r in shown],
                    [r[other.column] for r in shown],
                    [r[value] for r in shown],
                    **common,
                    xlabel=MASS,
                    ylabel=other.label,
                    label=label(value, shown[0]),
                    log=value not in _LINEAR,
                    logy=other.unit == "cm",
                )
                caption = f"{value.replace('_', ' ')}, {', '.join(map(str, key))}"
                yield _tag("map", name, *key, axis, value), caption, figure


def limit_maps(job: Request, common: Mapping[str, Any]) -> Drawn:
    """Maps of limits, couplings and efficiencies where points have a second axis."""
    rows = read_csv(job.input("limits_csv"))
    # a plane of windows has rows of every method for every window; elsewhere the method goes with the point
    by = ("method",) if job.spec["kind"] == "ellipses" else ()

    def text(value: str, row: Mapping[str, Any]) -> str:
        unit = f" [{row['unit']}]" if row["unit"] else ""
        return r"local significance [$\sigma$]" if value == "z_local" else f"{value} limit{unit}"

    yield from _maps(rows, ("hypothesis", "cl", *by), ("observed", "expected", "z_local"), common, "limits", text)
    if job.spec["interpretation"]:
        config = validate(InterpretationConfig, job.spec["interpretation"], where="interpretation")
        rows = [r for r in read_csv(job.input("couplings")) if r["model"] in config.models]

        def coupling(value: str, row: Mapping[str, Any]) -> str:
            return f"{value} limit on {config.models[row['model']].label or row['coupling']}"

        yield from _maps(rows, ("model", "cl", *by), ("observed", "expected"), common, "coupling", coupling)
    rows = read_csv(job.input("efficiency"))
    names = {
        "efficiency": "efficiency",
        "efficiency_window": "efficiency inside the window",
        "sigma_x": r"$\sigma$ of the first squared mass [GeV$^2$]",
        "sigma_y": r"$\sigma$ of the second squared mass [GeV$^2$]",
        "correlation": "correlation of the squared masses",
    }
    yield from _maps(rows, ("hypothesis",), tuple(names), common, "signal", lambda value, row: names[value])


def _slices(rows: Rows, column: str, common: Mapping[str, Any], ylabel: str) -> Figure | None:
    """Curves by mass for some values of the second one: medians of the windows near it."""
    curves = []
    for second in _SLICES:
        found: dict[float, list[float]] = {}
        for r in rows:
            if r[column] is not None and abs(float(r["mass2_gev"]) - second) < 0.25:
                found.setdefault(round(4 * float(r["mass_gev"])) / 4, []).append(float(r[column]))
        masses = sorted(found)
        if len(masses) > 1:
            values = tuple(float(np.median(found[m])) for m in masses)
            curves.append(Curve(f"second mass {second:g} GeV", tuple(masses), values))
    if not curves:
        return None
    return quantity_figure(curves, **common, xlabel=MASS, ylabel=ylabel, log=True)


def _projections(
    plane: PlaneData, config: EllipsesConfig, labels: Mapping[str, str], common: Mapping[str, Any]
) -> Drawn:
    luminosity = common["luminosity_fb"]
    x, y = plane.cells.middle()
    for name, at, column in (("first", x, config.x), ("second", y, config.y)):
        some = plane.observed > 0
        if not some.any():
            continue
        top = float(np.quantile(np.repeat(at[some], plane.observed[some].astype(int)), 0.999))
        edges = np.linspace(float(at[some].min()), top, 61)
        stacks = {
            labels.get(n, n): (np.histogram(at, edges, weights=b.expected)[0] * luminosity).tolist()
            for n, b in plane.backgrounds.items()
        }
        observed = np.histogram(at, edges, weights=plane.observed)[0].tolist()
        figure = spectrum_figure(edges.tolist(), observed, stacks, **common, xlabel=f"{column} [GeV$^2$]")
        yield f"spectrum_{name}", f"{column}: expectation and {common['data']} data", figure


def plane_figures(job: Request, common: Mapping[str, Any]) -> Drawn:
    """Figures of a plane of windows: spectra, expectation and data by window, curves, look-elsewhere, the threshold."""
    config = validate(EllipsesConfig, job.spec["templates"], where="templates")
    plane = PlaneData(read_json(job.input("model")), read_json(job.input("observed")))
    yield from _projections(plane, config, job.spec["labels"], common)
    windows = windows_of(plane.points, plane.model, plane.cells, config.half_axes)
    total = np.asarray(sum(b.expected for b in plane.backgrounds.values())) * common["luminosity_fb"]
    axes = [(r["mass_gev"], r["mass2_gev"]) for r in read_csv(job.input("efficiency")) if not r["simulated"]]
    m1, m2 = ([a[i] for a in axes] for i in (0, 1))
    expected, observed = windows.sums(total), windows.sums(plane.observed)
    if len(m1) == len(expected):
        for name, values, text in (
            ("expected", np.maximum(expected, 1e-3), "expected background events"),
            ("observed", np.maximum(observed, 0.3), f"events of the {common['data']} data (0.3: none)"),
        ):
            figure = plane_figure(
                m1, m2, values.tolist(), **common, xlabel=MASS, ylabel=AXES["mass2"].label, label=f"{text} in a window"
            )
            yield f"windows_{name}", f"{text} in each window", figure
    rows = [r for r in read_csv(job.input("couplings")) if r["method"] == "bayes"]
    for value in ("expected", "observed"):
        made = _slices(rows, value, common, f"{value} limit on {rows[0]['coupling'] if rows else ''}")
        if made is not None:
            yield f"slices_coupling_{value}", f"{value} limit by mass, medians of the windows near a second mass", made
    rows = [r for r in read_csv(job.input("limits_csv")) if r["method"] == "bayes"]
    made = _slices(rows, "observed", common, f"observed limit [{rows[0]['unit'] if rows else ''}]")
    if made is not None:
        yield "slices_limits_observed", "observed limit by mass, medians of the windows near a second mass", made
    scan = read_json(job.input("scan")).get("largest") or {}
    if scan.get("z_max_toys"):
        figure = toys_figure(scan["z_max_toys"], scan["z_local"], **common)
        yield "look_elsewhere", "Largest local significance of background-only planes, and that of the data", figure
    for path in job.input_list("network"):
        stored = read_json(path)["network"]
        if stored["kind"] == "threshold_surface":
            yield from _threshold(stored, common)


def _threshold(stored: Mapping[str, Any], common: Mapping[str, Any]) -> Drawn:
    rows = [
        {"point": p[0].rpartition("/")[2], "best": p[1], "smooth": p[2], "gain": p[4] / p[3]} for p in stored["points"]
    ]
    axes = [(float(r["point"][1:].split("_")[0].replace("p", ".")), further_axes(r["point"])["mass2"]) for r in rows]
    for name, text in (
        ("smooth", f"largest {stored['observable']} kept"),
        ("gain", "figure of merit with the cut over that without"),
    ):
        figure = plane_figure(
            [a[0] for a in axes], [a[1] for a in axes], [r[name] for r in rows], **common, xlabel=MASS,
            ylabel=AXES["mass2"].label, label=text, log=False,
        )  # fmt: skip
        yield f"threshold_{name}", f"{text}, at the simulated points", figure
