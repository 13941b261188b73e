"""Results and their origin in forms for other tools: limit files of Darkcast, BibTeX, a description for REANA."""

from __future__ import annotations

import importlib.metadata
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from darkfactory.config.exports import CitationsConfig, DarkcastModel
from darkfactory.config.resolve import Campaign
from darkfactory.core.errors import UserError

__all__ = ["bibliography", "darkcast_module", "limit_table", "paper_entry", "reana_description"]

Row = Mapping[str, Any]


def _merged(lines: Sequence[tuple[float, ...]]) -> list[tuple[float, ...]]:
    """Lines by mass; intervals of several signals that overlap are one, as what either excludes is excluded.

    Example:
        >>> _merged([(2.0, 1.0), (1.0, 3.0, 9.0), (1.0, 1.0, 4.0), (1.0, 20.0, 30.0)])
        [(1.0, 1.0, 9.0), (1.0, 20.0, 30.0), (2.0, 1.0)]
    """
    found: list[tuple[float, ...]] = []
    for line in sorted(lines):
        last = found[-1] if found else ()
        if len(line) == len(last) == 3 and line[0] == last[0] and line[1] <= last[2]:
            found[-1] = (*last[:2], max(last[2], line[2]))
        else:
            found.append(line)
    return found


def limit_table(rows: Sequence[Row], model: str, *, observed: bool, cl: float | None = None) -> str:
    """Columns mass, lower and, for regions with two edges, upper of one model, as Darkcast reads them.

    Intervals of several signals of the model are put together where they overlap.

    Args:
        rows: of couplings.csv.
        model: name.
        observed: observed instead of median expected limits.
        cl: confidence level; by default the first.

    Raises:
        UserError: nothing of this model is limited.

    Example:
        >>> rows = [{"model": "m", "point": "m1p00000", "mass_gev": 1.0, "expected": 1e-3, "cl": 0.9, "status": "ok",
        ...          "lower": None, "upper": None, "coupling": "g", "quantity": "g"}]
        >>> print(limit_table(rows, "m", observed=False), end="")
        #      mass       lower
         1.0000e+00  1.0000e-03
    """
    own = [r for r in rows if r["model"] == model and (cl is None or r["cl"] == cl)]
    own = [r for r in own if r["cl"] == own[0]["cl"]]
    wanted = "observed" if observed else "expected"
    lines: list[tuple[float, ...]] = []
    for r in own:
        if r.get("lower") is not None:
            if (r["quantity"] == r["coupling"]) == observed:
                lines.append((float(r["mass_gev"]), float(r["lower"]), float(r["upper"])))
        elif r.get(wanted) is not None and r["status"] == "ok" and "_" not in str(r["point"]):
            lines.append((float(r["mass_gev"]), float(r[wanted])))
    if not lines:
        known = sorted({str(r["model"]) for r in rows})
        raise UserError(f"model {model!r} has no {wanted} limits in couplings.csv; models there: {known}")
    lines = _merged(lines)
    width = max(len(line) for line in lines)
    head = "#" + "".join(f"{name:>{10 if i == 0 else 12}}" for i, name in enumerate(("mass", "lower", "upper")[:width]))
    body = ["".join(f"{v:{11 if i == 0 else 12}.4e}" for i, v in enumerate(line)) for line in lines]
    return "\n".join([head, *body]) + "\n"


def darkcast_module(name: str, told: DarkcastModel, search: str, notes: str, bibtex: str) -> str:
    """The Python file that goes with a limit table in Darkcast.

    Args:
        name: of both files.
        told: names of the model there.
        search: which search's decay.
        notes: what the limit is.
        bibtex: entry of the paper.

    Raises:
        UserError: the search's decay is not known.
    """
    decay = told.decay or told.decays.get(search, "")
    if not decay:
        raise UserError(f"config/darkcast.yaml does not say which decay {search} sees; it has {dict(told.decays)}")
    share = told.invisible_share if decay == "invisible" else 0.0
    width = f", iwidth = lambda m, model:\n    {share / (1 - share):.1f}*model.width('visible', m)" if share else ""
    return (
        f'import darkcast\nnotes = """\n{notes}\n"""\nbibtex = r"""\n{bibtex.strip()}\n"""\n'
        f'model = darkcast.Model("{told.model}"{width})\n'
        f'production = darkcast.Production("{told.production}")\n'
        f"decay = {json.dumps(decay)}\n"
        f'bounds = darkcast.Dataset("limits/{name}.lmt")\n'
        'efficiency = darkcast.Efficiency(t0 = 0, t1 = float("inf"))\n'
    )


