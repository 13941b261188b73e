from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from workflow_tools import ROOT, make_project, python, snakemake

from darkfactory.cli.plan import jobs_of_campaign, stage_loads
from darkfactory.config.costs import load_costs
from darkfactory.config.library import Library
from darkfactory.config.resolve import load_campaign
from darkfactory.core.files import read_json
from darkfactory.pipeline.plan import Planner

CAMPAIGNS = Library(ROOT / "config").names("campaigns")
TOLERATED = (
    # software comes with the project's own environment, the same for all rules
    "Specify a conda environment or container for each rule.",
    # an input function stands next to the only rule that uses it; log files share a prefix
    "Mixed rules and functions in same snakefile.",
    "Path composition with '+'",
)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_project(tmp_path_factory.mktemp("project"))


@pytest.mark.parametrize("campaign", CAMPAIGNS)
def test_a_campaign_stays_below_a_thousand_jobs_a_result(campaign: str) -> None:
    planner = Planner(load_campaign(campaign, config_dir=ROOT / "config"))
    loads = stage_loads(jobs_of_campaign(planner, load_costs(ROOT / "config")))
    (total,) = (load for load in loads if load.stage == "total")
    assert 20 < total.jobs < 1000 * len(planner.campaign.searches)


def test_the_rules_are_clean(project: Path) -> None:
    done = snakemake(project, "--lint")
    text = done.stdout + done.stderr
    assert "Lints for rule report" in text
    titles = re.findall(r"^ +\* (.+):$", text, flags=re.MULTILINE)
    assert [title for title in titles if not title.startswith(TOLERATED)] == []


def test_every_rule_is_documented_and_logged(project: Path) -> None:
    for file in sorted((project / "rules").glob("*.smk")):
        text = file.read_text()
        assert text.startswith('"""'), file.name
        rules = [block for block in text.split("\nrule ")[1:] if "script:" in block]
        for block in rules:
            for directive in ("log:", "benchmark:", "threads:", "message:", "params:", "code=stage_code("):
                assert directive in block, f"{file.name}: rule {block.split(':')[0]} has no {directive}"
    assert len((project / "Snakefile").read_text().splitlines()) <= 50


TOO_HEAVY = {"axes": {"mass": {"values": [12]}}}
WRONG = {
    "unknown campaign": ({"campaign": "tini"}, "'tini' is unknown; did you mean 'tiny'?"),
    "unknown key": ({"events": {"sginal": 5}}, "events.sginal: unknown key; did you mean 'signal'?"),
    "mass above threshold": (
        {
            "overrides": {
                "alp_3gamma": {"hypotheses": {"alp": {"grids": {"tiny": [{"axes": {"mass": {"values": [12]}}}]}}}}
            }
        },
        "hypotheses.alp.grids.tiny: mass 12 GeV must be at least 0 and below the centre-of-mass energy",
    ),
    "unknown trigger line": (
        {"overrides": {"alp_3gamma": {"datasets": {"belle2_445pb": {"trigger": {"l1": ["hie", "hiee"]}}}}}},
        "trigger.l1: unknown trigger line 'hiee'; did you mean 'hie'? menu belle2_phase2 has",
    ),
    "missing period": (
        {"overrides": {"alp_3gamma": {"datasets": {"belle2_445pb": {"period": "run9"}}}}},
        "datasets.belle2_445pb.period: no period 'run9'; did you mean 'run1_2019'? there are phase2_2018",
    ),
    "wrong unit": (
        {"overrides": {"alp_3gamma": {"datasets": {"belle2_445pb": {"luminosity": "445 GeV"}}}}},
        "datasets.belle2_445pb.luminosity: '445 GeV': unit 'GeV' is no unit of luminosity",
    ),
}


def one_error(text: str, message: str) -> None:
    errors = [line for line in text.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, text
    assert message in errors[0]
    assert "Traceback" not in text


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_configuration_is_one_line_at_every_door(wrong: str, project: Path) -> None:
    change, message = WRONG[wrong]
    value = {"campaign": "tiny", "overrides": {}} | (
        {"campaign": change["campaign"]} if "campaign" in change else {"overrides": change}
    )
    file = project / f"{wrong.replace(' ', '_')}.yaml"
    file.write_text(yaml.safe_dump(value))
    plain = snakemake(project, "--quiet", "all", "--configfile", str(file))
    assert plain.returncode == 1
    one_error(plain.stdout + plain.stderr, message)
    (project / "config" / "config.yaml").write_text(yaml.safe_dump(value))
    try:
        for command in (["config", "check"], ["run", "--cores", "1"]):
            done = python(project, "darkfactory.cli.main", *command)
            assert (done.returncode, done.stdout) == (2, "")
            one_error(done.stderr, message)
    finally:
        (project / "config" / "config.yaml").write_text("campaign: tiny\n")
    assert not (project / "results").exists()


# a module of each package, which stages run again when any of its modules changes
EDITED = {
    "generate": {"integrate", "generate"},
    "detector": {"simulate"},
    "skim": {"skim"},
    "trigger": {"trigger", "rates", "preselect"},
    "select": {"preselect", "network", "select"},
    # the plane of windows has its stages in one module
    "templates": {"model", "workspace", "limits", "scan", "figures"},
    "stats": {"limits", "scan", "diagnostics", "combine"},
    "models": {"generate", "model", "workspace", "limits", "scan", "interpret", "figures", "combine"},
    "interpret": {"interpret", "figures", "combine", "report"},
    "report": {"diagnostics", "combine", "figures", "report"},
    "cli": set(),
}
STAGES = (
    "integrate", "generate", "simulate", "skim", "trigger", "rates", "preselect", "network", "select", "model",
    "workspace", "limits", "scan", "diagnostics", "combine", "interpret", "figures", "report",
)  # fmt: skip
PROBE = """
import json, sys
from pathlib import Path
import darkfactory
from darkfactory.pipeline.plan import stage_code

root = Path(darkfactory.__file__).parent
packages, stages, out = sys.argv[1].split(","), sys.argv[2].split(","), sys.argv[3]
assert str(root).startswith(str(Path(out).parent)), root

def codes():
    stage_code.cache_clear()
    return {s: stage_code(s) for s in stages}

def changed(package, text):
    files = {f: f.read_text() for f in sorted((root / package).rglob("*.py"))}
    for file, before_text in files.items():
        file.write_text(before_text + text)
    now = codes()
    for file, before_text in files.items():
        file.write_text(before_text)
    return sorted(s for s in stages if now[s] != before[s])

before = codes()
result = {p: changed(p, "\\n_EDITED = 1\\n") for p in packages}
result |= {f"comment in {p}": changed(p, "\\n# a comment\\n") for p in packages}
assert codes() == before
Path(out).write_text(json.dumps(result))
"""


def test_editing_a_library_module_reruns_exactly_the_stages_that_import_it(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    out = tmp_path / "codes.json"
    command = [sys.executable, "-c", PROBE, ",".join(EDITED), ",".join(STAGES), str(out)]
    done = subprocess.run(
        command, env={"PYTHONPATH": str(tmp_path / "src")}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = {name: set(stages) for name, stages in read_json(out).items()}
    assert found == EDITED | {f"comment in {p}": set() for p in EDITED}
