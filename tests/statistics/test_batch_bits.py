"""A window gives the same bits alone, in a block, and in any order."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from darkfactory.config.statistics import StatisticsConfig
from darkfactory.stats.examples import bump_window, plane_window, template_window
from darkfactory.stats.histfactory import compile_workspaces
from darkfactory.stats.limits import WorkspaceInput, compute_limits
from darkfactory.stats.scan import asymptotic_limits

KINDS: dict[str, Callable[[int], dict]] = {
    "A": lambda s: bump_window(s, injected=float(s % 3)),
    "A at 5 events": lambda s: bump_window(s, events=5.0),
    "B": lambda s: template_window(s, bins=13),
    "C": lambda s: plane_window(s, shape=(7, 5), staterror=True),
}


@pytest.mark.parametrize("kind", KINDS)
def test_bits_do_not_depend_on_the_batch(kind: str) -> None:
    groups, refused = compile_workspaces([KINDS[kind](s) for s in range(19)])
    assert len(groups) == 1
    assert not refused
    batch = groups[0].batch
    together = asymptotic_limits(batch, (0.9, 0.95))
    order = np.random.default_rng(1).permutation(19)
    shuffled = asymptotic_limits(batch.take(order), (0.9, 0.95))
    names = ("observed", "expected", "observed_fit", "sigma_asimov")
    for name in names:
        assert np.array_equal(getattr(together, name)[order], getattr(shuffled, name), equal_nan=True)
    for i in (0, 7, 18):
        alone = asymptotic_limits(batch.take(np.array([i])), (0.9, 0.95))
        for name in names:
            assert np.array_equal(getattr(together, name)[i : i + 1], getattr(alone, name), equal_nan=True)
        assert np.array_equal(together.base.q0[i : i + 1], alone.base.q0)
        assert np.array_equal(together.base.free.theta[i : i + 1], alone.base.free.theta)


def test_records_do_not_depend_on_the_block() -> None:
    items = [
        WorkspaceInput(f"m{s}", "alp", {"mass_gev": float(s)}, bump_window(s, events=200.0, bins=20)) for s in range(4)
    ]
    config = StatisticsConfig(cls=(0.9,))
    block = compute_limits(items, config, seed=5)
    small = compute_limits(items[::-1], config.model_copy(update={"batch": 3}), seed=5)
    assert [r.to_dict() for r in block] == [r.to_dict() for r in small[::-1]]
    assert compute_limits(items[2:3], config, seed=5)[0].to_dict() == block[2].to_dict()
