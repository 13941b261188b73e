"""Own data: catalogues of one's own, good runs, events that two files have, and trees for others."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import uproot

from darkfactory.config.external import ExternalConfig, GoodRuns
from darkfactory.config.library import Library
from darkfactory.config.load import validate
from darkfactory.config.resolve import load_campaign
from darkfactory.core.errors import ConfigError, InputError, UserError
from darkfactory.core.files import write_json
from darkfactory.execute.backends import SerialBackend
from darkfactory.pipeline import ingest
from darkfactory.pipeline.candidates import export_candidates
from darkfactory.pipeline.parts import read_manifest
from darkfactory.pipeline.plan import Planner
from darkfactory.pipeline.request import Request
from darkfactory.records.manifest import Manifest, Part
from darkfactory.store.arrays import read_arrays, write_table
from darkfactory.store.trees import write_trees

ROOT = Path(__file__).parents[3]
COLLECTIONS = {"tracks": {"tree": "mu"}}


def ntuple(path: Path, run: int, events: list[int]) -> str:
    """Two muons in each event of a run of experiment 7."""
    number = np.repeat(np.array(events, dtype=np.int32), 2)
    n = len(number)
    columns = {
        "__experiment__": np.full(n, 7, np.int32), "__run__": np.full(n, run, np.int32), "__event__": number,
        "__candidate__": np.tile(np.array([0, 1], np.int32), n // 2), "__ncandidates__": np.full(n, 2, np.int32),
        "px": np.linspace(0.5, 1.0, n), "py": np.full(n, 0.3), "pz": np.full(n, 0.2),
        "charge": np.tile([1.0, -1.0], n // 2),
    }  # fmt: skip
    with uproot.recreate(path) as file:
        file.mktree("mu", {k: v.dtype for k, v in columns.items()})
        file["mu"].extend(columns)
    return str(path)


def read(folder: Path, files: list[str], **external: object) -> Manifest:
    own = folder / "config"
    if not own.exists():
        own.mkdir()
        for entry in (ROOT / "config").iterdir():
            if entry.name != "samples":
                (own / entry.name).symlink_to(entry)
        (own / "samples").mkdir()
    entry = {"files": files, "kind": "data", "collections": COLLECTIONS, **external}
    value = {"mine": {"detector": "belle2", "skims": ["dimuon_missing"], "external": entry}}
    write_json(own / "samples" / "mine.yaml", value)  # JSON is YAML
    settings = {"external": ["mine"], "searches": {"zprime_invisible": ["belle2_80fb"]}}
    planner = Planner(load_campaign("tiny", config_dir=own, overrides=[settings]))
    spec = planner.ingest({"sample": "mine", "block": "all", "search": "zprime_invisible", "dataset": "belle2_80fb"})
    request = Request("ingest", {"ntuples": files}, {"manifest": str(folder / "reco.json")}, spec, "code")
    ingest.run(request, SerialBackend(), lambda text: None)
    return read_manifest(folder / "reco.json")


def test_only_good_runs_of_data_count(tmp_path: Path) -> None:
    files = [ntuple(tmp_path / f"r{r}.root", r, [1, 2, 3]) for r in (1, 2, 5)]
    made = read(tmp_path, files, good_runs=[{"experiment": 7, "runs": [[2, 4]]}, {"experiment": 8, "runs": [[1, 1]]}])
    assert [p.events for p in made.parts] == [0, 3, 0]
    assert [p.book["events_rejected"] for p in made.parts] == [3, 0, 3]
    assert made.parts[0].meta["external"]["outside_good_runs"] == 3
    kept = read_arrays(tmp_path / made.parts[1].path)
    assert set(np.asarray(kept["run"])) == {2}


def test_periods_are_inclusive_and_checked() -> None:
    keys = np.array([[7, r, 1] for r in range(1, 8)])
    assert ingest.good_events(keys, [GoodRuns(experiment=7, runs=((2, 3), (6, 6)))]).tolist() == [
        False, True, True, False, False, True, False,
    ]  # fmt: skip
    assert ingest.good_events(keys, []).all()
    with pytest.raises(ValueError, match=r"runs: \[5, 2\] is no period; write \[first, last\]"):
        GoodRuns(experiment=7, runs=((5, 2),))
    wrong = {"files": ["a"], "kind": "simulation", "cross_section": 1.0, "collections": COLLECTIONS,
             "good_runs": [{"experiment": 7, "runs": [[1, 2]]}]}  # fmt: skip
    with pytest.raises(ConfigError, match="kind: simulation has no good_runs"):
        validate(ExternalConfig, wrong)


def test_events_that_two_files_have_are_an_error_and_others_are_not(tmp_path: Path) -> None:
    odd, even = ntuple(tmp_path / "odd.root", 1, [1, 3, 5]), ntuple(tmp_path / "even.root", 1, [2, 4, 6])
    assert sum(p.events for p in read(tmp_path, [odd, even]).parts) == 6
    more = ntuple(tmp_path / "more.root", 1, [5, 7])
    with pytest.raises(
        InputError, match=r"more.root has 1 events of experiment 7, run 1 that .*odd.root has, too .*first is 5"
    ):
        read(tmp_path, [odd, even, more])


def test_a_sample_that_two_files_have_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples.yaml").write_text("a: {process: x}\n")
    (tmp_path / "samples" / "mine.yaml").write_text("b: {process: y}\n")
    assert list(Library(tmp_path).samples()) == ["a", "b"]
    (tmp_path / "samples" / "more.yaml").write_text("b: {process: y}\n")
    with pytest.raises(ConfigError, match=r"more.yaml: sample 'b' is in samples/mine.yaml, too; rename one"):
        Library(tmp_path).samples()


def test_candidates_become_trees_with_expected_events(tmp_path: Path) -> None:
    columns = {
        "m": np.array([1.0, 2.0, 3.0]),
        "weight": np.array([10.0, 20.0, 30.0]),
        "good": np.array([True, False, True]),
    }
    folder = tmp_path / "selected.parts"
    folder.mkdir()
    parts = []
    for chunk, point in enumerate(("m0p50000", "m0p50000", "m1p00000")):
        digest = write_table(folder / f"{chunk}.root", columns)
        part = Part(point, chunk, f"selected.parts/{chunk}.root", digest, 50, 3, 60.0)
        write_json(folder / f"{chunk}.json", asdict(part))
        parts.append(part)
    write_json(tmp_path / "selected.json", Manifest("select", "signal", "b000", tuple(parts)).to_dict())
    rows = export_candidates(tmp_path / "out.root", {"signal": [tmp_path / "selected.json"]}, luminosity_fb=2.0)
    assert rows == {"signal_m0p50000": 6, "signal_m1p00000": 3}
    with uproot.open(tmp_path / "out.root") as file:
        tree = file["signal_m0p50000"]
        assert tree.classname == "TTree"
        # fb times events over the generated ones, times the luminosity
        assert tree["expected_events"].array(library="np").tolist() == [0.2, 0.4, 0.6] * 2
        assert tree["good"].array(library="np").tolist() == [1, 0, 1] * 2
    with pytest.raises(UserError, match="no such file; run the search first"):
        export_candidates(tmp_path / "out.root", {"signal": [tmp_path / "none.json"]}, 1.0)


def test_trees_without_rows_are_left_out(tmp_path: Path) -> None:
    empty, full = {"x": np.zeros(0)}, {"x": np.ones(2)}
    assert write_trees(tmp_path / "a.root", {"none": [empty], "some": [empty, full, full]}) == {"some": 4}
    with uproot.open(tmp_path / "a.root") as file:
        assert file.keys(cycle=False) == ["some"]
