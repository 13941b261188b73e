"""Smoothing of simulated templates with few events; the norm is kept, the uncertainty is not hidden."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.interpolate import BSpline
from scipy.sparse import coo_array, csr_array

from darkfactory.records.histogram import FloatArray

__all__ = ["kernel_smooth", "spline_smooth"]


def _kernel(widths: FloatArray, bandwidth: float) -> csr_array:
    """Row j: how bin j's content spreads; Gaussian in the bin index, reflected at both ends, rows sum to 1.

    Bins get a share in proportion to their width, so that a kink in the bin widths makes none in the density.
    """
    n = len(widths)
    # beyond six bandwidths a Gaussian is 1e-8; one reflection is enough
    half = min(int(np.ceil(6.0 * bandwidth)), n - 1)
    distance = np.arange(-half, half + 1)
    target = np.arange(n)[:, None] + distance[None, :]
    target = np.where(target < 0, -target - 1, target)
    target = np.where(target >= n, 2 * n - 1 - target, target)
    share = np.exp(-0.5 * (distance / bandwidth) ** 2) * widths[target]
    share /= share.sum(axis=1, keepdims=True)
    source = np.repeat(np.arange(n), len(distance))
    kernel = coo_array((share.ravel(), (source, target.ravel())), shape=(n, n)).tocsr()
    kernel.sum_duplicates()
    return kernel


def kernel_smooth(
    sumw: FloatArray,
    sumw2: FloatArray,
    variations: Mapping[str, FloatArray],
    *,
    widths: FloatArray,
    bandwidths: Sequence[float],
    target_events: float,
    core_bins: float,
    breaks: Sequence[int] = (),
) -> tuple[FloatArray, FloatArray, dict[str, FloatArray]]:
    """Adaptive kernel smoothing along the first axis, for each bin of the second axis by itself.

    Each bin's content is spread by a Gaussian whose bandwidth is the smallest one (none, then ``bandwidths``)
    that collects ``target_events`` effective events around it. Spreading keeps the sum exactly. Bins are equal
    steps of resolution, so nothing narrower than a few resolutions is in a background, and where one is (the
    photon-loss peak at zero mass) events abound and nothing is smoothed.

    Smoothed bins are correlated, while a fit takes bins as independent. The variance returned is therefore the
    smoothed one times ``core_bins``: the variance of a sum over that many bins, the signal's core, then comes
    out as it is; it never exceeds the variance spread like the content.

    Args:
        sumw: shape (n,) or (n, k).
        sumw2: the same.
        variations: sums with systematic factors, same shapes; spread by the same kernels.
        widths: of the bins on the first axis.
        bandwidths: in bins, ascending.
        target_events: effective events.
        core_bins: fine bins in the signal's core.
        breaks: first bins after steps of the selection; nothing is spread across.

    Returns:
        Content, variance, variations.

    Example:
        >>> w = np.array([0.0, 0.0, 4.0, 0.0, 0.0])
        >>> content, _, _ = kernel_smooth(w, w, {}, widths=np.ones(5), bandwidths=[1.0], target_events=100.0,
        ...                                core_bins=2.0)
        >>> content.round(2), round(float(content.sum()), 9)
        (array([0.23, 0.97, 1.6 , 0.97, 0.23]), 4.0)
    """
    n = sumw.shape[0]
    if inner := [b for b in breaks if 0 < b < n]:
        options: dict[str, Any] = {"bandwidths": bandwidths, "target_events": target_events, "core_bins": core_bins}
        bounds = [0, *sorted(set(inner)), n]
        parts = [
            kernel_smooth(
                sumw[a:b], sumw2[a:b], {k: v[a:b] for k, v in variations.items()}, widths=widths[a:b], **options
            )
            for a, b in pairwise(bounds)
        ]
        return (
            np.concatenate([p[0] for p in parts]),
            np.concatenate([p[1] for p in parts]),
            {k: np.concatenate([p[2][k] for p in parts]) for k in variations},
        )
    flat = {"": sumw.reshape(n, -1), **{k: v.reshape(n, -1) for k, v in variations.items()}}
    squares = sumw2.reshape(n, -1)
    out = {k: np.zeros_like(v, dtype=float) for k, v in flat.items()}
    variance = np.zeros_like(squares, dtype=float)
    kernels = [_kernel(widths, b) for b in bandwidths]
    squared = [k.multiply(k).tocsr() for k in kernels]
    for j in range(squares.shape[1]):
        w, w2 = flat[""][:, j], squares[:, j]
        if not kernels or not w2.any():
            for name, v in flat.items():
                out[name][:, j] = v[:, j]
            variance[:, j] = w2
            continue
        choice = np.full(n, len(kernels) - 1)
        for i in range(len(kernels) - 1, -1, -1):
            collected = (kernels[i] @ w) ** 2 / np.maximum(squared[i] @ w2, 1e-300)
            choice = np.where(collected >= target_events, i, choice)
        # a bin by itself: from its neighbourhood, so that a fluctuation does not choose for itself
        near, near2 = kernels[0].T @ w, kernels[0].T @ w2
        choice = np.where(near**2 / np.maximum(near2, 1e-300) >= target_events, -1, choice)
        chosen = [choice == i for i in range(len(kernels))]

        def spread(v: FloatArray, matrices: Sequence[csr_array]) -> FloatArray:
            total = np.where(choice == -1, v, 0.0)  # noqa: B023
            for matrix, rows in zip(matrices, chosen, strict=True):  # noqa: B023
                total = total + matrix.T @ np.where(rows, v, 0.0)
            return np.asarray(total)

        for name, v in flat.items():
            out[name][:, j] = spread(v[:, j], kernels)
        variance[:, j] = np.minimum(core_bins * spread(w2, squared), spread(w2, kernels))
    shape = sumw.shape
    return (
        out[""].reshape(shape),
        variance.reshape(shape),
        {k: out[k].reshape(shape) for k in variations},
    )


def spline_smooth(sumw: FloatArray, sumw2: FloatArray, *, widths: FloatArray, knot_spacing: float) -> FloatArray:
    """A smooth continuum: exponential of a cubic spline, fitted to weighted simulation, norm kept.

    The density is smooth, not the content of bins whose widths need not be. A Poisson likelihood with the local
    mean weight, penalised weakly on second differences of the spline's coefficients (it acts where nothing is
    simulated), maximised by Newton steps.

    Args:
        sumw: shape (n,).
        sumw2: the same.
        widths: of the bins.
        knot_spacing: in bins; structures narrower than this are smoothed away.

    Example:
        >>> x = np.arange(400.0)
        >>> truth = 50.0 * np.exp(-x / 200.0)
        >>> noisy = np.random.default_rng(3).poisson(truth).astype(float)
        >>> smooth = spline_smooth(noisy, noisy, widths=np.ones(400), knot_spacing=100.0)
        >>> bool(np.abs(smooth / truth - 1.0)[50:-50].max() < 0.1), bool(np.isclose(smooth.sum(), noisy.sum()))
        (True, True)
    """
    n = len(sumw)
    if not sumw.any():
        return np.zeros(n)
    segments = max(round(n / knot_spacing), 1)
    knots = np.arange(-3, segments + 4) * (n / segments)
    basis = BSpline.design_matrix(np.arange(n) + 0.5, knots, 3).toarray()
    local = _kernel(np.ones(n), max(knot_spacing / 2.0, 1.0))
    mean_weight = (local.T @ sumw2) / np.maximum(local.T @ sumw, 1e-300)
    mean_weight = np.where(
        (mean_weight > 0) & (local.T @ sumw > 1e-9 * sumw.sum()), mean_weight, sumw2.sum() / sumw.sum()
    )
    counts = sumw / mean_weight
    roughness = np.diff(np.eye(basis.shape[1]), 2, axis=0) if basis.shape[1] > 2 else np.zeros((1, basis.shape[1]))
    penalty = 1e-2 * roughness.T @ roughness + 1e-9 * np.eye(basis.shape[1])

    offset = np.log(widths / widths.mean())

    def value(b: FloatArray) -> float:
        eta = np.clip(basis @ b + offset, -60.0, 60.0)
        return float(np.exp(eta).sum() - counts @ eta + 0.5 * b @ penalty @ b)

    beta = np.full(basis.shape[1], np.log(counts.mean()))
    current = value(beta)
    for _ in range(60):
        rate = np.exp(np.clip(basis @ beta + offset, -60.0, 60.0))
        gradient = basis.T @ (counts - rate) - penalty @ beta
        step = np.linalg.solve((basis.T * rate) @ basis + penalty, gradient)
        factor = 1.0
        while factor > 1e-6 and value(beta + factor * step) > current:
            factor *= 0.5
        beta = beta + factor * step
        new = value(beta)
        if current - new < 1e-9 * max(1.0, abs(current)):
            break
        current = new
    smooth = np.exp(np.clip(basis @ beta + offset, -60.0, 60.0)) * mean_weight
    return np.asarray(smooth * (sumw.sum() / smooth.sum()))
