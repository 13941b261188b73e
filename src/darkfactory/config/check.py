"""Checks across files that a single model cannot make: sections, thresholds, trigger lines, periods."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel

from darkfactory.config.control import ControlConfig, ResponseConfig
from darkfactory.config.detector import DetectorConfig, SimulateOptions
from darkfactory.config.ellipses import EllipsesConfig
from darkfactory.config.formula import Formula
from darkfactory.config.interpretation import InterpretationConfig
from darkfactory.config.library import Library
from darkfactory.config.load import deep_merge, validate
from darkfactory.config.measurement import MeasurementConfig
from darkfactory.config.model import ModelConfig
from darkfactory.config.ntuples import name_map
from darkfactory.config.period import PeriodConfig, load_periods, period_menu
from darkfactory.config.points import AXES, parse_point
from darkfactory.config.process import ProcessConfig
from darkfactory.config.resolve import Campaign
from darkfactory.config.sample import SampleConfig
from darkfactory.config.search import JointConfig, SearchConfig
from darkfactory.config.selection import SelectionConfig
from darkfactory.config.skim import SkimConfig
from darkfactory.config.statistics import StatisticsConfig
from darkfactory.config.templates import TemplatesConfig
from darkfactory.core.errors import ConfigError
from darkfactory.core.suggest import did_you_mean

__all__ = ["check_campaign"]

_SECTIONS: Mapping[str, type[BaseModel]] = {
    "selection": SelectionConfig,
    "templates": TemplatesConfig,
    "statistics": StatisticsConfig,
    "interpretation": InterpretationConfig,
}
_OF_KIND: Mapping[str, Mapping[str, type[BaseModel]]] = {
    "search": _SECTIONS,
    "measurement": {"selection": SelectionConfig, "measurement": MeasurementConfig},
    "control": {"selection": SelectionConfig, "control": ControlConfig},
}


def _lines(chosen: tuple[str, ...], known: tuple[str, ...], where: str, file: str, menu: str) -> None:
    for line in chosen:
        if line not in known:
            hint = did_you_mean(line, known) or ";"
            raise ConfigError(
                f"unknown trigger line {line!r}{hint} menu {menu} has {', '.join(known)}", where=where, file=file
            )


def _masses(campaign: Campaign, search: str, dataset: str, sqrts: float, file: str) -> None:
    config = campaign.searches[search, dataset]
    for hypothesis, entry in config.hypotheses.items():
        where, source = f"hypotheses.{hypothesis}.grids.{campaign.config.grid}", file
        if campaign.samples[entry.sample].external is not None:
            where, source = f"{entry.sample}.external.points", campaign.library.sample_file(entry.sample)
        # the whole grid: a dataset's mass range must not hide a mass that nothing can produce
        for point in campaign.grid(search, hypothesis, dataset):
            for axis, value in parse_point(point).items():
                if AXES[axis].unit == "GeV" and not 0 <= value < sqrts:
                    raise ConfigError(
                        f"{axis} {value:g} GeV must be at least 0 and below the centre-of-mass energy of "
                        f"{sqrts:.3f} GeV",
                        where=where,
                        file=source,
                    )


def _axes(campaign: Campaign, search: str, dataset: str, file: str) -> None:
    """Every axis of a grid is set by the sample or reweighted to."""
    for hypothesis, entry in campaign.searches[search, dataset].hypotheses.items():
        own = sorted(campaign.samples[entry.sample].point_axes)
        if campaign.samples[entry.sample].external is not None:
            continue
        known = {*own, *entry.reweighted}
        used = {a for grid in entry.grids[campaign.config.grid] for a in grid.axes}
        for axis in sorted(used - known):
            raise ConfigError(
                f"axis {axis!r} sets nothing: sample {entry.sample} has the axes {own}, reweighted are "
                f"{list(entry.reweighted)}; add it to one of them",
                where=f"hypotheses.{hypothesis}.grids.{campaign.config.grid}",
                file=file,
            )


def _lifetimes(campaign: Campaign, search: str, dataset: str, file: str) -> None:
    """Every c tau that events are reweighted to lies in the mixture that their decay lengths are drawn from."""
    for hypothesis, entry in campaign.searches[search, dataset].hypotheses.items():
        sample = campaign.samples[entry.sample]
        where = f"hypotheses.{hypothesis}.reweighted"
        for axis in entry.reweighted:
            particle = sample.lifetimes.get(axis)
            if particle is None:
                raise ConfigError(
                    f"sample {entry.sample} does not say whose c tau {axis!r} is; name the particle in its `lifetimes`",
                    where=where,
                    file=file,
                )
            process = validate(ProcessConfig, campaign.library.get("processes", sample.process), file=sample.process)
            decay = process.decays.get(particle)
            if decay is None or decay.lifetime is None or decay.lifetime.mixture_cm is None:
                raise ConfigError(
                    f"process {sample.process} draws no decay lengths of {particle}; give its decay a "
                    "`lifetime: {mixture_cm: [from, to]}`",
                    where=where,
                    file=file,
                )
            low, high = decay.lifetime.mixture_cm
            for point in campaign.grid(search, hypothesis):
                value = parse_point(point).get(axis, low)
                if not low <= value <= high:
                    raise ConfigError(
                        f"{axis} of {value:g} cm is outside the {low:g} to {high:g} cm that decays of {particle} "
                        f"are drawn for in process {sample.process}; widen one or the other",
                        where=f"hypotheses.{hypothesis}.grids.{campaign.config.grid}",
                        file=file,
                    )


def _joint(campaign: Campaign, search: str, dataset: str, file: str) -> None:
    """Joint fits are on points and quantities that their members have, with a model that gives the ratios of rates."""
    config = campaign.searches[search, dataset]
    for hypothesis, entry in config.hypotheses.items():
        if entry.joint is None:
            continue
        where, first = f"hypotheses.{hypothesis}", config.hypotheses[entry.joint.members[0]]
        if entry.sample != first.sample or entry.reweighted != first.reweighted:
            raise ConfigError(
                f"sample {entry.sample}, reweighted {list(entry.reweighted)}: the first member "
                f"{entry.joint.members[0]} has {first.sample} and {list(first.reweighted)}; give the same",
                where=where,
                file=file,
            )
        absent = sorted(
            set(campaign.points(search, dataset, hypothesis))
            - set(campaign.points(search, dataset, entry.joint.members[0]))
        )
        if absent:
            raise ConfigError(
                f"points {absent[:5]} are not in the grid of the first member {entry.joint.members[0]}; the limit is "
                "on its rate: add them there or take them out here",
                where=f"{where}.grids.{campaign.config.grid}",
                file=file,
            )
        section = validate(InterpretationConfig, config.interpretation, file=file, where="interpretation")
        if entry.joint.models:
            _joint_models(entry.joint, section, f"{where}.joint.models", file)
        else:
            _joint_decays(entry.joint, section, f"{where}.joint.model", file)
        wanted = "cross_section" if entry.joint.models else "branching_fraction"
        for name in (hypothesis, *entry.joint.members):
            if config.hypotheses[name].quantity != wanted:
                key = "models" if entry.joint.models else "model"
                raise ConfigError(
                    f"{config.hypotheses[name].quantity}: a joint fit with `{key}` is of a {wanted} each",
                    where=f"hypotheses.{name}.quantity",
                    file=file,
                )


def _joint_decays(joint: JointConfig, section: InterpretationConfig, where: str, file: str) -> None:
    """The model of B decays names those of all members."""
    model = section.b_decays.get(joint.model)
    unknown = sorted(set(joint.members) - set(model.hypotheses if model is not None else ()))
    if model is None or unknown:
        raise ConfigError(
            f"model {joint.model!r}: interpretation.b_decays has {sorted(section.b_decays)}, and it must name the "
            f"decays of all members {list(joint.members)}",
            where=where,
            file=file,
        )


def _joint_models(joint: JointConfig, section: InterpretationConfig, where: str, file: str) -> None:
    """The models of the members are theirs and have one coupling, whose power is that of all."""
    for member, name in joint.models.items():
        _known(name, section.models, f"{where}.{member}", file)
        if section.models[name].hypothesis != member:
            raise ConfigError(
                f"model {name!r} is of hypothesis {section.models[name].hypothesis!r}, not of {member!r}",
                where=f"{where}.{member}",
                file=file,
            )
    found = {(m.coupling, m.power, m.axes) for m in (section.models[n] for n in joint.models.values())}
    if len(found) > 1:
        raise ConfigError(
            f"the models differ in coupling, power or axes: {sorted(found)}; a joint fit has one coupling",
            where=where,
            file=file,
        )


def _measurement(campaign: Campaign, search: str, dataset: str, file: str) -> None:
    """The generated mass of a measurement's pseudo-data is a point of its grid, which has others to compare with."""
    config = campaign.searches[search, dataset]
    section = validate(MeasurementConfig, config.measurement, file=file, where=f"measurement ({dataset})")
    if section.hypothesis not in config.hypotheses:
        raise ConfigError(
            f"{section.hypothesis!r} is no hypothesis; there are {sorted(config.hypotheses)}",
            where="measurement.hypothesis",
            file=file,
        )
    masses = [parse_point(p)["mass"] for p in campaign.points(search, dataset, section.hypothesis)]
    if round(section.reference, 5) not in masses or len(masses) < 2:
        raise ConfigError(
            f"the grid has the generated masses {masses} GeV; it needs the reference {section.reference:g} and another "
            "one, for the bias and its slope",
            where="measurement.reference",
            file=file,
        )
    for name, one in section.corrections.items():
        if one.applied:
            _injected(campaign, config, name, one.injected, file)


