"""The B meson that decays by hand, from a job's resolved configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from darkfactory.config.load import validate
from darkfactory.config.model import ModelConfig
from darkfactory.generate.b_signal import SignalSide, build_signal
from darkfactory.pipeline.processes import parameters_at, process_config

__all__ = ["signal_side"]


def signal_side(spec: Mapping[str, Any], point: str) -> SignalSide | None:
    """What the B on the signal side decays to at a point, for processes that have one."""
    config = process_config(spec)
    meson = config.pythia.get("signal")
    if not meson:
        return None
    model = validate(ModelConfig, spec["model"], where="model")
    return build_signal(config, model, parameters_at(spec, point), str(meson))
