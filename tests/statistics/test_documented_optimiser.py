"""What the page about the optimiser shows works as it stands, with a workspace on disk."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pyhf
import pytest

from darkfactory.stats.examples import bump_window
from darkfactory.stats.histfactory import compile_workspace
from darkfactory.stats.scan import asymptotic_limits

PAGE = Path(__file__).parents[2] / "docs" / "pyhf-optimiser.md"


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    spec = bump_window(1, bins=20)
    Path("workspace.json").write_text(json.dumps(spec))
    names: dict = {}
    before = pyhf.get_backend()
    try:
        for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
            exec(compile(block, str(PAGE), "exec"), names)
    finally:
        pyhf.set_backend(*before)
    assert float(names["cls"]) == pytest.approx(0.05252, abs=5e-6)
    direct = asymptotic_limits(compile_workspace(spec)[1], [0.9])
    assert float(names["observed"]) == pytest.approx(direct.observed[0, 0], rel=1e-5)
    assert [float(v) for v in names["expected"]] == pytest.approx(list(direct.expected[0, 0]), rel=1e-5)
    assert names["records"][0].observed == pytest.approx(direct.observed[0, 0], rel=1e-12)
    assert capsys.readouterr().out.count("asymptotic ok") == 2
