"""A dark Higgs that mixes with the Higgs by an angle theta: lifetime and branching fractions from a table.

Leptonic widths are closed forms; hadronic ones below 2 GeV come from dispersion relations (M. Winkler, Phys. Rev. D 99,
015018) and are uncertain by a factor of about two, up to ten near 1 GeV. The table is data of the search.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from darkfactory.models.widths import scalar_fermions_width
from darkfactory.physics.constants import M_MU, VEV

__all__ = ["charged_fraction", "interpolate_log", "muon_width"]

Array = NDArray[np.float64]

_CHARGED = {"ee": 1.0, "mumu": 1.0, "pipi": 2.0 / 3.0, "kk": 0.5}


def muon_width(mass: ArrayLike, sin_theta: float = 1.0) -> Array:
    """Width to muons in GeV, sin^2(theta) m_mu^2 m beta^3/(8 pi v^2).

    Example:
        >>> from darkfactory.physics.lifetimes import ctau_from_width
        >>> print(round(float(ctau_from_width(muon_width(0.25, 1e-4)) / 100), 1))
        70.6
    """
    return scalar_fermions_width(mass, sin_theta * M_MU / VEV, M_MU)


def charged_fraction(final: str) -> float:
    """Share of a decay to charged particles: all of e e and mu mu, two thirds of pi pi, half of K K (isospin).

    Raises:
        ValueError: unknown final state.

    Example:
        >>> charged_fraction("kk")
        0.5
    """
    if final not in _CHARGED:
        raise ValueError(f"final state {final!r} is unknown; allowed are {sorted(_CHARGED)}")
    return _CHARGED[final]


def interpolate_log(x: float, xs: Sequence[float], ys: Sequence[float]) -> float:
    """Value at x of a table, linear in the logarithms; 0 next to zeros and outside the table.

    Example:
        >>> round(interpolate_log(2.0, [1.0, 4.0], [1.0, 16.0]), 6), interpolate_log(5.0, [1.0, 4.0], [1.0, 16.0])
        (4.0, 0.0)
    """
    if not xs[0] <= x <= xs[-1]:
        return 0.0
    i = min(max(int(np.searchsorted(xs, x)), 1), len(xs) - 1)
    (a, b), (low, high) = (xs[i - 1], xs[i]), (ys[i - 1], ys[i])
    if low <= 0 or high <= 0:
        # a channel that opens or ends between two rows: the row itself, nothing between
        return float(high if x == b else low if x == a else 0.0)
    share = np.log(x / a) / np.log(b / a)
    return float(np.exp(np.log(low) + share * np.log(high / low)))
