"""What a run says: one line that moves on a terminal, plain lines in a file, the engine's full text in a log."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

__all__ = ["EngineText", "Reporter", "duration", "follow"]

_STEPS = re.compile(r"^(\d+) of (\d+) steps \(\d+%\) done")
_FINISHED = re.compile(r"^Finished jobid: \d+ \(Rule: (\w+)\)")
_TOTAL = re.compile(r"^total\s+(\d+)$")
_CHUNK = re.compile(r"(\S+ \S+: chunk \d+ of \d+)\s*$")
# where the text of an error of ours ends and the engine's own begins
_ENGINE = re.compile(
    r"^(\[|RuleException|Error in rule|CalledProcessError|Removing output|Trying|Exiting|Shutting|\s*$)"
)
_LAST_LINES = 25
_POLL = 0.1
# seconds for an engine that was told by the terminal to end by itself
_GRACE = 5.0
_WIDTH = 24


def duration(seconds: float) -> str:
    """Hours, minutes and seconds, short.

    Example:
        >>> duration(9.4), duration(75), duration(3 * 3600 + 120)
        ('9 s', '1:15', '3:02:00')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


@dataclass
class EngineText:
    """What the engine's text has told so far.

    Attributes:
        done, total: jobs; total is 0 as long as it is not known.
        rule: of the job that finished last.
        errors: messages of ours, each with all of its lines.
    """

    done: int = 0
    total: int = 0
    rule: str = ""
    errors: list[str] = field(default_factory=list)
    _open: bool = False

    def feed(self, line: str) -> None:
        """Take one line.

        Example:
            >>> text = EngineText()
            >>> for line in ("total  4", "Finished jobid: 3 (Rule: skim)", "1 of 4 steps (25%) done"): text.feed(line)
            >>> (text.done, text.total, text.rule)
            (1, 4, 'skim')
        """
        if line.startswith("error: "):
            # the engine shows a log's end again
            self._open = all(line != e.partition("\n")[0] for e in self.errors)
            if self._open:
                self.errors.append(line)
            return
        if self._open:
            if _ENGINE.match(line):
                self._open = False
            else:
                self.errors[-1] += f"\n{line}"
                return
        if found := _STEPS.match(line):
            self.done, self.total = int(found.group(1)), int(found.group(2))
        elif found := _FINISHED.match(line):
            self.rule = found.group(1)
        elif found := _TOTAL.match(line):
            self.total = int(found.group(1))


class Reporter:
    """Lines about the progress of a run.

    Args:
        stream: where to; a terminal gets one line that moves.
        clock: seconds.
        every: seconds between plain lines, and a tenth of the jobs.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic, every: float = 60.0) -> None:
        self.stream, self.clock, self.every = stream, clock, every
        self.moves = stream.isatty()
        self.start = self.last = clock()
        self.tenth = 0

    def _text(self, told: EngineText, detail: str) -> str:
        spent = self.clock() - self.start
        parts = [f"{told.done} of {told.total} jobs ({100 * told.done // max(told.total, 1)} %)"]
        if detail or told.rule:
            parts.append(detail or f"last: {told.rule}")
        parts.append(duration(spent))
        # the first jobs are no measure of the rest
        if told.done >= 3 and spent > 5 and told.done < told.total:
            parts.append(f"about {duration(spent / told.done * (told.total - told.done))} left")
        return ", ".join(parts)

    def say(self, told: EngineText, detail: str = "") -> None:
        """Report, where there is something new to say."""
        if not told.total:
            return
        if self.moves:
            full = _WIDTH * told.done // told.total
            columns = shutil.get_terminal_size().columns
            line = f"[{'#' * full}{'.' * (_WIDTH - full)}] {self._text(told, detail)}"
            self.stream.write(f"\r{line[: columns - 1]}\x1b[K")
            self.stream.flush()
            return
        tenth = 10 * told.done // told.total
        now = self.clock()
        if tenth > self.tenth or (told.done and now - self.last >= self.every):
            self.tenth, self.last = tenth, now
            self.stream.write(self._text(told, "") + "\n")
            self.stream.flush()

    def end(self) -> None:
        """Leave the line that moves."""
        if self.moves:
            self.stream.write("\r\x1b[K")
            self.stream.flush()


def _newest_chunk(folder: Path) -> str:
    """The last chunk that a stage's log tells of, from the log that was written last."""
    newest, stamp = None, time.time() - 30
    for base, _, names in os.walk(folder):
        for name in names:
            if name.endswith(".log") and Path(base).name != "runs":
                path = Path(base, name)
                try:
                    written = path.stat().st_mtime
                except OSError:
                    continue
                if written > stamp:
                    newest, stamp = path, written
    if newest is None:
        return ""
    lines = newest.read_text(errors="replace").splitlines()
    found = next((m for line in reversed(lines[-3:]) if (m := _CHUNK.search(line))), None)
    return found.group(1) if found else ""


def follow(
    command: Sequence[str], *, quiet: bool = False, stream: TextIO | None = None, logs: Path = Path("logs")
) -> tuple[int, Path, EngineText]:
    """Run the engine with its text in a log file, and report what it says.

    The engine writes to the file itself, so that it outlives this process.

    Args:
        command: to run.
        quiet: report errors alone.
        stream: where reports go; by default the error stream.
        logs: folder of logs; the file is below its folder ``runs``.

    Returns:
        Exit code, log file and what was told.
    """
    out = stream or sys.stderr
    file = logs / "runs" / f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}.log"
    file.parent.mkdir(parents=True, exist_ok=True)
    told, reporter = EngineText(), Reporter(out)
    looked, detail, shown = 0.0, "", 0
    with file.open("w", encoding="utf-8") as sink, file.open(encoding="utf-8", errors="replace") as source:
        child = subprocess.Popen(list(command), stdout=sink, stderr=subprocess.STDOUT)
        rest = ""
        try:
            while True:
                running = child.poll() is None
                text = rest + source.read()
                *lines, rest = text.split("\n")
                for line in lines if running else [*lines, rest]:
                    told.feed(line.rstrip("\r"))
                if not quiet:
                    if reporter.moves and running and time.monotonic() - looked > 1.0:
                        looked, detail = time.monotonic(), _newest_chunk(logs)
                    reporter.say(told, detail)
                # an error is told when it happens; its last line may still come
                while shown < len(told.errors) - (1 if running else 0):
                    reporter.end()
                    out.write(told.errors[shown] + "\n")
                    shown += 1
                if not running:
                    break
                time.sleep(_POLL)
        except KeyboardInterrupt:
            reporter.end()
            out.write("interrupted: the jobs that run are ended, what is finished is kept\n")
            # a terminal tells the engine, too, and it takes its time to leave nothing half done; a signal to this
            # process alone, as from a supervisor or an editor's stop button, does not reach it
            try:
                child.wait(timeout=_GRACE)
            except subprocess.TimeoutExpired:
                # the engine finishes the jobs that run and starts no others
                child.terminate()
                child.wait()
            raise
        finally:
            if child.poll() is None:
                child.terminate()
                child.wait()
    if not quiet:
        reporter.end()
    if child.returncode != 0 and not told.errors:
        tail = file.read_text(encoding="utf-8", errors="replace").splitlines()[-_LAST_LINES:]
        out.write("\n".join(tail) + "\n")
    return child.returncode, file, told
