"""The asymptotic CLs formulae of pyhf's calculator (qtilde, normal base distribution), in logarithms.

Source: Cowan, Cranmer, Gross, Vitells, arXiv:1007.1727, eqs. 62, 65, 89, in the form of pyhf 0.7's
``AsymptoticCalculator``; quoted (n) numbers are that paper's equations.
"""

from __future__ import annotations

import numpy as np
from scipy.special import log_ndtr, ndtr, ndtri

from darkfactory.stats.histfactory import FloatArray

__all__ = ["BAND", "band_targets", "log_cls", "p_value_q0", "sigma_limit"]

BAND = (-2, -1, 0, 1, 2)
"""Order of the expected limits: background fluctuations in standard deviations."""


def band_targets(cl: float) -> FloatArray:
    """The values of sqrt(q_mu) of the Asimov set at which the five expected CLs equal 1 - cl.

    Args:
        cl: confidence level.

    Returns:
        (5,), for background fluctuations of -2 to +2 standard deviations.

    Example:
        >>> [round(float(v), 6) for v in band_targets(0.95)]
        [1.051763, 1.411994, 1.959964, 2.727185, 3.655984]
    """
    t = -np.array(BAND, dtype=float)
    # 1 - alpha Phi(-t) loses digits where the background fluctuates up; the mirrored quantile does not
    return np.asarray(-ndtri((1 - cl) * ndtr(-t)) - t)


def log_cls(
    q: FloatArray, q_slope: FloatArray, q_asimov: FloatArray, q_asimov_slope: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Logarithm of the observed CLs and its derivative in the signal strength.

    Args:
        q: observed qtilde, already zero where the best fit is above the tested strength.
        q_slope: its derivative.
        q_asimov: qtilde of the background-only Asimov set.
        q_asimov_slope: its derivative.

    Returns:
        log CLs and its derivative, of the arguments' shape.

    Example:
        >>> value, _ = log_cls(np.array([4.0]), np.array([0.0]), np.array([4.0]), np.array([0.0]))
        >>> round(float(np.exp(value[0])), 6)
        0.0455
    """
    with np.errstate(all="ignore"):
        r, ra = np.sqrt(q), np.sqrt(q_asimov)
        r1 = np.where(q > 0, q_slope / (2 * r), 0.0)
        ra1 = np.where(q_asimov > 0, q_asimov_slope / (2 * ra), 0.0)
        below = r <= ra
        # eq. 65: the Wald form changes where the best fit would be negative
        t = np.where(below, r - ra, (q - q_asimov) / (2 * ra))
        t1 = np.where(below, r1 - ra1, (q_slope - q_asimov_slope) / (2 * ra) - t * ra1 / ra)
        top, bottom = log_ndtr(-(t + ra)), log_ndtr(-t)

        def hazard(x: FloatArray, log_cdf: FloatArray) -> FloatArray:
            return np.asarray(np.exp(-0.5 * x * x - 0.5 * np.log(2 * np.pi) - log_cdf))

        slope = -hazard(-(t + ra), top) * (t1 + ra1) + hazard(-t, bottom) * t1
        value = top - bottom
    return np.asarray(value), np.asarray(slope)


def sigma_limit(estimate: FloatArray, sigma: FloatArray, cl: float) -> FloatArray:
    """First guess of an upper limit for an unbounded estimate and its error (the Gaussian CLs limit).

    Example:
        >>> round(float(sigma_limit(np.array([0.0]), np.array([1.0]), 0.95)[0]), 4)
        1.96
    """
    return np.asarray(estimate - sigma * ndtri((1 - cl) * ndtr(estimate / sigma)))


def p_value_q0(q0: FloatArray) -> FloatArray:
    """Local p-value of the background-only hypothesis, 1 - Phi(sqrt(q0)) (53).

    Example:
        >>> round(float(p_value_q0(np.array([9.0]))[0]), 6)
        0.00135
    """
    return np.asarray(ndtr(-np.sqrt(q0)))
