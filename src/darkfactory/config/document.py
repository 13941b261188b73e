"""One JSON schema and one documentation page of all configuration files, generated from the typed models."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from darkfactory.config.campaign import CampaignConfig
from darkfactory.config.combination import CombinationConfig
from darkfactory.config.control import ControlConfig, ResponseConfig
from darkfactory.config.costs import CostsConfig
from darkfactory.config.detector import DetectorConfig, SimulateOptions
from darkfactory.config.ellipses import EllipsesConfig
from darkfactory.config.exports import CitationsConfig, DarkcastConfig
from darkfactory.config.interpretation import InterpretationConfig
from darkfactory.config.measurement import MeasurementConfig
from darkfactory.config.model import ModelConfig
from darkfactory.config.ntuples import NtupleMapConfig
from darkfactory.config.period import PeriodsConfig, RatesConfig
from darkfactory.config.process import ProcessConfig
from darkfactory.config.projection import ProjectionConfig
from darkfactory.config.recast import RecastModel
from darkfactory.config.regimes import RegimesConfig
from darkfactory.config.sample import SampleConfig
from darkfactory.config.scenario import ScenarioFile
from darkfactory.config.search import SearchFile, TriggerChoice
from darkfactory.config.selection import Multivariate, SelectionConfig
from darkfactory.config.site import SiteConfig
from darkfactory.config.skim import SkimConfig
from darkfactory.config.statistics import StatisticsConfig
from darkfactory.config.tau_decays import TauDecaysConfig
from darkfactory.config.templates import TemplatesConfig
from darkfactory.config.trigger import TriggerMenu
from darkfactory.config.yields import YieldsConfig

__all__ = ["KINDS", "Kind", "configuration_page", "configuration_schema", "schema_text"]

Schema = Mapping[str, Any]
_REFERENCE = "#/$defs/"
# ends of keys that name a unit; an unknown end is no unit
_UNITS = {
    "gev": "GeV", "cm": "cm", "um": "um", "t": "T", "deg": "deg", "mrad": "mrad", "ns": "ns", "fb": "/fb", "hz": "Hz",
    "khz": "kHz", "1e34": "1e34 /cm2/s", "seconds": "s", "bytes": "bytes", "nb": "nb",
}  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """A kind of configuration.

    Attributes:
        title: heading of the page.
        place: pattern of the files, or the section of a file.
        adapter: its typed model.
        extends: the file may name another one of its kind that it is merged over.
        filled: required keys that the loader fills in.
    """

    title: str
    place: str
    adapter: TypeAdapter[Any]
    extends: bool = False
    filled: tuple[str, ...] = ()


KINDS: Mapping[str, Kind] = {
    "campaign": Kind("Campaign", "config/campaigns/*.yaml", TypeAdapter(CampaignConfig), extends=True),
    "search": Kind("Search", "config/searches/*.yaml", TypeAdapter(SearchFile), extends=True),
    "combination": Kind("Combination", "config/combinations/*.yaml", TypeAdapter(CombinationConfig), extends=True),
    "scenario": Kind("Trigger scenarios", "config/scenarios/*.yaml", TypeAdapter(ScenarioFile), extends=True),
    "trigger_choice": Kind("Trigger lines of a search", "section `trigger` of a search", TypeAdapter(TriggerChoice)),
    "selection": Kind("Selection", "section `selection` of a search", TypeAdapter(SelectionConfig)),
    "network": Kind("Multivariate step", "section `network` of a search", TypeAdapter(Multivariate)),
    "templates": Kind("Templates", "section `templates` of a search", TypeAdapter(TemplatesConfig)),
    "ellipses": Kind("Ellipses", "section `templates` of a search, of kind `ellipses`", TypeAdapter(EllipsesConfig)),
    "statistics": Kind("Statistics", "section `statistics` of a search", TypeAdapter(StatisticsConfig)),
    "interpretation": Kind("Interpretation", "section `interpretation` of a search", TypeAdapter(InterpretationConfig)),
    "measurement": Kind("Measurement", "section `measurement` of a search", TypeAdapter(MeasurementConfig)),
    "control": Kind("Control sample", "section `control` of a search", TypeAdapter(ControlConfig)),
    "response": Kind("Response of pseudo-data", "config/responses/*.yaml", TypeAdapter(ResponseConfig)),
    "samples": Kind("Samples", "config/samples.yaml", TypeAdapter(dict[str, SampleConfig])),
    "simulate": Kind("Simulation options", "key `simulate` of a sample", TypeAdapter(SimulateOptions)),
    "process": Kind("Process", "config/processes/*.yaml", TypeAdapter(ProcessConfig), extends=True),
    "model": Kind("Model", "config/models/*.yaml", TypeAdapter(ModelConfig), extends=True),
    "tau_decays": Kind("Tau decays", "config/tau_decays.yaml", TypeAdapter(TauDecaysConfig)),
    "detector": Kind("Detector", "config/detectors/*.yaml", TypeAdapter(DetectorConfig), extends=True),
    "trigger": Kind("Trigger menu", "config/triggers/*.yaml", TypeAdapter(TriggerMenu), extends=True, filled=("name",)),
    "periods": Kind("Running periods", "config/periods.yaml", TypeAdapter(PeriodsConfig)),
    "rates": Kind("Reference trigger rates", "config/rates.yaml", TypeAdapter(RatesConfig)),
    "skim": Kind("Skim", "config/skims/*.yaml", TypeAdapter(SkimConfig), extends=True),
    "ntuples": Kind("Ntuple names", "config/ntuples/*.yaml", TypeAdapter(NtupleMapConfig)),
    "costs": Kind("Costs of stages", "config/costs.yaml", TypeAdapter(CostsConfig)),
    "recast": Kind("A model of your own", "a file for `darkfactory recast`", TypeAdapter(RecastModel)),
    "projections": Kind("Projections", "config/projections.yaml", TypeAdapter(ProjectionConfig)),
    "regimes": Kind("Regimes", "config/regimes.yaml", TypeAdapter(RegimesConfig)),
    "yields": Kind("Yields", "config/yields.yaml", TypeAdapter(YieldsConfig)),
    "citations": Kind("Citations", "config/citations.yaml", TypeAdapter(CitationsConfig)),
    "darkcast": Kind("Models in Darkcast", "config/darkcast.yaml", TypeAdapter(DarkcastConfig)),
    "site": Kind("Site", "workflow/profiles/*/site.yaml", TypeAdapter(SiteConfig)),
}
"""Name to kind, in the order of the page."""


def configuration_schema() -> dict[str, Any]:
    """The JSON schema (2020-12) of all kinds: ``$defs`` has one entry a model and one a kind.

    A file is checked against ``#/$defs/<kind>``. Models whose name ends in ``_part`` are what a file with ``extends``
    may hold.

    Example:
        >>> sorted(configuration_schema()["$defs"]["samples"]["additionalProperties"])
        ['$ref']
    """
    keys = [(name, "validation", kind.adapter) for name, kind in KINDS.items()]
    # pydantic types the mode as a literal, which a tuple built here is not
    schemas, shared = TypeAdapter.json_schemas(keys, ref_template=_REFERENCE + "{model}")  # type: ignore[arg-type]  # keys of mixed types
    definitions: dict[str, Any] = {name: _tidy(value) for name, value in dict(shared["$defs"]).items()}
    for (name, _), schema in schemas.items():
        definitions[str(name)] = _of_kind(_tidy(schema), KINDS[str(name)], definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "darkfactory configuration",
        "anyOf": [{"$ref": _REFERENCE + name} for name in KINDS],
        "$defs": dict(sorted(definitions.items())),
    }


def _of_kind(schema: dict[str, Any], kind: Kind, definitions: dict[str, Any]) -> dict[str, Any]:
    """The schema of a file or section: its model; a file with ``extends`` may leave out anything at any depth."""
    described = {"title": kind.title, "$comment": kind.place}
    if not kind.extends:
        return {**schema, **described}
    name = str(schema["$ref"]).removeprefix(_REFERENCE)
    whole = dict(definitions[name])
    whole["required"] = [k for k in whole.get("required", []) if k not in kind.filled]
    for inner in _inside(whole, definitions, {"Tagged"}):
        definitions[f"{inner}_part"] = _partial(definitions[inner])
    part = _partial(whole)
    parent = {"type": "string", "description": "Name of a file of this kind that this one is merged over."}
    part["properties"] = {"extends": parent, **part["properties"]}
    return {**described, "if": {"required": ["extends"]}, "then": part, "else": whole}


def _partial(value: Any) -> Any:
    """A schema that requires nothing, and refers to others of that sort; tagged numbers stay whole."""
    if isinstance(value, Mapping):
        return {k: _partial(v) for k, v in value.items() if not (k == "required" and isinstance(v, list))}
    if isinstance(value, list):
        return [_partial(v) for v in value]
    if isinstance(value, str) and value.startswith(_REFERENCE) and value != _REFERENCE + "Tagged":
        return f"{value}_part"
    return value


def _tidy(value: Any) -> Any:
    """Without generated titles, and with descriptions cut before their examples."""
    if isinstance(value, Mapping):
        # a property may be called title; only the titles of schemas are texts
        kept = {k: _tidy(v) for k, v in value.items() if not (k == "title" and isinstance(v, str))}
        if isinstance(kept.get("description"), str):
            kept["description"] = _paragraph(kept["description"])
        return kept
    return [_tidy(v) for v in value] if isinstance(value, list) else value


def _paragraph(text: str) -> str:
    return " ".join(text.split("\n\n")[0].split())


def schema_text() -> str:
    """The schema as the text of config/schema.json."""
    return json.dumps(configuration_schema(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def configuration_page() -> str:
    """The Markdown page docs/configuration.md: a table for every kind and for every model inside it.

    Example:
        >>> configuration_page().splitlines()[0]
        '# Configuration'
    """
    schema = configuration_schema()
    definitions = schema["$defs"]
    lines = [
        "# Configuration",
        "",
        "Generated by `darkfactory config docs --write` from the typed models in `darkfactory.config`; do not edit.",
        "",
        "Unknown keys are errors. A quantity with a unit is a number in the unit of the table or text such as"
        " `445 /pb`. A *tagged* number is `{value: 0.9, source: assumed, note: ...}`, see [Tagged](#tagged).",
        "",
        "| kind | where |",
        "| --- | --- |",
        *(f"| [{kind.title}](#{_anchor(kind.title)}) | {_place(kind.place)} |" for kind in KINDS.values()),
    ]
    done: set[str] = {"Tagged"}
    for name, kind in KINDS.items():
        lines += ["", f"## {kind.title}", "", f"{_place(kind.place)}."]
        whole = definitions[name].get("else", definitions[name])
        lines += _model(whole, definitions)
        if kind.extends:
            lines += ["", "The key `extends` names another file of this kind that the file is merged over."]
        if "properties" not in whole and "$ref" not in whole:
            lines += ["", _sentence(_type(whole)) + "."]
        for inner in _inside(whole, definitions, done):
            lines += ["", f"### {inner}", *_model(definitions[inner], definitions)]
    lines += ["", "## Tagged", *_model(definitions["Tagged"], definitions)]
    return "\n".join(lines) + "\n"


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-")


def _place(place: str) -> str:
    return place if "`" in place else f"`{place}`"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _inside(schema: Schema, definitions: Schema, done: set[str]) -> Iterator[str]:
    """Names of the models that a schema refers to and that have no table yet, each once."""
    for name in _references(schema):
        if name in done:
            continue
        done.add(name)
        yield name
        yield from _inside(definitions[name], definitions, done)


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"].removeprefix(_REFERENCE)
        for key, inner in value.items():
            if key != "discriminator":
                yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)


def _model(schema: Schema, definitions: Schema) -> list[str]:
    """Description and table of a model."""
    if "$ref" in schema:
        schema = definitions[schema["$ref"].removeprefix(_REFERENCE)]
    lines = ["", schema["description"]] if schema.get("description") else []
    if "properties" not in schema:
        return lines
    required = schema.get("required", ())
    lines += ["", "| key | type | unit | default | description |", "| --- | --- | --- | --- | --- |"]
    for key, value in schema["properties"].items():
        default = "*required*" if key in required else _default(value)
        cells = (f"`{key}`", _type(value), _unit(key, value), default, _escape(value.get("description", "")))
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _escape(text: str) -> str:
    return text.replace("\\|", "|").replace("|", "\\|").replace("``", "`")


def _default(value: Schema) -> str:
    if "default" not in value:
        return ""
    default = value["default"]
    if default in ("", [], {}, None):
        return {"": "empty", "[]": "empty", "{}": "empty", "None": "none"}[str(default)]
    text = json.dumps(default, ensure_ascii=False)
    return _escape(f"`{text}`") if len(text) <= 40 else "its defaults" if isinstance(default, dict) else "see the model"


_BOUNDS = {
    "minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below",
    "minItems": "at least", "minLength": "at least", "minProperties": "at least",
}  # fmt: skip


def _bounds(schema: Schema) -> str:
    counted = {"minItems": " items", "minProperties": " entries", "minLength": " characters"}
    found = [
        f"{words} {schema[key]:g}{counted.get(key, '')}"
        for key, words in _BOUNDS.items()
        if key in schema and not (key == "minItems" and "prefixItems" in schema) and schema[key] not in (-1e400, 1e400)
    ]
    return ", " + ", ".join(found) if found else ""


def _type(schema: Schema) -> str:
    """A schema in words, models as links."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(_REFERENCE)
        return "tagged number" if name == "Tagged" else f"[{name}](#{_anchor(name)})"
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{v}`" for v in schema["enum"])
    for key in ("anyOf", "oneOf"):
        if key in schema and "properties" not in schema:
            if "unit" in schema:
                return f"quantity{_bounds(schema)}"
            return " or ".join(_type(s) for s in schema[key] if s.get("type") != "null")
    if "allOf" in schema:
        return " and ".join(_type(s) for s in schema["allOf"])
    kind = schema.get("type", "anything")
    if kind == "array":
        if "prefixItems" in schema:
            return "[" + ", ".join(_type(s) for s in schema["prefixItems"]) + "]"
        return f"list of {_type(schema.get('items', {}))}" + _bounds(schema)
    if kind == "object":
        values = schema.get("additionalProperties", True)
        return ("mapping of name to " + _type(values) if isinstance(values, Mapping) else "mapping") + _bounds(schema)
    words = {"string": "text", "boolean": "true or false", "null": "none"}
    return words.get(str(kind), str(kind)) + _bounds(schema)


def _units(schema: Any) -> Iterator[str]:
    if isinstance(schema, Mapping):
        if isinstance(schema.get("unit"), str):
            yield schema["unit"]
        for key in ("anyOf", "items", "prefixItems"):
            yield from _units(schema.get(key))
    elif isinstance(schema, list):
        for inner in schema:
            yield from _units(inner)


def _unit(key: str, schema: Schema) -> str:
    """The unit of a quantity, or the one that the end of a key names."""
    found = list(dict.fromkeys(_units(schema)))
    return ", ".join(found) or (_UNITS.get(key.rpartition("_")[2], "") if "_" in key else "")
