from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from darkfactory.core.digest import digest_value
from darkfactory.core.errors import InputError
from darkfactory.execute.backends import SerialBackend
from darkfactory.pipeline.parts import input_items, read_manifest, run_parts
from darkfactory.pipeline.request import Request, provenance

CALL = f"{__name__}:make_part"
ITEMS = [{"point": p, "chunk": c, "digest": f"in{p}{c}", "path": f"/tmp/{p}{c}"} for p in ("a", "b") for c in (0, 1)]


def make_part(request: Request, item: dict[str, Any], path: Path) -> dict[str, Any]:
    """A stage's part: one line of text; a second file counts how often it was made."""
    path.write_text(f"{request.spec['cut']} {item['point']} {item['chunk']}\n")
    with path.with_name("calls.log").open("a") as log:
        log.write(f"{item['point']}{item['chunk']} ")
    return {"digest": digest_value(path.read_text()), "n_generated": 10, "events": 1, "sumw": 2.5}


@pytest.fixture
def request_(tmp_path: Path) -> Request:
    spec = {"sample": "s", "block": "b000", "points": ["a", "b"], "cut": 1, "seed": 7}
    return Request("skim", {}, {"manifest": str(tmp_path / "out" / "skim.json")}, spec, "code")


def run(request: Request, items: list[dict[str, Any]] = ITEMS) -> list[str]:
    """Run the stage and tell which parts were made anew."""
    log = request.output("manifest").with_suffix(".parts") / "calls.log"
    before = log.read_text().split() if log.exists() else []
    run_parts(request, SerialBackend(), lambda text: None, CALL, items)
    return log.read_text().split()[len(before) :]


def files(request: Request) -> set[str]:
    folder = request.output("manifest").with_suffix(".parts")
    return {p.name for p in folder.iterdir() if p.suffix in (".root", ".json")}


def test_parts_are_made_once(request_: Request) -> None:
    assert run(request_) == ["a0", "a1", "b0", "b1"]
    first = request_.output("manifest").read_bytes()
    assert run(request_) == []
    assert request_.output("manifest").read_bytes() == first


def test_where_an_input_lies_does_not_matter_but_what_is_in_it(request_: Request) -> None:
    run(request_)
    assert run(request_, [{**i, "path": "/elsewhere"} for i in ITEMS]) == []
    assert run(request_, [{**i, "digest": "new"} if i["point"] == "b" else i for i in ITEMS]) == ["b0", "b1"]


def test_a_killed_run_goes_on_where_it_was(request_: Request) -> None:
    run(request_)
    folder = request_.output("manifest").with_suffix(".parts")
    # killed between the file and its entry in the ledger, and between two parts
    next(folder.glob("a-00000-*.json")).unlink()
    next(folder.glob("b-00001-*.root")).unlink()
    request_.output("manifest").unlink()
    assert run(request_) == ["a0", "b1"]


def test_parts_that_no_longer_belong_are_removed(request_: Request) -> None:
    run(request_)
    old = files(request_)
    changed = replace(request_, spec={**request_.spec, "cut": 2})
    assert run(changed) == ["a0", "a1", "b0", "b1"]
    assert len(files(changed)) == len(old)
    assert not files(changed) & old
    run(changed, ITEMS[:2])
    assert {name[:7] for name in files(changed)} == {"a-00000", "a-00001"}


def test_fewer_points_leave_the_parts_of_the_others_alone(request_: Request) -> None:
    run(request_)
    fewer = replace(request_, spec={**request_.spec, "points": ["a"]})
    assert run(fewer, ITEMS[:2]) == []


def test_the_key_follows_what_changes_a_part(request_: Request) -> None:
    spec = request_.spec
    assert replace(request_, spec={**spec, "points": ["a"]}).key == request_.key
    assert replace(request_, spec={**spec, "cut": 2}).key != request_.key
    assert replace(request_, spec={**spec, "seed": 8}).key != request_.key
    assert replace(request_, code="other").key != request_.key
    assert replace(request_, stage="trigger").key != request_.key
    assert replace(request_, outputs={"manifest": "/elsewhere.json"}).key == request_.key


def test_the_manifest_lists_parts_in_order_with_their_origin(request_: Request) -> None:
    run(request_)
    manifest = read_manifest(request_.output("manifest"))
    assert [(p.point, p.chunk) for p in manifest.parts] == [("a", 0), ("a", 1), ("b", 0), ("b", 1)]
    assert manifest.points() == ["a", "b"]
    assert manifest.provenance == provenance(request_)
    assert manifest.provenance["seed"] == 7
    assert str(request_.output("manifest").parent) not in request_.output("manifest").read_text()


def test_the_next_stage_gets_paths_and_digests(request_: Request) -> None:
    run(request_)
    path = request_.output("manifest")
    items = input_items(path)
    assert [i["digest"] for i in items] == [digest_value(Path(i["path"]).read_text()) for i in items]
    Path(items[1]["path"]).unlink()
    with pytest.raises(InputError, match=r"this part of .*skim\.json is gone; delete the manifest and run again"):
        input_items(path)


def test_requests_survive_their_plain_form(request_: Request) -> None:
    again = Request.from_dict(request_.to_dict())
    assert again == request_
    assert again.key == request_.key
