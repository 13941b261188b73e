"""Processes for tests of the generator: built from the registry or from a few words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from darkfactory.config.library import Library
from darkfactory.config.load import deep_merge, validate
from darkfactory.config.model import ModelConfig
from darkfactory.config.process import ProcessConfig
from darkfactory.config.tau_decays import TauDecaysConfig
from darkfactory.generate.process import Process, build_process
from darkfactory.physics.beams import Beams

LIBRARY = Library(Path(__file__).parents[2] / "config")
MODEL = validate(ModelConfig, LIBRARY.get("models", "dark_qed"))
TAUS = validate(TauDecaysConfig, LIBRARY.file("tau_decays.yaml"))
SYMMETRIC = Beams.symmetric(10.58)
BELLE2 = Beams(7.004, 4.002, 0.0415, 0.00513, 0.002375)
NEW = frozenset({"Zp", "S", "a", "Ap", "hp", "pi0", "eta", "etap"})


def rows() -> dict[str, dict[str, Any]]:
    """The reference cross-sections."""
    text = (Path(__file__).parent / "cross_sections.yaml").read_text()
    return dict(yaml.safe_load(text)["rows"])


def reference_process(name: str, row: Mapping[str, Any]) -> Process:
    """A process of the table, at its energy and without radiation."""
    legs = [
        {"leg": leg, "cos_cms": [-0.95, 0.95], "e_cms_min": 0.1 if leg == "gamma" and len(row["final"]) > 2 else 0.0}
        for leg in row.get("acc", ())
    ]
    pairs = [{"legs": ["mu-", "mu+"], "mass_min": row["mass_min"]}] if "mass_min" in row else []
    new = len(NEW & set(row["final"]))
    value = {
        "name": name,
        "final": row["final"],
        "parameters": row.get("parameters", {}),
        "max_orders": {"NP": 2 * new - 1 if new else 0},
        "cuts": {"legs": legs, "pairs": pairs},
    }
    return build_process(validate(ProcessConfig, value), MODEL, {}, SYMMETRIC)


def registry(
    name: str,
    change: Mapping[str, Any] | None = None,
    parameters: Mapping[str, float] | None = None,
    beams: Beams = BELLE2,
) -> Process:
    """A process of config/processes, with changes."""
    value = deep_merge(LIBRARY.get("processes", name), dict(change or {}))
    return build_process(validate(ProcessConfig, value), MODEL, parameters or {}, beams, TAUS)


def moments(x: np.ndarray, w: np.ndarray) -> tuple[float, float]:
    """Weighted mean and its error."""
    mean = float(np.average(x, weights=w))
    error = float(np.sqrt(np.sum(w**2 * (x - mean) ** 2)) / np.sum(w))
    return mean, error
