"""Reading a synthetic look-alike of a basf2 ntuple, with its quirks."""

from __future__ import annotations

import itertools
import logging
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

from darkfactory.config.load import read_yaml
from darkfactory.config.ntuples import NtupleMapConfig
from darkfactory.core.errors import InputError
from darkfactory.store.branches import column_of, escape, unescape
from darkfactory.store.grouping import candidates_to_events, event_numbers, split_points
from darkfactory.store.ntuples import event_columns, event_ranges, is_simulation, open_ntuple, read_ntuple

YAML = Path(__file__).parents[3] / "config" / "ntuples" / "basf2.yaml"
N_EVENTS = 400


@pytest.fixture(scope="module")
def name_map() -> NtupleMapConfig:
    return NtupleMapConfig.model_validate(read_yaml(YAML))


def columns(n_events: int = N_EVENTS) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    counts = rng.integers(1, 35, n_events)
    n = int(counts.sum())
    start = np.repeat(np.cumsum(counts) - counts, counts)
    return {
        "__experiment__": np.full(n, 1003, dtype=np.int32),
        "__run__": np.zeros(n, dtype=np.int32),
        "__event__": np.repeat(np.arange(1, n_events + 1, dtype=np.int32), counts),
        "__candidate__": (np.arange(n) - start).astype(np.int32),
        "__ncandidates__": np.repeat(counts, counts).astype(np.int32),
        "__weight__": np.ones(n),
        "Mbc": rng.uniform(5.2, 5.29, n),
        "useCMSFrame__bop__bc": rng.uniform(0, 3, n),
        "Btag_d1_Mbc": rng.uniform(5.2, 5.29, n),
        "mcPDG": rng.choice([521.0, -521.0, np.nan], n),
        "isSignal": np.where(rng.random(n) < 0.13, np.nan, 1.0),
        "deltaE": np.full(n, np.nan),
        "L1PSNM__bolml0__bc": rng.integers(0, 2, n).astype(float),
        "myAlias": rng.normal(size=n),
        "dupA": np.full(n, 1.0),
        "dupB": np.full(n, 2.0),
    }


def write(path: Path, data: dict[str, np.ndarray], tree: str = "tree", duplicate: bool = False) -> Path:
    with uproot.recreate(path, compression=None if duplicate else uproot.ZLIB(1)) as file:
        t = file.mktree(tree, {k: v.dtype for k, v in data.items()})
        step = 1500
        n = len(next(iter(data.values())))
        for i in range(0, n, step):
            t.extend({k: v[i : i + step] for k, v in data.items()})
    if duplicate:
        # no writer gives two branches one name; the framework did
        path.write_bytes(path.read_bytes().replace(b"dupB", b"dupA"))
    return path


@pytest.fixture(scope="module")
def data() -> dict[str, np.ndarray]:
    return columns()


@pytest.fixture(scope="module")
def ntuple(tmp_path_factory: pytest.TempPathFactory, data: dict[str, np.ndarray]) -> Path:
    return write(tmp_path_factory.mktemp("ntuples") / "look_alike.root", data, duplicate=True)


def test_what_is_in_a_tree(
    ntuple: Path, name_map: NtupleMapConfig, data: dict[str, np.ndarray], caplog: pytest.LogCaptureFixture
) -> None:
    before = ntuple.read_bytes(), ntuple.stat().st_mtime_ns
    with caplog.at_level(logging.WARNING):
        info = open_ntuple(ntuple, "tree", name_map)
    assert info.entries == len(data["Mbc"])
    assert info.columns["p_cms"] == "useCMSFrame__bop__bc"
    assert info.columns["Btag_d1_mbc"] == "Btag_d1_Mbc"
    assert info.columns["l1_psnm(lml0)"] == "L1PSNM__bolml0__bc"
    assert info.unmapped == ("myAlias", "dupA")
    assert info.duplicates == ("dupA",)
    assert info.all_nan == ("delta_e",)
    assert "m_recoil" in info.missing
    assert "mbc" not in info.missing
    assert not info.event_based
    assert "occur more than once, the first is read" in caplog.text
    assert "have no value in any row" in caplog.text
    assert (ntuple.read_bytes(), ntuple.stat().st_mtime_ns) == before


