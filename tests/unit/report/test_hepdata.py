from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pyhf
import pytest
import yaml

from darkfactory.core.errors import RunError, UserError
from darkfactory.core.files import write_json
from darkfactory.pipeline.hepdata import (
    dataset_tables,
    submission_comment,
    validate_archive,
    workspace_archive,
    write_archive,
)
from darkfactory.records.unblinding import Unblinding
from darkfactory.report.hepdata import HepdataTable, coupling_tables, limit_tables
from darkfactory.stats.examples import counting_window
from darkfactory.store.tables import write_csv

ABOUT = {"dataset": "belle2_80fb", "luminosity_fb": 79.7, "sqrts_gev": 10.58, "data": "pseudo"}
BAND = {"expected_m2": 0.5, "expected_m1": 0.7, "expected": 1.0, "expected_p1": 1.4, "expected_p2": 2.0}


def row(**more: Any) -> dict[str, Any]:
    return {
        "hypothesis": "zprime", "point": "m1p00000", "mass_gev": 1.0, "width": None, "quantity": "cross_section",
        "unit": "fb", "observed": 1.2, **BAND, "cl": 0.9, "method": "toys", "p0_local": 0.3, "status": "ok", **more,
    }  # fmt: skip


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """What a finished dataset leaves."""
    lost = row(point="m2p00000", mass_gev=2.0, observed=None, status="no_sensitivity", **dict.fromkeys(BAND))
    write_csv(tmp_path / "limits.csv", [row(), lost, row(cl=0.95), row(point="m1p00000_w0p10000", width=0.1)])
    coupling = {"model": "zprime_vanilla", "coupling": "g_prime", "lower": None, "upper": 1.2}
    write_csv(tmp_path / "couplings.csv", [row(**coupling, quantity="g_prime", unit="")])
    efficiency = {"hypothesis": "zprime", "mass_gev": 1.0, "efficiency": 0.1, "trigger_efficiency": 0.8}
    write_csv(tmp_path / "efficiency.csv", [efficiency])
    point = {"spec": counting_window(1, 1.0)}
    write_json(
        tmp_path / "workspace" / "b000.json", {"points": {"zprime/m1p00000": point, "zprime/m2p00000": {"spec": None}}}
    )
    return tmp_path


def test_bands_are_errors_around_the_median() -> None:
    table = limit_tables([row()], ABOUT)[0]
    expected = next(v for v in table.dependent if v["header"]["name"].startswith("expected"))
    assert expected["header"] == {"name": "expected upper limit on cross section", "units": "fb"}
    [value] = expected["values"]
    assert value["value"] == 1.0
    errors = [(e["label"], e["asymerror"]["minus"], e["asymerror"]["plus"]) for e in value["errors"]]
    assert errors == [("1 s.d.", pytest.approx(-0.3), pytest.approx(0.4)), ("2 s.d.", -0.5, 1.0)]


def test_every_axis_of_the_points_is_a_variable() -> None:
    one = row(ctau_cm=0.1, mass2_gev=0.5)
    names = [v["header"]["name"] for v in limit_tables([one, row(ctau_cm=10.0, mass2_gev=0.5)], ABOUT)[0].independent]
    assert names == ["mass", "second mass", "c tau"]


def test_what_the_validator_refuses_is_avoided(results: Path, tmp_path: Path) -> None:
    # counts that leave no choice have bands of no width; long names differ at their ends alone
    flat = dict.fromkeys(BAND, 1.0)
    write_csv(results / "limits.csv", [row(**flat)])
    long = [{**row(lower=1.0, upper=2.0, quantity=q), "model": "m" * 70} for q in ("a", "a_expected")]
    write_csv(results / "couplings.csv", [{**r, "expected": None} for r in long])
    file = tmp_path / "s.tar.gz"
    write_archive(file, dataset_tables(results, {**ABOUT, "dataset": "d" * 64}), "a test", {})
    assert validate_archive(file)


