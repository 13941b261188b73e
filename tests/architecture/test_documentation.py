from __future__ import annotations

import ast
import importlib
import re
import shlex
from pathlib import Path

import click
import pytest

from darkfactory.cli.main import cli
from darkfactory.pipeline.layout import PATTERNS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
RESULTS = {
    re.sub(r"\{\w+\}", r"[^/]+", re.escape(p).replace(r"\{", "{").replace(r"\}", "}")) for p in PATTERNS.values()
}


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^ *```{language}\n(.*?)^ *```", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def lines(page: Path, command: str) -> list[list[str]]:
    text = [line.strip() for block in blocks(page, "") for line in block.splitlines()]
    return [shlex.split(line, comments=True) for line in text if line.startswith(f"{command} ")]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_python_examples_import_what_exists(page: Path) -> None:
    for block in blocks(page, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module:
                module = importlib.import_module(node.module)
                for name in node.names:
                    assert hasattr(module, name.name), f"{page.name}: {node.module} has no {name.name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_shown_commands_parse(page: Path) -> None:
    for words in lines(page, "darkfactory"):
        if ">" in words:
            words = words[: words.index(">")]
        group: click.Command = cli
        rest = words[1:]
        while isinstance(group, click.Group):
            found = group.get_command(click.Context(group), rest[0])
            assert found is not None, f"{page.name}: {' '.join(words)}"
            group, rest = found, rest[1:]
        # raises for unknown options and wrong numbers of arguments
        group.make_context(words[1], rest)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_shown_targets_are_results_or_rules(page: Path) -> None:
    rules = {
        r for f in (ROOT / "rules").glob("*.smk") for r in re.findall(r"^rule (\w+):", f.read_text(), re.MULTILINE)
    }
    for words in lines(page, "snakemake"):
        for i, word in enumerate(words[1:], start=1):
            if word.startswith("results/"):
                assert any(re.fullmatch(p, word) for p in RESULTS), f"{page.name}: {word}"
            elif words[i - 1] in ("--forcerun",) or re.fullmatch(r"\w+_all", word):
                assert word in rules, f"{page.name}: {word}"


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "stages").glob("*.md")), ids=lambda p: p.name)
def test_stage_pages_name_functions_that_exist(page: Path) -> None:
    text = page.read_text()
    for dotted in set(re.findall(r"`(darkfactory(?:\.\w+)+)`", text)):
        assert _exists(dotted), f"{page.name}: {dotted}"
    package = re.search(r"\*\*Kernels?\*\* `(darkfactory\.\w+)`", text)
    for dotted in set(re.findall(r"`(\w+\.\w+(?:\.\w+)?)`", text)):
        if (
            package
            and not dotted.startswith("darkfactory.")
            and not dotted.endswith((".json", ".csv", ".yaml", ".py", ".html", ".parts"))
        ):
            assert _exists(f"{package.group(1)}.{dotted}"), f"{page.name}: {dotted}"


def _exists(dotted: str) -> bool:
    module, _, name = dotted.rpartition(".")
    try:
        importlib.import_module(dotted)
    except ModuleNotFoundError:
        return hasattr(importlib.import_module(module), name)
    return True