def test_values_types_and_byte_order(ntuple: Path, name_map: NtupleMapConfig, data: dict[str, np.ndarray]) -> None:
    with uproot.open(ntuple) as file:
        assert file["tree"]["Mbc"].interpretation.from_dtype.byteorder == ">"
    read = read_ntuple(
        ntuple,
        "tree",
        name_map,
        ["event", "mbc", "mc_pdg", "is_signal", "p_cms", "dupA"],
        (100, 2000),
        ["n_tracks", "x"],
    )
    assert list(read) == ["event", "mbc", "mc_pdg", "is_signal", "p_cms", "dupA", "n_tracks", "x"]
    assert all(v.dtype.isnative and len(v) == 1900 for v in read.values())
    np.testing.assert_array_equal(read["mbc"], data["Mbc"][100:2000])
    np.testing.assert_array_equal(read["event"], data["__event__"][100:2000])
    assert read["mc_pdg"].dtype == np.int64
    assert set(np.unique(read["mc_pdg"])) == {name_map.integer_missing, -521, 521}
    np.testing.assert_array_equal(read["is_signal"] < 0, np.isnan(data["isSignal"][100:2000]))
    assert (read["dupA"] == 1).all()
    assert (read["n_tracks"] == name_map.integer_missing).all()
    assert np.isnan(read["x"]).all()
    assert is_simulation(np.array([0, 1003, 20]), name_map.simulation_experiments).tolist() == [True, True, False]


def test_chunks_do_not_split_events(ntuple: Path, name_map: NtupleMapConfig, data: dict[str, np.ndarray]) -> None:
    n = len(data["Mbc"])
    names = ["experiment", "run", "event", "candidate", "n_candidates", "weight", "mbc"]
    whole = candidates_to_events(read_ntuple(ntuple, "tree", name_map, names))
    assert len(whole) == N_EVENTS
    assert ak.all(ak.num(whole.candidates) == whole.n_candidates)
    assert sorted(event_columns(whole)) == ["event", "experiment", "n_candidates", "run", "weight"]
    for size in (1, 50, 1000, 10 * n):
        ranges = event_ranges(ntuple, "tree", size, name_map)
        assert ranges[0][0] == 0
        assert ranges[-1][1] == n
        assert all(a[1] == b[0] for a, b in itertools.pairwise(ranges))
        assert max(b - a for a, b in ranges) <= size + 34
    parts = [candidates_to_events(read_ntuple(ntuple, "tree", name_map, names, r))
             for r in event_ranges(ntuple, "tree", 1000, name_map)]  # fmt: skip
    assert len(parts) > 5
    assert ak.array_equal(ak.concatenate(parts), whole)


def test_rows_in_any_order_come_together(data: dict[str, np.ndarray]) -> None:
    order = np.random.default_rng(3).permutation(len(data["Mbc"]))
    names = {"experiment": "__experiment__", "run": "__run__", "event": "__event__", "candidate": "__candidate__",
             "n_candidates": "__ncandidates__", "mbc": "Mbc"}  # fmt: skip
    shuffled = candidates_to_events({k: data[v][order] for k, v in names.items()})
    assert len(shuffled) == N_EVENTS
    assert ak.all(ak.num(shuffled.candidates) == shuffled.n_candidates)
    sums = np.zeros(N_EVENTS + 1)
    np.add.at(sums, data["__event__"], data["Mbc"])
    np.testing.assert_allclose(ak.sum(shuffled.candidates.mbc, axis=1), sums[ak.to_numpy(shuffled.event)])
    # interleaved rows: one range
    assert len(split_points(event_numbers({k: data[v][order] for k, v in names.items()}), 100)) <= 3


def test_repeated_numbers_of_merged_simulation_are_two_events() -> None:
    one = np.ones(6, dtype=int)
    rows = {"experiment": 1003 * one, "run": 0 * one, "event": np.array([7, 7, 8, 7, 9, 9]),
            "candidate": np.array([0, 1, 0, 0, 0, 1]), "n_candidates": np.array([2, 2, 1, 1, 2, 2])}  # fmt: skip
    assert event_numbers(rows).tolist() == [0, 0, 1, 2, 3, 3]
    # torn apart, same numbers: together again; a candidate that is there already begins another event
    torn = {**rows, "event": np.array([7, 8, 7, 7, 9, 9]), "candidate": np.array([0, 0, 1, 0, 0, 1]),
            "n_candidates": np.array([2, 1, 2, 2, 2, 2])}  # fmt: skip
    assert event_numbers(torn).tolist() == [0, 1, 0, 2, 3, 3]
    productions = {**rows, "event": 7 * one, "candidate": 0 * one, "n_candidates": 3 * one,
                   "production": np.arange(6)}  # fmt: skip
    assert event_numbers(productions).tolist() == list(range(6))


