"""A commented start for a new search: the file of a search that runs, with the words of a guide around it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from darkfactory.config.library import Library
from darkfactory.core.errors import ConfigError, UserError

__all__ = ["campaign_entries", "entries_text", "search_skeleton"]

_HEAD = """\
# {name}: a new search, begun as a copy of {like}. It runs as it stands; change one section at a time and ask
#   darkfactory config check -c <campaign>
# after each. Every key is in docs/configuration.md, a search built step by step in docs/tutorial-new-search.md.
# Numbers of physics carry their source: published, derived, measured (here), recalled (from memory) or assumed.
"""

_GUIDE: Mapping[str, str] = {
    "title": "Text for figures and the report.",
    "kind": "A search sets limits; a measurement has the section `measurement` and ends with a number.",
    "hypotheses": """\
The kinds of signal. Each has a `sample` of config/samples.yaml, whose process generates it, and a grid of masses in
GeV for each campaign: `values` one by one, `segments` as [first, last, step]. tiny has a few, to try things quickly.
The sample's rate is that of its process's coupling; limits are on the rate times the branching fraction.""",
    "backgrounds": """\
Samples of config/samples.yaml, all of the detector of the dataset's period. Other searches may use them, too: they are
generated once. A new one needs an entry there and, if no process of config/processes makes it, a file there.""",
    "trigger": """\
Lines of the period's menu whose OR the search takes; none: every event. `darkfactory trigger show PERIOD` has all.""",
    "selection": """\
`candidate` says what is reconstructed: src/darkfactory/select/registry.py lists all, with the observables of each.
`cuts` are made one after the other, with inclusive bounds in GeV, cm and radians (or text, `37.3 deg`); `when` confines
a cut to ranges of other observables. Look at what they do with `darkfactory cutflow`, and at efficiency.csv.""",
    "network": "A multivariate step after the cuts; leave the section out if there is none.",
    "templates": """\
The fit. Signal: a shape interpolated in mass (parametric) or histograms of each point (simulation). Background: a
polynomial that data alone fix, or templates. `regions` say which observable, a squared mass, is fitted at which masses.
`masks` are ranges of mass that are left out, `systematics` relative uncertainties; equal names are one nuisance.""",
    "measurement": "What is measured, with its calibration and corrections.",
    "statistics": "Confidence levels, and when few events need exact or toy limits (docs/statistics.md).",
    "interpretation": """\
From limits on rates to couplings: coupling = reference_coupling * (limit / (rate * branching fraction))^(1/power).
Without models, limits.csv is all there is.""",
    "datasets": """\
Experiment and luminosity; a dataset may override any section above. Its `period` (config/periods.yaml) sets the trigger
menu, the detector and the beam background.""",
}

# claims of the published search, which a new one does not have
_PUBLISHED = re.compile(r"^ {4}(reference|reference_csv|projection):")
_KEY = re.compile(r"^([a-z_]+):")
_DATASET = re.compile(r"^  ([A-Za-z0-9_]+):")


def search_skeleton(library: Library, name: str, like: str) -> str:
    """Text of a new search's file: that of another one with comments, under a new name and without its references.

    Args:
        library: the folder of configuration.
        name: of the new search.
        like: the search to begin with.

    Raises:
        ConfigError: there is no search ``like``.
        UserError: the name is taken or no name of a search.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        better = re.sub(r"[^a-z0-9]+", "_", name.removesuffix(".yaml").lower()).strip("_")
        hint = f"; for instance {better!r}" if re.fullmatch(r"[a-z][a-z0-9_]*", better) else ""
        raise UserError(f"{name!r} is no name of a search: small letters, digits and underscores, a letter first{hint}")
    if name in library.names("searches"):
        raise UserError(f"{library.path('searches', name)} exists and is not overwritten; choose another name")
    library.get("searches", like)
    lines = [_HEAD.format(name=name, like=like).rstrip()]
    section, pending = "", []
    for line in library.path("searches", like).read_text().splitlines():
        if line.startswith("#"):
            # belongs to what follows it
            pending.append(line)
            continue
        key = _KEY.match(line)
        if key:
            section = key.group(1)
            if section in _GUIDE:
                lines += ["", *(f"# {text}" for text in _GUIDE[section].splitlines())]
        if not (section == "datasets" and _PUBLISHED.match(line)):
            lines += [*pending, f"name: {name}" if key and section == "name" else line]
        pending = []
        if section == "datasets" and _DATASET.match(line):
            lines.append("    projection: true  # nothing published to stand for: figures say so")
    return "\n".join(lines) + "\n"


def campaign_entries(library: Library, name: str, like: str, campaign: str) -> dict[str, Any]:
    """What a campaign's file needs for the new search: its first dataset, and what the campaign overrides for ``like``.

    Raises:
        ConfigError: there is no such campaign, or the file of ``like`` has no datasets.
    """
    settings = library.get("campaigns", campaign)
    datasets = library.get("searches", like).get("datasets")
    if not datasets:
        raise ConfigError("has no datasets", file=str(library.path("searches", like)))
    overrides = (settings.get("overrides") or {}).get(like)
    entries: dict[str, Any] = {"searches": {name: [next(iter(datasets))]}}
    if overrides:
        entries["overrides"] = {name: overrides}
    return entries


def entries_text(entries: Mapping[str, Any]) -> str:
    """The entries as YAML, lists and innermost mappings on one line."""
    return str(yaml.safe_dump(dict(entries), sort_keys=False, default_flow_style=None, width=100))
