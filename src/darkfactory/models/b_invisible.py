"""Two-body decays of B+ to a pion or kaon and an invisible spin-0 particle, through one loop with top quarks.

As :mod:`darkfactory.models.b_to_s`, of any light quark.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from darkfactory.config.interpretation import FlavourInputs, InvisibleRegion
from darkfactory.models.b_to_s import alp_w_coupling, form_factor, scalar_coupling
from darkfactory.physics.constants import HBAR_GEV_PS, M_BPLUS, M_KPLUS, M_PIPLUS
from darkfactory.physics.kinematics import kallen

__all__ = ["branching_fraction_invisible"]

Array = NDArray[np.float64]
_HADRONS = {"K+": M_KPLUS, "pi+": M_PIPLUS}


def branching_fraction_invisible(mass: ArrayLike, region: InvisibleRegion, inputs: FlavourInputs) -> Array:
    """Branching fraction of B+ -> h X at coupling one; 0 above the threshold. It goes as the coupling squared.

    ``alp_w``: m_B^3 g_abs^2/(64 pi) (1 - m_h^2/m_B^2)^2 f_0^2 lambda^(1/2); ``dark_higgs``: |C_qb|^2/(64 pi m_B^3)
    ((m_B^2 - m_h^2)/(m_b - m_q))^2 f_0^2 lambda^(1/2), as :mod:`darkfactory.models.b_to_s` with the elements of the CKM
    matrix and the form factor of the region.

    Args:
        mass: of X, GeV.
        region: particle, hadron, CKM elements, form factor.
        inputs: quark masses and lifetimes.

    Example:
        Massless: a branching fraction of 1e-5 of B+ -> K+ a for g_aW = 7.4e-5/GeV, of B+ -> K+ S for
        sin(theta) = 4.9e-3 with the form factor of light-cone sum rules (PRD 71, 014015), and of B+ -> pi+ a for
        4.5e-4/GeV:

        >>> from darkfactory.config.base import Tagged
        >>> from darkfactory.config.interpretation import FormFactor
        >>> from darkfactory.models.examples import FLAVOUR
        >>> f0 = FormFactor(coefficients=(0.33,), pole=37.46**0.5, source="published")
        >>> kaon = InvisibleRegion(hypothesis="k", particle="alp_w", hadron="K+", coupling="g_aw", form_factor=f0,
        ...     ckm=Tagged(value=0.0411, source="recalled"), m_q=Tagged(value=0.095, source="recalled"))
        >>> scalar = kaon.model_copy(update={"particle": "dark_higgs", "coupling": "sin_theta"})
        >>> pion = kaon.model_copy(update={"hadron": "pi+", "ckm": Tagged(value=0.0086, source="recalled"),
        ...     "form_factor": FormFactor(coefficients=(0.258,), pole=33.81**0.5, source="recalled")})
        >>> for case in (kaon, scalar, pion):
        ...     print(f"{(1e-5 / float(branching_fraction_invisible(0.0, case, FLAVOUR))) ** 0.5:.2g}")
        7.4e-05
        0.0049
        0.00045
    """
    m_h = _HADRONS[region.hadron]
    m = np.asarray(mass, float)
    inside = m < M_BPLUS - m_h
    m = np.where(inside, m, 0.0)
    own = inputs.model_copy(update={"v_tb_v_ts": region.ckm, "m_s": region.m_q})
    f0 = form_factor(region.form_factor, m * m, M_BPLUS, m_h)
    root = np.sqrt(kallen(1.0, (m_h / M_BPLUS) ** 2, (m / M_BPLUS) ** 2))
    difference = M_BPLUS**2 - m_h**2
    if region.particle == "alp_w":
        width = alp_w_coupling(own) ** 2 * difference**2 / (64 * np.pi * M_BPLUS) * f0**2 * root
    else:
        vertex = scalar_coupling(own) * difference / (inputs.m_b.value - region.m_q.value)
        width = vertex**2 / (64 * np.pi * M_BPLUS) * f0**2 * root
    return np.where(inside, width * inputs.tau_bplus_ps.value / HBAR_GEV_PS, 0.0)
