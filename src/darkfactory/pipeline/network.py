"""Stage: training of a search's multivariate step on the signals of its grid and its backgrounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from darkfactory.config.load import validate
from darkfactory.config.points import parse_point, point_order, project_point
from darkfactory.config.selection import LinearConfig, NetworkConfig, RegionalConfig, SurfaceConfig
from darkfactory.core.files import write_json
from darkfactory.core.seeds import generator
from darkfactory.execute.backends import Backend
from darkfactory.pipeline.ledger import read_table_part
from darkfactory.pipeline.parts import Progress
from darkfactory.pipeline.request import Request, provenance
from darkfactory.pipeline.selected import concatenate, locate, point_items
from darkfactory.select.folds import TrainingSample
from darkfactory.select.multivariate import AnyConfig, train_multivariate

__all__ = ["finish", "multivariate_config", "run"]

TRAINING_FOLDS = (0, 1)


def multivariate_config(value: Mapping[str, Any]) -> AnyConfig:
    """The section `network`, of any kind."""
    if value.get("kind") == "linear_cuts":
        return validate(LinearConfig, value, where="network")
    if value.get("kind") == "threshold_surface":
        return validate(SurfaceConfig, value, where="network")
    if value.get("kind") == "regional_networks":
        return validate(RegionalConfig, value, where="network")
    return validate(NetworkConfig, value, where="network")


def _samples(items: Sequence[Mapping[str, Any]], luminosity: float, weight: str, *, unit: bool) -> list[TrainingSample]:
    """Candidates weighted to expected events; of a signal for a cross-section of 1 fb."""
    found = []
    several = len({item["sample"] for item in items}) > 1
    for item in items:
        columns = concatenate([read_table_part(p) for p in item["paths"]])
        scale = luminosity / item["n_all"] / (item["sigma_fb"] if unit else 1.0)
        name, mass = item["sample"], None
        if unit:
            # two hypotheses have points of the same name
            name = f"{name}/{item['point']}" if several else item["point"]
            mass = parse_point(item["point"])["mass"]
        found.append(TrainingSample(name, columns, columns[weight] * scale, mass))
    return found


def finish(request: Mapping[str, Any], items: Mapping[str, Any]) -> None:
    """Train, on one worker."""
    job = Request.from_dict(request)
    spec = job.spec
    config = multivariate_config(spec["network"])
    weight = "weight" if config.trigger else "weight_untriggered"
    signal = _samples(items["signals"], spec["luminosity_fb"], weight, unit=True)
    background = _samples(items["backgrounds"], spec["luminosity_fb"], weight, unit=False)
    rng = generator(spec["seed"], "network", spec["search"], spec["dataset"])
    trained = train_multivariate(signal, background, config, spec["candidate"], rng)
    write_json(job.output("network"), {"network": trained.to_dict(), "provenance": provenance(job)})


def run(request: Request, backend: Backend, progress: Progress) -> None:
    """Train on the narrow points of the grid."""
    spec = request.spec
    wanted: dict[str, set[str]] = {}
    for hypothesis, sample in spec["signals"].items():
        points = {project_point(p, spec["reweighted"][hypothesis]) for p in spec["grid"][hypothesis]}
        wanted.setdefault(sample, set()).update(points)
    signals = [
        i
        for i in point_items(locate(request.input_list("signals")), TRAINING_FOLDS)
        if i["point"] in wanted[i["sample"]] and "width" not in parse_point(i["point"])
    ]
    signals.sort(key=lambda i: (i["sample"], point_order(i["point"])))
    items = {
        "signals": signals,
        "backgrounds": point_items(locate(request.input_list("backgrounds")), TRAINING_FOLDS),
    }
    progress(f"network {spec['search']}/{spec['dataset']}: {len(signals)} masses")
    backend.map([("darkfactory.pipeline.network:finish", (request.to_dict(), items))])