def _injected(campaign: Campaign, config: SearchConfig, name: str, path: str, file: str) -> None:
    """A distortion that a control sample measures: a factor that is no weight, and what its pseudo-data have."""
    where = f"measurement.corrections.{name}"
    applied = config.corrections.get(name)
    if applied is None or applied.weight or not applied.search:
        raise ConfigError(
            f"the search has no entry {name!r} in `corrections` that is of a control sample and has `weight: false`; "
            f"it has {sorted(n for n, a in config.corrections.items() if not a.weight)}",
            where=f"{where}.applied",
            file=file,
        )
    data = str(campaign.searches[applied.search, applied.dataset].control["data"])
    response = campaign.samples[data].response
    value: Any = campaign.library.get("responses", response).get("detector", {}) if response else {}
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    if value is None:
        raise ConfigError(
            f"{path!r}: nothing of that name in the detector part of the response {response!r} of {data}",
            where=f"{where}.injected",
            file=file,
        )
    formula = validate(Formula, value, file=file, where=f"{where}.injected")
    unknown = sorted(formula.needs - set(applied.inputs[0]))
    if unknown:
        raise ConfigError(
            f"{path!r} of the response {response!r} depends on {unknown}, and the correction has the inputs "
            f"{sorted(applied.inputs[0])}",
            where=f"{where}.injected",
            file=file,
        )


