"""A first look at ntuples of which is known what is in them."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot
import yaml
from ntuple_files import candidate_tree, muon_pairs, particle_lists, write_tree

from darkfactory.cli.main import main
from darkfactory.config.library import Library
from darkfactory.config.ntuples import name_map
from darkfactory.core.errors import InputError
from darkfactory.pipeline.beams import nominal_frame
from darkfactory.pipeline.inspect import look_at_trees
from darkfactory.store.ntuples import tree_names

ROOT = Path(__file__).parents[3]
N = 120
# all of them in the windows of the search
RECOIL = np.linspace(2.5, 6.0, N)
ARGUMENTS = ["--search", "zprime_invisible", "--dataset", "belle2_80fb", "-c", "tiny"]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the configuration and two ntuples of the same muon pairs."""
    shutil.copytree(ROOT / "config", tmp_path / "config", ignore=shutil.ignore_patterns("schema.json"))
    beams = yaml.safe_load((ROOT / "config" / "detectors" / "belle2.yaml").read_text())["beams"]
    momenta = muon_pairs(RECOIL, nominal_frame(beams))
    write_tree(tmp_path / "data.root", particle_lists(momenta))
    write_tree(tmp_path / "mc.root", candidate_tree(momenta))
    lists = particle_lists(momenta)
    write_tree(tmp_path / "two.root", {"mu": lists["mu"], "kaons": lists["mu"]})
    write_tree(tmp_path / "bare.root", {"t": {k: v for k, v in lists["mu"].items() if k.startswith("__")}})
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["darkfactory", "inspect", *arguments])
    try:
        main()
        code = 0
    except SystemExit as stop:
        code = int(stop.code or 0)
    out, err = capfd.readouterr()
    return code, out, err


def left(text: str, cut: str) -> int:
    found = re.search(rf"^{re.escape(cut)} +(\d+) ", text, re.MULTILINE)
    assert found, text
    return int(found.group(1))


def test_trees_and_their_columns_are_told(project: Path) -> None:
    assert tree_names("data.root") == ["gamma", "mu"]
    names = name_map(Library(project / "config"), "basf2")
    gamma, mu = look_at_trees("data.root", names)
    assert (mu.tree, mu.entries, mu.event_based) == ("mu", 2 * N, False)
    assert {"px", "py", "pz", "charge", "id_mu"} <= set(mu.columns)
    assert "id_e" in mu.all_nan
    assert "px" in gamma.missing


def test_events_through_a_search(
    project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    before = {p for p in project.rglob("*") if "config" not in p.parts}
    code, out, err = call(monkeypatch, capfd, "data.root", *ARGUMENTS, "--tracks", "mu", "--clusters", "gamma")
    assert code == 0, err
    # the last event of the file has one photon and no muons
    assert f"{N + 1} events in 1 files" in out
    skim, selection = out.split("zprime_invisible, candidates")
    assert left(skim, "all") == N + 1
    assert left(selection, "all") == N
    assert {p for p in project.rglob("*") if "config" not in p.parts} == before


@pytest.mark.parametrize(
    ("file", "more", "told"),
    [
        ("data.root", [], "taken as tracks: mu; clusters: gamma "),
        ("mc.root", ["--simulation"], "taken as tracks: variables:mu0,mu1; clusters: variables:gamma0 "),
    ],
)
def test_trees_are_found_by_their_branches(
    file: str, more: list[str], told: str, project: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    code, out, err = call(monkeypatch, capfd, file, *ARGUMENTS, *more)
    assert code == 0, err
    assert told in out
    assert left(out.split("candidates")[1], "all") == N


def test_simulation_with_daughters_is_the_same(
    project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    trees = ["--tracks", "variables:mu0,mu1", "--clusters", "variables:gamma0", "--simulation"]
    code, out, err = call(monkeypatch, capfd, "mc.root", *ARGUMENTS, *trees)
    assert code == 0, err
    assert left(out.split("candidates")[1], "all") == N


def test_without_a_search_the_branches_are_listed(
    project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = call(monkeypatch, capfd, "data.root")
    assert code == 0
    assert f"data.root: mu: {2 * N} rows, candidate based" in out
    assert re.search(r"\d+ of the name map, missing: ", out)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["bare.root", *ARGUMENTS],
            r"which rows are tracks.*no tree has them: t \(experiment, .*write the ntuple",
        ),
        (["two.root", *ARGUMENTS], r"several trees have \{'tracks': \['kaons', 'mu'\]\}\. Say it with --tracks"),
        (["data.root", *ARGUMENTS, "--tracks", "mu", "--sample", "x"], "leave --tracks, --clusters and --klm out"),
        (["data.root", *ARGUMENTS, "--sample", "belle2_tautau"], "'belle2_tautau' is no external sample"),
        (["data.root", *ARGUMENTS, "--tracks", "muons"], "data.root has no tree 'muons'; trees in it: .'gamma', 'mu'"),
        (["mc.root", *ARGUMENTS, "--tracks", "variables:mu0,mu1"], "is simulation in the name map, the sample says"),
        (["none.root"], "none.root does not exist"),
    ],
)
def test_mistakes_are_one_message(
    arguments: list[str], message: str, project: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    code, _, err = call(monkeypatch, capfd, *arguments)
    assert code == 2
    assert re.search(message, err), err


def test_a_file_without_trees_is_told(tmp_path: Path) -> None:
    with uproot.recreate(tmp_path / "h.root") as file:
        file["h"] = np.histogram([1.0, 2.0], bins=2)
    with pytest.raises(InputError, match=r"has no trees, only .'h'.; write the rows as a TTree"):
        tree_names(tmp_path / "h.root")
