"""Stage: external ROOT ntuples to reconstructed objects, in place of generate and simulate."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from darkfactory.config.detector import AcceptanceConfig
from darkfactory.config.external import ExternalConfig, GoodRuns, Recipe
from darkfactory.config.load import validate
from darkfactory.config.ntuples import NtupleMapConfig
from darkfactory.core.errors import InputError
from darkfactory.detector.geometry import ecl_region
from darkfactory.events.objects import SCHEMAS, build_objects, empty_objects, field_recipes, recipe_columns
from darkfactory.execute.backends import Backend
from darkfactory.pipeline.parts import Progress, run_parts
from darkfactory.pipeline.request import Request
from darkfactory.records.books import Book
from darkfactory.store.arrays import write_arrays
from darkfactory.store.joining import INDEX, INDEX_OPTIONAL, ChunkPlan, Joined, join_rows, plan_chunks
from darkfactory.store.ntuples import is_simulation, read_ntuple, tree_columns
from darkfactory.store.remote import is_remote, remote_stamp, stamp_digest
from darkfactory.store.sources import file_digest

__all__ = ["chunk", "examine", "good_events", "run"]

Array = NDArray[Any]
_TRIGGER = frozenset(
    ["l1", "l1_psnm", "l1_ftdl", "l1_input", "l1_prescale", "hlt", "hlt_line", "hlt_line_noprescale", "hlt_prescale"]
)
"""Columns of the name map that are kept beside the objects; the trigger is emulated whether they are there or not."""


class _Reader:
    """What a sample reads from one file.

    Attributes:
        external: the sample.
        map: names.
        recipes: collection to the recipes of its daughters.
        filled: fields for which a constant stands in.
    """

    def __init__(self, spec: Mapping[str, Any], path: str) -> None:
        self.external = validate(ExternalConfig, spec["external"], where="external")
        self.map = validate(NtupleMapConfig, spec["map"], where="map")
        self.path = path
        found = {t: tree_columns(path, t, self.map)[0] for t in self.external.collections.trees()}
        self.recipes: dict[str, list[dict[str, Recipe]]] = {}
        self.filled: list[str] = []
        self._wanted: dict[str, list[str]] = {t: [] for t in found}
        for kind, config in self.external.collections.given().items():
            self.recipes[kind] = []
            for prefix in config.prefixes or ("",):
                try:
                    recipes, filled = field_recipes(kind, config, prefix, list(found[config.tree]))
                except InputError as error:
                    raise InputError(f"{path}: {config.tree}: {error}") from error
                self.recipes[kind].append(recipes)
                self.filled += [f for f in filled if f not in self.filled]
                self._wanted[config.tree] += recipe_columns(recipes)
        self._index = {t: [*INDEX, *(c for c in INDEX_OPTIONAL if c in columns)] for t, columns in found.items()}
        self.trigger = {
            t: [c for c, base in columns.items() if base in _TRIGGER and c.split("(")[0] == base]
            for t, columns in found.items()
        }

    def index(self) -> dict[str, dict[str, Array]]:
        """Tree to the index columns of all rows."""
        return {t: read_ntuple(self.path, t, self.map, names) for t, names in self._index.items()}

    def rows(self, plan: ChunkPlan) -> dict[str, dict[str, Array]]:
        """Tree to all columns that are used, of the rows of a chunk."""
        return {
            t: read_ntuple(self.path, t, self.map, [*names, *self._wanted[t], *self.trigger[t]], plan.rows[t])
            for t, names in self._index.items()
        }


def examine(request: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Check a file against the sample and cut it into chunks.

    Raises:
        InputError: the file, a tree or a column is missing or damaged; data that are simulation.
    """
    spec = request["spec"]
    stamp = _stamp(path)
    reader = _Reader(spec, path)
    index = reader.index()
    if reader.external.kind == "data":
        for tree, columns in index.items():
            experiments = np.unique(columns["experiment"])
            wrong = experiments[is_simulation(experiments, reader.map.simulation_experiments)]
            if len(wrong):
                raise InputError(
                    f"{path}: {tree}: experiment {int(wrong[0])} is simulation in the name map, the sample says "
                    "kind: data; say kind: simulation with a cross-section, or take the file out"
                )
    plans = plan_chunks(index, spec["chunk"])
    digest = stamp_digest(stamp) if is_remote(path) else file_digest(path)
    _check_unchanged(path, stamp)
    runs = _runs(index) if reader.external.kind == "data" else []
    chunks = [asdict(p) for p in plans]
    return {"digest": digest, "stamp": stamp, "chunks": chunks, "filled": reader.filled, "runs": runs}


def _stamp(path: str) -> list[int | str]:
    """What tells that a file was replaced or written to, without reading it."""
    if is_remote(path):
        return remote_stamp(path)
    try:
        known = Path(path).stat()
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; give files that exist and stay") from error
    return [known.st_size, known.st_mtime_ns, known.st_ino]


