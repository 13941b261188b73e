"""The language of trigger lines: small, checked when it is loaded, evaluated on whole arrays of events.

A line is a condition on an event::

    n2d >= 2 and open90 and not bha_veto                              quantities, vetoes and lines by name
    n(cluster, e_cms >= 2 and id in 4..14) >= 1                       how many objects fulfil a condition
    sum(cell, e, id in 2..15) > 1.0                                   also max, min (over none: -inf, inf)
    nth(track, 2, p_cms) > 2.5                                        the second largest value
    any_pair(cluster, dphi_cms > 160 and 165 < sum_theta_cms < 190 and both(e_cms > 3) and either(e_cms > 4.5))

Inside the brackets of a collection its columns are names; ``any``, ``all`` and ``n(cluster)`` take one, too.
In a pair there are the pair's columns, ``both``, ``either`` and ``one`` (exactly one) of a condition on its
members, ``one_and_other(condition, condition)``, and ``low`` and ``high`` of a number. Operators:
``and or not``, ``< <= > >= == !=`` in chains, ``in`` with ranges such as ``4..14`` (both ends belong) or
``{2, 3, 15..16}``, ``+ - * /``, ``abs``, ``sqrt``. Conditions and numbers are different types; mixing them is
an error.
"""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from darkfactory.core.errors import ConfigError
from darkfactory.trigger.collections import Collection, Pairs, pair_columns

__all__ = ["Expression", "Kind", "Scope", "Vocabulary", "compile_expression"]

Array = NDArray[Any]
Kind = Literal["condition", "number"]
_RANGE = re.compile(r"(?<=\d)\.\.(?=\s*-?\d)")
_LONGEST = 2000


class Scope(Protocol):
    """What expressions are evaluated on: collections, and values of quantities made once."""

    def collection(self, name: str) -> Collection:
        """The objects of a name."""

    def remembered(self, key: str, make: Callable[[], Array]) -> Array:
        """The value of a key, made at the first request."""


_Run = Callable[[Scope, "Collection | Pairs | None"], Array]


@dataclass(frozen=True)
class Expression:
    """A compiled expression.

    Attributes:
        kind: condition or number.
        run: evaluates; use :meth:`on`.
    """

    kind: Kind
    run: _Run

    def on(self, scope: Scope) -> Array:
        """Values of all events, or one number if the expression is constant."""
        return self.run(scope, None)


@dataclass(frozen=True)
class Vocabulary:
    """The names an expression may use.

    Attributes:
        collections: kinds of the columns of every collection.
        lookup: compiles a quantity, veto or line of a name; None if there is none.
        names: those names, for messages.
    """

    collections: Mapping[str, Mapping[str, Kind]]
    lookup: Callable[[str], Expression | None]
    names: tuple[str, ...]


@dataclass(frozen=True)
class _Context:
    """Where in an expression we are: in no bracket, among the objects, or among the pairs of a collection."""

    collection: str = ""
    pair: bool = False


def compile_expression(
    text: str, vocabulary: Vocabulary, *, where: str = "", file: str = "", collection: str = "", kind: str = ""
) -> Expression:
    """Check and compile an expression.

    Args:
        text: the expression.
        vocabulary: allowed names.
        where: path inside the file, for messages.
        file: name of the file, for messages.
        collection: compile a condition on the objects of this collection instead of on events.
        kind: ``condition`` or ``number``, if it must be one of them.

    Raises:
        ConfigError: what is wrong, at which column, and what is allowed.

    Example:
        >>> words = Vocabulary({"cluster": {"e": "number"}}, lambda name: None, ())
        >>> compile_expression("n(cluster, e > 1) >= 2", words).kind
        'condition'
        >>> compile_expression("n(cluster, en > 1)", words)
        Traceback (most recent call last):
        ...
        darkfactory.core.errors.ConfigError: unknown name 'en' at column 12 of 'n(cluster, en > 1)'; did you
        mean 'e'? Allowed here: e, rank
    """
    compiler = _Compiler(text, vocabulary, where, file)
    compiled = compiler.compile(compiler.tree, _Context(collection))
    if kind and compiled.kind != kind:
        raise compiler.error(f"this is a {compiled.kind}, but a {kind} is wanted", compiler.tree)
    return compiled


