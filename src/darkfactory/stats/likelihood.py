"""The HistFactory negative log-likelihood of a stack of windows, with exact gradient and Hessian.

Per-bin factors (staterror, shapesys) that are alone in their bin are profiled in closed form, so that value, gradient
and Hessian are those of the profile over them. All terms are deviances (zero for a perfect description), hence small
numbers whose differences do not lose digits; they differ from pyhf's -log L by constants of the data only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from darkfactory.stats.histfactory import Batch, Block, BlockArrays, BlockData, Data, FloatArray, Structure

__all__ = ["Evaluation", "asimov", "evaluate", "expected"]

# a factor of exactly zero is replaced by this, so that products without it can be had by division
_TINY = 1e-150
# rates below this are products with such a factor: they are zero
_ZERO_RATE = 1e-100


@dataclass(frozen=True)
class Evaluation:
    """Negative log-likelihood (half of pyhf's ``twice_nll`` up to a constant) at one parameter point per window.

    Attributes:
        value: (n,), infinite where the model is impossible.
        gradient: (n, parameters).
        hessian: (n, parameters, parameters).
        gammas: profiled per-bin factors of each channel, (n, bins).
        rates: expected counts of each channel, (n, bins).
    """

    value: FloatArray
    gradient: FloatArray
    hessian: FloatArray
    gammas: tuple[FloatArray, ...]
    rates: tuple[FloatArray, ...]


def _sum(x: FloatArray) -> FloatArray:
    """Sum over the last axis, whose memory order must not depend on the batch."""
    return np.asarray(np.ascontiguousarray(x).sum(axis=-1))


def _deviance(n: FloatArray, nu: FloatArray) -> FloatArray:
    """Poisson -log(P(n|nu)/P(n|n)), cancellation-free for nu near n."""
    some = n > 0
    safe = np.where(some, n, 1.0)
    r = (nu - safe) / safe
    return np.where(some, safe * (r - np.log1p(r)), nu)


def _factors(m: Batch, theta: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """All multiplicative factors (n, slots + 1) with first and second derivatives; the last slot is one."""
    s = m.structure
    n = len(theta)
    nl, ns = len(s.linear), len(s.normsys)
    f = np.ones((n, nl + ns + 1))
    f1 = np.zeros_like(f)
    f2 = np.zeros_like(f)
    if nl:
        f[:, :nl] = theta[:, [p for _, _, p in s.linear]]
        f1[:, :nl] = 1.0
    if ns:
        a = theta[:, [p for _, _, p in s.normsys]]
        c = m.coef
        inner = 1 + a * (
            c[..., 0] + a * (c[..., 1] + a * (c[..., 2] + a * (c[..., 3] + a * (c[..., 4] + a * c[..., 5]))))
        )
        inner1 = c[..., 0] + a * (
            2 * c[..., 1] + a * (3 * c[..., 2] + a * (4 * c[..., 3] + a * (5 * c[..., 4] + a * 6 * c[..., 5])))
        )
        inner2 = 2 * c[..., 1] + a * (6 * c[..., 2] + a * (12 * c[..., 3] + a * (20 * c[..., 4] + a * 30 * c[..., 5])))
        slope = np.where(a >= 0, m.log_hi, -m.log_lo)
        outer = np.exp(slope * a)
        inside = np.abs(a) < 1
        f[:, nl:-1] = np.where(inside, inner, outer)
        f1[:, nl:-1] = np.where(inside, inner1, slope * outer)
        f2[:, nl:-1] = np.where(inside, inner2, slope * slope * outer)
    f = np.where(np.abs(f) < _TINY, _TINY, f)
    return f, f1, f2


def _morph(b: BlockArrays, alpha: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Histosys shifts, code 4p: (n, slots, bins) with first and second derivatives."""
    a = alpha
    a2 = a * a
    inside = np.abs(a) <= 1
    # both branches are a * half + c(a) * quad: the coefficients are per slot, only the products are per bin
    c = np.where(inside, a2 * (a2 * (3 * a2 - 10) + 15), 8 * np.abs(a))[..., None]
    c1 = np.where(inside, a * (a2 * (18 * a2 - 40) + 30), 8 * np.sign(a))[..., None]
    c2 = np.where(inside, a2 * (90 * a2 - 120) + 30, 0.0)[..., None]
    half = 0.5 * (b.up + b.dn)
    quad = 0.0625 * (b.up - b.dn)
    return a[..., None] * half + c * quad, half + c1 * quad, c2 * quad


def _profile_gamma(
    kind: str, b: BlockArrays, d: BlockData, other: FloatArray, scaled: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Best per-bin factor for rates ``other + gamma * scaled``, its constraint term, 1/curvature (0 at a bound)."""
    n, a = d.counts, d.g_aux
    if kind == "none":
        return np.ones_like(n), np.zeros_like(n), np.zeros_like(n)
    if kind == "normal":
        v = b.g_width * b.g_width
        lin = other + a * scaled - v * scaled * scaled
        root = np.sqrt(lin * lin + 4 * v * scaled * scaled * n)
        # the root of the quadratic in the rate, in the form that does not cancel
        nu = np.where(lin > 0, 0.5 * (lin + root), 2 * v * scaled * scaled * n / np.where(root > lin, root - lin, 1.0))
        nu = np.where(n > 0, nu, np.maximum(lin, 0.0))
        ratio = np.where(n > 0, n / np.where(nu > 0, nu, 1.0), 0.0)
        gamma = a - v * scaled * (1 - ratio)
    else:
        tau = b.g_width
        q2 = (scaled + tau) * scaled
        q1 = (scaled + tau) * other - (n + a) * scaled
        root = np.sqrt(q1 * q1 + 4 * q2 * a * other)
        up = (root - q1) / np.where(q2 > 0, 2 * q2, 1.0)
        down = 2 * a * other / np.where(root + q1 > 0, root + q1, 1.0)
        gamma = np.where(scaled > 0, np.where(q1 > 0, down, up), a / tau)
    clipped = np.minimum(np.maximum(gamma, b.g_lo), b.g_hi)
    nu = other + clipped * scaled
    z = np.where(n > 0, n / np.where(nu > 0, nu * nu, 1.0), 0.0)
    if kind == "normal":
        pull = (clipped - a) / b.g_width
        term = 0.5 * pull * pull
        curvature = z * scaled * scaled + 1 / (b.g_width * b.g_width)
    else:
        term = _deviance(a, b.g_width * clipped)
        curvature = z * scaled * scaled + np.where(a > 0, a / (clipped * clipped), 0.0)
    free = (clipped == gamma) & (curvature > 0)
    return clipped, term, np.where(free, 1 / np.where(curvature > 0, curvature, 1.0), 0.0)


@dataclass(frozen=True)
class _Rates:
    """Pieces of one channel's rates that value and derivatives share."""

    k: FloatArray  # product of factors (n, rows)
    shape: FloatArray  # morphed shape times explicit per-bin factors (n, rows, bins)
    perbin: FloatArray  # explicit per-bin factors (n, rows, bins) or empty
    d1: FloatArray  # histosys derivatives (n, slots, bins)
    d2: FloatArray
    other: FloatArray  # rates without the profiled factor (n, bins)
    scaled: FloatArray  # rates that it multiplies


def _rates(block: Block, b: BlockArrays, f: FloatArray, theta: FloatArray) -> _Rates:
    n, rows, bins = b.nominal.shape
    k = np.ones((n, rows))
    for column in zip(*block.table, strict=True):
        k = k * f[:, column]
    shape = b.nominal.copy()
    d1 = d2 = np.zeros((n, 0, bins))
    if block.histo:
        d, d1, d2 = _morph(b, theta[:, [p for _, p in block.histo]])
        for q, (r, _) in enumerate(block.histo):
            shape[:, r] += d[:, q]
    perbin = np.zeros((n, 0, bins))
    if block.perbin:
        perbin = np.ones((n, rows, bins))
        for r, first in block.perbin:
            p = theta[:, first : first + bins]
            perbin[:, r] *= np.where(np.abs(p) < _TINY, _TINY, p)
        shape = shape * perbin
    other = np.zeros((n, bins))
    scaled = np.zeros((n, bins))
    for r in range(rows):
        if r in block.gamma_rows:
            scaled = scaled + k[:, r, None] * shape[:, r]
        else:
            other = other + k[:, r, None] * shape[:, r]
    return _Rates(k, shape, perbin, d1, d2, other, scaled)


def evaluate(m: Batch, data: Data, theta: FloatArray, floor: float = -np.inf) -> Evaluation:
    """Value, gradient and Hessian of the negative log-likelihood, profiled over the per-bin factors.

    Args:
        m: n windows.
        data: their data.
        theta: explicit parameters, (n, parameters).
        floor: least count that an empty bin may expect.

    Returns:
        The evaluation; a point where a bin with data expects nothing has an infinite value.

    Example:
        >>> from darkfactory.stats.histfactory import compile_workspace
        >>> from darkfactory.stats.examples import counting_window
        >>> spec = counting_window(9, 5.0, signal=4.0)
        >>> _, batch = compile_workspace(spec)
        >>> at_best = evaluate(batch, batch.observed, np.array([[1.0]]))
        >>> float(at_best.value[0]), float(at_best.gradient[0, 0]), float(at_best.hessian[0, 0, 0])
        (0.0, 0.0, 1.7777)
    """
    s = m.structure
    with np.errstate(all="ignore"):
        f, f1, f2 = _factors(m, theta)
        log1 = f1 / f
        log2 = f2 / f
        value, gradient, hessian = _constraints(s, m, data, theta)
        gammas: list[FloatArray] = []
        rates: list[FloatArray] = []
        for i, block in enumerate(s.blocks):
            b, d = m.blocks[i], data.blocks[i]
            pieces = _rates(block, b, f, theta)
            gamma, term, inverse = _profile_gamma(block.gamma, b, d, pieces.other, pieces.scaled)
            nu = pieces.other + gamma * pieces.scaled
            nu = np.where(np.abs(nu) < _ZERO_RATE, 0.0, nu)
            # an empty bin has no wall at zero: pyhf has none, and the answer has to be pyhf's
            possible = (nu > 0) | ((d.counts == 0) & (nu >= floor))
            dev = _deviance(d.counts, nu)
            value = value + _sum(np.where(possible, dev, np.inf)) + _sum(term)
            some = d.counts > 0
            w = 1 - np.where(some, d.counts / nu, 0.0)
            z = np.where(some, d.counts / (nu * nu), 0.0)
            gradient, hessian = _add_channel(
                i, s, block, pieces, log1, log2, theta, gamma, inverse, w, z, gradient, hessian
            )
            gammas.append(gamma)
            rates.append(nu)
        value = np.where(np.isfinite(value), value, np.inf)
    return Evaluation(value, gradient, hessian, tuple(gammas), tuple(rates))


def _constraints(s: Structure, m: Batch, data: Data, theta: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    n, npar = theta.shape
    value = np.zeros(n)
    gradient = np.zeros((n, npar))
    diagonal = np.zeros((n, npar))
    normal = [i for i, kind in enumerate(s.kinds) if kind == "normal"]
    if normal:
        inv = 1 / m.width[:, normal]
        pull = (theta[:, normal] - data.aux[:, normal]) * inv
        value = value + 0.5 * _sum(pull * pull)
        gradient[:, normal] = pull * inv
        diagonal[:, normal] = inv * inv
    poisson = [i for i, kind in enumerate(s.kinds) if kind == "poisson"]
    if poisson:
        tau, a, x = m.width[:, poisson], data.aux[:, poisson], theta[:, poisson]
        value = value + _sum(_deviance(a, tau * x))
        gradient[:, poisson] = tau - a / x
        diagonal[:, poisson] = a / (x * x)
    hessian = np.zeros((n, npar, npar))
    hessian[:, np.arange(npar), np.arange(npar)] = diagonal
    return value, gradient, hessian


def _add_channel(
    i: int,
    s: Structure,
    block: Block,
    t: _Rates,
    log1: FloatArray,
    log2: FloatArray,
    theta: FloatArray,
    gamma: FloatArray,
    inverse: FloatArray,
    w: FloatArray,
    z: FloatArray,
    gradient: FloatArray,
    hessian: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Add one channel's gradient and Hessian (chain rule through rows; Schur complement of the profiled factors).

    Sums over bins are taken between the rows and the shape variations, of which there are fewer than parameters.
    """
    n, rows, bins = t.shape.shape
    npar = theta.shape[1]
    slots = [(x, r, p) for x, (c, r, p) in enumerate(s.linear + s.normsys) if c == i]
    K = np.zeros((n, rows, npar))
    K2 = np.zeros((n, rows, npar))
    if slots:
        xs, rs, ps = (list(v) for v in zip(*slots, strict=True))
        K[:, rs, ps] = log1[:, xs]
        K2[:, rs, ps] = log2[:, xs]
    histo = [r for r, _ in block.histo]
    m = rows + len(histo)
    chain = np.zeros((n, m, npar))
    kK = chain[:, :rows]
    np.multiply(t.k[:, :, None], K, out=kK)
    basis = np.empty((n, m, bins))
    basis[:, :rows] = t.shape
    for q, (r, p) in enumerate(block.histo):
        chain[:, rows + q, p] = t.k[:, r]
        basis[:, rows + q] = t.d1[:, q] * t.perbin[:, r] if block.perbin else t.d1[:, q]
    in_gamma = np.zeros(m, dtype=bool)
    in_gamma[[*block.gamma_rows, *(rows + q for q, r in enumerate(histo) if r in block.gamma_rows)]] = True
    g = np.where(in_gamma[:, None], gamma[:, None, :], 1.0) if in_gamma.any() else np.ones((1, 1, 1))
    scaled = basis * g
    sums = np.matmul(scaled, w[:, :, None])[:, :, 0]
    gram = np.matmul(scaled * z[:, None, :], scaled.transpose(0, 2, 1))
    mixed = np.zeros((n, 0, bins))
    if in_gamma.any():
        mixed = (z * t.scaled)[:, None, :] * scaled
        mixed[:, in_gamma] += w[:, None, :] * basis[:, in_gamma]
        gram = gram - np.matmul(mixed * inverse[:, None, :], mixed.transpose(0, 2, 1))
    hessian = hessian + np.matmul(chain.transpose(0, 2, 1), np.matmul(gram, chain))
    gradient = gradient + np.matmul(sums[:, None, :], chain)[:, 0]
    # second derivatives of the rates
    S = sums[:, :rows]
    T = np.zeros((n, rows, npar))
    U = np.zeros((n, npar))
    for q, (r, p) in enumerate(block.histo):
        T[:, r, p] += sums[:, rows + q]
        bend = t.d2[:, q] * t.perbin[:, r] if block.perbin else t.d2[:, q]
        U[:, p] += t.k[:, r] * _sum(w * (bend * gamma if in_gamma[r] else bend))
    M = kK * (0.5 * S)[:, :, None] + t.k[:, :, None] * T
    X = np.matmul(K.transpose(0, 2, 1), M)
    second = X + X.transpose(0, 2, 1)
    second[:, np.arange(npar), np.arange(npar)] = U + (t.k[:, :, None] * S[:, :, None] * K2 + 2 * kK * T).sum(axis=1)
    hessian += second
    if block.perbin:
        _add_perbin(block, t, theta, chain, basis, gamma, inverse, w, z, in_gamma, gradient, hessian)
    return gradient, hessian


def _add_perbin(
    block: Block,
    t: _Rates,
    theta: FloatArray,
    chain: FloatArray,
    basis: FloatArray,
    gamma: FloatArray,
    inverse: FloatArray,
    w: FloatArray,
    z: FloatArray,
    in_gamma: np.ndarray,
    gradient: FloatArray,
    hessian: FloatArray,
) -> None:
    """Explicit per-bin factors: each touches one bin, and crosses with everything else there (in place)."""
    bins, rows = block.nbins, len(block.rows)
    at = np.arange(bins)
    of_row = [*range(rows), *(r for r, _ in block.histo)]
    # derivatives of the rates with respect to all other parameters, per basis vector's row: (n, rows, parameters, bins)
    plain = np.zeros((len(theta), rows, theta.shape[1], bins))
    for a, r in enumerate(of_row):
        plain[:, r] += chain[:, a, :, None] * basis[:, a, None, :]
    factor = [gamma if in_gamma[r] else np.ones_like(gamma) for r in range(rows)]
    zs = z * t.scaled
    own = []
    for r, first in block.perbin:
        x = theta[:, first : first + bins]
        x = np.where(np.abs(x) < _TINY, _TINY, x)
        rate = t.k[:, r, None] * basis[:, r] / x
        own.append((r, first, x, rate, zs * factor[r] * rate + (w * rate if in_gamma[r] else 0.0)))
    for r, first, x, rate, own_mixed in own:
        mine = factor[r] * rate
        gradient[:, first : first + bins] += w * mine
        cross = np.zeros(plain.shape[:1] + plain.shape[2:])
        for other in range(rows):
            theirs = plain[:, other] * factor[other][:, None, :]
            cross += (z * mine)[:, None, :] * theirs
            their_mixed = zs[:, None, :] * theirs + (w[:, None, :] * plain[:, other] if in_gamma[other] else 0.0)
            cross -= (inverse * own_mixed)[:, None, :] * their_mixed
        cross += (w * factor[r] / x)[:, None, :] * plain[:, r]
        hessian[:, first : first + bins, :] += cross.transpose(0, 2, 1)
        hessian[:, :, first : first + bins] += cross
        for r2, first2, y, rate2, mixed2 in own:
            v = z * mine * factor[r2] * rate2 - inverse * own_mixed * mixed2
            if r2 == r and first2 != first:
                v = v + w * factor[r] * rate / y
            hessian[:, first + at, first2 + at] += v


def expected(m: Batch, theta: FloatArray, gammas: tuple[FloatArray, ...]) -> tuple[FloatArray, ...]:
    """Expected counts of each channel, (n, bins), at given parameters and per-bin factors.

    Example:
        >>> from darkfactory.stats.histfactory import compile_workspace
        >>> from darkfactory.stats.examples import counting_window
        >>> spec = counting_window(9, 5.0, signal=4.0)
        >>> _, batch = compile_workspace(spec)
        >>> float(expected(batch, np.array([[2.0]]), (np.ones((1, 1)),))[0][0, 0])
        13.0
    """
    f, _, _ = _factors(m, theta)
    result = []
    for block, b, gamma in zip(m.structure.blocks, m.blocks, gammas, strict=True):
        pieces = _rates(block, b, f, theta)
        nu = pieces.other + gamma * pieces.scaled
        result.append(np.where(np.abs(nu) < _ZERO_RATE, 0.0, nu))
    return tuple(result)


def asimov(m: Batch, theta: FloatArray, gammas: tuple[FloatArray, ...]) -> Data:
    """The data set that a parameter point expects, auxiliary data included (pyhf's ``expected_data``).

    Example:
        >>> from darkfactory.stats.histfactory import compile_workspace
        >>> from darkfactory.stats.examples import counting_window
        >>> spec = counting_window(9, 5.0, signal=4.0)
        >>> _, batch = compile_workspace(spec)
        >>> float(asimov(batch, np.array([[0.0]]), (np.ones((1, 1)),)).blocks[0].counts[0, 0])
        5.0
    """
    rates = expected(m, theta, gammas)
    blocks = []
    for block, b, gamma, nu in zip(m.structure.blocks, m.blocks, gammas, rates, strict=True):
        aux = gamma * b.g_width if block.gamma == "poisson" else gamma
        blocks.append(BlockData(nu, aux))
    kinds = np.array(m.structure.kinds)
    aux = np.where(kinds == "poisson", theta * m.width, np.where(kinds == "normal", theta, 0.0))
    return Data(tuple(blocks), aux)
