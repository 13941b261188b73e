"""From YAML files and the command line to one resolved, validated campaign."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from darkfactory.config.campaign import CampaignConfig
from darkfactory.config.combination import CombinationConfig
from darkfactory.config.interpretation import BDecayRegion, InelasticRegion, InterpretationConfig
from darkfactory.config.library import Library
from darkfactory.config.load import deep_merge, validate
from darkfactory.config.points import blocks, expand_grid, parse_point, point_order, project_point
from darkfactory.config.sample import SampleConfig
from darkfactory.config.scenario import ScenarioFile, scenario_datasets
from darkfactory.config.search import (
    Dataset,
    DatasetHypothesis,
    Hypothesis,
    SearchConfig,
    SearchFile,
    TriggerChoice,
)
from darkfactory.core.errors import ConfigError
from darkfactory.core.suggest import did_you_mean

__all__ = ["Campaign", "load_campaign"]

_SECTIONS = ("trigger", "selection", "network", "templates", "statistics", "interpretation", "measurement", "control")


@dataclass(frozen=True)
class Campaign:
    """Everything that a run needs to know, resolved.

    Attributes:
        config: the campaign itself.
        library: the folder of YAML files.
        samples: the catalogue, only what the campaign uses.
        searches: (search, dataset) to its resolved configuration.
        combinations: name to configuration, with those inputs only that the campaign has.
        scenarios: search to its what-ifs, whose datasets are among the searches.
    """

    config: CampaignConfig
    library: Library
    samples: Mapping[str, SampleConfig]
    searches: Mapping[tuple[str, str], SearchConfig]
    combinations: Mapping[str, CombinationConfig] = field(default_factory=dict)
    scenarios: Mapping[str, ScenarioFile] = field(default_factory=dict)
    _known: dict[tuple[str, ...], Any] = field(default_factory=dict, repr=False, compare=False)
    """Grids and blocks worked out so far."""

    @property
    def limited(self) -> list[tuple[str, str]]:
        """Search and dataset of everything that ends in limits."""
        return [key for key, config in self.searches.items() if config.kind == "search"]

    @property
    def measured(self) -> list[tuple[str, str]]:
        """Search and dataset of everything that ends in a number with its uncertainty."""
        return [key for key, config in self.searches.items() if config.kind == "measurement"]

    @property
    def controlled(self) -> list[tuple[str, str]]:
        """Search and dataset of every control sample: those named, and those whose corrections searches use."""
        return [key for key, config in self.searches.items() if config.kind == "control"]

    def points(self, search: str, dataset: str, hypothesis: str) -> list[str]:
        """Grid points of a hypothesis inside the dataset's mass range."""
        key = ("points", search, dataset, hypothesis)
        if key not in self._known:
            low, high = self.searches[search, dataset].data.mass_range
            inside = [p for p in self.grid(search, hypothesis, dataset) if low <= parse_point(p)["mass"] <= high]
            self._known[key] = inside
        return list(self._known[key])

    def grid(self, search: str, hypothesis: str, dataset: str = "") -> list[str]:
        """The whole grid of a hypothesis, whatever mass range a dataset has; of own signals, the points they have."""
        own = self.searches[search, dataset].hypotheses[hypothesis] if dataset else self._hypothesis(search, hypothesis)
        external = self.samples[own.sample].external
        if external is not None:
            return sorted((p.name for p in external.points), key=point_order)
        key = ("grid", search, hypothesis)
        if key not in self._known:
            self._known[key] = expand_grid(self._hypothesis(search, hypothesis).grids[self.config.grid])
        return list(self._known[key])

    def simulated_point(self, search: str, hypothesis: str, point: str) -> str:
        """The point of the hypothesis' sample that serves a point: without the axes that events are reweighted to."""
        return project_point(point, self._hypothesis(search, hypothesis).reweighted)

    def _hypothesis(self, search: str, hypothesis: str) -> Hypothesis:
        """Of one of the datasets that have it: grids and reweighted axes are the search's."""
        having = (c.hypotheses for (s, _), c in self.searches.items() if s == search and hypothesis in c.hypotheses)
        return next(having)[hypothesis]

    def sample_points(self, sample: str) -> list[str]:
        """Simulated points of a signal sample: what the grids of all searches ask of it; none for a background."""
        key = ("sample", sample)
        if key not in self._known:
            found: set[str] = set()
            for (search, dataset), config in self.searches.items():
                for name, hypothesis in config.hypotheses.items():
                    if hypothesis.sample == sample:
                        found |= {project_point(p, hypothesis.reweighted) for p in self.grid(search, name, dataset)}
            self._known[key] = sorted(found, key=point_order)
        return list(self._known[key])

    def sample_blocks(self, sample: str) -> dict[str, list[str]]:
        """Blocks of a signal sample's points over the whole grid; for a background one block ``all``."""
        points = self.sample_points(sample)
        return blocks(points, self.config.execution.block) if points else {"all": ["all"]}

    def block_points(self, sample: str, block: str) -> list[str]:
        """Points of a block; a point's name is the block of that one point."""
        if not self.samples[sample].point_axes:
            return ["all"]
        return self.sample_blocks(sample).get(block, [block])

    def blocks(self, search: str, dataset: str, hypothesis: str) -> dict[str, list[str]]:
        """Blocks of a dataset: the points that a block of the sample serves, inside the mass range."""
        key = ("blocks", search, dataset, hypothesis)
        if key not in self._known:
            served: dict[str, list[str]] = {}
            for point in self.points(search, dataset, hypothesis):
                served.setdefault(self.simulated_point(search, hypothesis, point), []).append(point)
            sample = self.searches[search, dataset].hypotheses[hypothesis].sample
            cut = {b: [p for s in ps for p in served.get(s, [])] for b, ps in self.sample_blocks(sample).items()}
            self._known[key] = {b: ps for b, ps in cut.items() if ps}
        return {b: list(ps) for b, ps in self._known[key].items()}

    def events(self, sample: str) -> int:
        """Events to generate: in all for a background, per point for a signal."""
        numbers = self.config.events
        default = numbers.signal if self.samples[sample].point_axes else numbers.background
        return numbers.samples.get(sample, default)


