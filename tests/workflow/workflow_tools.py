"""A copy of the workflow in a folder of its own, and the doors into it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
TREE = ("Snakefile", "rules", "workflow", "config")
# two searches, one with a multivariate step; two signal blocks each, a wide signal, rates, two chunks a background
SECONDS = {
    "campaign": "tiny",
    "description": "Every stage once, in seconds.",
    "seed": 7,
    "grid": "tiny",
    "searches": {"alp_3gamma": ["belle2_445pb"], "zprime_invisible": ["belle2_276pb"]},
    "events": {"signal": 600, "background": 4000, "samples": {"belle2_mumu_zprime": 2000}},
    "execution": {"chunk": 2000, "block": 3},
    "trigger_rates": {
        "run1_2020": {"samples": ["belle2_mumu"], "luminosity_1e34": {"value": 2.4, "source": "recalled"}},
    },
    "overrides": {
        "alp_3gamma": {"backgrounds": ["belle2_gamma_gamma_gamma", "belle2_pi0_gamma"]},
        "zprime_invisible": {"backgrounds": ["belle2_mumu_gamma", "belle2_tautau_mumu"]},
    },
}


def make_project(folder: Path) -> Path:
    """The workflow and its configuration, with the small campaign above as `tiny` and as the default one."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in TREE:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    (folder / "config" / "campaigns" / "tiny.yaml").write_text(yaml.safe_dump(SECONDS, sort_keys=False))
    (folder / "config" / "config.yaml").write_text("campaign: tiny\n")
    return folder


def environment(**more: str) -> dict[str, str]:
    """Of child processes: this source tree, no cluster of anybody else."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("DARKFACTORY_", "SNAKEMAKE_"))}
    path = os.pathsep.join(p for p in (str(ROOT / "src"), os.environ.get("PYTHONPATH", "")) if p)
    return {**inherited, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", **more}


def python(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a module in a folder, with this interpreter."""
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment(**more),
        check=False,
    )


def snakemake(folder: Path, *arguments: str, cores: int = 2) -> subprocess.CompletedProcess[str]:
    """The plain door."""
    return python(folder, "snakemake", "--cores", str(cores), *arguments)


def contents(folder: Path) -> Mapping[str, str]:
    """Digest of every result. Event files carry dates and identifiers; digests of what is in them are in manifests."""
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.suffix in (".json", ".csv", ".html", ".npz")
    }
