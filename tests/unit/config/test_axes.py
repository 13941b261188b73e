from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from darkfactory.config.check import check_campaign
from darkfactory.config.load import validate
from darkfactory.config.points import (
    AXES,
    AxisGrid,
    PointGrid,
    axis_columns,
    expand_grid,
    parse_point,
    point_columns,
    point_name,
    project_point,
)
from darkfactory.config.resolve import Campaign, load_campaign
from darkfactory.config.search import Hypothesis
from darkfactory.core.errors import ConfigError
from darkfactory.pipeline.plan import Planner
from darkfactory.pipeline.selected import hypothesis_items

ROOT = Path(__file__).parents[3]
ALP = {"search": "alp_3gamma", "dataset": "belle2_445pb"}
MASS = AxisGrid(values=(1.0, 2.0, 3.0))


def test_letters_and_columns_of_axes_differ() -> None:
    assert len({a.letter for a in AXES.values()}) == len(AXES) == len({a.column for a in AXES.values()})
    every = {a: 0.5 + i for i, a in enumerate(AXES)}
    assert parse_point(point_name(every)) == every
    with pytest.raises(ConfigError, match="axis 'mass' is given twice"):
        parse_point("m0p50000_m0p60000")


def test_conditions_cut_a_triangle_out_of_a_product() -> None:
    grid = PointGrid(axes={"mass": MASS, "mass2": MASS}, where=("mass2 < mass", "mass + mass2 < 4.5"))
    assert expand_grid([grid]) == ["m2p00000_n1p00000", "m3p00000_n1p00000"]
    with pytest.raises(ConfigError, match=r"condition 'width < 1' uses \['width'\]; the grid has \['mass'\]"):
        validate(PointGrid, {"axes": {"mass": {"values": [1]}}, "where": ["width < 1"]})
    with pytest.raises(ConfigError, match=r"condition 'mass' compares nothing"):
        validate(PointGrid, {"axes": {"mass": {"values": [1]}}, "where": ["mass"]})


def test_logarithmic_axes() -> None:
    values = AxisGrid(logarithmic=((1e-3, 1e2, 11),)).expand()
    assert len(values) == 11
    assert values[0] == 1e-3
    assert values[-1] == 1e2
    with pytest.raises(ConfigError, match="needs 0 < first < last and at least two values"):
        validate(AxisGrid, {"logarithmic": [[0.0, 1.0, 5]]})


def test_tables_have_the_columns_of_the_axes_that_occur() -> None:
    assert axis_columns(["m1p00000"]) == ("mass_gev", "width")
    names = ["m1p00000", "m1p00000_t0p50000", "m1p00000_n0p20000"]
    assert axis_columns(names) == ("mass_gev", "width", "mass2_gev", "ctau_cm")
    assert point_columns("m1p00000_t0p50000") == {"mass_gev": 1.0, "width": None, "ctau_cm": 0.5}


def test_a_point_without_its_reweighted_axes() -> None:
    assert project_point("m0p30000_n0p10000_t10p00000", ["lifetime"]) == "m0p30000_n0p10000"
    with pytest.raises(ConfigError, match="'mass' is no axis to reweight to"):
        validate(Hypothesis, {"sample": "s", "grids": {}, "reweighted": ["mass"]})


def reweighted_campaign() -> Campaign:
    """The tiny campaign with a lifetime axis on its ALP."""
    campaign = load_campaign("tiny", config_dir=ROOT / "config")
    key = ("alp_3gamma", "belle2_445pb")
    config = campaign.searches[key]
    grid = PointGrid(axes={"mass": MASS, "lifetime": AxisGrid(values=(0.1, 1.0))})
    alp = config.hypotheses["alp"].model_copy(update={"grids": {"tiny": (grid,)}, "reweighted": ("lifetime",)})
    changed = config.model_copy(update={"hypotheses": {"alp": alp}})
    return replace(campaign, searches={key: changed}, _known={})


def test_points_that_differ_in_a_reweighted_axis_share_a_sample() -> None:
    campaign = reweighted_campaign()
    assert campaign.sample_points("belle2_gamma_alp") == ["m1p00000", "m2p00000", "m3p00000"]
    assert len(campaign.points(*ALP.values(), "alp")) == 6
    plan = Planner(campaign)
    assert [len(p) for p in campaign.blocks(*ALP.values(), "alp").values()] == [4, 2]
    (path,) = plan.selected_signals(ALP, "selected", ["m3p00000_t1p00000"])
    assert path.endswith("belle2_gamma_alp/m3p00000/selected.json")
    assert plan.block({**ALP, "block": "b001"}) == {"alp": ["m3p00000_t0p10000", "m3p00000_t1p00000"]}
    assert plan.integrate({"sample": "belle2_gamma_alp", "block": "b001"})["points"] == ["m3p00000"]


def test_items_of_points_come_from_the_simulated_point() -> None:
    spec = {"signals": {"alp": "s", "other": "s"}, "reweighted": {"alp": ["lifetime"], "other": []}}
    items = [{"sample": "s", "point": p, "n_generated": 7} for p in ("m1p00000", "m2p00000")]
    wanted = {"alp": ["m2p00000_t0p10000", "m2p00000_t1p00000"], "other": ["m1p00000"]}
    found = hypothesis_items(items, spec, wanted)
    assert [(i["hypothesis"], i["point"], i["simulated"]) for i in found] == [
        ("other", "m1p00000", "m1p00000"),
        ("alp", "m2p00000_t0p10000", "m2p00000"),
        ("alp", "m2p00000_t1p00000", "m2p00000"),
    ]
    assert [i["reweight"] for i in found] == [{}, {"lifetime": 0.1}, {"lifetime": 1.0}]


def test_an_axis_that_sets_nothing_is_an_error(tmp_path: Path) -> None:
    folder = tmp_path / "config"
    folder.symlink_to(ROOT / "config")
    search = yaml.safe_load((ROOT / "config/searches/alp_3gamma.yaml").read_text())
    search["hypotheses"]["alp"]["grids"]["tiny"] = [{"axes": {"mass": {"values": [1]}, "mass2": {"values": [0.5]}}}]
    campaign = load_campaign(
        "tiny", config_dir=folder, overrides=[{"overrides": {"alp_3gamma": {"hypotheses": search["hypotheses"]}}}]
    )
    with pytest.raises(ConfigError, match="axis 'mass2' sets nothing: sample belle2_gamma_alp has the axes"):
        check_campaign(campaign)
