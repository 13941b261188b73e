"""A survey of random workspaces that can be stopped at any time: one record a workspace, and what they add up to.

Run: ``OMP_NUM_THREADS=1 python tests/statistics/random_survey.py RECORD [COUNT [MINUTES]]``. The first COUNT workspaces
(10^4), 500 at a time, go through the engine and pyhf with our optimiser, and every tenth to stock pyhf; at the end
those that are far from their data do, too. Lines of RECORD (JSON) made by the same sources are not made again.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from random_workspaces import by_engine, by_stock

from darkfactory.stats.newton import Backend, fastest

WORKSPACES = 10_000
STOCK_EVERY = 10
AT_A_TIME = 500


@dataclass
class Survey:
    """What became of a number of workspaces.

    Attributes:
        status: of the engine, or ``unsupported``.
        certificate: of those with limits: ``passed`` or the reason why not.
        lower: fits of certified windows of which random starts find a lower minimum.
        pyhf: minima of stock pyhf against ours.
        limits: stock pyhf's CLs at our observed limit, where its fits are not cut short.
        largest: largest relative difference of CLs among the ``equal`` ones, of which all minima agree.
        closure: largest relative difference of CLs at all limits by pyhf with our optimiser, among those certified.
        problems: seeds with what must not be.
        cpu: seconds of all.
    """

    status: Counter[str] = field(default_factory=Counter)
    certificate: Counter[str] = field(default_factory=Counter)
    lower: Counter[str] = field(default_factory=Counter)
    pyhf: Counter[str] = field(default_factory=Counter)
    limits: Counter[str] = field(default_factory=Counter)
    largest: float = 0.0
    closure: float = 0.0
    problems: list[tuple[int, str]] = field(default_factory=list)
    cpu: float = 0.0

    def add(self, row: dict[str, Any]) -> None:
        """Count one record."""
        counted = (
            ("status", self.status), ("certificate", self.certificate), ("minimum", self.pyhf), ("limit", self.limits)
        )  # fmt: skip
        for key, counter in counted:
            if key in row:
                counter[row[key]] += 1
        if row.get("certificate") == "passed" and row.get("lower"):
            self.lower[row["lower"]] += 1
        self.largest = max(self.largest, row.get("deviation", 0.0))
        self.closure = max(self.closure, row.get("closure", 0.0))
        self.problems += [(row["seed"], text) for text in row["problems"]]
        self.cpu += row.get("cpu", 0.0)


def digest() -> str:
    """Of everything that a record follows from."""
    here = Path(__file__)
    files = [here, here.with_name("random_workspaces.py")]
    files += sorted((here.parents[2] / "src" / "darkfactory" / "stats").glob("*.py"))
    return hashlib.sha256(b"".join(f.read_bytes() for f in files)).hexdigest()[:16]


def survey(
    seeds: Iterable[int], backends: Sequence[Backend], *, certificates: bool = True, stock_every: int = 1
) -> Survey:
    """Limits of workspaces by the engine, checked by pyhf."""
    found = Survey()
    for seed in seeds:
        found.add(by_engine(seed, backends, certificates=certificates))
        if seed % stock_every == 0:
            found.add(by_stock(seed, backends[-1], limits=certificates))
    return found


def resumed(
    record: Path,
    seeds: Sequence[int],
    backends: Sequence[Backend],
    *,
    stock_every: int = STOCK_EVERY,
    flagged: bool = False,
    until: float = float("inf"),
) -> Survey:
    """The survey of some workspaces with a record; what was finished before is read, not made.

    Args:
        record: file with a line for each workspace and part.
        seeds: of the workspaces.
        backends: of the engine.
        stock_every: which of them go to stock pyhf.
        flagged: let those that are far from their data go to stock pyhf, too.
        until: time (seconds since the epoch) after which nothing more is begun.
    """
    key = f"{digest()} {'_'.join(backends)}"
    known: dict[tuple[str, int], dict[str, Any]] = {}
    if record.exists():
        for line in record.read_text().splitlines():
            row = json.loads(line)
            if row["key"] == key:
                known[row["part"], row["seed"]] = row
    with record.open("a") as file:

        def done(part: str, seed: int) -> dict[str, Any] | None:
            if (part, seed) in known or time.time() > until:
                return known.get((part, seed))
            start = time.process_time()
            row = by_engine(seed, backends) if part == "engine" else by_stock(seed, backends[-1])
            row |= {"part": part, "key": key, "cpu": round(time.process_time() - start, 3)}
            file.write(json.dumps(row) + "\n")
            file.flush()
            known[part, seed] = row
            return row

        total = Survey()
        made = [row for seed in seeds if (row := done("engine", seed))]
        stock = [seed for seed in seeds if seed % stock_every == 0]
        if flagged:
            stock += [row["seed"] for row in made if row.get("flagged") and row["seed"] % stock_every]
        for row in [*made, *(row for seed in stock if (row := done("stock", seed)))]:
            total.add(row)
    return total


def main() -> None:
    """``python tests/statistics/random_survey.py RECORD [COUNT [MINUTES]]``."""
    record = Path(sys.argv[1])
    record.parent.mkdir(parents=True, exist_ok=True)
    count = int(sys.argv[2]) if len(sys.argv) > 2 else WORKSPACES
    until = time.time() + 60 * float(sys.argv[3]) if len(sys.argv) > 3 else float("inf")
    for first in range(0, count, AT_A_TIME):
        resumed(record, range(first, min(first + AT_A_TIME, count)), (fastest(),), until=until)
    found = resumed(record, range(count), (fastest(),), flagged=True, until=until)
    sys.stdout.write("".join(f"{key}: {value}\n" for key, value in vars(found).items()))


if __name__ == "__main__":
    main()
