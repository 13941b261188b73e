"""Corrections of control samples as weights of simulated candidates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkfactory.core.errors import InputError
from darkfactory.records.correction import Correction

__all__ = ["Applied", "correction_factors", "with_corrections"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Applied:
    """A correction as a search uses it.

    Attributes:
        correction: the factors.
        objects: input of the correction to column of the candidates, one mapping an object.
        trigger: the factor is one of what the trigger keeps: weights before the trigger do not change.
    """

    correction: Correction
    objects: tuple[Mapping[str, str], ...]
    trigger: bool = False


def correction_factors(
    columns: Mapping[str, np.ndarray], correction: Correction, objects: Sequence[Mapping[str, str]]
) -> dict[str, FloatArray]:
    """Factors of the candidates: the product over their objects, nominal, up and down.

    Errors of the objects of a candidate go together: with relative errors r of each, up is the product of 1 + r.

    Args:
        columns: of the candidates.
        correction: the correction.
        objects: input of the correction to column, one mapping an object.

    Raises:
        InputError: an input without a column, or a column that is not there.

    Example:
        >>> two = Correction("id", "", ("p",), (np.array([0.0, 9.0]),), {"nominal": np.array([0.9]),
        ...                  "up": np.array([1.0]), "down": np.array([0.8])})
        >>> found = correction_factors({"a": np.ones(1), "b": np.ones(1)}, two, [{"p": "a"}, {"p": "b"}])
        >>> {k: v.round(6).tolist() for k, v in found.items()}
        {'nominal': [0.81], 'up': [1.0], 'down': [0.64]}
    """
    size = len(next(iter(columns.values())))
    found = {side: np.ones(size) for side in ("nominal", "up", "down") if side in correction.factors}
    for chosen in objects:
        if set(chosen) != set(correction.inputs):
            raise InputError(
                f"correction {correction.name!r} has the inputs {sorted(correction.inputs)}, given are "
                f"{sorted(chosen)}; name a column for each"
            )
        missing = [c for c in chosen.values() if c not in columns]
        if missing:
            raise InputError(
                f"correction {correction.name!r}: no columns {missing} among the candidates; there are "
                f"{sorted(columns)}"
            )
        values = [columns[chosen[name]] for name in correction.inputs]
        for side in found:
            found[side] = found[side] * correction(values, side)
    return found


def with_corrections(columns: Mapping[str, np.ndarray], applied: Mapping[str, Applied]) -> dict[str, Any]:
    """Candidates with corrected weights and the variations ``var_<nuisance>_up`` and ``_down`` of each correction.

    Args:
        columns: of the candidates, with ``weight`` and ``weight_untriggered``.
        applied: by nuisance; its variations replace those of that name.

    Example:
        >>> one = Correction("id", "", ("p",), (np.array([0.0, 9.0]),), {"nominal": np.array([0.5]),
        ...                  "up": np.array([0.6]), "down": np.array([0.4])})
        >>> found = with_corrections({"weight": np.array([2.0]), "p": np.ones(1)}, {"id": Applied(one, ({"p": "p"},))})
        >>> found["weight"].tolist(), round(float(found["var_id_up"][0]), 4)
        ([1.0], 1.2)
    """
    found = dict(columns)
    for nuisance, one in applied.items():
        factors = correction_factors(columns, one.correction, one.objects)
        nominal = factors["nominal"]
        for name in ("weight",) if one.trigger else ("weight", "weight_untriggered"):
            if name in found:
                found[name] = found[name] * nominal
        for side in ("up", "down"):
            if side in factors:
                varied = np.divide(factors[side], nominal, out=np.ones_like(nominal), where=nominal > 0)
                found[f"var_{nuisance}_{side}"] = varied.astype(np.float32)
    return found
