"""Smooth functions of mass for the parameters of the signal: weighted polynomials and monotone cubics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.polynomial import legendre
from scipy.interpolate import PchipInterpolator

from darkfactory.config.templates import Curve
from darkfactory.core.errors import RunError
from darkfactory.records.histogram import FloatArray

__all__ = ["SmoothCurve", "fit_curve"]


@dataclass(frozen=True)
class SmoothCurve:
    """A function of mass; outside the masses that it was made from it keeps its end values.

    Attributes:
        kind: ``polynomial`` or ``pchip``.
        variable: ``mass`` or ``log_mass``.
        low, high: range of the variable.
        numbers: Legendre coefficients on [low, high], or values at the knots.
        knots: values of the variable, for pchip.
        offset: for ``log_observable``, what is subtracted from the squared mass, in GeV^2.
    """

    kind: str
    variable: str
    low: float
    high: float
    numbers: tuple[float, ...]
    knots: tuple[float, ...] = ()
    offset: float = 0.0

    def __call__(self, mass: npt.ArrayLike) -> FloatArray:
        """Value at masses in GeV."""
        m = np.asarray(mass, dtype=float)
        x = _variable(m, self.variable, self.offset)
        x = np.clip(x, self.low, self.high)
        if len(self.numbers) == 1:
            return np.full(x.shape, self.numbers[0])
        if self.kind == "pchip":
            return np.asarray(PchipInterpolator(self.knots, self.numbers)(x))
        return np.asarray(legendre.legval(2.0 * (x - self.low) / (self.high - self.low) - 1.0, np.array(self.numbers)))

    def to_dict(self) -> dict[str, Any]:
        """JSON-like form."""
        return asdict(self) | {"numbers": list(self.numbers), "knots": list(self.knots)}

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> SmoothCurve:
        """Read the form of :meth:`to_dict`."""
        return cls(**{**value, "numbers": tuple(value["numbers"]), "knots": tuple(value["knots"])})


def _variable(mass: FloatArray, name: str, offset: float) -> FloatArray:
    if name == "log_mass":
        return np.asarray(np.log(np.maximum(mass, 1e-12)))
    if name == "log_observable":
        return np.asarray(0.5 * np.log(np.maximum(mass**2 - offset, 1e-12)))
    return mass


def fit_curve(
    masses: Sequence[float], values: Sequence[float], errors: Sequence[float], curve: Curve, offset: float = 0.0
) -> SmoothCurve:
    """Fit a smooth function of mass to measured values.

    A polynomial is a weighted least-squares fit in Legendre polynomials, with weights that fall as 1 / pull^2
    beyond two sigma, so that one bad fit does not bend the curve; its order is lowered to two below the number of
    masses. A monotone cubic (pchip) goes through every value.

    Args:
        masses: in GeV.
        values: at the masses.
        errors: one sigma, positive.
        curve: kind, order and variable.
        offset: of the observable (``log_observable``), in GeV^2.

    Raises:
        RunError: no values.

    Example:
        >>> c = fit_curve([1.0, 2.0, 3.0, 4.0], [1.0, 4.0, 9.0, 16.0], [0.1] * 4, Curve(order=2))
        >>> print(round(float(c(2.5)), 6))
        6.25
    """
    if len(masses) == 0:
        raise RunError("signal shape: no mass has enough events for a shape; generate more or lower min_events")
    order = np.argsort(masses, kind="stable")
    m = np.asarray(masses, dtype=float)[order]
    y, e = np.asarray(values, dtype=float)[order], np.asarray(errors, dtype=float)[order]
    x = _variable(m, curve.variable, offset)
    low, high = float(x[0]), float(x[-1])
    if len(x) == 1 or high <= low:
        return SmoothCurve(curve.kind, curve.variable, low, high, (float(np.average(y, weights=e**-2)),), (), offset)
    if curve.kind == "pchip":
        return SmoothCurve("pchip", curve.variable, low, high, tuple(map(float, y)), tuple(map(float, x)), offset)
    degree = min(curve.order, max(len(x) - 2, 1 if len(x) == 2 else 0))
    basis = legendre.legvander(2.0 * (x - low) / (high - low) - 1.0, degree)
    robust = np.ones(len(x))
    for _ in range(20):
        root = np.sqrt(robust) / e
        coefficients, *_ = np.linalg.lstsq(basis * root[:, None], y * root, rcond=None)
        # chi2 per degree of freedom above one means that the errors miss something: the cut follows it
        pull = np.abs(y - basis @ coefficients) / e
        pull /= max(1.0, float(np.median(pull)) / 0.6745)
        robust = np.where(pull > 2.0, (2.0 / np.maximum(pull, 2.0)) ** 2, 1.0)
    return SmoothCurve("polynomial", curve.variable, low, high, tuple(map(float, coefficients)), (), offset)
