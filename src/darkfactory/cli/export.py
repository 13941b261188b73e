"""`darkfactory export`: results in forms for others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from darkfactory.cli.common import campaign_options, chosen_campaign, find_dataset, need_limits
from darkfactory.cli.complete import datasets, searches
from darkfactory.cli.export_more import darkcast, reana
from darkfactory.cli.results import point_of
from darkfactory.config.ellipses import EllipsesConfig
from darkfactory.config.load import validate
from darkfactory.config.templates import TemplatesConfig
from darkfactory.core.errors import RunError, UserError
from darkfactory.core.files import read_json, write_json
from darkfactory.core.suggest import did_you_mean
from darkfactory.pipeline.layout import path
from darkfactory.store.tables import write_csv
from darkfactory.templates.patchset import PatchedBackground, patch_sets
from darkfactory.templates.workspace import PointWorkspace

__all__ = ["export"]


_EXAMPLES = """\b
Examples:
  darkfactory export pyhf -s alp_3gamma -p m0p50000 > workspace.json
  darkfactory export pyhf -s alp_3gamma -o archive
  pyhf patchset apply archive/background.json archive/patchset.json --name alp_m0p50000 | pyhf cls
"""

_EVENTS = """\b
Examples:
  darkfactory export events -s alp_3gamma -o candidates.root
"""
_HEPDATA = """\b
Examples:
  darkfactory export hepdata -s alp_3gamma
  darkfactory export hepdata -s zprime_invisible -d belle2_80fb -o submission.tar.gz
