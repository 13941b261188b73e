"""Stage: the final selection of a search, its multivariate step applied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from darkfactory.core.digest import digest_value
from darkfactory.core.errors import InputError
from darkfactory.core.files import read_json
from darkfactory.execute.backends import Backend
from darkfactory.pipeline.ledger import read_table_part
from darkfactory.pipeline.parts import Progress, input_items, missing_of, run_parts
from darkfactory.pipeline.request import Request
from darkfactory.records.books import Book, make_book
from darkfactory.records.correction import corrections_from_dict, corrections_from_table, corrections_to_dict
from darkfactory.records.cutflow import Cutflow
from darkfactory.select.multivariate import judge, multivariate_from_dict
from darkfactory.select.weights import Applied, with_corrections
from darkfactory.store.arrays import write_table
from darkfactory.store.tables import read_csv

__all__ = ["chunk", "run"]


def _extended(flow: dict[str, Any], name: str, columns: dict[str, np.ndarray]) -> dict[str, Any]:
    """The cutflow with one more step: as in the steps before, an event counts once however many candidates it has."""
    _, first = np.unique(columns["event_id"], return_index=True)
    weight = columns["weight"][first]
    before = Cutflow.from_dict(flow)
    more = (int(np.count_nonzero(weight)), float(np.sum(weight)), float(np.sum(weight * weight)))
    return Cutflow(
        (*before.names, name), (*before.events, more[0]), (*before.sumw, more[1]), (*before.sumw2, more[2])
    ).to_dict()


def _book(before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray]) -> Book:
    """Events with candidates before and after; an event counts once, with the weight of its candidates."""
    ids, first = np.unique(before["event_id"], return_index=True)
    return make_book(ids, before["weight"][first], after["event_id"], after["weight"])


def _content(path: str | Path) -> dict[str, Any]:
    """A file of corrections in the format of correctionlib, also where it is a table."""
    if Path(path).suffix == ".csv":
        return corrections_to_dict(corrections_from_table(read_csv(path), Path(path).stem, str(path)), "")
    content: dict[str, Any] = read_json(path)
    return content


def _applied(wanted: Mapping[str, Any], paths: Sequence[str]) -> dict[str, Applied]:
    """The corrections that a sample is weighted with, by nuisance.

    Raises:
        InputError: a file without the correction.
    """
    files = {i: corrections_from_dict(_content(paths[i]), paths[i]) for i in {one["file"] for one in wanted.values()}}
    found = {}
    for nuisance, one in wanted.items():
        known = files[one["file"]]
        if one["correction"] not in known:
            raise InputError(
                f"{paths[one['file']]}: no correction {one['correction']!r}; there are {sorted(known)}; "
                f"corrections.{nuisance} of the search names it"
            )
        found[nuisance] = Applied(
            known[one["correction"]], tuple(one["inputs"]), one["trigger"], one.get("nuisance", ""),
            one.get("weight", True),
        )  # fmt: skip
    return found


def chunk(request: Request, item: dict[str, Any], path: Path) -> dict[str, Any]:
    """Final candidates of one chunk: trigger folded in, multivariate response kept as column ``mva``."""
    before = read_table_part(item["path"])
    columns = before
    flow = _extended(item["meta"]["cutflow"], "trigger", columns)
    if item["path_network"]:
        step = multivariate_from_dict(read_json(item["path_network"])["network"])
        keep, responses = judge(step, columns)
        columns = {name: values[keep] for name, values in (columns | responses).items()}
        flow = _extended(flow, "multivariate", columns)
    wanted = request.spec.get("corrections")
    # recorded events are what simulation is corrected to
    if wanted and item["meta"].get("data") != "real":
        columns = with_corrections(columns, _applied(wanted, item["paths_corrections"]))
        flow = _extended(flow, "corrections", columns)
    return {
        "digest": write_table(path, columns),
        "n_generated": item["n_generated"],
        "events": len(columns["weight"]),
        "sumw": float(np.sum(columns["weight"])),
        "meta": item["meta"] | {"cutflow": flow},
        "book": asdict(_book(before, columns)),
    }


def run(request: Request, backend: Backend, progress: Progress) -> None:
    """Final candidates of all chunks of a block."""
    network = request.input_list("network")
    # what the network says is part of the identity of a part, where it lies is not
    said = digest_value(read_json(network[0])["network"]) if network else ""
    extra: dict[str, Any] = {"network": said, "path_network": str(network[0]) if network else ""}
    if request.spec.get("corrections"):
        files = request.input_list("corrections")
        extra |= {
            "corrections": digest_value([_content(f) for f in files]),
            "paths_corrections": [str(f) for f in files],
        }
    source = request.input("preselected")
    items = [item | extra for item in input_items(source)]
    run_parts(request, backend, progress, "darkfactory.pipeline.select:chunk", items, missing=missing_of(source))
