"""Two-body decays of B mesons to a kaon and a new spin-0 particle, through one loop with top quarks and W bosons.

Widths need the quark-level coupling and one form factor. With b_R in the scalar coupling, <K|sbar P_R b|B> is half of
<K|sbar b|B>: the widths have 64 pi, not 16 pi, in the denominator.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from darkfactory.config.interpretation import FlavourInputs, FormFactor
from darkfactory.physics.constants import (
    G_F,
    HBAR_GEV_PS,
    M_B0,
    M_BPLUS,
    M_E,
    M_K0,
    M_KPLUS,
    M_KST0,
    M_KSTPLUS,
    M_MU,
    M_W,
    SIN2_THETA_W,
    VEV,
)
from darkfactory.physics.kinematics import kallen
from darkfactory.physics.lifetimes import ctau_from_width

__all__ = [
    "alp_fermion_coupling",
    "alp_lepton_branching_fraction",
    "alp_lepton_ctau_cm",
    "alp_lepton_width",
    "alp_w_coupling",
    "alp_w_ctau_cm",
    "branching_fraction_alp",
    "branching_fraction_scalar",
    "form_factor",
    "scalar_coupling",
    "top_loop",
]

Array = NDArray[np.float64]
_MESONS = {
    "K+": (M_BPLUS, M_KPLUS),
    "K0": (M_B0, M_K0),
    "K*0": (M_B0, M_KST0),
    "K*+": (M_BPLUS, M_KSTPLUS),
}
# with the form factor f_0; the others are vectors and have A_0
_PSEUDOSCALARS = ("K+", "K0")
_LEPTONS = {"ee": M_E, "mumu": M_MU}


def form_factor(config: FormFactor, q2: ArrayLike, m_b: float, m_k: float) -> Array:
    """Form factor at a squared momentum transfer: sum_k a_k z^k / (1 - q2/pole^2), or in powers of z - z(0).

    z = (sqrt(t+ - q2) - sqrt(t+ - t0)) / (sqrt(t+ - q2) + sqrt(t+ - t0)), t+- = (m_B +- m_K)^2,
    t0 = t+ (1 - sqrt(1 - t-/t+)) (Bourrely, Caprini, Lellouch, PRD 79, 013008).

    Args:
        config: coefficients and pole.
        q2: GeV^2.
        m_b: mass of the B, GeV.
        m_k: mass of the kaon, GeV.

    Example:
        f_0 of B -> K (FNAL/MILC, PRD 93, 025026) and A_0 of B -> K* (Bharucha, Straub, Zwicky, JHEP 08 (2016) 098),
        at 0, 1, 2, 3 and 4 GeV:

        >>> f0 = FormFactor(coefficients=(0.292, 0.281, 0.150), pole=5.630, source="published")
        >>> form_factor(f0, np.arange(5.0) ** 2, 5.279, 0.4937).round(3).tolist()
        [0.336, 0.344, 0.373, 0.435, 0.579]
        >>> a0 = FormFactor(coefficients=(0.369, -1.366, 0.128), pole=5.366, centred=True, source="published")
        >>> form_factor(a0, np.arange(5.0) ** 2, 5.279, 0.8955).round(3).tolist()
        [0.369, 0.392, 0.472, 0.671, 1.253]
    """
    q2 = np.asarray(q2, float)
    plus, minus = (m_b + m_k) ** 2, (m_b - m_k) ** 2
    t0 = plus * (1 - np.sqrt(1 - minus / plus))

    def z(t: Array) -> Array:
        a, b = np.sqrt(plus - t), np.sqrt(plus - t0)
        return np.asarray((a - b) / (a + b))

    x = z(q2) - (z(np.zeros(())) if config.centred else 0.0)
    series = sum((a * x**k for k, a in enumerate(config.coefficients)), np.zeros(q2.shape))
    return np.asarray(series / (1 - q2 / config.pole**2))


def top_loop(x: ArrayLike) -> Array:
    """Loop function x (1 + x (ln x - 1)) / (1 - x)^2 of x = m_t^2/m_W^2 (Izaguirre, Lin, Shuve, PRL 118, 111802).

    Example:
        >>> round(float(top_loop((165 / 80.377) ** 2)), 3)
        1.162
    """
    x = np.asarray(x, float)
    return np.asarray(x * (1 + x * (np.log(x) - 1)) / (1 - x) ** 2)


def scalar_coupling(inputs: FlavourInputs, sin_theta: float = 1.0) -> float:
    """C_sb of L = C_sb S sbar_L b_R + h.c.: sin(theta) m_b/v 3 sqrt(2) G_F m_t^2 V_ts V_tb / (16 pi^2).

    Willey, Yu, PRD 26, 3086; Batell, Pospelov, Ritz, PRD 83, 054005.

    Example:
        >>> from darkfactory.models.examples import FLAVOUR
        >>> print(f"{scalar_coupling(FLAVOUR):.3g}")
        5.95e-06
    """
    loop = 3 * np.sqrt(2) * G_F * inputs.m_t.value**2 * inputs.v_tb_v_ts.value / (16 * np.pi**2)
    return float(sin_theta * inputs.m_b.value / VEV * loop)


def alp_w_coupling(inputs: FlavourInputs, g_aw: float = 1.0) -> float:
    """g_abs of L = -g_abs d_mu a sbar gamma^mu P_L b + h.c. in 1/GeV, from a coupling g_aW to W bosons.

    3 sqrt(2) G_F m_W^2 g_aW V_ts V_tb f(m_t^2/m_W^2) / (16 pi^2), light quarks neglected (PRL 118, 111802).

    Example:
        >>> from darkfactory.models.examples import FLAVOUR
        >>> print(f"{alp_w_coupling(FLAVOUR):.3g}")
        9.67e-05
    """
    loop = 3 * np.sqrt(2) * G_F * M_W**2 / (16 * np.pi**2) * float(top_loop((inputs.m_t.value / M_W) ** 2))
    return float(g_aw * inputs.v_tb_v_ts.value * loop)


def alp_w_ctau_cm(mass: ArrayLike, g_aw: float) -> Array:
    """Mean proper decay length in cm of an ALP that couples to W bosons, to two photons alone.

    Gamma = g_agg^2 m^3/(64 pi) with g_agg = g_aW sin^2(theta_W).

    Example:
        >>> [round(float(alp_w_ctau_cm(m, g)), 1) for m, g in ((1.0, 1e-5), (0.5, 1e-5), (0.2, 3e-5))]
        [0.7, 5.9, 10.3]
    """
    width = (g_aw * SIN2_THETA_W) ** 2 * np.asarray(mass, float) ** 3 / (64 * np.pi)
    return ctau_from_width(width)


def alp_fermion_coupling(inputs: FlavourInputs, inverse_f: float, scale_gev: float) -> float:
    """g_abs in 1/GeV from one derivative coupling 1/f to all fermions at a scale; leading logarithm.

    m_t^2 V_ts V_tb ln(scale^2/m_t^2) / (8 pi^2 v^2 f); finite matching changes it by 10 to 20 %.

    Example:
        >>> from darkfactory.models.examples import FLAVOUR
        >>> print(f"{alp_fermion_coupling(FLAVOUR, 1e-6, 1000.0):.2g}")
        8.4e-10
    """
    ratio = inputs.m_t.value / VEV
    log = 2 * np.log(scale_gev / inputs.m_t.value)
    return float(ratio**2 * inputs.v_tb_v_ts.value * log / (8 * np.pi**2) * inverse_f)


def _meson(kaon: str) -> tuple[float, float]:
    if kaon not in _MESONS:
        raise ValueError(f"kaon {kaon!r} is unknown; allowed are {sorted(_MESONS)}")
    return _MESONS[kaon]


def _fraction(width: Array, kaon: str, inputs: FlavourInputs) -> Array:
    lifetime = inputs.tau_bplus_ps if kaon.endswith("+") else inputs.tau_b0_ps
    return np.asarray(width * lifetime.value / HBAR_GEV_PS)


def _open(m: Array, m_b: float, m_k: float) -> tuple[Array, NDArray[np.bool_]]:
    """Masses that decays are open for, others replaced by zero."""
    inside = m < m_b - m_k
    return np.where(inside, m, 0.0), inside


def branching_fraction_scalar(mass: ArrayLike, kaon: str, inputs: FlavourInputs, sin_theta: float = 1.0) -> Array:
    """Branching fraction of B -> K S or B -> K* S of a scalar that mixes with the Higgs; 0 above the threshold.

    |C_sb|^2/(64 pi m_B^3) times ((m_B^2 - m_K^2)/(m_b - m_s))^2 f_0^2 lambda^(1/2), or times A_0^2 lambda^(3/2)
    / (m_b + m_s)^2.

    Args:
        mass: of S, GeV.
        kaon: ``K+``, ``K0``, ``K*0`` or ``K*+``.
        inputs: quark masses, CKM elements, lifetimes, form factors.
        sin_theta: mixing.

    Raises:
        ValueError: unknown kaon.

    Example:
        0.41 sin^2(theta) at low mass with the form factor of light-cone sum rules (PRD 71, 014015), and at 1, 2, 3, 4
        and 4.5 GeV; that of the lattice gives 3 to 7 % more:

        >>> from darkfactory.models.examples import FLAVOUR
        >>> sum_rules = FormFactor(coefficients=(0.33,), pole=37.46**0.5, source="published")
        >>> other = FLAVOUR.model_copy(update={"f0": sum_rules})
        >>> m = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 4.5])
        >>> branching_fraction_scalar(m, "K+", other).round(2).tolist()
        [0.41, 0.42, 0.44, 0.47, 0.49, 0.41]
        >>> branching_fraction_scalar(m, "K+", FLAVOUR).round(2).tolist()
        [0.42, 0.43, 0.45, 0.47, 0.5, 0.44]
        >>> branching_fraction_scalar(m, "K*0", FLAVOUR).round(2).tolist()
        [0.41, 0.41, 0.4, 0.35, 0.14, 0.0]
    """
    m_b, m_k = _meson(kaon)
    m, inside = _open(np.asarray(mass, float), m_b, m_k)
    lam = kallen(m_b**2, m_k**2, m * m)
    norm = scalar_coupling(inputs, sin_theta) ** 2 / (64 * np.pi * m_b**3)
    b, s = inputs.m_b.value, inputs.m_s.value
    if kaon in _PSEUDOSCALARS:
        width = norm * ((m_b**2 - m_k**2) / (b - s)) ** 2 * form_factor(inputs.f0, m * m, m_b, m_k) ** 2 * lam**0.5
    else:
        width = norm * form_factor(inputs.a0, m * m, m_b, m_k) ** 2 * lam**1.5 / (b + s) ** 2
    return np.where(inside, _fraction(width, kaon, inputs), 0.0)


def branching_fraction_alp(mass: ArrayLike, kaon: str, inputs: FlavourInputs, g_abs: float) -> Array:
    """Branching fraction of B -> K a or B -> K* a of a pseudoscalar; 0 above the threshold.

    m_B^3 g_abs^2/(64 pi) times (1 - m_K^2/m_B^2)^2 f_0^2 lambda^(1/2), or times A_0^2 lambda^(3/2), lambda of squared
    masses over m_B^2.

    Args:
        mass: of a, GeV.
        kaon: ``K+``, ``K0``, ``K*0`` or ``K*+``.
        inputs: lifetimes, form factors.
        g_abs: coupling in 1/GeV.

    Raises:
        ValueError: unknown kaon.

    Example:
        Over g_aW^2 in GeV^2, in thousands, at 0.2, 1, 3 and 4.5 GeV:

        >>> from darkfactory.models.examples import FLAVOUR
        >>> m, g = np.array([0.2, 1.0, 3.0, 4.5]), alp_w_coupling(FLAVOUR)
        >>> (branching_fraction_alp(m, "K+", FLAVOUR, g) / 1e3).round(1).tolist()
        [1.9, 1.9, 2.1, 2.0]
        >>> (branching_fraction_alp(m, "K*0", FLAVOUR, g) / 1e3).round(1).tolist()
        [2.0, 2.0, 1.7, 0.0]

        Charged and neutral B differ by their lifetimes, 1.638 and 1.519 ps, and little else:

        >>> for charged, neutral in (("K+", "K0"), ("K*+", "K*0")):
        ...     rates = [float(branching_fraction_alp(1.0, k, FLAVOUR, g)) for k in (neutral, charged)]
        ...     print(round(rates[0] / rates[1], 2))
        0.93
        0.93
    """
    m_b, m_k = _meson(kaon)
    m, inside = _open(np.asarray(mass, float), m_b, m_k)
    lam = kallen(1.0, (m_k / m_b) ** 2, (m / m_b) ** 2)
    norm = m_b**3 * g_abs**2 / (64 * np.pi)
    if kaon in _PSEUDOSCALARS:
        factor = (1 - (m_k / m_b) ** 2) ** 2
        width = norm * factor * form_factor(inputs.f0, m * m, m_b, m_k) ** 2 * lam**0.5
    else:
        width = norm * form_factor(inputs.a0, m * m, m_b, m_k) ** 2 * lam**1.5
    return np.where(inside, _fraction(width, kaon, inputs), 0.0)


def alp_lepton_width(mass: ArrayLike, final: str, inverse_f: float) -> Array:
    """Width of an ALP to a lepton pair in GeV, m_a m_l^2 beta / (2 pi f^2); 0 below the threshold.

    Raises:
        ValueError: unknown final state.

    Example:
        >>> print(f"{float(alp_lepton_width(0.3, 'mumu', 1e-6)):.3g}")
        3.78e-16
    """
    if final not in _LEPTONS:
        raise ValueError(f"final state {final!r} is unknown; allowed are {sorted(_LEPTONS)}")
    m, lepton = np.asarray(mass, float), _LEPTONS[final]
    beta = np.sqrt(np.maximum(1 - 4 * lepton**2 / (m * m), 0.0))
    return np.asarray(m * lepton**2 * beta / (2 * np.pi) * inverse_f**2)


def alp_lepton_ctau_cm(mass: ArrayLike, inverse_f: float) -> Array:
    """Mean proper decay length in cm with decays to electrons and muons alone: below three pion masses.

    Example:
        >>> round(float(alp_lepton_ctau_cm(0.3, 1e-6)))
        52
    """
    return ctau_from_width(sum(alp_lepton_width(mass, final, inverse_f) for final in _LEPTONS))


def alp_lepton_branching_fraction(mass: ArrayLike, final: str) -> Array:
    """Branching fraction with decays to electrons and muons alone: below three pion masses.

    Example:
        >>> [round(float(alp_lepton_branching_fraction(m, "ee")), 5) for m in (0.1, 0.3)]
        [1.0, 3e-05]
    """
    total = sum(alp_lepton_width(mass, name, 1.0) for name in _LEPTONS)
    return np.asarray(alp_lepton_width(mass, final, 1.0) / total)