def _choose(names: Sequence[str], allowed: Sequence[str], where: str, file: str) -> None:
    for name in names:
        if name not in allowed:
            hint = did_you_mean(name, allowed) or "."
            raise ConfigError(f"unknown {name!r}{hint} Allowed: {', '.join(allowed)}", where=where, file=file)


def _choose_joint(file: SearchFile, data: Dataset, where: str, path: str) -> None:
    """What a dataset leaves out is known, and what its joint fits need is there."""
    _choose(data.without, list(file.hypotheses), f"{where}.without", path)
    left = [name for name in file.hypotheses if name not in data.without]
    if not left and file.hypotheses:
        raise ConfigError("leaves out all hypotheses; keep one", where=f"{where}.without", file=path)
    for name in left:
        joint = file.hypotheses[name].joint
        if joint is not None:
            single = [n for n in left if file.hypotheses[n].joint is None]
            _choose(joint.members, single, f"hypotheses.{name}.joint.members ({where})", path)


def _of_dataset(hypothesis: Hypothesis, own: DatasetHypothesis | None) -> Hypothesis:
    return hypothesis if own is None else hypothesis.model_copy(update={"sample": own.sample})


def _choose_samples(file: SearchFile, catalogue: Sequence[str], path: str) -> None:
    """Names of samples and hypotheses that a search and its datasets give are known."""
    _choose([h.sample for h in file.hypotheses.values()], catalogue, "hypotheses", path)
    _choose(file.backgrounds, catalogue, "backgrounds", path)
    for dataset, data in file.datasets.items():
        where = f"datasets.{dataset}"
        _choose(list(data.hypotheses), list(file.hypotheses), f"{where}.hypotheses", path)
        for name, own in data.hypotheses.items():
            _choose([own.sample], catalogue, f"{where}.hypotheses.{name}.sample", path)
        _choose(data.backgrounds or (), catalogue, f"{where}.backgrounds", path)
        _choose(data.recorded, catalogue, f"{where}.recorded", path)
        _choose_joint(file, data, where, path)
        compared = {**file.control, **data.control}.get("data")
        _choose([] if compared is None else [str(compared)], catalogue, f"{where}.control.data", path)


