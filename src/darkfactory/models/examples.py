"""Inputs of examples in docstrings and tests: the numbers of the configuration, in one place."""

from __future__ import annotations

from darkfactory.config.base import Tagged
from darkfactory.config.interpretation import FlavourInputs, FormFactor

__all__ = ["FLAVOUR"]

FLAVOUR = FlavourInputs(
    m_t=Tagged(value=165.0, source="recalled"),
    m_b=Tagged(value=4.18, source="recalled"),
    m_s=Tagged(value=0.095, source="recalled"),
    v_tb_v_ts=Tagged(value=0.0411, source="recalled"),
    tau_bplus_ps=Tagged(value=1.638, source="recalled"),
    tau_b0_ps=Tagged(value=1.519, source="recalled"),
    f0=FormFactor(coefficients=(0.292, 0.281, 0.150), pole=5.630, source="published"),
    a0=FormFactor(coefficients=(0.369, -1.366, 0.128), pole=5.366, centred=True, source="published"),
)
"""As config/searches/b_to_k_longlived.yaml."""
