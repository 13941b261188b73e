from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
EXTERNAL = {"files": ["ntuples/*.root"], "kind": "data", "collections": {"tracks": {"tree": "mu"}}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder with a campaign that has an external sample, its file of no matter which content."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    entry = {"mine": {"detector": "belle2", "skims": ["dimuon_missing"], "external": EXTERNAL}}
    with (tmp_path / "config" / "samples.yaml").open("a") as file:
        file.write(yaml.safe_dump(entry))
    campaign = {"extends": "tiny", "campaign": "outside", "external": ["mine"]}
    (tmp_path / "config" / "campaigns" / "outside.yaml").write_text(yaml.safe_dump(campaign))
    (tmp_path / "ntuples").mkdir()
    (tmp_path / "ntuples" / "a.root").write_text("")
    return tmp_path


def dry_run(folder: Path, target: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    command += ["--quiet", "rules", "--dry-run", "--cores", "1", "--config", "campaign=outside", "--", target]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(folder / "cache")}
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, check=False)
    return done.returncode, done.stdout + done.stderr


def jobs(text: str) -> dict[str, int]:
    return {name: int(n) for name, n in re.findall(r"^(\w+) +(\d+)$", text, flags=re.MULTILINE)}


def test_external_samples_enter_at_the_skim_and_generated_ones_do_not(folder: Path) -> None:
    analysis = "results/outside/zprime_invisible/belle2_80fb/selected"
    code, text = dry_run(folder, f"{analysis}/mine/all/preselected.json")
    assert code == 0, text
    assert jobs(text) == {"ingest": 1, "skim": 1, "trigger": 1, "preselect": 1, "total": 4}
    code, text = dry_run(folder, f"{analysis}/belle2_mumu_gamma/all/preselected.json")
    assert code == 0, text
    chain = ("integrate", "generate", "simulate", "skim", "trigger", "preselect")
    assert jobs(text) == dict.fromkeys(chain, 1) | {"total": 6}


def test_files_that_are_not_there_are_one_line_before_anything_runs(folder: Path) -> None:
    (folder / "ntuples" / "a.root").unlink()
    code, text = dry_run(folder, "results/outside/samples/mine/all/reco.json")
    assert code != 0
    assert re.search(r"^error: ntuples/\*\.root: no file matches; patterns are relative to", text, flags=re.MULTILINE)
    assert "Traceback" not in text
    assert not (folder / "results").exists()
