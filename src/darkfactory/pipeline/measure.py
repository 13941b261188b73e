"""Stage `measure`: a mass from the edge of a spectrum, with corrections, errors, closure and toys.

Simulated events at several generated masses calibrate where the fitted edge lies. One half of those at the reference
mass stands for data: it is distorted by amounts that a control sample measures, corrected, fitted and compared with
what was generated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from darkfactory.config.formula import Formula
from darkfactory.config.load import validate
from darkfactory.config.measurement import MeasurementConfig
from darkfactory.config.points import parse_point, point_name
from darkfactory.core.errors import RunError
from darkfactory.core.files import write_json
from darkfactory.core.seeds import generator
from darkfactory.execute.backends import Backend
from darkfactory.pipeline.distortions import Distortion, drawn, found_in, slope_at
from darkfactory.pipeline.drawn import write_figures
from darkfactory.pipeline.parts import Progress
from darkfactory.pipeline.request import Request, provenance
from darkfactory.pipeline.selected import (
    concatenate,
    events_in_folds,
    hypothesis_items,
    locate,
    point_items,
    read_folds,
)
from darkfactory.pipeline.summaries import ALL_FOLDS, cutflows, equivalent_luminosity
from darkfactory.report.edge import calibration_figure, edge_figure, toys_figure
from darkfactory.report.style import style
from darkfactory.stats.edge import EdgeFit, edge_shape, fit_edges

__all__ = ["DATA_FOLDS", "Spectrum", "calibrate", "finish", "run", "spectrum", "systematics"]

Array = NDArray[np.float64]
Columns = Mapping[str, np.ndarray]
DATA_FOLDS = (2, 3)
"""Events of these folds at the reference mass stand for data; those of the others and of other masses calibrate."""

# GeV: a few widths of the edge
_NEAR_EDGE = 0.02


class Spectrum:
    """Weighted events of one spectrum, histogrammed and fitted.

    Args:
        values: of the observable, GeV.
        weights: of the events, fb.
        config: the section.
        window: range, the configured one by default.
    """

    def __init__(
        self, values: Array, weights: Array, config: MeasurementConfig, window: tuple[float, float] | None = None
    ) -> None:
        low, high = window or config.window
        self.edges = np.linspace(low, high, round((high - low) / config.bin_width) + 1)
        inside = (values >= low) & (values < high)
        sumw, sumw2 = float(weights[inside].sum()), float((weights[inside] ** 2).sum())
        if not sumw > 0 or sumw**2 / sumw2 < 50:
            raise RunError(
                f"measurement: {sumw**2 / sumw2 if sumw2 > 0 else 0:.0f} effective events between {low:g} and "
                f"{high:g} GeV are too few for a fit of the edge; generate more"
            )
        self.scale = sumw2 / sumw
        content, _ = np.histogram(values[inside], bins=self.edges, weights=weights[inside])
        self.counts = content / self.scale
        self.fit: EdgeFit = fit_edges(self.counts[None], self.edges, start=config.reference, quadratic=config.quadratic)
        if not self.fit.converged[0]:
            raise RunError(f"measurement: the fit of the edge between {low:g} and {high:g} GeV did not converge")

    @property
    def edge(self) -> float:
        """Fitted place of the edge, GeV."""
        return float(self.fit.edge[0])

    @property
    def error(self) -> float:
        """Its error from the number of simulated events, GeV."""
        return float(self.fit.error[0])


def spectrum(
    columns: Columns, config: MeasurementConfig, shift: Mapping[str, float | Array] | None = None,
    window: tuple[float, float] | None = None,
) -> Spectrum:  # fmt: skip
    """The spectrum of candidates that have distortions: ``shift`` by name of the correction."""
    values = np.asarray(columns[config.observable], dtype=float)
    moved = values.copy()
    for name, size in (shift or {}).items():
        c = config.corrections[name]
        moved += (np.asarray(columns[c.column], dtype=float) - values) * (size / c.step)
    return Spectrum(moved, np.asarray(columns["weight"], dtype=float), config, window)


def calibrate(masses: Sequence[float], fits: Sequence[Spectrum], reference: float) -> tuple[Array, Array]:
    """Straight line of the edge against the generated mass, both relative to the reference.

    Returns:
        Offset at the reference (GeV) and slope, and their covariance.
    """
    x = np.stack([np.ones(len(masses)), np.asarray(masses) - reference], axis=1)
    y, w = np.array([f.edge for f in fits]) - reference, np.array([1 / f.error**2 for f in fits])
    covariance = np.linalg.inv((x.T * w) @ x)
    return covariance @ (x.T @ (w * y)), covariance


def _mass(edge: float, line: Array, reference: float) -> float:
    return float(reference + (edge - reference - line[0]) / line[1])


def _near(columns: Columns, config: MeasurementConfig, edge: float) -> NDArray[np.bool_]:
    return np.asarray(np.abs(np.asarray(columns[config.observable], dtype=float) - edge) < _NEAR_EDGE)


def _distortion(
    name: str, config: MeasurementConfig, data: Columns, calibration: Columns, edge: float,
    truth: tuple[Formula, Mapping[str, str]] | None, rng: np.random.Generator,
) -> Distortion:  # fmt: skip
    """What pseudo-data have and what a control sample says of it; errors are those near the edge."""
    c = config.corrections[name]
    near = _near(calibration, config, edge)
    moves = slope_at(calibration, config.observable, c, near)
    if truth is None:
        return drawn(c, float(np.average(moves, weights=calibration["weight"][near])), rng)
    return found_in(name, data, truth, {k: v[near] for k, v in calibration.items()}, moves)


def _variations(columns: Columns, config: MeasurementConfig, edge: float) -> dict[str, float]:
    """How far the edge moves with nuisances of weights, GeV, the larger of both sides.

    Raises:
        RunError: candidates without the nuisance.
    """
    found = {}
    for name in config.variations:
        sides = [f"var_{name}_{side}" for side in ("up", "down")]
        if any(s not in columns for s in sides):
            raise RunError(
                f"measurement.variations: no columns {sides} among the candidates; nuisances are "
                f"{sorted(c[4:-3] for c in columns if c.startswith('var_') and c.endswith('_up'))}"
            )
        moved = [spectrum({**columns, "weight": columns["weight"] * columns[s]}, config).edge for s in sides]
        found[name] = max(abs(m - edge) for m in moved)
    return found


def systematics(
    config: MeasurementConfig, line: Array, covariance: Array, corrections: Mapping[str, Mapping[str, float]],
    window_change: float, variations: Mapping[str, float] | None = None,
) -> list[dict[str, Any]]:  # fmt: skip
    """Rows of the table of errors, in MeV, those computed here first."""
    rows = [
        {"name": "bias of the edge, from simulated events", "mev": 1e3 * float(np.sqrt(covariance[0, 0])) / line[1],
         "source": "measured"},
        {"name": "range of the fit", "mev": 1e3 * window_change, "source": "measured"},
    ]  # fmt: skip
    for name, c in corrections.items():
        # what a control sample of this run says is measured, its residual is the number of its configuration
        own = "measured" if config.corrections[name].applied else "derived"
        rows += [
            {"name": f"{name}, {part}", "mev": abs(1e3 * c[part] * c["slope"] / line[1]), "source": source}
            for part, source in (("statistical", own), ("residual", "derived"))
        ]
    rows += [
        {"name": f"{name}, weights", "mev": 1e3 * moved / line[1], "source": "measured"}
        for name, moved in (variations or {}).items()
    ]
    rows += [
        {"name": name.replace("_", " "), "mev": 1e3 * v.value, "source": v.source}
        for name, v in config.systematics.items()
    ]
    return rows


def _toys(reference: Spectrum, events: float, config: MeasurementConfig, rng: np.random.Generator) -> dict[str, Any]:
    """Pseudo-experiments of the whole dataset from the fitted function."""
    parameters = reference.fit.parameters[0].copy()
    parameters[0] *= events / reference.counts.sum()
    middle = 0.5 * (reference.edges[1:] + reference.edges[:-1])
    expected = edge_shape(middle, parameters[None])[0]
    counts = rng.poisson(expected, (config.toys, len(expected))).astype(float)
    fits = fit_edges(counts, reference.edges, start=config.reference, quadratic=config.quadratic)
    good = fits.converged
    pulls = (fits.edge[good] - reference.edge) / fits.error[good]
    return {
        "toys": config.toys,
        "converged": int(good.sum()),
        "events": float(events),
        "error_mev": 1e3 * float(np.mean(fits.error[good])),
        "spread_mev": 1e3 * float(np.std(fits.edge[good])),
        "pull_mean": float(np.mean(pulls)),
        "pull_width": float(np.std(pulls)),
        "pulls": pulls.tolist(),
    }


def _other_windows(
    calibration: Columns, data: Columns, config: MeasurementConfig, applied: Mapping[str, float | Array],
    edges: tuple[float, float],
) -> float:  # fmt: skip
    """Largest change of the result with another range of the fit, in data and in the calibration alike."""
    change = 0.0
    for window in config.windows:
        moved = [
            spectrum(c, config, s, window).edge - e
            for c, s, e in ((data, applied, edges[0]), (calibration, {}, edges[1]))
        ]
        change = max(change, abs(moved[0] - moved[1]))
    return change


def finish(request: Mapping[str, Any], items: Sequence[Mapping[str, Any]], shown: Mapping[str, Any]) -> None:
    """Calibrate, measure, and write the record with its figures, on one worker."""
    job = Request.from_dict(request)
    spec = job.spec
    config = validate(MeasurementConfig, spec["measurement"], where="measurement")
    by_point = {item["point"]: item for item in items}
    at = point_name({"mass": config.reference})
    half = tuple(f for f in ALL_FOLDS if f not in DATA_FOLDS)
    folds = {p: half if p == at else ALL_FOLDS for p in by_point}
    tables = {p: concatenate([read_folds(path, folds[p]) for path in i["paths"]]) for p, i in by_point.items()}
    masses = [parse_point(p)["mass"] for p in tables]
    fits = [spectrum(t, config) for t in tables.values()]
    line, covariance = calibrate(masses, fits, config.reference)
    reference = fits[list(tables).index(at)]
    item = by_point[at]
    data = concatenate([read_folds(path, DATA_FOLDS) for path in item["paths"]])

    rng = generator(spec["seed"], "measure", spec["search"], spec["dataset"])
    truths = {n: (validate(Formula, t["formula"], where=n), t["inputs"]) for n, t in spec["injected"].items()}
    distortions = {
        name: _distortion(name, config, data, tables[at], reference.edge, truths.get(name), rng)
        for name in config.corrections
    }
    corrections = {name: one.record for name, one in distortions.items()}
    true = {name: one.true for name, one in distortions.items()}
    applied = {name: one.left for name, one in distortions.items()}
    raw, corrected = spectrum(data, config, true), spectrum(data, config, applied)
    mass = _mass(corrected.edge, line, config.reference)
    change = _other_windows(tables[at], data, config, applied, (corrected.edge, reference.edge))
    varied = _variations(tables[at], config, reference.edge)
    rows = systematics(config, line, covariance, corrections, change, varied)
    statistical = corrected.error / line[1]
    control = sum((found["statistical"] * found["slope"] / line[1]) ** 2 for found in corrections.values())
    total = float(np.sqrt(statistical**2 + covariance[0, 0] / line[1] ** 2 + control))
    # events of the spectrum in 1/fb of data: the mean of the weights over all that were generated
    per_fb = reference.scale * reference.counts.sum() / sum(events_in_folds(n, half) for n in item["counts"])
    toys = _toys(reference, per_fb * spec["luminosity_fb"], config, rng)
    record = {
        "search": spec["search"],
        "dataset": spec["dataset"],
        "data": spec["data"],
        "quantity": "mass",
        "unit": "GeV",
        "generated": config.reference,
        "uncorrected": _mass(raw.edge, line, config.reference),
        "measured": mass,
        "statistical_mev": 1e3 * statistical,
        "error_mev": 1e3 * total,
        "pull": (mass - config.reference) / total,
        "data_luminosity_fb": float(corrected.counts.sum() / per_fb),
        "luminosity_fb": spec["luminosity_fb"],
        "calibration": {
            "masses": masses, "edges": [f.edge for f in fits], "errors": [f.error for f in fits],
            "offset_mev": 1e3 * float(line[0]), "offset_error_mev": 1e3 * float(np.sqrt(covariance[0, 0])),
            "slope": float(line[1]), "slope_error": float(np.sqrt(covariance[1, 1])),
        },
        "fit": {
            "parameters": corrected.fit.parameters[0].tolist(), "deviance": float(corrected.fit.deviance[0]),
            "bins": len(corrected.counts), "events": float(corrected.counts.sum()),
        },
        "corrections": corrections,
        "systematics": rows,
        "systematic_mev": float(np.sqrt(sum(r["mev"] ** 2 for r in rows))),
        "toys": toys,
        "cutflows": shown["cutflows"],
        "backgrounds": shown["backgrounds"],
        "provenance": provenance(job),
    }  # fmt: skip
    with style():
        write_figures(job.output("figures"), _drawn(record, corrected, masses, fits, line))
    write_json(job.output("measurement"), record)


def _drawn(
    record: Mapping[str, Any], data: Spectrum, masses: Sequence[float], fits: Sequence[Spectrum], line: Array
) -> dict[str, tuple[str, Figure]]:
    """Name to caption and figure."""
    whole = {"dataset": record["dataset"], "luminosity_fb": record["luminosity_fb"], "data": record["data"]}
    simulated = whole | {"luminosity_fb": float(f"{record['data_luminosity_fb']:.3g}")}
    middle = 0.5 * (data.edges[1:] + data.edges[:-1])
    edges, errors = [f.edge for f in fits], [f.error for f in fits]
    return {
        "spectrum": (
            "Pseudomass of the pseudo-data after corrections, and the fit",
            edge_figure(data.edges, data.counts, edge_shape(middle, data.fit.parameters)[0], data.edge, **simulated),
        ),
        "calibration": (
            "Place of the edge by generated mass",
            calibration_figure(masses, edges, errors, line, record["generated"], **simulated),
        ),
        "toys": (
            "Pulls of pseudo-experiments with the whole luminosity",
            toys_figure(record["toys"]["pulls"], **whole),
        ),
    }


def run(request: Request, backend: Backend, progress: Progress) -> None:
    """The measurement of a dataset."""
    spec = request.spec
    signals, backgrounds = locate(request.input_list("signals")), locate(request.input_list("backgrounds"))
    items = hypothesis_items(point_items(signals, ALL_FOLDS), spec, spec["grid"])
    shown = {
        "cutflows": cutflows([*signals, *backgrounds]),
        "backgrounds": {i["sample"]: equivalent_luminosity(i) for i in point_items(backgrounds, ALL_FOLDS)},
    }
    backend.map([("darkfactory.pipeline.measure:finish", (request.to_dict(), items, shown))])
    progress(f"measure {spec['search']}/{spec['dataset']}: done")
