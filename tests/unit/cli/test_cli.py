from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyhf
import pytest
import yaml

from darkfactory.cli.common import table
from darkfactory.cli.main import COMMANDS, cli
from darkfactory.stats.examples import counting_window
from darkfactory.store.tables import read_csv, write_csv
from darkfactory.templates.workspace import PointWorkspace

Call = Callable[..., Any]
HEAVY = ("numpy", "awkward", "pyhf", "scipy", "snakemake", "dask", "distributed", "pydantic", "yaml")


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nsys.argv = ['darkfactory', '--help']\nfrom darkfactory.cli.main import main\nmain()\n"
        f"print('heavy:', sorted(set(sys.modules) & set({HEAVY})))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("heavy: []\n")
    for name, (_, text) in COMMANDS.items():
        assert f"  {name} " in done.stdout
        assert text.split()[0] in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_exists_and_explains_itself(name: str, call: Call) -> None:
    command = cli.get_command(None, name)  # type: ignore[arg-type]
    assert command is not None
    done = call(name, "--help")
    assert done.code == 0
    assert "Usage: " in done.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["config", "check", "--campain", "x"], "No such option"),
        (["config", "check", "--set", "events.signal"], "write --set path.to.key=value"),
        (["config", "check", "--set", "events.sginal=5"], "events.sginal: unknown key; did you mean 'signal'?"),
        (["config", "check", "--set", "events.signal=0"], "events.signal: Input should be greater than 0, got 0"),
        (["config", "check", "-c", "tini"], "'tini' is unknown; did you mean 'tiny'?"),
        (["config", "check", "--config-dir", "nowhere"], "nowhere"),
        (["config", "check", "--set", "searches.alp_3gama=[]"], "unknown 'alp_3gama'; did you mean 'alp_3gamma'?"),
        (["config", "check", "--set", "searches.alp_3gamma=[belle2]"], "Allowed: belle2_445pb"),
        (["config", "check", "--set", "grid=huge"], "unknown 'huge'"),
        (["cutflow", "no_such_search"], "search 'no_such_search' is not in campaign tiny"),
        (["cutflow", "alp_3gamma", "belle2_80fb"], "alp_3gamma has no dataset 'belle2_80fb'"),
        (["cutflow", "alp_3gamma"], "no such file; run the stage that makes it first"),
        (["limit", "alp_3gamma", "belle2_445pb", "x5"], "'x5' is no point name"),
        (["limit", "alp_3gamma", "belle2_445pb", "0.5"], "no Snakefile in"),
        (["limit", "alp_3gamma", "belle2_445pb", "12"], "mass 12 GeV must be at least 0 and below the centre"),
        (["run", "--dataset", "belle2_445pb"], "--dataset needs --search"),
        (["run", "--search", "nothing"], "search 'nothing' is not in campaign tiny"),
        (["doctor", "--site", "nowhere"], "there is no site 'nowhere'"),
        (["compare", "alp_3gamma", "--reference", "no.csv"], "no.csv: no such file"),
        (["trigger", "show", "no_menu"], "'no_menu' is no menu and no period"),
        (["trigger", "rates", "run1_2020"], "darkfactory run results/tiny/trigger/run1_2020.json"),
        (["export", "pyhf", "-s", "nothing", "-p", "m0p50000"], "search 'nothing' is not in campaign tiny"),
        (["export", "pyhf", "-s", "alp_3gamma", "-p", "m0p50000"], "none: run the search first"),
        (["export", "pyhf", "-s", "alp_3gamma", "-p", "m0p50000", "--hypothesis", "h"], "it has ['alp']"),
    ],
)
def test_mistakes_are_one_message_and_exit_code_2(
    project: Path, call: Call, arguments: list[str], message: str
) -> None:
    done = call(*arguments)
    assert done.code == 2
    assert message in done.err
    assert "Traceback" not in done.out + done.err


def test_a_wrong_file_is_named_with_the_path_inside_it(project: Path, call: Call) -> None:
    file = project / "config" / "searches" / "alp_3gamma.yaml"
    value = yaml.safe_load(file.read_text())
    value["datasets"]["belle2_445pb"]["luminosity"] = "445 /pbb"
    file.write_text(yaml.safe_dump(value))
    done = call("config", "check")
    assert done.code == 2
    assert "config/searches/alp_3gamma.yaml: datasets.belle2_445pb.luminosity: '445 /pbb'" in done.err
    value["datasets"]["belle2_445pb"]["luminosity"] = "445 /pb"
    value["trigger"] = value["datasets"]["belle2_445pb"]["trigger"] = {"l1": ["hie", "hiee"]}
    file.write_text(yaml.safe_dump(value))
    done = call("config", "check")
    assert done.code == 2
    assert "trigger.l1: unknown trigger line 'hiee'; did you mean 'hie'? menu belle2_phase2 has" in done.err


def test_a_failed_run_is_exit_code_1(project: Path, call: Call) -> None:
    (project / "Snakefile").write_text("raise ValueError('broken on purpose')\n")
    done = call("run")
    assert done.code == 1
    assert "error: the run failed (exit code 1)" in done.err
    assert "broken on purpose" in done.err


