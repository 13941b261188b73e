from __future__ import annotations

import pickle
from typing import Annotated, Any

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from darkfactory.config.base import Tagged
from darkfactory.config.formula import FUNCTIONS, Formula, Table, evaluate, names_in, variables
from darkfactory.core.errors import ConfigError


def test_value_agrees_with_numpy() -> None:
    x = np.linspace(0.1, 3, 50)
    got = evaluate("hypot(a*x, b/x**0.5, c*exp(-x/2))", {"x": x, "a": 0.1, "b": 0.2, "c": -3.0})
    assert np.allclose(got, np.sqrt((0.1 * x) ** 2 + 0.04 / x + (3 * np.exp(-x / 2)) ** 2), rtol=1e-14)


def test_precedence_sign_and_conditions() -> None:
    assert float(evaluate("-x**2 + 3", {"x": 2.0})) == -1.0
    r = np.array([1.0, 1.4, 5.0, 20.0])
    assert evaluate("0 if r < 1.4 else (1 if r < 13.5 else 2)", {"r": r}).tolist() == [0, 1, 1, 2]
    assert evaluate("min(r, 2) + max(1, r, 3) - abs(-r)", {"r": r}).tolist() == pytest.approx([3, 3, 2, 2])


@pytest.mark.parametrize("name", ["exp", "log", "sqrt", "sin", "cos", "tan", "tanh"])
def test_functions_are_numpys(name: str) -> None:
    assert name in FUNCTIONS
    assert float(evaluate(f"{name}(x)", {"x": 0.7})) == float(getattr(np, name)(0.7))


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os')",
        "x.real",
        "x[0]",
        "(lambda: 1)()",
        "open(x)",
        "hypot(x, y=1)",
        "hypot(*x)",
        "'a'",
        "True",
        "1j",
        "x if x else y < 1 < 2",
        "x @ x",
        "x % 2",
        "x and y",
        "[x]",
        "(x := 3)",
        "f'{x}'",
        "exp",
    ],
)
def test_nothing_else_of_python_is_reachable(text: str) -> None:
    if text == "exp":
        # a function's name without a call is a variable nobody gives
        with pytest.raises(ConfigError, match="no value for"):
            evaluate(text, {"x": 1.0})
        return
    with pytest.raises(ConfigError, match=r"not allowed|is no number|takes 1 to 8"):
        names_in(text)


@pytest.mark.parametrize("text", ["", "hypot(", "1 +"])
def test_unreadable(text: str) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        names_in(text)


def test_too_long_and_too_deep() -> None:
    with pytest.raises(ConfigError, match="at most 500"):
        names_in("x+" * 400 + "x")
    with pytest.raises(ConfigError, match="takes 1 to 1 arguments, not 2"):
        names_in("exp(x, y)")


def test_missing_value_is_named() -> None:
    with pytest.raises(ConfigError, match=r"no value for \['y'\]; known names are \['x'\]"):
        evaluate("x + y", {"x": 1.0})


def tag(value: float) -> dict[str, Any]:
    return {"value": value, "source": "assumed"}


def test_formula_broadcasts_constants_and_survives_pickling() -> None:
    formula = Formula(formula="c", constants={"c": Tagged(value=2.0, source="assumed")})
    assert formula(E=np.ones(3)).tolist() == [2.0, 2.0, 2.0]
    again = pickle.loads(pickle.dumps(formula))
    assert again(E=np.ones(2)).tolist() == [2.0, 2.0]


def test_unused_constant_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"does not use its constants \['b'\]"):
        Formula.model_validate({"formula": "a*E", "constants": {"a": tag(1), "b": tag(2)}})


def test_forbidden_text_is_refused_at_load() -> None:
    with pytest.raises(ValidationError, match="is not allowed"):
        Formula.model_validate({"formula": "E.real"})


def test_variables_of_a_place() -> None:
    place = TypeAdapter(Annotated[Formula, variables("E")])
    with pytest.raises(ValidationError, match=r"\['pt'\] are neither constants nor variables"):
        place.validate_python({"formula": "pt + E"})
    with pytest.raises(ValidationError, match="where all its variables are 1"):
        place.validate_python({"formula": "1/(E - 1)"})


def test_table() -> None:
    table = Table(x=(0, 10, 60, 85), y=(1, 1, 0.44, 0), source="assumed")
    assert table([5, 35, 100]).tolist() == pytest.approx([1, 0.72, 0])
    with pytest.raises(ValidationError, match="must increase"):
        Table(x=(0, 0), y=(1, 2), source="assumed")
    with pytest.raises(ValidationError, match="2 x and 3 y"):
        Table(x=(0, 1), y=(1, 2, 3), source="assumed")
