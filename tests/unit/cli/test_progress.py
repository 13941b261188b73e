"""What a run says: in a file, on a terminal, when it fails."""

from __future__ import annotations

import _thread
import io
import json
import os
import pty
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import click
import pytest
from click.shell_completion import ShellComplete

import darkfactory.cli.run as command
from darkfactory.cli.main import COMMANDS, cli
from darkfactory.cli.progress import EngineText, Reporter, follow

ENGINE = """\
Building DAG of jobs...
Job stats:
total          4

Execute 2 jobs...
[Sat Nov 21 21:24:59 2026]
Finished jobid: 13 (Rule: simulate)
1 of 4 steps (25%) done
error: skim: config/skims/x.yaml: no such line
did you mean y?
[Sat Nov 21 21:25:00 2026]
Error in rule skim:
error: skim: config/skims/x.yaml: no such line
"""


def engine(tmp_path: Path, text: str, code: int = 0, wait: float = 0.0) -> list[str]:
    """A stand-in that writes the text line by line."""
    file = tmp_path / "engine.txt"
    file.write_text(text)
    script = (
        "import sys, time\n"
        f"for line in open({str(file)!r}):\n"
        f"    sys.stderr.write(line); sys.stderr.flush(); time.sleep({wait})\n"
        f"sys.exit({code})\n"
    )
    return [sys.executable, "-c", script]


def test_the_engines_text_is_understood() -> None:
    told = EngineText()
    for line in ENGINE.splitlines():
        told.feed(line)
    assert (told.done, told.total, told.rule) == (1, 4, "simulate")
    # all lines of an error, once
    assert told.errors == ["error: skim: config/skims/x.yaml: no such line\ndid you mean y?"]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_plain_lines_come_by_tenths_and_minutes_with_the_time_left() -> None:
    out, clock = io.StringIO(), Clock()
    reporter = Reporter(out, clock)
    told = EngineText(total=40)
    for done in range(41):
        told.done, told.rule, clock.now = done, "skim", 3.0 * done
        reporter.say(told)
    lines = out.getvalue().splitlines()
    assert len(lines) == 10
    assert lines[0] == "4 of 40 jobs (10 %), last: skim, 12 s, about 1:48 left"
    assert lines[-1] == "40 of 40 jobs (100 %), last: skim, 2:00"
    clock.now += 61
    reporter.say(told)
    assert len(out.getvalue().splitlines()) == 11
    assert "\r" not in out.getvalue()


def test_in_a_file_there_are_plain_lines_and_the_full_text_is_in_a_log(tmp_path: Path) -> None:
    out = io.StringIO()
    text = ENGINE.partition("error: ")[0]
    code, log, told = follow(engine(tmp_path, text), stream=out, logs=tmp_path / "logs")
    assert code == 0
    assert log.read_text() == text
    assert out.getvalue().startswith("1 of 4 jobs (25 %), last: simulate")
    assert "Building DAG" not in out.getvalue()
    assert (told.done, told.total) == (1, 4)


def test_an_interrupt_of_this_process_alone_ends_the_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("darkfactory.cli.progress._GRACE", 0.1)
    # as under a shell that starts it in the background: deaf for the interrupt of a terminal
    script = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(60)"
    out = io.StringIO()
    timer = threading.Timer(1.0, _thread.interrupt_main)
    timer.start()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        follow([sys.executable, "-c", script], stream=out, logs=tmp_path / "logs")
    timer.join()
    assert time.monotonic() - started < 30
    assert "interrupted: " in out.getvalue()


def test_quiet_says_errors_alone(tmp_path: Path) -> None:
    out = io.StringIO()
    code, _, _ = follow(engine(tmp_path, ENGINE, 1), quiet=True, stream=out, logs=tmp_path / "logs")
    assert code == 1
    assert out.getvalue() == "error: skim: config/skims/x.yaml: no such line\ndid you mean y?\n"