def test_two_that_would_submit_are_refused_before_anything_runs(project: Path, call: Call) -> None:
    (project / "Snakefile").write_text("raise ValueError('never read')\n")
    site = project / "both"
    site.mkdir()
    (site / "site.yaml").write_text("system: slurm\n")
    (site / "config.yaml").write_text("executor: slurm\n")
    done = call("run", "--site", "./both")
    assert done.code == 2
    assert "exactly one of the two may submit" in done.err
    assert "never read" not in done.err
    done = call("run", "--site", "./nowhere")
    assert done.code == 2
    assert "there is no site './nowhere'" in done.err


def test_config_check_show_and_diff(project: Path, call: Call) -> None:
    done = call("config", "check")
    assert done.code == 0
    assert "campaign tiny: 6 results, all well" in done.out
    shown = yaml.safe_load(call("config", "show", "--set", "events.signal=77").out)
    assert shown["campaign"]["events"]["signal"] == 77
    # and the control samples that they read
    assert set(shown["searches"]) >= {"alp_3gamma/belle2_445pb", "zprime_invisible/belle2_80fb"}
    lines = call("config", "diff", "tiny", "more").out.splitlines()
    assert [line.strip("+- ") for line in lines if line[:1] == "+"][1:] == ["campaign: more", "signal: 200"]
    assert call("config", "diff", "tiny", "tiny").out == ""


def test_overrides_of_config_yaml_are_below_those_of_the_command_line(project: Path, call: Call) -> None:
    (project / "config" / "config.yaml").write_text("campaign: tiny\noverrides: {seed: 5, data: asimov}\n")
    shown = yaml.safe_load(call("config", "show", "--set", "seed=6").out)["campaign"]
    assert (shown["seed"], shown["data"]) == (6, "asimov")
    (project / "config" / "config.yaml").write_text("campagne: tiny\n")
    done = call("config", "show")
    assert done.code == 2
    assert "keys are campaign and overrides" in done.err


def test_generated_files_are_written(project: Path, call: Call) -> None:
    (project / "docs").mkdir()
    assert call("config", "schema", "--write").out == "config/schema.json written\n"
    assert json.loads((project / "config" / "schema.json").read_text()) == json.loads(call("config", "schema").out)
    call("config", "docs", "--write")
    assert (project / "docs" / "configuration.md").read_text() == call("config", "docs").out


def test_trigger_show_and_diff(project: Path, call: Call) -> None:
    shown = call("trigger", "show", "belle2_phase2")
    assert shown.code == 0
    assert "n2d >= 2 and open90 and not bhabha" in shown.out
    assert "+ l1.lines.stt " in call("trigger", "diff", "run1_2020", "run1_2021").out
    assert "- l1.lines.stt " in call("trigger", "diff", "run1_2021", "run1_2020").out


def test_compare_with_a_small_table(project: Path, call: Call) -> None:
    folder = project / "results" / "tiny" / "alp_3gamma" / "belle2_445pb"
    ours = [(0.1, 9.0), (1.0, 2.0), (2.0, 4.0), (4.0, None), (8.0, 2.0)]
    rows = [{"model": "alp_photons", "mass_gev": m, "expected": e} for m, e in ours]
    write_csv(folder / "couplings.csv", rows)
    reference = project / "table.csv"
    reference.write_text("# paper: a paper\n# CL: 95 %\nmass_GeV,limit\n1.0,1.0\n4.0,4.0\n10.0,4.0\n")
    done = call("compare", "alp_3gamma", "--reference", "table.csv")
    assert done.code == 0
    assert "a paper, 95 %" in done.out
    # 0.1 GeV is outside the table, 4 GeV has no limit; log-log: 2 at 2 GeV
    lines = [line.split() for line in done.out.splitlines() if line[:1].isdigit()]
    assert lines == [["1", "2", "1", "2"], ["2", "4", "2", "2"], ["8", "2", "4", "0.5"]]
    assert "median ratio 2.000; 0% of 3 points within a factor 2" in done.out
    wrong = call("compare", "alp_3gamma", "--reference", "table.csv", "--model", "other")
    assert wrong.code == 2
    assert "model 'other' is not in couplings.csv; it has ['alp_photons']" in wrong.err
    reference.write_text("m,limit\n1.0,1.0\n")
    assert "needs the columns mass_GeV and limit" in call("compare", "alp_3gamma", "--reference", "table.csv").err


