from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest

from darkfactory.cli.main import COMMANDS
from darkfactory.config.check import check_campaign
from darkfactory.config.interpretation import ModelInterpretation
from darkfactory.config.library import Library
from darkfactory.config.load import validate
from darkfactory.config.model import ModelConfig
from darkfactory.config.period import load_periods, period_menu
from darkfactory.config.process import ProcessConfig
from darkfactory.config.resolve import load_campaign
from darkfactory.config.sample import SampleConfig
from darkfactory.config.search import SearchFile
from darkfactory.interpret.couplings import BRANCHING_FRACTIONS
from darkfactory.pipeline.layout import PATTERNS
from darkfactory.select.registry import CANDIDATES, OBSERVABLES

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "darkfactory"
LIBRARY = Library(ROOT / "config")
SEARCHES = LIBRARY.names("searches")
SAMPLES = LIBRARY.file("samples.yaml")
MODULES = sorted(SOURCE.rglob("*.py"))


def search_file(name: str) -> SearchFile:
    return validate(SearchFile, LIBRARY.get("searches", name), file=name)


@pytest.mark.parametrize("name", LIBRARY.names("campaigns"))
def test_campaigns_are_called_as_their_files_and_pass_every_check(name: str) -> None:
    campaign = load_campaign(name, config_dir=LIBRARY.root)
    assert campaign.config.campaign == name
    assert len(check_campaign(campaign)) == len(campaign.samples) + len(campaign.searches)


@pytest.mark.parametrize("name", SAMPLES)
def test_samples_name_what_exists(name: str) -> None:
    sample = validate(SampleConfig, SAMPLES[name], where=name)
    assert sample.process in LIBRARY.names("processes")
    assert sample.detector in LIBRARY.names("detectors")
    assert set(sample.skims) <= set(LIBRARY.names("skims"))
    process = validate(ProcessConfig, LIBRARY.get("processes", sample.process), file=sample.process)
    if process.uses_model:
        parameters = set(validate(ModelConfig, LIBRARY.get("models", process.model)).parameters)
        # not of the model: the resonance shape of a wide leg
        allowed = parameters | ({"width_over_mass"} if process.wide else set())
        assert set(sample.axes.values()) | set(sample.parameters) | set(process.parameters) <= allowed


@pytest.mark.parametrize("name", LIBRARY.names("processes"))
def test_processes_are_called_as_their_files_and_use_particles_of_their_model(name: str) -> None:
    process = validate(ProcessConfig, LIBRARY.get("processes", name), file=name)
    assert process.name == name
    if process.uses_model:
        model = validate(ModelConfig, LIBRARY.get("models", process.model), file=process.model)
        decayed = [p for d in process.decays.values() for mode in d.alternatives for p in mode.products]
        for particle in [*process.initial, *process.final, *process.exclude_internal, *decayed]:
            model.particle(particle)


@pytest.mark.parametrize("name", SEARCHES)
def test_searches_name_samples_periods_and_registered_code(name: str) -> None:
    file = search_file(name)
    assert file.name == name
    assert set(file.backgrounds) <= set(SAMPLES)
    assert {h.sample for h in file.hypotheses.values()} <= set(SAMPLES)
    periods = load_periods(LIBRARY.root / "periods.yaml").periods
    for dataset in file.datasets.values():
        assert dataset.period in periods
        menu = period_menu(periods[dataset.period], LIBRARY.root / "triggers")
        assert set(dataset.trigger.get("l1", ())) <= set(menu.l1_names)
        assert set(dataset.trigger.get("hlt", ())) <= set(menu.hlt_names)


