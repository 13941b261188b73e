from __future__ import annotations

import numpy as np
import pytest

from darkfactory.config.base import Tagged
from darkfactory.config.templates import ColumnCut, FactorisedConfig, RegionConfig
from darkfactory.core.errors import ConfigError
from darkfactory.templates.factorise import factorise

REGION = RegionConfig(
    name="r", observable="m2", mass=(0, 2), observable_range=(0, 4),
    cuts=(
        ColumnCut(column="kept", min=0.5),
        ColumnCut(column="x", max=0.2),
        ColumnCut(column="y", max=0.1),
        ColumnCut(column="z", max=0.3),
    ),
)  # fmt: skip
EDGES = (np.linspace(0, 4, 5),)


def config(**groups: tuple[str, ...]) -> FactorisedConfig:
    return FactorisedConfig(groups=groups, uncertainty=Tagged(value=0.1, source="assumed"))


def sample(n: int, seed: int = 1) -> dict[str, np.ndarray]:
    u = np.random.default_rng(seed).random((6, n))
    return {
        "weight": 1.0 + u[0], "m2": 4 * u[1], "x": u[2], "y": u[3], "z": u[4], "kept": (u[5] < 0.5).astype(float)
    }  # fmt: skip


def test_independent_cuts_give_the_yield_that_a_large_sample_has() -> None:
    wanted = sample(2_000_000, 7)
    inside = (wanted["kept"] > 0.5) & (wanted["x"] < 0.2) & (wanted["y"] < 0.1) & (wanted["z"] < 0.3)
    truth = float(wanted["weight"][inside].sum()) / 2_000_000
    small = sample(8000)
    found = factorise(small, REGION, EDGES, config(a=("x",), b=("y",), c=("z",)), 8000)
    predicted = float(found.histogram.sumw.sum()) / 8000
    assert predicted == pytest.approx(truth, rel=2 * found.error)
    assert found.product == pytest.approx(0.2 * 0.1 * 0.3, rel=0.15)
    # few of these 8000 pass everything, yet the error is a tenth
    assert 0.1 < found.error < 0.25
    assert set(found.pairs) == {"a x b", "a x c", "b x c"}
    assert all(abs(ratio - 1) < 5 * error for ratio, error in found.pairs.values())
    # the shape is that of all that are kept
    np.testing.assert_allclose(found.histogram.sumw / found.histogram.sumw.sum(), 0.25, atol=0.02)
    assert found.summary()["product"] == found.product


def test_cuts_that_do_not_multiply_are_an_error_of_the_yield() -> None:
    columns = sample(20_000)
    columns["y"] = columns["x"] / 2
    together = factorise(columns, REGION, EDGES, config(a=("x",), b=("y",), c=("z",)), 20_000)
    # of those below 0.2 in x all are below 0.1 in y: the pair passes five times as often as the product says
    assert together.pairs["a x b"][0] == pytest.approx(5.0, rel=0.1)
    assert together.error > 3.5
    grouped = factorise(columns, REGION, EDGES, config(a=("x", "y"), c=("z",)), 20_000)
    assert grouped.product == pytest.approx(0.2 * 0.3, rel=0.1)
    assert grouped.error < 0.2


def test_a_group_that_nothing_passes_counts_as_half_a_candidate() -> None:
    columns = sample(400) | {"y": np.ones(400)}
    found = factorise(columns, REGION, EDGES, config(b=("y",)), 400)
    value, error = found.factors["b"]
    assert value == pytest.approx(0.5 / (found.events + 1))
    assert error > 1.0
    assert found.pairs == {}


def test_groups_name_cuts_of_the_region_once() -> None:
    with pytest.raises(ConfigError, match=r"region 'r' cuts on none of them; it cuts on .'kept', 'x', 'y', 'z'."):
        factorise(sample(10), REGION, EDGES, config(a=("w",)), 10)
    with pytest.raises(ConfigError, match="are in two groups"):
        factorise(sample(10), REGION, EDGES, config(a=("x",), b=("x", "y")), 10)


def test_shares_by_range_follow_cuts_that_depend_on_the_observable() -> None:
    def dependent(n: int, seed: int) -> dict[str, np.ndarray]:
        columns = sample(n, seed)
        # above 2 every second candidate passes each of two cuts, below one in ten
        high = columns["m2"] >= 2
        rng = np.random.default_rng(seed + 50)
        for name, cut in (("x", 0.2), ("y", 0.1)):
            columns[name] = np.where(rng.random(n) < np.where(high, 0.5, 0.1), cut / 2, 1.0)
        return columns

    wanted = dependent(400_000, 9)
    inside = (wanted["kept"] > 0.5) & (wanted["x"] < 0.2) & (wanted["y"] < 0.1)
    region = REGION.model_copy(update={"cuts": REGION.cuts[:3]})
    truth = np.histogram(wanted["m2"][inside], EDGES[0], weights=wanted["weight"][inside])[0] / 400_000
    groups = {"a": ("x",), "b": ("y",)}
    plain = FactorisedConfig(groups=groups, uncertainty=Tagged(value=0.1, source="assumed"))
    ranged = FactorisedConfig(groups=groups, uncertainty=plain.uncertainty, ranges=(2.0,))
    small = dependent(8000, 3)
    found = factorise(small, region, EDGES, ranged, 8000)
    np.testing.assert_allclose(found.histogram.sumw / 8000, truth, rtol=0.25)
    assert found.ranges["a"] == pytest.approx((0.1, 0.5), rel=0.1)
    assert found.product == pytest.approx((0.01 + 0.25) / 2, rel=0.15)
    # cuts that go together only through the observable are no error
    assert found.error < 0.15
    once = factorise(small, region, EDGES, plain, 8000)
    assert once.histogram.sumw[0] / 8000 > 5 * truth[0]
    assert once.histogram.sumw[3] / 8000 < 0.5 * truth[3]
    assert once.error > 0.4
    assert once.ranges == {}
    with pytest.raises(ValueError, match="do not rise"):
        FactorisedConfig(groups=groups, uncertainty=plain.uncertainty, ranges=(2.0, 1.0))
