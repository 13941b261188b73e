"""Stage `control`: data over simulation of a control sample, written as corrections that searches use.

What stands for data is a sample of its own, recorded events or events that were simulated with another response of
the detector. Both take the way of every sample up to the selection; here they are counted in bins and divided.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from darkfactory.config.control import ControlConfig, ControlCorrection, Sideband
from darkfactory.config.load import validate
from darkfactory.config.trigger import TriggerMenu
from darkfactory.core.errors import InputError, RunError
from darkfactory.core.files import write_json
from darkfactory.execute.backends import Backend
from darkfactory.pipeline.drawn import write_figures
from darkfactory.pipeline.ledger import read_table_part
from darkfactory.pipeline.parts import Progress
from darkfactory.pipeline.request import Request, provenance
from darkfactory.pipeline.selected import Located, concatenate, locate, point_items
from darkfactory.pipeline.summaries import ALL_FOLDS, cutflows, equivalent_luminosity
from darkfactory.records.correction import Correction, corrections_to_dict
from darkfactory.report.control import ratio_figure
from darkfactory.report.style import style
from darkfactory.stats.ratios import Binned, Ratio, efficiencies, medians, ratio, scales, yields
from darkfactory.templates.fill import cut_mask
from darkfactory.trigger.emulate import line_weight

__all__ = ["compare", "correction_of", "counted", "finish", "run"]

Columns = Mapping[str, np.ndarray]
# a factor does not vanish at one standard deviation down: its logarithm is what a nuisance parameter varies
_LEAST = 0.05


def counted(columns: Columns, config: ControlCorrection, menu: TriggerMenu | None) -> Binned:
    """What a correction counts, of one of data and simulation.

    Args:
        columns: candidates.
        config: the correction.
        menu: the trigger menu that the events were seen by; None of recorded data, whose own bits count.
    """
    keep = cut_mask(columns, config.cuts)
    weight = np.asarray(columns["weight"], dtype=float)
    if config.sideband is not None:
        weight = weight * _sideband_weight(_column(columns, config.sideband.column), config.sideband)
        keep = keep & (weight != 0)
    used = {name: values[keep] for name, values in columns.items()}
    weight = weight[keep]
    index = np.zeros(len(weight), dtype=np.int64)
    bins = 1
    for axis in config.axes.values():
        n = len(axis.edges) - 1
        place = np.searchsorted(axis.edges, np.asarray(_column(used, axis.observable), dtype=float), side="right") - 1
        index = index * n + np.clip(place, 0, n - 1)
        bins *= n
    if config.method == "ratio":
        return yields(weight, index, bins, config.reference)
    if config.method == "scale":
        return medians(_column(used, config.peak), weight, index, bins)
    passed = cut_mask(used, config.passing).astype(float)
    for level, lines in config.lines.items():
        if menu is not None:
            passed = passed * line_weight(used[level], menu, level, lines)
        else:
            passed = passed * _recorded(used, config.recorded, lines)
    return efficiencies(passed, weight, index, bins, used.get("event_id"))


def _sideband_weight(values: np.ndarray, sideband: Sideband) -> NDArray[np.float64]:
    """One in the peak, negative beside it, zero elsewhere."""
    x = np.asarray(values, dtype=float)
    inside, beside = ((x >= low) & (x < high) for low, high in (sideband.signal, sideband.side))
    return np.asarray(np.where(inside, 1.0, 0.0) - np.where(beside, sideband.scale, 0.0), dtype=np.float64)


def _column(columns: Columns, name: str) -> np.ndarray:
    if name not in columns:
        raise RunError(f"control: no column {name!r} among the candidates; columns are {sorted(columns)}")
    return columns[name]


def _recorded(columns: Columns, names: Mapping[str, str], lines: Sequence[str]) -> np.ndarray:
    """Whether one of the lines fired, as recorded.

    Raises:
        InputError: a line whose column is not named, or not there.
    """
    fired = np.zeros(len(columns["weight"]), dtype=bool)
    for line in lines:
        if names.get(line) not in columns:
            raise InputError(
                f"control: line {line!r} of recorded data needs the column of its decision; `recorded` of the "
                f"correction says {names.get(line)!r}, columns are {sorted(columns)}"
            )
        fired |= np.nan_to_num(np.asarray(columns[names[line]], dtype=float)) > 0
    return fired.astype(float)


def compare(
    data: Columns, simulation: Columns, config: ControlCorrection, menus: tuple[TriggerMenu | None, TriggerMenu]
) -> tuple[Binned, Binned, Ratio]:
    """Data, simulation and their ratio in the bins of a correction."""
    seen, expected = counted(data, config, menus[0]), counted(simulation, config, menus[1])
    if config.scaled is None:
        return seen, expected, ratio(seen, expected, config.min_events)
    # cuts on the peak act on the scaled one, too
    moved = {**simulation, config.peak: _column(simulation, config.scaled.column)}
    shifted = counted(moved, config, menus[1])
    return seen, expected, scales(seen, expected, shifted, config.scaled.step, config.min_events)


def correction_of(name: str, config: ControlCorrection, found: Ratio) -> Correction:
    """The correction with its variations: all errors, and statistical and systematic ones by themselves."""
    shape = tuple(len(a.edges) - 1 for a in config.axes.values())
    systematic = found.value * config.systematic.value
    factors: dict[str, NDArray[np.float64]] = {"nominal": found.value}
    for prefix, size in (("", np.hypot(found.error, systematic)), ("stat_", found.error), ("syst_", systematic)):
        factors[f"{prefix}up"] = found.value + size
        factors[f"{prefix}down"] = np.maximum(found.value - size, _LEAST * found.value)
    return Correction(
        name,
        config.description,
        tuple(config.axes),
        tuple(np.asarray(a.edges, dtype=float) for a in config.axes.values()),
        {key: values.reshape(shape) for key, values in factors.items()},
    )


def _rows(config: ControlCorrection, seen: Binned, expected: Binned, found: Ratio) -> list[dict[str, Any]]:
    """One row a bin, for tables."""
    shape = tuple(len(a.edges) - 1 for a in config.axes.values())
    rows = []
    for i in range(len(found.value)):
        place = np.unravel_index(i, shape)
        edges = {
            name: [axis.edges[int(k)], axis.edges[int(k) + 1]]
            for (name, axis), k in zip(config.axes.items(), place, strict=True)
        }
        numbers = (seen.value[i], seen.error[i], expected.value[i], expected.error[i])
        told = [float(v) if np.isfinite(v) else None for v in numbers]
        rows.append(
            {
                "bin": edges, "data": told[0], "data_error": told[1],
                "simulation": told[2], "simulation_error": told[3],
                "data_events": float(seen.effective[i]), "simulation_events": float(expected.effective[i]),
                "factor": float(found.value[i]), "statistical": float(found.error[i]),
                "systematic": float(found.value[i] * config.systematic.value), "own": bool(found.own[i]),
            }
        )  # fmt: skip
    return rows


def _read(items: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """Candidates of all samples, each event with its weight in fb over the sample's generated number."""
    tables, first = [], 0
    for item in items:
        table = concatenate([read_table_part(path) for path in item["paths"]])
        # identifiers are those of one sample: events of two have nothing to do with each other
        number = np.unique(table["event_id"], return_inverse=True)[1] + first
        first += len(number)
        tables.append(table | {"weight": table["weight"] / item["n_generated"], "event_id": number})
    names = [name for name in tables[0] if all(name in t for t in tables)]
    return concatenate([{name: t[name] for name in names} for t in tables])


