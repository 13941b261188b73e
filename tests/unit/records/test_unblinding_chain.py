"""The chain of unblinding records: what was written is read, and nothing else."""

from __future__ import annotations

import json

import pytest

from darkfactory.core.errors import InputError
from darkfactory.records.unblinding import Unblinding, chain_text, read_chain


def chain(n: int) -> tuple[Unblinding, ...]:
    found: list[Unblinding] = []
    for i in range(n):
        before = found[-1].digest if found else ""
        found.append(
            Unblinding(i + 1, before, "c", "s", "d", "me", f"reason {i}", "2030-01-01T00:00:00+00:00", "ab" * 32,
                       {"model": "cd" * 32}, {"model": "0" * 16}, "0.1.0")
        )  # fmt: skip
    return tuple(found)


def test_what_was_written_is_read() -> None:
    assert read_chain(chain_text(chain(3)), "x.jsonl") == chain(3)
    assert read_chain("", "x.jsonl") == ()


@pytest.mark.parametrize("key", ["by", "reason", "time", "configuration", "dataset", "number"])
def test_a_changed_word_is_told(key: str) -> None:
    lines = chain_text(chain(3)).splitlines()
    value = json.loads(lines[1])
    value[key] = 7 if key == "number" else "someone else"
    lines[1] = json.dumps(value)
    with pytest.raises(InputError, match=r"x\.jsonl: line 2 was changed: its digest is another one; restore the file"):
        read_chain("\n".join(lines), "x.jsonl")


@pytest.mark.parametrize("order", [[0, 2], [1, 2], [1, 0, 2], [0, 0, 1]])
def test_lines_taken_out_put_in_or_moved_are_told(order: list[int]) -> None:
    lines = chain_text(chain(3)).splitlines()
    with pytest.raises(InputError, match="does not follow the line before"):
        read_chain("\n".join(lines[i] for i in order), "x.jsonl")


@pytest.mark.parametrize("line", ["", "{", "[]", "1", '{"digest": "x"}', '{"by": "me"}'])
def test_what_is_no_record_is_told(line: str) -> None:
    with pytest.raises(InputError, match="line 1 is no record of an unblinding"):
        read_chain(line + "\n" + chain_text(chain(1)), "x.jsonl")


def test_a_line_cut_by_a_full_disk_is_told() -> None:
    text = chain_text(chain(2))
    with pytest.raises(InputError, match="line 2 is no record"):
        read_chain(text[:-20], "x.jsonl")
