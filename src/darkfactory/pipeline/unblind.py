"""Unblinding: an act of its own, on record, that no configuration performs; and whether it still is what was frozen."""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import hashlib
import importlib.metadata
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from darkfactory.config.resolve import Campaign
from darkfactory.core.digest import canonical_json
from darkfactory.core.errors import InputError, UserError
from darkfactory.core.files import atomic_path, read_json, write_text
from darkfactory.pipeline.blinding import chain_path, read_records
from darkfactory.pipeline.layout import path
from darkfactory.pipeline.request import Request
from darkfactory.records.unblinding import Unblinding, chain_text

__all__ = ["Blinding", "Plan", "blinding_of", "blindings", "freeze", "frozen_path", "unblind"]

Wildcards = Mapping[str, str]
_STAGES = ("preselect", "select", "model", "workspace", "limits")


class Plan(Protocol):
    """What is asked of a planner here."""

    campaign: Campaign
    name: str

    def model(self, w: Wildcards) -> dict[str, Any]:
        """Configuration of the stage `model`."""

    def workspace(self, w: Wildcards) -> dict[str, Any]:
        """Configuration of the stage `workspace`."""

    def menu(self, period: str) -> dict[str, Any]:
        """The trigger menu of a period."""

    def limit_blocks(self, w: Wildcards) -> list[str]:
        """Names of the blocks of workspaces."""


@dataclass(frozen=True)
class Blinding:
    """The state of a dataset with recorded data.

    Attributes:
        state: ``blinded`` or ``unblinded``.
        record: the last record, if there is one.
        changed: what is not as it was when the data were opened, ``templates.x: 1 -> 2``.
    """

    state: str
    record: Unblinding | None = None
    changed: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """What a report tells."""
        r = self.record
        told = {} if r is None else {"by": r.by, "reason": r.reason, "time": r.time, "record": r.digest}
        return {"state": self.state, **told, "changed": list(self.changed)}


def freeze(plan: Plan, w: Wildcards) -> dict[str, Any]:
    """Everything that the analysis of a dataset depends on, without the state of its blinding."""
    config = plan.campaign.searches[w["search"], w["dataset"]]
    names = dict.fromkeys((*(h.sample for h in config.hypotheses.values()), *config.backgrounds, *config.data.recorded))
    samples: dict[str, Any] = {}
    for name in names:
        one = {**w, "sample": name, "block": "all", "period": config.data.period}
        first = ("generate", "simulate") if plan.campaign.samples[name].external is None else ("ingest",)
        specs = {stage: getattr(plan, stage)(one) for stage in (*first, "skim", "trigger", "preselect", "select")}
        # the grid and the menu are there once
        samples[name] = {s: {k: v for k, v in spec.items() if k not in ("points", "menu")} for s, spec in specs.items()}
    analysis = {k: v for k, v in plan.model(w).items() if k not in ("data", "blinding")}
    frozen = {
        "analysis": analysis,
        "menu": plan.menu(config.data.period),
        "network": config.network,
        "statistics": config.statistics,
        "interpretation": config.interpretation,
        "samples": samples,
    }
    # as it is read back: tuples are lists
    return dict(json.loads(canonical_json(frozen)))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def frozen_path(chain: Path, configuration: str) -> Path:
    """Where a frozen configuration is kept.

    Example:
        >>> frozen_path(Path("unblinding/c/s/d.jsonl"), "ab" * 32).name
        'd.abababababababab.json'
    """
    return chain.with_name(f"{chain.stem}.{configuration[:16]}.json")


