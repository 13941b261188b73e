"""Random numbers that belong to an object of an event, whatever other events are in the chunk.

A skim before the trigger must not change the trigger's decisions on the events that it keeps. So the numbers
are a hash of (key from the chunk's generator, event id, object, purpose), not draws in sequence.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

__all__ = ["Noise"]

Array = NDArray[Any]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def _mix(x: Array) -> Array:
    """The finaliser of splitmix64 (Steele, Lea, Flood 2014): every input bit reaches every output bit."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)))


class Noise:
    """Numbers keyed by event and object.

    Example:
        >>> noise = Noise(np.random.default_rng(1))
        >>> all_ = noise.uniform(np.array([7, 8, 9]), np.array([0, 0, 0]), purpose=1)
        >>> bool(np.array_equal(all_[1:], noise.uniform(np.array([8, 9]), np.array([0, 0]), purpose=1)))
        True
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self._key = np.asarray(rng.integers(0, 2**64, dtype=np.uint64))

    def uniform(self, event_id: Array, item: Array, purpose: int) -> Array:
        """Uniform in (0, 1), one per pair of event id and item number."""
        state = _mix(np.asarray(event_id).astype(np.uint64) * _GOLDEN + self._key)
        state = _mix(state + np.asarray(item).astype(np.uint64) * np.uint64(0xD1B54A32D192ED03))
        # one-element arrays: NumPy warns of overflow for scalars, but not for arrays
        state = _mix(state + np.array([purpose], dtype=np.uint64) * _GOLDEN)
        return ((state >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53

    def normal(self, event_id: Array, item: Array, purpose: int) -> Array:
        """Standard normal, one per pair of event id and item number."""
        return np.asarray(ndtri(self.uniform(event_id, item, purpose)))
