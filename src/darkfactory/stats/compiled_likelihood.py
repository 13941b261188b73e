"""The HistFactory likelihood compiled by Numba, one window at a time.

The formulas are those of :mod:`darkfactory.stats.likelihood`, which stays the reference; only the order of sums
differs. Derivatives go through a basis: per channel, the sums over bins are taken between rows (samples) and shape
variations, and only then spread to parameters.
This module imports Numba; it is imported only where that is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit

__all__ = ["dot", "evaluate", "kernel", "minus"]

Function = TypeVar("Function", bound=Callable[..., Any])
_TINY = 1e-150
_ZERO_RATE = 1e-100


def kernel(function: Function) -> Function:
    """Compile at the first call; arithmetic stays as written."""
    return cast(Function, njit(error_model="numpy", nogil=True)(function))


def _sums(function: Function) -> Function:
    """For sums whose terms may be added in any order."""
    return cast(Function, njit(error_model="numpy", nogil=True, fastmath={"reassoc", "contract", "nsz"})(function))


@_sums
def dot(a: Any, b: Any, n: int) -> Any:
    """Scalar product of the first n."""
    total = 0.0
    for i in range(n):
        total += a[i] * b[i]
    return total


@_sums
def minus(a: Any, b: Any, factor: Any, n: int) -> None:
    """A -= factor * b, in place."""
    for i in range(n):
        a[i] -= factor * b[i]


@kernel
def _deviance(n: Any, nu: Any) -> Any:
    if n > 0:
        r = (nu - n) / n
        return n * (r - math.log1p(r))
    return nu


@kernel
def _factors(theta: Any, w: int, model: Any, tables: Any, fac: Any, log1: Any, log2: Any) -> None:
    """Every multiplicative factor with its first and second derivative divided by it."""
    coef, log_hi, log_lo = model[6], model[7], model[8]
    parameters, sizes = tables[6], tables[7]
    linear = sizes[0]
    for s in range(len(parameters)):
        a = theta[parameters[s]]
        if s < linear:
            f, f1, f2 = a, 1.0, 0.0
        else:
            q = s - linear
            if abs(a) < 1:
                c0, c1, c2 = coef[w, q, 0], coef[w, q, 1], coef[w, q, 2]
                c3, c4, c5 = coef[w, q, 3], coef[w, q, 4], coef[w, q, 5]
                f = 1 + a * (c0 + a * (c1 + a * (c2 + a * (c3 + a * (c4 + a * c5)))))
                f1 = c0 + a * (2 * c1 + a * (3 * c2 + a * (4 * c3 + a * (5 * c4 + a * 6 * c5))))
                f2 = 2 * c1 + a * (6 * c2 + a * (12 * c3 + a * (20 * c4 + a * 30 * c5)))
            else:
                slope = log_hi[w, q] if a >= 0 else -log_lo[w, q]
                f = math.exp(slope * a)
                f1 = slope * f
                f2 = slope * f1
        if abs(f) < _TINY:
            f = _TINY
        fac[s] = f
        log1[s] = f1 / f
        log2[s] = f2 / f


@kernel
def _constraints(theta: Any, w: int, d: int, model: Any, data: Any, kinds: Any, grad: Any, hess: Any) -> Any:
    width, aux = model[9], data[2]
    npar = len(theta)
    value = 0.0
    for i in range(npar):
        grad[i] = 0.0
        for j in range(npar):
            hess[i, j] = 0.0
        if kinds[i] == 1:
            inv = 1 / width[w, i]
            pull = (theta[i] - aux[d, i]) * inv
            value += 0.5 * pull * pull
            grad[i] = pull * inv
            hess[i, i] = inv * inv
        elif kinds[i] == 2:
            tau, a, x = width[w, i], aux[d, i], theta[i]
            value += _deviance(a, tau * x)
            grad[i] = tau - a / x
            hess[i, i] = a / (x * x)
    return value


@kernel
def _best_gamma(kind: int, n: Any, a: Any, width: Any, low: Any, high: Any, other: Any, scaled: Any) -> Any:
    """Best per-bin factor, its constraint term and 1/curvature (0 at a bound)."""
    if kind == 1:
        v = width * width
        lin = other + a * scaled - v * scaled * scaled
        root = math.sqrt(lin * lin + 4 * v * scaled * scaled * n)
        # the root of the quadratic in the rate, in the form that does not cancel
        if n > 0:
            nu = 0.5 * (lin + root) if lin > 0 else 2 * v * scaled * scaled * n / (root - lin if root > lin else 1.0)
            ratio = n / (nu if nu > 0 else 1.0)
        else:
            ratio = 0.0
        gamma = a - v * scaled * (1 - ratio)
    else:
        q2 = (scaled + width) * scaled
        q1 = (scaled + width) * other - (n + a) * scaled
        root = math.sqrt(q1 * q1 + 4 * q2 * a * other)
        if not scaled > 0:
            gamma = a / width
        elif q1 > 0:
            gamma = 2 * a * other / (root + q1 if root + q1 > 0 else 1.0)
        else:
            gamma = (root - q1) / (2 * q2 if q2 > 0 else 1.0)
    best = gamma
    if best < low:
        best = low
    if best > high:
        best = high
    nu = other + best * scaled
    z = n / (nu * nu if nu > 0 else 1.0) if n > 0 else 0.0
    if kind == 1:
        pull = (best - a) / width
        term = 0.5 * pull * pull
        curvature = z * scaled * scaled + 1 / (width * width)
    else:
        term = _deviance(a, width * best)
        curvature = z * scaled * scaled + (a / (best * best) if a > 0 else 0.0)
    inverse = 1 / curvature if best == gamma and curvature > 0 else 0.0
    return best, term, inverse


@kernel
def _shapes(theta: Any, w: int, model: Any, tables: Any, block: Any, basis: Any, perbin_work: Any) -> None:
    """Morphed shapes of all rows, then the derivatives of all variations, explicit per-bin factors included."""
    nominal, up, dn = model[0], model[1], model[2]
    histo, perbin = tables[2], tables[3]
    bins, rows, nominal0, histo0, nhisto, value0 = block[0], block[1], block[4], block[5], block[6], block[7]
    perbin0, nperbin = block[11], block[12]
    for r in range(rows):
        at = nominal0 + r * bins
        for i in range(bins):
            basis[r, i] = nominal[w, at + i]
    for q in range(nhisto):
        r, a = histo[histo0 + q, 0], theta[histo[histo0 + q, 1]]
        if abs(a) <= 1:
            a2 = a * a
            c, c1 = a2 * (a2 * (3 * a2 - 10) + 15), a * (a2 * (18 * a2 - 40) + 30)
        else:
            c, c1 = 8 * abs(a), 8 * np.sign(a)
        at = value0 + q * bins
        for i in range(bins):
            u, v = up[w, at + i], dn[w, at + i]
            half, quad = 0.5 * (u + v), 0.0625 * (u - v)
            basis[r, i] += a * half + c * quad
            basis[rows + q, i] = half + c1 * quad
    if nperbin == 0:
        return
    for r in range(rows):
        for i in range(bins):
            perbin_work[r, i] = 1.0
    for t in range(nperbin):
        r, first = perbin[perbin0 + t, 0], perbin[perbin0 + t, 1]
        for i in range(bins):
            x = theta[first + i]
            perbin_work[r, i] *= x if abs(x) >= _TINY else _TINY
    for r in range(rows):
        for i in range(bins):
            basis[r, i] *= perbin_work[r, i]
    for q in range(nhisto):
        r = histo[histo0 + q, 0]
        for i in range(bins):
            basis[rows + q, i] *= perbin_work[r, i]


@kernel
def evaluate(theta: Any, w: int, d: int, model: Any, data: Any, tables: Any, work: Any, out: Any, floor: float) -> Any:
    """Value (infinite where the model is impossible); gradient, Hessian and per-bin factors into ``out``."""
    grad, hess, gammas = out
    fac, log1, log2, basis, perbin_work, scaled_basis, mixed, weighted, bin_work, small, gram, _ = work
    blocks, slots, histo, in_gamma = tables[0], tables[1], tables[2], tables[4]
    g_width, g_lo, g_hi = model[3], model[4], model[5]
    counts, g_aux = data[0], data[1]
    _factors(theta, w, model, tables, fac, log1, log2)
    value = _constraints(theta, w, d, model, data, tables[5], grad, hess)
    wt, zt, other, scaled, gamma, inverse = (
        bin_work[0], bin_work[1], bin_work[2], bin_work[3], bin_work[4], bin_work[5],
    )  # fmt: skip
    k, sums = small[0], small[1]
    for b in range(len(blocks)):
        block = blocks[b]
        bins, rows, row0, bin0, histo0, nhisto = block[0], block[1], block[2], block[3], block[5], block[6]
        kind, slot0, nslots, nperbin = block[8], block[9], block[10], block[12]
        _shapes(theta, w, model, tables, block, basis, perbin_work)
        for r in range(rows):
            k[r] = 1.0
        for s in range(slot0, slot0 + nslots):
            k[slots[s, 1]] *= fac[slots[s, 0]]
        for i in range(bins):
            other[i] = 0.0
            scaled[i] = 0.0
        for r in range(rows):
            target = scaled if in_gamma[row0 + r] == 1 else other
            kr = k[r]
            for i in range(bins):
                target[i] += kr * basis[r, i]
        terms = 0.0
        for i in range(bins):
            n = counts[d, bin0 + i]
            g = 1.0
            if kind > 0:
                at = bin0 + i
                g, term, inv = _best_gamma(
                    kind, n, g_aux[d, at], g_width[w, at], g_lo[w, at], g_hi[w, at], other[i], scaled[i]
                )
                terms += term
                inverse[i] = inv
            gamma[i] = g
            gammas[bin0 + i] = g
            nu = other[i] + g * scaled[i]
            if abs(nu) < _ZERO_RATE:
                nu = 0.0
            if n > 0:
                if not nu > 0:
                    return np.inf
                ratio = n / nu
                wt[i] = 1 - ratio
                zt[i] = ratio / nu
                terms += _deviance(n, nu)
            else:
                if nu < floor:
                    return np.inf
                # an empty bin has no wall at zero: pyhf has none, and the answer has to be pyhf's
                wt[i] = 1.0
                zt[i] = 0.0
                terms += nu
        value += terms
        m = rows + nhisto
        profiled = False
        for a in range(m):
            r = a if a < rows else histo[histo0 + a - rows, 0]
            if in_gamma[row0 + r] == 1:
                profiled = True
                for i in range(bins):
                    scaled_basis[a, i] = gamma[i] * basis[a, i]
            else:
                for i in range(bins):
                    scaled_basis[a, i] = basis[a, i]
            sums[a] = dot(wt, scaled_basis[a], bins)
        for a in range(m):
            for i in range(bins):
                weighted[i] = zt[i] * scaled_basis[a, i]
            for c in range(a + 1):
                gram[a, c] = dot(weighted, scaled_basis[c], bins)
        if profiled:
            for a in range(m):
                r = a if a < rows else histo[histo0 + a - rows, 0]
                inside = 1.0 if in_gamma[row0 + r] == 1 else 0.0
                for i in range(bins):
                    mixed[a, i] = zt[i] * scaled[i] * scaled_basis[a, i] + inside * wt[i] * basis[a, i]
                for i in range(bins):
                    weighted[i] = inverse[i] * mixed[a, i]
                for c in range(a + 1):
                    gram[a, c] -= dot(weighted, mixed[c], bins)
        _spread(theta, w, model, tables, block, work, out, profiled)
        if nperbin > 0:
            _per_bin(theta, tables, block, work, out, profiled)
    return value if math.isfinite(value) else np.inf


@kernel
def _spread(theta: Any, w: int, model: Any, tables: Any, block: Any, work: Any, out: Any, profiled: bool) -> None:
    """From rows and variations of one channel to parameters: chain rule and second derivatives."""
    grad, hess, _ = out
    log1, log2, perbin_work, bin_work, small, gram, entries = (
        work[1], work[2], work[4], work[8], work[9], work[10], work[11],
    )  # fmt: skip
    slots, histo = tables[1], tables[2]
    bins, rows, histo0, nhisto, value0 = block[0], block[1], block[5], block[6], block[7]
    slot0, nslots, nperbin, row0 = block[9], block[10], block[12], block[2]
    k, sums, coefficient = small[0], small[1], small[2]
    total = nslots + nhisto
    for e in range(nslots):
        s, r, p = slots[slot0 + e]
        entries[e, 0], entries[e, 1] = r, p
        coefficient[e] = k[r] * log1[s]
    for q in range(nhisto):
        r, p = histo[histo0 + q]
        entries[nslots + q, 0], entries[nslots + q, 1] = rows + q, p
        coefficient[nslots + q] = k[r]
    for e in range(total):
        a, p, ce = entries[e, 0], entries[e, 1], coefficient[e]
        grad[p] += ce * sums[a]
        # rows of a factor at zero
        if abs(ce) < _ZERO_RATE:
            continue
        for f in range(e):
            c, o = entries[f, 0], entries[f, 1]
            v = ce * coefficient[f] * (gram[a, c] if a >= c else gram[c, a])
            hess[p, o] += v
            hess[o, p] += v
        hess[p, p] += ce * ce * gram[a, a]
    for e in range(nslots):
        s, r, p = slots[slot0 + e]
        ce = coefficient[e]
        hess[p, p] += k[r] * log2[s] * sums[r]
        for f in range(e):
            if entries[f, 0] == r:
                v = ce * log1[slots[slot0 + f, 0]] * sums[r]
                o = entries[f, 1]
                hess[p, o] += v
                hess[o, p] += v
        for q in range(nhisto):
            if histo[histo0 + q, 0] == r:
                o = histo[histo0 + q, 1]
                v = ce * sums[rows + q]
                hess[p, o] += v
                hess[o, p] += v
    up, dn, in_gamma = model[1], model[2], tables[4]
    wt, gamma = bin_work[0], bin_work[4]
    for q in range(nhisto):
        r, p = histo[histo0 + q]
        a = theta[p]
        if abs(a) > 1:
            continue
        a2 = a * a
        c2 = a2 * (90 * a2 - 120) + 30
        at = value0 + q * bins
        bend = 0.0
        for i in range(bins):
            x = wt[i] * (up[w, at + i] - dn[w, at + i])
            if in_gamma[row0 + r] == 1:
                x *= gamma[i]
            if nperbin > 0:
                x *= perbin_work[r, i]
            bend += x
        hess[p, p] += k[r] * c2 * 0.0625 * bend


@kernel
def _per_bin(theta: Any, tables: Any, block: Any, work: Any, out: Any, profiled: bool) -> None:
    """Explicit per-bin factors: each touches one bin, and crosses with everything else there."""
    grad, hess, _ = out
    basis, bin_work, small, entries = work[3], work[8], work[9], work[11]
    histo, perbin, in_gamma = tables[2], tables[3], tables[4]
    bins, rows, row0, histo0, nhisto, nslots = block[0], block[1], block[2], block[5], block[6], block[10]
    perbin0, nperbin = block[11], block[12]
    wt, zt, scaled, gamma, inverse = bin_work[0], bin_work[1], bin_work[3], bin_work[4], bin_work[5]
    k, coefficient = small[0], small[2]
    total = nslots + nhisto
    for t in range(nperbin):
        r, first = perbin[perbin0 + t]
        inside = in_gamma[row0 + r] == 1
        for i in range(bins):
            x = theta[first + i]
            if abs(x) < _TINY:
                x = _TINY
            g = gamma[i] if inside else 1.0
            rate = k[r] * basis[r, i] / x
            own = g * rate
            own_mixed = zt[i] * scaled[i] * own + (wt[i] * rate if inside else 0.0)
            at = first + i
            grad[at] += wt[i] * own
            for e in range(total):
                a, p, ce = entries[e, 0], entries[e, 1], coefficient[e]
                row = a if a < rows else histo[histo0 + a - rows, 0]
                in_row = in_gamma[row0 + row] == 1
                plain = ce * basis[a, i]
                theirs = plain * gamma[i] if in_row else plain
                v = zt[i] * own * theirs
                if profiled:
                    their_mixed = zt[i] * scaled[i] * theirs + (wt[i] * plain if in_row else 0.0)
                    v -= inverse[i] * own_mixed * their_mixed
                if row == r:
                    v += wt[i] * g * plain / x
                hess[at, p] += v
                hess[p, at] += v
            for u in range(nperbin):
                r2, first2 = perbin[perbin0 + u]
                inside2 = in_gamma[row0 + r2] == 1
                y = theta[first2 + i]
                if abs(y) < _TINY:
                    y = _TINY
                rate2 = k[r2] * basis[r2, i] / y
                own2 = rate2 * gamma[i] if inside2 else rate2
                v = zt[i] * own * own2
                if profiled:
                    mixed2 = zt[i] * scaled[i] * own2 + (wt[i] * rate2 if inside2 else 0.0)
                    v -= inverse[i] * own_mixed * mixed2
                if r2 == r and u != t:
                    v += wt[i] * g * rate / y
                hess[at, first2 + i] += v