def _resolve_search(file: SearchFile, dataset: str) -> SearchConfig:
    data = file.datasets[dataset]
    merged: dict[str, Any] = {}
    for section in _SECTIONS:
        base, override = getattr(file, section), getattr(data, section)
        if section == "network" and base is None and override is None:
            merged[section] = None
        else:
            merged[section] = deep_merge(base or {}, override or {})
    trigger = validate(TriggerChoice, merged.pop("trigger"), file=f"searches/{file.name}.yaml", where="trigger")
    return SearchConfig(
        search=file.name,
        dataset=dataset,
        title=file.title,
        hypotheses={
            name: _of_dataset(h, data.hypotheses.get(name))
            for name, h in file.hypotheses.items()
            if name not in data.without
        },
        backgrounds=file.backgrounds if data.backgrounds is None else data.backgrounds,
        data=data,
        trigger=trigger,
        corrections=file.corrections | data.corrections,
        kind=file.kind,
        **merged,
    )


def _datasets(
    library: Library,
    config: CampaignConfig,
    search: str,
    chosen: Sequence[str],
    catalogue: Sequence[str],
    where: str,
    scenarios: ScenarioFile | None = None,
) -> dict[tuple[str, str], SearchConfig]:
    """The chosen datasets of a search and those of its scenarios, all of them if none is chosen."""
    _choose([search], library.names("searches"), "searches", where)
    path = str(library.path("searches", search))
    text = deep_merge(library.get("searches", search), config.overrides.get(search, {}))
    if scenarios is not None:
        added = scenario_datasets(scenarios, text, str(library.path("scenarios", search)))
        text = deep_merge(text, {"datasets": added})
        if chosen:
            chosen = tuple(dict.fromkeys([*chosen, *scenarios.datasets()]))
    file = validate(SearchFile, text, file=path)
    if file.name != search:
        raise ConfigError(f"is {file.name!r} but the file is called {search}.yaml", where="name", file=path)
    _choose(chosen, list(file.datasets), f"searches.{search}", where)
    for hypothesis, h in file.hypotheses.items():
        _choose([config.grid], list(h.grids), f"hypotheses.{hypothesis}.grids", path)
    _choose_samples(file, catalogue, path)
    return {(search, dataset): _resolve_search(file, dataset) for dataset in chosen or tuple(file.datasets)}


