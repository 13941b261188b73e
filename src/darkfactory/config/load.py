"""Reading YAML files, merging them, and turning validation failures into one clear message."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from darkfactory.core.errors import ConfigError

__all__ = ["deep_merge", "parse_override", "plain_copy", "read_yaml", "validate"]

Model = TypeVar("Model", bound=BaseModel)


class _UniqueKeyLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # chosen when imported
    """Refuses a key that is given twice, which YAML would silently let the last one win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=deep)
            if key in seen:
                raise ConfigError(f"key {key!r} is given twice (line {key_node.start_mark.line + 1}); keep one of them")
            seen.add(key)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        return mapping


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Read one YAML mapping.

    Raises:
        ConfigError: no such file, no YAML, or no mapping.
    """
    path = Path(path)
    try:
        # SafeLoader subclass: no arbitrary objects
        value = yaml.load(path.read_text(), Loader=_UniqueKeyLoader)
    except FileNotFoundError as error:
        near = sorted(p.stem for p in path.parent.glob("*.yaml")) if path.parent.is_dir() else []
        raise ConfigError(f"no such file; {path.parent} has {near or 'no YAML files'}", file=str(path)) from error
    except ConfigError as error:
        raise ConfigError(error.message, file=str(path)) from error
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise ConfigError(f"cannot be read: {reason}; give a YAML file", file=str(path)) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark is not None else ""
        raise ConfigError(f"{line}{getattr(error, 'problem', error)}; mend the YAML", file=str(path)) from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ConfigError(f"holds a {type(value).__name__}, not a mapping of keys", file=str(path))
    return value


def plain_copy(value: Any) -> Any:
    """A copy of what YAML holds: mappings and lists are new, all else is immutable.

    Example:
        >>> a = {"b": [1, 2]}
        >>> plain_copy(a)["b"] is a["b"]
        False
    """
    if isinstance(value, Mapping):
        return {k: plain_copy(v) for k, v in value.items()}
    if isinstance(value, list):
        return [plain_copy(v) for v in value]
    return value


def deep_merge(base: Mapping[str, Any], *overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Merge mappings, later ones winning; lists are replaced, not joined; arguments are not changed.

    Example:
        >>> deep_merge({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}})
        {'a': {'b': 3, 'c': 2}}
    """
    result: dict[str, Any] = plain_copy(base)
    for override in overrides:
        for key, value in override.items():
            if isinstance(value, Mapping) and isinstance(result.get(key), dict):
                result[key] = deep_merge(result[key], value)
            else:
                result[key] = plain_copy(value)
    return result


def parse_override(text: str) -> dict[str, Any]:
    """A nested mapping from ``a.b.c=value`` of the command line; the value is read as YAML.

    Raises:
        ConfigError: no ``=`` in it.

    Example:
        >>> parse_override("events.signal=500")
        {'events': {'signal': 500}}
    """
    path, equals, value = text.partition("=")
    if not equals or not path.strip():
        raise ConfigError(f"{text!r} is no setting; write --set path.to.key=value")
    try:
        result: Any = yaml.safe_load(value)
    except yaml.YAMLError as error:
        problem = getattr(error, "problem", error)
        raise ConfigError(f"--set: the value in {text!r} is no YAML: {problem}; mend or quote it") from error
    for key in reversed(path.strip().split(".")):
        result = {key: result}
    return dict(result)


def _path(location: tuple[int | str, ...]) -> str:
    text = ""
    for part in location:
        # how a value was tried says nothing to who wrote it
        if isinstance(part, str) and part.startswith("function-"):
            continue
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _known_keys(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """Field names of the (possibly nested) model in which the last part of a location was not found."""
    current: Any = model
    for part in location[:-1]:
        if isinstance(part, int):
            continue
        fields = getattr(current, "model_fields", None)
        if fields is None or part not in fields:
            continue
        current = _model_in(fields[part].annotation) or current
    return list(getattr(current, "model_fields", {}))


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _model_in(argument)
        if found is not None:
            return found
    return None


def validate(model: type[Model], value: Any, *, file: str = "", where: str = "") -> Model:
    """Build a model from YAML values; the first failure becomes a :class:`ConfigError` with its path.

    Args:
        model: the pydantic model.
        value: what the YAML holds.
        file: name of the file, for the message.
        where: path of ``value`` inside the file.

    Raises:
        ConfigError: with the path in the file, the value and what is allowed.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        location = tuple(p for p in first["loc"])
        path = ".".join(p for p in (where, _path(location)) if p)
        more = error.error_count() - 1
        tail = f" (and {more} more)" if more else ""
        if first["type"] == "extra_forbidden":
            known = _known_keys(model, location)
            near = difflib.get_close_matches(str(location[-1]), known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else "."
            message = f"unknown key{hint} Allowed here: {', '.join(known)}{tail}"
        elif first["type"] == "missing":
            message = f"this key is required{tail}"
        elif first["type"] == "model_type" and first.get("ctx", {}).get("class_name") == "Tagged":
            shown = repr(first["input"])[:80]
            message = f"write the number with its source, {{value: {shown}, source: assumed}}, got {shown}{tail}"
        else:
            shown = repr(first["input"])
            message = f"{first['msg'].removeprefix('Value error, ')}, got {shown[:80]}{tail}"
        raise ConfigError(message, where=path, file=file) from error
