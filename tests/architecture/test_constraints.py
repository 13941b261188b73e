from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
REQUIREMENTS = [*PROJECT["dependencies"], *(r for extra in PROJECT["optional-dependencies"].values() for r in extra)]


def pins() -> dict[str, str]:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    found = dict(line.split("==") for line in lines)
    assert len(found) == len(lines), "a package is pinned twice"
    return {canonicalize_name(name): version for name, version in found.items()}


@pytest.mark.parametrize("text", REQUIREMENTS)
def test_every_dependency_is_pinned_within_its_bounds(text: str) -> None:
    requirement = Requirement(text)
    version = pins()[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(version), f"{text} does not allow the pin {version}"


# versions of these are years or follow another package: an upper bound would only age
UNBOUNDED = {"cryptography", "scipy-stubs", "types-pyyaml"}


@pytest.mark.parametrize("text", [r for r in REQUIREMENTS if canonicalize_name(Requirement(r).name) not in UNBOUNDED])
def test_every_dependency_is_bounded(text: str) -> None:
    specifiers = Requirement(text).specifier
    assert any(s.operator in ("<", "==") for s in specifiers), f"{text}: needs an upper bound"
