# ruff: noqa: E501
"""The likely mistakes of new users, and what the answer must say: data for ``test_mistakes``.

``COMMANDS`` are wrong command lines in a folder as it should be; ``FILES`` are wrong configuration files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

__all__ = ["COMMANDS", "FILES", "Mistake", "apply"]

Change = Callable[[Path], None]
CHECK = ("config", "check")
SEARCH = "config/searches/alp_3gamma.yaml"
RECAST = ("recast", "-s", "alp_3gamma", "-m", "mine.yaml", "--limits")
ALP = ("alp_3gamma", "belle2_445pb")


@dataclass(frozen=True)
class Mistake:
    """One mistake: what was typed after some files were changed, and a pattern that the message must have."""

    name: str
    arguments: tuple[str, ...]
    message: str
    change: Change | None = None


def apply(mistake: Mistake, folder: Path) -> None:
    """Make the changes of a mistake in a project's folder."""
    if mistake.change is not None:
        mistake.change(folder)


def _set(file: str, path: str, value: Any) -> Change:
    """Set a key of a YAML file by its dotted path; numbers are positions in lists, None takes the key out."""

    def change(folder: Path) -> None:
        content = yaml.safe_load((folder / file).read_text())
        at: Any = content
        *parents, last = [int(k) if k.isdigit() else k for k in path.split(".")]
        for key in parents:
            at = at[key]
        if value is None:
            del at[last]
        else:
            at[last] = value
        _write(folder / file, yaml.safe_dump(content, sort_keys=False))

    return change


def _write(file: Path, text: str) -> None:
    # files of the project are links to those of the repository
    file.unlink(missing_ok=True)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def _text(file: str, text: str) -> Change:
    def change(folder: Path) -> None:
        _write(folder / file, text)

    return change


def _table(text: str, encoding: str = "utf-8") -> Change:
    """A table of limits, and a model to read it with."""

    def change(folder: Path) -> None:
        _write(folder / "mine.yaml", "name: mine\ncoupling: g\nrate_fb: {formula: 2 * mass}\n")
        (folder / "t.csv").write_bytes(text.encode(encoding))

    return change


def _external(**wrong: Any) -> Change:
    """An external sample in the catalogue and in the campaign, wrong in some keys."""
    entry: dict[str, Any] = {
        "files": ["ntuples/*.root"], "kind": "data", "luminosity": "1 /fb", "collections": {"tracks": {"tree": "mu"}},
    }  # fmt: skip
    entry = {k: v for k, v in {**entry, **wrong}.items() if v is not None}

    def change(folder: Path) -> None:
        file = folder / "config" / "samples.yaml"
        mine = {"mine": {"detector": "belle2", "skims": ["dimuon_missing"], "external": entry}}
        _write(file, file.read_text() + "\n" + yaml.safe_dump(mine))
        _set("config/campaigns/small.yaml", "external", ["mine"])(folder)

    return change


def _wrong(name: str, path: str, value: Any, message: str, file: str = SEARCH) -> Mistake:
    return Mistake(name, CHECK, message, _set(file, path, value))


TEXT = _text("text.root", "no ROOT\n" * 99)

