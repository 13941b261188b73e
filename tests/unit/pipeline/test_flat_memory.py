"""The memory of a worker does not grow with the sample."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench_memory import CHAIN, measure


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs the kernel's high-water mark")
def test_the_peak_of_every_stage_is_that_of_a_chunk() -> None:
    few, many = measure([2_000, 20_000], 1_000)
    assert list(few) == [stage for stage, _, _ in CHAIN]
    for stage in few:
        # ten times the events: arrays of all of them would add 30 MiB and more; allocators keep a little
        assert many[stage]["peak_mib"] < max(v["peak_mib"] for v in few.values()) + 15, stage
