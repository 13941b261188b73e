"""What becomes of a task: its value, or a record of why there is none; how often and how long it is tried."""

from __future__ import annotations

import contextlib
import faulthandler
import socket
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from darkfactory.core.errors import ConfigError, DamagedError, DarkfactoryError, InputError, RunError, UserError
from darkfactory.core.lease import under_lease

__all__ = ["Failure", "Policy", "guarded", "lost", "watchdog"]

_LAST_LINES = 12


@dataclass(frozen=True)
class Policy:
    """How hard a task is tried; nothing of it changes a result.

    Attributes:
        retries: further tries of a task that failed; a mistake of the user's is not tried again.
        backoff: seconds before the first of them; each waits twice as long as the one before.
        timeout: seconds after which a task counts as hung and its worker is ended; 0 for none.
    """

    retries: int = 2
    backoff: float = 1.0
    timeout: float = 0.0

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Policy:
        """Read the JSON-like form; what is not given keeps its default.

        Example:
            >>> Policy.from_dict({"retries": 0, "system": "slurm"})
            Policy(retries=0, backoff=1.0, timeout=0.0)
        """
        names = {f.name for f in fields(cls)}
        return cls(**{k: v for k, v in value.items() if k in names})


@dataclass(frozen=True)
class Failure:
    """Why a task has no value.

    Attributes:
        kind: class of the error, or ``died`` or ``hung`` where the worker was lost.
        text: its message.
        attempts: how often it was tried.
        host: machine of the last try, where it is known.
        trace: last lines of the traceback, for errors that are not ours.
        damaged: file that is to be made anew, if that is the reason.
        user: whether the user can mend it.
    """

    kind: str
    text: str
    attempts: int = 1
    host: str = ""
    trace: str = ""
    damaged: str = ""
    user: bool = False

    def to_dict(self) -> dict[str, Any]:
        """JSON-like form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Failure:
        """Read the form of :meth:`to_dict`; further keys are left out.

        Example:
            >>> Failure.from_dict({"kind": "hung", "text": "x", "chunk": 3}).kind
            'hung'
        """
        names = {f.name for f in fields(cls)}
        return cls(**{k: v for k, v in value.items() if k in names})

    def error(self, what: str = "") -> DarkfactoryError:
        """The exception that says so.

        Example:
            >>> Failure("ValueError", "bad").error("task x failed")
            RunError('task x failed: ValueError: bad')
        """
        if self.kind == "ConfigError":
            return ConfigError(self.text)
        if self.user:
            return DamagedError(self.text, self.damaged) if self.damaged else InputError(self.text)
        if self.kind == "RunError":
            return RunError(self.text)
        return RunError(": ".join(part for part in (what, self.kind, self.text) if part))


def _failure(error: Exception, attempts: int) -> Failure:
    ours = isinstance(error, DarkfactoryError)
    return Failure(
        kind=type(error).__name__,
        text=str(error) or repr(error),
        attempts=attempts,
        host=socket.gethostname(),
        trace="" if ours else "".join(traceback.format_exception(error)[-_LAST_LINES:]),
        damaged=str(getattr(error, "damaged", "")),
        user=isinstance(error, UserError),
    )


@contextlib.contextmanager
def watchdog(seconds: float, note: str) -> Iterator[None]:
    """End this process when the block takes too long, after writing where it was; works while code holds the GIL.

    Args:
        seconds: limit, 0 for none.
        note: file for the place that it hung at; it is gone where nothing hung.
    """
    if seconds <= 0 or not note:
        yield
        return
    with Path(note).open("w") as file:
        faulthandler.dump_traceback_later(seconds, exit=True, file=file)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
            Path(note).unlink(missing_ok=True)


def lost(note: str, timeout: float, attempts: int) -> Failure:
    """The failure of a task whose worker ended with it.

    Example:
        >>> lost("", 0.0, 3).kind
        'died'
    """
    path = Path(note)
    if note and path.exists() and (said := path.read_text(errors="replace").strip()):
        path.unlink(missing_ok=True)
        text = f"ran longer than {timeout:g} s and was ended; raise the timeout of the site, or look at where it was"
        return Failure("hung", text, attempts, trace="\n".join(said.splitlines()[:_LAST_LINES]))
    text = "its worker died each time: killed, or out of memory; give workers more memory, or make chunks smaller"
    return Failure("died", text, attempts)


def guarded(call: Callable[[], Any], policy: Policy, lease: str = "", note: str = "") -> tuple[bool, Any]:
    """Call, again after a failure, and return (True, value) or (False, :class:`Failure`).

    Example:
        >>> guarded(lambda: 1 / 0, Policy(retries=1, backoff=0.0))[1].attempts
        2
    """
    attempt = 0
    with under_lease(lease):
        while True:
            attempt += 1
            try:
                with watchdog(policy.timeout, note):
                    return True, call()
            except Exception as error:
                # what the user must mend, or a run that is gone, is the same the next time
                if isinstance(error, DarkfactoryError) or attempt > policy.retries:
                    return False, _failure(error, attempt)
            time.sleep(policy.backoff * 2 ** (attempt - 1))
