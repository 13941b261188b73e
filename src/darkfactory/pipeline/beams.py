"""The nominal frame from a detector's beams."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from darkfactory.config.detector import BeamsConfig
from darkfactory.config.load import validate
from darkfactory.physics.beams import BeamFrame, beam_frame

__all__ = ["nominal_frame"]


def nominal_frame(beams: Mapping[str, Any]) -> BeamFrame:
    """The centre-of-mass frame that analyses use.

    Args:
        beams: the section ``beams`` of a detector file.
    """
    config = validate(BeamsConfig, beams, where="beams")
    return beam_frame(config.e_her_gev.value, config.e_ler_gev.value, config.half_crossing_mrad.value * 1e-3)
