"""Corrections: binned factors with variations, read and written in the format of correctionlib (schema 2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkfactory.core.errors import InputError

__all__ = ["VARIATION", "Correction", "corrections_from_dict", "corrections_from_table", "corrections_to_dict"]

FloatArray = NDArray[np.float64]
VARIATION = "variation"
"""Name of the input that tells nominal factors from varied ones."""


@dataclass(frozen=True, eq=False)
class Correction:
    """One correction.

    Attributes:
        name: its name.
        description: what is corrected.
        inputs: names of the variables, one an axis.
        edges: of the bins of each axis; values beyond them count for the first and the last bin.
        factors: variation (``nominal``, ``up``, ``down`` and others) to factors, shape (bins of each axis).
    """

    name: str
    description: str
    inputs: tuple[str, ...]
    edges: tuple[FloatArray, ...]
    factors: Mapping[str, FloatArray]

    def __call__(self, values: Sequence[Any], variation: str = "nominal") -> FloatArray:
        """Factors of entries.

        Args:
            values: of each input, shape (n,) each.
            variation: which factors.

        Raises:
            InputError: no such variation, or a value that is no number.

        Example:
            >>> one = Correction("id", "", ("p",), (np.array([0.0, 1.0, 2.0]),), {"nominal": np.array([0.9, 1.1])})
            >>> one([np.array([-1.0, 0.5, 1.0, 7.0])]).tolist()
            [0.9, 0.9, 1.1, 1.1]
        """
        if variation not in self.factors:
            raise InputError(f"correction {self.name!r} has no variation {variation!r}; it has {sorted(self.factors)}")
        index = []
        for name, value, edges in zip(self.inputs, values, self.edges, strict=True):
            x = np.asarray(value, dtype=float)
            if np.isnan(x).any():
                raise InputError(f"correction {self.name!r}: {name} is no number for {int(np.isnan(x).sum())} entries")
            index.append(np.clip(np.searchsorted(edges, x, side="right") - 1, 0, len(edges) - 2))
        return np.asarray(self.factors[variation][tuple(index)], dtype=float)

    def to_dict(self) -> dict[str, Any]:
        """One entry of ``corrections``."""
        inputs = [{"name": VARIATION, "type": "string", "description": "nominal, up, down, or a part of the error"}]
        return {
            "name": self.name,
            "description": self.description,
            "version": 1,
            "inputs": [*inputs, *({"name": name, "type": "real"} for name in self.inputs)],
            "output": {"name": "factor", "type": "real", "description": "data over simulation"},
            "data": {
                "nodetype": "category",
                "input": VARIATION,
                "content": [
                    {
                        "key": key,
                        "value": {
                            "nodetype": "multibinning",
                            "inputs": list(self.inputs),
                            "edges": [e.tolist() for e in self.edges],
                            "content": values.ravel().tolist(),
                            "flow": "clamp",
                        },
                    }
                    for key, values in self.factors.items()
                ],
            },
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any], where: str = "") -> Correction:
        """Read one entry: a category of binned factors, or binned factors without variations.

        Raises:
            InputError: a kind of content that is not read here, named with its place.
        """
        name = str(value.get("name"))
        data = value["data"]
        category = isinstance(data, Mapping) and data.get("nodetype") == "category"
        nodes = {c["key"]: c["value"] for c in data["content"]} if category else {"nominal": data}
        if "nominal" not in nodes:
            raise InputError(f"{where}: correction {name!r}: no factors `nominal`; there are {sorted(nodes)}")
        inputs, edges = _axes(nodes["nominal"], f"{where}: correction {name!r}")
        factors = {}
        for key, node in nodes.items():
            own, bins = _axes(node, f"{where}: correction {name!r}, {key}")
            if own != inputs or any(not np.array_equal(a, b) for a, b in zip(bins, edges, strict=True)):
                raise InputError(f"{where}: correction {name!r}: {key!r} and 'nominal' are binned differently")
            shape = tuple(len(e) - 1 for e in edges)
            content = np.asarray(node["content"], dtype=float)
            if content.size != int(np.prod(shape)) or not np.isfinite(content).all():
                raise InputError(f"{where}: correction {name!r}: {key!r} needs {np.prod(shape)} finite factors")
            factors[key] = content.reshape(shape)
        return cls(name, str(value.get("description") or ""), inputs, edges, factors)


def _axes(node: Any, where: str) -> tuple[tuple[str, ...], tuple[FloatArray, ...]]:
    kind = node.get("nodetype") if isinstance(node, Mapping) else type(node).__name__
    if kind == "binning":
        names, edges = [node["input"]], [node["edges"]]
    elif kind == "multibinning":
        names, edges = node["inputs"], node["edges"]
    else:
        raise InputError(f"{where}: {kind} is not read here; give binning, multibinning or a category of them")
    if node.get("flow") != "clamp":
        raise InputError(f"{where}: flow {node.get('flow')!r}; only 'clamp' is read here")
    for e in edges:
        if not isinstance(e, Sequence) or np.any(np.diff(np.asarray(e, dtype=float)) <= 0):
            raise InputError(f"{where}: edges {e} must be rising numbers")
    return tuple(names), tuple(np.asarray(e, dtype=float) for e in edges)


def corrections_to_dict(corrections: Sequence[Correction], description: str) -> dict[str, Any]:
    """The content of a file."""
    return {"schema_version": 2, "description": description, "corrections": [c.to_dict() for c in corrections]}


def corrections_from_dict(value: Mapping[str, Any], where: str) -> dict[str, Correction]:
    """Name to correction of the content of a file.

    Raises:
        InputError: another schema, or content that is not read here.
    """
    if value.get("schema_version") != 2 or "corrections" not in value:
        raise InputError(
            f"{where}: schema_version {value.get('schema_version')!r}; give a file of correctionlib's schema 2"
        )
    found = [Correction.from_dict(c, where) for c in value["corrections"]]
    return {c.name: c for c in found}


def corrections_from_table(rows: Sequence[Mapping[str, Any]], name: str, where: str) -> list[Correction]:
    """Corrections of a table with a row for each bin: ``<input>_low`` and ``<input>_high``, ``factor``, ``error``.

    In place of ``error`` (of both signs alike; without it there is none) there may be columns ``up`` and ``down``, the
    varied factors. A column ``correction`` has the name, where a table has several.

    Args:
        rows: of the table.
        name: of a correction whose rows have none.
        where: for messages.

    Raises:
        InputError: a column is missing, a cell is no number, or the bins do not cover a grid once.

    Example:
        >>> rows = [{"p_low": 0, "p_high": 1, "factor": 0.9, "error": 0.1},
        ...         {"p_low": 1, "p_high": 2, "factor": 1.1, "error": 0.2}]
        >>> one, = corrections_from_table(rows, "tracking", "t.csv")
        >>> one.inputs, one([[0.5, 1.5]], "up").round(3).tolist()
        (('p',), [1.0, 1.3])
    """
    columns = list(rows[0]) if rows else []
    inputs = tuple(c.removesuffix("_low") for c in columns if c.endswith("_low"))
    absent = [f"{i}_high" for i in inputs if f"{i}_high" not in columns] + [c for c in ["factor"] if c not in columns]
    if not inputs or absent:
        raise InputError(
            f"{where}: a table of corrections has columns <input>_low and <input>_high for each input, factor, and "
            f"error or up and down; it has {columns}"
        )
    values = [c for c in ("factor", "error", "up", "down") if c in columns]
    for number, row in enumerate(rows, start=1):
        for column in (*(f"{i}_{end}" for i in inputs for end in ("low", "high")), *values):
            if not isinstance(row[column], int | float) or not np.isfinite(row[column]):
                raise InputError(
                    f"{where}: {column} is {row[column]!r} in row {number} of the table; it must be a number"
                )
    families: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        families.setdefault(str(row.get("correction") or name), []).append(row)
    return [_from_bins(own, key, inputs, f"{where}: correction {key!r}") for key, own in families.items()]


def _from_bins(rows: Sequence[Mapping[str, Any]], name: str, inputs: tuple[str, ...], where: str) -> Correction:
    """One correction from its bins, in any order."""
    edges = tuple(np.unique([float(r[f"{i}_{end}"]) for r in rows for end in ("low", "high")]) for i in inputs)
    shape = tuple(len(e) - 1 for e in edges)
    seen = np.zeros(shape, dtype=int)
    factors = {"nominal": np.ones(shape)}
    if "error" in rows[0] or "up" in rows[0]:
        factors |= {"up": np.ones(shape), "down": np.ones(shape)}
    for r in rows:
        low = tuple(int(np.searchsorted(e, float(r[f"{i}_low"]))) for i, e in zip(inputs, edges, strict=True))
        high = tuple(int(np.searchsorted(e, float(r[f"{i}_high"]))) for i, e in zip(inputs, edges, strict=True))
        if any(b != a + 1 for a, b in zip(low, high, strict=True)):
            bins = {i: [r[f"{i}_low"], r[f"{i}_high"]] for i in inputs}
            raise InputError(f"{where}: the bin {bins} is empty or overlaps others; bins are those of a grid")
        seen[low] += 1
        factor, error = float(r["factor"]), float(r.get("error", 0.0))
        factors["nominal"][low] = factor
        if "up" in factors:
            factors["up"][low] = float(r.get("up", factor + error))
            factors["down"][low] = float(r.get("down", factor - error))
    if (seen != 1).any():
        raise InputError(
            f"{where}: {int((seen == 0).sum())} bins of its grid are missing and {int((seen > 1).sum())} are there "
            "twice; give each bin once"
        )
    return Correction(name, "", inputs, edges, factors)
