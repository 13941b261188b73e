"""Parametric events: one calorimeter shower each, drawn from laws. They stand for cosmic rays and beam background."""

from __future__ import annotations

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from darkfactory.config.process import DepositLaw, ParametricConfig
from darkfactory.events.schema import DEPOSIT
from darkfactory.generate.chunk import GeneratedChunk
from darkfactory.generate.record import Particles, to_events

__all__ = ["draw", "generate_parametric_chunk"]

Array = NDArray[np.float64]

# steps of the table by which a law without a closed inverse is drawn
_STEPS = 4096


def draw(law: DepositLaw, u: Array) -> Array:
    """Map uniform numbers to a law by the inverse of its distribution function.

    Args:
        law: the distribution.
        u: numbers in [0, 1).

    Returns:
        Values between the ends of the law.

    Example:
        >>> from darkfactory.config.base import Tagged
        >>> flat = DepositLaw(law="uniform", low=-2.0, high=2.0, source="assumed")
        >>> draw(flat, np.array([0.0, 0.75])).tolist()
        [-2.0, 1.0]
        >>> square = DepositLaw(law="power", low=1.0, high=4.0, parameter=Tagged(value=2.0, source="assumed"),
        ...                     source="assumed")
        >>> draw(square, np.array([0.0, 2 / 3])).round(6).tolist()
        [1.0, 2.0]
    """
    low, high = law.low, law.high
    if law.parameter is None:
        return np.asarray(low + (high - low) * u)
    a = law.parameter.value
    if law.law == "exponential":
        return np.asarray(low - a * np.log1p(u * np.expm1(-(high - low) / a)))
    if law.law == "power":
        if a == 1.0:
            return np.asarray(low * (high / low) ** u)
        k = 1.0 - a
        return np.asarray((low**k + u * (high**k - low**k)) ** (1.0 / k))
    x = np.linspace(low, high, _STEPS + 1)
    density = np.abs(np.sin(0.5 * (x[1:] + x[:-1]))) ** a
    total = np.concatenate([[0.0], np.cumsum(density)])
    return np.asarray(np.interp(u * total[-1], total, x))


def generate_parametric_chunk(
    config: ParametricConfig, n_events: int, rng: np.random.Generator, chunk: int
) -> GeneratedChunk:
    """Truth events of one chunk, each with one shower (``events.schema.DEPOSIT``) and equal weights.

    Args:
        config: rate and laws.
        n_events: number of events.
        rng: the chunk's random stream.
        chunk: its number, for the events' identifiers.
    """
    u = rng.random((4, n_events))
    energy, phi = draw(config.energy, u[0]), draw(config.azimuth, u[1])
    z, time = draw(config.z, u[2]), draw(config.time, u[3])
    radius = np.full(n_events, config.radius_cm.value)
    size = energy / np.sqrt(radius**2 + z**2)
    p = np.stack([energy, size * radius * np.cos(phi), size * radius * np.sin(phi), size * z], axis=1)
    ones = np.ones(n_events, dtype=np.int64)
    showers = Particles(np.arange(n_events), DEPOSIT * ones, ones, -ones, p, np.zeros((n_events, 3)))
    sigma = config.sigma_fb
    events = to_events(showers, np.full(n_events, sigma), chunk)
    events = ak.with_field(events, time, "deposit_time")
    events = ak.with_field(events, np.full(n_events, config.photon_like.value), "deposit_like")
    return GeneratedChunk(events, n_events, sigma * n_events, sigma * sigma * n_events, n_events)
