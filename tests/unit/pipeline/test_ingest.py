"""External ntuples from the file to the candidates of a search."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import yaml
from ntuple_files import candidate_tree, muon_pairs, particle_lists, write_tree

from darkfactory.config.resolve import load_campaign
from darkfactory.core.errors import ConfigError, InputError
from darkfactory.execute.backends import SerialBackend
from darkfactory.pipeline.beams import nominal_frame
from darkfactory.pipeline.parts import read_manifest
from darkfactory.pipeline.plan import Planner
from darkfactory.pipeline.request import Request
from darkfactory.records.manifest import Manifest
from darkfactory.store.arrays import read_arrays, read_table

ROOT = Path(__file__).parents[3]
W = {"sample": "mine", "block": "all", "search": "zprime_invisible", "dataset": "belle2_80fb"}
N = 300
RECOIL = np.linspace(1.0, 7.0, N)
LISTS = {"tracks": {"tree": "mu"}, "clusters": {"tree": "gamma"}}
DAUGHTERS = {
    "tracks": {
        "tree": "variables",
        "prefixes": ["mu0", "mu1"],
        "columns": {"is_pi": {"column": "id_mu", "below": 0.1}},
    },
    "clusters": {"tree": "variables", "prefixes": ["gamma0"]},
}
SIMULATION = {"kind": "simulation", "cross_section": "2 pb", "n_generated": 1000}
Make = Callable[..., Planner]


@pytest.fixture(scope="module")
def frame() -> Any:
    beams = yaml.safe_load((ROOT / "config" / "detectors" / "belle2.yaml").read_text())["beams"]
    return nominal_frame(beams)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A plan whose campaign has the external sample ``mine``."""

    def planner(
        files: list[str], collections: dict[str, Any], sample: dict[str, Any] | None = None, **how: Any
    ) -> Planner:
        folder = tmp_path / "config"
        if not folder.exists():
            shutil.copytree(ROOT / "config", folder, ignore=shutil.ignore_patterns("schema.json"))
        external = {"files": files, "collections": collections, **(how or {"kind": "data"})}
        entry = {"detector": "belle2", "skims": ["dimuon_missing"], "external": external, **(sample or {})}
        text = (ROOT / "config" / "samples.yaml").read_text() + yaml.safe_dump({"mine": entry})
        (folder / "samples.yaml").write_text(text)
        chosen = {"external": ["mine"], "execution": {"chunk": 64}}
        return Planner(load_campaign("tiny", config_dir=folder, overrides=[chosen]))

    return planner


def run(planner: Planner, stage: str, out: Path, inputs: dict[str, Any], w: dict[str, str] = W) -> Manifest:
    spec = getattr(planner, stage)(w)
    request = Request(stage, inputs, {"manifest": str(out / f"{stage}.json")}, spec, "code")
    importlib.import_module(f"darkfactory.pipeline.{stage}").run(request, SerialBackend(), lambda text: None)
    return read_manifest(out / f"{stage}.json")


def ingest(planner: Planner, out: Path) -> Manifest:
    return run(planner, "ingest", out, {"ntuples": planner.ntuples("mine")})


def events_of(manifest: Manifest, out: Path) -> ak.Array:
    return ak.concatenate([read_arrays(out / p.path) for p in manifest.parts])


def candidates(planner: Planner, out: Path) -> dict[str, np.ndarray]:
    """All stages from the skim to the candidates of the dimuon search."""
    run(planner, "skim", out, {"reco": str(out / "ingest.json")})
    run(planner, "trigger", out, {"skim": str(out / "skim.json")}, W | {"period": planner.period(W)})
    made = run(planner, "preselect", out, {"triggered": str(out / "trigger.json")})
    tables = [read_table(out / p.path) for p in made.parts]
    return {name: np.concatenate([t[name] for t in tables]) for name in tables[0]}


def check_recoil(found: dict[str, np.ndarray], events: ak.Array) -> None:
    number = dict(zip(ak.to_list(events.event_id), ak.to_list(events.event), strict=True))
    event = np.array([number[i] for i in found["event_id"].tolist()])
    # the recoil of the lightest ones points to the barrel or not: cut; nothing else is lost
    assert len(event) > 0.8 * N
    assert len(set(event.tolist())) == len(event)
    assert set(event[RECOIL[event - 1] > 2.01].tolist()) == set((np.flatnonzero(RECOIL > 2.01) + 1).tolist())
    np.testing.assert_allclose(found["m_recoil"], RECOIL[event - 1], rtol=1e-9)


