"""Corrections of control samples as weights of simulated candidates."""

from __future__ import annotations

import dataclasses
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
        nuisance: of its variations; the name that it is given under if empty.
        weight: False: weights do not change, the factor becomes columns.
    """

    correction: Correction
    objects: tuple[Mapping[str, str], ...]
    trigger: bool = False
    nuisance: str = ""
    weight: bool = True


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
        values = _inputs(columns, correction, chosen)
        for side in found:
            found[side] = found[side] * correction(values, side)
    return found


def _inputs(columns: Mapping[str, np.ndarray], correction: Correction, chosen: Mapping[str, str]) -> list[np.ndarray]:
    """Columns of the inputs of a correction, in their order."""
    if set(chosen) != set(correction.inputs):
        raise InputError(
            f"correction {correction.name!r} has the inputs {sorted(correction.inputs)}, given are "
            f"{sorted(chosen)}; name a column for each"
        )
    missing = [c for c in chosen.values() if c not in columns]
    if missing:
        raise InputError(
            f"correction {correction.name!r}: no columns {missing} among the candidates; there are {sorted(columns)}"
        )
    return [columns[chosen[name]] for name in correction.inputs]


def with_corrections(columns: Mapping[str, np.ndarray], applied: Mapping[str, Applied]) -> dict[str, Any]:
    """Candidates with corrected weights and the variations ``var_<nuisance>_up`` and ``_down`` of each nuisance.

    Args:
        columns: of the candidates, with ``weight`` and ``weight_untriggered``.
        applied: by name; variations replace those of their nuisance, and those of one nuisance multiply.

    Example:
        >>> one = Correction("id", "", ("p",), (np.array([0.0, 9.0]),), {"nominal": np.array([0.5]),
        ...                  "up": np.array([0.6]), "down": np.array([0.4])})
        >>> found = with_corrections({"weight": np.array([2.0]), "p": np.ones(1)}, {"id": Applied(one, ({"p": "p"},))})
        >>> found["weight"].tolist(), round(float(found["var_id_up"][0]), 4)
        ([1.0], 1.2)
    """
    found = dict(columns)
    done: set[str] = set()
    for name, one in applied.items():
        if not one.weight:
            found |= _as_columns(columns, name, one)
            continue
        nuisance = one.nuisance or name
        factors = correction_factors(columns, one.correction, one.objects)
        nominal = factors["nominal"]
        for column in ("weight",) if one.trigger else ("weight", "weight_untriggered"):
            if column in found:
                found[column] = found[column] * nominal
        for side in ("up", "down"):
            if side in factors:
                varied = np.divide(factors[side], nominal, out=np.ones_like(nominal), where=nominal > 0)
                if nuisance in done:
                    varied = varied * found[f"var_{nuisance}_{side}"]
                found[f"var_{nuisance}_{side}"] = varied.astype(np.float32)
        done.add(nuisance)
    return found


def _as_columns(columns: Mapping[str, np.ndarray], name: str, one: Applied) -> dict[str, FloatArray]:
    """The factor of each candidate, its statistical and systematic errors, and the number of its bin."""
    factors = one.correction.factors
    missing = [v for v in ("stat_up", "syst_up") if v not in factors]
    if missing:
        raise InputError(
            f"correction {one.correction.name!r}: no variations {missing}; a factor that is no weight needs its "
            "errors, as the stage control writes them"
        )
    number = np.arange(factors["nominal"].size, dtype=float).reshape(factors["nominal"].shape)
    numbered = dataclasses.replace(one.correction, factors={**factors, "bin": number})
    (chosen,) = one.objects
    values = _inputs(columns, numbered, chosen)
    nominal = numbered(values)
    return {
        f"factor_{name}": nominal,
        f"stat_{name}": numbered(values, "stat_up") - nominal,
        f"syst_{name}": numbered(values, "syst_up") - nominal,
        f"bin_{name}": numbered(values, "bin"),
    }
