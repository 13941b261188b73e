"""The B meson that decays by hand, from a job's resolved configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from darkfactory.config.load import validate
from darkfactory.config.model import ModelConfig
from darkfactory.generate.b_signal import SignalSide, build_signal
from darkfactory.generate.forced import forced_decays
from darkfactory.generate.spectra import Spectrum
from darkfactory.pipeline.processes import parameters_at, process_config

__all__ = ["forced_lines", "pair_spectrum", "signal_side"]


def signal_side(spec: Mapping[str, Any], point: str) -> SignalSide | None:
    """What the B on the signal side decays to at a point, for processes that have one."""
    config = process_config(spec)
    meson = config.pythia.get("signal")
    if not meson:
        return None
    model = validate(ModelConfig, spec["model"], where="model")
    return build_signal(config, model, parameters_at(spec, point), str(meson))


def forced_lines(spec: Mapping[str, Any], point: str) -> tuple[str, ...]:
    """What Pythia is told of the B beside a tag at a point; nothing for processes without a tag."""
    config = process_config(spec)
    if not config.pythia.get("tag") or not config.decays:
        return ()
    model = validate(ModelConfig, spec["model"], where="model")
    return forced_decays(config, model, parameters_at(spec, point))


def pair_spectrum(spec: Mapping[str, Any]) -> Spectrum | None:
    """Spectrum of the B beside a tag, for processes that have one."""
    config = process_config(spec)
    if config.spectrum is None:
        return None
    model = validate(ModelConfig, spec["model"], where="model")
    values = model.values(config.parameters)
    hadron, _ = model.particle(config.spectrum.hadron)
    meson, _ = model.particle(str(config.pythia["tag"]))
    m_b, m_h = (model.number(p.mass, values, f"particles.{p.name}") for p in (meson, hadron))
    return Spectrum(hadron.pdg, m_b, m_h, config.spectrum.form_factor)