def load_campaign(
    name: str, *, config_dir: str | Path = "config", overrides: Sequence[Mapping[str, Any]] = ()
) -> Campaign:
    """Read, merge and validate a campaign.

    Args:
        name: a file of config/campaigns.
        config_dir: the folder of YAML files.
        overrides: nested mappings of the command line, later ones winning.

    Raises:
        ConfigError: with the path in the file and what is allowed.
    """
    library = Library(config_dir)
    raw = deep_merge(library.get("campaigns", name), *overrides)
    where = str(library.path("campaigns", name))
    config = validate(CampaignConfig, raw, file=where)
    catalogue = library.samples()
    searches: dict[tuple[str, str], SearchConfig] = {}
    _choose(config.scenarios, library.names("scenarios"), "scenarios", where)
    _choose(config.scenarios, list(config.searches), "scenarios", where)
    scenarios = {name: _scenarios(library, name) for name in config.scenarios}
    for search, chosen in config.searches.items():
        more = scenarios.get(search)
        searches |= _datasets(library, config, search, chosen, list(catalogue), where, more)
    # control samples come with the searches that use them
    for (search, dataset), resolved in list(searches.items()):
        for nuisance, applied in resolved.corrections.items():
            if applied.search and (applied.search, applied.dataset) not in searches:
                at = f"searches/{search}.yaml, {dataset}: corrections.{nuisance}"
                searches |= _datasets(library, config, applied.search, (applied.dataset,), list(catalogue), at)
    used: list[str] = []
    for resolved in searches.values():
        used += [*resolved.shared_samples, *(h.sample for h in resolved.hypotheses.values()), *resolved.data.recorded]
    for period, rates in config.trigger_rates.items():
        _choose(rates.samples, list(catalogue), f"trigger_rates.{period}.samples", where)
        used += rates.samples
    _choose(config.external, list(catalogue), "external", where)
    _choose(list(config.overrides), [*library.names("searches"), *library.names("combinations")], "overrides", where)
    used += config.external
    samples = {s: validate(SampleConfig, catalogue[s], file=library.sample_file(s), where=s) for s in sorted(set(used))}
    _choose(list(config.events.samples), list(catalogue), "events.samples", where)
    for s, sample in samples.items():
        file_name = library.sample_file(s)
        if sample.external is None:
            _choose([sample.process], library.names("processes"), f"{s}.process", file_name)
        _choose([sample.detector], library.names("detectors"), f"{s}.detector", file_name)
        _choose([sample.response] if sample.response else [], library.names("responses"), f"{s}.response", file_name)
        _choose(sample.skims, library.names("skims"), f"{s}.skims", file_name)
    _check_external(config, samples, searches, where)
    _choose(config.combinations, library.names("combinations"), "combinations", where)
    named = {n: _combination(library, n, searches, config.overrides.get(n, {})) for n in config.combinations}
    combinations = {n: c for n, c in named.items() if c is not None}
    return Campaign(config, library, samples, searches, combinations, scenarios)


def _scenarios(library: Library, search: str) -> ScenarioFile:
    path = str(library.path("scenarios", search))
    found = validate(ScenarioFile, library.get("scenarios", search), file=path)
    if found.search != search:
        raise ConfigError(f"is {found.search!r} but the file is called {search}.yaml", where="search", file=path)
    return found


def _combination(
    library: Library, name: str, searches: Mapping[tuple[str, str], SearchConfig], overrides: Mapping[str, Any]
) -> CombinationConfig | None:
    """A combination whose inputs, where the campaign has them, all limit its coupling; None if it has no input."""
    path = str(library.path("combinations", name))
    found = validate(CombinationConfig, deep_merge(library.get("combinations", name), overrides), file=path)
    if found.name != name:
        raise ConfigError(f"is {found.name!r} but the file is called {name}.yaml", where="name", file=path)
    present = 0
    for i, entry in enumerate(found.inputs):
        where = f"inputs[{i}]"
        _choose([entry.search], library.names("searches"), where, path)
        config = searches.get((entry.search, entry.dataset))
        if config is None:
            continue
        present += 1
        section = validate(InterpretationConfig, config.interpretation, file=path, where=f"{where}.model")
        if found.kind == "lifetimes":
            regions: dict[str, InelasticRegion | BDecayRegion] = {**section.regions, **section.b_decays}
            _choose([entry.model], list(regions), f"{where}.model", path)
            if regions[entry.model].coupling != found.coupling:
                raise ConfigError(
                    f"{entry.model!r} limits {regions[entry.model].coupling}, the combination {found.coupling}",
                    where=where,
                    file=path,
                )
            continue
        _choose([entry.model], list(section.models), f"{where}.model", path)
        model = section.models[entry.model]
        if (model.coupling, model.power) != (found.coupling, found.power) or model.axes != ("mass",):
            raise ConfigError(
                f"{entry.model!r} limits {model.coupling} to the power {model.power:g} by {list(model.axes)}; the "
                f"combination needs {found.coupling} to the power {found.power:g} by ['mass']",
                where=where,
                file=path,
            )
        quantity = config.hypotheses[model.hypothesis].quantity
        if quantity != "cross_section":
            raise ConfigError(
                f"{entry.search} limits {quantity}; only limits on a cross_section can be combined",
                where=where,
                file=path,
            )
    # a campaign that has none of its searches, as one that extends another may, goes without it
    return found if present else None


