"""Several skims in one pass: an event is kept if one of them keeps it, with a bit for each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import awkward as ak
import numpy as np
import numpy.typing as npt

from darkfactory.config.skim import SkimConfig
from darkfactory.core.errors import ConfigError
from darkfactory.events.schema import require_fields
from darkfactory.physics.beams import BeamFrame
from darkfactory.records.cutflow import Cutflow
from darkfactory.skim.cuts import CUTS

__all__ = ["skim", "skim_any", "skim_masks"]

Bools: TypeAlias = npt.NDArray[np.bool_]

_MOST = 64


def skim_masks(events: ak.Array, config: SkimConfig, frame: BeamFrame) -> dict[str, Bools]:
    """One mask per cut, each on its own (not cumulative), in the skim's order.

    Raises:
        InputError: the events lack tracks or clusters.
    """
    require_fields(events, "tracks", "clusters", "weight")
    return {cut.name: CUTS[cut.kind](events, cut, frame) for cut in config.cuts}


def _cutflow(masks: Mapping[str, Bools], weight: npt.NDArray[np.float64]) -> tuple[Bools, Cutflow]:
    passed = np.ones(len(weight), dtype=np.bool_)
    names, steps = ["all"], [passed]
    for name, mask in masks.items():
        passed = passed & mask
        names.append(name)
        steps.append(passed)
    return passed, Cutflow(
        tuple(names),
        tuple(int(s.sum()) for s in steps),
        tuple(float(weight[s].sum()) for s in steps),
        tuple(float((weight[s] ** 2).sum()) for s in steps),
    )


def skim(events: ak.Array, config: SkimConfig, frame: BeamFrame) -> tuple[ak.Array, Cutflow]:
    """Events that pass one skim, with all their objects, and what each cut kept."""
    kept, flows = skim_any(events, {config.name: config}, frame)
    return kept, flows[config.name]


def skim_any(
    events: ak.Array, skims: Mapping[str, SkimConfig], frame: BeamFrame
) -> tuple[ak.Array, dict[str, Cutflow]]:
    """Events that pass at least one of several skims.

    Only masks of whole events: the objects that a trigger looks at are all kept, and skim and trigger
    commute.

    Args:
        events: reconstructed events.
        skims: by name; bit i of the new column ``skims`` (uint64) belongs to the i-th.
        frame: the beams.

    Returns:
        The kept events and one cutflow per skim, each over all events.

    Raises:
        ConfigError: more skims than bits.
    """
    if len(skims) > _MOST:
        raise ConfigError(f"{len(skims)} skims; at most {_MOST} in one pass, split the sample", where="skims")
    weight = np.asarray(ak.to_numpy(events.weight), dtype=np.float64)
    bits = np.zeros(len(events), dtype=np.uint64)
    flows: dict[str, Cutflow] = {}
    for i, (name, config) in enumerate(skims.items()):
        passed, flows[name] = _cutflow(skim_masks(events, config, frame), weight)
        bits |= passed.astype(np.uint64) << np.uint64(i)
    kept = bits > 0
    return ak.with_field(events[kept], bits[kept], "skims"), flows
