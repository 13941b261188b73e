"""A cluster of any size on paper: how long a graph of jobs takes, and what it waits for.

Jobs wait for other jobs; a job that is ready takes a slot, and its tasks queue for workers. A scheduler hands out one
task after the other. Task times vary, some straggle, workers die; what a dead worker did is done again.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from darkfactory.core.errors import RunError

__all__ = ["Conditions", "Forecast", "SimulatedJob", "forecast", "longest_chain"]

_RESTART = 5.0
"""Seconds that a worker needs to come back."""


@dataclass(frozen=True)
class SimulatedJob:
    """One job.

    Attributes:
        name: what tells it from others.
        kind: its stage.
        seconds: of each of its tasks, on average.
        tasks: how many.
        waits: names of jobs that must be done first; unknown ones count as done.
    """

    name: str
    kind: str
    seconds: float
    tasks: int = 1
    waits: Sequence[str] = ()


@dataclass(frozen=True)
class Conditions:
    """How a cluster behaves; nothing of it is exact.

    Attributes:
        slots: jobs that may run at once.
        per_job: seconds of a job before its first and after its last task.
        per_task: seconds that the scheduler needs for a task; it does one at a time.
        spread: standard deviation of the logarithm of task times.
        stragglers: fraction of tasks that take ``straggle`` times as long.
        straggle: that factor.
        failures: worker deaths per hour of work.
        seed: of the random numbers.
    """

    slots: int = 64
    per_job: float = 0.3
    per_task: float = 1.5e-3
    spread: float = 0.2
    stragglers: float = 0.01
    straggle: float = 5.0
    failures: float = 0.01
    seed: int = 1


@dataclass(frozen=True)
class Forecast:
    """Outcome for one number of workers.

    Attributes:
        workers: how many.
        makespan: seconds from the first to the last task.
        spent: worker seconds by what they went into: ``work``, or waiting for ``jobs`` that wait for others, for
            ``slots`` of jobs that are ready, for the ``scheduler``, or for workers that come back (``deaths``).
    """

    workers: int
    makespan: float
    spent: Mapping[str, float] = field(default_factory=dict)

    @property
    def efficiency(self) -> float:
        """Share of the workers' time that went into tasks."""
        return self.spent["work"] / (self.workers * self.makespan) if self.makespan > 0 else 1.0

    @property
    def bottleneck(self) -> str:
        """What most of the workers' time goes into.

        Example:
            >>> Forecast(1, 10.0, {"work": 9.0, "jobs": 1.0}).bottleneck
            'work'
        """
        return max(self.spent, key=lambda name: self.spent[name])


def longest_chain(jobs: Sequence[SimulatedJob], per_job: float = 0.0) -> tuple[float, list[str]]:
    """Seconds of the longest chain of jobs with a worker for every task, and the kinds along it.

    Raises:
        RunError: jobs wait for each other in a circle.

    Example:
        >>> longest_chain([SimulatedJob("a", "x", 2.0, 5), SimulatedJob("b", "y", 3.0, 1, ("a",))])
        (5.0, ['x', 'y'])
    """
    named = {job.name: job for job in jobs}
    length: dict[str, float] = {}
    before: dict[str, str] = {}
    for name in _order(jobs):
        job = named[name]
        known = [w for w in job.waits if w in named]
        last = max(known, key=lambda w: length[w], default="")
        length[name] = (length[last] if last else 0.0) + job.seconds + per_job
        before[name] = last
    end = max(length, key=lambda n: length[n])
    kinds: list[str] = []
    name = end
    while name:
        if not kinds or kinds[-1] != named[name].kind:
            kinds.append(named[name].kind)
        name = before[name]
    return length[end], kinds[::-1]


def _order(jobs: Sequence[SimulatedJob]) -> list[str]:
    """Names such that each comes after those that it waits for."""
    named = {job.name for job in jobs}
    left = {job.name: len({w for w in job.waits if w in named}) for job in jobs}
    followers = _followers(jobs)
    ready = deque(name for name, n in left.items() if n == 0)
    order = []
    while ready:
        name = ready.popleft()
        order.append(name)
        for follower in followers.get(name, ()):
            left[follower] -= 1
            if left[follower] == 0:
                ready.append(follower)
    if len(order) != len(jobs):
        circle = sorted(set(left) - set(order))[:3]
        raise RunError(f"jobs wait for each other in a circle: {circle}; this is a mistake of the plan")
    return order


def _followers(jobs: Sequence[SimulatedJob]) -> dict[str, list[str]]:
    named = {job.name for job in jobs}
    found: dict[str, list[str]] = {}
    for job in jobs:
        for w in dict.fromkeys(job.waits):
            if w in named:
                found.setdefault(w, []).append(job.name)
    return found


def forecast(jobs: Sequence[SimulatedJob], workers: int, how: Conditions | None = None) -> Forecast:
    """Let a cluster work through the jobs, event by event.

    Example:
        >>> exact = Conditions(slots=9, per_job=0.0, per_task=0.0, spread=0.0, stragglers=0.0, failures=0.0)
        >>> jobs = [SimulatedJob("a", "x", 1.0, 4), SimulatedJob("b", "y", 3.0, 1, ("a",))]
        >>> forecast(jobs, 2, exact).makespan
        5.0
    """
    how = how or Conditions()
    rng = np.random.default_rng(how.seed)
    named = {job.name: job for job in jobs}
    followers = _followers(jobs)
    open_waits = {job.name: len({w for w in job.waits if w in named}) for job in jobs}
    # deep jobs first, as the workflow engine does it: none waits longer than it must
    ready = deque(name for name in _order(jobs) if open_waits[name] == 0)
    queue: deque[str] = deque()
    left = {job.name: max(1, job.tasks) for job in jobs}
    events: list[tuple[float, int, str, str]] = []
    free, slots, now, dispatched, number = workers, how.slots, 0.0, 0.0, 0
    spent = dict.fromkeys(("work", "jobs", "slots", "scheduler", "deaths"), 0.0)

    def at(time: float, what: str, name: str) -> None:
        nonlocal number
        number += 1
        heapq.heappush(events, (time, number, what, name))

    while True:
        while ready and slots:
            slots -= 1
            at(now + how.per_job, "start", ready.popleft())
        while queue and free:
            name = queue.popleft()
            free -= 1
            dispatched = max(now, dispatched) + how.per_task
            spent["scheduler"] += dispatched - now
            seconds = named[name].seconds
            if how.spread:
                seconds *= math.exp(how.spread * rng.standard_normal() - 0.5 * how.spread**2)
            if how.stragglers and rng.random() < how.stragglers:
                seconds *= how.straggle
            if how.failures and rng.random() < how.failures * seconds / 3600:
                # dies half-way, comes back, the task runs again
                spent["work"] += 0.5 * seconds
                spent["deaths"] += _RESTART
                at(dispatched + 0.5 * seconds + _RESTART, "died", name)
            else:
                spent["work"] += seconds
                at(dispatched + seconds, "task", name)
        if not events:
            break
        before = now
        now, _, what, name = heapq.heappop(events)
        spent["slots" if ready else "jobs"] += free * (now - before)
        if what == "start":
            queue.extend([name] * left[name])
        elif what == "died":
            free += 1
            queue.append(name)
        else:
            free += 1
            left[name] -= 1
            if left[name] == 0:
                slots += 1
                for follower in followers.get(name, ()):
                    open_waits[follower] -= 1
                    if open_waits[follower] == 0:
                        ready.append(follower)
    return Forecast(workers, now, spent)