def test_particle_lists_of_data_to_recoil_masses(make: Make, frame: Any, tmp_path: Path) -> None:
    write_tree(tmp_path / "data.root", particle_lists(muon_pairs(RECOIL, frame)))
    planner = make([str(tmp_path / "data.root")], LISTS, kind="data", luminosity="1 /fb")
    manifest = ingest(planner, tmp_path)
    assert [p.chunk for p in manifest.parts] == list(range(5))
    assert sum(p.n_generated for p in manifest.parts) == N + 1
    assert all(p.meta["data"] == "real" and "sigma_fb" not in p.meta for p in manifest.parts)
    events = events_of(manifest, tmp_path)
    assert events.weight.to_list() == [1.0] * (N + 1)
    assert len(set(events.event_id.to_list())) == N + 1
    order = np.asarray(events.event) - 1
    assert ak.num(events.tracks).to_list() == [2 if e < N else 0 for e in order]
    assert ak.num(events.clusters).to_list() == [e % 3 if e < N else 1 for e in order]
    assert events.ntuple_l1_psnm_lml0.to_list()[:2] == [0, 1]
    assert events.ntuple_l1_psnm_lml0[-1] < 0  # no row in the tree that has it
    assert set(ak.flatten(events.tracks.cluster_e).to_list()) == {0.0, np.float32(0.2)}
    assert ak.all(events.tracks.klm)
    assert ak.all(events.tracks.is_mu_tight)
    assert not ak.any(events.tracks.is_e)
    assert ak.all(np.abs(events.tracks.truth_pdg) == 13)
    np.testing.assert_allclose(ak.flatten(events.tracks.z0), -0.1, rtol=1e-6)
    assert set(ak.flatten(events.clusters.region).to_list()) == {2}
    assert set(ak.flatten(events.clusters.track).to_list()) == {-1}
    check_recoil(candidates(planner, tmp_path), events)


def test_daughters_of_candidates_to_recoil_masses(make: Make, frame: Any, tmp_path: Path) -> None:
    write_tree(tmp_path / "a.root", candidate_tree(muon_pairs(RECOIL, frame)))
    planner = make([str(tmp_path / "*.root")], DAUGHTERS, **SIMULATION)
    manifest = ingest(planner, tmp_path)
    assert sum(p.n_generated for p in manifest.parts) == 1000
    assert sum(p.events for p in manifest.parts) == N
    assert {p.meta["sigma_fb"] for p in manifest.parts} == {2000.0}
    events = events_of(manifest, tmp_path)
    # candidates share their muons: each track is there once
    assert set(ak.num(events.tracks).to_list()) == {2}
    assert ak.all(ak.sum(events.tracks.charge, axis=1) == 0)
    assert ak.num(events.clusters).to_list() == [min(i % 3 + 1, 2) for i in range(N)]
    about = [p.meta["external"] for p in manifest.parts]
    assert sum(a["without_value"]["clusters"] for a in about) == N // 3
    assert sum(a["repeated"]["tracks"] for a in about) == 2 * N
    assert set(about[0]["filled"]) == {"tracks.is_k", "tracks.is_p", "clusters.track"}
    found = candidates(planner, tmp_path)
    check_recoil(found, events)
    # the mean over generated events of the weight is the cross-section times the fraction in the file
    assert float(np.sum(events.weight)) / 1000 == pytest.approx(2000.0 * N / 1000)


def test_luminosity_stands_for_the_cross_section(make: Make, frame: Any, tmp_path: Path) -> None:
    write_tree(tmp_path / "a.root", candidate_tree(muon_pairs(RECOIL, frame)))
    planner = make([str(tmp_path / "a.root")], DAUGHTERS, kind="simulation", luminosity="30 /fb")
    manifest = ingest(planner, tmp_path)
    assert {p.meta["sigma_fb"] for p in manifest.parts} == {N / 30.0}


def test_content_counts_and_not_the_name_of_a_file(make: Make, frame: Any, tmp_path: Path) -> None:
    file = write_tree(tmp_path / "a.root", particle_lists(muon_pairs(RECOIL, frame)))
    first = ingest(make([str(file)], LISTS), tmp_path)
    renamed = tmp_path / "renamed" / "b.root"
    renamed.parent.mkdir()
    shutil.copy(file, renamed)
    request = {"ntuples": [str(renamed)]}
    assert run(make([str(file)], LISTS), "ingest", tmp_path, request) == first
    write_tree(file, particle_lists(muon_pairs(RECOIL, frame, seed=2)))
    second = ingest(make([str(file)], LISTS), tmp_path)
    assert not {p.path for p in first.parts} & {p.path for p in second.parts}


