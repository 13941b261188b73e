from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from darkfactory.config.document import KINDS, configuration_page, configuration_schema, schema_text
from darkfactory.config.load import read_yaml

ROOT = Path(__file__).parents[3]
FILES = [
    (name, file)
    for name, kind in KINDS.items()
    if kind.place.startswith("config/")
    for file in sorted(ROOT.glob(kind.place))
]


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return configuration_schema()


def test_the_committed_schema_is_that_of_the_models() -> None:
    file = ROOT / "config" / "schema.json"
    assert file.read_text() == schema_text(), "run `darkfactory config schema --write` and commit config/schema.json"


def test_the_committed_page_is_that_of_the_models() -> None:
    file = ROOT / "docs" / "configuration.md"
    assert file.read_text() == configuration_page(), "run `darkfactory config docs --write` and commit the page"


def test_the_schema_is_a_schema(schema: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)
    assert not {name.removeprefix("#/$defs/") for name in references(schema)} - set(schema["$defs"])


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (v for k, v in value.items() if k == "$ref")
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def validator(schema: dict[str, Any], kind: str) -> Any:
    return jsonschema.Draft202012Validator({"$ref": f"#/$defs/{kind}", "$defs": schema["$defs"]})


@pytest.mark.parametrize(("kind", "file"), FILES, ids=lambda v: v.name if isinstance(v, Path) else v)
def test_every_file_of_the_project_follows_the_schema(schema: dict[str, Any], kind: str, file: Path) -> None:
    errors = [f"{list(e.path)}: {e.message}" for e in validator(schema, kind).iter_errors(read_yaml(file))]
    assert not errors


@pytest.mark.parametrize(
    ("kind", "value", "good"),
    [
        ("campaign", {"campaign": "a", "seed": 1, "searches": {"s": []}}, True),
        ("campaign", {"campaign": "a", "searches": {"s": []}}, False),
        ("campaign", {"extends": "laptop", "grid": "full"}, True),
        ("campaign", {"extends": "laptop", "gird": "full"}, False),
        ("campaign", {"extends": "laptop", "events": {"signal": 0}}, False),
        ("selection", {"candidate": "x", "objects": {"tracks": {"max_d0": "5 mm"}}}, True),
        ("selection", {"candidate": "x", "objects": {"tracks": {"max_d0": [5]}}}, False),
        ("trigger", {"extends": "belle2_phase3", "l1": {"lines": {"ffo": {"enabled": False}}}}, True),
        ("network", {"kind": "linear_cuts", "threshold": "x", "plane": ["a", "b"]}, True),
        ("network", {"kind": "linear_cuts", "inputs": []}, False),
    ],
)
def test_the_schema_tells_good_from_bad(schema: dict[str, Any], kind: str, value: dict[str, Any], good: bool) -> None:
    assert validator(schema, kind).is_valid(value) is good


def test_the_page_has_a_table_for_every_kind_and_no_dangling_link() -> None:
    page = configuration_page()
    for kind in KINDS.values():
        assert f"\n## {kind.title}\n" in page
    anchors = {h.lower().replace(" ", "-") for h in re.findall(r"^#+ (.+)$", page, flags=re.MULTILINE)}
    assert not set(re.findall(r"\]\(#([^)]+)\)", page)) - anchors
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} <= {3, 6}


def test_units_types_and_defaults_are_shown() -> None:
    page = configuration_page()
    assert "| `max_d0` | quantity | cm | none | Largest transverse impact parameter. |" in page
    assert "| `luminosity` | quantity | /fb | *required* | Integrated luminosity. |" in page
    assert "| `e_her_gev` | tagged number | GeV | *required* | Energy of the electrons. |" in page