def test_event_based_trees_have_one_row_per_event(tmp_path: Path, name_map: NtupleMapConfig) -> None:
    rows = {k: v[:50] for k, v in columns().items() if k not in ("__candidate__", "__ncandidates__", "dupB")}
    path = write(tmp_path / "events.root", rows, tree="MCGenTopo")
    info = open_ntuple(path, "MCGenTopo", name_map)
    assert info.event_based
    assert info.duplicates == ()
    assert event_ranges(path, "MCGenTopo", 20, name_map) == [(0, 20), (20, 40), (40, 50)]
    assert len(candidates_to_events(read_ntuple(path, "MCGenTopo", name_map, ["experiment", "run", "event"]))) == 50


def test_empty_tree(tmp_path: Path, name_map: NtupleMapConfig) -> None:
    path = write(tmp_path / "empty.root", {k: v[:0] for k, v in columns().items()})
    assert open_ntuple(path, "tree", name_map).entries == 0
    assert event_ranges(path, "tree", 10, name_map) == []
    names = ["experiment", "run", "event", "candidate", "mbc"]
    assert len(candidates_to_events(read_ntuple(path, "tree", name_map, names))) == 0


def test_escaping_goes_there_and_back(name_map: NtupleMapConfig) -> None:
    for variable in ("useCMSFrame(p)", "daughter(0, -p)", "nParticlesInList(pi+:all)", "a[1]/b*c", "__event__"):
        assert unescape(escape(variable, name_map.escape), name_map.escape) == variable
    assert unescape("formula__bo__da1__bc", name_map.escape) == "formula(-1)"
    assert escape("useCMSFrame(p)", name_map.escape) == "useCMSFrame__bop__bc"
    assert unescape("plain", {}) == "plain"


def test_columns_of_variables(name_map: NtupleMapConfig) -> None:
    assert column_of("__ncandidates__", name_map) == ("n_candidates", "n_candidates")
    assert column_of("mu_useCMSFrame(p)", name_map) == ("mu_p_cms", "p_cms")
    assert column_of("roeEextra(my_mask)", name_map) == ("e_extra(my_mask)", "e_extra")
    assert column_of("mu_p_E", name_map) == ("mu_p_E", "E")
    assert column_of("sigProb", name_map) == ("sigProb", None)


