"""The ledger: beside every part a record of its outcome, keyed by code, configuration and inputs.

``<point>-<chunk>-<key>.json`` says that the part of that name is whole, ``<point>-<chunk>-<key>.failed.json`` why it is
not there. Records appear whole or not at all, and lie outside the outputs that the workflow engine knows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np

from darkfactory.core.digest import digest_value
from darkfactory.core.errors import DamagedError
from darkfactory.core.files import read_json, write_json
from darkfactory.execute.outcomes import Failure
from darkfactory.pipeline.request import Request
from darkfactory.store.arrays import content_digest, read_arrays

__all__ = ["FAILED", "FailedPart", "failed_parts", "forget_failures", "part_name", "read_part", "read_table_part",
           "record_failure", "verify"]  # fmt: skip

FAILED = ".failed.json"
"""End of the name of the record of a failure."""


@dataclass(frozen=True)
class FailedPart:
    """A record of a failure.

    Attributes:
        file: the record.
        stage: name of the stage.
        point: name of the point.
        chunk: number of the chunk.
        failure: what happened.
    """

    file: Path
    stage: str
    point: str
    chunk: int
    failure: Failure


def part_name(job: Request, item: Mapping[str, Any]) -> str:
    """Name of a part, without its suffix: paths of inputs do not belong to the key, their digests do."""
    identity = {k: v for k, v in item.items() if not k.startswith("path")}
    return f"{item['point']}-{item['chunk']:05d}-{digest_value([job.key, identity])}"


def record_failure(folder: Path, job: Request, item: Mapping[str, Any], failure: Failure) -> None:
    """Write down why a part is not there."""
    known = {"stage": job.stage, "point": item["point"], "chunk": item["chunk"]}
    write_json(folder / f"{part_name(job, item)}{FAILED}", known | failure.to_dict())


def forget_failures(folder: Path, kept: set[str]) -> None:
    """Remove records of failures that are no longer true: of parts that were made since, and of other keys."""
    for file in folder.glob(f"*{FAILED}"):
        if file.name.removesuffix(FAILED) not in kept:
            file.unlink(missing_ok=True)


def failed_parts(folder: Path) -> Iterator[FailedPart]:
    """All failures recorded below a folder, by file name."""
    for file in sorted(folder.rglob(f"*{FAILED}")):
        value = read_json(file)
        yield FailedPart(file, value["stage"], value["point"], value["chunk"], Failure.from_dict(value))


def verify(path: str | Path, digest: str) -> None:
    """Compare what was read from a part with the record beside it.

    Raises:
        DamagedError: it is not what was written.
    """
    record = Path(path).with_suffix(".json")
    # parts of tests and of other people have no record
    if not re.search(r"-\d{5}-[0-9a-f]{16}$", record.stem) or not record.exists():
        return
    if read_json(record)["digest"] != digest:
        raise DamagedError(
            f"{path}: this part is not what was written (the digest of its content differs); "
            "`darkfactory retry --failed` makes it anew",
            str(path),
        )


def read_part(path: str | Path) -> ak.Array:
    """Events of a part, checked against its record."""
    try:
        events = read_arrays(path)
    except Exception as error:
        raise DamagedError(f"{error}; `darkfactory retry --failed` makes it anew", str(path)) from error
    verify(path, content_digest(events))
    return events


def read_table_part(path: str | Path) -> dict[str, np.ndarray]:
    """Flat table of a part, checked against its record."""
    table = read_part(path)
    return {name: ak.to_numpy(table[name]) for name in table.fields}
