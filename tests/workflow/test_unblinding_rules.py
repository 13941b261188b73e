"""The workflow engine plans recorded data in only after an unblinding is on record."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from unblinding_project import CODE, W, make_project, planner, write_results

from darkfactory.pipeline.unblind import unblind

ROOT = Path(__file__).parents[2]
TARGET = f"results/tiny/{W['search']}/{W['dataset']}/templates/model.json"


def jobs(folder: Path) -> dict[str, int]:
    """Jobs that the engine would run for the templates."""
    own = {W["search"]: {"datasets": {W["dataset"]: {"recorded": ["mine"]}}}}
    file = folder / "run.yaml"
    file.write_text(yaml.safe_dump({"campaign": "tiny", "overrides": {"overrides": own, "combinations": []}}))
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    command += ["--configfile", str(file), "--quiet", "rules", "--dry-run", "--cores", "1", "--forcerun", "templates"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(folder / "cache")}
    done = subprocess.run(
        [*command, "--", TARGET], capture_output=True, text=True, cwd=folder, env=environment, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return {name: int(n) for name, n in re.findall(r"^(\w+) +(\d+)$", done.stdout + done.stderr, flags=re.MULTILINE)}


def test_recorded_data_are_planned_in_by_the_record_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.root").write_text("")
    before = jobs(tmp_path)
    assert "ingest" not in before
    plan = planner()
    write_results(plan)
    unblind(plan, W, by="me", reason="frozen", code=CODE)
    after = jobs(tmp_path)
    assert after["ingest"] == 1
    more = {name: after[name] - before.get(name, 0) for name in after if after[name] != before.get(name, 0)}
    assert more == {"ingest": 1, "skim": 1, "trigger": 1, "preselect": 1, "select": 1, "total": 5}
