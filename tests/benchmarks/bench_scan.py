"""A scan of thousands of windows at two levels with bands and p0, its certificates, and toys of whole scans.

Run: ``OMP_NUM_THREADS=1 python tests/benchmarks/bench_scan.py`` (three to five minutes on a quiet machine; less with
``--windows 1500``). Medians of ``--repeats`` runs, CPU time of one core, and what 9000 windows (and 1000 scans of them)
need on two; ``loop`` as in ``bench_limits.py``.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from darkfactory.config.statistics import CertificateConfig
from darkfactory.stats.certificate import Claim, certify
from darkfactory.stats.examples import bump_window
from darkfactory.stats.histfactory import compile_workspaces
from darkfactory.stats.newton import Backend
from darkfactory.stats.scan import asymptotic_limits
from darkfactory.stats.significance import scan_toys

LEVELS = (0.90, 0.95)
WINDOWS, SPECTRA, CORES = 9000, 1000, 2
BATCH = 128


def loop() -> float:
    """CPU time of a fixed amount of Python."""
    start = time.process_time()
    total = 0
    for i in range(2_000_000):
        total += i & 7
    return time.process_time() - start


def timed(label: str, count: int, wanted: int, run: Callable[[], Any], repeats: int) -> Any:
    """Run several times; print the median of the CPU seconds and those of the whole job on all cores."""
    seconds, loops = [], []
    result = None
    for _ in range(repeats):
        start = time.process_time()
        result = run()
        seconds.append(time.process_time() - start)
        loops.append(loop())
    median = float(np.median(seconds))
    whole = median * wanted / count / CORES
    print(f"{label:28s} {median:8.2f} s for {count:6d} ({min(seconds):.2f} to {max(seconds):.2f}, {repeats} runs), "
          f"{whole:7.1f} s for {wanted} on {CORES} cores, loop {float(np.median(loops)):.3f}", flush=True)  # fmt: skip
    return result


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--windows", type=int, default=WINDOWS)
    parser.add_argument("--certificates", type=int, default=40)
    parser.add_argument("--toys", type=int, default=SPECTRA)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--toy-windows", type=int, default=30)
    arguments = parser.parse_args()
    n, repeats = arguments.windows, arguments.repeats
    specs = timed("templates", n, WINDOWS, lambda: [bump_window(s, injected=float(s % 3)) for s in range(n)], 1)
    specs = timed("JSON out and in", n, WINDOWS, lambda: json.loads(json.dumps(specs)), 1)
    ((group,), _) = timed("JSON to arrays", n, WINDOWS, lambda: compile_workspaces(specs), 1)
    backends: list[Backend] = ["numpy", "numba"] if importlib.util.find_spec("numba") else ["numpy"]

    def limits(backend: Backend) -> list[Any]:
        parts = range(0, n, BATCH)
        return [
            asymptotic_limits(group.batch.take(np.arange(i, min(i + BATCH, n))), LEVELS, backend=backend) for i in parts
        ]

    def certificates(backend: Backend, results: list[Any]) -> Counter[bool]:
        passed: Counter[bool] = Counter()
        for i in range(arguments.certificates):
            r, k = results[i // BATCH], i % BATCH
            claims = [
                Claim(cl, float(r.observed[k, j]), tuple(float(v) for v in r.expected[k, j]))
                for j, cl in enumerate(LEVELS)
            ]
            hints = [*r.observed_fit[k], *r.observed_asimov[k], r.base.null.theta[k], r.base.free.theta[k]]
            hints += [*r.expected_fit[k].reshape(2 * 5, -1)]
            passed[certify(specs[i], claims, hints, CertificateConfig(), backend=backend)["passed"]] += 1
        return passed

    spectrum = np.linspace(60.0, 30.0, 50 + arguments.toy_windows)
    bins = [[np.arange(i, i + 50)] for i in range(arguments.toy_windows)]
    for backend in backends:
        asymptotic_limits(group.batch.take(np.arange(2)), LEVELS, backend=backend)
        results = timed(f"limits and p0, {backend}", n, WINDOWS, lambda b=backend: limits(b), repeats)
        print("   status:", Counter(s for r in results for row in r.status for s in row))
        many = arguments.certificates
        passed = timed(
            f"certificates, {backend}", many, WINDOWS, lambda b=backend, r=results: certificates(b, r), repeats
        )
        print("   passed:", dict(passed))
        count, wanted = arguments.toys * arguments.toy_windows, SPECTRA * WINDOWS
        windows = [specs[0]] * arguments.toy_windows
        timed(
            f"toys of scans, {backend}", count, wanted,
            lambda b=backend, w=windows: scan_toys(w, bins, spectrum, arguments.toys, seed=1, backend=b), repeats,
        )  # fmt: skip


if __name__ == "__main__":
    main()
