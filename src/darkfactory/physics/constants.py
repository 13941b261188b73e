"""Constants of nature: masses in GeV, couplings, conversions.

Sources: PDG 2024 for masses and v; CODATA for alpha and (hbar c)^2.
"""

from __future__ import annotations

__all__ = [
    "ALPHA",
    "GEV2_FB",
    "G_F",
    "HBARC_GEV_CM",
    "HBAR_GEV_PS",
    "M_B0",
    "M_BPLUS",
    "M_D0",
    "M_DPLUS",
    "M_DS",
    "M_E",
    "M_ETA",
    "M_ETAP",
    "M_K0",
    "M_KPLUS",
    "M_KST0",
    "M_KSTPLUS",
    "M_LAMBDA",
    "M_LAMBDA_C",
    "M_MU",
    "M_PI0",
    "M_PIPLUS",
    "M_PROTON",
    "M_RHO",
    "M_TAU",
    "M_W",
    "M_Y4S",
    "SIN2_THETA_W",
    "VEV",
    "W_RHO",
]

ALPHA = 1 / 137.035999
"""Fine-structure constant at zero momentum transfer (CODATA)."""
GEV2_FB = 0.3893793721e12
"""(hbar c)^2 in GeV^2 fb: a cross-section in GeV^-2 times this is in fb (PDG)."""
HBARC_GEV_CM = 1.973269804e-14
"""hbar c in GeV cm: a proper decay length c tau is this over the width."""
HBAR_GEV_PS = 6.582119569e-13
"""hbar in GeV ps: a lifetime is this over the width."""
G_F = 1.1663788e-5
"""Fermi constant in GeV^-2."""
M_E = 0.51099895e-3
M_MU = 0.1056583755
M_TAU = 1.77693
M_PI0 = 0.1349768
M_PIPLUS = 0.13957039
M_KPLUS = 0.493677
M_K0 = 0.497611
M_ETA = 0.547862
M_ETAP = 0.95778
M_LAMBDA = 1.115683
M_LAMBDA_C = 2.28646
M_RHO = 0.77526
W_RHO = 0.1491
M_PROTON = 0.93827209
M_DPLUS = 1.86966
M_D0 = 1.86484
M_DS = 1.96835
M_BPLUS = 5.27934
M_B0 = 5.27966
M_KST0 = 0.89555
M_KSTPLUS = 0.89167
M_W = 80.377
M_Y4S = 10.5794
SIN2_THETA_W = 0.2312
VEV = 246.22
"""Vacuum expectation value of the Higgs field in GeV."""