def test_events_do_not_depend_on_the_chunks(make: Make, frame: Any, tmp_path: Path) -> None:
    write_tree(tmp_path / "a.root", particle_lists(muon_pairs(RECOIL, frame)))
    planner = make([str(tmp_path / "a.root")], LISTS)
    small = events_of(ingest(planner, tmp_path), tmp_path)
    spec = planner.ingest(W) | {"chunk": 100_000}
    request = Request(
        "ingest", {"ntuples": planner.ntuples("mine")}, {"manifest": str(tmp_path / "big.json")}, spec, "c"
    )
    importlib.import_module("darkfactory.pipeline.ingest").run(request, SerialBackend(), lambda text: None)
    big = events_of(read_manifest(tmp_path / "big.json"), tmp_path)
    same = [f for f in big.fields if f != "event_id"]
    assert ak.array_equal(small[same], big[same])


def test_rows_out_of_order_and_trees_of_different_order(make: Make, frame: Any, tmp_path: Path) -> None:
    trees = particle_lists(muon_pairs(RECOIL, frame))
    write_tree(tmp_path / "a.root", trees)
    straight = events_of(ingest(make([str(tmp_path / "a.root")], LISTS), tmp_path), tmp_path)
    # parallel processing hands events back in any order
    order = np.argsort(trees["gamma"]["__event__"] % 7, kind="stable")
    trees["gamma"] = {k: v[order] for k, v in trees["gamma"].items()}
    write_tree(tmp_path / "b.root", trees)
    mixed = events_of(ingest(make([str(tmp_path / "b.root")], LISTS), tmp_path), tmp_path)
    assert ak.array_equal(straight, mixed)


# What can be wrong --------------------------------------------------------------------------------------------


def _without(trees: dict[str, Any], tree: str, column: str) -> dict[str, Any]:
    return {t: {k: v for k, v in c.items() if (t, k) != (tree, column)} for t, c in trees.items()}


@pytest.mark.parametrize(
    ("spoil", "collections", "how", "message"),
    [
        (None, {"tracks": {"tree": "muons"}}, {}, r"a\.root has no tree 'muons'; trees in it: \['gamma', 'mu'\]"),
        (
            ("mu", "px"),
            LISTS,
            {},
            r"a\.root: mu: collections\.tracks: columns of px \(px\) are missing; there are: .*py",
        ),
        (("gamma", "__run__"), LISTS, {}, r"a\.root: gamma: columns \['run'\] are missing"),
        (
            None,
            {"tracks": {"tree": "mu", "columns": {"is_e": "electron_bdt"}}},
            {},
            r"is_e \(electron_bdt\) are missing.*say in columns",
        ),
        (None, {"tracks": {"tree": "mu", "prefixes": ["mu0"]}}, {}, r"px \(mu0_px\)"),
        (
            None,
            LISTS,
            {"kind": "simulation", "cross_section": 1.0, "n_generated": 10},
            "n_generated is 10, the files have 301",
        ),
    ],
)
def test_a_file_that_does_not_fit_is_one_error_and_nothing_is_written(
    spoil: tuple[str, str] | None,
    collections: dict[str, Any],
    how: dict[str, Any],
    message: str,
    make: Make,
    frame: Any,
    tmp_path: Path,
) -> None:
    trees = particle_lists(muon_pairs(RECOIL, frame))
    write_tree(tmp_path / "a.root", _without(trees, *spoil) if spoil else trees)
    out = tmp_path / "out"
    with pytest.raises(InputError, match=message):
        ingest(make([str(tmp_path / "a.root")], collections, **how), out)
    assert not out.exists()


