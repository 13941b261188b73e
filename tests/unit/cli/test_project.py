from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from darkfactory.config.interpretation import InterpretationConfig, ModelInterpretation
from darkfactory.config.resolve import load_campaign
from darkfactory.core.errors import UserError
from darkfactory.core.files import write_json
from darkfactory.execute.backends import SerialBackend
from darkfactory.pipeline.layout import path
from darkfactory.pipeline.project import draw, expected_rows, project_scan, stored_points, translate
from darkfactory.stats.examples import counting_window
from darkfactory.store.tables import read_csv, write_csv

ROOT = Path(__file__).parents[3]

MODEL = ModelInterpretation(hypothesis="zprime", coupling="g_prime", reference_coupling=0.1, power=2)
STATISTICS = {"cls": [0.90], "certificate": {"stock_fraction": 0.0}}


def record(mass: str, n: float) -> dict[str, Any]:
    spec = counting_window(n, n, signal=2.0)
    axes = {"mass_gev": float(mass[1:].replace("p", "."))}
    return {"hypothesis": "zprime", "point": mass, "axes": axes, "spec": spec, "scale": 0.5}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rule", "hope"], "rule 'hope' is not in config/projections.yaml; it has .'constant', 'shrinking'"),
        (["--luminosity", "-2"], "--luminosity -2: must be above 0"),
    ],
)
def test_mistakes_are_one_message(arguments: list[str], message: str, project: Path, call: Callable[..., Any]) -> None:
    done = call("project", "zprime_invisible", *arguments)
    assert done.code == 2
    assert re.search(message, done.err), done.err


def test_a_scan_that_has_not_run_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="no workspaces in results/tiny/alp_3gamma/belle2_445pb/workspace; run"):
        stored_points("tiny", "alp_3gamma", "belle2_445pb")


def test_expected_limits_do_not_know_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = load_campaign("tiny", config_dir=ROOT / "config").searches["zprime_invisible", "belle2_80fb"]
    where = {"campaign": "tiny", "search": "zprime_invisible", "dataset": "belle2_80fb"}
    write_csv(path("efficiency", **where), [{"hypothesis": "zprime", "point": "m1p00000", "sigma_fb": 4.0}])
    rule = {"power": 0, "floor": 1, "simulation": "kept", "source": "assumed"}
    found = []
    for observed in (350.0, 430.0):
        # a norm that only the data know: limits of a scan go with it
        spec = counting_window(observed, 400.0, 0.3, signal=2.0)
        stored = {"zprime/m1p00000": {**record("m1p00000", 400.0), "spec": spec}}
        write_json(path("workspace", block="b000", **where), {"points": stored})
        rows, couplings = expected_rows("tiny", config, rule, 1, SerialBackend())
        found.append((rows[0]["expected"], couplings[0]["expected"], couplings[0]["model"]))
    assert found[0] == found[1]
    assert found[0][2] == "zprime_vanilla"


def test_a_scan_is_projected_translated_and_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = path("workspace", campaign="tiny", search="s", dataset="belle2_80fb", block="b000")
    stored = [record("m2p00000", 100.0), record("m1p00000", 400.0)]
    write_json(file, {"points": {f"zprime/{r['point']}": r for r in stored}})
    points = stored_points("tiny", "s", "belle2_80fb")
    assert [r["point"] for r in points.values()] == ["m1p00000", "m2p00000"]
    job = {
        "points": points,
        "luminosity_fb": 80.0,
        "rule": {"drop": True, "simulation": "unlimited", "source": "assumed"},
        "statistics": STATISTICS,
        "hypotheses": {"zprime": {"quantity": "cross_section", "unit": "fb"}},
        "discovery": [5.0],
        "seed": 1,
    }
    rows = project_scan(job, [80.0, 8000.0], SerialBackend())
    assert [(r["luminosity_fb"], r["mass_gev"]) for r in rows] == [
        (80.0, 1.0),
        (80.0, 2.0),
        (8000.0, 1.0),
        (8000.0, 2.0),
    ]
    # half a femtobarn and two events a unit: 400 events, then 40000 with a hundred times the signal
    for row, background, unit in ((rows[0], 400.0, 2.0), (rows[2], 4e4, 200.0)):
        events = 1.645 * background**0.5 + 1.645**2 / 2
        assert row["expected"] == pytest.approx(0.5 * events / unit, rel=0.02)
    assert rows[2]["reach_5p0"] == pytest.approx(5 * 200 / 200 * 0.5, rel=0.02)
    couplings = translate(rows, {("zprime", "m1p00000"): 4.0, ("zprime", "m2p00000"): 1.0}, {"zp": MODEL})
    assert couplings[0]["expected"] == pytest.approx(0.1 * (rows[0]["expected"] / 4.0) ** 0.5)
    # a branching fraction is in units of the sample's rate already
    fractions = [{**r, "quantity": "branching_fraction"} for r in rows]
    one, two = (translate(fractions, {("zprime", "m1p00000"): sigma}, {"zp": MODEL})[0] for sigma in (4.0, 8.0))
    assert one["expected"] == two["expected"] == pytest.approx(0.1 * rows[0]["expected"] ** 0.5)
    wide = MODEL.model_copy(update={"axes": ("mass", "width")})
    assert translate(rows, {("zprime", "m1p00000"): 4.0}, {"wide": wide}) == []
    interpretation = InterpretationConfig(models={"zp": MODEL})
    files = draw(rows, couplings, interpretation, tmp_path / "out", "statistics",
                 {"dataset": "belle2_80fb", "discovery": [5.0]})  # fmt: skip
    assert {f.name for f in files} == {
        "limits_statistics.csv", "couplings_statistics.csv", "zprime_statistics.png", "zprime_statistics.pdf",
        "zp_statistics.png", "zp_statistics.pdf",
    }  # fmt: skip
    assert read_csv(tmp_path / "out" / "couplings_statistics.csv")[0]["reach_5p0"] > 0


def test_some_points_are_projected(project: Path, call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("darkfactory.cli.project.snakemake", lambda *_: None)
    monkeypatch.setattr("darkfactory.cli.project.ProcessBackend", lambda cores: SerialBackend())
    where = {"campaign": "tiny", "search": "zprime_invisible", "dataset": "belle2_80fb"}
    names = ("m1p00000", "m2p00000")
    write_csv(path("efficiency", **where), [{"hypothesis": "zprime", "point": n, "sigma_fb": 4.0} for n in names])
    stored = {f"zprime/{n}": record(n, 400.0) for n in names}
    write_json(path("workspace", block="b000", **where), {"points": stored})
    arguments = ("project", "zprime_invisible", "-l", "100", "-r", "statistics", "-o", "out", "-p")
    wrong = call(*arguments, "1.5")
    assert wrong.code == 2
    assert re.search(r"points \['m1p50000'\] are not in the scan; it has \['m1p00000', 'm2p00000'\]", wrong.err)
    done = call(*arguments, "2.0")
    assert done.code == 0, done.err
    assert "1 points at 1 luminosities" in done.err
    assert [r["point"] for r in read_csv(project / "out" / "limits_statistics.csv")] == ["m2p00000"]
