"""Arithmetic of named parameters in YAML: ``sqrt(4 * pi * alpha)``, nothing else.

Numbers, parameters by name, ``pi``, ``+ - * / **``, brackets, and ``sqrt``, ``exp``, ``log``, ``abs``.
"""

from __future__ import annotations

import ast
import difflib
import math
from collections.abc import Callable, Mapping

from darkfactory.core.errors import ConfigError

__all__ = ["evaluate", "names_in", "resolve_parameters"]

_LONGEST = 500
_FUNCTIONS: Mapping[str, Callable[[float], float]] = {
    "sqrt": math.sqrt,
    "exp": math.exp,
    "log": math.log,
    "abs": abs,
}
_BINARY: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.Pow: lambda a, b: math.pow(a, b),
}
_CONSTANTS: Mapping[str, float] = {"pi": math.pi}
_ALLOWED = "numbers, parameters, pi, + - * / **, brackets, sqrt, exp, log and abs are allowed"


def _parse(text: str, where: str) -> ast.expr:
    if len(text) > _LONGEST:
        raise ConfigError(f"expression of {len(text)} characters; at most {_LONGEST} are allowed", where=where)
    try:
        return ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        raise ConfigError(f"{text!r} is no expression ({error.msg}); {_ALLOWED}", where=where) from error


def names_in(text: str, where: str = "") -> tuple[str, ...]:
    """Parameters that an expression uses, sorted.

    Raises:
        ConfigError: the text is no expression.

    Example:
        >>> names_in("sqrt(4 * pi * alpha) * eps")
        ('alpha', 'eps')
    """
    tree = _parse(text, where)
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and id(n) not in called}
    return tuple(sorted(names - set(_CONSTANTS)))


def evaluate(text: str, parameters: Mapping[str, float], where: str = "") -> float:
    """Value of an expression.

    Args:
        text: the expression.
        parameters: values by name.
        where: path of the expression in its file, for messages.

    Raises:
        ConfigError: unknown name, forbidden syntax, or no finite number (division by zero, root of -1).

    Example:
        >>> evaluate("2 * e_D * m_Ap", {"e_D": 0.5, "m_Ap": 3.0})
        3.0
    """

    def value(node: ast.expr) -> float:
        match node:
            case ast.Constant(value=bool()):
                pass
            case ast.Constant(value=int() | float() as number):
                return float(number)
            case ast.Name(id=name) if name in parameters:
                return float(parameters[name])
            case ast.Name(id=name) if name in _CONSTANTS:
                return _CONSTANTS[name]
            case ast.Name(id=name):
                near = difflib.get_close_matches(name, parameters, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise ConfigError(
                    f"unknown name {name!r} in {text!r}{hint} Known parameters: {sorted(parameters)}", where=where
                )
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -value(operand)
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return value(operand)
            case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _BINARY:
                return _BINARY[type(operator)](value(left), value(right))
            case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]) if name in _FUNCTIONS:
                return _FUNCTIONS[name](value(argument))
            case _:
                pass
        raise ConfigError(f"{ast.unparse(node)!r} is not allowed in {text!r}; {_ALLOWED}", where=where)

    try:
        result = value(_parse(text, where))
    except (ArithmeticError, ValueError) as error:
        raise ConfigError(f"{text!r} has no value for {dict(parameters)}: {error}", where=where) from error
    if not math.isfinite(result):
        raise ConfigError(f"{text!r} is not finite; parameters {dict(parameters)}", where=where)
    return result


def resolve_parameters(
    definitions: Mapping[str, float | str], overrides: Mapping[str, float] | None = None, where: str = "parameters"
) -> dict[str, float]:
    """Values of all parameters, the dependent ones evaluated after the overrides.

    Raises:
        ConfigError: an override of an unknown parameter, or parameters that depend on each other in a circle.

    Example:
        >>> resolve_parameters({"alpha": "1 / 137.036", "e": "sqrt(4 * pi * alpha)"}, {"alpha": 0.01})["e"]
        0.354490770181103
    """
    given = dict(overrides or {})
    for name in given:
        if name not in definitions:
            near = difflib.get_close_matches(name, definitions, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ConfigError(f"unknown parameter {name!r}{hint} Known: {sorted(definitions)}", where=where)
    values: dict[str, float] = {}
    pending: dict[str, str] = {}
    for name, definition in definitions.items():
        if name in given:
            values[name] = float(given[name])
        elif isinstance(definition, str):
            pending[name] = definition
        else:
            values[name] = float(definition)
    while pending:
        # a name that is defined nowhere must be reported by evaluate, not as a circle
        ready = [n for n, text in pending.items() if not any(m in pending for m in names_in(text, f"{where}.{n}"))]
        if not ready:
            raise ConfigError(f"parameters {sorted(pending)} depend on each other in a circle", where=where)
        for name in ready:
            values[name] = evaluate(pending.pop(name), values, f"{where}.{name}")
    return {name: values[name] for name in definitions}