def test_truncated_and_foreign_files(make: Make, frame: Any, tmp_path: Path) -> None:
    good = write_tree(tmp_path / "a.root", particle_lists(muon_pairs(RECOIL, frame)))
    (tmp_path / "b.root").write_bytes(good.read_bytes()[: good.stat().st_size // 2])
    planner = make([str(tmp_path)], LISTS)
    with pytest.raises(InputError, match=r"b\.root is truncated: it has \d+ bytes of \d+"):
        ingest(planner, tmp_path / "out")
    (tmp_path / "b.root").write_text("no ROOT file")
    with pytest.raises(InputError, match=r"b\.root is not a ROOT file"):
        ingest(planner, tmp_path / "out")
    shutil.copy(good, tmp_path / "b.root")
    with pytest.raises(InputError, match=r"b\.root has the same content as .*a\.root"):
        ingest(planner, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_files_without_events(make: Make, frame: Any, tmp_path: Path) -> None:
    trees = particle_lists(muon_pairs(RECOIL, frame))
    write_tree(tmp_path / "a.root", {t: {k: v[:0] for k, v in c.items()} for t, c in trees.items()})
    with pytest.raises(InputError, match=r"a\.root: no events in \['mu', 'gamma'\]; give files with events"):
        ingest(make([str(tmp_path / "a.root")], LISTS), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_simulation_that_is_called_data(make: Make, frame: Any, tmp_path: Path) -> None:
    write_tree(tmp_path / "a.root", particle_lists(muon_pairs(RECOIL, frame), experiment=1003))
    with pytest.raises(InputError, match="experiment 1003 is simulation in the name map, the sample says kind: data"):
        ingest(make([str(tmp_path / "a.root")], LISTS), tmp_path / "out")


def test_numbers_that_several_events_share_cannot_join_trees(make: Make, frame: Any, tmp_path: Path) -> None:
    trees = particle_lists(muon_pairs(RECOIL, frame), experiment=1003)
    for columns in trees.values():
        columns["__event__"] = (columns["__event__"] % 50).astype(np.int32)
    write_tree(tmp_path / "a.root", trees)
    with pytest.raises(InputError, match=r"tree mu: several events have the numbers \{'experiment': 1003"):
        ingest(make([str(tmp_path / "a.root")], LISTS, **SIMULATION), tmp_path / "out")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["none.root"], r"none\.root does not exist; give the path of a ROOT file or a folder"),
        (["none/*.root"], r"none/\*\.root: no file matches"),
        (["empty"], r"empty: this folder has no \*\.root files"),
    ],
)
def test_files_that_are_not_there(files: list[str], message: str, make: Make, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=message):
        make([str(tmp_path / f) for f in files], LISTS).ntuples("mine")


@pytest.mark.parametrize(
    ("sample", "how", "message"),
    [
        ({"process": "mumu"}, {}, "has a process .* or external .*, one of them"),
        ({"axes": {"mass": "m_a"}}, {}, "external samples have no axes"),
        ({}, {"kind": "simulation"}, "needs one of cross_section and luminosity"),
        (
            {},
            {"kind": "simulation", "cross_section": 1.0, "luminosity": 1.0},
            "needs one of cross_section and luminosity",
        ),
        ({}, {"kind": "data", "cross_section": 1.0}, "kind: data has neither cross_section"),
        ({}, {"kind": "mc"}, r"mine\.external\.kind: Input should be 'data' or 'simulation'"),
    ],
)
def test_wrong_sections(sample: dict[str, Any], how: dict[str, Any], message: str, make: Make) -> None:
    with pytest.raises(ConfigError, match=message):
        make(["a.root"], LISTS, sample, **how)


def test_unknown_names(make: Make, frame: Any, tmp_path: Path) -> None:
    write_tree(tmp_path / "a.root", particle_lists(muon_pairs(RECOIL, frame)))
    file = [str(tmp_path / "a.root")]
    with pytest.raises(ConfigError, match=r"unknown name map 'basf3'; did you mean 'basf2'. there are: basf2; or give"):
        make(file, LISTS, kind="data", map="basf3").ingest(W)
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: no such file"):
        make(file, LISTS, kind="data", map=str(tmp_path / "nowhere.yaml")).ingest(W)
    collections = {"tracks": {"tree": "mu", "columns": {"pT": "pt"}}}
    with pytest.raises(
        ConfigError, match=r"external\.collections\.tracks\.columns: unknown fields \['pT'\]; allowed: ch"
    ):
        ingest(make(file, collections), tmp_path / "out")
    with pytest.raises(ConfigError, match="column 'id_mu' needs above, below or both"):
        make(file, {"tracks": {"tree": "mu", "columns": {"is_mu": {"column": "id_mu"}}}})
    with pytest.raises(ConfigError, match="give at least one of tracks, clusters, klm_clusters"):
        make(file, {})


def test_where_external_samples_may_be_used(make: Make, tmp_path: Path) -> None:
    planner = make(["a.root"], LISTS)
    folder, search = tmp_path / "config", tmp_path / "config" / "searches" / "zprime_invisible.yaml"
    with pytest.raises(ConfigError, match="this sample is external: it has no process"):
        planner.generate(W)
    with pytest.raises(ConfigError, match="this sample is generated"):
        planner.ntuples("belle2_mumu_gamma")
    with pytest.raises(ConfigError, match="'belle2_mumu' is generated, not external"):
        load_campaign("tiny", config_dir=folder, overrides=[{"external": ["belle2_mumu"]}])
    text = search.read_text()
    search.write_text(text.replace("backgrounds: [", "backgrounds: [mine, "))
    with pytest.raises(ConfigError, match="'mine' is data; only simulation has a cross-section"):
        load_campaign("tiny", config_dir=folder)
    search.write_text(text.replace("sample: belle2_mumu_zprime", "sample: mine"))
    with pytest.raises(ConfigError, match="'mine' is external without points; a signal has its files by point"):
        load_campaign("tiny", config_dir=folder)