def test_missing_foreign_and_damaged_files(
    tmp_path: Path, ntuple: Path, name_map: NtupleMapConfig, data: dict[str, np.ndarray]
) -> None:
    with pytest.raises(InputError, match=r"nowhere\.root does not exist; give the path"):
        open_ntuple(tmp_path / "nowhere.root", "tree", name_map)
    with pytest.raises(InputError, match="is a directory"):
        open_ntuple(tmp_path, "tree", name_map)
    text = tmp_path / "text.root"
    text.write_text("not a file of that kind")
    with pytest.raises(InputError, match=r"text\.root is not a ROOT file \(23 bytes"):
        open_ntuple(text, "tree", name_map)
    raw = ntuple.read_bytes()
    cut = tmp_path / "cut.root"
    cut.write_bytes(raw[: len(raw) // 2])
    with pytest.raises(InputError, match=rf"cut\.root is truncated: it has {len(raw) // 2} bytes of {len(raw)}"):
        open_ntuple(cut, "tree", name_map)
    cut.write_bytes(raw[:50])
    with pytest.raises(InputError, match="50 bytes are not even a header"):
        read_ntuple(cut, "tree", name_map, ["mbc"])
    unclosed = tmp_path / "unclosed.root"
    with uproot.recreate(unclosed):
        pass
    with pytest.raises(InputError, match=r"has no objects: it was not closed.*TFile::Recover"):
        open_ntuple(unclosed, "tree", name_map)
    # the header is whole, the rest is not
    broken = tmp_path / "broken.root"
    broken.write_bytes(raw[:100] + bytes(len(raw) - 100))
    with pytest.raises(InputError, match=r"broken\.root cannot be opened as a ROOT file|has no objects"):
        open_ntuple(broken, "tree", name_map)
    packed = write(tmp_path / "packed.root", data)
    content = bytearray(packed.read_bytes())
    with uproot.open(packed) as file:
        basket = int(file["tree"]["Mbc"].member("fBasketSeek")[1])
    content[basket + 80 : basket + 400] = bytes(320)
    packed.write_bytes(bytes(content))
    with pytest.raises(InputError, match=r"packed\.root: tree: branch Mbc cannot be read: .*the file is damaged"):
        read_ntuple(packed, "tree", name_map, ["experiment", "run", "event", "mbc", "p_cms"])


def test_wrong_names_say_what_there_is(tmp_path: Path, ntuple: Path, name_map: NtupleMapConfig) -> None:
    with pytest.raises(InputError, match=r"has no tree 'variables'; trees in it: \['tree'\]"):
        open_ntuple(ntuple, "variables", name_map)
    with pytest.raises(
        InputError, match=r"columns \['mcb'\] are missing; similar: \{'mcb': \['mbc'.*it has: experiment"
    ):
        read_ntuple(ntuple, "tree", name_map, ["event", "mcb"])
    with pytest.raises(InputError, match="rows 5 to 99999999 are not within"):
        read_ntuple(ntuple, "tree", name_map, ["mbc"], (5, 99999999))
    with pytest.raises(InputError, match="chunks of 0 rows"):
        event_ranges(ntuple, "tree", 0, name_map)
    few = write(tmp_path / "few.root", {k: v for k, v in columns(5).items() if k not in ("__run__", "dupB")})
    with pytest.raises(
        InputError, match=r"required columns \['run'\] are missing; branches: __experiment__, __event__"
    ):
        open_ntuple(few, "tree", name_map)
    half = {**columns(5)}
    half["mcPDG"] = np.full(len(half["Mbc"]), 2.5)
    with pytest.raises(InputError, match=r"branch mcPDG holds 2\.5 in row 0.*take it out of integers"):
        read_ntuple(write(tmp_path / "half.root", half), "tree", name_map, ["mc_pdg"])
    rntuple = tmp_path / "new.root"
    with uproot.recreate(rntuple) as file:
        file.mkrntuple("tree", {"Mbc": np.float64})
    with pytest.raises(InputError, match="tree is an RNTuple; write it as a TTree"):
        open_ntuple(rntuple, "tree", name_map)
    jagged = tmp_path / "jagged.root"
    with uproot.recreate(jagged) as file:
        t = file.mktree("tree", {"Mbc": "var * float64"})
        t.extend({"Mbc": ak.Array([[1.0], [1.0, 2.0]])})
    with pytest.raises(InputError, match="not one number per row"):
        read_ntuple(jagged, "tree", name_map, ["mbc"])


def test_grouping_refuses_what_does_not_fit() -> None:
    one = np.ones(2, dtype=int)
    with pytest.raises(InputError, match="of different lengths"):
        candidates_to_events({"experiment": one, "run": one, "event": np.ones(3, dtype=int)})
    with pytest.raises(InputError, match=r"\['run'\] are needed to group rows"):
        event_numbers({"experiment": one, "event": one})
    with pytest.raises(InputError, match=r"column weight differs within event 1: 1\.0 and 2\.0"):
        candidates_to_events(
            {"experiment": one, "run": one, "event": one, "candidate": np.arange(2), "weight": np.array([1.0, 2.0])}
        )


def test_name_maps_are_checked() -> None:
    raw = read_yaml(YAML)
    for change, text in (
        ({"required": ["xyz"]}, "columns of no group"),
        ({"escape": {"ab": ["__ab"]}}, "one character each"),
        ({"groups": {**raw["groups"], "x": {"source": "published", "names": {"q": "mbc"}}}}, "two names each"),
        ({"groups": {**raw["groups"], "x": {"source": "published", "names": {"Mbc": "q"}}}}, "in two groups"),
    ):
        with pytest.raises(ValueError, match=text):
            NtupleMapConfig.model_validate({**raw, **change})
