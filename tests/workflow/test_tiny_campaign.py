from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
from workflow_tools import contents, environment, make_project, python, snakemake

from darkfactory.config.resolve import load_campaign
from darkfactory.core.files import read_json
from darkfactory.execute.backends import SerialBackend, Task
from darkfactory.pipeline.door import execute, run_job
from darkfactory.pipeline.layout import path
from darkfactory.pipeline.plan import Planner, stage_code

COLUMNS = [
    "search", "dataset", "hypothesis", "point", "mass_gev", "width", "quantity", "unit", "observed", "expected_m2",
    "expected_m1", "expected", "expected_p1", "expected_p2", "cl", "method", "scale", "p0_local", "z_local", "status",
]  # fmt: skip
BAND = COLUMNS[9:14]
ALP = {"search": "alp_3gamma", "dataset": "belle2_445pb"}
ZPRIME = {"search": "zprime_invisible", "dataset": "belle2_276pb"}
# what corrects the simulation of the ALP search
CONTROLS = [{"search": s, "dataset": "belle2_445pb"} for s in ("control_mumu_gamma", "control_ee")]
NOTHING = "Nothing to be done"


@pytest.fixture(scope="session")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the plain door has run the small campaign, once."""
    folder = make_project(tmp_path_factory.mktemp("campaign") / "project")
    done = snakemake(folder, "--quiet", "rules")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture
def copy(campaign: Path, tmp_path: Path) -> Path:
    """A copy of the finished campaign, with the engine's memory of it, to break."""
    folder = tmp_path / "copy"
    shutil.copytree(campaign, folder)
    return folder


def rows(folder: Path, w: Mapping[str, str]) -> list[dict[str, str]]:
    with (folder / path("limits_csv", campaign="tiny", **w)).open() as file:
        return list(csv.DictReader(file))


def records(folder: Path, w: Mapping[str, str], block: str) -> dict[str, Any]:
    stored = read_json(folder / path("limits", campaign="tiny", block=block, **w))
    return {r["point"]: r for r in stored["limits"]}


