"""Points that differ in a lifetime share a sample: weights, checks at the door, regions of single hypotheses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from darkfactory.config.check import check_campaign
from darkfactory.config.load import read_yaml, validate
from darkfactory.config.points import AxisGrid, PointGrid
from darkfactory.config.resolve import Campaign, load_campaign
from darkfactory.config.templates import TemplatesConfig
from darkfactory.core.errors import ConfigError, InputError
from darkfactory.physics.lifetimes import mixture_components, mixture_density
from darkfactory.pipeline.selected import read_candidates
from darkfactory.store.arrays import write_table

ROOT = Path(__file__).parents[3]
SEARCH, DATASET = "inelastic_dm_dark_higgs", "belle2_365fb"
TEMPLATES = read_yaml(ROOT / "config" / "searches" / f"{SEARCH}.yaml")["templates"]


def candidates(path: Path, n: int = 40_000) -> Path:
    rng = np.random.default_rng(3)
    components = mixture_components(1e-3, 100.0, 1)
    t = rng.exponential(components[rng.integers(len(components), size=n)])
    columns = {
        "weight": np.full(n, 2.0), "weight_untriggered": np.full(n, 4.0), "fold": np.arange(n) % 4,
        "proper_hp": t, "density_hp": mixture_density(t, components),
    }  # fmt: skip
    write_table(path, columns)
    return path


def test_candidates_are_reweighted_to_the_lifetime_of_the_point(tmp_path: Path) -> None:
    path = candidates(tmp_path / "part.root")
    item: dict[str, Any] = {"folds": [2, 3], "reweight": {"lifetime": 0.7}, "lifetimes": {"lifetime": "hp"}}
    found = read_candidates(path, item)
    assert len(found["weight"]) == 20_000
    assert found["weight"].mean() == pytest.approx(2.0, rel=0.05)
    np.testing.assert_allclose(found["weight_untriggered"], 2 * found["weight"])
    assert np.average(found["proper_hp"], weights=found["weight"]) == pytest.approx(0.7, rel=0.05)
    plain = read_candidates(path, {"folds": [0, 1, 2, 3], "reweight": {}})
    assert set(plain["weight"]) == {2.0}


def test_a_lifetime_without_decay_lengths_is_an_error(tmp_path: Path) -> None:
    path = candidates(tmp_path / "part.root", 10)
    for lifetimes in ({}, {"lifetime": "chi2"}):
        item = {"folds": [0], "reweight": {"lifetime": 0.7}, "lifetimes": lifetimes}
        with pytest.raises(InputError, match="events cannot be reweighted to lifetime"):
            read_candidates(path, item)


def campaign(**change: Any) -> Campaign:
    """Only the search with lifetimes, its first hypothesis or sample changed."""
    whole = load_campaign("tiny", config_dir=ROOT / "config", overrides=[{"searches": {SEARCH: [DATASET]}}])
    config = whole.searches[SEARCH, DATASET]
    hypotheses = {"mumu": config.hypotheses["mumu"].model_copy(update=change.get("hypothesis", {}))}
    samples = dict(whole.samples)
    samples["belle2_idm_mumu"] = samples["belle2_idm_mumu"].model_copy(update=change.get("sample", {}))
    searches = {(SEARCH, DATASET): config.model_copy(update={"hypotheses": hypotheses})}
    return replace(whole, searches=searches, samples=samples, _known={})


def far() -> dict[str, Any]:
    axes = {
        "mass": AxisGrid(values=(0.5,)),
        "lifetime": AxisGrid(values=(1.0, 5000.0)),
        "lifetime2": AxisGrid(values=(1.0,)),
    }
    return {"grids": {"tiny": (PointGrid(axes=axes),)}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sample": {"lifetimes": {"lifetime": "hp"}}}, "does not say whose c tau 'lifetime2' is"),
        ({"sample": {"lifetimes": {"lifetime": "Ap", "lifetime2": "chi2"}}}, "draws no decay lengths of Ap"),
        ({"hypothesis": far()}, "lifetime of 5000 cm is outside the 0.001 to 1000 cm"),
    ],
)
def test_lifetimes_are_checked_at_the_door(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_campaign(campaign(**change))


def test_regions_of_different_hypotheses_share_masses() -> None:
    config = validate(TemplatesConfig, TEMPLATES)
    names = {h: config.region_of(1.5, h) for h in ("mumu", "pipi", "kk")}
    assert {h: r.name for h, r in names.items() if r is not None} == {h: h for h in names}
    assert config.region_of(0.5, "kk") is None
    same = [{**r, "hypotheses": ["mumu"]} for r in TEMPLATES["regions"]]
    with pytest.raises(ConfigError, match="regions overlap between masses"):
        validate(TemplatesConfig, {**TEMPLATES, "regions": same})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"region": "none"}, "no region 'none'; there are"),
        ({"mass": [2.0, 1.0]}, "is no range"),
        ({"events": {"value": -1.0, "source": "assumed"}}, "is negative"),
    ],
)
def test_wrong_counted_backgrounds_are_refused(change: dict[str, Any], message: str) -> None:
    counted = {**TEMPLATES["expected"]["sidebands_mumu"], **change}
    with pytest.raises(ConfigError, match=message):
        validate(TemplatesConfig, {**TEMPLATES, "expected": {"sidebands": counted}})


def test_events_many_lifetimes_away_count_as_none(tmp_path: Path) -> None:
    path = candidates(tmp_path / "part.root")
    item: dict[str, Any] = {"folds": [0], "reweight": {"lifetime": 1e-3}, "lifetimes": {"lifetime": "hp"}}
    found = read_candidates(path, item)
    assert set(found["weight"][found["proper_hp"] > 0.03]) == {0.0}
    assert found["weight"].mean() == pytest.approx(2.0, rel=0.1)
