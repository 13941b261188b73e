"""The datasets of a search side by side: numbers by hand, and a section from files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from darkfactory.core.files import write_json
from darkfactory.pipeline.datasets import background_per_fb, compare_section, mass_rows, table_rows
from darkfactory.store.tables import write_csv

MODEL: dict[str, Any] = {
    "binning": {"recoil": {"first": [0.0, 2.0, 4.0, 6.0]}},
    # the second axis is summed
    "background": {
        "recoil": {
            "tautau": {"nominal": [[1.0, 1.0], [2.0, 4.0], [1.0, 0.0]]},
            "ee": {"nominal": [[0.0, 0.0], [1.0, 0.0], [8.0, 0.0]]},
        }
    },
}


def efficiency(point: str, mass: float, total: float, trigger: float | None, **more: Any) -> dict[str, Any]:
    return {
        "hypothesis": "zprime", "point": point, "mass_gev": mass, "width": None, "efficiency": total,
        "trigger_efficiency": trigger, "region": "recoil", "resolution": 0.5, **more,
    }  # fmt: skip


def limit(point: str, expected: float | None, cl: float = 0.9) -> dict[str, Any]:
    return {
        "hypothesis": "zprime", "point": point, "expected": expected, "unit": "fb", "cl": cl,
        "quantity": "cross_section",
    }  # fmt: skip


def test_background_counts_bins_in_proportion() -> None:
    # mass squared 3 within 1: half of the second bin's right, half of its left, and nothing else
    assert background_per_fb(MODEL, "recoil", 3.0**0.5, 0.5) == pytest.approx({"tautau": 6.0, "ee": 1.0})
    # 4 within 1: halves of the second and of the third bin
    assert background_per_fb(MODEL, "recoil", 2.0, 0.5) == pytest.approx({"tautau": 3.5, "ee": 4.5})
    # beyond the range: what is left of it
    assert background_per_fb(MODEL, "recoil", 6.0**0.5, 0.5) == pytest.approx({"tautau": 0.5, "ee": 4.0})


def test_rows_of_a_dataset() -> None:
    rows = mass_rows(
        "belle_977fb",
        100.0,
        [
            efficiency("m2p00000", 2.0, 0.1, 0.5),
            efficiency("m1p00000", 1.0, 0.0, 0.0, region=None, resolution=None),
            efficiency("m2p00000_w0p10000", 2.0, 0.1, 0.5, width=0.1),
        ],
        [limit("m2p00000", 3.0), limit("m2p00000", 4.0, 0.95), limit("m1p00000", None)],
        MODEL,
        {"zprime/m2p00000": {"ffo": 0.4, "any": 0.6}},
    )
    assert [r.mass for r in rows] == [1.0, 2.0]
    empty, full = rows
    assert (empty.trigger_preselected, full.trigger_preselected) == (None, 0.6)
    assert (empty.before_trigger, empty.background, empty.leading, empty.limit) == (None, None, "", None)
    assert (full.before_trigger, full.trigger, full.efficiency, full.leading) == (0.2, 0.5, 0.1, "ee")
    assert full.background == pytest.approx(8.0)
    # of several levels the first
    assert full.limit == 3.0
    # 800 events are expected: 1.645 standard deviations of them, over the efficiency and the luminosity
    assert full.counting == pytest.approx(1.64485 * 800**0.5 / (0.1 * 100), rel=1e-4)
    of_count = limit("m2p00000", 3.0) | {"quantity": "efficiency_times_cross_section"}
    (row,) = mass_rows("belle_977fb", 100.0, [efficiency("m2p00000", 2.0, 0.1, 0.5)], [of_count], MODEL, {})
    assert row.counting == pytest.approx(0.1 * full.counting)


def test_the_table_takes_masses_that_all_datasets_have() -> None:
    masses = [0.5 * i for i in range(1, 10)]
    rows = []
    for dataset, offset in (("a", 0), ("b", 1)):
        rows += mass_rows(
            dataset,
            1.0,
            [efficiency(f"m{m:.5f}".replace(".", "p"), m, 0.1, 0.5) for m in masses[offset:]],
            [],
            MODEL,
            {},
        )
    table = table_rows(rows, 3)
    assert [(r["mass [GeV]"], r["dataset"]) for r in table] == [
        (1.0, "a"), (1.0, "b"), (3.0, "a"), (3.0, "b"), (4.5, "a"), (4.5, "b")
    ]  # fmt: skip
    assert table_rows(rows[:1] + [r for r in rows if r.dataset == "b"]) == []


def test_a_section_from_files(tmp_path: Path) -> None:
    for dataset, trigger in (("belle2_80fb", 0.9), ("belle_977fb", 0.4)):
        base = tmp_path / "zprime_invisible" / dataset
        write_csv(base / "efficiency.csv", [efficiency("m2p00000", 2.0, 0.1, trigger)])
        write_csv(base / "limits.csv", [limit("m2p00000", 3.0)])
        write_json(base / "templates" / "model.json", MODEL)
        told = {"edges": [0.0, 0.5, 1.0], "efficiency": [trigger, None], "share": [1.0, 0.0]}
        profiles = {"zprime/m2p00000": {"x_pt_pair": told}}
        write_json(base / "trigger.json", {"lines": {"zprime/m2p00000": {"any": trigger}}, "profiles": profiles})
    report = tmp_path / "report"
    report.mkdir()
    names = {"belle2_80fb": 79.7, "belle_977fb": 977.0}
    section = compare_section(tmp_path, report, "zprime_invisible", names, "pseudo")
    assert section is not None
    assert len(section.tables["By mass"]) == 2
    assert [f.path for f in section.figures] == [
        f"datasets_zprime_invisible_{n}.png"
        for n in (
            "trigger_preselected",
            "trigger",
            "efficiency",
            "background",
            "counting",
            "limit",
            "trigger_x_pt_pair",
        )
    ]
    for f in section.figures:
        assert (report / f.path).read_bytes().startswith(b"\x89PNG")
    # nothing by mass alone: no section
    for dataset in names:
        base = tmp_path / "zprime_invisible" / dataset
        write_csv(base / "efficiency.csv", [efficiency("m2p00000_w0p10000", 2.0, 0.1, 0.5)])
    assert compare_section(tmp_path, report, "zprime_invisible", names, "pseudo") is None
