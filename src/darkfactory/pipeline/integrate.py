"""Stage: gridpacks, the frozen adaptation of every process at every point."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from darkfactory.core.digest import digest_value
from darkfactory.core.errors import InputError, RunError
from darkfactory.core.files import atomic_path
from darkfactory.core.seeds import seed_words
from darkfactory.execute.backends import Backend
from darkfactory.generate.forced import forced_fraction
from darkfactory.generate.gridpack import Gridpack, adapt
from darkfactory.pipeline.parts import Progress, run_parts
from darkfactory.pipeline.processes import point_process, process_config
from darkfactory.pipeline.request import Request

__all__ = ["chunk", "read_gridpack", "run"]


def read_gridpack(path: str | Path) -> Gridpack:
    """Read a gridpack that this stage wrote.

    Raises:
        InputError: the file is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            header = json.loads(bytes(stored["header"]).decode())
            return Gridpack.from_arrays(header, {k: stored[k] for k in stored.files if k != "header"})
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path}: no readable gridpack ({error}); delete it and run again") from error


def _write_gridpack(path: Path, pack: Gridpack) -> None:
    header, arrays = pack.to_arrays()
    text = np.frombuffer(json.dumps(header, sort_keys=True).encode(), dtype=np.uint8)
    with atomic_path(path) as tmp, tmp.open("wb") as file:
        np.savez(file, allow_pickle=False, header=text, **arrays)


def chunk(request: Request, item: dict[str, Any], path: Path) -> dict[str, Any]:
    """Adapt one point, or note the cross-section of an engine that needs no adaptation."""
    spec = request.spec
    config = process_config(spec)
    if config.engine != "tree":
        if config.parametric is not None:
            sigma_fb, error_fb = config.parametric.sigma_fb, 0.0
        elif config.normalisation is not None:
            # decays that Pythia is told stand for themselves alone
            fraction = forced_fraction(config) if config.pythia.get("tag") else 1.0
            sigma_fb = config.normalisation.value * fraction
            error_fb = (config.normalisation.uncertainty or 0.0) * fraction
        else:
            raise RunError(f"process {config.name}: engine {config.engine} has no cross-section")
        with atomic_path(path) as tmp:
            tmp.write_text("this engine needs no gridpack\n")
        meta = {"sigma_fb": sigma_fb, "sigma_err_fb": error_fb}
        return {"digest": digest_value(meta), "n_generated": 0, "events": 0, "sumw": 0.0, "meta": meta}
    process = point_process(spec, item["point"])
    seed = seed_words(spec["seed"], "integrate", spec["sample"], item["point"])[0]
    pack = adapt(process, seed)
    if pack.suspicious:
        raise RunError(
            f"process {config.name} at {item['point']}: adaptation moved the cross-section from "
            f"{pack.sigma_before_fb:.5g} to {pack.sigma_fb:.5g} fb, {pack.deviation:.1f} standard deviations; "
            "the phase-space maps miss a region: check the cuts and the bias"
        )
    _write_gridpack(path, pack)
    meta = {
        "sigma_fb": pack.sigma_fb,
        "sigma_err_fb": pack.sigma_err_fb,
        "sigma_before_fb": pack.sigma_before_fb,
        "efficiency": pack.efficiency,
    }
    return {"digest": pack.digest, "n_generated": 0, "events": 0, "sumw": 0.0, "meta": meta}


def run(request: Request, backend: Backend, progress: Progress) -> None:
    """Adapt all points of a block, each as it would be alone."""
    items = [{"point": point, "chunk": 0} for point in request.spec["points"]]
    run_parts(request, backend, progress, "darkfactory.pipeline.integrate:chunk", items, suffix=".npz")
