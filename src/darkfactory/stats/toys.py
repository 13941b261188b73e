"""CLs limits from pseudo-experiments, batched, seeded by chunk and mergeable.

The test statistic is qtilde and the pseudo-experiments are those of pyhf's ``ToyCalculator``: main and auxiliary data
drawn at the fit to the observed data with the signal strength under test, and at the fit without signal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from darkfactory.core.errors import RunError
from darkfactory.core.seeds import generator
from darkfactory.stats.histfactory import Batch, BlockData, Data, FloatArray
from darkfactory.stats.likelihood import expected
from darkfactory.stats.newton import Backend
from darkfactory.stats.toy_fits import anchor, qtilde
from darkfactory.stats.toy_sample import ToySample, log_ratio

__all__ = ["ToyLimit", "observed_qtilde", "sample_data", "toy_limits", "toy_sample"]

_LEAST = 3e-4


@dataclass(frozen=True)
class ToyLimit:
    """Limits from toys at one level.

    Attributes:
        observed: None if the sampled range does not contain it.
        expected: five, or None.
        error: statistical error of the observed limit.
        failed: fits that failed, over all toys.
    """

    observed: float | None
    expected: tuple[float, float, float, float, float] | None
    error: float | None
    failed: int


def sample_data(
    m: Batch, theta: FloatArray, gammas: tuple[FloatArray, ...], count: int, rng: np.random.Generator
) -> Data:
    """Draw pseudo-data of one window at a parameter point, auxiliary data included.

    Args:
        m: one compiled window.
        theta: its parameters (1, parameters).
        gammas: its per-bin factors.
        count: pseudo-experiments.
        rng: random stream.

    Returns:
        Data of ``count`` pseudo-experiments.

    Example:
        >>> from darkfactory.stats.histfactory import compile_workspace
        >>> from darkfactory.stats.examples import counting_window
        >>> spec = counting_window(8, 9.0, signal=3.0)
        >>> _, batch = compile_workspace(spec)
        >>> d = sample_data(batch, np.array([[0.0]]), (np.ones((1, 1)),), 4000, np.random.default_rng(1))
        >>> round(float(d.blocks[0].counts.mean()), 1)
        9.0
    """
    s = m.structure
    rates = expected(m, theta, gammas)
    blocks = []
    for block, b, nu, gamma in zip(s.blocks, m.blocks, rates, gammas, strict=True):
        counts = rng.poisson(np.maximum(nu[0], 0.0), (count, block.nbins)).astype(float)
        moving = b.g_hi[0] > b.g_lo[0]
        if block.gamma == "normal":
            draw = rng.normal(gamma[0], b.g_width[0], (count, block.nbins))
        elif block.gamma == "poisson":
            draw = rng.poisson(gamma[0] * b.g_width[0], (count, block.nbins)).astype(float)
        else:
            draw = np.ones((count, block.nbins))
        nominal = gamma[0] * b.g_width[0] if block.gamma == "poisson" else gamma[0]
        blocks.append(BlockData(counts, np.where(moving, draw, nominal)))
    aux = np.zeros((count, len(s.kinds)))
    for i, kind in enumerate(s.kinds):
        if kind == "normal":
            aux[:, i] = theta[0, i] if m.fixed[0, i] else rng.normal(theta[0, i], m.width[0, i], count)
        elif kind == "poisson":
            rate = theta[0, i] * m.width[0, i]
            aux[:, i] = rate if m.fixed[0, i] else rng.poisson(rate, count)
    return Data(tuple(blocks), aux)


def _plan(total: int, chunk: int) -> list[int]:
    sizes = [chunk] * (total // chunk)
    return sizes + ([total % chunk] if total % chunk else [])


def toy_sample(
    m: Batch,
    mu: float,
    toys: int,
    *,
    seed: int,
    path: Sequence[str | int] = (),
    chunk: int = 1000,
    backend: Backend = "numpy",
) -> ToySample:
    """Throw pseudo-experiments at one signal strength.

    Args:
        m: one compiled window with its observation.
        mu: tested signal strength.
        toys: pseudo-experiments per hypothesis.
        seed: campaign seed.
        path: place in the seed tree (point, step).
        chunk: pseudo-experiments of one random stream.
        backend: of the fits.

    Returns:
        Their test statistics.
    """
    return _samples(m, [mu], toys, seed=seed, path=path, chunk=chunk, backend=backend)[0]


def _samples(
    m: Batch,
    mus: Sequence[float],
    toys: int,
    *,
    seed: int,
    path: Sequence[str | int],
    chunk: int,
    backend: Backend,
    first: int = 0,
) -> list[ToySample]:
    """Toys at several strengths; those without signal are thrown once and tested at each.

    Streams are named by the place of the strength, from ``first`` on, not by its value: rounding in a fit must not
    throw other toys.
    """
    null = anchor(m, 0.0, m.init, backend)
    sizes = _plan(toys, chunk)
    background = [
        sample_data(m, null.theta, null.gammas, size, generator(seed, *path, "background", i))
        for i, size in enumerate(sizes)
    ]
    done = [qtilde(m, d, null.theta, mus, backend) for d in background]
    q_b = np.concatenate([q for q, _ in done])
    ok_b = np.concatenate([ok for _, ok in done])
    result = []
    for j, mu in enumerate(mus):
        at_mu = anchor(m, mu, null.theta, backend)
        thrown = [
            sample_data(m, at_mu.theta, at_mu.gammas, size, generator(seed, *path, "signal", first + j, i))
            for i, size in enumerate(sizes)
        ]
        parts = [qtilde(m, d, at_mu.theta, [mu], backend) for d in thrown]
        q_s = np.concatenate([q[:, 0] for q, _ in parts])
        ok_s = np.concatenate([ok for _, ok in parts])
        hypotheses = (at_mu.theta, at_mu.gammas), (null.theta, null.gammas)
        r_s, r_b = (np.concatenate([log_ratio(m, d, *hypotheses) for d in sets]) for sets in (thrown, background))
        failed = int((~ok_s).sum() + (~ok_b).sum())
        result.append(ToySample(mu, q_s[ok_s], q_b[ok_b, j], r_s[ok_s], r_b[ok_b], failed))
    return result


def _crossing(mus: FloatArray, cls: FloatArray, alpha: float) -> tuple[float, float] | None:
    """Where CLs falls through alpha, linear in log CLs between toys; with the local slope of log CLs."""
    with np.errstate(all="ignore"):
        # no toy in the tail says less than one in a few thousand, not zero
        y = np.log(np.maximum(cls, _LEAST)) - np.log(alpha)
    # statistical wiggles are smoothed by what CLs must do: fall
    y = np.minimum.accumulate(y)
    if y[0] <= 0 or y[-1] > 0:
        return None
    j = int(np.argmax(y <= 0))
    slope = (y[j] - y[j - 1]) / (mus[j] - mus[j - 1])
    return float(mus[j - 1] - y[j - 1] / slope), float(slope)


def _range(
    m: Batch,
    cls: Sequence[float],
    around: tuple[float, float],
    *,
    toys: int,
    steps: int,
    seed: int,
    path: Sequence[str | int],
    chunk: int,
    backend: Backend,
) -> tuple[float, float]:
    """Where the limits are, from few toys over a wide range: the asymptotic band is far too wide for few events."""
    low, high = 0.6 * around[0], 1.4 * around[1]
    mus = np.geomspace(low, high, steps)
    samples = _samples(m, [float(v) for v in mus], toys, seed=seed, path=(*path, "range"), chunk=chunk, backend=backend)
    curves = [np.array([s.cls(observed_qtilde(m, s.mu, backend)) for s in samples])]
    curves += list(np.array([s.cls_quantiles() for s in samples]).T)
    found = [_crossing(mus, curve, 1 - cl) for cl in cls for curve in curves]
    inside = [c[0] for c in found if c is not None]
    if not inside:
        return low, high
    # an end that some limit lies beyond stays where it is
    start = 0.75 * min(inside) if all(c[0] > 1 - min(cls) for c in curves) else low
    stop = 1.3 * max(inside) if all(c[-1] <= 1 - max(cls) for c in curves) else high
    return start, stop


def toy_limits(
    m: Batch,
    cls: Sequence[float],
    around: tuple[float, float],
    *,
    toys: int,
    steps: int,
    seed: int,
    path: Sequence[str | int],
    chunk: int = 1000,
    backend: Backend = "numpy",
) -> list[ToyLimit]:
    """Observed and expected CLs limits of one window from pseudo-experiments.

    CLs is sampled at ``steps`` signal strengths over a range that a fifth of the toys finds around ``around``, which
    is widened (up to four times) until every limit is inside, and interpolated linearly in its logarithm.

    Args:
        m: one compiled window with its observation.
        cls: confidence levels.
        around: smallest and largest limit that are to be expected (the asymptotic ones).
        toys: pseudo-experiments per hypothesis and strength.
        steps: signal strengths.
        seed: campaign seed.
        path: place in the seed tree.
        chunk: pseudo-experiments of one random stream.
        backend: of the fits.

    Returns:
        One limit per level.

    Raises:
        RunError: more than one fit in a hundred failed.
    """
    low, high = _range(
        m, cls, around, toys=max(toys // 5, 100), steps=steps, seed=seed, path=path, chunk=chunk, backend=backend
    )
    mus = [float(v) for v in np.geomspace(low, high, steps)]
    samples = _samples(m, mus, toys, seed=seed, path=path, chunk=chunk, backend=backend)
    for widened in range(4):
        worst = max(
            float(np.max(samples[-1].cls_quantiles())), samples[-1].cls(observed_qtilde(m, samples[-1].mu, backend))
        )
        if worst < 1 - max(cls):
            break
        extra = samples[-1].mu * 1.5
        samples += _samples(m, [extra], toys, seed=seed, path=path, chunk=chunk, backend=backend, first=steps + widened)
    for widened in range(4):
        best = min(
            float(np.min(samples[0].cls_quantiles())), samples[0].cls(observed_qtilde(m, samples[0].mu, backend))
        )
        if best > 1 - min(cls):
            break
        extra = samples[0].mu / 1.7
        below = _samples(
            m, [extra], toys, seed=seed, path=path, chunk=chunk, backend=backend, first=steps + 4 + widened
        )
        samples = below + samples
    failed = sum(s.failed for s in samples)
    if failed > 0.01 * 2 * toys * len(samples):
        raise RunError(
            f"{failed} of {2 * toys * len(samples)} toy fits failed at {list(path)}; at most 1 % may, look at the "
            "workspace's lint warnings"
        )
    strengths = np.array([s.mu for s in samples])
    observed = np.array([s.cls(observed_qtilde(m, s.mu, backend)) for s in samples])
    bands = np.array([s.cls_quantiles() for s in samples])
    result = []
    for cl in cls:
        alpha = 1 - cl
        crossing = _crossing(strengths, observed, alpha)
        band = [_crossing(strengths, bands[:, k], alpha) for k in range(5)]
        error = None
        if crossing is not None:
            near = samples[int(np.argmin(np.abs(strengths - crossing[0])))]
            value, deviation = near.cls_and_error(observed_qtilde(m, near.mu, backend))
            error = float(deviation / max(value, _LEAST) / abs(crossing[1]))
        complete = [v[0] for v in band if v is not None]
        result.append(
            ToyLimit(
                observed=None if crossing is None else crossing[0],
                expected=tuple(complete) if len(complete) == 5 else None,  # type: ignore[arg-type]  # five
                error=error,
                failed=failed,
            )
        )
    return result


def observed_qtilde(m: Batch, mu: float, backend: Backend = "numpy") -> float:
    """The qtilde of a window's own data at a signal strength."""
    q, _ = qtilde(m, m.observed, m.init, [mu], backend)
    return float(q[0, 0])
