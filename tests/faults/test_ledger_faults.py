"""What the ledger makes of chunks that fail: retried, recorded, listed, counted out; results never differ."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from fault_stage import CALL, calls, items_for, make, request_for, run

from darkfactory.core.errors import DamagedError, InputError, RunError
from darkfactory.core.files import read_json
from darkfactory.execute.backends import SerialBackend
from darkfactory.execute.outcomes import Policy
from darkfactory.pipeline.ledger import FAILED, failed_parts, read_part
from darkfactory.pipeline.parts import input_items, missing_of, run_parts
from darkfactory.pipeline.request import Request
from darkfactory.records.manifest import Manifest
from darkfactory.store.arrays import content_digest, read_arrays

SERIAL = SerialBackend(Policy(retries=1, backoff=0.0))


@pytest.fixture
def undisturbed(tmp_path: Path) -> bytes:
    """Manifest of a run in which nothing happened."""
    request = request_for(tmp_path / "undisturbed")
    run(request, items_for(6), SERIAL)
    return request.output("manifest").read_bytes()


def manifest_of(request: Request) -> bytes:
    return request.output("manifest").read_bytes()


def test_a_disk_that_is_full_for_a_moment_changes_nothing(tmp_path: Path, undisturbed: bytes) -> None:
    request = request_for(tmp_path)
    run(request, items_for(6, {2: ("full once", tmp_path / "flag")}), SERIAL)
    assert calls(request) == [0, 1, 2, 2, 3, 4, 5]
    assert manifest_of(request) == undisturbed


def test_a_full_disk_is_one_error_and_what_is_done_is_kept(tmp_path: Path, undisturbed: bytes) -> None:
    request = request_for(tmp_path)
    with pytest.raises(RunError, match=r"(?s)skim s/all failed after 2 tries: OSError: .*No space left.*1 of 6 chunks"):
        run(request, items_for(6, {2: ("full", "")}), SERIAL)
    assert not request.output("manifest").exists()
    (failed,) = failed_parts(tmp_path)
    assert (failed.chunk, failed.failure.kind, failed.failure.attempts) == (2, "OSError", 2)
    assert failed.file.name.endswith(FAILED)
    before = len(calls(request))
    run(request, items_for(6), SERIAL)
    assert calls(request)[before:] == [2], "the others are not made again"
    assert manifest_of(request) == undisturbed
    assert list(failed_parts(tmp_path)) == [], "what was true is true no longer"


def test_a_small_file_system_that_fills_up(tmp_path: Path, undisturbed: bytes) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=32k", "tmpfs", str(small)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("needs the right to mount a small file system")
    try:
        request = request_for(small)
        with pytest.raises(RunError, match=r"No space left on device(?s:.*) of 6 chunks failed"):
            run(request, items_for(6), SERIAL)
        assert not request.output("manifest").exists()
        folder = request.output("manifest").with_suffix(".parts")
        assert not list(small.rglob(".*.part*")), "no temporary file is left"
        whole = {f.name for f in folder.glob("*.root")}
        assert 0 < len(whole) < 6
        for file in folder.glob("*.root"):
            read_part(file)
        subprocess.run(["mount", "-o", "remount,size=10m", str(small)], check=True)
        run(request, items_for(6), SERIAL)
        assert manifest_of(request) == undisturbed
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


def test_the_order_of_chunks_and_restarts_do_not_change_bits(tmp_path: Path, undisturbed: bytes) -> None:
    class Shuffled(SerialBackend):
        def attempt(self, tasks: Any, done: Any = None) -> list[Any]:
            order = [3, 0, 5, 1, 4, 2][: len(tasks)]
            made = dict(zip(order, super().attempt([tasks[i] for i in order], done), strict=True))
            return [made[i] for i in range(len(tasks))]

    request = request_for(tmp_path)
    with pytest.raises(RunError):
        run(request, items_for(6, {4: ("full", ""), 0: ("full", "")}), Shuffled(Policy(retries=0)))
    run(request, items_for(6), Shuffled())
    assert manifest_of(request) == undisturbed


def test_a_campaign_may_do_without_some_chunks_and_counts_only_what_there_is(tmp_path: Path) -> None:
    request = request_for(tmp_path, max_failed_fraction=0.2)
    told: list[str] = []
    run_parts(request, SERIAL, told.append, CALL, items_for(6, {2: ("full", "")}))
    manifest = Manifest.from_dict(read_json(request.output("manifest")))
    assert [p.chunk for p in manifest.parts] == [0, 1, 3, 4, 5]
    assert sum(p.n_generated for p in manifest.parts) == 250
    assert sum(p.sumw for p in manifest.parts) == 250.0
    assert [(m.chunk, m.stage) for m in manifest.missing] == [(2, "skim")]
    assert "No space left on device" in manifest.missing[0].reason
    assert any("chunk 2 of all is left out" in text for text in told)
    # the next stage repeats it, and reads only what there is
    after = request_for(tmp_path, "trigger", max_failed_fraction=0.2)
    source = request.output("manifest")
    run_parts(after, SERIAL, lambda text: None, CALL, input_items(source), missing=missing_of(source))
    later = Manifest.from_dict(read_json(after.output("manifest")))
    assert [m.chunk for m in later.missing] == [2]
    assert [p.chunk for p in later.parts] == [0, 1, 3, 4, 5]


def test_the_allowed_fraction_is_no_part_of_the_key(tmp_path: Path, undisturbed: bytes) -> None:
    request = request_for(tmp_path, max_failed_fraction=0.5)
    run(request, items_for(6), SERIAL)
    assert manifest_of(request) == undisturbed


@pytest.mark.parametrize(
    ("fraction", "meta", "bad"),
    [
        (0.2, {}, [1, 2]),
        # of data nothing may be lost, whatever the campaign says
        (1.0, {"data": "real"}, [1]),
        # a point of which nothing is left is no point
        (1.0, {}, [0, 1, 2, 3, 4, 5]),
    ],
)
def test_too_many_failures_fail_the_stage(
    tmp_path: Path, fraction: float, meta: dict[str, Any], bad: list[int]
) -> None:
    request = request_for(tmp_path, max_failed_fraction=fraction)
    with pytest.raises(RunError, match=f"{len(bad)} of 6 chunks failed, the others are kept; `darkfactory status`"):
        run(request, items_for(6, dict.fromkeys(bad, ("full", "")), **meta), SERIAL)
    assert len(list(failed_parts(tmp_path))) == len(bad)


def test_records_of_failures_are_whole_or_not_there(tmp_path: Path) -> None:
    request = request_for(tmp_path)
    with pytest.raises(RunError):
        run(request, items_for(2, {1: ("full", "")}), SERIAL)
    (file,) = tmp_path.rglob(f"*{FAILED}")
    value = json.loads(file.read_text())
    assert {"stage", "point", "chunk", "kind", "text", "attempts", "host", "trace"} <= set(value)
    assert not list(tmp_path.rglob(".*")), "no temporary file is left"


def test_a_read_only_folder_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise OSError(30, "Read-only file system", str(tmp_path))

    request = request_for(tmp_path)
    run(request, items_for(2), SERIAL)
    before = manifest_of(request)
    monkeypatch.setattr("darkfactory.core.files.tempfile.mkstemp", refuse)
    with pytest.raises(RunError, match=r"Read-only file system(?s:.*)2 of 2 chunks failed"):
        run(request_for(tmp_path, cut=2), items_for(2), SERIAL)
    assert manifest_of(request) == before


# Damaged files ----------------------------------------------------------------------------------------------------


@pytest.fixture
def part(tmp_path: Path) -> Path:
    request = request_for(tmp_path)
    run(request, items_for(1), SERIAL)
    return next(request.output("manifest").with_suffix(".parts").glob("*.root"))


def test_a_flipped_byte_anywhere_never_changes_what_is_read(part: Path) -> None:
    whole = part.read_bytes()
    digest = content_digest(read_part(part))
    refused = 0
    for position in range(0, len(whole), max(1, len(whole) // 150)):
        part.write_bytes(whole[:position] + bytes([whole[position] ^ 0xFF]) + whole[position + 1 :])
        try:
            read = content_digest(read_part(part))
        except DamagedError:
            refused += 1
            continue
        # places that nothing is read from
        assert read == digest, position
    assert refused > 30
    part.write_bytes(whole)
    assert content_digest(read_part(part)) == digest


@pytest.mark.parametrize("fraction", [0.0, 0.02, 0.3, 0.6, 0.9])
def test_a_truncated_part_is_refused_and_named(part: Path, fraction: float) -> None:
    whole = part.read_bytes()
    part.write_bytes(whole[: int(fraction * len(whole))])
    with pytest.raises(DamagedError, match=r"`darkfactory retry --failed` makes it anew") as caught:
        read_part(part)
    assert caught.value.damaged == str(part)


def test_a_part_with_other_numbers_in_it_is_refused(part: Path) -> None:
    from darkfactory.store.arrays import write_arrays

    events = read_arrays(part)
    write_arrays(part, events[:-1])
    with pytest.raises(DamagedError, match="this part is not what was written"):
        read_part(part)


def test_a_damaged_input_is_recorded_with_its_path(tmp_path: Path, part: Path) -> None:
    request = request_for(tmp_path)
    part.write_bytes(part.read_bytes()[:1000])
    after = request_for(tmp_path, "trigger")
    with pytest.raises(InputError, match="makes it anew"):
        run_parts(after, SERIAL, lambda text: None, CALL, input_items(request.output("manifest")))
    (failed,) = failed_parts(tmp_path)
    assert failed.failure.damaged == str(part)
    assert failed.failure.attempts == 1, "trying again reads the same bytes"


def test_the_stage_is_the_same_through_its_door(tmp_path: Path, undisturbed: bytes) -> None:
    request = request_for(tmp_path)
    make({"job": request.to_dict(), "items": items_for(6)}, SERIAL, lambda text: None)
    assert manifest_of(request) == undisturbed