def _corrections(campaign: Campaign, search: str, dataset: str, file: str) -> None:
    """Corrections that a search uses are made by control samples that it does not feed itself."""
    config = campaign.searches[search, dataset]
    for nuisance, applied in config.corrections.items():
        where = f"corrections.{nuisance} ({dataset})"
        if not applied.search:
            continue
        control = campaign.searches[applied.search, applied.dataset]
        if control.kind != "control":
            raise ConfigError(
                f"{applied.search} is of kind {control.kind}, not a control sample: it makes no corrections",
                where=f"{where}.search",
                file=file,
            )
        if config.kind == "control":
            raise ConfigError(
                "control samples are compared with data as they are simulated; take the correction out",
                where=where,
                file=file,
            )
        section = validate(ControlConfig, control.control, file=file, where=where)
        if applied.correction not in section.corrections:
            raise ConfigError(
                f"{applied.search} makes no correction {applied.correction!r}; it makes {sorted(section.corrections)}",
                where=f"{where}.correction",
                file=file,
            )
        inputs = sorted(section.corrections[applied.correction].axes)
        for given in applied.inputs:
            if sorted(given) != inputs:
                raise ConfigError(
                    f"{applied.correction!r} has the inputs {inputs}, given are {sorted(given)}; name a column of "
                    "the candidates for each",
                    where=f"{where}.inputs",
                    file=file,
                )
        if not applied.weight and config.kind != "measurement":
            raise ConfigError(
                f"kind {config.kind} takes corrections as weights; `weight: false` is for measurements",
                where=f"{where}.weight",
                file=file,
            )
        unknown = sorted(set(applied.samples) - set(_samples(config)))
        if unknown:
            raise ConfigError(
                f"{unknown} are no samples of this search; it has {sorted(_samples(config))}",
                where=f"{where}.samples",
                file=file,
            )


def _samples(config: SearchConfig) -> list[str]:
    return [*(h.sample for h in config.hypotheses.values()), *config.shared_samples, *config.data.recorded]


def _detectors(
    campaign: Campaign, names: Iterable[str], period: PeriodConfig, title: str, where: str, file: str
) -> None:
    """All samples were seen by the detector of the period whose menu and data they are to describe."""
    for name in names:
        detector = campaign.samples[name].detector
        if detector != period.detector:
            raise ConfigError(
                f"sample {name!r} is of detector {detector!r}, but period {title!r} ran with {period.detector!r}; "
                "name samples of that detector (a dataset may give its own hypotheses.<name>.sample and backgrounds)",
                where=where,
                file=file,
            )


def _known(name: str, allowed: Iterable[str], where: str, file: str) -> None:
    """A name that one part of a file takes from another."""
    names = sorted(allowed)
    if name not in names:
        hint = did_you_mean(name, names) or "."
        raise ConfigError(f"unknown {name!r}{hint} Allowed: {', '.join(names)}", where=where, file=file)