def paper_entry(reference: str, search: str) -> str:
    """A BibTeX entry of a search's reference, journal and arXiv number; empty where it names no paper.

    Example:
        >>> print(paper_entry("PRL 130, 231801 (2023), arXiv:2212.03066", "zprime_invisible"))
        @article{arXiv_2212_03066,
          note = {reference of zprime_invisible},
          journal = {PRL 130, 231801 (2023)},
          eprint = {2212.03066}, archivePrefix = {arXiv}
        }
        >>> paper_entry("projection: no published result", "x")
        ''
    """
    arxiv = re.search(r"arXiv:(\d{4}\.\d{4,5})", reference)
    journal = re.sub(r",?\s*arXiv:\S+", "", reference).strip()
    if arxiv is None and not re.search(r"\(\d{4}\)", journal):
        return ""
    key = f"arXiv_{arxiv.group(1).replace('.', '_')}" if arxiv else re.sub(r"\W+", "_", journal).strip("_")
    lines = [f"  note = {{reference of {search}}}"]
    if journal:
        lines.append(f"  journal = {{{journal}}}")
    if arxiv:
        lines.append(f"  eprint = {{{arxiv.group(1)}}}, archivePrefix = {{arXiv}}")
    return f"@article{{{key},\n" + ",\n".join(lines) + "\n}"


def bibliography(campaign: Campaign, citations: CitationsConfig, version: str, search: str | None = None) -> list[str]:
    """BibTeX entries of darkfactory, of the papers of a campaign's searches, and of the software that was used.

    Args:
        campaign: which searches and samples.
        citations: software and methods.
        version: of darkfactory.
        search: only this search's papers and engines.
    """
    own = {key: c for key, c in campaign.searches.items() if search in (None, key[0])}
    entries = [f"@software{{darkfactory,\n  title = {{darkfactory}}, version = {{{version}}}\n}}"]
    for (name, _), config in own.items():
        entries.append(paper_entry(config.data.reference, name))
    samples = {s for c in own.values() for s in (*c.backgrounds, *(h.sample for h in c.hypotheses.values()))}
    engines = {
        campaign.library.get("processes", campaign.samples[s].process).get("engine", "")
        for s in samples
        if campaign.samples[s].process
    }
    for one in citations.entries.values():
        if one.engine and one.engine not in engines:
            continue
        text = one.bibtex.strip()
        if one.package:
            try:
                text = f"% {one.package} {importlib.metadata.version(one.package)}\n{text}"
            except importlib.metadata.PackageNotFoundError:
                continue
        entries.append(text)
    return [e for e in dict.fromkeys(entries) if e]


def reana_description(campaign: str, searches: Sequence[str], *, cores: int, memory: str, image: str) -> dict[str, Any]:
    """A REANA description of a run as one step: installs the package from its folder, runs, keeps the results.

    Args:
        campaign: name.
        searches: only these; empty: all of the campaign.
        cores: worker processes.
        memory: limit of the step, as ``8Gi``.
        image: container image with Python.
    """
    run = [f"darkfactory run -c {campaign} --cores {cores}" + (f" --search {s}" if s else "") for s in searches or [""]]
    outputs = [f"results/{campaign}/{s}" for s in searches] or [f"results/{campaign}/report"]
    return {
        "version": "0.9.0",
        "inputs": {
            "files": ["Snakefile", "pyproject.toml", "constraints.txt", "README.md", "LICENSE"],
            "directories": ["config", "rules", "src", "workflow"],
            "parameters": {"campaign": campaign, "cores": cores},
        },
        "workflow": {
            "type": "serial",
            "specification": {
                "steps": [
                    {
                        "name": "run",
                        "environment": image,
                        "kubernetes_memory_limit": memory,
                        "commands": [
                            "python -m venv .venv && .venv/bin/pip install -c constraints.txt '.[pythia]'"
                            + "".join(f" && .venv/bin/{command}" for command in run)
                        ],
                    }
                ]
            },
        },
        "outputs": {"directories": outputs},
    }