"""


@click.group()
def export() -> None:
    """Results in forms for others."""


export.add_command(darkcast)
export.add_command(reana)


@export.command(epilog=_EXAMPLES)
@campaign_options
@click.option("--search", "-s", shell_complete=searches, required=True, help="Search.")
@click.option("--dataset", "-d", shell_complete=datasets, default=None, help="Dataset; by default the first.")
@click.option(
    "--point", "-p", default=None, help="Print the workspace of one point, as m0p50000 or 0.5 (a mass in GeV)."
)
@click.option("--hypothesis", default=None, help="Hypothesis; by default the first (of --point) or all (of --output).")
@click.option("--output", "-o", type=click.Path(file_okay=False, path_type=Path), default=None,
              help="Write background-only workspaces and their signal patch sets to this folder.")  # fmt: skip
def pyhf(
    campaign: str | None, config_dir: str, settings: tuple[str, ...], search: str, dataset: str | None,
    point: str | None, hypothesis: str | None, output: Path | None,
) -> None:  # fmt: skip
    """HistFactory workspaces for plain pyhf: of one point to the terminal, or of all to a folder.

    The folder holds, for every background that points share (one if the whole range is fitted, else one a window),
    a background-only workspace and a patch set, and `index.csv`, which names both files and the patch of each point:
    """
    resolved = chosen_campaign(campaign, config_dir, settings)
    w = find_dataset(resolved, search, dataset)
    need_limits(resolved, w["search"], w["dataset"])
    config = resolved.searches[w["search"], w["dataset"]]
    known = list(config.hypotheses)
    if hypothesis is not None and hypothesis not in known:
        raise UserError(f"{search} has no hypothesis {hypothesis!r}; it has {known}")
    if (point is None) == (output is None):
        raise UserError("export pyhf takes either --point, to print one workspace, or --output, to write all")
    folder = Path(path("workspace", campaign=resolved.config.campaign, block="x", **w)).parent
    points = _points(folder)
    if point is not None:
        click.echo(json.dumps(_one(points, hypothesis or known[0], point_of(point), folder), indent=1, sort_keys=True))
        return
    chosen = [PointWorkspace.from_dict(p) for p in points.values() if hypothesis in (None, p["hypothesis"])]
    if not chosen:
        raise UserError(f"no workspaces in {folder}; run the search first")
    where = f"{search}.templates"
    if config.templates.get("kind") == "ellipses":
        hepdata = validate(EllipsesConfig, config.templates, where=where).hepdata
    else:
        hepdata = validate(TemplatesConfig, config.templates, where=where).hepdata
    groups = patch_sets(chosen, hepdata=hepdata, label=f"{search}/{w['dataset']}")
    assert output is not None
    _write(output, groups, {p.key: p.scale for p in chosen})
    left_out = sum(p.spec is None for p in chosen)
    patches = sum(len(g.points) for g in groups)
    click.echo(
        f"{output}: {patches} signal patches on {len(groups)} backgrounds, digests and schemas verified by pyhf"
        + (f"; {left_out} points have no workspace" if left_out else "")
    )


@export.command(epilog=_EVENTS)
@campaign_options
@click.option("--search", "-s", shell_complete=searches, required=True, help="Search.")
@click.option("--dataset", "-d", shell_complete=datasets, default=None, help="Dataset; by default the first.")
@click.option("--sample", default=None, help="Only this sample, an external one for instance.")
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), default=Path("candidates.root"),
              show_default=True, help="File to write.")  # fmt: skip
def events(
    campaign: str | None, config_dir: str, settings: tuple[str, ...], search: str, dataset: str | None,
    sample: str | None, output: Path,
) -> None:  # fmt: skip
    """Selected candidates of a finished SEARCH as plain trees, for ROOT or uproot.

    A tree for each sample and each point of a signal, one row a candidate: observables, `weight` in fb times generated
    events, and `expected_events` at the dataset's luminosity.
    """
    from darkfactory.pipeline.candidates import export_candidates

    resolved = chosen_campaign(campaign, config_dir, settings)
    w = find_dataset(resolved, search, dataset)
    config = resolved.searches[w["search"], w["dataset"]]
    known = [*(h.sample for h in config.hypotheses.values()), *config.backgrounds, *resolved.config.external]
    known = list(dict.fromkeys(known))
    if sample is not None and sample not in known:
        hint = did_you_mean(sample, known) or ";"
        raise UserError(f"{search} has no sample {sample!r}{hint} it has {known}")
    name = resolved.config.campaign
    wanted = [sample] if sample is not None else [s for s in known if s not in resolved.config.external]
    stage = {s: "preselected" if s in resolved.config.external else "selected" for s in wanted}
    manifests = {
        s: [Path(path(stage[s], campaign=name, sample=s, block=b, **w)) for b in resolved.sample_blocks(s)]
        for s in wanted
    }
    rows = export_candidates(output, manifests, config.data.luminosity)
    for tree, n in rows.items():
        click.echo(f"{output}: {tree}: {n} rows")


@export.command(epilog=_HEPDATA)
@campaign_options
@click.option("--search", "-s", shell_complete=searches, required=True, help="Search.")
@click.option(
    "--dataset", "-d", shell_complete=datasets, default=None, help="Only this dataset; by default all of the campaign."
)
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), default=None, help="Archive to write.")
def hepdata(
    campaign: str | None, config_dir: str, settings: tuple[str, ...], search: str, dataset: str | None,
    output: Path | None,
) -> None:  # fmt: skip
    """A HEPData submission of a finished SEARCH, checked by HEPData's validator.

    Tables of limits, couplings and efficiencies, and the workspaces of all points; they say what stands for data.
    Nothing is uploaded.
    """
    from darkfactory.pipeline.blinding import chain_path, read_records
    from darkfactory.pipeline.hepdata import (
        data_of_results,
        dataset_tables,
        submission_comment,
        validate_archive,
        workspace_archive,
        write_archive,
    )

    resolved = chosen_campaign(campaign, config_dir, settings)
    first = find_dataset(resolved, search, dataset)
    name = resolved.config.campaign
    datasets = [d for s, d in resolved.searches if s == search and (dataset is None or d == first["dataset"])]
    tables, resources, states = [], {}, {}
    for d in datasets:
        config = resolved.searches[search, d]
        need_limits(resolved, search, d)
        beams = resolved.library.get(
            "detectors", resolved.samples[next(iter(config.hypotheses.values())).sample].detector
        )
        base = Path(path("limits_csv", campaign=name, search=search, dataset=d)).parent
        if not (base / "couplings.csv").exists():
            raise UserError(f"{base}: no results; run the search first: darkfactory run --search {search}")
        about = {
            "dataset": d,
            "luminosity_fb": config.data.luminosity,
            "sqrts_gev": beams["beams"]["sqrts_gev"]["value"],
            "data": data_of_results(base, resolved.config.data),
        }
        records = read_records(chain_path(name, search, d)) if config.data.recorded else ()
        states[d] = about["data"], records[-1] if records else None, bool(config.data.recorded)
        tables += dataset_tables(base, about)
        text = f"HistFactory workspaces of {d}, one JSON file a point, readable by pyhf"
        resources[f"workspaces_{d}.tar.gz"] = (text, workspace_archive(base))
    title = next(iter(c.title for (s, _), c in resolved.searches.items() if s == search))
    file = output or Path(path("report", campaign=name)).parents[1] / "hepdata" / search / "submission.tar.gz"
    write_archive(file, tables, submission_comment(title, name, states), resources)
    checked = (
        "valid by HEPData's validator"
        if validate_archive(file)
        else ("not validated: pip install 'darkfactory[hepdata]'")
    )
    click.echo(f"{file}: {len(tables)} tables, {len(resources)} attached files; {checked}")


def _points(folder: Path) -> dict[str, Any]:
    """All points of a dataset; one that was also run alone is the same in both files."""
    found: dict[str, Any] = {}
    for file in sorted(folder.glob("*.json")):
        found |= read_json(file).get("points", {})
    return found


def _one(points: dict[str, Any], hypothesis: str, point: str, folder: Path) -> Any:
    found = points.get(f"{hypothesis}/{point}")
    if found is None:
        seen = sorted(k.partition("/")[2] for k in points if k.startswith(f"{hypothesis}/"))
        raise UserError(
            f"no workspace of {hypothesis}/{point} in {folder}; there are {seen or 'none: run the search first'}"
        )
    if found["spec"] is None:
        raise UserError(f"{point}: no workspace, its status is {found['status']}")
    import pyhf

    try:
        pyhf.schema.validate(found["spec"], "workspace.json")
    except pyhf.exceptions.InvalidSpecification as error:
        raise RunError(f"{folder}: {hypothesis}/{point} is no workspace of pyhf's schema: {error}") from error
    return found["spec"]


def _write(folder: Path, groups: tuple[PatchedBackground, ...], scales: dict[str, float]) -> None:
    """Files of all groups, after pyhf has checked their schemas and digests."""
    import pyhf

    rows = []
    files: dict[str, Any] = {}
    for group in groups:
        background, patches = pyhf.Workspace(group.background), pyhf.PatchSet(group.patchset)
        patches.verify(background)
        for patch in patches:
            # the whole of background and patch, against the schema of workspaces
            pyhf.Workspace(patches.apply(background, patch.name))
        suffix = "" if len(groups) == 1 else "_" + group.points[0].replace("/", "_")
        names = f"background{suffix}.json", f"patchset{suffix}.json"
        files |= dict(zip(names, (group.background, group.patchset), strict=True))
        rows += [
            {"point": key, "background": names[0], "patchset": names[1], "patch": patch.name, "scale_fb": scales[key]}
            for key, patch in zip(group.points, patches, strict=True)
        ]
    for name, value in files.items():
        write_json(folder / name, value)
    write_csv(folder / "index.csv", rows)
