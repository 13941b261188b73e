"""A small feed-forward network: plain numbers, exact JSON, and a response that is the same bit by bit in any chunk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from darkfactory.core.errors import InputError
from darkfactory.select.checks import OvertrainingCheck, ResponseHistogram
from darkfactory.select.objects import Array

__all__ = ["Hypothesis", "Input", "Layer", "TrainedNetwork", "network_response", "scale_input"]


@dataclass(frozen=True)
class Input:
    """An input and its linear mapping.

    Attributes:
        observable: column.
        low: value that maps to 0.
        high: value that maps to 1.
        importance: sigma_min with this input permuted among the test events over sigma_min (geometric means);
            1 if it makes no difference.
    """

    observable: str
    low: float
    high: float
    importance: float = 1.0


@dataclass(frozen=True)
class Layer:
    """Weights[output][input] and biases[output]."""

    weights: tuple[tuple[float, ...], ...]
    biases: tuple[float, ...]


@dataclass(frozen=True)
class Hypothesis:
    """What the training knew of one mass hypothesis.

    Attributes:
        point: name.
        low: lower edge of the window.
        high: upper edge of the window.
        no_cut: sigma_min in fb of the training fold without the multivariate step.
        train: sigma_min in fb of the training fold at the cut.
        test: sigma_min in fb of the test fold at the cut.
    """

    point: str
    low: float
    high: float
    no_cut: float
    train: float
    test: float


@dataclass(frozen=True)
class TrainedNetwork:
    """A trained network and how it came about.

    Attributes:
        inputs: in order, with their importance.
        layers: hidden layers (tanh), then the output (sigmoid).
        cut: smallest response that is kept.
        hypotheses: windows and figures of merit.
        history: rows (stage, step, loss of the training fold, loss of the test fold if computed).
        check: over-training check.
        histograms: responses of signal and background in both folds.
        notes: hypotheses left out, thinning and the like.
    """

    inputs: tuple[Input, ...]
    layers: tuple[Layer, ...]
    cut: float
    hypotheses: tuple[Hypothesis, ...]
    history: tuple[tuple[str, int, float, float | None], ...]
    check: OvertrainingCheck
    histograms: tuple[ResponseHistogram, ...]
    notes: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that :meth:`apply` needs."""
        return tuple(i.observable for i in self.inputs)

    def apply(self, columns: Mapping[str, np.ndarray]) -> Array:
        """Response between 0 and 1 of each row."""
        return network_response(self, columns)

    def to_dict(self) -> dict[str, Any]:
        """JSON form; floats survive exactly."""
        return {
            "kind": "punzi_net",
            "inputs": [list(_fields(i)) for i in self.inputs],
            "layers": [{"weights": [list(r) for r in x.weights], "biases": list(x.biases)} for x in self.layers],
            "cut": self.cut,
            "hypotheses": [list(_fields(h)) for h in self.hypotheses],
            "history": [list(h) for h in self.history],
            "check": self.check.to_dict(),
            "histograms": [h.to_dict() for h in self.histograms],
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> TrainedNetwork:
        """Read the form of :meth:`to_dict`.

        Raises:
            InputError: not such a form.
        """
        if value.get("kind") != "punzi_net":
            raise InputError(f"no trained network: kind is {value.get('kind')!r}, not 'punzi_net'; train it again")
        return cls(
            tuple(Input(*i) for i in value["inputs"]),
            tuple(Layer(tuple(tuple(r) for r in x["weights"]), tuple(x["biases"])) for x in value["layers"]),
            value["cut"],
            tuple(Hypothesis(*h) for h in value["hypotheses"]),
            tuple((h[0], h[1], h[2], h[3]) for h in value["history"]),
            OvertrainingCheck.from_dict(value["check"]),
            tuple(ResponseHistogram.from_dict(h) for h in value["histograms"]),
            tuple(value["notes"]),
        )


def _fields(value: Input | Hypothesis) -> tuple[Any, ...]:
    return tuple(getattr(value, name) for name in value.__dataclass_fields__)


def scale_input(x: np.ndarray, low: float, high: float) -> Array:
    """Map [low, high] to [0, 1] and clip far outliers to [-1, 2].

    Example:
        >>> scale_input(np.array([1.0, 2.0, 99.0]), 1.0, 3.0).tolist()
        [0.0, 0.5, 2.0]
    """
    x = np.ascontiguousarray(x, dtype=np.float64)
    return np.clip((x - low) / (high - low), -1.0, 2.0)


def network_response(network: TrainedNetwork, columns: Mapping[str, np.ndarray]) -> Array:
    """Response of each row.

    Sums are written out node by node: matrix products block their sums by the number of rows, and a row must have
    the same bits alone and in a chunk.

    Raises:
        InputError: a column is missing.

    Example:
        >>> layers = (Layer(((2.0,),), (0.0,)), Layer(((1.0,),), (0.0,)))
        >>> check = OvertrainingCheck(0.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0, True)
        >>> net = TrainedNetwork((Input("x", 0.0, 1.0),), layers, 0.5, (), (), check, ())
        >>> network_response(net, {"x": np.array([0.0, 1.0])}).tolist()
        [0.5, 0.7239]
    """
    missing = [i.observable for i in network.inputs if i.observable not in columns]
    if missing:
        raise InputError(f"network inputs {missing} are missing among the columns {sorted(columns)}; rerun select")
    values = [scale_input(columns[i.observable], i.low, i.high) for i in network.inputs]
    for depth, layer in enumerate(network.layers):
        sums = []
        for weights, bias in zip(layer.weights, layer.biases, strict=True):
            z = np.full(len(values[0]), bias)
            for w, x in zip(weights, values, strict=True):
                z = z + w * x
            sums.append(z)
        if depth + 1 < len(network.layers):
            values = [np.tanh(z) for z in sums]
        else:
            values = [0.5 * (1.0 + np.tanh(0.5 * z)) for z in sums]
    return np.asarray(values[0])