class _Compiler:
    def __init__(self, text: str, vocabulary: Vocabulary, where: str, file: str) -> None:
        self.text = " ".join(text.split())
        self.vocabulary, self.where, self.file = vocabulary, where, file
        if not self.text:
            raise ConfigError("empty expression; write a condition such as 'n2d >= 2'", where=where, file=file)
        if not self.text.isascii() or len(self.text) > _LONGEST:
            raise ConfigError(
                f"expressions are plain ASCII of at most {_LONGEST} characters: {self.text[:60]!r}",
                where=where,
                file=file,
            )
        try:
            # '..' is written as an operator of the same width that the language does not have otherwise
            self.tree = ast.parse(_RANGE.sub("| ", self.text), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            at = getattr(error, "offset", None) or 1
            raise ConfigError(
                f"cannot read {self.text!r} near column {at}; conditions look like "
                "'n(cluster, e_cms >= 2 and id in 4..14) >= 1 and not bha_veto'",
                where=where,
                file=file,
            ) from error

    def error(self, message: str, node: ast.AST) -> ConfigError:
        column = getattr(node, "col_offset", 0) + 1
        head, _, tail = message.partition("; ")
        text = f"{head} at column {column} of {self.text!r}" + (f"; {tail}" if tail else "")
        return ConfigError(text, where=self.where, file=self.file)

    def unknown(self, what: str, name: str, allowed: list[str], node: ast.AST) -> ConfigError:
        near = difflib.get_close_matches(name, allowed, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        return self.error(f"unknown {what} {name!r}; {hint}Allowed here: {', '.join(sorted(allowed))}", node)

    def compile(self, node: ast.AST, context: _Context) -> Expression:
        match node:
            case ast.BoolOp():
                return self._bool(node, context)
            case ast.UnaryOp(op=ast.Not()):
                inner = self.of_kind("condition", node.operand, context)
                return Expression("condition", lambda s, h: np.logical_not(inner.run(s, h)))
            case ast.UnaryOp(op=ast.USub()):
                number = self.of_kind("number", node.operand, context)
                return Expression("number", lambda s, h: -number.run(s, h))
            case ast.Compare():
                return self._compare(node, context)
            case ast.BinOp() if type(node.op) in _ARITHMETIC:
                left = self.of_kind("number", node.left, context)
                right = self.of_kind("number", node.right, context)
                operation = _ARITHMETIC[type(node.op)]
                return Expression("number", lambda s, h: operation(left.run(s, h), right.run(s, h)))
            case ast.Constant(value=bool()) | ast.Constant(value=None):
                raise self.error("write true or false; capitals are not known", node)
            case ast.Constant(value=int() | float()):
                constant = np.asarray(node.value)
                return Expression("number", lambda s, h: constant)
            case ast.Name():
                return self._name(node, context)
            case ast.Call(func=ast.Name()):
                return self._call(node, context)
        raise self.error(f"{type(node).__name__} is not part of the language; see its description", node)

    def of_kind(self, kind: Kind, node: ast.AST, context: _Context) -> Expression:
        compiled = self.compile(node, context)
        if compiled.kind != kind:
            shown = ast.get_source_segment(self.text, node) or ""
            raise self.error(f"{shown!r} is a {compiled.kind}, but a {kind} is wanted here", node)
        return compiled

    def _bool(self, node: ast.BoolOp, context: _Context) -> Expression:
        parts = [self.of_kind("condition", v, context) for v in node.values]
        combine = np.logical_and if isinstance(node.op, ast.And) else np.logical_or

        def run(scope: Scope, here: Collection | Pairs | None) -> Array:
            result = parts[0].run(scope, here)
            for part in parts[1:]:
                result = combine(result, part.run(scope, here))
            return result

        return Expression("condition", run)

    def _compare(self, node: ast.Compare, context: _Context) -> Expression:
        sides = [node.left, *node.comparators]
        tests: list[Expression] = []
        for left, op, right in zip(sides, node.ops, sides[1:], strict=False):
            if isinstance(op, ast.In | ast.NotIn):
                if len(node.ops) > 1:
                    raise self.error("'in' cannot be part of a chain; join two conditions with 'and'", node)
                return self._member(left, right, isinstance(op, ast.NotIn), context)
            if type(op) not in _COMPARISONS:
                raise self.error(f"{type(op).__name__} is no comparison of the language", node)
            tests.append(self._test(left, _COMPARISONS[type(op)], right, context))

        def run(scope: Scope, here: Collection | Pairs | None) -> Array:
            result = tests[0].run(scope, here)
            for test in tests[1:]:
                result = np.logical_and(result, test.run(scope, here))
            return result

        return Expression("condition", run)

    def _test(self, left: ast.AST, op: Callable[[Array, Array], Array], right: ast.AST, c: _Context) -> Expression:
        a, b = self.of_kind("number", left, c), self.of_kind("number", right, c)
        return Expression("condition", lambda s, h: op(a.run(s, h), b.run(s, h)))

    def _member(self, left: ast.AST, right: ast.AST, negated: bool, context: _Context) -> Expression:
        value = self.of_kind("number", left, context)
        ranges = [self._range(e) for e in (right.elts if isinstance(right, ast.Set) else [right])]

        def run(scope: Scope, here: Collection | Pairs | None) -> Array:
            x = value.run(scope, here)
            low, high = ranges[0]
            result = (x >= low) & (x <= high) if low < high else x == low
            for low, high in ranges[1:]:
                result = result | ((x >= low) & (x <= high))
            return np.logical_not(result) if negated else result

        return Expression("condition", run)

    def _range(self, node: ast.AST) -> tuple[int, int]:
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            if ".." not in self.text[node.left.end_col_offset : node.right.col_offset]:
                raise self.error("after 'in' come whole numbers or ranges; write 4..14", node)
            low, high = self._integer(node.left), self._integer(node.right)
            if low > high:
                raise self.error(f"the range {low}..{high} is empty; write the smaller end first", node)
            return low, high
        return (self._integer(node),) * 2

    def _integer(self, node: ast.AST) -> int:
        sign = 1
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            node, sign = node.operand, -1
        if isinstance(node, ast.Constant) and type(node.value) is int:
            return sign * node.value
        raise self.error("after 'in' come whole numbers or ranges; write 4..14 or {2, 3, 15..16}", node)

    def _name(self, node: ast.Name, context: _Context) -> Expression:
        name = node.id
        if name in ("true", "false"):
            constant = np.asarray(name == "true")
            return Expression("condition", lambda s, h: constant)
        columns = self._columns(context)
        if name in columns:
            return Expression(columns[name], lambda s, h: h.column(name))  # type: ignore[union-attr]
        if context.collection and self._columns(_Context(context.collection)).get(name) and context.pair:
            raise self.error(f"{name!r} belongs to one member of the pair; write both(), either(), low() ...", node)
        found = self.vocabulary.lookup(name)
        if found is None:
            allowed = [*columns, *self.vocabulary.names]
            raise self.unknown("name", name, allowed, node)
        # a quantity is an event's whatever bracket it stands in, and is worked out once
        return Expression(found.kind, lambda s, h: s.remembered(name, lambda: found.run(s, None)))

    def _columns(self, context: _Context) -> dict[str, Kind]:
        if not context.collection:
            return {}
        columns = dict(self.vocabulary.collections[context.collection])
        if context.pair:
            return dict.fromkeys(pair_columns(columns), "number")
        return {**columns, "rank": "number"}

    def _call(self, node: ast.Call, context: _Context) -> Expression:
        name = node.func.id  # type: ignore[attr-defined]
        if node.keywords:
            raise self.error("arguments have no names here", node)
        if name in _SCALAR:
            function = _SCALAR[name]
            inner = self.of_kind("number", self._arguments(node, 1, 1)[0], context)
            return Expression("number", lambda s, h: function(inner.run(s, h)))
        if name in _MEMBERS or name == "one_and_other":
            return self._member_of_pair(name, node, context)
        if name in _REDUCERS:
            return self._reduce(name, node, context)
        raise self.unknown("function", name, [*_SCALAR, *_MEMBERS, "one_and_other", *_REDUCERS], node)

    def _arguments(self, node: ast.Call, least: int, most: int) -> list[ast.expr]:
        if not least <= len(node.args) <= most:
            count = str(least) if least == most else f"{least} to {most}"
            raise self.error(f"wrong number of arguments, {len(node.args)}; {count} are allowed", node)
        return node.args

    def _member_of_pair(self, name: str, node: ast.Call, context: _Context) -> Expression:
        if not context.pair:
            raise self.error(f"{name}() is about the members of a pair; use it inside any_pair or n_pairs", node)
        inside = _Context(context.collection)
        if name == "one_and_other":
            first, second = (self.of_kind("condition", a, inside) for a in self._arguments(node, 2, 2))
            return Expression("condition", lambda s, h: _one_and_other(first, second, s, h))
        kind, combine = _MEMBERS[name]
        inner = self.of_kind(kind, self._arguments(node, 1, 1)[0], inside)

        def run(scope: Scope, here: Collection | Pairs | None) -> Array:
            assert isinstance(here, Pairs)
            values = np.broadcast_to(inner.run(scope, here.of), here.of.mask.shape)
            return combine(*here.sides(values))

        return Expression(kind, run)

    def _reduce(self, name: str, node: ast.Call, context: _Context) -> Expression:
        if context.collection:
            raise self.error(f"{name}() cannot stand inside the brackets of another collection", node)
        reducer = _REDUCERS[name]
        arguments = self._arguments(node, reducer.least, reducer.most)
        first = arguments[0]
        if not (isinstance(first, ast.Name) and first.id in self.vocabulary.collections):
            shown = ast.get_source_segment(self.text, first) or ""
            raise self.unknown("collection", shown, list(self.vocabulary.collections), first)
        collection = first.id
        inside = _Context(collection, reducer.pair)
        rest = list(arguments[1:])
        order = self._integer(rest.pop(0)) if name == "nth" else 0
        if name == "nth" and order < 1:
            raise self.error(f"{order} is no place in a ranking; nth(track, 2, p_cms) is the second", node)
        value = self.of_kind("number", rest.pop(0), inside) if reducer.valued else None
        condition = self.of_kind("condition", rest.pop(0), inside) if rest else None
        key = "|".join([name, collection, *(ast.unparse(a) for a in arguments[1:])])

        def make(scope: Scope) -> Array:
            objects = scope.collection(collection)
            here = objects.pairs() if reducer.pair else objects
            mask = here.mask
            if condition is not None and reducer.implies:
                mask = mask & ~np.broadcast_to(condition.run(scope, here), mask.shape)
            elif condition is not None:
                mask = mask & condition.run(scope, here)
            values = mask if value is None else np.broadcast_to(value.run(scope, here), mask.shape)
            return reducer.run(mask, values, order)

        return Expression(reducer.kind, lambda s, h: s.remembered(key, lambda: make(s)))


def _one_and_other(first: Expression, second: Expression, scope: Scope, here: Collection | Pairs | None) -> Array:
    assert isinstance(here, Pairs)
    shape = here.of.mask.shape
    a1, a2 = here.sides(np.broadcast_to(first.run(scope, here.of), shape))
    b1, b2 = here.sides(np.broadcast_to(second.run(scope, here.of), shape))
    return np.asarray((a1 & b2) | (a2 & b1))


_ARITHMETIC: Mapping[type, Callable[[Array, Array], Array]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.true_divide,
}
_COMPARISONS: Mapping[type, Callable[[Array, Array], Array]] = {
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
}
_SCALAR: Mapping[str, Callable[[Array], Array]] = {"abs": np.abs, "sqrt": np.sqrt}
_MEMBERS: Mapping[str, tuple[Kind, Callable[[Array, Array], Array]]] = {
    "both": ("condition", np.logical_and),
    "either": ("condition", np.logical_or),
    "one": ("condition", np.logical_xor),
    "low": ("number", np.minimum),
    "high": ("number", np.maximum),
}


@dataclass(frozen=True)
class _Reducer:
    kind: Kind
    run: Callable[[Array, Array, int], Array]
    least: int = 1
    most: int = 2
    pair: bool = False
    valued: bool = False
    implies: bool = False


def _count(mask: Array, values: Array, order: int) -> Array:
    return np.asarray(np.add.reduce(mask, axis=0, dtype=np.int16))


def _exists(mask: Array, values: Array, order: int) -> Array:
    return np.asarray(mask.any(axis=0))


def _none_fails(mask: Array, values: Array, order: int) -> Array:
    return np.asarray(~mask.any(axis=0))


def _total(mask: Array, values: Array, order: int) -> Array:
    return np.asarray(np.where(mask, values, 0.0).sum(axis=0))


def _largest(mask: Array, values: Array, order: int) -> Array:
    return np.asarray(np.where(mask, values, -np.inf).max(axis=0, initial=-np.inf))


def _smallest(mask: Array, values: Array, order: int) -> Array:
    return np.asarray(np.where(mask, values, np.inf).min(axis=0, initial=np.inf))


def _ranked(mask: Array, values: Array, order: int) -> Array:
    if mask.shape[0] < order:
        return np.full(mask.shape[1], -np.inf)
    return np.asarray(np.sort(np.where(mask, values, -np.inf), axis=0)[-order])


_REDUCERS: Mapping[str, _Reducer] = {
    "n": _Reducer("number", _count),
    "any": _Reducer("condition", _exists),
    "all": _Reducer("condition", _none_fails, least=2, implies=True),
    "sum": _Reducer("number", _total, least=2, most=3, valued=True),
    "max": _Reducer("number", _largest, least=2, most=3, valued=True),
    "min": _Reducer("number", _smallest, least=2, most=3, valued=True),
    "nth": _Reducer("number", _ranked, least=3, most=4, valued=True),
    "any_pair": _Reducer("condition", _exists, pair=True),
    "n_pairs": _Reducer("number", _count, pair=True),
}
