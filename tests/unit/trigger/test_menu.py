"""Menus: all shipped ones compile; what is wrong is said with its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from trigger_events import MENUS, menu, shipped

from darkfactory.config.period import PeriodConfig, load_periods, load_rates, period_menu
from darkfactory.config.trigger import TriggerMenu, load_menu
from darkfactory.core.errors import ConfigError
from darkfactory.trigger.menu import check_lines, compile_menu

NAMES = sorted(p.stem for p in MENUS.glob("*.yaml"))


def test_there_is_a_menu_for_every_experiment_and_era() -> None:
    assert {"belle2_phase2", "belle2_phase3", "belle2_run2", "belle", "babar"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_shipped_menus_compile(name: str) -> None:
    loaded = load_menu(name, MENUS)
    compiled = compile_menu(loaded)
    assert tuple(compiled.l1.lines) == loaded.l1_names
    assert tuple(compiled.hlt.lines) == loaded.hlt_names
    assert loaded.l1_names
    assert loaded.hlt_names


def test_a_menu_survives_json() -> None:
    loaded = shipped("belle2_run2")
    assert TriggerMenu.model_validate(loaded.model_dump(mode="json", by_alias=True)) == loaded


def period_lines(config: PeriodConfig) -> TriggerMenu:
    return shipped(config.menu, config.menu_overrides)


def test_a_period_applies_its_overrides() -> None:
    period = load_periods(MENUS.parent / "periods.yaml").get("run1_2021")
    assert period_menu(period, MENUS) == period_lines(period)


def test_every_period_has_a_menu_and_the_single_track_line_since_2021() -> None:
    periods = load_periods(MENUS.parent / "periods.yaml")
    lines = {name: period_lines(p).l1_names for name, p in periods.periods.items()}
    for name, config in periods.periods.items():
        compile_menu(period_lines(config))
        assert ("stt" in lines[name]) == (
            name in ("run1_2021", "run1_full", "run1_full_vertex_l1", "run2_2024", "design")
        )
    assert "cdcklm1" not in lines["phase2_2018"]
    assert "cdcklm1" in lines["run1_2019"]
    with pytest.raises(ConfigError, match=r"no period 'run7'; there are phase2_2018"):
        periods.get("run7")


def test_reference_rates_add_up_to_the_published_total() -> None:
    table = load_rates(MENUS.parent / "rates.yaml")
    total = sum(p.l1_hz.value for p in table.processes.values() if p.l1_hz is not None)
    assert total == pytest.approx(table.total_l1_hz.value, rel=0.02)
    # cross section x luminosity / prescale gives each published rate: the table is consistent
    for name, process in table.processes.items():
        scale = process.prescale.value if process.prescale is not None else 1.0
        expected = process.xs_nb.value * 1e-33 * table.luminosity_1e34.value * 1e34 / scale
        if name != "two_photon_theta_gt_17_pt_gt_0p1":
            assert process.l1_hz is not None
            assert process.l1_hz.value == pytest.approx(expected, rel=0.03), name


def write(folder: Path, name: str, content: dict[str, Any]) -> Path:
    triggers = folder / "triggers"
    triggers.mkdir(exist_ok=True)
    (triggers / f"{name}.yaml").write_text(yaml.safe_dump(content))
    return triggers


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"l1": {"lines": {"ffo": {"expr": "n2d >= 2 and open9"}}}}, r"l1.lines.ffo.expr: unknown name 'open9'"),
        ({"l1": {"lines": {"ffo": {"expr": "n2d + 2"}}}}, r"l1.lines.ffo.expr: this is a number, but a condition"),
        ({"l1": {"vetoes": {"bhabha": "ffo"}}}, r"l1.*in a circle: .*bhabha.*ffo"),
        ({"hlt": {"quantities": {"n_loose": "n_loose + 1"}}}, r"hlt.quantities.n_loose.*circle: n_loose -> n_loose"),
        ({"l1": {"collections": {"cluster": {"from": "ecal"}}}}, r"cluster.from: unknown collection 'ecal'"),
        ({"l1": {"collections": {"cluster": {"where": "e_cm > 1"}}}}, r"cluster.where: unknown name 'e_cm'.*e_cms"),
        ({"l1": {"collections": {"cell": {"from": "ecl"}}}}, r"'cell' is already a collection"),
        ({"hlt": {"collections": {"lead": {"leading_of_each_charge": "klm"}}}}, r"'klm' is no number of track"),
        ({"l1": {"lines": {"ffo": {"expr": "ee2leg"}}}}, r"unknown name 'ee2leg'"),
        # a disabled line is checked, too
        ({"l1": {"lines": {"displaced_vertex": {"expr": "vertex_r > 3"}}}}, r"displaced_vertex.expr: unknown name"),
    ],
)
def test_wrong_expressions_are_found_at_load(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        compile_menu(shipped("belle2_phase3", change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"l1": {"lines": {"ffo": {"eff": {"value": 1.2, "source": "assumed", "range": None}}}}},
            r"eff is 1.2; a prob",
        ),
        ({"l1": {"lines": {"ffo": {"prescale": {"value": 0, "source": "assumed"}}}}}, r"prescale is 0.0; 1 or more"),
        ({"l1": {"lines": {"ffo": {"prescales": 3}}}}, r"l1.lines.ffo.prescales"),
        ({"l1": {"lines": {"n2d": {"expr": "true"}}}}, r"'n2d' is already one of the quantities"),
        ({"l1": {"lines": {"a b": {"expr": "true"}}}}, r"'a b' is no name"),
        ({"l1": {"only": ["fffo"]}}, r"only: no line 'fffo'"),
        ({"l1": {"lines": {f"x{i}": {"expr": "true"} for i in range(40)}}}, r"enabled; bits of one level end at 64"),
        ({"injection_veto": {"dead_time": {"value": 1.5, "source": "assumed", "range": None}}}, r"dead_time is 1.5"),
        ({"l1_objects": {"calorimeter": {"rings": {"cells": [36]}}}}, r"cells has 1 entries for 17 rings"),
        ({"l1_objects": {"calorimeter": {"rings": {"edges_deg": [[20, 10]]}}}}, r"rising pairs"),
    ],
)
def test_wrong_values_are_found_at_load(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        shipped("belle2_phase3", change)


def test_extends_is_deep_and_knows_circles(tmp_path: Path) -> None:
    base = shipped("belle2_phase3").model_dump(mode="json", by_alias=True, exclude={"name", "file"})
    write(tmp_path, "base", base)
    folder = write(tmp_path, "child", {"extends": "base", "l1": {"lines": {"ffo": {"eff": {"value": 0.99}}}}})
    child = load_menu("child", folder)
    assert child.l1.lines["ffo"].eff.value == 0.99  # type: ignore[union-attr]
    assert child.l1.lines["ffo"].expr == "n2d >= 2 and open90 and not bhabha"
    write(tmp_path, "a", {"extends": "b"})
    write(tmp_path, "b", {"extends": "a"})
    with pytest.raises(ConfigError, match="extends itself: a -> b -> a"):
        load_menu("a", folder)
    with pytest.raises(ConfigError, match="unknown"):
        load_menu("none", folder)


def test_lines_are_checked_against_the_menu() -> None:
    phase2 = menu("belle2_phase2")
    assert check_lines(phase2, "l1", ["fff", "ffo"]) == (0, 1)
    with pytest.raises(
        ConfigError, match=r"trigger.l1\[1\]: line 'cdcklm1' is disabled in menu 'belle2_phase2'; enabled: fff"
    ):
        check_lines(phase2, "l1", ["ffo", "cdcklm1"])
    with pytest.raises(ConfigError, match=r"trigger.hlt\[0\]: line 'two_mit' does not exist"):
        check_lines(phase2, "hlt", ["two_mit"])
