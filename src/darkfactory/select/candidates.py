"""What a candidate is: rows of basic quantities that observables are computed from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from darkfactory.config.selection import ObjectsConfig
from darkfactory.physics.beams import BeamFrame

__all__ = ["Builder", "Candidates", "Observable"]


@dataclass(frozen=True)
class Candidates:
    """Candidates of many events, ordered by event and number.

    Attributes:
        event: index of each candidate's event.
        number: number of the candidate in its event, from 0.
        basis: named arrays, first axis one entry per candidate.
    """

    event: NDArray[np.int64]
    number: NDArray[np.int64]
    basis: Mapping[str, np.ndarray]


Builder = Callable[[ak.Array, ObjectsConfig, BeamFrame], Candidates]
"""Makes candidates from reconstructed events."""


@dataclass(frozen=True)
class Observable:
    """A named number per candidate.

    Attributes:
        name: column name.
        unit: ``GeV``, ``GeV^2``, ``rad`` or ``1``.
        inputs: names in the basis, the positional arguments of ``function``.
        function: pure, row by row: arrays (n, ...) to an array (n,).
        range: usual range, of histograms.
        description: what it is, with the frame.
        parameters: keyword arguments of ``function`` that a selection may set, with unit and default.
    """

    name: str
    unit: str
    inputs: tuple[str, ...]
    function: Callable[..., np.ndarray]
    range: tuple[float, float]
    description: str
    parameters: Mapping[str, tuple[str, float]] = field(default_factory=dict)

    def __call__(self, basis: Mapping[str, np.ndarray], parameters: Mapping[str, float] | None = None) -> np.ndarray:
        """Values of the observable."""
        values = {name: default for name, (_, default) in self.parameters.items()}
        values.update(parameters or {})
        return np.ascontiguousarray(self.function(*(basis[i] for i in self.inputs), **values))
