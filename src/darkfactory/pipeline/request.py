"""What a door hands to a stage: paths in, paths out, and the resolved configuration it needs."""

from __future__ import annotations

import functools
import importlib.metadata
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from darkfactory.core.digest import digest_value

__all__ = ["MAX_FAILED", "Request", "provenance"]

_PACKAGES = ("numpy", "scipy", "awkward", "uproot", "pyhf", "dask", "distributed", "snakemake")


MAX_FAILED = "max_failed_fraction"
"""Key of a specification: which fraction of its chunks a stage may do without; no part of any key."""


@dataclass(frozen=True)
class Request:
    """One job.

    Attributes:
        stage: name of the stage, a module of ``darkfactory.pipeline``.
        inputs: names to a path or a list of paths.
        outputs: names to paths.
        spec: resolved configuration, JSON-like; nothing that does not change the result.
        code: digest of the stage's code and of all that it imports.
    """

    stage: str
    inputs: Mapping[str, Any]
    outputs: Mapping[str, str]
    spec: Mapping[str, Any]
    code: str

    @functools.cached_property
    def key(self) -> str:
        """Digest of stage, code and configuration, without the list of points: parts are keyed by point."""
        spec = {k: v for k, v in self.spec.items() if k not in ("points", MAX_FAILED)}
        return digest_value([self.stage, self.code, spec])

    def to_dict(self) -> dict[str, Any]:
        """JSON-like form."""
        return {k: dict(v) if isinstance(v, Mapping) else v for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Request:
        """Read the form of :meth:`to_dict`."""
        return cls(**{k: value[k] for k in ("stage", "inputs", "outputs", "spec", "code")})

    def input(self, name: str) -> Path:
        """Path of a single input."""
        return Path(self.inputs[name])

    def input_list(self, name: str) -> list[Path]:
        """Paths of an input that is a list."""
        value = self.inputs.get(name, [])
        return [Path(value)] if isinstance(value, str) else [Path(p) for p in value]

    def output(self, name: str) -> Path:
        """Path of an output."""
        return Path(self.outputs[name])


@functools.cache
def _versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in (*_PACKAGES, "darkfactory")}


def provenance(request: Request) -> dict[str, Any]:
    """What an output says of its origin; no time and no path, so that equal results are equal files."""
    seed = request.spec.get("seed")
    return {
        "stage": request.stage,
        "key": request.key,
        "code": request.code,
        "seed": seed,
        "versions": _versions(),
    }
