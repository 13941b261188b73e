"""Processes of the tree engine from a job's resolved configuration."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Any

from darkfactory.config.detector import BeamsConfig
from darkfactory.config.load import validate
from darkfactory.config.model import ModelConfig
from darkfactory.config.points import parse_point
from darkfactory.config.process import ProcessConfig
from darkfactory.config.tau_decays import TauDecaysConfig
from darkfactory.core.digest import canonical_json
from darkfactory.generate.process import Process, build_process
from darkfactory.physics.beams import Beams

__all__ = ["beams_of", "parameters_at", "point_process", "process_config"]


def process_config(spec: Mapping[str, Any]) -> ProcessConfig:
    """The registry's entry."""
    return validate(ProcessConfig, spec["process"], where="process")


def beams_of(spec: Mapping[str, Any]) -> Beams:
    """Beams with their spreads, from the detector's section."""
    config = validate(BeamsConfig, spec["beams"], where="beams")
    return Beams(
        config.e_her_gev.value,
        config.e_ler_gev.value,
        config.half_crossing_mrad.value * 1e-3,
        config.sigma_e_her_gev.value,
        config.sigma_e_ler_gev.value,
    )


@functools.lru_cache(maxsize=256)
def _build(text: str) -> Process:
    value = json.loads(text)
    decays = None
    if value["tau_decays"] is not None:
        decays = validate(TauDecaysConfig, value["tau_decays"], where="tau_decays")
    return build_process(
        validate(ProcessConfig, value["process"], where="process"),
        validate(ModelConfig, value["model"], where="model"),
        value["parameters"],
        beams_of(value),
        decays,
    )


def parameters_at(spec: Mapping[str, Any], point: str) -> dict[str, float]:
    """Parameters of the model at a point."""
    parameters = dict(spec["parameters"])
    if point != "all":
        parameters |= {spec["axes"][axis]: value for axis, value in parse_point(point).items()}
    return parameters


def point_process(spec: Mapping[str, Any], point: str) -> Process:
    """The process at a point: its axes set the parameters that the sample names.

    Compiled once in a worker, however many chunks it makes.

    Args:
        spec: of the stages integrate and generate.
        point: name of the point, ``all`` for a background.
    """
    parameters = parameters_at(spec, point)
    parts = {k: spec.get(k) for k in ("process", "model", "beams", "tau_decays")}
    return _build(canonical_json({**parts, "parameters": parameters}))