def quiet(folder: Path, *arguments: str) -> str:
    done = snakemake(folder, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


# What a run leaves ------------------------------------------------------------------------------------------------


def test_the_report_shows_every_search(campaign: Path) -> None:
    page = campaign / path("report", campaign="tiny")
    for w in (ALP, ZPRIME):
        assert f'href="{w["search"]}.html#{w["search"]}-{w["dataset"]}"' in page.read_text()
        own = (page.parent / f"{w['search']}.html").read_text()
        assert f"{w['search']} / {w['dataset']}" in own
        # a plot of its limits
        assert f'"id":"limits-{w["search"]}-{w["dataset"]}-' in own
    manifest = read_json(campaign / path("manifest", campaign="tiny"))
    names = {n for n in manifest["results"] if n.endswith("limits.csv")}
    assert names == {f"{w['search']}/{w['dataset']}/limits.csv" for w in (ALP, ZPRIME)}
    assert manifest["provenance"]["seed"] == 7


@pytest.mark.parametrize(
    ("w", "points"),
    [
        (ALP, ["m0p50000", "m2p00000", "m5p00000", "m8p00000"]),
        # 7 GeV is outside the mass range of this dataset
        (ZPRIME, ["m1p00000", "m3p00000", "m5p00000", "m3p00000_w0p10000"]),
    ],
)
def test_limits_have_the_agreed_columns_and_a_status(campaign: Path, w: dict[str, str], points: list[str]) -> None:
    found = rows(campaign, w)
    assert [c for c in found[0] if c in COLUMNS] == COLUMNS
    assert [r["point"] for r in found] == points
    for row in found:
        assert row["status"] in ("ok", "no_sensitivity", "not_bracketed", "fit_failed")
        assert not {"nan", "inf", "-inf"} & {v.lower() for v in row.values()}
        assert row["method"] in ("asymptotic", "toys", "exact", "bayes")
        if row["status"] == "ok":
            band = [float(row[c]) for c in BAND]
            assert band == sorted(band)
            assert band[0] > 0
            assert float(row["observed"]) > 0
    assert any(r["status"] == "ok" for r in found)


def test_no_result_is_a_silent_nan(campaign: Path) -> None:
    files = [f for f in (campaign / "results").rglob("*") if f.suffix in (".json", ".csv")]
    assert len(files) > 100
    for file in files:
        words = file.read_text().replace(",", " ").split()
        assert not {"NaN", "nan", "Infinity", "-Infinity", "inf"} & set(words), file


def test_results_name_no_folder_of_this_machine(campaign: Path) -> None:
    for name in contents(campaign / "results"):
        assert str(campaign) not in (campaign / "results" / name).read_bytes().decode(errors="replace"), name


# What a second run does -------------------------------------------------------------------------------------------


def test_a_second_run_has_nothing_to_do(campaign: Path) -> None:
    before = contents(campaign / "results")
    assert NOTHING in quiet(campaign)
    assert contents(campaign / "results") == before


def test_one_point_alone_has_the_bits_of_its_block(campaign: Path) -> None:
    target = path("limits", campaign="tiny", block="m2p00000", **ALP)
    blocks = [b for b in ("b000", "b001") if "m2p00000" in records(campaign, ALP, b)]
    text = quiet(campaign, "--quiet", "rules", "--", target)
    # nothing but this point: the grid, the backgrounds and the shapes are there
    assert "generate" in text
    assert NOTHING in quiet(campaign)
    alone = records(campaign, ALP, "m2p00000")
    assert list(alone) == ["m2p00000"]
    assert alone["m2p00000"] == records(campaign, ALP, blocks[0])["m2p00000"]
    assert NOTHING in quiet(campaign, "--", target)


def test_a_lost_intermediate_file_is_made_again_when_it_is_asked_for(copy: Path) -> None:
    before = contents(copy / "results")
    model = path("model", campaign="tiny", **ALP)
    (copy / model).unlink()
    # the final results stand without it
    assert NOTHING in quiet(copy)
    text = quiet(copy, "--quiet", "rules", "--", model)
    assert re.findall(r"Rule: (\w+)", text) == ["templates"]
    assert contents(copy / "results") == before
    quiet(copy, "--quiet", "rules")
    assert contents(copy / "results") == before


def test_a_lost_chunk_is_made_again_without_the_others(copy: Path) -> None:
    before = contents(copy / "results")
    manifest = copy / path("truth", campaign="tiny", sample="belle2_gamma_gamma_gamma", block="all")
    lost, kept = sorted(manifest.with_suffix(".parts").glob("*.root"))
    stamp = kept.stat().st_mtime_ns
    lost.unlink()
    manifest.unlink()
    quiet(copy, "--quiet", "rules", "--", str(manifest.relative_to(copy)))
    assert lost.exists()
    assert kept.stat().st_mtime_ns == stamp
    assert contents(copy / "results") == before


# The other doors --------------------------------------------------------------------------------------------------


class Backwards(SerialBackend):
    """Chunks in the opposite order, in this process."""

    def attempt(self, tasks: Sequence[Task], done: Any = None) -> list[Any]:
        return super().attempt(tasks[::-1], done)[::-1]


def _chain(
    plan: Planner, search: Mapping[str, str], sample: str, block: str
) -> Iterator[tuple[str, dict[str, str], dict[str, Any], dict[str, str]]]:
    """Jobs of a sample up to its selection in a search."""
    w = {**search, "sample": sample, "block": block, "period": plan.period(search)}
    chain = ("gridpacks", "truth", "reco", "skim", "triggered", "preselected", "selected")
    at = {name: path(name, campaign="tiny", **w) for name in chain}
    yield "integrate", w, {}, {"manifest": at["gridpacks"]}
    yield "generate", w, {"gridpacks": at["gridpacks"]}, {"manifest": at["truth"]}
    yield "simulate", w, {"truth": at["truth"]}, {"manifest": at["reco"]}
    yield "skim", w, {"reco": at["reco"]}, {"manifest": at["skim"]}
    yield "trigger", w, {"skim": at["skim"]}, {"manifest": at["triggered"]}
    yield "preselect", w, {"triggered": at["triggered"]}, {"manifest": at["preselected"]}
    used = {"network": [], "corrections": plan.correction_paths(search)}
    yield "select", w, {"preselected": at["preselected"], **used}, {"manifest": at["selected"]}


def _jobs(plan: Planner) -> Iterator[tuple[str, dict[str, str], dict[str, Any], dict[str, str]]]:
    """Every job up to the limits of the ALP search, not read from the rules: stage, wildcards, inputs, outputs."""
    for control in CONTROLS:
        for sample in plan.campaign.searches[control["search"], control["dataset"]].shared_samples:
            yield from _chain(plan, control, sample, "all")
        simulation = plan.selected_backgrounds(control, "selected")
        made = {name: path(name, campaign="tiny", **control) for name in ("corrections", "control")}
        made["figures"] = path("control_figures", campaign="tiny", **control)
        yield "control", control, {"data": plan.selected_data(control), "simulation": simulation}, made
    samples = {"belle2_gamma_alp": plan.blocks(ALP), "belle2_gamma_gamma_gamma": ["all"], "belle2_pi0_gamma": ["all"]}
    for sample, blocks in samples.items():
        for block in blocks:
            yield from _chain(plan, ALP, sample, block)
    outputs = ("model", "observed", "cutflow", "efficiency", "trigger")
    selected = {
        "signals": plan.selected_signals(ALP, "selected"), "backgrounds": plan.selected_backgrounds(ALP, "selected")
    }  # fmt: skip
    made = {name: path(name, campaign="tiny", **ALP) for name in outputs}
    yield "model", ALP, selected, made
    for block in plan.blocks(ALP):
        w = ALP | {"block": block}
        workspace, limits = (path(name, campaign="tiny", **w) for name in ("workspace", "limits"))
        signals = plan.selected_signals(w, "selected", [block])
        shared = {"model": made["model"], "observed": made["observed"]}
        yield "workspace", w, {"signals": signals, **shared}, {"workspace": workspace}
        yield "limits", w, {"workspace": workspace}, {"limits": limits}


def test_the_python_door_gives_the_same_bits_with_chunks_in_any_order(
    campaign: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_project(tmp_path / "project")
    monkeypatch.chdir(folder)
    monkeypatch.delenv("DARKFACTORY_RUN", raising=False)
    plan = Planner(load_campaign("tiny"))
    for stage, w, inputs, outputs in _jobs(plan):
        spec = getattr(plan, stage)(w)
        if stage == "limits":
            run_job(stage, inputs, outputs, spec, stage_code(stage), log="limits.log")
        else:
            request = {"stage": stage, "inputs": inputs, "outputs": outputs, "spec": spec, "code": stage_code(stage)}
            execute(request, Backwards(), lambda text: None)
    ours, theirs = contents(folder / "results"), contents(campaign / "results")
    # blocks of the signal and backgrounds, and two samples of each control sample
    assert len([n for n in ours if n.endswith(("truth.json", "limits/b000.json", "/selected.json"))]) == 4 + 1 + 4 + 8
    assert {n for n in ours if ours[n] != theirs.get(n)} == set()


@pytest.mark.long
def test_one_worker_gives_the_same_bits_as_two(campaign: Path, tmp_path: Path) -> None:
    folder = make_project(tmp_path / "project")
    done = snakemake(folder, "--quiet", "rules", cores=1)
    assert done.returncode == 0, done.stderr
    ours, theirs = contents(folder / "results"), contents(campaign / "results")
    # the campaign's folder also has the point that was asked for alone
    assert {n for n in ours if ours[n] != theirs.get(n)} == set()
    assert len(ours) > 150


@pytest.mark.long
def test_the_command_gives_the_same_bits(campaign: Path, tmp_path: Path) -> None:
    folder = make_project(tmp_path / "project")
    done = python(folder, "darkfactory.cli.main", "run", "-c", "tiny", "--cores", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    ours, theirs = contents(folder / "results"), contents(campaign / "results")
    assert {n for n in ours if ours[n] != theirs.get(n)} == set()
    again = python(folder, "darkfactory.cli.main", "run", "-c", "tiny", "--cores", "2")
    assert again.returncode == 0
    assert contents(folder / "results") == ours


# What a kill leaves -----------------------------------------------------------------------------------------------


def living(folder: Path) -> list[str]:
    """Processes that work in a folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(folder) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline())[:120])
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


@pytest.mark.long
def test_a_killed_run_leaves_no_cluster_and_is_taken_up_again(campaign: Path, tmp_path: Path) -> None:
    folder = make_project(tmp_path / "project").resolve()
    run = subprocess.Popen(
        [sys.executable, "-m", "snakemake", "--cores", "2", "--quiet", "rules"],
        cwd=folder, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        end = time.monotonic() + 300
        while len(list((folder / "results").rglob("truth.json"))) < 3:
            assert run.poll() is None, "the run ended before it was killed"
            assert time.monotonic() < end
            time.sleep(0.1)
        assert any("darkfactory.execute.owner" in text for text in living(folder))
    finally:
        os.kill(run.pid, signal.SIGKILL)
        run.wait()
    end = time.monotonic() + 10
    while living(folder) and time.monotonic() < end:
        time.sleep(0.2)
    assert living(folder) == []
    finished = {str(f): f.stat().st_mtime_ns for f in (folder / "results").rglob("*.root")}
    again = python(folder, "darkfactory.cli.main", "run", "-c", "tiny", "--cores", "2")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "the lock of a run that was killed is removed" in again.stderr
    ours, theirs = contents(folder / "results"), contents(campaign / "results")
    assert {n for n in ours if ours[n] != theirs.get(n)} == set()
    # whole chunks were not made again
    kept = [f for f, stamp in finished.items() if Path(f).exists() and Path(f).stat().st_mtime_ns == stamp]
    assert len(kept) > 0.5 * len(finished)


def test_a_job_process_imports_nothing_heavy() -> None:
    heavy = ("numpy", "pydantic", "awkward", "scipy", "dask", "distributed", "yaml", "click", "multiprocessing")
    code = f"import sys; import darkfactory.pipeline.adapter; print(sorted(set({heavy}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.replace("'", '"')) == []