def _process(library: Library, name: str, sample: SampleConfig, title: str) -> None:
    process: dict[str, Any] = library.get("processes", name)
    file = str(library.path("processes", name))
    entry = validate(ProcessConfig, process, file=file)
    if entry.uses_model:
        path = str(library.path("models", entry.model))
        model = validate(ModelConfig, library.get("models", entry.model), file=path)
        for i, particle in enumerate(entry.final):
            _known(particle, _particles(model), f"final[{i}]", file)
        allowed = {*model.parameters, *(["width_over_mass"] if entry.wide else [])}
        for axis, parameter in sample.axes.items():
            _known(parameter, allowed, f"{title}.axes.{axis}", library.sample_file(title))
        for parameter in sample.parameters:
            _known(parameter, allowed, f"{title}.parameters", library.sample_file(title))


def _particles(model: ModelConfig) -> set[str]:
    return {n for p in model.particles for n in (p.name, p.antiparticle) if n}


def _names(campaign: Campaign, search: str, dataset: str, file: str) -> None:
    """Samples and hypotheses that sections name exist."""
    config, library = campaign.searches[search, dataset], campaign.library
    catalogue = library.samples()
    templates = config.templates
    for sample in templates.get("samples") or {}:
        _known(sample, {*catalogue, *(templates.get("expected") or {})}, f"templates ({dataset}).samples", file)
    for name, model in (config.interpretation.get("models") or {}).items():
        where = f"interpretation ({dataset}).models.{name}.hypothesis"
        _known(model["hypothesis"], config.hypotheses, where, file)


def check_campaign(campaign: Campaign) -> list[str]:
    """Validate every section of every search, sample and menu that a campaign uses.

    Returns:
        One line per thing that was checked.

    Raises:
        ConfigError: the first thing that is wrong.
    """
    library, done = campaign.library, []
    periods = load_periods(library.root / "periods.yaml")
    seen: set[tuple[str, str]] = set()

    def unseen(kind: str, name: str) -> bool:
        """Whether a file was not looked at before: samples share detectors, skims and processes."""
        new = (kind, name) not in seen
        seen.add((kind, name))
        return new

    for name, sample in campaign.samples.items():
        if sample.external is not None:
            files = [f for p in (sample.external.points or (sample.external,)) for f in p.files]
            origin = f"ntuples {', '.join(files)}"
            name_map(library, sample.external.map, where=f"{name}.external.map")
        else:
            origin = f"process {sample.process}"
            _process(library, sample.process, sample, name)
        if unseen("detectors", f"{sample.detector} {sample.response or ''}"):
            detector = str(library.path("detectors", sample.detector))
            values = library.get("detectors", sample.detector)
            if sample.response:
                file = str(library.path("responses", sample.response))
                response = validate(ResponseConfig, library.get("responses", sample.response), file=file)
                if response.name != sample.response:
                    raise ConfigError(
                        f"is {response.name!r} but the file is called {sample.response}.yaml", where="name", file=file
                    )
                values, detector = deep_merge(values, response.detector), f"{detector} with {file}"
            validate(DetectorConfig, values, file=detector)
        validate(SimulateOptions, sample.simulate, file=library.sample_file(name), where=f"{name}.simulate")
        for skim in (s for s in sample.skims if unseen("skims", s)):
            validate(SkimConfig, library.get("skims", skim), file=str(library.path("skims", skim)))
        done.append(f"sample {name}: {origin}, detector {sample.detector}")
    for name, rates in campaign.config.trigger_rates.items():
        where, file = f"trigger_rates.{name}", str(library.path("campaigns", campaign.config.campaign))
        period = periods.get(name, where=where, file=file)
        _detectors(campaign, rates.samples, period, name, f"{where}.samples", file)
    for (search, dataset), config in campaign.searches.items():
        file = str(library.path("searches", search))
        for section, model in _OF_KIND[config.kind].items():
            value = getattr(config, section)
            kind = EllipsesConfig if section == "templates" and value.get("kind") == "ellipses" else model
            validate(kind, value, file=file, where=f"{section} ({dataset})")
        period = periods.get(config.data.period, where=f"datasets.{dataset}.period", file=file)
        _detectors(campaign, _samples(config), period, config.data.period, f"datasets.{dataset}", file)
        _names(campaign, search, dataset, file)
        menu = period_menu(period, library.root / "triggers")
        _lines(config.trigger.l1, menu.l1_names, "trigger.l1", file, period.menu)
        _lines(config.trigger.hlt, menu.hlt_names, "trigger.hlt", file, period.menu)
        beams = library.get("detectors", period.detector)["beams"]
        _masses(campaign, search, dataset, float(beams["sqrts_gev"]["value"]), file)
        _axes(campaign, search, dataset, file)
        _lifetimes(campaign, search, dataset, file)
        _joint(campaign, search, dataset, file)
        if config.kind == "measurement":
            _measurement(campaign, search, dataset, file)
        _corrections(campaign, search, dataset, file)
        points = sum(len(campaign.points(search, dataset, h)) for h in config.hypotheses)
        done.append(f"search {search}/{dataset}: {points} points, period {config.data.period}, menu {period.menu}")
    return done
