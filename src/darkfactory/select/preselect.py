"""The kernel of the select stage: reconstructed events in, slim candidates out."""

from __future__ import annotations

from dataclasses import dataclass

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from darkfactory.config.selection import SelectionConfig
from darkfactory.events.schema import require_fields
from darkfactory.physics.beams import BeamFrame
from darkfactory.select.cuts import Plan, compile_selection, cutflow, mask_bits, n_minus_1
from darkfactory.select.selected import N_FOLDS, Selected

__all__ = ["Evaluated", "evaluate", "preselect"]


@dataclass(frozen=True, eq=False)
class Evaluated:
    """All candidates, no cut applied yet.

    Attributes:
        event: index of each candidate's event, ascending.
        columns: as of :class:`Selected`, for every candidate.
        masks: bit i: cut i of the preselection passed.
    """

    event: NDArray[np.int64]
    columns: dict[str, np.ndarray]
    masks: NDArray[np.uint64]


def evaluate(events: ak.Array, plan: Plan, selection: SelectionConfig, frame: BeamFrame) -> Evaluated:
    """Build candidates, compute their observables and the mask bits of the cuts."""
    require_fields(events, "weight", "event_id")
    found = plan.builder(events, selection.objects, frame)
    event_id = ak.to_numpy(events["event_id"])[found.event]
    columns: dict[str, np.ndarray] = {
        "weight": ak.to_numpy(events["weight"])[found.event].astype(np.float64),
        "event_id": event_id,
        "candidate": found.number.astype(np.int8),
        "fold": (event_id % N_FOLDS).astype(np.int8),
    }
    for name in events.fields:
        # trigger bits, emulated and recorded, variations, decay lengths to be reweighted, truth of known spectrum
        if name in ("l1", "hlt") or name.startswith(("var_", "proper_", "density_", "ntuple_", "true_")):
            columns[name] = ak.to_numpy(events[name])[found.event]
    for observable, parameters in plan.observables:
        columns[observable.name] = observable(found.basis, parameters)
    return Evaluated(found.event, columns, mask_bits(columns, plan.cuts, len(found.event)))


def preselect(events: ak.Array, selection: SelectionConfig, frame: BeamFrame) -> Selected:
    """Apply a search's selection to reconstructed events.

    Args:
        events: reconstructed events with ``weight``, ``event_id``, ``tracks``, ``clusters`` and, where the trigger
            was emulated, ``l1`` and ``hlt``.
        selection: the search's ``selection`` section.
        frame: nominal beams.

    Returns:
        One row per candidate that passes every cut. The trigger is not required here: the bits are handed on, so
        that prescales and line efficiencies enter as weights.

    Raises:
        ConfigError: unknown names or wrong units in the selection.
        InputError: the events lack a column.
    """
    plan = compile_selection(selection)
    found = evaluate(events, plan, selection, frame)
    weight = ak.to_numpy(events["weight"]).astype(np.float64)
    flow = cutflow(found.event, found.masks, weight, tuple(c.name for c in plan.cuts))
    histograms = n_minus_1(found.columns, found.masks, found.columns["weight"], plan, selection.n_minus_1_bins)
    every = np.uint64((1 << len(plan.cuts)) - 1)
    keep = (found.masks & every) == every
    return Selected({k: v[keep] for k, v in found.columns.items()}, flow, histograms)
