"""Global significance of the largest excess of a scan."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import norm

__all__ = ["gross_vitells", "upcrossings"]


def upcrossings(z: Sequence[float], level: float) -> int:
    """Times that a scan of local significances rises through a level; starting above it counts.

    Example:
        >>> upcrossings([0.0, 1.5, 0.2, 2.0, 1.8], 1.0)
        2
    """
    above = np.concatenate([[False], np.asarray(z, dtype=float) > level])
    return int(np.sum(above[1:] & ~above[:-1]))


def gross_vitells(z: Sequence[float], level: float = 1.0) -> dict[str, float]:
    """Global p-value of the largest local significance from the number of upcrossings of a low level.

    p = p_local + N(u0) exp(-(Z^2 - u0) / 2) with u0 = level^2, then 1 - exp(-p) so that it stays below one;
    E. Gross and O. Vitells, Eur. Phys. J. C 70 (2010) 525, eq. (3). N is counted in the scan itself, hence known
    to about its square root.

    Args:
        z: local significances in the order of the scan.
        level: low level.

    Returns:
        ``z_local``, ``p_local``, ``p_global``, ``z_global`` and ``upcrossings``.

    Example:
        >>> found = gross_vitells([0.0, 1.2, 0.0, 3.0, 0.0, 1.1, 0.3])
        >>> round(found["p_global"], 4), round(found["z_global"], 2)
        (0.0547, 1.6)
    """
    largest = float(np.max(z))
    local = float(norm.sf(largest))
    n = upcrossings(z, level)
    if largest <= level:
        expected = float(max(n, 1))
    else:
        expected = local + max(n, 1) * float(np.exp(-(largest**2 - level**2) / 2))
    p = float(-np.expm1(-expected))
    return {
        "z_local": largest,
        "p_local": local,
        "p_global": p,
        "z_global": max(float(norm.isf(p)), 0.0),
        "upcrossings": n,
    }
