"""The lease of a run: a file that lives as long as the run does, asked before anything gets its final name.

Whoever owns the run touches the file every few seconds and removes it when the run ends. A process that outlived its
run finds the file gone, or untouched for a minute, and leaves its output under the temporary name. Ages are
differences of times that one file system gave, so that clocks of machines need not agree.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from darkfactory.core.errors import RunError

__all__ = ["BEAT", "LEASE", "STALE", "check_lease", "hold_lease", "lease_age", "under_lease"]

LEASE = "DARKFACTORY_LEASE"
"""Environment variable with the paths of the run's lease and, of a cluster inside a batch job, of the job's, separated
by colons; without it nothing is asked."""
BEAT = 5.0
"""Seconds between two touches."""
STALE = 60.0
"""Seconds without a touch after which the run counts as gone."""


def hold_lease(path: Path, beat: float = BEAT) -> threading.Event:
    """Make a lease and keep touching it from a thread of this process until the event is set; then it is removed.

    Example:
        >>> path = Path(tempfile.mkdtemp()) / "lease"
        >>> ended = hold_lease(path)
        >>> lease_age(path) < STALE
        True
        >>> ended.set()
    """
    path.touch(mode=0o600)
    ended = threading.Event()

    def keep() -> None:
        while not ended.wait(beat):
            # not made anew: a lease that somebody took away stays away
            with contextlib.suppress(OSError):
                os.utime(path)
        path.unlink(missing_ok=True)

    threading.Thread(target=keep, daemon=True, name="lease").start()
    return ended


def lease_age(path: Path) -> float | None:
    """Seconds since the last touch by the clock of the lease's file system; None where there is no lease.

    Example:
        >>> lease_age(Path("/no/such/lease")) is None
        True
    """
    try:
        with tempfile.TemporaryFile(dir=path.parent) as probe:
            probe.write(b"0")
            probe.flush()
            return os.fstat(probe.fileno()).st_mtime - path.stat().st_mtime
    except OSError:
        return None


def check_lease(what: str, patience: float = 2 * BEAT) -> None:
    """Refuse to go on for a run that is gone.

    Args:
        what: what would be done, for the message.
        patience: seconds to wait for a touch: a machine that slept wakes with an old lease.

    Raises:
        RunError: the run that this process works for is gone.
    """
    end = time.monotonic() + patience
    for name in filter(None, os.environ.get(LEASE, "").split(os.pathsep)):
        while (age := lease_age(Path(name))) is None or age >= STALE:
            if age is None or time.monotonic() > end:
                raise RunError(f"{what}: not done, since the run that asked for it is gone; start the run again")
            time.sleep(0.2)


@contextlib.contextmanager
def under_lease(path: str) -> Iterator[None]:
    """Work for the run of a lease (an empty path: the one of this process) for the duration of a block."""
    before = os.environ.get(LEASE)
    if path:
        os.environ[LEASE] = path
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(LEASE, None)
        else:
            os.environ[LEASE] = before