def _check_external(
    config: CampaignConfig,
    samples: Mapping[str, SampleConfig],
    searches: Mapping[tuple[str, str], SearchConfig],
    where: str,
) -> None:
    """External samples are where the workflow can use them."""
    for s in config.external:
        if samples[s].external is None:
            raise ConfigError(f"{s!r} is generated, not external; leave it out", where="external", file=where)
    users = [(f"searches/{n}.yaml", "backgrounds", c.backgrounds) for (n, _), c in searches.items()]
    users += [(where, f"trigger_rates.{p}.samples", r.samples) for p, r in config.trigger_rates.items()]
    users.append((where, "external", config.external))
    for file, path, names in users:
        for s in names:
            external = samples[s].external
            if external is not None and external.points:
                raise ConfigError(
                    f"{s!r} is a signal, its files are by point; name it as the sample of a hypothesis "
                    "(datasets.<name>.hypotheses.<name>.sample)",
                    where=path,
                    file=file,
                )
            if external is not None and external.kind == "data" and path != "external":
                raise ConfigError(
                    f"{s!r} is data; only simulation has a cross-section. Name it in the campaign's external",
                    where=path,
                    file=file,
                )
    for (n, d), c in searches.items():
        _check_recorded(c, samples, f"datasets.{d}", f"searches/{n}.yaml")
        for name, h in c.hypotheses.items():
            _check_signal(h, samples[h.sample], f"hypotheses.{name}", f"searches/{n}.yaml")


def _check_signal(hypothesis: Hypothesis, sample: SampleConfig, where: str, file: str) -> None:
    """An own signal has files by point; what is reweighted needs truth, which ntuples have not."""
    if sample.external is None:
        return
    if not sample.external.points:
        raise ConfigError(
            f"{hypothesis.sample!r} is external without points; a signal has its files by point: external.points, "
            "a list of {axes: {mass: 1.0}, files: [...]}",
            where=f"{where}.sample",
            file=file,
        )
    if hypothesis.reweighted:
        raise ConfigError(
            f"{hypothesis.sample!r} is external, and events are reweighted to {list(hypothesis.reweighted)} by their "
            "true decays, which ntuples do not have; give a sample with a process",
            where=f"{where}.reweighted",
            file=file,
        )


def _check_recorded(config: SearchConfig, samples: Mapping[str, SampleConfig], where: str, file: str) -> None:
    """Recorded data are data, of the luminosity that the dataset says, in a search that compares with data."""
    total = 0.0
    for s in config.data.recorded:
        external = samples[s].external
        if external is None or external.kind != "data":
            raise ConfigError(
                f"{s!r} is simulated; the events of a dataset are an external sample of kind data",
                where=f"{where}.recorded",
                file=file,
            )
        total += external.luminosity or 0.0
    if config.data.recorded and config.kind == "control":
        raise ConfigError(
            "a control sample names recorded data as `control.data`: no signal is there, and they are not blinded; "
            "leave `recorded` out",
            where=f"{where}.recorded",
            file=file,
        )
    if config.data.recorded and config.kind == "measurement":
        raise ConfigError(
            "a measurement is made of pseudo-data only; leave recorded data out", where=f"{where}.recorded", file=file
        )
    if config.data.recorded and abs(total - config.data.luminosity) > 1e-3 * config.data.luminosity:
        raise ConfigError(
            f"the recorded samples have {total:g} /fb by their external.luminosity, the dataset "
            f"{config.data.luminosity:g} /fb; they must agree within 0.1 %",
            where=f"{where}.recorded",
            file=file,
        )
