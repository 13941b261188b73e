"""Signals that come as ntuples, files by mass point."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from ntuple_files import muon_pairs, particle_lists, write_tree

from darkfactory.config.check import check_campaign
from darkfactory.config.external import ExternalConfig
from darkfactory.config.load import validate
from darkfactory.config.resolve import load_campaign
from darkfactory.core.errors import ConfigError, InputError
from darkfactory.execute.backends import SerialBackend
from darkfactory.pipeline import ingest
from darkfactory.pipeline.beams import nominal_frame
from darkfactory.pipeline.jobs import jobs_of
from darkfactory.pipeline.parts import read_manifest
from darkfactory.pipeline.plan import Planner
from darkfactory.pipeline.request import Request
from darkfactory.pipeline.unblind import freeze
from darkfactory.records.manifest import Manifest

ROOT = Path(__file__).parents[3]
W = {"search": "zprime_invisible", "dataset": "belle2_80fb"}
SAMPLE = "my_zprime"
COLLECTIONS = {"tracks": {"tree": "mu"}, "clusters": {"tree": "gamma"}}
POINTS: list[dict[str, Any]] = [
    {"axes": {"mass": 3.0}, "files": ["three/*.root"], "n_generated": 400, "cross_section": "20 fb"},
    {"axes": {"mass": 0.5}, "files": ["half_a.root", "half_b.root"]},
]
SETTINGS = {
    "searches": {"zprime_invisible": ["belle2_80fb"]},
    "combinations": [],
    "overrides": {
        "zprime_invisible": {"datasets": {"belle2_80fb": {"hypotheses": {"zprime": {"sample": SAMPLE}}}}}
    },
}  # fmt: skip
Make = Callable[..., Planner]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "config", "config", ignore=shutil.ignore_patterns("schema.json"))

    def planner(points: list[dict[str, Any]] | None = None, settings: dict[str, Any] | None = None) -> Planner:
        external = {"kind": "simulation", "cross_section": "10 fb", "collections": COLLECTIONS}
        external["points"] = POINTS if points is None else points
        entry = {SAMPLE: {"detector": "belle2", "skims": ["dimuon_missing"], "external": external}}
        Path("config/samples").mkdir(exist_ok=True)
        Path("config/samples/mine.yaml").write_text(yaml.safe_dump(entry))
        return Planner(load_campaign("tiny", config_dir="config", overrides=[settings or SETTINGS]))

    return planner


def _write(name: str, mass: float, n: int, seed: int) -> None:
    beams = yaml.safe_load((ROOT / "config" / "detectors" / "belle2.yaml").read_text())["beams"]
    Path(name).parent.mkdir(exist_ok=True)
    momenta = muon_pairs(np.full(n, mass), nominal_frame(beams), seed)
    write_tree(Path(name), particle_lists(momenta, experiment=1003))


def _ingest(planner: Planner, block: str) -> Manifest:
    w = W | {"sample": SAMPLE, "block": block}
    out = f"{block}.json"
    inputs = {"ntuples": planner.ntuples(SAMPLE, block)}
    ingest.run(Request("ingest", inputs, {"manifest": out}, planner.ingest(w), "c"), SerialBackend(), lambda _: None)
    return read_manifest(out)


def test_points_are_read_with_their_own_normalisation(make: Make) -> None:
    for i, (name, mass) in enumerate([("three/a.root", 3.0), ("half_a.root", 0.5), ("half_b.root", 0.5)]):
        _write(name, mass, 100, i)
    planner = make()
    assert planner.campaign.points(*W.values(), "zprime") == ["m0p50000", "m3p00000"]
    assert planner.campaign.sample_blocks(SAMPLE) == {"b000": ["m0p50000", "m3p00000"]}
    parts = _ingest(planner, "b000").parts
    # 100 muon pairs and an event with nothing but a photon in each file
    assert [(p.point, p.chunk, p.n_generated, p.events) for p in parts] == [
        ("m0p50000", 0, 101, 101), ("m0p50000", 1, 101, 101), ("m3p00000", 0, 400, 101),
    ]  # fmt: skip
    assert [p.meta["sigma_fb"] for p in parts] == [10.0, 10.0, 20.0]
    # alone as in its block
    assert _ingest(planner, "m3p00000").parts[0].digest == parts[2].digest
    jobs = {j.output: j for j in jobs_of(planner)}
    stages = [j.stage for j in jobs.values() if j.wildcards.get("sample") == SAMPLE]
    assert stages == ["ingest", "skim", "trigger", "preselect", "select"]
    assert len(freeze(planner, W)["samples"][SAMPLE]["ingest"]["external"]["points"]) == 2
    check_campaign(planner.campaign)


def test_a_point_without_files(make: Make) -> None:
    planner = make()
    with pytest.raises(ConfigError, match=r"no files for m1p00000; own signals have the points .* m3p00000, m0p50000"):
        planner.ntuples(SAMPLE, "m1p00000")
    with pytest.raises(InputError, match=r"three/\*\.root: no file matches"):
        planner.ntuples(SAMPLE)


def test_masses_of_own_points_are_checked(make: Make) -> None:
    planner = make([{"axes": {"mass": 12.0}, "files": ["a.root"]}])
    with pytest.raises(
        ConfigError,
        match=r"mine\.yaml: my_zprime\.external\.points: mass 12 GeV must be .* below .* of 10",
    ):
        check_campaign(planner.campaign)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"external": [SAMPLE]}, r"external: 'my_zprime' is a signal, its files are by point"),
        (
            {"overrides": {"zprime_invisible": {"backgrounds": [SAMPLE]}}},
            r"backgrounds: 'my_zprime' is a signal, its files are by point",
        ),
        (
            {
                "searches": {"b_to_k_longlived": ["belle2_189fb"]},
                "overrides": {"b_to_k_longlived": {"hypotheses": {"kplus_mumu": {"sample": SAMPLE}}}},
            },
            r"hypotheses\.kplus_mumu\.reweighted: 'my_zprime' is external, and events are reweighted to \['lifetime'\]",
        ),
    ],
)
def test_signals_where_they_cannot_be(make: Make, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make(settings={"combinations": [], **settings})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"files": ["a.root"]}, "give files .* or points"),
        ({"points": []}, "give files .* or points"),
        ({"kind": "data", "cross_section": None}, "kind: data has files, not points"),
        ({"points": [POINTS[0], POINTS[0]]}, r"\['m3p00000'\] twice"),
        ({"cross_section": None}, r"points \['m0p50000'\] have no cross_section"),
        ({"points": [{"axes": {"width": 0.1}, "files": ["a"]}]}, r"axes \['width'\]: needs mass"),
        ({"n_generated": 5}, "n_generated is of each point"),
        ({"points": [{"axes": {"mass": 1.0}, "files": ["a"], "cross_section": "0 fb"}]}, "must be above 0"),
    ],
)
def test_what_points_may_not_say(wrong: dict[str, Any], message: str) -> None:
    value = {"kind": "simulation", "cross_section": "10 fb", "collections": COLLECTIONS, "points": POINTS, **wrong}
    with pytest.raises(ConfigError, match=message):
        validate(ExternalConfig, {k: v for k, v in value.items() if v is not None})
