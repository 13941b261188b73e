"""What data of a measurement have and simulation has not, and what control samples say of it.

A distortion is a number that scales one column (a momentum scale, a CM energy). Either its size is drawn and a peak of
configured width and number of events measures it; or a control sample was compared with simulation, pseudo-data are
distorted by what the response of its pseudo-data has, and they are corrected with the factors that were found.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from darkfactory.config.formula import Formula
from darkfactory.config.measurement import CorrectionConfig
from darkfactory.core.errors import RunError

__all__ = ["Distortion", "drawn", "found_in", "slope_at"]

Array = NDArray[np.float64]
Columns = Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Distortion:
    """A distortion of pseudo-data.

    Attributes:
        true: what they have, one number or one a candidate.
        measured: what the control sample says.
        record: means of both, ``statistical`` and ``residual`` errors of the same unit, ``slope`` in GeV for a
            distortion of one.
    """

    true: float | Array
    measured: float | Array
    record: dict[str, float]

    @property
    def left(self) -> float | Array:
        """What is left after the correction."""
        return self.true - self.measured


def slope_at(columns: Columns, observable: str, c: CorrectionConfig, near: NDArray[np.bool_]) -> Array:
    """By how much the observable of the candidates moves for a distortion of one, GeV."""
    values = np.asarray(columns[observable], dtype=float)
    return np.asarray((np.asarray(columns[c.column], dtype=float) - values)[near] / c.step)


def drawn(c: CorrectionConfig, slope: float, rng: np.random.Generator) -> Distortion:
    """A distortion of a drawn size, and what a peak of known place says of it."""
    if c.size is None or c.control is None:
        raise RunError("a distortion is drawn from its `size` and measured by its `control`; give both")
    true = float(rng.normal(0.0, c.size.value))
    measured = true + float(rng.normal(0.0, c.control.error))
    record = {
        "true": true, "measured": measured, "statistical": c.control.error, "residual": c.control.residual.value,
        "slope": slope,
    }  # fmt: skip
    return Distortion(true, measured, record)


def found_in(
    name: str,
    data: Columns,
    truth: tuple[Formula, Mapping[str, str]],
    near: Columns,
    moves: Array,
) -> Distortion:
    """A distortion that a control sample found.

    Errors of its bins are independent; the systematic one is common.

    Args:
        name: of the correction, as in the columns ``factor_<name>``, ``stat_<name>``, ``syst_<name>``, ``bin_<name>``.
        data: candidates of the pseudo-data.
        truth: the scale that pseudo-data have, and the columns of its variables.
        near: candidates of the calibration that count for errors, those near the edge.
        moves: by how much their observable moves for a distortion of one, GeV.

    Raises:
        RunError: no columns of the correction.
    """
    missing = [c for c in (f"{kind}_{name}" for kind in ("factor", "stat", "syst", "bin")) if c not in data]
    if missing:
        raise RunError(
            f"measurement: no columns {missing} among the candidates; `corrections.{name}` of the search makes them, "
            "with `weight: false`"
        )
    formula, inputs = truth
    true = formula(**{v: np.asarray(data[inputs[v]], dtype=float) for v in sorted(formula.needs)}) - 1.0
    measured = np.asarray(data[f"factor_{name}"], dtype=float) - 1.0
    weight = np.asarray(near["weight"], dtype=float)
    share = weight / weight.sum()
    slope = float(np.sum(share * moves))
    index = np.asarray(near[f"bin_{name}"]).astype(np.int64)
    by_bin = np.bincount(index, weights=share * moves * np.asarray(near[f"stat_{name}"], dtype=float))
    common = float(np.sum(share * moves * np.asarray(near[f"syst_{name}"], dtype=float)))
    mean = np.asarray(data["weight"], dtype=float)
    record = {
        "true": float(np.average(np.broadcast_to(true, mean.shape), weights=mean)),
        "measured": float(np.average(measured, weights=mean)),
        "statistical": float(np.sqrt(np.sum(by_bin**2))) / abs(slope),
        "residual": abs(common / slope),
        "slope": slope,
    }
    return Distortion(np.asarray(true), measured, record)
