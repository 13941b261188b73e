"""The resolution that a kinematic fit of a selection assumes: the detector's own, unless the selection says another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from darkfactory.config.selection import BeamErrors, PhotonErrors, TrackErrors

__all__ = ["with_errors"]


def with_errors(selection: Mapping[str, Any], detector: Mapping[str, Any]) -> dict[str, Any]:
    """A selection whose fit of tracks to the initial state, if it has one, knows the detector's resolution.

    Example:
        >>> with_errors({"candidate": "x"}, {})
        {'candidate': 'x'}
    """
    objects = selection.get("objects") or {}
    fit = objects.get("fit")
    if fit is None:
        return dict(selection)
    own = {
        "track_errors": {n: detector["tracks"][n] for n in TrackErrors.model_fields},
        "beam_errors": {n: detector["beams"][n] for n in BeamErrors.model_fields},
        "photon_errors": {n: detector["ecl"][n] for n in PhotonErrors.model_fields},
    }
    return {**selection, "objects": {**objects, "fit": own | {k: v for k, v in fit.items() if v is not None}}}
