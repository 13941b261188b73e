"""Global significance of a scan: toys of whole scans that share their data, and Gross-Vitells beside them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from darkfactory.core.errors import InputError
from darkfactory.core.seeds import generator
from darkfactory.stats.histfactory import Batch, BlockData, Data, FloatArray, compile_workspaces
from darkfactory.stats.newton import Backend, fit

__all__ = [
    "ScanSignificance",
    "ScanToys",
    "gross_vitells",
    "observed_upcrossings",
    "scan_significance",
    "scan_toys",
    "single_scan",
    "upcrossings",
]

IntArray = npt.NDArray[np.intp]

_ROWS = 256
_TOLERANCE = 1e-7
_LEAST_EXPECTED = 1e-9


@dataclass(frozen=True)
class ScanToys:
    """Background-only scans: largest local significance and upcrossings of each; chunks add up.

    Attributes:
        z_max: (toys,).
        crossings: upcrossings of the reference level (toys,).
        failed: window fits that did not converge; they count as no excess.
    """

    z_max: FloatArray
    crossings: FloatArray
    failed: int = 0

    def __add__(self, other: ScanToys) -> ScanToys:
        """Merge two chunks."""
        return ScanToys(
            np.concatenate([self.z_max, other.z_max]),
            np.concatenate([self.crossings, other.crossings]),
            self.failed + other.failed,
        )


@dataclass(frozen=True)
class ScanSignificance:
    """Global significance of the largest local excess.

    Attributes:
        point: position of the largest excess in the scan.
        z_local: its local significance.
        p_global: fraction of background-only scans with an excess at least as large.
        p_global_error: its statistical error (of one success if there is none).
        z_global: the significance of ``p_global``, zero where it is above one half.
        p_gross_vitells: from the mean number of upcrossings at a low level.
        mean_upcrossings: that number.
        toys: background-only scans.
        failed: window fits that failed.
    """

    point: int
    z_local: float
    p_global: float
    p_global_error: float
    z_global: float
    p_gross_vitells: float
    mean_upcrossings: float
    toys: int
    failed: int

    def to_dict(self) -> dict[str, Any]:
        """JSON-like form.

        Example:
            >>> ScanSignificance(3, 2.0, 0.2, 0.01, 0.84, 0.21, 1.5, 1000, 0).to_dict()["z_local"]
            2.0
        """
        return dict(vars(self))


def upcrossings(z: FloatArray, level: float) -> FloatArray:
    """How often a scan's local significance crosses a level upwards, per scan.

    Args:
        z: local significances in scan order, (scans, points).
        level: significance.

    Example:
        >>> upcrossings(np.array([[0.0, 1.0, 0.2, 0.9, 1.2]]), 0.5).tolist()
        [2.0]
    """
    return np.asarray(((z[:, :-1] < level) & (z[:, 1:] >= level)).sum(axis=1), dtype=float)


def gross_vitells(z_local: float, mean_upcrossings: float, level: float) -> float:
    """Global p-value from upcrossings (Gross, Vitells, Eur. Phys. J. C 70 (2010) 525, eq. 5, one degree of freedom).

    The expected number of excesses is turned into a probability, which the published bound is not.

    Args:
        z_local: largest local significance.
        mean_upcrossings: mean number of upcrossings at ``level`` of background-only scans.
        level: significance of that level.

    Example:
        >>> round(gross_vitells(3.0, 10.0, 0.5), 4)
        0.119
    """
    number = float(ndtr(-z_local)) + mean_upcrossings * math.exp(-0.5 * (z_local**2 - level**2))
    return -math.expm1(-number)


def observed_upcrossings(z: Sequence[float], level: float) -> int:
    """Times that one scan rises through a level; starting above it counts.

    Example:
        >>> observed_upcrossings([2.0, 1.5, 0.2, 2.0, 1.8], 1.0)
        2
    """
    return int(upcrossings(np.array([[-np.inf, *z]]), level)[0])


def single_scan(z: Sequence[float], level: float = 1.0) -> dict[str, float]:
    """Global p-value of the largest excess with the upcrossings of the scan itself, hence known to their square root.

    Args:
        z: local significances in the order of the scan.
        level: low level.

    Returns:
        ``z_local``, ``p_local``, ``p_global``, ``z_global`` and ``upcrossings``.

    Example:
        >>> found = single_scan([0.0, 1.2, 0.0, 3.0, 0.0, 1.1, 0.3])
        >>> round(found["p_global"], 4), round(found["z_global"], 2)
        (0.0547, 1.6)
    """
    largest = float(np.max(z))
    n = observed_upcrossings(z, level)
    # below the level the count says nothing of the largest excess: everything is compatible
    p = gross_vitells(largest, float(max(n, 1)), level) if largest > level else 1.0
    return {
        "z_local": largest,
        "p_local": float(ndtr(-largest)),
        "p_global": p,
        "z_global": 0.0 if p >= 0.5 else float(-ndtri(p)),
        "upcrossings": n,
    }


def _window_data(
    m: Batch, bins: Sequence[IntArray], spectra: FloatArray, pulls: Mapping[str, FloatArray], expected: FloatArray
) -> Data:
    """Data of one window for many scans: its bins of the shared spectra, auxiliary data shared by parameter name."""
    s = m.structure
    n = len(spectra)
    blocks = []
    for block, b, where, observed in zip(s.blocks, m.blocks, bins, m.observed.blocks, strict=True):
        aux = np.repeat(observed.g_aux, n, axis=0)
        if block.gamma == "normal":
            shared = _merged_pulls(pulls["bins"], where, expected)
            aux = np.where(b.g_hi[0] > b.g_lo[0], aux + b.g_width[0] * shared, aux)
        blocks.append(BlockData(_merged(spectra, where), aux))
    aux = np.repeat(m.observed.aux, n, axis=0)
    for i, (name, kind) in enumerate(zip(s.names, s.kinds, strict=True)):
        if kind == "normal" and not m.fixed[0, i]:
            aux[:, i] += m.width[0, i] * pulls[name]
    return Data(tuple(blocks), aux)


def _merged(spectra: FloatArray, where: IntArray) -> FloatArray:
    """Bins of spectra (scans, bins): picked, or summed where a row of ``where`` names several (-1 for none).

    Example:
        >>> _merged(np.array([[1.0, 2.0, 4.0]]), np.array([[0, 1], [2, -1]])).tolist()
        [[3.0, 4.0]]
    """
    if where.ndim == 1:
        return np.asarray(spectra[:, where])
    # column by column: as many numbers at a time as the result has
    total = np.zeros((len(spectra), len(where)))
    for column in where.T:
        total += np.where(column >= 0, spectra[:, column], 0.0)
    return total


def _merged_pulls(pulls: FloatArray, where: IntArray, expected: FloatArray) -> FloatArray:
    """Standard deviations of merged bins whose simulated events are shared out as the expectation is."""
    if where.ndim == 1:
        return np.asarray(pulls[:, where])
    size = np.sqrt(np.maximum(expected, _LEAST_EXPECTED))
    total = _merged(pulls * size, where)
    return np.asarray(total / np.sqrt(_merged((size * size)[None], where)))


def _local(m: Batch, data: Data, backend: Backend) -> tuple[FloatArray, int]:
    """Local significances of one window for many data sets."""
    n = len(data.aux)
    poi = m.structure.poi
    z = np.zeros(n)
    failed = 0
    loose, held = ~m.fixed, ~m.fixed
    loose[:, poi], held[:, poi] = True, False
    start, high = m.init.copy(), m.hi.copy()
    start[:, poi], high[:, poi] = 0.0, np.inf
    for first in range(0, n, _ROWS):
        sets = np.arange(first, min(first + _ROWS, n))
        same = np.zeros(len(sets), dtype=np.intp)
        null = fit(
            m, data, start[same], held[same], tolerance=_TOLERANCE, windows=same, sets=sets, backend=backend,
            physical=True,
        )  # fmt: skip
        # only where the slope at no signal points upwards is there an excess at all
        up = np.flatnonzero(null.converged & (null.slope < 0))
        failed += int((~null.converged).sum())
        if not len(up):
            continue
        jump = np.where(null.curvature > 0, -null.slope / np.maximum(null.curvature, 1e-300), 0.0)[up]
        begin = null.theta[up] + jump[:, None] * null.tangent[up]
        begin[:, poi] = jump
        some = same[up]
        free = fit(
            m, data, begin, loose[some], hi=high[some], tolerance=_TOLERANCE, windows=some, sets=sets[up],
            backend=backend, physical=True,
        )  # fmt: skip
        failed += int((~free.converged).sum())
        with np.errstate(all="ignore"):
            gain = np.where(free.converged, 2 * (null.value[up] - free.value), 0.0)
        z[sets[up]] = np.sqrt(np.maximum(gain, 0.0))
    return z, failed


def scan_toys(
    specs: Sequence[Mapping[str, Any]],
    bins: Sequence[Sequence[IntArray]],
    spectrum: FloatArray,
    toys: int,
    *,
    seed: int,
    path: Sequence[str | int] = (),
    level: float = 0.5,
    backend: Backend = "numpy",
) -> ScanToys:
    """Throw background-only scans: each toy is one spectrum that all windows look at.

    Nuisance parameters of one name are one measurement: their auxiliary data are drawn once per toy.

    Args:
        specs: complete workspaces in scan order.
        bins: per workspace and channel (in alphabetical order), the bins of the shared spectrum that it looks at, or
            for each of its bins those that it is the sum of (bins, most), filled up with -1.
        spectrum: expected background counts of the shared spectrum.
        toys: number of scans.
        seed: campaign seed.
        path: place in the seed tree; different chunks have different paths.
        level: reference significance for the upcrossings.
        backend: of the fits.

    Returns:
        The scans' largest significances and upcrossings.

    Raises:
        InputError: a workspace that the engine does not take, or bins that do not fit its channels.
    """
    groups, refused = compile_workspaces(specs)
    if refused:
        first = min(refused)
        raise InputError(f"workspace {first} of the scan has no batched fit ({refused[first]}); leave it out")
    rng = generator(seed, *path)
    spectra = rng.poisson(spectrum, (toys, len(spectrum))).astype(float)
    names = sorted(
        {
            n
            for g in groups
            for n, k in zip(g.batch.structure.names, g.batch.structure.kinds, strict=True)
            if k == "normal"
        }
    )
    pulls = {"bins": rng.normal(size=(toys, len(spectrum))), **{name: rng.normal(size=toys) for name in names}}
    z = np.zeros((toys, len(specs)))
    failed = 0
    for group in groups:
        for i, position in enumerate(group.positions):
            m = group.batch.take(np.array([i]))
            sizes = [len(b) for b in bins[position]]
            wanted = [block.nbins for block in m.structure.blocks]
            if sizes != wanted:
                raise InputError(f"window {position} of the scan has channels of {wanted} bins, {sizes} were given")
            z[:, position], lost = _local(m, _window_data(m, bins[position], spectra, pulls, spectrum), backend)
            failed += lost
    return ScanToys(z.max(axis=1), upcrossings(z, level), failed)


def scan_significance(z_observed: FloatArray, toys: ScanToys, level: float = 0.5) -> ScanSignificance:
    """Global significance of the largest local excess of a scan.

    Args:
        z_observed: local significances in scan order.
        toys: background-only scans of the same windows.
        level: the level of their upcrossings.

    Example:
        >>> t = ScanToys(np.array([1.0, 2.5, 1.5, 3.1]), np.array([1.0, 2.0, 1.0, 2.0]))
        >>> scan_significance(np.array([0.3, 2.0, 1.0]), t).p_global
        0.5
    """
    z_observed = np.asarray(z_observed, dtype=float)
    best = int(np.argmax(z_observed))
    z = float(z_observed[best])
    n = len(toys.z_max)
    above = int((toys.z_max >= z).sum())
    p = above / n
    mean = float(toys.crossings.mean())
    return ScanSignificance(
        point=best,
        z_local=z,
        p_global=p,
        p_global_error=math.sqrt(max(above, 1) * max(n - above, 1) / n) / n,
        z_global=0.0 if p >= 0.5 else float(-ndtri(max(p, 1 / n))),
        p_gross_vitells=gross_vitells(z, mean, level),
        mean_upcrossings=mean,
        toys=n,
        failed=toys.failed,
    )
