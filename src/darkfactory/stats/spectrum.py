"""The spectrum that the windows of a scan share, for toys of whole scans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from darkfactory.stats.histfactory import FloatArray
from darkfactory.stats.lint import signal_and_background

__all__ = ["ScanWindow", "SharedSpectrum", "shared_spectrum"]

IntArray = npt.NDArray[np.intp]


@dataclass(frozen=True)
class ScanWindow:
    """One point's workspace of one channel and the bins that it fits.

    Attributes:
        spec: complete workspace.
        edges: of the fitted bins, mass axis first, masked ones included.
        keep: bins of the mass axis that are fitted.
    """

    spec: Mapping[str, Any]
    edges: Sequence[Sequence[float]]
    keep: Sequence[bool]


@dataclass(frozen=True)
class SharedSpectrum:
    """Bins that the windows look at (per window, one entry per channel) and their expected background."""

    bins: list[list[IntArray]]
    expected: FloatArray


def shared_spectrum(windows: Sequence[ScanWindow]) -> SharedSpectrum | None:
    """The bins shared by windows of one grid, or None where fitted bins of different windows overlap in part.

    Example:
        >>> def window(low):
        ...     spec = {"channels": [{"name": "sr", "samples": [
        ...         {"name": "s", "data": [1.0, 0.0], "modifiers": [
        ...             {"name": "mu", "type": "normfactor", "data": None}]},
        ...         {"name": "b", "data": [5.0, 6.0], "modifiers": []}]}],
        ...         "observations": [{"name": "sr", "data": [5.0, 6.0]}], "version": "1.0.0",
        ...         "measurements": [{"name": "m", "config": {"poi": "mu", "parameters": []}}]}
        ...     return ScanWindow(spec, [[low, low + 1.0, low + 2.0]], [True, True])
        >>> shared = shared_spectrum([window(0.0), window(1.0)])
        >>> [b[0].tolist() for b in shared.bins], shared.expected.tolist()
        ([[0, 1], [1, 2]], [5.0, 6.0, 6.0])
        >>> shared_spectrum([window(0.0), window(0.5)]) is None
        True
    """
    number: dict[tuple[str, float, float], int] = {}
    expected: list[FloatArray] = []
    rows: list[list[int]] = []
    seconds: set[int] = set()
    for w in windows:
        if len(w.spec["channels"]) != 1:
            return None
        name = w.spec["channels"][0]["name"]
        first = np.round(np.asarray(w.edges[0], dtype=float), 9)
        n_second = len(w.edges[1]) - 1 if len(w.edges) > 1 else 1
        seconds.add(n_second)
        _, background = signal_and_background(w.spec)
        content = background.reshape(-1, n_second)
        at = [i for i, kept in enumerate(w.keep) if kept]
        row = []
        for values, i in zip(content, at, strict=True):
            key = (name, float(first[i]), float(first[i + 1]))
            if key not in number:
                number[key] = len(expected)
                expected.append(values)
            row.append(number[key])
        rows.append(row)
    ordered = sorted(number)
    overlap = any(a[0] == b[0] and b[1] < a[2] - 1e-9 for a, b in pairwise(ordered))
    if overlap or len(seconds) != 1:
        return None
    n_second = seconds.pop()
    inner = np.arange(n_second)
    bins = [[(np.array(row, dtype=np.intp)[:, None] * n_second + inner).reshape(-1)] for row in rows]
    return SharedSpectrum(bins, np.maximum(np.concatenate(expected), 0.0))
