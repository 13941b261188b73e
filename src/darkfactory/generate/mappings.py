"""Invertible maps of a unit interval onto a variable between limits that differ from event to event.

Each map has a density in x (``draw`` makes it, ``invert`` gives u and dx/du); ``top`` is the value of x where a
soft recoil would have no energy left. Kinds: ``flat``; ``log``: 1/(x - m2); ``bw``: Breit-Wigner in x;
``soft``: 1/(top - x); ``logit``: 1/(x (top - x)).
"""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Map"]

Array = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Map:
    """One map.

    Attributes:
        kind: the density.
        m2: pole of ``log`` and ``bw``.
        mw: mass times width of ``bw``, GeV^2.
    """

    kind: Literal["flat", "log", "bw", "soft", "logit"] = "flat"
    m2: float = 0.0
    mw: float = 0.0

    def _primitive(self, x: Array, top: Array) -> Array:
        if self.kind == "log":
            return np.asarray(np.log(x - self.m2))
        if self.kind == "bw":
            return np.asarray(np.arctan((x - self.m2) / self.mw))
        if self.kind == "soft":
            return np.asarray(-np.log(top - x))
        if self.kind == "logit":
            return np.asarray(np.log(x / (top - x)))
        return x

    def draw(self, u: Array, lo: Array, hi: Array, top: Array) -> Array:
        """The variable at u in [0, 1], between ``lo`` and ``hi``.

        Example:
            >>> one = np.ones(1)
            >>> Map("log").draw(0.5 * one, one, 100 * one, one).tolist()
            [10.0]
        """
        a, b = self._primitive(lo, top), self._primitive(hi, top)
        y = a + u * (b - a)
        if self.kind == "log":
            x = self.m2 + np.exp(y)
        elif self.kind == "bw":
            x = self.m2 + self.mw * np.tan(y)
        elif self.kind == "soft":
            x = top - np.exp(-y)
        elif self.kind == "logit":
            x = top / (1 + np.exp(-y))
        else:
            x = y
        return np.asarray(np.clip(x, lo, hi))

    def invert(self, x: Array, lo: Array, hi: Array, top: Array) -> tuple[Array, Array]:
        """The number u and dx/du of a value of the variable between the limits.

        Example:
            >>> one = np.ones(1)
            >>> u, jacobian = Map("log").invert(10 * one, one, 100 * one, one)
            >>> u.tolist(), bool(np.isclose(jacobian[0], 10 * np.log(100)))
            ([0.5], True)
        """
        a, b = self._primitive(lo, top), self._primitive(hi, top)
        span = b - a
        u = (self._primitive(x, top) - a) / span
        if self.kind == "log":
            slope = x - self.m2
        elif self.kind == "bw":
            slope = (x - self.m2) ** 2 / self.mw + self.mw
        elif self.kind == "soft":
            slope = top - x
        elif self.kind == "logit":
            slope = x * (top - x) / top
        else:
            return u, span
        return u, slope * span