def test_an_error_that_is_not_ours_is_the_end_of_the_engines_text(tmp_path: Path) -> None:
    out = io.StringIO()
    text = "\n".join(f"line {i}" for i in range(100)) + "\nMissingInputException: x\n"
    follow(engine(tmp_path, text, 1), stream=out, logs=tmp_path / "logs")
    assert out.getvalue().splitlines()[-1] == "MissingInputException: x"
    assert len(out.getvalue().splitlines()) == 25


def test_on_a_terminal_one_line_moves_and_tells_the_chunk(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "tiny" / "samples" / "a" / "all" / "generate.log"
    log.parent.mkdir(parents=True)
    log.write_text("12:00:00 INFO generate started\n12:00:01 INFO generate a/all: chunk 3 of 9\n")
    host, terminal = pty.openpty()
    seen: list[bytes] = []

    def read() -> None:
        while True:
            try:
                piece = os.read(host, 4096)
            except OSError:
                return
            if not piece:
                return
            seen.append(piece)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    with os.fdopen(terminal, "w") as stream:
        text = ENGINE.partition("error: ")[0]
        follow(engine(tmp_path, text, wait=0.2), stream=stream, logs=tmp_path / "logs")
    reader.join(5)
    os.close(host)
    said = b"".join(seen).decode()
    assert "[######..................] 1 of 4 jobs (25 %)" in said
    assert "generate a/all: chunk 3 of 9" in said
    assert "\n" not in said.strip()
    # nothing is left of it
    assert said.endswith("\r\x1b[K")


def test_run_prints_what_was_done(project: Path, call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def fake(targets: list[str], *rest: Any) -> tuple[Path, int]:
        asked.append((targets, rest[-1]))
        return Path("logs/runs/x.log"), 7

    monkeypatch.setattr(command, "snakemake", fake)
    done = call("run", "--json")
    told = json.loads(done.out)
    assert (told["jobs"], told["log"], told["report"]) == (7, "logs/runs/x.log", "results/tiny/report/index.html")
    assert asked == [(["all"], True)]
    assert call("run", "-q").out == ""
    said = call("run").out
    assert said.startswith("7 jobs in 0 s; results/tiny/report/index.html; full text of the engine: logs/runs/x.log")
    monkeypatch.setattr(command, "snakemake", lambda *a: (Path("l"), 0))
    assert "nothing to do: all results are there" in call("run").out


def commands(group: click.Command, name: str) -> list[tuple[str, click.Command]]:
    if not isinstance(group, click.Group):
        return [(name, group)]
    return [found for inner, one in group.commands.items() for found in commands(one, f"{name} {inner}")]


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_examples_that_its_options_take(name: str) -> None:
    context = click.Context(cli)
    found = cli.get_command(context, name)
    assert found is not None
    for full, one in commands(found, name):
        assert "Examples:" in (one.epilog or ""), full
        for line in (one.epilog or "").splitlines():
            words = line.split()
            if words[:1] != ["darkfactory"]:
                continue
            assert " ".join(words[1:]).startswith(full), line
            options = {o for p in one.params for o in (*p.opts, *p.secondary_opts)}
            for word in words[1 + len(full.split()) :]:
                if word in (">", "|"):
                    break
                if word.startswith("-") and not word.lstrip("-").replace(".", "").isdigit():
                    assert word.partition("=")[0] in options, f"{full}: {word}"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_can_complete(shell: str) -> None:
    environment = {**os.environ, "_DARKFACTORY_COMPLETE": f"{shell}_source"}
    script = "import sys; sys.argv = ['darkfactory']; from darkfactory.cli.main import main; main()"
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert "_DARKFACTORY_COMPLETE" in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("typed", "begun", "offered"),
    [
        (["limit", "-c"], "t", ["tiny"]),
        (["limit"], "alp", ["alp_3gamma"]),
        (["limit", "zprime_mumu"], "belle_", ["belle_643fb"]),
        (["export", "hepdata", "-s"], "b_to_k", ["b_to_k_alp", "b_to_k_longlived"]),
        (["limit", "none"], "", []),
    ],
)
def test_names_are_completed(typed: list[str], begun: str, offered: list[str]) -> None:
    found = ShellComplete(cli, {}, "darkfactory", "_DARKFACTORY_COMPLETE").get_completions(typed, begun)
    assert [item.value for item in found] == offered
