"""The language of trigger lines: values against plain loops, and messages."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from darkfactory.core.errors import ConfigError
from darkfactory.trigger.collections import Collection
from darkfactory.trigger.expressions import Expression, Vocabulary, compile_expression

N = 200
RNG = np.random.default_rng(7)
COUNTS = RNG.integers(0, 6, N)
EVENT = np.repeat(np.arange(N), COUNTS)
COLUMNS = {
    "e": RNG.uniform(0, 5, len(EVENT)),
    "phi_cms": RNG.uniform(0, 360, len(EVENT)),
    "theta_cms": RNG.uniform(0, 180, len(EVENT)),
    "id": RNG.integers(1, 18, len(EVENT)),
    "matched": RNG.random(len(EVENT)) < 0.5,
}
OBJECTS = [[{k: v[i] for k, v in COLUMNS.items()} for i in np.flatnonzero(n == EVENT)] for n in range(N)]


class Scope:
    """One collection, and values made once."""

    def __init__(self) -> None:
        self.cluster = Collection.from_flat(EVENT, N, COLUMNS["e"], COLUMNS, limit=8)
        self.values: dict[str, np.ndarray] = {}
        self.made: list[str] = []

    def collection(self, name: str) -> Collection:
        assert name == "cluster"
        return self.cluster

    def remembered(self, key: str, make: Callable[[], np.ndarray]) -> np.ndarray:
        if key not in self.values:
            self.made.append(key)
            self.values[key] = make()
        return self.values[key]


KINDS = {"e": "number", "phi_cms": "number", "theta_cms": "number", "id": "number", "matched": "condition"}
NAMED: dict[str, str] = {"ncl": "n(cluster)", "veto": "any(cluster, e > 4.5)"}


def lookup(name: str) -> Expression | None:
    return compiled(NAMED[name]) if name in NAMED else None


def compiled(text: str, **more: str) -> Expression:
    return compile_expression(text, Vocabulary({"cluster": KINDS}, lookup, tuple(NAMED)), **more)


def value(text: str) -> np.ndarray:
    return np.broadcast_to(compiled(text).on(Scope()), N)


def fold(d: float) -> float:
    return min(abs(d), 360 - abs(d))


def pairs(objects: list[dict[str, float]]) -> list[tuple[dict[str, float], dict[str, float]]]:
    return [(a, b) for i, a in enumerate(objects) for b in objects[i + 1 :]]


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("n(cluster)", len),
        ("n(cluster, e >= 2 and id in 4..14)", lambda o: sum(x["e"] >= 2 and 4 <= x["id"] <= 14 for x in o)),
        ("n(cluster, id in {2, 3, 15..16})", lambda o: sum(x["id"] in (2, 3, 15, 16) for x in o)),
        ("n(cluster, id not in 4..14)", lambda o: sum(not 4 <= x["id"] <= 14 for x in o)),
        ("any(cluster, matched and e > 3)", lambda o: any(x["matched"] and x["e"] > 3 for x in o)),
        ("all(cluster, 0.5 < e < 4.5)", lambda o: all(0.5 < x["e"] < 4.5 for x in o)),
        ("sum(cluster, e, id in 2..15)", lambda o: sum(x["e"] for x in o if 2 <= x["id"] <= 15)),
        ("max(cluster, e, not matched)", lambda o: max([x["e"] for x in o if not x["matched"]], default=-np.inf)),
        ("min(cluster, e)", lambda o: min([x["e"] for x in o], default=np.inf)),
        ("nth(cluster, 2, e)", lambda o: sorted([x["e"] for x in o])[-2] if len(o) > 1 else -np.inf),
        ("nth(cluster, 2, theta_cms)", lambda o: sorted([x["theta_cms"] for x in o])[-2] if len(o) > 1 else -np.inf),
        ("any(cluster, rank == 1 and matched)", lambda o: bool(o) and bool(max(o, key=lambda x: x["e"])["matched"])),
        ("n_pairs(cluster)", lambda o: len(pairs(o))),
        (
            "any_pair(cluster, dphi_cms > 160 and 165 < sum_theta_cms < 190)",
            lambda o: any(
                fold(a["phi_cms"] - b["phi_cms"]) > 160 and 165 < a["theta_cms"] + b["theta_cms"] < 190
                for a, b in pairs(o)
            ),
        ),
        (
            "n_pairs(cluster, both(e > 2) and either(e > 4) and one(matched))",
            lambda o: sum(
                min(a["e"], b["e"]) > 2 and max(a["e"], b["e"]) > 4 and a["matched"] != b["matched"]
                for a, b in pairs(o)
            ),
        ),
        (
            "n_pairs(cluster, low(e) < 1 < high(e))",
            lambda o: sum(min(a["e"], b["e"]) < 1 < max(a["e"], b["e"]) for a, b in pairs(o)),
        ),
        (
            "n_pairs(cluster, one_and_other(e > 3, matched))",
            lambda o: sum((a["e"] > 3 and b["matched"]) or (b["e"] > 3 and a["matched"]) for a, b in pairs(o)),
        ),
        ("ncl >= 3 and not veto", lambda o: len(o) >= 3 and not any(x["e"] > 4.5 for x in o)),
        ("ncl == 2 or veto", lambda o: len(o) == 2 or any(x["e"] > 4.5 for x in o)),
        ("n(cluster, e > ncl - 1)", lambda o: sum(x["e"] > len(o) - 1 for x in o)),
        ("abs(-2 * ncl + 3) / 2", lambda o: abs(-2 * len(o) + 3) / 2),
        ("sqrt(ncl)", lambda o: np.sqrt(len(o))),
        ("true", lambda o: True),
        ("ncl != 2 and false", lambda o: False),
    ],
)
def test_value_equals_that_of_a_plain_loop(text: str, plain: Callable[[list], float]) -> None:
    expected = [plain(o) for o in OBJECTS]
    assert len(set(expected)) > 1 or text in ("true", "ncl != 2 and false")
    np.testing.assert_allclose(value(text).astype(float), np.array(expected, dtype=float))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("n(cluster, en > 1)", r"unknown name 'en' at column 12.*did you mean 'e'\?.*rank"),
        ("n_cl >= 3", r"unknown name 'n_cl' at column 1.*Allowed here: ncl, veto"),
        ("n(clusters) > 1", r"unknown collection 'clusters'.*did you mean 'cluster'"),
        ("count(cluster) > 1", r"unknown function 'count'.*any_pair"),
        ("ncl and veto", r"'ncl' is a number, but a condition is wanted here at column 1"),
        ("veto > 3", r"'veto' is a condition, but a number is wanted"),
        ("n(cluster, e)", r"'e' is a number, but a condition is wanted"),
        ("n(cluster, dphi_cms > 3)", r"unknown name 'dphi_cms'"),
        ("any_pair(cluster, e > 3)", r"'e' belongs to one member of the pair at column 19.*; write both\(\)"),
        ("n(cluster, both(e > 3))", r"both\(\) is about the members of a pair"),
        ("n(cluster, n(cluster) > 1)", r"cannot stand inside the brackets of another"),
        ("n(cluster, e > 1", r"cannot read .* near column"),
        ("n(cluster, e > 1) && veto", r"cannot read"),
        ("n(cluster, id in 14..4) > 1", r"range 14..4 is empty at .*; write the smaller end first"),
        ("n(cluster, id in 4|14) > 1", r"whole numbers or ranges"),
        ("n(cluster, id in 4.5) > 1", r"whole numbers or ranges"),
        ("n(cluster, e > 1, 2, 3) > 1", r"wrong number of arguments, 4 at .*; 1 to 2 are allowed"),
        ("nth(cluster, 0, e) > 1", r"0 is no place in a ranking"),
        ("n(cluster, 1 < e in 2..3) > 1", r"'in' cannot be part of a chain"),
        ("ncl ** 2 > 3", r"BinOp is not part of the language"),
        ("4|5 > 2", r"BinOp is not part of the language"),
        ("cluster.e > 2", r"Attribute is not part of the language"),
        ("True", r"write true or false"),
        ("'a' == 'b'", r"Constant is not part of the language"),
        ("[x for x in cluster]", r"ListComp is not part of the language"),
        ("__import__('os')", r"unknown function '__import__'"),
        ("(lambda: 1)()", r"Call is not part of the language"),
        ("ncl if veto else 1", r"IfExp is not part of the language"),
        ("n(cluster, where=3)", r"arguments have no names"),
        ("ncl is 3", r"Is is no comparison"),
        ("  ", r"empty expression"),
        ("ncl > 1 # äh", r"plain ASCII"),
        ("ncl > " + "1" * 3000, r"at most 2000 characters"),
    ],
)
def test_what_is_wrong_is_said(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        compiled(text)


def test_the_place_is_part_of_the_message() -> None:
    with pytest.raises(ConfigError, match=r"^menu.yaml: l1.lines.ffo.expr: unknown name 'x'"):
        compiled("x > 1", where="l1.lines.ffo.expr", file="menu.yaml")
    with pytest.raises(ConfigError, match="this is a number, but a condition is wanted"):
        compiled("ncl", kind="condition")


def test_deep_nesting_is_a_message_not_a_crash() -> None:
    with pytest.raises(ConfigError):
        compiled("(" * 900 + "ncl" + ")" * 900)


def test_equal_parts_are_evaluated_once() -> None:
    scope = Scope()
    compiled("n(cluster, e > 1) > 2 or (n(cluster,  e > 1) == 0 and veto) or veto").on(scope)
    assert len(scope.made) == len(set(scope.made)) == 3  # the count, the veto, and the veto's own any()
