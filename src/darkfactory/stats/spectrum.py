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

_SAME_EDGE = 1e-9
_SWEEPS = 200
_CONVERGED = 1e-9
# largest difference between a window's expectation and the common one, in its own statistical errors, and in events
_CONSISTENT = 0.05
_NEGLIGIBLE = 1e-6


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
    """The spectrum that all windows look at.

    Attributes:
        bins: per window, one entry per channel: the bins of the spectrum that its bins are (bins,), or that they are
            the sums of (bins, most), filled up with -1.
        expected: expected background of the spectrum.
    """

    bins: list[list[IntArray]]
    expected: FloatArray


@dataclass(frozen=True)
class _Bins:
    """Fitted bins of one window: edges along the first axis and contents along the second."""

    name: str
    low: FloatArray
    high: FloatArray
    content: FloatArray


def _fitted(w: ScanWindow) -> _Bins:
    edges = np.round(np.asarray(w.edges[0], dtype=float), 9)
    n_second = len(w.edges[1]) - 1 if len(w.edges) > 1 else 1
    _, background = signal_and_background(w.spec)
    kept = np.asarray(w.keep, dtype=bool)
    return _Bins(w.spec["channels"][0]["name"], edges[:-1][kept], edges[1:][kept], background.reshape(-1, n_second))


def shared_spectrum(windows: Sequence[ScanWindow]) -> SharedSpectrum | None:
    """The bins shared by windows of one grid, or None where they cannot come from one spectrum.

    Where windows merge bins differently, the spectrum is cut at all of their edges, and its expectation is what gives
    every window's bins theirs.

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
        >>> half = shared_spectrum([window(0.0), window(0.5)])
        >>> half.bins[1][0].tolist(), len(half.expected)
        ([[1, 2], [3, 4]], 5)
    """
    if any(len(w.spec["channels"]) != 1 for w in windows):
        return None
    fitted = [_fitted(w) for w in windows]
    seconds = {f.content.shape[1] for f in fitted}
    if len(seconds) != 1:
        return None
    n_second = seconds.pop()
    number: dict[tuple[str, float, float], int] = {}
    expected: list[FloatArray] = []
    rows: list[list[int]] = []
    for f in fitted:
        row = []
        for low, high, values in zip(f.low, f.high, f.content, strict=True):
            key = (f.name, float(low), float(high))
            if key not in number:
                number[key] = len(expected)
                expected.append(values)
            row.append(number[key])
        rows.append(row)
    ordered = sorted(number)
    if any(a[0] == b[0] and b[1] < a[2] - _SAME_EDGE for a, b in pairwise(ordered)):
        return _cut(fitted, n_second)
    inner = np.arange(n_second)
    bins = [[(np.array(row, dtype=np.intp)[:, None] * n_second + inner).reshape(-1)] for row in rows]
    return SharedSpectrum(bins, np.maximum(np.concatenate(expected), 0.0))


def _cut(fitted: Sequence[_Bins], n_second: int) -> SharedSpectrum | None:
    """A spectrum cut at all edges of windows that merge bins differently."""
    first: dict[str, int] = {}
    edges: dict[str, FloatArray] = {}
    total = 0
    for name in sorted({f.name for f in fitted}):
        edges[name] = np.unique(np.concatenate([v for f in fitted if f.name == name for v in (f.low, f.high)]))
        first[name] = total
        total += len(edges[name]) - 1
    cells: dict[tuple[int, int], list[FloatArray]] = {}
    spans: list[list[tuple[int, int]]] = []
    for f in fitted:
        begin, end = (first[f.name] + np.searchsorted(edges[f.name], v) for v in (f.low, f.high))
        span = [(int(a), int(b)) for a, b in zip(begin, end, strict=True)]
        spans.append(span)
        for key, values in zip(span, f.content, strict=True):
            cells.setdefault(key, []).append(np.maximum(values, 0.0))
    wanted = {key: np.mean(values, axis=0) for key, values in cells.items()}
    expected = _fill(wanted, np.concatenate([np.diff(edges[name]) for name in sorted(edges)]), n_second)
    for (low, high), values in wanted.items():
        error = np.abs(expected[low:high].sum(axis=0) - values)
        if (error > _CONSISTENT * np.sqrt(values) + _NEGLIGIBLE).any():
            return None
    inner = np.arange(n_second)
    bins = []
    for span in spans:
        most = max(high - low for low, high in span)
        row = np.full((len(span), n_second, most), -1, dtype=np.intp)
        for i, (low, high) in enumerate(span):
            row[i, :, : high - low] = np.arange(low, high)[None, :] * n_second + inner[:, None]
        bins.append([row.reshape(len(span) * n_second, most)])
    return SharedSpectrum(bins, expected.reshape(-1))


def _fill(wanted: Mapping[tuple[int, int], FloatArray], widths: FloatArray, n_second: int) -> FloatArray:
    """Expectations of cells whose sums are those wanted (iterative proportional fitting), flat where nothing is known.

    Args:
        wanted: range of cells (last exclusive) to its expectations (second axis).
        widths: of the cells.
        n_second: bins of the second axis.
    """
    density, known = np.zeros((len(widths), n_second)), np.zeros((len(widths), 1))
    # the narrowest bins know most
    for (low, high), values in sorted(wanted.items(), key=lambda item: item[0][0] - item[0][1]):
        density[low:high] = values / widths[low:high].sum()
        known[low:high] = 1.0
    cells: FloatArray = density * widths[:, None] * known
    for _ in range(_SWEEPS):
        worst = 0.0
        for (low, high), values in wanted.items():
            now = cells[low:high].sum(axis=0)
            factor = np.where(now > 0, values / np.where(now > 0, now, 1.0), 1.0)
            worst = max(worst, float(np.abs(factor - 1).max()))
            cells[low:high] *= factor
        if worst < _CONVERGED:
            break
    return cells
