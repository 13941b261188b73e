from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from darkfactory.cli.main import main

ROOT = Path(__file__).parents[3]
TINY = {
    "campaign": "tiny",
    "seed": 1,
    "grid": "laptop",
    "searches": {"alp_3gamma": ["belle2_445pb"], "zprime_invisible": ["belle2_80fb"]},
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
    """A folder with the project's configuration and a tiny campaign as its default; the test works inside it."""
    shutil.copytree(ROOT / "config", tmp_path / "config", ignore=shutil.ignore_patterns("schema.json", "campaigns"))
    campaigns = tmp_path / "config" / "campaigns"
    campaigns.mkdir()
    (campaigns / "tiny.yaml").write_text(yaml.safe_dump(TINY))
    (campaigns / "more.yaml").write_text("extends: tiny\ncampaign: more\nevents: {signal: 200}\n")
    (tmp_path / "config" / "config.yaml").write_text("campaign: tiny\n")
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
