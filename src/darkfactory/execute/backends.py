"""Where the tasks of a stage run: in this process, in a pool of processes, or on a Dask cluster.

A task is a call ``function(*args)`` of an importable function named as ``package.module:function`` with
picklable arguments. Every backend returns results in the order of the tasks, so that a reduction over them has
the same bits whatever ran where.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import itertools
import multiprocessing
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from darkfactory.core.errors import RunError
from darkfactory.execute.outcomes import Failure, Policy, guarded, lost

__all__ = ["Backend", "DaskBackend", "ProcessBackend", "SerialBackend", "Task", "invoke", "load", "tree_reduce"]

Task = tuple[str, tuple[Any, ...]]


class Backend(Protocol):
    """Runs tasks; ``done`` is called with the number of finished tasks, for progress."""

    def attempt(self, tasks: Sequence[Task], done: Callable[[int], None] | None = None) -> list[Any]:
        """Values or :class:`~darkfactory.execute.outcomes.Failure` in the order of the tasks; raises nothing."""

    def map(self, tasks: Sequence[Task], done: Callable[[int], None] | None = None) -> list[Any]:
        """Results in the order of the tasks."""


_IMPORTING = threading.RLock()


def load(name: str) -> ModuleType:
    """Import a module, one thread at a time: typed models parse their sources, which Python 3.11 cannot do in parallel.

    Example:
        >>> load("math").__name__
        'math'
    """
    with _IMPORTING:
        return importlib.import_module(name)


def invoke(name: str, args: tuple[Any, ...]) -> Any:
    """Import and call the function ``package.module:function``.

    Example:
        >>> invoke("math:hypot", (3.0, 4.0))
        5.0
    """
    module, _, function = name.partition(":")
    return getattr(load(module), function)(*args)


def _values(tasks: Sequence[Task], outcomes: Sequence[Any]) -> list[Any]:
    """The outcomes, if none of them is a failure."""
    for (name, args), outcome in zip(tasks, outcomes, strict=True):
        if isinstance(outcome, Failure):
            # a ledger's task calls another one
            what = args[0] if args and isinstance(args[0], str) and ":" in args[0] else name
            raise outcome.error(f"task {what} failed after {outcome.attempts} tries")
    return list(outcomes)


class _Mapping:
    """What all backends share: a map is an attempt in which nothing failed."""

    def attempt(self, tasks: Sequence[Task], done: Callable[[int], None] | None = None) -> list[Any]:
        """Values or failures in the order of the tasks."""
        raise TypeError(f"{type(self).__name__} does not say how it attempts tasks")

    def map(self, tasks: Sequence[Task], done: Callable[[int], None] | None = None) -> list[Any]:
        """Results in the order of the tasks; all of them are tried before the first failure is raised.

        Raises:
            UserError, RunError: what the first failed task says.
        """
        return _values(tasks, self.attempt(tasks, done))


class SerialBackend(_Mapping):
    """One task after the other in this process.

    Args:
        policy: how often a task is tried; its timeout does not hold here, since nothing could go on after it.
    """

    policy = Policy()

    def __init__(self, policy: Policy | None = None) -> None:
        if policy is not None:
            self.policy = replace(policy, timeout=0.0)

    def attempt(self, tasks: Sequence[Task], done: Callable[[int], None] | None = None) -> list[Any]:
        """Run the tasks in order.

        Example:
            >>> SerialBackend().map([("math:sqrt", (4.0,)), ("math:sqrt", (9.0,))])
            [2.0, 3.0]
        """
        outcomes = []
        for i, (name, args) in enumerate(tasks):
            outcomes.append(guarded(functools.partial(invoke, name, args), self.policy)[1])
            if done is not None:
                done(i + 1)
        return outcomes


def _work(name: str, args: tuple[Any, ...], policy: Policy, lease: str = "", note: str = "") -> tuple[bool, Any]:
    """Call on a worker; errors come back as values, so that their text survives the wire."""
    return guarded(functools.partial(invoke, name, args), policy, lease, note)


class ProcessBackend(_Mapping):
    """A pool of worker processes of this machine, for jobs that find no cluster."""

    def __init__(self, workers: int, policy: Policy | None = None) -> None:
        self.workers, self.policy = workers, policy or Policy()

    def attempt(self, tasks: Sequence[Task], done: Callable[[int], None] | None = None) -> list[Any]:
        """Run the tasks on the pool; a single task runs here, where starting a process would cost more.

        When a worker dies its pool is lost: tasks that it had not finished run again, each in a pool of its own.
        """
        if self.workers == 1 or len(tasks) == 1:
            return SerialBackend(self.policy).attempt(tasks, done)
        outcomes: dict[int, Any] = {}
        with tempfile.TemporaryDirectory(prefix="darkfactory-") as notes:
            self._round(tasks, range(len(tasks)), min(self.workers, len(tasks)), notes, outcomes, done)
            for tried in range(self.policy.retries + 1):
                left = [i for i in range(len(tasks)) if i not in outcomes]
                if left and tried:
                    time.sleep(self.policy.backoff * 2 ** (tried - 1))
                for i in left:
                    self._round(tasks, [i], 1, notes, outcomes, done)
            for i in range(len(tasks)):
                if i not in outcomes:
                    outcomes[i] = lost(f"{notes}/{i}", self.policy.timeout, self.policy.retries + 2)
        return [outcomes[i] for i in range(len(tasks))]

    def _round(
        self, tasks: Sequence[Task], which: Sequence[int], workers: int, notes: str, outcomes: dict[int, Any],
        done: Callable[[int], None] | None,
    ) -> None:  # fmt: skip
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, mp_context=context) as pool, contextlib.suppress(BrokenProcessPool):
            futures = {i: pool.submit(_work, *tasks[i], self.policy, "", f"{notes}/{i}") for i in which}
            for i, future in futures.items():
                outcomes[i] = future.result()[1]
                if done is not None:
                    done(len(outcomes))


class DaskBackend(_Mapping):
    """A Dask cluster given by its client.

    Args:
        client: of the cluster.
        prefix: of the keys of tasks.
        policy: how often and how long a task is tried.
        lease: of the run (:data:`darkfactory.core.lease.LEASE`): workers ask it before they give a file its name.
    """

    def __init__(self, client: Any, prefix: str = "task", policy: Policy | None = None, lease: str = "") -> None:
        self.client, self.prefix = client, prefix
        self.policy, self.lease = policy or Policy(), lease
        self._calls = itertools.count()

    def attempt(self, tasks: Sequence[Task], done: Callable[[int], None] | None = None) -> list[Any]:
        """Run the tasks on the cluster; a task whose worker died is run again, at last alone.

        The scheduler blames all tasks that a lost worker had: those it gives up are told from the one that kills
        by running each on its own.
        """
        # keys of an earlier call may still be on their way out of the scheduler
        prefix = f"{self.prefix}-{next(self._calls)}"
        outcomes: dict[int, Any] = {}
        self._round(tasks, range(len(tasks)), prefix, outcomes, done)
        # at least once: of the tasks that a lost worker had, most did nothing wrong
        for tried in range(max(1, self.policy.retries)):
            left = [i for i in range(len(tasks)) if i not in outcomes]
            if left:
                time.sleep(self.policy.backoff * 2**tried)
            for i in left:
                self._round(tasks, [i], f"{prefix}-again{tried}", outcomes, done)
        for i in range(len(tasks)):
            if i not in outcomes:
                outcomes[i] = lost(self._note(f"{prefix}-{i}"), self.policy.timeout, 1 + self.policy.retries)
        return [outcomes[i] for i in range(len(tasks))]

    def _note(self, key: str) -> str:
        # one note for all tries of a task: the last one counts
        own = self.lease.rpartition(os.pathsep)[2]
        return str(Path(own).with_name(f"hung-{key}.txt")) if own else ""

    def _round(
        self, tasks: Sequence[Task], which: Sequence[int], prefix: str, outcomes: dict[int, Any],
        done: Callable[[int], None] | None,
    ) -> None:  # fmt: skip
        """Run some tasks; those whose worker was lost for good get no outcome."""
        from distributed import as_completed
        from distributed.scheduler import KilledWorker

        first = prefix.split("-again")[0]
        futures = {
            i: self.client.submit(
                _work, *tasks[i], self.policy, self.lease, self._note(f"{first}-{i}"), pure=False, key=f"{prefix}-{i}"
            )
            for i in which
        }
        which_of = {future.key: i for i, future in futures.items()}
        try:
            before = len(outcomes)
            for n, future in enumerate(as_completed(futures.values(), loop=self.client.loop)):
                try:
                    # at once: what a worker holds is lost with it, and this waits until it is made again
                    outcomes[which_of[future.key]] = future.result()[1]
                except KilledWorker:
                    continue
                except CancelledError:
                    text = "the cluster's scheduler is gone; start the run again"
                    outcomes[which_of[future.key]] = Failure("RunError", text)
                except Exception as error:
                    # the result could not be sent
                    outcomes[which_of[future.key]] = Failure(type(error).__name__, str(error) or repr(error))
                if done is not None:
                    done(before + n + 1)
        finally:
            self.client.cancel(list(futures.values()))


def _groups(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def tree_reduce(items: Sequence[Any], add: Callable[[Any, Any], Any], fan_in: int = 8) -> Any:
    """Sum by a fixed tree: the order of a floating-point sum is part of the bits.

    Example:
        >>> tree_reduce([1, 2, 3, 4], lambda a, b: a + b, fan_in=2)
        10
    """
    if not items:
        raise RunError("nothing to reduce: the stage had no chunks; check the number of events in the campaign")
    level = list(items)
    while len(level) > 1:
        reduced = []
        for group in _groups(level, fan_in):
            total = group[0]
            for item in group[1:]:
                total = add(total, item)
            reduced.append(total)
        level = reduced
    return level[0]
