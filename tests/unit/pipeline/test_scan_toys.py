"""Limits and toys of whole scans: on any backend the same, resumed where they were, a lost chunk is no lost scan."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from darkfactory.config.statistics import StatisticsConfig
from darkfactory.core.files import read_json, write_json
from darkfactory.execute.backends import Backend, DaskBackend, SerialBackend, Task
from darkfactory.pipeline import limits, scan
from darkfactory.pipeline.request import Request
from darkfactory.stats.examples import bump_window
from darkfactory.stats.significance import ScanToys

WINDOWS, BINS, STEP = 6, 12, 3


class StopError(Exception):
    """The run is killed."""


class Killed(SerialBackend):
    """Dies after a number of tasks."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.after = after

    def map(self, tasks: Sequence[Task], done: Callable[[int], None] | None = None) -> list[Any]:
        results = []
        for task in tasks:
            if self.after == 0:
                raise StopError
            self.after -= 1
            results += super().map([task])
        return results


@pytest.fixture
def stages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Request, Request]:
    """Requests of the limits and of the scan of a sliding window over one spectrum."""
    monkeypatch.setattr(scan, "_TOYS_A_CHUNK", 10)
    rng = np.random.default_rng(5)
    full = np.linspace(80.0, 60.0, BINS + STEP * WINDOWS)
    observed = rng.poisson(full).astype(float)
    points = {}
    for i in range(WINDOWS):
        part = slice(i * STEP, i * STEP + BINS)
        spec = bump_window(1, bins=BINS)
        for sample in spec["channels"][0]["samples"][1:]:
            sample["data"] = (full[part] / 4).tolist()
        spec["observations"][0]["data"] = observed[part].tolist()
        points[f"alp/m{i}p00000"] = {
            "point": f"m{i}p00000", "hypothesis": "alp", "axes": {"mass": float(i)}, "spec": spec, "scale": 1.0,
            "expected_background": 300.0, "data": "pseudo", "region": "sr", "keep": [True] * BINS,
            "edges": [[float(v) for v in range(part.start, part.stop + 1)]],
        }  # fmt: skip
    workspace = tmp_path / "workspace.json"
    write_json(workspace, {"points": points, "excluded": {}})
    statistics = StatisticsConfig.model_validate({"cls": [0.9], "backend": "numpy", "certificate": {"gradient": False}})
    shared = {
        "kind": "fits",
        "search": "s",
        "dataset": "d",
        "seed": 3,
        "statistics": statistics.model_dump(mode="json"),
    }
    first = Request(
        "limits",
        {"workspace": str(workspace)},
        {"limits": str(tmp_path / "limits.json")},
        shared | {"hypotheses": {"alp": {"quantity": "cross_section", "unit": "fb"}}, "block": ["m"], "data": "pseudo"},
        "code",
    )
    second = Request(
        "scan",
        {"limits": [str(tmp_path / "limits.json")], "workspaces": [str(workspace)]},
        {"limits_csv": str(tmp_path / "limits.csv"), "scan": str(tmp_path / "scan.json")},
        shared | {"toys": 40},
        "code",
    )
    return first, second


@pytest.fixture(scope="module")
def dask() -> Iterator[Backend]:
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None, silence_logs=40
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield DaskBackend(client)


def quiet(text: str) -> None:
    """No progress."""


def test_dask_gives_the_same_bits(stages: tuple[Request, Request], dask: Backend) -> None:
    first, second = stages
    results = []
    for backend in (SerialBackend(), dask):
        limits.run(first, backend, quiet)
        scan.run(second, backend, quiet)
        results.append((first.output("limits").read_bytes(), second.output("scan").read_bytes()))
    assert results[0] == results[1]
    stored = read_json(second.output("scan"))
    assert stored["method"] == "toys"
    assert stored["largest"]["toys"] == 40
    assert stored["largest"]["chunks_lost"] == 0


def test_a_killed_run_goes_on_where_it_was(stages: tuple[Request, Request], monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = stages
    limits.run(first, SerialBackend(), quiet)
    scan.run(second, SerialBackend(), quiet)
    whole = first.output("limits").read_bytes(), second.output("scan").read_bytes()
    calls = {"limits": 0, "toys": 0}

    def counted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **rest: Any) -> Any:
            calls[name] += 1
            return function(*args, **rest)

        return call

    monkeypatch.setattr(limits, "compute_limits", counted("limits", limits.compute_limits))
    monkeypatch.setattr(scan, "scan_toys", counted("toys", scan.scan_toys))
    for path in (*first.outputs.values(), *second.outputs.values()):
        Path(path).unlink()
    with pytest.raises(StopError):
        limits.run(first, Killed(after=1), quiet)
    limits.run(first, SerialBackend(), quiet)
    with pytest.raises(StopError):
        scan.run(second, Killed(after=3), quiet)
    scan.run(second, SerialBackend(), quiet)
    assert (first.output("limits").read_bytes(), second.output("scan").read_bytes()) == whole
    assert calls == {"limits": 2, "toys": 4}
    assert not list(first.output("limits").parent.glob("*.parts"))


def test_another_input_is_another_result(stages: tuple[Request, Request], monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = stages
    limits.run(first, SerialBackend(), quiet)
    with pytest.raises(StopError):
        scan.run(second, Killed(after=3), quiet)
    workspace = read_json(first.inputs["workspace"])
    for point in workspace["points"].values():
        point["spec"]["observations"][0]["data"][0] += 1.0
    write_json(first.inputs["workspace"], workspace)
    calls = []
    original = scan.scan_toys
    monkeypatch.setattr(scan, "scan_toys", lambda *a, **k: calls.append(1) or original(*a, **k))
    scan.run(second, SerialBackend(), quiet)
    assert len(calls) == 4


@pytest.mark.parametrize(("lost", "method"), [(1, "gross_vitells"), (0, "toys")])
def test_a_lost_chunk_is_counted(
    stages: tuple[Request, Request], monkeypatch: pytest.MonkeyPatch, lost: int, method: str
) -> None:
    """A chunk that fails is left out; too many of them, and the toys say nothing."""
    first, second = stages
    limits.run(first, SerialBackend(), quiet)
    original = scan.scan_toys

    def fails(*args: Any, **rest: Any) -> ScanToys:
        if rest["path"][-1] < lost:
            raise ValueError("no numbers")
        return original(*args, **rest)

    monkeypatch.setattr(scan, "scan_toys", fails)
    scan.run(second, SerialBackend(), quiet)
    stored = read_json(second.output("scan"))
    assert stored["method"] == method
    assert stored["largest"]["chunks_lost"] == lost
    monkeypatch.setattr(scan, "_MAY_BE_LOST", 0.5)
    scan.run(second, SerialBackend(), quiet)
    assert read_json(second.output("scan"))["largest"]["toys"] == 40 - 10 * lost
