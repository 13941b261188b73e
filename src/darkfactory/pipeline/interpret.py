"""Stage: from cross-section limits to couplings."""

from __future__ import annotations

from darkfactory.config.interpretation import InterpretationConfig
from darkfactory.config.load import validate
from darkfactory.config.points import axis_columns
from darkfactory.execute.backends import Backend
from darkfactory.interpret.couplings import coupling_rows
from darkfactory.interpret.invisible import invisible_rows
from darkfactory.interpret.regions import b_decay_rows, leptophilic_rows, region_rows
from darkfactory.pipeline.parts import Progress
from darkfactory.pipeline.request import Request
from darkfactory.store.tables import read_csv, write_csv

__all__ = ["finish", "run"]

_FIRST = ("model", "coupling", "search", "dataset", "hypothesis", "point")
_LAST = (
    "quantity", "unit", "observed", "expected_m2", "expected_m1", "expected", "expected_p1", "expected_p2", "lower",
    "upper", "cl", "method", "scale", "p0_local", "z_local", "status", "flag", "data",
)  # fmt: skip


def finish(request: dict[str, object]) -> None:
    """Translate the whole scan, on one worker."""
    job = Request.from_dict(request)
    config = validate(InterpretationConfig, job.spec["interpretation"], where="interpretation")
    rates = {(r["hypothesis"], r["point"]): float(r["sigma_fb"]) for r in read_csv(job.input("efficiency"))}
    limits = read_csv(job.input("limits_csv"))
    for hypothesis, joint in job.spec.get("joint", {}).items():
        # limits on the rate of the first member
        rates |= {(hypothesis, p): rate for (h, p), rate in rates.items() if h == joint["members"][0]}
    rows = coupling_rows(limits, rates, config)
    for name, region in config.regions.items():
        if config.dark_scalar is not None:
            rows += region_rows(limits, rates, name, region, config.dark_scalar)
    for name, scalar in config.leptophilic.items():
        rows += leptophilic_rows(limits, rates, name, scalar)
    for name, particle in config.b_decays.items():
        if config.flavour is not None:
            rows += b_decay_rows(limits, rates, name, particle, config.flavour, config.dark_scalar)
    rows += invisible_rows(limits, config)
    columns = (*_FIRST, *axis_columns([r["point"] for r in rows]), *_LAST)
    write_csv(job.output("couplings"), rows, columns)


def run(request: Request, backend: Backend, progress: Progress) -> None:
    """Couplings of all models."""
    backend.map([("darkfactory.pipeline.interpret:finish", (request.to_dict(),))])
    progress(f"interpret {request.spec['search']}/{request.spec['dataset']}: done")
