"""Regimes of a mediator: unseen decays, decays far outside, displaced decays, prompt decays."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from darkfactory.models.inelastic_dm import pion_ratio
from darkfactory.models.widths import scalar_fermions_width, vector_fermions_width
from darkfactory.physics.constants import ALPHA, M_BPLUS, M_E, M_KPLUS, M_MU, M_PIPLUS, M_TAU
from darkfactory.physics.kinematics import two_body_momentum
from darkfactory.physics.lifetimes import ctau_from_width

__all__ = [
    "REGIMES",
    "classify",
    "dark_photon_visible_width",
    "dark_scalar_width",
    "dark_vector_width",
    "mean_flight_cm",
    "production_momentum",
]

Array = NDArray[np.float64]

REGIMES = ("invisible", "mixed", "escapes", "long_lived", "prompt")
"""Names by number of :func:`classify`."""


def dark_photon_visible_width(
    mass: ArrayLike, epsilon: ArrayLike, hadronic_ratio: tuple[tuple[float, float], ...]
) -> Array:
    """Width of a dark photon to charged leptons and hadrons in GeV, eps^2 alpha m/3 [sum_l (...) + R(m)].

    Below the first mass of ``hadronic_ratio`` hadrons are pi pi from the rho alone.

    Args:
        mass: in GeV.
        epsilon: kinetic mixing, of a shape that broadcasts.
        hadronic_ratio: (from mass in GeV, hadrons over massless muons), rising.

    Example:
        >>> width = dark_photon_visible_width([0.1, 0.775, 4.0], 1e-3, ((1.05, 2.2), (3.73, 3.6)))
        >>> [float(f"{w:.3g}") for w in width]
        [2.43e-10, 1.41e-08, 6.07e-08]
    """
    m, eps = np.broadcast_arrays(np.asarray(mass, dtype=float), np.asarray(epsilon, dtype=float))
    leptons = sum(vector_fermions_width(m, float(np.sqrt(4 * np.pi * ALPHA)), one) for one in (M_E, M_MU, M_TAU))
    ratio = np.where(m > 2 * M_PIPLUS, pion_ratio(m), 0.0)
    for start, value in hadronic_ratio:
        ratio = np.where(m >= start, value, ratio)
    return np.asarray(eps**2 * (leptons + ALPHA * m / 3 * ratio))


def dark_vector_width(mass: ArrayLike, alpha_d: float, m_chi: ArrayLike) -> Array:
    """Width of a vector into Dirac dark matter of unit dark charge in GeV, 0 below threshold.

    Example:
        >>> [round(float(w), 4) for w in dark_vector_width([3.0, 1.9], 0.1, 1.0)]
        [0.0911, 0.0]
    """
    m, chi = np.broadcast_arrays(np.asarray(mass, dtype=float), np.asarray(m_chi, dtype=float))
    unit = vector_fermions_width(m, float(np.sqrt(4 * np.pi * alpha_d)), 0.0)
    r = (chi / m) ** 2
    return np.asarray(unit * (1 + 2 * r) * np.sqrt(np.clip(1 - 4 * r, 0.0, None)))


def dark_scalar_width(mass: ArrayLike, yukawa: float, m_chi: ArrayLike, *, pseudoscalar: bool = False) -> Array:
    """Width of a scalar (or pseudoscalar) into Dirac dark matter, y^2 m/(8 pi) beta^3 (beta), in GeV.

    Example:
        >>> round(float(dark_scalar_width(1.0, 1.0, 0.0)), 5), float(dark_scalar_width(1.0, 1.0, 0.6))
        (0.03979, 0.0)
    """
    m, chi = np.broadcast_arrays(np.asarray(mass, dtype=float), np.asarray(m_chi, dtype=float))
    beta = np.sqrt(np.clip(1 - 4 * (chi / m) ** 2, 0.0, None))
    return np.asarray(scalar_fermions_width(m, yukawa, 0.0) * beta ** (1 if pseudoscalar else 3))


def production_momentum(mass: ArrayLike, production: str, sqrts: float) -> Array:
    """Momentum of the mediator in GeV: (s - m^2)/(2 sqrt s) against a photon, or that of B -> K in the B's frame.

    Raises:
        ValueError: unknown production.

    Example:
        >>> [round(float(production_momentum(1.0, p, 10.58)), 2) for p in ("photon", "b_decay")]
        [5.24, 2.52]
    """
    m = np.asarray(mass, dtype=float)
    if production == "photon":
        return np.asarray(np.clip(sqrts**2 - m * m, 0.0, None) / (2 * sqrts))
    if production == "b_decay":
        inside = m < M_BPLUS - M_KPLUS
        return np.asarray(np.where(inside, two_body_momentum(M_BPLUS, M_KPLUS, np.where(inside, m, 0.0)), 0.0))
    raise ValueError(f"production {production!r} is unknown; allowed are photon and b_decay")


def mean_flight_cm(mass: ArrayLike, width: ArrayLike, momentum: ArrayLike) -> Array:
    """Mean flight in the lab-like frame of the momentum, (p/m) c tau, in cm; infinite without a width.

    Example:
        A dark photon of 0.1 GeV and eps = 1e-4 against a photon flies for 4 mm:

        >>> width = dark_photon_visible_width(0.1, 1e-4, ())
        >>> round(float(mean_flight_cm(0.1, width, 5.29)), 1)
        0.4
    """
    w = np.asarray(width, dtype=float)
    safe = np.where(w > 0, w, 1.0)
    flight = np.asarray(momentum, dtype=float) / np.asarray(mass, dtype=float) * ctau_from_width(safe)
    return np.asarray(np.where(w > 0, flight, np.inf))


def classify(
    visible: ArrayLike, dark: ArrayLike, flight_cm: ArrayLike, prompt_cm: float, outer_cm: float, mixed: float = 0.1
) -> Array:
    """Number of the regime in :data:`REGIMES`.

    Invisible: all but a share ``mixed`` of the decays are to dark matter or neutrinos; mixed: both kinds have more than
    this share. Else by the mean flight: escapes beyond ``outer_cm``, long-lived beyond ``prompt_cm``, prompt below.

    Args:
        visible: width to what is seen, GeV.
        dark: width to what is not, GeV.
        flight_cm: mean flight.
        prompt_cm: limit of prompt decays.
        outer_cm: limit of decays inside.
        mixed: share of decays that counts.

    Example:
        >>> numbers = classify(1.0, [20.0, 1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 200.0, 1.0, 0.0], 0.05, 110.0)
        >>> [REGIMES[int(i)] for i in numbers]
        ['invisible', 'mixed', 'escapes', 'long_lived', 'prompt']
    """
    v, d, flight = np.broadcast_arrays(*(np.asarray(a, dtype=float) for a in (visible, dark, flight_cm)))
    share = d / np.maximum(d + v, np.finfo(float).tiny)
    lived = np.where(flight > outer_cm, 2, np.where(flight > prompt_cm, 3, 4))
    return np.asarray(np.where(share > 1 - mixed, 0, np.where(share > mixed, 1, lived)))
