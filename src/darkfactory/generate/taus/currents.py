"""Hadronic currents of tau decays: line shapes, form factors, and the polarimeter of a current.

All squared masses in GeV^2, masses and widths in GeV.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from darkfactory.config.tau_decays import Resonance
from darkfactory.physics.constants import M_PIPLUS
from darkfactory.physics.kinematics import kallen

__all__ = ["a1_propagator", "breit_wigner", "form_factor", "gounaris_sakurai", "polarimeter", "three_pion_current"]

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]


def _break_up(s: Array | float, m1: float, m2: float) -> Array:
    """Momentum of two masses in their own frame, zero below threshold."""
    s = np.asarray(s, float)
    return np.asarray(np.sqrt(np.maximum(kallen(s, m1 * m1, m2 * m2), 0.0) / (4 * s)))


def breit_wigner(s: Array, mass: float, width: float, m1: float, m2: float) -> Complex:
    """P-wave Breit-Wigner ``m^2 / (m^2 - s - i sqrt(s) Gamma(s))``, normalised to 1 at s = 0.

    Source: Kuhn, Santamaria, Z. Phys. C48 (1990) 445, eq. 13: ``Gamma(s) = Gamma m^2/s (p/p_m)^3``.

    Args:
        s: invariant masses squared.
        mass: of the resonance.
        width: at the resonance.
        m1: mass of one decay product.
        m2: mass of the other.

    Example:
        >>> bw = breit_wigner(np.array([0.773**2]), 0.773, 0.145, 0.1396, 0.1396)[0]
        >>> float(abs(bw))
        5.331
    """
    p, pm = _break_up(s, m1, m2), float(_break_up(mass * mass, m1, m2))
    return np.asarray(mass**2 / (mass**2 - s - 1j * width * mass**2 / np.sqrt(s) * (p / pm) ** 3))


def gounaris_sakurai(s: Array, mass: float, width: float, m1: float, m2: float) -> Complex:
    """Gounaris-Sakurai shape of a rho, normalised to 1 at s = 0 for equal masses.

    Source: Belle, PRD 78 (2008) 072006, eqs. 13 to 17.

    Args:
        s: invariant masses squared.
        mass: of the resonance.
        width: at the resonance.
        m1: mass of one decay product.
        m2: mass of the other.

    Example:
        >>> gs = gounaris_sakurai(np.array([0.7746**2]), 0.7746, 0.1481, 0.13957, 0.13498)[0]
        >>> float(abs(gs)), bool(abs(gs.real) < 1e-9)
        (5.71, True)
    """
    mu, m2_res = 0.5 * (m1 + m2), mass * mass
    p, pm = _break_up(s, m1, m2), float(_break_up(m2_res, m1, m2))
    log_m = np.log((mass + 2 * pm) / (2 * mu))
    root = np.sqrt(s)
    h_s = 2 / np.pi * p / root * np.log((root + 2 * p) / (2 * mu))
    h_m = 2 / np.pi * pm / mass * log_m
    slope = h_m * (1 / (8 * pm**2) - 1 / (2 * m2_res)) + 1 / (2 * np.pi * m2_res)
    f = width * m2_res / pm**3 * (p**2 * (h_s - h_m) + (m2_res - s) * pm**2 * slope)
    d = 3 / np.pi * mu**2 / pm**2 * log_m + mass / (2 * np.pi * pm) - mu**2 * mass / (np.pi * pm**3)
    gamma = width * m2_res / s * (p / pm) ** 3
    return np.asarray((m2_res + d * mass * width) / (m2_res - s + f - 1j * root * gamma))


def form_factor(s: Array, terms: Sequence[Resonance], m1: float, m2: float, shape: str = "breit_wigner") -> Complex:
    """Sum of resonances divided by the sum of their weights, 1 at s = 0.

    Args:
        s: invariant masses squared.
        terms: resonances with weights and phases.
        m1: mass of one decay product.
        m2: mass of the other.
        shape: ``breit_wigner`` or ``gounaris_sakurai``.

    Example:
        >>> rho = Resonance(mass=0.773, width=0.145, source="published")
        >>> float(abs(form_factor(np.array([0.6]), [rho], 0.14, 0.14)[0]))
        5.303
    """
    function = gounaris_sakurai if shape == "gounaris_sakurai" else breit_wigner
    if terms and min(t.mass for t in terms) <= m1 + m2:
        # a resonance below the threshold of this mode gets its width from two pions
        m1 = m2 = M_PIPLUS
    total: Complex = np.zeros(np.shape(s), dtype=complex)
    norm: complex = 0
    for term in terms:
        c = term.weight * np.exp(1j * np.deg2rad(term.phase_deg))
        total = total + c * function(s, term.mass, term.width, m1, m2)
        norm += c
    return np.asarray(total / norm)


def _a1_phase_space(x: Array) -> Array:
    """g(x) of Kuhn and Santamaria, eq. 3.16: the three-pion phase space through rho pi."""
    y = np.maximum(x - 9 * M_PIPLUS**2, 0.0)
    low = 4.1 * y**3 * (1 - 3.3 * y + 5.8 * y**2)
    high = x * (1.623 + 10.38 / x - 9.32 / x**2 + 0.65 / x**3)
    return np.asarray(np.where(x < (0.773 + M_PIPLUS) ** 2, low, high))


def a1_propagator(q2: Array, a1: Resonance) -> Complex:
    """Breit-Wigner of the a1 with the width running as the three-pion phase space.

    Source: Kuhn, Santamaria, Z. Phys. C48 (1990) 445, eqs. 3.15 and 3.16.

    Args:
        q2: three-pion mass squared.
        a1: mass and width.

    Example:
        >>> a1 = Resonance(mass=1.251, width=0.599, source="published")
        >>> float(abs(a1_propagator(np.array([1.251**2]), a1)[0]))
        2.088
    """
    ratio = _a1_phase_space(q2) / _a1_phase_space(np.asarray(a1.mass**2))
    return np.asarray(a1.mass**2 / (a1.mass**2 - q2 - 1j * a1.mass * a1.width * ratio))


def three_pion_current(
    q1: Array, q2: Array, q3: Array, m_like: float, m_odd: float, terms: Sequence[Resonance]
) -> Complex:
    """Spatial current of three pions in their own rest frame, without the a1 propagator.

    ``B(s2) V1 + B(s1) V2`` with ``V1 = q1 - q3`` and ``V2 = q2 - q3`` made transverse to Q, s1 = (q2 + q3)^2,
    s2 = (q1 + q3)^2. Source: Kuhn, Santamaria, Z. Phys. C48 (1990) 445, eq. 3.14.

    Args:
        q1: four-momenta of one like pion, shape (n, 4).
        q2: of the other like pion.
        q3: of the odd pion.
        m_like: mass of the like pions.
        m_odd: mass of the odd pion.
        terms: resonances of the two-pion form factor.

    Returns:
        Complex vectors, shape (n, 3).

    Example:
        >>> q1, q2, q3 = (np.array([[0.5, *v]]) for v in ([0.3, 0, 0], [-0.3, 0, 0], [0, 0, 0]))
        >>> rho = Resonance(mass=0.773, width=0.145, source="published")
        >>> np.abs(three_pion_current(q1, q2, q3, 0.1396, 0.1396, [rho])).round(12).tolist()
        [[0.0, 0.0, 0.0]]
    """
    m12 = m_like**2 + m_odd**2

    def invariant(a: Array) -> Array:
        space = a[:, 1] * q3[:, 1] + a[:, 2] * q3[:, 2] + a[:, 3] * q3[:, 3]
        return np.asarray(np.maximum(m12 + 2 * (a[:, 0] * q3[:, 0] - space), (m_like + m_odd) ** 2))

    b1 = form_factor(invariant(q2), terms, m_like, m_odd)
    b2 = form_factor(invariant(q1), terms, m_like, m_odd)
    # in the rest frame of Q the transverse part is the spatial part
    return np.asarray(b2[:, None] * (q1[:, 1:] - q3[:, 1:]) + b1[:, None] * (q2[:, 1:] - q3[:, 1:]), dtype=complex)


def polarimeter(current: Complex, stretch: Array) -> tuple[Array, Array]:
    """Squared amplitude and polarimeter vector of ``nubar gamma_mu P_L tau J^mu`` for a transverse current.

    With the hadrons along +z in the tau rest frame the left-handed neutrino, flying along -z, has the
    two-spinor (1, 0) and the amplitude is the row ``(1, 0)(J^0 + sigma.J)`` on the tau's two-spinor.

    Args:
        current: spatial current in the hadronic rest frame, axes parallel to those in the tau rest frame,
            shape (n, 3).
        stretch: m_tau over the hadronic mass, shape (n,): the boost of the light-cone component J^0 + J^z.

    Returns:
        The squared amplitude summed over the tau's spin, in units of m_tau 2 E_nu, shape (n,), and the
        polarimeter h, shape (n, 3): a tau with polarisation P decays with a probability
        proportional to 1 + h.P.

    Example:
        >>> norm, h = polarimeter(np.array([[0, 0, 1.0 + 0j]]), np.array([2.0]))
        >>> float(norm[0]), h.tolist()
        (4.0, [[0.0, 0.0, 1.0]])
    """
    a0 = np.conj(stretch * current[:, 2])
    a1 = np.conj(current[:, 0]) + 1j * np.conj(current[:, 1])
    up, down = np.abs(a0) ** 2, np.abs(a1) ** 2
    norm = up + down
    mixed = 2 * np.conj(a0) * a1
    return np.asarray(norm), np.stack([mixed.real, mixed.imag, up - down], axis=1) / norm[:, None]