COMMANDS: tuple[Mistake, ...] = (
    Mistake("no such command", ("nonsense",), "No such command 'nonsense'"),
    Mistake("misspelt command", ("limitt", *ALP, "0.5"), "No such command 'limitt'.*Did you mean.*limit"),
    Mistake("underscore in a command", ("new_search", "x"), "No such command 'new_search'.*Did you mean.*new-search"),
    Mistake("misspelt subcommand", ("config", "chek"), "No such command 'chek'.*Did you mean.*check"),
    Mistake("misspelt option", ("run", "--campain", "tiny"), "No such option.*--campain.*--campaign"),
    Mistake("argument missing", ("limit", "alp_3gamma"), "Missing argument 'DATASET'"),
    Mistake("argument too many", ("cutflow", "a", "b", "c"), r"unexpected extra argument \(c\)"),
    Mistake("option without value", ("config", "check", "-c"), "requires an argument"),
    Mistake("cores are a word", ("run", "--cores", "two"), "'two' is not a valid integer"),
    Mistake("no core", ("run", "--cores", "0"), "0 is not in the range x>=1"),
    Mistake("negative cores", ("limit", "--cores", "-2", *ALP, "0.5"), "-2 is not in the range x>=1"),
    Mistake("setting without value", (*CHECK, "--set", "events.signal"), "write --set path.to.key=value"),
    Mistake("misspelt key", (*CHECK, "--set", "events.sginal=5"), "events.sginal: unknown key; did you mean 'signal'"),
    Mistake("no events", (*CHECK, "--set", "events.signal=0"), "events.signal: .*greater than 0, got 0"),
    Mistake("events are a word", (*CHECK, "--set", "events.signal=many"), "events.signal: .*valid integer.*got 'many'"),
    Mistake("events are a fraction", (*CHECK, "--set", "events.signal=1.5"), "events.signal: .*integer.*got 1.5"),
    Mistake("negative seed", (*CHECK, "--set", "seed=-1"), "seed: .*greater than or equal to 0, got -1"),
    Mistake("broken value of a setting", (*CHECK, "--set", "searches=[a"), r"--set.*'searches=\[a'.*YAML"),
    Mistake("setting of a part of a number", (*CHECK, "--set", "seed.x=1"), "seed: .*valid integer"),
    Mistake("misspelt campaign", (*CHECK, "-c", "smal"), "'smal' is unknown; did you mean 'small'"),
    Mistake("campaign as a path", (*CHECK, "-c", "config/campaigns/small.yaml"), "unknown; did you mean 'small'"),
    Mistake("campaign without name", (*CHECK, "-c", ""), "'' is unknown.*There are: small"),
    Mistake("no configuration folder", (*CHECK, "--config-dir", "conf"), "conf: no such folder; run from the project's top level"),
    Mistake("a file as configuration folder", (*CHECK, "--config-dir", "Snakefile"), "Snakefile: no such folder"),
    Mistake("misspelt search in a setting", (*CHECK, "--set", "searches.alp_3gama=[]"), "did you mean 'alp_3gamma'"),
    Mistake("unknown dataset in a setting", (*CHECK, "--set", "searches.alp_3gamma=[belle2]"), "Allowed: belle2_445pb"),
    Mistake("unknown grid", (*CHECK, "--set", "grid=huge"), "unknown 'huge'.*laptop"),
    Mistake("grid is misspelt", (*CHECK, "--set", "grid=lapto"), "unknown 'lapto'; did you mean 'laptop'"),
    Mistake("data is a word", (*CHECK, "--set", "data=real"), "data: .*'pseudo' or 'asimov', got 'real'"),
    Mistake("misspelt search", ("run", "-s", "alp_3gama"), "'alp_3gama' is not in campaign small; did you mean 'alp_3ga"),
    Mistake("search of another campaign", ("run", "-s", "tau_mass"), r"'tau_mass' is not in campaign small.*it has \["),
    Mistake("misspelt dataset", ("run", "-s", "alp_3gamma", "-d", "belle2_445fb"), "did you mean 'belle2_445pb'"),
    Mistake("dataset without search", ("run", "-d", "belle2_445pb"), "--dataset needs --search"),
    Mistake("unknown site", ("run", "--site", "slrum"), "there is no site 'slrum'.*"),
    Mistake("not a project", ("run",), "no Snakefile in .*; run from the project's top level",
            lambda d: (d / "Snakefile").unlink()),
    Mistake("cutflow before a run", ("cutflow", "alp_3gamma"), "no such file; run the stage that makes it first"),
    Mistake("dataset of another search", ("cutflow", "alp_3gamma", "belle2_80fb"), "no dataset 'belle2_80fb'.*it has"),
    Mistake("mass is a word", ("limit", *ALP, "heavy"), "'heavy' is no point name"),
    Mistake("mass with a unit", ("limit", *ALP, "500 MeV"), "'500 MeV' is no point name.*in GeV"),
    Mistake("mass with a comma", ("limit", *ALP, "0,5"), "'0,5' is no point name"),
    Mistake("mass above the beams' energy", ("limit", *ALP, "12"), "mass 12 GeV must be .* below the centre-of-mass"),
    Mistake("mass out of the search's range", ("limit", *ALP, "0.05"), "mass 0.05 GeV is outside the 0.2 to 9.7 GeV"),
    Mistake("mass in MeV", ("limit", *ALP, "500"), "mass 500 GeV must be .*below the centre-of-mass"),
    Mistake("mass is not a number", ("limit", *ALP, "nan"), "'nan' is no point name|must be"),
    Mistake("negative mass", ("limit", *ALP, "--", "-1"), "mass -1 GeV must be at least 0|'-1'"),
    Mistake("point with an axis too many", ("limit", *ALP, "m0p50000_w0p10000"), "alp_3gamma.*axes"),
    Mistake("compare without reference", ("compare", "alp_3gamma"), "Missing option '--reference'"),
    Mistake("compare with no file", ("compare", "alp_3gamma", "--reference", "no.csv"), "no.csv: no such file"),
    Mistake("compare before a run", ("compare", "alp_3gamma", "--reference", "config/config.yaml"),
            "needs the columns mass_GeV and limit|no such file"),
    Mistake("export without a choice", ("export", "pyhf", "-s", "alp_3gamma"), "takes either --point"),
    Mistake("export before a run", ("export", "pyhf", "-s", "alp_3gamma", "-p", "m0p50000"), "run the search first"),
    Mistake("export of an unknown hypothesis", ("export", "pyhf", "-s", "alp_3gamma", "-p", "0.5", "--hypothesis", "a"),
            r"it has \['alp'\]"),
    Mistake("limit of a measurement", ("limit", "tau_mass", "belle2_190fb", "1.777"), "measurement: it has no limits, its result is measurement.json",
            _set("config/campaigns/small.yaml", "searches", {"tau_mass": []})),
    Mistake("cutflow of a control sample", ("cutflow", "control_ee"), "control: it has no table of cuts",
            _set("config/campaigns/small.yaml", "searches", {"control_ee": []})),
    Mistake("hepdata of a control sample", ("export", "hepdata", "-s", "control_ee"), "control.*its result is corrections.json",
            _set("config/campaigns/small.yaml", "searches", {"control_ee": []})),
    Mistake("hepdata before a run", ("export", "hepdata", "-s", "alp_3gamma"), "run the search first|no such file"),
    Mistake("project to a word", ("project", *ALP, "-l", "1 /ab"), "'1 /ab' is not a valid float"),
    Mistake("project to nothing", ("project", *ALP, "-l", "-5"), "-5.*(positive|above 0|greater)"),
    Mistake("project with an unknown rule", ("project", *ALP, "-r", "halve"), "'halve'.*(there are|known|has)"),
    Mistake("unknown combination", ("combine", "lmutau"), "'lmutau'"),
    Mistake("diagnose without a search", ("diagnose", "impacts"), "give either SEARCH DATASET POINT or --workspace"),
    Mistake("unknown menu", ("trigger", "show", "run1_2022"), "'run1_2022' is no menu and no period"),
    Mistake("rates before a run", ("trigger", "rates", "run1_2020"), "darkfactory run results/small/trigger"),
    Mistake("why of nothing", ("why", "results/small/nothing.json"), "nothing.json"),
    Mistake("retry without --failed", ("retry",), "Missing option '--failed'"),
    Mistake("recast without a model", ("recast", "-s", "alp_3gamma"), "Missing option '--model'"),
    Mistake("recast of no file", ("recast", "-s", "alp_3gamma", "-m", "mine.yaml"), "mine.yaml: no such file"),
    Mistake("recast without a rate", ("recast", "-s", "alp_3gamma", "-m", "mine.yaml"), "mine.yaml.*(rate|required)",
            _text("mine.yaml", "name: mine\ncoupling: g\n")),
    Mistake("recast with an unknown function", ("recast", "-s", "alp_3gamma", "-m", "mine.yaml"), "sinus",
            _text("mine.yaml", "name: mine\ncoupling: g\nrate_fb: {formula: sinus(mass)}\n")),
    Mistake("recast with a misspelt name", ("recast", "-s", "alp_3gamma", "-m", "mine.yaml"), "masss",
            _text("mine.yaml", "name: mine\ncoupling: g\nrate_fb: {formula: 2 * masss}\n")),
    Mistake("recast of an unknown hypothesis", ("recast", "-s", "alp_3gamma", "-m", "mine.yaml"), r"it has \['alp'\]",
            _text("mine.yaml", "name: mine\ncoupling: g\nhypothesis: x\nrate_fb: {formula: 2 * mass}\n")),
    Mistake("recast of an empty table", (*RECAST, "t.csv"), "t.csv: holds no table", _table("")),
    Mistake("recast of a table without rows", (*RECAST, "t.csv"), "has no rows", _table("mass_GeV,limit\n")),
    Mistake("recast of other columns", (*RECAST, "t.csv"), r"needs the columns mass_GeV and limit.*\['m', 'l'\]", _table("m,l\n1,2\n")),
    Mistake("recast of a negative mass", (*RECAST, "t.csv"), "mass_GeV is -1 in row 1.*0 or more", _table("mass_GeV,limit\n-1,2\n")),
    Mistake("recast of a negative limit", (*RECAST, "t.csv"), "limit is -2 in row 2.*above 0", _table("mass_GeV,limit\n1,2\n2,-2\n")),
    Mistake("recast of a word", (*RECAST, "t.csv"), "limit is '2 fb' in row 1.*above 0", _table("mass_GeV,limit\n1,2 fb\n")),
    Mistake("recast of no limits", (*RECAST, "t.csv"), "no row of the table has a limit", _table("mass_GeV,limit\n1,\n")),
    Mistake("recast of a table in another encoding", (*RECAST, "t.csv"), "no text in UTF-8", _table("mass_GeV,limit\n1,2 \xb5b\n", "latin-1")),
    Mistake("recast of a folder", (*RECAST, "config"), "config: cannot be read: Is a directory; give a CSV file", _table("")),
    Mistake("output into a file", (*RECAST, "t.csv", "-o", "Snakefile/x"), "Snakefile.*: Not a directory; choose", _table("mass_GeV,limit\n1,2\n")),
    Mistake("inspect nothing", ("inspect",), r"Missing argument 'FILES...'"),
    Mistake("inspect no file", ("inspect", "data.root"), "data.root does not exist; give the path of a ROOT file"),
    Mistake("inspect an empty pattern", ("inspect", "ntuples/*.root"), "no file matches; patterns are relative to"),
    Mistake("inspect an empty folder", ("inspect", "config"), r"this folder has no \*.root files"),
    Mistake("inspect a table", ("inspect", "config/config.yaml"), "config.yaml.*ROOT"),
    Mistake("inspect text called root", ("inspect", "text.root"), "text.root.*ROOT", TEXT),
    Mistake("inspect an empty file", ("inspect", "empty.root"), "empty.root.*(empty|ROOT)", _text("empty.root", "")),
    Mistake("inspect with an unknown map", ("inspect", "text.root", "--map", "basf3"), "'basf3'.*did you mean 'basf2'", TEXT),
    Mistake("inspect with a map of no file", ("inspect", "text.root", "--map", "my.yaml"), "my.yaml: no such file", TEXT),
    Mistake("inspect through an unknown search", ("inspect", "text.root", "-s", "alp_gamma"), "did you mean 'alp_3gamma'", TEXT),
    Mistake("new search with a taken name", ("new-search", "alp_3gamma"), "exists and is not overwritten"),
    Mistake("new search with a bad name", ("new-search", "My Search"), "no name of a search.*'my_search'"),
    Mistake("new search like none", ("new-search", "x", "--like", "zprime"), "'zprime' is unknown"),
)  # fmt: skip
"""Command lines."""

