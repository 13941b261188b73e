"""Corrections: binned factors with variations, read and written in the format of correctionlib (schema 2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkfactory.core.errors import InputError

__all__ = ["VARIATION", "Correction", "corrections_from_dict", "corrections_to_dict"]

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