@pytest.mark.parametrize("name", SEARCHES)
def test_cuts_and_inputs_are_registered_observables(name: str) -> None:
    file = search_file(name)
    for dataset, data in file.datasets.items():
        selection: dict[str, Any] = {**file.selection, **data.selection}
        assert selection["candidate"] in CANDIDATES
        known = set(OBSERVABLES[selection["candidate"]])
        network = data.network or file.network or {}
        used = [c["observable"] for c in selection.get("cuts", ())] + list(selection.get("observables") or ())
        used += [k for c in selection.get("cuts", ()) for k in c.get("when", {})]
        used += [i["observable"] for i in network.get("inputs", ())] + list(network.get("plane", ()))
        assert set(used) <= known, f"{name}/{dataset}"


def test_branching_fractions_of_the_configuration_are_the_registered_ones() -> None:
    allowed = ModelInterpretation.model_fields["branching_fraction"].annotation
    assert set(getattr(allowed, "__args__", ())) == set(BRANCHING_FRACTIONS)


def test_every_grid_has_every_campaigns_grid_name() -> None:
    grids = {load_campaign(n, config_dir=LIBRARY.root).config.grid for n in LIBRARY.names("campaigns")}
    for name in SEARCHES:
        for hypothesis in search_file(name).hypotheses.values():
            assert grids <= set(hypothesis.grids), name


def test_every_rule_runs_a_stage_module_and_writes_a_known_output() -> None:
    stages, outputs = set(), set()
    for file in (ROOT / "rules").glob("*.smk"):
        stages |= set(re.findall(r'stage="(\w+)"', file.read_text()))
        outputs |= set(re.findall(r'PATTERNS\["(\w+)"\]', file.read_text()))
    assert stages
    assert {s for s in stages if not (SOURCE / "pipeline" / f"{s}.py").exists()} == set()
    assert outputs <= set(PATTERNS)


def test_every_stage_of_a_rule_has_its_page() -> None:
    rules = {f.stem for f in (ROOT / "rules").glob("*.smk")} - {"common", "collect"}
    pages = {f.stem for f in (ROOT / "docs" / "stages").glob("*.md")}
    assert rules - pages == set()


def test_links_between_pages_lead_somewhere() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} links to {target}"


def test_commands_that_the_readme_shows_exist() -> None:
    shown = set(re.findall(r"^darkfactory ([\w-]+)", (ROOT / "README.md").read_text(), flags=re.MULTILINE))
    assert shown
    assert shown <= set(COMMANDS)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_modules_are_documented_and_say_what_is_public(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), f"{path.name} has no docstring"
    if path.name == "__init__.py":
        return
    public = [n.value for n in tree.body if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == "__all__"]
    assert len(public) == 1, f"{path.name} has no __all__"
    names = ast.literal_eval(public[0])
    assert len(set(names)) == len(names)
    defined = {n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    targets = [t for n in tree.body if isinstance(n, ast.Assign) for t in n.targets]
    assigned = {n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)}
    assigned |= {ast.unparse(n.target) for n in tree.body if isinstance(n, ast.AnnAssign)}
    assigned |= {a.asname or a.name for n in tree.body if isinstance(n, ast.ImportFrom) for a in n.names}
    assert set(names) <= defined | assigned, f"{path.name} exports what it does not define"


def test_functions_of_physics_and_models_have_examples_with_numbers() -> None:
    lacking = []
    for package in ("physics", "models"):
        for path in (SOURCE / package).rglob("*.py"):
            tree = ast.parse(path.read_text())
            for node in tree.body:
                if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                    lacking += [] if ">>>" in (ast.get_docstring(node) or "") else [f"{path.stem}.{node.name}"]
    assert not lacking


def test_nothing_names_a_place_on_the_machine_it_was_written_on() -> None:
    places = re.compile(r"(?<![\w.])/(home|root|Users)/")
    files = [ROOT / "README.md", ROOT / "Makefile", ROOT / "Snakefile", ROOT / "constraints.txt", *MODULES]
    for folder in ("config", "docs", "rules", "tests", "workflow"):
        files += [f for f in (ROOT / folder).rglob("*") if f.suffix in (".py", ".yaml", ".md", ".smk", ".json")]
    found = [str(f.relative_to(ROOT)) for f in files if places.search(f.read_text())]
    assert not found
