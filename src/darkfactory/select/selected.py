"""What the select stage hands on: slim columns per candidate, cutflow, N-1 histograms."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from darkfactory.core.errors import InputError, RunError
from darkfactory.records.cutflow import Cutflow
from darkfactory.select.cuts import NMinusOne
from darkfactory.select.objects import Array

__all__ = ["N_FOLDS", "TEMPLATE_FOLDS", "TEST_FOLD", "TRAINING_FOLD", "Efficiency", "Selected", "efficiency", "merge"]

N_FOLDS = 4
"""Folds are ``event_id % N_FOLDS``, so that events for training, testing and templates are disjoint."""
TRAINING_FOLD, TEST_FOLD = 0, 1
TEMPLATE_FOLDS = (2, 3)

_COLUMN, _N1, _META = "column/", "n_minus_1/", "meta"


@dataclass(frozen=True, eq=False)
class Selected:
    """Candidates that pass the preselection.

    Attributes:
        columns: one row per candidate: ``weight`` (fb; mean over generated events is the cross section), ``event_id``,
            ``candidate`` (number in the event), ``fold``, trigger bits ``l1`` and ``hlt``, ``var_*`` factors where
            the events have them, and the observables.
        cutflow: events after each cut.
        n_minus_1: one histogram per cut.
    """

    columns: dict[str, np.ndarray]
    cutflow: Cutflow
    n_minus_1: tuple[NMinusOne, ...]

    def __len__(self) -> int:
        """Number of candidates."""
        return len(self.columns["weight"])

    def where(self, mask: NDArray[np.bool_]) -> Selected:
        """The same with fewer rows; cutflow and histograms stay those of the preselection."""
        return dataclasses.replace(self, columns={k: v[mask] for k, v in self.columns.items()})

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Plain arrays; columns are ``column/<name>``, the rest is exact JSON and histogram contents."""
        arrays = {f"{_COLUMN}{k}": v for k, v in self.columns.items()}
        heads = []
        for i, h in enumerate(self.n_minus_1):
            heads.append([h.cut, h.observable, repr(h.low), repr(h.high)])
            for part in ("edges", "sumw", "sumw2"):
                arrays[f"{_N1}{i}/{part}"] = getattr(h, part)
        meta = json.dumps({"cutflow": self.cutflow.to_dict(), "n_minus_1": heads}, sort_keys=True)
        arrays[_META] = np.frombuffer(meta.encode(), dtype=np.uint8)
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Selected:
        """Read the form of :meth:`to_arrays`.

        Raises:
            InputError: not such a form.
        """
        if _META not in arrays:
            raise InputError(f"no selected candidates: {_META!r} is missing among {sorted(arrays)}; rerun select")
        meta = json.loads(bytes(np.asarray(arrays[_META], dtype=np.uint8)).decode())
        histograms = tuple(
            NMinusOne(cut, name, float(low), float(high),
                      *(np.asarray(arrays[f"{_N1}{i}/{part}"]) for part in ("edges", "sumw", "sumw2")))
            for i, (cut, name, low, high) in enumerate(meta["n_minus_1"])
        )  # fmt: skip
        columns = {k.removeprefix(_COLUMN): np.asarray(v) for k, v in arrays.items() if k.startswith(_COLUMN)}
        return cls(columns, Cutflow.from_dict(meta["cutflow"]), histograms)


def merge(parts: Sequence[Selected]) -> Selected:
    """Join chunks of one sample in the order given.

    Raises:
        RunError: no chunk, or chunks of different selections.
    """
    if not parts:
        raise RunError("no chunk of selected candidates to merge; was the sample empty?")
    first = parts[0]
    for part in parts[1:]:
        if part.columns.keys() != first.columns.keys():
            differ = sorted(part.columns.keys() ^ first.columns.keys())
            raise RunError(f"chunks of selected candidates differ in columns {differ}; rerun select")
    columns = {k: np.concatenate([p.columns[k] for p in parts]) for k in first.columns}
    histograms = list(first.n_minus_1)
    for part in parts[1:]:
        histograms = [
            dataclasses.replace(a, sumw=a.sumw + b.sumw, sumw2=a.sumw2 + b.sumw2)
            for a, b in zip(histograms, part.n_minus_1, strict=True)
        ]
    return Selected(columns, Cutflow.total([p.cutflow for p in parts]), tuple(histograms))


@dataclass(frozen=True)
class Efficiency:
    """A selection efficiency with its statistical uncertainty.

    Attributes:
        value: efficiency.
        error: one standard deviation from the finite number of generated events.
        passed: events that passed, unweighted.
    """

    value: float
    error: float
    passed: int


def efficiency(
    selected: Selected,
    n_generated: int,
    sigma_fb: float,
    *,
    factor: Array | None = None,
    mask: NDArray[np.bool_] | None = None,
    folds: Sequence[int] | None = None,
) -> Efficiency:
    """Fraction of the generated cross section that is selected, each event counted once.

    Args:
        selected: candidates of one signal point.
        n_generated: events that were generated, those that failed included.
        sigma_fb: cross section that the mean weight of these events estimates.
        factor: per candidate, for instance the probability of the trigger lines; of several candidates of an event
            the largest counts.
        mask: further requirement per candidate.
        folds: use only these folds, scaled up to all of them.

    Example:
        >>> columns = {"weight": np.array([2.0, 2.0, 2.0]), "event_id": np.array([4, 4, 7]),
        ...            "fold": np.array([0, 0, 3])}
        >>> s = Selected(columns, Cutflow(("all",), (8,), (16.0,), (32.0,)), ())
        >>> efficiency(s, 8, 2.0).value
        0.25
    """
    ids, weight = selected.columns["event_id"], selected.columns["weight"]
    w = weight if factor is None else weight * factor
    keep = np.ones(len(w), dtype=bool) if mask is None else mask.copy()
    n = float(n_generated)
    if folds is not None:
        keep &= np.isin(selected.columns["fold"], np.asarray(folds))
        n *= len(set(folds)) / N_FOLDS
    if not n > 0 or not sigma_fb > 0:
        raise RunError(f"no efficiency from {n:g} generated events of {sigma_fb:g} fb; both must be positive")
    ids, w = ids[keep], w[keep]
    order = np.lexsort((-w, ids))
    _, first = np.unique(ids[order], return_index=True)
    best = w[order][first]
    mean = float(np.sum(best)) / n
    variance = max(float(np.sum(best * best)) / n - mean * mean, 0.0) / n
    return Efficiency(mean / sigma_fb, float(np.sqrt(variance)) / sigma_fb, len(best))
