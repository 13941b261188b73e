"""Stage: the figures of a search on a dataset, from JSON and CSV only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from darkfactory.config.interpretation import InterpretationConfig
from darkfactory.config.load import validate
from darkfactory.config.points import further_axes
from darkfactory.core.files import read_json, write_json
from darkfactory.execute.backends import Backend
from darkfactory.interpret.couplings import g_minus_2_band
from darkfactory.pipeline.lifetime_figures import lifetime_limits, regions
from darkfactory.pipeline.maps import limit_maps, plane_figures
from darkfactory.pipeline.parts import Progress
from darkfactory.pipeline.request import Request, provenance
from darkfactory.report.datasets import profile_curve
from darkfactory.report.files import save_figure
from darkfactory.report.limits import Curve, coupling_figure, limit_figure, significance_figure
from darkfactory.report.spectra import cutflow_figure, network_figure, pulls_figure, quantity_figure, spectrum_figure
from darkfactory.report.style import blinded_label, mark_projection, style
from darkfactory.store.tables import read_csv, read_reference

__all__ = ["finish", "run"]

MASS = "mass [GeV]"
QUANTITIES = {
    "cross_section": "the cross-section",
    "branching_fraction": "the branching fraction",
    "efficiency_times_cross_section": "efficiency times cross-section",
}
"""What limits are on, in words."""
Rows = list[dict[str, Any]]
Drawn = Iterator[tuple[str, str, Figure]]


def _families(rows: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> dict[tuple[Any, ...], Rows]:
    """Rows by hypothesis, CL and so on, each by mass."""
    found: dict[tuple[Any, ...], Rows] = {}
    for row in rows:
        found.setdefault(tuple(row.get(k) for k in keys), []).append(dict(row))
    return {k: sorted(v, key=lambda r: float(r["mass_gev"])) for k, v in found.items()}


def _tag(*parts: Any) -> str:
    return "_".join(str(p).replace(".", "p") for p in parts if p is not None)


def _common(job: Request, data: str) -> dict[str, Any]:
    return {"dataset": job.spec["dataset"], "luminosity_fb": job.spec["luminosity_fb"], "data": data}


def _one_axis(rows: Rows) -> Rows:
    """Rows of points that have no axis beyond mass and width: what figures by mass show."""
    return [r for r in rows if not further_axes(r["point"])]


def _limits(job: Request, common: Mapping[str, Any]) -> Drawn:
    rows = _one_axis(read_csv(job.input("limits_csv")))
    for (hypothesis, cl, width), family in _families(rows, ("hypothesis", "cl", "width")).items():
        unit = f" [{family[0]['unit']}]" if family[0]["unit"] else ""
        quantity = QUANTITIES[family[0]["quantity"]]
        wide = "" if width is None else f", width {width:.0%} of the mass"
        figure = limit_figure(family, **common, ylabel=f"upper limit on {quantity}{unit}", xlabel=MASS)
        name = _tag("limits", hypothesis, f"cl{cl}", width)
        yield name, f"Limits on {quantity}, {hypothesis}{wide}, {cl:.0%} CL", figure
        if width is None and any(r["z_local"] is not None for r in family):
            figure = significance_figure(family, **common, xlabel=MASS)
            yield _tag("significance", hypothesis, f"cl{cl}"), f"Local significance, {hypothesis}", figure


def _bands(config: InterpretationConfig, hypothesis: str, masses: Sequence[float]) -> list[Curve]:
    found = []
    grid = np.geomspace(max(min(masses), 1e-3), max(masses), 60).tolist()
    for band in config.bands:
        if band.hypothesis == hypothesis:
            d = band.delta_a_mu
            made = g_minus_2_band(grid, band.label, d.value, d.uncertainty or 0.0, band.sigmas, d.note)
            found.append(Curve(made.label, made.mass, made.high, made.low))
    return found


def _overlays(job: Request, config: InterpretationConfig, coupling: str, masses: Sequence[float]) -> list[Curve]:
    found = []
    for overlay in config.overlays:
        file = Path(job.spec["references"]) / overlay.file
        if overlay.coupling == coupling and file.exists():
            _, rows = read_reference(file)
            # a table by lifetime is no curve in mass
            inside = [r for r in rows if "ctau_cm" not in r and min(masses) <= float(r["mass_GeV"]) <= max(masses)]
            x, y = (tuple(float(r[k]) for r in inside) for k in ("mass_GeV", "limit"))
            found.append(Curve(overlay.label, x, y))
    return found


def _couplings(job: Request, common: Mapping[str, Any]) -> Drawn:
    config = validate(InterpretationConfig, job.spec["interpretation"], where="interpretation")
    of_model = {(name, model.hypothesis, model.coupling) for name, model in config.models.items()}
    found = read_csv(job.input("couplings"))
    # a model may have regions of other hypotheses besides
    rows = _one_axis([r for r in found if (r["model"], r["hypothesis"], r["quantity"]) in of_model])
    for (model, cl, width), family in _families(rows, ("model", "cl", "width")).items():
        settings = config.models[model]
        masses = [float(r["mass_gev"]) for r in family]
        figure = coupling_figure(
            family,
            **common,
            ylabel=settings.label or settings.coupling,
            xlabel=MASS,
            curves=_overlays(job, config, settings.coupling, masses),
            bands=_bands(config, settings.hypothesis, masses),
            logx=min(masses) > 0 and max(masses) / min(masses) > 30,
        )
        wide = "" if width is None else f", width {width:.0%} of the mass"
        yield _tag("coupling", model, f"cl{cl}", width), f"{settings.coupling}, {model}{wide}: {settings.note}", figure


def _spectra(job: Request, common: Mapping[str, Any]) -> Drawn:
    model, observed = read_json(job.input("model")), read_json(job.input("observed"))
    luminosity = job.spec["luminosity_fb"]
    labels = job.spec["labels"]
    for region, samples in model["background"].items():
        binning = model["binning"][region]
        counts = np.asarray(observed["counts"][region])
        axis = tuple(range(1, counts.ndim))
        stacks = {}
        for name, s in samples.items():
            values = np.asarray(s["nominal"]) * luminosity
            stacks[labels.get(name, name)] = values.sum(axis=axis) if axis else values
        total = counts.sum(axis=axis) if axis else counts
        # more bins than a figure resolves are drawn together
        starts = np.arange(0, len(total), max(len(total) // 500, 1))
        edges = (
            [*(binning["first"][i] for i in starts), binning["first"][-1]] if len(total) > 1000 else binning["first"]
        )
        if len(total) > 1000:
            total, stacks = np.add.reduceat(total, starts), {k: np.add.reduceat(v, starts) for k, v in stacks.items()}
        figure = spectrum_figure(edges, total.tolist(), stacks, **common, xlabel=binning["label"])
        yield (
            f"spectrum_{region}",
            f"{binning['observable']} in region {region}: expectation and {common['data']} data",
            figure,
        )
        if axis:
            edges = [float(e) for e in binning["second"]]
            folded = {n: np.asarray(s["nominal"]).sum(axis=0) * luminosity for n, s in samples.items()}
            stacks = {labels.get(n, n): v for n, v in folded.items()}
            figure = spectrum_figure(
                edges, counts.sum(axis=0).tolist(), stacks, **common, xlabel=binning["second_observable"], log=False
            )
            yield f"spectrum_{region}_second", f"{binning['second_observable']} in region {region}", figure


def _by_mass(rows: Rows, value: Callable[[Mapping[str, Any]], float | None], label: str) -> Curve:
    points = [(float(r["mass_gev"]), v) for r in rows if (v := value(r)) is not None]
    return Curve(label, tuple(m for m, _ in points), tuple(v for _, v in points))


def _efficiencies(job: Request, common: Mapping[str, Any]) -> Drawn:
    rows = _one_axis(read_csv(job.input("efficiency")))
    if not rows:
        return
    families = _families(rows, ("hypothesis", "width"))

    def label(key: tuple[Any, ...]) -> str:
        return str(key[0]) if key[1] is None else f"{key[0]}, width {key[1]:.0%}"

    curves = [_by_mass(f, lambda r: r["efficiency"], label(k)) for k, f in families.items()]
    yield (
        "efficiency",
        "Selected candidates per produced event, trigger included",
        quantity_figure(curves, **common, xlabel=MASS, ylabel="efficiency"),
    )
    narrow = [f for (_, width), f in families.items() if width is None]
    curves = []
    for family in narrow:
        for region in dict.fromkeys(r["region"] for r in family if r["region"]):
            inside = [r for r in family if r["region"] == region]
            # one name a curve where hypotheses share regions
            text = str(region) if len(narrow) == 1 else f"{family[0]['hypothesis']}, {region}"
            curves.append(_by_mass(inside, lambda r: r["resolution"], text))
    if any(curve.mass for curve in curves):
        yield (
            "resolution",
            "Half width of the central 68 % of the signal's squared mass",
            quantity_figure(curves, **common, xlabel=MASS, ylabel=r"$\sigma_{68}(M^2)$ [GeV$^2$]", log=True),
        )
    trigger = read_json(job.input("trigger"))
    lines: dict[str, dict[float, float]] = {}
    for family in narrow:
        for row in family:
            for line, value in trigger["lines"].get(f"{row['hypothesis']}/{row['point']}", {}).items():
                text = "all lines" if line == "any" else line
                text = text if len(narrow) == 1 else f"{row['hypothesis']}, {text}"
                lines.setdefault(text, {})[float(row["mass_gev"])] = value
    curves = [Curve(n, tuple(v), tuple(v.values())) for n, v in lines.items()]
    if curves:
        yield (
            "trigger",
            "Fraction of the preselected signal that the trigger lines keep",
            quantity_figure(curves, **common, xlabel=MASS, ylabel="trigger efficiency"),
        )
    yield from _trigger_profiles(trigger["profiles"], narrow, common)


def _trigger_profiles(profiles: Mapping[str, Any], narrow: Sequence[Rows], common: Mapping[str, Any]) -> Drawn:
    """Trigger efficiency by observable, for a low, a middle and a high mass of each hypothesis."""
    for family in narrow:
        points = [r["point"] for r in family if f"{r['hypothesis']}/{r['point']}" in profiles]
        chosen = [points[i] for i in sorted({0, len(points) // 2, len(points) - 1})] if points else []
        of_point = {p: profiles[f"{family[0]['hypothesis']}/{p}"] for p in chosen}
        for name in dict.fromkeys(n for told in of_point.values() for n in told):
            curves = [profile_curve(told[name], point) for point, told in of_point.items() if name in told]
            yield (
                _tag("trigger", family[0]["hypothesis"], name),
                f"Trigger efficiency of the preselected signal by {name}",
                quantity_figure(curves, **common, xlabel=name, ylabel="trigger efficiency"),
            )


def _cutflow(job: Request, common: Mapping[str, Any]) -> Drawn:
    stored = read_json(job.input("cutflow"))["cutflows"]
    signals = [n for n in stored if "/" in n and "_w" not in n]
    shown = [n for n in stored if "/" not in n] + [signals[i] for i in sorted({0, len(signals) // 2, len(signals) - 1})]
    yield (
        "cutflow",
        "Weight left after each cut of the preselection",
        cutflow_figure({n: stored[n] for n in shown}, title=job.spec["dataset"]),
    )


def _network(job: Request, common: Mapping[str, Any]) -> Drawn:
    for path in job.input_list("network"):
        stored = read_json(path)["network"]
        for name, text, network in _networks(stored):
            responses = {f"{h['label']}, {h['fold']}": (h["edges"], h["density"]) for h in network["histograms"]}
            ranking = {i[0]: i[3] for i in network["inputs"]}
            yield (
                name,
                f"Response of the network{text} in training and test folds; importance of its inputs",
                network_figure(responses, ranking, title=f"{job.spec['dataset']}{text}"),
            )


def _networks(stored: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Figure name, text and network of each network of a multivariate step; cuts have none."""
    if stored["kind"] == "punzi_net":
        yield "network", "", stored
    if stored["kind"] == "regional_networks":
        limits = pairwise(stored["edges"])
        for k, ((low, high), network) in enumerate(zip(limits, stored["networks"], strict=True)):
            yield f"network_r{k}", f", {low:g} to {high:g} GeV", network


