"""Where the tasks of a stage run: in this process, in a pool of processes, or on a Dask cluster.

A task is a call ``function(*args)`` of an importable function named as ``package.module:function`` with
picklable arguments. Every backend returns results in the order of the tasks, so that a reduction over them has
the same bits whatever ran where.
"""

from __future__ import annotations

import importlib
import itertools
import multiprocessing
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from types import ModuleType
from typing import Any, Protocol

from darkfactory.core.errors import DarkfactoryError, RunError

__all__ = ["Backend", "DaskBackend", "ProcessBackend", "SerialBackend", "Task", "invoke", "load", "tree_reduce"]

Task = tuple[str, tuple[Any, ...]]


class Backend(Protocol):
    """Runs tasks; ``done`` is called with the number of finished tasks, for progress."""

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


class SerialBackend:
    """One task after the other in this process."""

    def map(self, tasks: Sequence[Task], done: Callable[[int], None] | None = None) -> list[Any]:
        """Run the tasks in order.

        Example:
            >>> SerialBackend().map([("math:sqrt", (4.0,)), ("math:sqrt", (9.0,))])
            [2.0, 3.0]
        """
        results = []
        for i, (name, args) in enumerate(tasks):
            results.append(invoke(name, args))
            if done is not None:
                done(i + 1)
        return results


class ProcessBackend:
    """A pool of worker processes of this machine, for jobs that find no cluster."""

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def map(self, tasks: Sequence[Task], done: Callable[[int], None] | None = None) -> list[Any]:
        """Run the tasks on the pool; a single task runs here, where starting a process would cost more."""
        if self.workers == 1 or len(tasks) == 1:
            return SerialBackend().map(tasks, done)
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(min(self.workers, len(tasks)), mp_context=context) as pool:
            futures = [pool.submit(invoke, name, args) for name, args in tasks]
            results = []
            for i, future in enumerate(futures):
                results.append(future.result())
                if done is not None:
                    done(i + 1)
        return results


def _one_thread_invoke(name: str, args: tuple[Any, ...]) -> tuple[bool, Any]:
    """Call on a worker; errors of ours come back as values, so that their text survives the wire."""
    try:
        return True, invoke(name, args)
    except DarkfactoryError as error:
        return False, error


class DaskBackend:
    """A Dask cluster given by its client."""

    def __init__(self, client: Any, prefix: str = "task") -> None:
        self.client, self.prefix = client, prefix
        self._calls = itertools.count()

    def map(self, tasks: Sequence[Task], done: Callable[[int], None] | None = None) -> list[Any]:
        """Run the tasks on the cluster; a task whose worker dies is run again, three times at most.

        Raises:
            RunError: a task failed for good.
        """
        from distributed import as_completed

        # keys of an earlier call may still be on their way out of the scheduler
        prefix = f"{self.prefix}-{next(self._calls)}"
        futures = [
            self.client.submit(_one_thread_invoke, name, args, pure=False, retries=1, key=f"{prefix}-{i}")
            for i, (name, args) in enumerate(tasks)
        ]
        try:
            for i, _ in enumerate(as_completed(futures, loop=self.client.loop)):
                if done is not None:
                    done(i + 1)
            results = []
            for future, (name, _) in zip(futures, tasks, strict=True):
                if future.status != "finished":
                    error = future.exception()
                    raise RunError(f"task {name} failed on the cluster: {type(error).__name__}: {error}") from error
                good, value = future.result()
                if not good:
                    raise value
                results.append(value)
            return results
        finally:
            self.client.cancel(futures)


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
