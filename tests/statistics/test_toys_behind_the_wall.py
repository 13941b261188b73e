"""Pseudo-experiments where long steps of a fit end at expectations far below zero."""

from __future__ import annotations

import copy
import importlib.util
from typing import Any

import numpy as np
import pytest

from darkfactory.stats.combine import WorkspacePart, combine_workspaces
from darkfactory.stats.examples import counting_window
from darkfactory.stats.histfactory import compile_workspace
from darkfactory.stats.newton import Backend, fit
from darkfactory.stats.toy_fits import anchor, qtilde
from darkfactory.stats.toy_sample import ToySample
from darkfactory.stats.toys import sample_data, toy_limits

BINS = 20
BACKEND: Backend = "numba" if importlib.util.find_spec("numba") else "numpy"


def window() -> dict[str, Any]:
    """A signal on next to no background, whose shape, size and few simulated events are badly known."""
    x = (np.arange(BINS) + 0.5) / BINS
    signal = np.exp(-0.5 * ((x - 0.5) / 0.12) ** 2)
    background = np.where(x < 0.25, 0.1, 0.001)

    def modifier(name: str, kind: str, data: Any = None) -> dict[str, Any]:
        return {"name": name, "type": kind, "data": data}

    shape = {"hi_data": (1.1 * background).tolist(), "lo_data": (0.4 * background).tolist()}
    common = [modifier("gap", "histosys", shape), modifier("mc", "staterror", (0.6 * background).tolist())]
    samples = [
        {
            "name": "s",
            "data": (signal / signal.sum()).tolist(),
            "modifiers": [modifier("mu", "normfactor"), modifier("efficiency", "normsys", {"hi": 1.2, "lo": 0.8})],
        },
        {
            "name": "kept",
            "data": background.tolist(),
            "modifiers": [*common, modifier("norm", "normsys", {"hi": 1.3, "lo": 0.8})],
        },
        {
            "name": "lost",
            "data": background.tolist(),
            "modifiers": [*copy.deepcopy(common), modifier("loss", "normsys", {"hi": 10.0, "lo": 0.1})],
        },
    ]
    return {
        "channels": [{"name": "sr", "samples": samples}],
        "observations": [{"name": "sr", "data": [0.0] * BINS}],
        "measurements": [{"name": "m", "config": {"poi": "mu", "parameters": []}}],
        "version": "1.0.0",
    }


@pytest.mark.parametrize("backend", dict.fromkeys(["numpy", BACKEND]))
def test_a_physical_fit_stays_where_expectations_are_positive(backend: Backend) -> None:
    _, m = compile_workspace(window())
    truth = m.init.copy()
    truth[:, m.structure.poi] = 2.0
    count = 600
    data = sample_data(m, truth, tuple(b.g_init for b in m.blocks), count, np.random.default_rng(1))
    begin, free = np.repeat(truth, count, axis=0), np.repeat(~m.fixed, count, axis=0)
    same, sets = np.zeros(count, dtype=np.intp), np.arange(count)

    def fitted(physical: bool) -> Any:
        return fit(
            m, data, begin, free, tolerance=1e-8, windows=same, sets=sets, backend=backend, physical=physical
        )  # fmt: skip

    loose, kept = fitted(False), fitted(True)
    assert loose.value.min() < -1.0
    assert kept.value.min() > -2e-6
    both = loose.converged & kept.converged & (loose.value > 0)
    assert both.sum() > 0.7 * count
    # a step less far can find the other of two minima; where both find one it is the same
    assert np.mean(np.isclose(loose.value[both], kept.value[both], rtol=1e-9, atol=1e-9)) > 0.99


def test_nothing_seen_is_fitted_by_what_can_be() -> None:
    """Empty data are described best by negative expectations, which no pseudo-data can be drawn from."""
    _, m = compile_workspace(window())
    found = anchor(m, 2.0, m.init)
    assert found.converged[0]
    assert 0 <= found.value[0] < 2.0 + 20 * 0.2
    q, ok = qtilde(m, m.observed, m.init, [2.0])
    assert ok.all()
    # all of the signal but what its efficiency gives way: 2 mu
    assert q[0, 0] == pytest.approx(4.0, rel=0.1)


def test_limits_of_next_to_no_background_are_those_of_no_event() -> None:
    _, m = compile_workspace(window())
    for seed in range(3):
        (limit,) = toy_limits(m, [0.9], (1.0, 6.0), toys=200, steps=5, seed=seed, path=("x",), backend=BACKEND)
        # 2.30 events without the efficiency's error of a fifth; ten before, from a fit behind the wall
        assert limit.observed == pytest.approx(2.1, rel=0.08)
        assert limit.expected is not None
        assert limit.expected[2] == pytest.approx(2.12, rel=0.08)
        assert limit.failed < 30


def test_one_toy_in_a_far_tail_moves_no_other_expectation() -> None:
    """The -2 sigma expectation rests on one toy here, and that one says CLs = 1/2; the median knows better."""
    q = np.array([9.0, *np.linspace(1.0, 5.0, 99)])
    far = np.full(100, 4.0)
    signal = ToySample(1.0, np.array([10.0, *np.linspace(0.0, 2.0, 99)]), q, far, -far)
    found = signal.cls_quantiles()
    assert (np.diff(found) >= 0).all()
    assert found[2] < 0.1
    assert found[0] <= found[1] <= found[2]


def test_a_weak_input_does_not_spoil_a_combination() -> None:
    """An input that sees a hundredth of the events leaves the expected limit where it was."""
    spec = window()
    weak = counting_window(2, 2.0, 0.2, signal=0.01)
    parts = [WorkspacePart("main", spec, 1.0), WorkspacePart("weak", weak, 1.0)]
    expected = []
    for one in (spec, combine_workspaces(parts)):
        _, m = compile_workspace(one)
        found = [
            toy_limits(m, [0.9], (1.0, 6.0), toys=200, steps=5, seed=seed, path=("c",), backend=BACKEND)[0].expected
            for seed in range(3)
        ]
        expected.append(np.mean([e[2] for e in found if e is not None]))
    assert expected[1] == pytest.approx(expected[0], rel=0.02)
