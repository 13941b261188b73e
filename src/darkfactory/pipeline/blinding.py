"""The door that recorded data pass on their way into histograms: shut until an unblinding is on record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from darkfactory.config.search import SearchConfig
from darkfactory.config.templates import RegionConfig
from darkfactory.core.errors import ConfigError, InputError, RunError
from darkfactory.pipeline.request import Request
from darkfactory.pipeline.selected import concatenate, locate, read_folds
from darkfactory.pipeline.summaries import ALL_FOLDS
from darkfactory.records.histogram import Histogram
from darkfactory.records.unblinding import Unblinding, read_chain
from darkfactory.templates.fill import fill_region

__all__ = [
    "CHAIN",
    "chain_path",
    "check_open",
    "common_data",
    "data_spec",
    "observed_histograms",
    "read_records",
    "recorded_candidates",
]

CHAIN = "unblinding/{campaign}/{search}/{dataset}.jsonl"
"""Where the records of a dataset are, below the project's top level: not among results, which may be thrown away."""


def chain_path(campaign: str, search: str, dataset: str) -> Path:
    """The file of a dataset's records.

    Example:
        >>> str(chain_path("laptop", "alp_3gamma", "belle2_445pb"))
        'unblinding/laptop/alp_3gamma/belle2_445pb.jsonl'
    """
    return Path(CHAIN.format(campaign=campaign, search=search, dataset=dataset))


def read_records(path: Path) -> tuple[Unblinding, ...]:
    """All records of a dataset; none where there is no file.

    Raises:
        InputError: the file is not what was written, or is of other data.
    """
    try:
        text = path.read_text()
    except FileNotFoundError:
        return ()
    records = read_chain(text, str(path))
    for r in records:
        if chain_path(r.campaign, r.search, r.dataset).parts != path.parts[-4:]:
            raise InputError(
                f"{path}: its records are of {r.campaign}/{r.search}/{r.dataset}; a record opens the data that it "
                "names, and no others"
            )
    return records


def data_spec(campaign: str, config: SearchConfig, stand_in: str) -> dict[str, Any]:
    """What a stage is told of a dataset's data: their kind and, of recorded data, the record that opens them.

    Args:
        campaign: name.
        config: of the search on the dataset.
        stand_in: ``pseudo`` or ``asimov``, for data that are not there or not open.
    """
    if not config.data.recorded:
        return {"data": stand_in}
    records = read_records(chain_path(campaign, config.search, config.dataset))
    if not records:
        return {"data": stand_in, "blinding": {"record": None}}
    return {"data": "real", "blinding": {"record": records[-1].digest}}


def common_data(kinds: Iterable[str]) -> str:
    """The kind of data of several datasets together.

    Raises:
        ConfigError: recorded data beside others.

    Example:
        >>> common_data(["pseudo", "pseudo"])
        'pseudo'
    """
    found = sorted(set(kinds))
    if len(found) > 1:
        raise ConfigError(
            f"a combination of {' and '.join(found)} data says nothing; unblind all of its datasets, or leave it out",
            where="combinations",
        )
    return found[0] if found else "pseudo"


def check_open(job: Request) -> None:
    """Refuse to read recorded data of a job that no record on disk opens, whatever its configuration says.

    Raises:
        RunError: there is no record, or it is not the one that the job was planned with.
    """
    spec = job.spec
    name = f"{spec['search']}/{spec['dataset']}"
    path = job.inputs.get("unblinding") or []
    records = read_records(Path(path if isinstance(path, str) else path[0])) if path else ()
    asked = spec.get("blinding", {}).get("record")
    last = records[-1] if records else None
    if asked is None or last is None or last.digest != asked or (last.search, last.dataset) != tuple(name.split("/")):
        raise RunError(
            f"{name}: recorded data are blinded and stay unread; `darkfactory unblind {spec['search']} "
            f"{spec['dataset']} --by NAME --reason TEXT` opens them, a configuration does not"
        )


def recorded_candidates(job: Request) -> dict[str, np.ndarray]:
    """Candidates of the recorded data, of all events, once a record opens them.

    Raises:
        RunError: the data are blinded, or an event does not count as one.
    """
    check_open(job)
    tables: list[Mapping[str, np.ndarray]] = []
    for one in locate(job.input_list("recorded")):
        for part in one.manifest.of("all"):
            if part.meta.get("data") != "real":
                raise RunError(f"{one.manifest.sample}: {part.path} is simulation; only recorded data are observed")
            tables.append(read_folds(one.folder / part.path, ALL_FOLDS))
    columns = concatenate(tables)
    if not np.all(columns["weight"] == 1.0):
        raise RunError(f"{job.spec['search']}/{job.spec['dataset']}: a recorded event has a weight other than one")
    return columns


def observed_histograms(
    job: Request, regions: Sequence[RegionConfig], edges: Mapping[str, Sequence[Any]]
) -> dict[str, Histogram]:
    """Counts of the recorded data in every region.

    Args:
        job: of the stage `model`, with the input ``recorded`` and the record.
        regions: of the templates.
        edges: region to the edges of its axes.
    """
    columns = recorded_candidates(job)
    plain = {name: v for name, v in columns.items() if not name.startswith("var_")}
    return {r.name: fill_region(plain, r, edges[r.name], n_generated=1.0) for r in regions}
