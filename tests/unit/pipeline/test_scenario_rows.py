from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from darkfactory.config.load import validate
from darkfactory.config.scenario import ScenarioFile
from darkfactory.core.files import read_json, write_json
from darkfactory.pipeline.layout import path
from darkfactory.pipeline.scenarios import read_scenarios, summary_rows, write
from darkfactory.store.tables import read_csv, write_csv

FILE = validate(
    ScenarioFile,
    {
        "search": "s", "title": "T", "baseline": "base", "baseline_title": "all lines",
        "scenarios": {
            "less": {"title": "fewer lines", "trigger": {"l1": ["a"]}, "source": "assumed"},
            "none": {"title": "other detector", "impossible": "no such line", "source": "published"},
        },
    },
)  # fmt: skip


def dataset(name: str, trigger: float, limits: list[float | None], points: list[str]) -> None:
    w = {"campaign": "c", "search": "s", "dataset": name}
    both = list(zip(points, limits, strict=True))
    write_csv(
        path("efficiency", **w),
        [
            {"hypothesis": "h", "point": p, "efficiency": 0.4 * trigger, "trigger_efficiency": trigger, "region": "r",
             "resolution": 0.25} for p in points
        ],
    )  # fmt: skip
    common: dict[str, Any] = {"hypothesis": "h", "cl": 0.9, "unit": "fb"}
    rows = [{**common, "point": p, "expected": v, "status": "ok" if v else "no_sensitivity"} for p, v in both]
    write_csv(path("limits_csv", **w), rows)
    strengths = [{**common, "model": "m", "point": p, "expected": None if v is None else v**0.5} for p, v in both]
    write_csv(path("couplings", **w), strengths)
    background = {"r": {"b": {"nominal": [4.0, 2.0, 0.0]}}}
    write_json(path("model", **w), {"binning": {"r": {"first": [0.0, 1.0, 2.0, 9.0]}}, "background": background})


@pytest.fixture
def finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    points = ["m1p00000", "m2p00000"]
    dataset("base", 0.9, [1.0, 4.0], points)
    dataset("base_less", 0.3, [2.25, None], points)
    return tmp_path


def test_ratios_are_over_the_baseline_at_the_same_point(finished: Path) -> None:
    rows = read_scenarios("c", FILE)
    assert [(r.scenario, r.point, r.ratio) for r in rows] == [
        ("all lines", "m1p00000", 1.0), ("all lines", "m2p00000", 1.0), ("fewer lines", "m1p00000", 2.25),
        ("fewer lines", "m2p00000", None),
    ]  # fmt: skip
    assert rows[2].coupling_ratio == pytest.approx(1.5)
    # within two widths of 1 GeV^2: 0.5 to 1.5
    assert rows[2].background == pytest.approx(3.0)
    assert rows[3].status == "no_sensitivity"
    assert [r.dataset for r in read_scenarios("c", FILE, ["base"])] == ["base", "base"]


def test_other_limits_can_take_the_place_of_those_of_the_scans(finished: Path) -> None:
    def rows(*values: float) -> list[dict[str, Any]]:
        points = ("m1p00000", "m2p00000")
        return [
            {"hypothesis": "h", "point": p, "expected": v, "unit": "fb", "status": "ok"}
            for p, v in zip(points, values, strict=True)
        ]

    expected = {"base": (rows(1.0, 2.0), rows(1.0, 2.0)), "base_less": (rows(3.0, 8.0), rows(1.5, 2.0))}
    found = read_scenarios("c", FILE, expected=expected)
    assert [(r.ratio, r.coupling_ratio) for r in found] == [(1.0, 1.0), (1.0, 1.0), (3.0, 1.5), (4.0, 1.0)]


def test_the_summary_has_a_line_for_what_cannot_be_recorded(finished: Path) -> None:
    summary = summary_rows(read_scenarios("c", FILE), {"other detector": "no such line"})
    assert [r["scenario"] for r in summary] == ["all lines", "fewer lines", "other detector"]
    assert (summary[1]["trigger efficiency"], summary[1]["limit / baseline"], summary[1]["without limit"]) == (
        0.3,
        2.25,
        1,
    )
    assert summary[1]["at"] == "m1p00000"
    assert summary[2]["impossible"] == "no such line"


def test_table_figures_and_index_are_written(finished: Path) -> None:
    write(read_scenarios("c", FILE), FILE, finished / "out", "pseudo")
    index = read_json(finished / "out" / "index.json")
    assert {f["file"] for f in index["figures"]} >= {"h_trigger.png", "h_ratio.png", "h_expected.png"}
    assert all((finished / "out" / f["file"]).exists() for f in index["figures"])
    assert len(read_csv(finished / "out" / "scenarios.csv")) == 4


def test_lifetimes_are_shown_at_the_middle_of_the_other_axes(finished: Path) -> None:
    points = [f"m{m}p00000_t{t}p00000" for m in (1, 2, 3) for t in (1, 9)]
    dataset("base", 0.9, [1.0] * 6, points)
    dataset("base_less", 0.5, [2.0] * 6, points)
    write(read_scenarios("c", FILE), FILE, finished / "out", "pseudo")
    captions = [f["caption"] for f in read_json(finished / "out" / "index.json")["figures"]]
    assert captions
    assert all(c.endswith("h at 2 GeV") for c in captions)
