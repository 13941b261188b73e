from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from darkfactory.cli.plan import jobs_of_campaign, stage_loads
from darkfactory.config.costs import load_costs
from darkfactory.config.library import Library
from darkfactory.config.resolve import load_campaign
from darkfactory.pipeline.plan import Planner

ROOT = Path(__file__).parents[2]
CAMPAIGNS = [
    pytest.param(name, marks=pytest.mark.long) if name == "full" else name
    for name in Library(ROOT / "config").names("campaigns")
]


def dry_run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What the engine would do in an empty folder that has the project's configuration."""
    shutil.copytree(ROOT / "config", folder / "config", dirs_exist_ok=True)
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    command += ["--quiet", "rules", "--dry-run", "--cores", "1", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(folder / "cache")}
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, check=False)


def job_counts(text: str) -> dict[str, int]:
    table = text[text.index("Job stats:") :]
    return {name: int(n) for name, n in re.findall(r"^(\w+) +(\d+)$", table, flags=re.MULTILINE)}


@pytest.mark.parametrize("campaign", CAMPAIGNS)
def test_the_plan_of_a_campaign_has_the_jobs_that_the_engine_finds(campaign: str, tmp_path: Path) -> None:
    done = dry_run(tmp_path, "--config", f"campaign={campaign}")
    assert done.returncode == 0, done.stderr
    planner = Planner(load_campaign(campaign, config_dir=ROOT / "config"))
    loads = stage_loads(jobs_of_campaign(planner, load_costs(ROOT / "config")))
    expected = {load.stage: load.jobs for load in loads}
    # the engine counts its final rule, which does nothing
    expected |= {"all": 1, "total": expected["total"] + 1}
    assert job_counts(done.stdout + done.stderr) == expected


def test_a_point_off_the_grid_is_one_chain_of_jobs(tmp_path: Path) -> None:
    target = "results/laptop/alp_3gamma/belle2_445pb/limits/m0p51234.json"
    done = dry_run(tmp_path, target)
    assert done.returncode == 0, done.stderr
    counts = job_counts(done.stdout + done.stderr)
    assert counts["limits"] == counts["workspace"] == counts["templates"] == 1
    campaign = load_campaign("laptop", config_dir=ROOT / "config")
    blocks = len(Planner(campaign).campaign.sample_blocks("belle2_gamma_alp"))
    # the grid, the point itself, the backgrounds, and what the control samples compare
    search = campaign.searches["alp_3gamma", "belle2_445pb"]
    controls = {(c.search, c.dataset) for c in search.corrections.values()}
    compared = {s for c in controls for s in campaign.searches[c].shared_samples}
    assert len(compared) == 2 * len(controls) == 4
    assert counts["generate"] == blocks + 1 + len(search.backgrounds) + len(compared)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config", "campaign=laptp"], "'laptp' is unknown; did you mean 'laptop'?"),
        (["results/laptop/alp_3gamma/belle2_445pb/limits/x1.json"], "MissingRuleException"),
        (["results/laptop/alp_3gamma/belle2_80fb/limits.csv"], "MissingRuleException"),
    ],
)
def test_a_wrong_name_is_refused_before_anything_runs(arguments: list[str], message: str, tmp_path: Path) -> None:
    done = dry_run(tmp_path, *arguments)
    assert done.returncode != 0
    assert message in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert not (tmp_path / "results").exists()