def _check_unchanged(path: str, stamp: Sequence[int | str]) -> None:
    if _stamp(path) != list(stamp):
        raise InputError(f"{path}: the file was replaced or written to while it was read; run again when it stays")


def _plan(value: Mapping[str, Any]) -> ChunkPlan:
    rows = {tree: (int(a), int(b)) for tree, (a, b) in value["rows"].items()}
    return ChunkPlan(rows, tuple(value["first"]), tuple(value["last"]), value["events"])


def _per_event(values: Array, event: Array, n_events: int, missing: int) -> Array:
    """The value of each event's first row; a missing one for events without rows."""
    numbers, first = np.unique(event, return_index=True)
    result = np.full(n_events, missing if values.dtype.kind in "iub" else np.nan).astype(values.dtype)
    result[numbers] = values[first]
    return result


def _event_fields(reader: _Reader, columns: Mapping[str, Mapping[str, Array]], joined: Joined) -> dict[str, Array]:
    fields: dict[str, Array] = {name: joined.keys[:, i] for i, name in enumerate(INDEX)}
    for tree, names in reader.trigger.items():
        for column in names:
            name = "ntuple_" + re.sub(r"\W+", "_", column).strip("_")
            if name not in fields:
                values = columns[tree][column][joined.rows[tree]]
                fields[name] = _per_event(values, joined.event[tree], len(joined.keys), reader.map.integer_missing)
    return fields


def chunk(request: Request, item: dict[str, Any], path: Path) -> dict[str, Any]:
    """Read one chunk of a file."""
    spec = request.spec
    reader = _Reader(spec, item["path"])
    acceptance = validate(AcceptanceConfig, spec["acceptance"], where="acceptance")
    plan = _plan(item["plan"])
    columns = reader.rows(plan)
    _check_unchanged(item["path"], item["path_stamp"])
    joined = join_rows(columns, plan)
    n = len(joined.keys)
    weight = item["sigma_fb"] if reader.external.kind == "simulation" else 1.0
    fields: dict[str, Any] = {
        "weight": np.full(n, weight),
        "event_id": item["chunk"] * 2**32 + np.arange(n, dtype=np.int64),
        **_event_fields(reader, columns, joined),
    }
    dropped, repeated = {}, {}
    for kind in SCHEMAS:
        if kind not in reader.recipes:
            fields[kind] = empty_objects(kind, n)
            continue
        tree = reader.external.collections.given()[kind].tree
        objects = build_objects(
            kind,
            reader.recipes[kind],
            {c: v[joined.rows[tree]] for c, v in columns[tree].items()},
            joined.event[tree],
            n,
            integer_missing=reader.map.integer_missing,
            regions=lambda theta: ecl_region(theta, acceptance),
        )
        fields[kind], dropped[kind], repeated[kind] = objects.array, objects.dropped, objects.repeated
    about: dict[str, Any] = {"kind": reader.external.kind, "source": item["digest"], "filled": reader.filled}
    about |= {"without_value": dropped, "repeated": repeated}
    meta: dict[str, Any] = {"external": about}
    if reader.external.kind == "simulation":
        meta |= {"sigma_fb": item["sigma_fb"], "sigma_err_fb": 0.0}
    else:
        meta |= {"data": "real", "luminosity_fb": reader.external.luminosity}
    good = good_events(joined.keys, reader.external.good_runs)
    kept = int(np.count_nonzero(good))
    if reader.external.good_runs:
        about["outside_good_runs"] = n - kept
    return {
        "digest": write_arrays(path, ak.zip(fields, depth_limit=1)[good]),
        "n_generated": item["n_generated"],
        "events": kept,
        "sumw": weight * kept,
        "meta": meta,
        "book": asdict(Book(n, kept, kept, n - kept, weight * n, weight * kept, weight * (n - kept), 0.0)),
    }


def good_events(keys: Array, good: Sequence[GoodRuns]) -> NDArray[np.bool_]:
    """Which events, by experiment and run in the first two columns, are in good runs; all without a list.

    Example:
        >>> runs = GoodRuns(experiment=7, runs=((1, 3), (5, 5)))
        >>> good_events(np.array([[7, 2, 1], [7, 4, 1], [8, 2, 1], [7, 5, 9]]), [runs]).tolist()
        [True, False, False, True]
    """
    mask = np.full(len(keys), not good)
    for entry in good:
        for first, last in entry.runs:
            mask |= (keys[:, 0] == entry.experiment) & (keys[:, 1] >= first) & (keys[:, 1] <= last)
    return mask


