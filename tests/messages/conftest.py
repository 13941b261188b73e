from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from darkfactory.cli.main import main

ROOT = Path(__file__).parents[2]
SMALL = {
    "campaign": "small",
    "seed": 1,
    "grid": "tiny",
    "searches": {"alp_3gamma": ["belle2_445pb"]},
    "events": {"signal": 100, "background": 1000},
    "execution": {"chunk": 500, "block": 100},
}


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as a new user has it: the configuration, a small campaign, no results; the test works inside it."""
    ignored = shutil.ignore_patterns("schema.json", "campaigns")
    shutil.copytree(ROOT / "config", tmp_path / "config", ignore=ignored, copy_function=os.symlink)
    campaigns = tmp_path / "config" / "campaigns"
    campaigns.mkdir()
    (campaigns / "small.yaml").write_text(yaml.safe_dump(SMALL))
    default = tmp_path / "config" / "config.yaml"
    # a link to that of the repository
    default.unlink()
    default.write_text("campaign: small\n")
    (tmp_path / "Snakefile").write_text("raise ValueError('a mistake got as far as the workflow')\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Run the command as its entry point does."""

    def run(*arguments: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["darkfactory", *arguments])
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capfd.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run
