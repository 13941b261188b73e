"""Goodness of fit: the saturated model, with a p-value from pseudo-experiments."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import gammaincc

from darkfactory.core.errors import RunError
from darkfactory.core.seeds import generator
from darkfactory.stats.bestfit import fit_many, lower_bounds
from darkfactory.stats.histfactory import Batch, FloatArray, compile_workspace
from darkfactory.stats.newton import Backend
from darkfactory.stats.toys import sample_data

__all__ = ["Goodness", "goodness_of_fit", "saturated_toys"]

_BLOCK = 512


@dataclass(frozen=True)
class Goodness:
    """Goodness of fit of one hypothesis.

    Attributes:
        signal: whether the signal strength was free (else zero).
        statistic: -2 log of the likelihood over that of the saturated model, constraints included.
        degrees: bins and constraints less floating parameters.
        p_chi2: its p-value were it chi-square distributed.
        p_toys: fraction of pseudo-experiments at least as badly described.
        error: statistical error of that.
        toys: their statistics.
        failed: pseudo-experiments whose fits failed, left out.
    """

    signal: bool
    statistic: float
    degrees: int
    p_chi2: float
    p_toys: float
    error: float
    toys: tuple[float, ...]
    failed: int

    def to_dict(self) -> dict[str, Any]:
        """JSON-like form."""
        return {**self.__dict__, "toys": list(self.toys)}


def _degrees(m: Batch, signal: bool) -> int:
    """Bins less unconstrained floating parameters: every constraint brings a datum and a parameter."""
    s = m.structure
    free = sum(
        1 for i, k in enumerate(s.kinds) if k == "free" and not m.fixed[0, i] and (signal or i != s.poi)
    )  # fmt: skip
    return sum(b.nbins for b in s.blocks) - free


def saturated_toys(
    m: Batch,
    theta: FloatArray,
    gammas: tuple[FloatArray, ...],
    toys: int,
    *,
    signal: bool,
    seed: int,
    path: Sequence[str | int],
    chunk: int = 1000,
    backend: Backend = "numpy",
) -> tuple[FloatArray, int]:
    """The saturated statistic of pseudo-experiments drawn at a fit, and how many fits failed.

    Args:
        m: one compiled window.
        theta: parameters of the fit (1, parameters).
        gammas: its per-bin factors.
        toys: pseudo-experiments.
        signal: whether the signal strength is fitted.
        seed: campaign seed.
        path: place in the seed tree.
        chunk: pseudo-experiments of one random stream.
        backend: of the fits.
    """
    values: list[FloatArray] = []
    failed = 0
    lower = lower_bounds(m)
    for first in range(0, toys, chunk):
        count = min(chunk, toys - first)
        data = sample_data(m, theta, gammas, count, generator(seed, *path, f"signal{signal}", first // chunk))
        for start in range(0, count, _BLOCK):
            part = np.arange(start, min(start + _BLOCK, count))
            zeros = np.zeros(len(part), dtype=np.intp)
            _, value, _, ok, _ = fit_many(
                m.take(zeros),
                data.take(part),
                np.repeat(theta, len(part), axis=0),
                signal=signal,
                lower=lower[zeros],
                backend=backend,
            )
            values.append(2 * value[ok])
            failed += int((~ok).sum())
    return np.concatenate(values) if values else np.zeros(0), failed


def goodness_of_fit(
    spec: Mapping[str, Any],
    *,
    toys: int,
    seed: int,
    path: Sequence[str | int] = ("stats", "goodness"),
    backend: Backend = "numpy",
) -> tuple[Goodness, Goodness]:
    """Goodness of fit of background alone and of signal and background.

    Args:
        spec: complete workspace.
        toys: pseudo-experiments each.
        seed: campaign seed.
        path: place in the seed tree.
        backend: of the fits.

    Raises:
        UnsupportedModel: a workspace that the engine does not take.
        RunError: the fit to the data, or one fit in ten of the pseudo-experiments, does not converge.

    Example:
        >>> from darkfactory.stats.examples import bump_window
        >>> alone, both = goodness_of_fit(bump_window(1, bins=20), toys=50, seed=1)
        >>> alone.degrees, both.degrees, both.statistic <= alone.statistic
        (16, 15, True)
    """
    _, m = compile_workspace(spec)
    found = []
    for signal in (False, True):
        theta, value, _, ok, gammas = fit_many(m, m.observed, m.init, signal=signal)
        if not ok[0]:
            raise RunError("goodness of fit: the fit to the data does not converge; look at the lint warnings")
        statistic = 2 * float(value[0])
        thrown, failed = saturated_toys(m, theta, gammas, toys, signal=signal, seed=seed, path=path, backend=backend)
        if failed > 0.1 * toys:
            raise RunError(f"goodness of fit: {failed} of {toys} toy fits failed; look at the lint warnings")
        degrees = _degrees(m, signal)
        p = float(np.mean(thrown >= statistic * (1 - 1e-9))) if len(thrown) else math.nan
        error = math.sqrt(max(p * (1 - p), 1 / len(thrown) ** 2) / len(thrown)) if len(thrown) else math.nan
        chi2 = float(gammaincc(0.5 * degrees, 0.5 * statistic)) if degrees > 0 else math.nan
        found.append(
            Goodness(signal, statistic, degrees, chi2, p, error, tuple(float(v) for v in thrown), failed)
        )  # fmt: skip
    return found[0], found[1]