def _differences(before: Any, now: Any, at: str = "") -> Iterator[str]:
    """Leaves that differ."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for key in sorted({*before, *now}):
            yield from _differences(before.get(key), now.get(key), f"{at}.{key}" if at else str(key))
    elif before != now:
        old, new = (canonical_json(v) for v in (before, now))
        yield f"{at}: {old[:60]} -> {new[:60]}"


def blinding_of(plan: Plan, w: Wildcards) -> Blinding | None:
    """State of a dataset; None where it has no recorded data.

    Raises:
        InputError: its records are not what was written.
    """
    if not plan.campaign.searches[w["search"], w["dataset"]].data.recorded:
        return None
    chain = chain_path(plan.name, w["search"], w["dataset"])
    records = read_records(chain)
    if not records:
        return Blinding("blinded")
    last, now = records[-1], freeze(plan, w)
    if _digest(canonical_json(now)) == last.configuration:
        return Blinding("unblinded", last)
    file = frozen_path(chain, last.configuration)
    try:
        before = read_json(file)
    except InputError:
        return Blinding("unblinded", last, (f"the frozen configuration {file} is gone or damaged",))
    return Blinding("unblinded", last, tuple(_differences(before, now)))


def blindings(plan: Plan) -> dict[tuple[str, str], Blinding]:
    """Search and dataset to the state, of all that have recorded data."""
    every = {(s, d): blinding_of(plan, {"search": s, "dataset": d}) for s, d in plan.campaign.searches}
    return {key: state for key, state in every.items() if state is not None}


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One act at a time; the lock goes with the process that holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UserError(f"{folder}: another unblinding is under way; wait until it ends") from error
        yield


def _results(plan: Plan, w: Wildcards, code: Mapping[str, str]) -> dict[str, str]:
    """Digests of the blinded results, which must be there and be made as the configuration and the code say now.

    Raises:
        UserError: they are not.
    """
    expected = {"model": plan.model(w), "observed": plan.model(w)}
    files = {n: Path(path(n, campaign=plan.name, search=w["search"], dataset=w["dataset"])) for n in expected}
    for block in plan.limit_blocks(w):
        name = f"workspace/{block}"
        expected[name] = plan.workspace({**w, "block": block})
        files[name] = Path(path("workspace", campaign=plan.name, search=w["search"], dataset=w["dataset"], block=block))
    found = {}
    for name, file in files.items():
        stage = "model" if name == "observed" else name.partition("/")[0]
        key = Request(stage, {}, {}, expected[name], code[stage]).key
        if not file.exists() or read_json(file)["provenance"]["key"] != key:
            state = "is not there" if not file.exists() else "was made with another configuration or code"
            raise UserError(
                f"{file} {state}; finish the blinded analysis first: darkfactory run -c {plan.name} "
                f"--search {w['search']} --dataset {w['dataset']}"
            )
        found[name] = hashlib.sha256(file.read_bytes()).hexdigest()
    return found


def _append(chain: Path, records: tuple[Unblinding, ...]) -> None:
    """The chain with its new record: on disk as a whole, or not at all."""
    with atomic_path(chain) as tmp:
        tmp.write_text(chain_text(records))
        with tmp.open("rb") as file:
            os.fsync(file.fileno())
    folder = os.open(chain.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def unblind(plan: Plan, w: Wildcards, *, by: str, reason: str, code: Mapping[str, str]) -> Unblinding:
    """Open the recorded data of a dataset: freeze, then sign. The record's new name on disk is the one moment.

    Args:
        plan: of the campaign.
        w: search and dataset.
        by: who signs.
        reason: why.
        code: stage to the digest of its code.

    Raises:
        UserError: no recorded data, no name or reason, blinded results that are missing or old, or nothing new.
    """
    name = f"{w['search']}/{w['dataset']}"
    state = blinding_of(plan, w)
    if state is None:
        raise UserError(
            f"{name} has no recorded data, there is nothing to open; name an external sample of kind data in its "
            f"datasets.{w['dataset']}.recorded"
        )
    for option, text in (("--by", by), ("--reason", reason)):
        if not text.strip():
            raise UserError(f"{option} is empty; say {'who signs' if option == '--by' else 'why the data are opened'}")
    if state.record is not None and not state.changed:
        raise UserError(
            f"{name} was unblinded on {state.record.time} by {state.record.by} ({state.record.reason}), and its "
            "configuration has not changed since"
        )
    chain = chain_path(plan.name, w["search"], w["dataset"])
    with _alone(chain.parent):
        before = read_records(chain)
        frozen = canonical_json(freeze(plan, w))
        record = Unblinding(
            len(before) + 1,
            before[-1].digest if before else "",
            plan.name,
            w["search"],
            w["dataset"],
            by.strip(),
            reason.strip(),
            datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            _digest(frozen),
            _results(plan, w, code),
            {stage: code[stage] for stage in _STAGES},
            importlib.metadata.version("darkfactory"),
        )
        write_text(frozen_path(chain, record.configuration), frozen + "\n")
        _append(chain, (*before, record))
    return record