def _axis_of(job: Request, row: Mapping[str, Any]) -> str:
    """Text of the axis that a point is fitted in."""
    for r in read_csv(job.input("efficiency")):
        if (r["hypothesis"], r["point"]) == (row["hypothesis"], row["point"]) and r["region"]:
            return str(read_json(job.input("model"))["binning"][r["region"]]["label"])
    return "squared mass [GeV$^2$]"


def _pulls(job: Request, common: Mapping[str, Any]) -> Drawn:
    scan = read_json(job.input("scan"))
    largest = scan.get("largest")
    if largest and largest.get("best_fit"):
        fit = largest["best_fit"]
        signal = (np.asarray(fit["fit"]) - np.asarray(fit["background"])).tolist()
        yield (
            "best_fit",
            f"Window of the largest excess, {largest['point']}: fitted background and best-fit signal",
            spectrum_figure(
                fit["edges"],
                fit["observed"],
                {"background (fit)": fit["background"], "signal (best fit)": signal},
                **common,
                xlabel=_axis_of(job, largest),
                log=False,
            ),
        )
    if largest and largest.get("pulls"):
        pulls = {k: (v[0], v[1]) for k, v in largest["pulls"].items()}
        title = f"{largest['point']}, local {largest['z_local']:.1f} sigma"
        yield "pulls", "Nuisance parameters at the best fit of the largest excess", pulls_figure(pulls, title=title)


def finish(request: Mapping[str, Any]) -> None:
    """Draw everything, on one worker."""
    job = Request.from_dict(request)
    common = _common(job, blinded_label(job.spec))
    folder = job.output("figures").parent
    entries = []
    with style():
        by_mass = (
            _couplings,
            regions,
            _limits,
            lifetime_limits,
            limit_maps,
            _spectra,
            _efficiencies,
            _network,
            _cutflow,
            _pulls,
        )
        plane = (limit_maps, plane_figures, _cutflow)
        for draw in plane if job.spec["kind"] == "ellipses" else by_mass:
            for name, caption, figure in draw(job, common):
                if job.spec["projection"]:
                    mark_projection(figure)
                save_figure(figure, folder, name)
                entries.append({"file": f"{name}.png", "caption": caption})
    write_json(job.output("figures"), {"figures": entries, "provenance": provenance(job)})


def run(request: Request, backend: Backend, progress: Progress) -> None:
    """All figures of a dataset."""
    backend.map([("darkfactory.pipeline.figures:finish", (request.to_dict(),))])
    progress(f"figures {request.spec['search']}/{request.spec['dataset']}: done")
