from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from darkfactory.config.library import Library
from darkfactory.config.recast import RecastModel, RecastVertices
from darkfactory.core.errors import InputError, UserError
from darkfactory.execute.backends import SerialBackend
from darkfactory.pipeline.recast import cross_section, cross_sections, limits_of_search, read_limits
from darkfactory.store.tables import read_csv, write_csv

ROOT = Path(__file__).parents[3]
MINE = {"name": "mine", "coupling": "g", "rate_fb": {"formula": "400 / mass"}}
VERTICES = {
    "parameters": {"m_X": 1.0},
    "particles": [{"name": "X", "pdg": 9900032, "spin2": 2, "mass": "m_X"}],
    "vertices": [
        {"type": "FFV", "particles": ["mu-", "mu-", "X"], "couplings": {"vector": -1.0}, "orders": {"NP": 1}},
    ],
    "process": {"final": ["mu-", "mu+", "X"], "max_orders": {"NP": 1}, "isr": {"radiator": "o2ll"}},
    "mass": "m_X",
}


def test_vertices_of_a_known_model_give_its_cross_section() -> None:
    library = Library(ROOT / "config")
    own = cross_sections(RecastVertices.model_validate(VERTICES), library, "belle2", [1.0], 1, SerialBackend())
    known = {
        "process": library.get("processes", "mumu_zprime"),
        "model": library.get("models", "dark_qed"),
        "beams": library.get("detectors", "belle2")["beams"],
        "axes": {"mass": "m_Zp"},
        "parameters": {},
        "seed": 2,
    }
    sigma, error = cross_section(known, 1.0)
    assert abs(own[1.0][0] - sigma) < 4 * (own[1.0][1] ** 2 + error**2) ** 0.5
    assert error / sigma < 0.01


def test_a_table_of_limits_is_recast(project: Path, call: Callable[..., Any]) -> None:
    write_csv("published.csv", [{"mass_GeV": 1.0, "limit": 4.0}, {"mass_GeV": 4.0, "limit": 1.0}])
    # nothing has run: there is nothing to compare with, which is no error
    (project / "mine.yaml").write_text(yaml.safe_dump({**MINE, "validates": "zprime_vanilla"}))
    done = call("recast", "-s", "zprime_invisible", "-m", "mine.yaml", "--limits", "published.csv", "-o", "out")
    assert done.code == 0, done.err
    assert "validates zprime_vanilla: not compared" in done.err
    assert [r["observed"] for r in read_csv(project / "out" / "mine.csv")] == pytest.approx([0.1, 0.1])
    assert {p.name for p in (project / "out").iterdir()} == {"mine.csv", "mine.png", "mine.pdf"}
    assert "The efficiency is that of zprime" in done.out


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        ({"hypothesis": "axion"}, [], "hypothesis 'axion' is not in zprime_invisible; it has"),
        ({"coupling_": "g"}, [], "coupling_"),
        ({}, ["--limits", "wrong.csv"], "wrong.csv: a table of limits needs the columns mass_GeV and limit"),
    ],
)
def test_mistakes_are_one_message(
    change: dict[str, Any], arguments: list[str], message: str, project: Path, call: Callable[..., Any]
) -> None:
    (project / "mine.yaml").write_text(yaml.safe_dump({**MINE, **change}))
    write_csv("wrong.csv", [{"m": 1.0, "limit": 4.0}])
    done = call("recast", "-s", "zprime_invisible", "-m", "mine.yaml", *arguments)
    assert done.code == 2
    assert re.search(message, done.err), done.err


def test_limits_of_a_search_are_those_of_narrow_signals(tmp_path: Path) -> None:
    file = tmp_path / "limits.csv"
    row = {"hypothesis": "zprime", "point": "m1p00000", "mass_gev": 1.0, "width": None, "observed": 1.0}
    write_csv(file, [row, {**row, "point": "m1p00000_w0p10000", "width": 0.1}])
    assert [r["point"] for r in limits_of_search(file, "zprime")] == ["m1p00000"]
    with pytest.raises(UserError, match=r"no limits of hypothesis 'x'; it has \['zprime'\]"):
        limits_of_search(file, "x")
    write_csv(file, [{**row, "point": "m1p00000_n1p00000", "mass2_gev": 1.0}])
    with pytest.raises(UserError, match="depend on a second mass or lifetime, which a recast cannot take"):
        limits_of_search(file, "zprime")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mass_GeV,limit\n1.0,\n", "no row of the table has a limit"),
        ("mass_GeV,limit\nlight,2.0\n", "mass_GeV is 'light' in row 1 of the table"),
        ("mass_GeV,lim\n1.0,2.0\n", "needs the columns mass_GeV and limit"),
        ("mass_GeV,limit\n", "the table of limits has no rows"),
    ],
)
def test_a_table_without_numbers_is_told(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "limits.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        read_limits(tmp_path / "limits.csv")


def test_a_model_file_is_typed() -> None:
    assert RecastModel.model_validate({**MINE, "rate_fb": None, "vertices": VERTICES}).vertices is not None
