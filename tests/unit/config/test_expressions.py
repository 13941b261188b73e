from __future__ import annotations

import pytest

from darkfactory.config.expressions import evaluate, names_in, resolve_parameters
from darkfactory.core.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 / 137.036", 1 / 137.036),
        ("-2 * m ** 2 + (3 - 1) * abs(-m)", -2.0 * 9 + 6),
        ("sqrt(exp(log(16)))", 4.0),
        ("+m * pi", 9.42477796076938),
    ],
)
def test_arithmetic(text: str, value: float) -> None:
    assert evaluate(text, {"m": 3.0}) == pytest.approx(value, rel=1e-15)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("m_Zq * 2", "vertices\\[3\\]: unknown name 'm_Zq'.*did you mean 'm_Zp'"),
        ("__import__('os')", "is not allowed in"),
        ("m_Zp.real", "is not allowed in"),
        ("[1, 2]", "is not allowed in"),
        ("True", "is not allowed in"),
        ("'a'", "is not allowed in"),
        ("sqrt(m_Zp, 2)", "is not allowed in"),
        ("sin(m_Zp)", "is not allowed in"),
        ("m_Zp if m_Zp else 1", "is not allowed in"),
        ("1 +", "is no expression"),
        ("1 / (m_Zp - 1)", "has no value"),
        ("sqrt(-m_Zp)", "has no value"),
        ("exp(1000)", "has no value"),
        ("1e308 * 10", "is not finite"),
        ("1" * 501, "at most 500"),
    ],
)
def test_what_is_refused(text: str, match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        evaluate(text, {"m_Zp": 1.0}, "vertices[3]")


def test_names() -> None:
    assert names_in("sqrt(4 * pi * alpha) / s") == ("alpha", "s")


def test_parameters_follow_their_overrides() -> None:
    definitions = {"a": "2 * b", "b": "c + 1", "c": 1.0}
    assert resolve_parameters(definitions) == {"a": 4.0, "b": 2.0, "c": 1.0}
    assert resolve_parameters(definitions, {"c": 2.0})["a"] == 6.0
    assert resolve_parameters(definitions, {"b": 5.0}) == {"a": 10.0, "b": 5.0, "c": 1.0}


def test_parameters_that_cannot_be_resolved() -> None:
    with pytest.raises(ConfigError, match=r"\['a', 'b'\] depend on each other in a circle"):
        resolve_parameters({"a": "b", "b": "a"})
    with pytest.raises(ConfigError, match=r"unknown parameter 'm_Z'; did you mean 'm_Zp'"):
        resolve_parameters({"m_Zp": 1.0}, {"m_Z": 2.0})
    with pytest.raises(ConfigError, match=r"parameters.a: unknown name 'q'"):
        resolve_parameters({"a": "2 * q"})
