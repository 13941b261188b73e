"""Formulas over arrays in configuration files: checked when the file is read, evaluated with NumPy.

A formula is text such as ``hypot(a*pt, b/beta, c*exp(-pt/p0))`` with named constants, each with its source
tag. Only the names listed for its place, its own constants and the functions below may occur; nothing of
Python is reachable from it.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from functools import lru_cache, reduce
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import AfterValidator, Field, model_validator

from darkfactory.config.base import Source, StrictModel, Tagged
from darkfactory.core.errors import ConfigError

__all__ = ["FUNCTIONS", "Formula", "Table", "evaluate", "names_in", "variables"]

FloatArray: TypeAlias = npt.NDArray[np.float64]
_Value: TypeAlias = Any


def _hypot(*terms: _Value) -> _Value:
    return np.sqrt(reduce(np.add, [np.square(t) for t in terms]))


FUNCTIONS: Mapping[str, tuple[Callable[..., _Value], int, int]] = {
    "hypot": (_hypot, 1, 8),
    "exp": (np.exp, 1, 1),
    "log": (np.log, 1, 1),
    "sqrt": (np.sqrt, 1, 1),
    "sin": (np.sin, 1, 1),
    "cos": (np.cos, 1, 1),
    "tan": (np.tan, 1, 1),
    "tanh": (np.tanh, 1, 1),
    "abs": (np.abs, 1, 1),
    "min": (lambda *a: reduce(np.minimum, a), 2, 8),
    "max": (lambda *a: reduce(np.maximum, a), 2, 8),
}
"""Name: (NumPy function, least and largest number of arguments)."""

_BINARY: Mapping[type[ast.operator], Callable[[_Value, _Value], _Value]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Pow: np.power,
}
_COMPARE: Mapping[type[ast.cmpop], Callable[[_Value, _Value], _Value]] = {
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
}
_ALLOWED = "+ - * / **, < <= > >=, 'a if c else b', numbers and " + ", ".join(sorted(FUNCTIONS))
_LONGEST = 500


def _check(node: ast.expr, text: str) -> None:
    """Refuse every construct that evaluation does not know."""
    children: list[ast.expr]
    match node:
        case ast.Constant(value=bool()):
            children = []
            raise ConfigError(f"formula {text!r}: {node.value!r} is no number; allowed are {_ALLOWED}")
        case ast.Constant(value=int() | float()) | ast.Name():
            children = []
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _BINARY:
            children = [left, right]
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
            children = [operand]
        case ast.Compare(left=left, ops=[operation], comparators=[right]) if type(operation) in _COMPARE:
            children = [left, right]
        case ast.IfExp(test=test, body=body, orelse=orelse):
            children = [test, body, orelse]
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in FUNCTIONS:
            _, least, most = FUNCTIONS[name]
            if not least <= len(args) <= most or any(isinstance(a, ast.Starred) for a in args):
                raise ConfigError(f"formula {text!r}: {name} takes {least} to {most} arguments, not {len(args)}")
            children = list(args)
        case _:
            raise ConfigError(f"formula {text!r}: {ast.unparse(node)!r} is not allowed; allowed are {_ALLOWED}")
    for child in children:
        _check(child, text)


@lru_cache(maxsize=1024)
def _parse(text: str) -> ast.expr:
    if len(text) > _LONGEST:
        raise ConfigError(f"formula of {len(text)} characters; at most {_LONGEST} are allowed")
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ConfigError(f"formula {text!r} cannot be read ({error}); allowed are {_ALLOWED}") from error
    _check(tree.body, text)
    return tree.body


def _value(node: ast.expr, names: Mapping[str, _Value]) -> _Value:
    match node:
        case ast.Constant(value=value):
            return float(value)  # type: ignore[arg-type]  # _check lets only numbers through
        case ast.Name(id=name):
            return names[name]
        case ast.BinOp(left=left, op=operator, right=right):
            return _BINARY[type(operator)](_value(left, names), _value(right, names))
        case ast.UnaryOp(op=sign, operand=operand):
            value = _value(operand, names)
            return np.negative(value) if isinstance(sign, ast.USub) else value
        case ast.Compare(left=left, ops=[operation], comparators=[right]):
            return _COMPARE[type(operation)](_value(left, names), _value(right, names))
        case ast.IfExp(test=test, body=body, orelse=orelse):
            return np.where(_value(test, names), _value(body, names), _value(orelse, names))
        case ast.Call(func=ast.Name(id=name), args=args):
            return FUNCTIONS[name][0](*(_value(a, names) for a in args))
    raise ConfigError(f"formula part {ast.unparse(node)!r} is not allowed; allowed are {_ALLOWED}")


def names_in(text: str) -> frozenset[str]:
    """The names (not functions) that a formula needs.

    Raises:
        ConfigError: unreadable or forbidden text.

    Example:
        >>> sorted(names_in("hypot(a*pt, b)"))
        ['a', 'b', 'pt']
    """
    tree = _parse(text)
    called = {id(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)}
    return frozenset(n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and id(n) not in called)


def evaluate(text: str, names: Mapping[str, npt.ArrayLike]) -> FloatArray:
    """Value of a formula, broadcast over the arrays given for its names.

    Raises:
        ConfigError: unreadable text or a name without a value.

    Example:
        >>> float(evaluate("hypot(3*x, 4)", {"x": 1.0}))
        5.0
        >>> evaluate("0.1 if r < 2 else 0.5", {"r": np.array([1.0, 3.0])})
        array([0.1, 0.5])
    """
    missing = sorted(names_in(text) - set(names))
    if missing:
        raise ConfigError(f"formula {text!r}: no value for {missing}; known names are {sorted(names)}")
    values = {k: np.asarray(v, dtype=np.float64) for k, v in names.items()}
    return np.asarray(_value(_parse(text), values), dtype=np.float64)


class Formula(StrictModel):
    """A formula and its constants.

    Example:
        >>> f = Formula(formula="hypot(a*pt, b)", constants={
        ...     "a": Tagged(value=0.003, source="recalled"), "b": Tagged(value=0.004, source="recalled")})
        >>> f(pt=np.array([0.0, 1.0]))
        array([0.004, 0.005])
    """

    formula: str
    """Text, for example ``hypot(a*pt, b/beta)``."""
    constants: dict[str, Tagged] = Field(default_factory=dict)
    """The constants in it, each with its source tag."""
    note: str = ""
    """Where the form comes from."""

    @model_validator(mode="after")
    def _readable(self) -> Formula:
        try:
            used = names_in(self.formula)
        except ConfigError as error:
            raise ValueError(str(error)) from error
        unused = sorted(set(self.constants) - used)
        if unused:
            raise ValueError(f"formula {self.formula!r} does not use its constants {unused}; remove them")
        return self

    @property
    def needs(self) -> frozenset[str]:
        """The variables: names that are no constants."""
        return names_in(self.formula) - set(self.constants)

    def __call__(self, **values: npt.ArrayLike) -> FloatArray:
        """Evaluate; variables by name, arrays of one shape or scalars."""
        shape = np.broadcast_shapes(*(np.shape(v) for v in values.values()))
        constants = {k: c.value for k, c in self.constants.items()}
        result = evaluate(self.formula, {**values, **constants})
        return np.broadcast_to(result, shape) if result.shape != shape else result


def variables(*allowed: str) -> AfterValidator:
    """Validator for a field of type Formula: its variables are among these, and it is finite where all are 1.

    Example:
        >>> from pydantic import TypeAdapter
        >>> from typing import Annotated
        >>> TypeAdapter(Annotated[Formula, variables("E")]).validate_python({"formula": "E + 1"}).needs
        frozenset({'E'})
    """

    def check(value: Formula) -> Formula:
        unknown = sorted(value.needs - set(allowed))
        if unknown:
            raise ValueError(
                f"formula {value.formula!r}: {unknown} are neither constants nor variables; "
                f"variables here are {list(allowed)}; give constants under 'constants'"
            )
        with np.errstate(all="ignore"):
            probe = value(**dict.fromkeys(allowed, 1.0))
        if not np.all(np.isfinite(probe)):
            raise ValueError(f"formula {value.formula!r} is {float(probe)} where all its variables are 1")
        return value

    return AfterValidator(check)


class Table(StrictModel):
    """A piecewise-linear function, constant beyond its ends.

    Example:
        >>> t = Table(x=[0.0, 10.0], y=[1.0, 0.0], source="assumed")
        >>> t(np.array([-1.0, 5.0, 20.0]))
        array([1. , 0.5, 0. ])
    """

    x: tuple[float, ...] = Field(min_length=2)
    """Increasing abscissae."""
    y: tuple[float, ...] = Field(min_length=2)
    """Values at them."""
    source: Source
    """published, derived, measured, recalled or assumed."""
    note: str = ""
    """Where the numbers come from."""

    @model_validator(mode="after")
    def _shape(self) -> Table:
        if len(self.x) != len(self.y):
            raise ValueError(f"table has {len(self.x)} x and {len(self.y)} y; give one y for each x")
        if any(b <= a for a, b in zip(self.x, self.x[1:], strict=False)):
            raise ValueError(f"table x = {list(self.x)} must increase")
        return self

    def __call__(self, x: npt.ArrayLike) -> FloatArray:
        """Interpolate."""
        return np.asarray(np.interp(np.asarray(x, dtype=np.float64), self.x, self.y), dtype=np.float64)
