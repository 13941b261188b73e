"""Files from outside that are damaged, change while they are read, or hold numbers that are none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
from ntuple_files import muon_pairs, particle_lists, write_tree
from test_ingest import LISTS, RECOIL, events_of, frame, ingest, make

from darkfactory.core.errors import InputError
from darkfactory.execute.backends import SerialBackend
from darkfactory.pipeline import ingest as stage
from darkfactory.pipeline.plan import Planner
from darkfactory.pipeline.request import Request
from darkfactory.records.books import make_book
from darkfactory.store.arrays import content_digest
from darkfactory.templates.fill import fill

__all__ = ["frame", "make"]
Make = Callable[..., Planner]


def lists(frame: Any, **changes: Any) -> dict[str, dict[str, np.ndarray]]:
    trees = particle_lists(muon_pairs(RECOIL[:60], frame))
    for name, (row, value) in changes.items():
        trees["mu"][name][row] = value
    return trees


@pytest.mark.parametrize("fraction", [0.001, 0.05, 0.3, 0.5, 0.8, 0.97, 0.9999])
def test_a_truncated_file_is_one_error_wherever_it_ends(
    make: Make, frame: Any, tmp_path: Path, fraction: float
) -> None:
    file = write_tree(tmp_path / "a.root", lists(frame))
    whole = file.read_bytes()
    file.write_bytes(whole[: int(fraction * len(whole))])
    with pytest.raises(InputError, match=r"a\.root.*(truncated|not even a header|is not a ROOT file)"):
        ingest(make([str(file)], LISTS, kind="data"), tmp_path)
    assert not (tmp_path / "ingest.json").exists()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_momenta_that_are_no_numbers_lose_their_object_and_no_event(
    make: Make, frame: Any, tmp_path: Path, value: float
) -> None:
    write_tree(tmp_path / "a.root", lists(frame))
    write_tree(tmp_path / "b.root", lists(frame, px=(7, value)))
    found = {}
    for name in ("a", "b"):
        out = tmp_path / name
        found[name] = events_of(ingest(make([str(tmp_path / f"{name}.root")], LISTS, kind="data"), out), out)
    assert len(found["b"]) == len(found["a"])
    lost = ak.num(found["a"].tracks) - ak.num(found["b"].tracks)
    assert np.flatnonzero(ak.to_numpy(lost)).tolist() == [3]
    for field in found["b"].tracks.fields:
        values = ak.to_numpy(ak.flatten(found["b"].tracks[field]))
        if values.dtype.kind == "f" and field in ("px", "py", "pz"):
            assert np.isfinite(values).all()
    # its neighbours have the same bits
    others = np.arange(len(found["a"])) != 3
    assert content_digest(found["a"][others].tracks) == content_digest(found["b"][others].tracks)


def test_a_file_that_is_replaced_while_it_is_read_is_refused(make: Make, frame: Any, tmp_path: Path) -> None:
    file = write_tree(tmp_path / "a.root", lists(frame))

    class Replacing(SerialBackend):
        """Another file takes the place between the look at it and the reading of its chunks."""

        def attempt(self, tasks: Any, done: Any = None) -> list[Any]:
            if "work_part" in tasks[0][0]:
                write_tree(tmp_path / "new.root", lists(frame, px=(3, 0.5))).replace(file)
            return super().attempt(tasks, done)

    planner = make([str(file)], LISTS, kind="data")
    spec = planner.ingest({"sample": "mine", "block": "all"})
    request = Request("ingest", {"ntuples": [str(file)]}, {"manifest": str(tmp_path / "ingest.json")}, spec, "code")
    with pytest.raises(InputError, match=r"a\.root: the file was replaced or written to while it was read; run again"):
        stage.run(request, Replacing(), lambda text: None)
    assert not (tmp_path / "ingest.json").exists()
    # the next run reads the new file as if nothing had happened
    again = ingest(planner, tmp_path)
    quiet = ingest(make([str(file)], LISTS, kind="data"), tmp_path / "quiet")
    assert [p.digest for p in again.parts] == [p.digest for p in quiet.parts]


def test_data_are_never_allowed_to_lose_a_chunk(make: Make, frame: Any, tmp_path: Path) -> None:
    file = write_tree(tmp_path / "a.root", lists(frame))
    planner = make([str(file)], LISTS, kind="data")
    spec = planner.ingest({"sample": "mine", "block": "all"}) | {"max_failed_fraction": 0.9, "chunk": 20}

    class Losing(SerialBackend):
        def attempt(self, tasks: Any, done: Any = None) -> list[Any]:
            broken = [("darkfactory.no_such:function", a) if i == 1 and len(tasks) > 1 else (n, a)
                      for i, (n, a) in enumerate(tasks)]  # fmt: skip
            return super().attempt(broken, done)

    request = Request("ingest", {"ntuples": [str(file)]}, {"manifest": str(tmp_path / "ingest.json")}, spec, "code")
    with pytest.raises(Exception, match="1 of 4 chunks failed, the others are kept"):
        stage.run(request, Losing(), lambda text: None)


def test_weights_that_are_no_numbers_leave_the_books_open() -> None:
    ids = np.arange(4)
    good = make_book(ids, [1.0, -1.0, 2.0, 1.0], ids[:2], [1.0, -1.0])
    assert good.open() == "", "negative weights are weights"
    for value in (np.nan, np.inf):
        assert "neither in the output nor rejected" in make_book(ids, [1.0, value, 2.0, 1.0], ids, np.ones(4)).open()


def test_negative_weights_are_summed_with_their_sign() -> None:
    edges = [np.array([0.0, 1.0, 2.0])]
    weights = np.array([3.0, -1.0, -2.0])
    h = fill([np.array([0.5, 0.6, 1.5])], edges, weights, n_generated=10)
    np.testing.assert_array_equal(h.sumw, [2.0, -2.0])
    np.testing.assert_array_equal(h.sumw2, [10.0, 4.0])
