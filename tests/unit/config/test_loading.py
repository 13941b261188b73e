from __future__ import annotations

from pathlib import Path

import pytest

from darkfactory.config.base import Luminosity, StrictModel, Tagged
from darkfactory.config.library import Library
from darkfactory.config.load import deep_merge, parse_override, read_yaml, validate
from darkfactory.config.points import AxisGrid, PointGrid, blocks, expand_grid, parse_point, point_name
from darkfactory.core.errors import ConfigError


class Inner(StrictModel):
    cut: Tagged
    luminosity: Luminosity = 1.0


class Outer(StrictModel):
    inner: dict[str, Inner]
    names: tuple[str, ...] = ()


GOOD = {"inner": {"a": {"cut": {"value": 1.0, "source": "assumed"}, "luminosity": "445 /pb"}}}


def test_good_values_are_converted() -> None:
    assert validate(Outer, GOOD).inner["a"].luminosity == pytest.approx(0.445)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inner": {"a": {"lumi": 1}}}, r"f\.yaml: inner\.a\.lumi: unknown key.*Allowed here: cut, luminosity"),
        ({"inner": {"a": {"luminosity": "5 GeV"}}}, r"inner\.a\.luminosity: .*no unit of luminosity"),
        (
            {"inner": {"a": {"cut": {"value": 1, "source": "guess"}}}},
            r"inner\.a\.cut\.source: .*'published'.*got 'guess'",
        ),
        ({"inner": {"a": {"cut": {"range": [2, 3]}}}}, r"inner\.a\.cut: value 1.0 is outside its own range"),
        ({"name": []}, r"name: unknown key; did you mean 'names'\?"),
    ],
)
def test_errors_carry_file_path_value_and_what_is_allowed(change: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        validate(Outer, deep_merge(GOOD, change), file="f.yaml")


def test_a_missing_key_is_named() -> None:
    with pytest.raises(ConfigError, match=r"inner\.a\.cut: this key is required"):
        validate(Outer, {"inner": {"a": {}}})


def test_yaml_errors(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: no such file"):
        read_yaml(tmp_path / "none.yaml")
    bad = tmp_path / "bad.yaml"
    bad.write_text("a: [1,\nb: 2\n")
    with pytest.raises(ConfigError, match=r"bad\.yaml: line 3: .*mend the YAML"):
        read_yaml(bad)
    bad.write_text("- 1\n")
    with pytest.raises(ConfigError, match="holds a list, not a mapping"):
        read_yaml(bad)
    bad.write_text("a: 1\nb: 2\na: 3\n")
    with pytest.raises(ConfigError, match=r"key 'a' is given twice \(line 3\)"):
        read_yaml(bad)
    bad.write_text("")
    assert read_yaml(bad) == {}


def test_overrides() -> None:
    assert parse_override("a.b=[1, 2]") == {"a": {"b": [1, 2]}}
    with pytest.raises(ConfigError, match=r"write --set path\.to\.key=value"):
        parse_override("a.b")


def test_library_extends_and_names_what_there_is(tmp_path: Path) -> None:
    folder = tmp_path / "things"
    folder.mkdir()
    (folder / "base.yaml").write_text("a: {x: 1, y: 2}\n")
    (folder / "child.yaml").write_text("extends: base\na: {y: 3}\n")
    (folder / "one.yaml").write_text("extends: two\n")
    (folder / "two.yaml").write_text("extends: one\n")
    library = Library(tmp_path)
    assert library.get("things", "child") == {"a": {"x": 1, "y": 3}}
    with pytest.raises(ConfigError, match="extends itself: one -> two -> one"):
        library.get("things", "one")
    with pytest.raises(ConfigError, match="'chld' is unknown; did you mean 'child'"):
        library.get("things", "chld")
    with pytest.raises(ConfigError, match="no such folder; run from the project's top level"):
        Library(tmp_path / "nowhere")


def test_point_names_round_trip_and_sort() -> None:
    assert parse_point(point_name({"mass": 0.3, "lifetime": 10.0})) == {"mass": 0.3, "lifetime": 10.0}
    for bad in ("m0p5", "x0p50000", "0.5", "q1p00000"):
        with pytest.raises(ConfigError, match=r"no point name|unknown axis"):
            parse_point(bad)
    narrow = PointGrid(axes={"mass": AxisGrid(segments=((1.0, 12.0, 1.0),))})
    wide = PointGrid(axes={"mass": AxisGrid(values=(2.0,)), "width": AxisGrid(values=(0.1,))})
    names = expand_grid([wide, narrow])
    assert names[0] == "m1p00000"
    assert names[9] == "m10p00000"
    assert names[-1] == "m2p00000_w0p10000"
    assert [name for block in blocks(names, 5).values() for name in block] == names


def test_grids_need_sense() -> None:
    with pytest.raises(ConfigError, match="needs first <= last and a positive step"):
        validate(AxisGrid, {"segments": [[2.0, 1.0, 0.5]]})
    with pytest.raises(ConfigError, match=r"unknown axes \['spin'\]"):
        validate(PointGrid, {"axes": {"spin": {"values": [1]}}})
