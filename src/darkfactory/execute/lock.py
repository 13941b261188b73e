"""Who runs the workflow in a folder, so that the lock of a killed run can be told from that of a living one."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from darkfactory.core.errors import InputError
from darkfactory.core.files import read_json, write_json

__all__ = ["LOCKS", "RECORD", "Holder", "lock_state", "record_run"]

RECORD = Path(".darkfactory") / "run.json"
"""Where a run writes who it is, below the project's top level."""
LOCKS = Path(".snakemake") / "locks"
"""Where the workflow engine keeps its locks."""


@dataclass(frozen=True)
class Holder:
    """A run: host, process, and the process's start, since numbers of processes are used again.

    Attributes:
        host: name of the machine.
        pid: process number there.
        started: seconds since the epoch.
    """

    host: str
    pid: int
    started: float


def record_run(folder: Path, pid: int | None = None) -> Holder:
    """Write down that this process (or another one of this machine) runs the workflow in a folder."""
    number = os.getpid() if pid is None else pid
    started = _started(number)
    holder = Holder(socket.gethostname(), number, started if started is not None else 0.0)
    write_json(folder / RECORD, {"host": holder.host, "pid": holder.pid, "started": holder.started})
    return holder


def lock_state(folder: Path) -> tuple[Literal["free", "abandoned", "held", "unknown"], Holder | None]:
    """What the engine's lock in a folder is worth.

    Returns:
        ``free``: there is no lock; ``abandoned``: its run is gone; ``held``: its run lives; ``unknown``: the run is
        on another machine, or was not recorded. With it the run, if it was recorded.
    """
    locks = folder / LOCKS
    if not locks.is_dir() or not any(locks.iterdir()):
        return "free", None
    try:
        value = read_json(folder / RECORD)
        holder = Holder(str(value["host"]), int(value["pid"]), float(value["started"]))
    except (InputError, KeyError, TypeError, ValueError, json.JSONDecodeError):
        return "unknown", None
    if holder.host != socket.gethostname():
        return "unknown", holder
    started = _started(holder.pid)
    # the clock may have been set between the two looks
    alive = started is not None and abs(started - holder.started) < 2.0
    return ("held" if alive else "abandoned"), holder


def _started(pid: int) -> float | None:
    """Start of a living process."""
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
    except psutil.Error:
        return None
