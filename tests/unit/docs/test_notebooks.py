"""The notebooks of the documentation: what their blocks print is what the pages say."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

PAGES = sorted((Path(__file__).parents[3] / "docs" / "notebooks").glob("*.md"))
BLOCK = re.compile(r"^```python\n(.*?)^```\n\n^```text\n(.*?)^```", re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_a_notebook_prints_what_it_says(page: Path) -> None:
    text = page.read_text()
    blocks = BLOCK.findall(text)
    # no block without its output
    assert len(blocks) == len(re.findall(r"^```python$", text, re.MULTILINE)) >= 3
    names: dict[str, object] = {}
    for code, expected in blocks:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, page.name, "exec"), names)
        assert printed.getvalue() == expected


def test_there_are_notebooks() -> None:
    assert len(PAGES) >= 2
