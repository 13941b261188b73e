from __future__ import annotations

import dataclasses
import math

import pytest

from darkfactory.core.errors import RunError
from darkfactory.execute.simulate import Conditions, SimulatedJob, forecast, longest_chain

EXACT = Conditions(slots=1000, per_job=0.0, per_task=0.0, spread=0.0, stragglers=0.0, failures=0.0)
CHAIN = [
    SimulatedJob("a", "generate", 2.0, 8),
    SimulatedJob("b", "skim", 1.0, 8, ("a",)),
    SimulatedJob("c", "limits", 5.0, 1, ("b", "not planned")),
]


@pytest.mark.parametrize("workers", [1, 2, 3, 5, 8, 50])
def test_equal_tasks_fill_the_workers(workers: int) -> None:
    made = forecast(CHAIN, workers, EXACT)
    assert made.makespan == pytest.approx(math.ceil(8 / workers) * 3.0 + 5.0)
    assert made.spent["work"] == pytest.approx(29.0)
    assert made.efficiency == pytest.approx(29.0 / (workers * made.makespan))
    assert made.makespan >= longest_chain(CHAIN)[0] == 8.0


def test_the_bottleneck_is_the_largest_limit() -> None:
    assert forecast(CHAIN, 1, EXACT).bottleneck == "work"
    assert forecast(CHAIN, 50, EXACT).bottleneck == "jobs"
    many = [SimulatedJob("a", "x", 0.01, 500)]
    slow = dataclasses.replace(EXACT, per_task=0.1)
    made = forecast(many, 100, slow)
    assert made.bottleneck == "scheduler"
    assert made.makespan == pytest.approx(50.0, rel=0.01)
    jobs = [SimulatedJob(str(i), "x", 1.0) for i in range(60)]
    made = forecast(jobs, 100, dataclasses.replace(EXACT, slots=4))
    assert made.bottleneck == "slots"
    assert made.makespan == pytest.approx(15.0)


def test_workers_time_is_accounted_for() -> None:
    how = Conditions(slots=3, seed=4)
    for workers in (1, 4, 16):
        made = forecast(CHAIN * 1 + [SimulatedJob(f"d{i}", "x", 0.5, 20) for i in range(9)], workers, how)
        assert 0 < made.efficiency <= 1
        # every second of every worker is accounted for
        assert sum(made.spent.values()) == pytest.approx(workers * made.makespan)


def test_work_of_workers_that_die_is_done_again() -> None:
    sure = dataclasses.replace(EXACT, failures=1800.0, seed=2)
    made = forecast([SimulatedJob("a", "x", 1.0, 200)], 4, sure)
    # half of the tries die half-way: about one and a half times the work
    assert made.spent["work"] == pytest.approx(300.0, rel=0.15)
    assert forecast([SimulatedJob("a", "x", 1.0, 200)], 4, sure) == made


def test_stragglers_cost_their_share() -> None:
    how = dataclasses.replace(EXACT, stragglers=0.1, straggle=5.0)
    made = forecast([SimulatedJob("a", "x", 1.0, 2000)], 10, how)
    assert made.spent["work"] == pytest.approx(2000 * 1.4, rel=0.05)


def test_the_chain_names_its_stages() -> None:
    assert longest_chain(CHAIN) == (8.0, ["generate", "skim", "limits"])
    with pytest.raises(RunError, match=r"jobs wait for each other in a circle: \['a', 'b'\]"):
        longest_chain([SimulatedJob("a", "x", 1.0, 1, ("b",)), SimulatedJob("b", "x", 1.0, 1, ("a",))])
