"""What results rest on without a published or measured value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["tagged"]


def tagged(value: Any, source: str, where: str = "") -> list[dict[str, Any]]:
    """All numbers of a source inside a configuration, with their paths.

    Example:
        >>> tagged({"a": {"eff": {"value": 0.9, "source": "assumed"}}}, "assumed")
        [{'where': 'a.eff', 'value': 0.9, 'source': 'assumed', 'note': ''}]
    """
    found: list[dict[str, Any]] = []
    if isinstance(value, Mapping):
        if value.get("source") == source and "value" in value:
            return [{"where": where, "value": value["value"], "source": source, "note": value.get("note", "")}]
        for key, inner in value.items():
            found += tagged(inner, source, f"{where}.{key}" if where else str(key))
    elif isinstance(value, list | tuple):
        for i, inner in enumerate(value):
            found += tagged(inner, source, f"{where}[{i}]")
    return found
