"""Digests of values, arrays and code, equal on every machine."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["canonical_json", "code_digest", "digest_arrays", "digest_value"]


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces; floats by their shortest round-trip form.

    Example:
        >>> canonical_json({"b": 1.5, "a": [1, 2]})
        '{"a":[1,2],"b":1.5}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest_value(value: Any) -> str:
    """Sixteen hexadecimal digits of a JSON-like value.

    Example:
        >>> digest_value({"a": 1}) == digest_value({"a": 1})
        True
    """
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:16]


def digest_arrays(arrays: Mapping[str, np.ndarray]) -> str:
    """Sixteen hexadecimal digits of the names, types, shapes and bytes of arrays.

    Example:
        >>> len(digest_arrays({"x": np.arange(3)}))
        16
    """
    h = hashlib.sha256()
    for name in sorted(arrays):
        a = np.ascontiguousarray(arrays[name])
        h.update(f"{name}|{a.dtype.str}|{a.shape}|".encode())
        h.update(a.tobytes())
    return h.hexdigest()[:16]


@functools.cache
def _folders(package: str) -> tuple[Path, ...]:
    spec = importlib.util.find_spec(package)
    return tuple(Path(p) for p in (spec.submodule_search_locations or ())) if spec is not None else ()


def _source(module: str) -> Path | None:
    """File of a module, found without importing anything: a search by name would import the parents."""
    package, *parts = module.split(".")
    for folder in _folders(package):
        for file in (folder.joinpath(*parts).with_suffix(".py"), folder.joinpath(*parts, "__init__.py")):
            if parts and file.is_file():
                return file
    return None


@functools.cache
def _parsed(path: str, mtime_ns: int) -> tuple[str, tuple[str, ...]]:
    """Digest of a module's syntax tree without docstrings, and the darkfactory names it imports."""
    tree = ast.parse(Path(path).read_text())
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{a.name}" for a in node.names)]
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            body = node.body
            first = body[0].value if body and isinstance(body[0], ast.Expr) else None
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                node.body = body[1:] or [ast.Pass()]
    text = hashlib.sha256(ast.dump(tree).encode()).hexdigest()
    ours = sorted({n for n in names if n == "darkfactory" or n.startswith("darkfactory.")})
    return text, tuple(ours)


def code_digest(*modules: str) -> str:
    """Digest of modules and of every darkfactory module that they import, directly or not.

    Comments, docstrings and formatting do not count: only what changes the syntax tree does, so that a
    stage is rerun exactly when code that it can reach has changed.

    Example:
        >>> code_digest("darkfactory.core.errors") == code_digest("darkfactory.core.errors")
        True
    """
    seen: dict[str, str] = {}
    todo = list(modules)
    while todo:
        name = todo.pop()
        if name in seen or name == "darkfactory":
            continue
        path = _source(name)
        if path is None:
            continue
        text, imports = _parsed(str(path), path.stat().st_mtime_ns)
        seen[name] = text
        todo += imports
    return digest_value(seen)
