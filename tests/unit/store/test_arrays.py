from __future__ import annotations

from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

from darkfactory.core.errors import InputError
from darkfactory.store.arrays import content_digest, read_arrays, read_table, write_arrays, write_table


@pytest.fixture
def events() -> ak.Array:
    rng = np.random.default_rng(3)
    counts = rng.integers(0, 4, 500)
    tracks = ak.zip({"px": ak.unflatten(rng.normal(size=counts.sum()), counts)})
    return ak.zip({"weight": rng.normal(size=500), "tracks": tracks, "l1": np.arange(500, dtype="u8")}, depth_limit=1)


def test_what_is_read_is_what_was_written(tmp_path: Path, events: ak.Array) -> None:
    digest = write_arrays(tmp_path / "a.root", events)
    back = read_arrays(tmp_path / "a.root")
    assert content_digest(back) == digest
    assert str(back.type) == str(events.type)
    assert read_arrays(tmp_path / "a.root", ["weight"]).fields == ["weight"]


def test_digest_does_not_depend_on_memory_layout(tmp_path: Path, events: ak.Array) -> None:
    cut = events[ak.num(events.tracks) > 1]
    assert write_arrays(tmp_path / "a.root", cut) == content_digest(read_arrays(tmp_path / "a.root"))
    assert content_digest(events[:100]) != content_digest(events[100:200])


def test_no_events_are_a_valid_file(tmp_path: Path, events: ak.Array) -> None:
    write_arrays(tmp_path / "a.root", events[:0])
    assert len(read_arrays(tmp_path / "a.root")) == 0


@pytest.mark.parametrize("fraction", [0.0, 0.3, 0.7, 0.99])
def test_truncated_files_are_one_clear_error(tmp_path: Path, events: ak.Array, fraction: float) -> None:
    path = tmp_path / "a.root"
    write_arrays(path, events)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * fraction)])
    with pytest.raises(InputError, match=r"a\.root: .*(damaged|not closed properly)"):
        read_arrays(path)


def test_missing_files_and_columns(tmp_path: Path, events: ak.Array) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_arrays(tmp_path / "none.root")
    write_arrays(tmp_path / "a.root", events)
    with pytest.raises(InputError, match=r"columns \['mass'\] are missing; there are \['weight'"):
        read_arrays(tmp_path / "a.root", ["mass"])
    with uproot.recreate(tmp_path / "empty.root"):
        pass
    with pytest.raises(InputError, match="not closed properly"):
        read_arrays(tmp_path / "empty.root")


def test_tables(tmp_path: Path) -> None:
    columns = {"b": np.array([True, False]), "x": np.array([1.5, 2.5])}
    write_table(tmp_path / "t.root", columns)
    back = read_table(tmp_path / "t.root")
    assert {k: v.tolist() for k, v in back.items()} == {"b": [True, False], "x": [1.5, 2.5]}
    with pytest.raises(InputError, match="different lengths"):
        write_table(tmp_path / "t.root", {"a": np.ones(1), "b": np.ones(2)})
