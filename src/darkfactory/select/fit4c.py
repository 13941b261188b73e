"""Fit of a fixed number of particles to the four-momentum of the initial state (4C).

Minimises sum (y - eta)^T V^-1 (y - eta) over the tracks' parameters eta = (pt, phi, tan lambda), where the sum of the
four-momenta equals that of the beams, with Lagrange multipliers: P. Avery, CBX 91-72; W. D. Hulsbergen, NIM A 552
(2005) 566, sec. 2. The initial state may have a covariance of its own (energy spreads of the beams), which adds to
that of the constraint. Everything is written out by component: the bits of a row do not depend on the others.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from darkfactory.select.objects import Array

__all__ = ["FourMomentumFit", "fit_four_momentum", "solve_symmetric"]

_PARAMETERS = 3


@dataclass(frozen=True, eq=False)
class FourMomentumFit:
    """Result of the fit.

    Attributes:
        p4: fitted four-momenta (n, tracks, 4), GeV.
        chi2: of each row, four degrees of freedom.
        pulls: (y - eta) / sqrt(V_y - V_eta), (n, tracks, 3) for pt, phi, tan lambda.
        residual: what is left of the constraint, GeV: largest component of each row.
    """

    p4: Array
    chi2: Array
    pulls: Array
    residual: Array


def solve_symmetric(matrix: Sequence[Sequence[Array]], right: Sequence[Array]) -> list[Array]:
    """Solve symmetric positive systems, one per row, by an LDL^T decomposition written out.

    Args:
        matrix: lower triangle, matrix[i][j] of shape (n,) for j <= i.
        right: right-hand sides, (n,) each.

    Example:
        >>> a = [[np.array([4.0])], [np.array([2.0]), np.array([3.0])]]
        >>> [float(x[0]) for x in solve_symmetric(a, [np.array([2.0]), np.array([5.0])])]
        [-0.5, 2.0]
    """
    size = len(right)
    low: list[list[Array]] = [[] for _ in range(size)]
    diagonal: list[Array] = []
    for i in range(size):
        for j in range(i):
            total = matrix[i][j]
            for k in range(j):
                total = total - low[i][k] * low[j][k] * diagonal[k]
            low[i].append(total / diagonal[j])
        pivot = matrix[i][i]
        for k in range(i):
            pivot = pivot - low[i][k] * low[i][k] * diagonal[k]
        diagonal.append(pivot)
    x = list(right)
    for i in range(size):
        for k in range(i):
            x[i] = x[i] - low[i][k] * x[k]
    x = [value / d for value, d in zip(x, diagonal, strict=True)]
    for i in reversed(range(size)):
        for k in range(i + 1, size):
            x[i] = x[i] - low[k][i] * x[k]
    return x


def _momenta(eta: list[list[Array]], m2: Sequence[float | Array]) -> tuple[list[list[Array]], list[list[list[Array]]]]:
    """Four-momenta [track][4] and derivatives [track][4][3]."""
    momenta, slopes = [], []
    for (pt, phi, dip), square in zip(eta, m2, strict=True):
        cos, sin = np.cos(phi), np.sin(phi)
        e = np.sqrt(pt * pt * (1.0 + dip * dip) + square)
        momenta.append([e, pt * cos, pt * sin, pt * dip])
        zero = np.zeros_like(pt)
        slopes.append(
            [
                [pt * (1.0 + dip * dip) / e, zero, pt * pt * dip / e],
                [cos, -pt * sin, zero],
                [sin, pt * cos, zero],
                [dip, zero, pt],
            ]
        )
    return momenta, slopes


def fit_four_momentum(
    momenta: Array, sigmas: Array, mass: float | Array, total: Array, spread: Array, iterations: int
) -> FourMomentumFit:
    """Fit tracks to the four-momentum of the initial state.

    Args:
        momenta: measured three-momenta (n, tracks, 3), GeV.
        sigmas: standard deviations of pt (GeV), phi (rad) and tan lambda, (n, tracks, 3), uncorrelated.
        mass: of every track, GeV; or (n, tracks), of each: photons are tracks without mass.
        total: four-momentum (E, px, py, pz) of the initial state, (4,), GeV.
        spread: its covariance, (4, 4), GeV^2.
        iterations: linearisations; the constraint is met to second order in what is left after each.

    Example:
        >>> p = np.array([[[0.0, 1.02, 0.51], [0.0, -1.0, -0.5]]])
        >>> s = np.array([[[0.02, 0.001, 0.001], [0.02, 0.001, 0.001]]])
        >>> total = np.array([2 * np.sqrt(1.25), 0.0, 0.0, 0.0])
        >>> fit = fit_four_momentum(p, s, 0.0, total, np.zeros((4, 4)), 5)
        >>> bool(np.allclose(fit.p4.sum(axis=1), total)), fit.chi2.round(1).tolist()
        (True, [1.0])
    """
    n_tracks = momenta.shape[1]
    measured: list[list[Array]] = []
    variance: list[list[Array]] = []
    for t in range(n_tracks):
        px, py, pz = (np.ascontiguousarray(momenta[:, t, i]) for i in range(3))
        pt = np.sqrt(px * px + py * py)
        measured.append([pt, np.arctan2(py, px), pz / pt])
        variance.append([np.ascontiguousarray(sigmas[:, t, i]) ** 2 for i in range(_PARAMETERS)])
    eta = [list(row) for row in measured]
    masses = [mass if isinstance(mass, float) else np.ascontiguousarray(mass[:, t]) for t in range(n_tracks)]
    m2 = [m * m for m in masses]
    for _ in range(max(iterations, 1)):
        p, slopes = _momenta(eta, m2)
        value = [sum((q[a] for q in p), np.full(len(momenta), -float(total[a]))) for a in range(4)]
        # the constraint at the measurement, linearised at eta
        for t, k, a in itertools.product(range(n_tracks), range(_PARAMETERS), range(4)):
            value[a] = value[a] + slopes[t][a][k] * (measured[t][k] - eta[t][k])
        # of the constraint: tracks and beams
        covariance: list[list[Array]] = [[] for _ in range(4)]
        for a in range(4):
            for b in range(a + 1):
                c = np.full(len(momenta), float(spread[a, b]))
                for t, k in itertools.product(range(n_tracks), range(_PARAMETERS)):
                    c = c + slopes[t][a][k] * variance[t][k] * slopes[t][b][k]
                covariance[a].append(c)
        multiplier = solve_symmetric(covariance, value)
        for t, k in itertools.product(range(n_tracks), range(_PARAMETERS)):
            step = sum((slopes[t][a][k] * multiplier[a] for a in range(4)), np.zeros(len(momenta)))
            eta[t][k] = measured[t][k] - variance[t][k] * step
    chi2 = sum((value[a] * multiplier[a] for a in range(4)), np.zeros(len(momenta)))
    pulls = _pulls(measured, eta, variance, slopes, covariance)
    p, _ = _momenta(eta, m2)
    left = _residual(p, total, spread, multiplier)
    p4 = np.stack([np.stack(row, axis=-1) for row in p], axis=1)
    return FourMomentumFit(p4, np.asarray(chi2), pulls, left)


def _residual(p: list[list[Array]], total: Array, spread: Array, multiplier: Sequence[Array]) -> Array:
    """Largest component of the sum of momenta less the fitted four-momentum of the beams."""
    left = np.zeros(len(p[0][0]))
    for a in range(4):
        beams = total[a] + sum((spread[a, b] * multiplier[b] for b in range(4)), np.zeros(len(left)))
        left = np.maximum(left, np.abs(sum((q[a] for q in p), -beams)))
    return left


def _pulls(
    measured: list[list[Array]],
    eta: list[list[Array]],
    variance: list[list[Array]],
    slopes: list[list[list[Array]]],
    covariance: list[list[Array]],
) -> Array:
    """(y - eta) over the root of its variance, V H^T S^-1 H V on the diagonal."""
    rows = []
    for t in range(len(eta)):
        columns = []
        for k in range(_PARAMETERS):
            h = [slopes[t][a][k] for a in range(4)]
            solved = solve_symmetric(covariance, h)
            gain = sum((x * y for x, y in zip(h, solved, strict=True)), np.zeros(len(h[0])))
            spread = np.sqrt(np.maximum(gain, 1e-300)) * variance[t][k]
            columns.append((measured[t][k] - eta[t][k]) / spread)
        rows.append(np.stack(columns, axis=-1))
    return np.stack(rows, axis=1)