def test_compare_with_a_table_by_lifetime(project: Path, call: Call) -> None:
    folder = project / "results" / "tiny" / "alp_3gamma" / "belle2_445pb"
    ours = [("a", 0.9, 0.1, 4.0), ("a", 0.95, 0.1, 6.0), ("b", 0.9, 0.1, 8.0), ("a", 0.9, 5.0, 1.0)]
    rows = [{"hypothesis": h, "cl": c, "mass_gev": 1.0, "ctau_cm": t, "expected": e} for h, c, t, e in ours]
    write_csv(folder / "limits.csv", rows)
    table = "mass_GeV,limit_ctau_0.01cm,limit_ctau_1cm\n0.5,1.0,4.0\n2.0,1.0,4.0\n"
    (project / "table.csv").write_text(table)
    asked = ("compare", "alp_3gamma", "--reference", "table.csv", "--plain")
    done = call(*asked)
    lines = [line.split() for line in done.out.splitlines() if line[:1].isdigit()]
    # the first hypothesis and level; 0.1 cm is half way between 1 and 4 in the logarithm, 5 cm is outside the table
    assert lines == [["1", "0.1", "4", "2", "2"]]
    assert ["1", "0.1", "6", "2", "3"] in [x.split() for x in call(*asked, "--cl", "0.95").out.splitlines()]
    assert ["1", "0.1", "8", "2", "4"] in [x.split() for x in call(*asked, "--hypothesis", "b").out.splitlines()]
    wrong = call(*asked, "--hypothesis", "c")
    assert wrong.code == 2
    assert "hypothesis 'c' is not in limits.csv; it has ['a', 'b']" in wrong.err


def test_export_of_one_workspace(project: Path, call: Call) -> None:
    folder = project / "results" / "tiny" / "alp_3gamma" / "belle2_445pb" / "workspace"
    folder.mkdir(parents=True)
    points = {
        "alp/m0p50000": {"spec": counting_window(3, 2.0, 0.1, signal=1.0), "status": "ok"},
        "alp/m0p55000": {"spec": {"channels": []}, "status": "ok"},
        "alp/m0p60000": {"spec": None, "status": "no_sensitivity"},
    }
    (folder / "b000.json").write_text(json.dumps({"points": points}))
    (folder / "observed.json").write_text("{}")
    done = call("export", "pyhf", "-s", "alp_3gamma", "-p", "m0p50000")
    assert json.loads(done.out) == points["alp/m0p50000"]["spec"]
    # pyhf's schema is asked before anything is printed
    wrong = call("export", "pyhf", "-s", "alp_3gamma", "-p", "m0p55000")
    assert (wrong.code, "no workspace of pyhf's schema" in wrong.err) == (1, True)
    empty = call("export", "pyhf", "-s", "alp_3gamma", "-p", "m0p60000")
    assert (empty.code, "its status is no_sensitivity" in empty.err) == (2, True)
    missing = call("export", "pyhf", "-s", "alp_3gamma", "-p", "m0p70000")
    assert (missing.code, "there are ['m0p50000', 'm0p55000', 'm0p60000']" in missing.err) == (2, True)


def test_export_of_backgrounds_and_patch_sets(project: Path, call: Call) -> None:
    folder = project / "results" / "tiny" / "alp_3gamma" / "belle2_445pb" / "workspace"
    folder.mkdir(parents=True)
    neither = call("export", "pyhf", "-s", "alp_3gamma")
    assert (neither.code, "takes either --point" in neither.err) == (2, True)
    nothing = call("export", "pyhf", "-s", "alp_3gamma", "-o", "archive")
    assert (nothing.code, "run the search first" in nothing.err) == (2, True)
    background = {"name": "sm", "data": [50.0, 60.0], "modifiers": []}
    for block, mass, rate in (("b000", "m0p50000", 1.0), ("b001", "m0p60000", 2.0)):
        signal = {"name": "s", "data": [rate, 0.0], "modifiers": [{"name": "mu", "type": "normfactor", "data": None}]}
        spec = {
            "channels": [{"name": "c", "samples": [signal, background]}],
            "observations": [{"name": "c", "data": [51.0, 62.0]}],
            "measurements": [{"name": "limit", "config": {"poi": "mu", "parameters": []}}],
            "version": "1.0.0",
        }
        point = PointWorkspace(
            "alp", mass, {"mass": rate}, "c", "ok", spec, 3.0 * rate, 1.0, 1.0, 1.0, ((0.0, 1.0, 2.0),), (True, True),
            1.0, (), None, None, "pseudo",
        )  # fmt: skip
        (folder / f"{block}.json").write_text(json.dumps({"points": {f"alp/{mass}": point.to_dict()}}))
    done = call("export", "pyhf", "-s", "alp_3gamma", "-o", "archive")
    assert "2 signal patches on 1 backgrounds, digests and schemas verified by pyhf" in done.out
    patches = pyhf.PatchSet(json.loads(Path("archive/patchset.json").read_text()))
    complete = patches.apply(pyhf.Workspace(json.loads(Path("archive/background.json").read_text())), "alp_m0p60000")
    assert complete.channels == ["c"]
    assert complete["channels"][0]["samples"][0]["data"] == [2.0, 0.0]
    index = read_csv("archive/index.csv")
    assert index[1] == {
        "point": "alp/m0p60000", "background": "background.json", "patchset": "patchset.json",
        "patch": "alp_m0p60000", "scale_fb": 6.0,
    }  # fmt: skip


def test_tables_are_aligned() -> None:
    assert table([]) == "(nothing)"
    assert table([{"a": 1, "long": None}, {"a": 123456, "b": 1.23456789}]).splitlines() == [
        "a       long  b",
        "1       -     -",
        "123456  -     1.2346",
    ]
