"""Each likely mistake is one message that says what to do, without a traceback, and exit code 2."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mistakes import COMMANDS, FILES, Mistake, apply

Call = Callable[..., Any]


@pytest.mark.parametrize("mistake", [*COMMANDS, *FILES], ids=lambda m: m.name.replace(" ", "_"))
def test_a_mistake_is_one_clear_message(project: Path, call: Call, mistake: Mistake) -> None:
    apply(mistake, project)
    done = call(*mistake.arguments)
    assert done.code == 2, done.err
    assert "Traceback" not in done.out + done.err
    assert "a mistake got as far as the workflow" not in done.out + done.err
    message = done.err.strip()
    assert re.search(mistake.message, message, re.DOTALL), message
    # one error; the command line's own come with a line of usage
    assert len(re.findall(r"^(error|Error): ", message, re.MULTILINE)) == 1
    assert len(message.splitlines()) <= 4, message


def test_mistakes_are_many_and_have_names_of_their_own() -> None:
    names = [m.name for m in (*COMMANDS, *FILES)]
    assert len(set(names)) == len(names)
    assert len(names) >= 100


def test_nothing_is_wrong_with_the_project_itself(project: Path, call: Call) -> None:
    assert call("config", "check").code == 0
