"""Test statistics of many pseudo-experiments of one window, kept away from expectations below zero."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from darkfactory.stats.histfactory import Batch, Data, FloatArray
from darkfactory.stats.newton import Backend, Fit, fit

__all__ = ["anchor", "qtilde"]

_BLOCK = 1024
_TOLERANCE = 1e-8
_ROUNDING = 1e-6


@dataclass(frozen=True)
class _Fits:
    """Fits of pseudo-experiments of one window.

    Bins without events have no wall at zero, in pyhf neither. Where shapes vary strongly the likelihood then has a
    second, unphysical minimum deep behind it, with parameters at their bounds, that a long first step can end in.
    """

    m: Batch
    data: Data
    start: FloatArray
    backend: Backend

    def once(
        self, begin: FloatArray, floating: np.ndarray, sets: npt.NDArray[np.intp], hi: FloatArray, physical: bool
    ) -> Fit:
        shape = begin.shape
        return fit(
            self.m, self.data, begin, np.broadcast_to(floating, shape), hi=np.broadcast_to(hi, shape),
            tolerance=_TOLERANCE, windows=np.zeros(len(sets), dtype=np.intp), sets=sets, backend=self.backend,
            physical=physical,
        )  # fmt: skip

    def at(
        self, begin: FloatArray, mu: float, floating: np.ndarray, sets: npt.NDArray[np.intp], hi: FloatArray
    ) -> tuple[Fit, np.ndarray]:
        """Minima from given starts, and which of them are behind the wall.

        A search that ends there begins again at the common start and at the auxiliary data, with signal strength
        ``mu``. What is left, auxiliary data far out mostly, has nothing but the minimum behind the wall.
        """
        found = self.once(begin, floating, sets, hi, physical=True)
        lost = np.flatnonzero(~found.converged)
        wild = np.zeros(len(sets), dtype=bool)
        constrained = (np.array(self.m.structure.kinds) == "normal") & ~self.m.fixed[0]
        for centred in (False, True):
            if not len(lost):
                return found, wild
            plain = np.repeat(self.start, len(lost), axis=0)
            plain[:, self.m.structure.poi] = mu
            if centred:
                plain = np.where(constrained, self.data.aux[sets[lost]], plain)
            second = self.once(plain, floating, sets[lost], hi, physical=True)
            found = found.put(lost, second)
            lost = lost[~second.converged]
        wild[lost] = True
        return found.put(lost, self.once(begin[lost], floating, sets[lost], hi, physical=False)), wild


def anchor(m: Batch, mu: float, start: FloatArray, backend: Backend = "numpy") -> Fit:
    """The fit to a window's own data at one signal strength, at which pseudo-experiments are drawn.

    Args:
        m: one compiled window.
        mu: signal strength.
        start: start parameters (1, parameters).
        backend: of the fits.

    Example:
        >>> from darkfactory.stats.examples import counting_window
        >>> from darkfactory.stats.histfactory import compile_workspace
        >>> _, m = compile_workspace(counting_window(3, 9.0, signal=2.0))
        >>> anchor(m, 1.5, m.init).theta.tolist()
        [[1.5]]
    """
    held = ~m.fixed[0]
    held[m.structure.poi] = False
    begin = start.copy()
    begin[:, m.structure.poi] = mu
    return _Fits(m, m.observed, begin, backend).at(begin, mu, held, np.zeros(1, dtype=np.intp), m.hi[0])[0]


def qtilde(
    m: Batch, data: Data, start: FloatArray, mus: Sequence[float], backend: Backend = "numpy"
) -> tuple[FloatArray, np.ndarray]:
    """The qtilde of every data set at every signal strength.

    Args:
        m: one compiled window.
        data: pseudo-data, auxiliary data included.
        start: start parameters (1, parameters).
        mus: tested signal strengths.
        backend: of the fits.

    Returns:
        Test statistics (data sets, strengths), and which data sets have them all.

    Example:
        One event on none expected, against two of signal: -2 ln of the Poisson ratio

        >>> from darkfactory.stats.histfactory import compile_workspace
        >>> from darkfactory.stats.examples import counting_window
        >>> spec = counting_window(1, 0.0)
        >>> _, m = compile_workspace(spec)
        >>> q, ok = qtilde(m, m.observed, m.init, [0.5, 2.0])
        >>> q.round(6).tolist(), ok.tolist()
        ([[0.0, 0.613706]], [True])
    """
    n = len(data.aux)
    poi = m.structure.poi
    q = np.zeros((n, len(mus)))
    ok = np.ones(n, dtype=bool)
    loose, held = ~m.fixed[0], ~m.fixed[0]
    loose[poi], held[poi] = True, False
    high = m.hi[0].copy()
    high[poi] = np.inf
    fits = _Fits(m, data, start, backend)
    for first in range(0, n, _BLOCK):
        part = np.arange(first, min(first + _BLOCK, n))
        begin = np.repeat(start, len(part), axis=0)
        free, wild = fits.at(begin, 0.0, loose, part, high)
        ok[part] = free.converged
        for j, mu in enumerate(mus):
            # a best fit above the strength under test makes qtilde zero: nothing to fit
            below = np.flatnonzero(free.converged & (free.theta[:, poi] <= mu))
            if not len(below):
                continue
            guess = free.theta[below] + (mu - free.theta[below, poi])[:, None] * free.tangent[below]
            guess[:, poi] = mu
            plain = begin[below]
            plain[:, poi] = mu
            guess = np.where(np.isfinite(guess), guess, plain)
            fixed, beyond = fits.at(guess, mu, held, part[below], m.hi[0])
            # both behind the wall are compared there; one alone is no test statistic
            lost = np.flatnonzero(wild[below] & ~beyond)
            if len(lost):
                fixed = fixed.put(lost, fits.once(guess[lost], held, part[below][lost], m.hi[0], physical=False))
            deeper = ~wild[below] & beyond & (fixed.value < free.value[below] - _ROUNDING)
            with np.errstate(all="ignore"):
                q[part[below], j] = np.maximum(2 * (fixed.value - free.value[below]), 0.0)
            ok[part[below]] &= fixed.converged & ~deeper
    return q, ok
