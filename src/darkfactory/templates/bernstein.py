"""Smooth backgrounds of positive Bernstein polynomials, their order and the bias that remains."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls
from scipy.special import betainc

from darkfactory.config.templates import PolynomialConfig
from darkfactory.records.histogram import FloatArray

__all__ = ["BernsteinChoice", "bernstein_templates", "choose_order", "fit_templates"]


def bernstein_templates(edges: FloatArray, order: int) -> FloatArray:
    """Integrals over bins of the Bernstein basis on [edges[0], edges[-1]]; each row sums to 1.

    The polynomial of order n with the coefficients c_k >= 0 is positive everywhere, so every template is a
    valid sample of its own. Exact: the integral of B_(k,n) up to t is I_t(k + 1, n - k + 1) / (n + 1).

    Args:
        edges: ascending bin edges.
        order: n.

    Returns:
        Shape (order + 1, bins).

    Example:
        >>> bernstein_templates(np.array([0.0, 0.5, 1.0]), 1)
        array([[0.75, 0.25],
               [0.25, 0.75]])
    """
    t = (edges - edges[0]) / (edges[-1] - edges[0])
    k = np.arange(order + 1)[:, None]
    return np.asarray(np.diff(betainc(k + 1.0, order - k + 1.0, t[None, :]), axis=1))


def fit_templates(expectation: FloatArray, templates: FloatArray) -> tuple[FloatArray, float]:
    """Non-negative yields of templates by least squares with Poisson variances of the expectation.

    Args:
        expectation: events per bin.
        templates: (k, bins).

    Returns:
        Yields (k,) and chi^2.

    Example:
        >>> yields, chi2 = fit_templates(np.array([10.0, 30.0]), np.array([[0.75, 0.25], [0.25, 0.75]]))
        >>> yields, round(chi2, 6)
        (array([ 0., 40.]), 0.0)
    """
    root = 1.0 / np.sqrt(np.maximum(expectation, _least(expectation)))
    yields, residual = nnls((templates * root).T, expectation * root)
    return np.asarray(yields), float(residual**2)


def _least(expectation: FloatArray) -> float:
    return max(1e-3 * float(expectation.mean()), 1e-9)


@dataclass(frozen=True)
class BernsteinChoice:
    """The order chosen for a window and what speaks for it.

    Attributes:
        order: chosen.
        yields: of each template, on the expectation.
        chi2: by order tried, on the expectation.
        bias: signal events that the fit of the expectation finds, by order tried.
        signal_error: statistical one-sigma error of the signal yield at the chosen order.
        satisfied: whether an order met the criterion (else the highest is taken).
        systematic: signal events taken as the uncertainty of the choice.
    """

    order: int
    yields: tuple[float, ...]
    chi2: tuple[float, ...]
    bias: tuple[float, ...]
    signal_error: float
    satisfied: bool
    systematic: float


def _bias(expectation: FloatArray, templates: FloatArray, signal: FloatArray) -> tuple[float, float]:
    """Signal yield, of either sign, that a fit of the expectation finds; and its statistical error."""
    root = 1.0 / np.sqrt(np.maximum(expectation, _least(expectation)))
    unit = signal / signal.sum()
    columns = np.vstack([templates, unit, -unit]) * root
    found, _ = nnls(columns.T, expectation * root)
    used = np.vstack([templates[found[:-2] > 0], unit]) * root
    information = used @ used.T
    scale = np.sqrt(np.diag(information))
    covariance = np.linalg.pinv(information / np.outer(scale, scale)) / np.outer(scale, scale)
    return float(found[-2] - found[-1]), float(np.sqrt(max(covariance[-1, -1], 0.0)))


def choose_order(
    expectation: FloatArray,
    edges: FloatArray,
    keep: FloatArray,
    signal: FloatArray,
    config: PolynomialConfig,
) -> BernsteinChoice:
    """The lowest order that is good enough for the statistics of the data.

    Fits are made to the background expectation (no fluctuations), so that the choice does not depend on the
    data. Order n is good enough when the signal that a fit finds there (spurious signal) is below
    ``bias_fraction`` of its statistical error, and when order n + 1 lowers chi^2 by less than ``improvement``:
    data could not tell the two apart. The systematic uncertainty is the largest of the spurious signals at n
    and n + 1 and their difference, in signal events.

    Args:
        expectation: background events in the kept bins.
        edges: of all fitted bins.
        keep: boolean, fitted bins kept.
        signal: signal template in the kept bins, any norm.
        config: orders and thresholds.
    """
    low, high = config.orders
    mask = np.asarray(keep, dtype=bool)
    # as many coefficients as bins would fit anything
    high = max(min(high, int(mask.sum()) - 3), 0)
    low = min(low, high)
    chi2, bias, error, yields = [], [], [], []
    for order in range(low, high + 2):
        templates = bernstein_templates(edges, order)[:, mask]
        y, c = fit_templates(expectation, templates)
        b, e = _bias(expectation, templates, signal) if signal.sum() > 0 else (0.0, 0.0)
        chi2.append(c)
        bias.append(b)
        error.append(e)
        yields.append(tuple(float(v) for v in y))
    chosen, satisfied = high - low, False
    for i in range(high - low + 1):
        if abs(bias[i]) <= config.bias_fraction * error[i] and chi2[i] - chi2[i + 1] <= config.improvement:
            chosen, satisfied = i, True
            break
    if signal.sum() <= 0:
        satisfied = chi2[chosen] - chi2[chosen + 1] <= config.improvement
    systematic = max(abs(bias[chosen]), abs(bias[chosen + 1]), abs(bias[chosen] - bias[chosen + 1]))
    return BernsteinChoice(low + chosen, yields[chosen], tuple(chi2), tuple(bias), error[chosen], satisfied, systematic)
