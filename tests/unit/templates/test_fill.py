from __future__ import annotations

import numpy as np
import pytest

from darkfactory.config.templates import ColumnCut, RegionConfig, SecondAxis
from darkfactory.core.errors import RunError
from darkfactory.records.histogram import Histogram
from darkfactory.templates.fill import fill, fill_region, nuisances

REGION = RegionConfig(
    name="recoil",
    observable="m2",
    mass=(0, 1),
    observable_range=(0, 4),
    second_axis=SecondAxis(observable="theta", edges=(0, 1, 2)),
    cuts=(ColumnCut(column="e", min=1.0, max=2.0),),
)
EDGES = [np.linspace(0.0, 4.0, 9), np.array([0.0, 1.0, 2.0])]


def table(n: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(n)
    return {
        "weight": rng.uniform(1, 3, n), "m2": rng.uniform(-1, 5, n), "theta": rng.uniform(0, 2, n),
        "e": rng.uniform(0.5, 2.5, n), "var_loss_up": np.full(n, 1.1), "var_loss_down": np.full(n, 0.9),
    }  # fmt: skip


def test_two_axes_agree_with_numpy() -> None:
    t = table(500)
    keep = (t["e"] >= 1) & (t["e"] < 2)
    expected, *_ = np.histogram2d(t["m2"][keep], t["theta"][keep], bins=EDGES, weights=t["weight"][keep])
    h = fill_region(t, REGION, EDGES, n_generated=1000)
    np.testing.assert_allclose(h.sumw, expected)
    np.testing.assert_allclose(h.variations["loss_up"], 1.1 * expected)
    assert h.n_generated == 1000


def test_chunks_add_up_to_the_whole() -> None:
    t = table(500)
    parts = [
        fill_region({k: v[s] for k, v in t.items()}, REGION, EDGES, n_generated=10)
        for s in (slice(200), slice(200, 500))
    ]
    np.testing.assert_allclose(Histogram.total(parts).sumw, fill_region(t, REGION, EDGES, n_generated=20).sumw)


def test_edges_belong_to_the_upper_bin_and_the_last_edge_to_none() -> None:
    h = fill([[0.0, 1.0, 2.0]], [np.array([0.0, 1.0, 2.0])], np.ones(3), n_generated=3)
    assert h.sumw.tolist() == [1.0, 1.0]


def test_a_candidate_without_observable_is_no_entry() -> None:
    region = RegionConfig(name="a", observable="m2", mass=(0, 1), observable_range=(0, 4))
    columns = {"weight": np.ones(2), "m2": np.array([np.nan, 1.0])}
    assert fill_region(columns, region, EDGES[:1], n_generated=2).sumw.sum() == 1.0


def test_errors() -> None:
    t = table(5)
    with pytest.raises(RunError, match="no column 'm2'"):
        fill_region({"weight": np.ones(1)}, REGION, EDGES, n_generated=1)
    with pytest.raises(RunError, match="both sides"):
        nuisances({k: v for k, v in t.items() if k != "var_loss_down"})
