"""Numbers of events for a luminosity."""

from __future__ import annotations

import math

__all__ = ["expected_yield"]


def expected_yield(
    sigma_nb: float, luminosity_fb: float, factor: float = 1.0, sigma_error: float = 0.0, factor_error: float = 0.0
) -> tuple[float, float]:
    """N = factor * sigma * L and its uncertainty from those of cross-section and factor, in quadrature.

    One nb at one /fb are 10^6 events.

    Args:
        sigma_nb: cross-section in nb.
        luminosity_fb: in 1/fb.
        factor: things an event has, such as 2 f+- charged B mesons a pair.
        sigma_error: absolute uncertainty of the cross-section in nb.
        factor_error: absolute uncertainty of the factor.

    Example:
        >>> [round(v / 1e6, 1) for v in expected_yield(1.05, 362.0, sigma_error=0.10)]
        [380.1, 36.2]
        >>> round(expected_yield(0.919, 189.9)[0] / 1e6, 1)
        174.5
    """
    value = factor * sigma_nb * luminosity_fb * 1e6
    relative = math.hypot(sigma_error / sigma_nb if sigma_nb > 0 else 0.0, factor_error / factor if factor > 0 else 0.0)
    return value, value * relative
