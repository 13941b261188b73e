from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "darkfactory"
FLOORS = {
    "core": 0,
    "config": 1, "execute": 1, "store": 1,
    "physics": 2, "events": 2, "records": 2,
    "models": 3,
    "generate": 4, "detector": 4, "skim": 4, "trigger": 4, "select": 4, "templates": 4, "stats": 4,
    "interpret": 4, "report": 4,
    "pipeline": 5,
    "cli": 6,
}  # fmt: skip
ONLY = {"distributed": {"execute"}, "dask": {"execute"}, "dask_jobqueue": {"execute"}, "snakemake": set()}
MODULES = sorted(SOURCE.rglob("*.py"))


def imports(path: Path) -> list[str]:
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [node.module, *(f"{node.module}.{a.name}" for a in node.names)]
    return found


def package(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if parts[0] == "darkfactory" and len(parts) > 1 and parts[1] in FLOORS else None


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_a_module_imports_only_from_lower_floors(path: Path) -> None:
    relative = path.relative_to(SOURCE)
    if len(relative.parts) == 1:
        assert not [m for m in imports(path) if m.startswith("darkfactory.")]
        return
    home = relative.parts[0]
    for module in imports(path):
        target = package(module)
        if target is not None and target != home:
            assert FLOORS[target] < FLOORS[home], f"{relative} (floor {FLOORS[home]}) imports {module}"
        top = module.split(".")[0]
        if top in ONLY:
            assert home in ONLY[top], f"{relative} imports {top}; only {sorted(ONLY[top])} may"


def test_every_package_has_a_floor() -> None:
    packages = {p.parent.name for p in SOURCE.glob("*/__init__.py")}
    assert packages == set(FLOORS)


def test_files_are_of_readable_length() -> None:
    long = {str(p.relative_to(SOURCE)): n for p in MODULES if (n := len(p.read_text().splitlines())) > 500}
    assert not long
