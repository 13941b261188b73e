"""Stage: a closer look at a few fits of a dataset, with a figure and a table for each diagnostic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from darkfactory.config.diagnostics import DiagnosticsConfig
from darkfactory.config.load import validate
from darkfactory.config.points import parse_point
from darkfactory.config.statistics import StatisticsConfig
from darkfactory.core.errors import DarkfactoryError
from darkfactory.core.files import read_json, write_json
from darkfactory.execute.backends import Backend
from darkfactory.pipeline.diagnosis import Subject, diagnose, save, settings_note
from darkfactory.pipeline.parts import Progress
from darkfactory.pipeline.request import Request, provenance

__all__ = ["choose_points", "examine", "run"]


def choose_points(keys: Sequence[str], largest: str | None, count: int, named: Sequence[str]) -> list[str]:
    """The largest excess, others spread over the list, and the named ones; each once.

    Args:
        keys: ``hypothesis/point`` of all points with a workspace, by mass.
        largest: that of the largest excess, if known.
        count: points beside the named ones.
        named: names of points (of any hypothesis), or keys.

    Example:
        >>> keys = [f"zprime/m{i}p00000" for i in range(1, 10)]
        >>> choose_points(keys, keys[0], 3, ["m9p00000"])
        ['zprime/m1p00000', 'zprime/m4p00000', 'zprime/m8p00000', 'zprime/m9p00000']
    """
    chosen = [largest] if largest in keys and count else []
    others = [k for k in keys if k not in chosen]
    missing = min(count - len(chosen), len(others))
    # the middles of equal parts of the list, without its ends
    chosen += [others[((2 * i + 1) * len(others)) // (2 * missing)] for i in range(missing)]
    chosen += [k for k in keys if k in named or k.partition("/")[2] in named]
    return [str(k) for k in dict.fromkeys(chosen)]


def _folder_name(key: str) -> str:
    return key.replace("/", "_")


def examine(
    request: Mapping[str, Any], key: str, workspace: Mapping[str, Any], kind: str, draw: bool
) -> dict[str, Any]:
    """One diagnostic of one point, on one worker; what cannot be made says why."""
    job = Request.from_dict(request)
    spec = job.spec
    subject = Subject(
        name=f"{spec['dataset']} {workspace['point']}",
        spec=workspace["spec"],
        statistics=validate(StatisticsConfig, spec["statistics"], where="statistics"),
        config=validate(DiagnosticsConfig, spec["diagnostics"], where="diagnostics"),
        seed=spec["seed"],
        path=("diagnostics", spec["search"], spec["dataset"], key),
    )
    entry: dict[str, Any] = {"point": key, "kind": kind, "summary": {}, "figures": []}
    try:
        found = diagnose(kind, subject)
    except DarkfactoryError as error:
        return entry | {"failed": str(error)}
    folder = job.output("diagnostics").parent
    name = f"{_folder_name(key)}_{kind}"
    figures = save(found, folder, name, settings_note(subject) | {"data": workspace["data"]}, draw=draw)
    figures = [f | {"caption": f"{f['caption']}: {key}, {workspace['data']} data"} for f in figures]
    return entry | {"summary": dict(found.summary), "figures": figures, "table": f"{name}.csv"}


def run(request: Request, backend: Backend, progress: Progress) -> None:
    """All diagnostics of the chosen points."""
    spec = request.spec
    points: dict[str, Any] = {}
    for path in request.input_list("workspaces"):
        points |= read_json(path)["points"]
    config = validate(DiagnosticsConfig, spec["diagnostics"], where="diagnostics")
    largest = read_json(request.input("scan")).get("largest") or {}
    usable = [k for k, w in points.items() if w["spec"] is not None]
    narrow = [k for k in usable if "width" not in parse_point(points[k]["point"])]
    narrow.sort(key=lambda k: (points[k]["hypothesis"], parse_point(points[k]["point"])["mass"]))
    first = f"{largest['hypothesis']}/{largest['point']}" if largest else None
    named = config.named.get(spec["search"], ())
    chosen = choose_points(narrow or usable, first, config.points, named)
    plain = request.to_dict()
    tasks = [
        (
            "darkfactory.pipeline.diagnostics:examine",
            (plain, key, points[key], kind, i < config.drawn or points[key]["point"] in named),
        )
        for i, key in enumerate(chosen)
        for kind in config.kinds
    ]
    what = f"diagnostics {spec['search']}/{spec['dataset']}"
    made = backend.map(tasks, lambda n: progress(f"{what}: {n} of {len(tasks)}"))
    figures = [f for entry in made for f in entry["figures"]]
    value = {"points": chosen, "diagnostics": made, "figures": figures, "provenance": provenance(request)}
    write_json(request.output("diagnostics"), value)