FILES: tuple[Mistake, ...] = (
    Mistake("broken YAML", CHECK, "alp_3gamma.yaml: line 3: .*mend the YAML", _text(SEARCH, "name: a\ntitle: b\n  c: d\n")),
    Mistake("tabs in YAML", CHECK, "alp_3gamma.yaml: line 2: .*(tab|mend)", _text(SEARCH, "name: a\n\ttitle: b\n")),
    Mistake("a list in place of a mapping", CHECK, "alp_3gamma.yaml: holds a list", _text(SEARCH, "- name: a\n")),
    Mistake("an empty file", CHECK, "alp_3gamma.yaml: .*required", _text(SEARCH, "")),
    Mistake("a key given twice", CHECK, "key 'seed' is given twice",
            _text("config/campaigns/small.yaml", "campaign: small\nseed: 1\nseed: 2\n")),
    Mistake("campaign extends itself", CHECK, "extends itself: small -> small",
            _set("config/campaigns/small.yaml", "extends", "small")),
    Mistake("campaign extends none", CHECK, "'lapdog' is unknown", _set("config/campaigns/small.yaml", "extends", "lapdog")),
    Mistake("no default campaign", CHECK, "config.yaml: no such file",
            lambda d: (d / "config" / "config.yaml").unlink()),
    Mistake("events of an unknown sample", CHECK, "events.samples: unknown 'belle2_gamma_al'; did you mean",
            _set("config/campaigns/small.yaml", "events.samples", {"belle2_gamma_al": 5})),
    Mistake("override of no search", CHECK, "overrides.*'alp_3gama'.*did you mean",
            _set("config/campaigns/small.yaml", "overrides", {"alp_3gama": {}})),
    _wrong("file of another name", "name", "alp", "name: .*'alp'.*alp_3gamma"),
    _wrong("misspelt section", "backgruonds", [], "backgruonds: unknown key; did you mean 'backgrounds'"),
    _wrong("section missing", "datasets", None, "datasets: this key is required"),
    _wrong("wrong unit", "datasets.belle2_445pb.luminosity", "445 fb", "unit 'fb' is no unit of luminosity; allowed are /fb"),
    _wrong("unit without number", "datasets.belle2_445pb.luminosity", "/fb", "'/fb' is no luminosity"),
    _wrong("negative luminosity", "datasets.belle2_445pb.luminosity", "-1 /fb", "luminosity: .*greater than 0"),
    _wrong("number without source", "datasets.belle2_445pb.luminosity_uncertainty", {"value": 0.01},
           "luminosity_uncertainty.source: this key is required"),
    _wrong("unknown source", "datasets.belle2_445pb.luminosity_uncertainty", {"value": 0.01, "source": "guess"},
           "source: .*'published'.*got 'guess'"),
    _wrong("number where a tagged one is due", "datasets.belle2_445pb.luminosity_uncertainty", 0.01,
           "luminosity_uncertainty: .*value.*source"),
    _wrong("unknown period", "datasets.belle2_445pb.period", "run1_2025", "no period 'run1_2025'; did you mean"),
    _wrong("misspelt sample", "hypotheses.alp.sample", "belle2_gama_alp", "did you mean 'belle2_gamma_alp'"),
    _wrong("misspelt background", "backgrounds", ["belle2_ee_gama"], "did you mean 'belle2_ee_gamma'"),
    _wrong("background of another detector", "backgrounds", ["babar_four_muon"], "babar"),
    _wrong("no hypothesis", "hypotheses", {}, "hypotheses: .*at least 1"),
    _wrong("unknown axis", "hypotheses.alp.grids.tiny", [{"axes": {"mas": {"values": [1.0]}}}], "'mas'.*mass"),
    _wrong("no mass", "hypotheses.alp.grids.tiny", [{"axes": {"mass": {"values": []}}}], "grids.tiny"),
    _wrong("mass is text", "hypotheses.alp.grids.tiny", [{"axes": {"mass": {"values": ["1 TeV"]}}}], "values.*'1 TeV'"),
    _wrong("negative step", "hypotheses.alp.grids.tiny", [{"axes": {"mass": {"segments": [[1.0, 2.0, -0.5]]}}}],
           "segment.*(step|positive|-0.5)"),
    _wrong("segment ends before it starts", "hypotheses.alp.grids.tiny",
           [{"axes": {"mass": {"segments": [[2.0, 1.0, 0.5]]}}}], "segment.*2.0"),
    _wrong("masses above the beams' energy", "hypotheses.alp.grids.tiny", [{"axes": {"mass": {"values": [20.0]}}}],
           "(20|no point|mass_range)"),
    _wrong("no trigger line of the menu", "datasets.belle2_445pb.trigger", {"l1": ["hiee"]}, "line 'hiee'; did you mean 'hie'"),
    _wrong("unknown candidate", "selection.candidate", "photon_triplets", "selection.candidate: .*did you mean 'photon_triplet'"),
    _wrong("unknown observable", "selection.cuts.0.observable", "n_trakcs", "'n_trakcs'.*did you mean 'n_tracks'"),
    _wrong("cut without bounds", "selection.cuts.0.max", None, "neither min nor max"),
    _wrong("cut that nothing passes", "selection.cuts.0.min", 5, "min.*max"),
    _wrong("cut named twice", "selection.cuts.1.name", "neutral", r"cut names \['neutral'\] occur more than once"),
    _wrong("cut with a wrong unit", "selection.cuts.1.min", "37.3 GeV", "'37.3 GeV'.*(rad|deg)"),
    _wrong("cut with a misspelt unit", "selection.cuts.1.min", "37.3 degrees", "'37.3 degrees'.*deg"),
    _wrong("cut with a capital", "selection.cuts.0.name", "Neutral", "name: .*pattern|name.*small"),
    _wrong("unknown key of an object", "selection.objects.photons.minE", 0.1, "did you mean 'min_e'"),
    _wrong("parameter of no observable", "selection.parameters", {"n_close": {"dtheta": 0.1}}, "'n_close'"),
    _wrong("unknown kept observable", "selection.observables", ["m_ggg"], "'m_ggg'.*did you mean"),
    _wrong("unknown signal shape", "templates.signal", "gaussian", "templates.*signal: .*'parametric' or 'simulation'"),
    _wrong("no region", "templates.regions", [], "regions: .*at least 1"),
    _wrong("empty region", "templates.regions.0.observable_range", [24.0, 0.0], "observable_range is empty"),
    _wrong("overlapping regions", "templates.regions.1.mass", [1.0, 9.7], "regions overlap"),
    _wrong("fit of an unknown column", "templates.regions.0.observable", "m2_ggg", "'m2_ggg'.*did you mean 'm2_gg'"),
    _wrong("mask without name", "templates.masks", [{"mass": [1.0, 2.0]}], "masks.*name: this key is required"),
    _wrong("mask from right to left", "templates.masks", [{"name": "x", "mass": [2.0, 1.0]}], "masks.*2.0"),
    _wrong("orders from right to left", "templates.polynomial.orders", [5, 2], "lowest <= highest"),
    _wrong("settings of no background", "templates.samples", {"belle2_ee_gama": {}}, "'belle2_ee_gama'.*did you mean"),
    _wrong("confidence level in per cent", "statistics.cls", [95], "statistics.*(95|between|less than 1)"),
    _wrong("unknown method", "statistics.method", "bayesian", "method.*'auto'.*got 'bayesian'"),
    _wrong("model of no hypothesis", "interpretation.models.alp_photons.hypothesis", "axion", "models.alp_photons.hypothesis: unknown 'axion'.*alp"),
    _wrong("unknown branching fraction", "interpretation.models.alp_photons.branching_fraction", "one", "'unity'.*got 'one'"),
    _wrong("power of zero", "interpretation.models.alp_photons.power", 0, "power: .*greater than 0"),
    _wrong("two origins of a sample", "belle2_gamma_alp.external", {}, "external|one of them", "config/samples.yaml"),
    _wrong("sample without origin", "belle2_gamma_alp.process", None, "a process .*or external", "config/samples.yaml"),
    _wrong("unknown process", "belle2_gamma_alp.process", "gamma_axion", "process: unknown 'gamma_axion'", "config/samples.yaml"),
    _wrong("unknown detector", "belle2_gamma_alp.detector", "belle3", "unknown 'belle3'; did you mean 'belle",
           "config/samples.yaml"),
    _wrong("unknown skim", "belle2_gamma_alp.skims", ["alp"], "skims: unknown 'alp'", "config/samples.yaml"),
    _wrong("no skim", "belle2_gamma_alp.skims", [], "skims: .*at least 1", "config/samples.yaml"),
    _wrong("parameter of no model", "belle2_gamma_alp.axes.mass", "m_axion", "m_axion", "config/samples.yaml"),
    _wrong("simulation out of range", "belle2_ee_gamma.simulate.force_track_loss", 1.5, "force_track_loss: .*less than 1",
           "config/samples.yaml"),
    _wrong("unknown option of the simulation", "belle2_ee_gamma.simulate.force_loss", 0.5, "force_loss: unknown key",
           "config/samples.yaml"),
    _wrong("unknown particle", "final", ["gamma", "axion"], "axion", "config/processes/gamma_alp.yaml"),
    _wrong("cut on a particle that is not there", "cuts", {"legs": [{"leg": "mu-", "e_cms_min": 1.0}]}, "mu-",
           "config/processes/gamma_alp.yaml"),
    _wrong("decay to nothing", "decays.a.products", ["gamma"], "products", "config/processes/gamma_alp.yaml"),
    Mistake("data with a cross-section", CHECK, "kind: data has neither cross_section", _external(cross_section="1 pb")),
    Mistake("simulation without rate", CHECK, "needs one of cross_section and luminosity",
            _external(kind="simulation", luminosity=None)),
    Mistake("unknown kind", CHECK, "kind: .*'data' or 'simulation', got 'mc'", _external(kind="mc")),
    Mistake("no collections", CHECK, "give at least one of tracks, clusters", _external(collections={})),
    Mistake("misspelt collection", CHECK, "did you mean 'tracks'", _external(collections={"track": {"tree": "mu"}})),
    Mistake("decision without bounds", CHECK, "needs above, below or both",
            _external(collections={"tracks": {"tree": "mu", "columns": {"is_mu": {"column": "id_mu"}}}})),
    Mistake("unknown name map", CHECK, "'basf3'.*did you mean 'basf2'", _external(map="basf3")),
    Mistake("no files", CHECK, "give files .*or points", _external(files=[])),
)  # fmt: skip
"""Configuration files."""
