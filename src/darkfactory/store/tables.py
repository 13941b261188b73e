"""Small tables as CSV: empty cells for what is missing, numbers by their shortest round-trip form."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from darkfactory.core.errors import InputError
from darkfactory.core.files import write_text

__all__ = ["check_numbers", "read_csv", "read_reference", "write_csv"]


def write_csv(path: str | Path, rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None) -> None:
    """Write rows; columns in the order of their first appearance unless given."""
    names = list(columns) if columns is not None else list(dict.fromkeys(k for r in rows for k in r))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        writer.writerow(
            ["" if row.get(n) is None else repr(row[n]) if isinstance(row[n], float) else row[n] for n in names]
        )
    write_text(path, out.getvalue())


def _value(text: str) -> Any:
    if text == "":
        return None
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return text


def _text(path: str | Path) -> str:
    try:
        # tables saved by spreadsheets begin with a mark of their encoding
        return Path(path).read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; run the stage that makes it first") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is no text in UTF-8; save the table as CSV in UTF-8") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}; give a CSV file") from error


def read_csv(path: str | Path) -> list[dict[str, Any]]:
    """Rows of a CSV file with comment lines (#) left out; numbers as numbers, empty cells as None.

    Raises:
        InputError: no such file, no text, or a row of another length than the header.
    """
    text = _text(path)
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if not lines:
        raise InputError(f"{path}: holds no table")
    reader = csv.reader(lines)
    header = next(reader)
    rows = []
    for number, cells in enumerate(reader, start=2):
        if len(cells) != len(header):
            raise InputError(
                f"{path}: row {number} has {len(cells)} cells, the header has {len(header)}; mend the file"
            )
        rows.append({name: _value(cell) for name, cell in zip(header, cells, strict=True)})
    return rows


def check_numbers(path: str | Path, rows: Sequence[Mapping[str, Any]], mass: str, columns: Sequence[str]) -> None:
    """Masses are numbers from 0 on, limits numbers above 0 or missing.

    Args:
        path: of the table, for messages.
        rows: of the table.
        mass: name of the column of masses.
        columns: names of the columns of limits.

    Raises:
        InputError: the first cell that is something else.
    """
    for number, row in enumerate(rows, start=1):
        for column in (mass, *columns):
            value = row.get(column)
            if value is None and column != mass:
                continue
            good = isinstance(value, int | float) and math.isfinite(value) and value >= 0
            if not good or (column != mass and value == 0):
                asked = "a mass in GeV, 0 or more" if column == mass else "a number above 0, or empty"
                raise InputError(f"{path}: {column} is {value!r} in row {number} of the table; it must be {asked}")


_BY_LIFETIME = re.compile(r"limit_ctau_([0-9.eE+-]+)cm")


def read_reference(path: str | Path) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """A published table: its comment lines as a mapping of provenance, and its rows.

    A table by lifetime has a column ``limit_ctau_<lifetime>cm`` for each lifetime; it becomes a row of ``mass_GeV``,
    ``ctau_cm`` and ``limit`` for each number in it.

    Raises:
        InputError: as :func:`read_csv`, or no columns ``mass_GeV`` and ``limit``.
    """
    rows = read_csv(path)
    if not rows:
        raise InputError(f"{path}: a reference table needs the columns mass_GeV and limit, and rows; it has no rows")
    lifetimes = {c: float(found[1]) for c in rows[0] if (found := _BY_LIFETIME.fullmatch(c))}
    if "mass_GeV" not in rows[0] or not ("limit" in rows[0] or lifetimes):
        raise InputError(
            f"{path}: a reference table needs the columns mass_GeV and limit (or limit_ctau_0.1cm and so on, one for "
            f"each lifetime); it has {list(rows[0])}"
        )
    if lifetimes:
        rows = [
            {"mass_GeV": r["mass_GeV"], "ctau_cm": ctau, "limit": r[name]}
            for name, ctau in lifetimes.items()
            for r in rows
            if r[name] is not None
        ]
    check_numbers(path, rows, "mass_GeV", ("limit",))
    notes: dict[str, str] = {}
    for line in _text(path).splitlines():
        if line.startswith("#"):
            key, _, text = line.lstrip("# ").partition(":")
            notes[key.strip()] = text.strip()
    return notes, rows