def _check_overlap(files: list[str], found: Sequence[Mapping[str, Any]], spec: Mapping[str, Any]) -> None:
    """Files of data whose ranges of events in one run overlap have no event in common."""
    seen: dict[tuple[int, int], list[tuple[str, int, int]]] = {}
    for file, one in zip(files, found, strict=True):
        for experiment, run_number, first, last in one["runs"]:
            for other, low, high in seen.setdefault((experiment, run_number), []):
                if first <= high and low <= last:
                    common = sorted(
                        _events_of(file, spec, experiment, run_number) & _events_of(other, spec, experiment, run_number)
                    )
                    if common:
                        raise InputError(
                            f"{file} has {len(common)} events of experiment {experiment}, run {run_number} that "
                            f"{other} has, too (the first is {common[0]}): they would count twice; give one"
                        )
            seen[experiment, run_number].append((file, first, last))


def _events_of(path: str, spec: Mapping[str, Any], experiment: int, run_number: int) -> set[int]:
    return {
        int(e)
        for c in _Reader(spec, path).index().values()
        for e in c["event"][(c["experiment"] == experiment) & (c["run"] == run_number)]
    }


def _runs(index: Mapping[str, Mapping[str, Array]]) -> list[list[int]]:
    """Experiment, run, first and last event of each run."""
    keys = np.concatenate([np.stack([c[k] for k in INDEX], axis=1).astype(np.int64) for c in index.values()])
    if not len(keys):
        return []
    pairs, label = np.unique(keys[:, :2], axis=0, return_inverse=True)
    label = label.reshape(-1)
    first = np.full(len(pairs), np.iinfo(np.int64).max)
    last = np.full(len(pairs), np.iinfo(np.int64).min)
    np.minimum.at(first, label, keys[:, 2])
    np.maximum.at(last, label, keys[:, 2])
    return [[int(v) for v in row] for row in np.column_stack([pairs, first, last])]


def _check_repeated(files: list[str], digests: list[str]) -> None:
    seen: dict[str, str] = {}
    for file, digest in zip(files, digests, strict=True):
        if digest in seen:
            raise InputError(f"{file} has the same content as {seen[digest]}: events would count twice; give one")
        seen[digest] = file


def _points(request: Request, external: ExternalConfig) -> dict[str, dict[str, Any]]:
    """Point (``all``: not a signal) to its files, and what normalises them."""
    signal: dict[str, dict[str, Any]] = dict(request.spec.get("signal", {}))
    if signal:
        return signal
    files = [*(str(p) for p in request.input_list("ntuples")), *request.spec.get("remote", ())]
    return {"all": {"files": files, "cross_section": external.cross_section, "n_generated": external.n_generated}}


def _items(
    sample: str, point: str, how: Mapping[str, Any], external: ExternalConfig, found: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Chunks of a point, each with its share of the events that were generated."""
    what = sample if point == "all" else f"{sample}, {point}"
    files = how["files"]
    total = sum(c["events"] for f in files for c in found[f]["chunks"])
    if total == 0:
        raise InputError(f"{', '.join(files)}: no events in {external.collections.trees()}; give files with events")
    generated = how["n_generated"] or total
    if generated < total:
        raise InputError(
            f"{what}: n_generated is {generated}, the files have {total} events; give the number before any selection"
        )
    sigma = how["cross_section"]
    if external.kind == "simulation" and sigma is None and external.luminosity is not None:
        sigma = generated / external.luminosity
    items: list[dict[str, Any]] = []
    seen = 0
    for file in files:
        one = found[file]
        for plan in one["chunks"]:
            before, seen = seen, seen + plan["events"]
            items.append(
                {
                    "point": point,
                    "chunk": len(items),
                    "path": file,
                    "path_stamp": one["stamp"],
                    "digest": one["digest"],
                    "plan": plan,
                    # events without rows belong to no chunk: each has its share
                    "n_generated": generated * seen // total - generated * before // total,
                    "sigma_fb": sigma,
                }
            )
    return items


def run(request: Request, backend: Backend, progress: Progress) -> None:
    """Read all files of a sample. All are examined before the first chunk is written.

    Raises:
        InputError: a file is missing or damaged, a tree or column is missing, nothing to read, more events than
            were generated.
    """
    spec = request.spec
    external = validate(ExternalConfig, spec["external"], where="external")
    points = _points(request, external)
    files = [f for how in points.values() for f in how["files"]]
    tasks = [("darkfactory.pipeline.ingest:examine", (request.to_dict(), f)) for f in files]
    found = backend.map(tasks, lambda n: progress(f"ingest {spec['sample']}: file {n} of {len(files)}"))
    _check_repeated(files, [f["digest"] for f in found])
    _check_overlap(files, found, spec)
    for name in sorted({name for f in found for name in f["filled"]}):
        progress(f"ingest {spec['sample']}: no column for {name}, its default stands in")
    known = dict(zip(files, found, strict=True))
    items = [i for point, how in points.items() for i in _items(spec["sample"], point, how, external, known)]
    run_parts(request, backend, progress, "darkfactory.pipeline.ingest:chunk", items)
