"""Histograms with variances and systematic variations, mergeable over chunks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from darkfactory.core.errors import RunError

__all__ = ["FloatArray", "Histogram"]

FloatArray: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Histogram:
    """Raw sums of weights of one sample on one binning.

    Raw means: sums of weights in fb over the candidates seen. Only after all chunks are merged is it divided,
    once, by the number of generated events: ``sumw / n_generated * luminosity`` events are expected.

    Attributes:
        edges: bin edges of each axis, ascending.
        sumw: sums of weights, shape (bins of axis 0, bins of axis 1, ...).
        sumw2: sums of squared weights, same shape.
        variations: sums of weights with a systematic factor applied, by name (``photon_loss_up``).
        n_generated: events generated (in the folds used), also those that no cut kept.

    Example:
        >>> h = Histogram((np.array([0.0, 1.0, 2.0]),), np.array([4.0, 2.0]), np.array([8.0, 4.0]), {}, 10.0)
        >>> (h + h).expected(luminosity=5.0)
        array([2., 1.])
    """

    edges: tuple[FloatArray, ...]
    sumw: FloatArray
    sumw2: FloatArray
    variations: Mapping[str, FloatArray] = field(default_factory=dict)
    n_generated: float = 0.0

    def __post_init__(self) -> None:
        shape = tuple(len(e) - 1 for e in self.edges)
        for name, array in (("sumw", self.sumw), ("sumw2", self.sumw2), *self.variations.items()):
            if array.shape != shape:
                raise RunError(f"histogram: {name} has shape {array.shape}, its edges need {shape}")

    def __add__(self, other: Histogram) -> Histogram:
        """Merge the sums of two chunks of one sample; binning and variations must be the same."""
        if len(self.edges) != len(other.edges) or not all(
            np.array_equal(a, b) for a, b in zip(self.edges, other.edges, strict=True)
        ):
            raise RunError("histograms of different binnings cannot be added; fill all chunks with one binning")
        if set(self.variations) != set(other.variations):
            raise RunError(
                f"histograms with variations {sorted(self.variations)} and {sorted(other.variations)} cannot be "
                "added; simulate all chunks with one list of nuisances"
            )
        return Histogram(
            self.edges,
            self.sumw + other.sumw,
            self.sumw2 + other.sumw2,
            {k: self.variations[k] + other.variations[k] for k in sorted(self.variations)},
            self.n_generated + other.n_generated,
        )

    @staticmethod
    def total(parts: Sequence[Histogram]) -> Histogram:
        """Sum in the order given (the order is part of the bits).

        Example:
            >>> h = Histogram((np.array([0.0, 1.0]),), np.ones(1), np.ones(1), {}, 1.0)
            >>> Histogram.total([h, h, h]).n_generated
            3.0
        """
        result = parts[0]
        for part in parts[1:]:
            result = result + part
        return result

    def expected(self, luminosity: float) -> FloatArray:
        """Expected events at a luminosity in 1/fb.

        Raises:
            RunError: no event was generated.

        Example:
            >>> Histogram((np.array([0.0, 1.0]),), np.array([30.0]), np.array([90.0]), {}, 100.0).expected(10.0)
            array([3.])
        """
        if self.n_generated <= 0:
            raise RunError("histogram: no generated events are recorded, so it has no normalisation")
        return self.sumw * (luminosity / self.n_generated)

    def effective_events(self) -> FloatArray:
        """Effective number of simulated candidates per bin, sumw^2 / sumw2 (0 in empty bins).

        Example:
            >>> Histogram((np.array([0.0, 1.0]),), np.array([30.0]), np.array([90.0]), {}, 1.0).effective_events()
            array([10.])
        """
        safe = np.where(self.sumw2 > 0, self.sumw2, 1.0)
        return np.where(self.sumw2 > 0, self.sumw**2 / safe, 0.0)

    def to_arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        """Plain named arrays, for storage.

        Example:
            >>> h = Histogram((np.array([0.0, 1.0]),), np.ones(1), np.ones(1), {"x_up": np.ones(1)}, 1.0)
            >>> sorted(h.to_arrays())
            ['edges_0', 'n_generated', 'sumw', 'sumw2', 'var_x_up']
        """
        arrays: dict[str, np.ndarray[Any, Any]] = {f"edges_{i}": e for i, e in enumerate(self.edges)}
        arrays |= {"sumw": self.sumw, "sumw2": self.sumw2, "n_generated": np.array([self.n_generated])}
        return arrays | {f"var_{k}": self.variations[k] for k in sorted(self.variations)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray[Any, Any]]) -> Histogram:
        """Read the form of :meth:`to_arrays`.

        Raises:
            RunError: an array is missing.

        Example:
            >>> h = Histogram((np.array([0.0, 1.0]),), np.ones(1), np.ones(1), {}, 1.0)
            >>> Histogram.from_arrays(h.to_arrays()).n_generated
            1.0
        """
        missing = [k for k in ("edges_0", "sumw", "sumw2", "n_generated") if k not in arrays]
        if missing:
            raise RunError(f"stored histogram lacks {missing}; it has {sorted(arrays)}; rerun the templates stage")
        n_axes = sum(1 for k in arrays if k.startswith("edges_"))
        return cls(
            tuple(np.asarray(arrays[f"edges_{i}"], dtype=float) for i in range(n_axes)),
            np.asarray(arrays["sumw"], dtype=float),
            np.asarray(arrays["sumw2"], dtype=float),
            {k[4:]: np.asarray(v, dtype=float) for k, v in sorted(arrays.items()) if k.startswith("var_")},
            float(np.asarray(arrays["n_generated"]).reshape(-1)[0]),
        )
