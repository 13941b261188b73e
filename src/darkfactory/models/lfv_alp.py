"""An axion-like particle alpha with lepton-flavour violating couplings to the tau: tau -> l alpha.

L = (d_mu alpha / 2f) lbar gamma^mu (c_V + c_A gamma5) tau + h.c.; the scale of a coupling is F = 2f / sqrt(|c_V|^2 +
|c_A|^2). Calibbi, Redigolo, Ziegler, Zupan, JHEP 09 (2021) 173.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from darkfactory.physics.constants import HBARC_GEV_CM, M_E, M_MU, M_TAU
from darkfactory.physics.kinematics import kallen

__all__ = ["CTAU_TAU_CM", "branching_fraction", "width"]

Array = NDArray[np.float64]
_LEPTONS = {"e": M_E, "mu": M_MU}
CTAU_TAU_CM = 0.008703
"""Mean proper decay length of the tau in cm (PDG 2024, 290.3 fs)."""


def width(mass: ArrayLike, final: str, f: float = 1.0, c_v: float = 1.0, c_a: float = 1.0) -> Array:
    """Width of tau -> l alpha in GeV, zero above threshold.

    [|c_A|^2 (m_tau + m_l)^2 ((m_tau - m_l)^2 - m^2) + |c_V|^2 (m_tau - m_l)^2 ((m_tau + m_l)^2 - m^2)]
    lambda^(1/2)(m^2, m_l^2, m_tau^2) / (64 pi f^2 m_tau^3), from the squared amplitude of L above.

    Args:
        mass: of alpha in GeV.
        final: ``e`` or ``mu``.
        f: decay constant in GeV.
        c_v: vector coupling.
        c_a: axial coupling.

    Raises:
        ValueError: unknown lepton.

    Example:
        A massless alpha and lepton: m_tau^3 / (16 pi F^2).

        >>> from math import pi, sqrt
        >>> ratio = float(width(0.0, "e", f=1 / sqrt(2))) / (M_TAU**3 / (16 * pi))
        >>> round(ratio, 6)
        1.0
        >>> width([1.0, 1.6, 1.8], "mu").round(4).tolist()
        [0.0255, 0.0015, 0.0]
    """
    if final not in _LEPTONS:
        raise ValueError(f"lepton {final!r} is unknown; allowed are {sorted(_LEPTONS)}")
    m, m_l = np.asarray(mass, float), _LEPTONS[final]
    high, low = M_TAU + m_l, M_TAU - m_l
    squared = c_a**2 * high**2 * (low**2 - m**2) + c_v**2 * low**2 * (high**2 - m**2)
    momentum = np.sqrt(np.maximum(kallen(M_TAU**2, m_l**2, m**2), 0.0))
    return np.asarray(np.where(m < low, squared * momentum, 0.0) / (64 * np.pi * f**2 * M_TAU**3))


def branching_fraction(mass: ArrayLike, final: str, scale: float = 1.0) -> Array:
    """Branching fraction of tau -> l alpha for |c_V| = |c_A| and F = ``scale`` in GeV; goes as 1/F^2.

    As long as it is small beside one: the total width is that of the Standard Model.

    Example:
        A thousandth of B(tau -> e nu nu) is what these scales give, for masses of 0, 0.5, 1, 1.4 and 1.6 GeV:

        >>> found = branching_fraction([0.0, 0.5, 1.0, 1.4, 1.6], "e", 1e7)
        >>> [f"{1e7 * x:.3g}" for x in np.sqrt(found / 1.78e-4)]
        ['1.66e+07', '1.53e+07', '1.14e+07', '6.3e+06', '3.15e+06']
    """
    # F = 2f / sqrt(2)
    return width(mass, final, scale / np.sqrt(2)) * CTAU_TAU_CM / HBARC_GEV_CM
