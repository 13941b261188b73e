"""Acceptance-rejection with a frozen gridpack."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from darkfactory.core.errors import RunError
from darkfactory.generate.gridpack import Gridpack
from darkfactory.generate.integrate import sample
from darkfactory.generate.process import Process
from darkfactory.generate.radiation import ToLab

__all__ = ["HardEvents", "unweighted"]

Array = NDArray[np.float64]
_LARGEST = 20_000
_PATIENCE = 50


@dataclasses.dataclass(frozen=True)
class HardEvents:
    """Accepted events in the hard process's rest frame.

    Attributes:
        p: momenta, (n, legs, 4).
        e_her: electron energies, (n,), GeV.
        e_ler: positron energies, (n,), GeV.
        v: radiated share of s, (n,).
        weight: fb; the mean is the cross-section.
        tries: attempts.
        lab: radiated photons and frames, where a bias has looked at them.
    """

    p: Array
    e_her: Array
    e_ler: Array
    v: Array
    weight: Array
    tries: int
    lab: ToLab | None = None


def unweighted(process: Process, gridpack: Gridpack, n_events: int, rng: np.random.Generator) -> HardEvents:
    """Accept with the probability min(1, w b / w_max); weigh with max(1, w b / w_max) / b.

    Args:
        process: what to generate.
        gridpack: its frozen adaptation.
        n_events: number of events.
        rng: random stream.

    Raises:
        RunError: the efficiency has fallen far below that of the adaptation.
    """
    parts: list[tuple[Array, ...]] = []
    labs: list[ToLab] = []
    found = tries = 0
    expected = n_events / max(gridpack.efficiency, 1e-6)
    while found < n_events:
        missing = (n_events - found) / max(gridpack.efficiency, 1e-6)
        size = int(min(_LARGEST, max(500, 1.1 * missing + 100)))
        batch = sample(process, gridpack.state, size, rng)
        ratio = batch.weight * batch.bias / gridpack.w_max
        keep = rng.random(len(ratio)) < ratio
        weight = gridpack.unit_fb * np.maximum(ratio, 1.0) / batch.bias
        parts.append((batch.p[keep], batch.e_her[keep], batch.e_ler[keep], batch.v[keep], weight[keep]))
        if batch.lab is not None:
            labs.append(batch.lab.take(keep))
        found += int(keep.sum())
        tries += size
        if tries > _PATIENCE * expected + 50_000:
            raise RunError(
                f"process {process.config.name}: {found} of {n_events} events after {tries} attempts, "
                f"the gridpack promised an efficiency of {gridpack.efficiency:.3g}; adapt it again"
            )
    p, e_her, e_ler, v, weight = (np.concatenate(x)[:n_events] for x in zip(*parts, strict=True))
    lab = ToLab.join(labs).take(slice(n_events)) if labs else None
    return HardEvents(p, e_her, e_ler, v, weight, tries, lab)