def test_the_comment_says_what_the_limits_are_of() -> None:
    record = Unblinding(1, "", "c", "s", "d", "A. Nalyst", "note 17", "2030-01-01T00:00:00+00:00", "", {}, {}, "1")
    opened = submission_comment("T", "c", {"d": ("real", record, True)})
    assert opened.endswith("d: recorded data, opened 2030-01-01 by A. Nalyst (note 17).")
    hidden = submission_comment("T", "c", {"d": ("pseudo", None, True)})
    assert hidden.endswith("d: pseudo-data (data blinded). Nothing here is a measurement.")
    with pytest.raises(UserError, match=r"d: the data are open since 2030-01-01, the results are of pseudo-data; run"):
        submission_comment("T", "c", {"d": ("pseudo", record, True)})


def test_intervals_have_two_edges() -> None:
    interval = row(model="dark_higgs", quantity="sin_theta", lower=1e-4, upper=1e-3, expected=None, observed=None)
    [table] = coupling_tables([interval], ABOUT)
    assert [v["header"]["name"] for v in table.dependent][:2] == [
        "lower edge of excluded sin_theta", "upper edge of excluded sin_theta",
    ]  # fmt: skip


def test_a_submission_is_valid_and_holds_everything(results: Path, tmp_path: Path) -> None:
    tables = dataset_tables(results, ABOUT)
    assert [t.name for t in tables] == [
        "belle2_80fb: limits, zprime, 90% CL", "belle2_80fb: limits, zprime, 95% CL",
        "belle2_80fb: g_prime, zprime_vanilla, 90% CL", "belle2_80fb: efficiency, zprime",
    ]  # fmt: skip
    file = tmp_path / "out" / "submission.tar.gz"
    attached = {"workspaces.tar.gz": ("workspaces", workspace_archive(results))}
    write_archive(file, tables, "a test", attached)
    assert validate_archive(file)
    with tarfile.open(file) as tar:
        names = tar.getnames()
        first, *rest = yaml.safe_load_all(tar.extractfile("submission.yaml").read())  # type: ignore[union-attr]  # is there
        inner = tar.extractfile("workspaces.tar.gz").read()  # type: ignore[union-attr]  # is there
    assert set(names) == {"submission.yaml", "workspaces.tar.gz", *(t.file for t in tables)}
    assert first["additional_resources"] == [{"location": "workspaces.tar.gz", "description": "workspaces"}]
    assert len(rest) == len(tables)
    limits = tables[0].data()
    assert limits["independent_variables"][0]["values"] == [{"value": 1.0}, {"value": 2.0}, {"value": 1.0}]
    assert limits["dependent_variables"][0]["values"][1] == {"value": "-"}
    assert "pseudo-data" in tables[0].description
    with tarfile.open(fileobj=io.BytesIO(inner)) as tar:
        spec = json.loads(tar.extractfile("zprime_m1p00000.json").read())  # type: ignore[union-attr]  # is there
    assert pyhf.Workspace(spec).model().config.poi_name == "mu"


def test_the_same_results_are_the_same_bytes(results: Path, tmp_path: Path) -> None:
    written = []
    for name in ("a.tar.gz", "b.tar.gz"):
        write_archive(tmp_path / name, dataset_tables(results, ABOUT), "a test", {})
        written.append((tmp_path / name).read_bytes())
    assert written[0] == written[1]


def test_fault_is_told(tmp_path: Path) -> None:
    file = tmp_path / "submission.tar.gz"
    write_archive(file, [HepdataTable("t", "t.yaml", "", [], [{"header": {}}])], "a test", {})
    with pytest.raises(RunError, match=r"HEPData's validator finds fault.*'name' is a required property"):
        validate_archive(file)


def test_without_workspaces_there_is_a_message(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no workspaces in .*; run the search first"):
        workspace_archive(tmp_path)