def _items(found: Sequence[Located], real: bool) -> list[dict[str, Any]]:
    """Parts of what stands for data; recorded events count as one each."""
    return [
        {
            "sample": one.manifest.sample,
            "paths": [str(one.folder / p.path) for p in one.manifest.parts],
            "n_generated": 1 if real else sum(p.n_generated for p in one.manifest.parts),
        }
        for one in found
    ]


def finish(request: Mapping[str, Any], tables: Mapping[str, Any], shown: Mapping[str, Any]) -> None:
    """Count, divide, and write corrections, record and figures, on one worker."""
    job = Request.from_dict(request)
    spec = job.spec
    config = validate(ControlConfig, spec["control"], where="control")
    menu = validate(TriggerMenu, spec["menu"], where="menu")
    seen_by = None if spec["data"] == "real" else validate(TriggerMenu, spec["menu_data"], where="menu_data")
    data, simulation = _read(tables["data"]), _read(tables["simulation"])
    made: list[Correction] = []
    record: dict[str, dict[str, Any]] = {}
    drawn: dict[str, tuple[str, Figure]] = {}
    for name, one in config.corrections.items():
        seen, expected, found = compare(data, simulation, one, (seen_by, menu))
        made.append(correction_of(name, one, found))
        record[name] = {
            "description": one.description, "method": one.method, "bins": _rows(one, seen, expected, found),
            "systematic": one.systematic.model_dump(mode="json"), "own": int(found.own.sum()),
        }  # fmt: skip
    about = {"dataset": spec["dataset"], "luminosity_fb": spec["luminosity_fb"], "data": spec["data"]}
    with style():
        for name, one in config.corrections.items():
            bins = record[name]["bins"]
            drawn[name] = (one.description, ratio_figure(bins, list(one.axes), one.method, **about))
        write_figures(job.output("figures"), drawn)
    told = {
        "search": spec["search"], **about, "sample": config.data, "response": spec["response"],
        "corrections": record, **shown, "provenance": provenance(job),
    }  # fmt: skip
    write_json(job.output("control"), told)
    kind = "pseudo-data" if spec["data"] == "pseudo" else "data"
    text = f"{spec['title']}, {spec['dataset']}: {kind} over simulation"
    write_json(job.output("corrections"), corrections_to_dict(made, text))


def run(request: Request, backend: Backend, progress: Progress) -> None:
    """The corrections of a dataset of a control sample."""
    spec = request.spec
    data, simulation = (locate(request.input_list(name)) for name in ("data", "simulation"))
    tables = {"data": _items(data, spec["data"] == "real"), "simulation": point_items(simulation, ALL_FOLDS)}
    shown = {
        "cutflows": cutflows([*simulation, *data]),
        "backgrounds": {i["sample"]: equivalent_luminosity(i) for i in tables["simulation"]},
    }
    backend.map([("darkfactory.pipeline.control:finish", (request.to_dict(), tables, shown))])
    progress(f"control {spec['search']}/{spec['dataset']}: done")
